"""What the classifier and the regressor share: reading data, the loop over epochs, when to stop."""

from __future__ import annotations

import abc
import functools
import math
import warnings
from collections.abc import Mapping
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions, validate_parameter_constraints
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..errors import DataError
from ..native.shuffle import shuffler
from .checks import data_checked, generator
from .descent import SOLVERS, Settings, begin, epoch_of, knobs_of, suited
from .lbfgs import minimise
from .objective import HIDDEN, OUTPUTS, Parameters, forward
from .watch import Watch

Matrix = NDArray[Any]
FLOATS = (np.float64, np.float32)
PLAIN = {str, int, float, bool, type(None)}
UNIT = Interval(Real, 0, 1, closed="left")


class Held(NamedTuple):
    """Rows to measure on: x, the targets as the objective takes them, and weights or None."""

    x: Any
    y: Matrix
    w: Matrix | None


class Descent(NamedTuple):
    """Where a stochastic solver stands, so that ``partial_fit`` goes on from there."""

    solver: str
    rate: float
    averages: Any
    count: Any


def goes_by_epochs(estimator: Any) -> bool:
    """True, or ``AttributeError`` where the solver leaves no way to take one epoch more."""
    if estimator.solver not in SOLVERS:
        raise AttributeError(
            f"partial_fit: needs a stochastic solver: got solver={estimator.solver!r}, expected one of {list(SOLVERS)}"
        )
    return True


def _plain(value: Any) -> bool:
    """Whether it is what it equals: text, a number, or the sizes of layers."""
    return type(value) in PLAIN or (type(value) is tuple and all(type(size) is int for size in value))


@functools.lru_cache(maxsize=256)
def _validated(kind: type[Perceptron], types: tuple[type, ...], values: tuple[Any, ...]) -> None:
    """Refuse parameters of that kind of estimator; ``types`` tells 1 from True and 1.0."""
    given = dict(zip(kind._parameter_constraints, values, strict=True))
    validate_parameter_constraints(kind._parameter_constraints, given, caller_name=kind.__name__)


