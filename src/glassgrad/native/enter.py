"""The native side of a call from Python: one function for every signature, which reads a plan that ``call.py`` made.

It matches the arguments with the plan, and leaves to others what it did not expect by returning ``NotImplemented``.
Then it makes the outputs, runs the program, and builds the result.
"""

from __future__ import annotations

from . import match
from . import plan as p
from .builder import I32, I64, PTR, Module, Value, integer
from .layout import CONTENT, DATA, ITEMS
from .plan import NULL, ONE, ZERO, Walk


def module() -> str:
    """LLVM IR with ``PyObject *glassgrad_enter(PyObject *self, PyObject *const *args, Py_ssize_t count)``."""
    made = Module()
    match.emit(made)
    for part in (_outputs, _numbers, _children, _build, _free, _enter):
        part(made)
    return str(made)


# Outputs


def _outputs(made: Module) -> None:
    """Make the arrays that the program writes; 0, with Python's exception set, if one cannot be made."""
    c = Walk(made, "glassgrad_outputs", "plan", "frame")
    plan, frame = c.arguments["plan"], c.frame
    record_at = c.local(PTR, align=8)
    c.store(c.part(plan, p.AT_OUTPUTS), record_at)
    leaves, arrays = c.word(plan, p.LEAVES), c.word(frame, p.MADE, PTR)
    table, held = c.word(frame, p.TABLE, PTR), c.word(frame, p.HELD, PTR)
    with c.loop(ZERO, c.word(plan, p.OUTPUTS)) as index:
        record, place = c.load(record_at, PTR), c.plus(leaves, index)
        fresh, given, number, done = c.labels("fresh", "given", "number", "done")
        c.switch(c.word(record, p.MADE_AS), {p.FRESH: fresh, p.GIVEN_BACK: given}, number)

        c.block(fresh)
        descr, axes = c.word(record, p.OUT_DESCR, PTR), c.convert("trunc", c.word(record, p.OUT_AXES), "i32")
        c.call("void", "Py_IncRef", descr)  # the call takes a reference
        none = Value("0", I32)
        shape = c.past(record, p.OUT_SHAPE)
        kind = c.word(plan, p.NDARRAY, PTR)
        array = c.call("ptr", "glassgrad_array", kind, descr, axes, shape, NULL, NULL, none, NULL)
        c.need(c.differ(array, NULL), "no")
        c.set(array, arrays, index)
        c.set(c.get(array, DATA, PTR), table, place)
        c.go(done)

        c.block(given)
        source = c.word(record, p.SOURCE)
        owner = c.word(held, source, PTR)
        c.call("void", "Py_IncRef", owner)
        c.set(owner, arrays, index)
        c.set(c.word(table, source), table, place)
        c.go(done)

        c.block(number)
        c.set(c.at(c.word(frame, p.SCRATCH, PTR), c.op("mul", place, integer(p.CELL))), table, place)
        c.go(done)

        c.block(done)
        c.store(c.past(record, c.plus(c.word(record, p.OUT_AXES), p.OUT_SHAPE)), record_at)
    c.line("ret i64 1")
    c.ends(no="i64 0")


def _numbers(made: Module) -> None:
    """After the run: make NumPy scalars of what has no axes, and wrap what is to be wrapped; 0 where that fails."""
    c = Walk(made, "glassgrad_numbers", "plan", "frame")
    plan, frame = c.arguments["plan"], c.frame
    record_at = c.local(PTR, align=8)
    c.store(c.part(plan, p.AT_OUTPUTS), record_at)
    arrays, wrap = c.word(frame, p.MADE, PTR), c.word(plan, p.WRAP, PTR)
    first = c.past(c.word(frame, p.TABLE, PTR), c.word(plan, p.LEAVES))
    with c.loop(ZERO, c.word(plan, p.OUTPUTS)) as index:
        record = c.load(record_at, PTR)
        with c.when(c.same(c.word(record, p.MADE_AS), integer(p.NUMBER_OUT))):
            number = c.call(
                "ptr", "glassgrad_scalar", c.word(first, index, PTR), c.word(record, p.OUT_DESCR, PTR), NULL
            )
            c.set(number, arrays, index)
            c.need(c.differ(number, NULL), "no")
        with c.when(c.differ(c.word(record, p.WRAPPED), ZERO)):
            bare = c.word(arrays, index, PTR)
            wrapped = c.call("ptr", "PyObject_CallOneArg", wrap, bare)
            c.set(wrapped, arrays, index)
            c.call("void", "Py_DecRef", bare)
            c.need(c.differ(wrapped, NULL), "no")
        c.store(c.past(record, c.plus(c.word(record, p.OUT_AXES), p.OUT_SHAPE)), record_at)
    c.line("ret i64 1")
    c.ends(no="i64 0")


