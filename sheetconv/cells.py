"""Cells, ranges and grids of a worksheet, and their A1 text.

Rows and columns are zero-based integers everywhere in the package. The letters of
columns, the quoting of sheet names and the limits of a worksheet are here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from .errors import LayoutError

#: Limits of an .xlsx worksheet, of one formula, of the text in one cell, and of a
#: worksheet's name.
MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
MAX_FORMULA = 8_192
MAX_TEXT = 32_767
MAX_SHEET_NAME = 31
#: No program opens a workbook of more cells than this, and `sheetconv check` refuses it: at up to
#: 110 bytes each it unpacks to two gigabytes.
MOST_CELLS = 2**24
#: The hidden worksheet of a workbook that describes it.
OWN_SHEET = "sheetconv"

# Excel takes no []:*?/\\ in a name; IronCalc cannot load a book with ! in one.
_FORBIDDEN_IN_SHEET_NAMES = set("[]:*?/\\!")
_PLAIN_SHEET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_LOOKS_LIKE_A_CELL = re.compile(r"([A-Za-z]{1,3}[0-9]+|[Rr][0-9]*[Cc]?[0-9]*|[Cc][0-9]*)\Z")
_A1 = re.compile(
    r"(?:(?:'(?P<quoted>(?:[^']|'')+)'|(?P<plain>[^'!]+))!)?"
    r"\$?(?P<c1>[A-Za-z]{1,3})\$?(?P<r1>[0-9]+)"
    r"(?::\$?(?P<c2>[A-Za-z]{1,3})\$?(?P<r2>[0-9]+))?\Z"
)


@lru_cache(maxsize=MAX_COLUMNS)
def column_name(column: int) -> str:
    """The letters of a zero-based column.

    Example:
        >>> column_name(0), column_name(27), column_name(16383)
        ('A', 'AB', 'XFD')
    """
    name = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


@lru_cache(maxsize=MAX_COLUMNS)
def column_index(name: str) -> int:
    """The zero-based column of its letters, the inverse of `column_name`.

    Example:
        >>> column_index("AB")
        27
    """
    index = 0
    for letter in name.upper():
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def quote_sheet(name: str) -> str:
    """A sheet name as a formula spells it: in quotes where it needs them.

    Names that look like a cell (`C1`, `R2`) need quotes too.

    Example:
        >>> quote_sheet("conv_1"), quote_sheet("conv-example"), quote_sheet("it's")
        ('conv_1', "'conv-example'", "'it''s'")
    """
    if _PLAIN_SHEET_NAME.match(name) and not _LOOKS_LIKE_A_CELL.match(name):
        return name
    return "'" + name.replace("'", "''") + "'"


def text_length(text: str) -> int:
    r"""The characters of a text as Excel counts them: two for an emoji.

    Example:
        >>> text_length("7\N{DEGREE SIGN}"), text_length("\N{GRINNING FACE}")
        (2, 2)
    """
    return len(text) + sum(character > "\uffff" for character in text)


def check_text(text: str, where: str) -> None:
    """Raise `LayoutError` unless a workbook can hold `text`.

    Args:
        text: what a cell or a property is to say.
        where: its place, for the error.
    """
    if not isinstance(text, str):
        raise LayoutError(f"{where} is {ascii(text)[:40]}: expected a text")
    if (length := text_length(text)) > MAX_TEXT:
        raise LayoutError(
            f"{where} has {length:,} characters, and a cell takes {MAX_TEXT:,}: shorten it"
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise LayoutError(f"{where} has half a character ({ascii(text)[:40]}): take it out")


def check_sheet_name(name: str) -> None:
    """Raise `LayoutError` unless Excel takes `name` as the name of a worksheet."""
    bad = sorted(_FORBIDDEN_IN_SHEET_NAMES & set(name))
    length = text_length(name)
    if not name or length > MAX_SHEET_NAME:
        raise LayoutError(
            f"worksheet name {name!r} has {length} characters: use 1 to {MAX_SHEET_NAME}"
        )
    if bad or name[0] == "'" or name[-1] == "'" or not name.isprintable():
        raise LayoutError(
            f"worksheet name {name!r} is not one that Excel takes: leave out []:*?/\\!, control "
            "characters, and a quote at either end"
        )
    if name.lower() == "history":
        raise LayoutError(f"worksheet name {name!r} is Excel's own: choose another")
    if _LOOKS_LIKE_A_CELL.match(name):
        raise LayoutError(
            f"worksheet name {name!r} looks like a cell, which breaks references in some "
            "programs: choose another, for example with an underscore"
        )


def sheet_name_of_file(stem: str) -> str:
    """A file's name, without its ending, where a worksheet can have it; else `network`.

    Example:
        >>> sheet_name_of_file("lenet"), sheet_name_of_file("hw3")
        ('lenet', 'network')
    """
    try:
        check_sheet_name(stem)
    except LayoutError:
        return "network"
    return "network" if stem.lower() == OWN_SHEET else stem


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One cell: the worksheet's name and zero-based row and column.

    Example:
        >>> Cell("conv-example", 2, 33).a1, str(Cell("conv-example", 2, 33))
        ('AH3', "'conv-example'!AH3")
    """

    sheet: str
    row: int
    column: int

    @property
    def a1(self) -> str:
        """The A1 text without the sheet."""
        return f"{column_name(self.column)}{self.row + 1}"

    def __str__(self) -> str:
        return f"{quote_sheet(self.sheet)}!{self.a1}"


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """A rectangle of adjacent cells.

    Example:
        >>> area = Range("s", 10, 29, 3, 3)
        >>> area.a1, area.absolute
        ('AD11:AF13', '$AD$11:$AF$13')
    """

    sheet: str
    row: int
    column: int
    height: int = 1
    width: int = 1

    @property
    def first(self) -> Cell:
        return Cell(self.sheet, self.row, self.column)

    @property
    def last_row(self) -> int:
        return self.row + self.height - 1

    @property
    def last_column(self) -> int:
        return self.column + self.width - 1

    @property
    def a1(self) -> str:
        """The relative A1 text without the sheet; a single cell has no colon."""
        first = f"{column_name(self.column)}{self.row + 1}"
        if self.height == 1 and self.width == 1:
            return first
        return f"{first}:{column_name(self.last_column)}{self.last_row + 1}"

    @property
    def absolute(self) -> str:
        """The A1 text with dollar signs, without the sheet."""
        first = f"${column_name(self.column)}${self.row + 1}"
        if self.height == 1 and self.width == 1:
            return first
        return f"{first}:${column_name(self.last_column)}${self.last_row + 1}"

    def overlaps(self, other: Range) -> bool:
        """Whether the two rectangles share a cell."""
        return (
            self.sheet == other.sheet
            and self.row <= other.last_row
            and other.row <= self.last_row
            and self.column <= other.last_column
            and other.column <= self.last_column
        )

    def __str__(self) -> str:
        return f"{quote_sheet(self.sheet)}!{self.a1}"


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells at regular steps: where the units of one plane stand.

    A compact plane has steps of 1. An aligned pool stands at the top left of each
    of its windows, so that its steps are the pool's stride.

    Example:
        >>> pool = Grid("s", 3, 90, 12, 13, row_step=2, column_step=2)
        >>> pool.bounds.a1, pool.cell(1, 1).a1
        ('CM4:DK26', 'CO6')
    """

    sheet: str
    row: int
    column: int
    height: int
    width: int
    row_step: int = 1
    column_step: int = 1

    @property
    def size(self) -> int:
        """How many units stand on the grid."""
        return self.height * self.width

    @property
    def bounds(self) -> Range:
        """The smallest range that holds every unit."""
        return Range(
            self.sheet,
            self.row,
            self.column,
            (self.height - 1) * self.row_step + 1,
            (self.width - 1) * self.column_step + 1,
        )

    @property
    def compact(self) -> bool:
        """Whether the units are adjacent."""
        return (self.row_step == 1 or self.height == 1) and (
            self.column_step == 1 or self.width == 1
        )

    def cell(self, i: int, j: int) -> Cell:
        """The cell of unit (i, j)."""
        return Cell(self.sheet, self.row + i * self.row_step, self.column + j * self.column_step)

    def unit(self, index: int) -> Grid:
        """The grid of one unit alone, by its number row by row."""
        cell = self.cell(*divmod(index, self.width))
        return Grid(cell.sheet, cell.row, cell.column, 1, 1)

    def cells(self) -> Iterator[Cell]:
        """Every cell, row by row."""
        for i in range(self.height):
            for j in range(self.width):
                yield self.cell(i, j)


def parse_range(text: str, sheet: str = "") -> Range:
    """The range that an A1 text names, on the worksheet `sheet` where one is given.

    Raises:
        LayoutError: the text is no cell or range, names another worksheet, or lies outside.

    Example:
        >>> parse_range("'conv-example'!AH3:AJ5")
        Range(sheet='conv-example', row=2, column=33, height=3, width=3)
    """
    match = _A1.match(text.strip())
    if match is None:
        raise LayoutError(f"{text!r} is not a cell or a range: write it like AH3 or A2:AB29")
    quoted = match["quoted"]
    name = quoted.replace("''", "'") if quoted else match["plain"] or sheet
    row, column = int(match["r1"]) - 1, column_index(match["c1"])
    last_row = int(match["r2"]) - 1 if match["r2"] else row
    last_column = column_index(match["c2"]) if match["c2"] else column
    if sheet and name != sheet:
        raise LayoutError(f"{text!r} names another worksheet than {sheet!r}: leave the name out")
    if row > last_row or column > last_column:
        raise LayoutError(f"{text!r} runs backwards: write the top left corner first")
    if row < 0 or last_row >= MAX_ROWS or last_column >= MAX_COLUMNS:
        raise LayoutError(f"{text!r} lies outside a worksheet, which ends at XFD{MAX_ROWS}")
    return Range(name, row, column, last_row - row + 1, last_column - column + 1)


def parse_cell(text: str, sheet: str = "") -> Cell:
    """The cell that an A1 text names; `sheet` serves where the text names none.

    Raises:
        LayoutError: the text is no single cell.

    Example:
        >>> parse_cell("AH3", "conv-example")
        Cell(sheet='conv-example', row=2, column=33)
    """
    area = parse_range(text, sheet)
    if area.height != 1 or area.width != 1:
        raise LayoutError(f"{text!r} is a range: one cell is expected, for example AH3")
    return area.first
