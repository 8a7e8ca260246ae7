"""NaN and inf found where they are made. The reproductions are those of public threads about NaN gradients."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, special
from glassgrad import numpy as gnp
from glassgrad.errors import NonFiniteError

ZEROS, MIXED = np.zeros(3), np.array([1.0, 0.0, 4.0])


def where_sqrt(x: Any) -> Any:
    root = gnp.sqrt(x)  # here
    return gnp.where(x > 0, root, x, ieee=True).sum()


def where_sqrt_negative(x: Any) -> Any:
    root = gnp.sqrt(x - 1)  # here
    return gnp.where(x > 1, root, 0.0, ieee=True).sum()


def mask_sqrt(x: Any) -> Any:
    root = gnp.sqrt(x)  # here
    return (root * (x > 0)).sum()


def norm(x: Any) -> Any:
    squares = (x**2).sum()
    return gnp.sqrt(squares)  # here


def log_softmax(x: Any) -> Any:
    e = gnp.exp(x)
    p = e / e.sum()
    logs = gnp.log(p)  # here
    return -(np.array([0.0, 1.0]) * logs).sum()


def power(x: Any) -> Any:
    return (x**0.5).sum()  # here


def negative_power(x: Any) -> Any:
    return (x**-2.0).sum()  # here


def arctan2(x: Any) -> Any:
    return gnp.arctan2(x[0], x[1])  # here


def log(x: Any) -> Any:
    return gnp.log(x).sum()  # here


def ratio(x: Any) -> Any:
    return (gnp.sin(x) / x).sum()  # here


def exp(x: Any) -> Any:
    return gnp.exp(x).sum()  # here


def difference(x: Any) -> Any:
    big = gnp.exp(x)  # here
    return (big - 2 * big).sum()


def logistic(x: Any) -> Any:
    e = gnp.exp(-x)  # here
    return (1 / (1 + e)).sum()


def arccos(x: Any) -> Any:
    return gnp.arccos(x).sum()  # here


def square_overflow(x: Any) -> Any:
    return (x * x).sum()  # here


CASES: list[tuple[Any, Any, str, str, tuple[int, ...], str]] = [
    (where_sqrt, MIXED, "sqrt", "backward", (1,), "0·inf: sqrt'(0) under where"),
    (where_sqrt_negative, MIXED, "sqrt", "forward", (1,), "square root of a negative number: sqrt(-1)"),
    (mask_sqrt, MIXED, "sqrt", "backward", (1,), "0·inf: sqrt'(0) under a mask multiplied on"),
    (norm, ZEROS, "sqrt", "backward", (), "1/0: sqrt'(0)"),
    (log_softmax, np.array([0.0, -1000.0]), "log", "forward", (1,), "exp(-1000)"),
    (power, MIXED, "power", "backward", (1,), "1/0"),
    (negative_power, MIXED, "power", "forward", (1,), "division by 0"),
    (arctan2, np.zeros(2), "arctan2", "backward", (), "0/0"),
    (log, MIXED, "log", "forward", (1,), "logarithm of 0: log(0) = -inf"),
    (ratio, MIXED, "div", "forward", (1,), "0/0: 0 / 0 = nan"),
    (exp, np.array([1.0, 1000.0]), "exp", "forward", (1,), "overflow of exp: exp(1000) = inf"),
    (difference, np.array([1.0, 1000.0]), "exp", "forward", (1,), "overflow of exp"),
    (logistic, np.array([1.0, -1000.0]), "exp", "forward", (1,), "overflow of exp: exp(1000) = inf"),
    (arccos, np.array([0.5, 1.0]), "arccos", "backward", (1,), "1/0: arccos'(1)"),
    (square_overflow, np.array([2.0, 1e200]), "mul", "forward", (1,), "overflow of float64"),
]


def line_of(f: Any) -> str:
    lines, first = inspect.getsourcelines(f)
    (offset,) = (k for k, text in enumerate(lines) if text.rstrip().endswith("# here"))
    return f"test_nan.py:{first + offset}"


def check(origin: Any, case: Any) -> None:
    f, _, op, direction, element, words = case
    assert (origin.op, origin.direction, origin.line, origin.element) == (op, direction, line_of(f), element)
    assert words in origin.mechanism
    assert not np.isfinite(origin.value)


@pytest.mark.parametrize("case", CASES, ids=[c[0].__name__ for c in CASES])
class TestReproductions:
    def test_traced(self, case: Any) -> None:
        with pytest.raises(NonFiniteError) as caught, gg.trace_nan():
            gg.grad(case[0])(case[1])
        check(caught.value.origin, case)

    def test_backward_of_variables(self, case: Any) -> None:
        x = gg.variable(case[1])
        with pytest.raises(NonFiniteError) as caught, gg.trace_nan():
            case[0](x).backward()
        check(caught.value.origin, case)

    def test_compiled(self, case: Any) -> None:
        with pytest.raises(NonFiniteError) as caught:
            gg.jit(gg.value_and_grad(case[0]), nan="raise")(case[1])
        check(caught.value.origin, case)


HEALTHY: list[tuple[str, Any, Any]] = [
    ("safe where", lambda x: gnp.where(x > 0, gnp.sqrt(x), x).sum(), np.array([-1.0, 0.0, 4.0])),
    ("norm", gnp.linalg.norm, ZEROS),
    ("standard deviation", gnp.std, ZEROS),
    ("log softmax", lambda x: nn.log_softmax(x)[1], np.array([0.0, -1000.0])),
    ("sigmoid", lambda x: nn.sigmoid(x).sum(), np.array([-1000.0, 1000.0])),
    ("a mask of -inf", lambda x: nn.softmax(gnp.where(MIXED > 0, x, -np.inf))[0], np.ones(3)),
    ("infinity handled", lambda x: gnp.where(gnp.isinf(1 / x), 0.0, 1 / x).sum(), MIXED),
    ("a loop", lambda x: gg.scan(lambda c, t: (gnp.tanh(c + t), c), x[0], x)[0], np.ones(3)),
]


@pytest.mark.parametrize(("name", "f", "x"), HEALTHY, ids=[h[0] for h in HEALTHY])
def test_silence_where_nothing_is_wrong(name: str, f: Any, x: Any) -> None:
    with np.errstate(all="ignore"):
        expected = gg.value_and_grad(f)(x)
    with gg.trace_nan():
        got = gg.value_and_grad(f)(x)
        jitted = gg.jit(gg.value_and_grad(f))(x)
    assert [type(v) for v in jitted] == [type(v) for v in expected]
    for a, b, c in zip(expected, got, jitted, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    gg.jit(gg.value_and_grad(f), nan="raise")(x)


def test_forward_alone_at_the_end_of_the_block() -> None:
    with pytest.raises(NonFiniteError, match="logarithm of 0"), gg.trace_nan():
        y = gnp.log(0.0) + 1
    assert y == -np.inf


def test_how_an_infinity_became_nan() -> None:
    with pytest.raises(NonFiniteError) as caught, gg.trace_nan():
        gg.grad(norm)(ZEROS)
    assert caught.value.origin.then.startswith("then inf·0 in the derivative of power")
    with pytest.raises(NonFiniteError) as caught, gg.trace_nan():
        gg.grad(difference)(np.array([1000.0]))
    assert caught.value.origin.then.startswith("then sub made nan of it")


def test_inside_of_a_loop() -> None:
    def step(c: Any, t: Any) -> Any:
        return gnp.sqrt(c - t), c  # here

    def loop(x: Any) -> Any:
        return gg.scan(step, x, np.array([0.0, 1.0, 2.0]))[0]

    for run in (gg.grad(loop), lambda x: loop(gg.variable(x))):
        with pytest.raises(NonFiniteError) as caught, gg.trace_nan():
            run(4.0)
        origin = caught.value.origin
        assert (origin.op, origin.direction, origin.line) == ("sqrt", "forward", line_of(step))
        assert origin.operands == (-1.0,)  # sqrt(sqrt(sqrt(4) - 1) - 2)


def root(v: Any) -> Any:
    return gnp.sqrt(v)  # here


def rooted(h: Any, v: Any) -> tuple[Any, None]:
    return root(h * v), None


FACTORS = np.array([2.0, 0.0])
# A loop or branch around the derivative of sqrt at 0, and the scope of the step that it is found in
INSIDE: dict[str, tuple[Any, Any, str]] = {
    "scan": (lambda x: gg.scan(rooted, x, FACTORS)[0], 4.0, "scan/step1"),
    "scan, reversed": (lambda x: gg.scan(rooted, x, FACTORS[::-1], reverse=True)[0], 4.0, "scan/step0"),
    "fori_loop": (lambda x: gg.fori_loop(0, 2, lambda i, h: root(h * (1.0 - i)), x), 4.0, "scan/step1"),
    "while_loop": (
        lambda x: gg.while_loop(lambda c: c[1] < 2, lambda c: (root(c[0] - c[0]), c[1] + 1), (x, 0), checkpoints=2)[0],
        4.0,
        "while/round1",
    ),
    "checkpoint": (lambda x: gg.checkpoint(lambda v: root(v) * 2.0)(x), 0.0, ""),
    "cond in vmap": (
        lambda x: gg.vmap(lambda v: gg.cond(v > 1, lambda v: v, lambda v: root(v), v))(x).sum(),
        np.zeros(2),
        "",
    ),
    "scan in vmap": (lambda x: gg.vmap(lambda v: gg.scan(rooted, v, FACTORS)[0])(x).sum(), np.ones(2), "scan/step1"),
    "scan in scan": (
        lambda x: gg.scan(lambda h, _: (gg.scan(rooted, h, FACTORS)[0], None), x, length=1)[0],
        4.0,
        "scan/step0/scan/step1",
    ),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", INSIDE)
def test_the_derivative_inside_of_a_loop(name: str, compiled: bool) -> None:
    f, x, scope = INSIDE[name]
    gradient = gg.jit(gg.grad(f), nan="raise") if compiled else gg.grad(f)
    with pytest.raises(NonFiniteError) as caught, gg.trace_nan():
        gradient(x)
    origin = caught.value.origin
    assert (origin.op, origin.direction, origin.line) == ("sqrt", "backward", line_of(root))
    assert origin.operands == (0.0,) and origin.mechanism.startswith("1/0: sqrt'(0)")
    assert origin.scope == scope


def test_a_loop_that_is_too_long_to_be_opened() -> None:
    def step(c: Any, t: Any) -> Any:
        return gnp.log(c - t), None  # here

    steps = np.zeros(30_000)
    steps[0] = 5.0
    with pytest.raises(NonFiniteError) as caught, gg.trace_nan():
        gg.grad(lambda x: gg.scan(step, x, steps)[0])(4.0)
    assert (caught.value.origin.op, caught.value.origin.line) == ("log", line_of(step))


@pytest.mark.parametrize(
    ("f", "x", "words"),
    [
        (lambda x: gnp.log(nn.sigmoid(x)), -1000.0, "sigmoid(-1000)"),
        (lambda x: (x / gnp.linalg.norm(x)).sum(), np.zeros(3, np.float32), "0/0: 0 / 0 = nan"),
        (lambda x: gnp.exp(x), np.float32(100), "overflow of exp: exp(100) = inf"),
        (gnp.sinh, 1000.0, "overflow of exp: sinh(1000) = inf"),
        (gnp.arctanh, 2.0, "arctanh outside of (-1, 1)"),
        (special.erfinv, 1.0, "erfinv of ±1 is infinite"),
        (special.gammaln, -1.0, "a pole of the gamma function: lgamma(-1) = inf"),
        (lambda x: gnp.mod(1.0 + x, x), 0.0, "remainder of a division by 0"),
        (lambda x: nn.softmax(x).sum(), np.full(2, -np.inf), "exp(-inf) at test_nan.py"),
        (lambda x: gnp.log(gnp.exp(x).sum()), np.full(2, -np.inf), "where everything is masked by -inf"),
        (lambda x: gnp.log(gnp.exp(x).sum()), np.full(2, -1000.0), "exp(-1000) at test_nan.py"),
        (lambda x: (gnp.exp(x) / gnp.exp(x).sum()).sum(), np.full(2, -1000.0), "which underflowed"),
        (lambda x: -(np.array([1.0, 0.0]) * gnp.log(x)).sum(), np.array([1.0, 0.0]), "logarithm of 0: log(0) = -inf"),
        (lambda x: (x / gnp.sqrt((x**2).sum(1, keepdims=True))).sum(), np.zeros((1, 2)), "0/0: 0 / 0 = nan"),
        (lambda x: ((x - x.mean()) / gnp.std(x)).sum(), np.ones(3), "0/0: 0 / 0 = nan"),
        (lambda x: gnp.sqrt(gnp.var(x)), np.ones(3), "1/0: sqrt'(0)"),
        (lambda x: gnp.arccos(x).sum(), np.array([0.5, 1.0]), "1/0: arccos'(1)"),
        (lambda x: gnp.mean(x), np.array([1e308, 1e308]), "overflow of float64: sum"),
        (lambda x: gnp.einsum("i,i->", x, x), np.array([1e200]), "overflow of float64: einsum"),
        (lambda x: gnp.sqrt(((x[:, None] - x) ** 2).sum()), np.ones(2), "1/0: sqrt'(0)"),
    ],
)
def test_other_mechanisms(f: Any, x: Any, words: str) -> None:
    with pytest.raises(NonFiniteError) as caught, gg.trace_nan():
        gg.grad(f)(x)
    assert words in caught.value.origin.mechanism


def test_scope_and_message() -> None:
    def f(x: Any) -> Any:
        with gg.scope("encoder"):
            return gnp.log(x)

    with pytest.raises(NonFiniteError) as caught, gg.trace_nan():
        gg.grad(f)(0.0)
    assert caught.value.origin.scope == "encoder"
    text = str(caught.value)
    assert "in encoder" in text and "return gnp.log(x)" in text and "fix: " in text


def test_what_is_given_is_not_what_is_made() -> None:
    with gg.trace_nan():
        assert np.isinf(gnp.exp(gg.variable(np.inf)).value)


def test_a_nan_that_was_given_is_found_where_it_enters() -> None:
    def f(x: Any) -> Any:
        y = x * 2  # here
        return y.sum()

    for run in (gg.grad(f), gg.jit(f, nan="raise")):
        with (
            pytest.raises(NonFiniteError, match="given: operand 0 already holds nan, element") as caught,
            gg.trace_nan(),
        ):
            run(np.array([1.0, np.nan]))
        assert caught.value.origin.line == line_of(f) and caught.value.origin.element == (1,)


def test_second_derivatives() -> None:
    with pytest.raises(NonFiniteError) as caught, gg.trace_nan():
        gg.grad(gg.grad(lambda x: x**1.5))(0.0)
    assert caught.value.origin.op in ("power", "mul")


def test_nothing_is_left_behind() -> None:
    with pytest.raises(ZeroDivisionError), gg.trace_nan():
        raise ZeroDivisionError
    with np.errstate(all="ignore"):
        assert gg.grad(gnp.sqrt)(0.0) == np.inf
    with pytest.raises(ValueError, match="nan must be None or 'raise'"):
        gg.jit(norm, nan="warn")


def test_donated_arguments_survive_for_the_replay() -> None:
    step = gg.jit(lambda w: w - gg.grad(norm)(w), donate=0, nan="raise")
    w = np.ones(3)
    step(w)
    np.testing.assert_array_equal(w, np.ones(3))
    with pytest.raises(NonFiniteError, match="sqrt"):
        step(ZEROS)


def test_every_call_is_looked_at() -> None:
    f = gg.jit(lambda x: gnp.log(x), nan="raise")
    for _ in range(3):
        assert f(1.0) == 0
    with pytest.raises(NonFiniteError):
        f(0.0)


def test_other_threads_are_not_watched() -> None:
    import threading

    found: list[Any] = []

    def elsewhere() -> None:
        with np.errstate(all="ignore"):
            found.append(gg.grad(norm)(ZEROS))

    with gg.trace_nan():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert np.isnan(found[0]).all()


def test_static_arguments_are_replayed() -> None:
    f = gg.jit(lambda x, n, kind: gnp.log(x) * n if kind == "log" else x, static=("n", "kind"), nan="raise")
    assert f(1.0, 2, kind="log") == 0
    with pytest.raises(NonFiniteError, match="logarithm of 0"):
        f(0.0, 2, kind="log")


@pytest.mark.parametrize(
    ("f", "x", "op"),
    [
        (lambda x: 1 / x, 0.0, "div"),
        (lambda x: 1 / x, 0, "div"),
        (lambda x: 2.0**x, 5000.0, "power"),
        (lambda x: x**0.5, -1.0, "power"),
        (lambda x: np.log(x), 0.0, "log"),
        (lambda x: x * 1e308 * 10, 1.0, "mul"),
        (lambda p: 1 / p["w"], {"w": 0.0}, "div"),
        (lambda x: np.float32(3e38) * (x * 10), 1.0, "mul"),  # a Python number takes the dtype it meets
        (lambda x: gg.grad(lambda y: gnp.sqrt(y))(x), 0.0, "sqrt"),
    ],
)
def test_python_numbers_are_replayed(f: Any, x: Any, op: str) -> None:
    with pytest.raises(NonFiniteError) as caught:
        gg.jit(f, nan="raise")(x)
    assert caught.value.origin.op == op and caught.value.origin.line.startswith("test_nan.py:")


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x,
        lambda x: np.float32(2) * (x * 10 + 1),
        lambda x: gg.grad(lambda y: y**2 * 1.0)(x * 1.0),
        lambda x: x > 1,
        lambda x: gg.scan(lambda c, t: (c * t, None), x, np.ones(3, np.float32))[0],
    ],
)
def test_a_replay_of_python_numbers_is_what_the_program_gives(f: Any) -> None:
    for number in (2.5, 2):
        expected = gg.jit(f)(number)
        with gg.trace_nan():
            got = gg.jit(f)(number)
        assert type(got) is type(expected) and got == expected


def falling(x: Any) -> Any:
    return gg.while_loop(lambda s: s > -1, lambda s: gnp.sqrt(s - 2), x)  # here


@pytest.mark.parametrize(
    "f",
    [falling, lambda x: falling(x) + 1.0, lambda x: falling(gg.variable(x)), gg.jit(falling, nan="raise")],
)
@pytest.mark.parametrize("x", [10.0, np.float64(10), gnp.asarray(10.0)], ids=["float", "float64", "Array"])
def test_a_while_loop_whose_condition_looks_at_the_nan(f: Any, x: Any) -> None:
    with pytest.raises(NonFiniteError, match="square root of a negative number") as caught, gg.trace_nan():
        f(x)
    assert (caught.value.origin.op, caught.value.origin.line) == ("sqrt", line_of(falling))


def test_a_nan_of_another_element_is_not_made_of_the_infinity() -> None:
    for f in (
        lambda: gnp.log(np.array([1.0, 0.0, -1.0])),
        lambda: gnp.log(gnp.exp(np.array([1000.0, 1.0])) - 3.0),
        lambda: gnp.log(gnp.asarray(0.0)) + gnp.sqrt(gnp.asarray(-1.0)),
    ):
        with pytest.raises(NonFiniteError) as caught, gg.trace_nan():
            f()
        assert caught.value.origin.then == ""
    with pytest.raises(NonFiniteError, match="then mul made nan of it"), gg.trace_nan():
        gnp.log(gnp.asarray(0.0)) * 0.0