# The result


def _children(made: Module) -> None:
    """Build so many children into a row; what is not built stays null. 0 where one fails."""
    c = Walk(made, "glassgrad_children", "items", "count", "frame")
    with c.loop(ZERO, c.arguments["count"]) as index:
        child = c.call("ptr", "glassgrad_build", c.frame)
        c.set(child, c.arguments["items"], index)
        c.need(c.differ(child, NULL), "no")
    c.line("ret i64 1")
    c.ends(no="i64 0")


def _build(made: Module) -> None:
    """The object that the record at the cursor says, of outputs in order; null, with an exception, where that fails."""
    c = Walk(made, "glassgrad_build", "frame", result="ptr")
    frame = c.frame
    record = c.word(frame, p.CURSOR, PTR)
    count = c.word(record, 1)
    cases = {p.LEAF: "leaf", p.TUPLE: "tuple", p.LIST: "list", p.DICT: "dict", p.OBJECT: "object"}
    c.switch(c.word(record, 0), cases, "empty")

    c.block("leaf")
    c.read_past(record, 1)
    arrays, index = c.word(frame, p.MADE, PTR), c.bump(p.TAKEN)
    taken = c.word(arrays, index, PTR)
    c.set(NULL, arrays, index)
    c.line(f"ret ptr {taken.text}")

    for kind, make, words in (("tuple", "PyTuple_New", 2), ("list", "PyList_New", 2), ("object", "PyTuple_New", 3)):
        c.block(kind)
        c.read_past(record, words)
        row = c.call("ptr", make, count)
        c.need(c.differ(row, NULL), "no")
        items = c.get(row, ITEMS, PTR) if kind == "list" else c.at(row, ITEMS)
        (failed,) = c.labels("failed")
        c.need(c.differ(c.call("i64", "glassgrad_children", items, count, frame), ZERO), failed)
        if kind == "object":
            whole = c.call("ptr", "PyObject_CallOneArg", c.word(record, 2, PTR), row)
            c.call("void", "Py_DecRef", row)
            c.line(f"ret ptr {whole.text}")
        else:
            c.line(f"ret ptr {row.text}")
        c.block(failed)
        c.call("void", "Py_DecRef", row)
        c.go("no")

    c.block("dict")
    # A copy of a dict with these keys and then new values: quicker than growing one
    keys = c.past(record, 3)
    c.set(c.past(keys, count), frame, p.CURSOR)
    table = c.call("ptr", "PyDict_Copy", c.word(record, 2, PTR))
    c.need(c.differ(table, NULL), "no")
    with c.loop(ZERO, count) as index:
        child = c.call("ptr", "glassgrad_build", frame)
        c.need(c.differ(child, NULL), "undone")
        error = c.call("i32", "PyDict_SetItem", table, c.word(keys, index, PTR), child)
        c.call("void", "Py_DecRef", child)
        c.need(c.same(error, Value("0", I32)), "undone")
    c.line(f"ret ptr {table.text}")
    c.block("undone")
    c.call("void", "Py_DecRef", table)
    c.go("no")

    c.block("empty")
    c.read_past(record, 1)
    none = c.word(c.word(frame, p.PLAN, PTR), p.NONE, PTR)
    c.call("void", "Py_IncRef", none)
    c.line(f"ret ptr {none.text}")
    c.ends(no="ptr null")


# The whole


def _free(made: Module) -> None:
    """Let the next call have the arena."""
    c = Walk(made, "glassgrad_free", "busy", result="void")
    busy = c.arguments["busy"]
    with c.when(c.differ(busy, NULL)):
        c.write(ZERO, busy, 0, "release")
    c.line("ret void")
    c.finish()


