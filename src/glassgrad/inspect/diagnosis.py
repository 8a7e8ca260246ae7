"""``diagnose``: what keeps a model from learning, with where, by which numbers, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import islice
from typing import Any, overload

import numpy as np

from .. import tree
from ..autodiff.nonfinite import trace_nan
from ..errors import DataError, GlassgradError, NonFiniteError
from ..graph.node import value_of
from ..optim import LBFGS, Optimizer
from ..optim.base import learns
from ..train.feed import Rows, arrays_of, feed_of
from .findings import flow, inputs, rate, silent, units
from .findings.finding import Finding
from .findings.subject import Subject
from .findings.targets import Targets, broadcast, out_of_reach, twice
from .findings.trial import Trial
from .table import Table

LEARNT = 0.25  # of the loss with rows exchanged: below it a model knows much of them


class Diagnosis(Sequence[Finding]):
    """The findings, the gravest first; empty for a healthy model.

    Printing it lays them out as a table and one paragraph each; in Jupyter it shows itself.
    """

    def __init__(self, findings: Sequence[Finding] = (), loss: float = float("nan")) -> None:
        self.findings, self.loss = tuple(findings), loss

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Finding]: ...
    def __getitem__(self, index: int | slice) -> Finding | Sequence[Finding]:
        return self.findings[index]

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def problems(self) -> list[str]:
        """The keys of what is wrong, each once."""
        return list(dict.fromkeys(f.problem for f in self.findings))

    def table(self) -> str:
        """As text, one line a finding."""
        if not self.findings:
            return "nothing found"
        rows: list[tuple[str, ...]] = [(f.problem, f.place, f.numbers, f.remedy) for f in self.findings]
        return str(Table(f"{len(rows)} findings", ("problem", "place", "evidence", "remedy"), rows))

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"findings": [f.to_dict() for f in self.findings]}

    def _repr_html_(self) -> str:
        if not self.findings:
            return "<p>nothing found</p>"
        head = "".join(f"<th>{h}</th>" for h in ("problem", "place", "evidence", "remedy"))
        rows = "".join(
            f"<tr><td>{escape(f.problem)}<br><small>{escape(f.words)}</small></td><td>{escape(f.place)}</td>"
            f"<td>{escape(f.numbers)}</td><td>{escape(f.remedy)}</td></tr>"
            for f in self.findings
        )
        return f"<table><tr>{head}</tr>{rows}</table>"

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or "nothing found"

    def __repr__(self) -> str:
        return f"Diagnosis({', '.join(self.problems) or 'nothing found'})"


def diagnose(
    model: Any,
    loss: Callable[..., Any] | str,
    data: Any,
    *,
    optimizer: Optimizer | LBFGS | str | None = None,
    learning_rate: float | None = None,
    rows: int = 256,
    rng: int = 0,
) -> Diagnosis:
    """What keeps a model from learning: each finding with its place, numbers and remedy; none for a healthy one.

    One forward and one backward pass over a sample are read off the graph the engine computes with, as ``gg.explain``
    does; what is suspected is looked at again after small steps of descent, so that a layer that begins at 0 is not
    accused.

    Parameters
    ----------
    model : a callable tree of arrays, as ``fit`` takes it; or (function, parameters) for ``function(parameters, x)``;
        or parameters alone, with ``loss(parameters, x, y)`` as the whole objective
    loss : as ``fit`` takes it; or the name of one in ``nn``
    data : (x, y) or (x, y, weights), arrays, dataframes or trees of arrays; or batches of such
    optimizer, learning_rate : what training is to use, to be judged too: an object of ``optim``, or a name ("sgd"
        without one) and a rate. Not judged where neither is given, or of ``optim.LBFGS``, which finds its steps
    rows : size of the sample. What is wrong with single entries is looked for in all of the data
    rng : seed of the sample

    Returns
    -------
    Diagnosis
        A sequence of ``Finding``: ``problem``, ``place``, ``evidence``, ``remedy``.

    Raises
    ------
    DataError
        The data are not numbers, or of different lengths.
    TypeError
        The model cannot be called, and the loss is none of parameters, x and y.
    GlassgradError
        The model or the loss cannot be computed for a reason other than those that are looked for.

    Examples
    --------
    >>> import numpy as np
    >>> import glassgrad as gg
    >>> from glassgrad import nn
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(100, 4)), rng.integers(0, 3, 100)
    >>> gg.diagnose(nn.MLP((4, 16, 3), rng=0), nn.cross_entropy, (x, y))
    Diagnosis(nothing found)
    >>> print(gg.diagnose(nn.MLP((4, 16, 3), rng=0), nn.cross_entropy, (x, y + 1)))
    labels_out_of_range in y: labels are not what the loss takes
      least 1, largest 3, bad rows 36, first rows 2, 4, 5, 7, 8, expected 0 to 2, outputs 3
      fix: number the classes from 0: y - 1
    """
    judged = rate.optimizer_of(optimizer, learning_rate)
    arrays, names = _arrays(data)
    subject = Subject.of(model, loss, arrays, names)
    found: list[Finding] = list(_parameters(subject))
    if found:
        return Diagnosis(found)
    with np.errstate(all="ignore"):  # what overflows is found, not warned of
        return _Case(subject, rows, rng).diagnosis(judged)


def _arrays(data: Any) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Whole arrays, and names of columns; of batches the first that together have enough rows."""
    feed = feed_of(data, None)
    if isinstance(feed, Rows):
        columns = getattr(data[0], "columns", None)
        return feed.data, tuple(map(str, columns)) if columns is not None and not callable(columns) else ()
    source = feed.source(1) if callable(feed.source) else feed.source
    batches = [arrays_of(batch, "a batch") for batch in islice(source, 8)]
    if not batches:
        raise DataError("diagnose: no batches: expected at least one; pass data=(x, y)")
    alike = [b for b in batches if _shapes(b) == _shapes(batches[0])]
    return tree.map(lambda *parts: np.concatenate(parts), *alike), ()


