"""SciPy's special functions: Glassgrad's for what is differentiated, and SciPy's own for the rest."""

from ... import special as _own
from ..either import either as _either

__getattr__ = _either(_own, "scipy.special")