def _enter(made: Module) -> None:
    """PyObject *glassgrad_enter(PyObject *self, PyObject *const *args, Py_ssize_t count); ``self`` is a tuple whose
    first item, bytes, is the plan."""
    c = Walk(made, "glassgrad_enter", "self", "args", "count", result="ptr", linkage="")
    plan = c.at(c.get(c.arguments["self"], ITEMS, PTR), CONTENT)
    leaves, outputs = c.word(plan, p.LEAVES), c.word(plan, p.OUTPUTS)
    result = c.local(PTR, align=8)
    frame = c.frame = c.local(I64, p.FRAME, align=16)
    c.need(c.same(c.arguments["count"], c.word(plan, p.ARITY)), "refused")

    both, constants = c.plus(leaves, outputs), c.word(plan, p.CONSTANTS)
    table = c.define(PTR, f"alloca i64, i64 {c.plus(c.plus(both, constants), 1).text}, align 16")
    held = c.define(PTR, f"alloca i64, i64 {c.plus(leaves, 1).text}, align 16")
    arrays = c.define(PTR, f"alloca i64, i64 {c.plus(outputs, 1).text}, align 16")
    scratch = c.define(PTR, f"alloca i8, i64 {c.op('mul', c.plus(both, 1), integer(p.CELL)).text}, align 16")
    start = {
        p.CURSOR: c.part(plan, p.AT_ARGUMENTS),
        p.COUNT: ZERO,
        p.HELD: held,
        p.TABLE: table,
        p.SCRATCH: scratch,
        p.PLAN: plan,
        p.MADE: arrays,
        p.TAKEN: ZERO,
    }
    for place, word in start.items():
        c.set(word, frame, place)
    with c.loop(ZERO, outputs) as index:
        c.set(NULL, arrays, index)
    with c.loop(ZERO, constants) as index:
        c.set(c.word(c.part(plan, p.AT_CONSTANTS), index), table, c.plus(both, index))
    c.set(c.word(plan, p.ARENA), table, c.plus(both, constants))

    matched = c.call("i64", "glassgrad_items", c.arguments["args"], c.word(plan, p.ARITY), frame)
    c.need(c.differ(matched, ZERO), "unlike")
    with c.when(c.differ(c.word(plan, p.DONATED), ZERO)):
        c.need(c.differ(c.call("i64", "glassgrad_apart", plan, table), ZERO), "unlike")
    busy = c.word(plan, p.BUSY, PTR)
    c.branch(c.same(busy, NULL), "free", "claim")
    c.block("claim")
    c.need(c.swap(busy, 0, ZERO, ONE), "unlike")
    c.go("free")

    c.block("free")
    c.need(c.differ(c.call("i64", "glassgrad_outputs", plan, frame), ZERO), "unmade")
    code = c.local(I32, align=4)
    program = c.word(plan, p.PROGRAM, PTR).text
    c.branch(c.differ(c.word(plan, p.RELEASE), ZERO), "long", "short")
    c.block("long")
    state = c.call("ptr", "PyEval_SaveThread")
    c.store(c.call("i32", program, table), code)
    c.call("void", "PyEval_RestoreThread", state)
    c.go("ran")
    c.block("short")
    c.store(c.call("i32", program, table), code)
    c.go("ran")

    c.block("ran")
    c.call("void", "glassgrad_free", busy)
    c.need(c.same(c.load(code, I32), Value("0", I32)), "failed")
    c.need(c.differ(c.call("i64", "glassgrad_numbers", plan, frame), ZERO), "raised")
    c.set(c.part(plan, p.AT_RESULT), frame, p.CURSOR)
    c.store(c.call("ptr", "glassgrad_build", frame), result)
    c.go("clean")

    c.block("unmade")
    c.call("void", "glassgrad_free", busy)
    c.go("raised")
    c.block("failed")
    number = c.call("ptr", "PyLong_FromLongLong", c.convert("sext", c.load(code, I32), "i64"))
    c.need(c.differ(number, NULL), "raised")
    c.store(c.call("ptr", "PyObject_CallOneArg", c.word(plan, p.FAIL, PTR), number), result)
    c.call("void", "Py_DecRef", number)
    c.go("clean")
    c.block("raised")
    c.store(NULL, result)
    c.go("clean")
    c.block("unlike")
    other = c.word(plan, p.NOT_IMPLEMENTED, PTR)
    c.call("void", "Py_IncRef", other)
    c.store(other, result)
    c.go("clean")

    c.block("clean")
    with c.loop(ZERO, c.word(frame, p.COUNT)) as index:
        c.call("void", "Py_DecRef", c.word(held, index, PTR))
    with c.loop(c.word(frame, p.TAKEN), outputs) as index:
        c.call("void", "Py_DecRef", c.word(arrays, index, PTR))  # null where there is none
    c.line(f"ret ptr {c.load(result, PTR).text}")

    c.block("refused")
    other = c.word(plan, p.NOT_IMPLEMENTED, PTR)
    c.call("void", "Py_IncRef", other)
    c.line(f"ret ptr {other.text}")
    c.finish()
