"""A Jacobian row by row from vjp, and a Hessian row by row as the gradient of a gradient."""

import numpy as np

import glassgrad as gg


def polar(p):
    """Radius and angle to a point of the plane."""
    return gg.numpy.stack([p[0] * gg.numpy.cos(p[1]), p[0] * gg.numpy.sin(p[1])])


def rosenbrock(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def jacobian(f, x):
    y, pullback = gg.vjp(f, x)
    return np.stack([pullback(row)[0] for row in np.eye(len(y))])


def hessian(f, x):
    slope = gg.grad(f)
    return np.stack([gg.grad(lambda x, i=i: slope(x)[i])(x) for i in range(len(x))])


def newton(f, x, steps):
    for _ in range(steps):
        x = x - np.linalg.solve(hessian(f, x), gg.grad(f)(x))
    return x


def main():
    p = np.array([2.0, np.pi / 6])
    print("Jacobian of polar coordinates at r = 2, θ = 30°\n", jacobian(polar, p))
    print("its determinant is r:", f"{np.linalg.det(jacobian(polar, p)):.6f}")

    minimum = np.array([1.0, 1.0])
    print("\nRosenbrock's function at its minimum: gradient", gg.grad(rosenbrock)(minimum))
    h = hessian(rosenbrock, minimum)
    print("Hessian\n", h)
    print(f"symmetric: {np.array_equal(h, h.T)}; condition number {np.linalg.cond(h):.0f}: plain descent crawls there")
    print("Newton's method from (-1.2, 1), six steps:", newton(rosenbrock, np.array([-1.2, 1.0]), 6))


if __name__ == "__main__":
    main()
