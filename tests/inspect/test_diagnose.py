"""The numbers in findings against NumPy and PyTorch, the forms data and models come in, and the callback."""

from __future__ import annotations

import functools
import itertools
import json
import warnings
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, optim, train
from glassgrad import numpy as gnp
from glassgrad.errors import DiagnosisWarning
from glassgrad.inspect.findings.finding import WORDS, Finding

DEPTH = 12


def deep(rng: Any) -> tuple[list[Any], Any, Any]:
    """Weights of a net of sigmoids, x and y."""
    sizes = [5, *[10] * DEPTH, 1]
    weights = [rng.normal(size=shape) / np.sqrt(shape[0]) for shape in itertools.pairwise(sizes)]
    x = rng.normal(size=(30, 5))
    return weights, x, x[:, :1]


def forward(weights: Any, x: Any) -> Any:
    for w in weights[:-1]:
        x = nn.sigmoid(x @ w)
    return x @ weights[-1]


def test_gains_are_those_of_numpy_and_their_product_is_the_ratio() -> None:
    weights, x, y = deep(np.random.default_rng(0))
    (found,) = gg.diagnose((forward, weights), nn.squared_error, (x, y))
    assert found.problem == "vanishing_gradients"
    a, zs = x, []
    for w in weights[:-1]:
        zs.append(a @ w)
        a = 1 / (1 + np.exp(-zs[-1]))
    delta = 2 * (a @ weights[-1] - y) / len(x)
    slopes, weight_gains, lengths = [1.0], [1.0], [np.linalg.norm(delta)]
    for w, z in zip(weights[:0:-1], zs[::-1], strict=True):
        s = 1 / (1 + np.exp(-z))
        arrived = delta @ w.T
        weight_gains.append(np.linalg.norm(arrived) / np.linalg.norm(delta))
        delta = arrived * s * (1 - s)
        slopes.append(np.linalg.norm(delta) / np.linalg.norm(arrived))
        lengths.append(np.linalg.norm(delta))
    table = found.evidence["gains"]
    np.testing.assert_allclose([row["slope"] for row in table], slopes[::-1])
    np.testing.assert_allclose([row["weight_gain"] for row in table], weight_gains[::-1])
    np.testing.assert_allclose([row["gradient"] for row in table], lengths[::-1])
    np.testing.assert_allclose([row["weight_norm"] for row in table[:-1]], [np.linalg.norm(w, 2) for w in weights[1:]])
    assert all(row["weight_gain"] <= row["weight_norm"] * (1 + 1e-12) for row in table[:-1])
    product = np.prod([row["slope"] * row["weight_gain"] for row in table])
    assert found.evidence["ratio"] == pytest.approx(product)
    assert found.evidence["ratio"] == pytest.approx(lengths[-1] / lengths[0])


def test_gradients_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    weights, x, y = deep(np.random.default_rng(1))
    (found,) = gg.diagnose((forward, weights), nn.squared_error, (x, y))
    h, zs = torch.tensor(x), []
    for w in weights[:-1]:
        z = h @ torch.tensor(w).requires_grad_()
        z.retain_grad()
        zs.append(z)
        h = torch.sigmoid(z)
    out = h @ torch.tensor(weights[-1])
    torch.nn.functional.mse_loss(out, torch.tensor(y)).backward()
    rows = found.evidence["gains"][:-1]
    np.testing.assert_allclose([row["gradient"] for row in rows], [float(z.grad.norm()) for z in zs], rtol=1e-9)
    values = [torch.sigmoid(z.detach()) for z in zs]
    slopes = [float((a * (1 - a)).mean()) for a in values]
    np.testing.assert_allclose([row["mean_slope"] for row in rows], slopes, rtol=1e-9)


