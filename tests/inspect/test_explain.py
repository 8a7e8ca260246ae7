"""explain against published numbers, PyTorch's retained gradients, and numerical derivatives."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn
from glassgrad import numpy as gnp
from glassgrad.graph.primitive import Elementwise

ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(0)


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cost(p: Any, x: Any, y: Any) -> Any:
    z1 = p["W1"] @ x + p["b1"]
    a1 = nn.sigmoid(z1)
    z2 = p["W2"] @ a1 + p["b2"]
    a2 = nn.sigmoid(z2)
    error = a2 - y
    return 0.5 * (error**2).sum()


def parameters(sizes: tuple[int, ...] = (2, 3, 2)) -> dict[str, Any]:
    shapes = list(itertools.pairwise(sizes))
    p = {f"W{i + 1}": RNG.normal(size=(b, a)) for i, (a, b) in enumerate(shapes)}
    return p | {f"b{i + 1}": RNG.normal(size=b) for i, (_, b) in enumerate(shapes)}


class TestPublished:
    """Circuits that Stanford's CS231n notes draw with every value and gradient on their wires."""

    def test_sum_times(self) -> None:
        def f(x: Any, y: Any, z: Any) -> Any:
            q = x + y
            return q * z

        e = gg.explain(f, -2.0, 5.0, -4.0)
        assert [n.name for n in e.nodes] == ["x", "y", "z", "q", "mul"]
        assert e.value == -12
        assert {k: float(v) for k, v in e.gradients.items()} == {"x": -4, "y": -4, "z": 3}
        assert e["q"].value == 3 and e["q"].grad == -4 and e["mul"].grad == 1
        assert {k: float(e["mul"].local[k]) for k in e["mul"].local} == {"q": -4, "z": 3}
        assert e["q"].upstream * e["q"].local["x"] == e["x"].grad
        assert e["q"].passes_on == {"x": -4, "y": -4}

    def test_sigmoid_neuron(self) -> None:
        """The staged circuit: w·x + w2, then times -1, exp, +1, 1/x."""

        def neuron(w0: Any, x0: Any, w1: Any, x1: Any, w2: Any) -> Any:
            dot = w0 * x0 + w1 * x1 + w2
            minus = -dot
            power = gnp.exp(minus)
            below = power + 1.0
            return 1.0 / below

        e = gg.explain(neuron, 2.0, -1.0, -3.0, -2.0, -3.0)
        drawn = {"dot": (1.0, 0.20), "minus": (-1.0, -0.20), "power": (0.37, -0.53), "below": (1.37, -0.53)}
        for name, (value, grad) in drawn.items():
            assert (round(float(e[name].value), 2), round(float(e[name].grad), 2)) == (value, grad), name
        # The notes print -0.59 for the gradient of x1, from rounded factors
        grads = {k: round(float(v), 2) for k, v in e.gradients.items()}
        assert grads == {"w0": -0.20, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.20}

    def test_two_two_two_network(self) -> None:
        """Matt Mazur's step by step example: δ of the outputs and ∂E/∂w5."""
        hidden = np.array([[0.15, 0.20], [0.25, 0.30]])
        output = np.array([[0.40, 0.45], [0.50, 0.55]])
        p = {"W1": hidden, "b1": np.array([0.35, 0.35]), "W2": output, "b2": np.array([0.60, 0.60])}
        e = gg.explain(cost, p, np.array([0.05, 0.10]), np.array([0.01, 0.99]))
        np.testing.assert_allclose(e.value, 0.298371109, atol=5e-10)
        np.testing.assert_allclose(e["a1"].value[0], 0.593269992, atol=5e-10)
        np.testing.assert_allclose(e["a2"].grad[0], 0.74136507, atol=5e-9)
        np.testing.assert_allclose(e["a2"].local["z2"][0], 0.186815602, atol=5e-10)
        np.testing.assert_allclose(e["z2"].grad[0], 0.138498562, atol=5e-10)
        np.testing.assert_allclose(e["W2"].grad[0, 0], 0.082167041, atol=5e-10)
        np.testing.assert_allclose(e["W1"].grad[0, 0], 0.000438568, atol=5e-10)

    @pytest.mark.parametrize("number", range(6))
    def test_every_circuit(self, number: int) -> None:
        name, f, at = example("12_published_circuits").CIRCUITS[number]
        e = gg.explain(f, *at)
        _, grads = gg.value_and_grad(f, argnums=tuple(range(len(at))))(*at)
        for parameter, g in zip(e.parameters, grads, strict=True):
            np.testing.assert_array_equal(parameter.grad, g, err_msg=name)


