"""A training as one page of HTML that is written while it runs: what is measured of the layers, and the page's data."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import tree
from ..compile import jit
from ..errors import DataError, ModelFileError
from ..inspect import LayerRow, explain
from ..inspect.layers import Facts, rows_of, statistics
from ..inspect.page import page, viewer
from ..nn.module import learnt
from .callbacks import Callback
from .feed import Rows, Stream, arrays_of
from .feed import rows_of as count_of
from .files import numbered, require_place, write_whole
from .history import Epoch
from .measure import loss_of
from .training import Training, require_training

ROWS = 128  # that layers are measured on
SHOWN = 4  # of these, explained
POINTS = 200  # measurements of a training, at most, by default
SHARE = 0.1  # of the time of training, for measuring and for writing each
AT_ONCE = 1.0  # seconds of measuring that are free, so that a short training is measured in every epoch
LARGEST = 1 << 26  # bytes that a page may have to be read again
SERIES = tuple(name for name in LayerRow._fields if name not in Facts._fields)
PAGE = "glassgrad training report"
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.S)


class Report(Callback):
    """A page about a training, and the numbers in it.

    The page is written before the first epoch, after it, from then on about once a second, and at the end; whole or not
    at all, so that whatever ends training leaves one that can be read. It holds the curves of the history, statistics
    of every layer over time, settings, and an explanation of the model on a few rows. It needs no network.

    Parameters
    ----------
    path : of the page; None only measures. A page of an earlier run is replaced, any other file refused. Where training
        goes on from a checkpoint, the measurements in the page up to there are kept
    every : epochs from one measurement of the layers to the next; by default 1, but of a long training no more than 200
        measurements, which beyond a second take a tenth of the time at most
    sample : (x, y) or (x, y, weights) to measure the layers on; by default 128 rows of the data, spread evenly, or
        the first batch
    title : of the page

    Attributes
    ----------
    settings : what else there is to say in the table of settings, by name
    sections : further parts of the page, each a dict with a ``title``, and a ``note``, a ``text``, or the ``head`` and
        ``rows`` of a table
    findings : what is wrong with the training, each a dict with ``problem``, ``place``, ``evidence`` and ``remedy``, or
        something that has such a ``to_dict()``
    state : "running", "finished", "interrupted", or "failed"

    Raises
    ------
    ModelFileError
        The file exists and is no report, or cannot be written.

    Notes
    -----
    What is measured of a layer is in ``inspect.LayerRow``: of a forward and backward pass of the model as it predicts,
    without dropout. ``update`` is ‖ΔW‖ / ‖W‖ of the step that the optimiser would take next with the gradient
    of the sample; about 1e-3 is usual (Stanford's course CS231n, "Ratio of weights:updates"). Measuring is
    compiled where training is, and takes less than a millisecond for small networks; writing the page takes a tenth of
    the time at most.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from glassgrad import nn, optim, train
    >>> x = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = train.Report(pathlib.Path(folder, "report.html"))
    ...     found = train.fit(nn.MLP((1, 8, 1), rng=0), nn.squared_error, (x, x**2), optimizer=optim.Adam(0.01),
    ...                       epochs=5, callbacks=report)
    ...     "<title>training</title>" in report.path.read_text()
    True
    >>> [(row["epoch"], row["name"], row["units"]) for row in report.rows()][:3]
    [(0, 'hidden1', 8), (0, 'output', 1), (1, 'hidden1', 8)]
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        every: int | None = None,
        sample: tuple[Any, ...] | None = None,
        title: str = "training",
    ) -> None:
        if every is not None and not (isinstance(every, (int, np.integer)) and every >= 1):
            raise ValueError(f"Report: bad every: got {every!r:.60}, expected a whole number of epochs above 0")
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise TypeError(
                f"Report: bad path: got {path!r:.60}, expected that of a page, such as 'report.html', or None"
            )
        self.path = None if path is None else Path(path)
        self.every, self.title = every, title
        self.sample = None if sample is None else arrays_of(sample, "sample")
        if self.sample is not None:
            count_of(self.sample, "sample")
        self.settings: dict[str, Any] = {}
        self.sections: list[dict[str, Any]] = []
        self.findings: list[Any] = []
        self.state, self.error = "running", ""
        self.training: Training | None = None
        self._apart = 1  # epochs from one measurement to the next
        self._facts: list[Facts] = []
        self._numbers: Any = None  # of all layers, compiled where training is
        self._measured: dict[int, tuple[LayerRow, ...]] = {}  # by epoch
        self._due = 0.0  # when the page may be written again
        self._began = self._spent = 0.0  # training; seconds on measuring

    def for_replica(self, index: int) -> Report:
        found = copy.deepcopy(self)
        found.path = None if self.path is None else numbered(self.path, index)
        found.title = f"{self.title}, replica {index}"
        return found

    def on_start(self, training: Training) -> None:
        require_training(training, "Report")
        done, before = len(training.history.loss), self._measured
        if self.path is not None and require_place(self.path, ModelFileError).exists():
            if not is_report(self.path):
                raise ModelFileError(
                    f"fit: {self.path} exists and is not a report: choose another path, or remove it first"
                )
            before = before | measurements(self.path) if done else {}
        self.training, self.state, self.error = training, "running", ""
        self._measured, self._apart, self._due = {}, self.every or 1, 0.0
        self._numbers = jit(self._statistics) if training.compiled else self._statistics
        if self.sample is None:
            self.sample = _sample(training.feed)
        self._measure(done)
        # A page at this path, or this report, may have been of another model
        now = _layers(self._measured[done])
        self._measured |= {epoch: rows for epoch, rows in before.items() if epoch < done and _layers(rows) == now}
        self.write()
        self._began, self._spent = time.monotonic(), 0.0  # without what compiling took

    def on_epoch(self, epoch: Epoch, training: Training) -> None:
        affordable = self._spent < AT_ONCE + SHARE * (time.monotonic() - self._began)
        if epoch.number % self._apart == 0 and (self.every or affordable):
            self._measure(epoch.number)
        if time.monotonic() >= self._due:
            began = time.monotonic()
            self.write()
            now = time.monotonic()
            self._due = now + max(1.0, (now - began) / SHARE)

    def on_end(self, training: Training) -> None:
        self.state = "interrupted" if training.history.interrupted else "finished"
        self._measure(len(training.history.loss))
        self.write()

    def on_error(self, error: BaseException, training: Training) -> None:
        if self.training is training and self._measured:  # where it began with this error, the file may be another's
            self.state, self.error = "failed", str(error) or type(error).__name__
            with contextlib.suppress(ModelFileError):
                self.write()

    def rows(self) -> list[dict[str, Any]]:
        """One dict for each measured epoch and layer, for ``pandas.DataFrame(report.rows())``.

        ``epoch``, which is 0 before the first, then what ``inspect.LayerRow`` has, and ``gradient_rms``: the norm
        divided by the root of the number of weights.
        """
        return [
            {"epoch": epoch, **row._asdict(), "gradient_rms": row.gradient_norm / math.sqrt(math.prod(row.shape))}
            for epoch in sorted(self._measured)
            for row in self._measured[epoch]
        ]

    def to_jsonl(self, path: str | os.PathLike[str]) -> None:
        """Write ``rows()``, each as a line of JSON; a number that is not finite is null."""
        write_whole(path, "".join(json.dumps(_plain(row)) + "\n" for row in self.rows()).encode(), DataError)

    def figures(self) -> dict[str, Any]:
        """Figures of matplotlib by name: ``history``, and one for each of the layers' series."""
        from .figures import figures

        return dict(figures(self))

    def data(self) -> dict[str, Any]:
        """All that the page shows, as plain data for JSON."""
        history = self._training.history
        epochs = sorted(self._measured)
        layers = [
            {name: getattr(row, name) for name in Facts._fields}
            | {"series": {name: [getattr(self._measured[e][k], name) for e in epochs] for name in SERIES}}
            for k, row in enumerate(self._measured[epochs[-1]])
        ]
        found: dict[str, Any] = _plain(
            {
                "page": PAGE,
                "title": self.title,
                "state": self.state,
                "error": self.error,
                "written": time.time(),
                "epochs": self._training.epochs,
                "best_epoch": 0 if self.state == "running" else history.best_epoch,
                "rows": len(tree.leaves(self.sample)[0]),
                "history": history.to_dict(),
                "measured": epochs,
                "layers": layers,
                "settings": _settings(self._training) | self.settings,
                "sections": self.sections,
                "findings": [f if isinstance(f, dict) else f.to_dict() for f in self.findings],
                "viewer": self._viewer(),
            }
        )
        return found

    def html(self) -> str:
        """The page as it is now."""
        return page(self.title, "report", self.data(), frames=("explain",))

    def write(self) -> None:
        """Write the page anew, such as after something was added to ``sections``."""
        if self.path is not None:
            write_whole(self.path, self.html().encode(), ModelFileError)

    @property
    def _training(self) -> Training:
        if self.training is None:
            raise ValueError("Report: nothing has been trained: pass it to fit, callbacks=[report], first")
        return self.training

    def _measure(self, epoch: int) -> None:
        if epoch in self._measured:
            return
        began = time.monotonic()
        carry, (x, *targets) = self._training.carry, self.sample or ()
        numbers = self._numbers(carry.model, carry.state, x, targets)
        self._measured[epoch] = rows_of(self._facts, np.asarray(numbers))
        self._spent += time.monotonic() - began
        if self.every is None and len(self._measured) > POINTS:
            self._apart *= 2
            self._measured = {e: rows for e, rows in self._measured.items() if e % self._apart == 0 or e == epoch}

    def _statistics(self, model: Any, state: Any, x: Any, targets: Any) -> Any:
        def step(slopes: Any) -> Any:
            wanted = tree.map(lambda flag, slope: slope if flag else None, learnt(model), slopes)
            return self._training.optimizer.step(model, wanted, state)[0]

        self._facts, numbers, _ = statistics(model, self._loss, x, targets, step)
        return numbers

    def _loss(self, outputs: Any, targets: Any) -> Any:
        return loss_of(self._training.loss, outputs, targets)

    def _viewer(self) -> str:
        """The page that explains the loss of a few rows."""
        few = tree.map(lambda column: column[:SHOWN], self.sample)

        def loss(model: Any, x: Any) -> Any:
            return self._loss(model(x), few[1:])

        return viewer(explain(loss, self._training.copy(), few[0], wrt="model"))


