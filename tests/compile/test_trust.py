"""What compiled code must stand: any number of threads, forks, interruptions, other machines, a broken cache."""

from __future__ import annotations

import copy
import errno
import gc
import os
import pickle
import re
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad import nn
from glassgrad.compile.pipeline import Executable
from glassgrad.native import disk, library
from glassgrad.native.target import PORTABLE, host

ROOT = Path(__file__).parents[2]
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and fork")


def program(x: Any, w: Any, v: Any) -> list[Any]:
    """Products, rows, long sums, long maps, a loop: each large enough to be shared out."""

    def loss(w: Any) -> Any:
        hidden = gnp.tanh(x @ w)
        attention = nn.softmax(hidden @ hidden.T / 10)
        last, _ = gg.scan(lambda c, r: (gnp.sin(c + r), None), gnp.zeros(w.shape[1]), hidden[:20])
        return (attention @ hidden).mean() + last.sum() + nn.log_softmax(hidden, axis=0).mean()

    value, slope = gg.value_and_grad(loss)(w)
    return [
        value,
        slope,
        (v * gnp.exp(-v * v)).sum(),
        gnp.cumsum(v)[-1],
        gnp.sqrt(v * v + 1),
        v.reshape(500, -1).sum(0),
    ]


def arguments() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(257, 129)), rng.normal(size=(129, 65)), rng.normal(size=200_000)


@pytest.fixture
def many_threads() -> Iterator[None]:
    yield
    gg.set_threads(None)


