"""Differential operators under autograd's names and with its conventions."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

from .. import numpy as gnp
from .. import tree
from ..autodiff import derivatives, jvp
from ..autodiff import jacobian as jacobians
from ..autodiff.custom import custom_vjp
from ..errors import NotScalarError
from ..graph.node import shape_of
from .wrap_util import Function, unary, unary_to_nary


def conjugated(value: Any) -> Any:
    """A tree with its complex leaves conjugated: autograd's cotangents are the conjugates of ours."""
    return tree.map(lambda x: x.conj() if getattr(x, "dtype", np.dtype(float)).kind == "c" else x, value)


def _ones_like(value: Any) -> Any:
    return tree.map(lambda x: np.ones(shape_of(x), getattr(x, "dtype", float)), value)


@unary_to_nary
def make_vjp(fun: Function, x: Any) -> tuple[Function, Any]:
    """The map from cotangents of the value to cotangents of the argument, and the value.

    >>> import numpy as np
    >>> vjp, value = make_vjp(lambda x: x ** 2)(np.array([1.0, 2.0]))
    >>> vjp(np.ones(2)), value
    (array([2., 4.]), array([1., 4.]))
    """
    value, pullback = derivatives.vjp(fun, x)
    return lambda g: conjugated(pullback(conjugated(g))[0]), value


@unary_to_nary
def make_jvp(fun: Function, x: Any) -> Function:
    """The map from a tangent of the argument to the value and its tangent.

    >>> [float(v) for v in make_jvp(lambda x: x ** 2)(3.0)(1.0)]
    [9.0, 6.0]
    """
    return lambda v: jvp.jvp(fun, (x,), (v,))


@unary_to_nary
def make_jvp_reversemode(fun: Function, x: Any) -> Function:
    """As ``make_jvp``, without the value: v ↦ J v."""
    pushforward: Function = jvp.linearize(fun, x)[1]
    return pushforward


@unary_to_nary
def value_and_grad(fun: Function, x: Any) -> tuple[Any, Any]:
    """The value of a function that returns one number, and its gradient.

    >>> [float(v) for v in value_and_grad(lambda x: x ** 2)(3.0)]
    [9.0, 6.0]
    """
    value, gradient = derivatives.value_and_grad(fun)(x)
    return value, conjugated(gradient)


@unary_to_nary
def grad(fun: Function, x: Any) -> Any:
    """
    Returns a function which takes the same arguments and gives the gradient of ``fun``, which returns one number, by
    argument number ``argnum``, or a tuple of them.

    >>> float(grad(lambda a, b: a * b, 1)(2.0, 3.0))
    2.0
    """
    if not tree.leaves(x):
        fun(x)
        return x
    return conjugated(derivatives.grad(fun)(x))


@unary_to_nary
def grad_and_aux(fun: Function, x: Any) -> tuple[Any, Any]:
    """The gradient of the first of two results, and the second.

    >>> gradient, aux = grad_and_aux(lambda x: (x ** 2, "seen"))(3.0)
    >>> float(gradient), aux
    (6.0, 'seen')
    """
    gradient, aux = derivatives.grad(fun, has_aux=True)(x)
    return conjugated(gradient), aux


@unary_to_nary
def elementwise_grad(fun: Function, x: Any) -> Any:
    """The sum of each column of the Jacobian: of a function of elements, its derivative at each.

    >>> import numpy as np
    >>> elementwise_grad(lambda x: x ** 2)(np.array([1.0, 2.0]))
    array([2., 4.])
    """
    value, pullback = derivatives.vjp(fun, x)
    if any(getattr(y, "dtype", np.dtype(float)).kind == "c" for y in tree.leaves(value)):
        raise NotScalarError("elementwise_grad: the result is complex, expected a real one; take .real or .imag of it")
    return conjugated(pullback(_ones_like(value))[0])


@unary_to_nary
def deriv(fun: Function, x: Any) -> Any:
    """The derivative along ones: of a function of one number, its derivative."""
    return jvp.jvp(fun, (x,), (_ones_like(x),))[1]


