"""What is wrong with the inputs: entries that are not finite, columns of other scales than the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ... import tree
from .finding import Finding
from .subject import Subject
from .trial import PRODUCTS, Trial

LARGE = 100.0  # root mean square of a column: what a weight of ordinary size makes of it saturates or diverges
SMALL = 1e-3  # of all columns: the bias drowns them
UNEQUAL = 1e3  # largest over smallest standard deviation
SHOWN = 6


def not_finite(subject: Subject) -> Iterator[Finding]:
    """Data with entries that are not finite. Whether the model minds is asked by ``diagnose``."""
    parts = [("x", subject.x), *zip(("y", "weights"), subject.targets, strict=False)]
    for name, part in parts:
        for path, leaf in zip(tree.key_paths(part), tree.leaves(part), strict=True):
            bad = unfinished(leaf)
            if not bad.any():
                continue
            where = np.argwhere(bad)
            row, *rest = where[0].tolist()
            columns = sorted({int(w[-1]) for w in where}) if leaf.ndim == 2 else []
            place = name + "".join(f"[{k!r}]" for k in path)
            titles = [column_name(subject, c) for c in columns] if name == "x" else [str(c) for c in columns]
            yield Finding(
                "nan_in_data",
                f"{place}, row {row}" + (f", column {column_name(subject, rest[-1])}" if rest else ""),
                {
                    "nan": int(np.isnan(leaf).sum()),
                    "infinite": int(np.isinf(leaf).sum()),
                    "rows": len({int(w[0]) for w in where}),
                    "columns": titles[:SHOWN],
                },
                "fill such entries (data.prepare does so), or leave their rows out",
            )


def unfinished(leaf: Any) -> Any:
    """Which elements are NaN or infinite."""
    return ~np.isfinite(leaf) if leaf.dtype.kind in "fc" else np.zeros(leaf.shape, bool)


def finite_rows(parts: Any) -> Any:
    """Which rows are finite in every array of a tree."""
    leaves = tree.leaves(parts)
    keep = np.ones(len(leaves[0]), bool)
    for leaf in leaves:
        keep &= ~unfinished(leaf).reshape(len(leaf), -1).any(axis=1)
    return keep


def column_name(subject: Subject, k: int) -> str:
    """A column by its name, if it has one."""
    return subject.names[k] if k < len(subject.names) else str(k)


def unscaled(trial: Trial) -> Iterator[Finding]:
    """Inputs of very different or very large scales, as they meet the first weights."""
    seen: set[Any] = set()
    rows = len(tree.leaves(trial.subject.x)[0])
    for weight, user, k, _ in trial.network.uses:
        if user.op.name not in (*PRODUCTS, "mul") or len(user.inputs) != 2:
            continue
        a: Any = user.inputs[1 - k]
        if a in trial.dependent or a in seen or not a.shape or a.dtype.kind not in "iuf" or rows not in a.shape[:2]:
            continue
        seen.add(a)
        found = _scales(trial, user.op.name == "conv", np.asarray(a.value, float))
        if found is not None:
            place, evidence = found
            yield Finding(
                "unscaled_inputs",
                f"{place} at {trial.place(weight)}",
                evidence,
                "standardise each column to mean 0 and standard deviation 1 (data.prepare does so), or begin with "
                "nn.BatchNorm",
            )
            return


def _scales(trial: Trial, image: bool, a: Any) -> tuple[str, dict[str, Any]] | None:
    """Where scales do not fit, and the numbers; None where they do."""
    if not np.isfinite(a).all():
        return None
    columns = a.reshape(-1, 1) if image or a.ndim < 2 else a.reshape(-1, a.shape[-1])
    if len(columns) < 4:
        return None
    size, spread = np.sqrt(np.mean(columns**2, axis=0)), columns.std(axis=0)
    # Two values, as of a yes or no, or mostly zeros, as of rare counts: their spread says how rare they are
    plain = np.array([len(np.unique(c)) > 2 and np.mean(c == 0) < 0.5 for c in columns.T])
    varied = plain & (spread > 1e-12 * np.maximum(size, 1e-300))
    large = int(size.argmax())
    if size[large] > LARGE:
        worst, what = large, "largest"
    elif varied.any() and 0 < spread.max() < SMALL:
        worst, what = int(spread.argmax()), "largest"
    elif varied.any() and spread[varied].max() > UNEQUAL * spread[varied].min():
        worst, what = int(np.where(varied, spread, np.inf).argmin()), "smallest"
    else:
        return None
    evidence: dict[str, Any] = {
        "column": column_name(trial.subject, worst),
        "mean": float(columns[:, worst].mean()),
        "standard_deviation": float(spread[worst]),
        f"{what}_of": columns.shape[1],
        "largest_root_mean_square": float(size.max()),
    }
    if varied.any():
        evidence["smallest_standard_deviation"] = float(spread[varied].min())
        evidence["largest_standard_deviation"] = float(spread[varied].max())
    return ("x" if columns.shape[1] == 1 else f"x, column {evidence['column']}"), evidence