def _shapes(batch: Any) -> list[tuple[int, ...]]:
    return [leaf.shape[1:] for leaf in tree.leaves(batch)]


def _parameters(subject: Subject) -> Iterator[Finding]:
    """Parameters that are not finite."""
    for path, leaf in zip(tree.key_paths(subject.params), tree.leaves(subject.params), strict=True):
        if isinstance(leaf, (str, bytes)) or not learns(leaf):
            continue
        value = np.asarray(value_of(leaf))
        if not np.isfinite(value).all():
            numbers = {"nan": int(np.isnan(value).sum()), "infinite": int(np.isinf(value).sum()), "size": value.size}
            remedy = "begin anew with a smaller learning rate; gg.trace_nan() says which op made the first of them"
            yield Finding("nan_in_parameters", ".".join(map(str, path)), numbers, remedy)


class _Case:
    """One diagnosis under way."""

    def __init__(self, subject: Subject, rows: int, rng: int) -> None:
        self.subject = subject
        self.count = len(tree.leaves(subject.x)[0])
        self.rows, self.rng = rows, np.random.default_rng(rng)

    def diagnosis(self, judged: Optimizer | None) -> Diagnosis:
        found: list[Finding] = []
        data = list(inputs.not_finite(self.subject))
        finite = inputs.finite_rows((self.subject.x, self.subject.targets))
        if data and self.minds(np.flatnonzero(~finite)):
            found += data
        else:
            finite[:] = True
        targets = Targets(self.subject, self._outputs(finite))
        found += targets.findings
        good = finite if targets.good is None else finite & targets.good
        if not good.any():
            return Diagnosis(found)
        subject = self.subject.replaced(targets=(targets.y, *self.subject.targets[1:]))
        sample = self.sample(subject, good)
        trial = Trial(sample)
        if not np.isfinite(trial.loss) or self.broken(trial):
            return Diagnosis([*found, *_origin(sample)], trial.loss)
        found += _structure(trial)
        if judged is not None and trial.differentiable and trial.learnt and not {f.problem for f in found} & FORM_STEPS:
            found += rate.learning_rate(sample, judged)
        return Diagnosis(found, trial.loss)

    def _outputs(self, good: Any) -> Any:
        """Outputs of the shape that all rows together have, each like the first of those that count."""
        rows = np.flatnonzero(good)
        if not len(rows) or self.subject.forward is None:
            return None
        few = rows[:2]
        outputs = self.subject.outputs(_take(self.subject.x, few))
        if not isinstance(outputs, np.ndarray) or outputs.ndim == 0 or len(outputs) != len(few):
            return None
        return np.broadcast_to(outputs[:1], (self.count, *outputs.shape[1:]))

    def minds(self, bad: Any) -> bool:
        """Whether entries that are not finite reach the loss or a gradient."""
        chosen = bad[: self.rows]
        try:
            trial = Trial(
                self.subject.replaced(x=_take(self.subject.x, chosen), targets=_take(self.subject.targets, chosen))
            )
        except (GlassgradError, ValueError):
            return True
        return not np.isfinite(trial.loss) or self.broken(trial)

    @staticmethod
    def broken(trial: Trial) -> bool:
        """Whether a gradient is not finite."""
        return any(not np.isfinite(trial.norm(p)) for p in trial.learnt)

    def sample(self, subject: Subject, good: Any) -> Subject:
        """Some of the rows."""
        rows = np.flatnonzero(good)
        if len(rows) > self.rows:
            rows = np.sort(self.rng.choice(rows, self.rows, replace=False))
        return subject.replaced(x=_take(subject.x, rows), targets=_take(subject.targets, rows))


