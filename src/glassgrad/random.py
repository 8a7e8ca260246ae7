"""Random Arrays from a seed or a key: no state, the same numbers wherever and however often they are asked for.

Every function takes ``rng=``: an int seed, or a key made by ``key``, ``split`` or ``fold_in``. One key gives one
stream; ask for another key where other numbers are wanted. Element i of a result depends on the key and on i alone,
so a longer draw begins with the shorter one. Gradients flow through the parameters ``low``, ``high``, ``loc`` and
``scale`` of continuous distributions, because each draw is a function of them and of fixed noise.

>>> import glassgrad as gg
>>> first, second = gg.random.split(gg.random.key(0), 2)
>>> gg.random.uniform(size=2, rng=first)
Array([0.08278792, 0.86582713])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .array import as_array
from .errors import DtypeError, RandomnessError, ShapeError
from .graph.node import Node, Value, is_symbolic, shape_of, spec_of, value_of
from .ops import elementwise, indexing, logic, view
from .ops import random as draw

Size = int | tuple[int, ...] | None
Rng = Any  # an int seed, or a key: two uint32 words

_PAIR = "pass rng=0 or another int seed, or a key: rng=gg.random.key(0)"


def key(seed: int) -> Any:
    """The key of a seed: its lower and upper 32 bits.

    Raises
    ------
    RandomnessError
        unless the seed is an int from 0 to 2⁶⁴ - 1.

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.random.key(7)
    Array([7, 0], dtype=uint32)
    """
    return as_array(_seed_words(seed))


def split(rng: Rng, n: int = 2) -> Any:
    """``n`` keys whose streams have nothing in common with the first one's, one per row; row i depends on i only.

    Examples
    --------
    >>> import glassgrad as gg
    >>> a, b = gg.random.split(gg.random.key(0))
    >>> bool((a == b).any())
    False
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise ShapeError(f"split: got n={n!r}, expected the number of keys, an int of at least 0")
    return as_array(draw.split(_key(rng), int(n)))


def fold_in(rng: Rng, data: Any) -> Any:
    """The key for one more integer, such as an epoch, a step or a layer's number.

    Examples
    --------
    >>> import glassgrad as gg
    >>> base = gg.random.key(0)
    >>> gg.random.fold_in(base, 1).shape
    (2,)
    """
    if np.dtype(spec_of(data).dtype).kind not in "iu":
        raise RandomnessError(f"fold_in: got {data!r}, expected an integer, or an integer array for one key each")
    return as_array(draw.fold_in(_key(rng), data))


def uniform(low: Value = 0.0, high: Value = 1.0, size: Size = None, *, rng: Rng = None, dtype: Any = float) -> Any:
    """Numbers spread evenly over [low, high).

    Parameters
    ----------
    low, high : numbers or arrays, broadcast to ``size``; gradients flow through both
    size : shape of the result; by default that of the parameters
    rng : int seed or key
    dtype : a floating dtype, float64 by default

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.random.uniform(size=3, rng=0)
    Array([0.8805202 , 0.60548185, 0.36209112])
    """
    shape, dtype, (low, high) = _arguments("uniform", size, dtype, low, high)
    return as_array(low + (high - low) * draw.uniform(_key(rng), shape, dtype))


def normal(loc: Value = 0.0, scale: Value = 1.0, size: Size = None, *, rng: Rng = None, dtype: Any = float) -> Any:
    """Normal numbers of mean ``loc`` and standard deviation ``scale``, by Box and Muller's method.

    Elements 2i and 2i + 1 are r cos 2πv and r sin 2πv with r = √(-2 ln(1 - u)), where u and v are elements 2i and
    2i + 1 of ``uniform``. Gradients flow through both parameters.

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.random.normal(size=2, rng=0)
    Array([-1.62496344, -1.2683492 ])
    >>> spread = lambda scale: gg.random.normal(0.0, scale, size=2, rng=0).sum()
    >>> float(gg.grad(spread)(1.0)) == float(spread(1.0))
    True
    """
    _no_negative("normal", "scale", scale)
    shape, dtype, (loc, scale) = _arguments("normal", size, dtype, loc, scale)
    return as_array(loc + scale * draw.normal(_key(rng), shape, dtype))


