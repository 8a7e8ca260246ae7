"""The normal distribution of vectors."""

import math
from typing import Any

import numpy

from .... import numpy as np
from ....array import as_array
from ....ops.control import stop_gradient
from .standard import scipys

__getattr__ = scipys("multivariate_normal")


def _points(x: Any, mean: Any, cov: Any) -> tuple[Any, Any, Any]:
    """Points [..., d], mean [d] and covariance [d, d], from what SciPy takes for them."""
    x, mean, cov = as_array(x), as_array(0.0 if mean is None else mean), as_array(1.0 if cov is None else cov)
    d = max(cov.shape[-1] if cov.ndim else 1, mean.size)
    if cov.ndim < 2:
        cov = cov * numpy.eye(d)
    one_each = d == 1 and (x.ndim < 2 or x.shape[-1] != 1)
    return (x[..., None] if one_each else x), mean, cov


def logpdf(x: Any, mean: Any = None, cov: Any = None, allow_singular: bool = False) -> Any:
    """-(d ln 2π + ln |Σ| + (x - μ)ᵀ Σ⁻¹ (x - μ)) / 2 of points x: [..., d]

    With ``allow_singular`` inverse and determinant are those on the range of Σ, without a derivative by Σ.
    """
    x, mean, cov = _points(x, mean, cov)
    away = x - mean
    if allow_singular:
        cov = numpy.asarray(stop_gradient(cov))
        sizes = numpy.linalg.eigvalsh(cov)
        sizes = sizes[sizes > sizes.max() * len(sizes) * numpy.finfo(sizes.dtype).eps]
        rank, volume, solved = len(sizes), numpy.log(sizes).sum(), away @ numpy.linalg.pinv(cov)
    else:
        rank, volume = cov.shape[-1], np.linalg.slogdet(cov)[1]
        solved = np.linalg.solve(cov, away[..., None])[..., 0]
    return -(rank * math.log(2 * math.pi) + volume + (away * solved).sum(-1)) / 2


def pdf(x: Any, mean: Any = None, cov: Any = None, allow_singular: bool = False) -> Any:
    """The density.

    >>> round(float(pdf([0.0, 0.0], [0.0, 0.0])), 4)
    0.1592
    """
    return np.exp(logpdf(x, mean, cov, allow_singular))


def entropy(mean: Any = None, cov: Any = 1.0) -> Any:
    """(d (1 + ln 2π) + ln |Σ|) / 2"""
    _, mean, cov = _points(0.0, mean, cov)
    return (cov.shape[-1] * (1 + math.log(2 * math.pi)) + np.linalg.slogdet(cov)[1]) / 2 + 0 * mean.sum()
