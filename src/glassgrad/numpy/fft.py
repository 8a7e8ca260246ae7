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
from ..ops import fft as ops
from .linalg import public

__all__ = [
    "fft", "ifft", "fft2", "ifft2", "fftn", "ifftn", "rfft", "irfft", "rfft2", "irfft2", "rfftn", "irfftn",
    "hfft", "ihfft", "fftfreq", "rfftfreq", "fftshift", "ifftshift",
]  # fmt: skip

fft, ifft, fft2, ifft2, fftn, ifftn = map(public, (ops.fft, ops.ifft, ops.fft2, ops.ifft2, ops.fftn, ops.ifftn))
rfft, irfft, rfft2, irfft2 = map(public, (ops.rfft, ops.irfft, ops.rfft2, ops.irfft2))
rfftn, irfftn, hfft, ihfft = map(public, (ops.rfftn, ops.irfftn, ops.hfft, ops.ihfft))
fftshift, ifftshift = map(public, (ops.fftshift, ops.ifftshift))


def fftfreq(n: int, d: float = 1.0, device: Any = None) -> Any:
    """Frequencies of fft's result, in cycles per unit of the spacing ``d``."""
    return as_array(_np.fft.fftfreq(n, d, device=device))


def rfftfreq(n: int, d: float = 1.0, device: Any = None) -> Any:
    """Frequencies of rfft's result, in cycles per unit of the spacing ``d``."""
    return as_array(_np.fft.rfftfreq(n, d, device=device))
