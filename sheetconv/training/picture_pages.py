"""The pages of a training run that show pictures: activations, confusion, kernels, images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..palette import COUNTS, PIXELS, RIGHT_COUNTS, SIGNED, TINTS, WRONG_COUNTS
from ..report_cells import text_width
from ..report_numbers import SILENT, HeatMap, Images, Table
from ..report_pages import Item, LineChart, ReportPage, Series, Stack, TableColumn
from .page_report import STATISTICS, TrainingReport
from .page_words import LOSS, SHARE, is_share, kept_of, named_table, nth, round_number, step_of

if TYPE_CHECKING:
    import pandas as pd

#: Columns of a heat map and points of a line; of longer runs some are left out.
MOST_RECORDS = 150
#: More kernels, images or classes are not seen at once.
MOST_KERNELS, MOST_IMAGES, MOST_CLASSES = 64, 36, 100
#: Cells of all images together.
MOST_PIXELS = 200_000

_TITLES = (
    "Mean of the activations",
    "Standard deviation of the activations",
    "Share of activations near zero",
)
# Pixels that a page has across, that a caption needs, and that images and kernels should have.
_WIDE, _CAPTION, _IMAGE, _KERNEL = 1150, 165, 168, 72


def activations_page(report: TrainingReport) -> ReportPage | None:
    """Mean, deviation and histograms of the activations of every layer, if there are any."""
    blocks: list[tuple[Item, ...]] = []
    charts: list[LineChart] = []
    numbers: list[int] = []
    table = None
    if report.activations is not None and len(report.activations):
        frame = report.activations[list(STATISTICS)].rename_axis(["layer", "batch"])
        layers = list(dict.fromkeys(frame.index.get_level_values("layer")))
        parts = [part for _, part in frame.groupby(level="layer", sort=False)]
        numbers = parts[0].index.get_level_values("batch").tolist()
        thinned = [part.iloc[kept_of(len(part), MOST_RECORDS)] for part in parts]
        table = _table_of_activations(thinned, max(map(len, parts)))
        starts = np.cumsum([0, *map(len, thinned)]).tolist()
        for name, title in zip(STATISTICS, _TITLES, strict=True):
            series = [
                Series(
                    str(layer),
                    TableColumn("activations", name, first, len(part)),
                    TableColumn("activations", "batch", first, len(part)),
                    width=1.5,
                )
                for layer, first, part in zip(layers, starts, thinned, strict=False)
            ]
            y_format = "0%" if is_share(name) else "General"
            charts.append(LineChart(title, series, "batch", y_format=y_format))
    maps = [
        _colour_dimension(layer, np.asarray(values, dtype=np.float64), report.bin_edges, numbers)
        for layer, values in report.colour_dimensions.items()
    ]
    if not charts and not maps:
        return None
    blocks.append((Stack(charts) if charts else None, Stack(maps) if maps else None))
    if table is not None:
        blocks.append((table,))
    histograms = (
        "Each column of a heat map is the histogram of a layer's activations in one batch, large "
        "ones above: the darker, the more of them."
    )
    return ReportPage(
        "activations",
        "What training does to the activations",
        "Mean, standard deviation and share near zero of each layer's activations.",
        (histograms,) if maps else (),
        blocks,
    )


def _table_of_activations(parts: Sequence[pd.DataFrame], longest: int) -> Table:
    import pandas as pd

    rows = pd.concat(parts)
    step = step_of(longest, MOST_RECORDS)
    note = () if step == 1 else (f"Every {nth(step)} of {longest:,} records, and the last.",)
    formats = {"mean": LOSS, "std": LOSS, "near_zero": SHARE}
    return Table("activations", rows, "Activations", formats, notes=note)


def _colour_dimension(
    layer: str, values: NDArray[np.float64], edges: NDArray[Any] | None, numbers: Sequence[int]
) -> HeatMap:
    """The histograms of one layer, without bins that are always empty at either end."""
    filled = np.flatnonzero(values.any(axis=1))
    first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, len(values) - 1)
    kept = kept_of(values.shape[1], MOST_RECORDS)
    # Colours have no more digits, and the file is a third as large.
    own = np.round(values[first : last + 1, kept], 3)
    batches = numbers if len(numbers) == values.shape[1] else range(values.shape[1])
    cell = (max(4, min(10, 200 // len(own))), max(5, min(24, 750 // len(kept))))
    above = [] if edges is None else np.asarray(edges)[::-1][first : last + 1].tolist()
    across = _round_step(len(kept) * cell[1], len(kept), 60)
    return HeatMap(
        own,
        f"{layer}: histogram of each batch",
        _marks(above, len(own) * cell[0]),
        [f"{batches[b]:,}" if i % across == 0 else "" for i, b in enumerate(kept)],
        column_title="batch",
        colours=COUNTS,
        cell=cell,
    )


def _marks(edges: Sequence[float], height: int) -> list[str]:
    """The round numbers at which bins end, and nothing for the other bins."""
    if not edges:
        return []
    step = round_number((max(edges) - min(edges)) / max(height // 22, 1))
    names = []
    for edge in edges:
        times = edge / step
        names.append(f"{edge:g}" if abs(times - round(times)) < 1e-6 else "")
    return names


def confusion_page(report: TrainingReport) -> ReportPage | None:
    """Which classes are taken for which, if that is known."""
    items: list[Item] = []
    lines = []
    if report.confusion is not None and report.confusion.size:
        counts = report.confusion.to_numpy(dtype=np.float64)
        classes = len(counts)
        right, total = float(np.trace(counts)), float(counts.sum())
        whole = bool((counts == np.rint(counts)).all())
        if whole and total > 0:
            lines.append(f"{right:,.0f} of {total:,.0f} are right: {right / total:.1%}.")
        if classes <= MOST_CLASSES:
            lines.append(
                "A row for each label, a column for each prediction: green what is right, orange "
                "what is taken for something else, each with its own scale."
            )
            items.append(_heat_map_of(report.confusion, counts, whole))
        else:
            lines.append(f"There are {classes} classes: the heat map shows at most {MOST_CLASSES}.")
    for name, title, frame, index in (
        ("per_class", "Classes", report.per_class, "class"),
        ("most_confused", "Most often confused", report.most_confused, ""),
    ):
        if frame is not None and len(frame):
            items.append(named_table(name, title, frame, index))
    if not items:
        return None
    about = "Which classes are taken for which."
    return ReportPage("confusion", "Confusion", about, tuple(lines), [tuple(items)])


def _heat_map_of(frame: pd.DataFrame, counts: NDArray[np.float64], whole: bool) -> HeatMap:
    digits = "#,##0" if whole else "0.00"
    longest = f"{np.abs(counts).max():,.{0 if whole else 2}f}"
    cell, number_format = max(26, text_width(longest, 8)), f'{digits};-{digits};"\u00b7"'
    if len(counts) > 30:
        cell, number_format = 15, SILENT
    return HeatMap(
        counts,
        rows=[str(name) for name in frame.index],
        columns=[str(name) for name in frame.columns],
        row_title="label",
        column_title="prediction",
        colours=WRONG_COUNTS,
        diagonal=RIGHT_COUNTS,
        cell=(cell, cell),
        number_format=number_format,
    )


def learned_page(report: TrainingReport) -> ReportPage | None:
    """The kernels of the first layer before and after, if there are any."""
    if report.kernels is None:
        return None
    before, after = (np.asarray(weight, dtype=np.float64) for weight in report.kernels)
    count, channels, height, width = before.shape
    shown_kernels = max(1, MOST_KERNELS // channels)
    change = after - before
    largest = float(max(np.abs(before).max(), np.abs(after).max()))
    most = np.abs(change).reshape(count, -1).max(axis=1)
    lines = [
        f"Weights were {np.abs(before).mean():.3g} from zero on average, and are "
        f"{np.abs(after).mean():.3g}; kernel {int(np.argmax(most))} has the largest change, "
        f"{most.max():.3g}.",
        "Blue is below zero, white is zero, red above.",
    ]
    if count > shown_kernels:
        lines.append(f"The first {shown_kernels} of {count:,} kernels.")
    cell = max(5, min(16, _KERNEL // max(height, width)))
    step = channels * (width + 1) - 1 + 2
    across = max(1, min(16, _WIDE // (step * cell)))

    def images(values: NDArray[np.float64], title: str, strongest: float) -> Images:
        kept = values[:shown_kernels]
        names = [f"{number}" for number in range(len(kept))]
        return Images(kept, names, title, SIGNED, strongest, across, cell)

    return ReportPage(
        "learned",
        "What the first layer learned",
        f"The {count} kernels of the first layer before and after training.",
        tuple(lines),
        [
            images(before, "Before", largest),
            images(after, "After, with the same colours", largest),
            images(change, "Difference", float(np.abs(change).max())),
        ],
    )


def worst_page(report: TrainingReport) -> ReportPage | None:
    """The images with the largest loss, if these are known."""
    if report.worst is None or not len(report.worst):
        return None
    frame, blocks, lines = report.worst.rename_axis("image"), list[Item](), []
    if report.worst_images is not None:
        values = np.asarray(report.worst_images, dtype=np.float64)
        _, channels, height, width = values.shape
        most = max(1, min(MOST_IMAGES, MOST_PIXELS // (channels * height * width)))
        if len(values) > most:
            lines.append(f"The first {most} of {len(values):,} images.")
        blocks.append(_images_of(frame.iloc[:most], values[:most]))
    blocks.append(named_table("worst", "The same in numbers", frame))
    return ReportPage(
        "worst",
        "What it finds hardest",
        "The images with the largest loss: what they are, and what the network says.",
        tuple(lines),
        blocks,
    )


def _images_of(frame: pd.DataFrame, values: NDArray[np.float64]) -> Images:
    _, channels, _, width = values.shape
    cell = max(4, min(16, _IMAGE // (channels * width)))
    wide = channels * (width + 1) - 1
    gap = max(2, -(-(_CAPTION - wide * cell) // cell))
    captions = [
        f"label {row.label}: {row.probability_of_label:.1%}\n"
        f"predicted {row.predicted}: {row.probability:.1%}\n"
        f"image {row.Index}, loss {row.loss:.3g}"
        for row in frame.itertuples()
    ]
    colours: tuple[str, ...] | tuple[tuple[str, ...], ...] = PIXELS
    if values.min(initial=0.0) < 0:
        colours = SIGNED
    elif channels == len(TINTS):
        colours = tuple(TINTS.values())
    across = max(1, min(8, _WIDE // ((wide + gap) * cell)))
    return Images(values, captions, colours=colours, across=across, cell=cell, gap=gap)


def _round_step(pixels: int, count: int, room: int) -> int:
    """Of how many columns one gets a heading, which needs `room` pixels."""
    return max(1, -(-room * count // pixels))