def exponential(scale: Value = 1.0, size: Size = None, *, rng: Rng = None, dtype: Any = float) -> Any:
    """Waiting times of mean ``scale``: -scale ln(1 - u). A gradient flows through ``scale``."""
    _no_negative("exponential", "scale", scale)
    shape, dtype, (scale,) = _arguments("exponential", size, dtype, scale)
    return as_array(scale * draw.exponential(_key(rng), shape, dtype))


def gumbel(loc: Value = 0.0, scale: Value = 1.0, size: Size = None, *, rng: Rng = None, dtype: Any = float) -> Any:
    """Gumbel's distribution, of the largest of many: loc - scale ln(-ln u). Gradients flow through both parameters."""
    _no_negative("gumbel", "scale", scale)
    shape, dtype, (loc, scale) = _arguments("gumbel", size, dtype, loc, scale)
    return as_array(loc + scale * draw.gumbel(_key(rng), shape, dtype))


def bernoulli(p: Value = 0.5, size: Size = None, *, rng: Rng = None) -> Any:
    """True with probability ``p``: a uniform number is below p. No gradient flows: the result is true or false.

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.random.bernoulli(0.7, size=3, rng=0)
    Array([False,  True,  True])
    """
    _check(p, lambda v: (v >= 0) & (v <= 1), "bernoulli: got p={}, expected probabilities from 0 to 1")
    shape, dtype, (p,) = _arguments("bernoulli", size, float, p)
    return as_array(draw.uniform(_key(rng), shape, dtype) < p)


def integers(
    low: Any, high: Any = None, size: Size = None, *, rng: Rng = None, dtype: Any = np.int64, endpoint: bool = False
) -> Any:
    """Whole numbers from ``low`` up to but not including ``high``; from 0 to ``low`` if ``high`` is None.

    With ``endpoint`` the upper end is included. Bounds are within int64.

    Examples
    --------
    >>> import glassgrad as gg
    >>> rolls = gg.random.integers(1, 6, size=1000, endpoint=True, rng=0)
    >>> int(rolls.min()), int(rolls.max())
    (1, 6)
    """
    low, high = (0, low) if high is None else (low, high)
    for bound in (low, high):
        if np.dtype(spec_of(bound).dtype).kind not in "iu":
            raise DtypeError(f"integers: got a bound of {bound!r}, expected integers; use uniform for real numbers")
    if np.dtype(dtype).kind not in "iu":
        raise DtypeError(f"integers: got dtype {np.dtype(dtype)}, expected an integer dtype")
    low, high = (x if isinstance(x, Node) else np.asarray(x) for x in (low, high))
    high = high + 1 if endpoint else high
    if not (is_symbolic(low) or is_symbolic(high)):
        bottom, top = np.asarray(value_of(low)), np.asarray(value_of(high))
        if not np.all(bottom < top):
            raise RandomnessError(f"integers: got low {bottom} and high {top}, expected low < high everywhere")
        limit = np.iinfo(dtype)
        if np.any(bottom < limit.min) or np.any(top - 1 > limit.max):
            raise DtypeError(f"integers: {bottom} to {top} does not fit {np.dtype(dtype)}; pass a wider dtype")
    shape = _shape("integers", size, low, high)
    low, high = logic.astype(low, np.int64), logic.astype(high, np.int64)
    return as_array(logic.astype(draw.integers(_key(rng), shape, low, high - low), dtype))


randint = integers


