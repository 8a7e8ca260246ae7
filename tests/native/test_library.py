"""Compiling, loading and keeping machine code; every entry that could harm is made again."""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("llvmlite")

from glassgrad.native import disk, library
from glassgrad.native.target import PORTABLE, host

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes of files are POSIX's")


def adds(number: int) -> str:
    return f"define i64 @add(i64 %x) nounwind {{\n  %y = add i64 %x, {number}\n  ret i64 %y\n}}\n"


def call(made: library.Library, name: str, *args: int) -> int:
    function = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(args))(made.address(name))
    result: int = function(*args)
    return result


def never() -> str:
    raise AssertionError("the text was asked for")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for this test's entries, and no memory of earlier libraries or warnings."""
    place = tmp_path / "kept"
    monkeypatch.setenv(disk.VARIABLE, str(place))
    monkeypatch.setattr(disk, "_warned", False)
    library._loaded.clear()
    return place


def reload(key: str, make: Callable[[], str]) -> library.Library:
    library._loaded.clear()
    return library.load(key, make, host())


def test_code_is_compiled_loaded_and_kept(kept: Path) -> None:
    first = library.load("one", lambda: adds(1), host())
    assert call(first, "add", 41) == 42
    assert not first.cached and first.seconds > 0
    again = reload("one", never)
    assert again.cached and call(again, "add", 41) == 42
    (entry,) = kept.iterdir()
    if os.name == "posix":
        assert kept.stat().st_mode & 0o777 == 0o700
        assert entry.stat().st_mode & 0o077 == 0


def test_a_loaded_library_is_shared(kept: Path) -> None:
    first = library.load("shared", lambda: adds(1), host())
    assert library.load("shared", never, host()) is first


def test_key_target_and_generator_make_the_entry(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {library._entry_name(key, target) for key in "ab" for target in (host(), *PORTABLE.values())}
    assert len(names) == 2 * len({host(), *PORTABLE.values()})
    before = library._entry_name("a", host())
    monkeypatch.setattr(library, "_generator", lambda: "another version")
    assert library._entry_name("a", host()) != before


def test_symbols_of_the_caller_and_of_the_process(kept: Path) -> None:
    text = """
        declare i64 @ours(i64)
        declare i64 @labs(i64)
        @count = global i64 5
        define i64 @both(i64 %x) nounwind {
          %a = call i64 @labs(i64 %x)
          %b = call i64 @ours(i64 %a)
          ret i64 %b
        }
        define internal i64 @hidden(i64 %x) { ret i64 %x }
    """
    double = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: 2 * x)
    address = ctypes.cast(double, ctypes.c_void_p).value or 0
    made = library.load("symbols", lambda: text, host(), {"ours": address})
    assert call(made, "both", -21) == 42
    assert sorted(made.addresses) == ["both", "count"]
    assert ctypes.c_int64.from_address(made.address("count")).value == 5
    triple = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: 3 * x)
    other = library.load("symbols", never, host(), {"ours": ctypes.cast(triple, ctypes.c_void_p).value or 0})
    assert call(other, "both", -7) == 21


def test_a_missing_symbol_is_named(kept: Path) -> None:
    text = "declare i64 @no_such_function()\ndefine i64 @f() {\n  %x = call i64 @no_such_function()\n  ret i64 %x\n}\n"
    with pytest.raises(RuntimeError, match="no_such_function"):
        library.load("missing", lambda: text, host())
    assert list(kept.glob("*")) == []


@pytest.mark.parametrize("text", ["define i64 @f(", "define i64 @f() {\n  ret i32 0\n}\n"])
def test_wrong_text_is_refused(kept: Path, text: str) -> None:
    with pytest.raises(RuntimeError, match="error"):
        library.load("wrong", lambda: text, host())


def test_memory_is_freed_with_the_library(kept: Path) -> None:
    made = library.load("freed", lambda: adds(3), host())
    gone, address = weakref.ref(made), made.address("add")
    assert executable(address) is not False
    del made
    gc.collect()
    assert gone() is None
    assert executable(address) is not True


