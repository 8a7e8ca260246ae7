"""NumPy's functions on Glassgrad arrays."""
from ..ops.elementwise import *
from ..ops.logic import *
from . import protocol
