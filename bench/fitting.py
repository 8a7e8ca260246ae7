"""Whole trainings: ``train.fit`` and the estimators beside scikit-learn's, PyTorch's loop and JAX's.

All start from the same weights and take the rows in the same order, so that they do the same steps. Compilation is not
counted: the first fit of a shape pays for it, as in the other groups.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from characters import character_rows
from libraries import torch_module
from rows import OURS, Build, Outcome, Row, run_all
from targets import PYTORCH, target
from timing import Contender, Effort

TITLE = "Whole trainings, Adam"
LETTERS = Path(__file__).resolve().parents[2] / "shared" / "data" / "letter-recognition.csv"
RATE, GOAL, MOST = 1e-3, 0.97, 60  # learning rate; share of held-out digits to get right; epochs to do it in


class Task(NamedTuple):
    """Rows to learn, and to measure on."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def classes(self) -> int:
        return int(self.y.max()) + 1


def digits() -> Task:
    """1,797 images of 8 × 8, a fifth held out."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16).astype(np.float32), y[order]
    return Task(x[360:], y[360:], x[:360], y[:360])


def table(name: str) -> Task:
    """One of scikit-learn's small tables, each column scaled to mean 0 and deviation 1, in float64."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    return Task(x, y, x, y)


def letters() -> Task:
    """The first 16,000 rows, and the other 4,000."""
    lines = [line.split(",") for line in LETTERS.read_text().splitlines() if line[1] == "," and line[2:3].isdigit()]
    x = np.array([line[1:] for line in lines], np.float32) / 15
    y = np.array([ord(line[0]) - ord("A") for line in lines])
    return Task(x[:16000], y[:16000], x[16000:], y[16000:])


def first_weights(sizes: tuple[int, ...]) -> Any:
    from glassgrad import nn

    return nn.MLP(sizes, rng=0)


def orders(n: int, epochs: int) -> list[np.ndarray]:
    """The rows of each epoch, as ``fit`` draws them from seed 0."""
    from glassgrad.data.batches import generator, shuffled

    rng = generator(0)
    return [shuffled(n, rng) for _ in range(epochs)]


def compared(losses: list[float]) -> np.ndarray:
    """The first epoch's loss, and how many epochs there were: rounding makes later losses differ."""
    return np.array([losses[0], len(losses)])


def with_fit(task: Task, sizes: tuple[int, ...], batch: int, epochs: int, goal: float) -> Contender:
    from glassgrad import nn, optim, train

    model = first_weights(sizes)

    def accuracy(outputs: Any, y: Any) -> Any:
        return (outputs.argmax(-1) == y).mean()

    def enough(epoch: Any, training: Any) -> None:
        if epoch.metrics["accuracy"] >= goal:
            training.stop()

    def run() -> Any:
        return train.fit(
            model,
            nn.cross_entropy,
            (task.x, task.y),
            optimizer=optim.Adam(RATE),
            epochs=epochs,
            batch_size=batch,
            validation=(task.x_test, task.y_test),
            metrics={"accuracy": accuracy},
            callbacks=[enough],
            progress=False,
        )[1]

    return Contender(run, lambda: compared(run().loss))


def with_torch(task: Task, sizes: tuple[int, ...], batch: int, epochs: int, goal: float) -> Contender:
    torch = torch_module()
    F = torch.nn.functional
    first = [torch.from_numpy(np.array(part)) for layer in first_weights(sizes).layers for part in (layer.W, layer.b)]
    x, y, x_test, y_test = map(torch.from_numpy, task)
    rows = [torch.from_numpy(order) for order in orders(len(x), epochs)]

    def forward(params: list[Any], h: Any) -> Any:
        for W, b in zip(params[:-2:2], params[1:-2:2], strict=True):
            h = F.relu(torch.addmm(b, h, W))
        return torch.addmm(params[-1], h, params[-2])

    def run() -> list[float]:
        params = [p.clone().requires_grad_() for p in first]
        optimizer = torch.optim.Adam(params, lr=RATE, fused=True)
        losses = []
        for order in rows:
            total = 0.0
            for chosen in order.split(batch):
                optimizer.zero_grad(set_to_none=True)
                loss = F.cross_entropy(forward(params, x[chosen]), y[chosen])
                loss.backward()
                optimizer.step()
                total += loss.item() * len(chosen)
            losses.append(total / len(x))
            with torch.no_grad():
                right = (forward(params, x_test).argmax(-1) == y_test).float().mean().item()
            if right >= goal:
                break
        return losses

    return Contender(run, lambda: compared(run()))


