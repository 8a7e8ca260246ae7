"""autograd's names for parts of SciPy: values are SciPy's, gradients those of differences."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import errors
from glassgrad.autograd_compat.core import vspace
from glassgrad.autograd_compat.test_util import check_grads

scipy_stats = pytest.importorskip("scipy.stats")
scipy_linalg = pytest.importorskip("scipy.linalg")
scipy_signal = pytest.importorskip("scipy.signal")
RNG = np.random.default_rng(3)
X, LOC, SCALE = RNG.normal(size=(4, 3)), RNG.normal(size=3), RNG.uniform(0.5, 2, (4, 1))
UNIT, COUNT = RNG.uniform(0.1, 0.9, 4), np.array([0.0, 1.0, 2.0, 5.0])
SHAPE, OTHER = RNG.uniform(1.2, 3, 4), RNG.uniform(1.2, 3, 4)
MATRIX = RNG.normal(size=(3, 3))
COV = MATRIX @ MATRIX.T + np.eye(3)
Z = np.array([1j, 2.0])
SIMPLEX = UNIT / UNIT.sum()

# distribution, functions, arguments, which are differentiated by
DENSITIES: list[tuple[str, str, tuple[Any, ...], tuple[int, ...]]] = [
    ("norm", "pdf logpdf cdf logcdf sf logsf", (X, LOC, SCALE), (0, 1, 2)),
    ("t", "pdf logpdf", (X, SHAPE[:3], LOC, SCALE), (0, 1, 2, 3)),
    ("t", "cdf logcdf", (X, SHAPE[:3], LOC, SCALE), (0, 2, 3)),
    ("gamma", "pdf logpdf", (OTHER, SHAPE), (0, 1)),
    ("gamma", "cdf", (OTHER, SHAPE), (0,)),
    ("chi2", "pdf logpdf", (OTHER, SHAPE), (0, 1)),
    ("chi2", "cdf", (OTHER, SHAPE), (0,)),
    ("beta", "pdf logpdf", (UNIT, SHAPE, OTHER), (0, 1, 2)),
    ("beta", "cdf", (UNIT, SHAPE, OTHER), (0,)),
    ("poisson", "pmf logpmf cdf", (COUNT, SHAPE), (1,)),
    ("dirichlet", "pdf logpdf", (SIMPLEX, SHAPE), (1,)),
    ("multivariate_normal", "pdf logpdf", (X, LOC, COV), (0, 1, 2)),
    ("multivariate_normal", "pdf logpdf", (X[0], LOC, COV), (0, 1, 2)),
    ("multivariate_normal", "pdf logpdf", (X[:, 0], 0.5, 2.0), (0, 1, 2)),
    ("multivariate_normal", "entropy", (LOC, COV), (1,)),
]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    np.random.seed(0)


@pytest.mark.parametrize(
    ("name", "function", "args", "by"),
    [(name, f, args, by) for name, fs, args, by in DENSITIES for f in fs.split()],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_densities(name: str, function: str, args: tuple[Any, ...], by: tuple[int, ...]) -> None:
    ours = getattr(importlib.import_module(f"glassgrad.autograd_compat.scipy.stats.{name}"), function)
    theirs = getattr(getattr(scipy_stats, name), function)
    np.testing.assert_allclose(ours(*args), theirs(*args), rtol=1e-10)
    for k in by:
        check_grads(ours, k, modes=["rev"], order=1)(*args)


def test_a_singular_covariance() -> None:
    from glassgrad.autograd_compat.scipy.stats import multivariate_normal

    flat = np.diag([1.0, 2.0, 0.0])
    at = np.array([0.3, -0.2, 0.0])
    found = multivariate_normal.logpdf(at, np.zeros(3), flat, allow_singular=True)
    np.testing.assert_allclose(found, scipy_stats.multivariate_normal.logpdf(at, np.zeros(3), flat, True), rtol=1e-12)


def test_other_names_are_scipys_own() -> None:
    from glassgrad.autograd_compat.scipy import linalg, special, stats

    assert stats.norm.ppf(0.5) == 0.0 and special.ellipk(0.0) == pytest.approx(np.pi / 2)
    np.testing.assert_allclose(linalg.hilbert(2), [[1, 0.5], [0.5, 1 / 3]])
    assert np.asarray(linalg.inv(COV)).shape == (3, 3)


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
def test_convolution(mode: str) -> None:
    from glassgrad.autograd_compat.scipy.signal import convolve

    a, b, c = RNG.normal(size=(5, 4)), RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4, 2))
    np.testing.assert_allclose(convolve(a, b, mode=mode), scipy_signal.convolve(a, b, mode), rtol=1e-10)
    np.testing.assert_allclose(convolve(b, a, mode=mode), scipy_signal.convolve(b, a, mode), rtol=1e-10)
    along = convolve(b, c, axes=([1], [1]), mode=mode)  # pairs: 2, then 3 and 2
    expected = scipy_signal.convolve(b[1], c[2, :, 0], mode)
    np.testing.assert_allclose(along[1, 2, 0], expected, rtol=1e-10)
    summed = convolve(b, c, axes=([0], [1]), dot_axes=([1], [0]), mode=mode)
    expected = sum(scipy_signal.convolve(b[:, i], c[i, :, 1], mode) for i in range(3))
    np.testing.assert_allclose(summed[1], expected, rtol=1e-10)
    check_grads(lambda b: convolve(b, c, axes=([0], [1]), dot_axes=([1], [0]), mode=mode), modes=["rev"])(b)
    with pytest.raises(errors.ShapeError, match="say which in axes"):
        convolve(a, c)


def test_matrices() -> None:
    from glassgrad.autograd_compat.scipy import linalg

    assert np.asarray(linalg.sqrtm(COV)).dtype == float
    np.testing.assert_allclose(linalg.sqrtm(COV), scipy_linalg.sqrtm(COV), rtol=1e-10)
    np.testing.assert_allclose(linalg.sqrtm(-COV), 1j * scipy_linalg.sqrtm(COV), atol=1e-10)
    band, right = RNG.normal(size=(4, 5)) + 6 * np.eye(4)[2][:, None], RNG.normal(size=5)
    np.testing.assert_allclose(linalg.solve_banded((1, 2), band, right), scipy_linalg.solve_banded((1, 2), band, right))
    check_grads(lambda ab: linalg.solve_banded((1, 2), ab, right), modes=["rev"], order=1)(band)
    low = np.tril(COV)
    for trans in (0, 1, "T"):
        found = linalg.solve_triangular(low, LOC, trans=trans, lower=True)
        np.testing.assert_allclose(found, scipy_linalg.solve_triangular(low, LOC, trans=trans, lower=True))


def test_vector_spaces() -> None:
    value = {"x": [0.0, np.zeros((3, 1))], "z": (1j * np.zeros(2),)}
    space = vspace(value)
    basis = list(space.standard_basis())
    assert space.size == len(basis) == 8
    gram = np.array([[float(space.inner_prod(a, b)) for b in basis] for a in basis])
    np.testing.assert_array_equal(gram, np.eye(8))
    assert space == vspace(space.add(space.randn(), space.scalar_mul(space.ones(), 2.0)))
    assert space != vspace({"x": [0.0]})
    total = basis[0]
    for vector in basis[1:]:
        total = space.add(total, vector)
    gg.tree.map(np.testing.assert_array_equal, total, space.ones())
    np.testing.assert_array_equal(
        space.covector({"x": [0.0, np.zeros((3, 1))], "z": (np.array([1j, 2]),)})["z"][0], [-1j, 2]
    )


def test_a_differential_equation() -> None:
    from scipy.integrate import odeint as theirs

    from glassgrad.autograd_compat.scipy.integrate import odeint

    def swing(y: Any, t: Any, pull: Any, drag: Any) -> Any:
        return -np.sqrt(t) * y + pull - drag * y[::-1]

    given = (LOC, np.linspace(0.1, 1.0, 4), (np.ones(3), 0.3))
    np.testing.assert_allclose(odeint(swing, *given), theirs(swing, *given), rtol=1e-6, atol=1e-7)
    for k in (1, 2, 3):
        check_grads(odeint, k, modes=["rev"], order=1)(swing, *given)


def test_joining_in_brackets() -> None:
    import glassgrad.autograd_compat.numpy as anp
    from glassgrad.autograd_compat import jacobian

    x = np.array([1.0, 2.0])
    rows = lambda np, x: np.r_[x, 0, 2:4, x * 2.0]
    columns = lambda np, x: np.c_[x, x**2, np.ones((2, 2))]
    for f in (rows, columns):
        np.testing.assert_array_equal(f(anp, x), f(np, x))
        slope = jacobian(lambda x, f=f: f(anp, x))(x)
        step = 1e-6 * np.array([1.0, -1.0])
        np.testing.assert_allclose(slope @ step, (f(np, x + step) - f(np, x - step)) / 2, atol=1e-14)
    assert anp.__version__ == np.__version__
