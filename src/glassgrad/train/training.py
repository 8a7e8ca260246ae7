"""Training under way: what is trained, how far it has come, and what it has come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import tree
from ..autodiff.derivatives import value_and_grad
from ..data.batches import Seed, generator
from ..errors import DataError, DivergedError, TracedValueError
from ..graph.node import Node
from ..nn.losses import Loss
from ..nn.module import learn, learnt, with_state
from ..ops import elementwise, logic, losses
from ..optim import Optimizer
from ..optim.base import learns
from ..optim.formula import as_buffer
from ..random import fold_in, key
from .callbacks import Callback, learning_rate
from .epoch import Pass, eager_epoch, native_epoch
from .feed import Part, Rows, Stream, not_finite
from .history import History
from .interrupt import Interrupt, Interrupted
from .measure import loss_of, shares, takes_weights
from .remember import remembered
from .targets import require_weights


class Carry(NamedTuple):
    """What a step hands to the next: the model, the optimiser's state, the key of what is random, steps so far."""

    model: Any
    state: Any
    key: Any
    steps: Any


def training_step(loss: Loss, optimizer: Optimizer) -> Callable[[Carry, Any], tuple[Carry, Any]]:
    """One step of descent: ``carry, (loss, length of the gradient) = step(carry, batch)``."""

    guarded = takes_weights(loss) and getattr(loss, "__module__", "") != losses.__name__  # those see to it themselves

    def of_model(model: Any, batch: Any, rng: Any) -> Any:
        x, *targets = batch
        outputs, moved = learn(model, x, rng)
        return loss_of(loss, outputs, targets), moved

    def step(carry: Carry, batch: Any) -> tuple[Carry, Any]:
        rng = fold_in(carry.key, carry.steps)
        (value, moved), slopes = value_and_grad(of_model, has_aux=True)(carry.model, batch, rng)
        slopes = tree.map(lambda flag, slope: slope if flag else None, learnt(carry.model), slopes)
        if guarded and len(batch) > 2:  # Σ w l / Σ w is nan where all weights are 0, which is to teach nothing
            used = sum(abs(w).sum() for w in tree.leaves(batch[2])) != 0
            value, slopes = tree.map(lambda leaf: logic.where(used, leaf, 0), (value, slopes))
        model, state = optimizer.step(carry.model, slopes, carry.state, donate=True)
        return Carry(with_state(model, moved), state, carry.key, carry.steps + 1), (value, norm(slopes))

    return step


@remembered
def _epoch(loss: Loss, optimizer: Optimizer, compiled: bool) -> Pass:
    return (native_epoch if compiled else eager_epoch)(training_step(loss, optimizer))


def norm(slopes: Any) -> Any:
    """Length of a tree of gradients taken as one vector: √Σ|g|²."""
    return elementwise.sqrt(sum((abs(as_buffer(g)) ** 2).sum() for g in tree.leaves(slopes)))


