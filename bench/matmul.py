"""Matrix products alone: square, tall, wide, transposed and many small ones, beside the fastest product seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from libraries import cores, normal, torch_module
from machine import peak
from rows import OURS, Outcome, Row, run_all
from targets import target
from timing import Contender, Effort

TITLE = "Matrix products, float32"
Product = Callable[[Any, Any], Any]


def plain(a: Any, b: Any) -> Any:
    return a @ b


def left(a: Any, b: Any) -> Any:
    return a.T @ b


def right(a: Any, b: Any) -> Any:
    return a @ b.T


Shape = tuple[int, ...]
# name: (product, shapes of the operands as they lie in memory, multiplications)
PRODUCTS: dict[str, tuple[Product, Shape, Shape, int]] = {
    **{f"square {n}": (plain, (n, n), (n, n), n**3) for n in (64, 128, 256, 512, 1024, 2048)},
    "tall 16384×64 @ 64×64": (plain, (16384, 64), (64, 64), 16384 * 64 * 64),
    "tall and thin 4096×784 @ 784×10": (plain, (4096, 784), (784, 10), 4096 * 784 * 10),
    "wide 64×4096 @ 4096×64": (plain, (64, 4096), (4096, 64), 64 * 4096 * 64),
    "one row 1×1024 @ 1024×1024": (plain, (1, 1024), (1024, 1024), 1024 * 1024),
    "left transposed 512": (left, (512, 512), (512, 512), 512**3),
    "right transposed 512": (right, (512, 512), (512, 512), 512**3),
    "256 of 16×16": (plain, (256, 16, 16), (256, 16, 16), 256 * 16**3),
    "128 of 64×64": (plain, (128, 64, 64), (128, 64, 64), 128 * 64**3),
}


def in_glassgrad(product: Product, a: np.ndarray, b: np.ndarray) -> Contender:
    import glassgrad as gg

    function = gg.jit(product)
    return Contender(lambda: function(a, b), lambda: function(a, b))


def in_numpy(product: Product, a: np.ndarray, b: np.ndarray) -> Contender:
    return Contender(lambda: product(a, b), lambda: product(a, b))


def in_torch(product: Product, a: np.ndarray, b: np.ndarray) -> Contender:
    torch = torch_module()
    s, t = torch.from_numpy(a), torch.from_numpy(b)
    return Contender(lambda: product(s, t), lambda: product(s, t))


def in_jax(product: Product, a: np.ndarray, b: np.ndarray) -> Contender:
    import jax

    function, s, t = jax.jit(product), jax.device_put(a), jax.device_put(b)
    return Contender(lambda: jax.block_until_ready(function(s, t)), lambda: function(s, t))


CONTENDERS = {"Glassgrad": in_glassgrad, "NumPy": in_numpy, "PyTorch": in_torch, "JAX": in_jax}


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    limit = peak(rounds=8 if quick else 40)
    rng = np.random.default_rng(0)

    def row(name: str) -> Row:
        product, left_shape, right_shape, multiplications = PRODUCTS[name]
        a, b = normal(rng, *left_shape), normal(rng, *right_shape)

        def figures(seconds: dict[str, float]) -> dict[str, float]:
            if OURS not in seconds:
                return {}
            rate = 2 * multiplications / seconds[OURS]
            return {"ours, GFLOP/s": rate / 1e9, f"ours, of the peak on {cores()} cores": rate / limit}

        contenders = {who: partial(build, product, a, b) for who, build in CONTENDERS.items()}
        return Row(name, contenders, target("matmul", name), 1e-5, figures)

    return run_all([row(name) for name in PRODUCTS], effort)
