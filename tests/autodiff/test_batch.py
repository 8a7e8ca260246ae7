"""vmap: against a loop over the examples, against JAX, and composed with every other walk."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassgrad as gg
import glassgrad.numpy as np
import glassgrad.ops
from glassgrad import errors, nn, optim, tree
from glassgrad.autodiff import batch
from glassgrad.graph.apply import apply
from glassgrad.graph.primitive import Opaque
from glassgrad.graph.verify import verify
from glassgrad.ops.contraction import Matmul
from glassgrad.ops.loop import Scan
from tests.oracles.cases import cases, every_op
from tests.oracles.examples import examples
from tests.oracles.graphs import random_program
from tests.oracles.programs import Program

for module in pkgutil.iter_modules(glassgrad.ops.__path__):
    importlib.import_module(f"glassgrad.ops.{module.name}")

OPS = every_op()
RNG = numpy.random.default_rng(0)
X = RNG.normal(size=(4, 3))
Y = RNG.normal(size=(4, 3))
W = RNG.normal(size=(3, 3)) / 2


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def plain(x: Any) -> Any:
    return numpy.asarray(getattr(x, "value", x))


def one_by_one(f: Callable[..., Any], in_axes: Sequence[Any], *args: Any) -> Any:
    """What vmap means, as a loop: in_axes has one int or None per argument, the batch of the result comes first."""
    (size,) = {plain(a).shape[k] for a, k in zip(args, in_axes, strict=True) if k is not None}
    rows = [
        f(*[a if k is None else numpy.take(plain(a), i, k) for a, k in zip(args, in_axes, strict=True)])
        for i in range(size)
    ]
    return tree.map(lambda *parts: numpy.stack([plain(p) for p in parts]), *rows)


def agree(got: Any, want: Any, rtol: float = 1e-10) -> None:
    assert tree.structure(got) == tree.structure(want)
    for a, b in zip(tree.leaves(got), tree.leaves(want), strict=True):
        a, b = plain(a), plain(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        numpy.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


class Batch(NamedTuple):
    """Arguments of an op, three different ones stacked where ``over`` says so."""

    inputs: list[Any]
    over: list[bool]

    @property
    def axes(self) -> tuple[int | None, ...]:
        return tuple([0 if b else None for b in self.over])

    def example(self, i: int) -> list[Any]:
        return [x[i] if b else x for x, b in zip(self.inputs, self.over, strict=True)]


def batches(op: Any, inputs: Sequence[Any]) -> list[Batch]:
    """Each array of the arguments batched alone, and all of them."""
    selects = op.name in ("gather", "scatter", "update")  # by a mask, which has a shape for each of its values
    arrays = [
        k
        for k, x in enumerate(inputs)
        if isinstance(x, (numpy.ndarray, numpy.generic)) and not (selects and x.dtype.kind == "b")
    ]
    chosen = [[k] for k in arrays] + ([arrays] if len(arrays) > 1 else [])
    return [
        Batch(
            [several(op, x) if k in places else x for k, x in enumerate(inputs)],
            [k in places for k in range(len(inputs))],
        )
        for places in chosen
    ]


def several(op: Any, x: Any) -> Any:
    """Three examples like x, all of them in the domain of the op."""
    x = numpy.asarray(x)
    if x.dtype.kind in "fc":
        return numpy.stack([x, x * x.dtype.type(1.01), x * x.dtype.type(0.97)])
    if x.dtype == numpy.uint32:
        return numpy.stack([x, x + numpy.uint32(1), x + numpy.uint32(5)])  # keys
    flat = x.ravel()
    return numpy.stack([x, flat[::-1].reshape(x.shape), numpy.roll(flat, 1).reshape(x.shape)])


def usable(op: Any, inputs: Sequence[Any]) -> bool:
    """A gather by a mask is traced by the positions of what is true: tests/numpy has it."""
    return not (op.name == "gather" and any(numpy.asarray(x).dtype.kind == "b" for x in inputs[1:]))


def listed(result: Any) -> list[Any]:
    return [plain(x) for x in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_op_on_a_batch_is_itself_on_each_example(op: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(batch, "_one_by_one", None)  # every op of the package has a rule
    checked = 0
    for inputs, params in cases(op):
        for made in batches(op, inputs) if usable(op, inputs) else []:
            got = listed(gg.vmap(lambda *xs: apply(op, xs, params), made.axes)(*made.inputs))  # noqa: B023
            each = [listed(op.eval(*made.example(i), **params)) for i in range(3)]
            for a, *rows in zip(got, *each, strict=True):
                want = numpy.stack(rows)
                assert a.dtype == want.dtype and a.shape == want.shape, (op.name, made.over)
                eps = float(numpy.finfo(a.dtype).eps) if a.dtype.kind in "fc" else 0.0
                numpy.testing.assert_allclose(a, want, rtol=100 * eps, atol=100 * eps)
                checked += 1
    assert checked


@pytest.mark.parametrize("op", [op for op in OPS if op.differentiable], ids=lambda op: op.name)
def test_derivatives_of_every_op_on_a_batch(op: Any) -> None:
    """The gradient of the batch, and the batch of gradients, are the gradients of the examples."""
    for inputs, params in cases(op)[:3]:
        places = [k for k, x in enumerate(inputs) if isinstance(x, numpy.ndarray) and x.dtype.kind in "fc"]
        for made in batches(op, inputs)[-1:] if usable(op, inputs) and places else []:

            def loss(*xs: Any) -> Any:
                parts = [np.abs(y).sum() for y in tree.leaves(apply(op, xs, params)) if y.dtype.kind in "fc"]  # noqa: B023
                return sum(parts[1:], parts[0])

            slopes = gg.grad(loss, argnums=tuple(places))
            each = [slopes(*made.example(i)) for i in range(3)]
            want = [numpy.stack(rows) for rows in zip(*each, strict=True)]
            whole = gg.grad(lambda *xs: gg.vmap(loss, made.axes)(*xs).sum(), argnums=tuple(places))  # noqa: B023
            for got in (gg.vmap(slopes, made.axes)(*made.inputs), whole(*made.inputs)):
                for a, b in zip(got, want, strict=True):
                    size = float(numpy.max(numpy.abs(b), initial=1.0))
                    eps = float(numpy.finfo(b.dtype).eps)
                    numpy.testing.assert_allclose(a, b, rtol=1e4 * eps, atol=1e4 * eps * size, err_msg=op.name)


PROGRAMS: dict[str, Callable[[Any, Any], Any]] = {
    "elementwise": lambda x, y: np.sin(x) * y + 1.0,
    "constant beside": lambda x, y: {"both": x @ W, "neither": W[0], "one": y[1], "number": 3},
    "matrix": lambda x, y: (W @ x) @ np.outer(x, y),
    "softmax": lambda x, y: np.sum(np.exp(x - x.max()) / np.exp(x - x.max()).sum() * y),
    "order": lambda x, y: (np.sort(x), np.argmax(y), np.cumsum(x)[::-1], x[np.argsort(y)]),
    "places": lambda x, y: (
        np.asarray(x).at[np.argmax(y)].set(y[0]),
        np.asarray(x).at[[0, 0, 2]].add(y),
        np.asarray(W)[:, np.argmin(x)],
    ),
    "loop": lambda x, y: gg.scan(lambda c, r: (np.tanh(c @ W + r), c * y), x, W),
    "loop over what is batched": lambda x, y: gg.scan(lambda c, r: (c + r * y, (c, r)), np.zeros(3), x, reverse=True),
    "loop with carries of two kinds": lambda x, y: gg.scan(lambda c, r: ((c[0] + 1, c[1] * r), c[0]), (0, 1.0), x),
    "carry that comes to depend": lambda x, y: gg.scan(lambda c, r: ((c[1], c[2], r), c[0]), (0.0, 0.0, 0.0), x),
    "matrices": lambda x, y: np.linalg.solve(np.outer(x, y) + 3 * np.eye(3), W),
    "names": lambda x, y: gg.name(x * y, "h") + gg.stop_gradient(x),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_function_of_a_batch_is_that_of_each_example(name: str) -> None:
    f = PROGRAMS[name]
    want = one_by_one(f, (0, 0), X, Y)
    agree(gg.vmap(f)(X, Y), want)
    agree(gg.jit(gg.vmap(f))(X, Y), want)
    agree(gg.vmap(gg.jit(f))(X, Y), want)
    agree(gg.vmap(f, (0, None))(X, Y[1]), one_by_one(f, (0, None), X, Y[1]))
    agree(gg.vmap(f, (None, 0))(X[2], Y), one_by_one(f, (None, 0), X[2], Y))
    program = gg.trace(gg.vmap(f), X, Y)
    assert verify(program.outputs)
    agree(program(X, Y), want)


def total(f: Callable[..., Any]) -> Callable[..., Any]:
    """A number made of all results that can be differentiated."""

    def summed(*args: Any) -> Any:
        parts = [np.sum(np.cos(y)) for y in tree.leaves(f(*args)) if np.asarray(y).dtype.kind == "f"]
        return sum(parts[1:], parts[0])

    return summed


@pytest.mark.parametrize("name", PROGRAMS)
def test_walks_compose(name: str) -> None:
    f = total(PROGRAMS[name])
    slopes = gg.grad(f, argnums=(0, 1))
    want = one_by_one(slopes, (0, 0), X, Y)
    whole = gg.grad(lambda x, y: gg.vmap(f)(x, y).sum(), argnums=(0, 1))
    for got in (gg.vmap(slopes), whole, gg.jit(gg.vmap(slopes)), gg.jit(whole)):
        agree(got(X, Y), want)
    # forward mode, and second derivatives: forward over reverse
    _, tangent = gg.jvp(gg.vmap(f), (X, Y), (Y, X))
    agree(tangent, numpy.sum(want[0] * Y + want[1] * X, 1))
    second = lambda x, y, v: gg.jvp(lambda x: slopes(x, y)[0], (x,), (v,))[1]
    agree(gg.vmap(second)(X, Y, Y), one_by_one(second, (0, 0, 0), X, Y, Y), 1e-8)


KEYS: dict[str, Callable[[Any], Any]] = {
    "apart": lambda i: (i, slice(None), i),
    "side by side": lambda i: (slice(None), i, i),
    "an ellipsis of none": lambda i: (slice(None), i, ..., i),
    "with a new axis": lambda i: (None, slice(0, 2), i, None),
    "with a number": lambda i: (1, slice(None), i),
    "grid": lambda i: (i[:, None], i, slice(None, None, -1)),
    "from the end": lambda i: (..., i - 2),
    "places alone": lambda i: i,
    "no arrays": lambda i: (0, ..., slice(2)),
    "a mask beside": lambda i: (i[:2], numpy.array([True, True, False])),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("over", [(0, 0, 0), (0, None, None), (None, 0, None), (None, None, 0), (0, None, 0)])
def test_indices_by_numpys_rules(key: str, over: tuple[Any, ...]) -> None:
    """Read, written and added to: arrays of the index apart or together, batched or not, like what is written."""
    x, i = RNG.normal(size=(3, 2, 3, 3)), RNG.integers(0, 2, (3, 4))
    read = lambda x, i: np.asarray(x)[KEYS[key](i)]
    shape = read(x[0], i[0]).shape
    for v in (RNG.normal(size=(3, *shape)), RNG.normal(size=3), RNG.normal(size=(3, 1, 1, *shape))):
        given = [a if k == 0 else a[0] for a, k in zip((x, i, v), over, strict=True)]
        for f in (
            lambda x, i, v: np.asarray(x).at[KEYS[key](i)].set(v),
            lambda x, i, v: np.asarray(x).at[KEYS[key](i)].add(np.reshape(v, v.shape[-len(shape) :] if v.ndim else ())),
            lambda x, i, v: (read(x, i), v),
        ):
            agree(gg.vmap(f, over)(*given), one_by_one(f, over, *given))


def test_a_batch_of_batches_is_every_pair() -> None:
    distance = lambda a, b: np.sqrt(((a - b) ** 2).sum())
    pairs = gg.vmap(gg.vmap(distance, (None, 0)), (0, None))
    want = numpy.linalg.norm(X[:, None] - Y[None], axis=-1)
    agree(pairs(X, Y), want)
    agree(gg.jit(pairs)(X, Y), want)
    hessians = gg.vmap(
        lambda x: gg.vmap(lambda v: gg.jvp(gg.grad(lambda x: np.prod(np.sin(x))), (x,), (v,))[1])(np.eye(3))
    )
    exact = lambda x: (
        numpy.prod(numpy.sin(x)) * (numpy.outer(1 / numpy.tan(x), 1 / numpy.tan(x)) * (1 - numpy.eye(3)) - numpy.eye(3))
    )
    agree(hessians(X), numpy.stack([exact(x) for x in X]))


def test_a_batch_inside_of_a_loop() -> None:
    step = lambda c, x: (gg.vmap(lambda a, b: np.tanh(a @ W) * b, (0, None))(c, x), c.sum(1))
    carry, ys = Y, []
    for x in X:
        ys.append(carry.sum(1))
        carry = numpy.tanh(carry @ W) * x
    for loop in (gg.scan, gg.jit(lambda *a: gg.scan(step, *a[1:]), static=0)):
        got, sums = loop(step, Y, X)
        agree(plain(got), carry)
        agree(plain(sums), numpy.stack(ys))


@pytest.mark.parametrize("axes", [(0, 0, 0), (1, 0, -1), (-1, 1, 1), (0, None, 2), (None, 1, -3)])
def test_axes_are_those_of_a_loop(axes: tuple[Any, Any, int]) -> None:
    first, second, out = axes
    f = lambda a, b: np.outer(a, b) + a[0]
    a = numpy.moveaxis(X, 0, first) if first is not None else X[0]
    b = numpy.moveaxis(Y, 0, second) if second is not None else Y[0]
    want = numpy.moveaxis(one_by_one(f, (first, second), a, b), 0, out)
    agree(gg.vmap(f, (first, second), out)(a, b), want)


def test_axes_as_jax_has_them() -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    p = {"w": RNG.normal(size=(3, 2, 5)), "b": RNG.normal(size=(2,)), "s": [RNG.normal(size=(5, 2)), numpy.arange(5.0)]}
    f = lambda p, x: {"y": x @ p["w"] + p["b"], "s": (p["s"][0] * p["s"][1], p["b"])}
    x = RNG.normal(size=(7, 3))
    spec = ({"w": -1, "b": None, "s": 0}, None)
    out = {"y": 1, "s": (-1, None)}
    got, theirs = gg.vmap(f, spec, out)(p, x), jax.vmap(f, spec, out)(p, x)
    agree(got, {key: jax.tree.map(numpy.asarray, theirs[key]) for key in got})
    agree(gg.vmap(lambda *, a, b: a * b)(a=X, b=Y), numpy.asarray(jax.vmap(lambda *, a, b: a * b)(a=X, b=Y)))


def test_trees_of_axes() -> None:
    p = {"w": RNG.normal(size=(3, 2, 5)), "b": RNG.normal(size=(2,)), "none": None}
    x = RNG.normal(size=(7, 3))
    got = gg.vmap(
        lambda p, x: {"y": x @ p["w"] + p["b"], "b": (p["b"], None)},
        ({"w": -1, "b": None, "none": 0}, None),
        {"y": 1, "b": None},
    )(p, x)
    agree(
        got,
        {"y": numpy.moveaxis(numpy.stack([x @ p["w"][..., i] + p["b"] for i in range(5)]), 0, 1), "b": (p["b"], None)},
    )
    model = nn.MLP((3, 4, 2), rng=0)
    models = tree.map(lambda *a: numpy.stack(a), model, nn.MLP((3, 4, 2), rng=1))
    inputs = X.astype(numpy.float32)
    agree(gg.vmap(lambda m, x: m(x), (0, None))(models, inputs)[0], model(inputs), 1e-5)


def test_what_does_not_depend_on_the_batch_is_computed_once() -> None:
    program = gg.trace(gg.vmap(lambda x, w: (x + np.linalg.inv(w), w * 2), (0, None)), X, W)
    assert [n.shape for n in program.nodes if n.op.name == "inv"] == [(3, 3)]
    assert [n.shape for n in program.outputs] == [(4, 3, 3), (4, 3, 3)]
    calls = []
    gg.vmap(lambda x: (calls.append(1), x)[1])(X)
    assert len(calls) == 1


def test_layers_with_weights_of_their_own_are_one_product() -> None:
    """[R, B, I] @ [R, I, O], forward and for both gradients; with common weights one product of R B rows."""
    w, x = RNG.normal(size=(6, 3, 5)), RNG.normal(size=(6, 10, 3))
    loss = lambda w, x: (np.tanh(x @ w) ** 2).sum()
    products = lambda f, *args: [tuple(i.shape for i in n.inputs) for n in gg.trace(f, *args).nodes if n.op is Matmul]
    assert products(gg.vmap(loss), w, x) == [((6, 10, 3), (6, 3, 5))]
    assert products(gg.vmap(loss, (0, None)), w, x[0]) == [((10, 3), (6, 3, 5))]
    assert products(gg.vmap(loss, (None, 0)), w[0], x) == [((60, 3), (3, 5))]
    assert sorted(products(gg.vmap(gg.grad(loss, argnums=(0, 1))), w, x)) == [
        ((6, 3, 10), (6, 10, 5)), ((6, 10, 3), (6, 3, 5)), ((6, 10, 5), (6, 5, 3))
    ]  # fmt: skip


@pytest.mark.parametrize("inside", [True, False])
def test_networks_trained_together_are_those_trained_alone(inside: bool) -> None:
    """An epoch of a classifier by Adam, with the networks inside of the loop over batches or outside of it."""
    count, samples = 3, 24
    x = RNG.normal(size=(samples, 2)).astype(numpy.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    adam = optim.Adam(lr=0.02)
    models = [nn.MLP((2, 8, 2), "tanh", rng=k) for k in range(count)]
    rows = numpy.stack([RNG.permutation(samples).reshape(4, 6) for _ in models])

    def step(held: Any, batch: Any) -> Any:
        model, state = held
        loss, slopes = gg.value_and_grad(lambda m: nn.cross_entropy(m(x[batch]), labels[batch]))(model)
        return adam.step(model, slopes, state), loss

    x, labels = np.asarray(x), np.asarray(labels)
    alone = gg.jit(lambda model, state, rows: gg.scan(step, (model, state), rows))
    if inside:
        together = gg.jit(lambda model, state, rows: gg.scan(gg.vmap(step), (model, state), np.swapaxes(rows, 0, 1)))
    else:
        together = gg.jit(gg.vmap(lambda model, state, rows: gg.scan(step, (model, state), rows)))
    stacked = lambda trees: tree.map(lambda *a: numpy.stack([plain(v) for v in a]), *trees)
    (models_after, _), losses = together(stacked(models), stacked([adam.init(m) for m in models]), rows)
    for k, model in enumerate(models):
        (after, _), each = alone(model, adam.init(model), rows[k])
        agree(losses[:, k] if inside else losses[k], each, 1e-5)
        agree(tree.map(lambda a: a[k], models_after), after, 1e-4)  # noqa: B023


def test_random_numbers_are_those_of_each_key() -> None:
    keys = gg.random.split(gg.random.key(3), 5)
    draw = lambda key: (
        gg.random.normal(size=3, rng=key), gg.random.permutation(6, rng=gg.random.fold_in(key, 1)),
        gg.random.choice(4, size=2, p=numpy.array([0.1, 0.2, 0.3, 0.4]), rng=key), gg.random.split(key, 2),
    )  # fmt: skip
    want = one_by_one(draw, (0,), plain(keys))
    agree(gg.vmap(draw)(keys), want)
    agree(gg.jit(gg.vmap(draw))(keys), want)


def test_masks_discard_exactly_example_by_example() -> None:
    """An example of which everything is discarded has gradient 0, though another's elements meet the same op."""
    a = numpy.abs(RNG.normal(size=(3, 2, 2))) + numpy.eye(2)
    a[1, 0, 1] = 0  # where the square root has an infinite derivative
    c = numpy.array([1.0, -1.0, 1.0])
    made: dict[str, Callable[[Any], Any]] = {
        "det": np.linalg.det, "inv": lambda m: np.linalg.inv(m).sum(), "fft": lambda m: np.fft.fft(m[0]).real.sum(),
        "cumprod": lambda m: np.cumprod(m[0]).sum(), "conv": lambda m: np.convolve(m[0], m[1]).sum(),
        "matmul": lambda m: (m @ m).sum(), "sort": lambda m: (np.sort(m, 0) * m).sum(),
        "cholesky": lambda m: np.linalg.cholesky(m @ m.T).sum(),
    }  # fmt: skip
    for name, f in made.items():
        loss = lambda a, c, f=f: np.where(c > 0, f(np.sqrt(a)), 0.0)
        want = one_by_one(gg.grad(loss), (0, 0), a, c)
        assert numpy.isfinite(want).all() and not want[1].any(), name
        whole = gg.grad(lambda a: gg.vmap(loss)(a, c).sum())  # noqa: B023
        for got in (gg.vmap(gg.grad(loss))(a, c), whole(a), gg.jit(whole)(a)):
            numpy.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12, err_msg=name)


