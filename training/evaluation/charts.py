"""Style of the evaluation's figures, drawn by matplotlib on the Agg canvas without pyplot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 120  # px per inch
SIDE = 900  # px, of a square chart
_PADDING = 0.2  # inch, around the axes and their labels
INK = "#20242c"
MUTED = "#7d828c"
GRID = "#e0e2e7"
CORRECT = "#2662a6"
WRONG = "#be1e2d"
SERIES = (CORRECT, "#d67a18", "#26825a", "#8c5aaa")
"""Colours of a chart's series, in order."""


def new_figure(width: int, height: int, *, constrained: bool = True) -> Figure:
    """Return an empty white figure.

    Args:
        width: px.
        height: px.
        constrained: whether the axes shrink until their labels fit.
    """
    figure = Figure((width / DPI, height / DPI), dpi=DPI)
    if constrained:
        figure.set_layout_engine("constrained", w_pad=_PADDING, h_pad=_PADDING)
    FigureCanvasAgg(figure)
    return figure


def new_chart(
    title: str, x_label: str, y_label: str, *, subtitle: str = "", width: int = SIDE, height: int = SIDE
) -> tuple[Figure, Axes]:
    """Return a new figure and its axes, with a light grid and no frame; sizes in px."""
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    set_title(axes, title, subtitle)
    axes.set_xlabel(x_label, color=INK, fontsize=11, labelpad=10)
    axes.set_ylabel(y_label, color=INK, fontsize=11, labelpad=10)
    axes.tick_params(which="both", length=0, pad=7, colors=MUTED, labelsize=10)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    return figure, axes


def set_title(axes: Axes, title: str, subtitle: str = "", *, above: float = 0.0) -> None:
    """Write a title at the left, ``above`` points over ``axes``, and a muted line below it."""
    axes.set_title(title, loc="left", color=INK, fontsize=15, pad=above + (36 if subtitle else 16))
    axes.annotate(
        subtitle,
        (0, 1),
        (0, above + 16),
        xycoords="axes fraction",
        textcoords="offset points",
        color=MUTED,
        fontsize=10,
    )


def add_legend(axes: Axes, location: Literal["upper left", "lower left", "lower right"]) -> None:
    """Add a legend without a frame, its words in the colours of their series."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc=location, frameon=False, labelcolor="linecolor", fontsize=11)


def save(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write each figure as ``NAME.png`` into ``folder``, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / f"{name}.png": figure for name, figure in figures.items()}
    for file, figure in files.items():
        figure.savefig(file)
    return list(files)