def executable(address: int) -> bool | None:
    """Whether there is code at an address, where the system tells."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return None
    for line in maps.read_text().splitlines():
        span, rights = line.split()[:2]
        begin, end = (int(edge, 16) for edge in span.split("-"))
        if begin <= address < end:
            return "x" in rights
    return False


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "other magic", "valid but not code"])
def test_a_damaged_entry_is_made_again(kept: Path, damage: str) -> None:
    reload("damaged", lambda: adds(1))
    (entry,) = kept.iterdir()
    good = entry.read_bytes()
    if damage == "valid but not code":
        disk.write(entry.name, b"add\0garbage")
    else:
        flipped = good[:-100] + bytes([good[-100] ^ 1]) + good[-99:]
        bad = {"truncated": good[:-1], "flipped": flipped, "empty": b"", "other magic": b"x" + good}[damage]
        entry.write_bytes(bad)
    made = reload("damaged", lambda: adds(2))
    assert not made.cached and call(made, "add", 40) == 42
    assert reload("damaged", never).cached


@posix
def test_an_entry_that_others_may_write_is_made_again(kept: Path) -> None:
    reload("shared", lambda: adds(1))
    (entry,) = kept.iterdir()
    entry.chmod(0o666)
    assert call(reload("shared", lambda: adds(2)), "add", 40) == 42
    assert entry.stat().st_mode & 0o077 == 0


@posix
def test_an_entry_of_another_user_is_not_read(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.write("entry", b"content")
    assert disk.read("entry") == b"content"
    here = disk.folder()
    monkeypatch.setattr(disk, "folder", lambda: here)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert disk.read("entry") is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_no_entry(kept: Path) -> None:
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.mkfifo(kept / "entry", 0o600)
    assert disk.read("entry") is None


@posix
def test_a_linked_entry_is_not_followed(kept: Path) -> None:
    disk.write("entry", b"content")
    (kept / "entry").rename(kept.parent / "moved")
    (kept / "entry").symlink_to(kept.parent / "moved")
    assert disk.read("entry") is None


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_to_is_not_used(kept: Path, mode: int) -> None:
    kept.mkdir()
    kept.chmod(mode)
    with pytest.warns(RuntimeWarning, match="GLASSGRAD_CACHE_DIR") as caught:
        assert call(reload("open", lambda: adds(1)), "add", 1) == 2
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not reload("open", lambda: adds(1)).cached  # told once
    assert list(kept.iterdir()) == []


@posix
def test_a_folder_of_another_user_is_not_used(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.warns(RuntimeWarning, match="another user"):
        assert disk.folder() is None


def test_a_full_disk_costs_speed_only(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        assert call(reload("full", lambda: adds(1)), "add", 1) == 2
    assert list(kept.iterdir()) == []


def test_a_folder_that_cannot_be_made_costs_speed_only(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.write_text("a file")
    monkeypatch.setenv(disk.VARIABLE, str(kept / "below"))
    with pytest.warns(RuntimeWarning, match="not kept"):
        assert call(reload("file", lambda: adds(1)), "add", 1) == 2


@pytest.mark.parametrize("word", ["", "off", "OFF"])
def test_it_can_be_switched_off(kept: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv(disk.VARIABLE, word)
    assert disk.folder() is None
    assert not reload("off", lambda: adds(1)).cached
    assert not reload("off", lambda: adds(1)).cached


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG's folders")
def test_the_usual_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(disk.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert disk.folder() == tmp_path / "glassgrad"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert disk.folder() == tmp_path / "home" / ".cache" / "glassgrad"


def test_the_oldest_entries_are_removed(kept: Path) -> None:
    for i in range(10):
        disk.write(f"entry{i}", bytes(1000))
        os.utime(kept / f"entry{i}", (1000 + i, 1000 + i))
    disk.sweep(kept, limit=20_000)
    assert len(list(kept.iterdir())) == 10
    disk.sweep(kept, limit=9000, kept=5500)
    assert sorted(p.name for p in kept.iterdir()) == [f"entry{i}" for i in range(5, 10)]


def test_what_is_used_is_not_the_oldest(kept: Path) -> None:
    disk.write("entry", b"content")
    os.utime(kept / "entry", (1000, 1000))
    disk.read("entry")
    assert (kept / "entry").stat().st_mtime > 2000


def test_threads_compile_at_once(kept: Path) -> None:
    results: list[int] = []

    def work(number: int) -> None:
        for i in range(number, number + 5):
            made = library.load(f"thread {i}", functools.partial(adds, i), host())
            results.append(call(made, "add", 0) - i)
            assert "ret" in library.assembly(adds(number), host())

    crowd = [threading.Thread(target=work, args=(10 * n,)) for n in range(4)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert results == [0] * 20


PROCESS = """
import ctypes, sys
from glassgrad.native import library
from glassgrad.native.target import host
for i in range(6):
    text = "define i64 @add(i64 %x) {\\n  %y = add i64 %x, " + str(i) + "\\n  ret i64 %y\\n}"
    made = library.load(f"key {i}", lambda: text, host())
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(made.address("add"))(1) == 1 + i
"""


def test_processes_that_start_at_once_share_a_folder(kept: Path) -> None:
    source = Path(library.__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": str(source), disk.VARIABLE: str(kept)}
    crowd = [subprocess.Popen([sys.executable, "-W", "error", "-c", PROCESS], env=env) for _ in range(4)]
    assert [process.wait(timeout=60) for process in crowd] == [0] * 4
    assert len([p for p in kept.iterdir() if not p.name.startswith(".")]) == 6
    assert list(kept.glob(".part-*")) == []


def test_passes_are_run_and_other_machines_can_be_shown(kept: Path) -> None:
    text = """
        define internal i64 @twice(i64 %x) alwaysinline { %y = shl i64 %x, 1
          ret i64 %y }
        define i64 @sum(ptr %a, i64 %n) nounwind {
          %s = alloca i64
          %i = alloca i64
          store i64 0, ptr %s
          store i64 0, ptr %i
          br label %head
        head:
          %k = load i64, ptr %i
          %more = icmp slt i64 %k, %n
          br i1 %more, label %body, label %done
        body:
          %p = getelementptr i64, ptr %a, i64 %k
          %v = load i64, ptr %p
          %w = call i64 @twice(i64 %v)
          %t = load i64, ptr %s
          %u = add i64 %t, %w
          store i64 %u, ptr %s
          %l = add i64 %k, 1
          store i64 %l, ptr %i
          br label %head
        done:
          %r = load i64, ptr %s
          ret i64 %r
        }
    """
    better = library.optimised(text, host())
    assert "alloca" not in better and "@twice" not in better
    numbers = (ctypes.c_int64 * 5)(1, 2, 3, 4, 5)
    assert call(library.load("sum", lambda: text, host()), "sum", ctypes.addressof(numbers), 5) == 30
    assert "add\tx" in library.assembly(text, PORTABLE["aarch64"])
    assert "%r" in library.assembly(text, PORTABLE["x86-64-v2"])
