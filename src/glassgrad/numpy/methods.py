"""What NumPy's ufuncs have beside their call: ``add.reduce``, ``add.accumulate``, ``add.outer``, ``add.nin``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import above, as_array
from .arguments import absent, array_of, no_out

_FACTS = ("nin", "nout", "nargs", "identity", "signature")


def with_methods(ufunc: Any, name: str) -> Any:
    """A function of this namespace with the attributes and methods of NumPy's ufunc of that name."""
    theirs = getattr(np, name, None)
    if not isinstance(theirs, np.ufunc):
        return ufunc

    def run(method: str, inputs: tuple[Any, ...], **options: Any) -> Any:
        no_out(f"{name}.{method}", options.pop("out", None))
        chosen = {key: value for key, value in options.items() if value is not absent}
        return as_array(above["ufunc"](theirs, method, inputs, chosen))

    def reduce(
        array: Any,
        axis: Any = 0,
        dtype: Any = absent,
        out: None = None,
        keepdims: bool = False,
        initial: Any = absent,
        where: Any = absent,
    ) -> Any:
        options = {"dtype": dtype, "initial": initial, "where": where}
        return run("reduce", (array_of(array),), axis=axis, out=out, keepdims=keepdims, **options)

    def accumulate(array: Any, axis: int = 0, dtype: Any = absent, out: None = None) -> Any:
        return run("accumulate", (array_of(array),), axis=axis, dtype=dtype, out=out)

    def reduceat(array: Any, indices: Any, axis: int = 0, dtype: Any = absent, out: None = None) -> Any:
        return run("reduceat", (array_of(array), indices), axis=axis, dtype=dtype, out=out)

    def outer(A: Any, B: Any, /, **kwargs: Any) -> Any:
        return run("outer", (array_of(A), array_of(B)), **kwargs)

    def at(a: Any, indices: Any, b: Any = None, /) -> Any:
        return run("at", (a, indices, b))

    for fact in _FACTS:
        setattr(ufunc, fact, getattr(theirs, fact))
    for method, doc in (
        (reduce, "Folded along an axis, the first by default."),
        (accumulate, "Folded along an axis, the first by default, with every result on the way."),
        (reduceat, "Folded over slices of an axis; has no gradient."),
        (outer, "Of every pair of an element of A and one of B."),
        (at, "Refused, because an Array is immutable: write ``x = x.at[i].add(v)``."),
    ):
        method.__doc__, method.__qualname__ = doc, f"{name}.{method.__name__}"
        setattr(ufunc, method.__name__, method)
    return ufunc
