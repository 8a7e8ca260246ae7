"""Threads that only ever help: a caller does whatever part of its work no worker has taken, and waits for nothing else.

Workers are Python threads, each inside one native call that never needs the interpreter. They spin for a moment after a
job, then sleep on a lock. At most one job is shared at a time; a second caller does its own work alone.

How chunks are taken. One 64-bit word holds (job number, chunks left). The owner of the pool writes the job beside it,
then the word. A worker reads the word, then the job, then takes a chunk by compare-and-swap of the word; its success
says that the job it has read is the one it takes from, because the owner writes another only after the last chunk of
this one was taken and finished. A worker that was away finds no chunks, or another job, and has touched nothing.
Of a job of few chunks everybody takes a fair share at once, which stays with one processor; of one whose chunks are
done sooner together, half a share.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import functools
import math
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from . import library
from .builder import I32, I64, PTR, Module, Type, Value, integer
from .code import Code
from .target import host

VARIABLE = "GLASSGRAD_THREADS"
MOST = 256
SPIN = 150e-6  # seconds for which a worker waits for another job before it sleeps: as long as Python takes between two
PATIENCE = 1 << 10  # pauses for which an owner waits for a worker's chunk before it lets others have the processor
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "max 100000", or microseconds of processor time in how many

LEFT_BITS = 24  # of the word, the chunks left; the rest is the job's number, which comes round after 2⁴⁰ jobs
LEFT = (1 << LEFT_BITS) - 1
FEW = 4  # chunks of a job that are shared out evenly
LINE = 128  # bytes that processors move together

# The pool's memory: a job, and, each in lines of its own, what is written often and what is mostly read
WORD, TASK, CONTEXT, CHUNKS, SHARE = 0, 8, 16, 24, 32
JOB = ((TASK, PTR), (CONTEXT, PTR), (CHUNKS, I64), (SHARE, I64))
DONE = LINE  # chunks that workers have finished
BUSY = 2 * LINE  # 1 while somebody owns the pool
ASLEEP = 3 * LINE  # workers on their locks
SKIPPED = 2 * LINE + 8  # short jobs for which nobody was woken
SELDOM = 64  # ... and after how many of them somebody is
SHORT = 1 << 32  # added to a number of chunks: a short job
TOGETHER = 1 << 33  # ... and one of which chunks are done sooner together
WANTED, WORKERS, ERA, SPINS, SLOTS, START = (4 * LINE + 8 * i for i in range(6))
ALLOWED = 5 * LINE  # the processors that workers may use, a bit each, as Linux has it
SIZE = 6 * LINE

# A worker's line
STATE, LOCK, BORN, THREAD = 0, 8, 16, 24
AWAKE, SLEEPING = integer(0), integer(1)

_YIELD = ("aarch64.hint", (Value("1", I32),))
_PAUSES = {"x86_64": ("x86.sse2.pause", ()), "aarch64": _YIELD, "arm64": _YIELD}  # intrinsics and their arguments
_PYTHON = ("PyThread_acquire_lock", "PyThread_release_lock")
_LINUX = sys.platform == "linux" and hasattr(os, "sched_getaffinity")
_PLACING = ("sched_getcpu", "sched_setaffinity")
_POOL = Value("@glassgrad_pool", PTR)
_ZERO, _ONE = integer(0), integer(1)


def threads() -> int:
    """How many threads a program may use, the calling one among them."""
    return _limit or _available()


def set_threads(count: int | None) -> None:
    """Use so many threads at most, the caller's among them; None for as many as there are processors.

    Results do not depend on it. The environment variable GLASSGRAD_THREADS gives the number to begin with.
    """
    global _limit
    if count is not None and (isinstance(count, bool) or not hasattr(count, "__index__")):
        raise TypeError(f"set_threads: got {count!r}, expected a whole number from 1 to {MOST}, or None")
    if count is not None and not 1 <= count <= MOST:
        raise ValueError(f"set_threads: got {count}, expected a whole number from 1 to {MOST}")
    _limit = count
    with _lock:
        if _pool is not None:
            _pool.dismiss()


def symbols() -> dict[str, int]:
    """``void glassgrad_parallel(ptr task, ptr context, i64 chunks)``, for programs that declare it, by name.

    2³² more chunks than there are say that the job is a short one, for which no sleeping thread is woken; 2³³ more say
    that chunks which follow each other are done sooner together.

    It calls ``task(context, first, end)`` for chunks from ``first`` to ``end`` - 1, until all from 0 to chunks - 1 are
    done, in any order, on any of the threads. The threads start with the first job.
    """
    global _pool
    with _lock:
        if _pool is None:
            _pool = _Pool()
    return {"glassgrad_parallel": _pool.code.address("glassgrad_parallel")}


class _Pool:
    """The native pool as Python sees it: it starts the workers and sends them away."""

    def __init__(self) -> None:
        text = functools.partial(_module, host().triple.partition("-")[0])
        given = {name: _address(getattr(ctypes.pythonapi, name)) for name in _PYTHON}
        given |= {name: _address(getattr(ctypes.CDLL(None), name)) for name in _PLACING if _LINUX}
        self.code = library.load("threads", text, host(), {**given, "glassgrad_yield": _yield()}, quick=True)
        self.worker = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.code.address("glassgrad_worker"))
        self.callback = ctypes.CFUNCTYPE(None)(self.start)
        self.lines: Any = None
        self.spins = self._spins()
        self.reset()

    def reset(self) -> None:
        """No workers, no job; the next job with several chunks asks for workers."""
        ctypes.memset(self.code.address("glassgrad_pool"), 0, SIZE)
        self[SPINS] = self.spins
        self[START] = _address(self.callback)
        if _LINUX:
            mask = sum(1 << cpu for cpu in os.sched_getaffinity(0) if cpu < 8 * LINE).to_bytes(LINE, "little")
            ctypes.memmove(self.code.address("glassgrad_pool") + ALLOWED, mask, LINE)
        self[WANTED] = int(threads() > 1)

    def start(self) -> None:
        """Start the workers; the native side calls it, from the thread whose job needs them."""
        with _lock:
            if not self[WORKERS]:
                self._hire(threads() - 1)

    def _hire(self, count: int) -> None:
        allocate = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyThread_allocate_lock", ctypes.pythonapi))
        acquire = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(
            ("PyThread_acquire_lock", ctypes.pythonapi)
        )
        lines = (ctypes.c_int64 * (LINE // 8 * (count + 1)))()
        first = -(-ctypes.addressof(lines) // LINE) * LINE
        started = 0
        with contextlib.suppress(RuntimeError):  # no more threads to be had, or the interpreter is on its way out
            for place in range(first, first + count * LINE, LINE):
                lock = allocate()  # never freed: its last user may still be inside its release
                acquire(lock, 0)
                ctypes.c_int64.from_address(place + LOCK).value = lock
                ctypes.c_int64.from_address(place + BORN).value = self[ERA]
                _thread.start_new_thread(self._work, (place, lines))
                started += 1
        self.lines = lines
        ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(self.code.address("glassgrad_hire"))(first, started)

    def dismiss(self) -> None:
        """Send all workers away, to start as many as are wanted with the next job."""
        end, pause = ctypes.CFUNCTYPE(ctypes.c_int64)(self.code.address("glassgrad_dismiss")), 1e-6
        while not end():  # somebody's job is running
            time.sleep(pause)
        self[WANTED] = int(threads() > 1)

    def _work(self, line: int, lines: Any) -> None:
        # ``lines`` stays alive for as long as the worker uses its own
        ctypes.c_int64.from_address(line + THREAD).value = threading.get_native_id()
        self.worker(line)

    def _spins(self) -> int:
        """Pauses in SPIN seconds: an instruction of 1 cycle on some processors, of 140 on others."""
        pause = ctypes.CFUNCTYPE(None, ctypes.c_int64)(self.code.address("glassgrad_pause"))
        count, least = 1000, math.inf
        for _ in range(3):
            began = time.perf_counter()
            pause(count)
            least = min(least, time.perf_counter() - began)
        return max(1, round(SPIN * count / least))

    def __getitem__(self, offset: int) -> int:
        return ctypes.c_int64.from_address(self.code.address("glassgrad_pool") + offset).value

    def __setitem__(self, offset: int, value: int) -> None:
        ctypes.c_int64.from_address(self.code.address("glassgrad_pool") + offset).value = value


_pool: _Pool | None = None
_limit: int | None = None
_lock = threading.Lock()


def _after_fork() -> None:
    """The child has none of its parent's threads; what they held stays held for ever, so it is made anew."""
    global _lock
    _lock = threading.Lock()
    if _pool is not None:
        _pool.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@functools.cache