@unary_to_nary
def holomorphic_grad(fun: Function, x: Any) -> Any:
    """The complex derivative of a holomorphic function.

    >>> complex(holomorphic_grad(lambda z: z ** 2)(1.0 + 2.0j))
    (2+4j)
    """
    return grad(lambda z: gnp.real(fun(z)))(x)


@unary_to_nary
def jacobian(fun: Function, x: Any) -> Any:
    """All derivatives of all results, ``[*out, *in]``; by forward or reverse mode, whichever takes fewer passes."""
    return jacobians.jacobian(fun)(x)


@unary_to_nary
def hessian(fun: Function, x: Any) -> Any:
    """All second derivatives, ``[*out, *in, *in]``."""
    return jacobians.hessian(fun)(x)


@unary_to_nary
def make_hvp(fun: Function, x: Any) -> tuple[Function, Any]:
    """The map v ↦ H v at a point, whose first derivatives are computed once, and the gradient."""
    gradient, pushforward = jvp.linearize(derivatives.grad(fun), x)
    return pushforward, gradient


def grad_named(fun: Function, argname: str) -> Function:
    """The gradient by the argument of that name."""
    return grad(fun, list(inspect.signature(fun).parameters).index(argname))


def hessian_tensor_product(fun: Function, argnum: int = 0) -> Function:
    """A function of ``(*args, tensor)``: the Hessian times the tensor, without forming it.

    >>> import numpy as np
    >>> hessian_tensor_product(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]), np.array([1.0, 0.0]))
    array([6., 2.])
    """

    def product(*args: Any, **kwargs: Any) -> Any:
        alone, x = unary(fun, argnum, args[:-1], kwargs)
        return jacobians.hvp(alone, x, args[-1])

    return product


hessian_vector_product = hessian_tensor_product


def tensor_jacobian_product(fun: Function, argnum: int = 0) -> Function:
    """A function of ``(*args, tensor)``: the tensor times the Jacobian, contracting the leading axes of the result."""

    def product(*args: Any, **kwargs: Any) -> Any:
        alone, x = unary(fun, argnum, args[:-1], kwargs)
        tensor = args[-1]
        return jacobians.jacobian(lambda x: gnp.tensordot(tensor, alone(x), axes=len(shape_of(tensor))))(x)

    return product


vector_jacobian_product = tensor_jacobian_product


def _half_square(x: Any) -> Any:
    return 0.5 * gnp.sum(x**2, axis=-1)


def make_ggnvp(f: Function, g: Function = _half_square, f_argnum: int = 0) -> Function:
    """The map v ↦ Jᵀ H J v, with J of f and H the Hessian of g at its value: generalised Gauss-Newton.

    N. N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent" (2002).
    """

    @unary_to_nary
    def of(fun: Function, x: Any) -> Function:
        value, pullback = derivatives.vjp(fun, x)
        pushforward = jvp.linearize(fun, x)[1]
        return lambda v: pullback(jacobians.hvp(g, value, pushforward(v)))[0]

    return of(f, f_argnum)


def multigrad_dict(fun: Function) -> Function:
    """The gradients by all arguments at once, as a dict by their names.

    >>> {k: float(v) for k, v in multigrad_dict(lambda a, b=2.0: a * b)(3.0).items()}
    {'a': 2.0, 'b': 3.0}
    """
    signature = inspect.signature(fun)

    def gradients(*args: Any, **kwargs: Any) -> dict[str, Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()

        def of(arguments: dict[str, Any]) -> Any:
            filled = inspect.BoundArguments(signature, arguments)
            return fun(*filled.args, **filled.kwargs)

        found: dict[str, Any] = grad(of)(dict(bound.arguments))
        return found

    return gradients


def checkpoint(fun: Function) -> Function:
    """The function, run again in the backward pass instead of remembering what it computed on the way."""

    @functools.wraps(fun)
    def again(*args: Any, **kwargs: Any) -> Any:
        ruled = custom_vjp(lambda *given: fun(*given, **kwargs))
        ruled.defvjp(lambda *given: (ruled(*given), given), lambda given, g: _pulled(fun, given, kwargs, g))
        return ruled(*args)

    return again


def _pulled(fun: Function, args: tuple[Any, ...], kwargs: dict[str, Any], g: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = derivatives.vjp(lambda *given: fun(*given, **kwargs), *args)[1](g)
    return found
