"""Every kind of file and every data set by name trains, and the same data in two kinds of file gives the same model."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad.train import TableModel
from tests.oracles.commands import flowers


def rows(seed: int = 0, n: int = 60) -> tuple[Any, Any]:
    """Tiny images, 4×3, whose class is where the light is."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    images = rng.integers(0, 60, (n, 4, 3))
    images[np.arange(n), :, labels] += 150
    return images.astype(np.uint8), labels.astype(np.uint8)


def idx(array: Any) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_images(folder: Path) -> None:
    for name, seed in (("train", 0), ("test", 1)):
        images, labels = rows(seed)
        (folder / f"{name}-images.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{name}-labels").write_bytes(idx(labels))
        np.savez(folder / f"{name}.npz", x=images, y=labels, extra=np.arange(3))


def test_images_with_labels(run: Any, tmp_path: Path) -> None:
    write_images(tmp_path)
    done = run("train", "train-images.gz", "--labels", "train-labels", "--epochs", 20, "--hidden", 8, "--out", "m")
    assert done.code == 0, done.err
    assert "classification of label: 3 classes, '0', '1', '2'" in done.out
    assert "12 features of 12 columns" in done.out
    found = run("evaluate", "m", "test-images.gz", "--labels", "test-labels", "--json")
    assert json.loads(found.out)["accuracy"] > 0.9
    guessed = run("predict", "m", "test-images.gz")  # without the labels
    assert len(guessed.out.splitlines()) == 61
    alone = run("evaluate", "m", "test-images.gz")
    assert (alone.code, "target column 'label' is not in test-images.gz" in alone.err) == (1, True)


def test_convolutions_of_images(run: Any, tmp_path: Path) -> None:
    write_images(tmp_path)
    command = ("train", "train-images.gz", "--labels", "train-labels", "--model", "cnn", "--schedule", "constant")
    done = run(*command, "--epochs", 6, "--out", "m", "--report", "r.html")
    assert done.code == 0, done.err
    assert "12 features of 12 columns" in done.out
    assert "Sequential(Unflatten(1×4×3), Conv2d(1 -> 16, 3×3), relu, MaxPool(2), Conv2d(16 -> 32" in done.out
    assert "conv2" in Path("r.html").read_text()
    found = run("evaluate", "m", "test-images.gz", "--labels", "test-labels", "--json")
    assert json.loads(found.out)["accuracy"] > 0.9
    assert len(run("predict", "m", "test-images.gz").out.splitlines()) == 61
    told = json.loads(run("info", "m", "--json").out)
    assert told["training"]["settings"]["image"] == [1, 4, 3]
    assert told["arrays"]["layers.1.W"] == [16, 1, 3, 3]
    assert run(*command, "--epochs", 2, "--out", "part", "--checkpoint", "c").code == 0
    assert run(*command, "--epochs", 6, "--out", "part", "--resume", "c").code == 0
    assert Path("part").read_bytes() == Path("m").read_bytes()


def test_images_lie_in_any_file(run: Any, tmp_path: Path) -> None:
    images, labels = rows()
    square = np.pad(images, [(0, 0), (0, 0), (0, 1)])
    header = [*(f"x{i}" for i in range(16)), "y"]
    table = np.column_stack([square.reshape(60, 16), labels]).astype(str)
    Path("t.csv").write_text("\n".join(",".join(row) for row in [header, *table.tolist()]))
    np.savez("last.npz", x=square[..., None], y=labels)
    np.savez("first.npz", x=square[:, None], y=labels)
    losses = []
    for file in ("t.csv", "last.npz", "first.npz"):
        done = run("train", file, "--target", "y", "--model", "cnn", "--epochs", 2, "--out", "m", "--json")
        assert done.code == 0, done.err
        losses.append(json.loads(done.out)["history"]["loss"])
        assert run("predict", "m", file).code == 0
    assert losses[0] == losses[1] == losses[2]
    bad = run("train", "t.csv", "--target", "y", "--model", "cnn", "--ignore", "x3")
    assert (bad.code, "the columns are no images: got 15, 'x0', 'x1', 'x2', 'x4' and 11 more" in bad.err) == (1, True)


