"""Every elementwise op as instructions, run by NumPy, gives what the op gives."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from typing import Any

import numpy as np
import pytest

import glassgrad.ops
from glassgrad.dtypes import PYTHON_SCALARS
from glassgrad.errors import UnsupportedError
from glassgrad.graph.primitive import Elementwise, Samples, registry
from glassgrad.kernel import scalars
from glassgrad.kernel.instructions import DTYPES, INSTRUCTIONS
from glassgrad.kernel.ir import Atom, Literal, Name, Scalar
from glassgrad.kernel.scalars import Complex, Number, Real
from glassgrad.ops import elementwise, logic, sinc, special
from tests.oracles.cases import arity, cases, domains, every_op

for module in pkgutil.iter_modules(glassgrad.ops.__path__):
    importlib.import_module(f"glassgrad.ops.{module.name}")

OPS = [op for op in every_op() if issubclass(op, Elementwise) and not op.called]
NAMES = {"ids": lambda op: op.name}


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        yield


class Tape:
    """Runs each instruction when it is named, and holds it to what the table says of its dtypes."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.written: list[str] = []

    def put(self, value: Any) -> Name:
        self.values[f"v{len(self.values)}"] = value
        return Name(f"v{len(self.values) - 1}")

    def get(self, atom: Atom) -> Any:
        return self.values[atom.id] if isinstance(atom, Name) else np.array(atom.value, atom.dtype)[()]

    def let(self, dtype: str, value: Scalar) -> Atom:
        instruction = INSTRUCTIONS[value.instruction]
        args = [self.get(a) for a in value.args]
        assert len(args) == instruction.arity
        alike = {a.dtype for a in args[instruction.condition :]}
        assert len(alike) == 1 and all(DTYPES[d.name].kind in instruction.kinds for d in alike), value
        assert not instruction.condition or args[0].dtype == bool
        assert instruction.result != "same" or dtype == alike.pop().name
        found = instruction.evaluate(*args, dtype) if instruction.result == "given" else instruction.evaluate(*args)
        self.written.append(value.instruction)
        return self.put(found.astype(DTYPES[dtype].register))

    def number(self, x: Any) -> Number:
        """An input as the kernel has it when it has loaded it; a Python scalar is a literal."""
        if isinstance(x, (bool, int, float)):
            dtype = np.asarray(x).dtype.name
            return Real(Literal(x, dtype), dtype)
        x = np.asarray(x)
        if x.dtype.kind == "c":
            return Complex(*(Real(self.put(part), part.dtype.name) for part in (x.real, x.imag)))
        x = x.astype(np.float32) if x.dtype == np.float16 else x
        return Real(self.put(x), x.dtype.name)

    def array(self, x: Number) -> Any:
        if isinstance(x, Real):
            return self.get(x.atom)
        re, im = np.broadcast_arrays(self.get(x.re.atom), self.get(x.im.atom))
        return np.stack([re, im], -1).view(np.result_type(re, np.complex64))[..., 0]


def compiled(op: Any, inputs: Any, params: Any, tape: Tape | None = None) -> tuple[Any, Any]:
    """What NumPy gives, and what the instructions give."""
    tape = tape or Tape()
    expected = np.asarray(op.eval(*inputs, **params))
    weak = [isinstance(x, PYTHON_SCALARS) for x in inputs]
    found = scalars.apply(op, tape.let, [tape.number(x) for x in inputs], expected.dtype, params, weak)
    parts = found if isinstance(found, Complex) else (found,)
    kernel = {"c": f"float{expected.dtype.itemsize * 4}"}.get(expected.dtype.kind, expected.dtype.name)
    assert {p.dtype for p in parts} == {"float32" if kernel == "float16" else kernel}
    return expected, np.broadcast_to(tape.array(found), expected.shape)


def agree(op: Any, inputs: Any, params: Any = {}, digits: float = 8) -> None:  # noqa: B006
    """Equal to a few units in the last place of the largest part; integers and bools exactly."""
    expected, got = compiled(op, inputs, params)
    exact = expected.dtype.kind not in "fc"
    unit = 0 if exact else np.finfo(expected.dtype).eps * digits
    np.testing.assert_allclose(got, expected, rtol=unit, atol=unit * (expected.dtype.kind == "c"), err_msg=op.name)


@pytest.mark.parametrize("op", OPS, **NAMES)
def test_an_op_gives_what_its_instructions_give(op: Any) -> None:
    for inputs, params in cases(op):
        agree(op, inputs, params, 64 if op in (special.Polygamma, special.Bessel, sinc.Sinc) else 8)


