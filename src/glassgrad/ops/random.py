"""Random bits by counting: Philox4x32-10, and the standard distributions made from them.

A key of 64 bits and a counter of 128 bits give 128 random bits; nothing is remembered between calls, so element i
depends on the key and on i only. Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
The counter's words are (block low, block high, 0, stream): the streams keep numbers, split keys and folded keys apart.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import dtype_of
from ..graph.apply import apply
from ..graph.node import Spec, Value, shape_of
from ..graph.primitive import Indexing, Primitive, Samples
from . import elementwise as ew
from . import logic, reduction, sorting, view

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)  # what the key grows by each round: the golden ratio and √3 - 1, times 2³²
WORD = 0xFFFFFFFF
CHUNK = 1 << 13  # blocks computed at once: the working arrays stay in cache

NUMBERS, SPLIT, FOLD = 0, 1, 2  # streams

_KEY = np.array([1, 2], np.uint32)


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[Any, Any]) -> tuple[Any, Any, Any, Any]:
    """Four random words from four counter words and two key words: uint64 arrays holding 32 bits each, broadcast."""
    words: list[Any] = [np.asarray(word, np.uint64) for word in (*counter, *key)]
    c0, c1, c2, c3, k0, k1 = words
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & WORD, (p0 >> 32) ^ c3 ^ k1, p0 & WORD
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return c0, c1, c2, c3


def _bits(key: Any, *, shape: tuple[int, ...], width: int, stream: int) -> Any:
    key = np.asarray(key).astype(np.uint64)
    lead, count = key.shape[:-1], math.prod(shape)
    blocks = -(-count * width // 128)
    words = np.empty((*lead, blocks, 4), "<u4")
    pair = (key[..., :1], key[..., 1:])
    for start in range(0, blocks, CHUNK):
        index = np.arange(start, min(start + CHUNK, blocks), dtype=np.uint64)
        for j, word in enumerate(philox((index & WORD, index >> 32, 0, stream), pair)):
            words[..., start : start + CHUNK, j] = word
    flat = words.reshape(*lead, 4 * blocks).view(f"<u{width // 8}").astype(f"uint{width}", copy=False)
    return flat[..., :count].reshape(lead + shape)[()]


class RandomBits(Primitive):
    """y = unsigned integers of ``width`` 32 or 64 random bits; the key's leading axes come first.

    Element i of 32 bits is word i mod 4 of block ⌊i / 4⌋; one of 64 bits is two words, the first the lower.
    """

    eval = staticmethod(_bits)
    nondifferentiable = "random bits are integers"
    samples = Samples(
        cases=lambda rng: [
            ((_KEY,), {"shape": (2, 3), "width": 64, "stream": NUMBERS}),
            ((_KEY,), {"shape": (5,), "width": 32, "stream": SPLIT}),
            ((_KEY,), {"shape": (), "width": 32, "stream": NUMBERS}),
            ((_KEY,), {"shape": (0, 2), "width": 64, "stream": NUMBERS}),
            ((rng.integers(0, 1 << 32, (3, 2), np.uint32),), {"shape": (2,), "width": 64, "stream": NUMBERS}),
        ]
    )

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        return Spec(shape_of(specs[0])[:-1] + params["shape"], np.dtype(f"uint{params['width']}"))


def _fold(key: Any, data: Any) -> Any:
    key, data = np.asarray(key), np.asarray(data).astype(np.uint64)
    words = philox((data & WORD, data >> np.uint64(32), 0, FOLD), (key[..., 0], key[..., 1]))
    return np.stack(words[:2], -1).astype(np.uint32)


class FoldIn(Primitive):
    """y = the key that belongs to a key and an integer (modulo 2⁶⁴)."""

    eval = staticmethod(_fold)
    nondifferentiable = "a key is made of integers"
    samples = Samples(cases=lambda rng: [((_KEY, 7), {}), ((_KEY, np.arange(3)), {}), ((_KEY, np.int64(-1)), {})])


class InverseCdf(Indexing):
    """y = how many entries of a cumulative distribution are ≤ u: the outcome that u draws."""

    eval = staticmethod(lambda cdf, u: np.searchsorted(cdf, u, side="right"))
    infer = classmethod(lambda cls, cdf, u: Spec(shape_of(u), np.dtype(np.intp)))
    nondifferentiable = "an outcome is an integer"
    samples = Samples(cases=lambda rng: [((np.array([0.2, 0.5, 1.0]), rng.random((2, 3))), {})])


def bits(key: Value, shape: tuple[int, ...], width: int = 64, stream: int = NUMBERS) -> Value:
    """Unsigned integers of 32 or 64 random bits."""
    return apply(RandomBits, (key,), {"shape": shape, "width": width, "stream": stream})


def split(key: Value, count: int) -> Value:
    """``count`` further keys, one per row."""
    return bits(key, (count, 2), 32, SPLIT)


def fold_in(key: Value, data: Value) -> Value:
    """The key that belongs to a key and an integer, or one per integer of an array."""
    return apply(FoldIn, (key, data))


def _significant(key: Value, shape: tuple[int, ...], dtype: np.dtype[Any], spare: int) -> tuple[Value, float]:
    """Integers of as many random bits as the dtype's significand holds, less ``spare``, and 2 to minus that many."""
    digits = np.finfo(dtype).nmant + 1 - spare
    width = 64 if digits > 32 else 32
    return logic.astype(bits(key, shape, width) >> (width - digits), dtype), 2.0**-digits


