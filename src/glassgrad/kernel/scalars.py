"""How an elementwise op becomes instructions.

An op is the instruction its ufunc is named after, or says in ``scalar`` what formula it is. Formulas are written with
a ``Writer``, whose methods are the instructions, on ``Term``s, which have operators and know real from complex: the
kernel has no complex numbers, so arithmetic on them is written out here on their parts (``complex.py``).

Dtypes are settled before a formula begins, as NumPy does: inputs are cast to the dtype of the result, those of a
comparison to their common one. 16-bit floats are float32 between load and store, and are rounded to 16 bits only where
a program says so by a cast, or compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from ..errors import UnsupportedError
from . import complex as on_complex
from .instructions import DTYPES, INSTRUCTIONS
from .instructions import cast as rounded
from .ir import Atom, Literal, Name, Scalar

Let = Callable[[str, Scalar], Atom]


class Real(NamedTuple):
    """A real number, of a dtype of the kernel's."""

    atom: Atom
    dtype: str


class Complex(NamedTuple):
    """A complex number by its parts."""

    re: Real
    im: Real


Number = Real | Complex

HALVES = ("float16", "bfloat16")

# Whether each holds of any number and a greater one, and of any number and a lesser one
COMPARISONS = {
    "less": (True, False),
    "less_equal": (True, False),
    "greater": (False, True),
    "greater_equal": (False, True),
    "equal": (False, False),
    "not_equal": (True, True),
}


def apply(
    op: Any,
    let: Let,
    inputs: Sequence[Number],
    result: np.dtype[Any],
    params: dict[str, Any],
    weak: Sequence[bool],
) -> Number:
    """One element of an elementwise op's result, from one element of each input.

    Parameters
    ----------
    op : the op's class
    let : names an instruction's value of this dtype, and returns the name
    inputs : the elements
    result : dtype of the op's result
    params : the op's
    weak : for each input whether it was a Python scalar

    Raises
    ------
    UnsupportedError
        if there is no instruction for this op, or none for complex numbers
    """
    b = Writer(let)
    promoted = [i for i in range(len(inputs)) if i not in op.unpromoted]
    common = result
    if result.kind == "b" and promoted:
        common = _common([inputs[i] for i in promoted], [weak[i] for i in promoted])
    terms = [Term(b, x) for x in inputs]
    if compares(op) and all(x.dtype[0] in "iu" and not x.complex for x in terms):
        return _compared(b, op.eval.__name__, *terms).number
    for i in promoted:
        if terms[i].complex and common.kind != "c":
            continue  # |z| and the like: a real result of a complex input
        terms[i] = _beside(b, terms[i], common) if weak[i] else b.convert(terms[i], common)
    rule = op.scalar or partial(_ufunc, op)
    return cast(let, rule(b, *terms, **params).number, result)


@cache
def expressible(op: Any, inputs: tuple[np.dtype[Any], ...], result: np.dtype[Any], params: tuple[Any, ...]) -> bool:
    """Whether ``apply`` has instructions for the op at inputs of these dtypes; ``params`` are items of a dict."""
    name = Name("any")
    try:
        numbers = [cast(lambda dtype, value: name, Real(name, "int64"), dtype) for dtype in inputs]
        apply(op, lambda dtype, value: name, numbers, result, dict(params), [False] * len(inputs))
    except UnsupportedError:
        return False
    return True


def cast(let: Let, x: Number, dtype: np.dtype[Any] | str) -> Number:
    """x as NumPy's ``astype`` gives it.

    A real number becomes complex with an imaginary part of 0; a complex one loses its imaginary part, but is True
    where either part is not 0. A ``np.dtype`` is that of a node: a 16-bit float there is computed with as float32. A
    name is the dtype itself.
    """
    if isinstance(dtype, np.dtype):
        if dtype.kind == "c":
            part = f"float{dtype.itemsize * 4}"
            re, im = x if isinstance(x, Complex) else (x, Real(Literal(0, "bool"), "bool"))
            return Complex(_cast(let, re, part), _cast(let, im, part))
        dtype = register(dtype)
    if isinstance(x, Real):
        return _cast(let, x, dtype)
    if dtype != "bool":
        return _cast(let, x.re, dtype)
    either = tuple(_cast(let, part, dtype).atom for part in x)
    return Real(let("bool", Scalar("logical_or", either)), "bool")


