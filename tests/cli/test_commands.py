"""The command line as a new user meets it: training, predicting, and every mistake in one clear line."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassgrad
from glassgrad.cli import main
from glassgrad.data import read_csv
from glassgrad.train import TableModel, save
from tests.oracles.commands import SOURCE, command, flowers, prices


def records(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# What should work


def test_digits_end_to_end(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    done = command("train", "digits", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    accuracy = re.search(r"held out: accuracy ([\d.]+)% \(\d+ of 359 rows", done.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) >= 97
    assert re.search(r"^hidden1 +61×128 ", done.stdout, re.M)
    assert "gradient of the loss" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["digits.glassgrad"]

    from sklearn.datasets import load_digits

    data: Any = load_digits()
    names = [*data.feature_names]
    rows = [",".join(names), *(",".join(f"{v:g}" for v in row) for row in data.data[:50])]
    (tmp_path / "images.csv").write_text("\n".join(rows))
    done = command("predict", "digits.glassgrad", "images.csv", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    guesses = [int(r["prediction"]) for r in records(done.stdout)]
    assert np.mean(guesses == data.target[:50]) >= 0.96


def test_classification_and_its_predictions(run: Any, tmp_path: Path) -> None:
    Path("flowers.csv").write_text(flowers())
    trained = run("train", "flowers.csv", "--target", "kind", "--epochs", 30)
    assert trained.code == 0, trained.err
    assert "classification of kind: 3 classes, 'iris', 'rose', 'tulip'" in trained.out
    assert "colour: 3 categories, '(missing)', 'blue', 'red'" in trained.out
    assert "saved flowers.glassgrad" in trained.out
    assert "epoch 30/30" in trained.out

    Path("more.csv").write_text(flowers(12, target=False, seed=5))
    predicted = run("predict", "flowers.glassgrad", "more.csv")
    assert (predicted.code, predicted.err) == (0, "")
    rows = records(predicted.out)
    assert [r["prediction"] for r in rows] == ["iris", "rose", "tulip"] * 4
    model = TableModel.load("flowers.glassgrad")
    inside = model.predict(read_csv("more.csv"))
    assert inside.values.tolist() == [r["prediction"] for r in rows]
    table = np.array([[float(r[f"p({c})"]) for c in ("iris", "rose", "tulip")] for r in rows], np.float32)
    np.testing.assert_array_equal(table, inside.probabilities)
    np.testing.assert_allclose(table.sum(1), 1, rtol=1e-6)

    to_file = run("predict", "flowers.glassgrad", "more.csv", "--out", "predictions.csv")
    assert (to_file.code, to_file.out) == (0, "")
    assert Path("predictions.csv").read_text() == predicted.out
    assert run("predict", "flowers.glassgrad", "more.csv", "--out", "predictions.csv").code == 0  # again is fine


def test_regression_predicts_in_the_targets_unit(run: Any) -> None:
    Path("prices.csv").write_text(prices())
    trained = run("train", "prices.csv", "--target", "price", "--out", "p.model", "--hidden", "32", "--epochs", 150)
    assert trained.code == 0, trained.err
    error = re.search(r"root mean squared error ([\d.]+) on 24 rows .*R² ([\d.]+)", trained.out)
    assert error is not None
    assert float(error[2]) > 0.9
    predicted = run("predict", "p.model", "prices.csv")  # the target column is there: scored
    assert predicted.code == 0
    assert "has the target: root mean squared error" in predicted.err
    values = np.array([float(r["prediction"]) for r in records(predicted.out)])
    truth = read_csv("prices.csv")["price"].astype(float)
    assert np.corrcoef(values, truth)[0, 1] > 0.95
    np.testing.assert_array_equal(values, TableModel.load("p.model").predict(read_csv("prices.csv")).values)


def test_a_seed_makes_equal_files(run: Any) -> None:
    Path("f.csv").write_text(flowers())
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("train", "f.csv", "--target", "kind", "--epochs", 3, "--seed", seed, "--out", out).code == 0
    a, b, c = (Path(name).read_bytes() for name in "abc")
    assert a == b != c


def test_options(run: Any) -> None:
    Path("f.csv").write_text(flowers())
    done = run(
        *("train", "f.csv", "--target", "kind", "--hidden", "0", "--epochs", 2, "--batch-size", "all"),
        *("--optimizer", "sgd", "--lr", "0.5", "--test-fraction", "0.3", "--ignore", "colour", "--seed", 7),
    )
    assert done.code == 0, done.err
    assert "90 rows, 63 to learn from, 27 held out" in done.out
    assert "sgd, learning rate 0.5, batches of 63, 2 epochs, seed 7" in done.out
    assert "MLP(2 -> 3, relu) has 9 parameters; 2 steps" in done.out
    quiet = run("train", "f.csv", "--target", "kind", "--epochs", 1, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert Path("f.glassgrad").exists()


def test_options_that_are_off(run: Any) -> None:
    Path("f.csv").write_text(flowers())
    train = ("train", "f.csv", "--target", "kind", "--epochs", 1, "--weight-decay", 0, "--quiet")
    for out, options in (("a", ("--dropout", 0)), ("b", ()), ("c", ("--dropout", 0.1))):
        assert run(*train, "--out", out, *options).code == 0
    a, b, c = (Path(name).read_bytes() for name in "abc")
    assert a == b != c


def test_without_a_header(run: Any) -> None:
    body = flowers().split("\n", 1)[1]
    Path("f.csv").write_text(body)
    assert run("train", "f.csv", "--no-header", "--target", -1, "--epochs", 20).code == 0
    full = run("predict", "f.glassgrad", "f.csv")  # the model remembers that there is no header
    Path("features.csv").write_text("\n".join(line.rpartition(",")[0] for line in body.splitlines()))
    features = run("predict", "f.glassgrad", "features.csv")
    assert features.out == full.out
    assert len(records(full.out)) == 90
    Path("two.csv").write_text("1,2\n3,4\n")
    wrong = run("predict", "f.glassgrad", "two.csv")
    assert wrong.code == 1
    assert "got 2, expected 4 as in training, or 3 without 'column_3'" in wrong.err


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + flowers(),
        flowers().replace(",", ";"),
        flowers().replace(",", "\t"),
        flowers().replace(",", "|"),
        flowers().replace("colour", '"größe, ""q"""').replace("red", '"a\nb"'),
        flowers().replace("colour", "constant").replace("red", "k").replace("blue", "k"),
        flowers().replace("iris", "True").replace("rose", "False").replace("tulip", "True"),
        flowers().replace("red", "2024-01-31").replace("blue", "2023-12-01"),
    ],
)
def test_odd_tables_that_are_fine(run: Any, text: str) -> None:
    Path("f.csv").write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = run("train", "f.csv", "--target", "kind", "--epochs", 5)
    assert done.code == 0, done.err
    assert run("predict", "f.glassgrad", "f.csv").code == 0