def test_a_recurrence_is_measured_over_time() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(8, 30, 3))
    rnn = nn.RNN(3, 6, rng=2, return_state=False, dtype=np.float64)
    rnn.U[:] = 0.1 * np.random.default_rng(3).normal(size=(6, 6))
    model = nn.Sequential(rnn, lambda h: h[:, -1], nn.Linear(6, 1, rng=2, dtype=np.float64))
    (found,) = gg.diagnose(model, nn.squared_error, (x, x[:, 0, :1]))
    hs = [np.zeros((8, 6))]
    for t in range(30):
        hs.append(np.tanh(x[:, t] @ rnn.W + rnn.b + hs[-1] @ rnn.U))
    head = model.layers[2]
    delta, arrived = (2 / 8 * (hs[-1] @ head.W + head.b - x[:, 0, :1])) @ head.W.T, []
    for h in hs[:0:-1]:
        delta = delta * (1 - h**2) @ rnn.U.T
        arrived.append(np.linalg.norm(delta))  # at the state before the step
    assert found.problem == "vanishing_gradients"
    assert found.evidence["ratio"] == pytest.approx(arrived[-1] / arrived[0])
    assert found.evidence["steps"] == 30


def test_dead_units_are_counted() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(100, 4))
    model = nn.MLP((4, 20, 2), rng=3, dtype=np.float64)
    model.layers[0].b[:13] = -40
    (found,) = gg.diagnose(model, nn.cross_entropy, (x, rng.integers(0, 2, 100)))
    z = x @ model.layers[0].W + model.layers[0].b
    off = (z <= 0).all(0)
    assert (found.problem, found.place) == ("dead_relu", "hidden1")
    assert found.evidence["dead"] == off.sum()
    assert found.evidence["largest_preactivation"] == pytest.approx(z[:, off].max())
    assert found.evidence["mean_bias"] == pytest.approx(model.layers[0].b.mean())


def test_saturation_is_measured() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(100, 4))
    model = nn.MLP((4, 20, 2), "tanh", rng=4, dtype=np.float64)
    model.layers[0].W[:] *= 100
    (found,) = gg.diagnose(model, nn.cross_entropy, (x, rng.integers(0, 2, 100)))
    slopes = 1 - np.tanh(x @ model.layers[0].W) ** 2
    assert found.problem == "saturated"
    assert found.evidence["share"] == (slopes < 0.009).mean()
    assert found.evidence["mean_slope"] == pytest.approx(slopes.mean())