@cache
def register(dtype: np.dtype[Any]) -> str:
    """The dtype that elements of this real one are computed with."""
    return "float32" if dtype.name in HALVES else dtype.name


def compares(op: Any) -> bool:
    """Whether an elementwise op is a comparison."""
    return getattr(op.eval, "__name__", "") in COMPARISONS


def narrowed(let: Let, x: Number, dtype: np.dtype[Any] | str) -> Number:
    """x in another dtype, rounded to 16 bits where that has no more, though what is computed with does."""
    name = dtype.name if isinstance(dtype, np.dtype) else dtype
    return cast(let, cast(let, x, name), "float32") if name in HALVES else cast(let, x, dtype)


def multiply(let: Let, x: Number, y: Number) -> Number:
    """x · y of numbers of one precision."""
    b = Writer(let)
    return (Term(b, x) * Term(b, y)).number


def _cast(let: Let, x: Real, dtype: str) -> Real:
    if dtype not in DTYPES:
        raise UnsupportedError(f"compiling: got dtype {dtype}, expected one of {', '.join(DTYPES)}; use .astype")
    if x.dtype == dtype:
        return x
    if isinstance(x.atom, Literal):
        with np.errstate(all="ignore"):
            value = rounded(np.asarray(x.atom.value, DTYPES[x.atom.dtype].register), dtype)
        return Real(Literal(value.item(), dtype), dtype)
    return Real(let(dtype, Scalar("cast", (x.atom,))), dtype)


def _common(inputs: Sequence[Number], weak: Sequence[bool]) -> np.dtype[Any]:
    """The dtype in which inputs are compared: NumPy's promotion, to which a Python scalar brings only its kind.

    An int beyond the integers beside it widens them.
    """
    dtypes = [np.result_type(x.re.dtype, np.complex64) if isinstance(x, Complex) else np.dtype(x.dtype) for x in inputs]
    common = np.result_type(*(d.type(0).item() if w else d for d, w in zip(dtypes, weak, strict=True)))
    if common.kind in "iu":
        ints = [x.atom.value for x in inputs if isinstance(x, Real) and isinstance(x.atom, Literal)]
        common = np.result_type(common, *(np.min_scalar_type(i) for i in ints if not _fits(i, common)))
    return common


def _fits(value: Any, dtype: np.dtype[Any]) -> bool:
    return bool(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max)


def _beside(b: Writer, x: Term, dtype: np.dtype[Any]) -> Term:
    """A Python scalar in the dtype of the arrays beside it: rounded as they are; a bound out of range is no bound."""
    if dtype.kind in "iu" and x.known is not None:
        limits = np.iinfo(dtype)
        value = min(max(x.known, limits.min), limits.max)
        return Term(b, Real(Literal(int(value), dtype.name), dtype.name))
    if x.dtype[0] in "iu" and x.known is not None:
        x = Term(b, Real(Literal(float(x.known), "float64"), "float64"))  # it may have more than 64 bits
    return b.cast(x, dtype)


