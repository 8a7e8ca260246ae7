"""Matrix products beside NumPy's in float64: every way of doing one, every layout, any cut of the rows."""

from __future__ import annotations

import ctypes
import itertools
import platform
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from glassgrad.native import tiling
from glassgrad.native.builder import I64, PTR, Builder, Module, Value, integer, number
from glassgrad.native.matmul import Operand, product
from glassgrad.native.target import PORTABLE, Target, host
from glassgrad.native.tiles import Strides, rows_together
from glassgrad.native.tiling import choose

llvm = pytest.importorskip("llvmlite.binding")

DTYPES = {"float": np.float32, "double": np.float64, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64}
Sizes = tuple[int, int, int]


def strides_of(sizes: Sizes, layout: str) -> tuple[Strides, Strides]:
    """Of a and b, each by a letter: n as it is, t transposed, s with gaps, r one row (or column) repeated."""
    m, n, k = sizes
    a = {"n": (k, 1), "t": (1, m), "s": (3 * k + 1, 3), "r": (0, 1)}[layout[0]]
    b = {"n": (n, 1), "t": (1, k), "s": (2 * n + 1, 2), "r": (1, 0)}[layout[1]]
    return Strides(*a), Strides(*b)


def emitted(scalar: str, sizes: Sizes, layout: str, target: Target, activated: bool = False) -> str:
    """``void k(a, b, c, bias, begin, end)``: c = a @ b, or relu(a @ b + bias), in those rows."""
    module = Module()
    pointers = [(PTR, name, "noalias") for name in ("a", "b", "c", "bias")]
    f = Builder(module, "k", [*pointers, (I64, "begin", ""), (I64, "end", "")])
    values = f.arguments

    def store(row: Value, column: Value, value: Value) -> None:
        if activated:
            value = f.op("fadd", value, f.load(f.address(values["bias"], scalar, column), value.type))
            zero = number(0.0, value.type)
            value = f.select(f.compare("fcmp ogt", value, zero), value, zero)
        place = f.op("add nsw", f.op("mul nsw", row, integer(sizes[1])), column)
        f.store(value, f.address(values["c"], scalar, place))

    a, b = (Operand(values[name], *strides) for name, strides in zip("ab", strides_of(sizes, layout), strict=True))
    product(f, target, scalar, sizes, a, b, values["begin"], values["end"], store)
    f.line("ret void")
    f.finish()
    return str(module)


class Compiled:
    """A product that can be called on arrays."""

    def __init__(self, scalar: str, sizes: Sizes, layout: str, target: Target, activated: bool = False) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        module = llvm.parse_assembly(emitted(scalar, sizes, layout, target, activated), llvm.create_context())
        module.verify()
        machine = llvm.Target.from_triple(target.triple).create_target_machine(cpu=target.cpu, features=target.features)
        passes = llvm.create_new_function_pass_manager()
        passes.add_sroa_pass()
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)
        self.engine = llvm.create_mcjit_compiler(module, machine)
        self.engine.finalize_object()
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, ctypes.c_int64, ctypes.c_int64)
        self.function = kind(self.engine.get_function_address("k"))
        self.sizes = sizes

    def __call__(self, a: Any, b: Any, bias: Any, cuts: list[int]) -> Any:
        """The product, its rows done in pieces; memory after its end has to stay as it is."""
        m, n, _ = self.sizes
        c = np.full(m * n + 64, 77, a.dtype)
        for begin, end in itertools.pairwise([0, *cuts, m]):
            self.function(a.ctypes.data, b.ctypes.data, c.ctypes.data, bias.ctypes.data, begin, end)
        assert (c[m * n :] == 77).all()
        return c[: m * n].reshape(m, n)


def draw(rng: np.random.Generator, dtype: Any, rows: int, columns: int, strides: Strides) -> Any:
    size = strides.rows * (rows - 1) + strides.columns * (columns - 1) + 1
    floating = np.dtype(dtype).kind == "f"
    memory = (rng.standard_normal(size) if floating else rng.integers(-99, 99, size)).astype(dtype)
    return as_strided(memory, (rows, columns), tuple(s * memory.itemsize for s in strides))