def test_rules_of_the_users_are_batched() -> None:
    @gg.custom_vjp
    def scaled(x: Any, w: Any) -> Any:
        return (x @ w, (x * x).sum())

    def backward(kept: Any, g: Any) -> Any:
        x, w = kept
        return g[0] @ w.T + 7.0 * g[1] * x, np.outer(x, g[0])  # 7 instead of 2, to see that it is this rule

    scaled.defvjp(lambda x, w: (scaled(x, w), (x, w)), backward)
    f = lambda x, w: np.sin(scaled(x, w)[0]).sum() * scaled(x, w)[1]
    slopes = gg.grad(f, argnums=(0, 1))
    want = one_by_one(slopes, (0, None), X, W)
    agree(gg.vmap(slopes, (0, None))(X, W), want)
    whole = gg.grad(lambda x, w: gg.vmap(f, (0, None))(x, w).sum(), argnums=(0, 1))
    agree(whole(X, W), (want[0], want[1].sum(0)))
    agree(gg.jit(whole)(X, W), (want[0], want[1].sum(0)))
    second = gg.grad(lambda x: (slopes(x, W)[0] ** 2).sum())
    agree(gg.grad(lambda x: (gg.vmap(slopes, (0, None))(x, W)[0] ** 2).sum())(X), one_by_one(second, (0,), X))