class Perceptron(BaseEstimator, abc.ABC):  # type: ignore[misc]
    """A multi-layer perceptron; see ``MLPClassifier`` and ``MLPRegressor``."""

    _parameter_constraints: dict[str, list[Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(HIDDEN))],
        "solver": [StrOptions({"lbfgs", *SOLVERS})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [UNIT],
        "beta_1": [UNIT],
        "beta_2": [UNIT],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "callbacks": ["array-like", callable, HasMethods("on_epoch"), None],
    }

    def _remember(self, given: Mapping[str, Any]) -> None:
        """Keep what ``__init__`` was called with, as it is."""
        self.__dict__.update({name: value for name, value in given.items() if name not in ("self", "__class__")})

    def _validate_params(self) -> None:
        """scikit-learn's look at the parameters; once in a process for the same plain values, as it takes long."""
        values = [getattr(self, name) for name in self._parameter_constraints]
        if all(map(_plain, values)):
            _validated(type(self), tuple(map(type, values)), tuple(values))
        else:
            super()._validate_params()

    # What a subclass says

    _metric: str  # what ``_score`` is called
    _numeric: bool  # whether y are numbers

    def _begin(self, y: Any, incremental: bool) -> None:
        """Look at the first targets, or at those a warm start goes on with."""

    @abc.abstractmethod
    def _targets(self, y: Any) -> Matrix:
        """y as the objective takes it, [rows, outputs]."""

    @abc.abstractmethod
    def _score(self, outputs: Matrix, held: Held) -> float:
        """How well the last layer's outputs meet the targets; NaN where there is no saying."""

    @abc.abstractmethod
    def _last_activation(self) -> str:
        """Of OUTPUTS, once the targets are known."""

    # Fitting

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None) -> Self:
        """Learn from scratch, or with ``warm_start`` from where the last fit ended.

        Parameters
        ----------
        X : array, dataframe or sparse matrix [rows, inputs]; float32 is computed with as float32, all else as float64
        y : targets [rows] or [rows, outputs]
        sample_weight : a weight for each row; twice the weight is the row twice
        X_val, y_val : rows to score after each epoch. With ``early_stopping`` these decide, and none are split off

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    def _fit(self, X: Any, y: Any, weight: Any, X_val: Any, y_val: Any, incremental: bool = False) -> Self:
        sizes = np.ravel(self.hidden_layer_sizes).tolist()
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, whole numbers, got {sizes}.")
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = data_checked(self, X, y, FLOATS if first else (self.coefs_[0].dtype,), first)
        self._begin(y, incremental)
        targets = self._targets(y).astype(X.dtype)
        if not first and targets.shape[1] != self.n_outputs_:
            raise ValueError(
                f"fit: bad number of outputs: got {targets.shape[1]}, expected {self.n_outputs_}, as before"
            )
        if weight is not None:
            weight = _check_sample_weight(weight, X, dtype=X.dtype)
        held = None
        if (X_val is None) != (y_val is None):
            raise DataError("fit: X_val and y_val go together: got one of them; pass both")
        if X_val is not None:
            X_val, y_val = data_checked(self, X_val, y_val, (X.dtype,), False)
            held = Held(X_val, self._targets(y_val).astype(X.dtype), None)
            if held.y.shape[1] != targets.shape[1]:
                raise DataError(
                    f"fit: y_val does not fit: got {held.y.shape[1]} numbers a row, expected {targets.shape[1]} as in y"
                )
        with generator(self.random_state) as random:
            if first:
                self._initialise([X.shape[1], *sizes, targets.shape[1]], X.dtype, random)
            self._learn(X, targets, weight, held, random, first, incremental)
        if not all(np.isfinite(p).all() for p in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be"
                " preprocessed."
            )
        return self

    def _learn(
        self, X: Any, y: Matrix, weight: Matrix | None, held: Held | None, random: Any, first: bool, incremental: bool
    ) -> None:
        """Go on from the weights there are."""
        stochastic = self.solver in SOLVERS
        if stochastic and (first or not hasattr(self, "loss_curve_")):
            self._begin_curve()
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        if self.early_stopping and stochastic and held is None:
            X, y, weight, held = self._split(X, y, weight, random)
        data = {"x": X, "y": y} if weight is None else {"x": X, "y": y, "w": weight}
        if stochastic:
            self._fit_stochastic(data, held, random, incremental)
        else:
            self._fit_lbfgs(data, held)

    def _initialise(self, sizes: list[int], dtype: Any, random: Any) -> None:
        """Weights and biases uniform in ±√(6/(inputs + outputs)), Glorot & Bengio 2010; 2 for 6 if logistic."""
        self.n_iter_ = self.t_ = 0
        self.n_outputs_, self.n_layers_ = sizes[-1], len(sizes)
        self.out_activation_ = self._last_activation()
        self.coefs_, self.intercepts_ = [], []
        for inputs, outputs in pairwise(sizes):
            bound = math.sqrt((2.0 if self.activation == "logistic" else 6.0) / (inputs + outputs))
            self.coefs_.append(random.uniform(-bound, bound, (inputs, outputs)).astype(dtype, copy=False))
            self.intercepts_.append(random.uniform(-bound, bound, outputs).astype(dtype, copy=False))
        self.validation_scores_: Any = None

    def _begin_curve(self) -> None:
        self.loss_curve_: list[float] = []
        self._unimproved = 0
        self.best_loss_: Any = None if self.early_stopping else np.inf
        self.best_validation_score_: Any = -np.inf if self.early_stopping else None

    @property
    def _parameters(self) -> Parameters:
        return Parameters(tuple(self.coefs_), tuple(self.intercepts_))

    @_parameters.setter
    def _parameters(self, parameters: Parameters) -> None:
        self.coefs_, self.intercepts_ = map(list, parameters)

    def _fit_lbfgs(self, data: dict[str, Any], held: Held | None) -> None:
        """Iterations of L-BFGS; its line searches decide how far each goes."""
        dtype = data["x"].dtype
        watch = Watch(self, self.callbacks)

        def settle(parameters: Parameters, loss: float) -> None:
            self._parameters = Parameters(*[tuple([p.astype(dtype) for p in part]) for part in parameters])
            self.loss_ = loss

        def after(parameters: Parameters, loss: float, norm: float) -> None:
            settle(parameters, loss)
            self.n_iter_ += 1
            self._say("Iteration {}, loss = {:.8f}", self.n_iter_, loss)
            self._validate(held)
            watch.epoch(norm)
            if watch.stopped:
                raise StopIteration

        self.n_iter_ = 0
        options = {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol}
        network = (self.activation, self.out_activation_)
        found, result = minimise(self._parameters, data, self.alpha, *network, options, after)
        settle(found, float(result.fun))
        if result.status != 0 and not watch.stopped:
            warnings.warn(
                f"lbfgs failed to converge after {self.n_iter_} iteration(s) (status={result.status}): "
                f"{result.message}; raise max_iter (now {self.max_iter}) or max_fun, or scale the data",
                ConvergenceWarning,
                stacklevel=2,
            )
        watch.end()

    def _fit_stochastic(self, data: dict[str, Any], held: Held | None, random: Any, incremental: bool) -> None:
        """Epochs of mini-batches, each one native call."""
        at = getattr(self, "_descent", None)
        if not incremental or at is None or at.solver != self.solver:
            at = Descent(self.solver, self.learning_rate_init, begin(self.solver, self._parameters), np.float64(0))
        n = data["x"].shape[0]
        batch = self._batch_size(n)
        watch = Watch(self, self.callbacks, at.rate)
        if self.early_stopping:  # as scikit-learn, which ends with the first weights where no score is a number
            watch.keep()
        settings = Settings(
            self.activation, self.out_activation_, self.solver, self.nesterovs_momentum, bool(watch.callbacks)
        )
        carry = tuple(self._parameters), suited(at.averages, self._parameters), at.count
        run, order = epoch_of(settings, data, carry, batch)
        unseen = n == batch and isinstance(self.random_state, Integral)  # the order, and what is drawn for it
        shuffle = shuffler(random, order) if self.shuffle and not unseen else None
        self.n_iter_ = 0
        try:
            while not watch.stopped and self.n_iter_ < self.max_iter:
                if shuffle:
                    shuffle()
                knobs = knobs_of(self.alpha, watch.lr, self.momentum, self.beta_1, self.beta_2, self.epsilon)
                carry, (self.loss_, *norm) = run(carry, knobs)
                self.coefs_, self.intercepts_ = map(list, carry[0])
                self.n_iter_ += 1
                self.t_ += n
                self.loss_curve_.append(self.loss_)
                self._say("Iteration {}, loss = {:.8f}", self.n_iter_, self.loss_)
                self._improve(held, watch)
                watch.epoch(*norm)
                if incremental:
                    break
                if self.n_iter_ == self.max_iter and not watch.stopped:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization"
                        " hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=2,
                    )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        self._descent = Descent(self.solver, watch.lr, *carry[1:])
        watch.end()

    def _say(self, line: str, *numbers: Any) -> None:
        if self.verbose:
            print(line.format(*numbers))

    def _split(self, X: Any, y: Matrix, weight: Matrix | None, random: Any) -> tuple[Any, Matrix, Matrix | None, Held]:
        """Rows to learn from, and rows held out, drawn as scikit-learn draws them."""
        stratify = y if self.out_activation_ == "logistic" and y.shape[1] == 1 else None
        rows, out = train_test_split(
            np.arange(X.shape[0]), random_state=random, test_size=self.validation_fraction, stratify=stratify
        )
        if len(out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        kept, held = [None if weight is None else weight[chosen] for chosen in (rows, out)]
        return X[rows], y[rows], kept, Held(X[out], y[out], held)

    def _batch_size(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(200, n)
        if self.batch_size > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
            )
        return min(int(self.batch_size), n)

    def _validate(self, held: Held | None) -> float | None:
        """The score on the rows held out, if there are any."""
        if held is None:
            return None
        score = self._score(self._outputs(held.x), held)
        if self.validation_scores_ is None:
            self.validation_scores_ = []
        self.validation_scores_.append(score)
        self._say("Validation score: {:f}", score)
        return score

    def _improve(self, held: Held | None, watch: Watch) -> None:
        """Count epochs without improvement; after too many, lower the learning rate or stop."""
        value, best = self._validate(held), self.best_validation_score_
        best = -np.inf if best is None else best
        if value is not None and value > best:
            self.best_validation_score_ = value
            if self.early_stopping:
                watch.keep()
        if self.early_stopping:
            idle = value < best + self.tol
        else:
            least = np.inf if self.best_loss_ is None else self.best_loss_
            idle = self.loss_ > least - self.tol
            self.best_loss_ = min(least, self.loss_)  # in this order, a loss that is NaN is not the best
        self._unimproved = self._unimproved + 1 if idle else 0
        if self.solver == "sgd" and self.learning_rate == "invscaling":
            watch.lr = self.learning_rate_init / (self.t_ + 1) ** self.power_t
        if self._unimproved <= self.n_iter_no_change:
            return
        what = "Validation score" if self.early_stopping else "Training loss"
        said = f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."
        if self.solver == "sgd" and self.learning_rate == "adaptive" and watch.lr > 1e-6:
            watch.lr /= 5
            self._unimproved = 0
            self._say(f"{said} Setting learning rate to {watch.lr:f}")
        else:
            self._say(f"{said} Stopping.")
            watch.stop()

    # Predicting

    def _outputs(self, X: Any) -> Matrix:
        """The last layer's outputs [rows, outputs], by NumPy."""
        with np.errstate(over="ignore"):
            outputs: Matrix = OUTPUTS[self.out_activation_](forward(self._parameters, X, self.activation))
        return outputs

    def _outputs_of(self, X: Any) -> Matrix:
        """The same for rows that are not checked yet."""
        check_is_fitted(self)
        return self._outputs(validate_data(self, X, accept_sparse=["csr", "csc"], reset=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
