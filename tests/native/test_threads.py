"""Every chunk exactly once, whatever workers do; nobody waits for a worker that has taken nothing; nothing hangs."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from glassgrad.native import library, threads
from glassgrad.native.target import host

# task: context[chunk] += 1 for all of its chunks, spinning context[-1] times before each
JOB = """
declare void @glassgrad_parallel(ptr, ptr, i64)
define internal void @task(ptr %context, i64 %first, i64 %end) nounwind {
start:
  %last = getelementptr i64, ptr %context, i64 -1
  %spin = load i64, ptr %last
  br label %next
next:
  %chunk = phi i64 [%first, %start], [%following, %done]
  br label %head
head:
  %i = phi i64 [0, %next], [%j, %head]
  call void asm sideeffect "", ""()
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %spin
  br i1 %more, label %head, label %done
done:
  %place = getelementptr i64, ptr %context, i64 %chunk
  atomicrmw add ptr %place, i64 1 seq_cst
  %following = add i64 %chunk, 1
  %left = icmp slt i64 %following, %end
  br i1 %left, label %next, label %over
over:
  ret void
}
define internal void @outer(ptr %context, i64 %first, i64 %end) nounwind {
start:
  br label %next
next:
  %chunk = phi i64 [%first, %start], [%following, %next]
  call void @glassgrad_parallel(ptr @task, ptr %context, i64 4)
  %following = add i64 %chunk, 1
  %left = icmp slt i64 %following, %end
  br i1 %left, label %next, label %over
over:
  ret void
}
define void @once(ptr %context, i64 %chunks) nounwind {
  call void @glassgrad_parallel(ptr @task, ptr %context, i64 %chunks)
  ret void
}
define void @nested(ptr %context, i64 %chunks) nounwind {
  call void @glassgrad_parallel(ptr @outer, ptr %context, i64 %chunks)
  ret void
}
define void @often(ptr %context, i64 %chunks, i64 %count) nounwind {
start:
  br label %head
head:
  %i = phi i64 [0, %start], [%j, %head]
  call void @glassgrad_parallel(ptr @task, ptr %context, i64 %chunks)
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %count
  br i1 %more, label %head, label %done
done:
  ret void
}
"""


class Job:
    """The functions above on a context of their own."""

    def __init__(self, chunks: int, spin: int = 0) -> None:
        self.memory = np.zeros(chunks + 1, np.int64)
        self.memory[0] = spin
        self.seen = self.memory[1:]
        self.library = library.load("test threads", lambda: JOB, host(), threads.symbols())

    def run(self, name: str, *args: int) -> None:
        function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * len(args))
        function(self.library.address(name))(self.seen.ctypes.data, *args)


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    yield
    threads.set_threads(None)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("chunks", [0, 1, 2, 3, 4, 5, 17, 1000])
def test_every_chunk_is_done_exactly_once(count: int, chunks: int) -> None:
    threads.set_threads(count)
    job = Job(chunks, spin=20)
    for i in range(1, 30):
        job.run("once", chunks)
        assert (job.seen == i).all()


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("chunks", [1, 2, 5, 8, 17])
def test_chunks_together(count: int, chunks: int) -> None:
    threads.set_threads(count)
    job = Job(chunks, spin=20)
    for i in range(1, 30):
        job.run("once", chunks | threads.TOGETHER)
        assert (job.seen == i).all()


@pytest.mark.parametrize("count", [2, 5])
def test_many_small_jobs_in_a_row(count: int) -> None:
    threads.set_threads(count)
    job = Job(5)
    job.run("often", 5, 20_000)
    assert job.seen.tolist() == [20_000] * 5


def test_workers_take_part() -> None:
    threads.set_threads(2)
    job = Job(64, spin=2000)
    job.run("once", 64)
    pool = threads._pool
    assert pool is not None
    deadline = time.monotonic() + 30
    while not pool[threads.DONE]:  # how many the worker did of the last job
        assert time.monotonic() < deadline
        job.run("once", 64)


def test_a_finished_job_is_not_touched_again() -> None:
    threads.set_threads(4)
    jobs = [Job(3), Job(3)]
    for i in range(4000):
        job, other = jobs[i % 2], jobs[1 - i % 2]
        job.seen[:] = 0
        job.run("once", 3)
        assert job.seen.tolist() == [1, 1, 1]
        job.seen[:] = -7
        assert i == 0 or other.seen.tolist() == [-7, -7, -7]


def test_callers_at_the_same_time_do_their_own_work() -> None:
    threads.set_threads(3)
    jobs = [Job(6, spin=100) for _ in range(4)]
    crowd = [threading.Thread(target=job.run, args=("often", 6, 2000)) for job in jobs]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert all(job.seen.tolist() == [2000] * 6 for job in jobs)


def test_a_task_may_share_out_its_own_work() -> None:
    threads.set_threads(3)
    job = Job(4, spin=50)
    for _ in range(200):
        job.run("nested", 10)
    assert job.seen.tolist() == [2000] * 4


def test_sleeping_workers_are_woken() -> None:
    threads.set_threads(2)
    job = Job(8, spin=50_000)
    pool = threads._pool
    assert pool is not None
    job.run("once", 8)
    for i in range(5):
        deadline = time.monotonic() + 30
        while not pool[threads.ASLEEP]:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        job.run("once", 8)
        assert (job.seen == i + 2).all()
        assert pool[threads.BUSY] == 0


def test_the_number_can_change_while_jobs_run() -> None:
    job = Job(4, spin=10)
    thread = threading.Thread(target=job.run, args=("often", 4, 50_000))
    threads.set_threads(2)
    thread.start()
    for i in range(20):
        threads.set_threads(1 + i % 4)
        assert threads.threads() == 1 + i % 4
    thread.join()
    assert job.seen.tolist() == [50_000] * 4


@pytest.mark.parametrize("count", [0, -1, 257])
def test_a_number_that_cannot_be_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 256"):
        threads.set_threads(count)


def _run(program: str, **environment: str) -> str:
    source = Path(library.__file__).resolve().parents[2]
    # Without the variables of pytest's own plug-ins for forked processes; warnings about fork with threads are expected
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(source), str(Path(__file__).parents[2]))), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


PROGRAM = f"""
import ctypes, os, sys, time
import numpy as np
from glassgrad.native import library, threads
from glassgrad.native.target import host
made = library.load("test threads", lambda: {JOB!r}, host(), threads.symbols())
once = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(made.address("once"))
memory = np.zeros(9, np.int64)
memory[0] = 1000
"""


def test_the_variable_gives_the_number() -> None:
    assert _run(f"{PROGRAM}print(threads.threads())", GLASSGRAD_THREADS="3") == "3\n"
    said = _run(
        "from glassgrad.native import threads\ntry: threads.threads()\nexcept ValueError as e: print(e)",
        GLASSGRAD_THREADS="many",
    )
    assert said.startswith("GLASSGRAD_THREADS: got 'many'")


@pytest.mark.parametrize("pause", [0, 0.05])  # with workers spinning, and asleep
def test_the_process_ends(pause: float) -> None:
    _run(
        f"{PROGRAM}once(memory.ctypes.data + 8, 8); time.sleep({pause}); assert (memory[1:] == 1).all()",
        GLASSGRAD_THREADS="4",
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_workers_of_its_own() -> None:
    program = f"""{PROGRAM}
for i in range(20):
    once(memory.ctypes.data + 8, 8)
child = os.fork()
before = threads._pool[threads.WORKERS]
for i in range(20):
    once(memory.ctypes.data + 8, 8)
assert (memory[1:] == 40).all(), memory
os.write(1, f"{{before}} {{threads._pool[threads.WORKERS]}}\\n".encode())  # whole, whichever process comes first
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    assert sorted(_run(program, GLASSGRAD_THREADS="3").split("\n")) == ["", "0 2", "2 2"]


def test_products_in_a_thread_of_little_stack() -> None:
    script = """
import threading, numpy as np, glassgrad as gg
gg.set_threads(1)
a = np.ones((300, 300))
f = gg.jit(lambda a, b: np.tanh(a @ b.T).sum(0) + (a.T @ b).sum(0))
f(a, a)
threading.stack_size(64 * 1024)
found = []
thread = threading.Thread(target=lambda: found.append(f(a, a)))
thread.start(), thread.join()
assert np.array_equal(found[0], f(a, a))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