def with_jax(task: Task, sizes: tuple[int, ...], batch: int, epochs: int, goal: float) -> Contender:
    """A compiled step, called for each batch, as its users write the loop."""
    import jax
    import jax.numpy as jnp
    from training import adam

    first = [(np.array(layer.W), np.array(layer.b)) for layer in first_weights(sizes).layers]
    zeros = jax.tree.map(np.zeros_like, first)

    def forward(params: Any, h: Any) -> Any:
        for W, b in params[:-1]:
            h = jax.nn.relu(h @ W + b)
        return h @ params[-1][0] + params[-1][1]

    def loss(params: Any, x: Any, y: Any) -> Any:
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(forward(params, x)), y[:, None], -1))

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        value, slope = jax.value_and_grad(loss)(params, x, y)
        return *adam(jax.tree.map, params, slope, state), value

    right = jax.jit(lambda params: jnp.mean(jnp.argmax(forward(params, task.x_test), -1) == task.y_test))
    rows = orders(len(task.x), epochs)

    def run() -> list[float]:
        start = {"mean": zeros, "square": zeros, "steps": np.float32(0)}
        params, state = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), (first, start))
        losses = []
        for order in rows:
            values, weights = [], []
            for i in range(0, len(order), batch):
                chosen = order[i : i + batch]
                params, state, value = step(params, state, task.x[chosen], task.y[chosen])
                values.append(value)
                weights.append(len(chosen))
            losses.append(float(np.average(np.array(jax.device_get(values)), weights=weights)))
            if float(right(params)) >= goal:
                break
        return losses

    return Contender(run, lambda: compared(run()))


def estimator(library: str, task: Task, **settings: Any) -> Contender:
    """``MLPClassifier(...).fit``: whose curve of losses is the same in both libraries."""
    if library == "Glassgrad":
        from glassgrad.sklearn import MLPClassifier
    else:
        from sklearn.neural_network import MLPClassifier

    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of too few iterations, which are meant
            return MLPClassifier(random_state=0, **settings).fit(task.x, task.y)

    return Contender(run, lambda: np.array(run().loss_curve_))


def replicas(task: Task, sizes: tuple[int, ...], batch: int, epochs: int) -> dict[str, Build]:
    """32 seeds: at once in one native function, and one after another."""
    from glassgrad import nn, optim, train

    models = [nn.MLP(sizes, rng=seed) for seed in range(32)]
    settings = {"optimizer": optim.Adam(RATE), "epochs": epochs, "batch_size": batch, "progress": False}

    def at_once() -> Any:
        _, histories = train.fit(models, nn.cross_entropy, (task.x, task.y), replicas=32, **settings)
        return [history.loss for history in histories]

    def in_turn() -> Any:
        fits = [
            train.fit(model, nn.cross_entropy, (task.x, task.y), rng=i, **settings) for i, model in enumerate(models)
        ]
        return [history.loss for _, history in fits]

    def contender(run: Callable[[], Any]) -> Contender:
        return Contender(run, lambda: np.array(run()))

    return {OURS: partial(contender, at_once), "one after another": partial(contender, in_turn)}


def perceptrons(task: Task, sizes: tuple[int, ...], batch: int, epochs: int, goal: float = 2.0) -> dict[str, Build]:
    made: dict[str, Callable[..., Contender]] = {"Glassgrad": with_fit, "PyTorch": with_torch, "JAX": with_jax}
    return {name: partial(build, task, sizes, batch, epochs, goal) for name, build in made.items()}


def estimators(task: Task, **settings: Any) -> dict[str, Build]:
    return {name: partial(estimator, name, task, **settings) for name in ("Glassgrad", "scikit-learn")}


def beside_torch(seconds: dict[str, float]) -> dict[str, float]:
    return {PYTORCH: seconds["PyTorch"] / seconds[OURS]} if {"PyTorch", OURS} <= set(seconds) else {}


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    task = digits()
    double = task._replace(x=task.x.astype(np.float64))
    few = Task(task.x[:200], task.y[:200], task.x_test, task.y_test)
    goal = f"digits to {GOAL:.0%} of the held-out ones, 64-64-10, batch 32"
    small = perceptrons(few, (64, 16, 10), 16, 10)
    rows = [
        Row(goal, perceptrons(task, (64, 64, 10), 32, MOST, GOAL), target("fitting", "digits"), 0.2, beside_torch),
        Row("200 digits, 64-16-10, batch 16, 10 epochs", small, target("fitting", "small"), figures=beside_torch),
        Row("MLPClassifier on digits, 20 iterations", estimators(task, max_iter=20), target("fitting", "estimator")),
        Row(
            "MLPClassifier on digits in float64, 20 iterations",
            estimators(double, max_iter=20),
            target("fitting", "estimator"),
        ),
        *[
            Row(f"MLPClassifier by default, {name} in float64", estimators(table(name)), target("fitting", "estimator"))
            for name in ("wine", "breast_cancer")
        ],
        Row(
            "MLPClassifier on 200 digits, 16 hidden, 50 iterations",
            estimators(few, max_iter=50, hidden_layer_sizes=(16,)),
            target("fitting", "estimator"),
        ),
        Row(
            "32 replicas of 200 digits, 64-16-10, batch 16, 10 epochs",
            replicas(few, (64, 16, 10), 16, 10),
            target("fitting", "replicas"),
        ),
    ]
    if LETTERS.exists():
        name = "letter recognition, 16-128-26, batch 128, 1 epoch"
        rows.append(Row(name, perceptrons(letters(), (16, 128, 26), 128, 1), figures=beside_torch))
    return run_all([*rows, *character_rows()], effort)
