"""Convolutions as NumPy and SciPy name them: of two sequences or arrays, with one of them turned over."""

from __future__ import annotations

from ..errors import ShapeError
from ..graph.apply import apply
from ..graph.node import Value, shape_of
from ..graph.origin import here
from . import elementwise as ew
from . import view
from .conv import Conv


def _full(a: Value, v: Value) -> Value:
    """All positions where a and v, turned over, overlap."""
    d = len(shape_of(v))
    params = {
        "stride": (1,) * d,
        "padding": tuple((k - 1, k - 1) for k in shape_of(v)),
        "spread": (1,) * d,
        "dilation": (1,) * d,
        "groups": 1,
    }
    return apply(Conv, (a[None, None], view.flip(v)[None, None]), params)[0, 0]


def _check_mode(op: str, mode: str) -> None:
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"{op}: got mode={mode!r}, expected 'full', 'same' or 'valid'")


def _vectors(op: str, a: Value, v: Value) -> tuple[Value, Value]:
    a, v = (view.reshape(x, (1,)) if not shape_of(x) else x for x in (a, v))
    if len(shape_of(a)) != 1 or len(shape_of(v)) != 1:
        raise ShapeError(
            f"{op}: both arguments must have one axis: got {shape_of(a)} and {shape_of(v)} at {here(3)}; use "
            f"convolve_nd for more axes, conv for batches and channels"
        )
    if not shape_of(a)[0] or not shape_of(v)[0]:
        raise ShapeError(f"{op}: both arguments must have elements: got {shape_of(a)} and {shape_of(v)} at {here(3)}")
    return a, v


def convolve(a: Value, v: Value, mode: str = "full") -> Value:
    """The convolution Σₘ a[m] v[n - m] of two sequences, as ``numpy.convolve``.

    >>> import numpy as np
    >>> convolve(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.5]))
    array([0. , 1. , 2.5, 4. , 1.5])
    """
    _check_mode("convolve", mode)
    a, v = _vectors("convolve", a, v)
    if shape_of(a)[0] < shape_of(v)[0]:
        a, v = v, a
    n, k = shape_of(a)[0], shape_of(v)[0]
    whole = _full(a, v)
    if mode == "full":
        return whole
    return whole[(k - 1) // 2 :][:n] if mode == "same" else whole[k - 1 : n]


def correlate(a: Value, v: Value, mode: str = "valid") -> Value:
    """The cross-correlation Σₙ a[n + k] conj(v[n]) of two sequences, as ``numpy.correlate``."""
    _check_mode("correlate", mode)
    a, v = _vectors("correlate", a, v)
    if shape_of(a)[0] < shape_of(v)[0]:
        return view.flip(ew.conj(correlate(v, a, mode)))
    n, k = shape_of(a)[0], shape_of(v)[0]
    whole = _full(a, view.flip(ew.conj(v)))
    if mode == "full":
        return whole
    return whole[(k - 1) // 2 :][:n] if mode == "same" else whole[k - 1 : n]


def convolve_nd(a: Value, v: Value, mode: str = "full") -> Value:
    """The convolution of two arrays over all their axes, as ``scipy.signal.convolve``.

    Parameters
    ----------
    a, v : arrays of one number of axes
    mode : 'full'; 'same' for the size of a, from the middle; 'valid' for what needs no zeros around, where one of the
        two must be at least as large as the other along every axis
    """
    _check_mode("convolve_nd", mode)
    left, right = shape_of(a), shape_of(v)
    if len(left) != len(right):
        raise ShapeError(f"convolve_nd: numbers of axes differ: got {left} and {right} at {here(2)}")
    if not left:
        return a * v
    if mode == "valid":
        if not all(n >= k for n, k in zip(left, right, strict=True)):
            if not all(n <= k for n, k in zip(left, right, strict=True)):
                raise ShapeError(f"convolve_nd: 'valid' needs one array to hold the other: got {left} and {right}")
            a, v, left, right = v, a, right, left
        return _full(a, v)[tuple(slice(k - 1, n) for n, k in zip(left, right, strict=True))]
    whole = _full(a, v)
    if mode == "full":
        return whole
    return whole[tuple(slice((k - 1) // 2, (k - 1) // 2 + n) for n, k in zip(left, right, strict=True))]
