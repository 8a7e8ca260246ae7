"""Reports: what is measured of layers against NumPy's and PyTorch's training, and the page whatever ends training."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad import nn, optim, tree
from glassgrad.errors import DataError, DivergedError, MissingExtraError, ModelFileError
from glassgrad.sklearn import MLPRegressor
from glassgrad.train import Report, fit

rng = np.random.default_rng(0)
X, LABELS = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)


def mlp() -> Any:
    return nn.MLP((3, 6, 2), "tanh", rng=0, dtype=np.float64)


def run(watcher: Report | None, epochs: int = 4, **options: Any) -> Any:
    given: dict[str, Any] = {"optimizer": optim.Adam(0.01), "batch_size": None, "compile": False, **options}
    watchers = [] if watcher is None else [watcher]
    return fit(mlp(), nn.cross_entropy, (X, LABELS), epochs=epochs, callbacks=watchers, **given)


def data_of(path: Path) -> Any:
    """What the page at a path shows."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.S)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_every_number_over_time_is_what_numpy_says(compiled: bool) -> None:
    """Adam (Kingma & Ba, 2015) on all rows, with the gradient of a two-layer network written out."""
    report = Report(every=1, sample=(X, LABELS))
    run(report, epochs=5, compile=compiled)
    rows = report.rows()
    weights = [leaf.copy() for leaf in tree.leaves(mlp())]
    m, v = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    for t in range(1, 7):
        w1, b1, w2, b2 = weights
        h = np.tanh(X @ w1 + b1)
        p = np.exp(h @ w2 + b2)
        delta = (p / p.sum(1, keepdims=True) - np.eye(2)[LABELS]) / len(X)
        back = (delta @ w2.T) * (1 - h**2)
        gradients = [X.T @ back, back.sum(0), h.T @ delta, delta.sum(0)]
        for i, g in enumerate(gradients):
            m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g**2
        steps = [0.01 * a / (1 - 0.9**t) / (np.sqrt(b / (1 - 0.999**t)) + 1e-8) for a, b in zip(m, v, strict=True)]
        for name, i, a in (("hidden1", 0, h), ("output", 2, h @ w2 + b2)):
            (row,) = (r for r in rows if (r["epoch"], r["name"]) == (t - 1, name))
            g, w = gradients[i], weights[i]
            expected = {
                "gradient_norm": np.linalg.norm(g),
                "gradient_rms": np.sqrt((g**2).mean()),
                "update": np.linalg.norm(steps[i]) / np.linalg.norm(w),
                "activation_mean": a.mean(),
                "activation_std": a.std(),
                "saturated": (1 - a**2 < 0.01).mean() if name == "hidden1" else 0,
            }
            assert {k: row[k] for k in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)
        weights = [w - step for w, step in zip(weights, steps, strict=True)]
    assert [row["epoch"] for row in rows] == [e for e in range(6) for _ in range(2)]


@pytest.mark.parametrize("name", ["SGD", "AdamW", "RMSprop"])
def test_gradients_and_updates_are_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours = {"SGD": optim.SGD(0.1, momentum=0.9), "AdamW": optim.AdamW(0.01), "RMSprop": optim.RMSProp(0.01)}[name]
    report = Report(every=1, sample=(X, LABELS))
    run(report, epochs=4, optimizer=ours)
    net = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2)).double()
    leaves = tree.leaves(mlp())
    with torch.no_grad():
        for parameter, leaf in zip(net.parameters(), leaves, strict=True):
            parameter.copy_(torch.tensor(leaf.T))
    options = {"lr": 0.1, "momentum": 0.9} if name == "SGD" else {"lr": 0.01}
    descent = getattr(torch.optim, name)(net.parameters(), **options)
    for epoch in range(5):
        descent.zero_grad()
        torch.nn.functional.cross_entropy(net(torch.tensor(X)), torch.tensor(LABELS)).backward()
        before = [layer.weight.detach().clone() for layer in (net[0], net[2])]
        descent.step()
        rows = [row for row in report.rows() if row["epoch"] == epoch]
        for row, layer, old in zip(rows, (net[0], net[2]), before, strict=True):
            ratio = (torch.norm(layer.weight - old) / torch.norm(old)).item()
            assert row["gradient_norm"] == pytest.approx(torch.norm(layer.weight.grad).item(), rel=1e-6)
            assert row["update"] == pytest.approx(ratio, rel=1e-5)


