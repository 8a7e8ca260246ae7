"""Arguments matched with a plan: the address of every leaf into the program's table, or no.

Type, dtype, shape and layout are all made sure of before anything is done.
"""

from __future__ import annotations

from . import plan as p
from .builder import I8, I32, I64, PTR, Module, Type, Value, integer
from .layout import BYTE_ORDER, DATA, DESCR, DIMENSIONS, FLAGS, ITEMS, NDIM, NUMBER, SIZE, TYPE, TYPE_NUMBER
from .plan import NULL, ONE, ZERO, Walk


def emit(made: Module) -> None:
    """The functions ``glassgrad_items`` and ``glassgrad_apart``, and those they need."""
    for part in (_store, _leaf, _items, _dict, _object, _match, _apart):
        part(made)


def _store(made: Module) -> None:
    """glassgrad_store(number, cell, plan word): an integer as the dtype that the program wants; 0 if it has no place
    there."""
    c = Walk(made, "glassgrad_store", "number", "cell", "index")
    number, cell = c.arguments["number"], c.arguments["cell"]
    c.switch(c.arguments["index"], {i: f"as_{name}" for i, name in enumerate(p.STORES)}, "no")
    for name in p.STORES:
        c.block(f"as_{name}")
        if name == "bool":
            c.need(c.compare("icmp ule", number, ONE), "no")
            c.store(c.convert("trunc", number, "i8"), cell)
        elif name[0] == "f":
            c.store(c.convert("sitofp", number, "double" if name == "float64" else "float"), cell)
        elif name[-2:] == "64":
            if name[0] == "u":
                c.need(c.compare("icmp sge", number, ZERO), "no")
            c.store(number, cell)
        else:
            narrow = c.convert("trunc", number, f"i{name.lstrip('uint')}")
            c.need(c.same(c.convert("zext" if name[0] == "u" else "sext", narrow, "i64"), number), "no")
            c.store(narrow, cell)
        c.go("yes")
    c.ends(yes="i64 1", no="i64 0")


def _leaf(made: Module) -> None:
    """One array or number: its address into the table, a reference to it held."""
    c = Walk(made, "glassgrad_leaf", "argument", "record", "frame")
    record, frame = c.arguments["record"], c.frame
    thing = c.local(PTR, align=8)
    c.store(c.arguments["argument"], thing)
    c.branch(c.differ(c.word(record, p.HOLDER), ZERO), "held", "bare")

    c.block("held")
    holder = c.arguments["argument"]
    c.exact(holder, c.word(record, p.HOLDER, PTR), "no")
    plan = c.word(frame, p.PLAN, PTR)
    tracked = c.get(holder, c.word(record, p.TRACKED_AT), PTR)
    c.need(c.same(tracked, c.word(plan, p.FALSE, PTR)), "no")
    inside = c.get(holder, c.word(record, p.VALUE_AT), PTR)
    c.store(inside, thing)
    c.branch(c.same(inside, NULL), "no", "bare")

    c.block("bare")
    index = c.word(frame, p.COUNT)
    value = c.load(thing, PTR)
    place = c.local(PTR, align=8)
    cell = c.at(c.word(frame, p.SCRATCH, PTR), c.op("mul", index, integer(p.CELL)))
    c.store(cell, place)
    c.exact(value, c.word(record, p.EXPECTED, PTR), "no")
    kinds = {p.ARRAY: "array", p.SCALAR: "scalar", p.FLOAT: "float", p.INT: "int", p.BOOL: "bool"}
    c.switch(c.word(record, p.KIND), kinds, "no")

    c.block("array")
    descr = c.get(value, DESCR, PTR)
    c.branch(c.same(descr, c.word(record, p.LEAF_DESCR, PTR)), "axes", "descr")
    c.block("descr")  # another object may say the same dtype
    order = c.get(descr, BYTE_ORDER, I8)
    native = c.op("or", c.same(order, Value(str(ord("=")), I8)), c.same(order, Value(str(ord("|")), I8)))
    number = c.convert("sext", c.get(descr, TYPE_NUMBER, I32), "i64")
    c.need(c.op("and", native, c.same(number, c.word(record, p.LEAF_NUMBER))), "no")
    c.go("axes")
    c.block("axes")
    axes = c.word(record, p.AXES)
    c.need(c.same(c.convert("sext", c.get(value, NDIM, I32), "i64"), axes), "no")
    flags = c.word(record, p.LEAF_FLAGS)
    c.need(c.same(c.op("and", c.convert("zext", c.get(value, FLAGS, I32), "i64"), flags), flags), "no")
    sizes = c.get(value, DIMENSIONS, PTR)
    with c.loop(ZERO, axes) as axis:
        c.need(c.same(c.word(sizes, axis), c.word(record, c.plus(axis, p.SHAPE))), "no")
    c.store(c.get(value, DATA, PTR), place)
    c.go("yes")

    c.block("scalar")
    c.store(c.at(value, NUMBER), place)
    c.go("yes")

    c.block("float")
    real = c.get(value, NUMBER, Type("double"))
    single = p.STORES.index("float32")
    c.branch(c.same(c.word(record, p.STORED), integer(single)), "single", "double")
    c.block("single")
    c.store(c.convert("fptrunc", real, "float"), cell)
    c.go("yes")
    c.block("double")
    c.store(real, cell)
    c.go("yes")

    c.block("int")
    over = c.local(I32, align=4)
    whole = c.call("i64", "PyLong_AsLongLongAndOverflow", value, over)
    c.need(c.same(c.load(over, I32), Value("0", I32)), "no")
    c.need(c.differ(c.call("i64", "glassgrad_store", whole, cell, c.word(record, p.STORED)), ZERO), "no")
    c.go("yes")

    c.block("bool")
    truth = c.convert("zext", c.same(value, c.word(c.word(frame, p.PLAN, PTR), p.TRUE, PTR)), "i64")
    c.need(c.differ(c.call("i64", "glassgrad_store", truth, cell, c.word(record, p.STORED)), ZERO), "no")
    c.go("yes")

    c.block("yes")
    c.call("void", "Py_IncRef", value)
    c.set(value, c.word(frame, p.HELD, PTR), index)
    c.set(c.load(place, PTR), c.word(frame, p.TABLE, PTR), index)
    c.set(c.plus(index, 1), frame, p.COUNT)
    c.read_past(record, c.plus(c.word(record, p.AXES), p.SHAPE))
    c.line("ret i64 1")
    c.ends(no="i64 0")


