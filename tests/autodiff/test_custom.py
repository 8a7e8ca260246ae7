"""custom_vjp: rules given by the user, first and higher order, traced, and broken ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import errors
from glassgrad.ops import elementwise as ew


def log1pexp(factor: float = 1.0) -> Any:
    @gg.custom_vjp
    def f(x: Any) -> Any:
        return ew.log(1.0 + ew.exp(x))

    f.defvjp(lambda x: (f(x), x), lambda x, g: (factor * g * (1.0 - 1.0 / (1.0 + ew.exp(x))),))
    return f


def test_the_rule_is_used_and_differentiates_again() -> None:
    x = np.array([-1.0, 0.5, 2.0])
    assert gg.check_grads(log1pexp(), (x,), order=3).compared == 18
    assert float(gg.grad(log1pexp(2.0))(0.0)) == 1.0  # twice the truth: the user's word counts


def test_a_rule_wrong_by_a_thousandth_is_found() -> None:
    with pytest.raises(errors.GradientCheckError, match=r"argument \[0\], element \[1\].*tolerance"):
        gg.check_grads(log1pexp(1.001), (np.array([0.3, 1.0]),), order=1, modes=["rev"])
    with pytest.raises(errors.GradientCheckError, match="fwd"):
        gg.check_grads(log1pexp(1.001), (np.array([0.3, 1.0]),), order=1, modes=["fwd"])


def test_traced() -> None:
    f = log1pexp()
    program = gg.trace(gg.grad(lambda x: f(x).sum()), np.ones(2))
    np.testing.assert_allclose(np.asarray(program(np.zeros(2))), [0.5, 0.5])


def test_several_arguments_results_and_static_ones() -> None:
    @gg.custom_vjp
    def f(x: Any, n: int, p: Any) -> Any:
        return {"a": x * n, "b": x * p["q"]}

    def backward(kept: Any, g: Any) -> Any:
        x, n, p = kept
        return (g["a"] * n + g["b"] * p["q"], None, {"q": g["b"] * x})

    f.defvjp(lambda x, n, p: (f(x, n, p), (x, n, p)), backward)
    rng = np.random.default_rng(0)
    gg.check_grads(lambda x, p: f(x, 3, p), (rng.normal(size=3), {"q": rng.normal(size=3)}))


def test_the_residual_may_be_the_value_itself() -> None:
    @gg.custom_vjp
    def exponential(x: Any) -> Any:
        return ew.exp(x)

    def forward(x: Any) -> Any:
        y = exponential(x)
        return y, y

    exponential.defvjp(forward, lambda y, g: (g * y,))
    gg.check_grads(exponential, (np.array([0.1, 1.0]),), order=3)


def test_broken_rules_are_named() -> None:
    @gg.custom_vjp
    def f(x: Any, y: Any) -> Any:
        return x * y

    with pytest.raises(errors.RuleError, match="defvjp"):
        gg.grad(f)(1.0, 2.0)
    f.defvjp(lambda x, y: (x * y, None), lambda kept, g: (g,))
    with pytest.raises(errors.RuleError, match="got 1, expected 2"):
        gg.grad(f)(1.0, 2.0)
    f.defvjp(lambda x, y: x * y, lambda kept, g: (g, g))
    with pytest.raises(errors.RuleError, match=r"\(value, residuals\)"):
        gg.grad(f)(1.0, 2.0)
    f.defvjp(lambda x, y: (x * y, None), lambda kept, g: (np.ones(5), g))
    with pytest.raises(errors.RuleError, match=r"\(5,\), expected \(\)"):
        gg.grad(f)(1.0, 2.0)


def test_keywords_and_methods_use_the_rule_too() -> None:
    @gg.custom_vjp
    def f(a: Any, b: Any = 2.0) -> Any:
        return a * b

    f.defvjp(lambda a, b: (f(a, b), (a, b)), lambda kept, g: (100.0 * g * kept[1], 100.0 * g * kept[0]))
    assert gg.grad(lambda x: f(x, x))(3.0) == 600.0
    assert gg.grad(lambda x: f(a=x, b=x))(3.0) == 600.0
    assert gg.grad(lambda x: f(x, b=x))(3.0) == 600.0
    assert gg.grad(f)(3.0) == 200.0

    class Model:
        @gg.custom_vjp
        def double(self, x: Any) -> Any:
            return 2.0 * x

    Model.double.defvjp(lambda self, x: (2.0 * x, None), lambda kept, g: (None, 7.0 * g))
    assert gg.grad(Model().double)(3.0) == 7.0

    @gg.custom_vjp
    def keyword_only(*, x: Any) -> Any:
        return x

    keyword_only.defvjp(lambda x: (x, None), lambda kept, g: (g,))
    with pytest.raises(errors.RuleError, match="by position"):
        gg.grad(lambda x: keyword_only(x=x))(1.0)


def test_a_differentiated_value_closed_over_is_refused() -> None:
    def outer(y: Any) -> Any:
        @gg.custom_vjp
        def h(x: Any) -> Any:
            return x * y

        h.defvjp(lambda x: (h(x), None), lambda kept, g: (g * y,))
        return h(2.0 * y)

    with pytest.raises(errors.RuleError, match="not an argument.*pass it"):
        gg.grad(outer)(3.0)

    def with_an_inner_derivative(y: Any) -> Any:
        @gg.custom_vjp
        def h(x: Any) -> Any:
            return gg.grad(lambda t: t * t * x)(1.0)

        h.defvjp(lambda x: (gg.grad(lambda t: t * t * x)(1.0), None), lambda kept, g: (2.0 * g,))
        return h(2.0 * y)

    assert gg.grad(with_an_inner_derivative)(3.0) == 4.0


def test_under_where_a_discarded_element_stays_discarded() -> None:
    @gg.custom_vjp
    def log(x: Any) -> Any:
        return ew.log(x)

    log.defvjp(lambda x: (ew.log(x), x), lambda x, g: (g / x,))
    x = np.array([-1.0, 0.0, 2.0, 4.0])
    with np.errstate(all="ignore"):
        for inner, slopes in [
            (lambda x: log(x), [-2.0, 0.0, 0.5, 0.25]),
            (lambda x: log(x * x), [-2.0, 0.0, 1.0, 0.5]),
        ]:
            f = lambda x: gg.numpy.where(x > 0, inner(x), x**2).sum()  # noqa: B023
            np.testing.assert_allclose(gg.grad(f)(x), slopes)
        f = lambda x: gg.numpy.where(x > 0, log(x), x**2).sum()
        second = gg.grad(lambda x: gg.grad(f)(x).sum())(x)
    np.testing.assert_allclose(second, [2.0, 2.0, -0.25, -0.0625])


def softened(factor: float = 1.0) -> Any:
    """|x|, whose derivative is given by hand, as that of sqrt(x² + 0.01)."""

    @gg.custom_jvp
    def f(x: Any, y: Any) -> Any:
        return ew.sqrt(x * x + 0.01) * y

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x, y), (tx, ty) = primals, tangents
        return f(x, y), factor * tx * y * x / ew.sqrt(x * x + 0.01) + ty * ew.sqrt(x * x + 0.01)

    return f


def test_a_forward_rule_serves_both_modes_to_any_order() -> None:
    x, y = np.array([-1.0, 0.5, 2.0]), np.array([0.3, 1.0, -2.0])
    assert gg.check_grads(softened(), (x, y), order=3).compared == 36
    with pytest.raises(errors.GradientCheckError, match="fwd"):
        gg.check_grads(softened(1.001), (x, y), order=1, modes=["fwd"])
    with pytest.raises(errors.GradientCheckError, match="rev"):
        gg.check_grads(softened(1.001), (x, y), order=1, modes=["rev"])


def test_a_forward_rule_traced_batched_and_compiled() -> None:
    f, x, y = softened(), np.array([-1.0, 0.5, 2.0]), np.array([0.3, 1.0, -2.0])
    exact = y * x / np.sqrt(x * x + 0.01)
    slope = gg.grad(lambda x, y: f(x, y))
    np.testing.assert_allclose(gg.vmap(slope)(x, y), exact)
    np.testing.assert_allclose(gg.jit(gg.vmap(slope))(x, y), exact)
    np.testing.assert_allclose(gg.jit(gg.jacfwd(f))(x, y), np.diag(exact))
    np.testing.assert_allclose(gg.hessian(lambda x: f(x, y).sum())(x).diagonal(), y * 0.01 / (x * x + 0.01) ** 1.5)


def test_one_forward_rule_per_argument_and_trees() -> None:
    @gg.custom_jvp
    def f(p: Any, q: Any, n: int) -> Any:
        return {"a": p["w"] * q, "b": q * n}

    f.defjvps(
        lambda t, y, p, q, n: {"a": t["w"] * q, "b": q * 0.0},
        lambda t, y, p, q, n: {"a": p["w"] * t, "b": 2.0 * t * n},
        None,
    )
    found = gg.jacobian(f, argnums=(0, 1))({"w": 3.0}, 2.0, 5)
    assert (found["a"][0]["w"], found["a"][1], found["b"][0]["w"], found["b"][1]) == (2.0, 3.0, 0.0, 10.0)
    value, tangent = gg.jvp(lambda q: f({"w": 3.0}, q, 5), (2.0,), (1.0,))
    assert (float(value["b"]), float(tangent["b"])) == (10.0, 10.0)


def test_a_forward_rule_that_is_missing_or_does_not_fit() -> None:
    @gg.custom_jvp
    def f(x: Any) -> Any:
        return x * 2.0

    with pytest.raises(errors.RuleError, match="f: custom_jvp without a rule"):
        gg.grad(f)(1.0)
    f.defjvp(lambda primals, tangents: tangents[0])
    with pytest.raises(errors.RuleError, match="must return \\(value, tangent\\)"):
        gg.grad(f)(1.0)
    f.defjvp(lambda primals, tangents: (primals[0], (tangents[0], tangents[0])))
    with pytest.raises(errors.RuleError, match="another structure or shape"):
        gg.grad(f)(1.0)
    outer = 3.0

    @gg.custom_jvp
    def g(x: Any) -> Any:
        return x * outer

    g.defjvp(lambda primals, tangents: (g(*primals), tangents[0] * 3.0))
    assert float(gg.grad(g)(1.0)) == 3.0


NONLINEAR = {
    "square": lambda p, t: (p[0] ** 2, t[0] ** 2),
    "absolute": lambda p, t: (p[0] ** 2, abs(t[0])),
    "cube": lambda p, t: (p[0] ** 2, t[0] ** 3),
    "constant": lambda p, t: (p[0] ** 2, 2.0 * p[0] * t[0] + 1.0),
    "half": lambda p, t: (p[0] ** 2, gg.numpy.maximum(t[0], 0.0)),
}


@pytest.mark.parametrize("kind", NONLINEAR)
def test_a_forward_rule_that_is_not_linear_is_refused(kind: str) -> None:
    for use in (gg.grad, lambda h: lambda x: gg.jvp(h, (x,), (1.0,)), lambda h: gg.jit(gg.grad(h))):
        h = gg.custom_jvp(lambda a: a**2)
        h.defjvp(NONLINEAR[kind])
        with pytest.raises(errors.RuleError, match="must be linear in the tangents"):
            use(h)(1.5)
        with pytest.raises(errors.RuleError, match="must be linear in the tangents"):  # the second time too
            use(h)(1.5)
    h.defjvp(lambda p, t: (p[0] ** 2, 2.0 * p[0] * t[0]))
    assert gg.grad(h)(1.5) == gg.jit(gg.grad(h))(1.5) == 3.0


def test_a_linear_forward_rule_may_be_singular_or_look_at_values() -> None:
    h = gg.custom_jvp(lambda a, n: a**0.5 * n)
    h.defjvp(lambda p, t: (h(*p), t[0] * 0.5 / p[0] ** 0.5 * p[1] if float(p[0]) >= 0 else t[0]))
    assert gg.grad(h)(0.0, 3) == np.inf
    assert gg.grad(h)(4.0, 3) == 0.75