class Training:
    """A model on its way, for callbacks to look at.

    Attributes
    ----------
    model : as it is now; its arrays are overwritten by later epochs
    history : of the epochs so far
    epochs : how many there are meant to be
    loss, optimizer : as given to ``fit``
    callbacks : that look on
    replica : the number of this one of several that are trained side by side, else None
    """

    def __init__(
        self,
        model: Any,
        loss: Loss,
        feed: Rows | Stream,
        optimizer: Optimizer,
        epochs: int,
        rng: Seed,
        compiled: bool,
    ) -> None:
        self.order = generator(rng)
        seed = int(self.order.spawn(1)[0].bit_generator.random_raw())  # leaves the order of rows as it is
        owned = tree.map(own, model)
        words = np.asarray(key(seed).value)
        self.carry = Carry(owned, optimizer.init(owned), words, np.int64(0))
        self.loss, self.optimizer, self.epochs, self.feed = loss, optimizer, epochs, feed
        self.compiled = compiled
        self.history = History()
        self.callbacks: list[Callback] = []
        self.replica: int | None = None
        self.facts: dict[str, str] = {}  # that a checkpoint must share with what goes on from it
        self.kept: Any = None
        self.spare: Any = None
        self.stopped = False
        self.begun = 0  # steps that are taken of the epoch under way
        self.losses: list[float] = []  # of those steps
        self.norms: list[float] = []
        self.sizes: list[float] = []  # what each counts for in the mean
        self.drawn = self.order.bit_generator.state  # before the order of the epoch under way was drawn
        data = feed.data if isinstance(feed, Rows) else None
        self.take = _epoch(loss, optimizer, compiled, code=(loss, optimizer, model, data))

    @property
    def model(self) -> Any:
        """The model to predict with as it is now."""
        plain = self.carry.model
        found = self.optimizer.result(plain, self.carry.state)
        return plain if found is plain else with_state(found, plain)  # averages are of what is learnt

    @property
    def number(self) -> int:
        """Of the epoch under way, from 1; after the last one, one more."""
        return len(self.history.loss) + 1

    @property
    def best(self) -> Any:
        """The model to return: the one kept, or as it is now."""
        if self.kept is not None:
            return self.kept
        self.history.best_epoch = len(self.history.loss)
        return self.model

    def copy(self) -> Any:
        """The model as it is now, in arrays of its own."""
        return tree.map(own, self.model)

    def keep(self) -> None:
        """Make the model as it is now the one that ``fit`` returns."""
        self.kept, self.history.best_epoch = self.copy(), len(self.history.loss)

    def stop(self) -> None:
        """End training after this epoch."""
        self.stopped = True

    @property
    def lr(self) -> float:
        """The learning rate of the next step. Setting it changes a factor in the state, and compiles nothing."""
        return float(self.optimizer.rate(self.carry.state))

    @lr.setter
    def lr(self, value: float) -> None:
        rate = learning_rate(value)
        state = self.carry.state
        plain = self.optimizer.rate(state._replace(scale=np.float64(1.0)))
        if plain == 0:
            raise ValueError(
                "training.lr: the schedule is at 0, and a multiple of it is what can be set; give the optimiser a "
                "schedule that ends above 0"
            )
        self.carry = self.carry._replace(state=state._replace(scale=np.float64(rate / plain)))

    def observe(self, loss: float) -> None:
        """Tell the optimiser the loss of an epoch: ``optim.Plateau`` may lower the rate."""
        self.carry = self.carry._replace(state=self.optimizer.observe(self.carry.state, np.float64(loss)))

    def epoch(self, interrupt: Interrupt, most: int | None, after_part: Callable[[], None]) -> tuple[float, float]:
        """The rest of the epoch under way: mean loss over its rows, mean length of the gradient over its steps.

        ``after_part`` is called after every ``most`` steps but the last ones.

        Raises
        ------
        Interrupted
            By Ctrl-C. The steps that were under way are undone.
        DivergedError
            The loss or a parameter is no longer finite.
        """
        self.order.bit_generator.state = self.drawn
        for part in self.feed.parts(self.number, self.order, self.begun, most):
            if interrupt.asked:
                raise Interrupted
            if most and self.begun and self.begun % most == 0:
                after_part()
            self._take(part, interrupt)
        if not self.begun:
            raise DataError(
                f"fit: no batches in epoch {self.number}: expected at least one; an iterator is used up by one epoch: "
                f"pass something that begins anew, or a function of the epoch's number that makes one"
            )
        return self._finish()

    def _take(self, part: Part, interrupt: Interrupt) -> None:
        """The steps of a part. Ctrl-C may break in where there are many, and what they changed is then undone."""
        many = len(part.sizes) > 1
        if isinstance(self.feed, Stream):
            require_weights(self.loss, part.data, "a batch", some=False)
        if many:
            self.spare = copied(self.carry, self.spare)
        try:
            with interrupt.breakable(many), np.errstate(all="ignore"):
                self.carry, (values, norms) = self.take(self.carry, part.data, part.rows)
        except Interrupted:
            self.carry, self.spare = self.spare, None
            raise
        except TracedValueError as error:
            error.add_note("fit: the model or the loss cannot be compiled: change it, or pass compile=False")
            raise
        self._require_finite(values)
        self.losses += values.tolist()
        self.norms += norms.tolist()
        self.sizes += shares(self.loss, part)
        self.begun += len(part.sizes)

    def _finish(self) -> tuple[float, float]:
        """Look at the epoch as a whole, and be ready for the next."""
        if not all(np.isfinite(leaf).all() for leaf in tree.leaves(self.model) if learns(leaf)):
            raise self._diverged("a parameter is no longer finite", self.begun)
        total = sum(self.sizes)
        if not total:
            raise DataError(
                f"fit: all weights of epoch {self.number} are 0: expected some above it; pass other weights"
            )
        found = float(np.dot(self.losses, self.sizes)) / total, float(np.mean(self.norms))
        self.history.steps = int(self.carry.steps)
        self.begun, self.losses, self.norms, self.sizes = 0, [], [], []
        self.drawn = self.order.bit_generator.state
        return found

    def _require_finite(self, losses: NDArray[Any]) -> None:
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            raise self._diverged(f"the loss became {losses[bad[0]]}", self.begun + int(bad[0]) + 1)

    def _diverged(self, what: str, step: int) -> DivergedError:
        expected = isinstance(self.feed, Rows) and not_finite(self.feed.given)
        expected = expected or (
            f"expected finite numbers; lower the learning rate (got {self.lr:g}), or look for extreme values in the "
            f"data"
        )
        return DivergedError(f"fit: {what} at epoch {self.number}, step {step}: {expected}")


def require_training(training: Any, who: str) -> None:
    """Refuse to look at what callbacks of the estimators are given."""
    if not isinstance(training, Training):
        raise TypeError(
            f"{who}: looks at trainings of train.fit: got one of {type(training.model).__name__}; leave it out"
        )


def own(leaf: Any) -> Any:
    """A leaf as an array of its own; what is no number as it is."""
    if isinstance(leaf, Node):
        leaf = leaf.value
    if isinstance(leaf, np.ndarray):
        return np.array(leaf, order="C")
    return np.asarray(leaf)[()] if isinstance(leaf, (bool, int, float, complex)) else leaf


def copied(carry: Any, spare: Any) -> Any:
    """The carry's values in the arrays of ``spare``, a tree of the same structure; in ones of its own without it."""
    if spare is None:
        return tree.map(own, carry)

    def into(leaf: Any, place: Any) -> Any:
        if not isinstance(leaf, np.ndarray):
            return leaf
        np.copyto(place, leaf)
        return place

    return tree.map(into, carry, spare)
