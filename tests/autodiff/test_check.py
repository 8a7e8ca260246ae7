"""check_grads finds wrong rules, passes right ones, and says where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import errors
from glassgrad.graph.apply import apply
from glassgrad.graph.primitive import Elementwise, registry
from glassgrad.ops import elementwise as ew
from glassgrad.ops import reduction


@pytest.fixture
def planted() -> Any:
    class PlantedSine(Elementwise):
        """sin x with a derivative wrong by one part in a thousand."""

        eval = np.sin
        partials = (lambda y, x: 1.001 * ew.cos(x),)

    yield lambda x: apply(PlantedSine, (x,))
    del registry["planted_sine"]


@pytest.mark.parametrize("modes", [("rev",), ("fwd",), ("rev", "fwd")])
def test_a_planted_wrong_rule_fails(planted: Any, modes: Any) -> None:
    with pytest.raises(errors.GradientCheckError) as caught:
        gg.check_grads(planted, (np.array([0.3, 1.0, 2.0]),), order=1, modes=modes)
    message = str(caught.value)
    assert "argument [0]" in message and "element [1]" in message and "tolerance" in message and modes[0] in message


def test_single_precision_also_finds_it(planted: Any) -> None:
    with pytest.raises(errors.GradientCheckError):
        gg.check_grads(planted, (np.array([0.3, 1.0], np.float32),), order=1)
    gg.check_grads(ew.sin, (np.array([0.3, 1.0], np.float32),), order=2)


def test_a_rule_wrong_only_in_its_second_order() -> None:
    @gg.custom_vjp
    def cube(x: Any) -> Any:
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, g: (g * 3.0 * gg.stop_gradient(x) ** 2,))
    gg.check_grads(cube, (2.0,), order=1)
    with pytest.raises(errors.GradientCheckError, match="order 2"):
        gg.check_grads(cube, (2.0,), order=2)


def test_it_names_the_leaf_of_a_tree(planted: Any) -> None:
    with pytest.raises(errors.GradientCheckError, match=r"argument \[0\]\['layer'\]\['w'\], element \[1, 0\]"):
        gg.check_grads(
            lambda p: planted(p["layer"]["w"]).sum() + p["b"] ** 2,
            ({"layer": {"w": np.array([[1.5707963267948966], [0.2]])}, "b": 1.0},),
            order=1,
        )


def test_complex_step_is_used_where_it_applies() -> None:
    report = gg.check_grads(lambda x: ew.exp(x) * x, (np.array([0.5]),), order=1)
    assert report.worst is not None and report.worst.method == "complex step" and report.worst.error < 1e-14
    report = gg.check_grads(lambda x: ew.absolute(x) ** 3, (np.array([0.5]),), order=1)
    assert report.worst is not None and report.worst.method == "finite difference"


def test_many_elements_are_sampled() -> None:
    report = gg.check_grads(lambda x: reduction.sum(x * x), (np.ones(5000),), order=1)
    assert report.compared == 2 * 52

    @gg.custom_vjp
    def square(x: Any) -> Any:
        return x * x

    weight = np.ones(5000)
    weight[4321] = 1.2  # one element in 5000 is wrong, and random directions see it
    square.defvjp(lambda x: (x * x, x), lambda x, g: (2.0 * g * x * weight,))
    with pytest.raises(errors.GradientCheckError, match="a random direction"):
        gg.check_grads(square, (np.ones(5000),), order=1, modes="rev")


def test_points_next_to_a_kink() -> None:
    gg.check_grads(ew.absolute, (np.array([1e-3, -1e-4]),))
    gg.check_grads(lambda x: x % 1.0, (np.array([0.9995]),))
    gg.check_grads(lambda x: reduction.max(x), (np.array([1.0, 1.001, 0.5]),))


def test_tiny_and_huge_scales(planted: Any) -> None:
    for scale in (1e-8, 1e-3, 1e3, 1e8):
        x = np.array([0.3, 1.0, 2.0]) * scale
        gg.check_grads(lambda x: scale * ew.log(x), (x,))  # noqa: B023
        gg.check_grads(lambda x: scale * ew.sin(x / scale), (x,))  # noqa: B023
        with pytest.raises(errors.GradientCheckError):
            gg.check_grads(lambda x: scale * planted(x / scale), (x,), order=1)  # noqa: B023
        with pytest.raises(errors.GradientCheckError):
            gg.check_grads(lambda x: scale * planted(x), (x / scale,), order=1)  # noqa: B023


def test_complex_functions() -> None:
    z = np.array([1.0 + 2.0j, -0.5j])
    gg.check_grads(lambda z: ew.exp(z) * ew.conj(z), (z,))
    gg.check_grads(lambda z: ew.absolute(z) + ew.real(z), (z,))


def test_what_it_refuses() -> None:
    with pytest.raises(errors.DtypeError, match=r"write \(x,\)"):
        gg.check_grads(ew.sin, np.ones(2))  # type: ignore[arg-type]
    with pytest.raises(errors.DtypeError, match=r"3\.0 for 3"):
        gg.check_grads(ew.sin, (3,))
    with pytest.raises(ValueError, match="modes"):
        gg.check_grads(ew.sin, (3.0,), modes=("sideways",))


def test_a_wrong_small_derivative_beside_a_large_one(planted: Any) -> None:
    @gg.custom_vjp
    def doubled(y: Any) -> Any:
        return ew.sin(y)

    doubled.defvjp(lambda y: (ew.sin(y), y), lambda y, g: (2.0 * g * ew.cos(y),))
    x = np.array([0.3, -1.2, 2.0, 0.7])
    with pytest.raises(errors.GradientCheckError, match=r"argument \[1\]"):
        gg.check_grads(lambda x, y: 1e6 * reduction.sum(x**2) + reduction.sum(doubled(y)), (x, x), order=1)


@pytest.mark.parametrize("factor", [30.0, 50.0, 100.0, 500.0])
def test_saturated_functions_pass(factor: float) -> None:
    x = np.array([0.3, -1.2, 2.0, 0.7]) * factor
    for f in (gg.special.softmax, gg.special.expit, ew.tanh, gg.special.logsumexp):
        gg.check_grads(f, (x,))


def test_half_precision_passes() -> None:
    for seed in range(5):
        x = np.random.default_rng(seed).uniform(-2, 2, 4).astype(np.float16)
        gg.check_grads(lambda x: ew.sin(x) * x, (x,))


def test_constant_results_and_nan_arguments() -> None:
    gg.check_grads(lambda x: (x**2, 1.0, 3), (2.0,))
    with pytest.raises(ValueError, match="NaN"):
        gg.check_grads(ew.sin, (np.nan,))


def test_threads_do_not_disturb_each_other() -> None:
    from concurrent.futures import ThreadPoolExecutor

    z, x = np.array([1.0 + 0.5j]), np.array([0.3, 0.7])
    jobs = [(ew.exp, z), (ew.exp, x)] * 20
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda job: gg.check_grads(job[0], (job[1],)), jobs))
