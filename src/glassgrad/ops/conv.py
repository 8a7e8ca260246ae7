"""Convolution over any number of axes: one bilinear op, whose two cotangents are convolutions again.

As in PyTorch and JAX ``conv`` is a cross-correlation: the kernel is not turned over. ``convolve`` turns it over.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import ShapeError
from ..graph.apply import apply
from ..graph.node import Spec, Value, shape_of
from ..graph.origin import here
from ..graph.primitive import Contraction, Samples
from . import elementwise as ew
from . import view

Sizes = int | Sequence[int]
Padding = str | int | Sequence[int] | Sequence[tuple[int, int]]

_BLOCK = 1 << 22  # elements of unfolded windows held at a time


@dataclass(frozen=True, slots=True)
class _Geometry:
    """How windows lie along one axis.

    Attributes
    ----------
    size, kernel : lengths of the input and of the kernel
    stride : steps between windows
    low, high : zeros added at both ends, or elements cut off where negative
    spread : steps between elements of the input, with zeros between them
    dilation : steps between elements of the kernel
    """

    size: int
    kernel: int
    stride: int
    low: int
    high: int
    spread: int
    dilation: int

    @property
    def spread_size(self) -> int:
        return (self.size - 1) * self.spread + 1 if self.size else 0

    @property
    def reach(self) -> int:
        return (self.kernel - 1) * self.dilation + 1 if self.kernel else 0

    @property
    def windows(self) -> int:
        return max((self.spread_size + self.low + self.high - self.reach) // self.stride + 1, 0)

    @property
    def excess(self) -> int:
        """Padding at the end that makes the opposite convolutions give the right lengths."""
        return (self.windows - 1) * self.stride + self.reach - self.spread_size - self.low


def _geometry(x: tuple[int, ...], w: tuple[int, ...], params: dict[str, Any]) -> list[_Geometry]:
    return [
        _Geometry(n, k, s, low, high, b, d)
        for n, k, s, (low, high), b, d in zip(
            x[2:], w[2:], params["stride"], params["padding"], params["spread"], params["dilation"], strict=True
        )
    ]


def _laid_out(x: Any, axes: list[_Geometry]) -> Any:
    """x with zeros between its elements and around, or elements cut off."""
    lead = x.shape[:2]
    if all(a.spread == 1 and not a.low and not a.high for a in axes):
        return x
    out = np.zeros((*lead, *(max(a.spread_size + a.low + a.high, 0) for a in axes)), x.dtype)
    target, source = [slice(None)] * 2, [slice(None)] * 2
    for a, total in zip(axes, out.shape[2:], strict=True):
        first = max(-(a.low // a.spread), 0) if a.low < 0 else 0  # the first element that is not cut off
        last = min((total - 1 - a.low) // a.spread + 1, a.size) if total > a.low else 0
        start = first * a.spread + a.low
        target.append(slice(start, start + max(last - first, 0) * a.spread, a.spread))
        source.append(slice(first, max(last, first)))
    out[tuple(target)] = x[tuple(source)]
    return out


def _conv(x: Any, w: Any, **params: Any) -> Any:
    groups = params["groups"]
    axes = _geometry(x.shape, w.shape, params)
    counts = tuple(a.windows for a in axes)
    dtype = np.result_type(x, w)
    out = np.zeros((x.shape[0], w.shape[0], *counts), dtype)
    if not out.size or not w.size:
        return out
    laid = _laid_out(x, axes)
    if laid.shape[:2] == (1, 1) and out.shape[1] == 1 and len(axes) == 1 and axes[0].dilation == axes[0].stride == 1:
        out[0, 0] = np.correlate(laid[0, 0], np.conjugate(w[0, 0]), "valid")
        return out
    d = len(axes)
    windows = sliding_window_view(laid, tuple(a.reach for a in axes), tuple(range(2, 2 + d)))
    chosen = [slice(None), slice(None), *(slice(None, None, a.stride) for a in axes)]
    windows = windows[(*chosen, *(slice(None, None, a.dilation) for a in axes))]
    kernel = w.reshape(groups, w.shape[0] // groups, -1)  # [G, O/G, C/G K]
    each = windows.size // (len(x) * counts[0]) if d else windows.size // len(x)
    rows = max(_BLOCK // max(each, 1), 1)  # windows along the first axis that fit in a block
    samples = max(rows // counts[0], 1) if d else rows
    for n, p in itertools.product(range(0, len(x), samples), range(0, counts[0] if d else 1, rows)):
        part = windows[n : n + samples, :, p : p + rows] if d else windows[n : n + samples]
        size, shape = len(part), part.shape[2 : 2 + d]
        grouped = part.reshape(size, groups, -1, *part.shape[2:]) if groups > 1 else part[:, None]
        # [n, G, C/G, P..., K...] -> [G, n P, C/G K]
        order = (1, 0, *range(3, 3 + d), 2, *range(3 + d, 3 + 2 * d))
        unfolded = grouped.transpose(order).reshape(groups, size * math.prod(shape), -1)
        product = np.matmul(unfolded, np.swapaxes(kernel, -1, -2))  # [G, n P, O/G]
        product = product.reshape(groups, size, *shape, -1).transpose(1, 0, 2 + d, *range(2, 2 + d))
        place = (slice(n, n + samples), slice(None), *([slice(p, p + rows)] if d else []))
        out[place] = product.reshape(size, -1, *shape)
    return out


def _turned(w: Value, groups: int) -> Value:
    """A kernel turned over, with its inputs and outputs exchanged.  [G O, C, K...] -> [G C, O, K...]"""
    o, c, *k = shape_of(w)
    d = len(k)
    split = view.reshape(ew.conj(w), (groups, o // groups, c, *k))
    swapped = view.reshape(view.swapaxes(split, 1, 2), (groups * c, o // groups, *k))
    return view.flip(swapped, tuple(range(2, 2 + d))) if d else swapped


def _cotangent_x(g: Value, y: Value, x: Value, w: Value, **params: Any) -> Value:
    axes = _geometry(shape_of(x), shape_of(w), params)
    return apply(
        Conv,
        (g, _turned(w, params["groups"])),
        {
            "stride": params["spread"],
            "padding": tuple(
                (a.reach - 1 - a.low, a.spread_size + a.low - (a.windows - 1) * a.stride - 1) for a in axes
            ),
            "spread": params["stride"],
            "dilation": params["dilation"],
            "groups": params["groups"],
        },
    )


def _cotangent_w(g: Value, y: Value, x: Value, w: Value, **params: Any) -> Value:
    groups = params["groups"]
    axes = _geometry(shape_of(x), shape_of(w), params)
    n, c, *size = shape_of(x)
    o, count = shape_of(w)[0], shape_of(g)[2:]
    # Channels become the batch, samples the channels: [N, G C, S...] -> [C, G N, S...], [N, O, P...] -> [O, N, P...]
    inputs = view.reshape(ew.conj(x), (n, groups, c // groups, *size))
    inputs = view.transpose(inputs, (2, 1, 0, *range(3, 3 + len(size))))
    inputs = view.reshape(inputs, (c // groups, groups * n, *size))
    kernel = view.reshape(view.swapaxes(g, 0, 1), (o, n, *count))
    result = apply(
        Conv,
        (inputs, kernel),
        {
            "stride": params["dilation"],
            "padding": tuple((a.low, a.excess) for a in axes),
            "spread": params["spread"],
            "dilation": params["stride"],
            "groups": groups,
        },
    )
    return view.swapaxes(result, 0, 1)


def _case(rng: np.random.Generator, x: Sequence[int], w: Sequence[int], **changed: Any) -> Any:
    d = len(x) - 2
    params = {"stride": (1,) * d, "padding": ((0, 0),) * d, "spread": (1,) * d, "dilation": (1,) * d, "groups": 1}
    return (rng.normal(size=x), rng.normal(size=w)), {**params, **changed}


class Conv(Contraction):
    """y[n, o, p] = Σ x̂[n, c, s p + d k] w[o, c, k], x̂ being x spread and padded.

    [N, C, *S], [O, C/G, *K] -> [N, O, *P].  Parameters, one entry per axis: ``stride`` s, ``padding`` (low, high),
    ``spread`` (steps between elements of x, a transposed convolution's stride), ``dilation`` d of the kernel; and the
    number of ``groups`` G.
    V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016), chapter 4.
    """

    linear = True
    eval = staticmethod(_conv)
    vjp = (_cotangent_x, _cotangent_w)

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], x: Value, w: Value, **params: Any) -> Value:
        """Examples of x alone are further samples; examples of w further outputs, with x's as further groups."""
        groups = params["groups"]
        if not over[1]:
            _, n, *rest = shape_of(x)
            y = apply(Conv, (view.reshape(x, (size * n, *rest)), w), params)
            return view.reshape(y, (size, n, *shape_of(y)[1:]))
        o, *kernel = shape_of(w)[1:]
        if over[0]:
            n, c, *space = shape_of(x)[1:]
            x = view.reshape(view.swapaxes(x, 0, 1), (n, size * c, *space))
            y = apply(Conv, (x, view.reshape(w, (size * o, *kernel))), {**params, "groups": size * groups})
            return view.swapaxes(view.reshape(y, (n, size, o, *shape_of(y)[2:])), 0, 1)
        split = view.swapaxes(view.reshape(w, (size, groups, o // groups, *kernel)), 0, 1)
        y = apply(Conv, (x, view.reshape(split, (size * o, *kernel))), params)
        parted = view.moveaxis(view.reshape(y, (shape_of(y)[0], groups, size, o // groups, *shape_of(y)[2:])), 2, 0)
        return view.reshape(parted, (size, shape_of(y)[0], o, *shape_of(y)[2:]))

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        x, w = specs
        counts = tuple(a.windows for a in _geometry(x.shape, w.shape, params))
        return Spec((x.shape[0], w.shape[0], *counts), np.result_type(x.dtype, w.dtype))

    samples = Samples(
        cases=lambda rng: [
            _case(rng, (2, 3, 7), (4, 3, 3)),
            _case(rng, (1, 1, 6), (1, 1, 3), padding=((2, 2),)),
            _case(rng, (2, 2, 5, 6), (3, 2, 2, 3), stride=(2, 3), padding=((1, 0), (2, 1))),
            _case(rng, (1, 4, 6), (6, 2, 2), groups=2, stride=(2,), dilation=(2,)),
            _case(rng, (2, 2, 4), (2, 1, 3), groups=2, spread=(2,), padding=((-1, -2),)),
            _case(rng, (0, 2, 4), (2, 2, 3)),
            _made_complex(_case(rng, (1, 2, 4), (2, 2, 2))),
        ]
    )


def _made_complex(case: Any) -> Any:
    """A sample made complex."""
    (x, w), params = case
    return (x + 1j * x[:, ::-1], w - 2j * w[::-1]), params


def per_axis(op: str, what: str, value: Sizes, d: int, least: int = 1) -> tuple[int, ...]:
    given: Any = tuple(value) if np.iterable(value) else (value,) * d
    sizes = tuple(int(v) for v in given if isinstance(v, (int, np.integer)))
    if len(sizes) != d or any(v < least for v in sizes):
        raise ShapeError(f"{op}: got {what} {value!r}, expected a whole number ≥ {least} or one for each of {d} axes")
    return sizes


def pads_of(
    op: str, padding: Padding, sizes: Sequence[int], stride: Sequence[int], reach: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Padding as (low, high) per axis."""
    d = len(sizes)
    if isinstance(padding, str):
        word = padding.lower()
        if word == "valid":
            return ((0, 0),) * d
        if word != "same":
            raise ValueError(f"{op}: got padding {padding!r}, expected 'valid', 'same', a number, or pairs (low, high)")
        totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(sizes, stride, reach, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    entries: list[Any] = list(padding) if np.iterable(padding) else [padding] * d
    pairs = [tuple(p) if np.iterable(p) else (p, p) for p in entries]
    if len(pairs) != d or any(len(p) != 2 or not all(isinstance(n, (int, np.integer)) for n in p) for p in pairs):
        raise ShapeError(f"{op}: got padding {padding!r}, expected one whole number or pair for each of {d} axes")
    return tuple((int(low), int(high)) for low, high in pairs)


def _check_ranks(op: str, x: Value, w: Value, expected: str) -> int:
    left, right = shape_of(x), shape_of(w)
    if len(left) < 2 or len(left) != len(right):
        raise ShapeError(
            f"{op}: numbers of axes do not fit: got x {left} and w {right}, expected x (N, C, ...) and w {expected} "
            f"at {here(3)}; add a batch or channel axis with x[None]"
        )
    return len(left) - 2


def conv(x: Value, w: Value, stride: Sizes = 1, padding: Padding = 0, dilation: Sizes = 1, groups: int = 1) -> Value:
    """Cross-correlation of a batch with a bank of kernels over any number of axes.

    Parameters
    ----------
    x : (N, C, *spatial)
    w : (O, C / groups, *kernel)
    stride, dilation : a number, or one per axis: steps between windows, and between elements of the kernel
    padding : zeros around: a number, one per axis, pairs (low, high) per axis, 'valid' for none, or 'same' for
        ceil(size / stride) windows
    groups : parts into which the channels are divided, each with kernels of its own

    Returns
    -------
    (N, O, *windows)

    Raises
    ------
    ShapeError
        where channels or numbers of axes do not fit, or the kernel reaches beyond the padded input.

    Examples
    --------
    >>> import numpy as np
    >>> conv(np.arange(5.0)[None, None], np.array([[[1.0, -1.0]]]))
    array([[[-1., -1., -1., -1.]]])
    """
    d = _check_ranks("conv", x, w, "(O, C / groups, ...)")
    (_, channels, *sizes), (outputs, inputs, *kernel) = shape_of(x), shape_of(w)
    if groups < 1 or channels != inputs * groups or outputs % groups:
        raise ShapeError(
            f"conv: channels do not fit: got x {shape_of(x)} and w {shape_of(w)} with groups={groups}, expected w "
            f"(O, {channels} / groups, ...) with O a multiple of groups at {here(2)}"
        )
    strides = per_axis("conv", "stride", stride, d)
    dilations = per_axis("conv", "dilation", dilation, d)
    reach = [(k - 1) * a + 1 for k, a in zip(kernel, dilations, strict=True)]
    pads = pads_of("conv", padding, sizes, strides, reach)
    if any(n + low + high < r for n, r, (low, high) in zip(sizes, reach, pads, strict=True)) or 0 in kernel:
        raise ShapeError(
            f"conv: the kernel does not fit in the input: got x {shape_of(x)} padded by {pads} and a kernel reaching "
            f"over {tuple(reach)} at {here(2)}; pad more, or use padding='same'"
        )
    params = {"stride": strides, "padding": pads, "spread": (1,) * d, "dilation": dilations, "groups": int(groups)}
    return apply(Conv, (x, w), params)


def conv_transpose(
    x: Value,
    w: Value,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Value:
    """The transpose of ``conv`` by its input: each element of x lays down a scaled copy of the kernel.

    Parameters
    ----------
    x : (N, C, *spatial)
    w : (C, O / groups, *kernel)
    stride : steps between the copies
    padding : what the convolution that this transposes was padded by; cut off here
    output_padding : elements added at the end of each axis, to tell apart sizes that ``conv`` makes equal

    Returns
    -------
    (N, O, *sizes)
        of size (n - 1) stride - 2 padding + (k - 1) dilation + output_padding + 1
    """
    d = _check_ranks("conv_transpose", x, w, "(C, O / groups, ...)")
    if groups < 1 or shape_of(x)[1] != shape_of(w)[0] or shape_of(w)[0] % groups:
        raise ShapeError(
            f"conv_transpose: channels do not fit: got x {shape_of(x)} and w {shape_of(w)} with groups={groups}, "
            f"expected w ({shape_of(x)[1]}, O / groups, ...) at {here(2)}"
        )
    cut = per_axis("conv_transpose", "padding", padding, d, 0)
    more = per_axis("conv_transpose", "output_padding", output_padding, d, 0)
    dilations = per_axis("conv_transpose", "dilation", dilation, d)
    reach = [(k - 1) * a for k, a in zip(shape_of(w)[2:], dilations, strict=True)]
    params = {
        "stride": (1,) * d,
        "padding": tuple((r - p, r - p + m) for r, p, m in zip(reach, cut, more, strict=True)),
        "spread": per_axis("conv_transpose", "stride", stride, d),
        "dilation": dilations,
        "groups": int(groups),
    }
    return apply(Conv, (x, ew.conj(_turned(w, groups))), params)
