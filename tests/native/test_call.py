"""From Python to native and back: what is taken, what is left alone, and that nothing leaks."""

from __future__ import annotations

import collections
import ctypes
import dataclasses
import gc
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from glassgrad import tree
from glassgrad.array import Array, as_array, variable
from glassgrad.native import call, layout, library
from glassgrad.native.call import Entry, Leaf, Output, entry, leaf_of
from glassgrad.native.target import host

pytestmark = pytest.mark.skipif(not call.available(), reason="builtins are for CPython with its lock")

F32, F64, I64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)

PROGRAMS = """
declare ptr @memcpy(ptr, ptr, i64)
declare i32 @usleep(i32)
define i32 @nothing(ptr %t) nounwind { ret i32 0 }
define i32 @fails(ptr %t) nounwind { ret i32 7 }
define i32 @sleeps(ptr %t) nounwind {
  call i32 @usleep(i32 100000)
  ret i32 0
}
"""


def copies(count: int, words: int = 1) -> str:
    """Program ``copy``: output i = argument i, so many words of 8 bytes each, and the arena written to first."""
    lines = [f"define i32 @copy{count}_{words}(ptr %t) nounwind {{"]
    for i in range(count):
        for name, place in (("a", i), ("o", count + i)):
            lines += [
                f"  %p{name}{i} = getelementptr ptr, ptr %t, i64 {place}",
                f"  %{name}{i} = load ptr, ptr %p{name}{i}",
            ]
        lines.append(f"  call ptr @memcpy(ptr %o{i}, ptr %a{i}, i64 {8 * words})")
    return "\n".join([*lines, "  ret i32 0", "}\n"])


TEXT = PROGRAMS + "".join(copies(n, w) for n in (1, 2, 3, 4) for w in (1, 2))


def code() -> library.Library:
    return library.load("test call", lambda: TEXT, host())


def copier(*args: Any, words: int = 1, result: Any = None, **options: Any) -> Entry:
    """A program that returns its arguments, of ``words`` words each, in the structure of ``result`` or their own."""
    leaves = [leaf_of(leaf) for leaf in tree.leaves(args)]
    assert all(leaves)
    return copier_of(
        [tree.structure(a) for a in args],
        leaves,
        tree.structure(args if result is None else result),
        words=words,
        **options,
    )


def copier_of(structures: Any, leaves: Any, result: Any, words: int = 1, **options: Any) -> Entry:
    outputs = [Output(leaf.shape, leaf.dtype, wrapped="wrap" in options) for leaf in leaves]
    made = code()
    return entry(
        structures, leaves, outputs, result, made.address(f"copy{len(leaves)}_{words}"), keep=(made,), **options
    )


def fast(made: Entry) -> Callable[..., Any]:
    assert made.fast is not None
    return made.fast


# What is taken


