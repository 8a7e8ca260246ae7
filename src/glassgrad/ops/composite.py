"""Graphs made of primitives: means, softmax, log-sum-exp and activations. Nothing here has its own rule."""

from __future__ import annotations

import math

import numpy as np

from ..dtypes import dtype_of
from ..graph.node import Value, shape_of
from . import control, logic, reduction, view
from . import elementwise as ew
from .reduction import Axis, normalize


def mean(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """Arithmetic mean over ``axis``."""
    shape = shape_of(x)
    count = math.prod(shape[i] for i in normalize(axis, len(shape)))
    total = reduction.sum(logic.astype(x, float) if dtype_of(x).kind in "biu" else x, axis, keepdims)
    return total / count if count else total / np.float32(0) * 1


def var(x: Value, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Value:
    """Mean squared distance from the mean; ``ddof`` is subtracted from the count."""
    shape = shape_of(x)
    count = math.prod(shape[i] for i in normalize(axis, len(shape)))
    away = x - mean(x, axis, keepdims=True)
    squares = ew.real(away * ew.conj(away))
    return reduction.sum(squares, axis, keepdims) / max(count - ddof, 0)


def std(x: Value, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Value:
    """Square root of the variance; derivative 0 where the variance is 0."""
    return safe_sqrt(var(x, axis, ddof, keepdims))


def safe_sqrt(x: Value) -> Value:
    """√x with derivative 0 at 0: the convention for norms, whose subgradients include it."""
    zero = x == 0
    return logic.where(zero, 0, ew.sqrt(logic.where(zero, 1, x)))


def logsumexp(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """ln Σ eˣ, shifted by the largest element so that nothing overflows.

    The shift is a constant to the gradient, which is exactly softmax; of nothing but -inf it is 0. That case is told
    apart by constants: a choice between values would send a mask through all of the gradient.
    """
    top = peak(x, axis)
    weight = reduction.sum(ew.exp(x - top), axis, keepdims=True)
    nothing = weight == 0
    total = ew.log(weight + logic.astype(nothing, dtype_of(weight))) + logic.where(nothing, -np.inf, top)
    return total if keepdims else without_axes(total, x, axis)


def peak(x: Value, axis: Axis) -> Value:
    """The largest element along ``axis``, kept as 1s, a constant to the gradient; 0 where it is infinite."""
    shape = shape_of(x)
    if 0 in (shape[i] for i in normalize(axis, len(shape))):
        return np.zeros((), dtype_of(x))
    top = control.stop_gradient(reduction.max(ew.real(x), axis, keepdims=True))
    return logic.where(logic.isfinite(top), top, 0)


def without_axes(total: Value, x: Value, axis: Axis) -> Value:
    """A total that kept its folded axes as 1s, without them."""
    shape = shape_of(x)
    axes = normalize(axis, len(shape))
    return view.reshape(total, tuple(n for i, n in enumerate(shape) if i not in axes))


def softmax(x: Value, axis: Axis = -1) -> Value:
    """eˣ / Σ eˣ: positive numbers that sum to 1 along ``axis``. Jacobian diag(s) - s sᵀ."""
    weights = ew.exp(x - peak(x, axis))
    return weights / reduction.sum(weights, axis, keepdims=True)


def log_softmax(x: Value, axis: Axis = -1) -> Value:
    """ln softmax x, without forming a softmax that may underflow to 0.

    The shift comes before the logarithm is taken off: x - logsumexp(x) would lose the digits of a large x.
    """
    z = x - peak(x, axis)
    return z - ew.log(reduction.sum(ew.exp(z), axis, keepdims=True))


def softplus(x: Value) -> Value:
    """ln(1 + eˣ), whose derivative is the sigmoid."""
    return ew.logaddexp(x, 0)


def log_sigmoid(x: Value) -> Value:
    """ln σ(x) = -softplus(-x)"""
    return -softplus(-x)


def silu(x: Value) -> Value:
    """x σ(x)"""
    return x * ew.sigmoid(x)


def gelu(x: Value, approximate: bool = True) -> Value:
    """x Φ(x), by Hendrycks & Gimpel's tanh formula, or exactly with ``approximate=False`` (needs SciPy)."""
    # Functions, because operators make float32 of a plain array of bfloat16 and a number
    if approximate:
        cubic = x + ew.multiply(0.044715, x) * x * x
        return ew.multiply(0.5, x) * (1 + ew.tanh(ew.multiply(math.sqrt(2 / math.pi), cubic)))
    from .special import erf

    return ew.multiply(0.5, x) * (1 + erf(ew.divide(x, math.sqrt(2))))


def gelu_exact(x: Value) -> Value:
    """x Φ(x), with the error function (needs SciPy unless compiled): D. Hendrycks & K. Gimpel 2016."""
    return gelu(x, approximate=False)


def leaky_relu(x: Value, slope: float = 0.01) -> Value:
    """x for x > 0, slope · x below and at 0."""
    return logic.where(x > 0, x, ew.multiply(slope, x))


def relu6(x: Value) -> Value:
    """x between 0 and 6, flat outside and at both ends: A. Krizhevsky 2010."""
    return logic.where(x >= 6, 6, logic.relu(x))


def elu(x: Value, alpha: float = 1.0) -> Value:
    """x for x > 0, α(eˣ - 1) below: D.-A. Clevert et al. 2015, equation 15."""
    return logic.where(x > 0, x, ew.multiply(alpha, ew.expm1(logic.where(x > 0, 0, x))))


def celu(x: Value, alpha: float = 1.0) -> Value:
    """x for x > 0, α(e^(x/α) - 1) below, so that the slope has no jump: J. T. Barron 2017."""
    return logic.where(x > 0, x, ew.multiply(alpha, ew.expm1(ew.divide(logic.where(x > 0, 0, x), alpha))))


def selu(x: Value) -> Value:
    """λ elu(x, α), with the constants that keep mean 0 and variance 1: G. Klambauer et al. 2017, equation 14."""
    return ew.multiply(1.0507009873554805, elu(x, 1.6732632423543772))


def mish(x: Value) -> Value:
    """x tanh(ln(1 + eˣ)): D. Misra 2019."""
    return x * ew.tanh(softplus(x))


def softsign(x: Value) -> Value:
    """x / (1 + |x|)"""
    return x / ew.add(1, ew.absolute(x))


def hard_sigmoid(x: Value) -> Value:
    """0 below -3, 1 above 3, (x + 3) / 6 between: A. Howard et al. 2019, section 5.2."""
    return ew.divide(relu6(ew.add(x, 3)), 6)


def hard_swish(x: Value) -> Value:
    """x times ``hard_sigmoid``: A. Howard et al. 2019, section 5.2."""
    return x * hard_sigmoid(x)


def hard_tanh(x: Value) -> Value:
    """x between -1 and 1, flat outside and at both ends."""
    return logic.where(x >= 1, 1, logic.where(x <= -1, -1, x))
