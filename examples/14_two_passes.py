"""The two passes of backpropagation through a small sigmoid network, as gg.explain reads them off the engine.

Forward pass: ∂z/∂w is what the weight multiplies. Backward pass: ∂C/∂z runs through the network in reverse, with the
transposed weights and the gains σ'(z). Their product is the gradient, and paths say what it is the sum of.
"""

import numpy as np

import glassgrad as gg
from glassgrad.nn import sigmoid

WEIGHTS = {
    "W1": np.array([[1.0, -2.0], [-1.0, 1.0]]),
    "b1": np.array([1.0, 0.0]),
    "W2": np.array([[2.0, -1.0], [-2.0, -1.0]]),
    "b2": np.array([0.0, 0.0]),
}


def cost(p, x, y):
    z1 = p["W1"] @ x + p["b1"]
    a1 = sigmoid(z1)
    z2 = p["W2"] @ a1 + p["b2"]
    a2 = sigmoid(z2)
    return 0.5 * ((a2 - y) ** 2).sum()


def main():
    e = gg.explain(cost, WEIGHTS, np.array([1.0, -1.0]), np.array([1.0, 0.0]))
    print(e.table("forward"))
    print()
    print(e.table("backward"))
    print()
    product = np.outer(e["z1"].grad, e["x"].value)
    print("∂C/∂W1 is the product of both:", np.allclose(product, e["W1"].grad))
    print()
    print(e.paths("W1"))


if __name__ == "__main__":
    main()
