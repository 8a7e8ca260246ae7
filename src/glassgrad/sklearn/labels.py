"""Labels as columns of zeros and ones, and outputs as labels again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import type_of_target, unique_labels


class Labels:
    """The classes of a problem: what scikit-learn's ``LabelBinarizer`` does, which looks at y ten times.

    Of integers, truths and text in one array, classes are found at one glance; all else scikit-learn looks at, and
    where there are so many classes that it may warn.

    Parameters
    ----------
    y : labels [rows]; or several at once, zeros and ones [rows, classes]

    Attributes
    ----------
    kind : 'binary', one column; 'multiclass', a column for each class; 'multilabel-indicator', y as it is
    classes : in order

    Raises
    ------
    ValueError
        These are no labels: numbers with fractions, several labels a row that are no zeros and ones.

    Examples
    --------
    >>> labels = Labels(np.array(["cat", "ant", "dog"]))
    >>> labels.columns(["dog", "ant"]).astype(int)
    array([[0, 0, 1],
           [1, 0, 0]])
    >>> labels.of(np.array([[0.2, 0.7, 0.1]])).tolist()
    ['cat']
    """

    def __init__(self, y: Any) -> None:
        self.sparse = type(y) if hasattr(y, "toarray") else None
        if type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biuU":
            found = np.unique(y)
            if 0 < 2 * len(found) <= len(y):
                self.kind = "multiclass" if len(found) > 2 else "binary"
                self.classes: NDArray[Any] = np.asarray(list(found))  # text as long as the longest
                return
        self.kind = type_of_target(y, input_name="y")
        if "multioutput" in self.kind:
            raise ValueError("fit: bad y: got several numbers a row, expected one label, or zeros and ones only")
        self.classes = unique_labels(y, ys_types={self.kind})

    def columns(self, y: Any) -> NDArray[Any]:
        """[rows] -> [rows, columns]."""
        if self.kind == "multilabel-indicator":
            y = y.toarray() if hasattr(y, "toarray") else y
            if y.shape[1:] != self.classes.shape:
                raise ValueError(f"fit: bad y: got an array {y.shape}, expected [rows, {len(self.classes)}], as before")
            return np.asarray(np.not_equal(y, 0))
        y = np.asarray(y)
        if y.ndim != 1:
            raise ValueError(f"fit: bad y: got an array {y.shape}, expected a label for each row, as before")
        places = np.searchsorted(self.classes, y)
        known = self.classes.take(places, mode="clip") == y
        if not known.all():
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes}. 'y' has "
                f"{np.unique(y[~known])}."
            )
        columns: NDArray[Any] = places[:, None]
        if self.kind == "multiclass":
            columns = np.zeros((len(y), len(self.classes)), bool)
            columns[np.arange(len(y)), places] = True
        return columns

    def of(self, outputs: NDArray[Any]) -> Any:
        """The likeliest label of each row; zeros and ones [rows, classes] where there are several, sparse as y was."""
        found = self.places(outputs)
        if self.kind != "multilabel-indicator":
            return self.classes[found]
        return self.sparse(found) if self.sparse else found

    def places(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Which class is the likeliest, for each row; zeros and ones [rows, classes] where there are several."""
        found: NDArray[Any] = outputs.argmax(axis=1) if self.kind == "multiclass" else (outputs > 0.5).astype(int)
        return np.minimum(found[:, 0], len(self.classes) - 1) if self.kind == "binary" else found