def test_arrays(run: Any, tmp_path: Path) -> None:
    write_images(tmp_path)
    assert run("train", "train.npz", "--target", "y", "--epochs", 20, "--hidden", 8).code == 0
    assert TableModel.load("train.glassgrad").columns[:2] == ("pixel_0_0", "pixel_0_1")
    found = run("evaluate", "train.glassgrad", "test.npz", "--json")
    assert json.loads(found.out)["rows"] == 60
    np.save("x.npy", rows(1)[0].reshape(60, 12))
    wrong = run("predict", "train.glassgrad", "x.npy")  # columns by number, where pixels are known by place
    assert (wrong.code, "columns are missing" in wrong.err) == (1, True)


def test_a_matrix_is_a_file_without_a_header(run: Any, tmp_path: Path) -> None:
    images, labels = rows()
    table = np.column_stack([images.reshape(60, 12), labels]).astype(float)
    np.save("t.npy", table)
    Path("t.csv").write_text("\n".join(",".join(f"{v:g}" for v in row) for row in table))
    one = run("train", "t.npy", "--target", -1, "--epochs", 5, "--out", "a", "--json")
    two = run("train", "t.csv", "--target", -1, "--epochs", 5, "--out", "b", "--json", "--no-header")
    assert (one.code, two.code) == (0, 0), one.err + two.err
    assert json.loads(one.out)["history"]["loss"] == json.loads(two.out)["history"]["loss"]
    np.save("features.npy", table[:, :12])
    predictions = [run("predict", model, "features.npy").out for model in "ab"]
    assert predictions[0] == predictions[1] != ""


