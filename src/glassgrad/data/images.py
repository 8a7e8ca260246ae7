"""Images in a table: which columns are their pixels, and how they lie."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from ..errors import DataError
from .table import listed

PIXEL = re.compile(r"pixel_(\d+)_(\d+)(?:_(\d+))?")


class Images(NamedTuple):
    """Images that the rows of a table are: (channels, height, width), and the columns of their pixels in that order."""

    shape: tuple[int, int, int]
    columns: tuple[str, ...]


def images_of(names: Sequence[str]) -> Images:
    """The images whose pixels these columns are.

    Columns called ``pixel_ROW_COLUMN`` lie as their names say; with a third number, the channels are the last or first
    axis, whichever is shorter. A square number of columns of other names is a square image, row by row.

    Raises
    ------
    DataError
        They are neither.

    Examples
    --------
    >>> images_of(["x1", "x2", "x3", "x4"]).shape
    (1, 2, 2)
    >>> images_of(["pixel_0_0_0", "pixel_0_0_1", "pixel_1_0_0", "pixel_1_0_1"])
    Images(shape=(2, 2, 1), columns=('pixel_0_0_0', 'pixel_1_0_0', 'pixel_0_0_1', 'pixel_1_0_1'))
    """
    found = [PIXEL.fullmatch(name) for name in names]
    places = {tuple(int(n) for n in match.groups() if n is not None): match[0] for match in found if match}
    sizes = {len(place) for place in places}
    if len(places) == len(names) and len(sizes) == 1:
        shape = tuple(max(axis) + 1 for axis in zip(*places, strict=True))
        if math.prod(shape) == len(names):
            return _placed(shape, places)
    side = math.isqrt(len(names))
    if not names or places or side * side != len(names):
        raise DataError(
            f"images: the columns are no images: got {len(names)}, {listed(names, 4)}, expected a square number of "
            f"pixels, or columns called pixel_ROW_COLUMN; ignore others, or choose another model"
        )
    return Images((1, side, side), tuple(names))


def _placed(shape: tuple[int, ...], places: dict[tuple[int, ...], str]) -> Images:
    order = (0, 1) if len(shape) == 2 else (0, 1, 2) if shape[0] < shape[2] else (2, 0, 1)  # channels are few
    sizes = [shape[axis] for axis in order]
    every = product(*map(range, sizes))
    columns = [places[tuple(place[order.index(axis)] for axis in range(len(order)))] for place in every]
    channels, height, width = sizes if len(sizes) == 3 else (1, *sizes)
    return Images((channels, height, width), tuple(columns))
