"""The chain rule for vectors: the gradient before a function is its Jacobian, transposed, times the gradient after."""

import numpy as np

import glassgrad as gg

W = np.array([[0.5, -1.0, 2.0], [1.5, 0.0, -0.5]])
TARGET = np.array([0.2, -0.4])


def inner(x):
    return gg.numpy.tanh(W @ x)  # 3 numbers -> 2 numbers


def outer(y):
    return ((y - TARGET) ** 2).sum()  # 2 numbers -> 1 number


def jacobian(f, x):
    y, pullback = gg.vjp(f, x)
    return np.stack([pullback(row)[0] for row in np.eye(len(y))])


def main():
    x = np.array([0.3, -0.2, 0.1])
    y = inner(x)
    jac = jacobian(inner, x)  # [2, 3], entry j, i is ∂y_j/∂x_i
    after = gg.grad(outer)(y)  # [2], ∂L/∂y_j
    before = gg.grad(lambda x: outer(inner(x)))(x)  # [3], ∂L/∂x_i
    print("Jacobian ∂y/∂x\n", jac)
    print("gradient after ∂L/∂y", after)
    print("\n∂L/∂x_i = Σ_j ∂y_j/∂x_i · ∂L/∂y_j")
    for i in range(3):
        terms = " + ".join(f"{jac[j, i]:+.4f}·{after[j]:+.4f}" for j in range(2))
        print(f"  i = {i}: {terms} = {jac[:, i] @ after:+.6f}   the engine: {before[i]:+.6f}")


if __name__ == "__main__":
    main()