def _compared(b: Writer, name: str, x: Term, y: Term) -> Term:
    """Whole numbers of any two dtypes, exactly as NumPy compares them; a known one may lie outside of both."""

    def truth(value: Any) -> Term:
        return Term(b, Real(Literal(bool(value), "bool"), "bool"))

    below, above = COMPARISONS[name]
    if x.known is not None and y.known is not None:
        return truth(getattr(np, name)(x.known, y.known))
    for known, other, less, more in ((x.known, y, below, above), (y.known, x, above, below)):
        if known is not None and not _fits(known, np.dtype(other.dtype)):
            return truth(less if known < 0 else more)
    x, y = (b.constant(t.known, other) if t.known is not None else t for t, other in ((x, y), (y, x)))
    common = np.result_type(x.dtype, y.dtype)
    if common.kind in "iu":
        return b.write(name, b.cast(x, common), b.cast(y, common))
    # No dtype holds both 64 bits without sign and a sign
    negative, then = (x < 0, below) if x.dtype[0] == "i" else (y < 0, above)
    return b.select(negative, truth(then), b.write(name, b.cast(x, "uint64"), b.cast(y, "uint64")))


def _ufunc(op: Any, b: Writer, *terms: Term) -> Term:
    if not isinstance(op.eval, np.ufunc):
        raise UnsupportedError(f"{op.name}: there is no instruction for it; give the op a ``scalar`` rule")
    return b.write(op.eval.__name__, *terms)


# What formulas are written with


class Term:
    """A value in a formula, with operators; ``==`` is ``b.equal``. Numbers beside it become constants of its dtype."""

    __slots__ = ("b", "number")

    def __init__(self, b: Writer, number: Number) -> None:
        self.b = b
        self.number = number

    @property
    def complex(self) -> bool:
        """Whether this is a complex number."""
        return isinstance(self.number, Complex)

    @property
    def dtype(self) -> str:
        """The kernel's dtype of the number or its parts."""
        return self.number.re.dtype if isinstance(self.number, Complex) else self.number.dtype

    @property
    def re(self) -> Term:
        """The real part; a real number itself."""
        return Term(self.b, self.number.re) if isinstance(self.number, Complex) else self

    @property
    def im(self) -> Term:
        """The imaginary part."""
        return Term(self.b, self.number.im) if isinstance(self.number, Complex) else self.b.constant(0, self)

    @property
    def known(self) -> Any:
        """The value where it is constant and real, else None."""
        if isinstance(self.number, Complex):
            return self.re.known if self.im.known == 0 else None
        return self.number.atom.value if isinstance(self.number.atom, Literal) else None

    def __add__(self, y: Any) -> Term:
        return self.b.write("add", self, y)

    def __radd__(self, y: Any) -> Term:
        return self.b.write("add", y, self)

    def __sub__(self, y: Any) -> Term:
        return self.b.write("subtract", self, y)

    def __rsub__(self, y: Any) -> Term:
        return self.b.write("subtract", y, self)

    def __mul__(self, y: Any) -> Term:
        return self.b.write("multiply", self, y)

    def __rmul__(self, y: Any) -> Term:
        return self.b.write("multiply", y, self)

    def __truediv__(self, y: Any) -> Term:
        return self.b.write("divide", self, y)

    def __rtruediv__(self, y: Any) -> Term:
        return self.b.write("divide", y, self)

    def __neg__(self) -> Term:
        return self.b.write("negative", self)

    def __gt__(self, y: Any) -> Term:
        return self.b.write("greater", self, y)

    def __ge__(self, y: Any) -> Term:
        return self.b.write("greater_equal", self, y)

    def __lt__(self, y: Any) -> Term:
        return self.b.write("less", self, y)

    def __le__(self, y: Any) -> Term:
        return self.b.write("less_equal", self, y)

    def __and__(self, y: Term) -> Term:
        return self.b.write("logical_and", self, y)

    def __or__(self, y: Term) -> Term:
        return self.b.write("logical_or", self, y)

    def __invert__(self) -> Term:
        return self.b.write("logical_not", self)


