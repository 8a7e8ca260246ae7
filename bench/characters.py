"""Steps of training on Shakespeare's characters: an LSTM and a transformer of each library's own layers.

The text is ../shared/data/tinyshakespeare.txt, where it is there. Both start from PyTorch's first weights, and see the
same windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from libraries import torch_module
from rows import Row
from targets import target
from timing import Contender

TEXT = Path(__file__).resolve().parents[2] / "shared" / "data" / "tinyshakespeare.txt"
BATCH, LENGTH, STEPS, RATE = 32, 64, 20, 1e-3
WIDTH, HEADS, BLOCKS, UNITS = 64, 4, 2, 128


def windows() -> tuple[np.ndarray, np.ndarray, int]:
    """Characters as numbers, [STEPS · BATCH, LENGTH], those that follow each, and how many kinds there are."""
    found, codes = np.unique(np.frombuffer(TEXT.read_bytes(), np.uint8), return_inverse=True)
    starts = np.random.default_rng(0).integers(0, len(codes) - LENGTH - 1, STEPS * BATCH)
    chosen = codes[starts[:, None] + np.arange(LENGTH + 1)]
    return np.ascontiguousarray(chosen[:, :-1]), np.ascontiguousarray(chosen[:, 1:]), len(found)


def torch_lstm(kinds: int) -> Any:
    torch = torch_module()

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(kinds, WIDTH)
            self.lstm = torch.nn.LSTM(WIDTH, UNITS, batch_first=True)
            self.output = torch.nn.Linear(UNITS, kinds)

        def forward(self, tokens: Any) -> Any:
            return self.output(self.lstm(self.embedding(tokens))[0])

    torch.manual_seed(0)
    return Network()


def torch_transformer(kinds: int) -> Any:
    torch = torch_module()

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(kinds, WIDTH)
            self.places = torch.nn.Embedding(LENGTH, WIDTH)
            self.blocks = torch.nn.ModuleList(
                torch.nn.TransformerEncoderLayer(
                    WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
                )
                for _ in range(BLOCKS)
            )
            self.norm = torch.nn.LayerNorm(WIDTH)
            self.output = torch.nn.Linear(WIDTH, kinds)
            self.mask = torch.nn.Transformer.generate_square_subsequent_mask(LENGTH)

        def forward(self, tokens: Any) -> Any:
            x = self.embedding(tokens) + self.places.weight
            for block in self.blocks:
                x = block(x, src_mask=self.mask, is_causal=True)
            return self.output(self.norm(x))

    torch.manual_seed(0)
    return Network()


def in_torch(kind: str) -> Contender:
    torch = torch_module()
    tokens, following, kinds = windows()
    network = NETWORKS[kind][0](kinds)
    first = {name: value.clone() for name, value in network.state_dict().items()}
    x, y = torch.from_numpy(tokens), torch.from_numpy(following)

    def run() -> list[float]:
        network.load_state_dict(first)
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
        losses = []
        for i in range(0, len(x), BATCH):
            optimizer.zero_grad(set_to_none=True)
            logits = network(x[i : i + BATCH])
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y[i : i + BATCH].flatten())
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return Contender(run, lambda: np.array(run()))


def our_lstm(kinds: int) -> Any:
    from glassgrad import nn

    @dataclass(frozen=True, eq=False)
    class Network(nn.Module):
        embedding: nn.Embedding
        lstm: nn.LSTM
        output: nn.Linear

        def apply(self, tokens: Any) -> Any:
            return self.output(self.lstm(self.embedding(tokens))[0])

    return Network(nn.Embedding(kinds, WIDTH, rng=0), nn.LSTM(WIDTH, UNITS, rng=0), nn.Linear(UNITS, kinds, rng=0))


def our_transformer(kinds: int) -> Any:
    from glassgrad import nn

    @dataclass(frozen=True, eq=False)
    class Network(nn.Module):
        embedding: nn.Embedding
        places: nn.Embedding
        blocks: tuple[nn.TransformerBlock, ...]
        norm: nn.LayerNorm
        output: nn.Linear

        def apply(self, tokens: Any) -> Any:
            x = self.embedding(tokens) + self.places.W
            for block in self.blocks:
                x = block(x)
            return self.output(self.norm(x))

    blocks = [nn.TransformerBlock(WIDTH, HEADS, rng=0, causal=True, activation="gelu_exact") for _ in range(BLOCKS)]
    embedding, places = nn.Embedding(kinds, WIDTH, rng=0), nn.Embedding(LENGTH, WIDTH, rng=0)
    return Network(embedding, places, tuple(blocks), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, kinds, rng=0))


def in_glassgrad(kind: str) -> Contender:
    """Batch after batch in the order of the windows: one native call."""
    import glassgrad as gg
    from glassgrad import nn, optim, tree
    from glassgrad.train.epoch import native_epoch

    tokens, following, kinds = windows()
    state = {name: value.numpy() for name, value in NETWORKS[kind][0](kinds).state_dict().items()}
    first, adam = nn.from_torch(NETWORKS[kind][1](kinds), state), optim.Adam(RATE)

    def step(carry: Any, batch: Any) -> Any:
        model, state = carry
        loss, slope = gg.value_and_grad(lambda m: nn.cross_entropy(m(batch[0]), batch[1]))(model)
        return adam.step(model, slope, state), loss

    epoch, rows = native_epoch(step), np.arange(len(tokens)).reshape(-1, BATCH)

    def run() -> Any:
        model = tree.map(np.copy, first)
        return epoch((model, adam.init(model)), (tokens, following), rows)[1]

    return Contender(run, lambda: np.array(run()))


NETWORKS = {"LSTM": (torch_lstm, our_lstm), "transformer": (torch_transformer, our_transformer)}
DETAILS = {"LSTM": f"{UNITS} units", "transformer": f"{BLOCKS} blocks of {WIDTH}"}


def character_rows() -> list[Row]:
    if not TEXT.exists():
        return []
    return [
        Row(
            f"Shakespeare's characters, {kind}, {DETAILS[kind]}, batch {BATCH} × {LENGTH}, {STEPS} steps",
            {"Glassgrad": partial(in_glassgrad, kind), "PyTorch": partial(in_torch, kind)},
            target("fitting", "characters"),
            tolerance=1e-3,
        )
        for kind in NETWORKS
    ]