def _items(made: Module) -> None:
    """Match so many objects in a row."""
    c = Walk(made, "glassgrad_items", "items", "count", "frame")
    with c.loop(ZERO, c.arguments["count"]) as index:
        item = c.word(c.arguments["items"], index, PTR)
        c.need(c.differ(c.call("i64", "glassgrad_match", item, c.frame), ZERO), "no")
    c.line("ret i64 1")
    c.ends(no="i64 0")


def _dict(made: Module) -> None:
    """Match a dict that has these keys in this order."""
    c = Walk(made, "glassgrad_dict", "argument", "record", "frame")
    record = c.arguments["record"]
    count, text = c.word(record, 2), c.word(c.word(c.frame, p.PLAN, PTR), p.STR, PTR)
    position, key_at, value_at = c.local(I64, align=8), c.local(PTR, align=8), c.local(PTR, align=8)
    c.store(ZERO, position)
    c.read_past(record, c.plus(count, 3))
    with c.loop(ZERO, count) as index:
        found = c.call("i32", "PyDict_Next", c.arguments["argument"], position, key_at, value_at)
        c.need(c.differ(found, Value("0", I32)), "no")
        key, expected = c.load(key_at, PTR), c.word(record, c.plus(index, 3), PTR)
        other, good = c.labels("other", "good")
        c.branch(c.same(key, expected), good, other)
        c.block(other)  # another object may be the same string; of other types only the same object will do
        c.exact(key, text, "no")
        c.exact(expected, text, "no")
        c.need(c.same(c.call("i32", "PyUnicode_Compare", key, expected), Value("0", I32)), "no")
        c.go(good)
        c.block(good)
        c.need(c.differ(c.call("i64", "glassgrad_match", c.load(value_at, PTR), c.frame), ZERO), "no")
    c.line("ret i64 1")
    c.ends(no="i64 0")


