"""A training run as worksheets: settings and losses here, pictures in `picture_pages`.

What the trainer has becomes tables, heat maps and charts, in the words that people read.
Where they stand is the pages' own business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..palette import LINES, PALE_LINE
from ..report_numbers import Table
from ..report_pages import Item, LineChart, ReportPage, Series, Stack, TableColumn
from .page_report import TrainingReport
from .page_words import (
    counted,
    duration,
    formats_of,
    has_numbers,
    is_number,
    is_share,
    thinned,
)
from .picture_pages import activations_page, confusion_page, learned_page, worst_page

#: Rows of the batches; of longer runs some are left out.
MOST_BATCHES = 2000

# Training, or what has a chart of its own; validation, or what stands beside the first; metrics.
_STRONG, _OTHER, _THIRD = LINES[:3]

#: What the worksheets about a training are called.
PAGE_NAMES = ("training", "batches", "activations", "confusion", "learned", "worst")

__all__ = ["PAGE_NAMES", "TrainingReport", "training_pages"]


def training_pages(report: TrainingReport) -> list[ReportPage]:
    """The worksheets of a training run: training, batches, activations, confusion, learned, worst.

    What a report does not have is left out.

    Args:
        report: what the run left behind.

    Example:
        >>> import pandas as pd
        >>> batches = pd.DataFrame(
        ...     {"epoch": [1, 1], "loss": [2.0, 1.0], "smooth_loss": [2.0, 1.5], "lr": [0.1, 0.1]}
        ... )
        >>> epochs = pd.DataFrame({"train_loss": [1.5]}, index=[1])
        >>> pages = training_pages(TrainingReport({"seed": 7}, batches, epochs))
        >>> [page.name for page in pages], pages[0].lines
        (['training', 'batches'], ('After 1 epoch and 2 batches: train_loss 1.5.',))
    """
    found = [
        _training(report),
        _batches(report),
        activations_page(report),
        confusion_page(report),
        learned_page(report),
        worst_page(report),
    ]
    return [page for page in found if page is not None]


# --- training


def _training(report: TrainingReport) -> ReportPage:
    import pandas as pd

    texts = {name: _setting(value) for name, value in report.settings.items()}
    settings = pd.DataFrame({"setting": list(texts), "value": list(texts.values())}, dtype=object)
    blocks: list[tuple[Item, ...]] = []
    charts = _charts(report)
    left = None if settings.empty else Table(
        "settings", settings, "Settings", aligned={"value": "left"}, index=False
    )  # fmt: skip
    blocks.append((left, Stack(charts, across=2) if charts else None))
    if len(report.epochs):
        epochs, note = thinned(report.epochs.rename_axis("epoch"), MOST_BATCHES, "epoch")
        table = Table("epochs", epochs, "Epochs", formats_of(epochs), notes=note)
        blocks.append((None, table))
    return ReportPage(
        "training",
        "How it was trained",
        "Settings, losses, metrics and learning rate of the whole run.",
        tuple(_summary(report)),
        blocks,
    )


def _setting(value: object) -> object:
    """A setting as a cell holds it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_setting(item)}" for name, item in value.items())
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return ", ".join(str(_setting(item)) for item in value)
    return value


def _summary(report: TrainingReport) -> list[str]:
    epochs, batches = report.epochs, report.batches
    run = f"{counted(len(epochs), 'epoch')} and {counted(len(batches), 'batch', 'batches')}"
    lines = []
    if len(epochs):
        numbers = [
            f"{name} {value:.1%}" if is_share(str(name)) else f"{name} {value:.4g}"
            for name, value in epochs.iloc[-1].items()
            if name != "seconds" and is_number(value) and math.isfinite(value)
        ]
        seconds = epochs["seconds"].sum() if "seconds" in epochs else 0
        took = f" in {duration(float(seconds))}" if seconds > 0 else ""
        lines.append(f"After {run}{took}: {', '.join(numbers) or 'no finite number'}.")
    if len(epochs) > 1 and "valid_loss" in epochs and np.isfinite(epochs["valid_loss"]).any():
        losses = epochs["valid_loss"].to_numpy(dtype=np.float64)
        best = int(np.nanargmin(np.where(np.isfinite(losses), losses, np.nan)))
        lines.append(
            f"The lowest valid_loss was {losses[best]:.4g}, after epoch {epochs.index[best]}."
        )
    lost = ~np.isfinite(batches["loss"].to_numpy(dtype=np.float64))
    if lost.any():
        first = batches.index[int(np.argmax(lost))]
        lines.append(
            f"The loss was no finite number in {counted(int(lost.sum()), 'batch', 'batches')}, "
            f"first in batch {first}: a smaller learning rate may help."
        )
    return lines


def _charts(report: TrainingReport) -> list[LineChart]:
    epochs, batches = report.epochs, report.batches
    charts = []
    marked = len(epochs) <= 60

    def of_epochs(name: str, colour: str) -> Series:
        own, x = TableColumn("epochs", name), TableColumn("epochs", "epoch")
        return Series(name, own, x, colour=colour, markers=marked)

    def of_batches(name: str, colour: str, width: float = 2.0, secondary: bool = False) -> Series:
        own, x = TableColumn("batches", name), TableColumn("batches", "batch")
        return Series(name, own, x, secondary, colour, width)

    if len(epochs):
        losses = [of_epochs("train_loss", _STRONG)]
        if has_numbers(epochs, "valid_loss"):
            losses.append(of_epochs("valid_loss", _OTHER))
        charts.append(LineChart("Loss of every epoch", losses, "epoch"))
    if len(batches):
        lines = [of_batches("loss", PALE_LINE, 0.75), of_batches("smooth_loss", _STRONG)]
        charts.append(LineChart("Loss of every batch", lines, "batch"))
    for name in epochs.columns if len(epochs) else ():
        if name in ("train_loss", "valid_loss", "seconds") or not has_numbers(epochs, name):
            continue
        share = is_share(str(name))
        charts.append(
            LineChart(
                f"{str(name).replace('_', ' ').capitalize()} of every epoch",
                [of_epochs(str(name), _THIRD)],
                "epoch",
                y_range=(None, 1.0 if share else None),
                y_format="0%" if share else "General",
            )
        )
    if has_numbers(batches, "lr"):
        both = has_numbers(batches, "momentum")
        rates = [of_batches("lr", _STRONG)]
        if both:
            rates.append(of_batches("momentum", _OTHER, secondary=True))
        charts.append(
            LineChart(
                "Learning rate and momentum" if both else "Learning rate",
                rates,
                "batch",
                "lr",
                "momentum" if both else "",
            )
        )
    return charts


# --- batches


def _batches(report: TrainingReport) -> ReportPage | None:
    if not len(report.batches):
        return None
    rows, note = thinned(report.batches.rename_axis("batch"), MOST_BATCHES, "batch", "batches")
    table = Table("batches", rows, formats=formats_of(rows))
    return ReportPage(
        "batches",
        "Every batch",
        "The loss and the settings of every batch: what the charts of the page training read.",
        note,
        [table],
        bare=True,
    )
