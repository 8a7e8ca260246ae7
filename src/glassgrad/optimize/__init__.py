"""scipy.optimize with derivatives: functions of trees, compiled, with exact gradients, Hessians and Jacobians."""

from .compiled import Compiled
from .minimize import minimize
from .residuals import least_squares, root

__all__ = ["Compiled", "least_squares", "minimize", "root"]