def permutation(x: Any, *, rng: Rng = None, axis: int = 0) -> Any:
    """The slices of ``x`` along an axis in random order, or 0 … x - 1 if x is an int. A gradient flows through x.

    Examples
    --------
    >>> import glassgrad as gg
    >>> sorted(gg.random.permutation(5, rng=0).tolist())
    [0, 1, 2, 3, 4]
    """
    if isinstance(x, (int, np.integer)) and not isinstance(x, bool):
        if x < 0:
            raise ShapeError(f"permutation: got {x}, expected how many numbers to order, at least 0")
        return as_array(draw.order(_key(rng), int(x)))
    x = x if isinstance(x, Node) else np.asarray(x)
    shape = shape_of(x)
    if not shape:
        raise ShapeError(f"permutation: got {x!r}, expected an int or an array with an axis to reorder")
    return as_array(indexing.take(x, draw.order(_key(rng), shape[axis]), axis))


def choice(
    a: Any, size: Size = None, replace: bool = True, p: Any = None, *, rng: Rng = None, axis: int = 0
) -> Any:
    """Slices of ``a`` along an axis, or numbers below ``a`` if it is an int, drawn evenly or with probabilities ``p``.

    Without ``replace`` no place is drawn twice. A gradient flows through ``a``, not through ``p``.

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.random.choice(["red", "green"], size=3, p=[0.0, 1.0], rng=0).tolist()
    ['green', 'green', 'green']
    """
    whole = isinstance(a, (int, np.integer)) and not isinstance(a, bool)
    if not whole:
        a = a if isinstance(a, Node) else np.asarray(a)
    if not whole and not shape_of(a):
        raise ShapeError(f"choice: got {a!r}, expected an int or an array with an axis to choose from")
    count = int(a) if whole else shape_of(a)[axis]
    shape = _shape("choice", () if size is None else size)
    wanted = int(np.prod(shape, dtype=int))
    if count < 1 and wanted:
        raise ShapeError("choice: there is nothing to choose from: got an empty axis or a number below 1")
    weights = None if p is None else _probabilities(p, count)
    if replace:
        places = _with_replacement(_key(rng), shape, count, weights)
    else:
        possible = count if weights is None or is_symbolic(weights) else int(np.count_nonzero(value_of(weights)))
        if wanted > possible:
            raise ShapeError(
                f"choice: got size {wanted} of {possible} possible places without replacement; draw fewer, or "
                f"pass replace=True"
            )
        places = _without_replacement(_key(rng), count, weights)[:wanted].reshape(shape)
    return as_array(places if whole else indexing.take(a, places, axis))


def _with_replacement(words: Value, shape: tuple[int, ...], count: int, weights: Value | None) -> Value:
    if weights is None:
        return draw.integers(words, shape, 0, np.asarray(count))
    return draw.outcomes(words, shape, weights)


def _without_replacement(words: Value, count: int, weights: Value | None) -> Value:
    if weights is None:
        return draw.order(words, count)
    with np.errstate(divide="ignore"):
        return draw.ranking(words, elementwise.log(weights))


def categorical(logits: Any, size: Size = None, *, rng: Rng = None, axis: int = -1) -> Any:
    """Outcome numbers with probabilities softmax(logits) along ``axis``: the largest logit after Gumbel noise.

    Parameters
    ----------
    logits : unnormalised log-probabilities; -inf for what must not occur
    size : shape of the result, to which the logits' other axes broadcast; by default that of those axes

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> gg.random.categorical(np.log([0.0001, 0.9999]), size=4, rng=0)
    Array([1, 1, 1, 1])
    """
    logits = logits if isinstance(logits, Node) else np.asarray(logits)
    if not shape_of(logits) or not shape_of(logits)[axis]:
        raise ShapeError(f"categorical: got logits of shape {shape_of(logits)}, expected at least one outcome")
    if np.dtype(spec_of(logits).dtype).kind != "f":
        logits = logic.astype(logits, np.float64)
    logits = view.moveaxis(logits, axis, -1)
    shape = _shape("categorical", size, logits[..., 0])
    return as_array(draw.categorical(_key(rng), shape, logits))


# Arguments


