"""Derivatives of more than one number: Jacobians, Hessians, and what is made of them without forming them.

All are the walks of ``vjp`` and ``jvp``, batched by ``vmap`` over a basis: the function itself runs once. While tracing
a matrix that is mostly zeros is found from as few directions as its pattern has colours (``plans``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..dtypes import is_inexact
from ..errors import DtypeError
from ..graph.node import Value
from ..ops import elementwise, logic, reduction, view
from ..ops.control import Override, OverrideMany
from . import plans
from .arguments import Owned, plain_kind
from .batch import vmap
from .derivatives import Argnums, grad, present, vjp
from .jvp import jvp, push
from .places import size_of
from .plans import Plan
from .point import Held, hold
from .sparse import SparseHessian, SparseJacobian
from .vjp import pull


def jacobian(
    function: Callable[..., Any],
    argnums: Argnums = 0,
    mode: str | None = None,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    sparse: bool = False,
    order: str | None = None,
) -> Callable[..., Any]:
    """All derivatives of all results: J[i, j] = ∂yᵢ/∂xⱼ.

    Parameters
    ----------
    function : of arrays or trees of them, returning an array or a tree of them
    argnums : which positional arguments to differentiate by; a tuple gives a tuple of Jacobians
    mode : "forward", one pass per element of the arguments; "reverse", one pass per element of the results; by default
        the one with fewer passes. All passes are one batched computation. A sparse Jacobian has "both" too.
    has_aux : whether the function returns a pair (value, anything); the result is then (Jacobian, anything)
    holomorphic : give the complex derivative of a holomorphic function; arguments and results must be complex
    sparse, order : find which elements can differ from zero and compute no others: see ``SparseJacobian``

    Returns
    -------
    callable
        of the function's arguments. For arrays of shapes ``[*in]`` and ``[*out]`` it gives ``[*out, *in]``; for trees
        a tree like the result, each leaf of which is a tree like the argument. Each block comes in the kind of the
        argument's leaf; integer and string leaves have the block None.

    Raises
    ------
    DtypeError
        if arguments and results are complex and ``holomorphic`` is not set, or it is set and one of them is real.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> polar = lambda p: gg.numpy.stack([p[0] * gg.numpy.cos(p[1]), p[0] * gg.numpy.sin(p[1])])
    >>> gg.jacobian(polar)(np.array([2.0, 0.0]))
    array([[1., 0.],
           [0., 2.]])
    >>> {k: v.shape for k, v in gg.jacobian(lambda p: p["W"] @ p["x"])({"W": np.ones((3, 2)), "x": np.ones(2)}).items()}
    {'W': (3, 3, 2), 'x': (3, 2)}
    """
    if sparse:
        _refuse(has_aux, "jacobian: a sparse Jacobian takes no has_aux")
        made: Callable[..., Any] = SparseJacobian(function, argnums, mode, order, holomorphic)
        return made
    if mode not in (None, "forward", "reverse"):
        raise ValueError(f"jacobian: mode is {mode!r}, expected 'forward', 'reverse' or None")
    if order is not None:
        raise ValueError(f"jacobian: order is {order!r}, but a dense Jacobian has none; add sparse=True")
    what = {None: "jacobian", "forward": "jacfwd", "reverse": "jacrev"}[mode]

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        at = hold(function, argnums, args, kwargs, has_aux, what)
        forward = mode == "forward" if mode else _forward_is_better(at, holomorphic)
        _check_kinds(at, forward, holomorphic, what)
        plan = plans.worth_it(at, None if mode is None else "forward" if forward else "reverse")
        if plan is not None:
            blocks = _by_colours(at, plan)
        else:
            blocks = _by_columns(at) if forward else _by_rows(at, holomorphic)
        result = _assembled(at, blocks, argnums)
        return (result, at.aux) if has_aux else result

    return present(wrapped, function, "Jacobian")


def jacfwd(
    function: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """``jacobian`` by forward mode: one pass per element of the arguments. For more results than arguments.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> gg.jacfwd(lambda t: gg.numpy.stack([t, t ** 2, t ** 3]))(2.0)
    array([ 1.,  4., 12.])
    """
    return jacobian(function, argnums, "forward", has_aux=has_aux, holomorphic=holomorphic)


def jacrev(
    function: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """``jacobian`` by reverse mode: one pass per element of the results. For fewer results than arguments.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> gg.jacrev(lambda x: gg.numpy.stack([x.sum(), (x * x).sum()]))(np.array([1.0, 2.0, 3.0]))
    array([[1., 1., 1.],
           [2., 4., 6.]])
    """
    return jacobian(function, argnums, "reverse", has_aux=has_aux, holomorphic=holomorphic)


def hessian(
    function: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    sparse: bool = False,
    colouring: str = "star",
    order: str | None = None,
) -> Callable[..., Any]:
    """All second derivatives: H[i, j] = ∂²f/∂xᵢ∂xⱼ, by forward mode over reverse mode.

    Parameters
    ----------
    function, argnums, has_aux, holomorphic : as for ``jacobian``
    sparse, colouring, order : find which elements can differ from zero and compute no others: see ``SparseHessian``

    Returns
    -------
    callable
        ``[*in, *in]`` for a number as result, ``[*out, *in, *in]`` for an array; for trees a tree of trees: row block
        by row block of what the first derivative is, the blocks of the second.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> gg.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    if sparse:
        _refuse(has_aux or holomorphic, "hessian: a sparse Hessian takes no has_aux and no holomorphic")
        made: Callable[..., Any] = SparseHessian(function, argnums, colouring, order)
        return made
    if order is not None or colouring != "star":
        raise ValueError(
            f"hessian: order is {order!r} and colouring {colouring!r}, but a dense Hessian has neither; add sparse=True"
        )
    slope = jacrev(function, argnums, has_aux=has_aux, holomorphic=holomorphic)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        at = hold(slope, argnums, args, kwargs, has_aux, "hessian")
        _check_kinds(at, True, holomorphic, "hessian")
        plan = plans.worth_it(at, "star" if _is_symmetric(at) else "forward")
        blocks = _by_columns(at) if plan is None else _by_colours(at, plan)
        result = _assembled(at, blocks, argnums)
        return (result, at.aux) if has_aux else result

    return present(wrapped, function, "Hessian")