def test_the_largest_stable_rate_is_that_of_the_curvature() -> None:
    """Of least squares the curvature along the gradient is |X g|² · 2/n / |g|²."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    w = rng.normal(size=3)
    (found,) = gg.diagnose((lambda p, x: x @ p["w"], {"w": w}), nn.squared_error, (x, y), learning_rate=100.0)
    g = 2 / 50 * x.T @ (x @ w - y)
    curvature = 2 / 50 * np.sum((x @ g) ** 2) / np.sum(g**2)
    assert found.problem == "learning_rate_too_large"
    assert found.evidence["largest_stable_rate"] == pytest.approx(2 / curvature)
    losses, v = [np.mean((x @ w - y) ** 2)], w.copy()
    for _ in range(10):
        v -= 100.0 * 2 / 50 * x.T @ (x @ v - y)
        losses.append(np.mean((x @ v - y) ** 2))
    np.testing.assert_allclose(found.evidence["losses"], losses)


def two_layers(p: Any, x: Any) -> Any:
    h = gnp.tanh(x @ gg.stop_gradient(p["W1"]))
    return gnp.rint(h) @ p["W2"] * p["scale"]


def test_why_a_parameter_has_no_gradient_and_on_which_line() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(20, 3))
    p = {"W1": rng.normal(size=(3, 4)), "W2": rng.normal(size=(4, 1)), "scale": 2, "left": np.ones(2)}
    found = gg.diagnose((two_layers, p), nn.squared_error, (x, x[:, :1]))
    said = {f.place: f.evidence for f in found}
    assert set(said) == {"W1", "scale", "left"}
    assert said["W1"]["why"] == "detached"
    assert said["W1"]["line"] == f"test_diagnose.py:{two_layers.__code__.co_firstlineno + 1}"
    assert said["scale"]["why"] == "integer"
    assert said["left"]["why"] == "unused"
    slope = gg.grad(lambda s: nn.squared_error(two_layers({**p, "scale": s}, x), x[:, :1]))(2.0)
    assert said["scale"]["gradient_as_float"] == pytest.approx(abs(slope))


@pytest.mark.parametrize(
    ("f", "why"),
    [
        (lambda p, x: gnp.floor(x @ p["w"]) + p["b"], "kink"),
        (lambda p, x: gnp.sign(x @ p["w"]) + p["b"], "kink"),
        (lambda p, x: gnp.argmax(x * p["w"], -1) * p["b"], "kink"),
        (lambda p, x: x[:, 0] * p["b"] + (p["w"] * np.zeros(3)).sum(), "masked"),
        (lambda p, x: x[:, 0] * p["b"] + gnp.where(np.zeros(3, bool), p["w"], 1.0).sum(), "masked"),
        (lambda p, x: x[:, 0] * p["b"] + gnp.clip(p["w"], 50, 60).sum(), "clipped"),
        (lambda p, x: x[:, 0] * p["b"] + gg.stop_gradient(p["w"]).sum(), "detached"),
        (lambda p, x: x[:, 0] * p["b"] + np.sum(getattr(p["w"], "value", p["w"])), "detached by NumPy"),
        (lambda p, x: x[:, 0] * p["b"], "unused"),
        (lambda p, x: (0 * x) @ p["w"] + x[:, 0] * p["b"], "zero"),
        (lambda p, x: x[:, 0] * p["b"] + gnp.abs(p["w"] - np.arange(1.0, 4.0)).sum(), "kink"),
        (lambda p, x: x[:, 0] * p["b"] + nn.relu(p["w"] - np.arange(1.0, 4.0)).sum(), "kink"),
    ],
    ids=["floor", "sign", "argmax", "times 0", "where", "clip", "stop", "value", "unused", "0 inputs", "abs", "relu"],
)
def test_each_reason(f: Any, why: str) -> None:
    x = np.random.default_rng(7).normal(size=(20, 3))
    p = {"w": np.arange(1.0, 4.0), "b": np.array(0.5)}
    found = [g for g in gg.diagnose((f, p), nn.squared_error, (x, x[:, 0])) if g.problem == "no_gradient"]
    assert [(g.place, g.evidence["why"]) for g in found] == [("w", why)]


def test_a_nan_is_traced_to_its_op() -> None:
    def f(p: Any, x: Any) -> Any:
        return gnp.sqrt(x @ p["w"])

    (found,) = gg.diagnose((f, {"w": np.zeros((2, 1))}), nn.squared_error, (np.ones((5, 2)), np.ones((5, 1))))
    assert found.problem == "nan_in_gradients"
    assert found.place.startswith(f"test_diagnose.py:{f.__code__.co_firstlineno + 1}")
    assert "sqrt'(0)" in found.evidence["mechanism"]


class TestForms:
    """Models, losses and data as they come."""

    x = np.random.default_rng(8).normal(size=(40, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int) + 1

    @pytest.mark.parametrize("form", ["module", "pair", "turned pair", "partial", "objective", "name"])
    def test_models_and_losses(self, form: str) -> None:
        p = {"W": np.random.default_rng(9).normal(size=(3, 2)), "b": np.zeros(2)}

        def f(p: Any, x: Any) -> Any:
            return x @ p["W"] + p["b"]

        def loss(o: Any, y: Any) -> Any:
            return nn.cross_entropy(o, y)

        model, given = {
            "module": (nn.Linear(3, 2, rng=0), nn.cross_entropy),
            "pair": ((f, p), loss),
            "turned pair": ((p, f), loss),
            "partial": (functools.partial(f, p), loss),
            "objective": (p, lambda p, x, y: loss(f(p, x), y)),
            "name": (nn.Linear(3, 2, rng=0), "cross_entropy"),
        }[form]
        assert gg.diagnose(model, given, (self.x, self.y - 1)).problems == []
        if form != "objective":
            assert gg.diagnose(model, given, (self.x, self.y)).problems == ["labels_out_of_range"]

    def test_dataframes_name_their_columns(self) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(self.x, columns=["age", "income", "height"])
        frame["income"] *= 1e5
        (found,) = gg.diagnose(nn.MLP((3, 8, 2), rng=0), nn.cross_entropy, (frame, self.y - 1))
        assert found.problem == "unscaled_inputs"
        assert "income" in found.place
        assert found.evidence["largest_standard_deviation"] == pytest.approx(frame["income"].std(ddof=0), rel=1e-5)

    def test_batches(self) -> None:
        batches = [(self.x[k : k + 10], self.y[k : k + 10]) for k in range(0, 40, 10)]
        (found,) = gg.diagnose(nn.Linear(3, 2, rng=0), nn.cross_entropy, batches)
        assert found.evidence["bad_rows"] == int((self.y == 2).sum())

    def test_an_unknown_loss_is_refused(self) -> None:
        with pytest.raises(ValueError, match="diagnose: unknown loss: got 'mse', expected a function"):
            gg.diagnose(nn.Linear(3, 2, rng=0), "mse", (self.x, self.y))

    @pytest.mark.parametrize("model", [5, {"W": np.ones((3, 2))}, None])
    def test_what_cannot_be_called_is_refused(self, model: Any) -> None:
        with pytest.raises(TypeError, match="diagnose: the model cannot be called: got .*give a callable model"):
            gg.diagnose(model, nn.cross_entropy, (self.x, self.y - 1))

    def test_an_objective_may_take_more(self) -> None:
        def objective(p: Any, x: Any, y: Any, weights: Any = None) -> Any:
            return nn.cross_entropy(x @ p["W"], y)

        data = self.x, self.y - 1, np.ones(len(self.y))
        assert not gg.diagnose({"W": np.random.default_rng(0).normal(size=(3, 2))}, objective, data)

    def test_an_optimiser_that_finds_its_own_steps_is_not_judged(self) -> None:
        data = self.x, self.y - 1
        assert not gg.diagnose(nn.MLP((3, 8, 2), rng=0), nn.cross_entropy, data, optimizer=optim.LBFGS())

    def test_a_model_that_does_not_fit_raises_its_own_error(self) -> None:
        with pytest.raises(gg.errors.ShapeError, match="Linear"):
            gg.diagnose(nn.Linear(4, 2, rng=0), nn.cross_entropy, (self.x, self.y))

    def test_nothing_given_is_changed(self) -> None:
        model = nn.MLP((3, 8, 2), rng=0)
        before = [leaf.copy() for leaf in gg.tree.leaves(model)]
        x, y = self.x.copy(), self.y.copy()
        gg.diagnose(model, nn.cross_entropy, (x, y - 1), learning_rate=100.0)
        assert all(np.array_equal(a, b) for a, b in zip(before, gg.tree.leaves(model), strict=True))
        assert np.array_equal(x, self.x)
        assert np.array_equal(y, self.y)


class TestWritten:
    def found(self) -> Any:
        rng = np.random.default_rng(10)
        x = rng.normal(size=(30, 5))
        x[3, 1] = np.nan
        return gg.diagnose((forward, deep(rng)[0]), nn.squared_error, (x, np.ones((30, 1))))

    def test_as_text(self) -> None:
        found = self.found()
        assert found.problems == ["nan_in_data", "vanishing_gradients"]
        assert "nan_in_data in x, row 3, column 1" in str(found)
        assert found.table().splitlines()[0] == "2 findings"
        assert repr(found) == "Diagnosis(nan_in_data, vanishing_gradients)"

    def test_as_plain_data(self) -> None:
        found = self.found()
        plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert [f["problem"] for f in plain["findings"]] == found.problems
        assert set(plain["findings"][0]) == {"problem", "place", "evidence", "remedy"}
        assert len(plain["findings"][1]["evidence"]["gains"]) == DEPTH + 1

    def test_as_html(self) -> None:
        html = self.found()._repr_html_()
        assert html.count("<tr>") == 3
        assert "<b>" not in str(gg.inspect.Diagnosis([Finding("a", "<b>")])._repr_html_())

    def test_nothing(self) -> None:
        empty = gg.inspect.Diagnosis()
        assert (str(empty), empty.table(), len(empty)) == ("nothing found", "nothing found", 0)

    def test_every_problem_is_documented(self) -> None:
        from pathlib import Path

        page = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()
        assert [key for key in WORDS if f"`{key}`" not in page] == []


class TestCallback:
    x = np.random.default_rng(11).normal(size=(64, 4)).astype(np.float32)
    y = x[:, :1] * np.float32(2)

    def fit(self, model: Any, optimizer: Any, watch: Any, epochs: int = 4, data: Any = None) -> None:
        train.fit(
            model,
            nn.squared_error,
            (self.x, self.y) if data is None else data,
            optimizer=optimizer,
            epochs=epochs,
            callbacks=[watch],
            progress=False,
        )

    def test_a_healthy_training_is_left_alone(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.fit(nn.MLP((4, 8, 1), rng=0), optim.Adam(0.01), watch := train.Diagnose(), 8)
        assert watch.findings == []

    def test_what_is_wrong_at_first_is_said_once(self) -> None:
        watch = train.Diagnose(every=1)
        with pytest.warns(DiagnosisWarning, match="after 0 epochs: learning_rate_too_small") as caught:
            self.fit(nn.MLP((4, 8, 1), rng=0), optim.SGD(1e-7), watch)
        assert [f.problem for f in watch.findings] == ["learning_rate_too_small"]
        assert watch.epochs == [0]
        assert len(caught) == 1

    def test_what_dies_in_training_is_found(self) -> None:
        watch = train.Diagnose(every=1, warn=False)
        model = nn.MLP((4, 8, 1), rng=0)
        model.layers[1].W[:] = np.abs(model.layers[1].W)  # to lower the output, every unit is turned off
        self.fit(model, optim.SGD(0.1), watch, 3, (self.x, self.y - 20))
        assert "dead_relu" in {f.problem for f, epoch in zip(watch.findings, watch.epochs, strict=True) if epoch}

    def test_a_loss_that_rises_is_found(self) -> None:
        watch = train.Diagnose(warn=False)
        rates = optim.MultiStep(0.01, at=(2,), factor=60.0)
        self.fit(nn.Linear(4, 1, rng=0), rates_of(rates), watch, 8)
        assert "learning_rate_too_large" in {f.problem for f in watch.findings}

    def test_batches_that_come_once_are_left_to_training(self) -> None:
        watch = train.Diagnose(warn=False)
        self.fit(nn.Linear(4, 1, rng=0), optim.SGD(1e-9), watch, 1, iter([(self.x, self.y)]))
        assert watch.findings == []
        watch = train.Diagnose(warn=False, sample=(self.x, self.y))
        self.fit(nn.Linear(4, 1, rng=0), optim.SGD(1e-9), watch, 1, iter([(self.x, self.y)]))
        assert [f.problem for f in watch.findings] == ["learning_rate_too_small"]

    def test_a_bad_interval_is_refused(self) -> None:
        with pytest.raises(ValueError, match="Diagnose: bad every: got 0"):
            train.Diagnose(every=0)


def rates_of(schedule: Any) -> Any:
    return optim.SGD(schedule)
