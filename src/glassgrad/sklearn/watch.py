"""A fit under way, as callbacks see it, and when it is to stop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..train.callbacks import callbacks_of, learning_rate
from ..train.history import Epoch, History

if TYPE_CHECKING:
    from .perceptron import Perceptron


class Watch:
    """What callbacks are given; the names are those that ``train.fit`` gives them.

    Attributes
    ----------
    model : the estimator, whose ``coefs_`` and ``intercepts_`` are overwritten by later epochs
    epochs : how many there may be
    history : of the epochs so far; kept up only for callbacks
    lr : the learning rate, which may be set
    stopped : whether the fit ends after this epoch
    kept : the parameters to end with; None for the last ones
    """

    def __init__(self, model: Perceptron, callbacks: Any, lr: Any = None) -> None:
        self.model, self.epochs, self._lr = model, model.max_iter, lr
        self.callbacks = callbacks_of(callbacks)
        self.history = History()
        self.kept: Any = None
        self.stopped = False
        self.began = time.perf_counter()
        for callback in self.callbacks:
            callback.on_start(self)  # type: ignore[arg-type]

    @property
    def lr(self) -> Any:
        return self._lr

    @lr.setter
    def lr(self, value: Any) -> None:
        self._lr = learning_rate(value)

    def copy(self) -> Any:
        """Weights and biases as they are now, in arrays of their own."""
        return [[p.copy() for p in part] for part in (self.model.coefs_, self.model.intercepts_)]

    def keep(self) -> None:
        """Make the parameters as they are now the ones that the fit ends with."""
        self.kept, self.history.best_epoch = self.copy(), len(self.history.loss)

    def stop(self) -> None:
        """End the fit after this epoch."""
        self.stopped = True

    def epoch(self, norm: float = 0.0) -> None:
        """Tell callbacks of an epoch that is over; ``norm`` is the mean length of its steps' gradients."""
        if not self.callbacks:
            return
        model, now = self.model, time.perf_counter()
        scores = getattr(model, "validation_scores_", None)
        metrics = {model._metric: scores[-1]} if scores else {}
        epoch = Epoch(model.n_iter_, model.loss_, norm, None, metrics, self.lr, now - self.began)
        self.began = now
        self.history.append(epoch)
        for callback in self.callbacks:
            callback.on_epoch(epoch, self)  # type: ignore[arg-type]

    def end(self) -> None:
        """Go back to what was kept, and tell callbacks."""
        if self.kept is not None:
            self.model.coefs_, self.model.intercepts_ = self.kept
        for callback in self.callbacks:
            callback.on_end(self)  # type: ignore[arg-type]