def _object(made: Module) -> None:
    """Match a dataclass instance by its attributes. Getting one may run Python, so references are held meanwhile."""
    c = Walk(made, "glassgrad_object", "argument", "record", "frame")
    record, thing = c.arguments["record"], c.arguments["argument"]
    children, static = c.word(record, 2), c.word(record, 3)
    names = c.past(record, 4)
    fields = c.past(names, children)
    c.read_past(fields, c.op("mul", static, integer(3)))
    good = c.local(I64, align=8)
    c.call("void", "Py_IncRef", thing)
    with c.loop(ZERO, static) as index:
        field = c.past(fields, c.op("mul", index, integer(3)))
        found, expected = c.call("ptr", "PyObject_GetAttr", thing, c.word(field, 0, PTR)), c.word(field, 1, PTR)
        c.need(c.differ(found, NULL), "raised")
        same, other, done = c.labels("same", "other", "done")
        c.store(ONE, good)
        c.branch(c.same(found, expected), same, other)
        c.block(other)
        c.store(ZERO, good)
        alike = c.same(c.get(found, TYPE, PTR), c.get(expected, TYPE, PTR))
        c.need(c.op("and", alike, c.differ(c.word(field, 2), ZERO)), same)
        equal = c.call("i32", "PyObject_RichCompareBool", found, expected, Value("2", I32))  # Py_EQ
        c.store(c.convert("zext", c.same(equal, Value("1", I32)), "i64"), good)
        c.go(same)
        c.block(same)
        c.call("void", "Py_DecRef", found)
        c.branch(c.differ(c.load(good, I64), ZERO), done, "no")
        c.block(done)
    with c.loop(ZERO, children) as index:
        found = c.call("ptr", "PyObject_GetAttr", thing, c.word(names, index, PTR))
        c.need(c.differ(found, NULL), "raised")
        matched = c.call("i64", "glassgrad_match", found, c.frame)
        c.call("void", "Py_DecRef", found)
        c.need(c.differ(matched, ZERO), "no")
    c.call("void", "Py_DecRef", thing)
    c.line("ret i64 1")
    c.block("raised")
    c.call("void", "PyErr_Clear")
    c.go("no")
    c.block("no")
    c.call("void", "Py_DecRef", thing)
    c.line("ret i64 0")
    c.ends()


def _match(made: Module) -> None:
    """Whether an argument is what the record at the cursor says; its leaves go into the table."""
    c = Walk(made, "glassgrad_match", "argument", "frame")
    thing, frame = c.arguments["argument"], c.frame
    record = c.word(frame, p.CURSOR, PTR)
    count = c.word(record, 2)
    cases = {p.LEAF: "leaf", p.TUPLE: "tuple", p.LIST: "list", p.DICT: "dict", p.OBJECT: "object", p.EMPTY: "empty"}
    c.switch(c.word(record, 0), cases, "no")
    c.block("leaf")
    c.line(f"ret i64 {c.call('i64', 'glassgrad_leaf', thing, record, frame).text}")
    for kind in ("tuple", "list", "dict", "object"):
        c.block(kind)
        c.exact(thing, c.word(record, 1, PTR), "no")
        if kind != "object":
            c.need(c.same(c.get(thing, SIZE), count), "no")
        if kind in ("tuple", "list"):
            items = c.at(thing, ITEMS) if kind == "tuple" else c.get(thing, ITEMS, PTR)
            c.read_past(record, 3)
            c.line(f"ret i64 {c.call('i64', 'glassgrad_items', items, count, frame).text}")
        else:
            c.line(f"ret i64 {c.call('i64', f'glassgrad_{kind}', thing, record, frame).text}")
    c.block("empty")
    c.need(c.same(thing, c.word(c.word(frame, p.PLAN, PTR), p.NONE, PTR)), "no")
    c.read_past(record, 1)
    c.line("ret i64 1")
    c.ends(no="i64 0")


def _apart(made: Module) -> None:
    """Whether no argument that is written to lies over another argument."""
    c = Walk(made, "glassgrad_apart", "plan", "table")
    plan, table = c.arguments["plan"], c.arguments["table"]
    leaves, sizes, donated = c.word(plan, p.LEAVES), c.part(plan, p.AT_BYTES), c.part(plan, p.AT_DONATED)
    with c.loop(ZERO, c.word(plan, p.DONATED)) as index:
        written = c.word(donated, index)
        begin = c.word(table, written)
        end = c.plus(begin, c.word(sizes, written))
        with c.loop(ZERO, leaves) as other:
            start = c.word(table, other)
            stop = c.plus(start, c.word(sizes, other))
            before = c.op("or", c.compare("icmp ule", end, start), c.compare("icmp ule", stop, begin))
            c.need(c.op("or", before, c.same(other, written)), "no")
    c.line("ret i64 1")
    c.ends(no="i64 0")