class Writer:
    """Writes instructions: each is a method, ``b.tanh(x)``, for real terms, complex ones, and numbers beside them."""

    def __init__(self, let: Let) -> None:
        self.let = let

    def __getattr__(self, instruction: str) -> Callable[..., Term]:
        return partial(self.write, instruction)

    def write(self, instruction: str, *args: Any) -> Term:
        """The value of an instruction. Arguments have one dtype, but real ones may stand beside complex ones."""
        terms = self._alike(args)
        if instruction.startswith("logical"):
            terms = [self.cast(x, "bool") for x in terms]
        if terms[0].complex:
            if instruction not in on_complex.RULES:
                raise UnsupportedError(f"compiling: {instruction} has no instructions for complex numbers")
            return on_complex.RULES[instruction](self, *terms)
        kind = DTYPES[terms[0].dtype].kind
        for kinds, rules in EXCEPTIONS:
            if kind in kinds and instruction in rules:
                return rules[instruction](self, *terms)
        if instruction not in INSTRUCTIONS or kind not in INSTRUCTIONS[instruction].kinds:
            raise UnsupportedError(f"compiling: there is no instruction {instruction} for {terms[0].dtype}")
        dtype = "bool" if INSTRUCTIONS[instruction].result == "bool" else terms[0].dtype
        return self._emit(dtype, instruction, terms)

    def select(self, condition: Term, x: Any, y: Any) -> Term:
        """x where the condition holds, else y."""
        x, y = self._alike((x, y))
        if x.complex:
            return self.complex(self.select(condition, x.re, y.re), self.select(condition, x.im, y.im))
        return self._emit(x.dtype, "select", [self.cast(condition, "bool"), x, y])

    def constant(self, value: Any, like: Term) -> Term:
        """A Python number of the dtype of another value, complex if either is."""
        both = complex(value) if like.complex or isinstance(value, complex) else None
        parts = [value] if both is None else [both.real, both.imag]
        dtype = np.dtype(like.dtype)
        numbers = [Real(Literal(dtype.type(part).item(), like.dtype), like.dtype) for part in parts]
        return Term(self, numbers[0] if both is None else Complex(*numbers))

    def complex(self, re: Term, im: Term) -> Term:
        """The complex number of these parts."""
        assert isinstance(re.number, Real) and isinstance(im.number, Real)
        return Term(self, Complex(re.number, im.number))

    def convert(self, x: Term, dtype: np.dtype[Any] | str) -> Term:
        """x in the dtype that a node's is computed with."""
        return Term(self, cast(self.let, x.number, dtype))

    def cast(self, x: Term, dtype: np.dtype[Any] | str) -> Term:
        """x in another dtype, as ``narrowed`` has it."""
        return Term(self, narrowed(self.let, x.number, dtype))

    def _alike(self, args: Sequence[Any]) -> list[Term]:
        like = next(x for x in args if isinstance(x, Term))
        terms = [x if isinstance(x, Term) else self.constant(x, like) for x in args]
        if any(x.complex for x in terms):
            return [x if x.complex else self.complex(x, self.constant(0, x)) for x in terms]
        return terms

    def _emit(self, dtype: str, instruction: str, terms: Sequence[Term]) -> Term:
        numbers = [x.number for x in terms]
        args = tuple(x.atom for x in numbers if isinstance(x, Real))
        return Term(self, Real(self.let(dtype, Scalar(instruction, args)), dtype))


def _same(b: Writer, x: Term) -> Term:
    return x


def _all(value: bool) -> Callable[[Writer, Term], Term]:
    return lambda b, x: b.cast(b.constant(value, x), "bool")


# By kinds of dtypes, what NumPy's ufunc of this name is where it is no instruction.
EXCEPTIONS: tuple[tuple[str, dict[str, Callable[..., Term]]], ...] = (
    ("biuf", {"conjugate": _same}),
    ("b", dict.fromkeys(("absolute", "floor", "ceil", "trunc"), _same)),
    (
        "biu",
        {"isnan": _all(False), "isinf": _all(False), "isfinite": _all(True), "signbit": lambda b, x: x < 0},
    ),
)
