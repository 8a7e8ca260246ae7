"""Products of 16-bit floats: what is left, and that it is float32 inside."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import glassgrad.numpy as gnp
from tests.rewrite.programs import ops

A, B = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)


@pytest.mark.parametrize("narrow", [np.float16, ml_dtypes.bfloat16])
def test_products(narrow: Any) -> None:
    half = A.astype(narrow)
    for function, other, left in (
        (lambda a, b: a @ b, B.astype(narrow), ["cast", "cast", "matmul", "cast"]),
        (lambda a, b: gnp.einsum("ij,kj->ik", a, b), B.astype(narrow), ["cast", "cast", "einsum", "cast"]),
        (lambda a, b: a @ b, B, ["cast", "matmul"]),
        (lambda a, b: a @ b, B.astype(float), ["cast", "matmul"]),
    ):
        assert ops(function, half, other) == left


def test_other_products_are_left_alone() -> None:
    assert ops(lambda a, b: a @ b, A, B) == ["matmul"]