def _layers(rows: tuple[LayerRow, ...]) -> list[tuple[Any, ...]]:
    return [tuple(getattr(row, name) for name in Facts._fields) for row in rows]


def is_report(path: Path) -> bool:
    """Whether a file is such a page, which may be replaced."""
    try:
        measurements(path)
    except (ValueError, KeyError, TypeError, IndexError):
        return False
    return True


def measurements(path: Path) -> dict[int, tuple[LayerRow, ...]]:
    """What was measured according to a page, by epoch; some error of Python's if it is none."""
    with path.open("rb") as stream:
        held = DATA.search(stream.read(LARGEST).decode())
    data = json.loads(held[1]) if held else {}
    if data["page"] != PAGE:
        raise ValueError
    return {int(epoch): tuple(_row(layer, k) for layer in data["layers"]) for k, epoch in enumerate(data["measured"])}


def _row(layer: dict[str, Any], k: int) -> LayerRow:
    """A layer of a page, as it was at the k-th measurement."""
    numbers = {name: layer["series"][name][k] for name in SERIES}
    fields: dict[str, Any] = {name: math.nan if v is None else float(v) for name, v in numbers.items()}
    fields |= {name: layer[name] for name in Facts._fields} | {"shape": tuple(layer["shape"])}
    return LayerRow(**fields)


