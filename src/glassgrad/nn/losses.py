"""Losses by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops import losses

Loss = Callable[..., Any]

LOSSES: dict[str, Loss] = {
    "squared_error": losses.squared_error,
    "mse": losses.squared_error,
    "absolute_error": losses.absolute_error,
    "mae": losses.absolute_error,
    "huber": losses.huber,
    "cross_entropy": losses.cross_entropy,
    "binary_cross_entropy": losses.binary_cross_entropy,
    "kl_divergence": losses.kl_divergence,
    "hinge": losses.hinge,
    "cosine_distance": losses.cosine_distance,
}
