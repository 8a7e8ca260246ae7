"""What the libraries are set to, and the few words in which glassgrad.numpy, jax.numpy and autograd.numpy differ.

A model or objective is written once with these words, for the libraries that follow NumPy; PyTorch's is its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy


def cores() -> int:
    """Cores this process may use: everybody's number of threads."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def torch_module() -> Any:
    """PyTorch, on as many threads as the others have."""
    import torch

    torch.set_num_threads(cores())
    return torch


@contextmanager
def double_precision() -> Iterator[None]:
    """JAX keeps float64 inside; it is left alone where it is missing."""
    try:
        import jax
    except ImportError:
        yield
        return
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", False)


@dataclass(frozen=True)
class Library:
    """Functions by which libraries that follow NumPy differ."""

    np: Any
    relu: Callable[[Any], Any]
    gelu: Callable[[Any], Any]
    sigmoid: Callable[[Any], Any]
    softmax: Callable[[Any], Any]
    logsumexp: Callable[..., Any]
    cross_entropy: Callable[[Any, Any], Any]  # logits, integer labels -> mean
    scan: Callable[..., Any]  # f(carry, x) -> (carry, y), as jax.lax.scan


def glassgrad_library() -> Library:
    import glassgrad as gg

    nn, special = gg.nn, gg.special
    return Library(
        np=gg.numpy,
        relu=nn.relu,
        gelu=nn.gelu,
        sigmoid=nn.sigmoid,
        softmax=nn.softmax,
        logsumexp=special.logsumexp,
        cross_entropy=nn.cross_entropy,
        scan=getattr(gg, "scan", unrolled),
    )


def jax_library() -> Library:
    import jax
    import jax.numpy as jnp

    def cross_entropy(logits: Any, labels: Any) -> Any:
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1))

    return Library(
        np=jnp,
        relu=jax.nn.relu,
        gelu=jax.nn.gelu,
        sigmoid=jax.nn.sigmoid,
        softmax=jax.nn.softmax,
        logsumexp=jax.scipy.special.logsumexp,
        cross_entropy=cross_entropy,
        scan=jax.lax.scan,
    )


def unrolled(f: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any) -> tuple[Any, Any]:
    """A scan as a Python loop, of which only the last carry is wanted."""
    for i in range(len(xs)):
        carry, _ = f(carry, xs[i])
    return carry, None


def normal(rng: numpy.random.Generator, *shape: int, scale: float = 1.0) -> numpy.ndarray:
    """Normal float32 numbers."""
    return (scale * rng.standard_normal(shape)).astype(numpy.float32)