def started(source: str, *args: str, **environment: str) -> subprocess.Popen[str]:
    """A script in a process of its own."""
    given = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))), **environment}
    command = [sys.executable, "-c", textwrap.dedent(source), *args]
    return subprocess.Popen(command, env=given, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finished(process: subprocess.Popen[str]) -> str:
    with process:
        try:
            out, err = process.communicate(timeout=300)
        except BaseException:
            process.kill()  # else the next test collects what is left of it
            raise
    assert process.returncode == 0, err
    return out.strip()


# Threads


def test_the_same_bits_for_any_number_of_threads(many_threads: None) -> None:
    given = arguments()
    compiled = gg.jit(program)
    assert compiled.lower(*given).executable.parallel
    expected = program(*given)
    found = {}
    for count in (1, 2, 3, 8):
        gg.set_threads(count)
        for _ in range(3):
            results = compiled(*given)
            bits = b"".join(np.asarray(r).tobytes() for r in results)
            assert found.setdefault("bits", bits) == bits, count
    for got, want in zip(results, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_the_same_bits_whatever_the_variable_says() -> None:
    source = """
        import hashlib, numpy, sys
        import glassgrad as gg
        from tests.compile.test_trust import arguments, program
        results = gg.jit(program)(*arguments())
        print(hashlib.sha256(b"".join(numpy.asarray(r).tobytes() for r in results)).hexdigest(), gg.threads())
    """
    processes = [started(source, GLASSGRAD_THREADS=str(n)) for n in (1, 3)]
    (first, one), (second, three) = (finished(p).split() for p in processes)
    assert first == second and (one, three) == ("1", "3")


def test_eight_threads_call_one_function_at_once() -> None:
    """The same signature and others, first calls among them; each gets its own results."""

    def function(x: Any) -> Any:
        return {
            "y": gnp.tanh(x @ x.T).sum(0),
            "total": (x * x).sum(),
            "inverse": gnp.linalg.inv(x @ x.T + 50 * np.eye(len(x))),
        }

    compiled = gg.jit(function)
    start = threading.Barrier(8)

    def work(number: int) -> int:
        rng = np.random.default_rng(number)
        start.wait()
        for turn in range(25):
            n = 20 + turn % 3
            x = rng.normal(size=(n, 30))
            got = compiled(x)
            np.testing.assert_allclose(got["y"], np.tanh(x @ x.T).sum(0), rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(got["total"], (x * x).sum(), rtol=1e-12)
            np.testing.assert_allclose(got["inverse"] @ (x @ x.T + 50 * np.eye(n)), np.eye(n), atol=1e-9)
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 8
    assert len(compiled.signatures) == 3


def test_large_work_of_several_threads_at_once(many_threads: None) -> None:
    gg.set_threads(3)
    given = arguments()
    compiled = gg.jit(program)
    want = [np.asarray(r).tobytes() for r in compiled(*given)]
    with ThreadPoolExecutor(6) as pool:
        for got in pool.map(lambda _: [np.asarray(r).tobytes() for r in compiled(*given)], range(12)):
            assert got == want


def test_an_exception_reaches_the_thread_that_made_it() -> None:
    compiled = gg.jit(lambda a, i: gnp.linalg.cholesky(a)[i])
    compiled(np.eye(3), np.array([0]))

    def work(number: int) -> None:
        for _ in range(50):
            if number % 3 == 0:
                with pytest.raises(np.linalg.LinAlgError):
                    compiled(-np.eye(3), np.array([0]))
            elif number % 3 == 1:
                with pytest.raises(IndexError):
                    compiled(np.eye(3), np.array([7]))
            else:
                np.testing.assert_array_equal(compiled(np.eye(3) * 4, np.array([2])), [[0, 0, 2]])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


def test_the_number_of_threads_may_change_while_others_compute(many_threads: None) -> None:
    given = arguments()
    compiled = gg.jit(program)
    want = [np.asarray(r).tobytes() for r in compiled(*given)]
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            for count in (1, 4, 2):
                gg.set_threads(count)
                time.sleep(0.001)

    other = threading.Thread(target=change)
    other.start()
    try:
        for _ in range(15):
            assert [np.asarray(r).tobytes() for r in compiled(*given)] == want
    finally:
        over.set()
        other.join()


# Processes

FORKED = """
    import os, sys, numpy, warnings
    import glassgrad as gg
    from tests.compile.test_trust import arguments, program
    warnings.simplefilter("ignore")  # Python 3.12 warns of any fork beside threads
    gg.set_threads(3)
    given, compiled = arguments(), gg.jit(program)
    bits = lambda: b"".join(numpy.asarray(r).tobytes() for r in compiled(*given))
    want = bits()
    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            try:
                same = bits() == want and bits() == want
                fresh = gg.jit(lambda x: (gg.numpy.cos(x) * 3).sum())(numpy.ones(100_000))
                os._exit(0 if same and abs(fresh - 3e5 * numpy.cos(1)) < 1e-4 else 3)
            except BaseException:
                os._exit(4)
        children.append(child)
        assert bits() == want
    print([os.waitpid(child, 0)[1] for child in children])
"""


@POSIX
def test_a_forked_child_computes_too() -> None:
    assert finished(started(FORKED)) == "[0, 0, 0]"


def test_a_child_forked_while_another_thread_compiles_computes_too() -> None:
    process = started(
        """
        import gc, os, threading, time, warnings
        import numpy as np, glassgrad as gg
        warnings.simplefilter("ignore")
        os.environ["GLASSGRAD_CACHE_DIR"] = "off"
        def big(x):
            for k in range(100):
                x = np.tanh(x * (k + 1.0)) + x.sum()
            return x
        f = gg.jit(big)
        children = []
        threading.Thread(target=f, args=(np.ones(3),)).start()
        for _ in range(6):  # while it imports, traces, lowers and generates
            time.sleep(0.05)
            child = os.fork()
            if not child:
                os._exit(0 if gc.isenabled() and np.isfinite(f(np.ones(3))).all() else 3)
            children.append(child)
        print([os.waitpid(child, 0)[1] for child in children])
        """
    )
    assert finished(process) == "[0, 0, 0, 0, 0, 0]"


@pytest.mark.parametrize("enabled", [True, False])
def test_compiling_leaves_the_garbage_collector_as_it_was(enabled: bool) -> None:
    seen = []

    def function(x: Any) -> Any:
        seen.append(gc.isenabled())
        return x * 2

    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        gg.jit(function)(np.ones(3))
        seen.append(gc.isenabled())
        with pytest.raises(RuntimeError):
            library.load("refused", lambda: "no IR at all", host())
        seen.append(gc.isenabled())
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [enabled] * 3


def doubled(n: int) -> float:
    return float(gg.jit(lambda x: (x * 2).sum())(np.ones(n)))


def test_spawned_processes() -> None:
    paths = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    try:
        process = started(
            """
            import multiprocessing
            from tests.compile.test_trust import doubled
            if __name__ == "__main__":
                doubled(10)
                with multiprocessing.get_context("spawn").Pool(2) as pool:
                    print(pool.map(doubled, [1, 2, 3000]))
            """
        )
        assert finished(process) == "[2.0, 4.0, 6000.0]"
    finally:
        os.environ.pop("PYTHONPATH") if paths is None else os.environ.update(PYTHONPATH=paths)


def test_compiled_functions_are_copied_and_pickled_as_functions_are() -> None:
    assert copy.deepcopy(pickled) is pickled and copy.copy(pickled) is pickled
    assert copy.deepcopy({"f": [pickled]})["f"][0] is pickled
    assert pickle.loads(pickle.dumps(pickled)) is pickled
    assert pickled(3.0) == 4.0


@gg.jit
def pickled(x: Any) -> Any:
    return x + 1


# Interruptions

INTERRUPTED = """
    import os, signal, sys, threading, time, numpy
    import glassgrad as gg
    import glassgrad.numpy as np

    seen = threading.Event()

    def interrupted(after, call):
        # Again and again: Python drops the interrupt that comes while it deletes an object.
        def send(wait=after):
            while not seen.wait(wait):
                os.kill(os.getpid(), signal.SIGINT)
                wait = 5.0

        seen.clear()
        try:
            threading.Thread(target=send, daemon=True).start()
            call()
            while True:
                time.sleep(0.01)
        except KeyboardInterrupt:
            seen.set()
            return True

    long = gg.jit(lambda x: gg.fori_loop(0, 300, lambda i, c: np.sin(c @ c) * 0.1, x), donate=())
    small = gg.jit(lambda x: np.exp(x).sum())
    x = numpy.eye(300) * 0.5
    want, total = long(x), small(x)
    assert interrupted(0.02, lambda: [long(x) for _ in range(100)])
    assert (long(x) == want).all() and small(x) == total

    def compile_some():
        for n in range(1, 500):
            gg.jit(lambda x: [np.tanh(x * k) @ x.T for k in range(n % 20 + 3)])(numpy.ones((n, 3)))

    for delay in (0.05, 0.11, 0.17):
        assert interrupted(delay, compile_some)
        assert (long(x) == want).all() and small(x) == total
        assert gg.jit(lambda x: x * delay)(2.0) == 2 * delay

    slow = gg.jit(lambda a: np.linalg.svd(a)[1])
    a = numpy.random.default_rng(0).normal(size=(60, 60))
    first = slow(a)
    assert interrupted(0.05, lambda: [slow(a) for _ in range(100_000)])
    assert numpy.allclose(slow(a), first) and (long(x) == want).all()
    print("done")
"""


@POSIX
def test_everything_works_after_an_interruption() -> None:
    """In compiled code, while compiling, and in a library function that compiled code calls."""
    assert finished(started(INTERRUPTED)) == "done"


# The cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv(disk.VARIABLE, str(folder))
    monkeypatch.setattr(disk, "_warned", False)
    return folder


def compiled_anew(number: float) -> Any:
    """A program that is not in memory: its constant makes it another one."""
    gc.collect()  # what no function holds any more is looked for on disk again
    function = gg.jit(lambda x: (gnp.tanh(x) * number).sum())
    assert function(np.zeros(5) + 0.5) == pytest.approx(5 * np.tanh(0.5) * number, rel=1e-12)
    return function.cost()


def test_compiled_code_is_found_again(cache: Path) -> None:
    assert not compiled_anew(1.25).cached
    assert list(cache.iterdir())
    assert compiled_anew(1.25).cached
    assert not compiled_anew(1.5).cached


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "foreign", "text"])
def test_damaged_entries_are_made_again(cache: Path, damage: str) -> None:
    compiled_anew(2.5)
    for entry in cache.iterdir():
        content = entry.read_bytes()
        middle = len(content) // 2
        changed = {
            "truncated": content[:middle],
            "empty": b"",
            "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "foreign": b"\x7fELF" + bytes(1000),
            "text": b"not machine code",
        }
        entry.write_bytes(changed[damage])
    assert not compiled_anew(2.5).cached
    assert compiled_anew(2.5).cached


@pytest.mark.parametrize(
    ("module", "step", "code"),
    [(os, "replace", errno.ENOSPC), (tempfile, "mkstemp", errno.EROFS), (tempfile, "mkstemp", errno.EACCES)],
)
def test_a_disk_that_takes_nothing_costs_time_only(
    cache: Path, monkeypatch: pytest.MonkeyPatch, module: Any, step: str, code: int
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module, step, refuse)
    with pytest.warns(RuntimeWarning, match=f"{re.escape(str(cache))}.*{os.strerror(code)}"):
        compiled_anew(3.25)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once is enough
        compiled_anew(3.5)
    assert not list(cache.iterdir())


def test_a_tiny_disk_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k,mode=700", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no permission to mount a file system")
    try:
        filler = folder / "filler"
        filler.write_bytes(bytes(6000))
        monkeypatch.setenv(disk.VARIABLE, str(folder))
        monkeypatch.setattr(disk, "_warned", False)
        with pytest.warns(RuntimeWarning, match="No space left"):
            compiled_anew(4.25)
        assert list(folder.iterdir()) == [filler]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@POSIX
