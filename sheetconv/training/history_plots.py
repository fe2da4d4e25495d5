"""Pictures of how training went: losses, metrics, schedules, and what layers gave.

Lines have the colours of Okabe and Ito, which people who are colour-blind tell apart; every
line is named at its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from ..palette import FRAME, LINES, SLATE, SOFT
from .fields import real
from .history import History
from .plot_paper import (
    Line,
    blank,
    colour_map,
    depth_colours,
    look,
    named_lines,
    plain,
    round_numbers,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def loss_plot(history: History) -> Figure:
    """The loss of the training batches, smoothed, and of the validation set, epoch by epoch.

    Raises:
        TrainingError: no batch was recorded, or matplotlib is missing.

    Example:
        >>> history = History()
        >>> history.record_batch(1, 2.0, lr=0.1)
        >>> len(loss_plot(history).axes)
        1
    """
    batches, epochs = _recorded(history), history.epochs
    figure, (axes,) = blank("Loss")
    x, raw = batches.index.to_numpy(), batches["loss"].to_numpy()
    axes.plot(x, raw, color=FRAME, linewidth=0.6, zorder=1)
    smooth, valid = batches["smooth_loss"].to_numpy(), epochs["valid_loss"].to_numpy()
    lines = [Line("training, smoothed", x, smooth, LINES[0])]
    ends = history.epoch_ends - 1
    if np.isfinite(valid).any():
        lines.append(Line("validation", ends, valid, *look(1)))
    seen = raw[np.isfinite(raw)]
    # Single batches far above all others would press everything else flat.
    top = [np.quantile(seen, 0.99)] if seen.size else []
    named_lines(axes, lines, also=[0.0, *top])
    axes.set_xlabel("batch")
    _mark_epochs(axes, epochs.index.to_numpy(), ends)
    return figure


def metrics_plot(history: History) -> Figure:
    """The metrics of the validation set, epoch by epoch.

    Raises:
        TrainingError: no metric was recorded, or matplotlib is missing.
    """
    epochs, names = history.epochs, history.metric_names
    if not names:
        raise TrainingError("no metrics were recorded: train with metrics to draw them")
    figure, (axes,) = blank("Metrics of the validation set")
    x = epochs.index.to_numpy()
    named_lines(
        axes,
        [Line(name, x, epochs[name].to_numpy(), *look(place)) for place, name in enumerate(names)],
    )
    axes.set_xlabel("epoch")
    axes.set_xticks(x[:: -(-len(x) // 12)])
    return figure


def schedule_plot(history: History) -> Figure:
    """Learning rate and momentum, batch by batch.

    Raises:
        TrainingError: no learning rate was recorded, or matplotlib is missing.
    """
    batches = _recorded(history)
    names = {"lr": "Learning rate", "momentum": "Momentum"}
    found = [name for name in names if name in batches and batches[name].notna().any()]
    if not found:
        raise TrainingError("no learning rates were recorded: record_batch takes them as lr=...")
    figure, panels = blank([names[name] for name in found], columns=len(found), height=4.2)
    for axes, name in zip(panels, found, strict=True):
        axes.plot(batches.index, batches[name], color=LINES[0], linewidth=2.2)
        axes.set_xlabel("batch")
    return figure


def lr_plot(history: History, suggestion: Mapping[str, float] | float | None = None) -> Figure:
    """The curve of the learning rate finder: the smoothed loss against the learning rate.

    Args:
        history: of the finder's run.
        suggestion: a learning rate to mark, or several by name. Default: none.

    Raises:
        TrainingError: no learning rate was recorded, a suggestion is none, or matplotlib is
            missing.
    """
    batches = _recorded(history)
    if "lr" not in batches or not (batches["lr"] > 0).any():
        raise TrainingError("no learning rates were recorded: record_batch takes them as lr=...")
    run = batches[(batches["lr"] > 0) & np.isfinite(batches["smooth_loss"])]
    rates, losses = run["lr"].to_numpy(), run["smooth_loss"].to_numpy()
    figure, (axes,) = blank("Learning rate finder")
    axes.plot(rates, losses, color=LINES[0], linewidth=2.2)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss, smoothed")
    if losses.size:
        # Where training diverges, the curve leaves the picture.
        low, high = losses.min(), max(losses[0], np.median(losses))
        margin = 0.08 * max(high - low, 1e-12)
        axes.set_ylim(low - margin, high + 4 * margin)
        within = np.flatnonzero(losses <= high + 4 * margin)
        axes.set_xlim(rates[0] / 1.5, rates[within[-1]] * 2)
    marks = suggestion if isinstance(suggestion, Mapping) else {"suggestion": suggestion}
    wanted = {name: rate for name, rate in marks.items() if rate is not None and losses.size}
    for place, (name, given) in enumerate(wanted.items()):
        rate = real("lr_plot", name, given, above=True)
        colour, marker = look(place + 1)
        height = float(np.interp(np.log(rate), np.log(rates), losses))
        axes.axvline(rate, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.plot([rate], [height], marker, color=colour, ms=9)
        axes.annotate(
            plain(f"{name}: {rate:.2g}"),
            (rate, 0.97 - 0.08 * place),
            xycoords=("data", "axes fraction"),
            xytext=(7, 0),
            textcoords="offset points",
            color=colour,
            fontsize=13,
            va="top",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
        )
    return figure


def activations_plot(history: History) -> Figure:
    """Mean, standard deviation and share near zero of each layer's activations.

    Lines are blue for the first layers, green, and orange for the last.

    Raises:
        TrainingError: no activations were recorded, or matplotlib is missing.
    """
    frame, layers = history.activations, history.layers
    if not layers:
        raise TrainingError("no activations were recorded: train with their statistics on")
    heads = ["Mean", "Standard deviation", "Share near zero"]
    figure, panels = blank(heads, columns=3, height=4.6)
    colours = depth_colours(len(layers))
    for axes, column in zip(panels, frame.columns, strict=True):
        lines = [
            Line(layer, part.index.to_numpy(), part[column].to_numpy(), colour)
            for layer, colour in zip(layers, colours, strict=True)
            for part in [frame.loc[layer]]
        ]
        last = axes is panels[-1]
        named_lines(axes, lines, also=[0.0] if column != "mean" else [], named=last, width=1.4)
        axes.set_xlabel("batch")
    return figure


def colour_dimension_plot(history: History) -> Figure:
    """The histograms of activations over time, a heat map a layer, as fast.ai's `color_dim`.

    A column is a batch, darker where more activations are, on a logarithmic scale. What is
    empty above and below is cut off.

    Raises:
        TrainingError: no histograms were recorded, or matplotlib is missing.
    """
    maps = {layer: history.colour_dimension(layer) for layer in history.counted_layers}
    if not maps:
        raise TrainingError("no histograms were recorded: train with their statistics on")
    columns = min(len(maps), 3 if len(maps) <= 9 else 4)
    rows = -(-len(maps) // columns)
    heads = [plain(layer) for layer in maps]
    figure, panels = blank(heads, columns=columns, rows=rows, height=max(4.4, 2.6 * rows))
    for axes, frame in zip(panels, maps.values(), strict=True):
        step = (history.limits[1] - history.limits[0]) / len(frame)
        filled = np.flatnonzero(frame.to_numpy().any(axis=1))
        # With one empty row on either side, so that the ends are seen.
        first = max(min(filled, default=0) - 1, 0)
        last = min(max(filled, default=0) + 1, len(frame) - 1)
        part = frame.iloc[first : last + 1]
        low, high = part.index[-1], part.index[0] + step
        axes.imshow(
            part.to_numpy(),
            cmap=colour_map(SLATE),
            vmin=0,
            vmax=1,
            aspect="auto",
            interpolation="nearest",
            extent=(-0.5, len(part.columns) - 0.5, float(low), float(high)),
        )
        axes.grid(False)
        # Not every batch has a histogram, and they may lie unevenly.
        batches = part.columns.to_numpy(np.int64)
        marks = round_numbers(batches[0], batches[-1])
        places = np.interp(marks, batches, np.arange(len(batches)))
        axes.set_xticks(places, [str(mark) for mark in marks])
    for axes in panels[-columns:]:
        axes.set_xlabel("batch")
    for axes in panels[::columns]:
        axes.set_ylabel("activation")
    return figure


def _recorded(history: History) -> pd.DataFrame:
    """The batches of a history that has some."""
    if not len(history):
        raise TrainingError("no batches were recorded: train first")
    return history.batches


def _mark_epochs(axes: Axes, epochs: NDArray[Any], ends: NDArray[Any]) -> None:
    """The numbers of epochs above the batches with which they end, as many as can be read."""
    if not len(epochs):
        return
    step = -(-len(epochs) // 12)
    first = (len(epochs) - 1) % step
    names = [str(number) for number in epochs[first::step]]
    top = axes.secondary_xaxis("top")
    top.set_xticks(ends[first::step], [f"epoch {names[0]}", *names[1:]])
    top.tick_params(colors=SOFT, labelsize=11, length=3)
    top.spines["top"].set_visible(False)