def _available() -> int:
    """Processors this process may use, by affinity and by a container's quota, or what GLASSGRAD_THREADS says."""
    asked = os.environ.get(VARIABLE, "")
    if asked:
        if not asked.isdecimal() or not 1 <= int(asked) <= MOST:
            raise ValueError(f"{VARIABLE}: got {asked!r}, expected a whole number from 1 to {MOST}")
        return int(asked)
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        time_allowed, period = QUOTA.read_text().split()
        count = min(count, max(1, round(int(time_allowed) / int(period))))
    return min(count, MOST)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _yield() -> int:
    """The function that lets another thread have this processor."""
    if sys.platform == "win32":
        return _address(ctypes.windll.kernel32.SwitchToThread)
    return _address(ctypes.CDLL(None).sched_yield)


# The native side


def _module(architecture: str) -> str:
    module = Module()
    module.globals["pool"] = f"@glassgrad_pool = dso_local global [{SIZE} x i8] zeroinitializer, align {LINE}"
    _emit_pause(module, architecture)
    _emit_wake(module)
    _emit_hire(module)
    _emit_dismiss(module)
    _emit_worker(module)
    _emit_parallel(module)
    return str(module)


def _emit_pause(module: Module, architecture: str) -> None:
    """So many times the instruction by which a waiting loop tells the processor that it is one."""
    c = Code(module, "glassgrad_pause", [(I64, "count", "")], attributes="nounwind alwaysinline")
    with c.loop(_ZERO, c.arguments["count"]):
        if architecture in _PAUSES:
            name, args = _PAUSES[architecture]
            c.intrinsic(name, Type("void"), *args, overload=())
    c.line("ret void")
    c.finish()


