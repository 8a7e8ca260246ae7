"""Model files: there and back, whole or not at all, and nothing believed unseen."""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad import nn, tree
from glassgrad.errors import DtypeError, ModelFileError
from glassgrad.train import load, save
from glassgrad.train.files import write_whole
from glassgrad.train.save import DESCRIPTION, is_model

TREE: Any = {
    "a.b": np.arange(6.0).reshape(2, 3).T,
    "a": {"b": np.array([1 + 2j])},
    "list": [np.int8(3), None, (np.array([True, False]),)],
    "layer": nn.Linear(2, 3, rng=1, bias=False),
    "empty": {},
    "": np.zeros((0, 2), np.float16),
}


def test_trees_come_back(tmp_path: Path) -> None:
    path = tmp_path / "t.glassgrad"
    save(path, TREE, {"note": "ünïcode", "n": [1, 2.5, None]})
    model, metadata = load(path)
    assert metadata == {"note": "ünïcode", "n": [1, 2.5, None]}
    assert tree.structure(model) == tree.structure(TREE)
    for a, b in zip(tree.leaves(model), tree.leaves(TREE), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    with np.load(path, allow_pickle=False) as arrays:  # NumPy alone can read them
        np.testing.assert_array_equal(arrays["model['a']['b']"], [1 + 2j])


def test_a_model_predicts_as_before_and_can_be_trained_on(tmp_path: Path) -> None:
    model = nn.MLP((4, 7, 3), "gelu", rng=5)
    save(tmp_path / "m", model)
    again = load(tmp_path / "m").model
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_array_equal(again(x), model(x))
    again.layers[0].W[0, 0] = 1  # writable


def test_equal_models_are_equal_files(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / name, nn.MLP((4, 7, 3), rng=5))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("bad", [{"f": print}, {1: np.ones(2)}, {"s": np.array(["x"])}, {"o": np.array([None])}])
def test_what_cannot_be_saved_is_named(tmp_path: Path, bad: Any) -> None:
    with pytest.raises(DtypeError, match="save: "):
        save(tmp_path / "m", bad)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("metadata", [{"x": np.ones(2)}, {"x": float("nan")}])
def test_metadata_must_be_json(tmp_path: Path, metadata: Any) -> None:
    with pytest.raises(DtypeError, match="metadata must be plain JSON"):
        save(tmp_path / "m", {"w": np.ones(2)}, metadata)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, OSError(28, "No space left on device")])
def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, interruption: Any) -> None:
    path = tmp_path / "m"
    path.write_text("before")

    def write(stream: Any) -> None:
        stream.write(b"half")
        stream.flush()
        raise interruption

    expected = ModelFileError if isinstance(interruption, OSError) else interruption
    with pytest.raises(expected):
        write_whole(path, write, ModelFileError)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    assert path.read_text() == "before"


def test_a_full_disk(tmp_path: Path) -> None:
    program = (
        "import resource, sys, numpy as np\n"
        "from glassgrad.train import save\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "save(sys.argv[1], {'w': np.zeros(100_000)})\n"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path / "m")], capture_output=True, text=True)
    assert run.returncode == 1
    assert "ModelFileError: save: cannot write" in run.stderr
    assert "File too large" in run.stderr
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 10_000


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("no/such/m", "no such folder"),
        (".", "not a file"),
        ("pipe", "not an ordinary file"),
        ("n" * 300, "the name is too long: got 'nnn"),
    ],
)
def test_places_where_no_file_can_be(tmp_path: Path, place: str, message: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match=message):
        save(tmp_path / place, {"w": np.ones(1)})
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real" / "m", tmp_path / "link")
    save(tmp_path / "link", {"w": np.ones(1)})
    assert (tmp_path / "link").is_symlink()
    assert is_model(tmp_path / "real" / "m")


# Files from elsewhere


