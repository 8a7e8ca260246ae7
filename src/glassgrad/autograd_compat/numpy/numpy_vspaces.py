"""The space of one array, under autograd's names: real and complex are one class here."""

from ..spaces import VSpace as ArrayVSpace
from ..spaces import VSpace as ComplexArrayVSpace

__all__ = ["ArrayVSpace", "ComplexArrayVSpace"]
