"""Test arguments for every op: from its samples, and for elementwise ops from the domain they name."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from glassgrad.graph.primitive import Elementwise, registry

Case = tuple[tuple[Any, ...], dict[str, Any]]
SHAPES = [((), (), ()), ((3,), (3,), (3,)), ((2, 1), (1, 3), (3,)), ((0, 3), (1, 3), ()), ((2, 2), (), (2, 1))]


def arity(op: Any) -> int:
    """Number of inputs of an elementwise op."""
    if op.partials is not None:
        return len(op.partials)
    if isinstance(op.vjp, tuple):
        return len(op.vjp)
    return op.eval.nin if isinstance(op.eval, np.ufunc) else len(inspect.signature(op.eval).parameters)


def domains(op: Any) -> list[tuple[float, float]]:
    domain = op.samples.domain
    return list(domain) if isinstance(domain[0], tuple) else [domain] * arity(op)


def cases(op: Any, seed: int = 0) -> list[Case]:
    """Arguments inside the op's domain: scalars, broadcasting, no elements, negative strides, float32, complex."""
    rng = np.random.default_rng(seed)
    if op.samples.cases is not None:
        return op.samples.cases(rng)
    assert issubclass(op, Elementwise), f"{op.name} needs samples with cases"
    limits = domains(op)
    found: list[Case] = []
    for shapes in SHAPES:
        found.append((tuple(rng.uniform(*d, s) for d, s in zip(limits, shapes, strict=False)), {}))
    found.append((tuple(rng.uniform(*d, (4, 6))[::-1, ::-2] for d in limits), {}))
    found.append((tuple(rng.uniform(*d, 3).astype(np.float32) for d in limits), {}))
    if op.samples.complex:
        found.append((tuple(rng.uniform(*d, 3) + 1j * rng.uniform(0.1, 0.5, 3) for d in limits), {}))
        mixed = [rng.uniform(*d, 3) + (1j * rng.uniform(0.1, 0.5, 3) if k == 0 else 0) for k, d in enumerate(limits)]
        found.append((tuple(np.real(m) if k else m for k, m in enumerate(mixed)), {}))
    return found


def every_op() -> list[Any]:
    """All registered ops, in order of name."""
    return [registry[name] for name in sorted(registry)]
