"""What commands say about a model: scores against scikit-learn's, descriptions, reports, and the same as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad.data import read_csv
from glassgrad.train import TableModel
from tests.oracles.commands import flowers, prices


@pytest.fixture
def flower_model(run: Any) -> str:
    """A model that has learnt too little to be right everywhere, on data with some noise."""
    text = flowers(120).replace("iris\n", "rose\n", 5)
    Path("f.csv").write_text(text)
    assert run("train", "f.csv", "--target", "kind", "--hidden", 4, "--epochs", 4, "--out", "m", "--quiet").code == 0
    return "m"


@pytest.fixture
def price_model(run: Any) -> str:
    Path("p.csv").write_text(prices())
    assert run("train", "p.csv", "--target", "price", "--hidden", 8, "--epochs", 40, "--out", "m", "--quiet").code == 0
    return "m"


def test_scores_of_classes_equal_scikit_learn(run: Any, flower_model: str) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    table = read_csv("f.csv")
    model = TableModel.load(flower_model)
    predictions, truth = model.predict(table), list(table["kind"])
    told = json.loads(run("evaluate", flower_model, "f.csv", "--json").out)
    assert told["classes"] == ["iris", "rose", "tulip"]
    assert told["accuracy"] == metrics.accuracy_score(truth, predictions.values) < 1
    assert told["confusion"] == metrics.confusion_matrix(truth, list(predictions.values)).tolist()
    assert told["baseline"] == max(truth.count(c) for c in set(truth)) / len(truth)
    np.testing.assert_allclose(told["log_loss"], metrics.log_loss(truth, predictions.probabilities), rtol=1e-5)
    shown = run("evaluate", flower_model, "f.csv").out
    assert f"log loss {told['log_loss']:.4f}" in shown
    lines = [re.split(r"\s{2,}", line.strip()) for line in shown.splitlines()[-3:]]
    assert [[int(n) for n in line[1:]] for line in lines] == told["confusion"]


def test_scores_of_numbers_equal_scikit_learn(run: Any, price_model: str) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    table = read_csv("p.csv")
    truth, values = table["price"].astype(float), TableModel.load(price_model).predict(table).values
    told = json.loads(run("evaluate", price_model, "p.csv", "--json").out)
    np.testing.assert_allclose(told["rmse"], metrics.root_mean_squared_error(truth, values), rtol=1e-6)
    np.testing.assert_allclose(told["mae"], metrics.mean_absolute_error(truth, values), rtol=1e-6)
    np.testing.assert_allclose(told["r2"], metrics.r2_score(truth, values), rtol=1e-6)
    np.testing.assert_allclose(told["deviation"], truth.std(), rtol=1e-6)
    shown = run("evaluate", price_model, "p.csv").out
    assert f"RMSE  {told['rmse']:.6g}\nMAE   {told['mae']:.6g}" in shown


def test_the_true_values_may_have_another_name(run: Any, price_model: str) -> None:
    told = run("evaluate", price_model, "p.csv", "--json").out
    Path("q.csv").write_text(prices().replace("price", "paid"))
    assert run("evaluate", price_model, "q.csv", "--target", "paid", "--json").out == told.replace("p.csv", "q.csv")
    for arguments, message in (
        (("q.csv",), "target column 'price' is not in q.csv"),
        (("q.csv", "--target", "payed"), "did you mean 'paid'?"),
        (("p.csv", "--target", "age"), "two columns of true values: got --target age and 'price'"),
    ):
        done = run("evaluate", price_model, *arguments)
        assert (done.code, message in done.err) == (1, True), done.err


def test_many_classes_are_told_by_their_mistakes(run: Any) -> None:
    rng = np.random.default_rng(0)
    kinds = [f"k{i}" for i in range(20)]
    Path("f.csv").write_text("x,kind\n" + "".join(f"{rng.normal(i % 20):.3f},{kinds[i % 20]}\n" for i in range(400)))
    assert run("train", "f.csv", "--target", "kind", "--epochs", 2, "--out", "m", "--quiet").code == 0
    told = json.loads(run("evaluate", "m", "f.csv", "--json").out)
    counts = np.array(told["confusion"]) - np.diag(np.diag(told["confusion"]))
    first = re.search(r"most frequent mistakes\n +(\d+)  '(.*)' taken for '(.*)'", run("evaluate", "m", "f.csv").out)
    assert first is not None
    assert int(first[1]) == counts.max()
    names = told["classes"]
    assert counts[names.index(first[2]), names.index(first[3])] == counts.max()


def test_info(run: Any, flower_model: str) -> None:
    told = json.loads(run("info", flower_model, "--json").out)
    model = TableModel.load(flower_model)
    assert told["architecture"] == repr(model.model)
    assert told["parameters"] == sum(np.prod(shape) for shape in told["arrays"].values()) == 7 * 4 + 4 * 3 + 3 - 4 * 1
    assert told["arrays"]["layers.0.W"] == [model.encoder.n_features, 4]
    assert told["columns"] == ["length", "width", "colour", "kind"]
    assert told["training"]["rows"] == {"training": 96, "validation": 0, "held_out": 24}
    assert told["training"]["settings"]["hidden"] == [4]
    shown = run("info", flower_model).out
    assert "3 classes, 'iris', 'rose', 'tulip'" in shown
    assert "source: f.csv" in shown
    assert run("info", "f.csv").code == 1


def test_json_is_all_there_is_on_standard_output(run: Any) -> None:
    Path("f.csv").write_text(flowers())
    done = run("train", "f.csv", "--target", "kind", "--epochs", 3, "--json", "--validation", 0.25)
    told = json.loads(done.out)
    assert done.out.count("\n") == 1
    assert (told["model"], told["task"], told["interrupted"]) == ("f.glassgrad", "classification", False)
    assert told["rows"] == {"training": 54, "validation": 18, "held_out": 18}
    assert {name: len(column) for name, column in told["history"].items()} == dict.fromkeys(
        ("epoch", "loss", "gradient_norm", "validation_loss", "accuracy", "lr", "seconds"), 3
    )
    score = json.loads(run("evaluate", "f.glassgrad", "f.csv", "--json").out)
    assert score["rows"] == 90
    rows = [json.loads(line) for line in run("predict", "f.glassgrad", "f.csv", "--json").out.splitlines()]
    assert len(rows) == 90
    assert all(row["prediction"] == max(p := row["probabilities"], key=p.get) for row in rows)


def test_logs(run: Any) -> None:
    Path("f.csv").write_text(flowers())
    logs = ("--tensorboard", "t", "--log", "l.jsonl")
    arguments = ("train", "f.csv", "--target", "kind", "--epochs", 3, "--json", *logs)
    for _ in range(2):  # a log may be replaced
        told = json.loads(run(*arguments).out)
    lines = [json.loads(line) for line in Path("l.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == told["history"]["loss"]
    assert [path.name.startswith("events.out.tfevents") for path in Path("t").iterdir()] == [True, True]
    done = run(*arguments[:-1], "f.csv")
    assert (done.code, "f.csv exists and is not a log: choose another --log" in done.err) == (1, True)


def test_predictions_as_json_may_be_written_and_replaced(run: Any, price_model: str) -> None:
    for _ in range(2):
        assert run("predict", price_model, "p.csv", "--json", "--out", "p.jsonl").code == 0
    values = [json.loads(line)["prediction"] for line in Path("p.jsonl").read_text().splitlines()]
    assert values == TableModel.load(price_model).predict(read_csv("p.csv")).values.tolist()


def report(path: str = "r.html") -> dict[str, Any]:
    """What a report shows."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', Path(path).read_text(), re.S)
    assert found is not None
    return dict(json.loads(found[1]))


