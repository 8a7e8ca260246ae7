"""Multi-layer perceptrons as scikit-learn's estimators: its parameters, its results, natively compiled."""

from __future__ import annotations

from ..errors import MissingExtraError

try:
    import sklearn
except ImportError:
    raise MissingExtraError(
        "glassgrad.sklearn: scikit-learn is not installed; pip install 'glassgrad[sklearn]'"
    ) from None

from .estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
