"""NumPy's functions on Glassgrad arrays: the same names, arguments and results, with gradients.

Every function takes Arrays, ndarrays, numbers and nested lists of them, and returns Arrays. Dtypes, constants and
questions about dtypes are NumPy's own; ``bfloat16`` is that of ``ml_dtypes``. What NumPy has and this module does not
is run on the values inside, where no gradient would be lost by it; otherwise it raises UnsupportedError. Also the
namespace of the array API standard.

>>> import glassgrad as gg
>>> import glassgrad.numpy as np
>>> print(gg.grad(lambda x: np.sum(np.tanh(x) ** 2))(np.zeros(2)))
[0. 0.]
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import Any

import numpy as _np
from numpy import (
    __array_namespace_info__,
    __version__,
    bool,
    bool_,
    bytes_,
    complex64,
    complex128,
    complexfloating,
    dtype,
    e,
    errstate,
    euler_gamma,
    exceptions,
    float16,
    float32,
    float64,
    floating,
    geterr,
    inexact,
    inf,
    int8,
    int16,
    int32,
    int64,
    int_,
    integer,
    intp,
    isdtype,
    isscalar,
    lib,
    nan,
    newaxis,
    number,
    object_,
    pi,
    printoptions,
    promote_types,
    set_printoptions,
    seterr,
    signedinteger,
    str_,
    uint,
    uint8,
    uint16,
    uint32,
    uint64,
    unsignedinteger,
)  # fmt: skip

from ..array import Array
from ..dtypes import bfloat16 as _bfloat16
from . import fft, linalg, protocol
from .averaging import *
from .calculus import *
from .choosing import *
from .creation import *
from .grids import *
from .joining import *
from .kinds import *
from .ordering import *
from .padding import *
from .polynomials import *
from .products import *
from .reducing import *
from .shaping import *
from .ufuncs import *

__array_api_version__ = "2024.12"


def __getattr__(name: str) -> Any:
    """NumPy's other names: its functions run on the values inside, where no gradient would be lost."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "random":
        return _import_module(__name__ + ".random")
    if name == "bfloat16":
        return _bfloat16().type
    try:
        theirs = getattr(_np, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}, and neither has NumPy") from None
    if not callable(theirs) or isinstance(theirs, type):
        return theirs

    def on_values(*args: Any, **kwargs: Any) -> Any:
        return protocol.on_values(name, theirs, args, kwargs)

    on_values.__name__ = on_values.__qualname__ = name
    on_values.__doc__ = f"``numpy.{name}`` on the values inside; refused where a gradient would be lost."
    return on_values
