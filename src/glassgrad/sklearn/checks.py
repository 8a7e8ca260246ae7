"""scikit-learn's checks, made where they could find something: they take as long as many epochs of few rows."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import validate_data

PLAIN = {str, int, float, bool, type(None)}
_spare: list[np.random.RandomState] = []


def parameters_checked(model: Any, values: list[Any]) -> bool:
    """Whether the parameters are plain values, and have been found right; once in a process for the same ones."""
    plain = all(map(_plain, values))
    if plain:
        _validated(type(model), tuple(map(type, values)), tuple(values))
    return plain


def _plain(value: Any) -> bool:
    """Whether it is what it equals: text, a number, or the sizes of layers."""
    return type(value) in PLAIN or (type(value) is tuple and all(type(size) is int for size in value))


@functools.lru_cache(maxsize=256)
def _validated(kind: Any, types: tuple[type, ...], values: tuple[Any, ...]) -> None:
    """Refuse parameters of that kind of estimator; ``types`` tells 1 from True and 1.0."""
    given = dict(zip(kind._parameter_constraints, values, strict=True))
    validate_parameter_constraints(kind._parameter_constraints, given, caller_name=kind.__name__)


def data_checked(model: Any, X: Any, y: Any, dtypes: tuple[Any, ...], first: bool) -> tuple[Any, Any]:
    """X and y as arrays, of as many rows.

    Parameters
    ----------
    model : the estimator; ``n_features_in_`` and ``feature_names_in_`` are set, or compared with
    X, y : whatever scikit-learn takes
    dtypes : of X; any other becomes the first of them
    first : whether X decides what the columns are
    """
    if not _as_given(model, X, y, dtypes, first):
        X, y = validate_data(
            model,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=model._numeric,
            dtype=dtypes,
            order="C",
            reset=first,
        )
    elif first:
        model.n_features_in_ = X.shape[1]
    return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def _as_given(model: Any, X: Any, y: Any, dtypes: tuple[Any, ...], first: bool) -> bool:
    """Whether scikit-learn would find nothing to change, to refuse or to warn of."""
    return (
        type(X) is type(y) is np.ndarray
        and X.ndim == 2
        and y.ndim in (1, 2)
        and len(X) == len(y)
        and X.size > 0
        and y.size > 0
        and X.dtype in dtypes
        and X.flags.c_contiguous
        and y.dtype.kind in "biufU"
        and not hasattr(model, "feature_names_in_")
        and (first or X.shape[1] == getattr(model, "n_features_in_", None))
        and all(math.isfinite(end) for a in (X, y) if a.dtype.kind == "f" for end in (a.min(), a.max()))
    )


@contextmanager
def generator(seed: Any) -> Iterator[np.random.RandomState]:
    """``check_random_state``; a generator that was made for another seed begins anew, as making one takes long."""
    if not isinstance(seed, Integral):
        yield check_random_state(seed)
        return
    try:
        random = _spare.pop()
    except IndexError:  # another thread has it, or a fit inside of which this one is
        random = np.random.RandomState()
    random.seed(seed)
    try:
        yield random
    finally:
        _spare[:] = [random]
