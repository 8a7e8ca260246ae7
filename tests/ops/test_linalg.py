"""Linear algebra: values against NumPy and SciPy, gradients against PyTorch and differences, degenerate cases."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.errors import MissingExtraError, NonDifferentiableError, ShapeError
from glassgrad.numpy import linalg as la
from glassgrad.ops import linalg as ops

RNG = np.random.default_rng(7)
REAL = RNG.normal(size=(3, 3)) + 2 * np.eye(3)
COMPLEX = REAL + 1j * RNG.normal(size=(3, 3))
STACK = RNG.normal(size=(2, 1, 3, 3)) + 2 * np.eye(3)
TALL, WIDE = RNG.normal(size=(4, 2)), RNG.normal(size=(2, 3, 4))
TALL_COMPLEX = TALL + 1j * RNG.normal(size=(4, 2))
WIDE_COMPLEX = WIDE - 1j * RNG.normal(size=WIDE.shape)
SPD = REAL @ REAL.T + np.eye(3)
HPD = COMPLEX @ COMPLEX.conj().T + np.eye(3)


def weights(like: Any) -> Any:
    rng = np.random.default_rng(np.size(like))
    w = rng.normal(size=np.shape(like))
    return w + 1j * rng.normal(size=np.shape(like)) if np.iscomplexobj(like) else w


def scalar(*results: Any) -> Any:
    """A real number that depends on all of the results."""
    total: Any = 0.0
    for y in results:
        total = total + gnp.sum(gnp.real(y * weights(y.value)))
    return total


def jacobian(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """All partial derivatives, output axes first; can be nested."""

    def derivative(x: Any) -> Any:
        shape = np.shape(function(x))
        rows = [gg.grad(lambda z: gnp.real(function(z)[i]))(x) for i in np.ndindex(shape)]  # noqa: B023
        return gnp.reshape(gnp.stack(rows), shape + np.shape(x))

    return derivative


def same(ours: Any, theirs: Any, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=tolerance, atol=tolerance)


def torch_gradient(function: Callable[..., Any], *args: Any) -> list[Any]:
    torch = pytest.importorskip("torch")
    leaves = [torch.tensor(a, requires_grad=True) for a in args]
    results = function(torch, *leaves)
    total = 0.0
    for y in results if isinstance(results, (tuple, list)) else [results]:
        w = weights(y.detach().resolve_conj().numpy())
        total = total + torch.sum(torch.real(y * torch.tensor(w)))
    total.backward()
    return [leaf.grad.resolve_conj().numpy() for leaf in leaves]


def our_gradient(function: Callable[..., Any], *args: Any) -> Any:
    def loss(*xs: Any) -> Any:
        results = function(*xs)
        return scalar(*(results if isinstance(results, tuple) else (results,)))

    return gg.grad(loss, tuple(range(len(args))))(*args)


VALUES = [
    ("det", (REAL,)), ("det", (STACK,)), ("det", (COMPLEX,)), ("slogdet", (-REAL,)), ("slogdet", (COMPLEX,)),
    ("inv", (STACK,)), ("solve", (STACK, TALL[:3])), ("solve", (REAL, TALL[:3, 0])), ("solve", (STACK, TALL[:3, 0])),
    ("cholesky", (SPD,)), ("cholesky", (HPD,)), ("qr", (TALL,)), ("qr", (WIDE,)), ("qr", (COMPLEX,)),
    ("qr", (TALL, "complete")), ("qr", (TALL, "r")), ("qr", (WIDE, "r")), ("qr", (WIDE, "complete")),
    ("eigh", (SPD,)), ("eigh", (HPD, "U")), ("eigh", (REAL,)), ("eigh", (REAL, "U")), ("eigvalsh", (COMPLEX, "U")),
    ("svd", (TALL,)), ("svd", (WIDE,)), ("svd", (WIDE, False)), ("svd", (COMPLEX, False)), ("svdvals", (WIDE,)),
    ("pinv", (TALL,)), ("pinv", (WIDE_COMPLEX,)), ("pinv", (WIDE, 0.5)), ("pinv", (WIDE, np.array([0.5, 0.1]))),
    ("pinv", (SPD, None, True)), ("lstsq", (TALL, TALL[:, 0] ** 2)), ("lstsq", (TALL, TALL**2)),
    ("lstsq", (TALL[:, [0, 0]], TALL)), ("lstsq", (TALL.T, TALL[:2, 0])), ("lstsq", (TALL, TALL**2, 0.9)),
    ("matrix_power", (REAL, 0)), ("matrix_power", (STACK, 5)), ("matrix_power", (REAL, -3)),
    ("matrix_power", (np.array([[1, 1], [1, 0]]), 10)), ("matrix_rank", (TALL,)), ("matrix_rank", (STACK * 0,)),
    ("matrix_rank", (WIDE, 0.7)), ("matrix_rank", (np.ones(3),)), ("cond", (REAL,)), ("cond", (TALL,)),
    ("cond", (STACK, 1)), ("cond", (REAL, -2)), ("cond", (REAL, "fro")), ("cond", (np.ones((2, 2)), 1)),
    ("cond", (np.stack([np.eye(2), np.zeros((2, 2))]), np.inf)), ("multi_dot", ([TALL, TALL.T, TALL],)),
    ("multi_dot", ([TALL[:, 0], TALL, TALL[0]],)), ("cross", (REAL, REAL[::-1])), ("outer", (TALL[0], TALL[:, 1])),
    ("matmul", (STACK, REAL[0])), ("vecdot", (COMPLEX, COMPLEX[::-1])), ("matrix_transpose", (WIDE,)),
    ("trace", (WIDE,)), ("diagonal", (WIDE,)), ("tensorinv", (RNG.normal(size=(4, 6, 8, 3)),)),
    ("tensorsolve", (RNG.normal(size=(2, 3, 6)), RNG.normal(size=(2, 3)))), ("tensordot", (TALL, TALL)),
    ("norm", (np.arange(4),)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args"), VALUES, ids=[f"{n}{i}" for i, (n, _) in enumerate(VALUES)])
def test_values_are_numpys(name: str, args: Any) -> None:
    ours = getattr(la, name)(*args)
    theirs = getattr(np.linalg, name)(*args)
    if not isinstance(theirs, tuple):
        ours, theirs = (ours,), (theirs,)
    for a, b in zip(ours, theirs, strict=True):
        assert isinstance(a, gg.Array)
        assert a.shape == np.shape(b) and a.dtype == np.asarray(b).dtype
        same(a.value, b, 1e-7 if name == "tensorinv" else 1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_stays(dtype: Any) -> None:
    a = SPD.astype(dtype)
    for name in ("det", "inv", "cholesky", "qr", "eigh", "svd", "pinv", "norm", "svdvals", "slogdet", "expm"):
        result = getattr(la, name)(a)
        parts = result if isinstance(result, tuple) else (result,)
        assert all(p.dtype in (np.float32, np.complex64) for p in parts), name
        gradient = gg.grad(lambda x: sum(gnp.sum(gnp.abs(p) ** 2) for p in parts_of(getattr(la, name)(x))))(a)  # noqa: B023
        assert gradient.dtype == dtype, name


def parts_of(result: Any) -> Any:
    return result if isinstance(result, tuple) else (result,)


def test_signatures_are_numpys() -> None:
    for name in la.__all__:
        theirs = getattr(np.linalg, name, None)
        if not inspect.isfunction(theirs) or name in ("matmul", "tensordot"):
            continue
        wanted = [p for p in inspect.signature(theirs).parameters if p != "out"]
        assert [p for p in inspect.signature(getattr(la, name)).parameters if p != "out"] == wanted, name


def test_results_are_named_as_numpys() -> None:
    for name, args in (("qr", ()), ("svd", ()), ("eigh", ()), ("eig", ()), ("slogdet", ())):
        ours, theirs = getattr(la, name)(SPD, *args), getattr(np.linalg, name)(SPD, *args)
        assert type(ours).__name__ == type(theirs).__name__
        assert ours._fields == theirs._fields


GRADIENTS: list[tuple[str, Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = [
    ("det", la.det, lambda t, a: t.linalg.det(a), (STACK,)),
    ("det complex", la.det, lambda t, a: t.linalg.det(a), (COMPLEX,)),
    ("slogdet", lambda a: la.slogdet(a)[1], lambda t, a: t.linalg.slogdet(a)[1], (STACK,)),
    ("slogdet complex", la.slogdet, lambda t, a: tuple(t.linalg.slogdet(a)), (COMPLEX,)),
    ("inv", la.inv, lambda t, a: t.linalg.inv(a), (COMPLEX,)),
    ("solve", la.solve, lambda t, a, b: t.linalg.solve(a, b), (STACK, TALL[:3])),
    ("solve complex", la.solve, lambda t, a, b: t.linalg.solve(a, b), (COMPLEX, COMPLEX[:, 0])),
    ("cholesky", la.cholesky, lambda t, a: t.linalg.cholesky(a), (SPD,)),
    ("qr", la.qr, lambda t, a: tuple(t.linalg.qr(a)), (TALL,)),
    ("qr square complex", la.qr, lambda t, a: tuple(t.linalg.qr(a)), (COMPLEX,)),
    ("qr tall complex", la.qr, lambda t, a: tuple(t.linalg.qr(a)), (TALL_COMPLEX,)),
    ("qr wide", la.qr, lambda t, a: tuple(t.linalg.qr(a)), (WIDE,)),
    ("qr wide complex", la.qr, lambda t, a: tuple(t.linalg.qr(a)), (WIDE_COMPLEX,)),
    ("eigh", lambda a: tuple(map(gnp.abs, la.eigh(a))), lambda t, a: tuple(map(t.abs, t.linalg.eigh(a))), (SPD,)),
    ("eigh upper", lambda a: gnp.abs(la.eigh(a, "U")[1]), lambda t, a: t.abs(t.linalg.eigh(a, UPLO="U")[1]), (SPD,)),
    ("eigh complex", lambda a: gnp.abs(la.eigh(a)[1]), lambda t, a: t.abs(t.linalg.eigh(a)[1]), (HPD,)),
    ("eigvalsh", la.eigvalsh, lambda t, a: t.linalg.eigvalsh(a), (np.stack([SPD, SPD[::-1, ::-1]]),)),
    ("eigvalsh complex", la.eigvalsh, lambda t, a: t.linalg.eigvalsh(a), (HPD,)),
    ("eigvals", la.eigvals, lambda t, a: t.linalg.eigvals(a), (REAL,)),
    ("eigvals complex", la.eigvals, lambda t, a: t.linalg.eigvals(a), (COMPLEX,)),
    ("eig", lambda a: gnp.abs(la.eig(a)[1]), lambda t, a: t.abs(t.linalg.eig(a)[1]), (REAL,)),
    ("eig complex", lambda a: gnp.abs(la.eig(a)[1]), lambda t, a: t.abs(t.linalg.eig(a)[1]), (COMPLEX,)),
    ("svdvals", la.svdvals, lambda t, a: t.linalg.svdvals(a), (WIDE_COMPLEX,)),
    *((f"svd {n}", lambda a: la.svd(a, False), lambda t, a: tuple(t.linalg.svd(a, False)), (x,))
      for n, x in (("square", REAL), ("tall", TALL), ("wide", WIDE))),
    *((f"svd complex {n}", lambda a: tuple(map(gnp.abs, la.svd(a, False))),
       lambda t, a: tuple(map(t.abs, t.linalg.svd(a, False))), (x,))
      for n, x in (("square", COMPLEX), ("tall", TALL_COMPLEX), ("wide", WIDE_COMPLEX))),
    *((f"pinv {n}", la.pinv, lambda t, a: t.linalg.pinv(a), (x,))
      for n, x in (("square", REAL), ("tall", TALL), ("wide complex", WIDE_COMPLEX))),
    ("lstsq", lambda a, b: la.lstsq(a, b)[0], lambda t, a, b: t.linalg.lstsq(a, b).solution, (TALL, TALL**2)),
    ("matrix_power", lambda a: la.matrix_power(a, 5), lambda t, a: t.linalg.matrix_power(a, 5), (COMPLEX,)),
    ("matrix_power -2", lambda a: la.matrix_power(a, -2), lambda t, a: t.linalg.matrix_power(a, -2), (STACK,)),
    ("cond", la.cond, lambda t, a: t.linalg.cond(a), (STACK,)),
    ("cond 1", lambda a: la.cond(a, 1), lambda t, a: t.linalg.norm(a, 1) * t.linalg.norm(t.linalg.inv(a), 1),
     (COMPLEX,)),
    ("multi_dot", lambda a, b: la.multi_dot([a, b, a]), lambda t, a, b: t.linalg.multi_dot([a, b, a]), (TALL, TALL.T)),
    ("cross", la.cross, lambda t, a, b: t.linalg.cross(a, b), (REAL, REAL[::-1].copy())),
    ("vecdot", la.vecdot, lambda t, a, b: t.linalg.vecdot(a, b), (COMPLEX, COMPLEX[::-1].copy())),
    ("expm", la.expm, lambda t, a: t.linalg.matrix_exp(a), (COMPLEX,)),
    ("tensorinv", lambda a: la.tensorinv(a, 1), lambda t, a: t.linalg.tensorinv(a, 1), (RNG.normal(size=(6, 2, 3)),)),
    *((f"solve_triangular {lower} {unit}", lambda a, b, l=lower, u=unit: la.solve_triangular(a, b, 0, l, u),
       lambda t, a, b, l=lower, u=unit: t.linalg.solve_triangular(a, b, upper=not l, unitriangular=u),
       (x, TALL[:3] + 0 * x[0, 0]))
      for lower in (True, False) for unit in (True, False) for x in (REAL, COMPLEX)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "ours", "theirs", "args"), GRADIENTS, ids=[g[0] for g in GRADIENTS])
def test_gradients_are_pytorchs(name: str, ours: Any, theirs: Any, args: Any) -> None:
    for a, b in zip(our_gradient(ours, *args), torch_gradient(theirs, *args), strict=True):
        same(a, b, 1e-8)


@pytest.mark.parametrize("upper", [False, True])
def test_the_gradient_of_a_complex_cholesky_is_the_hermitian_part_of_pytorchs(upper: bool) -> None:
    (ours,) = our_gradient(lambda a: la.cholesky(a, upper=upper), HPD)
    (theirs,) = torch_gradient(lambda t, a: t.linalg.cholesky(a, upper=upper), HPD)
    same(ours, (theirs + theirs.conj().T) / 2)


NORMS: list[Any] = [None, 0, 1, 2, 3, 2.5, -1, -2, np.inf, -np.inf, 0.5]
MATRIX_NORMS: list[Any] = ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf, None]


@pytest.mark.parametrize("x", [REAL, COMPLEX], ids=["real", "complex"])
@pytest.mark.parametrize("order", NORMS)
def test_vector_norms(order: Any, x: Any) -> None:
    for axis, keepdims in ((0, False), (-1, True)):
        same(la.norm(x, order, axis, keepdims).value, np.linalg.norm(x, order, axis, keepdims))
    same(la.norm(x[0], order).value, np.linalg.norm(x[0], order))
    if order is not None:
        same(la.vector_norm(x, ord=order).value, np.linalg.vector_norm(x, ord=order))
        if order == 0:
            return
        ours = our_gradient(lambda a: la.vector_norm(a, ord=order, axis=0), x)
        same(ours[0], torch_gradient(lambda t, a: t.linalg.vector_norm(a, order, dim=0), x)[0])


@pytest.mark.parametrize("x", [WIDE, WIDE_COMPLEX], ids=["real", "complex"])
@pytest.mark.parametrize("order", MATRIX_NORMS)
def test_matrix_norms(order: Any, x: Any) -> None:
    for axis, keepdims in (((1, 2), False), ((2, 0), True), ((-1, -2), False)):
        same(la.norm(x, order, axis, keepdims).value, np.linalg.norm(x, order, axis, keepdims))
    same(la.norm(x[0], order).value, np.linalg.norm(x[0], order))
    same(la.matrix_norm(x, ord=order or "fro").value, np.linalg.matrix_norm(x, ord=order or "fro"))
    ours = our_gradient(lambda a: la.matrix_norm(a, ord=order or "fro"), x)
    same(ours[0], torch_gradient(lambda t, a: t.linalg.matrix_norm(a, order or "fro"), x)[0])


def test_norm_of_everything() -> None:
    same(la.norm(WIDE).value, np.linalg.norm(WIDE))
    with pytest.raises(ShapeError, match="one axis or two"):
        la.norm(WIDE, 1)
    for order in ("fro", "abc", (1, 2)):
        with pytest.raises(ValueError):
            la.norm(np.ones(3), order)
    with pytest.raises(ValueError, match="'fro', 'nuc'"):
        la.norm(REAL, 3)


@pytest.mark.parametrize("order", [o for o in NORMS if o not in (0, None)])
def test_the_gradient_of_a_vector_norm_at_the_origin_is_zero(order: Any) -> None:
    for x in (np.zeros(3), np.zeros(3, complex)):
        same(gg.grad(lambda v: la.norm(v, order))(x), np.zeros(3))
    mixed = np.array([[0.0, 0.0], [3.0, -4.0]])
    gradient = gg.grad(lambda v: gnp.sum(la.norm(v, order, axis=1)))(mixed)
    assert np.all(np.isfinite(gradient)) and not gradient[0].any()


@pytest.mark.parametrize("order", [*MATRIX_NORMS[:-1], None])
def test_the_gradient_of_a_matrix_norm_at_the_origin_is_zero(order: Any) -> None:
    same(gg.grad(lambda m: la.norm(m, order))(np.zeros((2, 3))), np.zeros((2, 3)))


def test_hessian_of_the_length() -> None:
    x = np.array([3.0, 4.0])
    hessian = jacobian(gg.grad(la.norm))(x)
    same(hessian, np.eye(2) / 5 - np.outer(x, x) / 125)
    assert not np.isnan(jacobian(gg.grad(la.norm))(np.zeros(2))).any()


SMOOTH: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
    ("det", la.det, (REAL,)),
    ("slogdet", la.slogdet, (COMPLEX,)),
    ("solve", la.solve, (REAL, TALL[:3])),
    ("cholesky complex", lambda a: la.cholesky(a @ a.conj().T + np.eye(2)), (COMPLEX[:2, :2],)),
    ("qr wide", la.qr, (WIDE[0],)),
    ("qr r", lambda a: la.qr(a, "r"), (TALL,)),
    ("eigh", lambda a: tuple(map(gnp.abs, la.eigh(a @ a.T))), (REAL,)),
    ("eigh complex", lambda a: gnp.abs(la.eigh(a @ a.conj().T)[1]), (COMPLEX,)),
    ("eig complex", lambda a: gnp.abs(la.eig(a)[1]), (COMPLEX,)),
    ("svd complex", lambda a: tuple(map(gnp.abs, la.svd(a, False))), (TALL_COMPLEX,)),
    ("projector", lambda a: la.svd(a, False)[0] @ la.svd(a, False)[0].conj().T, (TALL_COMPLEX,)),
    ("pinv", la.pinv, (TALL_COMPLEX,)),
    ("lstsq", lambda a, b: la.lstsq(a, b)[:2], (TALL, TALL**2)),
    ("nuclear", lambda a: la.norm(a, "nuc"), (WIDE[0],)),
    ("cond", la.cond, (REAL,)),
    ("p-norm", lambda a: la.norm(a, 3, 0), (COMPLEX,)),
    ("expm", la.expm, (REAL[:2, :2],)),
    ("tensorsolve", la.tensorsolve, (RNG.normal(size=(2, 2, 4)), RNG.normal(size=(2, 2)))),
    ("solve_triangular", lambda a, b: la.solve_triangular(a, b, trans="C", lower=True), (COMPLEX, TALL[:3, 0])),
    ("outer", la.outer, (TALL[0], TALL[:, 1])),
]


@pytest.mark.parametrize(("name", "function", "args"), SMOOTH, ids=[s[0] for s in SMOOTH])
def test_first_and_second_order_against_finite_differences(name: str, function: Any, args: Any) -> None:
    assert gg.check_grads(function, args, 2).compared


@pytest.mark.parametrize("trans", [0, 1, 2, "N", "T", "C"])
@pytest.mark.parametrize("a", [REAL, COMPLEX])
def test_solve_triangular_is_scipys(trans: Any, a: Any) -> None:
    scipy_linalg = pytest.importorskip("scipy.linalg")
    for lower in (True, False):
        for unit in (True, False):
            for b in (TALL[:3], TALL[:3, 0]):
                theirs = scipy_linalg.solve_triangular(a, b, trans, lower, unit)
                same(la.solve_triangular(a, b, trans, lower, unit).value, theirs)
                stack = la.solve_triangular(np.stack([a, a]), b.reshape(3, -1), trans, lower, unit).value
                same(stack[1], theirs.reshape(3, -1))
    with pytest.raises(ValueError, match="trans"):
        la.solve_triangular(a, a, "X")


def test_what_needs_scipy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = la.solve_triangular(REAL, TALL[:3], lower=True).value
    for name in ("scipy", "scipy.linalg"):
        monkeypatch.setitem(sys.modules, name, None)
    same(la.solve_triangular(REAL, TALL[:3], lower=True).value, expected)
    with pytest.raises(MissingExtraError, match=r"glassgrad\[scipy\]"):
        la.expm(REAL)


SINGULAR = {
    "rank 2 of 3": np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 5.0]]),
    "rank 1 of 3": np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0]),
    "zero 2 by 2": np.zeros((2, 2)),
    "nearly singular": np.array([[1.0, 1.0], [1.0, 1.0 + 1e-14]]),
    "orthogonal": np.eye(3)[[1, 2, 0]],
    "one by one": np.array([[0.0]]),
}


def cofactors(a: Any) -> Any:
    n = len(a)
    return np.array(
        [[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(n)] for i in range(n)]
    )


@pytest.mark.parametrize("a", SINGULAR.values(), ids=SINGULAR.keys())
def test_det_of_singular_matrices(a: Any) -> None:
    same(gg.grad(la.det)(a), cofactors(a))
    same(gg.trace(gg.grad(la.det), a)(a), cofactors(a))
    step = 1e-5
    hessian = np.zeros((*a.shape, *a.shape))
    for i, j in np.ndindex(a.shape):
        e = np.zeros_like(a)
        e[i, j] = step
        hessian[:, :, i, j] = (cofactors(a + e) - cofactors(a - e)) / (2 * step)
    same(jacobian(gg.grad(la.det))(a), hessian, 1e-7)


def test_third_derivative_of_det() -> None:
    third = jacobian(jacobian(gg.grad(la.det)))(np.eye(3))
    for i, j, k in np.ndindex(3, 3, 3):
        sign = np.linalg.det(np.eye(3)[[i, j, k]])  # Levi-Civita's symbol
        same(third[0, i, 1, j, 2, k], sign)


def test_a_stack_with_one_singular_matrix() -> None:
    stack = np.stack([REAL, SINGULAR["rank 2 of 3"]])
    same(gg.grad(lambda a: gnp.sum(la.det(a)))(stack), np.stack([cofactors(m) for m in stack]))


@pytest.mark.parametrize("a", [np.eye(3), np.zeros((3, 3)), np.diag([1.0, 1.0, 2.0]), np.ones((3, 3))])
def test_equal_eigenvalues(a: Any) -> None:
    same(gg.grad(lambda x: gnp.sum(la.eigvalsh(x)))(a), np.eye(3))
    same(gg.grad(lambda x: gnp.sum(la.eigvalsh(x) ** 2))(a), 2 * a)
    assert not np.isnan(jacobian(gg.grad(lambda x: gnp.sum(la.eigvalsh(x) ** 3)))(a)).any()
    vectors = gg.grad(lambda x: gnp.sum(la.eigh(x)[1] @ la.eigh(x)[1].T * REAL))(a)
    same(vectors, np.zeros((3, 3)))


def test_equal_and_zero_singular_values() -> None:
    rotation = np.linalg.qr(REAL)[0]
    same(gg.grad(lambda x: la.norm(x, "nuc"))(rotation), rotation)
    flat = np.outer([3.0, 0.0, 4.0], [0.6, 0.8])
    gradient = gg.grad(lambda x: la.norm(x, "nuc"))(flat)
    same(gradient @ [0.6, 0.8], [0.6, 0.0, 0.8])  # a subgradient: U Vᵀ and something no longer than 1 across
    assert np.linalg.norm(gradient, 2) <= 1 + 1e-9
    for a in (rotation, flat, np.zeros((2, 3)), np.ones((3, 3))):
        assert np.isfinite(gg.grad(lambda x: gnp.sum(la.svdvals(x) ** 2))(a)).all()
        same(gg.grad(lambda x: gnp.sum(la.svdvals(x) ** 2))(a), 2 * a)
        assert np.isfinite(jacobian(gg.grad(lambda x: la.norm(x, "nuc")))(a)).all()


def test_gradients_of_hermitian_functions_are_hermitian() -> None:
    for function in (
        la.eigvalsh,
        la.cholesky,
        lambda a: la.svd(a, hermitian=True)[1],
        lambda a: la.pinv(a, hermitian=True),
    ):
        (gradient,) = our_gradient(function, HPD)
        same(gradient, gradient.conj().T)
    a = np.tril(SPD)  # only the lower triangle is read
    same(la.cholesky(a).value, np.linalg.cholesky(SPD))
    same(our_gradient(la.cholesky, a)[0], our_gradient(la.cholesky, SPD)[0])


def test_pinv_of_a_matrix_without_full_rank() -> None:
    left, right = RNG.normal(size=(4, 2)), RNG.normal(size=(2, 3))
    assert gg.check_grads(lambda l, r: la.pinv(l @ r, 1e-9), (left, right), 2).compared


def test_rectangular_factors_that_are_not_unique() -> None:
    same(our_gradient(lambda a: la.svd(a)[1], TALL)[0], our_gradient(la.svdvals, TALL)[0])
    same(our_gradient(lambda a: la.svd(a)[0][:, :2], TALL)[0], our_gradient(lambda a: la.svd(a, False)[0], TALL)[0])
    same(our_gradient(lambda a: la.qr(a, "complete")[1][:2], TALL)[0], our_gradient(lambda a: la.qr(a, "r"), TALL)[0])
    with pytest.raises(NonDifferentiableError, match="full_matrices=False"):
        gg.grad(lambda a: gnp.sum(la.svd(a)[0]))(TALL)
    with pytest.raises(NonDifferentiableError, match="mode='reduced'"):
        gg.grad(lambda a: gnp.sum(la.qr(a, "complete")[0]))(TALL)


def test_eig_is_complex_and_right() -> None:
    w, v = la.eig(SPD)
    assert w.dtype == v.dtype == np.complex128
    same(SPD @ v.value, v.value * w.value)
    same(gg.grad(lambda a: gnp.sum(la.eigvals(a)).real)(REAL), np.eye(3))
    same(np.sort(la.eigvals(REAL).value), np.sort(np.linalg.eigvals(REAL).astype(complex)))


def test_traced_programs_know_shapes() -> None:
    def program(a: Any, b: Any) -> Any:
        q, r = ops.qr(b)
        w, v = ops.eigh(a)
        return ops.solve(a, b), ops.slogdet(a), q @ r, ops.svd(b)[1], ops.pinv(b), w, v, ops.lstsq(b, b)[1], ops.cond(a)

    traced = gg.trace(program, SPD, WIDE[0][:, :2])
    eager = program(SPD, WIDE[0][:, :2])
    flat = [p for part in eager for p in (part if isinstance(part, tuple) else (part,))]
    results = [p for part in traced(SPD, WIDE[0][:, :2]) for p in (part if isinstance(part, tuple) else (part,))]
    assert len(flat) == len(results)
    for a, b in zip(results, flat, strict=True):
        same(a, b)


SINGULAR_EYE = np.ones((2, 2))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: la.inv(SINGULAR_EYE), np.linalg.LinAlgError, "Singular matrix"),
        (lambda: la.solve(SINGULAR_EYE, SINGULAR_EYE), np.linalg.LinAlgError, "Singular matrix"),
        (lambda: gg.grad(lambda a: la.slogdet(a)[1])(SINGULAR_EYE), np.linalg.LinAlgError, "Singular matrix"),
        (lambda: la.cholesky(-SPD), np.linalg.LinAlgError, "not positive definite"),
        (lambda: la.solve_triangular(np.zeros((2, 2)), np.ones(2)), np.linalg.LinAlgError, "ingular"),
        (lambda: la.det(TALL), ShapeError, r"det: matrices must be square: got shape \(4, 2\).*test_linalg.py"),
        (lambda: la.inv(TALL), ShapeError, "use pinv"),
        (lambda: la.eigh(TALL), ShapeError, "eigh: matrices must be square"),
        (lambda: la.eigh(SPD, "Q"), ValueError, "UPLO argument must be 'L' or 'U'"),
        (lambda: la.svd(np.ones(3)), ShapeError, "svd: needs a matrix"),
        (lambda: la.qr(np.ones(3)), ShapeError, "qr: needs a matrix"),
        (lambda: la.qr(REAL, "economic"), ValueError, "'reduced', 'complete' or 'r'"),
        (lambda: la.solve(REAL, np.ones(4)), ShapeError, r"right side does not fit.*\(3,\)"),
        (lambda: la.solve(np.ones((2, 3, 3)), np.ones((4, 3, 1))), ShapeError, "stacks do not broadcast"),
        (lambda: la.lstsq(TALL, np.ones(3)), ShapeError, "lstsq: shapes do not fit"),
        (lambda: la.matrix_power(REAL, 2.5), TypeError, "exponent must be an integer"),
        (lambda: la.multi_dot([REAL]), ShapeError, "at least 2"),
        (lambda: la.cross(np.ones(2), np.ones(2)), ShapeError, "3-vectors"),
        (lambda: la.outer(REAL, REAL), ShapeError, "vectors"),
        (lambda: la.vecdot(np.ones(2), np.ones(3)), ShapeError, "sizes differ"),
        (lambda: la.tensorinv(np.ones((2, 3, 4))), ShapeError, "6 elements and the rest 4"),
        (lambda: la.tensorinv(np.ones((2, 2)), 0), ValueError, "positive"),
        (lambda: la.tensorsolve(np.ones((2, 3)), np.ones(2)), ShapeError, "square as a map"),
        (lambda: la.trace(np.ones(3)), ShapeError, "trace: needs a matrix"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_empty_matrices() -> None:
    none = np.zeros((0, 3, 3))
    for name in ("det", "inv", "cholesky", "eigvalsh", "svdvals", "pinv", "eigvals"):
        ours, theirs = getattr(la, name)(none), getattr(np.linalg, name)(none)
        assert ours.shape == theirs.shape
        assert gg.grad(lambda a: gnp.sum(gnp.real(getattr(la, name)(a))))(none).shape == none.shape  # noqa: B023
    same(la.det(np.zeros((0, 0))).value, 1.0)
    same(gg.grad(la.det)(np.zeros((0, 0))), np.zeros((0, 0)))


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gg.grad(lambda a: la.norm(a, -2) + la.norm(a[0], 0.5))(np.zeros((2, 2)))


@pytest.mark.parametrize(("name", "ours", "theirs", "args"), GRADIENTS, ids=[g[0] for g in GRADIENTS])
def test_traced_gradients_are_the_eager_ones(name: str, ours: Any, theirs: Any, args: Any) -> None:
    def gradient(*xs: Any) -> Any:
        def total(*ys: Any) -> Any:
            return sum(gnp.sum(gnp.real(y * (0.3 - 0.7j))) for y in parts_of(ours(*ys)))

        return gg.grad(total, tuple(range(len(xs))))(*xs)

    for eager, traced in zip(gradient(*args), gg.trace(gradient, *args)(*args), strict=True):
        same(traced, eager, 1e-8)


def test_sylvester_and_square_root_are_scipys() -> None:
    scipy_linalg = pytest.importorskip("scipy.linalg")
    a, b, q = REAL + np.eye(3), REAL[:2, :2] + np.eye(2), REAL[:, :2]
    np.testing.assert_allclose(gnp.linalg.solve_sylvester(a, b, q), scipy_linalg.solve_sylvester(a, b, q), rtol=1e-12)
    stacked = gnp.linalg.solve_sylvester(np.stack([a, a.T]), b, q)
    np.testing.assert_allclose(stacked[1], scipy_linalg.solve_sylvester(a.T, b, q), rtol=1e-12)
    root = gnp.linalg.sqrtm(-a)
    np.testing.assert_allclose(root, scipy_linalg.sqrtm(-a), rtol=1e-12)
    np.testing.assert_allclose(gg.jit(gnp.linalg.sqrtm)(-a), root, rtol=1e-12)
    with pytest.raises(ShapeError, match="q does not fit"):
        gnp.linalg.solve_sylvester(a, b, q.T)
