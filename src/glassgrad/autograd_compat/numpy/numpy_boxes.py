"""The class of arrays that are being differentiated, under autograd's name; ``x._value`` is the plain array."""

from ..boxes import Box as ArrayBox

__all__ = ["ArrayBox"]
