"""Random bits by counting, and drawing from a cumulative distribution, as instructions; see ``ops/random.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph.node import Node
from ..ops import random
from . import index as ix
from . import scalars
from .ir import Affine, Literal, Scalar
from .nest import Block
from .read import Indices, Reader, Rule, as_index, broadcast, integer
from .scalars import Number, Real

_U64 = "uint64"


def _u64(block: Block, instruction: str, a: Any, b: Any) -> Any:
    args = [Literal(x, _U64) if isinstance(x, int) else x for x in (a, b)]
    return block.let(_U64, Scalar(instruction, tuple(args)))


def _as_u64(block: Block, atom: Any) -> Any:
    return block.let(_U64, Scalar("cast", (atom,)))


def philox(block: Block, counter: Sequence[Any], key: Sequence[Any]) -> list[Any]:
    """``ops.random.philox`` as instructions: four words of 32 bits, each in a uint64."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    low: Callable[..., Any] = lambda x: _u64(block, "bitwise_and", x, random.WORD)
    high: Callable[..., Any] = lambda x: _u64(block, "right_shift", x, 32)
    xor: Callable[..., Any] = lambda a, b: _u64(block, "bitwise_xor", a, b)
    for _ in range(random.ROUNDS):
        p0, p1 = (_u64(block, "multiply", c, m) for c, m in zip((c0, c2), random.MULTIPLIERS, strict=True))
        c0, c1, c2, c3 = xor(xor(high(p1), c1), k0), low(p1), xor(xor(high(p0), c3), k1), low(p0)
        k0, k1 = (low(_u64(block, "add", k, w)) for k, w in zip((k0, k1), random.WEYL, strict=True))
    return [c0, c1, c2, c3]


def _key(reader: Reader, block: Block, node: Node, lead: Indices) -> list[Any]:
    words = []
    for word in (0, 1):
        value = reader.read(block, node, (*lead, Affine(word, ())))
        assert isinstance(value, Real)
        words.append(_as_u64(block, value.atom))
    return words


def _random_bits(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    """Element i of 32 bits is word i mod 4 of block i div 4; one of 64 bits is two words, the first the lower."""
    key = node.inputs[0]
    shape, width, stream = node.params["shape"], node.params["width"], node.params["stream"]
    lead = len(key.shape) - 1
    where = reader.flat(block, index[lead:], ix.strides(shape))
    element = _as_u64(block, block.position(where))
    shift = 2 if width == 32 else 1
    count = _u64(block, "right_shift", element, shift)
    counter = [_u64(block, "bitwise_and", count, random.WORD), _u64(block, "right_shift", count, 32)]
    words = philox(
        block, [*counter, Literal(0, _U64), Literal(stream, _U64)], _key(reader, block, key, tuple(index[:lead]))
    )
    word = _u64(block, "bitwise_and", element, (1 << shift) - 1)
    if width == 64:
        both = [
            _u64(block, "bitwise_or", words[2 * i], _u64(block, "left_shift", words[2 * i + 1], 32)) for i in (0, 1)
        ]
        return Real(_pick(block, word, both), _U64)
    chosen = _pick(block, word, words)
    return scalars.cast(block.let, Real(chosen, _U64), node.dtype)


def _pick(block: Block, number: Any, options: Sequence[Any]) -> Any:
    result = options[0]
    for k, option in enumerate(options[1:], 1):
        here = block.let("bool", Scalar("equal", (number, Literal(k, _U64))))
        result = block.let(_U64, Scalar("select", (here, option, result)))
    return result


def _fold_in(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    key, data = node.inputs
    lead = index[:-1]
    value = scalars.cast(block.let, reader.read(block, data, broadcast(lead, data.shape)), np.dtype(np.uint64))
    assert isinstance(value, Real)
    counter = [_u64(block, "bitwise_and", value.atom, random.WORD), _u64(block, "right_shift", value.atom, 32)]
    words = philox(
        block,
        [*counter, Literal(0, _U64), Literal(random.FOLD, _U64)],
        _key(reader, block, key, broadcast(lead, key.shape[:-1])),
    )
    word = _as_u64(block, block.position(index[-1]))
    return scalars.cast(block.let, Real(_pick(block, word, words[:2]), _U64), node.dtype)


def _inverse_cdf(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    """Bisection: the largest power of two that still leads to entries ≤ u, again and again."""
    cdf, draw = node.inputs
    size = cdf.shape[0]
    common = np.result_type(cdf.dtype, draw.dtype)
    u = scalars.cast(block.let, reader.read(block, draw, index), common)
    assert isinstance(u, Real)
    count: Any = Literal(0, "int64")
    for power in reversed(range(size.bit_length())):
        beyond = integer(block, "add", count, 1 << power)
        inside = integer(block, "minimum", beyond, size)
        entry = scalars.cast(
            block.let, reader.read(block, cdf, (as_index(integer(block, "subtract", inside, 1)),)), common
        )
        assert isinstance(entry, Real)
        small = block.let("bool", Scalar("less_equal", (entry.atom, u.atom)))
        fits = block.let("bool", Scalar("less_equal", (beyond, Literal(size, "int64"))))
        both = block.let("bool", Scalar("logical_and", (small, fits)))
        count = block.let("int64", Scalar("select", (both, beyond, count)))
    return Real(count, "int64")


RULES: dict[Any, Rule] = {
    random.RandomBits: _random_bits,
    random.FoldIn: _fold_in,
    random.InverseCdf: _inverse_cdf,
}