def test_a_folder_that_cannot_be_written_to(cache: Path) -> None:
    compiled_anew(5.25)
    cache.chmod(0o500)
    try:
        assert compiled_anew(5.25).cached  # it can still be read
        if os.access(cache, os.W_OK):
            pytest.skip("this user may write anywhere")
        with pytest.warns(RuntimeWarning, match="Permission denied"):
            compiled_anew(5.5)
    finally:
        cache.chmod(0o700)


@POSIX
def test_a_folder_of_somebody_else_is_not_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_anew(6.25)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.warns(RuntimeWarning, match="another user"):
        assert not compiled_anew(6.25).cached


def test_eight_processes_that_start_at_once_share_a_cache(cache: Path) -> None:
    source = """
        import numpy, glassgrad as gg
        f = gg.jit(lambda x: [gg.numpy.tanh(x * k).sum() for k in range(1, 4)])
        print([float(v) for v in f(numpy.linspace(0, 1, 50))], f.cost().cached)
    """
    processes = [started(source, GLASSGRAD_CACHE_DIR=str(cache)) for _ in range(8)]
    assert len({finished(p).rpartition(" ")[0] for p in processes}) == 1
    assert not list(cache.glob(".part-*"))
    assert finished(started(source, GLASSGRAD_CACHE_DIR=str(cache))).endswith("True")


