"""Rows of a table for whole numbers, such as words; and positions, as waves or as rotations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..data.batches import Seed, generator
from ..dtypes import dtype_of
from ..errors import DtypeError, ShapeError
from ..graph.node import Value, shape_of, value_of
from ..ops import indexing, view
from .initialisers import Initialiser, normal
from .module import STATIC, Module
from .sizes import check_parameters, drawing, floating, whole

_normal = normal(1.0)


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Embedding(Module):
    """A learnt vector for each number from 0: row i of W for i.  [...] -> [..., features]

    Parameters
    ----------
    rows, features : how many numbers there are, and the size of their vectors
    rng : seed or generator for W
    initialiser : draws W; the standard normal distribution by default
    dtype, name : of W; of the scope

    Raises
    ------
    ShapeError, DtypeError
        at a call, for numbers outside of the table, or that are not integers.
    IndexError
        at the end of a compiled call, for numbers outside of the table.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> layer = nn.Embedding(10, 4, rng=0)
    >>> layer(np.array([[1, 2, 9]])).shape
    (1, 3, 4)
    """

    W: Any
    name: str = field(metadata=STATIC)

    def __init__(
        self,
        rows: int,
        features: int,
        *,
        rng: Seed,
        initialiser: Initialiser = _normal,
        dtype: DTypeLike = np.float32,
        name: str = "embedding",
    ) -> None:
        n, m = whole(rows, "Embedding"), whole(features, "Embedding")
        self.fill(
            W=drawing(initialiser, "Embedding")(generator(rng), n, m).astype(floating(dtype, "Embedding")), name=name
        )

    def apply(self, x: Value) -> Value:
        if dtype_of(x).kind not in "iu":
            raise DtypeError(f"Embedding: rows are chosen by integers: got {dtype_of(x)}; use x.astype(int)")
        rows, values = shape_of(self.W)[0], value_of(x)
        if values is not None and np.size(values) and not 0 <= np.min(values) <= np.max(values) < rows:
            raise ShapeError(
                f"Embedding: numbers must be 0 to {rows - 1}: got {np.min(values)} to {np.max(values)}; make the table "
                f"larger"
            )
        return indexing.take(self.W, indexing.from_zero(x, rows), 0)

    def check(self) -> None:
        super().check()
        check_parameters(self, W=2)

    def __repr__(self) -> str:
        return "Embedding({}, {})".format(*shape_of(self.W))


def sinusoidal(length: int, features: int, base: float = 10000.0) -> NDArray[np.float32]:
    """Positions as waves, float32 [length, features]: A. Vaswani et al. 2017, section 3.5.

    sin(t / base^(2i / features)) at even places 2i, the cosine at the odd ones.

    >>> sinusoidal(3, 4).shape
    (3, 4)
    """
    angles = _angles(length, features, base)
    return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(length, -1).astype(np.float32)


def rotary(x: Value, base: float = 10000.0, offset: int = 0) -> Value:
    """Each pair (x₂ᵢ, x₂ᵢ₊₁) turned by t base^(-2i / features), t being its time: J. Su et al. 2021, equation 34.

    The product of two such vectors depends on their contents and on the distance of their times alone.

    Parameters
    ----------
    x : [..., time, features], an even number of features
    base : of the angles
    offset : the first time

    Examples
    --------
    >>> import numpy as np
    >>> rotary(np.ones((2, 2)), offset=0).round(3)
    array([[ 1.   ,  1.   ],
           [-0.301,  1.382]])
    """
    *_, length, features = shape_of(x)
    if features % 2:
        raise ShapeError(f"rotary: features go in pairs: got shape {shape_of(x)}, expected an even last axis")
    angles = _angles(length, features, base, offset)
    cos, sin = (f(angles).astype(dtype_of(x)) for f in (np.cos, np.sin))
    pairs = view.reshape(x, (*shape_of(x)[:-1], features // 2, 2))
    a, b = pairs[..., 0], pairs[..., 1]
    return view.reshape(view.stack([a * cos - b * sin, a * sin + b * cos], -1), shape_of(x))


def _angles(length: int, features: int, base: float, offset: int = 0) -> NDArray[np.float64]:
    frequencies = base ** (-np.arange(0, features, 2) / features)
    return np.arange(offset, offset + length)[:, None] * frequencies