@pytest.mark.parametrize("dtype", [np.dtype(name) for name in layout.SCALARS])
def test_arrays_of_every_dtype(dtype: np.dtype[Any]) -> None:
    x = np.arange(16 // dtype.itemsize).astype(dtype)
    y = np.flip(x).copy()
    got = fast(copier(x, y, words=2))(y, x)
    assert type(got) is tuple
    for a, b in zip(got, (y, x), strict=True):
        assert type(a) is np.ndarray and a.dtype == dtype and a.shape == x.shape and (a == b).all()
        assert a.base is None and a.flags.owndata and a.flags.writeable


@pytest.mark.parametrize("dtype", [np.dtype(name) for name in layout.SCALARS])
def test_numpy_scalars_go_in_and_come_out(dtype: np.dtype[Any]) -> None:
    a, b = np.array([1, 0]).astype(dtype)
    got = fast(copier(a, b, words=2 if dtype.itemsize > 8 else 1))(b, a)
    assert got == (b, a) and [type(x) for x in got] == [dtype.type] * 2


@pytest.mark.parametrize("shape", [(), (1,), (2, 1, 1), (1, 2), (0,), (3, 0, 2)])
def test_shapes(shape: tuple[int, ...]) -> None:
    x = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    made = code()
    run = fast(
        entry([tree.LEAF], [leaf_of(x)], [Output((2, 3), F32)], tree.LEAF, made.address("nothing"), keep=(made,))
    )
    assert run(x).shape == (2, 3)
    assert run(x[None]) is NotImplemented
    back = fast(
        entry([tree.LEAF], [leaf_of(x)], [Output(shape, F32)], tree.LEAF, made.address("nothing"), keep=(made,))
    )
    assert np.shape(back(x)) == shape and back(x).dtype == F32


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (2.5, "float64", 2.5),
        (2.5, "float32", np.float32(2.5)),
        (0.1, "float32", np.float32(0.1)),
        (float("nan"), "float64", float("nan")),
        (-3, "int64", -3),
        (-(2**63), "int64", -(2**63)),
        (-3, "int32", -3),
        (-3, "int16", -3),
        (-128, "int8", -128),
        (200, "uint8", 200),
        (2**32 - 1, "uint32", 2**32 - 1),
        (2**63 - 1, "uint64", 2**63 - 1),
        (-3, "float32", -3.0),
        (2**53 + 1, "float64", float(2**53)),
        (True, "bool", True),
        (False, "bool", False),
        (True, "float32", 1.0),
        (True, "int64", 1),
    ],
)
def test_python_numbers_become_what_the_program_wants(value: Any, dtype: str, expected: Any) -> None:
    leaf = Leaf(type(value).__name__, (), np.dtype(dtype))
    got = fast(copier_of([tree.LEAF], [leaf], tree.LEAF))(value)
    assert type(got) is np.dtype(dtype).type
    np.testing.assert_equal(got, np.dtype(dtype).type(expected))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (2**63, "int64"),
        (2**31, "int32"),
        (-(2**31) - 1, "int32"),
        (128, "int8"),
        (-1, "uint8"),
        (256, "uint8"),
        (-1, "uint64"),
        (10**30, "float64"),
        (2, "bool"),
    ],
)
def test_integers_without_a_place_are_left_alone(value: int, dtype: str) -> None:
    assert fast(copier_of([tree.LEAF], [Leaf("int", (), np.dtype(dtype))], tree.LEAF))(value) is NotImplemented


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass(frozen=True)
class Model:
    w: Any
    b: Any
    name: str = dataclasses.field(default="model", metadata={"static": True})
    size: Any = dataclasses.field(default=3, metadata={"static": True})


a, b, c, d = (np.array([float(i)]) for i in range(4))

TREES: list[Any] = [
    {"a": a, "b": b},
    {1: a, "x": {"y": b, (2, 3): [c, d]}},
    [a, (b, [c]), None, {}, ()],
    (None, None, a),
    Point(a, Point(b, c)),
    Model(a, b),
    {"m": [Model(a, Point(b, None)), c]},
    collections.OrderedDict(u=a, v=b),
    collections.defaultdict(list, u=a, v=[b]),
]


@pytest.mark.parametrize("value", TREES, ids=lambda t: type(t).__name__)
def test_trees_go_in_and_come_out(value: Any) -> None:
    made = copier(value)
    if isinstance(value, collections.OrderedDict):
        assert made.fast is None  # it has an order of its own
        return
    (got,) = fast(made)(value)
    leaves, shape = tree.flatten(got)
    assert shape == tree.structure(value)
    assert [x.item() for x in leaves] == [x.item() for x in tree.leaves(value)]
    if isinstance(value, dict):
        assert list(got) == list(value)


def test_equal_strings_are_equal_keys() -> None:
    key = "".join(["a", "lpha"])
    run = fast(copier({"alpha": a}))
    assert run({key: b}) == ({"alpha": b},)


def test_static_fields_may_be_equal_objects() -> None:
    run = fast(copier(Model(a, b, "".join(["na", "me"]), 1000)))
    assert run(Model(b, a, "name", int("1000")))[0].w == b
    assert run(Model(b, a, "other", 1000)) is NotImplemented
    assert run(Model(b, a, "name", 1001)) is NotImplemented
    assert run(Model(b, a, "name", 1000.0)) is NotImplemented
    mark = object()
    run = fast(copier(Model(a, b, "name", mark)))
    assert run(Model(b, a, "name", mark)) is not NotImplemented
    assert run(Model(b, a, "name", object())) is NotImplemented


