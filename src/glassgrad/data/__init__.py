"""Reading data, turning tables into arrays, splitting, and cutting into batches."""

from .arrays import read_arrays
from .batches import minibatches
from .delimited import read_csv
from .encode import Encoder
from .idx import read_idx
from .parquet import read_parquet
from .prepare import Prepared, prepare
from .split import held_out_split
from .stream import Batches, Stream, prefetch
from .table import Table
from .target import class_labels, detect_task
from .text import Characters, windows

__all__ = [
    "Table",
    "read_csv",
    "read_parquet",
    "read_arrays",
    "read_idx",
    "prepare",
    "Prepared",
    "Encoder",
    "detect_task",
    "class_labels",
    "held_out_split",
    "minibatches",
    "Batches",
    "Stream",
    "prefetch",
    "Characters",
    "windows",
]
