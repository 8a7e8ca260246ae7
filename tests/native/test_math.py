"""Functions of floats as machine code: against NumPy in extended precision and SciPy, for several lane counts, with
the special values, and for machines this is not."""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from glassgrad.native import library, math
from glassgrad.native.builder import I64, PTR, Builder, Module, Type, integer
from glassgrad.native.target import PORTABLE, host

scipy_special = pytest.importorskip("scipy.special")

LONG = np.longdouble
COUNT = 20_000
SCALARS = {"float32": "float", "float64": "double"}
WIDE = {"float32": 16, "float64": 8}
PAIRED = {"power", "logaddexp", "logaddexp2", "arctan2", "hypot", "fmod", "remainder", "floor_divide"}
BY_LIBRARY = {"sin", "cos", "tan", "fmod", "remainder", "floor_divide"}  # where arguments are rare


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSGRAD_CACHE_DIR", "off")


# Compiling


def module_text(names: tuple[str, ...], scalar: str, lanes: int, level: str) -> str:
    """A function (count, arguments …, result) for each instruction: a loop over arrays, a whole vector at a time."""
    module, type = Module(), Type(scalar, lanes)
    for name in names:
        pointers = ["a", "b", "out"] if name in PAIRED else ["a", "out"]
        f = Builder(module, name + "_", [(I64, "count", ""), *((PTR, p, "noalias") for p in pointers)])
        with f.loop(integer(0), f.arguments["count"], lanes or 1) as i:
            places = [f.address(f.arguments[p], scalar, i) for p in pointers]
            result = math.emit(f, target(level), name, [f.load(place, type) for place in places[:-1]])
            assert result.type == type
            f.store(result, places[-1])
        f.line("ret void")
        f.finish()
    return str(module)


def target(level: str) -> Any:
    return PORTABLE.get(level) or host()


@functools.cache
def compiled(name: str, dtype: str, lanes: int, level: str) -> tuple[Any, Any]:
    text = module_text((name,), SCALARS[dtype], lanes, level)
    code = library.load(text, lambda: text, target(level))
    pointers = [ctypes.c_void_p] * (3 if name in PAIRED else 2)
    return code, ctypes.CFUNCTYPE(None, ctypes.c_int64, *pointers)(code.address(name + "_"))


def run(name: str, args: tuple[Any, ...], lanes: int, level: str = "host") -> Any:
    """The instruction on arrays of one shape, one dimension and one dtype."""
    dtype, size = args[0].dtype, args[0].size
    padded = [np.concatenate([a, np.ones(-size % (lanes or 1), dtype)]) for a in args]
    out = np.empty_like(padded[0])
    _, function = compiled(name, dtype.name, lanes, level)
    function(out.size, *(p.ctypes.data for p in padded), out.ctypes.data)
    return out[:size]


# What to compare with


class Case(NamedTuple):
    """A function that computes the same, where, and the error allowed: ulps of the result, and of the size of 1 or the
    arguments for what is the difference of such."""

    oracle: Callable[..., Any]
    domains: tuple[Any, ...]
    ulps: float = 2.5
    absolute: float = 0.0


def near(low: float, high: float) -> Any:
    return lambda rng: rng.uniform(low, high, COUNT)


def over(low: float, high: float, signs: tuple[int, ...] = (1,), centre: float = 0.0) -> Any:
    """Magnitudes 10^low … 10^high, around a centre."""
    return lambda rng: centre + rng.choice(signs, COUNT) * 10.0 ** rng.uniform(low, high, COUNT)


BOTH = (-1, 1)
POSITIVE = (over(-323, 308), over(-44, 38), near(0.5, 2), over(-15, -1, BOTH, 1.0))
ANGLES = (near(-10, 10), near(-1e6, 1e6), over(-300, 7, BOTH), over(-300, 300, BOTH))
HYPERBOLIC = (near(-3, 3), near(-89, 89), near(-711, 711), over(-300, 0, BOTH))
UNIT = (near(-1, 1), over(-300, 0, BOTH))
PLANE = (near(-3, 3), over(-10, 10, BOTH), over(-320, 308, BOTH))


