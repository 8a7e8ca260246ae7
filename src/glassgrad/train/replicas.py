"""Many trainings at once, of the same model from other seeds or at other learning rates, in one native function."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..autodiff.batch import vmap
from ..compile import jit
from ..data.batches import Seed, generator, shuffled
from ..errors import DivergedError
from ..nn.losses import Loss
from ..optim import Optimizer
from .callbacks import Callback
from .epoch import Pass, native_epoch
from .facts import facts, first_difference
from .feed import Rows, not_finite, rows_of
from .history import Epoch
from .interrupt import Interrupt, Interrupted
from .measure import Measured, shares
from .remember import remembered
from .training import Carry, Training, own, training_step

_outputs = jit(vmap(lambda model, x: model(x), in_axes=(0, None)))


@dataclasses.dataclass(frozen=True, eq=False)
class Replicas:
    """Models of one structure, as one whose arrays have a further axis 0.

    ``replicas(x)`` is the outputs of all, stacked; ``replicas[i]`` is one of the models.

    Examples
    --------
    >>> from glassgrad import nn
    >>> both = Replicas.of([nn.Linear(3, 2, rng=0), nn.Linear(3, 2, rng=1)])
    >>> len(both), both.model.W.shape, both(np.ones((5, 3), np.float32)).shape, both[1]
    (2, (2, 3, 2), (2, 5, 2), Linear(3 -> 2))
    """

    model: Any

    @classmethod
    def of(cls, models: Sequence[Any]) -> Replicas:
        """Stack models of the same structure, shapes and dtypes."""
        return cls(tree.map(lambda *leaves: np.stack(leaves) if _is_array(leaves[0]) else leaves[0], *models))

    def __call__(self, x: Any) -> Any:
        return _outputs(self.model, x)

    def __getitem__(self, index: int) -> Any:
        return tree.map(lambda leaf: leaf[index] if _is_array(leaf) else leaf, self.model)

    def __len__(self) -> int:
        return next(len(leaf) for leaf in tree.leaves(self.model) if _is_array(leaf))

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


def trainings_of(
    models: Sequence[Any],
    optimizers: Sequence[Optimizer],
    orders: Sequence[np.random.Generator],
    loss: Loss,
    feed: Rows,
    epochs: int,
    callbacks: Sequence[Callback],
) -> list[Training]:
    """A training for each replica, as it would be alone."""
    require_alike(models)
    runs = [Training(m, loss, feed, optimizers[0], epochs, o, True) for m, o in zip(models, orders, strict=True)]
    for i, (run, optimizer) in enumerate(zip(runs, optimizers, strict=True)):
        if optimizer != optimizers[0]:
            run.lr = optimizer.rate(run.carry.state)
        run.replica, run.callbacks = i, [callback.for_replica(i) for callback in callbacks]
    return runs


def side_by_side(
    runs: Sequence[Training], interrupt: Interrupt, measure: Callable[[Any], Measured] | None
) -> Iterator[Epoch]:
    """The epochs of trainings in one native function; gives their means, for progress.

    A training that has stopped stays as it was, also when it is gone on with from a checkpoint.
    """
    reached = max(len(run.history.loss) for run in runs)
    for run in runs:
        run.stopped |= len(run.history.loss) < reached
    together = _Together(runs)
    together.take_in()
    for number in range(reached + 1, runs[0].epochs + 1):
        if interrupt.asked or not together.going:
            return
        began, rates = time.perf_counter(), [run.lr for run in runs]
        losses, norms = together.epoch(interrupt)
        seconds = (time.perf_counter() - began) / len(runs)
        entries = [
            Epoch(number, float(one), float(length), *_measured(measure, run), lr, seconds)
            for run, one, length, lr in zip(runs, losses, norms, rates, strict=True)
        ]
        for i in together.going:
            runs[i].history.append(entries[i])
        together.observe(entries)
        for i in together.going:
            for watcher in runs[i].callbacks:
                watcher.on_epoch(entries[i], runs[i])
        together.take_in()
        yield Epoch(number, float(losses.mean()), float(norms.mean()), lr=rates[0], seconds=seconds * len(runs))


def _measured(measure: Callable[[Any], Measured] | None, run: Training) -> tuple[float | None, dict[str, float]]:
    return (None, {}) if measure is None or run.stopped else measure(run.model)


def _whole(structure: tree.Structure, plain: Sequence[Any], held: Sequence[Any]) -> Carry:
    supply = iter(held)
    carry: Carry = tree.unflatten(structure, [next(supply) if leaf is None else leaf for leaf in plain])
    return carry


def _arrays(plain: Sequence[Any], carry: Carry) -> list[Any]:
    return [leaf for leaf, other in zip(tree.leaves(carry), plain, strict=True) if other is None]


@remembered
def _passes(loss: Loss, optimizer: Optimizer, structure: tree.Structure, plain: tuple[Any, ...]) -> tuple[Pass, Pass]:
    """An epoch of all trainings, whose carries are so built: of rows that each draws for itself, and of all rows."""
    step = training_step(loss, optimizer)

    def one(held: list[Any], batch: Any) -> tuple[list[Any], Any]:
        after, outputs = step(_whole(structure, plain, held), batch)
        return _arrays(plain, after), outputs

    return native_epoch(vmap(one)), native_epoch(vmap(one, in_axes=(0, None)))


class _Together:
    """Trainings whose arrays are stacked; each that is ``going`` sees its own part of them."""

    def __init__(self, runs: Sequence[Training]) -> None:
        self.runs, self.optimizer = runs, runs[0].optimizer
        self.going = list(range(len(runs)))
        self.shown = [run.carry for run in runs]
        leaves, self.structure = tree.flatten(runs[0].carry)
        self.plain = tuple([None if _is_array(leaf) else leaf for leaf in leaves])
        columns = zip(*(tree.leaves(run.carry) for run in runs), strict=True)
        self.stacked = [np.stack(column) for column in columns if _is_array(column[0])]
        feed, loss = runs[0].feed, runs[0].loss
        code = loss, self.optimizer, runs[0].carry.model, feed.data if isinstance(feed, Rows) else None
        self.by_rows, self.by_all = _passes(loss, self.optimizer, self.structure, self.plain, code=code)

    def whole(self, held: Sequence[Any]) -> Carry:
        """A carry with these arrays."""
        return _whole(self.structure, self.plain, held)

    def arrays(self, carry: Carry) -> list[Any]:
        """The arrays of a carry."""
        return _arrays(self.plain, carry)

    def epoch(self, interrupt: Interrupt) -> tuple[Any, Any]:
        """One pass for all: mean losses over rows, and mean lengths of the gradients. A lost replica has nan."""
        spare = [array.copy() for array in self.stacked]
        found, sizes = [], []
        try:
            with interrupt.breakable(), np.errstate(all="ignore"):
                for parts in zip(*(run.feed.parts(1, run.order, 0, None) for run in self.runs), strict=True):
                    rows = None if parts[0].rows is None else np.stack([part.rows for part in parts], axis=1)
                    take = self.by_all if rows is None else self.by_rows
                    self.stacked, outputs = take(self.stacked, parts[0].data, rows)
                    found.append(outputs)
                    sizes.append(np.stack([shares(self.runs[0].loss, part) for part in parts], axis=1))
        except Interrupted:
            self.stacked = spare
            self.hand_out()
            raise
        self.hand_out()
        losses, norms = (np.concatenate(column).astype(float) for column in zip(*found, strict=True))
        if not np.isfinite(losses[-1]).any():
            feed = self.runs[0].feed
            expected = (isinstance(feed, Rows) and not_finite(feed.given)) or (
                "expected finite numbers; lower the learning rate, or look for extreme values in the data"
            )
            raise DivergedError(f"fit: the loss of every replica is no longer finite: {expected}")
        for i in self.going:
            self.runs[i].history.steps = int(self.runs[i].carry.steps)
            self.runs[i].drawn = self.runs[i].order.bit_generator.state
        with np.errstate(all="ignore"):
            return np.average(losses, axis=0, weights=np.concatenate(sizes)), norms.mean(axis=0)

    def hand_out(self) -> None:
        """Show each training its part."""
        for i in self.going:
            self.shown[i] = self.runs[i].carry = self.whole([array[i] for array in self.stacked])

    def take_in(self) -> None:
        """Take over what callbacks changed, such as a learning rate; those that have stopped keep what they have."""
        for i in self.going:
            run = self.runs[i]
            if run.carry is not self.shown[i]:
                for array, own_part in zip(self.stacked, self.arrays(run.carry), strict=True):
                    array[i] = own_part
            if run.stopped:
                run.carry = tree.map(own, run.carry)
        self.going = [i for i in self.going if not self.runs[i].stopped]

    def observe(self, entries: Sequence[Epoch]) -> None:
        """Tell the optimiser the losses of an epoch."""
        losses = [entry.loss if entry.validation_loss is None else entry.validation_loss for entry in entries]
        carry = self.whole(self.stacked)
        state = self.optimizer.observe(carry.state, np.array(losses))
        if state is not carry.state:
            self.stacked = self.arrays(carry._replace(state=state))
            self.hand_out()


def models_of(model: Any, replicas: int) -> list[Any]:
    """A model for each replica: of a sequence, of a function of the replica's number, or all the same."""
    if isinstance(model, (list, tuple)):
        if len(model) != replicas:
            raise ValueError(f"fit: got {len(model)} models for replicas={replicas}; pass one for each")
        return list(model)
    made = callable(model) and tree.structure(model) == tree.LEAF
    return [model(i) if made else model for i in range(replicas)]