def check(scalar: str, sizes: Sizes, layout: str, target: Target | None = None, activated: bool = False) -> None:
    m, n, k = sizes
    rng = np.random.default_rng([m, n, k])
    compiled = Compiled(scalar, sizes, layout, target or host(), activated)
    of_a, of_b = strides_of(sizes, layout)
    a, b = draw(rng, DTYPES[scalar], m, k, of_a), draw(rng, DTYPES[scalar], k, n, of_b)
    bias = rng.standard_normal(n).astype(a.dtype)
    result = compiled(a, b, bias, [])
    if a.dtype.kind == "f":
        exact, scale = a.astype(float) @ b.astype(float), np.abs(a).astype(float) @ np.abs(b).astype(float)
        if activated:
            exact, scale = np.maximum(exact + bias, 0), scale + np.abs(bias)
        # |error| ≤ (terms in one sum) · ε · Σ|a b|; what is seen is its square root
        assert (np.abs(result - exact) <= 2 * np.sqrt(min(k, 600) + 2) * np.finfo(a.dtype).eps * scale).all()
    else:
        np.testing.assert_array_equal(result, a @ b)
    for cuts in ([m // 2], [m // 3, m // 3 + 1], sorted(rng.integers(0, m + 1, 4).tolist())):
        assert compiled(a, b, bias, cuts).tobytes() == result.tobytes(), cuts


@pytest.fixture
def small_caches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Blocking that would take large matrices otherwise."""
    for name, value in {"PART": 24, "PANEL": 12 << 10, "BLOCK": 30 << 10, "CACHE": 60 << 10}.items():
        monkeypatch.setattr(tiling, name, value)
    choose.cache_clear()
    yield
    choose.cache_clear()


@pytest.mark.parametrize(
    ("sizes", "layout", "way"),
    [
        ((2, 3, 3), "nn", "direct"),
        ((5, 100, 11), "tt", "direct"),
        ((9, 7, 1), "nn", "direct"),
        ((1, 1, 1), "nn", "direct"),
        ((1, 64, 70), "nn", "tile"),
        ((3, 33, 65), "nt", "tile"),
        ((33, 65, 67), "nn", "tile"),
        ((17, 20, 40), "tn", "tile"),
        ((60, 100, 300), "nn", "tile"),
        ((1, 1100, 251), "nn", "tile"),
        ((3, 700, 400), "sn", "tile"),
        ((20, 49, 700), "ss", "tile"),
        ((150, 520, 70), "tt", "tile"),
        ((37, 1, 83), "nn", "dot"),
        ((40, 3, 64), "nn", "dot"),
        ((2, 11, 97), "nt", "dot"),
        ((1, 7, 600), "nt", "dot"),
        ((77, 1, 30), "tn", "column"),
        ((50, 3, 600), "tt", "column"),
        ((64, 6, 600), "tt", "column"),
        ((100, 10, 200), "tn", "column"),
    ],
)
def test_ways(sizes: Sizes, layout: str, way: str) -> None:
    assert choose(PORTABLE["x86-64-v4"], 4, sizes, *strides_of(sizes, layout)).way == way
    check("float", sizes, layout)


@pytest.mark.parametrize("columns", [9, 10, 12, 18, 20, 26, 44])
@pytest.mark.parametrize("layout", ["nn", "tn", "nt"])
def test_rows_share_registers(columns: int, layout: str) -> None:
    """What rows have beyond whole registers lies side by side where it divides a register."""
    for scalar in ("float", "double", "i32"):
        check(scalar, (37, columns, 70), layout)
    check("float", (9, columns, 600), layout)


def test_which_rows_share_registers() -> None:
    assert rows_together(8, 8, 10) == 4
    assert rows_together(8, 6, 10) == 2
    assert rows_together(8, 8, 12) == 2
    assert [rows_together(8, 8, width) for width in (2, 8, 9, 11, 13, 16)] == [1] * 6
    assert choose(PORTABLE["x86-64-v3"], 4, (200, 10, 100), Strides(100, 1), Strides(10, 1)).rows == 8


def test_random_shapes() -> None:
    rng = np.random.default_rng(3)
    lengths = [1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33, 48, 64, 65, 100, 130]
    for _ in range(70):
        m, n, k = (int(v) for v in rng.choice(lengths, 3))
        check(str(rng.choice(list(DTYPES))), (m, n, k), "".join(rng.choice(list("nts"), 2)))


@pytest.mark.parametrize("layout", ["nn", "tn", "nt", "tt", "ss"])
def test_blocks(small_caches: None, layout: str) -> None:
    of = strides_of((230, 530, 131), layout)
    assert choose(PORTABLE["x86-64-v4"], 4, (230, 530, 131), *of).packed == "part"
    check("float", (230, 530, 131), layout)
    check("double", (196, 203, 48), layout)


@pytest.mark.parametrize(
    ("sizes", "layout"), [((1024, 600, 140), "tn"), ((1024, 40, 300), "tt"), ((1031, 40, 300), "tt")]
)
def test_columns_that_share_places_in_the_cache(sizes: Sizes, layout: str) -> None:
    """The columns of a left factor that lie a page apart are copied; those a few bytes further apart are not."""
    plan = choose(PORTABLE["x86-64-v3"], 4, sizes, *strides_of(sizes, layout))
    assert plan.packed == "whole"
    assert plan.rows_packed == (sizes[0] == 1024)
    check("float", sizes, layout)


@pytest.mark.parametrize(
    ("sizes", "layout", "packed", "rows_packed"),
    [
        ((64, 100, 200), "tn", "", True),
        ((66, 100, 200), "tn", "", False),
        ((64, 70, 520), "tn", "", True),
        ((130, 96, 200), "nn", "whole", False),
        ((130, 100, 200), "nn", "", False),
    ],
)
def test_lines_that_share_places_in_the_first_cache(sizes: Sizes, layout: str, packed: str, rows_packed: bool) -> None:
    """What is read again for every panel is copied where the first cache can't hold it as it lies."""
    plan = choose(PORTABLE["x86-64-v3"], 4, sizes, *strides_of(sizes, layout))
    assert (plan.packed, plan.rows_packed) == (packed, rows_packed)
    check("float", sizes, layout)


@pytest.mark.parametrize(
    ("sizes", "layout", "packed", "depth"),
    [
        ((200, 100, 64), "nn", "", 64),
        ((50, 100, 200), "tn", "", 50),
        ((66, 60, 300), "nt", "whole", 300),
        ((130, 100, 784), "nn", "", 131),
        ((130, 100, 784), "tt", "whole", 196),
    ],
)
def test_tiles_whose_rows_share_registers(sizes: Sizes, layout: str, packed: str, depth: int) -> None:
    """Four rows of 20 columns, which go into the result without rest, in panels that are packed or not."""
    plan = choose(PORTABLE["x86-64-v3"], 4, sizes, *strides_of(sizes, layout))
    assert (plan.rows, plan.width, plan.packed, plan.depth) == (4, 20, packed, depth)
    check("float", sizes, layout)


@pytest.mark.parametrize(
    ("sizes", "layout", "one"),
    [
        ((200, 100, 64), "nn", True),
        ((200, 100, 250), "nn", True),
        ((64, 100, 50), "tn", True),
        ((64, 100, 150), "tn", False),
        ((200, 128, 64), "nt", True),
        ((200, 300, 64), "nt", True),
        ((64, 512, 100), "nn", True),
        ((200, 300, 400), "nn", False),
    ],
)
def test_tiles_are_finished_one_by_one(sizes: Sizes, layout: str, one: bool) -> None:
    """Where the first cache holds a panel, and of a what is read beside it."""
    plan = choose(PORTABLE["x86-64-v3"], 4, sizes, *strides_of(sizes, layout))
    assert (plan.height == plan.rows and plan.span == plan.width and plan.depth == sizes[2]) == one
    check("float", sizes, layout)
    check("double", sizes, layout, activated=True)


def test_broadcast_operands() -> None:
    for sizes in ((20, 40, 30), (20, 40, 7), (1, 30, 64), (40, 1, 64), (40, 3, 64)):
        check("float", sizes, "rn")
        check("float", sizes, "nr")


def test_epilogue() -> None:
    for sizes in ((32, 64, 64), (13, 10, 128), (50, 100, 9), (40, 1, 64)):
        check("float", sizes, "nn", activated=True)
        check("double", sizes, "tt", activated=True)


@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_levels(level: str) -> None:
    target = PORTABLE[level]
    if platform.machine().lower() not in ("x86_64", "amd64") or host().vector < target.vector:
        pytest.skip(f"this machine does not run {level}")
    target = Target(
        host().triple, *(getattr(target, n) for n in ("cpu", "features", "vector", "registers", "fma", "masks"))
    )
    for scalar, sizes, layout in [
        ("float", (19, 50, 40), "nn"),
        ("float", (12, 23, 300), "tt"),
        ("float", (33, 21, 5), "nt"),
        ("double", (21, 2, 35), "nn"),
        ("double", (40, 3, 35), "tn"),
        ("i32", (9, 13, 20), "nt"),
    ]:
        check(scalar, sizes, layout, target)


@pytest.mark.parametrize("level", PORTABLE)
def test_machine_code(level: str) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = PORTABLE[level]
    machine = llvm.Target.from_triple(target.triple).create_target_machine(cpu=target.cpu, features=target.features)
    for scalar, sizes, layout in [
        ("float", (32, 64, 64), "nn"),
        ("double", (40, 30, 50), "tt"),
        ("float", (9, 3, 70), "nt"),
    ]:
        text = emitted(scalar, sizes, layout, target, activated=True)
        assembly = machine.emit_assembly(llvm.parse_assembly(text, llvm.create_context()))
        assert not re.search(r"\bfmaf?\b", assembly)  # libm's
        fused = "fmla" if level == "aarch64" else "vfmadd"
        assert (fused in assembly) == target.fma


def test_long_sums_are_taken_in_parts() -> None:
    """The error of a sum of equal signs grows with the parts, not with the whole."""
    compiled = Compiled("float", (8, 16, 20000), "nn", host())
    rng = np.random.default_rng(0)
    a, b = rng.random((8, 20000), np.float32), rng.random((20000, 16), np.float32)
    exact = a.astype(float) @ b.astype(float)
    assert np.abs(compiled(a, b, b, []) / exact - 1).max() < 1e-6


def test_equal_parts_are_one_function() -> None:
    """What two products have in common is in the module once."""
    module = Module()
    for name in ("first", "second"):
        f = Builder(module, name, [(PTR, "a", ""), (PTR, "b", "")])
        a, b = (Operand(f.arguments[n], 64, 1) for n in "ab")
        product(f, host(), "float", (64, 64, 64), a, b, integer(0), integer(64), lambda *_: None)
        f.line("ret void")
        f.finish()
    assert str(module).count("define internal") == 1