def test_a_rule_that_closes_over_numbers_and_gives_none() -> None:
    @gg.custom_vjp
    def half(x: Any, k: Any) -> Any:
        return 0.5 * x * k

    half.defvjp(lambda x, k: (half(x, k), None), lambda kept, g: (3.0 * g, None))
    agree(gg.grad(lambda x: gg.vmap(half)(x, X).sum())(X), numpy.full((4, 3), 3.0))


def test_a_rule_of_the_users_inside_of_a_loop() -> None:
    @gg.custom_vjp
    def scaled(x: Any, w: Any) -> Any:
        return x @ w

    scaled.defvjp(lambda x, w: (scaled(x, w), (x, w)), lambda kept, g: (5.0 * (g @ kept[1].T), np.outer(kept[0], g)))
    f = lambda x, w: gg.scan(lambda c, r: (np.tanh(scaled(c, w) + r), c.sum()), x, W)[0].sum()
    slopes = gg.grad(f, argnums=(0, 1))
    want = one_by_one(slopes, (0, None), X, W)
    agree(gg.vmap(slopes, (0, None))(X, W), want)
    whole = gg.grad(lambda x, w: gg.vmap(f, (0, None))(x, w).sum(), argnums=(0, 1))
    agree(whole(X, W), (want[0], want[1].sum(0)))
    agree(gg.jit(whole)(X, W), (want[0], want[1].sum(0)))


