"""Optimisers: pure functions from parameters, gradients and state to parameters and state."""

from .adam import Adam, AdamW
from .base import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
