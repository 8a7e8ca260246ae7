"""A traced function beside what ``simplify`` makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import glassgrad as gg
from glassgrad import tree
from glassgrad.graph.node import LEAVES
from glassgrad.graph.program import Program
from glassgrad.graph.verify import verify
from glassgrad.rewrite import simplify
from glassgrad.rewrite.rewriter import needed

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -3.0, np.inf, -np.inf, np.nan, 1e-310, 1e300, 65504.0])


def simplified(program: Program) -> Program:
    """The same program on a simpler graph, which the graph checker has seen."""
    outputs = simplify(program.outputs)
    verify(outputs)
    for before, after in zip(program.outputs, outputs, strict=True):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
    return replace(program, outputs=outputs)


def ops(function: Callable[..., Any], *args: Any) -> list[str]:
    """The names of the ops that are left."""
    return names(simplified(gg.trace(function, *args)))


def names(program: Program) -> list[str]:
    return [n.op.name for n in needed(program.outputs) if n.op not in LEAVES and n.value is None]


def same_bits(a: Any, b: Any) -> None:
    """Equal in dtype, shape and value, -0.0 told from 0.0; one NaN is as good as another."""
    a, b = np.asarray(a), np.asarray(b)
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    np.testing.assert_array_equal(a, b)
    for part in (np.real, np.imag) if a.dtype.kind in "fc" else ():
        numbers = ~np.isnan(part(a))
        np.testing.assert_array_equal(np.signbit(part(a))[numbers], np.signbit(part(b))[numbers])


def check(
    function: Callable[..., Any], *args: Any, equal: Callable[[Any, Any], None] = same_bits
) -> tuple[Program, Program]:
    """Both programs, whose values are equal."""
    program = gg.trace(function, *args)
    simple = simplified(program)
    with np.errstate(all="ignore"):
        for a, b in zip(tree.leaves(simple(*args)), tree.leaves(program(*args)), strict=True):
            equal(a, b)
    return program, simple
