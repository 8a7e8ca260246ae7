"""The parts of SciPy that can be differentiated."""

from . import special
