"""The two estimators: how each reads targets, and what it makes of outputs."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from .labels import Labels
from .perceptron import Held, Matrix, Perceptron, goes_by_epochs


class MLPClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]
    """scikit-learn's ``MLPClassifier``, natively compiled: the same parameters, weights, loss curves and predictions.

    A class each, binary or one of many, or several at once (multilabel, y of zeros and ones [rows, classes]). The
    parameters are those of ``sklearn.neural_network.MLPClassifier``, and ``callbacks``. Given the same data and
    ``random_state``, the numbers are scikit-learn's up to rounding.

    Parameters
    ----------
    hidden_layer_sizes : neurons of each hidden layer
    activation : of hidden layers: 'identity', 'logistic', 'tanh', 'relu'
    solver : 'adam', 'sgd', or 'lbfgs', which needs no batches
    alpha : strength of the penalty alpha/2 · Σ w², shared among the rows of a batch
    batch_size : rows per step; 'auto' is min(200, rows)
    learning_rate : of 'sgd': 'constant'; 'invscaling', rate / (t + 1)^power_t; 'adaptive', a fifth whenever
        ``n_iter_no_change`` epochs brought no improvement
    learning_rate_init, power_t : of 'sgd' and 'adam'; of 'invscaling'
    max_iter : most epochs, or iterations of 'lbfgs'
    shuffle : whether each epoch goes through the rows in another order
    random_state : decides first weights, orders, and the rows split off
    tol, n_iter_no_change : stop once so many epochs improved by less than ``tol`` each
    verbose : whether to print the loss of each epoch
    warm_start : whether ``fit`` goes on from the last one
    momentum, nesterovs_momentum : of 'sgd'
    early_stopping, validation_fraction : watch the score of rows held out, and keep the weights of its best epoch
    beta_1, beta_2, epsilon : of 'adam'
    max_fun : most evaluations of the loss by 'lbfgs'
    callbacks : functions of (epoch, fit), called after each epoch, and ``glassgrad.train.Callback``, such as
        ``EarlyStopping``, ``JSONLines`` and ``TensorBoard``; or one of them

    Attributes
    ----------
    classes_ : labels, in the order of ``predict_proba``'s columns
    coefs_, intercepts_ : weights [inputs, outputs] and biases [outputs] of each layer
    loss_, best_loss_, loss_curve_ : of the last epoch, the least, of all; the mean over rows of the batches' losses
    validation_scores_, best_validation_score_ : accuracies on rows held out, or None
    n_iter_, t_ : epochs of the last fit, rows seen by all
    n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_ : what the data made of the network

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((16,), learning_rate_init=0.02, tol=1e-3, max_iter=500, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    >>> model.predict_proba(X[:1]).shape
    (1, 3)
    """

    _metric, _numeric = "accuracy", False

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        callbacks: Any = None,
    ) -> None:
        self._remember(locals())

    @available_if(goes_by_epochs)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """One epoch more, over this data; the first call names all ``classes`` there will be."""
        first = not hasattr(self, "classes_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if first:
            self._begin_labels(y if type_of_target(y).startswith("multilabel") else unique_labels(classes))
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        return self._fit(X, y, sample_weight, None, None, incremental=True)

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each row; of a multilabel model, zeros and ones [rows, classes]."""
        outputs = self._outputs_of(X)
        labels: NDArray[Any] = self._labels.of(outputs)
        return labels

    def predict_proba(self, X: Any) -> Matrix:
        """Probabilities [rows, classes]; of a multilabel model, each class by itself."""
        outputs = self._outputs_of(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def predict_log_proba(self, X: Any) -> Matrix:
        """Logarithms of ``predict_proba``."""
        with np.errstate(divide="ignore"):
            logarithms: Matrix = np.log(self.predict_proba(X))
        return logarithms

    def _begin_labels(self, y: Any) -> None:
        self._labels = Labels(y)
        self.classes_ = self._labels.classes

    def _begin(self, y: Any, incremental: bool) -> None:
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._begin_labels(y)
        elif self.warm_start and set(unique_labels(y)) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously"
                f" got {self.classes_}, `y` has {unique_labels(y)}"
            )

    def _targets(self, y: Any) -> Matrix:
        return self._labels.columns(y)

    def _last_activation(self) -> str:
        return "softmax" if self._labels.kind == "multiclass" else "logistic"

    def _score(self, outputs: Matrix, held: Held) -> float:
        hits = self._labels.places(outputs) == self._labels.places(held.y)
        return float(np.average(hits if hits.ndim == 1 else hits.all(axis=1), weights=held.w))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]
    """scikit-learn's ``MLPRegressor``, natively compiled: the same parameters, weights, loss curves and predictions.

    The parameters are those of ``sklearn.neural_network.MLPRegressor``, and ``callbacks``; ``MLPClassifier`` tells what
    they and the attributes mean. y has one number a row, or several, [rows, outputs].

    Parameters
    ----------
    loss : 'squared_error', half the squared error; 'poisson', half the Poisson deviance of numbers of at least 0,
        whose logarithm the network gives

    Examples
    --------
    >>> import numpy as np
    >>> X = np.linspace(-2, 2, 100)[:, None]
    >>> model = MLPRegressor(activation="tanh", solver="lbfgs", max_iter=500, random_state=0).fit(X, np.sin(X).ravel())
    >>> bool(abs(model.predict([[1.0]])[0] - np.sin(1.0)) < 0.05)
    True
    """

    _parameter_constraints = {**Perceptron._parameter_constraints, "loss": [StrOptions({"squared_error", "poisson"})]}

    _metric, _numeric = "r2", True

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        callbacks: Any = None,
    ) -> None:
        self._remember(locals())

    @available_if(goes_by_epochs)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch more, over this data."""
        return self._fit(X, y, sample_weight, None, None, incremental=True)

    def predict(self, X: Any) -> NDArray[Any]:
        """Numbers [rows], or [rows, outputs] where there are several outputs."""
        outputs = self._outputs_of(X)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def _targets(self, y: Any) -> Matrix:
        targets = np.asarray(y)
        if targets.dtype.kind not in "biuf":
            raise ValueError(f"fit: bad y: got {targets.dtype}, expected numbers; convert text first, y.astype(float)")
        if self.loss == "poisson" and (targets < 0).any():
            raise ValueError(
                f"fit: loss='poisson' is for numbers of at least 0: got {targets.min()}; use 'squared_error'"
            )
        return targets.reshape(len(targets), -1)

    def _last_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _score(self, outputs: Matrix, held: Held) -> float:
        return float(r2_score(held.y, outputs, sample_weight=held.w)) if np.isfinite(outputs).all() else np.nan
