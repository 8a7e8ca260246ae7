"""Attention: each position looks at others and takes a weighted mean of what they hold; and blocks made of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..data.batches import Seed, generator
from ..dtypes import dtype_of
from ..errors import DtypeError, ShapeError
from ..graph.node import Value, shape_of
from ..ops import composite, contraction, logic, view
from .dropout import Dropout
from .embedding import rotary
from .layers import MLP, Linear
from .module import STATIC, Module
from .normalisation import LayerNorm, RMSNorm
from .sizes import whole


def attention(
    query: Value, key: Value, value: Value, mask: Value | None = None, drop: Callable[[Value], Value] | None = None
) -> Value:
    """softmax(Q Kᵀ / √d) V: A. Vaswani et al. 2017, equation 1.

    Parameters
    ----------
    query : [..., queries, d]
    key, value : [..., keys, d], [..., keys, e]
    mask : booleans that broadcast to [..., queries, keys]; True where a query may look at a key. A query that may look
        at none gets 0.
    drop : what to do with the weights, such as dropout

    Returns
    -------
    [..., queries, e]

    Examples
    --------
    >>> import numpy as np
    >>> x = np.eye(2)
    >>> attention(x, x, x, np.array([[True, False], [False, False]]))
    array([[1., 0.],
           [0., 0.]])
    """
    scores = contraction.matmul(query * (1 / math.sqrt(shape_of(query)[-1])), view.swapaxes(key, -1, -2))
    if mask is None:
        weights = composite.softmax(scores)
    else:
        if dtype_of(mask).kind != "b":
            raise DtypeError(f"attention: a mask says True where to look: got dtype {dtype_of(mask)}, expected bool")
        least = float(np.finfo(dtype_of(scores)).min)  # not -inf: a row of nothing but those has no softmax
        weights = logic.where(mask, composite.softmax(logic.where(mask, scores, least)), 0)
    return contraction.matmul(weights if drop is None else drop(weights), value)


def causal_mask(queries: int, keys: int | None = None) -> Any:
    """Booleans [queries, keys]: True where a key is not later than the query, the last two being of one time.

    >>> causal_mask(2, 3).astype(int)
    array([[1, 1, 0],
           [1, 1, 1]])
    """
    keys = queries if keys is None else keys
    return np.tri(queries, keys, keys - queries, dtype=bool)


@dataclass(frozen=True, eq=False, init=False, repr=False)
class MultiHeadAttention(Module):
    """Attention by several heads, each of its own queries, keys and values: A. Vaswani et al. 2017, section 3.2.2.

    Parameters
    ----------
    features : size of inputs and outputs, a multiple of ``heads``
    heads : how many
    rng : seed or generator for the four maps
    context : size of what is looked at, if another one
    causal : whether no position may look at later ones
    rotary : base of the rotary positions put into queries and keys; True is 10000.0, None or False is none
    dropout : share of attention weights left out in training
    bias : whether the four maps have biases
    dtype, name : of the parameters; of the scope

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> layer = nn.MultiHeadAttention(8, 2, rng=0, causal=True, rotary=10000.0)
    >>> x = np.ones((3, 5, 8), np.float32)
    >>> layer(x).shape, layer(x, np.ones((3, 7, 8), np.float32), mask=np.ones((3, 5, 7), bool)).shape
    ((3, 5, 8), (3, 5, 8))
    """

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    dropout: Dropout
    heads: int = field(metadata=STATIC)
    causal: bool = field(metadata=STATIC)
    rotary: float | None = field(metadata=STATIC)
    name: str = field(metadata=STATIC)

    def __init__(
        self,
        features: int,
        heads: int,
        *,
        rng: Seed,
        context: int | None = None,
        causal: bool = False,
        rotary: float | bool | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        name: str = "attention",
    ) -> None:
        source, heads, base = generator(rng), whole(heads, "MultiHeadAttention"), _base(rotary)
        if features % heads or (base is not None and features // heads % 2):
            raise ShapeError(
                f"MultiHeadAttention: heads do not fit: got {features} features for {heads} heads, expected a multiple "
                f"of it{', with an even size of each for rotary positions' if base else ''}"
            )
        maps = {
            part: Linear(inputs, features, rng=source, bias=bias, dtype=dtype, name=part)
            for part, inputs in (
                ("query", features),
                ("key", context or features),
                ("value", context or features),
                ("output", features),
            )
        }
        self.fill(
            **maps,
            dropout=Dropout(dropout),
            heads=heads,
            causal=bool(causal),
            rotary=base,
            name=name,
        )

    def apply(self, x: Value, context: Value | None = None, mask: Value | None = None) -> Value:
        """Outputs [batch, queries, features].

        Parameters
        ----------
        x : [batch, queries, features]
        context : [batch, keys, size]; x itself by default
        mask : booleans [queries, keys], [batch, queries, keys] or [batch, heads, queries, keys], where 1 stands for any
            size; True where a query may look at a key
        """
        source = x if context is None else context
        for part, name in ((x, "x"), (source, "context")):
            if len(shape_of(part)) != 3:
                raise ShapeError(
                    f"MultiHeadAttention: {name} does not fit: got shape {shape_of(part)}, expected (batch, time, size)"
                )
        query, key, value = (self._split(y) for y in (self.query(x), self.key(source), self.value(source)))
        if self.rotary is not None:
            query, key = rotary(query, self.rotary), rotary(key, self.rotary)
        allowed = self._mask(mask, shape_of(x)[0], shape_of(query)[-2], shape_of(key)[-2])
        mixed = attention(query, key, value, allowed, self.dropout)
        batch, _, length, _ = shape_of(mixed)
        return self.output(view.reshape(view.swapaxes(mixed, 1, 2), (batch, length, -1)))

    def _split(self, x: Value) -> Value:
        """[batch, time, features] -> [batch, heads, time, features / heads]"""
        batch, time, _ = shape_of(x)
        return view.swapaxes(view.reshape(x, (batch, time, self.heads, -1)), 1, 2)

    def _mask(self, mask: Value | None, batch: int, queries: int, keys: int) -> Value | None:
        if mask is not None:
            shape = shape_of(mask)
            full = (batch, self.heads, queries, keys)
            expected = {2: full[2:], 3: (batch, *full[2:]), 4: full}.get(len(shape), ())
            if not expected or any(n not in (1, m) for n, m in zip(shape, expected, strict=True)):
                raise ShapeError(
                    f"MultiHeadAttention: mask does not fit: got shape {shape}, expected {full[2:]}, "
                    f"{(batch, *full[2:])} or {full}, or 1 in a place; a mask of keys is mask[:, None]"
                )
            mask = mask[:, None] if len(shape) == 3 else mask
        if not self.causal:
            return mask
        return causal_mask(queries, keys) if mask is None else mask & causal_mask(queries, keys)

    def check(self) -> None:
        super().check()
        size = shape_of(self.query.W)[1]
        shapes = [shape_of(part.W) for part in (self.key, self.value, self.output)]
        if self.heads < 1 or size % self.heads or any(s[1] != size for s in shapes[:2]) or shapes[2][0] != size:
            raise ShapeError(f"MultiHeadAttention: parameters do not fit: got {shapes} and {self.heads} heads")

    def __repr__(self) -> str:
        return f"MultiHeadAttention({shape_of(self.query.W)[1]}, {self.heads} heads)"


def _base(rotary: Any) -> float | None:
    """The base of rotary positions; None for none."""
    if isinstance(rotary, (bool, np.bool_)):
        return 10000.0 if rotary else None
    if rotary is None:
        return None
    if isinstance(rotary, str) or not 0 < rotary < math.inf:
        raise ValueError(
            f"MultiHeadAttention: bad rotary: got {rotary!r}, expected a base above 0; True for 10000.0, None for none"
        )
    return float(rotary)


@dataclass(frozen=True, eq=False, init=False, repr=False)
class TransformerBlock(Module):
    """Attention, then a perceptron at each position, each beside a shortcut, with layer norms.

    x + attention(norm(x)), then x + mlp(norm(x)): R. Xiong et al. 2020, figure 1b. With ``post_norm`` norm(x +
    attention(x)), then norm(x + mlp(x)), as in A. Vaswani et al. 2017, section 3.1.

    Parameters
    ----------
    features, heads : as for ``MultiHeadAttention``
    rng : seed or generator
    hidden : width of the perceptron, 4 · features by default
    activation : of the perceptron, a name in ``ACTIVATIONS``
    dropout : share left out in training, of attention weights and of what is added to the shortcut
    post_norm : where the norms are
    rms : whether the norms are ``RMSNorm`` rather than ``LayerNorm``
    causal, rotary, dtype : as for ``MultiHeadAttention``
    name : of the scope

    Examples
    --------
    >>> import numpy as np
    >>> import glassgrad as gg
    >>> from glassgrad import nn
    >>> block = nn.TransformerBlock(8, 2, rng=0, causal=True, dropout=0.1)
    >>> x = np.ones((3, 5, 8), np.float32)
    >>> block(x).shape, block.learn(x, rng=gg.random.key(0))[0].shape
    ((3, 5, 8), (3, 5, 8))
    """

    attention: MultiHeadAttention
    mlp: MLP
    norms: tuple[LayerNorm | RMSNorm, LayerNorm | RMSNorm]
    dropout: Dropout
    post_norm: bool = field(metadata=STATIC)
    name: str = field(metadata=STATIC)

    def __init__(
        self,
        features: int,
        heads: int,
        *,
        rng: Seed,
        hidden: int | None = None,
        activation: str = "gelu",
        dropout: float = 0.0,
        post_norm: bool = False,
        rms: bool = False,
        causal: bool = False,
        rotary: float | bool | None = None,
        dtype: DTypeLike = np.float32,
        name: str = "block",
    ) -> None:
        source, norm = generator(rng), RMSNorm if rms else LayerNorm
        self.fill(
            attention=MultiHeadAttention(
                features, heads, rng=source, causal=causal, rotary=rotary, dropout=dropout, dtype=dtype
            ),
            mlp=MLP((features, hidden or 4 * features, features), activation, rng=source, dtype=dtype),
            norms=(norm(features, dtype=dtype, name="norm1"), norm(features, dtype=dtype, name="norm2")),
            dropout=Dropout(dropout),
            post_norm=bool(post_norm),
            name=name,
        )

    def apply(self, x: Value, mask: Value | None = None) -> Value:
        """[batch, time, features] for the same; ``mask`` as for ``MultiHeadAttention``."""
        first, second = self.norms
        if self.post_norm:
            x = first(x + self.dropout(self.attention(x, mask=mask)))
            return second(x + self.dropout(self.mlp(x)))
        x = x + self.dropout(self.attention(first(x), mask=mask))
        return x + self.dropout(self.mlp(second(x)))

    def __repr__(self) -> str:
        return f"TransformerBlock({self.attention!r}, {self.mlp!r}{', post-norm' if self.post_norm else ''})"
