"""Checking derivatives against numerical ones, called as autograd's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from ..errors import GradientCheckError
from .core import make_jvp, make_vjp, vspace
from .wrap_util import Function, get_name, unary_to_nary

TOL = RTOL = EPS = 1e-6


def scalar_close(a: Any, b: Any) -> bool:
    """Whether two numbers differ by less than a millionth, absolutely or relative to their sum."""
    return bool(abs(a - b) < TOL or abs(a - b) / abs(a + b) < RTOL)


def make_numerical_jvp(f: Function, x: Any) -> Function:
    """The map v ↦ (f(x + εv/2) - f(x - εv/2)) / ε."""
    here, there = vspace(x), vspace(f(x))

    def jvp(v: Any) -> Any:
        after, before = (f(here.add(x, here.scalar_mul(v, h))) for h in (EPS / 2, -EPS / 2))
        return there.scalar_mul(there.add(after, there.scalar_mul(before, -1.0)), 1.0 / EPS)

    return jvp


def check_vjp(f: Function, x: Any) -> None:
    """Compare u·(Jv) with (uᵀJ)·v for one random u and v, where Jv is numerical and uᵀJ by reverse mode."""
    vjp, y = make_vjp(f, x)
    here, there = vspace(x), vspace(y)
    v, u = here.randn(), there.randn()
    pulled = here.covector(vjp(there.covector(u)))
    if vspace(pulled) != here:
        raise GradientCheckError(f"check_grads: a cotangent is in {vspace(pulled)}, expected {here}")
    exact, numeric = here.inner_prod(v, pulled), there.inner_prod(u, make_numerical_jvp(f, x)(v))
    if not scalar_close(numeric, exact):
        raise GradientCheckError(_disagreement("VJP", f, x, exact, numeric))


def check_jvp(f: Function, x: Any) -> None:
    """Compare Jv by forward mode with a numerical one, for one random v."""
    v = vspace(x).randn()
    exact, numeric = make_jvp(f, x)(v)[1], make_numerical_jvp(f, x)(v)
    try:
        check_equivalent(exact, numeric)
    except AssertionError as error:
        raise GradientCheckError(_disagreement("JVP", f, x, exact, numeric)) from error


def _disagreement(kind: str, f: Function, x: Any, exact: Any, numeric: Any) -> str:
    return f"check_grads: ({kind}) check of {get_name(f)} failed at {x}: got {exact}, expected {numeric} numerically"


def check_equivalent(x: Any, y: Any) -> None:
    """Raise unless two containers are in one vector space, and a random vector's products with them are close."""
    space, other = vspace(x), vspace(y)
    assert space == other, f"check_equivalent: the first is in {space}, the second in {other}"
    v = space.randn()
    assert scalar_close(space.inner_prod(x, v), space.inner_prod(y, v)), f"check_equivalent: {x} and {y} differ"


@unary_to_nary
def check_grads(f: Function, x: Any, modes: Sequence[str] = ("fwd", "rev"), order: int = 2) -> None:
    """Compare derivatives in one random direction with numerical ones; raise ``GradientCheckError`` if one disagrees.

    ``glassgrad.check_grads`` goes through the elements, and says which are wrong.

    >>> check_grads(lambda x: x ** 3, modes=["rev"], order=1)(2.0)
    """
    unknown = set(modes) - {"fwd", "rev"}
    assert not unknown, f"check_grads: got the modes {sorted(unknown)}, expected 'fwd' or 'rev'"
    for mode in modes:
        if mode == "fwd":
            check_jvp(f, x)
            derivative, direction = lambda x, v: make_jvp(f, x)(v)[1], vspace(x).randn
        else:
            check_vjp(f, x)
            derivative, direction = lambda x, v: make_vjp(f, x)[0](v), vspace(f(x)).randn
        if order > 1:
            derivative.__name__ = f"{'jvp' if mode == 'fwd' else 'vjp'}_{get_name(f)}"
            check_grads(derivative, (0, 1), modes, order=order - 1)(x, direction())


def combo_check(fun: Function, *options: Any, **further: Any) -> Callable[..., None]:
    """``check_grads`` for every combination of the arguments listed."""
    check = check_grads(fun, *options, **further)

    def checked(*args: Any, **kwargs: Any) -> None:
        named = [[(k, x) for x in xs] for k, xs in kwargs.items()]
        for given in product(*args):
            for chosen in product(*named):
                check(*given, **dict(chosen))

    return checked