def test_values_of_arguments_that_are_shared_are_there() -> None:
    f = lambda x, n: x * 2 if n > 1 else x
    agree(gg.vmap(f, (0, None))(X, 3), X * 2)
    agree(gg.vmap(f, (0, None))(X, numpy.float64(0.5)), X)


def test_gradients_flow_to_what_is_closed_over() -> None:
    loss = lambda w: gg.vmap(lambda x: np.tanh(x @ w).sum())(X).sum()
    agree(gg.grad(loss)(W), gg.grad(lambda w: np.tanh(X @ w).sum())(W))
    agree(gg.jit(gg.grad(loss))(W), gg.grad(lambda w: np.tanh(X @ w).sum())(W))
    w = gg.variable(W)
    agree(loss(w).backward()[w], gg.grad(loss)(W))


def test_results_come_in_kind_and_own_their_memory() -> None:
    kept = numpy.ones((2, 3))
    same, broadcast = gg.vmap(lambda x: (x, W))(kept)
    assert type(same) is type(broadcast) is numpy.ndarray and same.flags.writeable and broadcast.flags.writeable
    same[:] = 5
    broadcast[0] = 5
    assert kept.max() == 1 and broadcast[1].max() < 5
    assert type(gg.vmap(np.sum)(np.asarray(kept))) is gg.Array
    assert gg.vmap(lambda x: x.sum())(numpy.zeros((0, 3))).shape == (0,)