def test_dead_units_counted_by_hand() -> None:
    model = nn.MLP((3, 6, 2), "relu", rng=0)
    model.layers[0].b[[1, 4]] = -100
    report = Report(every=1)
    fit(model, nn.cross_entropy, (X, LABELS), optimizer=optim.SGD(0.01), epochs=2, callbacks=report)
    hidden = [row for row in report.rows() if row["name"] == "hidden1"]
    assert [row["dead"] * row["units"] for row in hidden] == [pytest.approx(2)] * 3


def test_a_long_training_is_measured_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassgrad.train.report.POINTS", 10)
    monkeypatch.setattr("glassgrad.train.report.AT_ONCE", 1e9)  # however long it takes
    report = Report()
    run(report, epochs=53)
    assert sorted({row["epoch"] for row in report.rows()}) == [0, 8, 16, 24, 32, 40, 48, 53]


def test_training_is_the_same_with_a_report() -> None:
    watched, alone = run(Report(every=1)), run(None)
    assert watched[1].loss == alone[1].loss


def test_the_page_holds_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    _, history = fit(
        *(mlp(), nn.cross_entropy, (X, LABELS)),
        optimizer=optim.Adam(0.01),
        epochs=4,
        validation=0.25,
        metrics={"right": lambda out, y: (out.argmax(1) == y).mean()},
        report=path,
    )
    data = data_of(path)
    assert data["history"] == history.to_dict()
    assert (data["state"], data["title"], data["epochs"]) == ("finished", "training", 4)
    assert [(layer["name"], layer["shape"], layer["units"]) for layer in data["layers"]] == [
        ("hidden1", [3, 6], 6),
        ("output", [6, 2], 2),
    ]
    assert data["measured"][0] == 0 and data["measured"][-1] == 4
    assert all(len(values) == len(data["measured"]) for values in data["layers"][0]["series"].values())
    assert data["viewer"].startswith("<!DOCTYPE html>")
    assert {"loss", "optimizer", "batch_size", "parameters"} <= set(data["settings"])
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_findings_are_dicts_or_know_to_be_one() -> None:
    class Finding:
        def to_dict(self) -> dict[str, Any]:
            return {"problem": "dead_relu", "place": "hidden1", "evidence": {"dead": np.int64(3)}, "remedy": "less"}

    report = Report()
    run(report, epochs=1)
    report.findings += [Finding(), {"problem": "another"}]
    assert report.data()["findings"] == [Finding().to_dict(), {"problem": "another"}]
    json.dumps(report.data(), allow_nan=False)