def _sample(feed: Rows | Stream) -> tuple[Any, ...]:
    """Rows to measure on: some of the data, or of the first batch."""
    if isinstance(feed, Rows):
        data = feed.data
    else:
        batches = feed.source(1) if callable(feed.source) else feed.source
        if iter(batches) is batches and not callable(feed.source):
            raise DataError("Report: no rows to measure on: got batches that are handed out once; pass sample=(x, y)")
        data = arrays_of(next(iter(batches)), "a batch")
    count = count_of(data)
    chosen = np.linspace(0, count - 1, min(count, ROWS)).astype(np.int64)
    found: tuple[Any, ...] = tree.map(lambda column: column[chosen], data)
    return found


def _settings(training: Training) -> dict[str, Any]:
    """How the model is trained, in words."""
    feed, model = training.feed, training.carry.model
    leaves, flags = tree.leaves(model), tree.leaves(learnt(model))
    rows = {"rows": feed.total, "batch_size": feed.batch_size} if isinstance(feed, Rows) else {}
    return {
        "model": repr(model),
        "parameters": sum(np.size(leaf) for leaf, flag in zip(leaves, flags, strict=True) if flag),
        "loss": getattr(training.loss, "__name__", repr(training.loss)),
        "optimizer": repr(training.optimizer),
        **rows,
        "epochs": training.epochs,
    }


def _plain(value: Any) -> Any:
    """A value for JSON, which has no NaN and no infinities: None in their place."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
