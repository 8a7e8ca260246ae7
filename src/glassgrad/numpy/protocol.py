"""What NumPy's own functions do with an Array: ``numpy.sin(x)``, ``numpy.concatenate([x, y])``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from ..array import above, as_array
from ..dtypes import is_inexact, kind_of
from ..errors import TracedValueError, UnsupportedError
from ..graph.node import Node
from ..graph.origin import here
from ..ops import composite, special, view
from ..ops import elementwise as ew
from . import reducing, ufuncs
from .arguments import array_of, cast

# SciPy's ufuncs by name, which answer to the same protocol.
_SPECIAL: dict[str, Callable[..., Any]] = {
    "expit": ew.sigmoid, "erf": special.erf, "erfc": special.erfc, "erfinv": special.erfinv,
    "gammaln": special.lgamma, "psi": special.digamma, "digamma": special.digamma,
}  # fmt: skip

_REDUCE: dict[str, Callable[..., Any]] = {
    "add": reducing.sum, "multiply": reducing.prod, "maximum": reducing.max, "minimum": reducing.min,
    "logical_and": reducing.all, "logical_or": reducing.any,
}  # fmt: skip

_ACCUMULATE: dict[str, Callable[..., Any]] = {
    "add": reducing.cumsum,
    "multiply": reducing.cumprod,
    "maximum": lambda x, axis: ufuncs.extreme_accumulated("maximum", x, axis),
    "minimum": lambda x, axis: ufuncs.extreme_accumulated("minimum", x, axis),
}

# Functions that write into their first argument; nothing of a gradient would survive that.
_WRITING = ("copyto", "put", "place", "putmask", "put_along_axis", "fill_diagonal")


def _ours(name: str, part: str = "") -> Any:
    """The function of this namespace, or of one of its modules, by NumPy's name; None if there is none."""
    home: Any = sys.modules[__package__ or ""]
    return vars(vars(home).get(part, home) if part else home).get(name)


@cache
def _call_of(ufunc: Any) -> Any:
    """What a call of NumPy's or SciPy's ufunc runs, or None."""
    name: str = ufunc.__name__
    own = _ours(name) if getattr(np, name, None) is ufunc else None
    return own or _SPECIAL.get(name)


@cache
def functions() -> dict[Any, Any]:
    """NumPy's functions that have a counterpart here, by the function itself."""
    table: dict[Any, Any] = {}
    for part in ("", "linalg", "fft"):
        theirs: Any = getattr(np, part) if part else np
        for name in dir(theirs):
            own = _ours(name, part)
            if callable(own) and not isinstance(own, type):
                table[getattr(theirs, name)] = own
    return table