class TestNodes:
    def test_every_gradient_is_the_sum_of_what_arrives(self) -> None:
        e = gg.explain(cost, parameters(), RNG.normal(size=2), RNG.normal(size=2))
        for n in e.nodes:
            if n.users and n.grad is not None:
                np.testing.assert_allclose(sum(n.arrives.values()), n.grad, rtol=1e-14)

    def test_every_local_derivative_against_complex_steps(self) -> None:
        """Locals of each node, by evaluating its op at x + ih: M. Squire and G. Trapp 1998."""
        e = gg.explain(cost, parameters(), RNG.normal(size=2), RNG.normal(size=2))
        checked = 0
        for n in e.computed:
            values = [x.value for x in n.inputs]
            for k, x in enumerate(n.inputs):
                if not x.node.tracked:
                    continue
                jacobian = np.empty((*n.shape, *x.shape))
                for at in np.ndindex(x.shape):
                    moved = [np.array(v, complex) for v in values]
                    moved[k][at] += 1e-30j
                    jacobian[(..., *at)] = np.imag(_evaluate(n, moved)) / 1e-30
                local = n.local[k]
                if issubclass(n.node.op, Elementwise):
                    g = RNG.normal(size=n.shape)
                    expected = np.tensordot(g, jacobian, g.ndim)
                    np.testing.assert_allclose(_summed(g * local, x.shape), expected, rtol=1e-9, atol=1e-12)
                else:
                    np.testing.assert_allclose(local, jacobian, rtol=1e-9, atol=1e-12)
                checked += 1
        assert checked == 15

    def test_gradients_of_intermediates_against_finite_differences(self) -> None:
        p, x, y = parameters(), RNG.normal(size=2), RNG.normal(size=2)
        e = gg.explain(cost, p, x, y)

        def rest(z1: Any) -> Any:
            a2 = 1 / (1 + np.exp(-(p["W2"] @ (1 / (1 + np.exp(-z1))) + p["b2"])))
            return 0.5 * ((a2 - y) ** 2).sum()

        z1, h = e["z1"].value, 1e-6
        steps = h * np.eye(3)
        np.testing.assert_allclose(e["z1"].grad, [(rest(z1 + s) - rest(z1 - s)) / (2 * h) for s in steps], rtol=1e-7)

    def test_found_by_name_path_line_scope_and_number(self) -> None:
        def f(p: Any) -> Any:
            with gg.scope("first"):
                h = gnp.tanh(p["a"] * p["b"])
            return gg.name(h, "half") * 0.5

        e = gg.explain(f, {"a": 2.0, "b": 3.0})
        assert e["a"] is e["p['a']"] is e[0]
        assert e["h"].op == "tanh" and e["half"].op == "named" and e["first"] is e["h"]
        line = e["h"].line
        assert line.startswith("test_explain.py:") and e[line] is e["h"]
        assert [n.op for n in e.at(line)] == ["mul", "tanh"]
        assert e["h"].source.startswith("h = gnp.tanh") and e["h"].scope == "first"
        with pytest.raises(KeyError, match="half"):
            e["halff"]

    def test_repeated_names_are_numbered_or_scoped(self) -> None:
        def f(x: Any) -> Any:
            for layer in range(2):
                with gg.scope(f"layer{layer}"):
                    x = gnp.sin(x)
            for _ in range(2):
                x = gnp.cos(x)
            return x.sum()

        e = gg.explain(f, np.ones(2))
        assert [n.name for n in e.nodes] == ["x", "layer0/x", "layer1/x", "x#1", "x#2", "sum"]

    def test_functions_of_several_ops_have_one_result(self) -> None:
        def f(x: Any) -> Any:
            for _ in range(2):
                x = nn.softmax(x)
            bent = nn.gelu(x)
            twice = nn.gelu(bent) * 2.0
            return twice.sum()

        e = gg.explain(f, np.arange(3.0))
        named = [(n.name, n.op) for n in e.nodes if n.name.partition("#")[0] in ("x", "bent", "twice")]
        assert named == [("x", "input"), ("x#1", "div"), ("x#2", "div"), ("bent", "mul"), ("twice", "mul")]

    def test_only_what_is_asked_for(self) -> None:
        e = gg.explain(lambda a, b: a * b + gnp.sin(b), 2.0, 3.0, wrt="b")
        assert list(e.gradients) == ["b"] and e["b"].grad == 2 + np.cos(3.0)
        assert not e["a"].arrives and e["a"].grad is None
        data = e.to_dict()
        assert [n["name"] for n in data["nodes"] if n["grad"] is None] == ["a"] and not data["nodes"][0]["chain"]
        a = next(line for line in e.table("nodes").splitlines() if line.startswith("a "))
        assert a.split() == ["a", "a", "2"]
        with pytest.raises(gg.errors.NonDifferentiableError, match="'a' has no gradient"):
            e.paths("a")
        with pytest.raises(ValueError, match="wrt='c' is no argument"):
            gg.explain(lambda a: a, 2.0, wrt="c")

    def test_arrays_of_integers_and_masks_have_names(self) -> None:
        def f(n: Any, mask: Any, labels: Any, x: Any) -> Any:
            kept = gnp.where(mask, n * x, 0.0)
            return kept[labels].sum() + (x * np.eye(3)[labels]).sum()

        n, mask, labels = np.arange(3), np.array([True, False, True]), np.array([2, 0])
        e = gg.explain(f, n, mask, labels, np.ones(3))
        assert list(e.gradients) == ["x"]
        np.testing.assert_array_equal(e["x"].grad, [1, 0, 3])
        for name, value in (("n", n), ("mask", mask), ("labels", labels)):
            np.testing.assert_array_equal(e[name].value, value)
            assert e[name].grad is None
        assert e["mul#1"].formula == "n · x"
        one = gg.explain(lambda n, x: n * x, np.array(3), 2.0)
        assert one["n"].value == 3 and one["n"].grad is None and one["x"].grad == 3
        assert gg.explain(lambda n, x: x**n, 3, 2.0)["x"].grad == 12
        with pytest.raises(gg.errors.DtypeError, match="wrt='n' has no floating value"):
            gg.explain(f, n, mask, labels, np.ones(3), wrt="n")

    def test_a_model_is_its_parameters_too(self) -> None:
        layer, x = nn.Linear(2, 3, rng=0), np.ones((1, 2), np.float32)
        e = gg.explain(layer, x)
        assert list(e.gradients) == ["W", "b", "x"]
        np.testing.assert_array_equal(e["W"].grad, np.ones((2, 3)))
        np.testing.assert_allclose(e["x"].grad, layer.W.sum(1)[None], rtol=1e-6)
        assert {r.parameter for r in e.forward} == {"W", "b"}
        assert list(gg.explain(layer, x, wrt="x").gradients) == list(gg.explain(layer, x, wrt=0).gradients) == ["x"]
        assert list(gg.explain(layer, x=x, wrt="model").gradients) == ["W", "b"]

    def test_variables_that_the_function_closes_over(self) -> None:
        w = gg.variable(2.0, name="w")
        e = gg.explain(lambda x: w * x, 3.0)
        assert {k: float(v) for k, v in e.gradients.items()} == {"x": 2, "w": 3}

    def test_a_value_made_from_variables(self) -> None:
        w = gg.variable(2.0, name="w")
        z = w * 3.0
        e = gg.explain(z**2)
        assert e["w"].grad == 36 and e["z"].grad == 12 and e["z"].local["w"] == 3
        assert (z**2).backward()["w"] == 36

    def test_nothing_of_what_is_discarded(self) -> None:
        e = gg.explain(lambda x: gnp.where(x > 0, gnp.sqrt(x), x), np.array([-1.0, 0.0, 4.0]))
        np.testing.assert_array_equal(e["x"].grad, [1, 1, 0.25])
        assert e["greater"].grad is None and not e["greater"].local
        stopped = gg.explain(lambda x: x * gg.stop_gradient(gnp.sin(x)), 2.0)
        assert stopped["sin"].grad == 0 and stopped["x"].grad == np.sin(2.0)

    def test_several_outputs_and_loops(self) -> None:
        def f(a: Any) -> Any:
            return gnp.linalg.svd(a, full_matrices=False)[1][0]

        a = np.array([[1.0, 2.0], [3.0, 4.0]])
        e = gg.explain(f, a)
        u, _, v = np.linalg.svd(a)
        np.testing.assert_allclose(e["a"].grad, np.outer(u[:, 0], v[0]), rtol=1e-12)
        e = gg.explain(lambda w: gg.scan(lambda c, x: (w * c, c), 1.0, np.zeros(3))[0], 2.0)
        assert e["w"].grad == 12

    @pytest.mark.parametrize(
        ("f", "text", "latex"),
        [
            (lambda x: x[0, 1], "x[0, 1]", "x[0, 1]"),
            (lambda x: x[:, 1].sum(), "x[:, 1]", "x[:, 1]"),
            (lambda x: x[1:, ..., ::2].sum(), "x[1:, ..., ::2]", r"x[1:, \ldots, ::2]"),
            (lambda x: x[None, -1].sum(), "x[None, -1]", r"x[\mathrm{None}, -1]"),
            (lambda x: x[[0, 2]].sum(), "x[…]", r"x[\ldots]"),
            (lambda x: (2 * x)[0, 0], "mul[0, 0]", r"\mathrm{mul}[0, 0]"),
        ],
    )
    def test_indices_are_shown(self, f: Any, text: str, latex: str) -> None:
        e = gg.explain(f, np.ones((3, 4)))
        assert e["gather"].formula == text
        assert next(n["latex"] for n in e.to_dict()["nodes"] if n["op"] == "gather") == latex

    def test_derivatives_are_programs_too(self) -> None:
        e = gg.explain(gg.grad(lambda x: gnp.sin(x) * x), 2.0)
        np.testing.assert_allclose(e["x"].grad, 2 * np.cos(2.0) - 2 * np.sin(2.0), rtol=1e-14)
        assert e["cos"].derivative_of is e["sin"]

    def test_inner_derivatives_leave_no_aliases(self) -> None:
        e = gg.explain(lambda w, x: gg.grad(gg.grad(lambda y: gnp.tanh(w * y)))(x), 2.0, 0.5)
        assert "alias" not in {n.op for n in e} and e["mul#1"].formula == "w · x"
        t = np.tanh(1.0)
        np.testing.assert_allclose(e.value, -8 * t * (1 - t**2), rtol=1e-13)
        np.testing.assert_allclose(e["x"].grad, -16 * (1 - t**2) * (1 - 3 * t**2), rtol=1e-13)
        np.testing.assert_allclose(sum(e["x"].arrives.values()), e["x"].grad, rtol=1e-13)
        np.testing.assert_allclose(sum(p.contribution for p in e.paths("x", top=None)), e["x"].grad, rtol=1e-12)

    @pytest.mark.parametrize(
        ("f", "x", "error", "message"),
        [
            (lambda x: x * 2, 3, gg.errors.DtypeError, "write 3.0 for 3"),
            (lambda x: 3.0, 2.0, gg.errors.NotScalarError, "does not depend"),
            (lambda x: x > 0, 2.0, gg.errors.NonDifferentiableError, "greater"),
            (lambda x: x * 1j, 2.0, gg.errors.NonDifferentiableError, "complex"),
            (
                lambda x: (x * 2, np.ones(2), x * 3),
                2.0,
                gg.errors.NotScalarError,
                r"2 values .* at \[0\], \[2\], .*f\(\*args\)\[0\]",
            ),
            (lambda x: x[:0], np.ones(2), gg.errors.ShapeError, "empty"),
        ],
    )
    def test_refusals(self, f: Any, x: Any, error: Any, message: str) -> None:
        with pytest.raises(error, match=message):
            gg.explain(f, x)

    def test_the_arguments_are_left_alone(self) -> None:
        x = np.ones(3)
        e = gg.explain(lambda x: (x * 2).sum(), x)
        x[:] = 7
        np.testing.assert_array_equal(e["x"].value, np.ones(3))


