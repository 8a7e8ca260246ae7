"""Fourier transforms: every function, length, axis and norm against NumPy; gradients against PyTorch, differences."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.errors import DtypeError, ShapeError, UnsupportedError
from glassgrad.numpy import fft

RNG = np.random.default_rng(3)
REAL = RNG.normal(size=(3, 6, 5))
COMPLEX = REAL + 1j * RNG.normal(size=REAL.shape)
NORMS = [None, "backward", "ortho", "forward"]
FROM_REAL = ("rfft", "ihfft", "rfft2", "rfftn")
ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
TWO = ("fft2", "ifft2", "rfft2", "irfft2")
SEVERAL = ("fftn", "ifftn", "rfftn", "irfftn")


def given(name: str) -> Any:
    return REAL if name in FROM_REAL else COMPLEX


def scalar(y: Any) -> Any:
    rng = np.random.default_rng(y.size)
    return gnp.sum(gnp.real(y * (rng.normal(size=y.shape) + 1j * rng.normal(size=y.shape))))


def agree(name: str, x: Any, **options: Any) -> None:
    ours, theirs = getattr(fft, name)(x, **options), getattr(np.fft, name)(x, **options)
    assert isinstance(ours, gg.Array)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours.value, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ONE)
def test_one_axis(name: str, norm: str | None) -> None:
    for axis in (0, 1, -1):
        for n in (None, 1, 2, 3, 4, 7, 8):
            agree(name, given(name), n=n, axis=axis, norm=norm)
    agree(name, REAL, n=6)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", TWO + SEVERAL)
def test_several_axes(name: str, norm: str | None) -> None:
    agree(name, given(name), norm=norm)
    for axes in ((0, 1), (2, 0), (-1, -2)):
        for s in (None, (4, 4), (7, 3), (2, -1)):
            agree(name, given(name), s=s, axes=axes, norm=norm)
    agree(name, REAL[::-1, ::2])


@pytest.mark.parametrize("name", SEVERAL)
def test_all_or_some_axes_of_fftn(name: str) -> None:
    agree(name, given(name), axes=(1,))
    agree(name, given(name), s=(2, 3, 8), axes=(0, 1, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.int64, np.bool_, np.float16])
def test_dtypes(dtype: Any) -> None:
    x = np.ones(4, dtype)
    for name in ONE:
        if np.iscomplexobj(x) and name in FROM_REAL:
            continue
        assert getattr(fft, name)(x).dtype == getattr(np.fft, name)(x).dtype
    gradient = gg.grad(lambda a: gnp.sum(gnp.abs(fft.fft(a)) ** 2))(x) if x.dtype.kind in "fc" else x
    assert gradient.dtype == dtype


def test_shifts_and_frequencies() -> None:
    for axes in (None, 0, (1, 2), (-1,)):
        for name in ("fftshift", "ifftshift"):
            np.testing.assert_array_equal(getattr(fft, name)(REAL, axes).value, getattr(np.fft, name)(REAL, axes))
    for n in (1, 4, 5):
        np.testing.assert_array_equal(fft.fftfreq(n, 0.1).value, np.fft.fftfreq(n, 0.1))
        np.testing.assert_array_equal(fft.rfftfreq(n, 0.1).value, np.fft.rfftfreq(n, 0.1))


def test_signatures_are_numpys() -> None:
    for name in fft.__all__:
        wanted = [p for p in inspect.signature(getattr(np.fft, name)).parameters if p != "out"]
        ours = [p for p in inspect.signature(getattr(fft, name)).parameters if p != "out"]
        assert ours == wanted + ["dtype"] * name.endswith("freq"), name  # of the array API standard


CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {"n": n, "norm": norm}) for name in ONE for n in (None, 1, 2, 4, 5, 8) for norm in ("backward", "ortho")),
    *((name, {"s": s, "norm": "forward"}) for name in TWO for s in (None, (4, 7), (8, 2))),
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}-{'-'.join(map(str, o.values()))}" for n, o in CASES])
def test_gradients_are_pytorchs(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    x = given(name)
    ours = gg.grad(lambda a: scalar(getattr(fft, name)(a, **options)))(x)
    leaf = torch.tensor(x, requires_grad=True)
    y = getattr(torch.fft, name)(leaf, **options)
    rng = np.random.default_rng(y.numel())
    w = torch.tensor(rng.normal(size=y.shape) + 1j * rng.normal(size=y.shape))
    torch.sum(torch.real(y * w)).backward()
    np.testing.assert_allclose(ours, leaf.grad.resolve_conj().numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ONE + TWO + SEVERAL)
def test_derivatives_against_finite_differences(name: str) -> None:
    x = given(name)[:2, :3, :4]
    assert gg.check_grads(lambda a: gnp.abs(getattr(fft, name)(a)) ** 2, (x,), 2).compared


def test_a_complex_transform_of_a_real_array_has_a_real_gradient() -> None:
    gradient = gg.grad(lambda a: gnp.sum(gnp.abs(fft.fft2(a)) ** 2))(REAL[0])
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, 2 * REAL[0].size * REAL[0])  # Parseval


def test_what_a_mask_discards_leaves_the_rest_alone() -> None:
    """All elements of a transform depend on all of its input, so a mask after it does not mask its input."""
    keep = np.arange(6) % 2 == 0
    gradient = gg.grad(lambda a: gnp.sum(gnp.where(keep, gnp.abs(fft.fft(a)) ** 2, 0)))(REAL[0, :, 0])
    power = gg.grad(lambda a: gnp.sum(gnp.abs(fft.fft(a)) ** 2 * keep))(REAL[0, :, 0])
    np.testing.assert_allclose(gradient, power)


@pytest.mark.parametrize("shift", ["fftshift", "ifftshift"])
def test_gradient_of_a_shift(shift: str) -> None:
    w = RNG.normal(size=REAL.shape)
    gradient = gg.grad(lambda a: gnp.sum(getattr(fft, shift)(a) * w))(REAL)
    opposite = {"fftshift": np.fft.ifftshift, "ifftshift": np.fft.fftshift}[shift]
    np.testing.assert_array_equal(gradient, opposite(w))


def test_a_traced_transform_is_the_eager_one() -> None:
    def program(a: Any) -> Any:
        return fft.irfft(fft.rfft(a, 7) * 2.0, 7), fft.fftn(a, (4, -1), (0, 1)), fft.fftshift(a)

    for traced, eager in zip(gg.trace(program, REAL[0])(REAL[0]), program(REAL[0]), strict=True):
        np.testing.assert_array_equal(traced, eager.value)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: fft.fft(REAL, 0), ShapeError, r"Invalid number of data points \(0\)"),
        (lambda: fft.fft(REAL, norm="orthogonal"), ValueError, 'should be "backward", "ortho" or "forward"'),
        (lambda: fft.fft(REAL, axis=3), np.exceptions.AxisError, "axis 3 is out of bounds"),
        (lambda: fft.fftn(REAL, (2, 2), (0,)), ShapeError, "2 sizes for 1 axes at test_fft.py"),
        (lambda: fft.rfft(COMPLEX), DtypeError, r"needs real input: got complex128 at test_fft.py.*use fft"),
        (lambda: fft.irfft(np.ones(1)), ShapeError, "Invalid number of data points"),
        (lambda: fft.rfftn(REAL, axes=()), ShapeError, "one axis at least"),
        (lambda: fft.irfftn(REAL, axes=()), ShapeError, "one axis at least"),
        (lambda: fft.fft(REAL, out=np.ones(3)), UnsupportedError, "immutable"),
        (lambda: fft.fft(np.float64(3.0)), np.exceptions.AxisError, "out of bounds"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()
