"""Rules by hand, checks, graphs and fixed points under autograd's names: against differences and exact derivatives."""

from __future__ import annotations

import importlib
from typing import Any

import numpy
import pytest

import glassgrad.autograd_compat.numpy as np
from glassgrad import errors
from glassgrad.autograd_compat import deriv, elementwise_grad, extend, grad, jacobian, make_jvp, make_vjp, util
from glassgrad.autograd_compat.core import primitive_vjps
from glassgrad.autograd_compat.extend import primitive
from glassgrad.autograd_compat.misc import const_graph
from glassgrad.autograd_compat.misc.fixed_points import fixed_point
from glassgrad.autograd_compat.misc.tracers import full_graph
from glassgrad.autograd_compat.numpy.numpy_boxes import ArrayBox
from glassgrad.autograd_compat.numpy.numpy_jvps import broadcast
from glassgrad.autograd_compat.numpy.numpy_vjps import balanced_eq, replace_zero, unbroadcast_f
from glassgrad.autograd_compat.test_util import check_grads, check_jvp, check_vjp
from glassgrad.autograd_compat.tracer import Node, getval, isbox, trace
from glassgrad.autograd_compat.util import quick_grad_check, subvals, toposort
from glassgrad.autograd_compat.wrap_util import wraps

X, Y = numpy.array([0.3, -1.2, 2.0]), numpy.array([1.0, 0.5, -0.25])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    numpy.random.seed(0)


@pytest.fixture
def product() -> Any:
    return primitive(lambda a, b: a * b)


MODULES = """builtins core differential_operators extend test_util tracer util wrap_util misc misc.fixed_points
misc.flatten misc.optimizers misc.tracers numpy numpy.fft numpy.linalg numpy.numpy_boxes numpy.numpy_jvps
numpy.numpy_vjps numpy.numpy_vspaces numpy.numpy_wrapper numpy.random scipy scipy.integrate scipy.linalg
scipy.signal scipy.special scipy.stats scipy.stats.norm"""


@pytest.mark.parametrize("name", MODULES.split())
def test_a_module_of_autograds(name: str) -> None:
    if name.startswith("scipy"):
        pytest.importorskip("scipy")
    importlib.import_module(f"glassgrad.autograd_compat.{name}")


def test_a_rule_that_is_missing(product: Any) -> None:
    for derivative in (grad, deriv):
        with pytest.raises(NotImplementedError, match="no VJP is defined by argument 0"):
            derivative(product)(1.0, 2.0)
    assert primitive(product).vjps is not product.vjps
    extend.defjvp(product, None, argnums=[1])
    with pytest.raises(errors.MissingRuleError, match="no JVP is defined by argument 0"):
        deriv(product)(1.0, 2.0)
    with pytest.raises(errors.RuleError, match="sin is no primitive"):
        extend.defvjp(np.sin, lambda ans, x: lambda g: g)


def test_rules_for_several_arguments_at_once(product: Any) -> None:
    asked = []

    def maker(argnums: Any, ans: Any, args: Any, kwargs: Any) -> Any:
        asked.append(argnums)
        return lambda g: tuple(g * args[1 - k] for k in argnums)

    extend.defvjp_argnums(product, maker)
    for by, expected in (((0, 1), (Y, X)), ((1,), (X,))):
        found = grad(lambda *given: np.sum(product(*given)), by)(X, Y)
        numpy.testing.assert_allclose(found, expected)
    assert asked == [(0, 1), (1,)]
    assert primitive_vjps.pop(product) is maker
    extend.defjvp_argnums(product, lambda argnums, gs, ans, args, kwargs: gs[0] * args[1 - argnums[0]])
    numpy.testing.assert_allclose(make_jvp(product, 1)(X, Y)(Y)[1], X * Y)


def test_linear_functions_and_zeros(product: Any) -> None:
    extend.def_linear(product)
    numpy.testing.assert_allclose(elementwise_grad(product)(X, Y), Y)
    numpy.testing.assert_allclose(make_jvp(lambda x: product(x, x))(X)(Y)[1], 2 * X * Y)
    flat = primitive(lambda x: numpy.sign(x))
    extend.defjvp(flat, None)
    numpy.testing.assert_array_equal(make_jvp(flat)(X)(Y)[1], numpy.zeros(3))


