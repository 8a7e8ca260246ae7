"""Watching the network learn: a live line where rich and a terminal are there, plain lines otherwise."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from .history import Epoch

LINES = 12  # about as many plain lines as a screen has room for


@contextlib.contextmanager
def shown_progress(
    epochs: int, stream: TextIO | None = None, *, quiet: bool = False, held: str = "test"
) -> Iterator[Callable[[Epoch], None]]:
    """A function to give to ``fit`` as ``progress``.

    Parameters
    ----------
    epochs : how many there will be
    stream : where to write; standard output by default
    quiet : whether to write nothing where that is no terminal
    held : what the rows that are measured are called
    """
    out = sys.stdout if stream is None else stream
    seen = out is not None and out.isatty()  # None: closed by the shell's >&-
    live = _live(epochs, out, held) if out is not None and seen else None
    if quiet and not seen:
        yield lambda epoch: None
    elif live is None:
        yield _lines(epochs, held, lambda text: print(text, file=out, flush=True))
    else:
        with live as step:
            yield step


def line(epoch: Epoch, epochs: int, held: str = "test") -> str:
    """One epoch's numbers.

    >>> line(Epoch(3, 0.25, 1.5, 0.3, {"accuracy": 0.975}), 40)
    'epoch  3/40  loss 0.2500  gradient 1.50e+00  test loss 0.3000  test accuracy 97.5%'
    """
    text = f"epoch {epoch.number:{len(str(epochs))}}/{epochs}"
    text += f"  loss {epoch.loss:.4f}  gradient {epoch.gradient_norm:.2e}"
    if epoch.validation_loss is not None:
        text += f"  {held} loss {epoch.validation_loss:.4f}"
    for name, value in epoch.metrics.items():
        text += f"  {held} {name} {value:.1%}" if name == "accuracy" else f"  {held} {name} {value:.4g}"
    return text


def _lines(epochs: int, held: str, emit: Callable[[str], None]) -> Callable[[Epoch], None]:
    """Hand on the line of every so many epochs, and of the first and the last."""
    every = max(1, -(-epochs // LINES))

    def step(epoch: Epoch) -> None:
        if epoch.number in (1, epochs) or epoch.number % every == 0:
            emit(line(epoch, epochs, held))

    return step


def _live(epochs: int, out: TextIO, held: str) -> contextlib.AbstractContextManager[Callable[[Epoch], None]] | None:
    """A bar that moves while the lines above it stay; None without rich."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        return None

    @contextlib.contextmanager
    def running() -> Iterator[Callable[[Epoch], None]]:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        with Progress(*columns, console=Console(file=out), transient=True) as bar:
            job = bar.add_task("", total=epochs)
            keep = _lines(epochs, held, lambda text: bar.console.out(text, highlight=False))

            def step(epoch: Epoch) -> None:
                keep(epoch)
                bar.update(job, completed=epoch.number, description=f"loss {epoch.loss:.4f}")

            yield step

    return running()