def hvp(function: Callable[..., Any], x: Any, v: Any, *args: Any) -> Any:
    """H v: the Hessian of ``function(x, *args)`` by x times a vector, at a few times the cost of the function.

    Forward mode over reverse mode, after Pearlmutter, "Fast exact multiplication by the Hessian" (1994).

    Parameters
    ----------
    function : returns one number
    x, v : arrays, or trees, of the same structure and shapes
    args : further arguments, as SciPy's ``hessp`` hands on

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> gg.hvp(lambda x: x[0] ** 2 * x[1], np.array([1.0, 3.0]), np.array([1.0, 0.0]))
    array([6., 2.])
    """
    slope = grad(function)
    return jvp(lambda x: slope(x, *args), (x,), (v,))[1]


def vhp(function: Callable[..., Any], x: Any, v: Any, *args: Any) -> Any:
    """vᵀ H: as ``hvp``, which gives the same numbers, but by reverse mode over reverse mode.

    For functions with a derivative by ``custom_vjp`` only, whose derivative is not to be differentiated forwards.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> gg.vhp(lambda x: x[0] ** 2 * x[1], np.array([1.0, 3.0]), np.array([1.0, 0.0]))
    array([6., 2.])
    """
    slope = grad(function)
    return vjp(lambda x: slope(x, *args), x)[1](v)[0]


