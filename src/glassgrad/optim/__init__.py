"""Optimisers: pure functions from parameters, gradients and state to parameters and state."""

from .adam import Adam, AdamW
from .base import Optimizer, State
from .lbfgs import LBFGS, Minimum
from .lion import Lion
from .names import OPTIMIZERS, by_name
from .rmsprop import Adagrad, RMSProp
from .schedule import Cosine, Exponential, MultiStep, OneCycle, Plateau, Polynomial, Step, WarmUp
from .sgd import SGD
from .transform import Accumulated, Averaged, Clipped

__all__ = [
    "SGD",
    "RMSProp",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Optimizer",
    "State",
    "LBFGS",
    "Minimum",
    "OPTIMIZERS",
    "by_name",
    "Step",
    "MultiStep",
    "Exponential",
    "Polynomial",
    "Cosine",
    "OneCycle",
    "WarmUp",
    "Plateau",
    "Clipped",
    "Accumulated",
    "Averaged",
]
