"""The training loop, its history, and models in files."""

from .callbacks import Callback, EarlyStopping
from .checkpoint import Checkpoint
from .fit import evaluate, fit
from .history import Epoch, History
from .recipe import Settings
from .save import load, save
from .table_model import TableModel
from .tabular import train_table
from .training import Training

__all__ = [
    "fit",
    "evaluate",
    "History",
    "Epoch",
    "Training",
    "Callback",
    "EarlyStopping",
    "Checkpoint",
    "save",
    "load",
    "Settings",
    "TableModel",
    "train_table",
]
