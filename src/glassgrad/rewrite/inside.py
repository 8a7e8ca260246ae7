"""What a loop need not be given: what is only stretched before it is given stays as small as it was.

A number that every step of a loop adds to a matrix, say a penalty's share of a gradient, would be written to memory as
a matrix once, and read in every step. To the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..graph.node import Node, Spec, make
from ..ops import view
from ..ops.loop import Body, Scan, While, copied, placeholder


def stretched(node: Node) -> tuple[tuple[Node, ...], dict[str, Any]] | None:
    """A loop's inputs and bodies if it stretches by itself what it captures; None where there is nothing to stretch."""
    params = node.params
    if node.op is While:
        carried = params["carry"]
    elif node.op is Scan:
        carried = params["counts"].carry + params["counts"].xs
    else:
        return None
    captured = dict(enumerate(node.inputs[carried:], carried))
    small = {k: x.inputs[0] for k, x in captured.items() if x.op is view.BroadcastTo and x.value is None}
    if not small:
        return None
    inputs = tuple([small.get(k, x) for k, x in enumerate(node.inputs)])
    return inputs, {name: _stretching(body, small) for name, body in params.items() if isinstance(body, Body)}


def _stretching(body: Body, small: Mapping[int, Node]) -> Body:
    """A step that is given the small ones instead of some inputs; the same one for all loops by this step."""
    key = ("stretching", *[(k, x.shape) for k, x in small.items()])
    if key not in body.derived:
        inputs: list[Node] = list(body.inputs)
        places = {x: x for x in inputs}
        for k, x in small.items():
            was: Any = inputs[k]
            inputs[k] = now = placeholder(Spec(x.shape, x.dtype), was.program, was.tracked)
            shape = {"shape": was.shape}
            places[was] = make(
                view.BroadcastTo, (now,), shape, None, spec=was.spec, tracked=was.tracked, program=was.program
            )
        trace: Any = body.inputs[0].program
        body.derived[key] = Body(inputs, copied(body.outputs, places, trace))
    found: Body = body.derived[key]
    return found