def _take(parts: Any, rows: Any) -> Any:
    return tree.map(lambda leaf: leaf[rows], parts)


def _origin(subject: Subject) -> Iterator[Finding]:
    """Where a loss or gradient that is not finite came from."""
    try:
        with trace_nan():
            subject.slopes(subject.params)
    except NonFiniteError as error:
        origin: Any = error.origin
        yield Finding(
            "nan_in_gradients" if origin.direction == "backward" else "nan_in_loss",
            " in ".join(part for part in (origin.line, origin.scope) if part) or origin.op,
            {"op": origin.op, "direction": origin.direction, "mechanism": origin.mechanism, "source": origin.source},
            origin.remedy or "keep the operands of this op in range",
        )
        return
    yield Finding("nan_in_loss", "the loss", {}, "look at the function with gg.trace_nan()")


def _structure(trial: Trial) -> list[Finding]:
    """What is wrong with the model, causes before consequences: what a cause explains is not said again."""
    found = [*broadcast(trial), *twice(trial), *out_of_reach(trial), *silent.integers(trial.subject)]
    if not trial.learnt:
        return found
    if not trial.differentiable:
        return [*found, *silent.no_gradient(trial, trial, set())]
    baseline = trial.subject.shuffled_loss()
    learnt = bool(trial.loss < LEARNT * baseline)
    scales = list(inputs.unscaled(trial))
    found += scales
    if trial.outputs is not None and not trial.norm(trial.outputs) and learnt:
        return found  # at a minimum there is no gradient to look at
    found += units.dead(trial, learnt)
    if not any(f.evidence["largest_root_mean_square"] > inputs.LARGE for f in scales):
        found += units.saturated(trial, learnt)
    later = _later(trial)
    found += units.symmetric(trial, later)
    found += flow.flow(trial)
    said = {f.problem for f in found}
    if "symmetric_units" not in said:
        found += silent.no_gradient(trial, later, said)
    if not {f.problem for f in found} & EXPLAIN_CONSTANTS:
        found += units.constant(trial, later)
    return found


EXPLAIN_CONSTANTS = frozenset(("dead_relu", "saturated", "symmetric_units", "vanishing_gradients", "unscaled_inputs"))
FORM_STEPS = EXPLAIN_CONSTANTS | {"constant_output", "exploding_gradients"}  # no rate fits these


def _later(trial: Trial) -> Trial:
    """The same after two small steps of descent."""
    subject = trial.subject
    for _ in range(2):
        _, slopes = subject.slopes(subject.params)
        subject = subject.replaced(params=subject.nudged(slopes))
    return Trial(subject)
