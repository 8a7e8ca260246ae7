"""Calls of the namespace written once, as functions of the namespace and arrays, to be run by NumPy and by Glassgrad.

A case is ``(name, call, arguments)``; arguments are shapes of float arrays with distinct elements away from whole
numbers, or ndarrays given as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...]


UNARY = [
    "negative", "positive", "absolute", "fabs", "sign", "square", "cbrt", "exp", "exp2", "expm1", "sin", "cos",
    "tan", "sinh", "cosh", "tanh", "arcsinh", "arctan", "degrees", "radians", "deg2rad", "rad2deg", "floor",
    "ceil", "trunc", "rint", "fix", "round", "around", "sinc", "nan_to_num", "real", "conj", "conjugate",
    "angle", "ravel", "transpose", "flip", "isnan", "isinf", "isfinite", "signbit", "logical_not", "iscomplex",
    "isreal", "isneginf", "isposinf", "copy", "spacing", "imag", "nonzero", "argwhere", "flatnonzero",
    "sort_complex", "real_if_close", "asarray", "ascontiguousarray", "squeeze",
]  # fmt: skip
POSITIVE = ["sqrt", "log", "log2", "log10", "log1p", "reciprocal", "arccosh"]
INSIDE = ["arcsin", "arccos", "arctanh"]
BINARY = [
    "add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "remainder", "mod", "fmod", "power",
    "float_power", "arctan2", "hypot", "maximum", "minimum", "fmax", "fmin", "logaddexp", "logaddexp2",
    "copysign", "greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and",
    "logical_or", "logical_xor", "nextafter", "heaviside", "isclose", "divmod",
]  # fmt: skip
REDUCTIONS = [
    "sum", "prod", "max", "min", "mean", "var", "std", "any", "all", "ptp", "count_nonzero", "median", "nansum",
    "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd", "nanmedian", "amax", "amin",
]  # fmt: skip
ALONG = [
    "cumsum", "cumprod", "argmax", "argmin", "sort", "argsort", "nancumsum", "nancumprod", "nanargmax",
    "nanargmin",
]  # fmt: skip
QUANTILE_METHODS = [
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen",
    "weibull", "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
]  # fmt: skip


def _named() -> Iterator[Case]:
    for name in UNARY:
        yield Case(name, lambda np, x, f=name: getattr(np, f)(x), ((3, 4),))
    for name in POSITIVE:
        yield Case(name, lambda np, x, f=name: getattr(np, f)(np.abs(x) + 1.1), ((3, 4),))
    for name in INSIDE:
        yield Case(name, lambda np, x, f=name: getattr(np, f)(x / 10), ((3, 4),))
    for name in BINARY:
        yield Case(name, lambda np, x, y, f=name: getattr(np, f)(np.abs(x) + 0.1, y + 4.3), ((3, 4), (4,)))
    for name in ("add", "multiply", "divide", "power", "maximum", "hypot"):
        yield Case(f"{name} scalar", lambda np, x, f=name: getattr(np, f)(np.abs(x), 2.5), ((3,),))
        yield Case(f"{name} reflected", lambda np, x, f=name: getattr(np, f)(2.5, x), ((3,),))
        yield Case(
            f"{name} where", lambda np, x, f=name: getattr(np, f)(np.abs(x), 2.5, where=x > 9, out=None) * 0.0, ((3,),)
        )
    for name in REDUCTIONS:
        for options in ({}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 2)}):
            yield Case(f"{name} {options}", lambda np, x, f=name, o=options: getattr(np, f)(x, **o), ((2, 3, 4),))
    for name in ("sum", "prod", "mean", "var", "std", "any", "all"):
        yield Case(f"{name} where", lambda np, x, f=name: getattr(np, f)(x, axis=1, where=np.abs(x) > 0.5), ((3, 6),))
    for name in ("sum", "prod", "max", "min"):
        yield Case(f"{name} initial", lambda np, x, f=name: getattr(np, f)(x, axis=1, initial=0.3), ((3, 4),))
        yield Case(
            f"{name} initial where",
            lambda np, x, f=name: getattr(np, f)(x, axis=1, initial=0.3, where=x > 0),
            ((3, 4),),
        )
    for name in ALONG:
        for axis in (None, 0, -1):
            yield Case(f"{name} {axis}", lambda np, x, f=name, a=axis: getattr(np, f)(x, axis=a), ((3, 4),))
    for method in QUANTILE_METHODS:
        yield Case(
            f"quantile {method}",
            lambda np, x, m=method: np.quantile(x, [0.1, 0.25, 0.5, 0.93], axis=0, method=m),
            ((7, 2),),
        )
        yield Case(
            f"nanquantile {method}",
            lambda np, x, m=method: np.nanquantile(np.where(x > 2, np.nan, x), [0.1, 0.5], axis=1, method=m),
            ((3, 8),),
        )


N, I2, I3 = np.nan, np.array([2, 0, 1]), np.array([[0, 1, 1], [2, 2, 0]])
MASK = np.array([True, False, True, True])
HOLES = np.array([[1.3, N, -0.4], [N, N, 2.2], [0.7, 0.1, 5.5]])

WRITTEN: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
    ("var ddof", lambda np, x: np.var(x, axis=0, ddof=1), ((4, 3),)),
    ("std correction", lambda np, x: np.std(x, axis=0, correction=1), ((4, 3),)),
    ("var mean", lambda np, x: np.var(x, axis=0, mean=np.mean(x, axis=0, keepdims=True)), ((4, 3),)),
    ("average", lambda np, x, w: np.average(x, axis=1, weights=np.abs(w)), ((3, 4), (4,))),
    ("average returned", lambda np, x, w: np.average(x, weights=np.abs(w), returned=True), ((3, 4), (3, 4))),
    ("average plain", lambda np, x: np.average(x, axis=0, keepdims=True), ((3, 4),)),
    ("percentile", lambda np, x: np.percentile(x, 30, axis=1, keepdims=True), ((3, 5),)),
    ("quantile 2d q", lambda np, x: np.quantile(x, [[0.1, 0.5], [0.9, 1.0]]), ((3, 5),)),
    ("quantile axes", lambda np, x: np.quantile(x, 0.4, axis=(0, 2)), ((3, 5, 2),)),
    ("nanpercentile", lambda np, x: np.nanpercentile(x, [5, 70], axis=0), (HOLES,)),
    ("quantile nan", lambda np, x: np.quantile(x, [0.2, 0.7], axis=0), (HOLES,)),
    ("median nan", lambda np, x: np.median(x, axis=1), (HOLES,)),
    ("nansum holes", lambda np, x: np.nansum(x, axis=0), (HOLES,)),
    ("nanmean holes", lambda np, x: np.nanmean(x, axis=0), (HOLES,)),
    ("nanstd holes", lambda np, x: np.nanstd(x, axis=1, ddof=0), (HOLES,)),
    ("nanmax holes", lambda np, x: np.nanmax(x, axis=0), (HOLES,)),
    ("nanargmin holes", lambda np, x: np.nanargmin(x, axis=0), (HOLES,)),
    ("nancumsum holes", lambda np, x: np.nancumsum(x, axis=0), (HOLES,)),
    ("cumulative_sum", lambda np, x: np.cumulative_sum(x, axis=0, include_initial=True), ((3, 4),)),
    ("cumulative_prod", lambda np, x: np.cumulative_prod(x, axis=1, include_initial=True), ((3, 4),)),
    ("sum dtype", lambda np, x: np.sum(x, dtype=np.complex128, axis=0), ((3, 4),)),
    ("clip", lambda np, x: np.clip(x, -1, 1), ((3, 4),)),
    ("clip one", lambda np, x: np.clip(x, None, 0.5), ((3, 4),)),
    ("clip min=", lambda np, x: np.clip(x, min=0.1), ((3, 4),)),
    ("clip arrays", lambda np, x, y: np.clip(x, -np.abs(y), np.abs(y)), ((3, 4), (4,))),
    ("round decimals", lambda np, x: np.round(x, 1), ((3, 4),)),
    ("round negative", lambda np, x: np.round(x * 100, -1), ((3, 4),)),
    ("ldexp", lambda np, x: np.ldexp(x, 3), ((3,),)),
    ("modf", lambda np, x: np.modf(x), ((3, 4),)),
    ("frexp", lambda np, x: np.frexp(x), ((3, 4),)),
    ("angle deg", lambda np, x: np.angle(x + 1j * (x - 3), deg=True), ((4,),)),
    ("abs complex", lambda np, x: np.abs(x + 1j * (x - 3)), ((4,),)),
    ("reshape", lambda np, x: np.reshape(x, (2, -1)), ((3, 4),)),
    ("reshape F", lambda np, x: np.reshape(x, (2, 6), order="F"), ((3, 4),)),
    ("ravel F", lambda np, x: np.ravel(x, order="F"), ((3, 4),)),
    ("transpose axes", lambda np, x: np.transpose(x, (1, 0, 2)), ((3, 4, 2),)),
    ("permute_dims", lambda np, x: np.permute_dims(x, (2, 0, 1)), ((3, 4, 2),)),
    ("matrix_transpose", lambda np, x: np.matrix_transpose(x), ((3, 4, 2),)),
    ("moveaxis", lambda np, x: np.moveaxis(x, (0, 1), (-1, 0)), ((3, 4, 2),)),
    ("rollaxis", lambda np, x: np.rollaxis(x, 2, 0), ((3, 4, 2),)),
    ("rollaxis later", lambda np, x: np.rollaxis(x, 0, 3), ((3, 4, 2),)),
    ("swapaxes", lambda np, x: np.swapaxes(x, 0, -1), ((3, 4, 2),)),
    ("squeeze axis", lambda np, x: np.squeeze(x, 1), ((3, 1, 1),)),
    ("expand_dims", lambda np, x: np.expand_dims(x, (0, -1)), ((3, 4),)),
    ("broadcast_to", lambda np, x: np.broadcast_to(x, (2, 3, 4)), ((3, 1),)),
    ("broadcast_arrays", lambda np, x, y: np.broadcast_arrays(x, y), ((3, 1), (4,))),
    ("atleast_1d", lambda np, x: np.atleast_1d(x), ((),)),
    ("atleast_2d", lambda np, x: np.atleast_2d(x), ((3,),)),
    ("atleast_3d", lambda np, x, y: np.atleast_3d(x, y), ((3,), (2, 3))),
    ("flip axis", lambda np, x: np.flip(x, (0, 1)), ((3, 4),)),
    ("fliplr", lambda np, x: np.fliplr(x), ((3, 4),)),
    ("flipud", lambda np, x: np.flipud(x), ((3, 4),)),
    *((f"rot90 {k}", lambda np, x, k=k: np.rot90(x, k, (1, 2)), ((2, 3, 4),)) for k in (-1, 0, 1, 2, 3, 5)),
    ("rot90 axes", lambda np, x: np.rot90(x, axes=(1, 0)), ((3, 4),)),
    ("roll", lambda np, x: np.roll(x, 2), ((3, 4),)),
    ("roll axes", lambda np, x: np.roll(x, (1, -2), (0, 1)), ((3, 4),)),
    ("roll one shift", lambda np, x: np.roll(x, 1, (0, 1)), ((3, 4),)),
    ("tile", lambda np, x: np.tile(x, (2, 1, 3)), ((3, 4),)),
    ("repeat", lambda np, x: np.repeat(x, 2), ((3, 4),)),
    ("repeat counts", lambda np, x: np.repeat(x, [1, 0, 2], axis=0), ((3, 4),)),
    ("concatenate", lambda np, x, y: np.concatenate([x, y * 2], axis=1), ((3, 4), (3, 2))),
    ("concatenate None", lambda np, x, y: np.concatenate((x, y), axis=None), ((3, 4), (3, 2))),
    ("concat", lambda np, x, y: np.concat([x, y], axis=0), ((3, 4), (2, 4))),
    ("stack", lambda np, x, y: np.stack([x, y, x], axis=-1), ((3, 4), (3, 4))),
    ("hstack", lambda np, x, y: np.hstack([x, y]), ((3, 4), (3, 2))),
    ("hstack 1d", lambda np, x, y: np.hstack([x, y]), ((3,), (2,))),
    ("vstack", lambda np, x, y: np.vstack([x, y]), ((4,), (3, 4))),
    ("dstack", lambda np, x, y: np.dstack([x, y]), ((3, 4), (3, 4))),
    ("column_stack", lambda np, x, y: np.column_stack([x, y]), ((3,), (3, 2))),
    ("block", lambda np, x, y: np.block([[x, x], [y]]), ((3, 2), (1, 4))),
    ("append", lambda np, x, y: np.append(x, y, axis=0), ((3, 2), (1, 2))),
    ("append flat", lambda np, x, y: np.append(x, y), ((3, 2), (4,))),
    ("insert scalar", lambda np, x: np.insert(x, 1, 5.5), ((4,),)),
    ("insert row", lambda np, x, y: np.insert(x, 1, y, axis=0), ((3, 4), (4,))),
    ("insert column", lambda np, x, y: np.insert(x, 1, y, axis=1), ((3, 4), (3,))),
    ("insert many", lambda np, x, y: np.insert(x, [0, 2], y, axis=1), ((3, 4), (3, 2))),
    ("insert list of one", lambda np, x, y: np.insert(x, [1], y, axis=1), ((3, 4), (3, 2))),
    ("insert slice", lambda np, x: np.insert(x, slice(1, 3), 7.0), ((4,),)),
    ("delete", lambda np, x: np.delete(x, [0, 2], axis=1), ((3, 4),)),
    ("delete one", lambda np, x: np.delete(x, -1), ((4,),)),
    ("delete slice", lambda np, x: np.delete(x, slice(0, 2), axis=0), ((3, 4),)),
    ("split", lambda np, x: np.split(x, 2, axis=1), ((3, 4),)),
    ("split places", lambda np, x: np.split(x, [1, 3], axis=1), ((3, 4),)),
    ("array_split", lambda np, x: np.array_split(x, 3), ((7,),)),
    ("hsplit", lambda np, x: np.hsplit(x, 2), ((3, 4),)),
    ("vsplit", lambda np, x: np.vsplit(x, 3), ((3, 4),)),
    ("dsplit", lambda np, x: np.dsplit(x, 2), ((3, 1, 4),)),
    ("unstack", lambda np, x: np.unstack(x, axis=1), ((3, 4),)),
    ("resize", lambda np, x: np.resize(x, (3, 5)), ((4,),)),
    ("trim_zeros", lambda np, x: np.trim_zeros(np.concatenate([[0.0], x, [0.0, 0.0]])), ((4,),)),
    ("pad", lambda np, x: np.pad(x, 2), ((3, 4),)),
    ("pad constant", lambda np, x: np.pad(x, ((1, 2), (0, 1)), constant_values=((1.0, 2.0), (3.0, 4.0))), ((3, 4),)),
    ("pad pair", lambda np, x: np.pad(x, (1, 2), constant_values=5), ((3, 4),)),
    *(
        (f"pad {m}", lambda np, x, m=m: np.pad(x, ((1, 2), (3, 2)), mode=m), ((3, 4),))
        for m in ("edge", "reflect", "symmetric", "wrap")
    ),
    ("diag", lambda np, x: np.diag(x, 1), ((3,),)),
    ("diag of", lambda np, x: np.diag(x, -1), ((3, 4),)),
    ("diagflat", lambda np, x: np.diagflat(x), ((2, 2),)),
    ("diagonal", lambda np, x: np.diagonal(x, 1, 0, 2), ((3, 4, 5),)),
    ("trace", lambda np, x: np.trace(x, -1), ((3, 4),)),
    ("tril", lambda np, x: np.tril(x, 1), ((2, 3, 4),)),
    ("triu", lambda np, x: np.triu(x, -1), ((3, 4),)),
    ("triu vector", lambda np, x: np.triu(x), ((3,),)),
    ("vander", lambda np, x: np.vander(x, 4), ((3,),)),
    ("vander increasing", lambda np, x: np.vander(x, increasing=True), ((3,),)),
    ("meshgrid", lambda np, x, y: np.meshgrid(x, y), ((3,), (4,))),
    ("meshgrid ij", lambda np, x, y, z: np.meshgrid(x, y, z, indexing="ij", sparse=True), ((3,), (4,), (2,))),
    ("meshgrid xy 3", lambda np, x, y, z: np.meshgrid(x, y, z), ((3,), (4,), (2,))),
    ("linspace", lambda np, x, y: np.linspace(x, y, 5), ((3,), (3,))),
    ("linspace open", lambda np, x, y: np.linspace(x, y, 5, endpoint=False, axis=-1), ((3,), ())),
    ("linspace step", lambda np, x: np.linspace(x, 3.0, 4, retstep=True), ((),)),
    ("logspace", lambda np, x: np.logspace(x, 1.0, 4), ((),)),
    ("geomspace", lambda np, x: np.geomspace(np.abs(x) + 0.5, 9.0, 4), ((2,),)),
    ("full", lambda np, x: np.full((2, 3), x), ((3,),)),
    ("full_like", lambda np, x: np.full_like(x, x[0]), ((3,),)),
    ("zeros_like", lambda np, x: np.zeros_like(x), ((3,),)),
    ("ones_like", lambda np, x: np.ones_like(x, shape=(2,)), ((3,),)),
    ("array", lambda np, x, y: np.asarray(np.stack([x, y])), ((3,), (3,))),
    ("where", lambda np, x, y: np.where(x > y, x * y, y), ((3, 4), (4,))),
    ("where scalar", lambda np, x: np.where(x > 0, x, 0.0), ((3, 4),)),
    ("where one", lambda np, x: np.where(x > 0), ((3, 4),)),
    ("select", lambda np, x: np.select([x > 1, x > 0], [x * x, -x], 7.0), ((3, 4),)),
    ("piecewise", lambda np, x: np.piecewise(x, [x < 0, x >= 0], [lambda t: -t, lambda t: t * t]), ((4,),)),
    ("piecewise default", lambda np, x: np.piecewise(x, [x < 0, x > 1], [-1.0, 1.0, lambda t: 3 * t]), ((4,),)),
    ("choose", lambda np, x, y: np.choose(I2 % 2, [x, y]), ((3,), (3,))),
    ("choose wrap", lambda np, x, y: np.choose(I2 + 3, [x, y], mode="wrap"), ((3,), (3,))),
    ("take", lambda np, x: np.take(x, I3, axis=1), ((2, 3),)),
    ("take flat", lambda np, x: np.take(x, [5, -1, 0]), ((2, 3),)),
    ("take wrap", lambda np, x: np.take(x, [5, -7], axis=0, mode="wrap"), ((3,),)),
    ("take clip", lambda np, x: np.take(x, [5, -7], axis=0, mode="clip"), ((3,),)),
    ("take_along_axis", lambda np, x: np.take_along_axis(x, I3, axis=1), ((2, 3),)),
    ("compress", lambda np, x: np.compress(MASK, x, axis=1), ((2, 4),)),
    ("extract", lambda np, x: np.extract(x > 0, x), ((2, 4),)),
    ("argsort of sort", lambda np, x: np.argsort(np.sort(x), axis=0), ((3, 4),)),
    ("lexsort", lambda np, x, y: np.lexsort((x, np.round(y))), ((5,), (5,))),
    ("searchsorted", lambda np, x, y: np.searchsorted(np.sort(x), y, side="right"), ((5,), (3,))),
    ("digitize", lambda np, x: np.digitize(x, [-1.0, 0.0, 1.0]), ((5,),)),
    ("bincount", lambda np, x: np.bincount(np.array([0, 2, 2, 5]), x), ((4,),)),
    ("bincount plain", lambda np: np.bincount(np.array([0, 2, 2, 5]), minlength=8), ()),
    ("histogram", lambda np, x: np.histogram(x, 4), ((9,),)),
    ("histogram weights", lambda np, w: np.histogram(np.arange(6.0), [0.0, 2.5, 5.0], weights=w), ((6,),)),
    ("histogram density", lambda np, x: np.histogram(x, 4, density=True), ((9,),)),
    ("unique", lambda np, x: np.unique(np.concatenate([x, x]), return_index=True, return_counts=True), ((3,),)),
    ("unique axis", lambda np, x: np.unique(np.stack([x, x]), axis=0), ((3,),)),
    ("unique_all", lambda np, x: np.unique_all(np.stack([x, x])), ((3,),)),
    ("unique_values", lambda np, x: np.unique_values(x), ((3,),)),
    ("isin", lambda np, x: np.isin(x, x[1:]), ((4,),)),
    ("dot", lambda np, x, y: np.dot(x, y), ((3, 4), (4, 2))),
    ("dot vectors", lambda np, x, y: np.dot(x, y), ((4,), (4,))),
    ("dot 3", lambda np, x, y: np.dot(x, y), ((2, 3, 4), (5, 4, 2))),
    ("matmul", lambda np, x, y: np.matmul(x, y), ((2, 3, 4), (4,))),
    ("operator @", lambda np, x, y: x @ y, ((2, 3, 4), (2, 4, 5))),
    ("vecdot", lambda np, x, y: np.vecdot(x, y), ((3, 4), (4,))),
    ("vecdot axis", lambda np, x, y: np.vecdot(x, y, axis=0), ((4, 3), (4, 3))),
    ("matvec", lambda np, x, y: np.matvec(x, y), ((5, 3, 4), (4,))),
    ("vecmat", lambda np, x, y: np.vecmat(x, y), ((5, 3), (3, 4))),
    ("matmul axes", lambda np, x, y: np.matmul(x, y, axes=[(0, 1), (1, 0), (0, 1)]), ((3, 4), (2, 4))),
    ("inner", lambda np, x, y: np.inner(x, y), ((3, 4), (2, 4))),
    ("outer", lambda np, x, y: np.outer(x, y), ((3,), (2, 2))),
    ("vdot", lambda np, x, y: np.vdot(x, y), ((3, 2), (3, 2))),
    ("kron", lambda np, x, y: np.kron(x, y), ((3, 2), (2, 2))),
    ("tensordot", lambda np, x, y: np.tensordot(x, y, axes=([1, 2], [0, 1])), ((2, 3, 4), (3, 4, 5))),
    ("tensordot 0", lambda np, x, y: np.tensordot(x, y, axes=0), ((2,), (3,))),
    ("einsum", lambda np, x, y: np.einsum("ij,jk->ki", x, y), ((3, 4), (4, 2))),
    ("einsum dots", lambda np, x, y: np.einsum("...j,...j", x, y), ((2, 3, 4), (4,))),
    ("einsum trace", lambda np, x: np.einsum("ii", x), ((3, 3),)),
    ("einsum lists", lambda np, x, y: np.einsum(x, [0, 1], y, [1, 2], [2, 0]), ((3, 4), (4, 2))),
    ("cross", lambda np, x, y: np.cross(x, y), ((4, 3), (3,))),
    ("cross axis", lambda np, x, y: np.cross(x, y, axis=0), ((3, 4), (3, 4))),
    ("cov", lambda np, x: np.cov(x), ((3, 5),)),
    ("cov columns", lambda np, x: np.cov(x, rowvar=False, bias=True), ((5, 3),)),
    ("cov two", lambda np, x, y: np.cov(x, y), ((5,), (5,))),
    ("cov weights", lambda np, x, w: np.cov(x, aweights=np.abs(w), fweights=np.array([1, 2, 1, 3])), ((2, 4), (4,))),
    ("corrcoef", lambda np, x: np.corrcoef(x), ((3, 5),)),
    *((f"convolve {m}", lambda np, x, y, m=m: np.convolve(x, y, m), ((5,), (3,))) for m in ("full", "same", "valid")),
    *(
        (f"convolve short {m}", lambda np, x, y, m=m: np.convolve(x, y, m), ((2,), (5,)))
        for m in ("full", "same", "valid")
    ),
    *((f"correlate {m}", lambda np, x, y, m=m: np.correlate(x, y, m), ((5,), (4,))) for m in ("full", "same", "valid")),
    *(
        (f"correlate short {m}", lambda np, x, y, m=m: np.correlate(x, y, m), ((4,), (5,)))
        for m in ("full", "same", "valid")
    ),
    ("diff", lambda np, x: np.diff(x, 2, axis=0), ((4, 3),)),
    ("diff ends", lambda np, x: np.diff(x, prepend=0.0, append=x[:, :1]), ((3, 4),)),
    ("ediff1d", lambda np, x: np.ediff1d(x, to_begin=x[0], to_end=[1.0, 2.0]), ((4,),)),
    ("gradient", lambda np, x: np.gradient(x), ((4, 5),)),
    ("gradient step", lambda np, x: np.gradient(x, 0.5, axis=1), ((4, 5),)),
    ("gradient points", lambda np, x: np.gradient(x, np.array([0.0, 0.5, 2.0, 2.25]), edge_order=2), ((4,),)),
    ("gradient points 1", lambda np, x: np.gradient(x, np.array([0.0, 0.5, 2.0, 2.25]), axis=0), ((4, 2),)),
    ("gradient edge 2", lambda np, x: np.gradient(x, 0.5, edge_order=2), ((5,),)),
    ("trapezoid", lambda np, y: np.trapezoid(y, dx=0.5), ((3, 4),)),
    ("trapezoid x", lambda np, y, x: np.trapezoid(y, x, axis=0), ((4, 3), (4,))),
    ("trapezoid x 2d", lambda np, y, x: np.trapezoid(y, x), ((4, 3), (4, 3))),
    ("interp", lambda np, x, f: np.interp(x, np.array([-1.0, 0.0, 0.7, 2.0]), f), ((9,), (4,))),
    (
        "interp ends",
        lambda np, x, f: np.interp(x, np.array([-1.0, 0.0, 0.7, 2.0]), f, left=-7.0, right=9.0),
        ((9,), (4,)),
    ),
    ("interp period", lambda np, x, f: np.interp(x, np.array([0.3, 5.0, 2.0, 9.0]), f, period=7.0), ((9,), (4,))),
    ("unwrap", lambda np, x: np.unwrap(x * 4), ((9,),)),
    ("unwrap axis", lambda np, x: np.unwrap(x * 100, axis=0, period=360.0), ((5, 2),)),
    ("polyval", lambda np, p, x: np.polyval(p, x), ((3,), (4,))),
    ("polyadd", lambda np, p, q: np.polyadd(p, q), ((3,), (4,))),
    ("polysub", lambda np, p, q: np.polysub(p, q), ((3,), (4,))),
    ("polymul", lambda np, p, q: np.polymul(p, q), ((3,), (4,))),
    ("polyder", lambda np, p: np.polyder(p, 2), ((5,),)),
    *(
        (f"pad {m} {o}", lambda np, x, m=m, o=o: np.pad(x, ((1, 2), (3, 6)), mode=m, **o), ((3, 4),))
        for m, o in (
            ("linear_ramp", {}),
            ("linear_ramp", {"end_values": ((1.0, 2.0), (3.0, 4.0))}),
            ("mean", {}),
            ("mean", {"stat_length": ((1, 2), (3, 9))}),
            ("median", {"stat_length": 3}),
            ("maximum", {"stat_length": 2}),
            ("minimum", {}),
            ("reflect", {"reflect_type": "odd"}),
            ("symmetric", {"reflect_type": "odd"}),
        )
    ),
    ("polyint", lambda np, p: np.polyint(p, 2, [0.5, 2.0]), ((4,),)),
    ("polyint constants", lambda np, p, k: np.polyint(p, 3, k), ((2,), (3,))),
    ("polyfit", lambda np, x, y: np.polyfit(x, y, 2), ((6,), (6,))),
    ("polyfit weights", lambda np, x, y, w: np.polyfit(x, y, 1, w=np.abs(w)), ((6,), (6, 2), (6,))),
    ("polyfit full", lambda np, x, y: np.polyfit(x, y, 1, full=True)[:2], ((6,), (6,))),
    *(
        (f"polyfit cov {c}", lambda np, x, y, c=c: np.polyfit(x, y, 1, cov=c), ((6,), shape))
        for c in (True, "unscaled")
        for shape in ((6,), (6, 2))
    ),
    ("poly", lambda np, z: np.poly(z), ((4,),)),
    ("poly matrix", lambda np, a: np.poly(a + np.transpose(a)), ((3, 3),)),
    ("i0", lambda np, x: np.i0(x), ((3, 4),)),
    ("quantile of q", lambda np, x, q: np.quantile(x, 0.5 + np.tanh(q) / 2.1, axis=1), ((2, 5), (3,))),
    ("percentile of q", lambda np, q: np.percentile(np.array([1.0, 4.0, 2.0]), 50 + 45 * np.tanh(q)), ((),)),
    *(
        (
            f"{name}.accumulate {axis}",
            lambda np, x, f=name, a=axis: getattr(np, f).accumulate(x, axis=a),
            ((3, 5),),
        )
        for name in ("add", "multiply", "maximum", "minimum")
        for axis in (0, 1)
    ),
    ("maximum.accumulate nan", lambda np, x: np.minimum.accumulate(np.maximum.accumulate(x, 1), 1), (HOLES,)),
    ("apply_along_axis", lambda np, x: np.apply_along_axis(lambda r: r[::-1] * r[0], 0, x), ((3, 4),)),
    ("apply_along_axis scalar", lambda np, x: np.apply_along_axis(np.sum, 1, x), ((3, 4),)),
    ("apply_over_axes", lambda np, x: np.apply_over_axes(np.sum, x, [0, 2]), ((3, 4, 2),)),
    ("nan_to_num holes", lambda np, x: np.nan_to_num(x, nan=9.0), (HOLES,)),
    ("astype", lambda np, x: np.astype(x, np.complex128), ((3,),)),
    ("astype int", lambda np, x: np.astype(x, np.int32), ((3,),)),
    ("fromfunction", lambda np: np.fromfunction(lambda i, j: i - 2 * j, (2, 3)), ()),
    ("indices", lambda np: np.indices((2, 3)), ()),
    ("eye", lambda np: np.eye(3, 4, 1), ()),
    ("identity", lambda np: np.identity(3, np.float32), ()),
    ("tri", lambda np: np.tri(3, 4, -1), ()),
    ("arange", lambda np: np.arange(2, 9, 3), ()),
    ("arange stop", lambda np: np.arange(4), ()),
    ("tril_indices", lambda np: np.tril_indices(3, 1), ()),
    ("triu_indices_from", lambda np, x: np.triu_indices_from(x), ((3, 3),)),
    ("diag_indices_from", lambda np, x: np.diag_indices_from(x), ((3, 3),)),
    ("unravel_index", lambda np: np.unravel_index(np.array([3, 7]), (3, 4)), ()),
    ("ix_", lambda np, x: x[np.ix_([0, 2], [1, 3])], ((3, 4),)),
    ("mgrid", lambda np: np.mgrid[0:3, 0:2:3j], ()),
    ("ogrid", lambda np: np.ogrid[0:3, 0:2], ()),
    ("linalg.norm", lambda np, x: np.linalg.norm(x, axis=1), ((3, 4),)),
    ("linalg.solve", lambda np, a, b: np.linalg.solve(a + 5 * np.eye(3), b), ((3, 3), (3, 2))),
    ("fft", lambda np, x: np.real(np.fft.fft(x)), ((6,),)),
    ("array_equal", lambda np, x: np.array_equal(x, x), ((3,),)),
    ("array_equiv", lambda np, x: np.array_equiv(x, np.stack([x, x])), ((3,),)),
    ("allclose", lambda np, x: np.allclose(x, x + 1e-9), ((3,),)),
    ("shape", lambda np, x: np.shape(x), ((3, 4),)),
    ("ndim", lambda np, x: np.ndim(x), ((3, 4),)),
    ("size", lambda np, x: np.size(x, 1), ((3, 4),)),
    ("iscomplexobj", lambda np, x: np.iscomplexobj(x), ((3, 4),)),
    ("result_type", lambda np, x: np.result_type(x, np.float32), ((3, 4),)),
    ("empty", lambda np: np.zeros_like(np.empty((2, 3), np.float32)), ()),
]

CASES = [*_named(), *(Case(*row) for row in WRITTEN)]


def arguments(case: Case, dtype: Any = np.float64) -> list[Any]:
    """The case's arrays: normal numbers with distinct elements, or those given."""
    rng = np.random.default_rng(sum(map(ord, case.name)))
    return [
        a if isinstance(a, np.ndarray) else np.asarray(rng.normal(size=a) * 1.7 + 0.13, dtype) for a in case.arguments
    ]
