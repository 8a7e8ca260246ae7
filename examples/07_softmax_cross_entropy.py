"""Softmax and cross-entropy: the Jacobian diag(s) - s sᵀ, and why together their gradient is just ŷ - y."""

import numpy as np

import glassgrad as gg
from glassgrad.nn import cross_entropy, softmax

LOGITS = np.array([2.0, 1.0, 0.1])
TARGET = np.array([0.0, 1.0, 0.0])


def jacobian(f, x):
    y, pullback = gg.vjp(f, x)
    return np.stack([pullback(row)[0] for row in np.eye(len(y))])


def main():
    s = softmax(LOGITS)
    print("logits  ", LOGITS)
    print("ŷ       ", s, " sum", s.sum())
    by_engine, by_formula = jacobian(softmax, LOGITS), np.diag(s) - np.outer(s, s)
    print("\n∂ŷ/∂z by the engine\n", by_engine)
    print("largest difference from diag(ŷ) - ŷ ŷᵀ:", f"{np.abs(by_engine - by_formula).max():.1e}")

    by_probability = -TARGET / s  # ∂L/∂ŷ of L = -Σ y ln ŷ
    print("\n∂L/∂ŷ = -y/ŷ           ", by_probability)
    print("Jacobianᵀ · ∂L/∂ŷ      ", by_engine.T @ by_probability)
    print("∂L/∂z by the engine    ", gg.grad(cross_entropy)(LOGITS, TARGET))
    print("ŷ - y                  ", s - TARGET)

    far = np.array([1000.0, -1000.0, 0.0])
    print("\nlogits", far, "loss", cross_entropy(far, TARGET), "gradient", gg.grad(cross_entropy)(far, TARGET))
    print("from the logits nothing overflows, where ln of a softmax that rounded to 0 would be -inf")


if __name__ == "__main__":
    main()
