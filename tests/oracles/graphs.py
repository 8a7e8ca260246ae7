"""Random programs of 20 to 60 lines, for tests that compute them eagerly, interpreted and compiled.

A program is made line by line on example arguments, so that every line is valid and every value stays small. The text
is all there is: what fails can be pasted and run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tests.oracles import lines
from tests.oracles.building import FLOATS, SIZES, Building, Pick, Rule
from tests.oracles.programs import Program


def random_program(pick: Pick, length: int, limit: int = 300, floats: Sequence[str] = FLOATS) -> Program:
    """A program of about ``length`` lines whose values have at most ``limit`` elements."""
    return Building(pick, limit, floats).run(length, RULES)


def pointwise(b: Building) -> None:
    i = b.some()
    if i is not None:
        b.add(b.one_of(lines.SMOOTH).format(f"v{i}"), [i])


def kinked(b: Building) -> None:
    i = b.some(exact=True)
    if i is not None:
        text = b.one_of(lines.KINKS)
        b.add(text.format(f"v{i}"), [i], exact=not text.startswith(("np.remainder", "F.")))


def paired(b: Building) -> None:
    i = b.some()
    if i is None:
        return
    k = b.partner(i, "f")
    text = b.one_of(lines.PAIRS)
    if k is None or not b.pick(5):
        constant = b.like(i, b.one_of(b.floats))
        both = (f"v{i}", constant) if b.pick(2) else (constant, f"v{i}")
        b.add(text.format(*both), [i])
    else:
        b.add(text.format(f"v{i}", f"v{k}"), [i, k])


def paired_exactly(b: Building) -> None:
    i = b.some(exact=True)
    k = b.partner(i, "f", exact=True) if i is not None else None
    if i is not None and k is not None:
        b.add(b.one_of(lines.EXACT_PAIRS).format(f"v{i}", f"v{k}"), [i, k], exact=True)


def compared(b: Building) -> None:
    i = b.some("fi", exact=True)
    k = b.partner(i, "fi", exact=True) if i is not None else None
    if i is not None and k is not None:
        b.add(b.one_of(lines.COMPARISONS).format(f"v{i}", f"v{k}"), [i, k], exact=True)


def chosen(b: Building) -> None:
    i = b.some("b", exact=True)
    k = b.partner(i, "f") if i is not None else None
    if i is None or k is None:
        return
    other = b.partner(k, "f")
    if other is None or not b.pick(3):
        b.add(f"np.where(v{i}, v{k}, {b.one_of(('0', '1.5', b.like(k)))})", [i, k], exact=True)
    elif b.values[i].ndim <= b.values[k].ndim:
        try:
            b.add(f"np.where(v{i}, v{k}, v{other})", [i, k, other], exact=b.values[k].dtype == b.values[other].dtype)
        except ValueError:  # each fits another, but not all three
            return


def masked_safely(b: Building) -> None:
    """What a mask discards may be NaN or infinite."""
    i = b.some(exact=True)
    if i is not None:
        text = b.one_of(
            (
                "np.where({0} > 0.5, np.sqrt(np.where({0} > 0.5, {0}, 1)), {0})",
                "np.where({0} > 0.5, np.log({0}), {0})",
                "np.where(np.abs({0}) > 0.25, 0.2 / {0}, 0.1)",
            )
        )
        b.add(text.format(f"v{i}"), [i])


def logical(b: Building) -> None:
    i = b.some("b")
    k = b.partner(i, "b") if i is not None else None
    if i is not None and k is not None:
        b.add(b.one_of(("{0} & {1}", "{0} | ~{1}", "np.logical_xor({0}, {1})")).format(f"v{i}", f"v{k}"), [i, k], True)


def integer(b: Building) -> None:
    i = b.some("i")
    if i is None:
        return
    k = b.partner(i, "i")
    if k is None or not b.pick(3):
        b.add(b.one_of(lines.INTEGER_UNARY).format(f"v{i}"), [i], exact=True)
    elif np.result_type(b.values[i].dtype, b.values[k].dtype).kind in "iu":  # int64 and uint64 give float64
        b.add(b.one_of(lines.INTEGER_PAIRS).format(f"v{i}", f"v{k}"), [i, k], exact=True)


def converted(b: Building) -> None:
    i = b.some("fib")
    if i is None:
        return
    dtype = b.one_of((*b.floats, "int32", "int64", "bool", "int16"))
    if b.kind(i) == "f":
        if dtype.startswith("float"):
            wider = np.dtype(dtype).itemsize >= b.values[i].dtype.itemsize
            b.add(f"cast(v{i}, '{dtype}')", [i], exact=wider)
        elif i in b.exact:
            b.add(f"cast(np.floor(v{i}), 'int32')", [i], exact=True)
    elif b.kind(i) == "i" and dtype.startswith("float"):
        b.add(f"cast(v{i} % 5, '{dtype}')", [i], exact=True)
    else:
        b.add(f"cast(v{i}, '{dtype}')", [i], exact=True)


def mixed(b: Building) -> None:
    """Floats with integers and booleans, which promote."""
    i = b.some()
    k = b.partner(i, "ib") if i is not None else None
    if i is not None and k is not None:
        small = f"(v{k} % 4)" if b.kind(k) == "i" else f"v{k}"
        b.add(b.one_of(("{0} * {1}", "{0} + {1}", "{1} - {0}")).format(f"v{i}", small), [i, k])


def reduced(b: Building) -> None:
    i = b.some()
    if i is None:
        return
    axes = b.axes(i, filled=True)
    keep = b.one_of(("", ", keepdims=True"))
    if axes == "empty":
        b.add(f"np.sum(v{i}, axis=0{keep})", [i])
        return
    if b.values[i].size == 0:
        return
    options = ["np.sum", "np.mean", "F.logsumexp", "np.mean", "np.sum"]
    if i in b.exact:
        options += ["np.max", "np.min", "np.max", "np.ptp"]
    name = b.one_of(options)
    if name == "np.ptp" and keep:
        name = "np.max"
    b.add(f"{name}(v{i}, axis={axes}{keep})", [i], exact=name in ("np.max", "np.min"))


def spread(b: Building) -> None:
    i = b.some()
    if i is None or b.values[i].size == 0:
        return
    axes = b.axes(i)
    count = b.values[i].size if axes is None else math.prod(b.values[i].shape[k] for k in np.atleast_1d(axes))
    if count > 2:
        b.add(f"np.{b.one_of(('var', 'std'))}(v{i} + {b.like(i)}, axis={axes}) + 0.1", [i])


def counted(b: Building) -> None:
    i = b.some("ib")
    if i is None:
        return
    axes = b.axes(i)
    name = b.one_of(("sum", "prod", "any", "all", "count_nonzero"))
    b.add(f"np.{name}(v{i}, axis={axes})", [i], exact=True)


def product(b: Building) -> None:
    i = b.some()
    if i is not None and b.values[i].size:
        b.add(f"np.prod(0.5 + np.sin(v{i}), axis={b.axes(i)})", [i])


def placed(b: Building) -> None:
    i = b.some("fi", exact=True, least=1)
    if i is not None and b.values[i].size:
        axis = b.pick(b.values[i].ndim)
        b.add(f"np.{b.one_of(('argmax', 'argmin'))}(v{i}, axis={b.one_of((axis, axis, None))})", [i], exact=True)


def running(b: Building) -> None:
    i = b.some("fi", least=1)
    if i is not None:
        axis = b.pick(b.values[i].ndim) - b.values[i].ndim
        text = f"np.cumsum(v{i}, axis={axis})"
        if b.kind(i) == "f" and b.pick(3) == 0:
            text = f"np.cumprod(1 + 0.2 * np.sin(v{i}), axis={axis})"
        b.add(text, [i], exact=b.kind(i) == "i")


def rowwise(b: Building) -> None:
    i = b.some(least=1)
    if i is None or b.values[i].size == 0:
        return
    axis = b.one_of((-1, -1, b.pick(b.values[i].ndim)))
    x = f"v{i}"
    text = b.one_of(
        (
            "F.softmax({x}, axis={axis})",
            "F.log_softmax({x}, axis={axis})",
            "({x} - np.mean({x}, {axis}, keepdims=True)) / np.sqrt(np.var({x}, {axis}, keepdims=True) + 0.1)",
            "{x} / np.sqrt(np.sum({x} * {x}, {axis}, keepdims=True) + 1)",
            "{x} * F.softmax(np.cos({x}), {axis}) + np.mean({x}, {axis}, keepdims=True)",
        )
    )
    b.add(text.format(x=x, axis=axis), [i])


def reshaped(b: Building) -> None:
    i = b.some("fib")
    if i is None:
        return
    rest, shape = b.values[i].size, []
    if rest == 0:
        b.add(f"np.reshape(v{i}, (0, 3))", [i], exact=True)
        return
    for _ in range(b.pick(4)):
        divisors = [n for n in range(1, rest + 1) if rest % n == 0]
        shape.append(b.one_of(divisors))
        rest //= shape[-1]
    shape.insert(b.pick(len(shape) + 1), rest if b.pick(2) else -1)
    b.add(f"np.reshape(v{i}, {tuple(shape)})", [i], exact=True)


def turned(b: Building) -> None:
    i = b.some("fib", least=1)
    if i is None:
        return
    axes = list(range(b.values[i].ndim))
    order = [axes.pop(b.pick(len(axes))) for _ in range(len(axes))]
    b.add(f"np.transpose(v{i}, {tuple(order)})", [i], exact=True)


def sliced(b: Building) -> None:
    i = b.some("fib", least=1)
    if i is None:
        return
    entries = []
    for n in b.values[i].shape:
        way = b.pick(6)
        if way == 0 and n:
            entries.append(str(b.pick(n) - (n if b.pick(2) else 0)))
        elif way < 4:
            begin, end = b.one_of(("", str(b.pick(n + 1)))), b.one_of(("", str(b.pick(n + 1)), "-1"))
            step = b.one_of(("", "", "-1", "2", "-2", "3"))
            entries.append(f"{begin}:{end}:{step}")
        else:
            entries.append(":")
        if not b.pick(8):
            entries.append("None")
    b.add(f"v{i}[{', '.join(entries)}]", [i], exact=True)


def rearranged(b: Building) -> None:
    i = b.some("fib", least=1)
    if i is None:
        return
    axis = b.pick(b.values[i].ndim)
    text = b.one_of(
        (
            "np.flip({0}, {axis})",
            "np.roll({0}, {k}, {axis})",
            "np.repeat({0}, 2, {axis})",
            "np.tile({0}, 2)",
            "np.expand_dims({0}, {axis})",
            "np.squeeze({0})",
            "np.swapaxes({0}, 0, {axis})",
            "np.broadcast_to({0}, (3, *{0}.shape))",
            "np.pad({0}, 1)",
            "np.pad({0}, ((1, 2),) + ((0, 0),) * ({0}.ndim - 1))",
            "np.diff({0}, axis={axis})",
        )
    )
    exact = "diff" not in text or b.kind(i) != "f"
    if "diff" in text and b.kind(i) == "b":
        return
    b.add(text.format(f"v{i}", axis=axis, k=b.pick(7) - 3), [i], exact=exact)


def joined(b: Building) -> None:
    i = b.some("fib", least=1)
    if i is None:
        return
    shape, axis = b.values[i].shape, b.pick(b.values[i].ndim)

    def fits(k: int) -> bool:
        other = b.values[k].shape
        return len(other) == len(shape) and all(
            n == m or a == axis for a, (n, m) in enumerate(zip(shape, other, strict=True))
        )

    k = b.matching(fits)
    assert k is not None
    same = b.values[i].dtype == b.values[k].dtype
    small = {"fi", "if"} & {b.kind(i) + b.kind(k)}
    parts = [f"(v{n} % 5)" if small and b.kind(n) == "i" else f"v{n}" for n in (i, k)]
    b.add(f"np.concatenate([{', '.join(parts)}, {parts[0]}], axis={axis})", [i, k], exact=same)


def within(k: int, n: int) -> str:
    """Integers of any width as places on an axis of n."""
    return f"(v{k} % {n})" if n < 128 else f"(cast(v{k}, 'int64') % {n})"


def gathered(b: Building) -> None:
    i = b.some("fib", least=1)
    if i is None or b.values[i].size == 0:
        return
    axis = b.pick(b.values[i].ndim)
    n = b.values[i].shape[axis]
    lead = ":, " * axis
    where = [b.pick(2 * n) - n for _ in range(1 + b.pick(6))]
    way = b.pick(4)
    k = b.some("i", exact=True)
    if way == 0 and k is not None:
        b.add(f"v{i}[{lead}{within(k, n)}]", [i, k], exact=True)
    elif way == 1:
        b.add(f"v{i}[{lead}np.array([{where}, {where[::-1]}])]", [i], exact=True)
    elif way == 2 and k is not None:
        size = math.prod(b.values[i].shape) // n
        if b.values[k].size >= size:
            shape = tuple(1 if a == axis else m for a, m in enumerate(b.values[i].shape))
            index = f"np.reshape(np.ravel({within(k, n)})[:{size}], {shape})"
            b.add(f"np.take_along_axis(v{i}, {index}, {axis})", [i, k], exact=True)
    elif b.values[i].ndim > 1:
        other = [b.pick(b.values[i].shape[1 if axis == 0 else 0]) for _ in where]
        both = (where, other) if axis == 0 else (other, where)
        if axis < 2:
            b.add(f"v{i}[np.array({both[0]}), np.array({both[1]})]", [i], exact=True)
    else:
        b.add(f"np.take(v{i}, np.array({where}), axis={axis})", [i], exact=True)


def written(b: Building) -> None:
    i = b.some("fi", least=1)
    if i is None or b.values[i].size == 0:
        return
    n = b.values[i].shape[0]
    where = [b.pick(2 * n) - n for _ in range(1 + b.pick(5))]
    key = b.one_of((f"np.array({where})", "::2", f"{b.pick(n)}", "::-1"))
    k = b.some("i", exact=True)
    if k is not None and not b.pick(3):
        key = f"np.ravel({within(k, n)})[:5]"
    k = k if "v" in key else i
    way = b.one_of(("add", "set"))
    value = b.one_of(("1", f"v{i}[0]", f"v{i}[-1]"))
    exact = way == "set" or b.kind(i) == "i"
    b.add(f"v{i}.at[{key}].{way}({value})", [i] if k is None else [i, k], exact=exact)


def from_library(b: Building) -> None:
    """Complex numbers, convolutions, transforms and linear algebra, with real numbers before and after."""
    i = b.some(least=1)
    if i is None or b.values[i].size == 0:
        return
    n, dtype = b.values[i].shape[-1], str(b.values[i].dtype)
    text = b.one_of(lines.MATRIX_LINES if b.values[i].ndim > 1 and b.pick(2) else lines.VECTOR_LINES)
    if n < 2 or ("linalg" in text and (n > 8 or dtype == "float16")) or ("cov" in text and b.values[i].ndim < 2):
        return
    if "sort" in text and i not in b.exact:
        return
    rows = f"np.reshape(v{i}, (-1, {n}))"
    square = f"({rows}.T @ {rows} / {b.values[i].size} + np.eye({n}, dtype='{dtype}'))"
    b.add(text.format(x=f"v{i}", n=n, d=dtype, seed=b.pick(1000), s=square), [i])


def matrix_product(b: Building) -> None:
    i = b.some("ffi", least=1)
    if i is None or b.values[i].size == 0:
        return
    x, shape, dtype = f"v{i}", b.values[i].shape, str(b.values[i].dtype)
    k, seed, n = shape[-1], b.pick(1000), b.one_of(SIZES)
    scale = "" if b.kind(i) == "i" else f" * {k**-0.5:.3g}"
    text = b.one_of(
        (
            f"{x} @ const(({k}, {n}), '{dtype}', {seed}){scale}",
            f"np.matmul(const(({n}, {k}), '{dtype}', {seed}), np.swapaxes(np.atleast_2d({x}), -1, -2)){scale}",
            f"np.einsum('...i,...i->...', {x}, {x}){scale}",
            f"np.einsum('...i,ji->...j', {x}, const(({n}, {k}), '{dtype}', {seed})){scale}",
            f"np.einsum('...i,ki->k...', {x}, const(({n}, {k}), '{dtype}', {seed})){scale}",
            f"np.matmul({x}, const(({k},), '{dtype}', {seed})){scale}",
            f"np.dot({x}, const(({k}, {n}), '{dtype}', {seed})){scale}",
            f"np.tensordot({x}, {x}, (({len(shape) - 1},), ({len(shape) - 1},))){scale}",
            f"np.outer({x}[..., 0], const(({n},), '{dtype}', {seed}))",
            f"np.einsum('...i->...', {x}){scale}",
            f"np.einsum('...i,...j->...ij', {x}, {x})",
        )
    )
    b.add(text, [i], exact=b.kind(i) == "i")


def product_of_two(b: Building) -> None:
    """A matrix product of two values, one of which is turned or sliced, with something after it."""
    i = b.some(least=2)
    if i is None or b.values[i].size == 0:
        return
    inner = b.values[i].shape[-1]
    k = b.matching(lambda n: b.kind(n) == "f" and b.values[n].ndim == 2 and inner in b.values[n].shape)
    if k is None:
        return
    right = f"v{k}" if b.values[k].shape[0] == inner else f"v{k}.T"
    scale = f"{inner**-0.5:.3g}"
    text = b.one_of(
        (
            "v{i} @ {r} * {s}",
            "np.tanh(v{i} @ {r} * {s} + 0.5)",
            "(v{i} @ {r})[..., ::-1] * {s}",
            "np.maximum(v{i}, -3) @ {r} * {s}",
            "np.swapaxes(v{i} @ {r}, -1, -2) * {s}",
            "v{i} @ np.flip({r}, 1) * {s}",
        )
    )
    b.add(text.format(i=i, r=right, s=scale), [i, k])


def scanned(b: Building) -> None:
    i = b.some(least=1)
    if i is None:
        return
    row, dtype = b.values[i].shape[1:], b.values[i].dtype
    k = b.partner(i, "f")
    if k is None or b.values[k].shape not in ((), row, row[1:]) or b.values[k].dtype != dtype:
        k = None
    step = b.one_of(lines.ROW_STEPS if row and b.pick(2) else lines.STEPS)
    if 0 in row and step not in lines.STEPS[:3]:
        return
    n = max(row[-1], 1) if row else 1
    square = f"const(({n}, {n}), '{dtype}', {b.pick(1000)}) * {0.5 * n**-0.5:.3g}"
    where = [b.pick(n) for _ in range(n)]
    step = step.format(k=f"v{k}" if k is not None else "0.5", s=f"({square})", i=where)
    start = f"const({row}, '{dtype}', {b.pick(1000)})"
    part = b.pick(2)
    options = b.one_of(("", ", reverse=True"))
    b.add(f"gg.scan({step}, {start}, v{i}{options})[{part}]", [i] if k is None else [i, k])


def scanned_in_pairs(b: Building) -> None:
    """A carry of two leaves, of which one is a number, and ys of two."""
    i = b.some(least=1)
    if i is None or 0 in b.values[i].shape:
        return
    row, dtype = b.values[i].shape[1:], b.values[i].dtype
    start = f"(const({row}, '{dtype}', {b.pick(1000)}), zeros((), '{dtype}'))"
    step = b.one_of(
        (
            "(lambda c, x: ((np.sin(c[0] + x), c[1] * 0.5 + c[0].mean()), (c[0] * c[1], x - c[1])))",
            "(lambda c, x: ((0.5 * c[0] + c[1], np.tanh(c[1] + (c[0] * x).sum())), (c[1], c[0])))",
            "(lambda c, x: ((x, c[0].sum() * 0.1), (c[0], c[0] * 2)))",
        )
    )
    chosen = b.one_of(("[0][0]", "[0][1]", "[1][0]", "[1][1]"))
    b.add(f"gg.scan({step}, {start}, v{i}){chosen}", [i])


def looped(b: Building) -> None:
    i = b.some()
    if i is not None:
        b.add(f"gg.fori_loop(0, {b.pick(4)}, lambda n, c: np.sin(c) + 0.1 * cast(n, c.dtype), v{i})", [i])


def scattered_sum(b: Building) -> None:
    """Sums by segment: several elements to one place."""
    i = b.some(least=1)
    if i is None or b.values[i].size == 0:
        return
    n = b.values[i].shape[0]
    where = [b.pick(4) for _ in range(n)]
    shape = (4, *b.values[i].shape[1:])
    b.add(f"zeros({shape}, v{i}.dtype).at[np.array({where})].add(v{i})", [i])


RULES: list[Rule] = [
    *[pointwise, paired] * 4,
    *[kinked, paired_exactly, compared, chosen, masked_safely, mixed, converted],
    *[reduced, reduced, rowwise, rowwise, spread, product, placed, running, counted],
    *[reshaped, turned, sliced, sliced, rearranged, rearranged, joined, joined, gathered, gathered, written],
    *[
        matrix_product,
        matrix_product,
        product_of_two,
        from_library,
        from_library,
        from_library,
        scanned,
        scanned_in_pairs,
        looped,
        scattered_sum,
    ],
    *[integer, integer, logical],
]
