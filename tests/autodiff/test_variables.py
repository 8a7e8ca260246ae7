"""Define-by-run: variables and backward."""

from __future__ import annotations

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import errors
from glassgrad.ops import elementwise as ew


def test_the_readme_loop_descends() -> None:
    w = gg.variable(1.0)
    for _ in range(100):
        error = (2.0 * w - 10.0) ** 2
        w = gg.variable(w - 0.1 * error.backward()[w])
    assert w.item() == pytest.approx(5.0)


def test_nothing_accumulates() -> None:
    w = gg.variable(3.0)
    y = w * w
    assert y.backward()[w] == 6.0
    assert y.backward()[w] == 6.0


def test_a_gradient_is_not_looked_for_at_the_variable() -> None:
    w = gg.variable(2.0)
    loss = w * w
    loss.backward()
    for array in (w, loss):
        with pytest.raises(AttributeError, match=r"backward\(\) returns the gradients .*grads\[w\]"):
            _ = array.grad
        assert not hasattr(array, "grad")


def test_by_variable_by_name_and_by_request() -> None:
    w, b = gg.variable([1.0, 2.0], name="w"), gg.variable(0.5, name="b")
    h = w * 3.0 + b
    k = gg.name(h * h, "squares")
    grads = k.sum().backward(wrt=[h])
    np.testing.assert_allclose(grads["w"], 6.0 * h.value)
    np.testing.assert_allclose(grads[w], grads["w"])
    np.testing.assert_allclose(grads[h], 2.0 * h.value)
    np.testing.assert_array_equal(grads["squares"], [1.0, 1.0])
    assert len(grads) == 4 and w in grads
    with pytest.raises(KeyError, match="no variable or intermediate is named 'v'"):
        grads["v"]
    with pytest.raises(KeyError, match="wrt"):
        grads[w * 2.0]


def test_a_variable_that_was_not_used_has_gradient_zero() -> None:
    w, other = gg.variable(1.0), gg.variable([1.0, 2.0])
    np.testing.assert_array_equal((w * 2.0).backward()[other], [0.0, 0.0])


def test_create_graph_differentiates_again() -> None:
    w = gg.variable(2.0)
    slope = (w**3).backward(create_graph=True)[w]
    assert slope.item() == 12.0
    assert slope.backward()[w] == 12.0


def test_cotangent() -> None:
    w = gg.variable([1.0, 2.0])
    y = w * w
    np.testing.assert_array_equal(y.backward([1.0, 10.0])[w], [2.0, 40.0])
    with pytest.raises(errors.NotScalarError, match="expected one number"):
        y.backward()
    with pytest.raises(errors.ShapeError, match=r"\(3,\), expected \(2,\)"):
        y.backward(np.ones(3))


def test_inside_grad_the_gradient_is_differentiable() -> None:
    def f(x: float) -> object:
        w = gg.variable(3.0)
        return (w * w * x).backward()[w]

    assert gg.grad(f)(5.0) == 6.0


def test_refusals() -> None:
    with pytest.raises(errors.DtypeError, match="int64.*dtype=float"):
        gg.variable([1, 2])
    with pytest.raises(errors.NonDifferentiableError, match=r"gg\.variable"):
        gg.numpy.array(1.0).backward()
    with pytest.raises(errors.NonDifferentiableError):
        (gg.variable(1.0) > 0).backward()


def test_a_variable_copies_its_array() -> None:
    data = np.ones(2)
    w = gg.variable(data)
    data[:] = 5.0
    np.testing.assert_array_equal(w.value, [1.0, 1.0])


def test_torch_gives_the_same_gradients() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, a, b = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)
    va, vb = gg.variable(a), gg.variable(b)
    grads = ew.tanh(x @ va + vb).sum().backward()
    ta, tb = (torch.tensor(v, requires_grad=True) for v in (a, b))
    torch.tanh(torch.tensor(x) @ ta + tb).sum().backward()
    np.testing.assert_allclose(grads[va], ta.grad.numpy(), rtol=1e-12)
    np.testing.assert_allclose(grads[vb], tb.grad.numpy(), rtol=1e-12)


