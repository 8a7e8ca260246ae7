"""Pooling: the largest or the mean element of each window. Composites."""

from __future__ import annotations

import itertools
import math

import numpy as np

from ..errors import ShapeError
from ..graph.node import Value, shape_of
from ..graph.origin import here
from . import composite, logic, reduction, view
from .conv import Padding, Sizes, pads_of, per_axis


def _windows(op: str, x: Value, window: Sizes, stride: Sizes | None, padding: Padding, fill: float) -> Value:
    """The elements of each window of the spatial axes as a last axis.  [N, C, S...] -> [N, C, P..., K]"""
    shape = shape_of(x)
    d = len(shape) - 2
    if d < 1:
        raise ShapeError(f"{op}: got shape {shape}, expected (N, C, ...) at {here(3)}")
    sizes = per_axis(op, "window", window, d)
    steps = sizes if stride is None else per_axis(op, "stride", stride, d)
    pads = pads_of(op, padding, shape[2:], steps, sizes)
    counts = [(n + sum(p) - k) // s + 1 for n, p, k, s in zip(shape[2:], pads, sizes, steps, strict=True)]
    if min(counts) < 1:
        raise ShapeError(f"{op}: the window {sizes} does not fit in {shape} padded by {pads} at {here(3)}")
    if any(map(any, pads)):
        width = ((0, 0), (0, 0), *pads)
        x = view.pad(x, width)
        if fill:
            x = logic.where(np.pad(np.ones(shape[2:], bool), pads), x, fill)
    parts = [
        x[(..., *(slice(k, k + (c - 1) * s + 1, s) for k, c, s in zip(offset, counts, steps, strict=True)))]
        for offset in itertools.product(*map(range, sizes))
    ]
    return view.stack(parts, -1)


def max_pool(x: Value, window: Sizes, stride: Sizes | None = None, padding: Padding = 0) -> Value:
    """The largest element of each window; elements that tie share the gradient.  [N, C, ...] -> [N, C, ...]

    ``stride`` is the size of the window by default.
    """
    return reduction.max(_windows("max_pool", x, window, stride, padding, -math.inf), -1)


def avg_pool(x: Value, window: Sizes, stride: Sizes | None = None, padding: Padding = 0) -> Value:
    """The mean of each window, zeros of the padding included.  [N, C, ...] -> [N, C, ...]"""
    return composite.mean(_windows("avg_pool", x, window, stride, padding, 0.0), -1)
