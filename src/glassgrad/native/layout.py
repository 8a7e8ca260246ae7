"""Where Python and NumPy keep what a native call reads, each place compared with what Python itself says."""

from __future__ import annotations

import ctypes
import functools
import struct
import sys
import sysconfig
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..lazy import undivided

# Fields, in bytes from the start of an object
TYPE = 8  # PyObject.ob_type
SIZE = 16  # PyVarObject.ob_size, and PyDictObject.ma_used
ITEMS = 24  # of a tuple; in a list, where they are
CONTENT = 32  # PyBytesObject.ob_sval
NUMBER = 16  # the value of a float and of NumPy's scalars
DATA, NDIM, DIMENSIONS, DESCR, FLAGS = 16, 24, 32, 56, 64  # PyArrayObject
BYTE_ORDER, TYPE_NUMBER = 26, 28  # PyArray_Descr
MEMBER, MEMBER_OFFSET = 40, 16  # PyMemberDescrObject.d_member, PyMemberDef.offset
SCALARS = (bool, "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")

C_CONTIGUOUS, ALIGNED, WRITEABLE = 0x1, 0x100, 0x400

# What native code calls; of NumPy, by place in its table: PyArray_Scalar, PyArray_NewFromDescr
PYTHON = (
    *("Py_IncRef", "Py_DecRef", "PyErr_Clear", "PyEval_SaveThread", "PyEval_RestoreThread", "PyObject_CallOneArg"),
    *("PyObject_GetAttr", "PyObject_RichCompareBool", "PyUnicode_Compare", "PyLong_AsLongLongAndOverflow"),
    *("PyLong_FromLongLong", "PyDict_Next", "PyDict_Copy", "PyDict_SetItem", "PyTuple_New", "PyList_New"),
)
NUMPY = {"glassgrad_scalar": 60, "glassgrad_array": 94}


@functools.cache
def checked() -> bool:
    """Whether this Python and this NumPy are laid out as written above, and hold the interpreter's lock."""
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    if struct.calcsize("P") != 8 or sys.byteorder != "little":
        return False
    return all(_facts())


def _facts() -> Iterator[bool]:
    word, short, real = ctypes.c_int64.from_address, ctypes.c_int32.from_address, ctypes.c_double.from_address
    pair = ("a", "b")
    listed = [*pair]
    for thing in (pair, listed, {"a": 1}, 1.5, b"x", np.float32(1)):
        yield word(id(thing) + TYPE).value == id(type(thing))
    for thing in (pair, listed, {"a": 1, "b": 2}):
        yield word(id(thing) + SIZE).value == 2
    yield [word(id(pair) + ITEMS + 8 * i).value for i in range(2)] == [id(x) for x in pair]
    yield [word(word(id(listed) + ITEMS).value + 8 * i).value for i in range(2)] == [id(x) for x in listed]
    yield ctypes.string_at(id(b"text") + CONTENT, 5) == b"text\0"
    yield real(id(1.5) + NUMBER).value == 1.5
    for name in SCALARS:
        scalar = np.arange(3).astype(name)[1]
        yield ctypes.string_at(id(scalar) + NUMBER, scalar.nbytes) == scalar.tobytes()
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    at = id(array)
    yield word(at + DATA).value == array.__array_interface__["data"][0]
    yield short(at + NDIM).value == 2
    yield [word(word(at + DIMENSIONS).value + 8 * i).value for i in range(2)] == [2, 3]
    yield word(at + DESCR).value == id(array.dtype)
    yield short(at + FLAGS).value & 0xFFF == array.flags.num & 0xFFF
    yield short(id(array.T) + FLAGS).value & C_CONTIGUOUS == 0
    for dtype in (np.dtype(np.float32), np.dtype(np.float32).newbyteorder(), np.dtype(bool)):
        yield ctypes.string_at(id(dtype) + BYTE_ORDER, 1) == dtype.byteorder.encode()
        yield short(id(dtype) + TYPE_NUMBER).value == dtype.num
    yield word(_numpy_table() + 8 * 2).value == id(np.ndarray)


def symbols() -> dict[str, int]:
    """Addresses of what the native function calls."""
    table = _numpy_table()
    found = {name: address_of(getattr(ctypes.pythonapi, name)) for name in PYTHON}
    return found | {name: ctypes.c_int64.from_address(table + 8 * place).value for name, place in NUMPY.items()}


def _numpy_table() -> int:
    with undivided:
        from numpy._core import _multiarray_umath  # type: ignore[attr-defined]

    open_capsule = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    found: int = open_capsule(_multiarray_umath._ARRAY_API, None)
    return found


def address_of(function: Any) -> int:
    """Where a function of ctypes is."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def slot_offset(kind: type, name: str) -> int:
    """Where instances of a class keep the slot of this name; 0 if it cannot be told for sure."""
    for base in kind.__mro__:
        found = base.__dict__.get(name)
        if type(found).__name__ == "member_descriptor":
            member = ctypes.c_int64.from_address(id(found) + MEMBER).value
            offset = ctypes.c_int64.from_address(member + MEMBER_OFFSET).value
            probe: Any = object.__new__(kind)
            mark = object()
            setattr(probe, name, mark)
            return offset if ctypes.c_int64.from_address(id(probe) + offset).value == id(mark) else 0
    return 0
