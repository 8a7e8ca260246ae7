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


def test_single_precision_stays() -> None:
    for name in ("erf", "erfc", "expit", "logit", "softplus", "gammaln", "digamma", "logsumexp", "softmax"):
        assert getattr(gg.special, name)(ONE.astype(np.float32)).dtype == np.float32, name