def uniform(key: Value, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Value:
    """Multiples of 2⁻⁵³ (float32: 2⁻²⁴) in [0, 1): the upper bits of each element."""
    whole, unit = _significant(key, shape, dtype, 0)
    return whole * unit


def inside(key: Value, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Value:
    """Odd multiples of 2⁻⁵³ (float32: 2⁻²⁴): never 0 and never 1, so that logarithms are finite."""
    whole, unit = _significant(key, shape, dtype, 1)
    return (whole + 0.5) * unit


def normal(key: Value, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Value:
    """Standard normal by Box and Muller: uniforms u, v give r cos 2πv and r sin 2πv with r = √(-2 ln(1 - u))."""
    count = math.prod(shape)
    pairs = uniform(key, (-(-count // 2), 2), dtype)
    u, v = pairs[:, 0], pairs[:, 1]
    radius, angle = ew.sqrt(-2.0 * ew.log1p(-u)), (2.0 * math.pi) * v
    both = view.stack([radius * ew.cos(angle), radius * ew.sin(angle)], -1)
    return view.reshape(view.reshape(both, (-1,))[:count], shape)


def exponential(key: Value, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Value:
    """Of mean 1: -ln(1 - u)."""
    return -ew.log1p(-uniform(key, shape, dtype))


def gumbel(key: Value, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Value:
    """Of location 0 and scale 1: -ln(-ln u)."""
    return -ew.log(-ew.log(inside(key, shape, dtype)))


def integers(key: Value, shape: tuple[int, ...], low: Value, span: Value) -> Value:
    """low + (64 random bits mod span): the odds of two outcomes differ by less than span / 2⁶⁴."""
    return low + logic.astype(ew.remainder(bits(key, shape), logic.astype(span, np.uint64)), np.int64)


def order(key: Value, count: int) -> Value:
    """0 … count - 1 in random order: the positions that sort 64 random bits each."""
    return sorting.argsort(bits(key, (count,)))


def outcomes(key: Value, shape: tuple[int, ...], probabilities: Value) -> Value:
    """Outcome numbers with the given probabilities, which need not sum to 1, by inverting their running sum."""
    cdf = reduction.cumsum(probabilities)
    last = shape_of(cdf)[0] - 1
    u = uniform(key, shape, np.dtype(np.float64)) * cdf[-1]
    return logic.minimum(apply(InverseCdf, (cdf, u)), last)


def ranking(key: Value, logits: Value) -> Value:
    """Outcome numbers in the order they are drawn without replacement: Gumbel noise on the logits, sorted."""
    return sorting.argsort(-(logits + gumbel(key, shape_of(logits), dtype_of(logits))))


def categorical(key: Value, shape: tuple[int, ...], logits: Value) -> Value:
    """Outcome numbers with probabilities softmax(logits) along the last axis: the largest after Gumbel noise."""
    size = shape_of(logits)[-1]
    return reduction.argmax(logits + gumbel(key, (*shape, size), dtype_of(logits)), -1)

