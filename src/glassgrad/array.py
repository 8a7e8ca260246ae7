"""Array: what the user holds. Operators, methods, and the protocols by which NumPy and others work with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from .dtypes import is_inexact, named, not_numbers
from .errors import DtypeError, TracedValueError, UnsupportedError
from .graph.apply import apply
from .graph.node import NO_PARAMS, Node, Variable, borrowed, constant, make
from .graph.origin import here
from .ops import contraction, elementwise, indexing, logic, reduction, view

_DIRECT = frozenset((float, int, np.ndarray, np.float64, np.float32, bool, complex))
API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")  # of the array API standard
_OPERANDS = (Node, np.ndarray, np.generic, int, float, complex)
Binary = Callable[[Any, Any], Any]

# What the layers above do for an Array. They enter it here when imported, so that this file need not know them.
above: dict[str, Callable[..., Any]] = {}


def _operator(op: Any) -> tuple[Binary, Binary]:
    """The methods for ``self ∘ other`` and ``other ∘ self``."""

    def method(self: Any, other: Any) -> Any:
        if other.__class__ is Array or other.__class__ in _DIRECT:
            return apply(op, (self, other))
        operand = _operand(other)
        return operand if operand is NotImplemented else apply(op, (self, operand))

    def reflected(self: Any, other: Any) -> Any:
        if other.__class__ in _DIRECT:
            return apply(op, (other, self))
        operand = _operand(other)
        return operand if operand is NotImplemented else apply(op, (operand, self))

    return method, reflected


def _operand(other: Any) -> Any:
    """What an operator makes of a rarer operand: lists become arrays, unknown types get their own turn."""
    if isinstance(other, (list, tuple)):
        return above["gathered"](other)
    return other if isinstance(other, _OPERANDS) else NotImplemented


def _product(self: Any, other: Any) -> Any:
    operand = _operand(other)
    return operand if operand is NotImplemented else contraction.matmul(self, operand)


def _reflected_product(self: Any, other: Any) -> Any:
    operand = _operand(other)
    return operand if operand is NotImplemented else contraction.matmul(operand, self)


def _method(name: str, function: str = "") -> Callable[..., Any]:
    """The method that is this function of the NumPy namespace, with its arguments."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(above["namespace"](), function or name)(self, *args, **kwargs)

    method.__name__, method.__qualname__ = name, f"Array.{name}"
    method.__doc__ = f"``numpy.{function or name}`` of this array; the same arguments."
    return method