@pytest.mark.parametrize("op", [op for op in OPS if not op.samples.cases], **NAMES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_special_values_are_numpys(op: Any, dtype: str) -> None:
    points = np.array([*op.samples.special, -0.0, 0.5, -2.5], dtype)
    agree(op, [points] if arity(op) == 1 else [points[:, None], *([points] * (arity(op) - 1))])


MIXED = ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "float64"]


@pytest.mark.parametrize("op", [op for op in OPS if not op.samples.cases or op.samples is logic._BITS], **NAMES)
def test_dtypes_meet_as_in_numpy(op: Any) -> None:
    """All pairs, and Python scalars beside arrays. What NumPy does not take, nobody compiles."""
    rng, checked = np.random.default_rng(0), 0
    limits = [(0, 5)] * 2 if op.samples.cases else domains(op)
    for first in MIXED:
        for second in [*MIXED, bool, int, float] if arity(op) > 1 else MIXED[:1]:
            inputs: list[Any] = [rng.uniform(*limits[0], 5).astype(first)]
            for low, high in limits[1:]:
                weak = isinstance(second, type)
                inputs.append(second(high) if weak else rng.uniform(low, high, 5).astype(second))
            try:
                dtype = op.eval(*inputs).dtype
            except (TypeError, ValueError):
                continue
            if dtype == np.float16:
                expected, got = compiled(op, inputs, {})
                np.testing.assert_allclose(got.astype(dtype), expected, rtol=2e-3, atol=1e-3)
            else:
                agree(op, inputs)
            checked += 1
    assert checked


EDGES = {
    "int8": [-128, -127, -1, 0, 1, 2, 7, 127],
    "uint8": [0, 1, 2, 128, 255],
    "int64": [-(2**63), -1, 0, 1, 63, 2**63 - 1],
    "bool": [False, True],
}
WHOLE = [
    *(elementwise.Add, elementwise.Sub, elementwise.Mul, elementwise.Neg, elementwise.Abs, elementwise.Sign),
    *(elementwise.FloorDiv, elementwise.Mod, elementwise.Fmod, elementwise.Floor, elementwise.Ceil, elementwise.Trunc),
    *(logic.Maximum, logic.Minimum, logic.Fmax, logic.Fmin, logic.Relu, logic.Greater, logic.LessEqual, logic.Equal),
    *(logic.Less, logic.GreaterEqual, logic.NotEqual, logic.LogicalAnd, logic.LogicalXor, logic.LogicalNot),
    *(logic.Isnan, logic.Isinf, logic.Isfinite, logic.BitwiseNot, logic.BitwiseXor, logic.LeftShift, logic.RightShift),
]


@pytest.mark.parametrize("op", WHOLE, **NAMES)
@pytest.mark.parametrize("dtype", EDGES)
def test_integers_at_their_edges(op: Any, dtype: str) -> None:
    points = np.array(EDGES[dtype], dtype)
    inputs = [points[:, None], points] if isinstance(op.eval, np.ufunc) and op.eval.nin == 2 else [points]
    try:
        op.eval(*inputs)
    except TypeError:
        pytest.skip("NumPy has none for this dtype")
    agree(op, inputs)


HOLOMORPHIC = [op for op in OPS if op.samples.complex and op not in (elementwise.Abs,)]


@pytest.mark.parametrize("op", HOLOMORPHIC, **NAMES)
@pytest.mark.parametrize("dtype", ["complex128", "complex64"])
def test_complex_values(op: Any, dtype: str) -> None:
    """On a grid over all quadrants, large and small, and on the axes, from which branch cuts go out."""
    sizes = np.array([0.0, -0.0, 1e-3, 0.3, -0.7, 1.0, -1.3, 3.0, -8.0])
    grid = np.zeros((9, 9), complex)
    grid.real, grid.imag = sizes[:, None], sizes
    grid = grid.ravel().astype(dtype)
    inputs = [grid] if arity(op) == 1 else [grid[:, None], grid]
    expected, got = compiled(op, inputs, {})
    finite = np.isfinite(expected)
    assert finite.mean() > 0.8
    scale = np.finfo(dtype).eps * (256 if op in (elementwise.Power, elementwise.Exp2) else 16)
    np.testing.assert_array_less(abs(got - expected)[finite], scale * (1 + abs(expected))[finite], err_msg=op.name)


