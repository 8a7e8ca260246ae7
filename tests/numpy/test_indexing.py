"""``x[key]`` against NumPy's for random keys: values, shapes and errors; its gradient; and ``x.at[key]``."""

from __future__ import annotations

from typing import Any

import numpy as onp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import glassgrad as gg
import glassgrad.numpy as np

FEW = settings(max_examples=300, deadline=None)
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@st.composite
def advanced(draw: Any, shape: tuple[int, ...]) -> Any:
    """A tuple of slices, integers, None, Ellipsis, integer arrays and boolean masks; some out of bounds."""
    parts: list[Any] = []
    axis = 0
    while axis < len(shape) and draw(st.booleans() if axis else st.just(True)):
        n = shape[axis]
        kind = draw(st.sampled_from(["int", "slice", "array", "list", "mask", "none", "mask2", "scalar array"]))
        if kind == "int":
            parts.append(draw(st.integers(-n - 1, n)))
        elif kind == "slice":
            parts.append(draw(st.slices(n)) if n else slice(None))
        elif kind in ("array", "list"):
            chosen = draw(
                arrays.arrays(
                    onp.int64,
                    draw(arrays.array_shapes(min_dims=1, max_dims=2, max_side=3)),
                    elements=st.integers(-n, max(n - 1, 0)),
                )
            )
            parts.append(chosen if kind == "array" else chosen.tolist())
        elif kind == "mask":
            parts.append(draw(arrays.arrays(bool, n)))
        elif kind == "scalar array":
            parts.append(onp.array(draw(st.integers(-n, n))))
        elif kind == "mask2" and axis + 1 < len(shape):
            parts.append(draw(arrays.arrays(bool, shape[axis : axis + 2])))
            axis += 1
        else:
            parts.append(None)
            continue
        axis += 1
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), Ellipsis)
    return parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)


@st.composite
def array_and_key(draw: Any) -> tuple[Any, Any]:
    shape = draw(SHAPES)
    basic = arrays.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True)
    return onp.arange(1.0, 1 + onp.prod(shape, dtype=int)).reshape(shape), draw(basic | advanced(shape))


def as_arrays(key: Any) -> Any:
    """The key with Arrays for its ndarrays."""
    if isinstance(key, tuple):
        return tuple(map(as_arrays, key))
    return np.asarray(key) if isinstance(key, onp.ndarray) else key


@given(array_and_key())
@FEW
def test_indexing_is_numpys(drawn: tuple[Any, Any]) -> None:
    x, key = drawn
    for own in (key, as_arrays(key)):
        try:
            expected = x[key]
        except IndexError:
            with pytest.raises(IndexError):
                np.asarray(x)[own]
        else:
            got = np.asarray(x)[own]
            assert (got.shape, got.dtype) == (onp.shape(expected), expected.dtype)
            onp.testing.assert_array_equal(onp.asarray(got), expected)


@given(array_and_key())
@FEW
def test_gradient_of_indexing_counts_how_often_an_element_was_taken(drawn: tuple[Any, Any]) -> None:
    x, key = drawn
    try:
        taken = x[key]
    except IndexError:
        return
    weights = onp.arange(1.0, 1 + onp.size(taken)).reshape(onp.shape(taken))
    v = gg.variable(x)
    expected = onp.zeros(x.shape)
    onp.add.at(expected, key, weights)
    onp.testing.assert_allclose((v[key] * weights).sum().backward()[v], expected)


@given(array_and_key(), st.sampled_from(["set", "add", "multiply"]))
@FEW
def test_functional_updates_are_numpys_assignments(drawn: tuple[Any, Any], how: str) -> None:
    x, key = drawn
    expected = x.copy()
    try:
        if how == "set":
            expected[key] = 7.0
        elif how == "add":
            onp.add.at(expected, key, 7.0)
        else:
            expected[key] = expected[key] * 7.0
    except IndexError:
        with pytest.raises(IndexError):
            getattr(np.asarray(x).at[key], how)(7.0)
        return
    onp.testing.assert_allclose(onp.asarray(getattr(np.asarray(x).at[key], how)(7.0)), expected)


@pytest.mark.parametrize("key", [1.5, "a", (0, 1.0), [0.5], (1, 2, 3), 9, {"a": 1}], ids=repr)
def test_what_is_no_index_is_refused_as_numpy_does(key: Any) -> None:
    x = onp.ones((3, 4))
    with pytest.raises(Exception) as theirs:
        x[key]
    with pytest.raises(theirs.type):
        np.asarray(x)[key]


def test_slices_with_floats_are_refused() -> None:
    with pytest.raises(TypeError, match="integer"):
        np.ones(3)[0:1.5]


def test_slices_take_whole_numbers_from_arrays() -> None:
    n = np.asarray(2)
    onp.testing.assert_array_equal(onp.asarray(np.arange(5)[n:]), [2, 3, 4])
    onp.testing.assert_array_equal(onp.asarray(np.arange(5)[np.asarray([1, 2])]), [1, 2])
    assert list(range(n)) == [0, 1]


def test_assignment_says_what_to_write_instead() -> None:
    x = np.zeros(3)
    with pytest.raises(TypeError, match=r"x\.at\[\.\.\.\]\.set"):
        x[0] = 1.0
