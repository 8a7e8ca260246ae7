"""A transformer that predicts the next token: two blocks of causal attention and a perceptron, norms before each.

A. Vaswani et al., "Attention is all you need" (2017); the norms stand where R. Xiong et al., "On layer normalization in
the transformer architecture" (2020), put them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from libraries import Library, glassgrad_library, jax_library, normal, torch_module
from training import Loss, Model

TOKENS, LENGTH, WIDTH, HEADS, BLOCKS = 64, 64, 64, 4, 2
EPSILON = 1e-5


def loss_with(lib: Library) -> Loss:
    xp = lib.np

    def layer_norm(x: Any, norm: dict[str, Any]) -> Any:
        away = x - xp.mean(x, axis=-1, keepdims=True)
        return away / xp.sqrt(xp.mean(away * away, axis=-1, keepdims=True) + EPSILON) * norm["scale"] + norm["shift"]

    # Queries, keys and values have no bias: a shift of all keys changes nothing, its gradient would be rounding alone.
    def attention(x: Any, p: dict[str, Any], seen: Any) -> Any:
        b, n, d = x.shape
        qkv = (x @ p["Wqkv"]).reshape(b, n, 3, HEADS, d // HEADS)
        q, k, v = xp.transpose(qkv, (2, 0, 3, 1, 4))  # each [B, H, N, D/H]
        scores = q @ xp.swapaxes(k, -1, -2) * (d // HEADS) ** -0.5  # [B, H, N, N]
        mixed = lib.softmax(xp.where(seen, scores, -np.inf)) @ v
        return xp.swapaxes(mixed, 1, 2).reshape(b, n, d) @ p["Wo"] + p["bo"]

    def loss(p: dict[str, Any], tokens: Any, following: Any) -> Any:
        seen = np.tri(tokens.shape[1], dtype=bool)
        x = p["tokens"][tokens] + p["positions"]  # [B, N, D]
        for block in p["blocks"]:
            x = x + attention(layer_norm(x, block["norm1"]), block, seen)
            hidden = lib.gelu(layer_norm(x, block["norm2"]) @ block["W1"] + block["b1"])
            x = x + hidden @ block["W2"] + block["b2"]
        return lib.cross_entropy(layer_norm(x, p["norm"]) @ p["W"], following)

    return loss


def torch_loss() -> Loss:
    F = torch_module().nn.functional

    def layer_norm(x: Any, norm: dict[str, Any]) -> Any:
        return F.layer_norm(x, (WIDTH,), norm["scale"], norm["shift"], EPSILON)

    def attention(x: Any, p: dict[str, Any]) -> Any:
        b, n, d = x.shape
        qkv = (x @ p["Wqkv"]).view(b, n, 3, HEADS, d // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return F.linear(mixed.transpose(1, 2).reshape(b, n, d), p["Wo"].T, p["bo"])

    def loss(p: dict[str, Any], tokens: Any, following: Any) -> Any:
        x = F.embedding(tokens, p["tokens"]) + p["positions"]
        for block in p["blocks"]:
            x = x + attention(layer_norm(x, block["norm1"]), block)
            hidden = F.gelu(F.linear(layer_norm(x, block["norm2"]), block["W1"].T, block["b1"]), approximate="tanh")
            x = x + F.linear(hidden, block["W2"].T, block["b2"])
        logits = layer_norm(x, p["norm"]) @ p["W"]
        return F.cross_entropy(logits.flatten(0, 1), following.flatten())

    return loss


def model(batch: int) -> Model:
    rng = np.random.default_rng(0)

    def linear(inputs: int, outputs: int) -> np.ndarray:
        return normal(rng, inputs, outputs, scale=inputs**-0.5)

    def norm() -> dict[str, np.ndarray]:
        return {"scale": np.ones(WIDTH, np.float32), "shift": np.zeros(WIDTH, np.float32)}

    def block() -> dict[str, Any]:
        return {
            "norm1": norm(),
            "Wqkv": linear(WIDTH, 3 * WIDTH),
            "Wo": linear(WIDTH, WIDTH),
            "bo": np.zeros(WIDTH, np.float32),
            "norm2": norm(),
            "W1": linear(WIDTH, 4 * WIDTH),
            "b1": np.zeros(4 * WIDTH, np.float32),
            "W2": linear(4 * WIDTH, WIDTH),
            "b2": np.zeros(WIDTH, np.float32),
        }

    params = {
        "tokens": normal(rng, TOKENS, WIDTH),
        "positions": normal(rng, LENGTH, WIDTH, scale=0.1),
        "blocks": [block() for _ in range(BLOCKS)],
        "norm": norm(),
        "W": linear(WIDTH, TOKENS),
    }
    text = rng.integers(0, TOKENS, (batch, LENGTH + 1))
    batch_of = np.ascontiguousarray(text[:, :-1]), np.ascontiguousarray(text[:, 1:])
    losses = {
        "Glassgrad": lambda: loss_with(glassgrad_library()),
        "JAX": lambda: loss_with(jax_library()),
        "PyTorch": torch_loss,
    }
    return Model(params, batch_of, losses)
