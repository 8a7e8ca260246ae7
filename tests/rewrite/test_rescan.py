"""Scans that keep few carries: the schedule, run by hand, and its counts against the recurrence and published ones."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.rewrite.rescan import choices, every, forward_steps, keeping, pairs, schedule


@functools.cache
def fewest(length: int, places: int) -> int:
    """Griewank's recurrence: k steps forward, keep what is there, come back to it, and do the first k the same way."""
    if length == 1:
        return 0
    if places == 1:
        return length * (length - 1) // 2
    return min(k + fewest(length - k, places - 1) + fewest(k, places) for k in range(1, length))


def test_published_counts() -> None:
    """Griewank & Walther 2000, and the closed form's ends: as many places as steps, and one."""
    assert forward_steps(10, 3) == 15
    assert [forward_steps(n, n) for n in (2, 10, 100)] == [1, 9, 99]
    assert [forward_steps(n, 1) for n in (2, 10, 100)] == [1, 45, 4950]
    assert forward_steps(56, 3) == 5 * 56 - 70  # r l - β(s + 1, r - 1), where β(3, 5) = 56 steps fit exactly


@pytest.mark.parametrize("length", [1, 2, 7, 10, 23])
def test_the_schedule_meets_every_carry_in_the_fewest_steps(length: int) -> None:
    for places in range(1, length + 1):
        first, back, moves = schedule(length, places)
        assert len(moves) + length - 1 == forward_steps(length, places) == fewest(length, places)
        assert [step for step, _, _ in back] == list(range(length))[::-1]
        held = {place: step for step, place in enumerate(first)}
        assert max(held, default=0) <= places  # one more than places
        carry, done = held[first[-1]], 0
        for step, load, until in back:
            while done < until:
                assert moves[done][0] == carry
                carry += 1
                held[moves[done][1]] = carry
                done += 1
            assert carry == step
            carry = held.get(load, -1)


def test_choices_differ_in_their_counts() -> None:
    counts = [forward_steps(60, places) for places in choices(60)]
    assert counts == sorted(set(counts)) and choices(60)[0] < 60 and choices(60)[-1] == 1


def test_only_stacks_that_one_scan_goes_back_over_are_left_out() -> None:
    def both(w: object, x: object, use: bool) -> object:
        def step(h: object, _: object) -> object:
            h = gnp.tanh(h @ w)
            return h, h

        last, stack = gg.scan(step, x, length=5)
        return (last**2).sum() + (stack.sum() if use else 0.0)

    w, x = np.eye(3), np.ones((2, 3))
    for use in (False, True):
        (pair,) = pairs(gg.trace(gg.grad(functools.partial(both, use=use)), w, x).outputs)
        assert pair.length == 5 and pair.moved
    assert not every(gg.trace(functools.partial(both, use=True), w, x).outputs)


def test_the_graph_computes_the_same() -> None:
    def loss(w: object, xs: object) -> object:
        return (gg.scan(lambda h, x: (gnp.tanh(h @ w + x), None), gnp.ones((2, 3)), xs)[0] ** 2).sum()

    rng = np.random.default_rng(0)
    args = rng.normal(size=(3, 3)), rng.normal(size=(9, 2, 3))
    program = gg.trace(gg.grad(loss, (0, 1)), *args)
    expected = gg.grad(loss, (0, 1))(*args)
    for places in (1, 2, 5, 9):
        kept = type(program)(
            program.inputs, keeping(program.outputs, places), program.arguments, program.result, program.merged
        )
        for got, want in zip(kept(*args), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)