def test_primitives_of_containers_and_methods() -> None:
    @primitive
    def first(pair: Any) -> Any:
        return pair[0] * 2.0

    extend.defvjp(first, lambda ans, pair: lambda g: [g * 2.0, np.zeros(3)])
    numpy.testing.assert_allclose(grad(lambda x: np.sum(first([x, x])))(X), numpy.full(3, 2.0))

    class Scale:
        by = 3.0

        @primitive
        def times(self, x: Any) -> Any:
            return self.by * x

    extend.defvjp(Scale.times, None, lambda ans, self, x: lambda g: self.by * g)
    assert float(grad(Scale().times)(1.0)) == 3.0


def test_methods_that_are_deprecated(product: Any) -> None:
    with pytest.warns(DeprecationWarning, match="defgrad of a primitive is deprecated"):
        product.defgrad(lambda ans, a, b: lambda g: g * b)
    with pytest.warns(DeprecationWarning, match="defvjp of a primitive is deprecated"):
        product.defvjp(lambda g, ans, vs, gvs, a, b: g * a * (vs == gvs), argnum=1)
    check_grads(product, (0, 1), modes=["rev"])(X, Y)
    with pytest.warns(DeprecationWarning, match="defvjp_is_zero of a primitive is deprecated"):
        product.defvjp_is_zero([0])
    numpy.testing.assert_array_equal(grad(lambda x: np.sum(product(x, Y) + x))(X), numpy.ones(3))
    with pytest.warns(DeprecationWarning, match="quick_grad_check is deprecated"):
        quick_grad_check(lambda x, y, power: x**power + y, 1.0, (2.0,), {"power": 3})


def test_functions_that_are_not_traced() -> None:
    @extend.notrace_primitive
    def size(x: Any, parts: Any) -> Any:
        assert not isbox(x) and not isbox(parts[0])
        return len(x) * parts[0]

    found = grad(lambda x: np.sum(x) * size(x, [x[0]]))(X)
    numpy.testing.assert_allclose(found, numpy.full(3, 3 * X[0]))


def test_checks_find_wrong_rules_and_name_them() -> None:
    double, near = primitive(lambda x: x * 2.0), primitive(lambda x: x)
    double.__name__ = "double"
    extend.defvjp(double, lambda ans, x: lambda g: g * 2.001)
    with pytest.raises(AssertionError, match=r"\(VJP\) check of double failed"):
        check_grads(double, modes=["rev"])(1.0)
    extend.defvjp(near, lambda ans, x: lambda g: g * 1.001)
    extend.defvjp(double, lambda ans, x: lambda g: near(g) * 2.0)
    check_grads(double, modes=["rev"], order=1)(1.0)
    with pytest.raises(errors.GradientCheckError, match=r"\(VJP\) check of vjp_double failed"):
        check_grads(double, modes=["rev"])(1.0)
    extend.defjvp(near, lambda g, ans, x: g * 0.9)
    primitive_vjps.pop(near)
    with pytest.raises(errors.GradientCheckError, match=r"\(JVP\) check of"):
        check_jvp(near, X)
    check_vjp(lambda p: p["a"] * p["b"][0], {"a": X, "b": [2.0]})


class Named(Node):
    """An operation as text."""

    def __init__(self, value: Any, fun: Any, args: Any, kwargs: Any, argnums: Any, parents: Any) -> None:
        numpy.testing.assert_allclose(fun(*args, **kwargs), value)
        texts = subvals([str(a) for a in args], [(k, p.text) for k, p in zip(argnums, parents, strict=True)])
        self.text = f"{fun.__name__}({', '.join(texts)})"

    def initialize_root(self, name: str) -> None:
        self.text = name


def test_functions_as_graphs() -> None:
    value, node = trace(Named.new_root("x"), lambda x: np.exp(x * 2.0) - x, 0.5)
    assert (node.text, value) == ("sub(exp(mul(x, 2.0)), x)", numpy.exp(1.0) - 0.5)
    assert "cos(" in trace(Named.new_root("x"), grad(np.sin), 0.5)[1].text
    with pytest.warns(errors.IndependentOutputWarning):
        assert trace(Named.new_root("x"), lambda x: 3.0, 1.0) == (3.0, None)
    with pytest.raises(NotImplementedError, match="initialize_root"):
        Node.new_root()
    graph = full_graph(lambda x: np.sin(x) * x, 2.0)
    fun, args, _, parents = graph.recipe
    assert fun.__name__ == "mul" and args[1] == 2.0 and [k for k, _ in parents] == [0, 1]
    order = list(toposort(graph, lambda n: [p for _, p in n.recipe[3]]))
    assert order[0] is graph and order[-1].value is None and len(order) == 3