def test_a_buffer_may_be_filled_anew() -> None:
    """What a graph remembers is a copy: later writes to the user's array do not reach it."""
    for read in (lambda b: b, np.asarray, gg.numpy.asarray):
        buffer, u, total = np.zeros(3), gg.variable([1.0, 2.0, 3.0]), 0.0
        for i in range(3):
            buffer[:] = i
            total = total + (u * read(buffer)).sum() + gg.numpy.dot(buffer, u)
        np.testing.assert_array_equal(total.backward()[u], [6.0, 6.0, 6.0])
    x = np.array([1.0, 2.0, 3.0])
    _, pullback = gg.vjp(lambda x: x * x, x)
    x[0] = 50.0
    np.testing.assert_array_equal(pullback(np.ones(3))[0], [2.0, 4.0, 6.0])
    with pytest.raises(ValueError, match="read-only"):
        u.value[0] = 7.0


def test_every_gradient_is_an_array_of_its_own() -> None:
    a, b = gg.grad(lambda a, b: ((a + b) ** 2).sum(), (0, 1))(np.ones(2), np.ones(2))
    for g in (a, b):
        g *= 0.5
    np.testing.assert_array_equal([a, b], np.full((2, 2), 2.0))
    whole = gg.grad(lambda p: p.sum())(np.ones(3))
    whole *= 2.0
    cotangent = np.ones(2)
    (g,) = gg.vjp(lambda x: x + 0.0, np.ones(2))[1](cotangent)
    g += 10.0
    np.testing.assert_array_equal(cotangent, [1.0, 1.0])
    w, v = gg.variable([1.0, 2.0]), gg.variable([1.0, 2.0])
    grads = (w + v).sum().backward()
    first = grads[w]
    first *= 3.0
    np.testing.assert_array_equal(grads[v], [1.0, 1.0])


def test_repeated_names_are_refused() -> None:
    with pytest.raises(ValueError, match="two values are named 'h'"):
        gg.named_grads(lambda z: gg.name(z * 2.0, "h") * gg.name(z * 3.0, "h"), 3.0)
    with pytest.raises(KeyError, match=r"w = gg\.variable"):
        w = gg.variable(1.0)
        w = w - 0.1
        (w * 2.0).backward()[w]
    with pytest.raises(TypeError, match=r"gg\.variable"):
        gg.Array(3.0)


def test_scopes_belong_to_a_thread() -> None:
    import threading

    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with gg.scope("other"):
            inside.set()
            done.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(5)
    assert (gg.variable(1.0) * 2.0).origin.scope == ""
    done.set()
    thread.join()


def test_a_view_of_a_buffer_is_a_copy_too() -> None:
    np_ = gg.numpy
    for read in (
        lambda b: np_.reshape(b, 4),
        lambda b: np_.transpose(b).reshape(4),
        lambda b: np_.flip(np_.ravel(b)),
        lambda b: np_.asarray(b)[:].reshape(4),
        lambda b: np_.astype(np_.asarray(b), float).ravel(),
    ):

        def f(v: object, read: object = read) -> object:
            buffer, total = np.zeros((2, 2)), 0.0
            for i in range(3):
                buffer[:] = i + 1
                total = total + (read(buffer) * v).sum()  # type: ignore[operator]
            return total

        np.testing.assert_array_equal(gg.grad(f)(np.ones(4)), np.full(4, 6.0))
    for product in (np_.kron, np_.convolve, np_.inner, np_.vdot, np_.outer, lambda a, b: np_.tensordot(a, b, 1)):

        def g(v: object, product: object = product) -> object:
            buffer, total = np.zeros(3), 0.0
            for i in range(3):
                buffer[:] = i + 1
                total = total + np_.sum(product(buffer, v))  # type: ignore[operator]
            return total

        frozen = [gg.grad(lambda v, i=i: np_.sum(product(np.full(3, i + 1.0), v)))(np.ones(3)) for i in range(3)]  # noqa: B023
        np.testing.assert_allclose(gg.grad(g)(np.ones(3)), sum(frozen))


def test_results_share_no_memory_with_what_was_given() -> None:
    y, pullback = gg.vjp(ew.exp, np.ones(2))
    y -= 1.0
    np.testing.assert_allclose(pullback(np.ones(2))[0], np.full(2, np.e))
    x, t = np.ones(3), np.zeros(3)
    for f in (lambda v: v[::-1], lambda v: v):
        y, d = gg.jvp(f, (x,), (t,))
        y[:], d[:] = 5.0, 7.0
    (_, aux), _ = gg.value_and_grad(lambda v: (v.sum(), (v, v.reshape(3, 1))), has_aux=True)(x)
    for part in aux:
        part[:] = 5.0
    result = gg.trace(lambda v: v.reshape(3, 1), x)(x)
    result[:] = 4.0
    np.testing.assert_array_equal([x, t], [np.ones(3), np.zeros(3)])
