"""Optimisers: pure functions from parameters, gradients and state to parameters and state."""

from .adam import Adam, AdamW
from .base import Optimizer
from .schedule import Cosine
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Cosine", "Optimizer"]