def _refused(name: str, way_out: str) -> Callable[..., Any]:
    """A method of NumPy's that changes an array in place."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError(f"{name} in place: Array is immutable; write {way_out}")

    method.__name__, method.__qualname__ = name, f"Array.{name}"
    method.__doc__ = f"Refused, because an Array is immutable: write ``{way_out}``."
    return method


class Array(Node):
    """An n-dimensional array that is a node of a graph.

    It works where a NumPy array works: operators, indexing, methods, NumPy's own functions. It is immutable; write
    ``x = x.at[i].set(v)`` for ``x[i] = v``. ``x.value`` is the ndarray inside.

    >>> import glassgrad as gg
    >>> w = gg.variable([1.0, 2.0])
    >>> loss = ((w - 3.0) ** 2).sum()
    >>> loss.backward()[w]
    array([-4., -2.])
    """

    __slots__ = ()
    __hash__ = object.__hash__

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("Array: make one with gg.numpy.array(...), or with gg.variable(...) to differentiate by it")

    __array_priority__ = 1000

    __add__, __radd__ = _operator(elementwise.Add)
    __sub__, __rsub__ = _operator(elementwise.Sub)
    __mul__, __rmul__ = _operator(elementwise.Mul)
    __truediv__, __rtruediv__ = _operator(elementwise.Div)
    __floordiv__, __rfloordiv__ = _operator(elementwise.FloorDiv)
    __mod__, __rmod__ = _operator(elementwise.Mod)
    __pow__, __rpow__ = _operator(elementwise.Power)
    __and__, __rand__ = _operator(logic.BitwiseAnd)
    __or__, __ror__ = _operator(logic.BitwiseOr)
    __xor__, __rxor__ = _operator(logic.BitwiseXor)
    __lshift__, __rlshift__ = _operator(logic.LeftShift)
    __rshift__, __rrshift__ = _operator(logic.RightShift)
    __matmul__, __rmatmul__ = _product, _reflected_product
    __lt__, __gt__ = _operator(logic.Less)[0], _operator(logic.Greater)[0]
    __le__, __ge__ = _operator(logic.LessEqual)[0], _operator(logic.GreaterEqual)[0]
    __eq__, __ne__ = _operator(logic.Equal)[0], _operator(logic.NotEqual)[0]

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Any, Any]:
        return other // self, other % self

    def __neg__(self) -> Any:
        return elementwise.negative(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return elementwise.absolute(self)

    def __invert__(self) -> Any:
        return logic.invert(self)

    # Shape and elements

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int))

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def T(self) -> Any:
        return view.transpose(self)

    @property
    def mT(self) -> Any:
        return view.matrix_transpose(self)

    @property
    def real(self) -> Any:
        return elementwise.real(self)

    @property
    def imag(self) -> Any:
        return as_array(elementwise.imag(self))

    @property
    def flat(self) -> Iterator[Any]:
        return iter(view.reshape(self, (-1,)))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object: a scalar Array has no axis 0")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            if self.value is None and self.dtype.kind in "iu":
                raise TracedValueError(
                    f"a traced integer is used as an axis, a shift or a size at {here(2)}: it decides what is "
                    f"computed, so it must be known while tracing; make it a static argument, as in jit(f, static=1)"
                )
            raise TypeError("iteration over a 0-d array: it has one element, read it with x.item()")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, item: Any) -> bool:
        return bool(reduction.any(self == item))

    def __getitem__(self, key: Any) -> Any:
        return indexing.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            f"Array is immutable: got an assignment x[...] = v at {here(2)}; write x = x.at[...].set(v), which keeps "
            f"the gradient of both"
        )

    @property
    def at(self) -> At:
        """Functional updates: ``x.at[i].set(v)``, ``.add(v)``, ``.multiply(v)`` and so on return a changed copy."""
        return At(self)

    # Leaving the graph

    def _concrete(self, what: str) -> Any:
        """The value, for uses whose result is not a float anyway (bool, printing, integers)."""
        if self.value is None:
            raise TracedValueError(
                f"{what} of a traced Array at {here(2)}: while tracing there is no value, only shape {self.shape} and "
                f"dtype {self.dtype}; use where(...), gg.cond or gg.while_loop, or leave the function untraced"
            )
        return self.value

    def _untracked(self, what: str) -> Any:
        """The value, for uses that would drop its gradient without a word."""
        value = self._concrete(what)
        if self.tracked:
            raise TracedValueError(
                f"{what} of an Array that is being differentiated, at {here(2)}: the result would silently carry no "
                f"gradient; use glassgrad.numpy functions on it, or x.item() / x.value if none is wanted"
            )
        return value

    def __bool__(self) -> bool:
        return bool(self._concrete("bool()"))

    def __float__(self) -> float:
        return float(self._untracked("float()"))

    def __complex__(self) -> complex:
        return complex(self._untracked("complex()"))

    def __int__(self) -> int:
        return int(self._concrete("int()"))

    def __index__(self) -> int:
        value = self._concrete("index()")
        if self.dtype.kind not in "iu" or self.shape:
            raise TypeError(
                f"only integer scalar Arrays can be an index or a size: got dtype {self.dtype}, shape {self.shape}; "
                f"use int(x)"
            )
        return int(value)

    def __round__(self, digits: int | None = None) -> Any:
        """A Python int for ``round(x)`` of a real scalar, as of NumPy's; an Array where it is tracked or traced."""
        if digits is None and not self.shape and not self.tracked and self.value is not None and self.dtype.kind != "c":
            return round(self.item())
        return self.round(0 if digits is None else digits)

    def item(self, *index: Any) -> Any:
        """One element as a Python number, without gradient."""
        return np.asarray(self._concrete("item()")).item(*index)

    def tolist(self) -> Any:
        """Nested lists of Python numbers, without gradient."""
        return np.asarray(self._concrete("tolist()")).tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        whole = dtype is not None and np.dtype(dtype).kind in "biu"  # such a conversion has no gradient to lose
        if self.value is None and self.dtype.kind in "iub":
            raise TracedValueError(
                f"numpy.asarray() of a traced Array at {here(2)}: while tracing there is no value; if it is an index "
                f"into a NumPy array, write gnp.asarray(array)[index]; else use glassgrad.numpy functions on it"
            )
        array = np.asarray(self._concrete("numpy.asarray()") if whole else self._untracked("numpy.asarray()"))
        return np.array(array, dtype) if copy else np.asarray(array, dtype)

    def numpy(self) -> Any:
        """The ndarray inside, for an Array that is not being differentiated."""
        return np.asarray(self._untracked("numpy()"))

    def __repr__(self) -> str:
        if self.value is None:
            return f"Array(shape={self.shape}, dtype={self.dtype}, traced)"
        body = np.array2string(np.asarray(self.value), separator=", ", prefix="Array(")
        kind = "" if self.dtype in (np.float64, np.int64, np.bool_, np.complex128) else f", dtype={self.dtype}"
        return f"Array({body}{kind})"

    def __str__(self) -> str:
        return repr(self) if self.value is None else str(self.value)

    def __format__(self, spec: str) -> str:
        if self.value is None or not spec:
            return str(self)
        return format(np.asarray(self.value).item() if self.size == 1 else self.value, spec)

    def __reduce__(self) -> Any:
        return constant, (self._untracked("pickling"),)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self

    # NumPy's, the array API's and DLPack's protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return above["ufunc"](ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return above["function"](function, args, kwargs)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        if api_version not in (None, *API_VERSIONS):
            raise ValueError(
                f"__array_namespace__: got api_version={api_version!r}, expected one of {', '.join(API_VERSIONS)}"
            )
        return above["namespace"]()

    @property
    def device(self) -> str:
        return "cpu"

    def to_device(self, device: str, /, *, stream: Any = None) -> Any:
        if device != "cpu":
            raise ValueError(f"to_device: got {device!r}, expected 'cpu', the only device there is")
        return self

    def __dlpack__(self, *, copy: bool | None = None, max_version: Any = None, **options: Any) -> Any:
        """This array for another library: copied, because not every library heeds the mark that it is read-only.

        With ``copy=False`` the memory is shared, and marked.
        """
        array = np.asarray(self._untracked("DLPack export"))
        if copy is not False:
            return array.copy().__dlpack__(max_version=max_version, **options)
        array = array.view()
        array.flags.writeable = False
        return array.__dlpack__(copy=copy, max_version=max_version, **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    # Derivatives

    def backward(self, cotangent: Any = None, *, wrt: Any = (), create_graph: bool = False) -> Any:
        """Gradients of this value with respect to every variable it was made from; see ``gg.backward``."""
        return above["backward"](self, cotangent, wrt=wrt, create_graph=create_graph)

    @property
    def grad(self) -> NoReturn:
        """Not there: ``backward`` returns the gradients, and keeps none.

        >>> import glassgrad as gg
        >>> w = gg.variable(3.0)
        >>> float((w * w).backward()[w])
        6.0
        """
        raise AttributeError(
            "Array has no .grad: backward() returns the gradients and nothing accumulates; write grads = "
            "loss.backward() and grads[w], or gg.grad(f)(w)"
        )

    # Methods that are functions

    def sum(self, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, **options: Any) -> Any:
        """Sum over ``axis``, all axes by default."""
        if dtype is None and out is None and not options:
            return reduction.sum(self, axis, keepdims)
        return above["namespace"]().sum(self, axis, dtype, out, keepdims, **options)

    prod, max, min = _method("prod"), _method("max"), _method("min")
    mean, var, std = _method("mean"), _method("var"), _method("std")
    any, all, argmax, argmin = _method("any"), _method("all"), _method("argmax"), _method("argmin")
    cumsum, cumprod, trace, diagonal = _method("cumsum"), _method("cumprod"), _method("trace"), _method("diagonal")
    swapaxes, squeeze, repeat, take = _method("swapaxes"), _method("squeeze"), _method("repeat"), _method("take")
    dot, clip, round, choose = _method("dot"), _method("clip"), _method("round"), _method("choose")
    conj, conjugate, nonzero = _method("conj"), _method("conjugate"), _method("nonzero")
    argsort, argpartition = _method("argsort"), _method("argpartition")
    searchsorted, ravel, flatten = _method("searchsorted"), _method("ravel"), _method("flatten", "ravel")

    sort = _refused("sort", "x = numpy.sort(x)")
    partition = _refused("partition", "x = numpy.partition(x, kth)")
    fill = _refused("fill", "x = numpy.full_like(x, value)")
    put = _refused("put", "x = x.ravel().at[indices].set(v).reshape(x.shape)")
    resize = _refused("resize", "x = numpy.resize(x, shape)")

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
        """The same elements under another shape, given as one tuple or as several sizes; one may be -1."""
        sizes = shape[0] if len(shape) == 1 else shape
        if order == "C" and copy is not False:
            return view.reshape(self, sizes)
        return above["namespace"]().reshape(self, sizes, order, copy=copy)

    def transpose(self, *axes: Any) -> Any:
        """Axes in the order given, as one tuple or one by one; reversed by default."""
        if len(axes) == 1 and not isinstance(axes[0], (int, np.integer)):
            return view.transpose(self, axes[0])
        return view.transpose(self, axes or None)

    def compress(self, condition: Any, axis: int | None = None) -> Any:
        """Slices along an axis where a vector of conditions holds."""
        return above["namespace"]().compress(condition, self, axis)

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        """This array in another dtype. Casts between floating and complex dtypes keep the gradient."""
        if casting != "unsafe" and not np.can_cast(self.dtype, dtype, casting):
            raise DtypeError(f"astype: cannot cast from {self.dtype} to {np.dtype(dtype)} by casting={casting!r}")
        return logic.astype(self, dtype)

    def copy(self, order: str = "C") -> Any:
        """The array itself: it is immutable, so it is its own copy."""
        return self

    __copy__ = copy

    def tobytes(self, order: Any = "C") -> bytes:
        """The bytes of the elements."""
        return np.asarray(self._untracked("tobytes()")).tobytes(order)


Node.made_as = Array


class At:
    """``x.at``: choose a place with brackets, then what to do there."""

    __slots__ = ("_array",)

    def __init__(self, array: Any) -> None:
        self._array = array

    def __getitem__(self, key: Any) -> Place:
        return Place(self._array, key)


class Place:
    """A part of an array that a changed copy is about to differ in.

    >>> import glassgrad as gg
    >>> x = gg.numpy.zeros(3)
    >>> x.at[1].set(5.0), x.at[[0, 0]].add(1.0)
    (Array([0., 5., 0.]), Array([2., 0., 0.]))
    """

    __slots__ = ("_array", "_key")

    def __init__(self, array: Any, key: Any) -> None:
        self._array, self._key = array, key

    def get(self) -> Any:
        """The elements there."""
        return self._array[self._key]

    def set(self, value: Any) -> Any:
        """A copy with ``value`` there."""
        return indexing.setitem(self._array, self._key, _like(value, self._array))

    def add(self, value: Any) -> Any:
        """A copy with ``value`` added there; a place named twice receives both."""
        return indexing.additem(self._array, self._key, _like(value, self._array))

    def subtract(self, value: Any) -> Any:
        """A copy with ``value`` subtracted there; a place named twice loses both."""
        return indexing.additem(self._array, self._key, -_like(value, self._array))

    def multiply(self, value: Any) -> Any:
        """A copy with the elements there multiplied by ``value``; of a place named twice the last result stands."""
        return self.set(self.get() * value)

    def divide(self, value: Any) -> Any:
        """A copy with the elements there divided by ``value``; of a place named twice the last result stands."""
        return self.set(self.get() / value)

    def power(self, value: Any) -> Any:
        """A copy with the elements there raised to ``value``; of a place named twice the last result stands."""
        return self.set(self.get() ** value)

    def min(self, value: Any) -> Any:
        """A copy with the smaller of the elements there and ``value``; of a place named twice the last stands."""
        return self.set(logic.minimum(self.get(), value))

    def max(self, value: Any) -> Any:
        """A copy with the larger of the elements there and ``value``; of a place named twice the last stands."""
        return self.set(logic.maximum(self.get(), value))

    def apply(self, function: Callable[[Any], Any]) -> Any:
        """A copy with ``function`` applied to the elements there."""
        return self.set(function(self.get()))


def _like(value: Any, array: Any) -> Any:
    """A value in the dtype of the array it is written to, as NumPy's assignment casts it."""
    value = value if isinstance(value, Node) else np.asarray(value)
    if value.dtype.kind == "c" and array.dtype.kind != "c":
        raise DtypeError(f"at: got a complex value for an Array of {array.dtype}; cast one with .astype or take .real")
    return logic.astype(value, array.dtype)


def as_array(value: Any) -> Any:
    """An Array holding ``value``: a Node as it is, anything array-like as a constant."""
    if isinstance(value, Node):
        return value
    array = value if isinstance(value, (np.ndarray, np.generic)) else np.asarray(value)
    if array.dtype.kind == "O":
        raise DtypeError(not_numbers(value, array.dtype))
    return borrowed(array) if isinstance(array, np.ndarray) else constant(array)


def variable(value: Any, dtype: Any = None, name: str | None = None) -> Any:
    """An Array to differentiate by: operations on it are remembered until it is no longer referred to.

    Parameters
    ----------
    value : array-like of a floating or complex dtype
    dtype : dtype to convert to first
    name : what explanations and ``backward()[name]`` call it

    Raises
    ------
    DtypeError
        for integers and booleans, which cannot vary continuously.

    Examples
    --------
    >>> import glassgrad as gg
    >>> x, w = gg.variable(2.0), gg.variable(3.0)
    >>> grads = (x * w).backward()
    >>> float(grads[w]), float(grads[x])
    (2.0, 3.0)
    """
    data = value.value if isinstance(value, Node) else value
    if data is None:
        raise TracedValueError(f"variable: got a traced Array at {here(2)}; make variables outside the traced function")
    array = np.array(data, named(dtype))
    if not is_inexact(array.dtype):
        raise DtypeError(
            f"variable: got dtype {array.dtype}, expected a floating or complex one at {here(2)}; write 3.0 for 3, or "
            f"pass dtype=float"
        )
    array.setflags(write=False)
    params = NO_PARAMS if name is None else {"name": name}
    return make(Variable, (), params, array[()], tracked=True, origin=here(2))
