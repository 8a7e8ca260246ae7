"""Batch, mini-batch and stochastic descent on one data set: one gradient, estimated from more or fewer examples."""

import numpy as np

import glassgrad as gg

TRUE = np.array([1.5, -2.0, 0.5])


def data(n=256, seed=0):
    at, noise = gg.random.split(seed)
    x = gg.random.normal(size=(n, 3), rng=at).value
    return x, x @ TRUE + 0.1 * gg.random.normal(size=n, rng=noise).value


def loss(w, x, y):
    return ((x @ w - y) ** 2).mean()


def descend(batch, epochs=20, rate=0.02, seed=1):
    """Weights and the loss on all data after each epoch."""
    x, y = data()
    w, history = np.zeros(3), []
    for epoch in range(epochs):
        order = gg.random.permutation(len(x), rng=gg.random.fold_in(seed, epoch)).value
        for start in range(0, len(x), batch):
            chosen = order[start : start + batch]
            w = w - rate * gg.grad(loss)(w, x[chosen], y[chosen])
        history.append(float(loss(w, x, y)))
    return w, history


def main():
    x, y = data()
    best = np.linalg.lstsq(x, y)[0]
    print(f"least squares: {best}, loss {loss(best, x, y):.5f}\n")
    print("                 updates per epoch   loss after 1    5        20 epochs   weights")
    for name, batch in (("batch", len(x)), ("mini-batch", 32), ("stochastic", 1)):
        w, history = descend(batch)
        row = "  ".join(f"{history[i]:9.5f}" for i in (0, 4, 19))
        print(f"{name:11s} {batch:4d} {len(x) // batch:17d}   {row}    {np.round(w, 3)}")
    print("\nan epoch costs the same arithmetic in each; smaller batches make more, noisier steps of it")


if __name__ == "__main__":
    main()