def test_one_entry_is_not_taken_for_another(cache: Path) -> None:
    """Programs that differ in a constant, a dtype, a size, an axis or the machine."""
    x = np.linspace(0, 1, 12).reshape(3, 4)
    for _ in range(2):
        for function, argument in [
            (lambda x: x * 2.0, x),
            (lambda x: x * 2.0000000000000004, x),
            (lambda x: x * 2.0, x.astype(np.float32)),
            (lambda x: x.sum(0), x),
            (lambda x: x.sum(1), x),
            (lambda x: x.reshape(4, 3).sum(0), x),
            (lambda x: x @ x.T, x),
            (lambda x: x.T @ x, x),
            (lambda x: gnp.linalg.inv(x @ x.T + np.eye(3)), x),
            (lambda x: gnp.linalg.pinv(x @ x.T + np.eye(3)), x),
            (lambda x: x + np.array([1.0, 5.0, 3.0, 1.0]), x),
            (lambda x: x + np.array([1.0, 5.0, 3.0, 2.0]), x),
            (lambda x: x * -0.0, x),
            (lambda x: x * 0.0, x),
            (lambda x: x + np.nan, x),
        ]:
            got, want = gg.jit(function)(argument), np.asarray(function(argument))
            np.testing.assert_allclose(got, want, rtol=1e-6 if argument.dtype == np.float32 else 1e-13)
            np.testing.assert_array_equal(np.signbit(got), np.signbit(want))
        gc.collect()


# Large programs and other machines