def logistic(x: Any) -> Any:
    decay = np.exp(-abs(x))
    return np.where(x < 0, decay, 1) / (1 + decay)


def of_doubles(function: Any) -> Any:
    return lambda x: function(x.astype(np.float64))


def erfc(x: Any) -> Any:
    """SciPy's loses digits where it is small: here e^(-x²) is in extended precision."""
    right = scipy_special.erfcx(abs(x).astype(np.float64)) * np.exp(-x * x)
    return np.where(x < 0, 2 - right, right)


def digamma(x: Any) -> Any:
    """SciPy's loses digits beside the poles: here the reflection is in extended precision."""
    pi = 4 * np.arctan(LONG(1))
    plain = scipy_special.digamma(np.where(x < 0, 1 - x, x).astype(np.float64))
    return np.where(x < 0, np.where(x == np.rint(x), np.nan, plain - pi / np.tan(pi * (x - np.rint(x)))), plain)


CASES = {
    "exp": Case(np.exp, (near(-1, 1), near(-104, 89), near(-746, 710), over(-30, 0, BOTH)), 1.0),
    "expm1": Case(np.expm1, (near(-1, 1), near(-20, 89), near(-50, 710), over(-320, 0, BOTH)), 2.0),
    "exp2": Case(np.exp2, (near(-1, 1), near(-151, 128), near(-1076, 1024)), 1.3),
    "log": Case(np.log, POSITIVE, 1.0),
    "log1p": Case(np.log1p, (near(-1, 3), over(-320, 308), over(-40, 38), over(-15, -1, BOTH)), 1.5),
    "log2": Case(np.log2, POSITIVE, 1.0),
    "log10": Case(np.log10, POSITIVE, 1.0),
    "sin": Case(np.sin, ANGLES, 2.0),
    "cos": Case(np.cos, ANGLES, 2.0),
    "tan": Case(np.tan, ANGLES),
    "arcsin": Case(np.arcsin, UNIT, 2.0),
    "arccos": Case(np.arccos, (*UNIT, over(-15, 0, (-1,), 1.0)), 2.0),
    "arctan": Case(np.arctan, (near(-5, 5), over(-300, 300, BOTH)), 2.0),
    "arctan2": Case(np.arctan2, PLANE, 2.0),
    "sinh": Case(np.sinh, HYPERBOLIC, 2.0),
    "cosh": Case(np.cosh, HYPERBOLIC, 2.0),
    "tanh": Case(np.tanh, HYPERBOLIC),
    "arcsinh": Case(np.arcsinh, (near(-3, 3), over(-300, 300, BOTH)), 2.0),
    "arccosh": Case(np.arccosh, (near(1, 3), over(0, 300), over(-15, 0, centre=1.0))),
    "arctanh": Case(np.arctanh, UNIT, 2.0),
    "sigmoid": Case(logistic, (near(-5, 5), near(-104, 50), near(-745, 100))),
    "logaddexp": Case(np.logaddexp, (near(-5, 5), near(-900, 900), over(-10, 300, BOTH)), 2.0, 1.5),
    "logaddexp2": Case(np.logaddexp2, (near(-5, 5), near(-900, 900), over(-10, 300, BOTH)), 2.0, 1.5),
    "power": Case(np.power, (near(0.5, 2), over(-2, 2), near(0, 100), over(-300, 1)), 2.0),
    "hypot": Case(np.hypot, PLANE, 1.5),
    "cbrt": Case(np.cbrt, PLANE, 1.5),
    # SciPy's own errors are in these, and its float32 is double rounded
    "erf": Case(of_doubles(scipy_special.erf), (near(-3, 3), near(-6, 6), over(-300, 0, BOTH)), 4.0),
    "erfc": Case(erfc, (near(-3, 3), near(0, 26), over(-300, 0, BOTH)), 10.0),
    "erfinv": Case(of_doubles(scipy_special.erfinv), (*UNIT, over(-15, 0, (-1,), 1.0)), 8.0),
    "lgamma": Case(of_doubles(scipy_special.gammaln), (near(0, 20), near(-5, 0), over(-300, 300)), 8.0, 16.0),
    "digamma": Case(digamma, (near(0, 20), near(-5, 0), over(-300, 300)), 8.0, 16.0),
    "fmod": Case(np.fmod, PLANE, 0.0),
    "remainder": Case(np.remainder, PLANE, 0.0),
    "floor_divide": Case(np.floor_divide, PLANE, 0.0),
}
EXACT = {"fmod", "remainder", "floor_divide"}  # NumPy's results in the same precision