class TestPasses:
    def test_the_two_tables_of_a_network(self) -> None:
        p, x, y = parameters(), RNG.normal(size=2), RNG.normal(size=2)
        e = gg.explain(cost, p, x, y)
        s1, s2 = e["a1"].value, e["a2"].value
        rows = [(r.z, r.parameter, r.multiplies) for r in e.forward]
        assert rows == [("z1", "W1", "x"), ("z1", "b1", "1"), ("z2", "W2", "a1"), ("z2", "b2", "1")]
        assert e.forward[0].formula == "W1 @ x + b1"
        np.testing.assert_array_equal(e.forward[2].factor, s1)
        back = [(r.z, r.gain, r.arrives) for r in e.backward]
        assert back == [("z2", "σ'(z2)", "∂C/∂error"), ("z1", "σ'(z1)", "W2ᵀ ∂C/∂z2")]
        np.testing.assert_allclose(e.backward[0].amplification, s2 * (1 - s2), rtol=1e-14)
        # The textbook's recursion, with nothing of the engine's
        delta2 = (s2 - y) * s2 * (1 - s2)
        delta1 = s1 * (1 - s1) * (p["W2"].T @ delta2)
        np.testing.assert_allclose(e.backward[0].grad, delta2, rtol=1e-13)
        np.testing.assert_allclose(e.backward[1].grad, delta1, rtol=1e-13)
        np.testing.assert_allclose(np.outer(delta1, e.forward[0].factor), e["W1"].grad, rtol=1e-13)

    def test_a_network_of_numbers(self) -> None:
        """Half of Mazur's step by step example, written out: net1 = w1 i1 + w2 i2 + b1."""

        def mazur(w1: Any, w2: Any, w5: Any, w6: Any) -> Any:
            net1 = w1 * 0.05 + w2 * 0.10 + 0.35
            h1 = nn.sigmoid(net1)
            net2 = w5 * h1 + w6 * 0.5 + 0.6
            o1 = nn.sigmoid(net2)
            return 0.5 * (0.01 - o1) ** 2

        e = gg.explain(mazur, 0.15, 0.20, 0.40, 0.45)
        assert [(r.z, r.parameter, r.multiplies) for r in e.forward] == [
            ("net1", "w1", "0.05"),
            ("net1", "w2", "0.1"),
            ("net2", "w5", "h1"),
            ("net2", "w6", "0.5"),
        ]
        assert e.forward[0].formula == "w1 · 0.05 + w2 · 0.1 + 0.35"
        back = [(r.z, r.gain, r.arrives) for r in e.backward]
        assert back == [("net2", "σ'(net2)", "∂C/∂o1"), ("net1", "σ'(net1)", "w5 · ∂C/∂net2")]
        h1 = 1 / (1 + np.exp(-0.3775))
        o1 = 1 / (1 + np.exp(-(0.40 * h1 + 0.45 * 0.5 + 0.6)))
        delta2 = (o1 - 0.01) * o1 * (1 - o1)
        np.testing.assert_allclose(e.backward[0].grad, delta2, rtol=1e-14)
        np.testing.assert_allclose(e.backward[1].amplification, h1 * (1 - h1), rtol=1e-14)
        np.testing.assert_allclose(e.backward[1].grad, h1 * (1 - h1) * 0.40 * delta2, rtol=1e-13)

    def test_only_the_whole_sum_is_z(self) -> None:
        def neuron(w0: Any, x0: Any, w1: Any, x1: Any, w2: Any) -> Any:
            z = w0 * x0 + w1 * x1 + w2
            return nn.sigmoid(z)

        e = gg.explain(neuron, 2.0, -1.0, -3.0, -2.0, -3.0)
        assert [r.z for r in e.backward] == ["z"] and {r.z for r in e.forward} == {"z"}

    def test_a_residual_is_part_of_z(self) -> None:
        def residual(W1: Any, W2: Any, x: Any) -> Any:
            a = gnp.tanh(W1 @ x)
            z2 = W2 @ a + x
            return (gnp.tanh(z2) ** 2).sum()

        args = RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3)), RNG.normal(size=3)
        row = gg.explain(residual, *args, wrt=("W1", "W2")).backward[0]
        z2 = args[1] @ np.tanh(args[0] @ args[2]) + args[2]
        assert (row.z, row.gain) == ("z2", "tanh'(z2)")
        np.testing.assert_allclose(row.grad, 2 * np.tanh(z2) * (1 - np.tanh(z2) ** 2), rtol=1e-13)

    def test_what_is_subtracted_and_a_dot_product_written_out(self) -> None:
        def f(w: Any, v: Any, x: Any) -> Any:
            z = 2.0 - (w * x).sum()
            a = gnp.tanh(z)
            y = 1.0 - v * a
            return y**2

        e = gg.explain(f, np.array([1.0, -0.5]), 3.0, np.array([0.5, 2.0]), wrt=("w", "v"))
        first, last = e.forward
        assert (first.z, first.multiplies, last.z, last.multiplies) == ("z", "-x", "y", "-a")
        np.testing.assert_array_equal(first.factor, [-0.5, -2.0])
        np.testing.assert_allclose(first.factor * e["z"].grad, e["w"].grad, rtol=1e-14)
        assert [(r.z, r.arrives) for r in e.backward] == [("y", "1"), ("z", "-v · ∂C/∂y")]

    def test_gains_may_be_infinite(self) -> None:
        with np.errstate(all="raise"):
            e = gg.explain(lambda w, x: gnp.sqrt((w * x).sum()), np.zeros(2), np.ones(2), wrt="w")
            assert [(r.z, float(r.amplification)) for r in e.backward] == [("sum", np.inf)]

    def test_sums_in_loops_and_elements_of_parameters(self) -> None:
        def f(p: Any, x: Any) -> Any:
            s = 0.5
            for k in range(3):
                s = s + p["w"][k] * x[k]
            return p["v"] * gnp.tanh(s)

        e = gg.explain(f, {"w": np.array([1.0, -1.0, 0.5]), "v": 2.0}, np.array([0.2, 0.3, 0.4]))
        (z,) = {r.z for r in e.forward if r.parameter != "v"}
        assert z == "s#3"
        assert [(r.parameter, r.multiplies) for r in e.forward if r.z == z] == [
            (f"w[{k}]", f"x[{k}]") for k in range(3)
        ]
        assert [r.gain for r in e.backward if r.z == z] == [f"tanh'({z})"]

    def test_losses_are_no_pre_activations(self) -> None:
        def f(p: Any, x: Any, y: Any) -> Any:
            return ((p["W"] @ x + p["b"] - y) ** 2).sum() + 0.1 * (p["W"] * p["W"]).sum()

        e = gg.explain(f, {"W": np.ones((2, 2)), "b": np.ones(2)}, np.ones(2), np.ones(2))
        assert "W @ x + b" in {r.formula for r in e.forward}
        assert e.output.name not in {r.z for r in e.forward}

    def test_rows_of_examples(self) -> None:
        """In batches weights multiply from the right, and so do their transposes."""

        def f(p: Any, x: Any) -> Any:
            z1 = x @ p["W1"]
            z2 = gnp.tanh(z1) @ p["W2"]
            return (z2**2).mean()

        e = gg.explain(f, {"W1": RNG.normal(size=(3, 4)), "W2": RNG.normal(size=(4, 2))}, RNG.normal(size=(5, 3)))
        back = [(r.z, r.gain, r.arrives) for r in e.backward]
        assert back[1] == ("z1", "tanh'(z1)", "∂C/∂z2 W2ᵀ")
        upstream, gain = e["z2"].grad, 1 - np.tanh(e["z1"].value) ** 2
        np.testing.assert_allclose(e["z1"].grad, gain * (upstream @ e["W2"].value.T), rtol=1e-13)

    def test_a_gain_of_several_operations(self) -> None:
        def f(p: Any, x: Any) -> Any:
            z = p["w"] * x
            a = z / (1 + gnp.exp(-z))
            return (a * p["v"]).sum()

        x = np.array([0.5, -1.0])
        e = gg.explain(f, {"w": 0.7, "v": 2.0}, x)
        row = next(r for r in e.backward if r.z == "z")
        s = 1 / (1 + np.exp(-0.7 * x))
        assert row.gain == "∂a/∂z"
        np.testing.assert_allclose(row.amplification, s + 0.7 * x * s * (1 - s), rtol=1e-14)


