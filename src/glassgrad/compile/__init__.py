"""From a traced graph to a native function: the pipeline as a list of passes, and ``jit``."""

from .jit import Jitted, jit
from .pipeline import PASSES, Executable
from .plan import Plan
from .report import Cost, Stages

__all__ = ["PASSES", "Cost", "Executable", "Jitted", "Plan", "Stages", "jit"]