def test_an_array_of_glassgrads_is_opened_and_results_are_wrapped() -> None:
    x = as_array(np.array([1.0]))
    assert type(x) is Array
    run = fast(copier(x, wrap=as_array))
    (got,) = run(x)
    assert type(got) is Array and got.value == 1.0
    assert run(variable(np.array([1.0]))) is NotImplemented  # a gradient may be wanted
    assert run(np.array([1.0])) is NotImplemented
    assert run(as_array(np.array([1.0], np.float32))) is NotImplemented
    empty = object.__new__(Array)
    assert run(empty) is NotImplemented
    assert leaf_of(variable(np.array([1.0]))) is None and leaf_of(x) == Leaf("array", (1,), F64, wrapped=True)
    scalar = as_array(np.float64(2.0))
    assert fast(copier(scalar))(scalar) == (2.0,)


@pytest.mark.parametrize(
    "value",
    [
        *(None, "text", 1j, [1], object(), np.datetime64("2020-01-01"), np.str_("text")),
        *(np.zeros(2, kind) for kind in ("O", ">f8", "M8[s]", "S3", "f4,i4")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_leaf(value: Any) -> None:
    assert leaf_of(value) is None


def test_no_arguments_and_no_outputs() -> None:
    made = code()
    run = fast(entry([], [], [], tree.structure(None), made.address("nothing"), keep=(made,)))
    assert run() is None
    assert run(1) is NotImplemented


# What is left alone


class Sub(np.ndarray[Any, Any]):
    pass


x = np.arange(4.0).reshape(2, 2)


@pytest.mark.parametrize(
    "args",
    [
        (),
        (x,),
        (x, 1.0, x),
        (x, 1),
        (x, np.float64(1)),
        (x, True),
        (x, None),
        (x.astype(np.float32), 1.0),
        (x.astype(np.int64), 1.0),
        (x.astype(">f8"), 1.0),
        (x.T, 1.0),
        (np.zeros((2, 4))[:, ::2], 1.0),
        (x.ravel(), 1.0),
        (x[None], 1.0),
        (np.zeros((2, 3)), 1.0),
        (np.zeros((0, 2)), 1.0),
        (np.frombuffer(bytes(33), np.uint8)[1:].view(np.float64).reshape(2, 2), 1.0),
        (x.view(Sub), 1.0),
        (np.ma.masked_array(x), 1.0),
        (x.tolist(), 1.0),
        ({"a": x}, 1.0),
        ((x,), 1.0),
        (as_array(x), 1.0),
        (x, as_array(1.0)),
        (object(), 1.0),
    ],
    ids=lambda args: None,
)
def test_other_arguments_are_left_alone(args: tuple[Any, ...]) -> None:
    run = fast(copier(x, 1.0))
    own = [arg for arg in args if arg is not None and arg is not True]
    before = [sys.getrefcount(arg) for arg in own]
    assert run(*args) is NotImplemented
    assert [sys.getrefcount(arg) for arg in own] == before
    assert run(x, 1.0) is not NotImplemented


@pytest.mark.parametrize(
    "value",
    [
        {"a": a},
        {"a": a, "c": b},
        {"b": b, "a": a},
        {"a": a, "b": b, "c": c},
        {"a": a, "b": [b]},
        {1: a, 2: b},
        collections.OrderedDict(a=a, b=b),
        [a, b],
        (a, b),
        a,
        None,
    ],
    ids=repr,
)
def test_other_trees_are_left_alone(value: Any) -> None:
    assert fast(copier({"a": a, "b": b}))(value) is NotImplemented


def test_namedtuples_tuples_and_lists_are_told_apart() -> None:
    kinds: list[Any] = [(a, b), [a, b], Point(a, b)]
    for i, kind in enumerate(kinds):
        run = fast(copier(kind))
        assert [run(other) is NotImplemented for other in kinds] == [j != i for j in range(3)]


def test_an_attribute_that_raises_is_left_alone() -> None:
    class Raising(Model):
        @property
        def b(self) -> Any:
            raise ValueError("no b today")

    broken = object.__new__(Raising)
    object.__setattr__(broken, "w", a)
    object.__setattr__(broken, "name", "model")
    object.__setattr__(broken, "size", 3)
    shape = tree.structure(Model(a, b))._replace(kind=Raising)
    run = fast(copier_of([shape], [leaf_of(a), leaf_of(b)], tree.structure((a, b))))
    assert run(broken) is NotImplemented


def test_another_object_for_the_same_dtype_will_do() -> None:
    import pickle

    same = np.dtype("<f8", metadata={"unit": "m"})
    other = np.zeros(1, same)
    assert other.dtype is not F64
    assert fast(copier(a))(other)[0] == 0.0
    assert fast(copier(a))(pickle.loads(pickle.dumps(a)))[0] == a


# Donation


def donating(shapes: list[tuple[int, ...]], donated: set[int]) -> Entry:
    leaves = [Leaf("array", s, F64, donated=i in donated) for i, s in enumerate(shapes)]
    outputs = [Output(s, F64, i) for i, s in enumerate(shapes) if i in donated]
    made = code()
    result = tree.structure(tuple(0 for _ in outputs))
    return entry([tree.LEAF] * len(shapes), leaves, outputs, result, made.address("nothing"), keep=(made,))


def test_a_donated_array_comes_back_itself() -> None:
    run = fast(donating([(3,), (3,), (2,)], {0, 2}))
    p, q, r = np.zeros(3), np.zeros(3), np.zeros(2)
    first, second = run(p, q, r)
    assert first is p and second is r


def test_donated_arrays_lie_over_nothing_else() -> None:
    run = fast(donating([(3,), (3,)], {0}))
    whole = np.zeros(8)
    other = np.zeros(3)
    assert run(other, other) is NotImplemented
    assert run(whole[0:3], whole[2:5]) is NotImplemented
    assert run(whole[2:5], whole[0:3]) is NotImplemented
    assert run(whole[0:3], whole[3:6]) is not NotImplemented
    assert fast(donating([(3,), (3,)], set()))(other, other) == ()


def test_a_donated_array_can_be_written_to() -> None:
    run = fast(donating([(3,)], {0}))
    fixed = np.zeros(3)
    fixed.flags.writeable = False
    assert run(fixed) is NotImplemented
    assert copier(fixed).fast is not None


# Constants, arena, failure


def test_constants_functions_and_arena_follow_in_the_table() -> None:
    text = """
    define i32 @sum(ptr %t) nounwind {
      %cp = getelementptr ptr, ptr %t, i64 2
      %op = getelementptr ptr, ptr %t, i64 1
      %fp = getelementptr ptr, ptr %t, i64 3
      %sp = getelementptr ptr, ptr %t, i64 4
      %f = load ptr, ptr %fp
      %x = load ptr, ptr %t
      %o = load ptr, ptr %op
      %c = load ptr, ptr %cp
      %s = load ptr, ptr %sp
      %a = load double, ptr %x
      %b = load double, ptr %c
      %r = call double %f(double %a, double %b)
      store double %r, ptr %s, align 64
      %v = load double, ptr %s, align 64
      store double %v, ptr %o
      %i = ptrtoint ptr %s to i64
      %low = and i64 %i, 63
      %code = trunc i64 %low to i32
      ret i32 %code
    }
    """
    add = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_double)(lambda a, b: a + b)
    made = library.load("test constants", lambda: text, host())
    ready = entry(
        [tree.LEAF],
        [leaf_of(a)],
        [Output((1,), F64)],
        tree.LEAF,
        made.address("sum"),
        constants=[np.array([40.0])],
        functions=[layout.address_of(add)],
        arena=100,
        keep=(made,),
    )
    assert fast(ready)(np.array([2.0])) == [42.0]
    out = np.zeros(1)
    assert ready.run([np.array([3.0])], [out]) == 0 and out == [43.0]


def test_a_failure_is_told() -> None:
    made = code()
    told: list[int] = []

    def fail(number: int) -> str:
        told.append(number)
        if len(told) > 1:
            raise ArithmeticError(f"failed with {number}")
        return "instead"

    ready = entry(
        [tree.LEAF],
        [leaf_of(a)],
        [Output((3,), F64), Output((), F64)],
        tree.structure((0, 0)),
        made.address("fails"),
        arena=10,
        fail=fail,
        keep=(made,),
    )
    assert fast(ready)(a) == "instead"
    with pytest.raises(ArithmeticError, match="failed with 7"):
        fast(ready)(a)
    assert told == [7, 7]
    assert ready.run([a], [np.zeros(3), np.zeros(())]) == 7
    plain = entry([], [], [], tree.structure(None), made.address("fails"), keep=(made,))
    with pytest.raises(RuntimeError, match="code 7"):
        fast(plain)()


def test_an_exception_while_the_result_is_made() -> None:
    def wrap(value: Any) -> Any:
        if value == 2:
            raise ValueError("not two")
        return value

    run = fast(copier({"a": a, "b": [b, c]}, wrap=wrap))
    assert run({"a": a, "b": [b, b]})[0]["a"] == a
    with pytest.raises(ValueError, match="not two"):
        run({"a": a, "b": [c, b]})
    with pytest.raises(ValueError, match="not two"):
        run({"a": a, "b": [b, c]})


def test_memory_that_is_not_there_is_an_exception() -> None:
    made = code()
    ready = entry(
        [tree.LEAF],
        [leaf_of(a)],
        [Output((2,), F64), Output((1 << 58,), F64)],
        tree.structure((0, 0)),
        made.address("nothing"),
        arena=8,
        keep=(made,),
    )
    for _ in range(3):  # the arena is free again each time
        with pytest.raises((MemoryError, ValueError)):
            fast(ready)(a)


# Threads


def test_the_lock_is_released_if_asked_and_a_second_call_declines() -> None:
    made = code()
    runs = [
        fast(entry([], [], [], tree.structure(None), made.address("sleeps"), arena=arena, release=True, keep=(made,)))
        for arena in (100, 0)
    ]
    results: list[list[Any]] = []
    for run in runs:
        found: list[Any] = []
        crowd = [threading.Thread(target=lambda run=run, found=found: found.append(run())) for _ in range(3)]
        began = time.perf_counter()
        for thread in crowd:
            thread.start()
        assert time.perf_counter() - began < 0.09  # the three were started while the first slept
        for thread in crowd:
            thread.join()
        results.append(found)
    assert sorted(map(repr, results[0])) == ["None", "NotImplemented", "NotImplemented"]
    assert results[1] == [None] * 3
    assert runs[0]() is None


def test_many_threads_get_their_own_results() -> None:
    run = fast(copier({"a": a}, b, release=True, words=1))
    wrong: list[Any] = []

    def work(number: float) -> None:
        mine = np.array([number])
        for _ in range(2000):
            first, other = run({"a": mine}, mine)
            if first["a"] != number or other != number:
                wrong.append(first)

    crowd = [threading.Thread(target=work, args=(float(i),)) for i in range(4)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert wrong == []


# Leaks


def test_a_builtin_outlives_the_definition_that_another_thread_has_made_meanwhile() -> None:
    x = np.ones(2)
    ours = fast(copier(x, words=2))
    call._function.cache_clear()  # what is left when two threads have asked at once: the later one's
    theirs = fast(copier(x, words=2))
    gc.collect()
    taken = [ctypes.create_string_buffer(b"\xff" * 31, 32) for _ in range(1000)]  # the memory of what was freed
    assert (ours(x)[0] == x).all() and (theirs(x)[0] == x).all() and len(taken) == 1000


def test_references_are_given_back() -> None:
    one, two, name = np.array([1.0]), np.array([2.0]), "a name that is not interned"
    value = {name: one, "b": [two, 1.5, np.float64(2.5)], "m": Model(one, None)}
    small = {name: one}
    runs = [fast(copier(small)), fast(copier(small, wrap=lambda v: v))]
    failing = entry(
        [tree.LEAF],
        [leaf_of(one)],
        [Output((5,), F64)],
        tree.LEAF,
        code().address("fails"),
        fail=lambda number: None,
        keep=(code(),),
    )
    raising = fast(copier(small, wrap=lambda v: 1 / 0))
    watched = [one, two, name, value, small, F64, None, NotImplemented, True, Model, dict, as_array]

    def use() -> None:
        for run in runs:
            run(small)
            run(value)
            run(small, 1)
            run({name: two.astype(np.float32)})
        fast(failing)(one)
        with pytest.raises(ZeroDivisionError):
            raising(small)

    use()
    before = [sys.getrefcount(thing) for thing in watched]
    for _ in range(3000):
        use()
    after = [sys.getrefcount(thing) for thing in watched]
    assert [x - y for x, y in zip(after, before, strict=True) if abs(x - y) > 1000] == []  # others use None too


def test_memory_is_given_back() -> None:
    big = np.zeros(1000)
    value = {"a": big, "b": [big, (big,)], "p": Point(big, None)}
    made = code()
    leaves = [leaf_of(leaf) for leaf in tree.leaves(value)]
    outputs = [Output(leaf.shape, leaf.dtype) for leaf in leaves if leaf is not None]
    shape = tree.structure(value)
    run = fast(entry([shape], leaves, outputs, shape, made.address("nothing"), arena=64, keep=(made,)))
    run(value)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10_000):
            run(value)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000


def test_a_builtin_keeps_what_it_needs_and_lets_go_of_it() -> None:
    class Kept:
        pass

    kept = Kept()
    gone: list[int] = []
    import weakref

    weakref.finalize(kept, gone.append, 1)
    made = code()
    run = fast(
        entry(
            [tree.LEAF],
            [leaf_of(a)],
            [Output((1,), F64)],
            tree.structure({"k": 0}),
            made.address("nothing"),
            constants=[np.zeros(5)],
            arena=10,
            keep=(made, kept),
        )
    )
    del kept
    gc.collect()
    assert gone == [] and list(run(a)) == ["k"]
    del run
    gc.collect()
    assert gone == [1]


# From Python


def test_run_does_what_the_builtin_does() -> None:
    ready = copier({"a": a, "b": b})
    out = [np.zeros(1), np.zeros(1)]
    assert ready.run([c, d], out) == 0
    assert out == [c, d]


@pytest.mark.parametrize(
    ("leaves", "outputs"),
    [
        ([a], [a]),
        ([a, b], [a]),
        ([a, b.astype(np.float32)], [a, b]),
        ([a, np.zeros(2)], [a, b]),
        ([a, b], [np.zeros((2, 2))[:, 0], b]),
    ],
)
def test_run_refuses_what_does_not_fit(leaves: list[Any], outputs: list[Any]) -> None:
    with pytest.raises(ValueError, match="run: "):
        copier({"a": a, "b": b}).run(leaves, outputs)


def test_without_builtins_there_is_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "available", lambda: False)
    ready = copier({"a": a})
    out = np.zeros(1)
    assert ready.fast is None and ready.run([b], [out]) == 0 and out == b


@pytest.mark.parametrize(
    "name", ["NUMBER", "TYPE", "SIZE", "ITEMS", "CONTENT", "DATA", "DESCR", "FLAGS", "TYPE_NUMBER"]
)
def test_a_layout_that_is_not_this_one_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert all(layout._facts())
    monkeypatch.setattr(layout, name, getattr(layout, name) + (4 if name in ("FLAGS", "TYPE_NUMBER") else 8))
    assert not all(layout._facts())


def test_slots_are_found() -> None:
    class Slotted:
        __slots__ = ("first", "second")

    class Other:
        third = 1

    thing = Slotted()
    thing.second = mark = object()  # type: ignore[attr-defined]
    offset = layout.slot_offset(Slotted, "second")
    assert ctypes.c_int64.from_address(id(thing) + offset).value == id(mark)
    assert layout.slot_offset(Other, "third") == 0 and layout.slot_offset(Slotted, "absent") == 0
