"""Special functions against SciPy: values, derivatives by closed formulas, dtypes, and the error without SciPy."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad.errors import MissingExtraError
from glassgrad.ops import special

scipy_special = pytest.importorskip("scipy.special")

POINTS = np.array([-30.0, -2.5, -0.5, 0.0, 1e-300, 0.3, 1.0, 5.0, 30.0, 1e5, np.inf, -np.inf, np.nan])
PAIRS: list[tuple[Any, Any, Any]] = [
    (special.erf, scipy_special.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x)),
    (special.erfc, scipy_special.erfc, lambda x: -2 / np.sqrt(np.pi) * np.exp(-x * x)),
    (special.erfinv, scipy_special.erfinv, lambda x: np.sqrt(np.pi) / 2 * np.exp(scipy_special.erfinv(x) ** 2)),
    (special.lgamma, scipy_special.gammaln, scipy_special.digamma),
    (special.digamma, scipy_special.digamma, lambda x: scipy_special.polygamma(1, x)),
    (
        lambda x: special.polygamma(2, x),
        lambda x: scipy_special.polygamma(2, x),
        lambda x: scipy_special.polygamma(3, x),
    ),
]
NAMES = ["erf", "erfc", "erfinv", "lgamma", "digamma", "polygamma"]


@pytest.mark.parametrize(("ours", "theirs", "slope"), PAIRS, ids=NAMES)
def test_values_and_slopes_are_scipys(ours: Any, theirs: Any, slope: Any) -> None:
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(ours(POINTS), theirs(POINTS))
        _, pullback = gg.vjp(ours, POINTS)
        np.testing.assert_allclose(pullback(np.ones_like(POINTS))[0], slope(POINTS), rtol=1e-13)


@pytest.mark.parametrize(("ours", "theirs", "slope"), PAIRS, ids=NAMES)
def test_dtypes(ours: Any, theirs: Any, slope: Any) -> None:
    assert ours(np.array([0.3, 0.5], np.float32)).dtype == np.float32
    whole = np.array([1, 2, 3])
    np.testing.assert_array_equal(ours(whole), theirs(whole))


def test_complex_erf() -> None:
    z = np.array([0.3 + 0.2j, -1.0 + 1.5j])
    np.testing.assert_array_equal(special.erf(z), scipy_special.erf(z))
    assert gg.check_grads(special.erf, (z,), 2).compared


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("scipy", "scipy.special"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"glassgrad\[scipy\]"):
        special.erf(0.5)