def test_the_same_table_in_every_kind_of_file(run: Any, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    Path("f.csv").write_text(flowers())
    Path("g.csv.gz").write_bytes(gzip.compress(flowers().encode()))
    pandas.read_csv("f.csv").to_parquet("h.parquet")
    losses = []
    for file in ("f.csv", "g.csv.gz", "h.parquet"):
        done = run("train", file, "--target", "kind", "--epochs", 3, "--json")
        assert done.code == 0, done.err
        losses.append(json.loads(done.out)["history"]["loss"])
    assert losses[0] == losses[1] == losses[2]
    assert {p.name for p in tmp_path.glob("*.glassgrad")} == {"f.glassgrad", "g.glassgrad", "h.glassgrad"}
    Path("copy").write_bytes(Path("h.parquet").read_bytes())  # known by what is in it, not by its name
    assert (
        run("evaluate", "f.glassgrad", "copy").out.split(": ", 1)[1]
        == run("evaluate", "f.glassgrad", "f.csv").out.split(": ", 1)[1]
    )


@pytest.mark.parametrize(
    ("name", "target", "count"),
    [
        ("iris", "species", 4),
        ("wine", "cultivar", 13),
        ("breast_cancer", "diagnosis", 30),
        ("diabetes", "progression", 10),
    ],
)
def test_data_sets_by_name(run: Any, name: str, target: str, count: int) -> None:
    pytest.importorskip("sklearn")
    done = run("train", name, "--epochs", 1, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["target"], told["features"]) == (target, count)
    assert run("evaluate", f"{name}.glassgrad", name).code == 0


BAD = [
    (("train", "train-images.gz"), "got no --target, expected one of 'pixel_0_0'"),
    (("train", "train-images.gz", "--labels", "train.npz"), "read_idx: not an IDX file: got bytes 50 4b 03 04"),
    (("train", "train-images.gz", "--labels", "short"), r"labels do not fit: got shape (2,) in short, expected (60,)"),
    (("train", "train-images.gz", "--labels", "nothing"), "no such file: got nothing, expected an IDX file"),
    (("train", "cut.gz", "--labels", "train-labels"), "damaged gzip file"),
    (("train", "f.csv", "--target", "kind", "--labels", "train-labels"), "--labels belongs to IDX images: got f.csv"),
    (("train", "train.npz"), "which array to predict? got no --target, expected one of x (60, 4, 3), y (60,), extra"),
    (("train", "train.npz", "--target", "why"), "which array to predict? got --target why"),
    (("train", "train.npz", "--target", "extra"), "which array holds the features?"),
    (("train", "two.npz", "--target", "y"), "got a (60, 2), b (60, 3), y (60,) in two.npz, expected one numeric array"),
    (("train", "iris", "--target", "kind"), "iris has its own target: got --target kind, expected species"),
    (("train", "cut.parquet", "--target", "kind"), "damaged, or not Parquet"),
    (("train", "t.npy", "--target", "13"), "no column 13: got 13, expected 0 to 12"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_data_that_cannot_be_used(run: Any, tmp_path: Path, arguments: Any, message: str) -> None:
    if arguments[1] == "iris":
        pytest.importorskip("sklearn")
    if arguments[1] == "cut.parquet":
        pytest.importorskip("pyarrow")
    write_images(tmp_path)
    Path("f.csv").write_text(flowers())
    Path("short").write_bytes(idx(np.zeros(2, np.uint8)))
    Path("cut.gz").write_bytes(Path("train-images.gz").read_bytes()[:-10])
    Path("cut.parquet").write_bytes(b"PAR1 and then nothing")
    np.savez("two.npz", a=np.zeros((60, 2)), b=np.zeros((60, 3)), y=np.arange(60))
    np.save("t.npy", np.zeros((60, 13)))
    before = set(tmp_path.iterdir())
    done = run(*arguments, "--epochs", 1)
    assert (done.code, message in done.err) == (1, True), done.err
    assert done.err.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


# Pipes


@pytest.fixture
def pipe(run: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``... | glassgrad ...``"""

    def call(content: bytes, *arguments: Any) -> Any:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return run(*arguments)

    return call


def test_standard_input_is_a_file_like_any_other(run: Any, pipe: Any, tmp_path: Path) -> None:
    Path("f.csv").write_text(flowers())
    quick = ("--target", "kind", "--hidden", 4, "--epochs", 3)
    assert run("train", "f.csv", *quick, "--out", "m").code == 0
    assert pipe(flowers().encode(), "train", "-", *quick).code == 0
    more = flowers(12, seed=3)
    Path("more.csv").write_text(more)
    expected = run("predict", "m", "more.csv")
    for source in ("-", "/dev/stdin"):
        assert pipe(more.encode(), "predict", "m", source).out == expected.out
    assert pipe(more.encode(), "predict", "stdin.glassgrad", "-").out == expected.out
    found = pipe(gzip.compress(more.encode()), "evaluate", "m", "-", "--json")
    ours, theirs = (json.loads(text) for text in (found.out, run("evaluate", "m", "more.csv", "--json").out))
    assert ours.pop("source") == "/dev/stdin"
    assert theirs.pop("source") == "more.csv"
    assert ours == theirs


def test_a_named_pipe(run: Any, tmp_path: Path) -> None:
    Path("f.csv").write_text(flowers())
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_text(flowers()))
    writer.start()
    done = run("train", "pipe", "--target", "kind", "--hidden", 4, "--epochs", 1)
    writer.join()
    assert (done.code, Path("pipe.glassgrad").exists()) == (0, True), done.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "/dev/stdin is empty: got 0 bytes"),
        (b"a,b\n1,2\n3\n", "got 1 field at /dev/stdin:3, expected 2"),
        (b"a,b\n1,\xe9\n", "iconv -f latin1 -t utf-8 /dev/stdin > stdin-utf8"),
        (None, "standard input is closed"),
    ],
)
def test_mistakes_name_the_pipe(
    pipe: Any, run: Any, monkeypatch: pytest.MonkeyPatch, content: Any, message: str
) -> None:
    if content is None:
        monkeypatch.setattr(sys, "stdin", None)
        done = run("train", "-", "--target", "b")
    else:
        done = pipe(content, "train", "-", "--target", "b")
    assert (done.code, done.out) == (1, "")
    assert message in done.err