def _seed_words(seed: Any) -> Any:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise RandomnessError(
            f"rng: got {seed!r} ({type(seed).__name__}), expected an int seed or a key of two uint32 words; {_PAIR}"
        )
    if not 0 <= seed < 1 << 64:
        raise RandomnessError(f"rng: got seed {seed}, expected 0 to 2**64 - 1; use seed % 2**64")
    return np.array([int(seed) & draw.WORD, int(seed) >> 32], np.uint32)


def _key(rng: Rng) -> Value:
    """The two words of a seed or key."""
    if rng is None:
        raise RandomnessError(f"rng: no seed or key was given, and there is no hidden random state; {_PAIR}")
    if isinstance(rng, (np.random.Generator, np.random.RandomState)):
        raise RandomnessError(
            "rng: got NumPy's generator, whose state changes as it is used; pass a seed drawn from it: "
            "int(generator.integers(2**63))"
        )
    if isinstance(rng, (Node, np.ndarray)) and np.dtype(rng.dtype) == np.uint32:
        if shape_of(rng) != (2,):
            raise RandomnessError(
                f"rng: got keys of shape {shape_of(rng)}, expected one key, of shape (2,); take one: keys[0]"
            )
        return rng
    if isinstance(rng, (Node, np.ndarray)) and not shape_of(rng) and np.dtype(rng.dtype).kind in "iu":
        if is_symbolic(rng):
            seed = logic.astype(rng, np.uint64)
            return view.stack([logic.astype(seed & draw.WORD, np.uint32), logic.astype(seed >> 32, np.uint32)])
        return _seed_words(int(value_of(rng)))
    return _seed_words(rng)


def _shape(what: str, size: Size, *parameters: Value) -> tuple[int, ...]:
    """The shape of a result: ``size``, to which the parameters must broadcast, or their own."""
    shapes = [shape_of(p) for p in parameters]
    try:
        own = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(f"{what}: the parameters do not broadcast: got shapes {shapes}") from None
    if size is None:
        return tuple(own)
    shape = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    if not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 0 for n in shape):
        raise ShapeError(f"{what}: got size={size!r}, expected an int or a tuple of ints, none negative")
    shape = tuple(int(n) for n in shape)
    try:
        fits = np.broadcast_shapes(own, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"{what}: parameters of shape {tuple(own)} do not broadcast to size {shape}")
    return shape


def _arguments(what: str, size: Size, dtype: Any, *parameters: Value) -> tuple[Any, np.dtype[Any], list[Value]]:
    """Shape, floating dtype, and the parameters in that dtype."""
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise DtypeError(f"{what}: got dtype {dtype}, expected a real floating one, such as numpy.float32")
    cast = [p if isinstance(p, (int, float)) else logic.astype(_real(what, p), dtype) for p in parameters]
    return _shape(what, size, *cast), dtype, cast


def _real(what: str, parameter: Value) -> Value:
    parameter = parameter if isinstance(parameter, Node) else np.asarray(parameter)
    if parameter.dtype.kind not in "biuf":
        raise DtypeError(f"{what}: got a parameter of dtype {parameter.dtype}, expected real numbers")
    return parameter


def _check(parameter: Value, holds: Callable[[Any], Any], message: str) -> None:
    """Refuse a parameter out of its range, where there is a value to look at."""
    value = value_of(parameter)
    if value is not None and not np.all(holds(np.asarray(value))):
        raise RandomnessError(message.format(value))


def _no_negative(what: str, name: str, parameter: Value) -> None:
    _check(parameter, lambda v: v >= 0, f"{what}: got {name}={{}}, expected no negative number")


def _probabilities(p: Any, count: int) -> Value:
    p = logic.astype(p if isinstance(p, Node) else np.asarray(p), np.float64)
    if shape_of(p) != (count,):
        raise ShapeError(f"choice: got p of shape {shape_of(p)}, expected ({count},), one probability per place")
    _check(p, lambda v: v >= 0, "choice: got p={}, expected no negative number")
    _check(p, lambda v: abs(np.sum(v) - 1) < 1e-6, "choice: got p={}, which does not sum to 1; pass p / p.sum()")
    return p
