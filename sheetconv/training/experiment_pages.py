"""An experiment as worksheets: `comparison`, and `batches` with what its charts read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..layers.base import Elementwise
from ..layers.conv2d import Conv2d
from ..layers.linear import Linear
from ..network import Sequential
from ..palette import DIGITS, LINES
from ..report_cells import text_width
from ..report_numbers import HeatMap, Table
from ..report_pages import Item, LineChart, ReportPage, Series, Stack, TableColumn
from .experiments import MEASURED, ExperimentResult
from .page_words import LOSS, SHARE, counted, thinned
from .workbook import versions

if TYPE_CHECKING:
    import pandas as pd

#: Points of a line over batches; of longer runs some are left out.
MOST_POINTS = 500
# Shares of activations near zero that are closer than this tell nothing.
_ALIKE = 0.1
# From this part of the run on, the chart of the training loss shows all of it.
_BEGINNING = 0.1
_ACCURACY = "0.00%"
# The first and the second variant, in every chart.
_COLOURS = LINES[:2]
_COLUMNS = {
    "train_loss": "training loss",
    "valid_loss": "validation loss",
    "images_per_second": "images/s",
    "train_loss_spread": "training loss \u00b1",
    "valid_loss_spread": "validation loss \u00b1",
    "accuracy_spread": "accuracy \u00b1",
}
_FORMATS = {
    "parameters": "#,##0",
    "training loss": LOSS,
    "training loss \u00b1": LOSS,
    "validation loss": LOSS,
    "validation loss \u00b1": LOSS,
    "accuracy": _ACCURACY,
    "accuracy \u00b1": _ACCURACY,
    "seconds": "0.0",
    "images/s": "#,##0",
    "images": "#,##0",
    "smooth loss": LOSS,
    "lr": "0.00E+00",
    "near zero": SHARE,
}


def comparison_pages(result: ExperimentResult, left_out: Sequence[str] = ()) -> list[ReportPage]:
    """The worksheets of an experiment: `comparison`, and `batches` with what its charts read.

    Args:
        result: of the experiment.
        left_out: sentences on networks that the workbook does not have. Default: none.
    """
    names = result.variants
    averaged = _averaged(result.batches, "batch")
    batches = [averaged.loc[[name]].droplevel("variant") for name in names]
    zeros = _near_zero(result)
    layer = _telling_layer(result, zeros)
    epochs = Table("epochs", _epochs(result), "Every epoch", _formats(_epochs(result)), index=False)
    blocks: list[Sequence[Item]] = [
        (
            Stack([_results(result), *_settings(result)]),
            Stack(_charts(result, batches, layer), across=2),
        ),
        (epochs, _zero_map(zeros) if layer else None),
    ]
    if len(result.seeds) > 1:
        runs = result.by_seed.rename(columns=_COLUMNS).drop(columns="parameters")
        blocks.append([Table("runs", runs, "Every run", _formats(runs))])
    read = [_batch_table(name, own) for name, own in zip(names, batches, strict=True)]
    if layer:
        for name, own in zip(names, batches, strict=True):
            read.append(_zero_table(result, name, layer, own["images"]))
    return [
        ReportPage(
            "comparison",
            f"{result.experiment.title}: {result.template.name} on {result.data}",
            f"The experiment {result.experiment.name}: {result.experiment.compares}.",
            [result.sentence, *result.notes, *left_out],
            blocks,
        ),
        ReportPage(
            "batches",
            "Every batch",
            "What the charts of the page comparison read.",
            blocks=[read],
        ),
    ]


def _formats(frame: pd.DataFrame) -> dict[str, str]:
    return {name: _FORMATS[name] for name in frame.columns if name in _FORMATS}


def _results(result: ExperimentResult) -> Table:
    order = ["parameters", *MEASURED, "seconds", "images_per_second"]
    order = [column for name in order for column in (name, f"{name}_spread")]
    own = result.table
    table = own[[name for name in order if name in own.columns]].rename(columns=_COLUMNS)
    title = "Results"
    if len(result.seeds) > 1:
        title = f"Results: means and standard deviations of {len(result.seeds)} seeds"
    return Table("results", table, title, _formats(table))


def _settings(result: ExperimentResult) -> list[Table]:
    """What differs between the variants, and what is the same."""
    import pandas as pd

    one, other = result.first
    parts = _different_part(one.variant.network, other.variant.network)
    first, second = (
        {**({"layers": part} if any(parts) else {}), **run.settings, **versions()}
        for part, run in zip(parts, (one, other), strict=True)
    )
    if len(result.seeds) > 1:
        first["seed"] = second["seed"] = f"{result.seeds[0]} to {result.seeds[-1]}"
    names = list(dict.fromkeys([*first, *second]))
    rows = [(name, _setting(first.get(name)), _setting(second.get(name))) for name in names]
    differs = [row for row in rows if row[1] != row[2]]
    same = [(name, value) for name, value, other in rows if value == other]
    left = dict.fromkeys(result.variants, "left")
    return [
        Table(
            "differs",
            pd.DataFrame(differs, columns=["setting", *result.variants]),
            "What differs",
            aligned=left,
            index=False,
        ),
        Table(
            "same",
            pd.DataFrame(same, columns=["setting", "value"]),
            "What is the same",
            aligned={"value": "left"},
            index=False,
        ),
    ]


def _setting(value: object) -> str:
    """A setting as a cell shows it.

    Example:
        >>> _setting({"conv1": 0.1}), _setting(("conv1", "conv2")), _setting(None)
        ('conv1 0.1', 'conv1, conv2', '')
    """
    if isinstance(value, Mapping):
        value = [f"{name} {item}" for name, item in value.items()]
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _different_part(one: Sequential, other: Sequential) -> tuple[str, str]:
    """The layers where two networks first differ, from one with weights to the next.

    Empty texts where they do not differ.

    Example:
        >>> from sheetconv import Linear, ReLU, Tanh
        >>> first = Sequential(Linear(4, 3), ReLU(), Linear(3, 2))
        >>> _different_part(first, Sequential(Linear(4, 3), Tanh(), Linear(3, 2)))
        ('dense1, relu1', 'dense1, tanh1')
        >>> _different_part(first, Sequential(Linear(4, 3), ReLU(), Linear(3, 2), Tanh()))
        ('dense2', 'dense2, tanh1')
    """
    names = (list(one.layers), list(other.layers))
    if names[0] == names[1]:
        return ("", "")
    alike = 0
    for mine, theirs in zip(*names, strict=False):
        if mine != theirs:
            break
        alike += 1

    def weighty(network: Sequential, name: str) -> bool:
        return isinstance(network.layers[name], Conv2d | Linear)

    start = max((at for at in range(alike) if weighty(one, names[0][at])), default=0)
    parts = []
    for network, own in zip((one, other), names, strict=True):
        later = (at for at in range(max(alike, 1), len(own)) if weighty(network, own[at]))
        parts.append(", ".join(own[start : next(later, len(own))]))
    return parts[0], parts[1]


# --- Tables of numbers


def _averaged(frame: pd.DataFrame, *levels: str) -> pd.DataFrame:
    """The mean over the seeds."""
    return frame.groupby(["variant", *levels], sort=False).mean()


def _epochs(result: ExperimentResult) -> pd.DataFrame:
    frame = _averaged(result.epochs, "epoch").rename(columns=_COLUMNS).reset_index()
    kept = ["variant", "epoch", "training loss", "validation loss", "accuracy", "seconds"]
    return frame[kept]


def _batch_table(name: str, batches: pd.DataFrame) -> Table:
    frame = batches[["images", "smooth_loss", "lr"]].rename(columns={"smooth_loss": "smooth loss"})
    frame, note = thinned(frame, MOST_POINTS, "batch", "batches")
    return Table(f"batches of {name}", frame, name, _formats(frame), notes=note)


def _near_zero(result: ExperimentResult) -> pd.DataFrame:
    """The share of activations near zero in the last epoch: a row a variant, a column a layer.

    Layers that not all variants have are left out.
    """
    epochs = result.batches["epoch"]
    zeros = result.activations["near_zero"].to_frame()
    zeros = zeros.join(epochs, on=["variant", "seed", "batch"])
    last = zeros[zeros["epoch"] == epochs.max()]
    means = last["near_zero"].groupby(["variant", "layer"]).mean()
    table: pd.DataFrame = means.unstack("layer")
    layers = result.first[0].variant.network.layers.items()
    order = [name for name, own in layers if name in table.columns and not own.is_view]
    return table.reindex(index=result.variants, columns=order).dropna(axis="columns")


def _telling_layer(result: ExperimentResult, zeros: pd.DataFrame) -> str:
    """The last activation, if the shares near zero tell anything; else an empty text."""
    layers = result.first[0].variant.network.layers
    names = [str(name) for name in zeros.columns if isinstance(layers[str(name)], Elementwise)]
    apart = (zeros.max() - zeros.min())[names]
    return names[-1] if names and apart.max() >= _ALIKE else ""


def _zero_table(result: ExperimentResult, name: str, layer: str, images: pd.Series[float]) -> Table:
    averaged = _averaged(result.activations, "layer", "batch")
    zeros = averaged.xs((name, layer), level=("variant", "layer"))
    frame = images.to_frame().join(zeros["near_zero"].rename("near zero"), how="inner")
    frame, note = thinned(frame, MOST_POINTS, "record")
    return Table(f"zeros of {name}", frame, f"{name}: {layer}", _formats(frame), notes=note)


def _zero_map(zeros: pd.DataFrame) -> HeatMap:
    layers = [str(name) for name in zeros.columns]
    # Names stand level, so that a table beside them keeps the height of its header.
    width = max(40, *(text_width(name, DIGITS) for name in layers))
    return HeatMap(
        zeros.to_numpy(),
        "Activations near zero, by layer, in the last epoch",
        [str(name) for name in zeros.index],
        layers,
        cell=(22, width),
        number_format="0%",
    )


# --- Charts


def _charts(
    result: ExperimentResult, batches: Sequence[pd.DataFrame], layer: str
) -> list[LineChart]:
    names, epochs = result.variants, _epochs(result)
    seeds = f", mean of {counted(len(result.seeds), 'seed')}" if len(result.seeds) > 1 else ""

    def of_batches(column: str, table: str = "batches") -> list[Series]:
        found = []
        for name, colour in zip(names, _COLOURS, strict=True):
            source = f"{table} of {name}"
            own, x = TableColumn(source, column), TableColumn(source, "images")
            found.append(Series(name, own, x, colour=colour))
        return found

    def of_epochs(column: str) -> list[Series]:
        found = []
        for name, colour in zip(names, _COLOURS, strict=True):
            rows = np.flatnonzero(epochs["variant"] == name)
            # One that diverged may have no epoch.
            if not len(rows):
                continue
            place = (int(rows[0]), len(rows))
            own, x = (TableColumn("epochs", what, *place) for what in (column, "epoch"))
            found.append(Series(name, own, x, colour=colour, markers=len(rows) <= 60))
        return found

    seen = "images seen"
    # The first batches are far above all others, and would press these together.
    later = [own["smooth_loss"][int(len(own) * _BEGINNING) :] for own in batches]
    top = max(float(losses.max()) for losses in later)
    charts = [
        LineChart(
            f"Training loss, smoothed{seeds}",
            of_batches("smooth loss"),
            seen,
            y_range=(0.0, _around([0.0, top])[1]),
        ),
        LineChart(
            f"Accuracy on validation images{seeds}",
            of_epochs("accuracy"),
            "epoch",
            y_range=_around(epochs["accuracy"], most=1.0),
            y_format="0.0%",
        ),
        LineChart(
            f"Validation loss{seeds}",
            of_epochs("validation loss"),
            "epoch",
            y_range=_around(epochs["validation loss"]),
        ),
    ]
    one, other = (frame.set_index("images")["lr"] for frame in batches)
    across = np.interp(one.index.to_numpy(), other.index.to_numpy(), other.to_numpy())
    if np.abs(one.to_numpy() - across).max() > 0.02 * max(one.max(), other.max()):
        charts.append(LineChart("Learning rate", of_batches("lr"), seen))
    if layer:
        charts.append(
            LineChart(
                f"Activations of {layer} near zero{seeds}",
                of_batches("near zero", "zeros"),
                seen,
                y_format="0%",
            )
        )
    if len(charts) % 2:
        # Two by two they fill a slide.
        charts.append(
            LineChart(
                f"Training loss of every epoch{seeds}",
                of_epochs("training loss"),
                "epoch",
                y_range=_around(epochs["training loss"]),
            )
        )
    return charts


def _around(values: Iterable[float], most: float = math.inf) -> tuple[float, float]:
    """Where an axis begins and ends: on numbers at which programs like to put marks.

    Example:
        >>> _around([0.8712, 0.9123]), _around([0.48, 0.9995], most=1.0)
        ((0.87, 0.92), (0.4, 1.0))
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    least = max((max(finite) - min(finite)) / 5, 0.002)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * times for times in (1, 2, 10) if power * times >= least * (1 - 1e-9))
    low, high = math.floor(min(finite) / step), math.ceil(max(finite) / step)
    return round(low * step, 6), min(most, round(max(high, low + 1) * step, 6))