def test_rows_are_for_pandas_and_lines_of_json(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    report = Report(every=2)
    run(report)
    report.to_jsonl(tmp_path / "rows.jsonl")
    frame, lines = pandas.DataFrame(report.rows()), pandas.read_json(tmp_path / "rows.jsonl", lines=True)
    assert sorted(set(frame["epoch"])) == [0, 2, 4]
    np.testing.assert_allclose(frame["update"], lines["update"])


def test_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report(every=1)
    run(report)
    pytest.importorskip("matplotlib")
    figures = report.figures()
    assert {"history", "gradient_norm", "update", "activation_mean", "dead"} <= set(figures)
    (axes,) = figures["update"].axes
    assert [line.get_label() for line in axes.lines] == ["hidden1", "output"]
    expected = [row["update"] for row in report.rows() if row["name"] == "output"]
    assert axes.lines[1].get_ydata().tolist() == expected
    assert axes.get_yscale() == "log"
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'glassgrad[plot]'")):
        report.figures()


def test_a_resumed_training_keeps_its_measurements(tmp_path: Path) -> None:
    path, checkpoint = tmp_path / "report.html", tmp_path / "run.safetensors"
    run(Report(path, every=1), epochs=3, checkpoint=checkpoint)
    first = data_of(path)
    run(Report(path, every=1), epochs=6, checkpoint=checkpoint, resume=True)
    data = data_of(path)
    assert data["measured"] == [0, 1, 2, 3, 4, 5, 6]
    unbroken = Report(every=1)
    run(unbroken, epochs=6)
    expected = [row["gradient_norm"] for row in unbroken.rows() if row["name"] == "output"]
    assert data["layers"][1]["series"]["gradient_norm"] == expected
    assert data["layers"][0]["series"]["update"][:4] == first["layers"][0]["series"]["update"]
    run(Report(path, every=1), epochs=2)  # anew: nothing is left of the run before
    assert data_of(path)["measured"] == [0, 1, 2]
    run(Report(path, every=1), epochs=7, checkpoint=checkpoint, resume=True)
    assert data_of(path)["measured"] == [0, 1, 2, 6, 7]
    other = nn.Linear(3, 2, rng=0)
    fit(other, nn.cross_entropy, (X, LABELS), optimizer=optim.SGD(0.1), epochs=4, report=path)
    run(Report(path, every=1), epochs=8, checkpoint=checkpoint, resume=True)
    assert data_of(path)["measured"] == [7, 8]  # nothing of the other model


def test_a_report_may_be_used_again() -> None:
    report = Report(every=1)
    run(report, epochs=3)
    run(report, epochs=2)
    assert [row["epoch"] for row in report.rows()] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "content",
    [
        b"<html>mine</html>",
        b"\xff\xfe",
        b'<script type="application/json" id="data">{"page": "another"}</script>',
        b'<script type="application/json" id="data">{"page": "glassgrad training report"}</script>',
        b'<script type="application/json" id="data">[]</script>',
    ],
    ids=["page", "bytes", "of something else", "damaged", "list"],
)
def test_another_file_is_refused_and_left(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="report.html exists and is not a report: choose another path, or remove"):
        run(Report(path))
    assert path.read_bytes() == content
    with pytest.raises(ModelFileError, match="no such folder"):
        run(Report(tmp_path / "no" / "report.html"))


def test_divergence_is_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    targets = np.ones((40, 2))
    with pytest.raises(DivergedError), np.errstate(all="ignore"):
        fit(mlp(), nn.squared_error, (1e3 * X, targets), optimizer=optim.SGD(1e8), epochs=50, report=path)
    data = data_of(path)
    assert data["state"] == "failed"
    assert "fit: the loss became" in data["error"]


def test_batches_from_elsewhere() -> None:
    report = Report(every=1)
    batches = [(X[:10], LABELS[:10]), (X[10:], LABELS[10:])]
    fit(mlp(), nn.cross_entropy, batches, optimizer=optim.SGD(0.1), epochs=1, callbacks=report)
    assert report.data()["rows"] == 10
    by_epoch = Report()
    fit(mlp(), nn.cross_entropy, lambda epoch: iter(batches), optimizer=optim.SGD(0.1), epochs=1, callbacks=by_epoch)
    assert by_epoch.rows()[0] == report.rows()[0]
    with pytest.raises(DataError, match=re.escape("handed out once; pass sample=(x, y)")):
        fit(mlp(), nn.cross_entropy, iter(batches), optimizer=optim.SGD(0.1), epochs=1, callbacks=Report())
    _, history = fit(
        *(mlp(), nn.cross_entropy, iter(batches)),
        optimizer=optim.SGD(0.1),
        epochs=1,
        callbacks=Report(sample=(X, LABELS)),
    )
    assert history.steps == 2


