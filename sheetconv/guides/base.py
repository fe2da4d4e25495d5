"""What a guide is: cells around a network that explain it, each formula with its expectation.

A guide stands on a worksheet of its own, in the head of the network's, or both. It says in
one place which formula a cell holds and, computed by other means from the numbers before
it, what the formula has to show. A build writes both; a check asks again, with the numbers
that the workbook now shows, and holds an engine's results against them.

Nothing here writes a file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from ..cells import Cell, Grid, Range, quote_sheet
from ..drawing import Style
from ..formulas import CellFormulas
from ..layers.base import Array
from ..layout import ColourScale, Layout
from ..network import Sequential
from ..palette import CHOICE, CHOICE_FRAME, HEAD, LABEL, TROUBLE
from ..values import Value

#: Rows that guides have above the titles of a network's first worksheet.
HEAD_ROWS = 5
#: Which of them is for what.
TITLE_ROW, ANSWER_ROW, UNIT_ROW, TROUBLE_ROW = range(4)

PLAIN = Style()
TITLE = Style(bold=True, size=14)
#: Of its row, in points.
TITLE_HEIGHT = 20.0
HEADING = Style(bold=True)
TABLE_HEAD = Style(bold=True, fill=HEAD)
NUMBER_HEAD = Style(bold=True, fill=HEAD, align="right")
NOTE = Style(colour=LABEL)
CHOSEN = Style(fill=CHOICE, frame=CHOICE_FRAME, bold=True, align="center")
SAID = Style(colour=TROUBLE, bold=True)


@dataclass(frozen=True, slots=True)
class GuideCell:
    """A cell that a guide fills.

    Attributes:
        cell: where.
        value: the constant, or what the formula shows; None for a formula of numbers that the
            workbook does not show, of which nothing can be expected.
        formula: without the equals sign; empty for a constant.
        style: its looks.
        bound: how far a formula's number may lie off.
        link: the cell to which a click leads, or None.
        across: how many columns it is merged over. Default 1: not merged.
    """

    cell: Cell
    value: Value
    formula: str = ""
    style: Style = PLAIN
    bound: float = 0.0
    link: Cell | None = None
    across: int = 1


@dataclass(frozen=True, slots=True)
class Given:
    """Cells that a person changes.

    Attributes:
        grid: where.
        values: what they hold at first, row by row; None for a blank.
        style: their looks.
        across: how many columns each is merged over. Default 1: not merged.
        own: whether the guide writes them; otherwise they stand there already.
    """

    grid: Grid
    values: tuple[Value, ...]
    style: Style = CHOSEN
    across: int = 1
    own: bool = True

    @property
    def is_numbers(self) -> bool:
        """Whether all are numbers, in cells that are not merged."""
        return self.across == 1 and set(map(type, self.values)) == {float}


@dataclass(frozen=True, slots=True)
class Validation:
    """What may be typed into some cells; a program refuses anything else, in words.

    Attributes:
        area: the cells.
        kind: a text of a list, a whole number, or any number.
        message: what to do, shown where the cell is chosen and where the input is refused.
        source: the cells that hold the list.
        limits: the least and the greatest whole number.
        strict: whether other texts than those of the list are refused.
    """

    area: Range
    kind: Literal["list", "whole", "number"]
    message: str
    source: Range | None = None
    limits: tuple[int, int] = (0, 0)
    strict: bool = True


@dataclass(frozen=True, slots=True)
class Highlight:
    """Looks that cells have where a formula is true for them.

    Attributes:
        areas: the cells.
        formula: as for the first of them, without the equals sign.
        style: the looks.
    """

    areas: tuple[Range, ...]
    formula: str
    style: Style


@dataclass(frozen=True, slots=True)
class GuidePage:
    """A guide's own worksheet.

    Attributes:
        name: the worksheet's.
        columns: first and last column, and their width in characters.
        freeze: rows and columns that do not scroll.
        row_height: of all rows, in points; None for the program's own.
        default_width: of the other columns, in characters; None for the program's own.
        heights: rows that are higher, and their heights in points.
    """

    name: str
    columns: tuple[tuple[int, int, float], ...] = ()
    freeze: tuple[int, int] = (0, 0)
    row_height: float | None = None
    default_width: float | None = None
    heights: tuple[tuple[int, float], ...] = ((0, TITLE_HEIGHT),)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a workbook shows of a network and of what a person changes.

    Attributes:
        tensors: full name -> array, in the shape that the layout gives; NaN where a cell
            shows no number.
        given: name of a guide's `given` -> what its cells hold, row by row. The names of all
            guides of a network differ.
        overwritten: whether a check wrote numbers over formulas, so that one layer does not
            follow from the other.
    """

    tensors: Mapping[str, Array]
    given: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    overwritten: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that cannot be used, which the head of the network's worksheet names.

    Attributes:
        test: a formula, as on the network's first worksheet, that is true where it is so.
        words: what is said then.
        is_so: the same from what the workbook shows.
    """

    test: str
    words: str
    is_so: Callable[[Shown], bool]


class Guide(ABC):
    """Cells that explain one network.

    Args:
        network: the layers.
        layout: where its tensors stand, below the head.
        sheet: name of the guide's own worksheet; empty for none.
    """

    #: What descriptions, templates and worksheets call it.
    kind: ClassVar[str] = ""
    #: What the cover says of it: what to do, and what is seen then.
    invitation: ClassVar[str] = ""

    def __init__(self, network: Sequential, layout: Layout, sheet: str) -> None:
        self.network = network
        self.layout = layout
        self.sheet = sheet

    @property
    def home(self) -> str:
        """The network's first worksheet, which has the head."""
        return self.layout.drawing.worksheet

    @property
    def page(self) -> GuidePage | None:
        """Its own worksheet, if it has one."""
        return GuidePage(self.sheet) if self.sheet else None

    def given(self) -> dict[str, Given]:
        """The cells that a person changes, by name."""
        return {}

    @abstractmethod
    def cells(self, shown: Shown) -> Iterator[GuideCell]:
        """All its other cells, as they are where the workbook shows `shown`."""

    def validations(self) -> list[Validation]:
        """What may be typed where."""
        return []

    def highlights(self) -> list[Highlight]:
        """Looks that follow from formulas; the first that is true counts."""
        return []

    def scales(self) -> list[ColourScale]:
        """Colour scales."""
        return []

    def names(self) -> dict[str, Range]:
        """Defined names that its highlights use."""
        return {}

    def feeds(self) -> dict[str, list[CellFormulas]]:
        """Formulas in the cells of given tensors, such as the input, by full tensor name."""
        return {}

    def fed(self, shown: Shown) -> dict[str, Array]:
        """What these show, each in its tensor's shape."""
        return {}

    def troubles(self) -> list[Trouble]:
        """What of a person's input cannot be used, for the head to say in words."""
        return []

    def turns(self, given: Mapping[str, tuple[Value, ...]]) -> list[dict[str, tuple[Value, ...]]]:
        """What a check tries: values for some of `given`, by name, one after the other.

        Args:
            given: what a person's cells hold in the workbook.
        """
        return []

    def text_turns(
        self, given: Mapping[str, tuple[Value, ...]]
    ) -> list[dict[str, tuple[Value, ...]]]:
        """Likewise, with a text among numbers: no layer can be held against it, guides can."""
        return []

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What the workbook's description holds, besides kind and worksheet."""

    def at(self, row: int, column: int) -> Cell:
        """A cell of its own worksheet."""
        return Cell(self.sheet, row, column)

    def text(self, row: int, column: int, text: str, style: Style = NOTE) -> GuideCell:
        """A text on its own worksheet."""
        return GuideCell(self.at(row, column), text, style=style)


