"""Linear systems whose matrix is known by its products: ``linear_solve``, and how the rules of solutions use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.sparse import SparseJacobian
from ..autodiff.whiles import while_loop
from ..dtypes import finfo
from ..errors import ConvergenceError, DtypeError
from ..graph.apply import apply
from ..graph.node import Value, spec_of, value_of
from ..graph.origin import here
from ..lazy import extra_module
from ..ops import logic, reduction
from ..ops.control import Check, Host, stop_gradient
from ..ops.loop import Body, replayed
from ..ops.solve import adjoint, solve
from ..ops.sparse import Places, solve_sparse
from .equation import Equation, equation, solution, traced
from .vector import layout

DENSE = 500  # unknowns up to which a matrix is formed where nothing else is asked for
KRYLOV = ("cg", "gmres", "bicgstab")
METHODS = ("dense", "sparse", *KRYLOV, "iteration")


@dataclass(frozen=True)
class Linear:
    """How systems with the Jacobian of an equation are solved.

    Attributes
    ----------
    method : of METHODS
    symmetric : whether the Jacobian is, so that its transpose is not needed
    tol, maxiter : of the iterative methods: the residual relative to the right side; how many rounds
    """

    method: str
    symmetric: bool = False
    tol: float | None = None
    maxiter: int | None = None

    def __call__(self, of: Equation, x: Value, b: Value, transposed: bool) -> Value:
        """A⁻¹ b, or A⁻ᴴ b, where A is the Jacobian of an equation at x."""
        transposed = transposed and not self.symmetric
        if self.method == "dense":
            matrix = of.jacobian(x)
            return _dense(of.what, adjoint(matrix) if transposed else matrix, b)
        if self.method == "sparse":
            found = _sparse_jacobian(of)
            pattern = found.plan(x, *of.given).pattern
            return solve_sparse(found.values(x, *of.given), Places(pattern.indptr, pattern.indices), b, transposed)
        body, given = traced(lambda v: of.pulled(x, v) if transposed else of.pushed(x, v), [spec_of(b)])
        residual = equation(of.what, lambda v: replayed(body, [v, *given])[0] - b, spec_of(b))
        return solution(self._iterated(of.what, body, given, b), residual, self)

    def _iterated(self, what: str, body: Body, given: list[Any], b: Value) -> Value:
        """The solution for a matrix whose products a body computes, without derivatives."""
        b, given, tol = stop_gradient(b), [stop_gradient(v) for v in given], self.tol or tolerance(spec_of(b).dtype)
        if self.method != "iteration":
            solver = _krylov(what, self.method, body, tol, self.maxiter)
            return apply(Host, (b, *given), {"function": solver, "spec": spec_of(b)})
        most, scale = self.maxiter or 1000, reduction.max(abs(b))

        def following(held: Any) -> Any:
            v, left, rounds = held
            v = v + left
            return v, b - replayed(body, [v, *given])[0], rounds + 1

        v, left, rounds = while_loop(
            lambda held: (reduction.max(abs(held[1])) > tol * scale) & (held[2] < most),
            following,
            (logic.zeros_like(b), b, np.int64(0)),
        )
        left = reduction.max(abs(left))
        ok = apply(Check, (left <= tol * scale, left, rounds), {"complaint": _Unsolved(what, "the iteration")})
        return logic.where(ok, v, np.nan)


class _Unsolved(NamedTuple):
    """The error of a linear solver that has not converged."""

    what: str
    method: str

    def __call__(self, left: Any, rounds: Any) -> Exception:
        return ConvergenceError(
            f"{self.what}: the linear system was not solved by {self.method}: residual {float(left):.3g} after "
            f"{int(rounds)} rounds; raise tol or maxiter, or use another method, such as 'sparse' or 'dense'; a "
            f"singular matrix has no solution"
        )


def tolerance(dtype: Any) -> float:
    """The relative residual at which iterations end by default: 1e-10 in float64, 1e-5 in float32."""
    return max(1e-10, 100.0 * float(finfo(dtype).eps))


def _sparse_jacobian(of: Equation) -> SparseJacobian:
    """The sparse Jacobian of an equation, as a function of x and what the equation is given."""
    derived = of.body.derived
    if "sparse" not in derived:
        derived["sparse"] = SparseJacobian(lambda x, *given: replayed(of.body, [x, *given])[0], 0, None, None)
    found: SparseJacobian = derived["sparse"]
    return found


def _dense(what: str, matrix: Value, b: Value) -> Value:
    try:
        return solve(matrix, b)
    except np.linalg.LinAlgError as error:
        raise ConvergenceError(
            f"{what}: the Jacobian is singular at this point ({error}), so the solution is not unique or does not "
            f"depend on the parameters smoothly, at {here(3)}; look for equations that repeat others, or add a term "
            f"that makes it unique"
        ) from None


def _scipy_linalg(what: str) -> Any:
    """SciPy's linear algebra of operators."""
    return extra_module(
        "scipy.sparse.linalg",
        f"{what}: SciPy is not installed, whose CG, GMRES and BiCGSTAB are used; pip install 'glassgrad[scipy]', "
        f"or use the method 'dense'",
    )


