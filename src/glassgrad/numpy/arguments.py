"""What a function of this namespace accepts: arrays, numbers, and nested lists of them that may hold Arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import Array, above, as_array
from ..errors import DtypeError, TracedValueError, UnsupportedError
from ..graph.node import Node
from ..graph.origin import here
from ..ops import logic
from ..ops.given import checked as checked
from ..ops.given import gathered as gathered
from ..ops.given import operand as operand

theirs: Any = np  # for calls whose arguments NumPy checks itself; its stubs know only some of them
absent: Any = np._NoValue  # NumPy's own mark of an argument that was not given


def array_of(value: Any) -> Any:
    """Any argument as an Array."""
    return value if value.__class__ is Array and value.value.__class__ is np.ndarray else as_array(gathered(value))


def arrays_of(values: Any) -> list[Any]:
    """The arrays of a sequence argument; an Array itself counts as the sequence of its rows."""
    if isinstance(values, (Node, np.ndarray)):
        values = array_of(values)
        return [values[i] for i in range(len(values))]
    return [array_of(value) for value in values]


def numbers(what: str, value: Any) -> Any:
    """The ndarray of an argument that no gradient can flow through; an Array must have a value."""
    value = gathered(value)
    if not isinstance(value, Node):
        return value
    if value.value is None:
        raise TracedValueError(
            f"{what}: needs the values of a traced Array at {here(2)}: while tracing only shape {value.shape} and "
            f"dtype {value.dtype} are known; compute it outside the traced function"
        )
    return np.asarray(value.value)


def plain(what: str, value: Any) -> Any:
    """As ``numbers``, but a Python number stays one, because it promotes weakly."""
    return value if isinstance(value, (bool, int, float, complex)) else numbers(what, value)


def constants(what: str, value: Any, fix: str) -> Any:
    """The ndarray of an argument with respect to which this function has no gradient here: none may be asked for."""
    if isinstance(value, Node) and value.tracked:
        raise UnsupportedError(f"{what}: no gradient flows through this argument, at {here(2)}; {fix}")
    return numbers(what, value)


def no_out(name: str, out: Any) -> None:
    """Refuse ``out=``: Arrays are immutable."""
    if out is not None and not (isinstance(out, tuple) and all(o is None for o in out)):
        raise UnsupportedError(
            f"{name}: got out=, but an Array is immutable; write y = {name}(...), or y = x.at[...].set({name}(...))"
        )


def row_major(name: str, order: Any) -> None:
    """Refuse ``order='F'`` where it means a memory layout."""
    if order not in (None, "C", "K", "A"):
        raise UnsupportedError(
            f"{name}: got order={order!r}, expected 'C': an Array has no other memory layout; make it in row-major "
            f"order, and transpose the axes with .T where columns are to come first"
        )


def on_cpu(name: str, device: Any) -> None:
    """Refuse any device but the one there is."""
    if device not in (None, "cpu"):
        raise ValueError(f"{name}: got device={device!r}, expected 'cpu', the only device there is")


def cast(x: Any, dtype: Any) -> Any:
    """x in a dtype, if one is asked for."""
    return x if dtype is None else logic.astype(x, dtype)


def cast_safely(name: str, x: Any, dtype: Any, casting: str = "same_kind") -> Any:
    """x in a dtype, if NumPy's casting rule allows it."""
    if dtype is None:
        return x
    if not isinstance(x, (bool, int, float, complex)) and not np.can_cast(x.dtype, dtype, casting):  # type: ignore[arg-type]
        raise DtypeError(f"{name}: cannot cast from {x.dtype} to {np.dtype(dtype)} by casting={casting!r}; use astype")
    return logic.astype(x, dtype)


above["gathered"] = gathered