def ref(cell: Cell, sheet: str, *, absolute: bool = True) -> str:
    """A reference to a cell from a worksheet.

    Example:
        >>> ref(Cell("digits", 2, 4), "field"), ref(Cell("field", 2, 4), "field", absolute=False)
        ('digits!$E$3', 'E3')
    """
    area = Range(cell.sheet, cell.row, cell.column)
    return area_ref(area, sheet, absolute=absolute)


def area_ref(area: Range, sheet: str, *, absolute: bool = True) -> str:
    """A reference to a range from a worksheet; see `ref`."""
    prefix = "" if area.sheet == sheet else quote_sheet(area.sheet) + "!"
    return prefix + (area.absolute if absolute else area.a1)


def table_ref(area: Range, sheet: str) -> str:
    """A reference that stays where it is, with a colon even to one cell, as INDEX needs it.

    Example:
        >>> table_ref(Range("a", 0, 0), "a")
        '$A$1:$A$1'
    """
    reference = area_ref(area, sheet)
    return reference if ":" in reference else f"{reference}:{area.absolute}"


def quoted_text(text: str) -> str:
    r"""A text as a formula spells it.

    Example:
        >>> print(quoted_text('a "7" b'))
        "a ""7"" b"
    """
    return '"' + text.replace('"', '""') + '"'


def as_text(value: Value) -> str:
    """What `&` makes of a cell's value: whole numbers have no decimals.

    Example:
        >>> as_text(7.0), as_text("7"), as_text(None)
        ('7', '7', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
