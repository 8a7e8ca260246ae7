"""What neither a fork nor Ctrl-C may halve."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from glassgrad.lazy import undivided

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and fork")


@pytest.fixture(autouse=True)
def default_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def test_ctrl_c_waits_for_the_end_of_the_outermost_block() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), undivided:
        with undivided:
            signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]
    with undivided:  # and comes once
        pass


def test_ctrl_c_waits_where_another_thread_has_the_lock() -> None:
    held, leave, done = threading.Event(), threading.Event(), []

    def work() -> None:
        with undivided:
            held.set()
            assert leave.wait(60)
            done.append("theirs")

    thread = threading.Thread(target=work)
    thread.start()
    assert held.wait(60)

    def press(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        leave.set()

    signal.signal(signal.SIGALRM, press)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with pytest.raises(KeyboardInterrupt), undivided:
        done.append("ours")
    thread.join()
    assert done == ["theirs", "ours"]


def test_an_exception_passes_and_a_handler_of_the_users_is_called() -> None:
    seen = []
    signal.signal(signal.SIGINT, lambda *_: seen.append(len(seen)))
    with pytest.raises(ZeroDivisionError), undivided:
        signal.raise_signal(signal.SIGINT)
        assert not seen
        raise ZeroDivisionError
    assert seen == [0]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with undivided:
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)