def test_numbers_near_the_largest(run: Any) -> None:
    rows = "".join(f"{i * 1e306},{i * 1e-300},{(i * 7 % 50) * 1e305}\n" for i in range(100))
    Path("f.csv").write_text("a,b,y\n" + rows)
    assert run("train", "f.csv", "--target", "y", "--epochs", 2).code == 0
    assert "inf" not in run("predict", "f.glassgrad", "f.csv").out


def test_version_and_help(run: Any) -> None:
    assert run("--version").out == f"glassgrad {glassgrad.__version__}\n"
    for name in ("train", "predict", "evaluate", "info"):
        done = run(name, "--help")
        assert done.code == 0
        assert f"examples:\n  glassgrad {name} " in done.out
        assert max(map(len, done.out.splitlines())) < 120
    codes = re.findall(r"^  (\d+) ", run("--help").out, re.M)
    assert codes == ["0", "1", "2", "130", "141"]


# What should not


def broken(old: str, new: str) -> str:
    return flowers().replace(old, new)


BAD_TABLES = {
    "an empty file": ("", "f.csv is empty: got 0 bytes"),
    "only a header": ("length,kind\n", "has no data"),
    "no such target": (broken("kind", "sort"), "target column 'kind' is not in f.csv"),
    "text in a number column": (broken("\n0.", "\nabc"), "text in number column 'length'"),
    "a missing target": (broken(",rose", ","), "missing values in target column 'kind': got 30 of 90"),
    "a single class": (re.sub("rose|tulip", "iris", flowers()), "a single class in target 'kind': got only 'iris'"),
    "rows of another length": (flowers() + "1,2\n", "got 2 fields at f.csv:92, expected 4"),
    "a column twice": (broken("length", "width"), "'width' more than once"),
    "infinity": (flowers() + "inf,1,red,iris\n", "infinite value in column 'length': got 'inf' at f.csv:92"),
    "five rows": (flowers(5), "too few rows: got 5"),
    "a target that names rows": ("x,kind\n" + "".join(f"{i},n{i}\n" for i in range(30)), "nothing can be held out"),
    "no features": ("kind\n" + "a\nb\n" * 30, "no feature columns"),
    "an open quote": (flowers() + '1,2,"red', "close every quote"),
    "a column of names": (re.sub("red|blue", lambda m: f"n{m.start()}", flowers()), "pass --ignore 'colour'"),
    "binary": ("\0\1" * 50, "NUL"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_are_one_line_and_leave_nothing(run: Any, case: str, tmp_path: Path) -> None:
    text, message = BAD_TABLES[case]
    Path("f.csv").write_text(text)
    done = run("train", "f.csv", "--target", "kind", "--epochs", 2)
    assert done.code == 1
    assert message in done.err
    assert done.err.startswith("glassgrad: ")
    assert done.err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["f.csv"]


BAD_COMMANDS = [
    ((), 2, "required: COMMAND"),
    (("fly",), 2, "invalid choice"),
    (("train",), 2, "required: DATA"),
    (("train", "f.csv"), 1, "got no --target, expected one of 'length', 'width', 'colour', 'kind'"),
    (("train", "digits", "--target", "x"), 1, "digits has its own target"),
    (("train", "absent.csv", "--target", "kind"), 1, "no such file"),
    (("train", ".", "--target", "kind"), 1, "not a file"),
    (("train", "f.csv", "--target", "kin"), 1, "did you mean 'kind'?"),
    (("train", "f.csv", "--target", "9", "--no-header"), 1, "no column 9: got 4, expected 0 to 3"),
    (("train", "f.csv", "--target", "kind", "--ignore", "nope"), 1, "column 'nope' is not in"),
    (("train", "f.csv", "--target", "kind", "--missing", "refuse"), 1, "missing values in column 'colour'"),
    (("train", "f.csv", "--target", "kind", "--task", "regression"), 1, "text in number column 'kind'"),
    (("train", "f.csv", "--target", "kind", "--epochs", "0"), 2, "a whole number of at least 1"),
    (("train", "f.csv", "--target", "kind", "--hidden", "8,x"), 2, "expected widths such as 64,64"),
    (("train", "f.csv", "--target", "kind", "--lr", "nan"), 2, "expected a number above 0"),
    (("train", "f.csv", "--target", "kind", "--test-fraction", "1"), 2, "of at least 0 and below 1"),
    (("train", "f.csv", "--target", "kind", "--delimiter", "xx"), 1, "bad delimiter"),
    (("train", "f.csv", "--target", "kind", "--out", "no/such/m"), 1, "no such folder"),
    (("train", "f.csv", "--target", "kind", "--out", "f.csv"), 1, "f.csv exists and is not a model"),
    (("train", "f.csv", "--target", "kind", "--out", "."), 1, "not a file"),
    (("train", "absent.csv", "--target", "kind", "--tensorboard", "f.csv"), 1, "TensorBoard: not a folder: got f.csv"),
    (
        ("train", "absent.csv", "--target", "kind", "--tensorboard", "f.csv/x"),
        1,
        "f.csv, expected a folder, new or old",
    ),
    (("train", "absent.csv", "--target", "kind", "--out", "/proc/m"), 1, "cannot write in /proc"),  # before reading
    (("train", "f.csv", "--target", "kind", "--out", "m" * 300), 1, "the name is too long"),
    (("train", "n" * 250 + ".csv", "--target", "kind"), 1, "choose a shorter path, with --out FILE"),
    (("train", "f.csv", "--target", "kind", "--ignore", "kind"), 1, "'kind' is the target: got --ignore 'kind'"),
    (("train", "f.csv", "--target", "kind", "--test-fraction", "0.95"), 1, "with --test-fraction 0.95, expected at"),
    (("train", "f.csv", "--target", "length", "--no-header"), 1, "'length' is not in"),
    (("train", "f.csv", "--target", "0", "--no-header"), 1, "if the first row is a header, leave out --no-header"),
    (("train", "inf.csv", "--target", "y"), 1, "number; correct it, or remove the row"),
    (("train", "f.csv", "--target", "kind", "--delimiter", "\\t"), 1, "got columns 'length,width,colour,kind'"),
    (("train", "f.csv", "--target", "kind", "--hidden", "1000000"), 2, "below a million"),
    (("train", "f.csv", "--target", "kind", "--optimizer", "sgd", "--lr", "1e30"), 1, "lower the learning rate"),
    (("predict", "m", "absent.csv"), 1, "no such file"),
    (("predict", "absent", "f.csv"), 1, "cannot read absent"),
    (("predict", "f.csv", "f.csv"), 1, "not a Glassgrad model"),
    (("predict", "other", "f.csv"), 1, "not a model of a table"),
    (("predict", "m", "f.csv", "--out", "f.csv"), 1, "does not hold predictions"),
    (("predict", "m", "f.csv", "--out", "m"), 1, "does not hold predictions"),
    (("predict", "m", "f.csv", "--out", "no/p.csv"), 1, "no such folder"),
    (("predict", "m", "few.csv"), 1, "expected 'length', 'width'; it has 'lenght', 'x', which the model does not know"),
    (("predict", "m", "spoilt.csv"), 1, "text in number column 'width': got 'wide' at spoilt.csv:2"),
    (("predict", "m", "empty.csv"), 1, "is empty"),
    (("train", "f.csv", "--dropout", "-0.1"), 2, "--dropout: got '-0.1', expected a number of at least 0 and below 1"),
    (("train", "f.csv", "--weight-decay", "-1"), 2, "got '-1', expected a number of at least 0"),
]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("furnished")
    (folder / "f.csv").write_text(flowers())
    (folder / "few.csv").write_text("lenght,x,colour\n1,2,red\n")
    (folder / "spoilt.csv").write_text("length,width,colour\n1,wide,red\n")
    (folder / "empty.csv").write_text("")
    (folder / "inf.csv").write_text("x,y\n0,inf\n" + "".join(f"{i},{i / 3}\n" for i in range(30)))
    save(folder / "other", {"w": np.ones(2)})
    arguments = ["train", str(folder / "f.csv"), "--target", "kind", "--epochs", "1", "--quiet"]
    assert main([*arguments, "--out", str(folder / "m")]) == 0
    return folder


@pytest.mark.parametrize(
    ("arguments", "code", "message"), BAD_COMMANDS, ids=lambda v: " ".join(v) if isinstance(v, tuple) else ""
)
def test_bad_commands_are_explained_and_change_nothing(
    run: Any, furnished: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, code: int, message: str
) -> None:
    monkeypatch.chdir(furnished)
    before = {p.name: p.read_bytes() for p in furnished.iterdir()}
    done = run(*arguments)
    assert (done.code, message in done.err) == (code, True), done.err
    if code == 1:
        assert done.err.startswith("glassgrad: ")
        assert done.err.count("\n") == 1
    assert {p.name: p.read_bytes() for p in furnished.iterdir()} == before


def test_a_model_may_be_replaced_and_extra_columns_are_mentioned(run: Any, furnished: Path) -> None:
    model = Path("m")
    model.write_bytes((furnished / "m").read_bytes())
    Path("f.csv").write_text(flowers())
    assert run("train", "f.csv", "--target", "kind", "--epochs", 2, "--out", "m").code == 0
    assert model.read_bytes() != (furnished / "m").read_bytes()
    Path("extra.csv").write_text("note,length,width,colour\nx,1,2,red\n")
    done = run("predict", "m", "extra.csv")
    assert done.code == 0
    assert "does not use 'note'" in done.err


def test_a_damaged_model_is_refused(run: Any, furnished: Path) -> None:
    data = (furnished / "m").read_bytes()
    Path("f.csv").write_text(flowers())
    for name, damaged in (("cut", data[:-100]), ("flipped", data[:2000] + b"\xff\xff\xff\xff" + data[2004:])):
        Path(name).write_bytes(damaged)
        done = run("predict", name, "f.csv")
        assert done.code == 1
        assert "damaged" in done.err
        assert done.err.count("\n") == 1


def test_a_model_that_may_not_be_read(run: Any, furnished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("m").write_bytes((furnished / "m").read_bytes())

    def closed(place: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setattr(Path, "open", closed)
    done = run("train", "f.csv", "--target", "kind", "--out", "m")
    assert (done.code, done.out) == (1, "")
    assert done.err == "glassgrad: save: m exists and cannot be read: Permission denied; choose another --out\n"


def test_values_that_training_never_showed_are_noted(run: Any, furnished: Path) -> None:
    rows = ("1,2,red", "1,2,green", ",2,pink", "1,,blue")
    Path("new.csv").write_text("length,width,colour\n" + "\n".join(rows))
    done = run("predict", furnished / "m", "new.csv")
    assert done.code == 0
    assert len(records(done.out)) == 4
    lines = done.err.splitlines()
    assert re.fullmatch("glassgrad: note: 1 of 4 rows hold no value of 'length': .* median [-0-9.]+ is used", lines[0])
    assert lines[1].startswith("glassgrad: note: 1 of 4 rows hold no value of 'width'")
    seen = "glassgrad: note: 2 of 4 rows hold values of 'colour' not seen in training ('green', 'pink')"
    assert lines[2:] == [seen]


def test_classes_of_one_row_are_noted(run: Any) -> None:
    Path("f.csv").write_text("kind,a,b\n" + "".join(f"{'xy'[i % 2]},{i % 7},{i % 5}\n" for i in range(40)))
    Path("g.csv").write_text(Path("f.csv").read_text() + "z,1,2\n")
    header = run("train", "g.csv", "--target", "kind", "--epochs", 1)
    assert header.code == 0
    assert header.err == "glassgrad: note: 1 class has fewer than 2 rows of 'kind' ('z')\n"
    assert run("train", "f.csv", "--target", "kind", "--epochs", 1).err == ""
    Path("f.csv").write_text(Path("f.csv").read_text().replace("kind,a,b", "kind,1,2"))
    taken = run("train", "f.csv", "--target", "0", "--no-header", "--epochs", 1)
    assert taken.code == 0
    assert "('kind'): is the first row a header? leave out --no-header" in taken.err
    assert run("train", "g.csv", "--target", "kind", "--epochs", 1, "--quiet").err == ""


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of Bash in which ``$G`` is ``glassgrad``."""
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "G": f"{sys.executable} -W error -m glassgrad"}
    return subprocess.run(["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True)


def test_standard_streams_that_are_closed(furnished: Path, tmp_path: Path) -> None:
    for name in ("f.csv", "m"):
        (tmp_path / name).write_bytes((furnished / name).read_bytes())
    nowhere = shell("$G predict m f.csv >&-", tmp_path)
    assert nowhere.returncode == 1
    assert nowhere.stderr.startswith("glassgrad: predict: standard output is closed")
    assert nowhere.stderr.count("\n") == 1
    to_file = shell("$G predict m f.csv --out p.csv >&-", tmp_path)
    assert (to_file.returncode, to_file.stdout) == (0, "")
    assert len(records((tmp_path / "p.csv").read_text())) == 90
    trained = shell("$G train f.csv --target kind --epochs 1 >&-", tmp_path)
    assert (trained.returncode, trained.stderr) == (0, "")
    assert (tmp_path / "f.glassgrad").exists()
    mixed = shell("$G predict m f.csv 2>&-", tmp_path)  # notes must not end up among the predictions
    assert (mixed.returncode, mixed.stdout) == (0, (tmp_path / "p.csv").read_text())


def test_missing_scikit_learn_names_the_extra(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    done = run("train", "digits")
    assert done.code == 1
    assert "pip install 'glassgrad[train]'" in done.err


def test_too_little_memory(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def exhausted(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("glassgrad.cli.train.train_table", exhausted)
    Path("f.csv").write_text(flowers())
    done = run("train", "f.csv", "--target", "kind", "--quiet")
    assert (done.code, done.out) == (1, "")
    assert done.err == "glassgrad: not enough memory: use smaller --hidden layers, or fewer rows\n"
    assert [p.name for p in tmp_path.iterdir()] == ["f.csv"]


def test_output_that_nobody_reads(furnished: Path) -> None:
    line = f"'{sys.executable}' -m glassgrad predict m f.csv | true; exit ${{PIPESTATUS[0]}}"
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(["bash", "-c", line], cwd=furnished, env=env, capture_output=True, text=True)
    assert done.returncode in (0, 141)
    assert "Traceback" not in done.stderr


def test_a_terminal_without_unicode(furnished: Path, tmp_path: Path) -> None:
    arguments = ("train", furnished / "f.csv", "--target", "kind", "--epochs", 2)
    done = command(*arguments, folder=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "mean ? std" in done.stdout


def test_a_disk_that_is_full(furnished: Path, tmp_path: Path) -> None:
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "from glassgrad.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["train", str(furnished / "f.csv"), "--target", "kind", "--epochs", "1"]
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "GLASSGRAD_CACHE_DIR": "off"}
    done = subprocess.run([sys.executable, "-B", "-c", program, *arguments], cwd=tmp_path, env=env, capture_output=True)
    assert done.returncode == 1
    assert done.stderr.startswith(b"glassgrad: save: cannot write")
    assert done.stderr.count(b"\n") == 1
    assert list(tmp_path.iterdir()) == []