def expected(name: str, args: tuple[Any, ...]) -> Any:
    with np.errstate(all="ignore"):
        return CASES[name].oracle(*(args if name in EXACT else (a.astype(LONG) for a in args)))


@np.errstate(all="ignore")
def worst(name: str, got: Any, want: Any, args: tuple[Any, ...]) -> float:
    """The largest error as a multiple of the allowed one; infinite where one is no number or a sign is wrong."""
    case, dtype = CASES[name], got.dtype
    rounded, limits = want.astype(dtype), np.finfo(dtype)
    allowed = case.ulps * np.spacing(abs(rounded)).astype(LONG)
    if case.absolute:
        size = functools.reduce(np.maximum, (abs(a) for a in args), dtype.type(1))
        allowed = allowed + np.nan_to_num(case.absolute * np.spacing(size).astype(LONG))
    error = abs(got.astype(LONG) - want) / allowed
    # At the end of the range either neighbour is near enough
    last = (abs(got) >= limits.max) & (abs(want) >= limits.max * (1 - 2 * LONG(limits.eps)))
    right = (got == rounded) | (np.isnan(got) & np.isnan(rounded)) | last
    error = np.where(right, 0, np.where(np.isfinite(error), error, np.inf))
    signs = (np.signbit(got) == np.signbit(rounded)) | np.isnan(rounded) | ((want != 0) & (abs(want) <= allowed))
    return float(np.max(np.where(signs, error, np.inf)))


def samples(name: str, dtype: str, count: int = COUNT) -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(7)
    with np.errstate(over="ignore"):
        return [
            tuple(domain(rng)[:count].astype(dtype) for _ in range(2 if name in PAIRED else 1))
            for domain in CASES[name].domains
        ]


def test_every_instruction_has_a_case() -> None:
    assert set(CASES) == set(math.INSTRUCTIONS)


@pytest.mark.parametrize("dtype", SCALARS)
@pytest.mark.parametrize("name", CASES)
def test_accuracy(name: str, dtype: str) -> None:
    for args in samples(name, dtype):
        assert worst(name, run(name, args, WIDE[dtype]), expected(name, args), args) <= 1


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="machine code for x86-64")
@pytest.mark.parametrize("dtype", SCALARS)
@pytest.mark.parametrize("name", CASES)
def test_accuracy_without_fused_multiply_add(name: str, dtype: str) -> None:
    for args in samples(name, dtype, 3000):
        assert worst(name, run(name, args, 4, "x86-64-v2"), expected(name, args), args) <= 1.2


@pytest.mark.parametrize("dtype", SCALARS)
@pytest.mark.parametrize("name", CASES)
def test_the_lane_count_does_not_change_a_bit(name: str, dtype: str) -> None:
    for args in samples(name, dtype, 1000):
        one, odd, wide = (run(name, args, lanes) for lanes in (0, 5, WIDE[dtype]))
        np.testing.assert_array_equal(one, wide)
        np.testing.assert_array_equal(odd, wide)


