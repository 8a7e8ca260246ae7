"""scikit-learn's checks, made where they could find something: they take as long as many epochs of few rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import validate_data

_spare: list[np.random.RandomState] = []


def data_checked(model: Any, X: Any, y: Any, dtypes: tuple[Any, ...], first: bool) -> tuple[Any, Any]:
    """X and y as arrays, of as many rows.

    Parameters
    ----------
    model : the estimator; ``n_features_in_`` and ``feature_names_in_`` are set, or compared with
    X, y : whatever scikit-learn takes
    dtypes : of X; any other becomes the first of them
    first : whether X decides what the columns are

    Raises
    ------
    ValueError, TypeError
        as scikit-learn raises them, which looks at everything but contiguous arrays of finite numbers, or of text in y.
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
    """``check_random_state``; a generator that was made for another seed begins anew, as making one takes long.

    Examples
    --------
    >>> with generator(0) as random:
    ...     random.randint(100, size=3).tolist()
    [44, 47, 64]
    """
    if not isinstance(seed, Integral):
        yield check_random_state(seed)
        return
    try:
        random = _spare.pop()
    except IndexError:  # another thread has it, or a fit inside of which this one is
        random = np.random.RandomState()
    random.seed(int(seed))
    try:
        yield random
    finally:
        _spare[:] = [random]
