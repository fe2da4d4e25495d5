"""Blank figures and how they look: the only place that imports matplotlib.

Figures belong to whoever asked for them: nothing here touches pyplot, its settings or its
list of open figures.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from ..palette import AXIS, DEPTH, FRAME, GRID, INK, LINES, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

Numbers = NDArray[np.float64]

#: The points on lines, one for each colour.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
#: 1600 pixels for a figure of the usual width.
_DPI, _WIDTH = 160, 10.0
#: Names at the ends of lines are at least so far apart, as part of the height of the axes.
_APART = 0.062


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name, its points, its colour and, where points are few, their marker."""

    name: str
    x: NDArray[Any]
    y: Numbers
    colour: str
    marker: str = ""


@cache
def _figure_class() -> type[Figure]:
    """Figures that notebooks show without pyplot.

    Raises:
        TrainingError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise TrainingError(
            "plots need the package matplotlib: python -m pip install 'sheetconv[plots]'"
        ) from None

    class Plot(Figure):
        def _repr_png_(self) -> bytes:
            return png(self)

    return Plot


def blank(
    titles: str | Sequence[str],
    *,
    columns: int = 1,
    rows: int = 1,
    width: float = _WIDTH,
    height: float = 5.6,
) -> tuple[Figure, list[Axes]]:
    """A figure with one panel for each title, row by row.

    Args:
        titles: what stands above each panel; names of people's own in them as of `plain`.
        columns: how many panels stand side by side. Default 1.
        rows: how many rows of them there are. Default 1.
        width: of the figure, in inches. Default 10.
        height: of the figure, in inches. Default 5.6, for a slide.

    Raises:
        TrainingError: matplotlib is missing.
    """
    titles = [titles] if isinstance(titles, str) else titles
    make = _figure_class()
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.14)
    figure = make(figsize=(width, height), dpi=_DPI, layout=layout)
    panels = [figure.add_subplot(rows, columns, n + 1) for n in range(len(titles))]
    for axes, text in zip(panels, titles, strict=True):
        axes.set_title(text, loc="left", fontsize=15, color=INK, pad=12)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(AXIS)
        axes.tick_params(which="both", colors=SOFT, labelsize=11, length=3)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set(color=SOFT, fontsize=12)
    return figure, panels


def bare(axes: Axes) -> None:
    """Leave only what is drawn: no edges, no ticks, no grid."""
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def framed(axes: Axes, left: float, top: float, width: float, height: float) -> None:
    """A thin grey frame, as around the cells of a kernel in a workbook."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=FRAME, linewidth=1))


def named_lines(
    axes: Axes,
    lines: Sequence[Line],
    also: Sequence[float] = (),
    *,
    named: bool = True,
    width: float = 2.2,
) -> None:
    """Draw lines, each with its name and last number at its end.

    Args:
        axes: where.
        lines: what.
        also: other numbers that have to be within the picture.
        named: whether the names are written. Default True.
        width: of the lines, in points. Default 2.2.
    """
    for line in lines:
        axes.plot(line.x, line.y, color=line.colour, linewidth=width, marker=line.marker, ms=7)
    every = np.concatenate([*(line.y for line in lines), np.asarray(also, dtype=np.float64)])
    finite = every[np.isfinite(every)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.05 * max(abs(high), 1.0)
    # Zero as the least is the axis itself.
    bottom = 0.0 if low == 0.0 and 0.0 in also else low - margin
    axes.set_ylim(bottom, high + margin)
    if not named:
        return
    ends = [float(line.y[np.isfinite(line.y)][-1]) for line in lines if np.isfinite(line.y).any()]
    shown = [line for line in lines if np.isfinite(line.y).any()]
    heights = _spread([(end - bottom) / (high + margin - bottom) for end in ends])
    for line, end, place in zip(shown, ends, heights, strict=True):
        axes.text(
            1.015,
            place,
            f"{plain(line.name)}  {end:.3g}",
            transform=axes.transAxes,
            color=line.colour,
            fontsize=12,
            va="center",
        )


def _spread(heights: Sequence[float]) -> list[float]:
    """Heights from 0 to 1 moved apart as little as is needed, in the order that they have."""
    order = np.argsort(heights, kind="stable")
    # Closer where there are more than fit.
    apart = min(_APART, 1.0 / max(len(heights), 1))
    # Less one step for each that is below it, a height may not fall: runs that do get their mean.
    runs: list[list[float]] = []
    for place, at in enumerate(order):
        runs.append([heights[at] - apart * place])
        while len(runs) > 1 and fmean(runs[-2]) > fmean(runs[-1]):
            last = runs.pop()
            runs[-1] += last
    levels = [
        min(max(fmean(run), 0.0), 1.0 - apart * (len(order) - 1)) for run in runs for _ in run
    ]
    placed = {
        at: level + apart * place
        for place, (at, level) in enumerate(zip(order, levels, strict=True))
    }
    return [placed[at] for at in range(len(heights))]


def look(number: int) -> tuple[str, str]:
    """The colour and the marker of one of several lines."""
    return LINES[number % len(LINES)], MARKERS[number % len(MARKERS)]


def colour_map(colours: Sequence[str]) -> LinearSegmentedColormap:
    """A scale from the first colour to the last."""
    from matplotlib.colors import LinearSegmentedColormap

    # An odd number of levels: a colour in the middle is met exactly.
    return LinearSegmentedColormap.from_list("sheetconv", list(colours), N=257)


def depth_colours(count: int) -> list[str]:
    """Colours of layers, from the first to the last."""
    from matplotlib.colors import to_hex

    scale = colour_map(DEPTH)
    return [to_hex(scale(share)) for share in np.linspace(0.0, 1.0, count)]


def round_numbers(low: float, high: float) -> list[int]:
    """A few round numbers within limits, for an axis.

    Example:
        >>> round_numbers(0, 468)
        [0, 150, 300, 450]
    """
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(4, integer=True).tick_values(low, high)
    return [int(number) for number in found if low <= number <= high]


def plain(text: str, longest: int = 28) -> str:
    """A name as it is, of one line, not a formula between dollar signs, and no longer than fits.

    Example:
        >>> plain("a class whose name is longer than others")
        'a class whose name is longe…'
    """
    line = " ".join(str(text).split())
    short = line if len(line) <= longest else line[: longest - 1] + "…"
    return short.replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """A figure as the content of a .png file, the same whenever it is drawn."""
    buffer = BytesIO()
    # Characters that the font does not have are drawn as boxes.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
