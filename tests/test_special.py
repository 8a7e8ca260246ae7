"""glassgrad.special against SciPy: values, gradients and edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg

scipy_special = pytest.importorskip("scipy.special")
RNG = np.random.default_rng(0)
ONE = RNG.uniform(0.1, 0.9, 6)
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *((name, (ONE,), {}) for name in ("erf", "erfc", "erfinv", "gammaln", "digamma", "psi", "expit", "logit", "entr")),
    ("log_expit", (ONE * 20 - 10,), {}),
    ("polygamma", (2, ONE), {}),
    ("polygamma", (0, ONE), {}),
    ("betaln", (ONE, ONE[::-1] * 3), {}),
    ("xlogy", (ONE, ONE[::-1]), {}),
    ("logsumexp", (ONE.reshape(2, 3) * 1000,), {"axis": 1}),
    ("logsumexp", (ONE.reshape(2, 3),), {"axis": 0, "b": np.array([[1.0], [3.0]]), "keepdims": True}),
    ("softmax", (ONE.reshape(2, 3),), {}),
    ("softmax", (ONE.reshape(2, 3),), {"axis": 1}),
    ("log_softmax", (ONE.reshape(2, 3) * 500,), {"axis": 0}),
    *((name, (ONE * 3,), {}) for name in ("gamma", "rgamma", "gammasgn", "ndtr", "log_ndtr", "dawsn", "exp1", "expi")),
    *(
        (name, (ONE,), {})
        for name in ("erfcinv", "ndtri", "i0", "i1", "i0e", "i1e", "j0", "j1", "y0", "y1", "k0", "k1")
    ),
    *((name, (2, ONE * 3), {}) for name in ("jv", "jn", "yv", "yn", "iv", "ive", "kv", "kn", "kve")),
    *((name, (2.5, ONE * 3), {}) for name in ("jv", "iv", "gammainc", "gammaincc", "stdtr")),
    ("betainc", (2, 1.5, ONE), {}),
    ("beta", (ONE, ONE[::-1] * 3), {}),
    ("beta", (ONE - 1.5, ONE[::-1] * 3), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES, ids=lambda c: c if isinstance(c, str) else "")
def test_value_and_gradient(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    ours = getattr(gg.special, name)
    got = ours(*args, **kwargs)
    assert isinstance(got, gg.Array)
    np.testing.assert_allclose(got, getattr(scipy_special, name)(*args, **kwargs), rtol=1e-12, atol=1e-15)
    fixed = [a for a in args if not isinstance(a, np.ndarray)]
    gg.check_grads(lambda *xs: ours(*fixed, *xs, **kwargs), args[len(fixed) :])


def test_edges() -> None:
    assert gg.special.xlogy(0.0, 0.0).item() == 0.0
    assert gg.special.entr(0.0).item() == 0.0
    assert gg.special.logsumexp([-np.inf, -np.inf]).item() == -np.inf
    assert gg.special.logsumexp([np.inf, 0.0]).item() == np.inf
    np.testing.assert_array_equal(gg.grad(gg.special.logsumexp)(np.array([-np.inf, -np.inf])), [0.0, 0.0])
    np.testing.assert_array_equal(gg.grad(gg.special.logsumexp)(np.array([0.0, -np.inf])), [1.0, 0.0])
    rows = np.array([[-np.inf, -np.inf], [0.5, 2.0]])
    of_rows = gg.grad(lambda x: (gg.special.logsumexp(x, 1) * np.array([2.0, 3.0])).sum())(rows)
    np.testing.assert_allclose(of_rows, [[0.0, 0.0], 3 * scipy_special.softmax(rows[1])], rtol=1e-15)


def test_single_precision_stays() -> None:
    for name in ("erf", "erfc", "expit", "logit", "softplus", "gammaln", "digamma", "logsumexp", "softmax"):
        assert getattr(gg.special, name)(ONE.astype(np.float32)).dtype == np.float32, name


def test_multigammaln() -> None:
    np.testing.assert_allclose(gg.special.multigammaln(ONE + 2, 3), scipy_special.multigammaln(ONE + 2, 3), rtol=1e-13)
    gg.check_grads(lambda a: gg.special.multigammaln(a, 2), (ONE + 2,))


def test_compiled_code_calls_scipy_where_it_has_no_formula() -> None:
    f = gg.jit(gg.value_and_grad(lambda x: (gg.special.jv(1, x * 2) * gg.special.gamma(x)).sum()))
    value, slope = f(ONE)
    expected = scipy_special.jv(1, 2 * ONE) * scipy_special.gamma(ONE)
    np.testing.assert_allclose(value, expected.sum(), rtol=1e-13)
    np.testing.assert_allclose(
        slope,
        2 * scipy_special.jvp(1, 2 * ONE) * scipy_special.gamma(ONE) + expected * scipy_special.digamma(ONE),
        rtol=1e-12,
    )
    assert {"jv", "gamma"} <= set(f.cost().callbacks)


def test_what_has_no_derivative_says_so() -> None:
    with pytest.raises(gg.errors.UnsupportedError, match=r"gammainc: no derivative by a at .*test_special.*stop_grad"):
        gg.grad(lambda a: gg.special.gammainc(a, 1.0))(2.0)


def test_slopes_at_edges() -> None:
    """As PyTorch's xlogy; limits where a factor is 0 and another infinite."""
    special = gg.special
    assert float(gg.grad(lambda x: special.xlogy(x, 0.2))(0.0)) == pytest.approx(np.log(0.2))
    assert float(gg.grad(lambda x: special.xlogy(x, 0.0))(0.0)) == 0.0
    np.testing.assert_allclose(
        gg.hessian(lambda v: special.xlogy(v[0], v[1]))(np.array([0.0, 0.2])), [[0, 5], [5, 0]], atol=1e-12
    )
    assert [float(gg.grad(special.rgamma)(x)) for x in (0.0, -1.0, -2.0)] == pytest.approx([1.0, -1.0, 2.0])
    assert float(gg.grad(lambda x: special.gammainc(1.0, x))(0.0)) == 1.0
    assert float(gg.grad(lambda x: special.betainc(1.0, 1.0, x))(0.0)) == pytest.approx(1.0)
    assert float(gg.grad(lambda x: special.betainc(1.0, 1.0, x))(1.0)) == pytest.approx(1.0)
    for x, y in ((0.0, 0.0), (0.0, np.inf), (0.0, -1.0), (0.0, np.nan), (2.0, 0.0), (2.0, np.inf), (-1.0, 2.0)):
        with np.errstate(divide="ignore"):
            np.testing.assert_equal(float(special.xlogy(x, y)), float(scipy_special.xlogy(x, y)))
    np.testing.assert_array_equal(special.entr(np.array([-1.0, 0.0, np.inf])), scipy_special.entr([-1.0, 0.0, np.inf]))