def _take(c: Code, word: Value | None, left: Value, task: Value, context: Value, chunks: Value, share: Value) -> Value:
    """Do a share of the chunks left; returns how many. With a word it looks again if another thread was sooner."""
    taken = c.select(c.compare("icmp ult", left, share), left, share)
    if word is not None:
        c.need(c.swap(_POOL, WORD, word, c.op("sub", word, taken)), "look")
    first = c.op("sub", chunks, left)
    c.call("void", task.text, context, first, c.op("add", first, taken))
    return taken


def _left(c: Code, word: Value) -> Value:
    return c.op("and", word, integer(LEFT))


def _emit_wake(module: Module) -> None:
    """Wake so many sleeping workers, or all there are."""
    c = Code(module, "glassgrad_wake", [(I64, "count", "")], linkage="internal")
    woken = c.local(I64, align=8)
    c.store(_ZERO, woken)
    workers, slots = c.read(_POOL, WORKERS), c.read(_POOL, SLOTS, PTR)  # in this order: see hire
    with c.loop(_ZERO, workers) as index:
        line = c.at(slots, c.op("mul", index, integer(LINE)))
        c.need(c.compare("icmp slt", c.load(woken, I64), c.arguments["count"]), "enough")
        with c.when(c.swap(line, STATE, SLEEPING, AWAKE)):
            c.add(_POOL, ASLEEP, integer(-1))
            if _LINUX:
                _send_elsewhere(c, c.get(line, THREAD, I32))
            c.call("void", "PyThread_release_lock", c.get(line, LOCK, PTR))
            c.store(c.op("add", c.load(woken, I64), _ONE), woken)
    c.go("enough")
    c.block("enough")
    c.line("ret void")
    c.finish()


