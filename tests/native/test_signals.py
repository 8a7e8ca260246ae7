"""A long native loop ends when a signal's handler raises, and everything works on afterwards."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")


class Stopped(Exception):
    pass


def repeated(rounds: int) -> Any:
    return gg.jit(lambda x: gg.fori_loop(0, rounds, lambda i, c: gnp.tanh(c @ x), x))


@pytest.fixture
def alarm() -> Any:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals come to the main thread")

    def stop(number: int, frame: Any) -> None:
        raise Stopped

    before = signal.signal(signal.SIGALRM, stop)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_handler_ends_a_loop_of_minutes(alarm: Any) -> None:
    x = np.eye(100) * 0.5
    long, short = repeated(10_000_000), repeated(3)
    expected = short(x)
    assert long.lower(x).executable.plain  # compiled before the alarm is set
    alarm(0.2)
    started = time.monotonic()
    with pytest.raises(Stopped):
        long(x)
    assert time.monotonic() - started < 60  # of the many minutes that all rounds take
    np.testing.assert_array_equal(short(x), expected)
    alarm(0.2)
    with pytest.raises(Stopped):
        long(x)


def test_a_handler_ends_a_loop_that_has_no_end(alarm: Any) -> None:
    endless = gg.jit(lambda x: gg.while_loop(lambda c: c.sum() > -1.0, lambda c: gnp.sin(c) + 1.0, x))
    assert endless.lower(np.ones(3)).executable.plain
    alarm(0.2)
    with pytest.raises(Stopped):
        endless(np.ones(3))
    assert endless(np.full(3, -2.0)).tolist() == [-2.0] * 3


def test_short_loops_do_not_look(alarm: Any) -> None:
    assert "signals" not in repeated(3).lower(np.eye(4)).loops
    assert "signals" in repeated(10_000_000).lower(np.eye(100)).loops
