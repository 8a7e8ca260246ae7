"""Training in a file: what it takes to go on, after an interruption or a crash, as if nothing had been.

A safetensors file with the model (``model.*``), the optimiser's state (``optimizer.*``), the best model so far
(``best.*``), the columns of the history, and JSON metadata: where in the data it was, the state of the random
generator, what callbacks remember; of replicas all of this for each (``0.model.*``, ``1.model.*``). It is written
beside the old one and put in its place, so that one is always whole.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from .. import tree
from ..data.record import Record
from ..errors import DataError, DtypeError, GlassgradError, ModelFileError
from ..nn.module import array_name
from . import safetensors
from .facts import first_difference
from .files import sweep
from .history import COLUMNS, History
from .save import CHECKPOINT, as_text, described, packed, record_of, unpacked
from .training import Carry, Training

UNFINISHED = ("losses", "norms", "sizes")  # of the steps taken of an epoch that is not over


@dataclass(frozen=True)
class Checkpoint:
    """Where, and how often, training is written to a file; also when it ends, and when Ctrl-C ends it.

    Attributes
    ----------
    path : the file
    every : epochs between two writes
    steps : steps between two writes within an epoch; None for none. Epochs are then cut into native calls of so many

    Examples
    --------
    >>> Checkpoint("run.safetensors", every=10)
    Checkpoint(path='run.safetensors', every=10, steps=None)
    """

    path: str | os.PathLike[str]
    every: int = 1
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.every < 1 or (self.steps is not None and self.steps < 1):
            raise ValueError(f"Checkpoint: got every={self.every}, steps={self.steps}, expected numbers above 0")

    def begin(self, runs: Sequence[Training], resume: bool) -> None:
        """Go on from the file, if that is asked for and it is there; refuse to replace one that nobody asked for."""
        sweep(self.path)
        if not os.path.lexists(self.path):
            return
        if not resume:
            raise ModelFileError(
                f"fit: {self.path} exists: pass resume=True to go on from it, remove it, or choose another path"
            )
        restore(self.path, runs)

    def write(self, runs: Sequence[Training]) -> None:
        """Replace the file by one of training as it is now; of replicas, all of them."""
        if runs[0].replica is None:
            arrays, fields = _state(runs[0])
        else:
            states = [_state(run, f"{run.replica}.") for run in runs]
            arrays = {name: array for found, _ in states for name, array in found.items()}
            fields = {"replicas": [own for _, own in states]}
        safetensors.write(self.path, arrays, {"glassgrad": as_text(CHECKPOINT, facts=runs[0].facts, **fields)})


def writer(kept: Checkpoint | None, runs: Sequence[Training], resume: bool) -> Callable[[], None]:
    """What writes the checkpoint, if there is one; and trainings brought to where the one found there was."""
    if kept is None:
        return lambda: None
    kept.begin(runs, resume)
    written: list[Any] = []

    def write() -> None:
        now = [(int(run.carry.steps), run.number) for run in runs]
        if now != written:
            kept.write(runs)
            written[:] = now

    return write


def _state(training: Training, prefix: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays by name, and plain values, from which a training goes on."""
    carry, history = training.carry, dataclasses.asdict(training.history)
    arrays: dict[str, Any] = {}
    usable = training.model if training.kept is None else training.kept
    best = None if usable is carry.model else usable  # the best one, or an average that the optimiser keeps
    usable_name = "model" if best is None else "best"
    for part, name in ((carry.model, "model"), (carry.state, "optimizer"), (best, "best")):
        arrays |= named_arrays(part, name)
    arrays |= {"key": carry.key, "steps": carry.steps}
    arrays |= {name: np.array(getattr(training, name), np.float64) for name in UNFINISHED}
    columns = {name: history.pop(name) for name in COLUMNS if name in history} | history.pop("metrics")
    arrays |= {f"history.{name}": np.array(column, np.float64) for name, column in columns.items()}
    fields = {
        "usable": usable_name,
        "model": _model(usable, f"{prefix}{usable_name}"),
        "kept": training.kept is not None,
        "history": history,
        "columns": list(columns),
        "random": tree.map(lambda leaf: leaf.tolist() if isinstance(leaf, np.ndarray) else leaf, training.drawn),
        "callbacks": [[type(c).__name__, kept] for c in training.callbacks if (kept := c.to_dict())],
    }
    return {f"{prefix}{name}": array for name, array in arrays.items()}, fields


def restore(path: str | os.PathLike[str], runs: Sequence[Training]) -> None:
    """Bring trainings, not yet begun, to where a file says they were.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, not a checkpoint, or of another model or optimiser.
    DataError
        It is of other data, or other batches.
    """

    def restored(stream: BinaryIO, header: safetensors.Header) -> None:
        record = record_of(header, CHECKPOINT)
        arrays = safetensors.arrays_of(stream, header, header.entries)
        try:
            _restore(record, arrays, runs)
        except GlassgradError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelFileError(f"load: the checkpoint is damaged: {error!r:.100}; remove it") from None

    safetensors.opened(path, restored)


