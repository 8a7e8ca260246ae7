"""What rules by hand are written with: cotangents in the shape and kind of their argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import numpy as np
from ...graph.node import shape_of
from ...ops.reduction import sum_to
from . import metadata


def unbroadcast(x: Any, target_meta: tuple[Any, ...]) -> Any:
    """x summed to the shape that ``metadata`` has, and real if that was.

    >>> import numpy
    >>> unbroadcast(numpy.ones((3, 2)), metadata(numpy.zeros(2)))
    array([3., 3.])
    """
    shape, _, _, is_complex = target_meta
    summed = sum_to(x, shape)
    return summed if is_complex or not np.iscomplexobj(summed) else summed.real


def unbroadcast_f(target: Any, f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """f, with its results like ``target``."""
    meta = metadata(target)
    return lambda g: unbroadcast(f(g), meta)


def replace_zero(x: Any, value: Any) -> Any:
    """x, with ``value`` where it is zero."""
    return np.where(x, x, value)


def balanced_eq(x: Any, z: Any, y: Any) -> Any:
    """1 where x is z, and a half where y is too: how a maximum's cotangent is shared."""
    return (x == z) / (1.0 + (x == y))


def broadcast(x: Any, target: Any) -> Any:
    """x in the shape of ``target``, and complex if that is."""
    wide = np.broadcast_to(x, shape_of(target))
    return wide + 0j if np.iscomplexobj(target) and not np.iscomplexobj(wide) else wide
