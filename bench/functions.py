"""The objectives: each written once, in the words that NumPy's followers and PyTorch have in common.

A function takes the parameters it is differentiated by (an array or a tuple of arrays), then data.
Times by hand, in milliseconds, are the design table's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

Words = Callable[[Any, Callable[..., Any]], Callable[..., Any]]  # (np, logsumexp) -> function


@dataclass(frozen=True)
class Objective:
    name: str
    function: Words
    params: Any
    data: tuple[numpy.ndarray, ...]
    by_hand: float | None = None  # milliseconds of the value in C++, one thread
    gradient_by_hand: float | None = None


def gaussian_mixture(d: int = 20, k: int = 25, n: int = 1000) -> Objective:
    """Log-likelihood of a mixture of Gaussians, each with a lower triangular root of its inverse covariance.

    F. Srajer, Z. Kukelova and A. Fitzgibbon, "A benchmark of selected algorithmic differentiation tools on some
    problems in computer vision and machine learning" (2018), section 4.1, without the prior.
    """
    rng = numpy.random.default_rng(0)
    place = numpy.zeros((d, d), numpy.int64)  # where each element of a root stands among the d (d - 1) / 2 given
    below = numpy.tril_indices(d, -1)
    place[below] = numpy.arange(len(below[0]))
    strict = numpy.tri(d, k=-1)
    half = d * (d - 1) // 2

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        def log_likelihood(params: Any, x: Any, place: Any, strict: Any, eye: Any) -> Any:
            weights, means, scales, lower = params  # [K], [K, D], [K, D] logarithms, [K, D (D - 1) / 2]
            roots = lower[:, place] * strict + np.exp(scales)[:, :, None] * eye  # [K, D, D]
            away = np.einsum("kij,nkj->nki", roots, x[:, None, :] - means)
            inner = weights + np.sum(scales, axis=1) - 0.5 * np.sum(away * away, axis=2)  # [N, K]
            return np.sum(logsumexp(inner, 1)) - n * logsumexp(weights, 0) - 0.5 * n * d * numpy.log(2 * numpy.pi)

        return log_likelihood

    params = (
        rng.normal(size=k),
        rng.normal(size=(k, d)),
        0.1 * rng.normal(size=(k, d)),
        0.1 * rng.normal(size=(k, half)),
    )
    data = (rng.normal(size=(n, d)), place, strict, numpy.eye(d))
    return Objective(f"Gaussian mixture d={d} k={k} n={n}", words, params, data, 3.9, 14)


def bundle_adjustment(cameras: int = 49, points: int = 7776, observations: int = 32_000) -> Objective:
    """Sum of squared reprojection errors: rotation by Rodrigues' formula, perspective, radial distortion, focal length.

    The design's time by hand for a derivative is that of a sparse Jacobian, which this gradient is not.
    """
    rng = numpy.random.default_rng(0)

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        def cross(a: Any, b: Any) -> Any:
            (a0, a1, a2), (b0, b1, b2) = ((v[:, 0], v[:, 1], v[:, 2]) for v in (a, b))
            return np.stack((a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0), 1)

        def cost(params: Any, camera_of: Any, point_of: Any, seen: Any) -> Any:
            poses, points = params
            camera, x = poses[camera_of], points[point_of]  # [P, 9], [P, 3]
            turn = camera[:, 0:3]
            angle = np.sqrt(np.sum(turn * turn, axis=1))[:, None]
            axis, cosine = turn / angle, np.cos(angle)
            along = np.sum(axis * x, axis=1)[:, None] * axis
            x = cosine * x + np.sin(angle) * cross(axis, x) + (1 - cosine) * along + camera[:, 3:6]
            flat = x[:, 0:2] / x[:, 2:3]
            square = np.sum(flat * flat, axis=1)[:, None]
            distortion = 1 + camera[:, 7:8] * square + camera[:, 8:9] * square * square
            away = camera[:, 6:7] * distortion * flat - seen
            return np.sum(away * away)

        return cost

    poses = numpy.concatenate(
        [
            rng.normal(size=(cameras, 3)),
            rng.normal((0, 0, 9), 1, (cameras, 3)),  # in front of the camera
            numpy.tile((1.0, 0.1, 0.01), (cameras, 1)),
        ],
        axis=1,
    )
    params = (poses, rng.normal(size=(points, 3)))
    pairs = rng.integers(0, cameras, observations), rng.integers(0, points, observations)
    name = f"bundle adjustment, {observations} observations"
    return Objective(name, words, params, (*pairs, rng.normal(size=(observations, 2))), 0.87)


def log_sum_exp(n: int, by_hand: float, gradient_by_hand: float) -> Objective:
    x = numpy.random.default_rng(0).normal(size=n)

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x: logsumexp(x, 0)

    return Objective(f"log-sum-exp n={n}", words, x, (), by_hand, gradient_by_hand)


def polynomial(n: int = 16392, m: int = 128) -> Objective:
    """Least squares of a polynomial of m coefficients, written with powers as one writes it in NumPy."""
    rng = numpy.random.default_rng(0)

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        def cost(coefficients: Any, x: Any, y: Any, powers: Any) -> Any:
            away = x[:, None] ** powers @ coefficients - y
            return np.sum(away * away) / n

        return cost

    data = rng.uniform(0.1, 1, n), rng.normal(size=n), numpy.arange(m, dtype=float)
    return Objective(f"polynomial least squares n={n} m={m}", words, rng.normal(size=m), data, 2.2, 3.5)


def k_means(k: int = 100, n: int = 10_000, d: int = 16) -> Objective:
    """Sum of squared distances to the nearest centre; the design's time for a derivative is a Hessian's diagonal."""
    rng = numpy.random.default_rng(0)

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        def cost(centres: Any, x: Any) -> Any:
            distances = np.sum(x * x, axis=1)[:, None] - 2 * x @ centres.T + np.sum(centres * centres, axis=1)
            return np.sum(np.amin(distances, 1))

        return cost

    name = f"k-means cost k={k} n={n} d={d}"
    return Objective(name, words, rng.normal(size=(k, d)), (rng.normal(size=(n, d)),), 5.6)


def runge_kutta(n: int = 1000, steps: int = 10) -> Objective:
    """Logistic growth y' = r y (1 - y) by the classic method of fourth order; differentiated by y(0) and r."""
    rng = numpy.random.default_rng(0)
    h = 0.1

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        def cost(params: Any) -> Any:
            y, rate = params
            for _ in range(steps):
                k1 = rate * y * (1 - y)
                k2 = rate * (y + h / 2 * k1) * (1 - (y + h / 2 * k1))
                k3 = rate * (y + h / 2 * k2) * (1 - (y + h / 2 * k2))
                k4 = rate * (y + h * k3) * (1 - (y + h * k3))
                y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            return np.sum(y * y)

        return cost

    params = (rng.uniform(0.1, 0.9, n), rng.uniform(0.5, 1.5, n))
    return Objective(f"Runge-Kutta n={n}, {steps} steps", words, params, (), 0.013)


OBJECTIVES: tuple[Callable[[], Objective], ...] = (
    gaussian_mixture,
    bundle_adjustment,
    lambda: log_sum_exp(2_500, 0.019, 0.015),
    lambda: log_sum_exp(1_280_000, 9.5, 8.1),
    polynomial,
    k_means,
    runge_kutta,
)
