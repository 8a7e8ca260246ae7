"""What looks on while a model trains, and may stop it: early stopping, and whatever the user writes."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, DivergedError
from .history import Epoch

if TYPE_CHECKING:
    from .training import Training


class Callback:
    """Base of callbacks. A plain function ``f(epoch, training)`` is one too: it is called after every epoch.

    ``training`` has ``model``, ``history``, ``epochs``, ``lr`` (which may be set) and ``stop()``. Its model's arrays
    are overwritten by later epochs; ``training.copy()`` is one to keep.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn, optim, train
    >>> class Announce(train.Callback):
    ...     def on_start(self, training):
    ...         print("begins")
    ...     def on_epoch(self, epoch, training):
    ...         print("epoch", epoch.number)
    ...         if epoch.number == 2:
    ...             training.stop()
    >>> x = np.ones((8, 1), np.float32)
    >>> model, history = train.fit(nn.Linear(1, 1, rng=0), nn.squared_error, (x, x), optimizer=optim.SGD(0.1),
    ...                            epochs=50, callbacks=[Announce()])
    begins
    epoch 1
    epoch 2
    """

    def on_start(self, training: Training) -> None:
        """Before the first epoch, or the first one after a resumption."""

    def on_epoch(self, epoch: Epoch, training: Training) -> None:
        """After every epoch, its validation included."""

    def on_end(self, training: Training) -> None:
        """After the last epoch, whatever ended training; not after an error."""

    def on_error(self, error: BaseException, training: Training) -> None:
        """When an error ends training, such as a loss that is not finite, or a second Ctrl-C; it is raised after."""

    def to_dict(self) -> dict[str, Any]:
        """What a checkpoint has to keep of it, as plain JSON values."""
        return {}

    def restore(self, kept: dict[str, Any]) -> None:
        """Go on from what ``to_dict`` gave."""

    def for_replica(self, index: int) -> Callback:
        """What looks on that one of the trainings of ``fit(..., replicas=...)``: a copy, so that it remembers one only.

        Return ``self`` to be told of them all; ``training.replica`` is the number of the one that is told of.
        """
        try:
            return copy.deepcopy(self)
        except TypeError as error:
            raise TypeError(
                f"fit: {type(self).__name__} cannot be copied for each replica: {error}; define for_replica(index)"
            ) from None


class Function(Callback):
    """A plain function as a callback."""

    def __init__(self, function: Callable[[Epoch, Training], Any]) -> None:
        self.function = function

    def on_epoch(self, epoch: Epoch, training: Training) -> None:
        self.function(epoch, training)

    def for_replica(self, index: int) -> Callback:
        return self


@contextlib.contextmanager
def told(runs: Sequence[Training]) -> Iterator[None]:
    """Tell the callbacks of trainings of an error."""
    try:
        yield
    except BaseException as error:
        for run in runs:
            for watcher in run.callbacks:
                watcher.on_error(error, run)
        raise


def as_callback(given: Any) -> Callback:
    """A callback, or a function as one."""
    if isinstance(given, Callback):
        return given
    if callable(given) and not isinstance(given, type):
        return Function(given)
    raise TypeError(
        f"fit: not a callback: got {given!r:.60}, expected a function of (epoch, training) or a train.Callback"
    )


def learning_rate(value: Any) -> float:
    """A learning rate that a callback sets. ValueError if it is none."""
    try:
        rate = float(value)
    except (TypeError, ValueError, OverflowError):
        rate = math.nan
    if not 0 <= rate < math.inf:
        raise ValueError(f"training.lr: bad learning rate: got {value!r}, expected a finite number of 0 or more")
    return rate


def callbacks_of(given: Any) -> list[Callback]:
    """Several, one, or None of them."""
    if given is None:
        return []
    alone = callable(given) or isinstance(given, Callback) or not hasattr(given, "__iter__")
    return [as_callback(callback) for callback in ([given] if alone else given)]


class EarlyStopping(Callback):
    """Stop once ``patience`` epochs brought nothing better, and go back to the model of the best epoch.

    Parameters
    ----------
    patience : epochs to wait for a better one
    monitor : "validation_loss", "loss", or the name of a metric
    least_change : by how much better is better
    largest : whether large numbers are the good ones, as of an accuracy
    restore : whether the best model, not the last, is what ``fit`` returns

    Raises
    ------
    DivergedError
        In training: what is watched is NaN, while the model still learns.

    Examples
    --------
    >>> EarlyStopping(10, "accuracy", largest=True)
    EarlyStopping(10, 'accuracy', least_change=0.0, largest=True)
    """

    def __init__(
        self,
        patience: int,
        monitor: str = "validation_loss",
        *,
        least_change: float = 0.0,
        largest: bool = False,
        restore: bool = True,
    ) -> None:
        if not (isinstance(patience, (int, np.integer)) and patience >= 1):
            raise ValueError(f"EarlyStopping: bad patience: got {patience!r:.60}, expected a whole number above 0")
        if not 0 <= least_change < math.inf:
            raise ValueError(f"EarlyStopping: bad least_change: got {least_change}, expected a number of at least 0")
        self.patience, self.monitor = patience, monitor
        self.least_change, self.largest, self.restores = least_change, largest, restore
        self.best, self.best_epoch = math.inf, 0
        self.joined = 0  # the epoch after which it began to look on

    def on_start(self, training: Training) -> None:
        done = len(training.history.loss)
        if not self.best_epoch:
            self.joined = done
        elif done - self.best_epoch >= self.patience:  # it had stopped, and is resumed
            training.stop()

    def on_epoch(self, epoch: Epoch, training: Training) -> None:
        value = watched(epoch, self.monitor, "EarlyStopping") * (-1 if self.largest else 1)
        if math.isnan(value) and math.isfinite(epoch.loss + epoch.gradient_norm):  # else it is a replica that is lost
            raise DivergedError(
                f"EarlyStopping: {self.monitor} is nan at epoch {epoch.number}, though the loss is not: expected a "
                f"number to watch; correct the metric or the validation data, or watch something else"
            )
        if value < self.best - (self.least_change if self.best_epoch else 0.0):
            self.best, self.best_epoch = value, epoch.number
            if self.restores:
                training.keep()
        elif epoch.number - max(self.best_epoch, self.joined) >= self.patience:
            training.stop()

    def to_dict(self) -> dict[str, Any]:
        return {"best": self.best if self.best_epoch else None, "epoch": self.best_epoch}

    def restore(self, kept: dict[str, Any]) -> None:
        self.best_epoch = int(kept["epoch"])
        self.best = float(kept["best"]) if self.best_epoch else math.inf

    def __repr__(self) -> str:
        return (
            f"EarlyStopping({self.patience}, {self.monitor!r}, least_change={self.least_change}, "
            f"largest={self.largest})"
        )


def watched(epoch: Epoch, monitor: str, who: str) -> float:
    """The number of an epoch that somebody asks for by name."""
    known = epoch.to_dict()
    if monitor not in known:
        raise DataError(
            f"{who}: nothing to watch: got monitor={monitor!r}, expected one of {', '.join(known)}; pass validation= "
            f"or metrics="
        )
    return float(known[monitor])
