"""The textbook's δ-recursion through a deep sigmoid network, beside the engine's gradients.

Forward pass: ∂z/∂w is the activation that the weight multiplies, known as soon as the layer has its input.
Backward pass: ∂C/∂z = δ flows through a second network, with the transposed weights and, in place of the sigmoids,
amplifiers of the fixed gain σ'(z). Their product is the gradient: ∂C/∂W = δ aᵀ.
"""

import numpy as np

import glassgrad as gg
from glassgrad.nn import sigmoid

SIZES = (3, 5, 4, 4, 2)


def network(seed=0):
    *keys, last = gg.random.split(seed, len(SIZES))
    layers = [
        {"W": gg.random.normal(size=(after, before), rng=key).value, "b": np.zeros(after)}
        for before, after, key in zip(SIZES[:-1], SIZES[1:], keys, strict=True)
    ]
    return layers, gg.random.normal(size=SIZES[0], rng=last).value, np.array([1.0, 0.0])


def cost(layers, x, y):
    a = x
    for i, layer in enumerate(layers):
        z = gg.name(layer["W"] @ a + layer["b"], f"z{i + 1}")
        a = sigmoid(z)
    return 0.5 * ((a - y) ** 2).sum()


def forward(layers, x):
    """Activations and the gains σ'(z) of each layer."""
    activations, gains = [x], []
    for layer in layers:
        a = 1 / (1 + np.exp(-(layer["W"] @ activations[-1] + layer["b"])))
        activations.append(a)
        gains.append(a * (1 - a))
    return activations, gains


def reverse(layers, gains, error):
    """The reverse network: δ of each layer from the error at the output. It is linear in the error."""
    deltas = [gains[-1] * error]
    for layer, gain in zip(layers[:0:-1], gains[-2::-1], strict=True):
        deltas.append(gain * (layer["W"].T @ deltas[-1]))
    return deltas[::-1]


def main():
    layers, x, y = network()
    activations, gains = forward(layers, x)
    error = activations[-1] - y
    deltas = reverse(layers, gains, error)
    engine = gg.grad(cost)(layers, x, y)
    at_z = gg.named_grads(cost, layers, x, y)
    print("layer  |∂z/∂w| = |a|   mean gain σ'   |∂C/∂z| = |δ|   |∂C/∂W|     largest difference from the engine")
    for i, (delta, a, grads) in enumerate(zip(deltas, activations, engine, strict=False)):
        by_hand = np.outer(delta, a)
        off = max(np.abs(by_hand - grads["W"]).max(), np.abs(delta - at_z[f"z{i + 1}"]).max())
        at, through, product = (np.linalg.norm(v) for v in (a, delta, by_hand))
        print(f"{i + 1:5d}  {at:13.4f}  {gains[i].mean():13.4f}  {through:14.6f}  {product:9.6f}     {off:.1e}")
    doubled = reverse(layers, gains, 2 * error)
    linear = all(np.allclose(2 * d, e) for d, e in zip(deltas, doubled, strict=True))
    print("\nthe reverse network is linear (twice the error, twice every δ):", linear)


if __name__ == "__main__":
    main()
