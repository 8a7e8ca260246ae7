"""The gradient that reaches the first layer as networks grow deeper: sigmoid against ReLU."""

import numpy as np

import glassgrad as gg
from glassgrad.nn import relu, sigmoid

WIDTH = 32
SCALES = {"sigmoid": (sigmoid, np.sqrt(1 / WIDTH)), "relu": (relu, np.sqrt(2 / WIDTH))}


def gradient_norms(kind, depth, seed=0):
    """Norm of ∂L/∂W for each layer, first to last."""
    activation, scale = SCALES[kind]
    x = gg.random.normal(size=(64, WIDTH), rng=gg.random.fold_in(seed, 0))
    weights = [
        gg.random.normal(0.0, scale, (WIDTH, WIDTH), rng=gg.random.fold_in(seed, i + 1)).value for i in range(depth)
    ]

    def loss(weights):
        h = x
        for w in weights:
            h = activation(h @ w)
        return (h**2).mean()

    return [float(np.linalg.norm(g)) for g in gg.grad(loss)(weights)]


def main():
    print("norm of the gradient of the first layer, and its share of the last layer's")
    print("depth        sigmoid                    ReLU")
    for depth in (1, 2, 4, 8, 12, 16):
        row = [gradient_norms(kind, depth) for kind in SCALES]
        print(f"{depth:5d}", *(f"   {norms[0]:.2e} ({norms[0] / norms[-1]:.1e})" for norms in row))
    print("\nσ' is at most 1/4, so each sigmoid layer shrinks what passes back through it; ReLU's gain is 0 or 1.")


if __name__ == "__main__":
    main()