class TestForms:
    def test_jitted_functions_are_the_same(self) -> None:
        args = (parameters(), RNG.normal(size=2), RNG.normal(size=2))
        plain, jitted = gg.explain(cost, *args), gg.explain(gg.jit(cost), *args)
        assert [n.name for n in plain.nodes] == [n.name for n in jitted.nodes]
        for a, b in zip(plain.nodes, jitted.nodes, strict=True):
            np.testing.assert_array_equal(a.grad, b.grad)

    def test_a_hundred_layers_are_collapsed(self) -> None:
        model = nn.MLP((4,) * 101, rng=0)
        e = gg.explain(lambda m, x: (m(x) ** 2).sum(), model, np.ones((2, 4), np.float32))
        assert len(e) > 500
        boxes = e.to_svg().count("<rect")
        assert 100 <= boxes <= 300
        assert e.to_dot().count("[label=") == boxes
        table = e.table("nodes").splitlines()
        assert 100 <= len(table) <= 110 and any(line.startswith("hidden50 ") for line in table)
        assert e["hidden50/W"].grad.shape == (4, 4)

    def test_a_long_chain_is_collapsed(self) -> None:
        def chain(x: Any) -> Any:
            for _ in range(3000):
                x = gnp.sin(x)
            return x

        e = gg.explain(chain, 1.0)
        assert len(e) == 3001 and e.to_svg().count("<rect") <= 300
        value, slope = 1.0, 1.0
        for _ in range(3000):
            slope *= np.cos(value)
            value = np.sin(value)
        np.testing.assert_allclose(e["x"].grad if "x" in e else e[0].grad, slope, rtol=1e-12)

    def test_drawings_are_well_formed(self) -> None:
        e = gg.explain(cost, parameters(), RNG.normal(size=2), RNG.normal(size=2))
        svg = xml.etree.ElementTree.fromstring(e.to_svg())
        assert svg.tag.endswith("svg")
        words = e.to_svg()
        assert "W1 @ x" in words and "#0969da" in words and "#bc4c00" in words

    def test_text_of_the_user_is_escaped(self) -> None:
        e = gg.explain(lambda x: gg.name(x * 2.0, "<script>alert(1)</script>"), 1.0)
        assert "<script>" not in e.to_dot() and "&lt;script&gt;" in e.to_svg()

    def test_boxes_do_not_overlap(self) -> None:
        from glassgrad.inspect.layout import place

        sizes = [(60.0 + 20 * (k % 3), 30.0) for k in range(60)]
        edges = [(a, b) for b in range(1, 60) for a in {b // 2, b // 3, max(b - 1, 0)} if a < b]
        boxes, routes = place(sizes, edges)
        assert len(routes) == len(edges)
        for route in routes:  # downwards, and past the boxes of the layers between
            assert [y for _, y in route] == sorted(y for _, y in route)
            for x, y in route[1:-1]:
                assert not any(abs(x - b.x) < b.width / 2 and abs(y - b.y) < b.height / 2 for b in boxes)
        for a, b in edges:
            assert boxes[a].y + boxes[a].height / 2 < boxes[b].y - boxes[b].height / 2
        for k, p in enumerate(boxes):
            for q in boxes[:k]:
                assert abs(p.x - q.x) >= (p.width + q.width) / 2 - 1e-9 or abs(p.y - q.y) >= (p.height + q.height) / 2

    def test_plain_data(self) -> None:
        e = gg.explain(cost, parameters((2, 40, 2)), RNG.normal(size=2), RNG.normal(size=2))
        data = json.loads(json.dumps(e.to_dict(), allow_nan=False))
        nodes = data["nodes"]
        assert [n["name"] for n in nodes] == [n.name for n in e.nodes]
        w1 = nodes[e.nodes.index(e["W1"])]
        assert "elements" not in w1["value"] and sum(w1["value"]["histogram"]) == 80
        assert nodes[data["output"]]["value"]["elements"] == [float(e.value)]
        order = data["backward"]
        assert order[0] == data["output"] and order == sorted(order, reverse=True)
        assert data["forward"] == sorted(data["forward"])
        z1 = nodes[e.nodes.index(e["z1"])]
        assert z1["source"].startswith("z1 = p[") and z1["file"].endswith("test_explain.py")
        assert {r["z"] for r in data["passes"]["backward"]} == {"z1", "z2"}
        for edge in data["edges"]:
            assert edge["source"] < edge["target"]

    def test_latex(self) -> None:
        def f(w: Any, x: Any) -> Any:
            z = w * x
            return z * z

        text = gg.explain(f, 3.0, 2.0).to_latex("w")
        assert (
            r"\frac{\partial C}{\partial w} &= \frac{\partial C}{\partial z} \cdot \frac{\partial z}{\partial w}"
            in text
        )
        assert r"12 \cdot 2 = 24" in text

    def test_printing(self, capsys: pytest.CaptureFixture[str]) -> None:
        e = gg.explain(lambda x: gnp.sin(x), 1.0)
        e.show()
        assert capsys.readouterr().out == str(e) + "\n"

    def test_printing_on_a_terminal(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("rich")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        gg.explain(lambda x: gnp.sin(x), 1.0).show("nodes")
        printed = capsys.readouterr().out
        assert "sin(x)" in printed and "0.8415" in printed and "┃" in printed


def test_against_retained_gradients_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    p, x, y = parameters((3, 5, 2)), RNG.normal(size=3), RNG.normal(size=2)
    e = gg.explain(cost, p, x, y)
    t = {k: torch.tensor(v, requires_grad=True) for k, v in p.items()}
    kept = {"z1": t["W1"] @ torch.tensor(x) + t["b1"]}
    kept["a1"] = torch.sigmoid(kept["z1"])
    kept["z2"] = t["W2"] @ kept["a1"] + t["b2"]
    kept["a2"] = torch.sigmoid(kept["z2"])
    for value in kept.values():
        value.retain_grad()
    (0.5 * ((kept["a2"] - torch.tensor(y)) ** 2).sum()).backward()
    for name, value in (t | kept).items():
        np.testing.assert_allclose(e[name].value, value.detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(e[name].grad, value.grad.numpy(), rtol=1e-12)


def test_a_network_of_many_ops_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    x, w = RNG.normal(size=(2, 1, 6, 6)), RNG.normal(size=(3, 1, 3, 3))
    v, labels = RNG.normal(size=(3, 4)), np.array([1, 3])

    def f(w: Any, v: Any) -> Any:
        maps = nn.conv(x, w)
        bent = nn.gelu_exact(maps)
        pooled = bent.mean(axis=(2, 3))
        centred = (pooled - pooled.mean(axis=1, keepdims=True)) / gnp.sqrt(pooled.var(axis=1, keepdims=True) + 1e-5)
        logits = centred @ v
        return nn.cross_entropy(logits, labels)

    e = gg.explain(f, w, v)
    t = {"w": torch.tensor(w, requires_grad=True), "v": torch.tensor(v, requires_grad=True)}
    kept = {"maps": torch.nn.functional.conv2d(torch.tensor(x), t["w"])}
    kept["bent"] = torch.nn.functional.gelu(kept["maps"])
    kept["pooled"] = kept["bent"].mean((2, 3))
    kept["centred"] = torch.nn.functional.layer_norm(kept["pooled"], (3,))
    kept["logits"] = kept["centred"] @ t["v"]
    for value in kept.values():
        value.retain_grad()
    torch.nn.functional.cross_entropy(kept["logits"], torch.tensor(labels)).backward()
    for name, value in (t | kept).items():
        np.testing.assert_allclose(e[name].value, value.detach().numpy(), rtol=1e-10)
        np.testing.assert_allclose(e[name].grad, value.grad.numpy(), rtol=1e-9, atol=1e-12)


def _evaluate(n: Any, values: list[Any]) -> Any:
    if n.op == "sigmoid":  # NumPy's own has no complex form
        return 1 / (1 + np.exp(-values[0]))
    return n.node.op.eval(*values, **n.node.params)


def _summed(g: Any, shape: tuple[int, ...]) -> Any:
    g = g.sum(axis=tuple(range(g.ndim - len(shape)))) if np.ndim(g) > len(shape) else g
    return g