def written(model: Any) -> dict[str, bytes]:
    """The entries of a saved model."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder, "m"), model)
        with zipfile.ZipFile(Path(folder, "m")) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def zipped(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return stream.getvalue()


def refused(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "m"
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_every_truncation_and_every_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    model = nn.MLP((2, 3, 2), rng=0)
    data = zipped(written(model))
    for n in range(0, len(data), 7):
        refused(tmp_path, data[:n])
    survived = 0
    for n in range(0, len(data), 3):
        (tmp_path / "m").write_bytes(data[:n] + bytes([data[n] ^ 0x41]) + data[n + 1 :])
        try:
            again = load(tmp_path / "m").model
        except ModelFileError:
            continue
        survived += 1  # dates and other zip fields that nothing depends on
        for a, b in zip(tree.leaves(again), tree.leaves(model), strict=True):
            np.testing.assert_array_equal(a, b)
    assert survived < len(data) / 3 / 2


def changed(key: str, value: Any) -> bytes:
    """A saved model whose description differs in one place, a dotted path."""
    entries = written(nn.MLP((2, 3, 2), rng=0))
    description = json.loads(entries[DESCRIPTION])
    place = description
    *path, last = [int(part) if part.isdigit() else part for part in key.split(".")]
    for part in path:
        place = place[part]
    place[last] = value
    return zipped({**entries, DESCRIPTION: json.dumps(description).encode()})


FIRST = "model.fields.layers.tuple.0"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "other", "format"),
        ("version", 2, "version 1; a later Glassgrad"),
        ("version", "1", "version"),
        ("model", 3, "unknown part"),
        ("model", None, "arrays are not those"),
        ("model.module", "os.system", "unknown part"),
        ("model.static.activation", "eval", "unknown activation"),
        ("model.static.activation", ["relu"], "got ('relu',), expected str"),
        ("model.static.activation", {"relu": 1}, "unknown part"),
        ("model.static.extra", "x", "unknown part"),
        ("model.fields.layers.tuple", [], "arrays are not those"),
        (f"{FIRST}.fields.W.shape", [3, 2], "expected float32 (3, 2)"),
        (f"{FIRST}.fields.W.shape", [2**39, 2], "expected float32"),
        (f"{FIRST}.fields.W.shape", [-2, -3], "a list of sizes"),
        (f"{FIRST}.fields.W.shape", [2.0, 3], "a list of sizes"),
        (f"{FIRST}.fields.W.dtype", "<f8", "expected float64"),
        (f"{FIRST}.fields.W.dtype", "|O", "a dtype of numbers"),
        (f"{FIRST}.fields.W.dtype", "f4,f4", "a dtype of numbers"),
        (f"{FIRST}.fields.W.array", "nowhere", "arrays are not those"),
        (f"{FIRST}.fields.W", None, "arrays are not those"),
        (f"{FIRST}.fields.b", {"dict": [["x"]]}, "unknown part"),
        ("metadata", [], "metadata"),
    ],
)
def test_descriptions_that_lie(tmp_path: Path, key: str, value: Any, message: str) -> None:
    assert message in refused(tmp_path, changed(key, value))


def test_layers_that_do_not_fit(tmp_path: Path) -> None:
    bad = nn.MLP((2, 3, 2), rng=0)
    swapped = tree.unflatten(tree.structure(bad), [a.T if a.ndim == 2 else a for a in tree.leaves(bad)])
    save(tmp_path / "s", swapped)
    assert "do not fit" in refused(tmp_path, (tmp_path / "s").read_bytes())
    mixed = tree.unflatten(tree.structure(bad), [a.astype(int) for a in tree.leaves(bad)])
    save(tmp_path / "s", mixed)
    assert "do not fit" in refused(tmp_path, (tmp_path / "s").read_bytes())


def test_foreign_files(tmp_path: Path) -> None:
    assert "not a zip file" in refused(tmp_path, b"")
    assert "not a zip file" in refused(tmp_path, b"a,b\n1,2\n")
    assert DESCRIPTION in refused(tmp_path, zipped({"x": b"1"}))
    assert "compressed" in refused(tmp_path, zipped({DESCRIPTION: b" " * 1000}, zipfile.ZIP_DEFLATED))
    refused(tmp_path, zipped({DESCRIPTION: b"[" * 200_000}))
    refused(tmp_path, zipped({DESCRIPTION: b"\xff"}))
    refused(tmp_path, zipped({DESCRIPTION: b"[]"}))
    entries = written({"w": np.ones(2)})
    assert "arrays are not those" in refused(tmp_path, zipped({**entries, "more.npy": b""}))
    name = next(n for n in entries if n != DESCRIPTION)
    assert "nothing more" in refused(tmp_path, zipped({**entries, name: entries[name] + b"x"}))
    assert "nothing more" in refused(tmp_path, zipped({**entries, name: entries[name][:-1]}))
    whole = zipped(entries)
    end = whole.rindex(b"PK\5\6") + 16  # where the directory is said to begin: too late, so that parts come before 0
    (offset,) = struct.unpack_from("<I", whole, end)
    assert "parts are misplaced" in refused(tmp_path, whole[:end] + struct.pack("<I", offset + 200) + whole[end + 4 :])
    with pytest.raises(ModelFileError, match="cannot read .*No such file"):
        load(tmp_path / "absent")
    with pytest.raises(ModelFileError, match="cannot read .*directory"):
        load(tmp_path)


def test_what_counts_as_a_model(tmp_path: Path) -> None:
    save(tmp_path / "m", {"w": np.ones(2)})
    np.savez(tmp_path / "other.npz", w=np.ones(2))
    (tmp_path / "text").write_text("hello")
    assert is_model(tmp_path / "m")
    assert not any(is_model(tmp_path / name) for name in ("other.npz", "text", "absent"))
