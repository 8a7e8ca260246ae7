"""Watched operations: each thread has watchers of its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.errors import NonFiniteError
from glassgrad.graph.apply import watched, watching


def test_the_innermost_of_a_thread_is_told() -> None:
    told: list[str] = []
    with watched(lambda op, *_: told.append(f"outer {op.name}")):
        with watched(lambda op, *_: told.append(f"inner {op.name}")):
            gg.variable(1.0) + 2.0
        gg.variable(1.0) * 2.0
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(watching).result() is None
    assert told == ["inner add", "outer mul"] and watching() is None


def test_threads_that_watch_at_once_each_find_their_own() -> None:
    """In whatever order their blocks begin and end."""
    entered, left = threading.Event(), threading.Event()

    def first() -> None:
        with pytest.raises(NonFiniteError), gg.trace_nan():
            entered.set()
            assert left.wait(60)  # the other's block has ended inside of this one
            gg.grad(lambda x: gnp.sqrt(x * x))(0.0)
        gg.grad(lambda x: gnp.sqrt(x * x))(0.0)  # no longer watched

    def second() -> list[int]:
        assert entered.wait(60)
        try:
            gg.grad(lambda x: gnp.sqrt(x * x))(0.0)  # not this thread's concern
            opened = [
                len(gg.explain(lambda c: gg.scan(lambda c, r: (c * r, None), c, np.ones(3))[0], 2.0, loops=loops).nodes)
                for loops in (False, None)
            ]
            with pytest.raises(NonFiniteError), gg.trace_nan():
                gg.grad(lambda x: gnp.sqrt(x))(0.0)
            return opened
        finally:
            left.set()

    with np.errstate(all="ignore"), ThreadPoolExecutor(2) as pool:
        found = pool.submit(first), pool.submit(second)
        found[0].result()
        closed, opened = found[1].result()
    assert opened > closed