def _krylov(what: str, method: str, body: Body, tol: float, maxiter: int | None) -> Callable[..., Any]:
    """A function of the right side and of what the body is given, that solves the system by SciPy."""

    def solver(b: Any, *given: Any) -> Any:
        linalg, n, count = _scipy_linalg(what), len(b), 0

        def product(v: Any) -> Any:
            nonlocal count
            count += 1
            return body.evaluate([np.asarray(v, b.dtype).reshape(n), *given])[0]

        options: dict[str, Any] = {"restart": min(n, 100)} if method == "gmres" else {}
        most = maxiter or max(10 * n // options.get("restart", 1), 100)
        operator = linalg.LinearOperator((n, n), matvec=product, dtype=b.dtype)
        x, failed = getattr(linalg, method)(operator, b, rtol=tol, atol=0.0, maxiter=most, **options)
        if failed or not np.all(np.isfinite(x)):
            raise _Unsolved(what, method)(np.linalg.norm(product(x) - b), count)
        return x

    return solver


def chosen(what: str, method: str | None, size: int, symmetric: bool) -> str:
    """The method asked for, or what suits so many unknowns."""
    if method is None:
        return "dense" if size <= DENSE else "cg" if symmetric else "gmres"
    if method not in METHODS:
        raise ValueError(f"{what}: got the method {method!r}, expected one of {', '.join(METHODS)}, at {here(2)}")
    return method


def linear_solve(
    operator: Callable[[Any], Any],
    b: Any,
    method: str | None = None,
    *,
    symmetric: bool = False,
    transpose: bool = False,
    tol: float | None = None,
    maxiter: int | None = None,
) -> Any:
    """x with A x = b, where ``operator`` computes the products A v.

    Derivatives flow to b and to whatever the operator closes over, of any order: they are systems with the same matrix
    and its transpose, solved in the same way.

    Parameters
    ----------
    operator : of a tree like b, returning one; linear
    b : array or tree of arrays, of floating or complex dtype; a list of numbers is an array
    method : "dense", which forms the matrix; "sparse", which finds its pattern and factorises it; "cg" (for a symmetric
        positive definite one), "gmres" or "bicgstab", SciPy's, which only use products; "iteration", x ← x + (b - A x),
        for a matrix near the identity, native in compiled code. By default dense up to 500 unknowns, then cg if
        ``symmetric``, else gmres.
    symmetric : whether A is symmetric (Hermitian): the transposed system is then solved with ``operator`` itself
    transpose : solve Aᵀ x = b (Aᴴ x = b)
    tol, maxiter : of the iterative methods: residual relative to b, by default 1e-10 (1e-5 in float32); how many rounds

    Returns
    -------
    tree of Arrays like b

    Raises
    ------
    ConvergenceError
        if an iteration does not reach ``tol``, or the matrix is singular.
    ShapeError, TreeError
        if the operator's result is not like b.
    MissingExtraError
        for what needs SciPy, without it.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> def heat(c, b):  # (1 + c L) x = b, L the second difference
    ...     difference = lambda v: 2.0 * v - np.pad(v[1:], (0, 1)) - np.pad(v[:-1], (1, 0))
    ...     return gg.linear_solve(lambda v: v + c * difference(v), b, "cg")
    >>> heat(0.5, np.array([0.0, 7.0, 0.0]))
    Array([1., 4., 1.])
    >>> gg.grad(lambda c: heat(c, np.array([0.0, 7.0, 0.0]))[1])(0.5).round(6)
    np.float64(-2.857143)
    """
    if not isinstance(transpose, (bool, np.bool_)):
        raise TypeError(
            f"linear_solve: transpose says whether to solve Aᵀ x = b: got {type(transpose).__name__}, expected a bool, "
            f"at {here(1)}; products with Aᵀ are derived from the operator"
        )
    like = layout("linear_solve", "b", b)
    flat = equation("linear_solve", lambda v: like.vector(operator(like.tree(v)), "the operator's result"), like.spec)
    zero = np.zeros(like.size, like.dtype)
    affine = value_of(flat.held(zero))
    if affine is not None and np.any(affine):
        raise DtypeError(
            f"linear_solve: the operator is not linear: of 0 it makes {affine[np.flatnonzero(affine)[0]]}, at "
            f"{here(1)}; bring what does not depend on v to the other side, or use implicit_root"
        )
    probe = np.cos(np.arange(1.0, like.size + 1.0)).astype(like.dtype)
    once, twice = (value_of(flat.held(scale * probe)) for scale in (1, -2))
    if once is not None and twice is not None:
        size = np.maximum(abs(once), abs(twice)).max(initial=0.0)
        if size > float(finfo(like.dtype).tiny) and np.any(
            abs(-2 * once - twice) > max(1e-3, 10.0 * float(finfo(like.dtype).eps)) * size
        ):
            raise DtypeError(
                f"linear_solve: the operator is not linear: of -2 v it makes something else than -2 times what it "
                f"makes of v, at {here(1)}; use implicit_root for equations that are not linear"
            )
    how = Linear(chosen("linear_solve", method, like.size, symmetric), symmetric, tol, maxiter)
    return like.tree(how(flat, zero, like.vector(b, "b"), transpose))