def test_a_graph_that_is_kept() -> None:
    runs = []
    kept = const_graph(lambda x, y: (runs.append(None), np.sin(x) * y)[1], 0.5)
    for y in (2.0, 3.0):
        assert float(kept(y)) == pytest.approx(numpy.sin(0.5) * y)
    assert len(runs) == 1


def test_fixed_points() -> None:
    def root(a: Any, guess: float = 1.5) -> Any:
        return fixed_point(lambda a: lambda x: 0.5 * (x + a / x), a, guess, lambda x, y: np.abs(x - y), 1e-10)

    assert float(root(2.0)) == pytest.approx(numpy.sqrt(2.0))
    assert float(grad(root)(2.0)) == pytest.approx(0.5 / numpy.sqrt(2.0))
    assert float(grad(grad(root))(2.0)) == pytest.approx(-0.25 * 2.0**-1.5)
    far: list[float] = []
    fixed_point(lambda a: lambda x: 0.5 * (x + a / x), 2.0, 9.0, lambda x, y: far.append(abs(x - y)) or far[-1], 0.1)
    assert far[-1] <= 0.1 < far[-2]


@pytest.mark.parametrize("triangle", ["L", "U"])
def test_eigenvalues_are_of_one_triangle(triangle: str) -> None:
    rng = numpy.random.default_rng(1)
    a = rng.normal(size=(2, 3, 3)) + 1j * rng.normal(size=(2, 3, 3))
    check_grads(lambda a: np.linalg.eigvalsh(a, triangle))(a)
    check_grads(lambda a: np.linalg.eigh(a, triangle))(a.real)
    numpy.testing.assert_allclose(
        np.linalg.eigh(a, triangle).eigenvalues, numpy.linalg.eigh(a, UPLO=triangle).eigenvalues
    )
    slope = jacobian(lambda a: np.sum(np.linalg.eigvalsh(a, triangle) ** 3))(a[0].real)
    assert numpy.all(slope[numpy.triu_indices(3, 1) if triangle == "L" else numpy.tril_indices(3, -1)] == 0)


def test_what_rules_are_written_with() -> None:
    narrow = unbroadcast_f(X, lambda g: g * (1.0 + 1.0j))
    numpy.testing.assert_array_equal(narrow(numpy.ones((2, 3))), numpy.full(3, 2.0))
    assert broadcast(1.0, numpy.zeros(2, complex)).dtype == complex
    numpy.testing.assert_array_equal(replace_zero(numpy.array([0.0, 2.0]), 5.0), [5.0, 2.0])
    numpy.testing.assert_array_equal(balanced_eq(X, X, numpy.array([0.3, 0.0, 0.0])), [0.5, 1.0, 1.0])
    assert np.metadata(X) == ((3,), 1, numpy.dtype(float), False) and util.func(X) is X
    assert np.newaxis is None and np.linalg.T(numpy.ones((2, 3))).shape == (3, 2)


def test_where_keeps_pythons_numbers() -> None:
    assert [type(np.where(False, 1, y)) for y in (2, 2.0, [2, 3])] == [int, float, list]
    assert type(np.where(True, numpy.float32(1.0), 2.0)) is numpy.ndarray
    numpy.testing.assert_array_equal(np.where(condition=X > 0, x=X, y=Y), numpy.where(X > 0, X, Y))
    numpy.testing.assert_array_equal(np.where([True, False, True])[0], [0, 2])
    numpy.testing.assert_array_equal(grad(lambda x: np.sum(np.where(X > 0, x, y=0.0)))(X), [1.0, 0.0, 1.0])


def test_what_functions_are_given() -> None:
    seen: list[Any] = []
    grad(lambda x: (seen.append(x), x * x)[1])(3.0)
    (box,) = seen
    assert isinstance(box, ArrayBox) and isbox(box) and box._value == getval(box) == 3.0 and not isbox(3.0)
    space = extend.vspace(box)
    assert space.shape == () and not space.iscomplex and "float64" in repr(space)
    assert space.mut_add(None, 2.0) == 2.0 and float(space.mut_add(1.0, 2.0)) == 3.0


def test_names_of_derivatives() -> None:
    def cube(x: Any, y: Any) -> Any:
        """A cube."""
        return y**3

    found = grad(cube, 1)
    assert found.__name__ == "grad_of_cube_wrt_argnum_1" and found.__doc__.startswith("    grad of function cube with")
    again = wraps(cube, "about_{fun}", "{doc} Or {other}.", other="two")(lambda x, y: None)
    assert again.__name__ == "about_cube" and again.__doc__ == "A cube. Or two."
    assert float(make_vjp(cube, 1)(0.0, 2.0)[0](1.0)) == 12.0
