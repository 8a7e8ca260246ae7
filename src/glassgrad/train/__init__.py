"""The training loop, its history, and models in files."""

from .callbacks import Callback, EarlyStopping
from .checkpoint import Checkpoint
from .diagnose import Diagnose
from .fit import evaluate, fit
from .history import Epoch, History
from .logs import JSONLines, TensorBoard
from .recipe import Settings
from .replicas import Replicas
from .report import Report
from .save import load, save
from .state import load_state
from .table_model import TableModel
from .tabular import train_table
from .training import Training

__all__ = [
    "fit",
    "evaluate",
    "History",
    "Epoch",
    "Training",
    "Replicas",
    "Callback",
    "EarlyStopping",
    "Checkpoint",
    "Diagnose",
    "JSONLines",
    "TensorBoard",
    "Report",
    "save",
    "load",
    "load_state",
    "Settings",
    "TableModel",
    "train_table",
]
