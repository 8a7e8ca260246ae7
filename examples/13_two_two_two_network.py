"""The 2-2-2 network of Matt Mazur's "A Step by Step Backpropagation Example" (2015), step by step and for 10,000 steps.

The published biases stay fixed, and so do they here. Two programs speak in the post: its weights and its last error are
those of gradient descent; its error after one step, 0.291027924, is that of a program which already uses the new
w5 ... w8 when it computes the gradients of w1 ... w4. Gradient descent gives 0.291027774.
"""

import numpy as np

import glassgrad as gg
from glassgrad.nn import sigmoid

INPUTS, TARGETS = np.array([0.05, 0.10]), np.array([0.01, 0.99])
HIDDEN = np.array([[0.15, 0.20], [0.25, 0.30]])  # w1 w2; w3 w4
OUTPUT = np.array([[0.40, 0.45], [0.50, 0.55]])  # w5 w6; w7 w8
B1, B2 = 0.35, 0.60
RATE = 0.5


def forward(weights):
    hidden = sigmoid(weights[0] @ INPUTS + B1)
    return sigmoid(weights[1] @ hidden + B2)


def error(weights):
    return 0.5 * ((TARGETS - forward(weights)) ** 2).sum()


def step(weights):
    value, grads = gg.value_and_grad(error)(weights)
    return [w - RATE * g for w, g in zip(weights, grads, strict=True)], float(value), grads


def train(steps):
    """Weights after so many steps, and the error measured in the last one."""
    weights, value = [HIDDEN, OUTPUT], 0.0
    for _ in range(steps):
        weights, value, _ = step(weights)
    return weights, value


def main():
    start = [HIDDEN, OUTPUT]
    after, value, grads = step(start)
    print("outputs ", forward(start))
    print(f"error    {value:.9f}   (published: 0.298371109)\n")
    print("weight   gradient      after one step")
    flat = zip(np.ravel(grads), np.ravel(after), strict=True)
    for i, (g, w) in enumerate(flat, 1):
        print(f"w{i}      {g:+.9f}   {w:.9f}")
    print(f"\nerror after one step      {error(after):.9f}")
    trained, last = train(10_000)
    print(f"error in the 10,000th     {last:.10f}   (published: 0.0000351085)")
    print("outputs ", forward(trained), "for targets", TARGETS)


if __name__ == "__main__":
    main()
