"""What each row has to reach, as data. A row with several targets has reached its goal when one of them is met."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A bound on a figure of a row: "ratio" (best peer ÷ ours), "ours" (in the row's unit), or one the row adds."""

    figure: str
    bound: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


def faster(ratio: float) -> tuple[Target, ...]:
    return (Target("ratio", ratio),)


def at_most(bound: float) -> tuple[Target, ...]:
    return (Target("ours", bound, at_least=False),)


BANDWIDTH = "of the bandwidth"  # bytes that have to move, over the time, over the measured bandwidth
PYTORCH = "PyTorch ÷ ours"
GRADIENT = "gradient ÷ value"  # time of value and gradient together over the time of the value alone

PIECE = (Target("ratio", 1.5), Target(BANDWIDTH, 0.8))
CHEAP_GRADIENT = (Target(GRADIENT, 2.5, at_least=False),)

TARGETS: dict[str, dict[str, tuple[Target, ...]]] = {
    "mlp": {
        "2-3-2": faster(5),
        "64-64-10": faster(5),
        "20 layers of 64": faster(4),
        "784-128-10": faster(2),
        "784-512-256-10": faster(1.4),
        "784-1024-1024-10": faster(1.15),
    },
    "models": {
        "LSTM": faster(1.5),
        "transformer, batch 1": faster(1.5),
        "transformer, batch 32": faster(1.5),
        "LeNet": faster(1.5),
    },
    "fitting": {"small": (Target(PYTORCH, 5),), "digits": (Target(PYTORCH, 5),), "estimator": faster(10)},
    "pieces": {"softmax": PIECE, "layer norm": PIECE, "Adam": PIECE, "log-sum-exp": PIECE},
    "derivatives": {"small": faster(2), "large": faster(1)},
    "matmul": {"square 1024": faster(1.15), "square 2048": faster(1.15)},
    "calls": {
        "call": at_most(5e-6),
        "first call": faster(4),
        "first call, from the disk cache": at_most(0.05),
        "peak memory": faster(1),
    },
}


def target(group: str, key: str) -> tuple[Target, ...]:
    """The targets of a row; none where the table has none."""
    return TARGETS.get(group, {}).get(key, ())
