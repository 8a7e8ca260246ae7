"""A line through points: residual r = ŷ - y, loss r², and descent to the least-squares answer."""

import numpy as np

import glassgrad as gg

X = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
Y = np.array([1.1, 2.9, 5.2, 6.8, 9.1])


def loss(params, x, y):
    prediction = gg.name(params["w"] * x + params["b"], "prediction")
    residual = gg.name(prediction - y, "residual")
    return (residual**2).mean()


def fit(steps=500, rate=0.1):
    params = {"w": 0.0, "b": 0.0}
    history = []
    for _ in range(steps):
        value, grads = gg.value_and_grad(loss)(params, X, Y)
        history.append(float(value))
        params = {k: params[k] - rate * grads[k] for k in params}
    return params, history


def main():
    x, y, params = 3.0, 6.8, {"w": 1.0, "b": 0.5}
    residual = params["w"] * x + params["b"] - y
    print(f"one point: x = {x}, y = {y}, ŷ = {params['w'] * x + params['b']}, r = ŷ - y = {residual:.1f}")
    named = gg.named_grads(loss, params, np.array([x]), np.array([y]))
    grads = gg.grad(loss)(params, np.array([x]), np.array([y]))
    print(f"  ∂L/∂r = 2r       {named['residual'][0]:8.2f}")
    print(f"  ∂L/∂ŷ = 2r · 1   {named['prediction'][0]:8.2f}")
    print(f"  ∂L/∂w = 2r · x   {grads['w']:8.2f}")
    print(f"  ∂L/∂b = 2r       {grads['b']:8.2f}")

    found, history = fit()
    print("\ndescent on five points")
    for step in (0, 1, 10, 100, len(history) - 1):
        print(f"  step {step:3d}: loss {history[step]:.6f}")
    (w, b), *_ = np.linalg.lstsq(np.stack([X, np.ones_like(X)], 1), Y)
    print(f"descent:       w = {found['w']:.6f}, b = {found['b']:.6f}")
    print(f"least squares: w = {w:.6f}, b = {b:.6f}")


if __name__ == "__main__":
    main()