def _send_elsewhere(c: Code, thread: Value) -> None:
    """Keep a thread that is about to wake off this processor: Linux likes to wake it here, where the owner is at work,
    and moves one of the two only milliseconds later."""
    mask = c.local(Type("i8"), LINE)
    c.line(f"call void @llvm.memcpy.p0.p0.i64(ptr {mask.text}, ptr {c.at(_POOL, ALLOWED).text}, i64 {LINE}, i1 false)")
    c.module.declarations["memcpy"] = "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"
    here = c.convert("zext", c.call("i32", "sched_getcpu"), "i64")
    byte = c.op("and", c.op("lshr", here, integer(3)), integer(LINE - 1))
    bit = c.convert("trunc", c.op("shl", _ONE, c.op("and", here, integer(7))), "i8")
    others = c.op("xor", bit, Value("-1", bit.type))
    c.put(c.op("and", c.get(mask, byte, bit.type), others), mask, byte)
    c.call("i32", "sched_setaffinity", thread, integer(LINE), mask)


def _emit_hire(module: Module) -> None:
    """Let owners know of the workers: where their lines are first, then how many."""
    c = Code(module, "glassgrad_hire", [(PTR, "lines", ""), (I64, "count", "")])
    c.write(c.arguments["lines"], _POOL, SLOTS)
    c.write(c.arguments["count"], _POOL, WORKERS)
    c.line("ret void")
    c.finish()


def _emit_dismiss(module: Module) -> None:
    """Send the workers away; 0 if there is a job, and nothing was done."""
    c = Code(module, "glassgrad_dismiss", [], result="i64")
    c.need(c.swap(_POOL, BUSY, _ZERO, _ONE), "busy")
    c.add(_POOL, ERA, _ONE)
    c.call("void", "glassgrad_wake", integer(MOST))
    c.write(_ZERO, _POOL, WORKERS)
    c.write(_ZERO, _POOL, BUSY)
    c.line("ret i64 1")
    c.block("busy")
    c.line("ret i64 0")
    c.finish()


def _emit_worker(module: Module) -> None:
    """Take chunks, wait, sleep, until the era it was born in is over."""
    c = Code(module, "glassgrad_worker", [(PTR, "line", "")])
    line = c.arguments["line"]
    born = c.get(line, BORN)
    spins = c.read(_POOL, SPINS)
    waited = c.local(I64, align=8)
    c.go("fresh")
    c.block("fresh")
    c.store(_ZERO, waited)
    c.go("look")

    c.block("look")
    word = c.read(_POOL, WORD)
    left = _left(c, word)
    c.branch(c.differ(left, _ZERO), "take", "quiet")

    c.block("take")
    job = [c.read(_POOL, place, kind) for place, kind in JOB]
    c.add(_POOL, DONE, _take(c, word, left, *job))
    c.go("fresh")

    c.block("quiet")
    c.need(c.same(c.read(_POOL, ERA), born), "leave")
    c.call("void", "glassgrad_pause", _ONE)
    so_far = c.op("add", c.load(waited, I64), _ONE)
    c.store(so_far, waited)
    c.branch(c.compare("icmp slt", so_far, spins), "look", "sleep")

    # Either the owner's look at ASLEEP comes after this, and it wakes us, or our look at the word comes after its job.
    c.block("sleep")
    c.write(SLEEPING, line, STATE)
    c.add(_POOL, ASLEEP, _ONE)
    quiet = c.same(_left(c, c.read(_POOL, WORD)), _ZERO)
    c.branch(c.op("and", quiet, c.same(c.read(_POOL, ERA), born)), "lock", "stay")
    c.block("stay")
    c.need(c.swap(line, STATE, SLEEPING, AWAKE), "lock")  # if not, somebody is about to release the lock
    c.add(_POOL, ASLEEP, integer(-1))
    c.go("fresh")
    c.block("lock")
    c.call("i32", "PyThread_acquire_lock", c.get(line, LOCK, PTR), Value("1", I32))
    if _LINUX:  # free again to go where there is room
        c.call("i32", "sched_setaffinity", Value("0", I32), integer(LINE), c.at(_POOL, ALLOWED))
    c.go("fresh")

    c.block("leave")
    c.line("ret void")
    c.finish()