@pytest.mark.parametrize("dtype", SCALARS)
@pytest.mark.parametrize("name", CASES)
def test_special_values(name: str, dtype: str) -> None:
    limits = np.finfo(dtype)
    small = [0.0, limits.smallest_subnormal, 7 * limits.smallest_subnormal, limits.tiny, limits.eps / 4]
    if name == "lgamma":
        small = [0.0, limits.tiny, limits.eps / 4]  # SciPy takes subnormals for 0
    large = [limits.max / 2, limits.max, np.inf, np.nan, 1e5, 2.0**20, 1e9, 1e30]
    values = [*small, *large, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 10.0, 17.0, 26.0, 100.0]
    one = np.array(values + [-v for v in values], dtype)
    args = tuple(m.ravel() for m in np.meshgrid(one, one)) if name in PAIRED else (one,)
    assert worst(name, run(name, args, WIDE[dtype]), expected(name, args), args) <= 1


@pytest.mark.parametrize("dtype", SCALARS)
@pytest.mark.parametrize("name", CASES)
def test_nan_whatever_else_its_bits_say(name: str, dtype: str) -> None:
    bits = np.dtype(f"i{np.dtype(dtype).itemsize}")
    low = np.r_[0, 2 ** np.arange(np.finfo(dtype).nmant - 1), 2 ** np.arange(1, np.finfo(dtype).nmant - 1) - 1]
    nan = (np.array(np.nan, dtype).view(bits) + low.astype(bits)).view(dtype)
    args = (nan, np.full_like(nan, 2)) if name in PAIRED else (nan,)
    assert np.isnan(run(name, args, WIDE[dtype])).all()
    assert np.isnan(run(name, tuple(np.negative(a) for a in args), WIDE[dtype])).all()


@pytest.mark.parametrize("dtype", SCALARS)
def test_exact_results(dtype: str) -> None:
    n = np.arange(-30, 31).astype(dtype)
    powers = np.ldexp(np.ones_like(n), n.astype(int))
    np.testing.assert_array_equal(run("exp2", (n,), 5), powers)
    np.testing.assert_array_equal(run("log2", (powers,), 5), n)
    np.testing.assert_array_equal(run("power", (np.full_like(n, 2), n), 5), powers)
    np.testing.assert_array_equal(run("cbrt", (n**3,), 5), n)
    tens = np.arange(0, 11).astype(dtype)
    np.testing.assert_array_equal(run("log10", (10**tens,), 5), tens)
    np.testing.assert_array_equal(run("hypot", (3 * n, 4 * n), 5), 5 * abs(n))


# Other machines

CALL = re.compile(r"^\s+(call\w*|bl|blr)\s", re.MULTILINE)
ROUTINE = re.compile(r"\b(f?ma|fmaf|floorf?|truncf?|rintf?|ldexpf?|sqrtf?|expf?|logf?|_ZGV\w+|__\w+[sdtx]f\w*)\b")


def calls(assembly: str) -> bool:
    code = "\n".join(line for line in assembly.splitlines() if not line.lstrip().startswith((".", "#", "//")))
    return bool(CALL.search(code))


@pytest.mark.parametrize("level", PORTABLE)
@pytest.mark.parametrize("dtype", SCALARS)
def test_other_machines_call_nothing(dtype: str, level: str) -> None:
    plain = tuple(name for name in CASES if name not in BY_LIBRARY)
    assert not calls(library.assembly(module_text(plain, SCALARS[dtype], 5, level), target(level)))
    others = library.assembly(module_text(tuple(BY_LIBRARY), SCALARS[dtype], WIDE[dtype], level), target(level))
    assert calls(others)
    assert not ROUTINE.search(others)


def test_a_call_would_be_found() -> None:
    module = Module()
    f = Builder(module, "f", [(PTR, "a", "")])
    type = Type("float", 4)
    f.store(f.intrinsic("exp", type, f.load(f.arguments["a"], type)), f.arguments["a"])
    f.line("ret void")
    f.finish()
    for level in PORTABLE:
        text = library.assembly(str(module), target(level))
        assert calls(text) and ROUTINE.search(text)
