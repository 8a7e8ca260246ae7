"""ReLU: slope 0 below, 1 above, and a choice at the kink."""

import numpy as np

import glassgrad as gg
from glassgrad.nn import relu


def main():
    slope = gg.grad(lambda x: relu(x).sum())
    x = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    print("x      ", x)
    print("relu   ", relu(x))
    print("slope  ", slope(x), "  at 0 any number from 0 to 1 is a subgradient; the convention is 0")

    step = 1e-6
    left, right = (relu(0.0) - relu(-step)) / step, (relu(step) - relu(0.0)) / step
    print(f"\nfrom the left the slope at 0 is {left}, from the right {right}: only a convention can choose")
    half = gg.grad(lambda x: gg.numpy.maximum(x, 0.0))(0.0)
    print(f"maximum(x, 0) treats its two arguments alike, so a tie gives each half: {half}")

    w = np.array([-1.0, -2.0])
    dead = gg.grad(lambda w, x: (relu(x @ w) ** 2).sum())(w, np.array([[1.0, 0.5], [0.3, 2.0]]))
    print("\na unit that is below 0 for every example gets no gradient and cannot move:", dead)


if __name__ == "__main__":
    main()
