"""``glassgrad explain``: every value, local derivative and gradient of an expression, or of a function in a file."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import inspect
import os
import re
import sys
import tempfile
import traceback
import webbrowser
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .. import tree
from ..autodiff.derivatives import grad
from ..autodiff.nonfinite import trace_nan
from ..errors import DataError, GlassgradError, NonFiniteError
from ..graph.origin import internal
from ..inspect import Explanation
from ..inspect.record import record
from ..ops.reduction import sum as total
from ..train.files import write_whole
from .expression import function, known, reads
from .options import UsageError, command, whole
from .output import Output, note, require_output
from .values import binding, evaluated

TABLES = ("all", "nodes", "forward", "backward")
EXAMPLES = """\
  glassgrad explain "sum((sigmoid(W @ x) - y)**2)" --set "x=[1, 2]" --set "W=[[1, 2], [3, 4]]" --set "y=[0, 1]"
  glassgrad explain "h = tanh(W @ x); loss = sum(h * h); loss" --set "W=normal(3, 2)" --set "x=[1, -1]" --table backward
  glassgrad explain "log(x1) + x1*x2 - sin(x2)" --set x1=2 --set x2=5 --paths x1
  glassgrad explain "cross_entropy(z, k)" --set "z=[2, 1, -1]" --set "k=int(0)" --latex z
  glassgrad explain model.py:loss --set p=@weights.npy --set "x=[1, 2]" --html loss.html
  glassgrad explain "norm(A @ x)" --set A=@matrix.csv --set "x=ones(3)" --wrt x --json | jq .nodes
"""
ABOUT = """\
an expression over arrays: operators, numbers, names that --set gives, functions of glassgrad.numpy (sum, exp, where
...), activations and losses of glassgrad.nn, methods of arrays, indexing; several parts as name = ...; ...;
or FILE.py:FUNCTION"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    summary = "show every value, local derivative and gradient of an expression or function"
    add = command(commands, "explain", explain, summary, EXAMPLES)
    add("what", metavar="EXPRESSION", help=ABOUT)
    values = (
        "a number, list, normal(3, 2), uniform(3), zeros(3) ..., or @FILE.npy, @FILE.npz:NAME, @FILE.csv; numbers are "
    )
    add("--set", action="append", default=[], metavar="NAME=VALUE", help=values + "floating unless written int(...)")
    add("--wrt", action="append", metavar="NAME", help="differentiate by this name only; may be repeated [by all]")
    loops = "open loops into the operations of their steps [those of up to 200 operations]"
    add("--loops", action=argparse.BooleanOptionalAction, help=loops)
    add("--seed", type=whole(0), default=0, metavar="N", help="of normal(...) and uniform(...) [0]")
    add("--html", metavar="FILE.html", help="write the page with the graph, to step through")
    opened = "open the page in a browser [if standard output is a terminal and there is one]"
    add("--open", action=argparse.BooleanOptionalAction, help=opened)
    one = commands.choices["explain"].add_mutually_exclusive_group().add_argument
    one("--table", choices=TABLES, default="all", metavar="NAME", help=f"{', '.join(TABLES)} [all]")
    one("--paths", metavar="NAME", help="the strongest paths to a name, whose contributions sum to its gradient")
    one("--latex", metavar="NAME", help="the chain rule of a node with its numbers, as LaTeX")
    one("--dot", action="store_true", help="the graph for Graphviz")
    one("--svg", action="store_true", help="the graph as a drawing")
    one("--json", action="store_true", help="one JSON object on standard output, and nothing else")


def explain(options: argparse.Namespace, out: Output) -> int:
    """Run the command."""
    if options.html:
        require_output(options.html, "--html", is_page, "a page")
    given = settings(options.set)
    try:
        with np.errstate(all="ignore"):  # NaN and infinity are explained
            with contextlib.redirect_stdout(sys.stderr):  # what the user's code prints is no result
                e, nonfinite = explained(options, given)
            write(e, options, out)
            if nonfinite:
                note(nonfinite)
            page(e, options, out)
    except MemoryError:
        raise DataError("explain: not enough memory for all values and gradients: --set smaller arrays") from None
    return 0


def settings(bindings: Iterable[str]) -> dict[str, str]:
    """The texts of ``--set`` by name; each name once."""
    given: dict[str, str] = {}
    for name, text in map(binding, bindings):
        if name in given:
            raise UsageError(
                f"explain: --set {name} is given twice: got {given[name]:.30} and {text:.30}, expected one"
            )
        given[name] = text
    return given


def explained(options: argparse.Namespace, given: dict[str, str]) -> tuple[Explanation, str]:
    """What is asked for, explained, and where what is not finite came from."""
    found = re.fullmatch(r"(.+\.py)(:.*)?", options.what, re.S)
    if found:
        name = (found[2] or "")[1:]
        if not name.isidentifier():
            raise UsageError(f"explain: no function named: got {options.what:.60}, expected {found[1]:.60}:FUNCTION")
        f = from_file(found[1], name)
        required, accepted = arguments(f)
    else:
        required = [name for name in reads(options.what) if name in given or name not in known()]
        f, accepted = function(options.what, required), required
    require_names(required, accepted, given, options.wrt)
    values = evaluated(given, options.seed)
    e = explanation(f, values, options.wrt, options.loops)
    return e, origin_of_nan(e, f, values)