def test_report(run: Any) -> None:
    Path("a<b.csv").write_text(flowers())
    arguments = ("train", "a<b.csv", "--target", "kind", "--epochs", 5, "--out", "m", "--report", "r.html")
    for _ in range(2):  # a report may be replaced
        assert run(*arguments).code == 0
    page = Path("r.html").read_text()
    assert "<title>a&lt;b.csv: training</title>" in page
    assert "default-src 'none'" in page  # everything is in it
    shown = report()
    assert [len(shown["history"][name]) for name in ("loss", "validation_loss", "accuracy", "gradient_norm")] == [5] * 4
    assert [layer["name"] for layer in shown["layers"]] == ["hidden1", "hidden2", "output"]
    assert (shown["state"], shown["settings"]["schedule"]) == ("finished", "cosine")
    held, columns = shown["sections"]
    assert "true \\ predicted" in held["text"] and held["note"].startswith("accuracy ")
    assert "colour: 3 categories" in columns["text"]
    Path("mine.html").write_text("<html>")
    done = run(*arguments[:-1], "mine.html")
    assert (done.code, "mine.html exists and is not a report: choose another --report" in done.err) == (1, True)


@pytest.mark.parametrize("watched", [(), ("--patience", 50)])
def test_all_rows_may_be_learnt_from(run: Any, watched: tuple[Any, ...]) -> None:
    Path("f.csv").write_text(flowers(90))
    Path("g.csv").write_text(flowers(30, seed=1))
    arguments = ("train", "f.csv", "--target", "kind", "--test-fraction", 0, "--schedule", "constant", *watched)
    shown = run(*arguments, "--epochs", 6, "--out", "m", "--report", "r.html")
    assert shown.code == 0, shown.err
    learnt, kept = (81, 9) if watched else (90, 0)
    assert "90 rows, 90 to learn from, none held out" in shown.out
    assert "held out: no rows, so that nothing is measured on held-out rows" in shown.out
    assert report()["sections"][0]["note"].startswith("no rows")
    assert run(*arguments, "--epochs", 3, "--out", "n", "--checkpoint", "c").code == 0
    told = json.loads(run(*arguments, "--epochs", 6, "--out", "n", "--resume", "c", "--json").out)
    assert (told["held_out"], told["rows"]) == (None, {"training": learnt, "validation": kept, "held_out": 0})
    assert ("validation_loss" in told["history"]) == bool(watched)
    assert Path("m").read_bytes() == Path("n").read_bytes()
    refused = run(*arguments[:5], 0.1, *arguments[6:], "--epochs", 6, "--out", "n", "--resume", "c")
    assert (refused.code, "number of rows" in refused.err) == (1, True)
    assert json.loads(run("info", "m", "--json").out)["training"]["held_out"] is None
    assert "held_out: none" in run("info", "m").out
    assert json.loads(run("evaluate", "m", "g.csv", "--json").out)["accuracy"] > 0.8
    assert run("predict", "m", "g.csv").code == 0


def test_report_of_a_regression_with_dropout_that_goes_on(run: Any) -> None:
    Path("p.csv").write_text(prices())
    arguments = ("train", "p.csv", "--target", "price", "--hidden", "16,8", "--dropout", 0.5, "--out", "m", "--quiet")
    further = (*arguments, "--schedule", "constant", "--report", "r.html")
    assert run(*further, "--epochs", 2, "--checkpoint", "c").code == 0
    assert run(*further, "--epochs", 4, "--resume", "c").code == 0
    shown = report()
    assert (shown["measured"][0], len(shown["history"]["error"])) == (0, 4)
    zero = {layer["name"]: layer["series"]["zero"][-1] for layer in shown["layers"]}
    assert zero["hidden1"] > 0.1 and zero["output"] == 0  # a rectifier's zeros, though it stands beside its layer
    assert "RMSE" in shown["sections"][0]["text"]