def ufunc(called: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer ``__array_ufunc__``: a call of a ufunc, or of its reduce, accumulate or outer, with an Array in it."""
    if method == "__call__":
        own = _call_of(called)
        if own is not None and not kwargs:
            return own(*inputs)
    if kwargs.get("out") is None or all(o is None for o in kwargs["out"]):
        kwargs.pop("out", None)
        return _ufunc(called, method, inputs, kwargs)
    return _into(f"numpy.{called.__name__}", kwargs.pop("out"), lambda: _ufunc(called, method, inputs, kwargs), kwargs)


def _ufunc(called: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = called.__name__
    own = _call_of(called)
    if method == "__call__" and own is not None:
        return own(*inputs, **kwargs)
    if method == "reduce":
        if name in _REDUCE:
            if name not in ("add", "multiply"):  # those functions of the namespace take no dtype
                inputs = (cast(array_of(inputs[0]), kwargs.pop("dtype", None)),)
            return _REDUCE[name](*inputs, **{"axis": 0, **kwargs})
        if name == "logaddexp":
            return composite.logsumexp(array_of(inputs[0]), kwargs.get("axis", 0), kwargs.get("keepdims", False))
    if method == "accumulate" and name in _ACCUMULATE:
        axis = inputs[1] if len(inputs) > 1 else kwargs.pop("axis", 0)
        return _ACCUMULATE[name](array_of(inputs[0]), axis=axis, **kwargs)
    if method == "outer" and own is not None:
        first, second = map(array_of, inputs)
        return own(view.reshape(first, first.shape + (1,) * second.ndim), second, **kwargs)
    if method == "at":
        raise UnsupportedError(
            f"numpy.{name}.at: it writes into its argument; write x = x.at[i].add(v); x.at[i].multiply(v), .min(v) and "
            f".max(v) do the same where no place is named twice"
        )
    whole = name if method == "__call__" else f"{name}.{method}"
    return on_values(whole, getattr(called, method), inputs, kwargs)


def function(called: Any, args: Any, kwargs: Any) -> Any:
    """Answer ``__array_function__``: a call of one of NumPy's other functions with an Array in it."""
    own = functions().get(called)
    name = getattr(called, "__name__", str(called))
    if own is None:
        return on_values(name, called, args, kwargs)
    out = kwargs.get("out")
    if out is None or name in _WRITING:
        return own(*args, **kwargs)
    rest = {k: v for k, v in kwargs.items() if k != "out"}
    return _into(f"numpy.{name}", out if isinstance(out, tuple) else (out,), lambda: own(*args, **rest), {})


def _into(name: str, out: Any, compute: Callable[[], Any], kwargs: dict[str, Any]) -> Any:
    """Fill NumPy arrays given as ``out=``, which only values without a gradient may be written into."""
    mask = kwargs.pop("where", True)
    result = compute()
    for target, part in zip(out, result if isinstance(result, tuple) else (result,), strict=False):
        if target is None:
            continue
        if isinstance(target, Node):
            raise UnsupportedError(f"{name}: got an Array as out=, but it is immutable; write y = {name}(...)")
        if part.tracked or part.value is None:
            raise UnsupportedError(
                f"{name}: out= (or an update such as a += x) would write a value that is being differentiated into a "
                f"NumPy array, at {here(2)}, and lose its gradient; write a = a + x"
            )
        where = mask.value if isinstance(mask, Node) else mask
        np.copyto(target, part.value, casting="same_kind", where=where)
    return out[0] if len(out) == 1 else out


def nodes_in(values: Any) -> Iterator[Node]:
    """Every Array in nested lists, tuples and dicts."""
    if isinstance(values, Node):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from nodes_in(value)
    elif isinstance(values, dict):
        yield from nodes_in(list(values.values()))


def _without_nodes(value: Any) -> Any:
    if isinstance(value, Node):
        return np.asarray(value.value)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(map(_without_nodes, value))
    if isinstance(value, dict):
        return {k: _without_nodes(v) for k, v in value.items()}
    return value


def wrapped(value: Any) -> Any:
    """A result of NumPy's with Arrays for its ndarrays."""
    if isinstance(value, (np.ndarray, np.generic)):
        return as_array(value) if kind_of(value.dtype) in "biufc" else value
    if isinstance(value, (list, tuple)):
        parts = [wrapped(v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def _inexact(value: Any) -> bool:
    """Whether a result holds something a gradient could flow through, or is the writing of something."""
    if isinstance(value, (list, tuple)):
        return any(map(_inexact, value))
    return value is None or isinstance(value, (float, complex)) or is_inexact(getattr(value, "dtype", np.dtype("O")))


def on_values(name: str, called: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's function without a counterpart here, on the values inside: allowed where no gradient can be lost."""
    found = list(nodes_in([list(args), kwargs]))
    if any(node.value is None for node in found):
        raise TracedValueError(
            f"numpy.{name}: needs the values of a traced Array at {here(2)}: while tracing only shapes and dtypes are "
            f"known; use functions of glassgrad.numpy, or compute it outside the traced function"
        )
    result = called(*map(_without_nodes, args), **_without_nodes(kwargs))
    if any(node.tracked for node in found) and _inexact(result):
        raise UnsupportedError(
            f"numpy.{name}: has no gradient here, at {here(2)}; write it with functions that have one, give it one "
            f"with glassgrad.custom_vjp, or call it on glassgrad.stop_gradient(x) if none is wanted"
        )
    return wrapped(result)


above["ufunc"] = ufunc
above["function"] = function
above["namespace"] = lambda: sys.modules[__package__ or ""]