def _emit_parallel(module: Module) -> None:
    """Own the pool for one job, and take its chunks beside the workers; or do all of them alone."""
    c = Code(module, "glassgrad_parallel", [(PTR, "task", ""), (PTR, "context", ""), (I64, "chunks", "")])
    task, context = c.arguments["task"], c.arguments["context"]
    chunks = c.op("and", c.arguments["chunks"], integer(SHORT - 1))
    own, waited = c.local(I64, align=8), c.local(I64, align=8)
    c.store(_ZERO, own)
    c.store(_ZERO, waited)
    threads, few = c.op("add", c.read(_POOL, WORKERS), _ONE), c.compare("icmp ule", chunks, integer(FEW))
    shares = c.op("mul", threads, c.select(few, _ONE, integer(2)))
    fair = c.op("udiv", c.op("add", chunks, c.op("sub", shares, _ONE)), shares)
    together = c.differ(c.op("and", c.arguments["chunks"], integer(TOGETHER)), _ZERO)
    share = c.select(c.op("or", few, together), fair, _ONE)
    c.need(c.compare("icmp ult", c.op("sub", chunks, integer(2)), integer(LEFT - 1)), "alone")  # 2 … LEFT
    with c.when(c.differ(c.read(_POOL, WANTED), _ZERO)), c.when(c.swap(_POOL, WANTED, _ONE, _ZERO)):
        c.call("void", c.read(_POOL, START, PTR).text)
    c.need(c.differ(c.read(_POOL, WORKERS), _ZERO), "alone")
    # Nobody is woken for a short job, but for one in many of them: the others are then likely to find threads awake.
    short = c.differ(c.op("and", c.arguments["chunks"], integer(SHORT)), _ZERO)
    with c.when(c.op("and", short, c.differ(c.read(_POOL, ASLEEP), _ZERO))):
        skipped = c.op("add", c.get(_POOL, SKIPPED), _ONE)
        c.put(skipped, _POOL, SKIPPED)
        c.need(c.same(c.op("and", skipped, integer(SELDOM - 1)), _ZERO), "alone")
    c.need(c.swap(_POOL, BUSY, _ZERO, _ONE), "alone")

    for value, place in ((task, TASK), (context, CONTEXT), (chunks, CHUNKS), (share, SHARE), (_ZERO, DONE)):
        c.write(value, _POOL, place, "monotonic")  # it is the word that publishes them
    job = c.op("add", c.op("or", c.read(_POOL, WORD), integer(LEFT)), _ONE)  # the next number, and no chunks
    c.write(c.op("or", job, chunks), _POOL, WORD)
    with c.when(c.differ(c.read(_POOL, ASLEEP), _ZERO)):
        c.call("void", "glassgrad_wake", c.op("sub", chunks, _ONE))
    c.go("look")

    c.block("look")
    word = c.read(_POOL, WORD)
    left = _left(c, word)
    c.need(c.differ(left, _ZERO), "finish")
    c.store(c.op("add", c.load(own, I64), _take(c, word, left, task, context, chunks, share)), own)
    c.go("look")

    c.block("finish")
    missing = c.op("sub", chunks, c.load(own, I64))
    c.branch(c.same(c.read(_POOL, DONE), missing), "free", "wait")
    c.block("wait")
    c.call("void", "glassgrad_pause", _ONE)
    so_far = c.op("add", c.load(waited, I64), _ONE)
    c.store(so_far, waited)
    with c.when(c.same(c.op("and", so_far, integer(PATIENCE - 1)), _ZERO)):
        c.call("i32", "glassgrad_yield")
    c.go("finish")
    c.block("free")
    c.write(_ZERO, _POOL, BUSY, "release")
    c.line("ret void")

    c.block("alone")
    left = c.op("sub", chunks, c.load(own, I64))
    c.need(c.differ(left, _ZERO), "done")
    c.store(c.op("add", c.load(own, I64), _take(c, None, left, task, context, chunks, share)), own)
    c.go("alone")
    c.block("done")
    c.line("ret void")
    c.finish()
