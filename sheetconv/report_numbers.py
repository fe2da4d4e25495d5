"""What worksheets that report something show in cells: tables, heat maps and images, as pure data.

Each is a block of a page, and says what is shown without a cell; `report_pages` puts blocks
on pages. Nothing here knows of XlsxWriter, or of what is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .cells import check_text
from .errors import LayoutError
from .layers.base import Array
from .layers.validation import numbers, shown
from .number_formats import check_number_format
from .palette import ACTIVATIONS, PIXELS
from .spelling import suggestion

if TYPE_CHECKING:
    import pandas as pd

#: The number format of cells that show their colour and no number.
SILENT = ";;;"

_COLOUR = re.compile("#[0-9A-Fa-f]{6}")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A frame: one header, one row for each of its rows.

    NaN and None are blank cells, infinity is a text, a truth value is yes or no, and what is
    no number is written as text, also where it looks like a formula.

    Attributes:
        name: what charts call it; no two tables of a workbook have the same.
        frame: what it holds. Its index comes first, one column for each level.
        title: above it. Default: none.
        formats: column -> Excel number format. Default: the program's own.
        aligned: column -> `left`, `center` or `right`. Default: numbers right, texts left.
        index: whether the index is written. Default True.
        notes: sentences between title and header. Default: none.

    Raises:
        LayoutError: two columns have one name, or a format or an alignment is for none of them.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"loss": [0.5]}, index=pd.Index([1], name="epoch"))
        >>> Table("epochs", frame, formats={"loss": "0.00"}).columns
        ('epoch', 'loss')
    """

    name: str
    frame: pd.DataFrame
    title: str = ""
    formats: Mapping[str, str] = field(default_factory=dict)
    aligned: Mapping[str, str] = field(default_factory=dict)
    index: bool = True
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        where = f"table {self.name!r}"
        if not (hasattr(self.frame, "columns") and hasattr(self.frame, "index")):
            raise LayoutError(f"{where}: frame is {shown(self.frame)}: expected a pandas DataFrame")
        names = self.columns
        if not names:
            raise LayoutError(f"{where} has no columns: leave it out")
        if twice := [name for number, name in enumerate(names) if name in names[:number]]:
            raise LayoutError(f"{where} has two columns {twice[0]!r}: give each a name of its own")
        for column in (*self.formats, *self.aligned):
            if column not in names:
                raise LayoutError(f"{where} has no column {column!r}{suggestion(column, [*names])}")
        for text in self.formats.values():
            check_number_format(text)
        check_texts(where, self.name, self.title, *self.notes, *names)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in the header, those of the index first."""
        return tuple(name for name, _ in self.parts())

    def parts(self) -> Iterator[tuple[str, pd.Index[Any] | pd.Series[Any]]]:
        """Each column's name and values, those of the index first."""
        index = self.frame.index
        if self.index:
            for level, name in enumerate(index.names):
                yield "index" if name is None else str(name), index.get_level_values(level)
        for number, name in enumerate(self.frame.columns):
            yield str(name), self.frame.iloc[:, number]


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """A matrix of numbers as small coloured cells.

    Attributes:
        values: (rows, columns). NaN is a blank cell, infinity a text.
        title: above it. Default: none.
        rows, columns: headings, one each; an empty one says nothing. Default: none.
        row_title, column_title: what the headings are. Default: nothing.
        colours: from that of zero to that of the largest number; or three, of which the middle
            one is zero's and both ends are as far from zero. Default: white to red.
        diagonal: two colours for the cells from the top left to the bottom right, where these
            mean something else. Default: those of the others.
        cell: (height, width) of a cell, in pixels. Default: (20, 20).
        number_format: Excel's. Default: no number is shown.
        notes: sentences below the title. Default: none.

    Raises:
        LayoutError: it is no matrix, or other things do not fit it.

    Example:
        >>> HeatMap([[1, 2]], rows=["a", "b"])
        Traceback (most recent call last):
        sheetconv.errors.LayoutError: heat map '': 2 rows headings for 1 rows: give one for each
    """

    values: Array
    title: str = ""
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    row_title: str = ""
    column_title: str = ""
    colours: tuple[str, ...] = ACTIVATIONS
    diagonal: tuple[str, ...] = ()
    cell: tuple[int, int] = (20, 20)
    number_format: str = SILENT
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        where = f"heat map {self.title!r}"
        _set_numbers(self, where, (2,), "(rows, columns)")
        for name, count in zip(("rows", "columns"), self.values.shape, strict=True):
            if (given := len(getattr(self, name))) not in (0, count):
                raise LayoutError(
                    f"{where}: {given} {name} headings for {count} {name}: give one for each"
                )
        check_colours(where, self.colours, 2, 3)
        check_colours(where, self.diagonal, 0, 2)
        _check_pixels(where, *self.cell)
        check_number_format(self.number_format)
        texts = (self.title, self.row_title, self.column_title, *self.notes)
        check_texts(where, *texts, *self.rows, *self.columns)


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Images side by side, each a heat map with a caption above it.

    Attributes:
        values: (count, height, width), or (count, channels, height, width), the channels side
            by side. NaN is a blank cell, infinity a text.
        captions: one each, of as many lines each. Default: none.
        title: above them. Default: none.
        colours: as for `HeatMap`; of each channel its own, where there are as many tuples as
            channels. Default: white to slate.
        largest: the number that has the strongest colour. Default: the largest of all.
        across: how many stand side by side. Default 8.
        cell: height and width of a cell, in pixels. Default 6.
        gap: blank cells between two images. Default 2.
        number_format: Excel's. Default: no number is shown.
        notes: sentences below the title. Default: none.

    Raises:
        LayoutError: these are no images, or other things do not fit them.

    Example:
        >>> Images([[[0.5]]], captions=["a", "b"])
        Traceback (most recent call last):
        sheetconv.errors.LayoutError: images '': 2 captions for 1 images: give one for each
    """

    values: Array
    captions: Sequence[str] = ()
    title: str = ""
    colours: tuple[str, ...] | tuple[tuple[str, ...], ...] = PIXELS
    largest: float | None = None
    across: int = 8
    cell: int = 6
    gap: int = 2
    number_format: str = SILENT
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        where = f"images {self.title!r}"
        _set_numbers(self, where, (3, 4), "(count, height, width), channels second if any")
        if self.values.ndim == 3:
            object.__setattr__(self, "values", self.values[:, np.newaxis])
        if (given := len(self.captions)) not in (0, len(self.values)):
            raise LayoutError(
                f"{where}: {given} captions for {len(self.values)} images: give one for each"
            )
        for colours in self.channel_colours:
            check_colours(where, colours, 2, 3)
        if self.across < 1 or self.gap < 1:
            raise LayoutError(f"{where}: across and gap: expected whole numbers from 1 on")
        _check_pixels(where, self.cell, self.cell)
        check_number_format(self.number_format)
        check_texts(where, self.title, *self.captions, *self.notes)

    @property
    def channel_colours(self) -> tuple[tuple[str, ...], ...]:
        """The colours of each channel; one tuple for all, unless each has its own."""
        channels = self.values.shape[1]
        if self.colours and all(isinstance(item, tuple) for item in self.colours):
            if len(self.colours) != channels:
                raise LayoutError(
                    f"images {self.title!r}: colours for {len(self.colours)} channels, and there "
                    f"are {channels}: give one tuple for each, or one for all"
                )
            return self.colours  # type: ignore[return-value]
        return (self.colours,)  # type: ignore[return-value]


def check_texts(where: str, *texts: str) -> None:
    """Refuse what a cell cannot hold as a text.

    Raises:
        LayoutError: one is no text, or Excel takes no such text.
    """
    for text in texts:
        check_text(text, f"{where}: a text")


def check_colours(where: str, colours: Sequence[str], least: int, most: int) -> None:
    """Refuse what are no colours, or too few or too many.

    Raises:
        LayoutError: as said.

    Example:
        >>> check_colours("chart", ["red"], 0, 1)
        Traceback (most recent call last):
        sheetconv.errors.LayoutError: chart: colours are ('red',): expected 0 to 1 such as "#F8696B"
    """
    fits: Callable[[str], object] = _COLOUR.fullmatch
    if not least <= len(colours) <= most or not all(
        isinstance(c, str) and fits(c) for c in colours
    ):
        raise LayoutError(
            f"{where}: colours are {shown(tuple(colours))}: expected {least} to {most} such as "
            '"#F8696B"'
        )


def _set_numbers(block: Any, where: str, dimensions: Sequence[int], expected: str) -> None:
    try:
        values = numbers(block.values)
    except ValueError:
        raise LayoutError(f"{where}: values are {shown(block.values)}: expected numbers") from None
    if values.ndim not in dimensions or not values.size:
        raise LayoutError(f"{where}: values have shape {values.shape}: expected {expected}")
    object.__setattr__(block, "values", values)


def _check_pixels(where: str, *sizes: int) -> None:
    if not all(isinstance(size, int) and 1 <= size <= 500 for size in sizes):
        raise LayoutError(f"{where}: a cell has {shown(sizes)} pixels: expected 1 to 500")
