"""What a trace found, for programs and for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..cells import Cell, Grid, quote_sheet
from ..values import Value
from .asking import counted, shown

#: Ranges that a line names; of the others it gives the number.
MOST_AREAS = 4
#: Cells whose numbers are written out.
MOST_NUMBERS = 10
#: Characters of a formula that are printed.
MOST_FORMULA = 300


@dataclass(frozen=True, slots=True)
class Reads:
    """Cells that a traced cell depends on and that belong together.

    Attributes:
        name: the tensor's full name, `conv1.weight`; or what the cells are: `numbers`.
        label: what people read: `conv1 + relu1` for the activations of both.
        step: how many steps back the first of them is read; 1 for what the cell itself names.
        areas: where they stand, in as few areas as are needed; a plane that skips rows has
            steps.
        count: how many cells.
        numbers: the numbers that they show, row by row within each area of a tensor.
        others: how many show no number, blank ones included.
        mask: of a tensor, in its shape: which units they are; otherwise None.
        reads: what is read through them first.
    """

    name: str
    label: str
    step: int
    areas: tuple[Grid, ...]
    count: int
    numbers: NDArray[np.float64] = field(repr=False)
    others: int
    mask: NDArray[np.bool_] | None = field(repr=False)
    reads: tuple[Reads, ...]

    def walk(self) -> Iterator[Reads]:
        """These cells, and all that are read through them."""
        waiting = [self]
        while waiting:
            item = waiting.pop()
            yield item
            waiting += reversed(item.reads)


@dataclass(frozen=True, slots=True)
class Trace:
    """The precedents of one cell.

    Attributes:
        cell: the traced cell.
        unit: what it is to its network: `conv2 + relu2: channel 1, row 10, column 8`.
        value: what it shows.
        formula: its formula, with the equals sign; in braces if it is an array formula.
        reads: what it depends on, as a tree.
        pixels: of a network's cell: which pixels of the input it depends on, in the shape of
            the input, the batch first; None for cells of no network.
        notes: what cannot be seen in the formulas.
        depth: how many steps were gone back; None for all.

    Example:
        >>> import tempfile, numpy as np, sheetconv as sc
        >>> net = sc.Sequential(sc.Conv2d(1, 1, 3), sc.Conv2d(1, 1, 3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     built = sc.build(net, f"{folder}/small.xlsx", image=np.ones((8, 8)))
        ...     last = sc.read(built.path).only.cells("conv2.out")[0, 0, 1, 1]
        ...     found = sc.trace(built.path, last)
        >>> int(found.pixels.sum()), found.lines()[-1]
        (25, 'input pixels reached: 25 (rows 2-6, columns 2-6 of channel 1): network!C5:G9')
    """

    cell: Cell
    unit: str
    value: Value
    formula: str
    reads: tuple[Reads, ...]
    pixels: NDArray[np.bool_] | None = field(repr=False)
    notes: tuple[str, ...] = ()
    depth: int | None = None

    def walk(self) -> Iterator[Reads]:
        """Everything that the cell depends on, piece by piece."""
        for item in self.reads:
            yield from item.walk()

    def lines(self) -> list[str]:
        """The tree for the terminal, and the input pixels that were reached."""
        text = self.formula
        if len(text) > MOST_FORMULA:
            text = f"{text[:MOST_FORMULA]}... ({len(text):,} characters)"
        head = f"{self.cell} = {shown(self.value)}"
        lines = [f"{head}  ({self.unit})" if self.unit else head, f"  {text}"]
        rows = list(_rows(self.reads, self.cell.sheet))
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
        for name, count, rest in rows:
            lines.append(f"{name:<{widths[0]}}  {count:>{widths[1]}}  {rest}")
        if self.pixels is not None:
            lines.append(self.pixel_line())
        return [*lines, *(f"note: {note}" for note in self.notes)]

    def pixel_line(self) -> str:
        """The sentence about the input pixels; empty for cells of no network."""
        if self.pixels is None:
            return ""
        count = int(self.pixels.sum())
        if not count:
            within = "" if self.depth is None else f" within {counted(self.depth, 'step')}"
            return f"input pixels reached: none{within}"
        areas = next(item.areas for item in self.walk() if item.name == "input")
        where = areas_text(areas, "")
        return f"input pixels reached: {count:,} ({pixels_text(self.pixels)}): {where}"


def _rows(items: Sequence[Reads], sheet: str) -> Iterator[tuple[str, str, str]]:
    waiting = [(item, "", number == 0) for number, item in enumerate(reversed(items))]
    while waiting:
        item, indent, last = waiting.pop()
        rest = f"{areas_text(item.areas, sheet)}  {_values(item)}".rstrip()
        yield f"{indent}{'└─ ' if last else '├─ '}{item.label}", counted(item.count, "cell"), rest
        inner = indent + ("   " if last else "│  ")
        waiting += ((own, inner, number == 0) for number, own in enumerate(reversed(item.reads)))


def areas_text(areas: Sequence[Grid], sheet: str) -> str:
    """Areas as formulas spell them, on `sheet` without its name.

    Example:
        >>> areas_text([Grid("s", 0, 0, 2, 2), Grid("s", 8, 0, 3, 3, 2, 2)], "t")
        's!A1:B2, A9:E13 (every 2nd row and column)'
    """
    texts, on = [], sheet
    for area in areas[:MOST_AREAS]:
        prefix = "" if area.sheet == on else f"{quote_sheet(area.sheet)}!"
        on = area.sheet
        texts.append(f"{prefix}{area.bounds.a1}{_skipping(area)}")
    if len(areas) > MOST_AREAS:
        texts.append(f"and {counted(len(areas) - MOST_AREAS, 'more range').removeprefix(' ')}")
    return ", ".join(texts)


def _skipping(area: Grid) -> str:
    steps = [
        (step, word)
        for step, word, count in (
            (area.row_step, "row", area.height),
            (area.column_step, "column", area.width),
        )
        if step > 1 and count > 1
    ]
    if not steps:
        return ""
    if len({step for step, _ in steps}) == 1:
        return f" (every {_ordinal(steps[0][0])} {' and '.join(word for _, word in steps)})"
    return f" (every {' and every '.join(f'{_ordinal(step)} {word}' for step, word in steps)})"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _values(item: Reads) -> str:
    numbers = item.numbers
    others = f"{item.others:,} without a number" if item.others else ""
    if not numbers.size:
        return others and "no numbers" if item.count == item.others else others
    if numbers.size <= MOST_NUMBERS and not others:
        width = item.areas[0].width if len(item.areas) == 1 else 1
        width = numbers.size if width == 1 else width
        rows = [numbers[i : i + width] for i in range(0, numbers.size, width)]
        return "; ".join(" ".join(shown(float(value), 4) for value in row) for row in rows)
    low, high = float(numbers.min()), float(numbers.max())
    text = f"all {shown(low, 4)}" if low == high else f"{shown(low, 4)} to {shown(high, 4)}"
    return ", ".join(part for part in (text, others) if part)


def pixels_text(pixels: NDArray[np.bool_]) -> str:
    """Which pixels, in words, counted from 1.

    Args:
        pixels: (images, channels, height, width), or (images, features).

    Example:
        >>> mask = np.zeros((1, 3, 9, 9), dtype=bool)
        >>> mask[0, :2, 2:5, 4:5] = True
        >>> pixels_text(mask)
        'rows 3-5, column 5 of channels 1-2'
    """
    several = len(pixels) > 1
    texts: dict[str, list[int]] = {}
    for image, own in enumerate(pixels):
        if own.any():
            texts.setdefault(_image_text(own), []).append(image + 1)
    if not several:
        return next(iter(texts), "")
    return "; ".join(f"{text} of {_numbers('image', images)}" for text, images in texts.items())


def _image_text(pixels: NDArray[np.bool_]) -> str:
    if pixels.ndim == 1:
        return _numbers("unit", (np.flatnonzero(pixels) + 1).tolist())
    texts: dict[str, list[int]] = {}
    for channel, own in enumerate(pixels):
        if own.any():
            rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
            text = f"{_numbers('row', rows + 1)}, {_numbers('column', columns + 1)}"
            if not own[np.ix_(rows, columns)].all():
                text = f"{int(own.sum()):,} within {text}"
            texts.setdefault(text, []).append(channel + 1)
    return "; ".join(f"{text} of {_numbers('channel', own)}" for text, own in texts.items())


def _numbers(word: str, numbers: Sequence[int] | NDArray[np.intp]) -> str:
    """Numbers with their noun, neighbours as a span.

    Example:
        >>> _numbers("row", [3, 4, 5, 9]), _numbers("row", [2])
        ('rows 3-5, 9', 'row 2')
    """
    values = np.asarray(numbers)
    spans = np.split(values, np.flatnonzero(np.diff(values) != 1) + 1)
    texts = [f"{span[0]}-{span[-1]}" if span.size > 1 else str(span[0]) for span in spans]
    if len(texts) > MOST_AREAS:
        texts = [f"{values.size:,} of {values[0]}-{values[-1]}"]
    return f"{word}{'s' if values.size > 1 else ''} {', '.join(texts)}"
