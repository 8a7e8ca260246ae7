"""Descent on the loss of a model, epoch by epoch."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar, overload

import numpy as np

from ..data.batches import Seed, generator
from ..errors import DataError, DivergedError
from ..nn.losses import Loss
from ..optim import Optimizer, by_name
from .callbacks import Callback, EarlyStopping, callbacks_of, told
from .checkpoint import Checkpoint, writer
from .facts import checksum, checksums, facts
from .feed import Batches, Rows, Stream, arrays_of, feed_of, not_finite, rows_of
from .history import COLUMNS, Epoch, History
from .interrupt import Interrupt, Interrupted, noticed
from .logs import JSONLines
from .measure import Measure, Measured
from .names import Metrics, as_loss, named
from .progress import shown_progress
from .replicas import Replicas, models_of, optimizers_of, orders_of, side_by_side, trainings_of
from .report import Report
from .targets import require_targets, require_weights
from .training import Training

Model = TypeVar("Model", bound=Callable[..., Any])
Watcher = Callable[[Epoch, Training], Any]


@overload
def fit(
    model: Model, loss: str | Loss, data: tuple[Any, ...] | Batches, *, replicas: None = None, **settings: Any
) -> tuple[Model, History]: ...
@overload
def fit(
    model: Any, loss: str | Loss, data: tuple[Any, ...] | Batches, *, replicas: int, **settings: Any
) -> tuple[Replicas, list[History]]: ...
def fit(  # type: ignore[misc]  # the settings are those below
    model: Any,
    loss: str | Loss,
    data: tuple[Any, ...] | Batches,
    *,
    optimizer: str | Optimizer | Sequence[str | Optimizer],
    epochs: int,
    batch_size: int | None = 32,
    rng: Seed = 0,
    validation: tuple[Any, ...] | float | None = None,
    metrics: Metrics = None,
    patience: int | None = None,
    callbacks: Iterable[Callback | Watcher] | Callback | Watcher = (),
    progress: bool | Callable[[Epoch], Any] = True,
    log: str | os.PathLike[str] | None = None,
    report: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    resume: bool = False,
    compile: bool = True,
    replicas: int | None = None,
) -> tuple[Any, Any]:
    """Minimise ``loss(model(x), y)`` over ``data`` by gradient descent, an epoch being one native call.

    Parameters
    ----------
    model : a callable tree of arrays, such as ``nn.MLP``; it is not changed. In training ``nn.learn`` calls it, so that
        dropout drops, and statistics move on
    loss : of outputs and targets, the mean over rows; or a name in ``nn.LOSSES``, such as "mse". Of weights too if
        there are any, as ``weights=``: their weighted mean, Σ w l / Σ w. One without a parameter of that name has what
        is third in ``data`` by position
    data : (x, y) or (x, y, weights), arrays or trees of arrays of equal length; weights are finite, at least 0, and not
        all 0; a batch where they are teaches nothing. Or batches of such: an iterable that can be gone through anew
        every epoch, or a function that makes one of the epoch's number, which counts from 1. A frame of pandas counts
        as an array if all it holds is numbers, nullable ones and truth values among them
    optimizer : such as ``optim.Adam(0.01)``, or a name in ``optim.OPTIMIZERS``, such as "adam", for its defaults
    epochs : passes over the data; 0 returns the model as it is
    batch_size : rows per step. None: all rows, batch descent; 1: stochastic; in between: mini-batch
    rng : seed or generator that decides the order of the rows and what is random in the model; the same seed gives the
        same bits, whatever the number of threads
    validation : (x, y) or (x, y, weights) to measure after every epoch; or a share of the rows, drawn and held out
    metrics : of outputs and targets, measured on ``validation`` too: a function or a name ("accuracy", or of a loss),
        several, or a dict of them by name
    patience : with ``validation``: return the model of the epoch with the least validation loss, and stop once this
        many epochs brought no better one. ``callbacks=[EarlyStopping(...)]`` says more
    callbacks : functions of (epoch, training) called after every epoch, and ``train.Callback`` objects; or one of them.
        With ``replicas`` they look on each of the trainings: see ``Callback.for_replica``
    progress : whether to show how it goes, where standard output is a terminal; or a function of the epoch
    log : a file that is given each epoch's numbers as a line of JSON; for TensorBoard, ``callbacks=[TensorBoard(...)]``
    report : a page to write while training runs: curves, layers over time, the model explained; see ``train.Report``
    checkpoint : a file to keep training in, written whole or not at all after every epoch; or a ``train.Checkpoint``
    resume : go on from the checkpoint, if there is one; the result has the bits of a run without interruption
    compile : False takes the steps by NumPy, one operation after another
    replicas : how many models to train side by side in one native function. ``model`` is then a sequence of as many, or
        a function of the replica's number that makes one, or the beginning of all; ``optimizer`` may be a sequence too,
        of different learning rates. Replica i is what the seed ``rng + i`` gives, with callbacks, patience, logs
        (run-0.jsonl, run-1.jsonl, ...) and a place in the checkpoint of its own; a share held out is the rows that
        ``rng`` draws, for all

    Returns
    -------
    model, history
        A new model of the same structure, and what happened. Ctrl-C returns too, with ``history.interrupted`` set: the
        best model where ``patience`` keeps one, else the one after the last epoch that was whole; of batches from an
        iterable, the last batch. A second Ctrl-C raises ``KeyboardInterrupt``. With ``replicas`` the models are a
        ``train.Replicas``, and there is a history for each; one whose loss is no longer finite has nan.

    Raises
    ------
    DivergedError
        The loss or a parameter is no longer finite; names epoch and step. Or what early stopping watches
        is NaN, or validation data have a NaN or infinity that shows in their loss.
    DataError
        No rows, x and y of different lengths, or weights that are not finite, below 0 or all 0.
    TypeError
        The optimizer is a class; something is no loss, metric or callback.
    ValueError
        A name that is not known; the message lists those that are.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn, optim
    >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
    >>> model, history = fit(nn.Linear(1, 1, rng=0), nn.squared_error, (x, 3 * x + 1),
    ...                      optimizer=optim.SGD(lr=0.1), epochs=100, batch_size=4)
    >>> bool(abs(model.W.item() - 3) < 0.01), bool(abs(model.b.item() - 1) < 0.01), len(history.loss)
    (True, True, 100)
    """
    loss, optimizers = as_loss(loss), _optimizers(optimizer)
    if replicas is None and len(optimizers) != 1:
        raise TypeError("fit: several optimisers: got a sequence; pass one, or replicas= for one training each")
    wanted = named(metrics)
    if reserved := set(wanted) & set(COLUMNS):
        raise ValueError(f"fit: a metric cannot be called {reserved.pop()!r}, which the history has; rename it")
    if wanted and validation is None:
        raise DataError("fit: metrics need something to measure: got no validation; pass validation=(x, y)")
    _require_whole(epochs=epochs, batch_size=batch_size, replicas=replicas)
    if not isinstance(rng, np.random.Generator) and not (_is_whole(rng) and rng >= 0):
        raise ValueError(f"fit: bad rng: got {rng!r:.60}, expected a seed of 0 or more, or a numpy.random.Generator")
    order, drawing = generator(rng), _drawing(rng, validation)
    feed, held = _held(feed_of(data, batch_size), validation, order)
    if isinstance(feed, Rows):
        first = model if replicas is None else models_of(model, replicas)[0]
        parts = [(feed.data, "data"), (held, "validation")]
        for rows, what in [(feed.given, "data"), *parts] if feed.share else parts:
            if rows is not None:
                require_targets(loss, first, rows, what)
                require_weights(loss, rows, what)
    if patience is not None and held is None:
        raise DataError("fit: patience needs something to watch: got no validation; pass validation=(x, y)")
    watchers = callbacks_of(callbacks)
    if patience is not None:
        watchers.append(EarlyStopping(patience))
    if log is not None:
        watchers.append(JSONLines(log))
    if report is not None:
        watchers.append(Report(report))
    if resume and checkpoint is None:
        raise ValueError('fit: resume needs a file to go on from: got no checkpoint; pass checkpoint="run.safetensors"')
    kept = checkpoint if checkpoint is None or isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
    measure = None if held is None else partial(_measured, Measure(loss, wanted, model, held, compile), held, feed)
    _count(epochs)
    if replicas is None:
        runs = [Training(model, loss, feed, optimizers[0], epochs, order, compile)]
        runs[0].callbacks = watchers
    else:
        feed = _require_together(feed, compile, kept)
        models, optimizers = models_of(model, replicas), optimizers_of(optimizers, replicas)
        runs = trainings_of(models, optimizers, orders_of(rng, replicas, feed), loss, feed, epochs, watchers)
    if kept is not None:
        runs[0].facts = {"replicas": str(replicas), **drawing, **_facts(runs[0], loss, held, wanted)}
        if any(one != optimizers[0] for one in optimizers):
            runs[0].facts["optimizer.lr"] = ", ".join(repr(one.lr) for one in optimizers)
    with noticed() as interrupt, _shown(progress, epochs) as show, told(runs):
        write = writer(kept, runs, resume)
        for run in runs:
            for watcher in run.callbacks:
                watcher.on_start(run)
        if replicas is None:
            descent = _alone(runs[0], interrupt, measure, None if kept is None else kept.steps, write)
        else:
            descent = side_by_side(runs, interrupt, measure)
        with contextlib.suppress(Interrupted):
            for epoch in descent:
                show(epoch)
                if kept is not None and epoch.number % kept.every == 0:
                    write()
        for run in runs:
            run.history.interrupted, run.history.steps = interrupt.asked, int(run.carry.steps)
        write()
        for run in runs:
            for watcher in run.callbacks:
                watcher.on_end(run)
    if replicas is None:
        return runs[0].best, runs[0].history
    return Replicas.of([run.best for run in runs]), [run.history for run in runs]


def evaluate(model: Callable[..., Any], loss: str | Loss, data: tuple[Any, ...], metrics: Metrics = None) -> Measured:
    """Loss and metrics of a model on data it does not learn from.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> evaluate(lambda x: 2 * x, nn.squared_error, (np.ones((4, 1)), np.zeros((4, 1))))
    Measured(loss=4.0, metrics={})
    """
    data = arrays_of(data, "data")
    loss = as_loss(loss, "evaluate")
    require_weights(loss, data, "data")
    return Measure(loss, named(metrics), model, data, compiled=False)(model, data)


def _facts(training: Training, loss: Loss, held: Any, wanted: Iterable[str]) -> dict[str, str]:
    """What has to be the same again for training to go on from a checkpoint; the first that is not is the one named."""
    found, feed = {}, training.feed
    if isinstance(feed, Rows):
        found = {"data.rows": str(feed.total), "batch_size": str(feed.batch_size)}
    found |= {"metrics": repr(", ".join(wanted))} | facts(training.carry.model, "model")
    found |= facts(loss, "loss") | facts(training.optimizer, "optimizer")
    found |= _named_checksums(feed.data, "data") if isinstance(feed, Rows) else {}
    return found | ({} if held is None else _named_checksums(held, "validation"))


def _drawing(rng: Seed, validation: Any) -> dict[str, str]:
    """What decides which rows are drawn, for a checkpoint: before all that follows from it."""
    share = isinstance(validation, (int, float))
    seed, held = str(rng), str(validation) if share or validation is None else "of rows given"
    if isinstance(rng, np.random.Generator):
        seed = type(rng.bit_generator).__name__
        if share:  # else all goes on from the state in the checkpoint
            seed += f" in state {checksum(rng.bit_generator.state):08x}"
    return {"rng": seed, "validation": held}


def _named_checksums(data: tuple[Any, ...], what: str) -> dict[str, str]:
    return checksums(dict(zip(("x", "y", "weights"), data, strict=False)), what)


def _alone(
    training: Training,
    interrupt: Interrupt,
    measure: Callable[[Any], Measured] | None,
    most: int | None,
    write: Callable[[], None],
) -> Iterator[Epoch]:
    """The epochs of one training, each measured, noted and told of."""
    while training.number <= training.epochs and not training.stopped and not interrupt.asked:
        began = time.perf_counter()
        number, lr = training.number, training.lr
        loss, norm = training.epoch(interrupt, most, write)
        held_loss, metrics = (None, {}) if measure is None else measure(training.model)
        epoch = Epoch(number, loss, norm, held_loss, metrics, lr, time.perf_counter() - began)
        training.history.append(epoch)
        training.observe(loss if held_loss is None else held_loss)
        for watcher in training.callbacks:
            watcher.on_epoch(epoch, training)
        yield epoch


def _measured(measure: Measure, held: tuple[Any, ...], feed: Rows | Stream, model: Any) -> Measured:
    """Loss and metrics on what is held out; raises where that has a NaN or infinity that came through."""
    found = measure(model, held)
    if not math.isfinite(found.loss):
        where = not_finite(held, " of validation")
        if isinstance(feed, Rows) and feed.share:
            where = not_finite(feed.given)
        if where:
            raise DivergedError(f"fit: the validation loss is {found.loss}: {where}")
    return found


def _held(feed: Rows | Stream, validation: Any, order: Any) -> tuple[Rows | Stream, tuple[Any, ...] | None]:
    """What to learn from and what to measure on."""
    if validation is None:
        return feed, None
    if not isinstance(validation, (int, float)):
        held = arrays_of(validation, "validation")
        rows_of(held, "validation")
        return feed, held
    if isinstance(feed, Stream):
        raise DataError("fit: a share of the rows is held out of arrays only: got batches; pass validation=(x, y)")
    return feed.split(float(validation), order)


@contextlib.contextmanager
def _shown(progress: Any, epochs: int) -> Any:
    if callable(progress):
        yield progress
    elif progress:
        with shown_progress(epochs, quiet=True) as show:
            yield show
    else:
        yield lambda epoch: None


def _require_together(feed: Rows | Stream, compile: bool, kept: Checkpoint | None) -> Rows:
    """Refuse what a native function for all replicas cannot do; the rows."""
    if not isinstance(feed, Rows):
        raise DataError("fit: replicas learn from arrays: got batches; pass data=(x, y), or train them one by one")
    if not compile:
        raise ValueError("fit: replicas are one native function: got compile=False; leave it out, or train one by one")
    if kept is not None and kept.steps is not None:
        raise ValueError(
            f"fit: replicas take an epoch in one call: got Checkpoint(steps={kept.steps}); pass every=, or train them "
            f"one by one"
        )
    return feed


def _optimizers(given: Any) -> list[Optimizer]:
    return [_optimizer(one) for one in (given if isinstance(given, (list, tuple)) else [given])]


def _optimizer(given: Any) -> Optimizer:
    if isinstance(given, Optimizer):
        return given
    if isinstance(given, str):
        return by_name(given)
    known = isinstance(given, type) and issubclass(given, Optimizer)
    got, name = (f"the class {given.__name__}", given.__name__) if known else (f"{given!r:.60}", "Adam")
    raise TypeError(f"fit: not an optimiser: got {got}, expected an object of optim; pass optimizer=optim.{name}()")


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _require_whole(**given: Any) -> None:
    for name, value in given.items():
        if value is not None and not _is_whole(value):
            raise TypeError(f"fit: {name} is a whole number: got {value!r:.60}")
        if name == "replicas" and value is not None and value < 1:
            raise ValueError(f"fit: bad number of replicas: got {value}, expected at least 1")


def _count(epochs: int) -> int:
    if epochs < 0:
        raise ValueError(f"fit: bad number of epochs: got {epochs}, expected 0 or more")
    return epochs
