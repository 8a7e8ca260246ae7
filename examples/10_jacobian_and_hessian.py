"""A Jacobian, a Hessian, and Newton's method with them: in two variables, and sparse in ten thousand."""

import numpy as np

import glassgrad as gg


def polar(p):
    """Radius and angle to a point of the plane."""
    return gg.numpy.stack([p[0] * gg.numpy.cos(p[1]), p[0] * gg.numpy.sin(p[1])])


def rosenbrock(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def newton(f, x, steps):
    for _ in range(steps):
        x = x - np.linalg.solve(gg.hessian(f)(x), gg.grad(f)(x))
    return x


def chained(x):
    """Springs between neighbours, each mass held at 1 by a stiffening one."""
    return ((x[1:] - x[:-1]) ** 2).sum() + ((x - 1.0) ** 4).sum() + (x * x).sum()


def sparse_newton(x, steps):
    try:
        from scipy.sparse.linalg import spsolve
    except ImportError:
        print("(SciPy is not installed: no sparse Hessian)")
        return
    slope, hess = gg.jit(gg.grad(chained)), gg.hessian(chained, sparse=True)
    print("\nTen thousand variables, the Hessian:", hess.plan(x))
    for k in range(steps):
        x = x - spsolve(hess(x), slope(x))
        print(f"step {k + 1}: largest slope {np.abs(slope(x)).max():.1e}")


def main():
    p = np.array([2.0, np.pi / 6])
    print("Jacobian of polar coordinates at r = 2, θ = 30°\n", gg.jacobian(polar)(p))
    print("its determinant is r:", f"{np.linalg.det(gg.jacobian(polar)(p)):.6f}")

    minimum = np.array([1.0, 1.0])
    print("\nRosenbrock's function at its minimum: gradient", gg.grad(rosenbrock)(minimum))
    h = gg.hessian(rosenbrock)(minimum)
    print("Hessian\n", h)
    print(f"symmetric: {np.array_equal(h, h.T)}; condition number {np.linalg.cond(h):.0f}: plain descent crawls there")
    print("Newton's method from (-1.2, 1), six steps:", newton(rosenbrock, np.array([-1.2, 1.0]), 6))

    v = np.array([1.0, -1.0])
    print("H v without H:", gg.hvp(rosenbrock, minimum, v))
    print("the diagonal alone:", gg.hessian_diagonal(rosenbrock)(minimum))
    sparse_newton(np.zeros(10_000), 6)


if __name__ == "__main__":
    main()