def test_promotion_is_that_of_an_example() -> None:
    for x in (X.astype(numpy.float32), numpy.arange(4), numpy.array([True, False])):
        for f in (lambda x: x * 2.5, lambda x: x + 1, lambda x: x * numpy.float64(2), lambda x: np.where(x > 0, x, 0)):
            agree(gg.vmap(f)(x), one_by_one(f, (0,), x))


def test_origins_are_the_users_lines() -> None:
    def f(x: Any) -> Any:
        return np.tanh(x @ W)

    nodes = gg.trace(gg.vmap(f), X).nodes
    assert {n.origin.text for n in nodes if n.inputs} == {"return np.tanh(x @ W)"}
    nodes = gg.trace(gg.vmap(gg.grad(lambda x: f(x).sum())), X).nodes
    assert all(n.origin.forward is None or n.origin.forward.shape[:1] == (4,) for n in nodes if n.inputs)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gg.vmap(np.add)(X, Y[:3]), errors.ShapeError, r"\[0\] along axis 0: 4, .*\[1\].*: 3, expected"),
        (lambda: gg.vmap(np.sin, 2)(X), errors.ShapeError, r"argument \[0\] has no axis 2: got shape \(4, 3\)"),
        (lambda: gg.vmap(np.add)(X, 1.0), errors.ShapeError, r"argument \[1\] has no axis 0: got shape \(\)"),
        (lambda: gg.vmap(np.add, (0,))(X, Y), errors.TreeError, "one entry per argument: got 1 for 2"),
        (lambda: gg.vmap(np.sin, None)(X), errors.TreeError, "no argument is batched"),
        (lambda: gg.vmap(np.sin, "0")(X), errors.TreeError, "in_axes holds '0', expected an int or None"),
        (lambda: gg.vmap(lambda p: p["a"], ({"b": 0},))({"a": X}), errors.TreeError, r"structures differ at \[0\]"),
        (lambda: gg.vmap(np.sin, 0, None)(X), errors.ShapeError, "out_axes is None for result, which depends"),
        (lambda: gg.vmap(np.sum, 0, 1)(X), errors.ShapeError, "result has 1 axes with that of the batch"),
        (lambda: gg.vmap(lambda x: (x, x), 0, (0,))(X), errors.TreeError, "out_axes: structures differ"),
        (lambda: gg.vmap(lambda x: x if x[0] > 0 else -x)(X), errors.TracedValueError, "traced Array at test_batch.py"),
        (lambda: gg.vmap(lambda x: numpy.float64(x[0]))(X), errors.TracedValueError, "traced"),
    ],
)  # fmt: skip
def test_mistakes_are_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_an_example_does_not_leave_the_function() -> None:
    left: list[Any] = []
    gg.vmap(lambda x: (left.append(x), x)[1])(X)
    with pytest.raises(errors.TracedValueError, match="an example under vmap, is used outside"):
        np.sin(left[0])