def depth(layers: int) -> Any:
    model = nn.MLP([16] * (layers + 1), rng=0)
    x, y = np.ones((8, 16), np.float32), np.zeros(8, int)
    step = gg.jit(gg.value_and_grad(lambda m: nn.cross_entropy(m(x), y)))
    cost = step.cost(model)
    loss, slope = step(model)
    expected, wanted = gg.value_and_grad(lambda m: nn.cross_entropy(m(x), y))(model)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    for a, b in zip(gg.tree.leaves(slope), gg.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    return cost


def test_equal_layers_share_their_kernels() -> None:
    half, whole = depth(50), depth(100)
    assert whole.kernels == half.kernels < 20
    assert whole.launches <= 2.1 * half.launches
    assert whole.arena <= 2.2 * half.arena


def test_a_long_chain() -> None:
    def chain(x: Any) -> Any:
        for k in range(1500):
            x = x * (1 - 0.001 * (k % 7)) + 0.01 if k % 100 else gnp.sin(x)
        return x.sum()

    x = np.linspace(0, 1, 10)
    np.testing.assert_allclose(gg.jit(chain)(x), chain(x), rtol=1e-10)
    np.testing.assert_allclose(gg.jit(gg.grad(chain))(x), gg.grad(chain)(x), rtol=1e-8, atol=1e-12)


def portable(x: Any, w: Any, h: Any, i: Any) -> list[Any]:
    """One of each kind of kernel."""
    y = gnp.tanh(x @ w)
    return [
        nn.softmax(y),
        gnp.exp(y) + gnp.log1p(y * y) - gnp.cbrt(y) * gnp.arctan2(y, x[:, :1]),
        y.sum(0).astype(np.float32),
        gnp.argmax(y, axis=0),
        gnp.sort(y[:, 0]),
        h * h[::-1] + 1,
        i // 3 + i % 3 - (i << 2),
        y[i],
        gnp.where(y > 0, y, y * y),
        gnp.cumsum(y, axis=1),
        gnp.power(gnp.abs(y) + 0.5, y) + gnp.fmod(y, 0.3),
        gg.random.uniform(size=7, rng=gg.random.key(3)),
    ]


def portable_arguments() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    halves = rng.normal(size=21).astype(np.float16)
    return rng.normal(size=(19, 23)), rng.normal(size=(23, 11)), halves, np.array([3, -1, 18, 0, 7])


@pytest.mark.parametrize("level", PORTABLE)
def test_other_machines_can_be_compiled_for(level: str) -> None:
    stages = gg.jit(portable).lower(*portable_arguments())
    text = stages.assembly(PORTABLE[level])
    assert re.search(r"^run:", text, re.MULTILINE)
    words = {"x86-64-v2": "xmm", "x86-64-v3": "ymm", "x86-64-v4": "zmm", "aarch64": r"v\d+\.2d"}
    assert re.search(words[level], text)
    for wider in {"x86-64-v2": ("ymm", "zmm"), "x86-64-v3": ("zmm",)}.get(level, ()):
        assert wider not in text


def runs_here(level: str) -> bool:
    """Whether this machine has what a level asks for."""
    import llvmlite.binding as llvm

    needs = {
        "x86-64-v2": ("sse4.2", "ssse3", "popcnt"),
        "x86-64-v3": ("avx2", "fma", "f16c", "bmi2"),
        "x86-64-v4": ("avx512f", "avx512vl", "avx512bw", "avx512dq"),
    }
    have = llvm.get_host_cpu_features()
    return level in needs and host().triple.startswith("x86_64") and all(have.get(f) for f in needs[level])


@pytest.mark.parametrize("level", [level for level in PORTABLE if level.startswith("x86")])
def test_code_for_lesser_machines_runs_here(level: str) -> None:
    if not runs_here(level):
        pytest.skip(f"this machine is no {level}")
    given = portable_arguments()
    executable = Executable(gg.trace(portable, *given), target=PORTABLE[level], verified=True)
    outputs = [np.empty(s.shape, s.dtype) for s in executable.specs]
    assert executable.run(given, outputs) == 0
    for got, want in zip(outputs, portable(*given), strict=True):
        want = np.asarray(getattr(want, "value", want))
        eps = {2: 1e-2, 4: 1e-6, 8: 1e-12}[want.dtype.itemsize] if want.dtype.kind == "f" else 0
        np.testing.assert_allclose(got, want, rtol=eps, atol=eps)


def test_machine_code_is_freed_with_its_function() -> None:
    def held() -> int:
        gc.collect()
        return len(library._loaded)

    function: Callable[..., Any] | None = gg.jit(lambda x: x * 123.456)
    before = held()
    assert function is not None and function(2.0) == 246.912
    assert held() == before + 1
    function = None
    assert held() == before
