"""The parts of SciPy that autograd differentiates."""

from . import linalg, signal, special, stats
