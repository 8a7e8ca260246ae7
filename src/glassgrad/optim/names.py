"""Optimisers by name, for ``fit``, command lines and files of settings."""

from __future__ import annotations

import difflib
from typing import Any

from .adam import Adam, AdamW
from .base import Optimizer
from .lion import Lion
from .rmsprop import Adagrad, RMSProp
from .sgd import SGD

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSProp,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
    "lion": Lion,
}


def by_name(name: str, **options: Any) -> Optimizer:
    """The optimiser of a name, in letters of any case, with these options.

    Raises
    ------
    ValueError
        There is none of this name; the message lists them.
    TypeError
        It has no such option.

    Examples
    --------
    >>> by_name("adam", lr=0.01).lr
    0.01
    """
    kind = OPTIMIZERS.get(str(name).lower())
    if kind is None:
        near = difflib.get_close_matches(str(name).lower(), OPTIMIZERS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"optim: unknown optimiser: got {name!r}, expected one of {', '.join(OPTIMIZERS)}{hint}")
    return kind(**options)
