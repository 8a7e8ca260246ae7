"""Solutions of ordinary differential equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...array import as_array
from ...implicit.ode import odeint as _odeint


def odeint(
    func: Callable[..., Any], y0: Any, t: Any, args: tuple[Any, ...] = (), rtol: float = 1.49e-8, atol: float = 1.49e-8
) -> Any:
    """y [T, n] at the times t, where dy/dt = ``func(y, t, *args)``; differentiable by y0, t and args.

    >>> odeint(lambda y, t, rate: -rate * y, [1.0], [0.0, 1.0], (2.0,)).round(6)
    Array([[1.      ],
           [0.135335]])
    """
    # The interpolant's derivatives by t are less exact than its values
    return _odeint(func, as_array(y0), as_array(t), *args, rtol=rtol / 100, atol=atol / 100)
