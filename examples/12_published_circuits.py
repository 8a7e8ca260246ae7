"""Small circuits whose gradients were worked out by hand in print, computed again.

CS231n's notes on backpropagation (Stanford); Baydin, Pearlmutter, Radul and Siskind, "Automatic differentiation in
machine learning: a survey" (2018), tables 2 and 3; the example in the README of micrograd (A. Karpathy).
"""

import numpy as np

import glassgrad as gg
from glassgrad.nn import relu


def sum_times(x, y, z):
    return (x + y) * z


def neuron(w, x):
    return 1.0 / (1.0 + gg.numpy.exp(-(w[0] * x[0] + w[1] * x[1] + w[2])))


def gates(x, y, z, w):
    return 2.0 * (x * y + gg.numpy.maximum(z, w))


def square_norm(w, x):
    return ((w @ x) ** 2).sum()


def survey(x1, x2):
    return gg.numpy.log(x1) + x1 * x2 - gg.numpy.sin(x2)


def micrograd(a, b):
    c, d = a + b, a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + relu(b + a)
    d += 3 * d + relu(b - a)
    f = (c - d) ** 2
    return f / 2.0 + 10.0 / f


CIRCUITS = [
    ("(x + y) z", sum_times, (-2.0, 5.0, -4.0)),
    ("a sigmoid neuron of w and x", neuron, (np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0]))),
    ("2 (x y + max(z, w))", gates, (3.0, -4.0, 2.0, -1.0)),
    ("|W x|²", square_norm, (np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4]))),
    ("ln x1 + x1 x2 - sin x2", survey, (2.0, 5.0)),
    ("micrograd's expression", micrograd, (-4.0, 2.0)),
]


def main():
    for name, f, at in CIRCUITS:
        value, grads = gg.value_and_grad(f, argnums=tuple(range(len(at))))(*at)
        print(f"{name} at {', '.join(str(a).replace(chr(10), '') for a in at)}")
        print(f"  value {value:.4f}")
        print("  gradients", "  ".join(np.array2string(np.asarray(g), precision=4).replace("\n", "") for g in grads))


if __name__ == "__main__":
    main()