def hessian_diagonal(function: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The second derivative by each element of the argument: ∂²f/∂xᵢ², as a tree like the argument.

    One pass per element of the argument, all in one batch; the rest of the Hessian is not kept. Where the Hessian is
    sparse, ``hessian(f, sparse=True)(x).diagonal()`` takes fewer passes.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> gg.hessian_diagonal(lambda x: (x ** 3).sum() + x[0] * x[1])(np.array([1.0, 2.0]))
    array([ 6., 12.])
    """
    slope = grad(function, argnums)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        at = hold(slope, argnums, args, kwargs, False, "hessian_diagonal")

        def second(*seeds: Value) -> list[Value]:
            pushed = push(at.nodes, at.targets, seeds)
            terms = [reduction.sum(t * v) for t, v in zip(seeds, pushed, strict=True) if v is not None]
            return [sum(terms[1:], terms[0]) if terms else np.zeros((), at.targets[0].dtype)]

        (along,) = _rows(second, at.targets)
        ends = np.cumsum([0, *map(size_of, at.targets)]).tolist()
        parts = [view.reshape(along[a:b], t.shape) for a, b, t in zip(ends[:-1], ends[1:], at.targets, strict=True)]
        return _like_arguments(at, parts, argnums, Owned())

    return present(wrapped, function, "Hessian diagonal")


def _rows(function: Callable[..., Sequence[Value | None]], like: Sequence[Any]) -> list[Value]:
    """The function of each element of a basis of the arrays that ``like`` is like, one after another, along axis 0."""
    total = sum(map(size_of, like))
    basis, before = [], 0
    for x in like:
        unit = np.zeros((total, size_of(x)), x.dtype)
        np.fill_diagonal(unit[before:], 1)
        basis.append(unit.reshape(total, *x.shape))
        before += size_of(x)
    if total == 1:  # a basis of one needs no batch
        return [view.expand_dims(y, 0) for y in function(*(unit[0] for unit in basis))]
    found: list[Value] = vmap(lambda *seeds: list(function(*seeds)))(*basis)
    return found


def _filled(values: Sequence[Value | None], like: Sequence[Any]) -> list[Value]:
    return [np.zeros(x.shape, x.dtype) if v is None else v for v, x in zip(values, like, strict=True)]


def _is_symmetric(at: Held) -> bool:
    """Whether a traced gradient's Jacobian is: the gradient of one number, by no rule of the user's."""
    made = at.nodes[0].program.table.values() if at.nodes[0].program else ()
    by_hand = any(node.op in (Override, OverrideMany) for node in made)
    return not by_hand and [n.shape for n in at.nodes] == [t.shape for t in at.targets]


def _by_columns(at: Held) -> list[list[Value]]:
    """Blocks [*out, *in], by result and then by argument, from one tangent per element of the arguments."""
    if not sum(map(size_of, at.targets)):
        return _empty(at)
    pushed = _rows(lambda *ts: _filled(push(at.nodes, at.targets, ts), at.nodes), at.targets)
    ends = np.cumsum([0, *map(size_of, at.targets)]).tolist()
    blocks = []
    for node, columns in zip(at.nodes, pushed, strict=True):
        columns = view.moveaxis(columns, 0, -1)
        blocks.append(
            [
                view.reshape(columns[..., a:b], (*node.shape, *t.shape))
                for a, b, t in zip(ends[:-1], ends[1:], at.targets, strict=True)
            ]
        )
    return blocks


def _by_colours(at: Held, plan: Plan) -> list[list[Value]]:
    """Blocks [*out, *in], by result and then by argument, from as many passes as there are colours."""
    whole = plans.dense(plan, at)
    rows, columns = (np.cumsum([0, *map(size_of, xs)]).tolist() for xs in (at.nodes, at.targets))
    return [
        [
            view.reshape(whole[a:b, c:d], (*node.shape, *t.shape))
            for c, d, t in zip(columns[:-1], columns[1:], at.targets, strict=True)
        ]
        for a, b, node in zip(rows[:-1], rows[1:], at.nodes, strict=True)
    ]


def _by_rows(at: Held, holomorphic: bool) -> list[list[Value]]:
    """Blocks [*out, *in], by result and then by argument, from one cotangent per element of the results."""
    if not sum(map(size_of, at.nodes)):
        return _empty(at)
    pulled = _rows(lambda *gs: _filled(pull(at.nodes, gs, at.targets)[0], at.targets), at.nodes)
    if holomorphic:
        pulled = [elementwise.conj(rows) for rows in pulled]
    ends = np.cumsum([0, *map(size_of, at.nodes)]).tolist()
    return [
        [view.reshape(rows[a:b], (*node.shape, *t.shape)) for rows, t in zip(pulled, at.targets, strict=True)]
        for a, b, node in zip(ends[:-1], ends[1:], at.nodes, strict=True)
    ]


def _empty(at: Held) -> list[list[Value]]:
    return [[np.zeros((*node.shape, *t.shape), t.dtype) for t in at.targets] for node in at.nodes]


def _assembled(at: Held, blocks: list[list[Value]], argnums: Argnums) -> Any:
    own = Owned()
    return tree.unflatten(at.structure, [_like_arguments(at, row, argnums, own) for row in blocks])


def _like_arguments(at: Held, parts: Sequence[Value], argnums: Argnums, own: Owned) -> Any:
    """One value per target as the argument, or the tuple of arguments, that they belong to; in kind."""
    supply = iter(parts)
    made = []
    for o in at.opened:
        leaves = [
            None if t is None else in_kind(own(plain_kind(next(supply))))
            for t, in_kind in zip(o.targets, o.in_kind, strict=True)
        ]
        made.append(tree.unflatten(o.structure, leaves))
    return made[0] if isinstance(argnums, (int, np.integer)) else tuple(made)


def _forward_is_better(at: Held, holomorphic: bool) -> bool:
    if not holomorphic and any(t.dtype.kind == "c" for t in at.targets):
        return False
    if not holomorphic and any(n.dtype.kind == "c" for n in at.nodes):
        return True
    return sum(map(size_of, at.targets)) <= sum(map(size_of, at.nodes))


def _check_kinds(at: Held, forward: bool, holomorphic: bool, what: str) -> None:
    """Complex derivatives as JAX has them: holomorphic ones are asked for; else one side has to be real."""
    for k, node in enumerate(at.nodes):
        if not is_inexact(node.dtype):
            at.nodes[k] = logic.astype(node, np.float64)  # an integer result: its derivative is zero
    if holomorphic:
        for which, found in (("argument", at.targets), ("result", at.nodes)):
            real = next((x for x in found if x.dtype.kind != "c"), None)
            if real is not None:
                raise DtypeError(
                    f"{what}: holomorphic=True needs complex arguments and results: got {which} of {real.dtype}; "
                    f"leave it out, or use x.astype(complex)"
                )
        return
    found, which = (at.targets, "argument") if forward else (at.nodes, "result")
    if any(x.dtype.kind == "c" for x in found):
        way_out = "take .real and .imag of it" if forward else "use mode='forward', or take .real and .imag of it"
        raise DtypeError(
            f"{what}: {'forward' if forward else 'reverse'} mode needs a real {which}: got complex numbers; pass "
            f"holomorphic=True for the complex derivative of a holomorphic function, or {way_out}"
        )


def _refuse(wrong: bool, why: str) -> None:
    if wrong:
        raise ValueError(f"{why}; ask for a dense one, sparse=False")
