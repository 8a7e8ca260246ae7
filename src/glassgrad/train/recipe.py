"""How a network for a table is built and trained: what was asked for, and good choices for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..data.batches import Seed, generator
from ..errors import DataError
from ..nn import MLP, Conv2d, Dropout, Flatten, Linear, MaxPool, Sequential, Unflatten
from ..nn.activations import ACTIVATIONS
from ..nn.initialisers import for_activation
from ..optim import Clipped, Cosine, OneCycle, Optimizer, Plateau, Polynomial, Step, WarmUp, by_name


class Descent(NamedTuple):
    """What does well on tables, of one optimiser.

    Attributes
    ----------
    options : beside learning rate and weight decay
    lr : highest learning rate
    decay : weight decay of a network for a table of up to 1000 rows
    least : rows per step below which the rate falls in proportion, because the gradient of fewer varies more (the
        linear scaling rule of Goyal et al., "Accurate, Large Minibatch SGD", 2017); 1 where a step is as long whatever
        the gradient's length
    clip : the greatest length of the gradient, where the rate is the one here
    linear : the share of the decay that a linear model has, as it has fewer parameters to fit noise with
    """

    options: dict[str, Any]
    lr: float
    decay: float
    least: int = 1
    clip: float | None = None
    linear: float = 0.1

    def rate(self, batch_size: int) -> float:
        """The highest learning rate, for so many rows per step.

        >>> DESCENTS["sgd"].rate(32), DESCENTS["sgd"].rate(1), DESCENTS["adamw"].rate(1)
        (0.04, 0.00125, 0.004)
        """
        return self.lr * min(1.0, batch_size / self.least)


DESCENTS = {  # by the names of optim
    "sgd": Descent({"momentum": 0.9, "nesterov": True}, 4e-2, 0.02, least=32, clip=5.0),
    "rmsprop": Descent({}, 4e-3, 0.0),
    "adagrad": Descent({}, 4e-2, 0.0),
    "adam": Descent({}, 4e-3, 0.01),
    "adamw": Descent({}, 4e-3, 1.0),
    "lion": Descent({}, 4e-4, 10.0, linear=1.0),  # of steps so small that it gets to few optima without
}

KERNELS = (16, 32)  # of the convolutions, each of 3×3 and followed by the largest of 2×2
STEPS, IMAGES = 20_000, 5_000  # most steps of tables; of images, whose steps are a hundred times the work

# of the peak and the number of steps
SCHEDULES: dict[str, Callable[[float, int], Any]] = {
    "constant": lambda lr, steps: lr,
    "cosine": lambda lr, steps: Cosine(lr, steps),
    "linear": lambda lr, steps: Polynomial(lr, max(1, steps)),
    "step": lambda lr, steps: Step(lr, every=max(1, math.ceil(steps / 3))),
    "one-cycle": lambda lr, steps: OneCycle(lr, max(2, steps)),
    "warm-up": lambda lr, steps: WarmUp(Cosine(lr, steps - warm(steps)), warm(steps)),
    "plateau": lambda lr, steps: Plateau(lr, factor=0.3, patience=5),
}


def warm(steps: int) -> int:
    """Steps of a warm-up: a twentieth."""
    return max(1, steps // 20)


@dataclass(frozen=True)
class Settings:
    """How to train; None is decided by the number of training rows.

    Attributes
    ----------
    hidden : widths of the hidden layers; an empty tuple for a linear model
    image : channels, height and width of the images that rows are, for a convolutional network; ``hidden`` are then the
        layers behind it
    activation : a name in ``nn.ACTIVATIONS``
    dropout : probability with which an activation is dropped in training
    epochs : passes over the data
    batch_size : rows per step
    optimizer : a name in ``DESCENTS``
    lr : learning rate at its highest; by default the optimiser's in ``DESCENTS``, of "sgd" less for small batches
    schedule : a name in ``SCHEDULES``, how the rate changes
    weight_decay : as the optimiser takes it
    clip : the greatest length of the gradient of all parameters; by default none, but 5 of "sgd" at its own rate
    seed : of first weights, dropout and order of rows
    validation : share of the training rows to watch instead of learning from; by default a tenth with ``patience``
    patience : epochs to wait for a lower validation loss; the best epoch's model is then the one returned

    Raises
    ------
    DataError
        A name that is not known.
    """

    hidden: tuple[int, ...] | None = None
    activation: str = "relu"
    dropout: float = 0.0
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str = "adamw"
    lr: float | None = None
    schedule: str = "cosine"
    weight_decay: float | None = None
    clip: float | None = None
    seed: int = 0
    validation: float | None = None
    patience: int | None = None
    image: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        named: tuple[Mapping[str, Any], ...] = (DESCENTS, SCHEDULES, ACTIVATIONS)
        for option, names in zip(("optimizer", "schedule", "activation"), named, strict=True):
            if getattr(self, option) not in names:
                raise DataError(
                    f"train: unknown {option}: got {getattr(self, option)!r}, expected one of {', '.join(names)}"
                )

    @property
    def held(self) -> float:
        """The share of training rows to watch."""
        return self.validation or (0.1 if self.patience is not None else 0.0)


class Plan(NamedTuple):
    """Settings with every choice made."""

    settings: Settings
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    lr: float
    steps: int
    weight_decay: float
    clip: float | None

    def __str__(self) -> str:
        s = self.settings
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        batches = "single rows" if self.batch_size == 1 else f"batches of {self.batch_size}"
        schedule = "" if s.schedule == "cosine" else f" ({s.schedule})"
        return f"{s.optimizer}, learning rate {self.lr:g}{schedule}, {batches}, {epochs}, seed {s.seed}"

    def to_dict(self) -> dict[str, Any]:
        """Every choice, as plain values for JSON."""
        s = self.settings
        return {
            **({} if s.image is None else {"image": list(s.image)}),
            "hidden": list(self.hidden),
            "activation": s.activation,
            "dropout": s.dropout,
            "optimizer": s.optimizer,
            "lr": self.lr,
            "schedule": s.schedule,
            "weight_decay": self.weight_decay,
            "clip": self.clip,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "seed": s.seed,
            "validation": s.held,
            "patience": s.patience,
        }

    def optimizer(self) -> Optimizer:
        """The optimiser for this many steps."""
        rate = SCHEDULES[self.settings.schedule](self.lr, self.steps)
        name = self.settings.optimizer
        made = by_name(name, lr=rate, weight_decay=self.weight_decay, **DESCENTS[name].options)
        return made if self.clip is None else Clipped(made, global_norm=self.clip)

    def network(self, inputs: int, outputs: int) -> Any:
        """The network before training."""
        s, source, layers = self.settings, generator(self.settings.seed), list[Any]()
        if s.image is None and not (s.dropout and self.hidden):
            return MLP((inputs, *self.hidden, outputs), s.activation, rng=s.seed)
        if s.image is not None:
            layers, inputs = _convolutions(s.image, s.activation, source)
        initialiser = for_activation(s.activation)
        for i, width in enumerate(self.hidden):
            layers.append(Linear(inputs, width, rng=source, initialiser=initialiser, name=f"hidden{i + 1}"))
            layers += [s.activation, *([Dropout(s.dropout)] if s.dropout else [])]
            inputs = width
        return Sequential(*layers, Linear(inputs, outputs, rng=source, name="output"))


def _convolutions(image: tuple[int, int, int], activation: str, source: Seed) -> tuple[list[Any], int]:
    """Layers from rows to features of the images that they are, and how many these are."""
    layers: list[Any] = [Unflatten(image)]
    channels, *sides = image
    for i, kernels in enumerate(KERNELS, 1):
        drawn: Any = {"rng": source, "initialiser": for_activation(activation)}
        layers += [Conv2d(channels, kernels, 3, padding="same", name=f"conv{i}", **drawn), activation]
        channels = kernels
        if min(sides) > 1:
            layers.append(MaxPool(2))
            sides = [side // 2 for side in sides]
    return [*layers, Flatten()], channels * math.prod(sides)


def plan(settings: Settings, rows: int) -> Plan:
    """Choices that do well on tables of this many training rows, of which ``settings.held`` are only watched.

    Small tables get smaller batches and more epochs, so that there are enough steps to learn in, and more weight
    decay: like the prior it stands for, it counts less the more rows there are. Linear models get a tenth of it.
    """
    rows -= max(1, round(settings.held * rows)) if settings.held else 0
    small = rows < 5000
    usual_hidden = (128,) if settings.image else (128, 64) if small else (256, 128)
    hidden = usual_hidden if settings.hidden is None else settings.hidden
    batch = settings.batch_size or (32 if small else 64 if settings.image else 128)
    batch = min(batch, rows) if settings.batch_size else min(batch, max(4, rows // 8))
    per_epoch = math.ceil(rows / batch)
    usual = max(60 if small else 40, math.ceil(1500 / per_epoch))
    epochs = settings.epochs or max(5, min(usual, math.ceil((IMAGES if settings.image else STEPS) / per_epoch)))
    descent = DESCENTS[settings.optimizer]
    usual_lr = descent.rate(batch) / 2 if settings.image else descent.rate(batch)
    lr = usual_lr if settings.lr is None else settings.lr
    usual_decay = min(1.0, 1000 / rows) * descent.decay * (1.0 if hidden or settings.image else descent.linear)
    decay = usual_decay if settings.weight_decay is None else settings.weight_decay
    clip = descent.clip if settings.clip is None and settings.lr is None else settings.clip
    return Plan(settings, hidden, epochs, batch, lr, epochs * per_epoch, decay, clip)
