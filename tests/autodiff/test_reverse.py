"""grad, value_and_grad, vjp: nesting, trees, kinds, and what they refuse."""

from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der, rosen_hess

import glassgrad as gg
from glassgrad import errors
from glassgrad.ops import composite, contraction, control, logic, reduction, view
from glassgrad.ops import elementwise as ew


def rosenbrock(x: Any) -> Any:
    return reduction.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def test_gradient_and_hessian_of_rosenbrock_are_scipys() -> None:
    x = np.random.default_rng(0).normal(size=7)
    value, slope = gg.value_and_grad(rosenbrock)(x)
    assert value == pytest.approx(rosen(x))
    np.testing.assert_allclose(slope, rosen_der(x), rtol=1e-12)
    rows = [gg.grad(lambda x, i=i: gg.grad(rosenbrock)(x)[i])(x) for i in range(7)]
    np.testing.assert_allclose(rows, rosen_hess(x), rtol=1e-11, atol=1e-9)


def test_derivatives_of_any_order() -> None:
    f = ew.sin
    for k in range(8):
        expected = [math.sin, math.cos, lambda x: -math.sin(x), lambda x: -math.cos(x)][k % 4](0.7)
        assert float(f(0.7)) == pytest.approx(expected, rel=1e-12)
        f = gg.grad(f)


