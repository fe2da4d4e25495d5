"""Pages that report something: charts, sentences, and where each block stands, as pure data.

A page is made of blocks: those of `report_numbers`, charts of their columns, and sentences.
`report_layout` chooses the cells, and `report_sheets` writes them. Nothing here knows of
XlsxWriter, or of what is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .cells import check_sheet_name
from .errors import LayoutError
from .layers.validation import shown
from .number_formats import check_number_format
from .report_numbers import HeatMap, Images, Table, check_colours, check_texts

#: Sizes of a chart, in pixels.
CHART_WIDTH, CHART_HEIGHT = 480, 270


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table, by name, of this page or another; or some rows of it.

    Attributes:
        table: the name of the table.
        column: the column's, as in its header.
        first: the first row, from 0. Default 0.
        count: how many rows. Default: all that follow.
    """

    table: str
    column: str
    first: int = 0
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart.

    Attributes:
        name: what the legend calls it.
        y, x: the columns of its points.
        secondary: whether it has the axis on the right. Default False.
        colour: `#RRGGBB`. Default: the chart chooses.
        width: of the line, in points. Default 2.
        smooth: whether it is curved. Default False.
        markers: whether each point has a dot. Default False.
        dashed: whether the line is. Default False.
    """

    name: str
    y: TableColumn
    x: TableColumn
    secondary: bool = False
    colour: str | None = None
    width: float = 2.0
    smooth: bool = False
    markers: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class LineChart:
    """A chart of lines over columns of tables, whose points follow the cells.

    Attributes:
        title: above it.
        series: its lines.
        x_title, y_title, secondary_title: of the axes. Default: none.
        log_x: whether the x axis is logarithmic. Default False.
        x_range, y_range: where the axes begin and end; None where the program chooses. Default:
            the x axis as the points, the y axis as the program chooses.
        y_format, secondary_format: number formats of the axes. Default: the program's own.
        width, height: in pixels.

    Raises:
        LayoutError: it has no series, or a colour is none.
    """

    title: str
    series: Sequence[Series]
    x_title: str = ""
    y_title: str = ""
    secondary_title: str = ""
    log_x: bool = False
    x_range: tuple[float | None, float | None] | None = None
    y_range: tuple[float | None, float | None] = (None, None)
    y_format: str = "General"
    secondary_format: str = "General"
    width: int = CHART_WIDTH
    height: int = CHART_HEIGHT

    def __post_init__(self) -> None:
        where = f"chart {self.title!r}"
        if not self.series:
            raise LayoutError(f"{where} has no series: leave it out")
        if all(item.secondary for item in self.series):
            raise LayoutError(f"{where}: every series has the axis on the right: use the left one")
        check_colours(where, [s.colour for s in self.series if s.colour is not None], 0, 255)
        for text in (self.y_format, self.secondary_format):
            check_number_format(text)
        texts = (self.title, self.x_title, self.y_title, self.secondary_title)
        check_texts(where, *texts, *(item.name for item in self.series))


@dataclass(frozen=True, slots=True)
class Lines:
    """Sentences, one below the other.

    Attributes:
        texts: what they say.
        title: above them. Default: none.
    """

    texts: Sequence[str]
    title: str = ""

    def __post_init__(self) -> None:
        check_texts("lines", self.title, *self.texts)


#: What has cells of its own, and what a page is made of.
CellBlock = Table | HeatMap | Images | Lines
Block = CellBlock | LineChart


@dataclass(frozen=True, slots=True)
class Stack:
    """Blocks in the place of one: all of them charts, or all with cells.

    Attributes:
        blocks: from top to bottom.
        across: how many charts stand side by side. Default 1.

    Raises:
        LayoutError: charts and cells are mixed, or cells are to stand side by side.
    """

    blocks: Sequence[Block]
    across: int = 1

    def __post_init__(self) -> None:
        charts = sum(isinstance(block, LineChart) for block in self.blocks)
        if charts not in (0, len(self.blocks)) or not self.blocks:
            raise LayoutError("Stack: expected charts alone, or blocks with cells alone")
        if self.across < 1 or (self.across > 1 and not charts):
            raise LayoutError(f"Stack: across is {self.across}: only charts stand side by side")


#: What stands in one place of a page; None leaves the place empty.
Item = Block | Stack | None


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A worksheet that reports something.

    Attributes:
        name: the worksheet's.
        title: its heading. Default: the name.
        about: a sentence below the title, which the cover repeats. Default: none.
        lines: more sentences. Default: none.
        blocks: from top to bottom; a tuple stands side by side. What is first in two of them
            has the same columns, and so on. A `Stack` stands for one block.
        bare: whether it is one table from cell A1 on, which other programs read as it is; all
            sentences stand in a box beside it. Default False.

    Raises:
        LayoutError: Excel takes no such name, or a bare page is not one table.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"batch": [0, 1], "loss": [2.5, 0.5]})
        >>> losses = Table("losses", frame, index=False)
        >>> line = Series("loss", TableColumn("losses", "loss"), TableColumn("losses", "batch"))
        >>> page = ReportPage("run", blocks=[(losses, LineChart("Loss", [line]))])
        >>> [type(block).__name__ for block in page.each()]
        ['Table', 'LineChart']
    """

    name: str
    title: str = ""
    about: str = ""
    lines: Sequence[str] = ()
    blocks: Sequence[Item | Sequence[Item]] = ()
    bare: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise LayoutError(f"ReportPage: name is {shown(self.name)}: expected a text")
        check_sheet_name(self.name)
        check_texts(f"page {self.name!r}", self.title, self.about, *self.lines)
        for block in self.each():
            if not isinstance(block, Block):
                raise LayoutError(
                    f"page {self.name!r} has {shown(block)}: expected a Table, HeatMap, Images, "
                    "LineChart or Lines"
                )
        if self.bare and [type(block) for block in self.each()] != [Table]:
            raise LayoutError(f"page {self.name!r} is bare: expected one Table and nothing else")

    def bands(self) -> list[list[Item]]:
        """What stands side by side, from top to bottom."""
        return [
            list(item) if isinstance(item, Sequence) else [item] for item in self.blocks if item
        ]

    def each(self) -> Iterator[Block]:
        """Every block, those of stacks one by one."""
        for band in self.bands():
            for item in band:
                if isinstance(item, Stack):
                    yield from item.blocks
                elif item is not None:
                    yield item