COMPARISONS = [logic.Greater, logic.GreaterEqual, logic.Less, logic.LessEqual, logic.Equal, logic.NotEqual]
CHOICES = [
    *(*COMPARISONS, logic.Maximum, logic.Minimum, logic.Fmax, logic.Fmin, logic.Relu, logic.Isnan, logic.Isinf),
    *(logic.Isfinite, logic.LogicalAnd, logic.LogicalOr, logic.LogicalXor, logic.LogicalNot),
    *(elementwise.Abs, elementwise.Rint),
]


@pytest.mark.parametrize("op", CHOICES, **NAMES)
def test_complex_choices(op: Any) -> None:
    points = np.array([0, 1, 2j, 1 + 2j, 1 - 2j, -1 + 2j, 0.5])
    many = isinstance(op.eval, np.ufunc) and op.eval.nin == 2
    agree(op, [points[:, None], points] if many else [points])
    broken = np.array([complex(np.nan, 1), complex(1, np.nan), complex(np.inf, 0)])
    if op.name.startswith("is"):
        agree(op, [broken])


def test_division_by_what_would_overflow() -> None:
    agree(elementwise.Div, [np.array([1e300 + 1e300j, 1e-300j]), np.array([2e300 - 1e300j, 3e-300 + 1e-300j])])
    agree(elementwise.Div, [np.array([2.0 + 1j]), np.array([0.0])])


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, -1, 0.5, -0.5, 2.0, 5, 1.7])
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "int64"])
def test_powers_by_a_number(exponent: float, dtype: str) -> None:
    if dtype == "int64" and exponent == -1:
        pytest.skip("NumPy has no negative powers of integers")
    base = np.array([1.5, 2.0, 3.25, 10.0]).astype(dtype)
    tape = Tape()
    expected, got = compiled(elementwise.Power, [base, exponent], {}, tape)
    unit = np.finfo("float64" if dtype == "int64" else dtype).eps
    np.testing.assert_allclose(got, expected, rtol=8 * unit)
    assert ("power" in tape.written) == (exponent in (-0.5, 5, 1.7))


@pytest.mark.parametrize("source", [*MIXED, "complex64", "complex128"])
@pytest.mark.parametrize("target", [*MIXED, "complex64", "complex128"])
def test_casts(source: str, target: str) -> None:
    dtype = np.dtype(target)
    x = np.array([0.0, 1.0, 3.7, 100.0] if source != "bool" else [False, True]).astype(source)
    op = logic.Cast if dtype.kind in "fc" else logic.ToInteger
    expected, got = compiled(op, [x], {"dtype": dtype})
    np.testing.assert_array_equal(got, expected)
    tape = Tape()
    plain = scalars.cast(tape.let, tape.number(x), dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_numpy = x.astype(dtype)
    if dtype != np.float16:  # which a node's element is not before it is stored
        np.testing.assert_array_equal(tape.array(plain), by_numpy)


def test_a_cast_to_16_bits_rounds_and_a_stored_one_has_that_dtype() -> None:
    tape = Tape()
    third, half = np.array([1 / 3]), np.dtype("float16")
    rounded = scalars.apply(logic.Cast, tape.let, [tape.number(third)], half, {"dtype": half}, [False])
    np.testing.assert_array_equal(tape.array(rounded), third.astype("f2"))
    stored = scalars.cast(tape.let, rounded, "float16")
    assert isinstance(stored, Real) and stored.dtype == "float16" and tape.array(stored).dtype == np.float16
    assert scalars.cast(tape.let, tape.number(third), "bfloat16").dtype == "bfloat16"  # type: ignore[union-attr]


def test_a_python_number_is_rounded_as_its_array_is() -> None:
    expected, got = compiled(elementwise.Mul, [np.ones(3, np.float16), 0.1], {})
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("op", COMPARISONS, **NAMES)
def test_a_python_int_beyond_an_arrays_integers_is_compared_as_it_is(op: Any) -> None:
    for array, number in [("uint8", -1), ("uint8", 256), ("int8", 128), ("uint64", -1), ("int64", 2**64 - 1)]:
        agree(op, [np.array([0, 1, 127]).astype(array), number])
        agree(op, [number, np.array([np.iinfo(array).max], array)])


def test_a_literal_is_cast_without_an_instruction() -> None:
    tape = Tape()
    assert scalars.cast(tape.let, Real(Literal(3.7, "float64"), "float64"), "int8") == Real(Literal(3, "int8"), "int8")
    assert not tape.written


@pytest.mark.parametrize("condition", [[0.0, 0.5, np.nan], [0, 2, -1], [0j, 1j, 1], [False, True, True]])
def test_any_number_is_a_condition(condition: list[Any]) -> None:
    c, a, b = np.array(condition), np.array([1, 2, 3]), np.array([1.5, 2.5, 3.5])
    agree(logic.Where, [c, a, b])
    agree(logic.Where, [c, a > 1, True])
    agree(logic.WhereIEEE, [c, b, 2 - 1j])


def test_clip_as_numpy_with_crossed_bounds_and_nan() -> None:
    agree(logic.Clip, [np.array([-3.0, 0.0, 3.0, np.nan]), 1.0, -1.0])
    agree(logic.Clip, [np.array([-3.0, 0.0, 3.0]), np.array([np.nan, -1.0, -1.0]), 1.0])
    agree(logic.Clip, [np.arange(-3, 3), -(2**63), 2**63 - 1])
    agree(logic.Clip, [np.arange(5).astype(np.uint8), -1, 300])
    agree(logic.Clip, [np.array([-3.0, np.nan, np.inf]), -np.inf, np.inf])


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 10, 20, 30])
def test_polygamma(n: int) -> None:
    ends = [0.0, -1.0, -30.0, np.inf, -np.inf, np.nan]
    x = np.array([1e-8, 0.01, 0.3, 0.5, 1.0, 1.4, 2.5, 5.0, 9.9, 30.0, 1e5, 1e20, *ends])
    expected, got = compiled(special.Polygamma, [x[np.isfinite(x) | (n > 0)]], {"n": n})
    np.testing.assert_allclose(got, expected, rtol=1e-13)
    if n == 0:
        return
    mpmath = pytest.importorskip("mpmath")
    left = np.array([-0.01, -0.4, -0.7, -1.25, -2.5, -7.3, -20.6])
    with mpmath.workdps(80):
        exact = [float(mpmath.psi(n, mpmath.mpf(float(v)))) for v in left]
    _, got = compiled(special.Polygamma, [left], {"n": n})
    np.testing.assert_allclose(got, exact, rtol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 12, 20])
