"""Switch: one of several branches, held in the graph as one node with the graph of each branch inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph.node import Spec, spec_of
from ..graph.primitive import Structured
from .loop import Body, above, fitting


class Switch(Structured):
    """branches[index](captured): only the branch that is chosen is computed.

    Inputs are the index, of int64 and in range, and what the branches use, which are the inputs of each body. The VJP
    is a switch over the VJPs of the branches, which compute the branch again. With one branch it is a checkpoint.
    """

    private = True  # its bodies are graphs: tests/ops/test_branch.py samples it
    outputs = 2

    @staticmethod
    def eval(index: Any, *values: Any, branches: tuple[Body, ...]) -> tuple[Any, ...]:
        body = branches[int(index)]
        found = zip(body.evaluate(values), body.outputs, strict=True)
        return tuple([np.array(value, node.dtype)[()] for value, node in found])

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> tuple[Spec, ...]:
        first = params["branches"][0]
        fitting(cls.name, specs, [Spec((), np.dtype(np.int64)), *map(spec_of, first.inputs)])
        return tuple(map(spec_of, first.outputs))

    @staticmethod
    def vjp(g: Any, y: Any, *xs: Any, **params: Any) -> tuple[Any, ...]:
        cotangents: tuple[Any, ...] = above["pull switch"](g, xs, **params)
        return cotangents

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], *xs: Any, **params: Any) -> tuple[Any, ...]:
        values: tuple[Any, ...] = above["batch switch"](size, over, *xs, **params)
        return values

    @staticmethod
    def jvp(ts: Any, y: Any, *xs: Any, **params: Any) -> tuple[Any, ...]:
        tangents: tuple[Any, ...] = above["push switch"](ts, xs, **params)
        return tangents
