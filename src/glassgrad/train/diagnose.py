"""A callback that looks for what keeps the model from learning, before training and while it goes on."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import DiagnosisWarning, DivergedError, GlassgradError
from ..inspect.findings.finding import Finding
from .callbacks import Callback
from .feed import Rows
from .history import Epoch
from .training import Training, require_training

WORSE = 2.0  # times the first loss, for as many epochs as PATIENT
PATIENT = 3
FLAT = 1e-3  # share of the first loss that LONG epochs have to change it by
LONG = 10


class Diagnose(Callback):
    """Runs ``gg.diagnose`` on the model before the first epoch, after epochs 1, 2, 4, 8, ..., and at the end.

    Each new finding is a warning, once. The learning rate is judged before training by a few trial steps, then by the
    history.

    Parameters
    ----------
    every : epochs from one diagnosis to the next, rather than twice as many each time
    sample : (x, y) or (x, y, weights) to look at; by default the data of ``fit``. Needed for batches that can be gone
        through only once
    rows : size of the sample
    warn : whether to warn; ``findings`` has them in any case

    Attributes
    ----------
    findings : what was found, each ``Finding`` once
    epochs : after how many epochs each was found first

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn, optim, train
    >>> x = np.random.default_rng(0).normal(size=(64, 4))
    >>> watch = train.Diagnose(warn=False)
    >>> _ = train.fit(nn.MLP((4, 8, 1), rng=0), nn.squared_error, (x, x[:, :1]), optimizer=optim.SGD(1e-7), epochs=2,
    ...               callbacks=[watch])
    >>> [(epoch, finding.problem) for epoch, finding in zip(watch.epochs, watch.findings)]
    [(0, 'learning_rate_too_small')]
    """

    def __init__(
        self, *, every: int | None = None, sample: tuple[Any, ...] | None = None, rows: int = 256, warn: bool = True
    ) -> None:
        if every is not None and every < 1:
            raise ValueError(f"Diagnose: bad every: got {every!r}, expected a number of epochs of at least 1")
        self.every, self.sample, self.rows, self.warn = every, sample, rows, warn
        self.findings: list[Finding] = []
        self.epochs: list[int] = []
        self._last = -1  # epochs that were done when the model was looked at last

    def on_start(self, training: Training) -> None:
        require_training(training, "Diagnose")
        self._look(training, judge=True)

    def on_epoch(self, epoch: Epoch, training: Training) -> None:
        for finding in from_history(training):
            self._note(finding, epoch.number)
        n, losses = epoch.number, training.history.loss
        if n == LONG and abs(losses[-1] - losses[0]) < FLAT * abs(losses[0]):
            self._look(training, judge=True)
        if n % self.every == 0 if self.every else n & (n - 1) == 0:
            self._look(training)

    def on_end(self, training: Training) -> None:
        self._look(training)

    def on_error(self, error: BaseException, training: Training) -> None:
        """After an error that ends training."""
        if isinstance(error, DivergedError) and not self.findings:
            evidence = {"learning_rate": training.lr, "epoch": training.number, "losses": training.history.loss[-5:]}
            remedy = f"lower the learning rate (got {training.lr:g}), by factors of 10 until the loss falls"
            self._note(Finding("learning_rate_too_large", "training", evidence, remedy), training.number)

    def _look(self, training: Training, judge: bool = False) -> None:
        from ..inspect.diagnosis import diagnose

        done = len(training.history.loss)
        data = self._data(training)
        if done == self._last or data is None:
            return
        self._last = done
        try:
            optimizer = training.optimizer if judge else None
            found: Iterable[Finding] = diagnose(
                training.copy(), training.loss, data, optimizer=optimizer, rows=self.rows
            )
        except GlassgradError as error:  # training itself goes on, or says it better
            warnings.warn(f"Diagnose: the model could not be looked at: {error}", DiagnosisWarning, stacklevel=2)
            return
        for finding in found:
            self._note(finding, done)

    def _data(self, training: Training) -> Any:
        """What to look at; None where the data are an iterator that training needs."""
        if self.sample is not None:
            return self.sample
        feed = training.feed
        if isinstance(feed, Rows):
            return feed.data
        return None if isinstance(feed.source, Iterator) else feed.source

    def _note(self, finding: Finding, epoch: int) -> None:
        if any((f.problem, f.place) == (finding.problem, finding.place) for f in self.findings):
            return
        self.findings.append(finding)
        self.epochs.append(epoch)
        if self.warn:
            warnings.warn(f"after {epoch} epochs: {finding}", DiagnosisWarning, stacklevel=2)


def from_history(training: Training) -> Iterator[Finding]:
    """What the losses of the epochs so far say of the learning rate."""
    losses = [loss for loss in training.history.loss if math.isfinite(loss)]
    if not losses:
        return
    evidence = {"learning_rate": training.lr, "first_loss": losses[0], "last_losses": losses[-PATIENT:]}
    place = f"{type(training.optimizer).__name__}"
    if len(losses) > PATIENT and min(losses[-PATIENT:]) > WORSE * abs(losses[0]):
        remedy = f"lower the learning rate (got {training.lr:g}), by factors of 10 until the loss falls"
        yield Finding("learning_rate_too_large", place, evidence, remedy)
