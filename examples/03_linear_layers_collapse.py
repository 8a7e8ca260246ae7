"""Two linear layers are one linear map; with a sigmoid between them they are not."""

import numpy as np

import glassgrad as gg
from glassgrad.nn import sigmoid

W1 = np.array([[1.0, -2.0], [0.5, 1.5], [-1.0, 1.0]])  # 2 inputs, 3 hidden units
W2 = np.array([[2.0, 0.0, 1.0], [-1.0, 1.0, 3.0]])  # 2 outputs


def linear(x):
    return W2 @ (W1 @ x)


def bent(x):
    return W2 @ sigmoid(W1 @ x)


def jacobian(f, x):
    """∂f_i/∂x_j, a row per output."""
    y, pullback = gg.vjp(f, x)
    return np.stack([pullback(row)[0] for row in np.eye(len(y))])


def main():
    a, b = np.array([1.0, 2.0]), np.array([-3.0, 0.5])
    print("W2 W1 =\n", W2 @ W1)
    for name, f in (("two linear layers", linear), ("a sigmoid between", bent)):
        print(f"\n{name}")
        print("  f(a + b)    =", f(a + b))
        print("  f(a) + f(b) =", f(a) + f(b))
        print("  Jacobian at a:\n", jacobian(f, a))
        print("  Jacobian at b:\n", jacobian(f, b))
    print("\nThe linear network's Jacobian is W2 W1 everywhere: depth added nothing. The bent one's changes with x.")


if __name__ == "__main__":
    main()
