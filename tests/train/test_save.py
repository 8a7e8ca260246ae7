"""Model files: there and back, whole or not at all, and nothing believed unseen."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad import nn, tree
from glassgrad.errors import DtypeError, ModelFileError
from glassgrad.train import load, safetensors, save
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
    arrays, _ = safetensors.read(path)
    assert set(arrays) == {"a.b", "a.b'", "list.0", "list.2.0", "layer.W", "value"}
    np.testing.assert_array_equal(arrays["a.b'"], [[1, 2]])  # complex numbers as pairs


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


def refused(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "m"
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_every_truncation_and_every_flipped_byte_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "s", nn.MLP((2, 3, 2), rng=0), {"classes": ["a", "b"]})
    data = (tmp_path / "s").read_bytes()
    for n in range(0, len(data), 7):
        refused(tmp_path, data[:n])
    for n in range(len(data)):
        refused(tmp_path, data[:n] + bytes([data[n] ^ (1 << n % 8)]) + data[n + 1 :])


def changed(tmp_path: Path, key: str, value: Any) -> bytes:
    """A saved model whose description differs in one place, a dotted path."""
    save(tmp_path / "s", nn.MLP((2, 3, 2), rng=0))
    arrays, metadata = safetensors.read(tmp_path / "s")
    description = json.loads(metadata[DESCRIPTION])
    place = description
    *path, last = [int(part) if part.isdigit() else part for part in key.split(".")]
    for part in path:
        place = place[part]
    place[last] = value
    return written(tmp_path, arrays, json.dumps(description))


def written(tmp_path: Path, arrays: Any, description: str) -> bytes:
    """A file with a checksum that fits, whatever it says of itself."""
    safetensors.write(tmp_path / "s", arrays, {DESCRIPTION: description})
    return (tmp_path / "s").read_bytes()


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
        (f"{FIRST}.fields.W.array", "nowhere", "arrays are not those"),
        (f"{FIRST}.fields.W.array", 7, "unknown part"),
        (f"{FIRST}.fields.W.array", "layers.1.W", "arrays are not those"),
        (f"{FIRST}.fields.W.dtype", "complex128", "unknown part"),
        (f"{FIRST}.fields.W.dtype", "object", "unknown part"),
        (f"{FIRST}.fields.W", None, "arrays are not those"),
        (f"{FIRST}.fields.b", {"dict": [["x"]]}, "unknown part"),
        ("metadata", [], "metadata"),
    ],
)
def test_descriptions_that_lie(tmp_path: Path, key: str, value: Any, message: str) -> None:
    assert message in refused(tmp_path, changed(tmp_path, key, value))


def test_layers_that_do_not_fit(tmp_path: Path) -> None:
    bad = nn.MLP((2, 3, 2), rng=0)
    swapped = tree.unflatten(tree.structure(bad), [a.T if a.ndim == 2 else a for a in tree.leaves(bad)])
    save(tmp_path / "s", swapped)
    assert "do not fit" in refused(tmp_path, (tmp_path / "s").read_bytes())
    mixed = tree.unflatten(tree.structure(bad), [a.astype(int) for a in tree.leaves(bad)])
    save(tmp_path / "s", mixed)
    assert "do not fit" in refused(tmp_path, (tmp_path / "s").read_bytes())


def test_foreign_files(tmp_path: Path) -> None:
    for data in (b"", b"a,b\n1,2\n", b"PK\3\4 and the rest of a zip", b"\2\0\0\0\0\0\0\0[]"):
        assert "or other safetensors file" in refused(tmp_path, data)
    safetensors.write(tmp_path / "s", {"w": np.ones(2)})
    assert "do not describe one; read plain arrays by" in refused(tmp_path, (tmp_path / "s").read_bytes())
    for text in ("[" * 200_000, "{", ""):
        assert "no JSON" in refused(tmp_path, written(tmp_path, {}, text))
    refused(tmp_path, written(tmp_path, {}, "[]"))
    with pytest.raises(ModelFileError, match="cannot read .*No such file"):
        load(tmp_path / "absent")
    with pytest.raises(ModelFileError, match="cannot read .*directory"):
        load(tmp_path)


def test_what_counts_as_a_model(tmp_path: Path) -> None:
    save(tmp_path / "m", {"w": np.ones(2)})
    safetensors.write(tmp_path / "other", {"w": np.ones(2)})
    (tmp_path / "text").write_text("hello")
    assert is_model(tmp_path / "m")
    assert not any(is_model(tmp_path / name) for name in ("other", "text", "absent"))
