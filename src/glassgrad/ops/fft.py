"""Discrete Fourier transforms of every kind in NumPy, made of three linear ops.

The adjoint of a transform is the opposite transform with the scale on the other side, so each VJP is an op of this
file. Padding and truncation are separate views. Single precision stays single, as in NumPy 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import dtype_of, real_dtype
from ..errors import DtypeError, ShapeError
from ..graph.apply import apply
from ..graph.node import Spec, Value, shape_of
from ..graph.origin import here
from ..graph.primitive import Contraction, Samples
from . import elementwise as ew
from . import logic, view

Axes = Sequence[int] | None

_OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _cases(rng: np.random.Generator, real: bool, **params: Any) -> list[Any]:
    """One case per norm."""
    found = []
    for norm in _OPPOSITE:
        x = rng.normal(size=(3, 5, 4)) + (0 if real else 1j * rng.normal(size=(3, 5, 4)))
        found.append(((x[::-1],), {"norm": norm, **params}))
    return found


class Fft(Contraction):
    """y = F x over ``axes``, y_k = Σ x_n e^(∓2πi kn/N), the sign + for ``inverse``.  x̄ = Fᴴ ȳ"""

    linear = True
    eval = staticmethod(
        lambda x, *, axes, norm, inverse: (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=axes, norm=norm)
    )
    infer = classmethod(lambda cls, x, **params: Spec(x.shape, np.fft.fft(np.ones(1, x.dtype)).dtype))

    @staticmethod
    def vjp(g: Value, y: Value, x: Value, *, axes: tuple[int, ...], norm: str, inverse: bool) -> tuple[Value]:
        return (apply(Fft, (g,), {"axes": axes, "norm": _OPPOSITE[norm], "inverse": not inverse}),)

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], x: Value, *, axes: tuple[int, ...], **params: Any) -> Value:
        return apply(Fft, (x,), {"axes": tuple(i + 1 for i in axes), **params})

    samples = Samples(
        cases=lambda rng: [
            *_cases(rng, True, axes=(1,), inverse=False),
            *_cases(rng, False, axes=(0, 2), inverse=False),
            *_cases(rng, False, axes=(2, 1), inverse=True),
        ]
    )


def _multiplicity(n: int, axis: int, like: Value) -> Any:
    """How many frequencies of a real signal of length n each kept one stands for: 1 at both ends, 2 between."""
    count = np.full(n // 2 + 1, 2, real_dtype(dtype_of(like)))
    count[0] = 1
    if n % 2 == 0:
        count[-1] = 1
    return count.reshape([-1 if i == axis else 1 for i in range(len(shape_of(like)))])


class Rfft(Contraction):
    """y = the non-negative frequencies of a real x along ``axis``.

    x̄ = Re Fᴴ ȳ over those frequencies; irfft counts all but those at the ends twice.
    """

    linear = True
    eval = staticmethod(lambda x, *, axis, norm: np.fft.rfft(x, axis=axis, norm=norm))
    batch = staticmethod(lambda size, over, x, *, axis, norm: apply(Rfft, (x,), {"axis": axis + 1, "norm": norm}))

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        (x,), axis = specs, params["axis"]
        shape = tuple(size // 2 + 1 if i == axis else size for i, size in enumerate(x.shape))
        return Spec(shape, np.fft.rfft(np.ones(1, x.dtype)).dtype)

    @staticmethod
    def vjp(g: Value, y: Value, x: Value, *, axis: int, norm: str) -> tuple[Value]:
        n = shape_of(x)[axis]
        return (apply(Irfft, (g / _multiplicity(n, axis, g),), {"n": n, "axis": axis, "norm": _OPPOSITE[norm]}),)

    samples = Samples(
        cases=lambda rng: [
            *_cases(rng, True, axis=1),
            *_cases(rng, True, axis=2),
        ]
    )


class Irfft(Contraction):
    """y = the real signal of length ``n`` whose non-negative frequencies along ``axis`` are x."""

    linear = True
    eval = staticmethod(lambda x, *, n, axis, norm: np.fft.irfft(x, n, axis=axis, norm=norm))
    batch = staticmethod(lambda size, over, x, *, axis, **params: apply(Irfft, (x,), {"axis": axis + 1, **params}))

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        (x,), n, axis = specs, params["n"], params["axis"]
        shape = tuple(n if i == axis else size for i, size in enumerate(x.shape))
        return Spec(shape, np.fft.irfft(np.ones(1, x.dtype), 1).dtype)

    @staticmethod
    def vjp(g: Value, y: Value, x: Value, *, n: int, axis: int, norm: str) -> tuple[Value]:
        spectrum = apply(Rfft, (g,), {"axis": axis, "norm": _OPPOSITE[norm]})
        return (spectrum * _multiplicity(n, axis, g),)

    samples = Samples(
        cases=lambda rng: [
            *_cases(rng, False, axis=1, n=8),
            *_cases(rng, False, axis=0, n=5),
        ]
    )


def _scale(norm: str | None) -> str:
    if norm is None:
        return "backward"
    if norm not in _OPPOSITE:
        raise ValueError(f'fft: Invalid norm value {norm!r}; should be "backward", "ortho" or "forward"')
    return norm


def _resize(x: Value, axis: int, n: int) -> Value:
    """x cut off or filled with zeros at the end of an axis, to length n."""
    if n < 1:
        raise ShapeError(f"fft: Invalid number of data points ({n}) specified along axis {axis} at {here(3)}")
    shape = shape_of(x)
    if n < shape[axis]:
        return x[(*(slice(None),) * axis, slice(n))]
    if n > shape[axis]:
        return view.pad(x, [(0, n - shape[axis] if i == axis else 0) for i in range(len(shape))])
    return x


def _plan(x: Value, s: Sequence[int] | None, axes: Axes, half: bool = False) -> tuple[tuple[int, ...], list[int]]:
    """Axes, non-negative, and the length of the transform along each. A length of -1 means all of the axis.

    With ``half`` the last axis of x holds the non-negative frequencies only.
    """
    shape = shape_of(x)
    ndim = len(shape)
    if axes is None:
        axes = range(ndim) if s is None else range(ndim - len(s), ndim)
    places = tuple(int(np.lib.array_utils.normalize_axis_index(a, ndim)) for a in axes)
    if s is not None and len(s) != len(places):
        raise ShapeError(
            f"fft: s and axes must be of one length: got {len(s)} sizes for {len(places)} axes at {here(3)}"
        )
    sizes = (
        [shape[a] for a in places]
        if s is None
        else [shape[a] if n == -1 else int(n) for n, a in zip(s, places, strict=True)]
    )
    if half and places and s is None:
        sizes[-1] = 2 * (shape[places[-1]] - 1)
    return places, sizes


def _real(name: str, x: Value) -> None:
    if logic.is_complex(x):
        raise DtypeError(f"{name}: needs real input: got {dtype_of(x)} at {here(3)}; use fft, or x.real")


def _transform(x: Value, s: Sequence[int] | None, axes: Axes, norm: str | None, inverse: bool) -> Value:
    scale = _scale(norm)
    places, sizes = _plan(x, s, axes)
    for axis, n in zip(places, sizes, strict=True):
        x = _resize(x, axis, n)
    return apply(Fft, (x,), {"axes": places, "norm": scale, "inverse": inverse}) if places else x


def _only(axis: int, n: int | None) -> tuple[list[int] | None, list[int]]:
    return (None if n is None else [n]), [axis]


def fft(a: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """The discrete Fourier transform along one axis, cut or filled with zeros to length n first."""
    return _transform(a, *_only(axis, n), norm, False)


def ifft(a: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """The inverse of fft."""
    return _transform(a, *_only(axis, n), norm, True)


def fftn(a: Value, s: Sequence[int] | None = None, axes: Axes = None, norm: str | None = None) -> Value:
    """The transform along several axes, all by default."""
    return _transform(a, s, axes, norm, False)


def ifftn(a: Value, s: Sequence[int] | None = None, axes: Axes = None, norm: str | None = None) -> Value:
    """The inverse of fftn."""
    return _transform(a, s, axes, norm, True)


def fft2(a: Value, s: Sequence[int] | None = None, axes: Axes = (-2, -1), norm: str | None = None) -> Value:
    """The transform along two axes."""
    return _transform(a, s, axes, norm, False)


def ifft2(a: Value, s: Sequence[int] | None = None, axes: Axes = (-2, -1), norm: str | None = None) -> Value:
    """The inverse of fft2."""
    return _transform(a, s, axes, norm, True)


def rfftn(a: Value, s: Sequence[int] | None = None, axes: Axes = None, norm: str | None = None) -> Value:
    """The transform of a real array, the last of the axes holding non-negative frequencies only."""
    _real("rfftn", a)
    scale = _scale(norm)
    places, sizes = _plan(a, s, axes)
    if not places:
        raise ShapeError(f"rfftn: one axis at least must be transformed: got none of {shape_of(a)} at {here(2)}")
    for axis, n in zip(places, sizes, strict=True):
        a = _resize(a, axis, n)
    half = apply(Rfft, (a,), {"axis": places[-1], "norm": scale})
    return apply(Fft, (half,), {"axes": places[:-1], "norm": scale, "inverse": False}) if places[:-1] else half


def irfftn(a: Value, s: Sequence[int] | None = None, axes: Axes = None, norm: str | None = None) -> Value:
    """The inverse of rfftn; the length along the last axis is 2 (m - 1) unless ``s`` says otherwise."""
    scale = _scale(norm)
    places, sizes = _plan(a, s, axes, half=True)
    if not places:
        raise ShapeError(f"irfftn: one axis at least must be transformed: got none of {shape_of(a)} at {here(2)}")
    for axis, n in zip(places[:-1], sizes[:-1], strict=True):
        a = _resize(a, axis, n)
    if places[:-1]:
        a = apply(Fft, (a,), {"axes": places[:-1], "norm": scale, "inverse": True})
    if sizes[-1] < 1:
        raise ShapeError(f"irfft: Invalid number of data points ({sizes[-1]}) specified at {here(2)}; pass n")
    a = _resize(a, places[-1], sizes[-1] // 2 + 1)
    return apply(Irfft, (a,), {"n": sizes[-1], "axis": places[-1], "norm": scale})


def rfft(a: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """The non-negative frequencies of a real array along one axis.  [..., N] -> [..., N // 2 + 1]"""
    return rfftn(a, *_only(axis, n), norm)


def irfft(a: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """The inverse of rfft; pass n where the length was odd."""
    return irfftn(a, *_only(axis, n), norm)


def rfft2(a: Value, s: Sequence[int] | None = None, axes: Axes = (-2, -1), norm: str | None = None) -> Value:
    """The transform of a real array along two axes."""
    return rfftn(a, s, axes, norm)


def irfft2(a: Value, s: Sequence[int] | None = None, axes: Axes = (-2, -1), norm: str | None = None) -> Value:
    """The inverse of rfft2."""
    return irfftn(a, s, axes, norm)


def hfft(a: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """The real spectrum of a signal with Hermitian symmetry, of which half is given."""
    return irfft(ew.conj(a), n, axis, _OPPOSITE[_scale(norm)])


def ihfft(a: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """The inverse of hfft."""
    return ew.conj(rfft(a, n, axis, _OPPOSITE[_scale(norm)]))


def _shift(x: Value, axes: int | Axes, half: Any) -> Value:
    ndim = len(shape_of(x))
    places = range(ndim) if axes is None else [axes] if isinstance(axes, (int, np.integer)) else list(axes)
    return view.roll(x, [half(shape_of(x)[a]) for a in places], list(places))


def fftshift(x: Value, axes: int | Axes = None) -> Value:
    """The zero frequency moved to the middle."""
    return _shift(x, axes, lambda n: n // 2)


def ifftshift(x: Value, axes: int | Axes = None) -> Value:
    """The inverse of fftshift."""
    return _shift(x, axes, lambda n: -(n // 2))