def test_an_op_without_a_rule_is_run_example_by_example() -> None:
    class LargestGap(Opaque):
        private = True
        eval = staticmethod(lambda x, y: numpy.max(numpy.diff(numpy.sort(x))) * y)
        nondifferentiable = "only to be tried"

    gaps = gg.vmap(lambda x, y: apply(LargestGap, (x, y)), (0, None))
    want = numpy.stack([LargestGap.eval(x, 2.0) for x in X])
    agree(gaps(X, 2.0), want)
    program = gg.trace(gaps, X, 2.0)
    assert [n.op for n in program.nodes].count(Scan) == 1
    agree(program(X, 2.0), want)


def test_a_rule_of_the_wrong_shape_is_refused() -> None:
    class Forgetful(Opaque):
        private = True
        eval = staticmethod(lambda x: numpy.sum(x))
        batch = (1,)
        nondifferentiable = "only to be tried"

    with pytest.raises(errors.RuleError, match=r"forgetful: batch returned .*\(\).*expected .*\(4,\)"):
        gg.vmap(lambda x: apply(Forgetful, (x,)))(X)


@st.composite
def programs(draw: Any) -> Program:
    return random_program(lambda n: draw(st.integers(0, n - 1)), draw(st.integers(5, 25)), 60)


@examples(40)
@given(programs(), st.data())
def test_random_programs(program: Program, data: Any) -> None:
    """Values and gradients of a batch of arguments, some of them shared, beside those of each example."""
    f = program.function(wide=True)
    over = [bool(data.draw(st.integers(0, 3))) for _ in program.arguments]
    if not any(over):
        over[0] = True
    shared = program.widened()
    stacks = [several(None, x) if b else x for x, b in zip(shared, over, strict=True)]
    axes = tuple([0 if b else None for b in over])
    each = lambda f, i: [plain(y) for y in f(*[x[i] if b else x for x, b in zip(stacks, over, strict=True)])]
    places = tuple([k for k, x in enumerate(shared) if x.dtype.kind == "f" and over[k]])

    def loss(*xs: Any) -> Any:
        parts = [np.sum(np.sin(y)) for y in f(*xs) if y.dtype.kind == "f"]
        return sum(parts, np.asarray(0.0)) + sum([0.5 * np.sum(xs[k]) for k in places])

    functions: list[Callable[..., Any]] = [f]
    if places:
        functions.append(lambda *xs: list(gg.grad(loss, argnums=places)(*xs)))
    for function in functions:
        got = [plain(y) for y in gg.vmap(function, axes)(*stacks)]
        want = [numpy.stack(rows) for rows in zip(*[each(function, i) for i in range(3)], strict=True)]
        for a, b in zip(got, want, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            size = float(numpy.max(numpy.abs(b[numpy.isfinite(b)]), initial=1.0)) if b.dtype.kind == "f" else 0
            numpy.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * size)


def test_derivatives_by_what_is_shared_end_with_the_function() -> None:
    """Whoever differentiated inside is done: the result is no part of a graph, and comes as an ndarray."""
    slopes = gg.vmap(gg.grad(lambda w, x: np.tanh(w * x).sum()), (None, 0))
    assert type(slopes(Y[0], X)) is numpy.ndarray
    assert not slopes(np.asarray(Y[0]), X).tracked
    w = gg.variable(Y[0])
    second = (slopes(w, X) ** 2).sum().backward()[w]
    want = gg.grad(lambda w: sum((gg.grad(lambda w: np.tanh(w * x).sum())(w) ** 2).sum() for x in X))(Y[0])  # noqa: B023
    agree(second, want)
    constant_inside = gg.vmap(lambda x: gg.grad(lambda w: np.tanh(w * x * (w + 1)).sum())(numpy.ones(3)))
    assert type(constant_inside(X)) is numpy.ndarray
