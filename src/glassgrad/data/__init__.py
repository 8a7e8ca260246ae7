"""Loading a table, turning it into arrays, splitting it and cutting it into batches."""

from .batches import minibatches
from .encode import Encoder
from .prepare import Prepared, prepare
from .split import held_out_split
from .table import Table, read_csv
from .target import class_labels, detect_task

__all__ = [
    "Table",
    "read_csv",
    "prepare",
    "Prepared",
    "Encoder",
    "detect_task",
    "class_labels",
    "held_out_split",
    "minibatches",
]