def test_bessel(n: int) -> None:
    scipy_special = pytest.importorskip("scipy.special")
    ends = [500.0, 700.0, 1e4, np.inf, np.nan]
    x = np.array([0.0, 1e-10, 0.1, 1.0, 5.0, 14.0, 29.9, 30.0, 31.0, 60.0, 199.0, 201.0, *ends])
    x = np.concatenate([x, -x])
    _, got = compiled(special.Bessel, [x], {"n": n})
    expected = np.where(np.isinf(x), x**n * np.inf, scipy_special.iv(n, x))  # SciPy says NaN at infinity
    np.testing.assert_allclose(got, expected, rtol=2e-13)


@pytest.mark.parametrize("n", range(8))
def test_sinc(n: int) -> None:
    x = np.array([-3.3, -1.0, -0.6, 0.0, 1e-8, 0.2, 0.6366, 0.7, 1.0, 2.0, 5.5])
    agree(sinc.Sinc, [x], {"n": n}, 1)


def test_what_has_no_instructions_says_so() -> None:
    tape = Tape()
    z = np.array([1j])
    with pytest.raises(UnsupportedError, match="erf has no instructions for complex"):
        scalars.apply(special.Erf, tape.let, [tape.number(z)], z.dtype, {}, [False])
    assert not scalars.expressible(special.Erf, (z.dtype,), z.dtype, ())
    assert scalars.expressible(special.Erf, (np.dtype(float),), np.dtype(float), ())
    assert not scalars.expressible(special.Bessel, (z.dtype,), z.dtype, (("n", 1),))
    assert not scalars.expressible(special.Bessel, (np.dtype(float),), np.dtype(float), (("n", 21),))
    assert not scalars.expressible(elementwise.Add, (np.dtype("g"),) * 2, np.dtype("g"), ())


def test_an_op_of_the_users_needs_a_ufunc_or_a_rule() -> None:
    class Cubed(Elementwise):
        private = True
        eval = staticmethod(lambda x: x**3)
        partials = (lambda y, x: 3 * x * x,)
        samples = Samples()

    with pytest.raises(UnsupportedError, match="cubed: there is no instruction"):
        compiled(Cubed, [np.ones(2)], {})
    Cubed.scalar = lambda b, x: x * x * x
    agree(Cubed, [np.array([2.0, 3.0])])
    assert "cubed" not in registry