def test_weights_of_rows_and_layers_with_state() -> None:
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.BatchNorm(4), nn.relu, nn.Dropout(0.5), nn.Linear(4, 2, rng=1))
    report = Report(every=1)
    x = X.astype(np.float32)
    data = (x, LABELS, np.ones(40, np.float32))
    fit(model, nn.cross_entropy, data, optimizer=optim.AdamW(0.01), epochs=1, callbacks=report)
    assert [row["name"] for row in report.rows()[:3]] == ["linear1", "batchnorm", "linear2"]
    assert all(np.isfinite(row["update"]) for row in report.rows())


def test_what_cannot_be_reported_is_refused() -> None:
    with pytest.raises(ValueError, match="Report: bad every: got 0"):
        Report(every=0)
    with pytest.raises(ValueError, match="Report: nothing has been trained"):
        Report().data()
    with pytest.raises(TypeError, match="looks at trainings of train.fit: got one of MLPRegressor"):
        MLPRegressor(max_iter=2, callbacks=[Report()]).fit(X, LABELS)


PROGRAM = """
import sys
import numpy as np
from glassgrad import nn, optim
from glassgrad.train import Report, fit

rng = np.random.default_rng(0)
x, y = rng.normal(size=(24, 64)).astype(np.float32), rng.integers(0, 10, 24)
class Often(Report):
    def on_epoch(self, epoch, training):
        self._due = 0  # written after every epoch, so that a kill meets a write
        super().on_epoch(epoch, training)
fit(nn.MLP((64, 32, 10), rng=0), nn.cross_entropy, (x, y), optimizer=optim.SGD(1e-3), epochs=100_000,
    compile=False, callbacks=Often(sys.argv[1], every=1))
"""


def test_a_killed_training_leaves_its_page(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    for delay in (0.0, 0.13):
        path.unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", PROGRAM, path]) as process:
            end = time.monotonic() + 60
            while not (path.exists() and len(data_of(path)["measured"]) > 1) and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(delay)
            process.kill()
        data = data_of(path)
        assert data["state"] == "running"
        assert len(data["history"]["loss"]) == data["measured"][-1] >= 1
        assert path.read_text().endswith("</html>\n")


@dataclasses.dataclass(frozen=True)
class Twice(nn.Module):
    inner: Any

    def __call__(self, x: Any) -> Any:
        return self.inner(x) * 2.0


def places(path: Path) -> dict[str, str]:
    """The source that the page shows of each computed node of its model."""
    found = re.search(r'id="data">(.*?)</script>', data_of(path)["viewer"], re.S)
    assert found is not None
    return {n["name"]: n["source"] or n["file"] for n in json.loads(found[1])["nodes"]}


@pytest.mark.parametrize("lr", [1e-9, 1e8], ids=["finished", "diverged"])
def test_only_lines_of_the_model_are_shown(tmp_path: Path, lr: float) -> None:
    path = tmp_path / "report.html"
    data = (1e3 * X, np.ones((40, 2)))
    with contextlib.suppress(DivergedError), np.errstate(all="ignore"):
        fit(Twice(mlp()), nn.squared_error, data, optimizer=optim.SGD(lr), epochs=50, report=path, compile=False)
    assert data_of(path)["state"] == ("finished" if lr < 1 else "failed")
    found = places(path)
    assert {source for source in found.values() if source} == {"return self.inner(x) * 2.0"}
    assert len(found) > 10


def test_a_page_needs_a_path_and_a_sample_rows() -> None:
    with pytest.raises(TypeError, match="Report: bad path: got True, expected .*report.html"):
        fit(mlp(), nn.cross_entropy, (X, LABELS), optimizer=optim.SGD(0.1), epochs=1, report=True)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="sample"):
        Report(sample=(X[:0], LABELS[:0]))
