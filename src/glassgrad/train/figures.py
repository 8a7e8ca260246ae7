"""A training report as figures of matplotlib, for papers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..lazy import extra_module

if TYPE_CHECKING:
    from .report import Report

# What the axis says, and whether it is logarithmic
AXES = {
    "gradient_norm": ("length of the gradient", True),
    "gradient_rms": ("root mean square of the gradient", True),
    "update": ("update-to-weight ratio ‖ΔW‖ / ‖W‖", True),
    "activation_mean": ("mean of activations", False),
    "activation_std": ("standard deviation of activations", False),
    "saturated": ("share of saturated activations", False),
    "dead": ("share of dead units", False),
}


def figures(report: Report) -> dict[str, Any]:
    """``history``, and one figure with a line for each layer for everything in ``AXES``.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    missing = "report.figures: matplotlib is not installed; pip install 'glassgrad[plot]'"
    colormaps, Figure = extra_module("matplotlib", missing).colormaps, extra_module("matplotlib.figure", missing).Figure
    rows = report.rows()
    layers = list(dict.fromkeys(row["name"] for row in rows))
    found = {"history": report.training.history.plot()} if report.training else {}
    for name, (label, logarithmic) in AXES.items():
        found[name] = figure = Figure(figsize=(5.5, 3.2), layout="constrained")
        axes = figure.subplots()
        for k, layer in enumerate(layers):
            points = [(row["epoch"], row[name]) for row in rows if row["name"] == layer]
            # From the input to the output along one colour map, whose order survives black and white
            colour = colormaps["viridis"](0.9 * k / max(len(layers) - 1, 1))
            axes.plot(*zip(*points, strict=True), label=layer, color=colour)
        if logarithmic and any(row[name] > 0 for row in rows):
            axes.set_yscale("log")
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", ncols=1 + len(layers) // 10)
    return found