def require_alike(models: Sequence[Any]) -> None:
    """Refuse models that differ in more than the numbers in their arrays."""
    first, *others = (facts(tree.map(own, model), "model") for model in models)
    for i, other in enumerate(others, 1):
        if different := first_difference(other, first):
            name, got, expected = different
            raise ValueError(
                f"fit: replicas are models of one structure: got {name} {got} of replica {i}, expected {expected} "
                f"as of replica 0; train them one by one"
            )


def optimizers_of(given: Sequence[Any], replicas: int) -> list[Optimizer]:
    """An optimiser for each replica, which may differ in the learning rate."""
    given = list(given) * replicas if len(given) == 1 else list(given)
    for other in given:
        if other != given[0] and not _differ_in_rate(other, given[0]):
            raise ValueError(
                f"fit: optimisers of replicas differ in a number lr only: got {other!r:.80} beside {given[0]!r:.80}"
            )
    if len(given) != replicas:
        raise ValueError(f"fit: got {len(given)} optimisers for replicas={replicas}; pass one, or one for each")
    return given


def _differ_in_rate(one: Any, other: Any) -> bool:
    plain = all(dataclasses.is_dataclass(o) and isinstance(o.lr, (int, float)) for o in (one, other))  # type: ignore[union-attr]
    return plain and type(one) is type(other) and dataclasses.replace(one, lr=other.lr) == other


def orders_of(rng: Seed, replicas: int, feed: Rows) -> list[np.random.Generator]:
    """A generator for each replica: of the seeds rng, rng + 1, ...; or made from a generator."""
    if isinstance(rng, np.random.Generator):
        return rng.spawn(replicas)
    orders = [generator(rng + i) for i in range(replicas)]
    if feed.share:
        for order in orders:
            shuffled(rows_of(feed.given), order)  # a share, as each would draw alone
    return orders


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (np.ndarray, np.generic))
