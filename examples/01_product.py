"""f = x · w: the gradient of each factor is the other factor."""

import glassgrad as gg


def product(x, w):
    return x * w


def main():
    x, w = gg.variable(2.0, name="x"), gg.variable(3.0, name="w")
    f = product(x, w)
    grads = f.backward()
    print(f"f = x · w = {x} · {w} = {f}")
    print(f"∂f/∂x = w = {grads['x']}")
    print(f"∂f/∂w = x = {grads['w']}")

    step = 0.001
    print(f"\nthat is the slope: w grows by {step}, f by {product(2.0, 3.0 + step) - product(2.0, 3.0):.6f}")
    print("a step against the gradient makes f smaller:", end=" ")
    print(f"{product(2.0 - 0.1 * grads['x'], 3.0 - 0.1 * grads['w']):.2f} < {f}")


if __name__ == "__main__":
    main()