def _restore(record: Record, arrays: dict[str, Any], runs: Sequence[Training]) -> None:
    each = states_of(record)
    if len(each) == len(runs):
        for own, run in zip(each, runs, strict=True):
            _restore_callbacks(own, run)
    if different := first_difference(runs[0].facts, record.get("facts")):
        name, got, expected = different
        part = name.partition(".")[0]
        raise (DataError if part in ("data", "validation") else ModelFileError)(
            f"fit: the checkpoint is of other {part}: got {name} {got}, expected {expected}; pass the same, or start "
            f"anew with another checkpoint="
        )
    for own, run in zip(each, runs, strict=True):
        prefix = "" if run.replica is None else f"{run.replica}."
        parts = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        _restore_state(own, parts, run)


def states_of(record: Record) -> list[Record]:
    """What a checkpoint says of each training in it."""
    return record.records("replicas") if record.has("replicas") else [record]


def _restore_callbacks(record: Record, training: Training) -> None:
    waiting = [(str(name), memory) for name, memory in record.get("callbacks")]
    for callback in training.callbacks:
        mine = next((entry for entry in waiting if entry[0] == type(callback).__name__), None)
        if mine is not None:
            waiting.remove(mine)
            callback.restore(mine[1])
    if waiting:
        raise ModelFileError(f"fit: the checkpoint is of a run with {waiting[0][0]}: got none; pass it, or start anew")


def _restore_state(record: Record, arrays: dict[str, Any], training: Training) -> None:
    model = filled(training.carry.model, arrays, "model")
    state = filled(training.carry.state, arrays, "optimizer")
    known = set(labels(model, "model")) | set(labels(state, "optimizer"))
    if spare := [name for name in arrays if name.startswith(("model.", "optimizer.")) and name not in known]:
        raise ModelFileError(
            f"load: the checkpoint is of another model or optimiser: got {spare[0]}, which nothing here has; pass the "
            f"same, or start anew"
        )
    key, steps = (filled(getattr(training.carry, name), arrays, name) for name in ("key", "steps"))
    best = filled(model, arrays, "best") if record.flag("kept") else None
    columns = {name: arrays[f"history.{name}"].tolist() for name in record.texts("columns")}
    metrics = {name: columns.pop(name) for name in [*columns] if name not in COLUMNS}
    history = History(**columns, metrics=metrics, **record.get("history"))
    template, drawn = training.drawn, record.get("random")
    if template["bit_generator"] != drawn["bit_generator"]:
        raise ModelFileError(
            f"load: the checkpoint is of another random generator: got {template['bit_generator']}, expected "
            f"{drawn['bit_generator']}; pass such a one as rng"
        )
    training.order.bit_generator.state = tree.map(
        lambda now, then: np.array(then, now.dtype) if isinstance(now, np.ndarray) else then, template, drawn
    )
    training.carry, training.kept, training.history = Carry(model, state, key, steps), best, history
    training.history.interrupted = False
    training.drawn = training.order.bit_generator.state
    training.losses, training.norms, training.sizes = (arrays[name].tolist() for name in UNFINISHED)
    training.begun = len(training.sizes)


def labels(part: Any, name: str) -> list[str | None]:
    """The dotted path that leads to each leaf of a tree; None for leaves that are no arrays."""
    found: dict[str, None] = {}
    given: list[str | None] = []
    for path, leaf in zip(tree.key_paths(part), tree.leaves(part), strict=True):
        given.append(array_name((name, *path), found) if isinstance(leaf, (np.ndarray, np.generic)) else None)
        found |= {given[-1]: None} if given[-1] else {}
    return given


def named_arrays(part: Any, name: str) -> dict[str, Any]:
    """The arrays of a tree by the dotted paths that lead to them."""
    pairs = zip(labels(part, name), tree.leaves(part), strict=True)
    return {label: packed(leaf) for label, leaf in pairs if label is not None}


def filled(part: Any, arrays: dict[str, Any], name: str) -> Any:
    """A tree like ``part`` with the arrays of a file, which must have the same shapes and dtypes."""
    leaves, structure = tree.flatten(part)
    pairs = zip(labels(part, name), leaves, strict=True)
    return tree.unflatten(structure, [leaf if label is None else _like(leaf, arrays, label) for label, leaf in pairs])


def _like(leaf: Any, arrays: dict[str, Any], label: str) -> Any:
    array = arrays.get(label)
    if array is not None:
        array = unpacked(array, leaf.dtype.name)
    if array is None or array.shape != leaf.shape or array.dtype != leaf.dtype:
        got = "nothing" if array is None else f"{array.dtype} {array.shape}"
        raise ModelFileError(
            f"load: the checkpoint is of another model or optimiser: got {got} for {label}, expected {leaf.dtype} "
            f"{leaf.shape}; pass the same, or start anew"
        )
    return array[()]


def _model(model: Any, name: str) -> Any:
    """The model's description, from which ``load`` builds it; None for one of the user's own making."""
    try:
        return described(model, {}, (name,))
    except DtypeError:
        return None
