"""The training loop, its history, and models in files."""

from .fit import Epoch, History, fit
from .save import load, save

__all__ = ["fit", "History", "Epoch", "save", "load"]