def test_nested_derivatives_do_not_confuse_their_variables() -> None:
    # d/dx [x · d/dy (x + y)] = d/dx [x · 1] = 1, not 2 (Siskind & Pearlmutter's perturbation confusion)
    assert gg.grad(lambda x: x * gg.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert gg.grad(lambda x: x * gg.grad(lambda y: x * y)(2.0))(3.0) == 6.0
    assert gg.grad(lambda x: gg.grad(lambda x: x * x)(x) * x)(3.0) == 12.0
    assert gg.jvp(lambda x: x * gg.jvp(lambda y: x * y, (2.0,), (1.0,))[1], (3.0,), (1.0,))[1] == 6.0
    assert gg.jvp(lambda x: gg.grad(lambda y: y**3 * x)(x), (2.0,), (1.0,))[1] == pytest.approx(9 * 4.0)


def test_a_finished_inner_derivative_leaves_nothing_live() -> None:
    """The inner variable is a constant to the outer derivative, which therefore comes back as a plain number."""
    for inner in (
        lambda x: gg.grad(lambda y: ew.sin(x) * y * y)(0.7),
        lambda x: gg.vjp(lambda y: ew.sin(x) * y * y, 0.7)[1](1.0)[0],
        lambda x: gg.jvp(lambda y: ew.sin(x) * y * y, (0.7,), (1.0,))[1],
    ):
        slope = gg.grad(inner)(0.3)
        assert type(slope) is np.float64 and slope == pytest.approx(1.4 * math.cos(0.3))
        gg.check_grads(inner, (0.3,), order=3)


def test_the_value_beside_an_inner_derivative_keeps_its_dependence() -> None:
    assert gg.grad(lambda x: gg.vjp(lambda y: ew.sin(x) * y, 0.7)[0])(0.3) == pytest.approx(0.7 * math.cos(0.3))
    assert gg.grad(lambda x: gg.jvp(lambda y: ew.sin(x) * y, (0.7,), (1.0,))[0])(0.3) == pytest.approx(
        0.7 * math.cos(0.3)
    )
    assert gg.grad(lambda x: gg.value_and_grad(lambda y: ew.sin(x) * y)(0.7)[0])(0.3) == pytest.approx(
        0.7 * math.cos(0.3)
    )


def test_a_pullback_used_inside_another_derivative() -> None:
    def f(x: Any) -> Any:
        _, pullback = gg.vjp(lambda t: t**3, x)
        return gg.grad(lambda s: pullback(s)[0] * s)(2.0)

    assert gg.grad(f)(3.0) == 72.0


def test_an_error_inside_leaves_nothing_live() -> None:
    from glassgrad.autodiff.vjp import live

    with pytest.raises(ZeroDivisionError):
        gg.grad(lambda x: 1 / 0)(1.0)
    assert not live


def test_nor_when_traced() -> None:
    def value(f: Any, *args: Any) -> Any:
        return [float(np.asarray(v)) for v in gg.tree.leaves(gg.trace(f, *args)(*args))]

    assert value(lambda x: gg.grad(lambda a, b: a * b * b, (0, 1))(x, x), 3.0) == [9.0, 18.0]
    assert value(lambda x: gg.grad(lambda y: gg.grad(lambda z: z * y * y)(x))(x), 3.0) == [6.0]
    assert value(lambda x: gg.grad(lambda y: y * gg.stop_gradient(x))(gg.stop_gradient(x)), 3.0) == [3.0]


def test_an_inner_gradient_by_a_constant_still_depends_on_the_outer_variable() -> None:
    assert gg.grad(lambda z: gg.grad(lambda y: y * y * z)(3.0))(5.0) == 6.0


def test_argnums() -> None:
    def f(a: Any, b: Any, c: Any) -> Any:
        return a * b + b * c

    assert gg.grad(f, 1)(2.0, 3.0, 4.0) == 6.0
    assert gg.grad(f, (0, -1))(2.0, 3.0, 4.0) == (3.0, 3.0)
    assert isinstance(gg.grad(f, (0,))(2.0, 3.0, 4.0), tuple)
    with pytest.raises(TypeError, match="argnums=5"):
        gg.grad(f, 5)(2.0, 3.0, 4.0)


def test_has_aux_comes_back_without_its_graph() -> None:
    gradient, aux = gg.grad(lambda x: (x**2, {"twice": 2.0 * x, "label": "ok"}), has_aux=True)(3.0)
    assert gradient == 6.0 and aux["twice"] == 6.0 and aux["label"] == "ok"
    assert not isinstance(aux["twice"], gg.Array)
    (value, aux), gradient = gg.value_and_grad(lambda x: (x**2, x), has_aux=True)(3.0)
    assert (value, aux, gradient) == (9.0, 3.0, 6.0)
    with pytest.raises(TypeError, match=r"\(value, aux\)"):
        gg.grad(lambda x: x, has_aux=True)(1.0)


Point = namedtuple("Point", "x y")


@dataclass(frozen=True)
class Layer:
    weight: Any
    bias: Any
    activation: str = field(default="tanh", metadata={"static": True})


def test_every_container_comes_back_as_it_was() -> None:
    argument = {
        "list": [1.0, np.array([2.0, 3.0])],
        "point": Point(4.0, (5.0,)),
        "layer": Layer(np.ones((2, 2)), None),
        "nothing": None,
        "steps": 7,
        "name": "model",
    }

    def f(p: Any) -> Any:
        assert p["steps"] == 7 and p["name"] == "model" and p["layer"].activation == "tanh"
        return (
            p["list"][0] ** 2
            + reduction.sum(p["list"][1] * 3.0)
            + p["point"].x * p["point"].y[0]
            + reduction.sum(p["layer"].weight)
        )

    g = gg.grad(f)(argument)
    assert g["list"][0] == 2.0 and isinstance(g["point"], Point) and g["point"] == Point(5.0, (4.0,))
    np.testing.assert_array_equal(g["list"][1], [3.0, 3.0])
    assert isinstance(g["layer"], Layer) and g["layer"].bias is None
    np.testing.assert_array_equal(g["layer"].weight, np.ones((2, 2)))
    assert g["nothing"] is None and g["steps"] is None and g["name"] is None
    assert list(g) == list(argument)


def test_gradients_come_back_in_kind() -> None:
    x = np.array([1.0, 2.0], np.float32)
    g = gg.grad(lambda x: (x * x).sum())(x)
    assert type(g) is np.ndarray and g.dtype == np.float32
    value, g = gg.value_and_grad(lambda x: (x * x).sum())(gg.numpy.array(x))
    assert isinstance(value, gg.Array) and isinstance(g, gg.Array) and not g.tracked
    assert type(gg.grad(lambda x: x * x)(2.0)) is np.float64


def test_keyword_arguments_are_passed_on() -> None:
    assert gg.grad(lambda x, *, scale: scale * x**2)(3.0, scale=2.0) == 12.0


def test_an_unused_argument_has_gradient_zero() -> None:
    np.testing.assert_array_equal(gg.grad(lambda a, b: a, 1 - 1)(1.0, np.ones(2)), 1.0)
    g = gg.grad(lambda p: p["used"] * 2.0)({"used": 1.0, "unused": np.ones(2)})
    np.testing.assert_array_equal(g["unused"], np.zeros(2))


def test_a_value_that_depends_on_nothing_warns() -> None:
    with pytest.warns(errors.IndependentOutputWarning, match="does not depend"):
        assert gg.grad(lambda x: 1.0)(2.0) == 0.0
    with pytest.warns(errors.IndependentOutputWarning):
        assert gg.grad(lambda x: gg.stop_gradient(x) * 2.0)(2.0) == 0.0


def test_a_constant_derivative_is_no_reason_to_warn() -> None:
    assert gg.grad(gg.grad(lambda x: 3.0 * x))(2.0) == 0.0
    assert gg.grad(gg.grad(gg.grad(lambda x: x * x)))(2.0) == 0.0


@pytest.mark.parametrize("size_one", [np.ones(1), np.ones((1, 1))])
def test_a_value_with_one_element_is_a_scalar(size_one: Any) -> None:
    np.testing.assert_array_equal(gg.grad(lambda x: x * 3.0)(size_one), 3.0 * size_one)


@pytest.mark.parametrize(
    ("function", "argument", "error", "message"),
    [
        (lambda x: x * 2.0, np.ones(3), errors.NotScalarError, r"shape \(3,\).*\.sum\(\)"),
        (lambda x: x * x, 3, errors.DtypeError, r"int.*write 3\.0 for 3"),
        (lambda x: x, np.arange(3), errors.DtypeError, r"int64.*astype\(float\)"),
        (lambda x: x, "text", errors.DtypeError, "str"),
        (lambda x: x, None, errors.DtypeError, "got None"),
        (lambda x: x, object(), errors.DtypeError, "object.*dataclasses"),
        (lambda x: x, {1.0, 2.0}, errors.DtypeError, "set"),
        (lambda x: x, {}, errors.DtypeError, "empty dict"),
        (lambda x: x > 0, 1.0, errors.NonDifferentiableError, "true or false"),
        (lambda x: reduction.argmax(x), np.ones(3), errors.NonDifferentiableError, "position"),
        (lambda x: x * 1j, 1.0, errors.NonDifferentiableError, "complex.*holomorphic"),
        (lambda x: True, 1.0, errors.NonDifferentiableError, "True"),
        (lambda x: None, 1.0, errors.NotScalarError, "NoneType"),
        (lambda x: (x, x), 1.0, errors.NotScalarError, "has_aux"),
        (lambda x: float(x), 1.0, errors.TracedValueError, r"float\(\).*glassgrad.numpy"),
        (lambda x: math.exp(x), 1.0, errors.TracedValueError, "silently carry no gradient"),
        (lambda x: np.asarray(x).sum(), np.ones(2), errors.TracedValueError, "asarray"),
        (lambda x: x @ np.ones((3, 2)), np.ones(2), errors.ShapeError, "inner sizes differ"),
        (lambda x: x + np.ones(3), np.ones(2), errors.ShapeError, r"\(2,\) and \(3,\)"),
    ],
)
def test_a_mistake_is_named_with_its_fix(function: Any, argument: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gg.grad(function)(argument)


def test_the_message_names_the_users_line() -> None:
    with pytest.raises(errors.ShapeError, match=r"test_reverse\.py:\d+"):
        gg.grad(lambda w: (np.ones((32, 784)) @ w).sum())(np.ones((512, 784)))
    with pytest.raises(errors.ShapeError, match=r"did you mean b\.T"):
        gg.grad(lambda w: (np.ones((32, 784)) @ w).sum())(np.ones((512, 784)))


def test_writing_into_an_ndarray_is_refused_with_our_words() -> None:
    def f(x: Any) -> Any:
        a = np.zeros(3)
        a[0] = x[0]
        return a.sum()

    for derivative in (lambda: gg.grad(f)(np.ones(3)), lambda: gg.jvp(f, (np.ones(3),), (np.ones(3),))):
        with pytest.raises(errors.TracedValueError, match="silently carry no gradient"):
            derivative()
    with pytest.raises(errors.DtypeError, match="masked array"):
        gg.grad(lambda x: x.sum())(np.ma.array([1.0, 2.0], mask=[0, 1]))


def test_assignment_names_at() -> None:
    def f(x: Any) -> Any:
        x[0] = 1.0
        return x

    with pytest.raises(TypeError, match=r"x\.at\[\.\.\.\]\.set"):
        gg.grad(f)(np.ones(2))


def test_vjp_is_the_jacobian_transposed() -> None:
    a = np.random.default_rng(0).normal(size=(3, 4))
    y, pullback = gg.vjp(lambda x: a @ x, np.ones(4))
    np.testing.assert_allclose(y, a.sum(1))
    for i in range(3):
        np.testing.assert_allclose(pullback(np.eye(3)[i])[0], a[i])
    with pytest.raises(errors.ShapeError, match=r"\(4,\), expected \(3,\)"):
        pullback(np.ones(4))


def test_vjp_of_trees() -> None:
    value, pullback = gg.vjp(lambda p, q: {"s": p["a"] * q, "t": (p["b"],)}, {"a": 2.0, "b": 3.0}, 5.0)
    assert value == {"s": 10.0, "t": (3.0,)}
    assert pullback({"s": 1.0, "t": (7.0,)}) == ({"a": 5.0, "b": 7.0}, 2.0)


def test_a_chain_of_100_000_operations_does_not_overflow_the_stack() -> None:
    def chain(x: Any) -> Any:
        for _ in range(100_000):
            x = x * 1.00001
        return x

    assert gg.grad(chain)(1.0) == pytest.approx(1.00001**100_000, rel=1e-9)
    assert gg.jvp(chain, (1.0,), (1.0,))[1] == pytest.approx(1.00001**100_000, rel=1e-9)


def test_a_traced_chain_of_20_000_operations() -> None:
    def chain(x: Any) -> Any:
        for k in range(20_000):
            x = ew.sin(x) + float(k)
        return x

    program = gg.trace(gg.grad(chain), 1.0)
    assert float(program(1.0)) == pytest.approx(float(gg.grad(chain)(1.0)), rel=1e-12)


def test_overlapping_work_is_done_once() -> None:
    """Doubling n times has 2^n paths from output to input; the backward pass visits n nodes."""
    visits = []

    @gg.custom_vjp
    def same(x: Any) -> Any:
        return x * 1.0

    def backward(_: Any, g: Any) -> Any:
        visits.append(1)
        return (g,)

    same.defvjp(lambda x: (x * 1.0, None), backward)

    def f(x: Any) -> Any:
        for _ in range(30):
            x = same(x)
            x = x + x
        return x

    assert gg.grad(f)(1.0) == 2.0**30
    assert len(visits) == 30


def test_gradient_by_named_intermediates() -> None:
    def loss(x: Any) -> Any:
        h = gg.name(x * 3.0, "h")
        k = gg.name(ew.exp(h), "k")
        return k * k

    g = gg.named_grads(loss, 0.1)
    assert g["k"] == pytest.approx(2 * math.exp(0.3))
    assert g["h"] == pytest.approx(2 * math.exp(0.6))


def test_complex_gradients_point_uphill() -> None:
    """∂L/∂Re + i ∂L/∂Im, PyTorch's convention: for |z|² it is 2z."""
    z = 1.0 + 2.0j
    assert gg.grad(lambda z: ew.real(z * ew.conj(z)))(z) == 2 * z
    assert gg.grad(lambda z: ew.absolute(z) ** 2)(z) == pytest.approx(2 * z)
    assert gg.grad(lambda z: ew.real(z))(z) == 1.0
    assert gg.grad(lambda z: ew.imag(z))(z) == 1.0j
    assert gg.grad(lambda z: z**3, holomorphic=True)(z) == pytest.approx(3 * z**2)
    assert gg.grad(gg.grad(lambda z: z**3, holomorphic=True), holomorphic=True)(z) == pytest.approx(6 * z)


def test_complex_gradients_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    z = rng.normal(size=4) + 1j * rng.normal(size=4)
    t = torch.tensor(z, requires_grad=True)
    (torch.exp(t) * torch.conj(t)).abs().sum().backward()
    np.testing.assert_allclose(
        gg.grad(lambda z: ew.absolute(ew.exp(z) * ew.conj(z)).sum())(z), t.grad.numpy(), rtol=1e-10
    )


class TestWhere:
    """What a mask discards contributes nothing, however the discarded part was computed."""

    x = np.array([0.0, 1.0, 4.0, 0.0])

    @pytest.mark.parametrize(
        "risky",
        [
            ew.sqrt,
            ew.log,
            lambda x: 1.0 / x,
            lambda x: x**0.5 * ew.log(x),
            lambda x: reduction.sum(ew.sqrt(x[:, None]) * np.ones((4, 3)), 1),
            lambda x: view.reshape(view.transpose(ew.sqrt(view.reshape(x, (2, 2)))), (4,))[np.array([0, 2, 1, 3])],
            lambda x: reduction.prod(view.stack([ew.sqrt(x), x + 1.0]), 0),
            lambda x: reduction.max(view.stack([ew.sqrt(x) + 9.0, x]), 0),
            lambda x: contraction.matmul(ew.sqrt(x)[:, None], np.ones((1, 1)))[:, 0],
            lambda x: contraction.matmul(ew.sqrt(x)[:, None] * np.ones((4, 3)), np.ones(3)),
            lambda x: contraction.matmul(np.ones(3), np.ones((3, 1)) * ew.sqrt(x)),
            lambda x: composite.logsumexp(view.stack([ew.log(x), x]), 0),
            lambda x: logic.where(x < 2.0, ew.sqrt(x), 1.0 / x),
            lambda x: ew.arctan2(x, x),
            lambda x: reduction.cumsum(ew.sqrt(x[:, None]), 1)[:, 0],
            lambda x: contraction.einsum("i,j->i", ew.sqrt(x), np.ones(2)),
            lambda x: contraction.einsum("ij,kj->ki", ew.sqrt(x)[:, None] * np.ones((4, 3)), np.ones((2, 3)))[1],
        ],
    )
    def test_discarded_infinities_do_not_leak(self, risky: Any) -> None:
        chosen = self.x > 0
        with np.errstate(all="ignore"):
            g = gg.grad(lambda x: logic.where(chosen, risky(x), x * 2.0).sum())(self.x)
            safe = np.where(chosen, self.x, 0.5)  # the same function where nothing is singular
            expected = gg.grad(lambda x: logic.where(chosen, risky(x), x * 2.0).sum())(safe)
        np.testing.assert_allclose(g, np.where(chosen, expected, 2.0))
        traced = gg.trace(gg.grad(lambda x: logic.where(chosen, risky(x), x * 2.0).sum()), self.x)
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(np.asarray(traced(self.x)), g)

    def test_rows_masked_after_a_matrix_product(self) -> None:
        x, w = np.array([[0.0, 1.0], [4.0, 9.0]]), np.array([[1.0], [2.0]])
        keep = np.array([[False], [True]])
        g = gg.grad(lambda x: logic.where(keep, contraction.matmul(ew.sqrt(x), w), 0.0).sum())(x)
        np.testing.assert_allclose(g, [[0.0, 0.0], [0.25, 1.0 / 3.0]])

    def test_second_derivatives_are_kept(self) -> None:
        def f(x: Any) -> Any:
            return logic.where(x > 0, x**1.5, x * x)

        assert gg.grad(gg.grad(f))(0.0) == 2.0
        assert gg.grad(gg.grad(f))(4.0) == pytest.approx(0.375)

    def test_a_cotangent_that_happens_to_be_zero_is_not_a_mask(self) -> None:
        # (x·3 - 6)² has gradient 0 and curvature 18 at x = 2
        assert gg.grad(gg.grad(lambda x: (logic.where(x > 0, x * 3.0, 0.0) - 6.0) ** 2))(2.0) == 18.0

    def test_a_real_singularity_still_shows(self) -> None:
        assert np.isinf(gg.grad(ew.sqrt)(0.0))
        assert np.isinf(gg.grad(lambda x: logic.where(x >= 0, ew.sqrt(x), x))(0.0))

    def test_ieee_on_request(self) -> None:
        f = gg.grad(lambda x: logic.where(x > 0, ew.sqrt(x), x, ieee=True))
        assert np.isnan(f(0.0))


def test_stop_gradient_in_a_straight_through_estimator() -> None:
    def rounded(x: Any) -> Any:
        return x + control.stop_gradient(ew.rint(x) - x)

    value, slope = gg.value_and_grad(rounded)(2.7)
    assert value == 3.0 and slope == 1.0


def test_python_control_flow_on_values() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        while total < 10.0:
            total = total + x * x if x > 1.0 else total + 5.0 * x
        return total

    assert gg.grad(f)(2.0) == 12.0
    assert gg.grad(f)(0.5) == 20.0


def test_a_function_that_is_not_one() -> None:
    with pytest.raises(TypeError, match="expected a function"):
        gg.grad(3.0)  # type: ignore[arg-type]