def require_names(required: Iterable[str], accepted: Collection[str] | None, given: Collection[str], wrt: Any) -> None:
    """Refuse a name that is not set, and one that is not used."""
    missing = [name for name in required if name not in given]
    if missing:
        example = " ".join(f'--set "{name}=[1, 2]"' for name in missing)
        names = ", ".join(missing)
        raise UsageError(f"explain: no value for {names}: got {_listed(given)}; add {example}, or other numbers")
    unused = [name for name in given if accepted is not None and name not in accepted]
    if unused:
        raise UsageError(f"explain: --set {unused[0]} is not used: expected names among {_listed(accepted or ())}")
    unknown = [name for name in wrt or () if name not in given]
    if unknown:
        raise UsageError(f"explain: --wrt {unknown[0]} is no argument: expected one of {_listed(given)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def explanation(f: Callable[..., Any], values: dict[str, Any], wrt: Any, loops: bool | None) -> Explanation:
    """The function explained; mistakes of NumPy and of the user's code with their line."""
    try:
        return Explanation(record(f, (), values, wrt, loops))
    except (GlassgradError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        blame(error)


def blame(error: Exception | SystemExit) -> NoReturn:
    """Say which line of the user's an error comes from."""
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{os.path.basename(error.filename)}:{error.lineno}: {(error.text or '').strip()}"
        raise DataError(f"explain: {type(error).__name__}: {error.msg} at {place}") from None
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not internal[f.filename]]
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""
    raise DataError(f"explain: {type(error).__name__}: {error}{place}") from None


def from_file(path: str, name: str) -> Callable[..., Any]:
    """A function of the user's file, which is run."""
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"explain: no such file: got {path}, expected FILE.py:FUNCTION or an expression")
    sys.path.insert(0, str(file.resolve().parent))  # as Python does for a script
    spec = importlib.util.spec_from_file_location("explained", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except (GlassgradError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        blame(error)
    found = getattr(module, name, None)
    if not callable(found):
        functions = [k for k, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
        raise UsageError(f"explain: no function {name!r} in {path}: expected one of {_listed(functions)}")
    made: Callable[..., Any] = found
    return made


def arguments(f: Callable[..., Any]) -> tuple[list[str], list[str] | None]:
    """The parameters of a function that need a value, and all it takes; None for any."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return [], None
    kinds = inspect.Parameter
    named = [p for p in parameters if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    if any(p.kind is kinds.POSITIONAL_ONLY for p in parameters):
        raise UsageError("explain: the function has parameters without a name: got a / in its signature; take it out")
    any_name = any(p.kind is kinds.VAR_KEYWORD for p in parameters)
    return [p.name for p in named if p.default is p.empty], None if any_name else [p.name for p in named]


def write(e: Explanation, options: argparse.Namespace, out: Output) -> None:
    """What was asked for, on standard output."""
    try:
        if options.json:
            out.json(e.to_dict())
        elif options.paths or options.latex:
            out.say(str(e.paths(options.paths)) if options.paths else e.to_latex(options.latex))
        elif options.dot or options.svg:
            out.say(e.to_dot() if options.dot else e.to_svg())
        elif out.isatty():
            e.show(options.table)
        else:
            out.say(e.table(options.table))
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None


def origin_of_nan(e: Explanation, f: Callable[..., Any], values: dict[str, Any]) -> str:
    """Where a value or gradient that is not a number came from; empty if there is none."""
    if all(np.isfinite(v).all() for v in (e.value, *e.gradients.values())):
        return ""
    try:
        with trace_nan():
            grad(lambda given: _one(tree.leaves(f(**given))[0]))(values)
    except NonFiniteError as error:
        return str(error)
    return ""


def _one(value: Any) -> Any:
    return total(value) if value.shape else value


def page(e: Explanation, options: argparse.Namespace, out: Output) -> None:
    """Write the page and open it, if that is wanted."""
    wanted = options.open if options.open is not None else not options.html and out.isatty() and has_browser()
    path = options.html
    if not path and wanted:
        path = os.path.join(tempfile.mkdtemp(prefix="glassgrad-"), "explanation.html")
    if not path:
        return
    write_whole(path, e.to_html().encode(), DataError)
    note(f"wrote {path}")
    if wanted and not webbrowser.open(Path(path).resolve().as_uri()):
        note(f"no browser found; open {path} in one")


def has_browser() -> bool:
    """Whether there is a browser with a window of its own."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def is_page(path: Path) -> bool:
    """Whether a file is a page, which may be replaced."""
    with path.open("rb") as stream:
        return stream.read(15).lower() in (b"", b"<!doctype html>")
