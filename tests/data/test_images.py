"""Which columns of a table are the pixels of images, and what becomes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glassgrad.data import Encoder, Table, prepare
from glassgrad.data.images import images_of
from glassgrad.errors import DataError

RNG = np.random.default_rng(0)


def named(array: Any) -> dict[str, Any]:
    """The pixels of images by where they lie."""
    places = np.ndindex(array.shape[1:])
    return {"_".join(["pixel", *map(str, place)]): array[(slice(None), *place)] for place in places}


@pytest.mark.parametrize(
    ("shape", "expected", "axes"),
    [
        ((4, 3), (1, 4, 3), (0, 1, 2)),
        ((4, 3, 1), (1, 4, 3), (0, 3, 1, 2)),
        ((4, 5, 3), (3, 4, 5), (0, 3, 1, 2)),
        ((3, 5, 6), (3, 5, 6), (0, 1, 2, 3)),
    ],
)
def test_pixels_lie_where_their_names_say(shape: Any, expected: Any, axes: Any) -> None:
    images = RNG.integers(0, 255, (20, *shape))
    columns = named(images)
    shuffled = [list(columns)[i] for i in RNG.permutation(len(columns))]
    found = images_of(shuffled)
    assert found.shape == expected
    rows = np.stack([columns[name] for name in found.columns], axis=1)
    np.testing.assert_array_equal(rows.reshape(20, *expected), images.transpose(axes).reshape(20, *expected))


def test_a_square_of_any_names() -> None:
    names = [f"pixel{i}" for i in range(784)]
    assert images_of(names) == ((1, 28, 28), tuple(names))


@pytest.mark.parametrize(
    "names", [[], ["a", "b", "c"], ["pixel_0_0", "pixel_0_1", "pixel_1_0", "size"], ["pixel_0_0", "pixel_1_1"]]
)
def test_other_columns_are_refused(names: list[str]) -> None:
    with pytest.raises(DataError, match=f"no images: got {len(names)}, .*pixel_ROW_COLUMN; ignore others"):
        images_of(names)


def test_pixels_share_mean_and_scale() -> None:
    images = RNG.integers(0, 255, (60, 3, 3)).astype(float)
    images[:, 0, 0] = 0  # a corner that is always dark stays
    table = Table.from_columns({**named(images), "y": np.arange(60) % 2})
    found = images_of(table.names[:-1])
    data = prepare(table, "y", together=found.columns[::-1])
    everything = np.concatenate([data.x_train, data.x_test])[:, ::-1]
    assert data.encoder.feature_names == found.columns[::-1]
    assert abs(data.x_train.mean()) < 1e-6
    assert data.x_train.std() == pytest.approx(1, abs=1e-6)
    flat = images.reshape(60, 9)
    slopes = np.linalg.lstsq(np.stack([np.sort(flat, None), np.ones(540)], 1), np.sort(everything, None), rcond=None)
    np.testing.assert_allclose(slopes[1], 0, atol=1e-9)  # one line for all pixels
    again = Encoder.from_dict(data.encoder.to_dict())
    np.testing.assert_array_equal(again.transform(table), data.encoder.transform(table))


@pytest.mark.parametrize(
    ("value", "message"),
    [("dark", "'pixel_1_1'.*'dark'"), ("", "missing values in column 'pixel_1_1': got 1 of 40"), (None, "missing")],
)
def test_what_is_no_pixel_is_named(value: Any, message: str) -> None:
    columns = named(RNG.integers(0, 255, (40, 2, 2)))
    columns["pixel_1_1"] = [value, *columns["pixel_1_1"][1:].tolist()]
    table = Table.from_columns({**columns, "y": np.arange(40) % 2})
    with pytest.raises(DataError, match=message):
        Encoder.fit(table, "y", together=[*columns])
    with pytest.raises(DataError, match="'pixel_0_1' is one of the columns that go together"):
        Encoder.fit(table, "y", together=[*columns], categorical=["pixel_0_1"])
    blank = Table.from_columns({**dict.fromkeys(columns, np.full(40, 7)), "y": np.arange(40) % 2})
    with pytest.raises(DataError, match="nothing to learn from: got 7 in all of 'pixel_0_0'"):
        Encoder.fit(blank, "y", together=[*columns])
