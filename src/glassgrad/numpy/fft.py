"""Discrete Fourier transforms of Glassgrad arrays: ``numpy.fft`` by the same names and arguments.

>>> import glassgrad as gg
>>> import glassgrad.numpy as np
>>> gg.grad(lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2))(np.array([1.0, 2.0]))
Array([4., 8.])
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..array import as_array
from ..dtypes import is_inexact
from ..errors import DtypeError
from ..ops import fft as ops
from .arguments import on_cpu
from .linalg import public

__all__ = [
    "fft", "ifft", "fft2", "ifft2", "fftn", "ifftn", "rfft", "irfft", "rfft2", "irfft2", "rfftn", "irfftn",
    "hfft", "ihfft", "fftfreq", "rfftfreq", "fftshift", "ifftshift",
]  # fmt: skip

fft, ifft, fft2, ifft2 = public(ops.fft), public(ops.ifft), public(ops.fft2), public(ops.ifft2)
fftn, ifftn, rfft, irfft = public(ops.fftn), public(ops.ifftn), public(ops.rfft), public(ops.irfft)
rfft2, irfft2, rfftn, irfftn = public(ops.rfft2), public(ops.irfft2), public(ops.rfftn), public(ops.irfftn)
hfft, ihfft, fftshift, ifftshift = public(ops.hfft), public(ops.ihfft), public(ops.fftshift), public(ops.ifftshift)


def _frequencies(name: str, n: int, d: float, dtype: Any, device: Any) -> Any:
    on_cpu(name, device)
    made = getattr(_np.fft, name)(n, d)
    if dtype is not None and not is_inexact(_np.dtype(dtype)):
        raise DtypeError(f"{name}: frequencies are fractions: got dtype={_np.dtype(dtype)}, expected a floating one")
    return as_array(made if dtype is None else made.astype(dtype))


def fftfreq(n: int, d: float = 1.0, device: Any = None, *, dtype: Any = None) -> Any:
    """Frequencies of fft's result, in cycles per unit of the spacing ``d``; float64 by default."""
    return _frequencies("fftfreq", n, d, dtype, device)


def rfftfreq(n: int, d: float = 1.0, device: Any = None, *, dtype: Any = None) -> Any:
    """Frequencies of rfft's result, in cycles per unit of the spacing ``d``; float64 by default."""
    return _frequencies("rfftfreq", n, d, dtype, device)
