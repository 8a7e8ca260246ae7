"""The parts of SciPy that autograd differentiates."""

from . import integrate, linalg, signal, special, stats
