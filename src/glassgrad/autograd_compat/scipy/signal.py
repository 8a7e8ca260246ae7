"""Convolution over chosen axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ... import numpy as np
from ...array import as_array
from ...errors import ShapeError
from ...ops import conv

Axes = tuple[Sequence[int], Sequence[int]]
PADDING: dict[str, Callable[[int], tuple[int, int]]] = {
    "full": lambda k: (k - 1, k - 1),
    "valid": lambda k: (0, 0),
    "same": lambda k: (k // 2, (k - 1) // 2),
}


def convolve(A: Any, B: Any, axes: Axes | None = None, dot_axes: Axes = ([], []), mode: str = "full") -> Any:
    """The convolution along some axes, of all pairs along the others.

    Parameters
    ----------
    axes : those of A and of B to convolve along, all by default
    dot_axes : those of A and of B to sum products over
    mode : 'full', 'valid' for where one lies inside the other, or 'same' for the middle of 'full' in the size of A

    Returns
    -------
    axes of A that are in neither, then of B, then the convolved ones

    Examples
    --------
    >>> convolve([1.0, 2.0, 3.0], [1.0, -1.0])
    Array([ 1.,  1.,  1., -3.])
    """
    if mode not in PADDING:
        raise ValueError(f"convolve: got mode={mode!r}, expected one of {', '.join(PADDING)}")
    a, b = as_array(A), as_array(B)
    if axes is None:
        if a.ndim != b.ndim:
            raise ShapeError(f"convolve: numbers of axes differ: got {a.shape} and {b.shape}; say which in axes=")
        axes = (range(a.ndim), range(b.ndim))
    (a, rest_a, along_a), (b, rest_b, along_b) = (_ordered(x, axes[k], dot_axes[k]) for k, x in enumerate((a, b)))
    swapped = mode == "valid" and any(n < k for n, k in zip(along_a, along_b, strict=True))
    if swapped:
        a, b, along_a, along_b = b, a, along_b, along_a
        if any(n < k for n, k in zip(along_a, along_b, strict=True)):
            raise ShapeError(f"convolve: 'valid' needs one array to hold the other: got {along_b} and {along_a}")
    if not along_a:
        a, b = a[..., None], b[..., None]
    flipped = np.flip(b, tuple(range(2, b.ndim)))
    found = conv.conv(a, flipped, padding=[PADDING[mode](k) for k in b.shape[2:]])
    found = np.swapaxes(found, 0, 1) if swapped else found
    return found.reshape(*rest_a, *rest_b, *(found.shape[2:] if along_a else ()))


def _ordered(x: Any, along: Sequence[int], dot: Sequence[int]) -> tuple[Any, list[int], list[int]]:
    """x as [pairs, products, *convolved], the shape of the pairs, and that of the convolved axes."""
    along, dot = [k % x.ndim for k in along], [k % x.ndim for k in dot]
    rest = [k for k in range(x.ndim) if k not in (*along, *dot)]
    sizes = [[x.shape[k] for k in some] for some in (rest, dot, along)]
    moved = np.transpose(x, (*rest, *dot, *along)).reshape(math.prod(sizes[0]), math.prod(sizes[1]), *sizes[2])
    return moved, sizes[0], sizes[2]
