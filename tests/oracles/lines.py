"""What a line of a random program can be: expressions with places for values, all of them small for small values.

Smooth lines are well conditioned; a kink, a comparison or a rounding step is only for values without rounding errors.
"""

from __future__ import annotations

SMOOTH = (
    "np.tanh({0})",
    "np.sin({0})",
    "np.cos({0})",
    "np.exp(-{0} * {0})",
    "np.sqrt(1 + {0} * {0})",
    "np.log1p({0} * {0})",
    "{0} / (1 + {0} * {0})",
    "np.arctan({0})",
    "np.arcsinh({0})",
    "special.expit({0})",
    "special.erf({0})",
    "F.softplus({0})",
    "F.silu({0})",
    "F.gelu({0}, approximate=False)",
    "np.expm1(-np.square({0}))",
    "0.25 * {0} ** 2",
    "0.1 * {0} ** 3",
    "1 / (2 + np.sin({0}))",
    "np.reciprocal(1 + np.exp({0} / 8))",
    "-{0}",
    "2 - {0}",
    "{0} * 0.5 + 1",
    "np.exp2({0} / 8)",
    "np.log(2.5 + np.sin({0}))",
    "np.cbrt(1 + {0} * {0})",
    "+{0}",
    "gg.stop_gradient({0}) + 0.5 * {0}",
)
KINKS = (  # where a rounding error decides, so only on what has none
    "np.abs({0})",
    "np.maximum({0}, 0)",
    "np.minimum({0}, 0.5)",
    "np.clip({0}, -0.5, 0.75)",
    "np.sign({0})",
    "np.floor({0})",
    "np.rint({0})",
    "np.trunc(2 * {0})",
    "np.remainder({0}, 0.75)",
    "F.leaky_relu({0})",
)
PAIRS = (
    "{0} + {1}",
    "{0} - {1}",
    "{0} * {1}",
    "{0} / (1.5 + {1} * {1})",
    "np.hypot({0}, 1 + np.square({1}))",
    "np.arctan2({0}, 1 + {1} * {1})",
    "np.logaddexp({0}, {1})",
    "(1.5 + np.cos({0})) ** np.sin({1})",
)
EXACT_PAIRS = ("np.maximum({0}, {1})", "np.minimum({0}, {1})", "np.copysign({0}, {1})", "np.fmax({0}, {1})")
COMPARISONS = ("{0} < {1}", "{0} >= {1}", "{0} == {1}", "{0} != {1}")
INTEGER_PAIRS = (
    "{0} + {1}",
    "{0} - {1}",
    "{0} * {1}",
    "{0} // {1}",
    "{0} % {1}",
    "np.maximum({0}, {1})",
    "{0} & {1}",
    "{0} | {1}",
    "{0} ^ {1}",
    "np.fmin({0}, {1})",
)
INTEGER_UNARY = ("-{0}", "np.abs({0})", "{0} * {0}", "~{0}", "{0} << 1", "{0} >> 2", "np.sign({0})", "{0} // 3")
STEPS = (  # of a scan, on a carry c and a row x; k is captured, s a square matrix, i a list of places along a row
    "(lambda c, x: (np.tanh(0.5 * c + x), c * x))",
    "(lambda c, x: (0.7 * c + np.sin(x), np.cos(c) + x))",
    "(lambda c, x: (c * np.exp(-x * x) + 0.1, c))",
    "(lambda c, x: (np.sin(c) + {k} * x, x))",
    "(lambda c, x: (0.5 * c + x.mean() + {k}, (c * {k}).sum()))",
    "(lambda c, x: (gg.while_loop(lambda h: h[1] < 3, lambda h: (np.sin(h[0]) + x * {k}, h[1] + 1), (c, 0))[0], c))",
    "(lambda c, x: (gg.fori_loop(0, 3, lambda n, d: gg.switch(n, (np.sin, lambda d: d + x, np.tanh), d), c), x))",
    "(lambda c, x: (gg.checkpoint(lambda c: np.sin(np.tanh(c) + x))(c), c))",
)
VECTOR_LINES = (  # on x of an axis at least, the last of n elements, of dtype d
    "np.sort({x}, axis=-1)",
    "np.trapezoid({x}, axis=-1)",
    "np.real(np.exp(1j * {x}))",
    "np.imag(np.exp(1j * {x}) * (2 - 1j * {x}))",
    "np.abs({x} + 2j)",
    "np.angle({x} + 3j)",
    "np.real((1j * {x} + 1) * np.conj(np.exp(0.5j * {x})))",
    "np.real(np.fft.fft({x}, axis=-1)) / {n}",
    "np.abs(np.fft.rfft({x}) + 40) / {n}",
    "np.real(np.fft.ifft(np.fft.fft({x}) * np.exp(1j * np.arange({n}))))",
    "np.imag((1j * {x} + {x}) @ (const(({n}, 3), '{d}', {seed}) * (1 - 2j))) / {n}",
    "np.imag(np.einsum('...i,...i->...', np.exp(1j * {x}), {x})) / {n}",
    "np.real(np.prod(1 + 0.1j * {x}, axis=-1))",
    "np.linalg.norm({x} + 0.1, axis=-1)",
    "np.linalg.solve(const(({n}, {n}), '{d}', {seed}) * 0.1 + 3 * np.eye({n}, dtype='{d}'), {x}[..., None])[..., 0]",
    "np.kron({x}, const((2,), '{d}', {seed}))",
    "np.roll({x}[..., None] * np.ones(3, '{d}'), 1, -1)",
)
MATRIX_LINES = (  # ... of two at least
    "np.triu({x})",
    "np.tril({x}, 1) + {x}",
    "np.diagonal({x}, axis1=-2, axis2=-1)",
    "np.trace({x})",
    "np.rot90({x})",
    "np.real(np.fft.fft2({x})) / {x}.size",
    "nn.conv(np.reshape({x}, (1, 1, -1, {n})), const((2, 1, 2, 1), '{d}', {seed}), padding=1)[0]",
    "nn.conv(np.reshape({x}, (-1, 1, {n})), const((3, 1, 3), '{d}', {seed}), stride=2, padding=2)",
    "nn.conv(np.reshape({x}, (1, -1, {n})), np.ones((2, {x}.size // {n}, 2), '{d}') * 0.1, dilation=2, padding=1)",
    "nn.conv_transpose(np.reshape({x}, (-1, 1, {n})), const((1, 2, 3), '{d}', {seed}), stride=2)",
    "nn.avg_pool(np.reshape({x}, (1, -1, {n})), 2, stride=1, padding=1)",
    "np.linalg.inv({s})",
    "np.linalg.slogdet({s})[1]",
    "np.linalg.cholesky({s})",
    "np.linalg.det({s})",
    "np.cov(np.reshape({x}, (-1, {n})))",
)
ROW_STEPS = (  # where rows have an axis at least
    "(lambda c, x: (np.tanh(c @ {s} + x), c.sum()))",
    "(lambda c, x: (F.softmax(c + x), np.cumsum(c, -1)))",
    "(lambda c, x: (np.sin(c[..., ::-1]) + x, np.concatenate([c, x], -1)))",
    "(lambda c, x: (np.cos(c)[..., np.array({i})] * x, (c - c.mean(-1, keepdims=True)) / (1 + np.var(c))))",
    "(lambda c, x: (np.tanh(x @ {s}) * c, np.einsum('...i,...j->...ij', c, x)))",
    "(lambda c, x: (gg.scan(lambda d, y: (np.sin(d + y), d), c.mean(0), x)[1] + 0.5 * c, c.sum(0)))",
    "(lambda c, x: (gg.fori_loop(0, 2, lambda n, d: np.sin(d) + x, c), np.max(x, -1)))",
    "(lambda c, x: (np.tanh(c).at[..., np.array({i})].add(0.1 * x), c))",
    "(lambda c, x: (np.sin(np.roll(c, 1, -1) @ {s}) + {k} * x, np.sum(c * c, -1)))",
)
