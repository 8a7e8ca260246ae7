"""The training loop, its history, and models in files."""

from .fit import Epoch, History, fit
from .save import load, save
from .tabular import Settings, TableModel, train_table

__all__ = ["fit", "History", "Epoch", "save", "load", "Settings", "TableModel", "train_table"]
