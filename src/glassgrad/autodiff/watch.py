"""A backward walk that remembers what every use of a value gave to its gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..graph.node import Node, Value
from .vjp import Walk


class Term(NamedTuple):
    """What one use of a value gave to its gradient: the Jacobian of ``user`` transposed times the user's gradient.

    Attributes
    ----------
    user : the node that used the value
    position : as which of its inputs
    value : of the shape and dtype of the value
    """

    user: Node
    position: int
    value: Any


class Watched(Walk):
    """A backward walk that keeps every contribution it makes, by the node that receives it."""

    general = True

    def __init__(self, needed: set[int], recording: bool = False) -> None:
        super().__init__(needed, recording)
        self.terms: dict[Node, list[Term]] = {}
        self.user: Node | None = None
        self.open: list[int] = []  # positions of the user's inputs that have received nothing yet

    def visit(self, node: Node, g: Value) -> None:
        self.user, self.open = node, list(range(len(node.inputs)))
        super().visit(node, g)

    def add(self, x: Node, c: Value, keep: Value | None) -> None:
        self.note(x, c)
        super().add(x, c, keep)

    def receive_part(self, x: Node, index: int, g: Value) -> None:
        self.note(x, g)
        super().receive_part(x, index, g)

    def note(self, x: Node, c: Value) -> None:
        """Keep a contribution."""
        if self.user is not None:
            # Contributions come in the order of the inputs
            position = next(k for k in self.open if self.user.inputs[k] is x)
            self.open = [k for k in self.open if k > position]
            self.terms.setdefault(x, []).append(Term(self.user, position, c))
