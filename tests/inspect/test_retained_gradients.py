"""Values and gradients of intermediates against those that PyTorch retains, for functions of every kind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn
from glassgrad import numpy as gnp

torch = pytest.importorskip("torch")
F = torch.nn.functional
RNG = np.random.default_rng(0)


def random(*shape: int) -> Any:
    return RNG.normal(size=shape)


class Keep(dict[str, Any]):
    """Intermediates of PyTorch by name; keys name those of Glassgrad too, as its source is read."""

    def __setitem__(self, name: str, value: Any) -> None:
        if value.requires_grad:
            value.retain_grad()
        super().__setitem__(name, value)


SHARED = ("where", "exp", "sqrt", "log", "sin", "tanh", "einsum", "abs", "real", "stack")
OURS = SimpleNamespace(
    **{name: getattr(gnp, name) for name in (*SHARED, "cumsum", "cumprod")},
    linalg=gnp.linalg,
    max=lambda x, axis: gnp.max(x, axis=axis),
    sort=gnp.sort,
    softmax=nn.softmax,
    sigmoid=nn.sigmoid,
    relu=nn.relu,
    conv=lambda x, w: nn.conv(x, w, padding=1),
    pool=lambda x: nn.max_pool(x, 2),
    cross_entropy=lambda z, k: nn.cross_entropy(z, k).sum(),
    stop=gg.stop_gradient,
    jit=gg.jit,
    rows=lambda f, x: gg.vmap(f)(x),
    checkpoint=lambda f, x: gg.checkpoint(f)(x),
    scan=lambda f, h, xs: gg.scan(lambda h, x: (f(h, x), None), h, xs)[0],
    grad=lambda f, x: gg.grad(f)(x),
    put=lambda x, v: x.at[0].set(v),
    zeros=gnp.zeros,
)
THEIRS = SimpleNamespace(
    **{name: getattr(torch, name) for name in (*SHARED, "sigmoid")},
    linalg=torch.linalg,
    cumsum=lambda x: torch.cumsum(x, 0),
    cumprod=lambda x: torch.cumprod(x, 0),
    max=lambda x, axis: torch.amax(x, axis),
    sort=lambda x: torch.sort(x)[0],
    softmax=lambda x: torch.softmax(x, -1),
    relu=F.relu,
    conv=lambda x, w: F.conv2d(x, w, padding=1),
    pool=lambda x: F.max_pool2d(x, 2),
    cross_entropy=lambda z, k: F.cross_entropy(z, k),
    stop=lambda x: x.detach(),
    jit=lambda f: f,
    rows=lambda f, x: torch.stack([f(row) for row in x]),
    checkpoint=lambda f, x: f(x),
    scan=lambda f, h, xs: [h := f(h, x) for x in xs][-1],
    grad=lambda f, x: torch.autograd.grad(f(x), x, create_graph=True)[0],
    put=lambda x, v: torch.cat([v[None], x[1:]]),
    zeros=lambda n: torch.zeros(n, dtype=torch.float64),
)


def broadcasting(L: Any, m: Any, x: Any, b: Any) -> Any:
    m["a"] = x + b
    m["c"] = (m["a"] * x).sum(0)
    return (m["c"] ** 2).sum()


def indexing(L: Any, m: Any, x: Any) -> Any:
    m["a"], m["b"] = x[1:, ::2], x[[0, 0, 2]]
    m["c"] = m["b"][-1, 1]
    return (m["a"] ** 2).sum() * m["c"] + m["b"].sum()


def where(L: Any, m: Any, x: Any) -> Any:
    m["a"] = L.where(x > 0, x, -0.5 * x)
    m["b"] = L.where(m["a"] > 0.5, L.exp(m["a"]), m["a"])
    return (m["b"] * m["a"]).sum()


def ties(L: Any, m: Any, x: Any) -> Any:
    m["a"] = x * 1.0
    m["b"] = L.max(m["a"], 1)
    return (m["b"] ** 2).sum()


def products(L: Any, m: Any, a: Any, b: Any) -> Any:
    m["p"] = L.einsum("bij,bjk->bik", a, b)
    m["t"] = L.einsum("bii->b", m["p"])
    return (m["t"] ** 2).sum()


def linear_algebra(L: Any, m: Any, a: Any, b: Any) -> Any:
    m["s"] = a @ a.T + a.T @ a
    m["l"] = L.linalg.cholesky(m["s"])
    m["x"] = L.linalg.solve(m["s"], b)
    m["d"] = L.linalg.slogdet(m["s"])[1]
    m["w"] = L.linalg.eigvalsh(m["s"])
    return (m["x"] * b).sum() + m["d"] + m["l"].sum() + (m["w"] ** 2).sum()


def convolution(L: Any, m: Any, x: Any, w: Any) -> Any:
    m["z"] = L.conv(x, w)
    m["a"] = L.relu(m["z"])
    m["p"] = L.pool(m["a"])
    return (m["p"] ** 2).sum()


def attention(L: Any, m: Any, q: Any, k: Any, v: Any) -> Any:
    m["s"] = L.einsum("bid,bjd->bij", q, k) / 2.0
    m["a"] = L.softmax(m["s"])
    m["o"] = m["a"] @ v
    return (m["o"] ** 2).sum() + L.log(m["a"]).sum()


def an_element_set(L: Any, m: Any, x: Any) -> Any:
    m["a"] = x * 2.0
    m["b"] = L.put(m["a"], m["a"][1] * 3.0)
    return (m["b"] ** 2).sum()


def reused(L: Any, m: Any, x: Any) -> Any:
    m["a"] = x * x
    m["b"] = m["a"] * m["a"] + m["a"]
    m["c"] = m["b"] * m["a"] + x
    return (m["c"] * m["b"]).sum()


def ordered(L: Any, m: Any, x: Any) -> Any:
    m["c"], m["p"] = L.cumsum(x), L.cumprod(x)
    m["s"] = L.sort(m["c"] * m["p"])
    return (m["s"] * m["s"][0]).sum()


def compiled_inside(L: Any, m: Any, x: Any) -> Any:
    m["a"] = x * 2.0
    m["b"] = L.jit(lambda v: L.tanh(v) * v)(m["a"])
    return (m["b"] ** 2).sum()


def mapped_inside(L: Any, m: Any, x: Any, w: Any) -> Any:
    m["a"] = x * 2.0
    m["b"] = L.rows(lambda row: L.tanh(w @ row).sum(), m["a"])
    return (m["b"] ** 2).sum()


def remembered_inside(L: Any, m: Any, x: Any) -> Any:
    m["a"] = x * 2.0
    m["b"] = L.checkpoint(lambda v: L.tanh(v) * v, m["a"])
    return (m["b"] ** 2).sum()


def looped_inside(L: Any, m: Any, x: Any, w: Any) -> Any:
    m["a"] = x * 2.0
    m["h"] = L.scan(lambda h, row: L.tanh(w @ h + row), L.zeros(3), m["a"])
    return (m["h"] ** 2).sum()


def derived_inside(L: Any, m: Any, x: Any) -> Any:
    m["g"] = L.grad(lambda v: (L.sin(v) * v**2).sum(), x)
    m["s"] = m["g"] * x
    return (m["s"] ** 2).sum()


def stopped(L: Any, m: Any, x: Any) -> Any:
    m["a"] = x * 2.0
    m["b"] = m["a"] * L.stop(m["a"])
    return (m["b"] ** 2).sum()


def complex_numbers(L: Any, m: Any, x: Any) -> Any:
    m["z"] = x * (1 + 2j)
    m["e"] = L.exp(m["z"])
    m["r"] = L.abs(m["e"]) ** 2
    return m["r"].sum() + L.real(m["z"] * m["e"]).sum()


def whole_numbers(L: Any, m: Any, x: Any, k: Any) -> Any:
    m["a"] = x[k] * k
    m["l"] = L.cross_entropy(L.stack([m["a"], m["a"] * 2.0, x[:3]]), k)
    return (m["a"] ** 2).sum() + m["l"]


def empty(L: Any, m: Any, x: Any, y: Any) -> Any:
    m["a"] = x * 2.0
    m["s"] = m["a"].sum()
    return m["s"] + (y**2).sum()


def deep(L: Any, m: Any, x: Any, ws: Any) -> Any:
    h = x
    for k in range(100):
        h = L.tanh(ws[k] @ h)
    m["h"] = h * 1.0
    return (m["h"] ** 2).sum()


K = np.array([0, 2, 2])
CASES: dict[Any, tuple[Any, ...]] = {
    broadcasting: (random(3, 4), random(4)),
    indexing: (random(3, 4),),
    where: (random(3, 4),),
    ties: (np.array([[1.0, 3.0, 3.0], [0.0, 0.0, -1.0]]),),
    products: (random(2, 3, 4), random(2, 4, 3)),
    linear_algebra: (random(3, 3), random(3)),
    convolution: (random(2, 2, 4, 4), random(3, 2, 3, 3)),
    attention: (random(2, 3, 4), random(2, 5, 4), random(2, 5, 4)),
    an_element_set: (random(3, 4),),
    reused: (np.float64(1.3),),
    ordered: (random(4),),
    compiled_inside: (random(3),),
    mapped_inside: (random(5, 3), random(2, 3)),
    remembered_inside: (random(3),),
    looped_inside: (random(4, 3), random(3, 3)),
    derived_inside: (random(3),),
    stopped: (random(3),),
    complex_numbers: (random(3),),
    whole_numbers: (random(4), K),
    empty: (random(0, 3), random(2)),
    deep: (random(4), random(100, 4, 4) * 0.6),
}


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_every_named_value_and_gradient(case: Any, single: bool) -> None:
    args = [a.astype(np.float32) if single and a.dtype.kind == "f" else a for a in CASES[case]]
    if single and case in (looped_inside, complex_numbers, whole_numbers):
        pytest.skip("PyTorch does not promote here")
    kept = Keep()
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in args]
    value = case(THEIRS, kept, *theirs)
    value.backward()
    e = gg.explain(lambda *a: case(OURS, {}, *a), *args)
    tolerance = {"rtol": 2e-3, "atol": 2e-4} if single else {"rtol": 1e-8, "atol": 1e-11}
    np.testing.assert_allclose(e.value, value.detach().numpy(), **tolerance)
    pairs = [(e[name], tensor) for name, tensor in kept.items()]
    pairs += zip(e.parameters, [t for t in theirs if t.requires_grad], strict=True)
    assert len(pairs) > len(kept)
    for node, tensor in pairs:
        expected = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        np.testing.assert_allclose(node.value, tensor.detach().numpy(), err_msg=node.name, **tolerance)
        np.testing.assert_allclose(node.grad, expected.numpy(), err_msg=node.name, **tolerance)
        assert np.asarray(node.grad).dtype == expected.numpy().dtype
