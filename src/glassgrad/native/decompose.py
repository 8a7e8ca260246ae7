"""Linear algebra as calls of LAPACK: one recipe for each op, for matrices of any size and dtype.

Recipes do what NumPy does, step by step, so that signs, phases and order of what is not unique are those of the op's
``eval``; only rounding may differ, where SciPy brings another LAPACK than NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import floating_dtype, real_dtype
from ..kernel.lower import Outside
from . import lapack
from .builder import I32, Value, integer, number
from .casts import HALVES, REGISTER
from .frame import NOT_FINITE, Written
from .matrix import INT, Glue, Matrix, Number, part_dtype
from .target import Target


class Recipe(NamedTuple):
    """How one matrix is computed, how many axes each input and output of it has, and what failing means.

    Matrices of float32 are computed with in float64, as NumPy does, unless the recipe is also for ``single``
    precision.
    """

    build: Callable[[Glue], None]
    ranks: tuple[int, ...]
    failure: str = ""
    single: bool = False


# Recipes


def _cholesky(g: Glue) -> None:
    """In place: a Hermitian matrix in C order is its conjugate in Fortran order, and the conjugate of its upper factor
    is the lower one in C order."""
    (a,), (y,) = g.inputs, g.outputs
    n, x = a.rows, g.result(y.transposed).transposed
    _mean_with_adjoint(g, x, a)
    g.lapack("potrf", "U", n, x, n)
    g.fill(y, lambda i, j: _where(g, g.compare("icmp sle", j, i), g.load_number(x, i, j), g.number(0)))


def _inv(g: Glue) -> None:
    (a,), (y,) = g.inputs, g.outputs
    n, f, x = a.rows, g.fortran(a), g.result(y)
    g.fill(x, lambda i, j: _where(g, g.compare("icmp eq", i, j), g.number(1), g.number(0)))
    g.lapack("gesv", n, n, f, n, g.scratch(n, 1, INT), x, n)
    g.deliver(y, x)


def _solve(g: Glue) -> None:
    (a, b), (y,) = g.inputs, g.outputs
    n, f, x = a.rows, g.fortran(a), g.result(y)
    g.assign(x, b)
    g.lapack("gesv", n, b.columns, f, n, g.scratch(n, 1, INT), x, n)
    g.deliver(y, x)


def _solve_triangular(g: Glue) -> None:
    """The triangle is read where it is: in Fortran order it is the other one, transposed."""
    (a, b), (y,) = g.inputs, g.outputs
    n, x, upper, unit = a.rows, g.result(y), not g.params["lower"], g.params["unit_diagonal"]
    if a.dtype != g.dtype:
        held = g.scratch(n, n).transposed
        g.assign(held, a)
        a = held
    g.assign(x, b)
    g.lapack("trtrs", "L" if upper else "U", "T", "U" if unit else "N", n, b.columns, a, n, x, n)
    g.deliver(y, x)


def _qr(g: Glue) -> None:
    (a,), (q, r) = g.inputs, g.outputs
    m, n, size = a.rows, a.columns, min(a.rows, a.columns)
    f, tau = g.scratch(m, max(n, q.columns)), g.scratch(size)
    g.assign(f.part(m, n), a)
    g.lapack("geqrf", m, n, f, m, tau)
    g.fill(r, lambda i, j: _where(g, g.compare("icmp sle", i, j), g.load_number(f, i, j), g.number(0)), tiled=True)
    g.lapack("orgqr", m, q.columns, size, f, m, tau)
    g.assign(q, f.part(m, q.columns))


def _eigh(g: Glue) -> None:
    (a,), (w, v) = g.inputs, g.outputs
    n, f, values = a.rows, g.scratch(a.rows, a.rows), g.result(w)
    _mean_with_adjoint(g, f, a)
    g.lapack("syevd", "V", g.params["uplo"], n, f, n, values)
    g.deliver(w, values)
    g.assign(v, f)


def _eig(g: Glue) -> None:
    (a,), (w, v) = g.inputs, g.outputs
    n, f, vectors = a.rows, g.fortran(a), g.scratch(a.rows, a.rows)
    g.require(_finite(g, f), NOT_FINITE)
    if g.dtype.kind == "c":
        values = g.result(w)
        g.lapack("geev", "N", "V", n, f, n, values, vectors, 1, vectors, n, g.scratch(2 * n, 1, g.real))
        g.deliver(w, values)
        g.assign(v, vectors)
        return
    re, im = g.scratch(n), g.scratch(n)
    g.lapack("geev", "N", "V", n, f, n, re, im, vectors, 1, vectors, n)
    g.fill(w, lambda i, j: (g.load_real(re, i), g.load_real(im, i)))
    g.fill(v, lambda i, j: _conjugate_pair(g, vectors, g.load_real(im, j), i, j), tiled=True)


def _svd(g: Glue) -> None:
    (a,), (u, s, vh) = g.inputs, g.outputs
    values = g.result(s)
    left, right = _singular(g, g.fortran(a), values, full=u.columns + vh.rows > 2 * s.rows)
    g.deliver(s, values)
    g.assign(u, left)
    g.assign(vh, right)


def _pinv(g: Glue) -> None:
    (a, share), (y,) = g.inputs, g.outputs
    s = g.scratch(min(a.rows, a.columns), 1, g.real)
    u, vt = _singular(g, g.fortran(a, conjugate=True), s)
    rounded = real_dtype(g.given)  # the cut is compared with what eager code has
    wide = np.result_type(share.dtype, rounded).name
    zero, one = integer(0), g.number(1, g.real)[0]

    def value(i: Value) -> Value:
        return g.to_real(g.load_real(s, i, rounded), wide)

    cut = g.op("fmul", g.load_real(share, zero, np.dtype(wide)), value(zero))

    def inverse(i: Value, j: Value) -> Number:
        large = g.compare("fcmp ogt", value(i), cut)
        return (g.select(large, g.op("fdiv", one, g.load_real(s, i)), number(0, one.type)),)

    weights = g.scratch(s.rows, 1, g.real)
    g.fill(weights, inverse)
    _recombined(g, y, u, weights, vt, g.vector(*g.number(1)))


def _adjugate(g: Glue) -> None:
    """V · the products of all other singular values · Uᴴ · det U · det Vᴴ."""
    (a,), (y,) = g.inputs, g.outputs
    n = a.rows
    s, weights = g.scratch(n, 1, g.real), g.scratch(n, 1, g.real)
    u, vt = _singular(g, g.fortran(a, conjugate=True), s)
    (one,) = g.number(1, g.real)

    def of_others(i: Value, j: Value) -> Number:
        total = g.local(one.type, align=8)
        g.store(one, total)
        with g.span(n) as k:
            factor = g.select(g.compare("icmp eq", i, k), one, g.load_real(s, k))
            g.store(g.op("fmul", g.load(total, one.type), factor), total)
        return (g.load(total, one.type),)

    g.fill(weights, of_others)
    phase = g.conjugate(g.product(*[_determinant(g, g.fortran(m)) for m in (u, vt)]))
    _recombined(g, y, u, weights, vt, g.vector(*phase))


def _det(g: Glue) -> None:
    (a,), (y,) = g.inputs, g.outputs
    g.store_number(y, integer(0), integer(0), _determinant(g, g.fortran(a)))


def _slogdet(g: Glue) -> None:
    (a,), outputs = g.inputs, g.outputs
    sign, logarithm = _log_determinant(g, g.fortran(a))
    for output, value in zip(outputs, (sign, (logarithm,)), strict=True):
        g.store_number(output, integer(0), integer(0), value)


# Pieces


def _where(g: Glue, condition: Value, a: Number, b: Number) -> Number:
    return tuple([g.select(condition, x, y) for x, y in zip(a, b, strict=True)])


def _mean_with_adjoint(g: Glue, y: Matrix, a: Matrix) -> None:
    """(A + Aᴴ)/2, rounded to the dtype of the op."""
    (half,) = g.number(0.5, real_dtype(g.given))

    def mean(i: Value, j: Value) -> Number:
        here, there = g.load_number(a, i, j, g.given), g.conjugate(g.load_number(a, j, i, g.given))
        halves = [(g.op("fmul", p, half), g.op("fmul", q, half)) for p, q in zip(here, there, strict=True)]
        return tuple([g.op("fadd", p, q) for p, q in halves])

    g.fill(y, mean, tiled=True)


def _singular(g: Glue, f: Matrix, s: Matrix, full: bool = False) -> tuple[Matrix, Matrix]:
    """U and Vᴴ, square if ``full``; f is overwritten."""
    m, n, size = f.rows, f.columns, min(f.rows, f.columns)
    u, vt = (g.scratch(m, m), g.scratch(n, n)) if full else (g.scratch(m, size), g.scratch(size, n))
    room = max(5 * size * (size + 1), 2 * size * (max(m, n) + size) + size)  # by LAPACK's documentation
    more = [g.scratch(room, 1, g.real)] if g.dtype.kind == "c" else []
    g.lapack("gesdd", "A" if full else "S", m, n, f, m, s, u, m, vt, vt.rows, *more, g.scratch(8 * size, 1, INT))
    return u, vt


def _recombined(g: Glue, y: Matrix, u: Matrix, weights: Matrix, vt: Matrix, factor: Matrix) -> None:
    """factor · (U diag(weights) Vᵀ)ᵀ: the transpose of y in C order is y in Fortran order."""

    def scaled(i: Value, j: Value) -> Number:
        weight = g.load_real(weights, i)
        return tuple([g.op("fmul", x, weight) for x in g.load_number(vt, i, j)])

    g.fill(vt, scaled)
    m, n, size, x = u.rows, vt.columns, vt.rows, g.result(y.transposed)
    g.lapack("gemm", "N", "N", m, n, size, factor, u, m, vt, size, g.vector(*g.number(0)), x, m)
    g.deliver(y.transposed, x)


def _determinant(g: Glue, f: Matrix) -> Number:
    """By way of its logarithm, as NumPy: products of a diagonal overflow where the determinant does not."""
    sign, logarithm = _log_determinant(g, f)
    return g.product(sign, (g.instruction("exp", logarithm), *g.number(0)[1:]))


def _log_determinant(g: Glue, f: Matrix) -> tuple[Number, Value]:
    """Sign and logarithm of the absolute value; f is overwritten by its triangles."""
    n, pivots = f.rows, g.scratch(f.rows, 1, INT)
    info = g.lapack("getrf", n, n, f, n, pivots, checked=False)
    zero, none, one = integer(0), g.number(0), g.number(1)
    sign, logarithm = g.vector(*one), g.local(none[0].type, align=8)
    g.store(none[0], logarithm)
    with g.span(n) as i:
        (pivot,) = g.load_number(pivots, i, zero)
        following = g.convert("trunc", g.op("add", i, integer(1)), "i32")
        exchanged = g.compare("icmp ne", pivot, following)
        phase, size = _polar(g, g.load_number(f, i, i))
        turned = g.product(g.load_number(sign, zero, zero), phase)
        g.store_number(sign, zero, zero, _where(g, exchanged, tuple(map(g.fneg, turned)), turned))
        g.store(g.op("fadd", g.load(logarithm, size.type), g.instruction("log", size)), logarithm)
    singular = g.compare("icmp sgt", info, number(0, I32))
    total = g.load(logarithm, none[0].type)
    return (
        _where(g, singular, none, g.load_number(sign, zero, zero)),
        g.select(singular, number(-math.inf, total.type), total),
    )


def _polar(g: Glue, x: Number) -> tuple[Number, Value]:
    """x/|x| and |x|"""
    if len(x) == 1:
        below = g.compare("fcmp olt", x[0], g.number(0)[0])
        return _where(g, below, g.number(-1), g.number(1)), g.intrinsic("fabs", x[0].type, x[0])
    size = g.instruction("hypot", *x)
    return tuple([g.op("fdiv", p, size) for p in x]), size


def _finite(g: Glue, m: Matrix) -> Value:
    """Whether no element is infinite or NaN: 0 times such a one is NaN."""
    zero = g.number(0, g.real)[0]
    total = g.local(zero.type, align=8)
    g.store(zero, total)
    with g.grid(m.columns, m.rows, False) as (j, i):
        for part in g.load_number(m, i, j):
            g.store(g.op("fadd", g.load(total, zero.type), g.op("fmul", part, zero)), total)
    return g.compare("fcmp ord", g.load(total, zero.type), zero)


def _conjugate_pair(g: Glue, vectors: Matrix, im: Value, i: Value, j: Value) -> Number:
    """Element (i, j) of eigenvectors, from LAPACK's for real matrices: columns j and j + 1 hold the real and imaginary
    part of the vectors of a pair of conjugate eigenvalues, the one above the real axis first."""
    zero = number(0, im.type)
    above, below = g.compare("fcmp ogt", im, zero), g.compare("fcmp olt", im, zero)
    re_column = g.op("sub", j, g.convert("zext", below, "i64"))
    im_column = g.op("add", j, g.convert("zext", above, "i64"))
    (re,), (size,) = g.load_number(vectors, i, re_column), g.load_number(vectors, i, im_column)
    return re, g.select(above, size, g.select(below, g.fneg(size), zero))


# The table

SINGULAR, DIVERGED = "Singular matrix", "Eigenvalues did not converge"
NO_SVD = "SVD did not converge"
BAD_QR = "Incorrect argument found while performing QR factorization"

RECIPES = {
    "cholesky": Recipe(_cholesky, (2, 2), "Matrix is not positive definite"),
    "inv": Recipe(_inv, (2, 2), SINGULAR),
    "solve": Recipe(_solve, (2, 2, 2), SINGULAR),
    "solve_triangular": Recipe(_solve_triangular, (2, 2, 2), SINGULAR, single=True),
    "qr": Recipe(_qr, (2, 2, 2), BAD_QR),
    "complete_qr": Recipe(_qr, (2, 2, 2), BAD_QR),
    "eigh": Recipe(_eigh, (2, 1, 2), DIVERGED),
    "eig": Recipe(_eig, (2, 1, 2), DIVERGED),
    "svd": Recipe(_svd, (2, 2, 1, 2), NO_SVD),
    "full_svd": Recipe(_svd, (2, 2, 1, 2), NO_SVD),
    "pinv": Recipe(_pinv, (2, 0, 2), NO_SVD),
    "adjugate": Recipe(_adjugate, (2, 2), NO_SVD),
    "det": Recipe(_det, (2, 0)),
    "slogdet": Recipe(_slogdet, (2, 0, 0)),
}


def write(outside: Outside, target: Target) -> Written | None:
    """The routine of an op on matrices; None if LAPACK is not there, or has none for these dtypes or sizes."""
    recipe = RECIPES[outside.op.name]
    count = len(outside.inputs)
    matrices = [i for i, rank in enumerate(recipe.ranks) if rank == 2]
    given = np.result_type(*[floating_dtype(outside.dtypes[i]) for i in matrices if i < count])
    empty = any(0 in outside.shapes[i][-2:] for i in matrices)
    known = given.name in lapack.PREFIXES and all(map(_known, outside.dtypes))
    if empty or not known or not _broadcast(outside, recipe.ranks) or not lapack.available():
        return None
    g = Glue(target, outside, recipe.ranks, given, given if recipe.single else np.result_type(given, np.float64))
    with g.every():
        recipe.build(g)
    return Written(g.close(), f"LAPACK {', '.join(dict.fromkeys(g.called))}", g.symbols, _failures(outside, recipe))


def _broadcast(outside: Outside, ranks: tuple[int, ...]) -> bool:
    """Whether the stacks of all inputs broadcast to that of the output."""
    leads = [shape[: len(shape) - rank] for shape, rank in zip(outside.shapes, ranks, strict=True)]
    return np.broadcast_shapes(*leads) == leads[-1]


def _known(dtype: np.dtype[Any]) -> bool:
    name = part_dtype(dtype)
    return name in REGISTER and name not in HALVES


def _failures(outside: Outside, recipe: Recipe) -> Callable[[int], Exception]:
    # For a single triangle eager code calls SciPy, whose message says where.
    single = outside.op.name == "solve_triangular" and all(len(s) == 2 for s in outside.shapes)

    def failure(code: int) -> Exception:
        if code == NOT_FINITE:
            return np.linalg.LinAlgError("Array must not contain infs or NaNs")
        if single:
            return np.linalg.LinAlgError(f"singular matrix: resolution failed at diagonal {code - 1}")
        return np.linalg.LinAlgError(recipe.failure)

    return failure
