"""A workbook as plain facts that can be compared: cells, styles, widths, colour scales.

Values come from the file as it lies on disk, since they must be bit-exact; the text of
each cell of a shared formula, styles and rules come from openpyxl, which is imported
for reading here only.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from openpyxl import load_workbook
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

from ..cells import parse_range, quote_sheet
from ..errors import WorkbookError
from ..values import Value
from ..xlsx import check_package, read_cells, sheet_states
from .volatile import Source, volatile_cells

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

#: Zero-based row and column.
Position = tuple[int, int]

#: What a column is wide where the file does not say, in characters: 64 pixels in Calibri 11.
STANDARD_WIDTH = 9.140625


class Formula(NamedTuple):
    """A formula's text with its equals sign, and the range of an array formula, else ``""``."""

    text: str
    array: str


class Style(NamedTuple):
    """What is compared of a cell's format."""

    number_format: str = "General"
    bold: bool = False
    italic: bool = False


class ColourScale(NamedTuple):
    """One colour-scale rule: sorted ranges, then for each point its type, value and colour."""

    ranges: tuple[str, ...]
    points: tuple[tuple[str, str, str], ...]


class ColumnFormat(NamedTuple):
    """How a column is shown; `width` is in characters."""

    width: float
    hidden: bool = False
    outline_level: int = 0


@dataclass(slots=True)
class SheetFacts:
    """One worksheet. Cells without formula, value and style of their own are in no mapping."""

    state: str
    formulas: dict[Position, Formula] = field(default_factory=dict)
    constants: dict[Position, Value] = field(default_factory=dict)
    #: Cached values of formulas; also those of the further cells of array formulas.
    values: dict[Position, Value] = field(default_factory=dict)
    styles: dict[Position, Style] = field(default_factory=dict)
    row_styles: dict[int, Style] = field(default_factory=dict)
    column_styles: dict[int, Style] = field(default_factory=dict)
    colour_scales: set[ColourScale] = field(default_factory=set)
    columns: dict[int, ColumnFormat] = field(default_factory=dict)
    default_width: float = STANDARD_WIDTH
    merged: set[str] = field(default_factory=set)
    volatile: set[Position] = field(default_factory=set)

    def style(self, position: Position) -> Style:
        """The effective style: the cell's own, or its row's, or its column's."""
        row, column = position
        return (
            self.styles.get(position)
            or self.row_styles.get(row)
            or self.column_styles.get(column)
            or Style()
        )

    def column(self, column: int) -> ColumnFormat:
        """The effective format of a column."""
        return self.columns.get(column) or ColumnFormat(self.default_width)


@dataclass(slots=True)
class WorkbookFacts:
    """A workbook's worksheets in order, without those that are very hidden.

    Attributes:
        sheets: worksheets by name.
        very_hidden: names of the very hidden worksheets.
        volatile_functions: such as RAND, where a formula calls one.
    """

    sheets: dict[str, SheetFacts]
    very_hidden: list[str]
    volatile_functions: frozenset[str]


def snapshot(path: str | os.PathLike[str]) -> WorkbookFacts:
    """Read a workbook.

    Raises:
        WorkbookError: the file is no workbook that can be read.
    """
    check_package(path)
    states = sheet_states(path)
    sheets: dict[str, SheetFacts] = {}
    sources: list[Source] = []
    try:
        workbook = _load(path)
        for name, state in states.items():
            sheets[name] = facts = _formats(workbook[name], state)
            sources += _formulas(workbook[name], facts)
        names = _names(workbook)
    except Exception as error:
        # openpyxl raises whatever its parsing meets: KeyError, TypeError, AttributeError ...
        # Its own summary of a ValueError takes three lines and says less than the cause.
        cause = error.__cause__ or error
        reason = " ".join(str(cause).split())
        raise WorkbookError(
            f"{Path(path)}: openpyxl cannot read it ({type(cause).__name__}: {reason}): "
            "open it in a spreadsheet program and save it again"
        ) from error
    for name, facts in sheets.items():
        _read_values(path, name, facts)
    volatile, functions = volatile_cells(sources, names)
    for name, cells in volatile.items():
        sheets[name].volatile = cells
    very_hidden = [name for name, state in states.items() if state == "veryHidden"]
    for name in very_hidden:
        del sheets[name]
    return WorkbookFacts(sheets, very_hidden, functions)


def _load(path: str | os.PathLike[str]) -> Workbook:
    # Given a path, openpyxl leaves the file open where it fails.
    with Path(path).open("rb") as stream, warnings.catch_warnings():
        # Extensions and styles that openpyxl drops are none of those that are compared.
        warnings.simplefilter("ignore")
        return load_workbook(stream, keep_links=False)


def _names(workbook: Workbook) -> dict[str, str]:
    """What every defined name and table stands for, as a formula; scopes are thrown together."""
    found: dict[str, str] = {}

    def add(name: str, text: str | None) -> None:
        key = name.lower()
        found[key] = f"{found[key]},{text}" if key in found else text or ""

    for name, defined in workbook.defined_names.items():
        add(name, defined.attr_text)
    for sheet in workbook.worksheets:
        for name, defined in sheet.defined_names.items():
            add(name, defined.attr_text)
        for table in sheet.tables.values():
            add(table.displayName, f"{quote_sheet(sheet.title)}!{table.ref}")
    return found


def _formulas(sheet: Worksheet, facts: SheetFacts) -> Iterator[Source]:
    """Fill in the formulas and cell styles; yield every cell that a formula fills."""
    styles: dict[int, Style] = {}
    # Not iter_rows: it would create every blank cell of the rectangle.
    cells: list[Any] = list(sheet._cells.values())
    for cell in cells:
        position = cell.row - 1, cell.column - 1
        number = cell.style_id
        if number not in styles:
            styles[number] = _style(cell)
        facts.styles[position] = styles[number]
        value: Any = cell.value
        if isinstance(value, ArrayFormula):
            facts.formulas[position] = Formula(value.text or "=", value.ref)
            area = parse_range(value.ref)
            for row in range(area.row, area.last_row + 1):
                for column in range(area.column, area.last_column + 1):
                    yield Source(sheet.title, row, column, value.text or "=")
        elif isinstance(value, DataTableFormula):
            facts.formulas[position] = Formula(f"=TABLE({value.r1},{value.r2})", value.ref)
        elif cell.data_type == "f":
            facts.formulas[position] = Formula(str(value), "")
            yield Source(sheet.title, *position, str(value))


def _style(styled: Any) -> Style:
    font = styled.font
    return Style(styled.number_format, bool(font.b), bool(font.i))


def _formats(sheet: Worksheet, state: str) -> SheetFacts:
    """All but the cells."""
    facts = SheetFacts(state)
    default = sheet.sheet_format
    if default.defaultColWidth is not None:
        facts.default_width = default.defaultColWidth
    elif default.baseColWidth not in (None, 8):
        # ECMA-376 18.3.1.81: five pixels of margin and grid line, seven a character.
        facts.default_width = default.baseColWidth + 5 / 7
    for row, line in sheet.row_dimensions.items():
        if line.has_style:
            facts.row_styles[row - 1] = _style(line)
    for dimension in dict[str, Any](sheet.column_dimensions).values():
        width = dimension.width if dimension.width is not None else facts.default_width
        form = ColumnFormat(width, bool(dimension.hidden), dimension.outlineLevel or 0)
        style = _style(dimension) if dimension.has_style else None
        for column in range(dimension.min - 1, dimension.max):
            facts.columns[column] = form
            if style is not None:
                facts.column_styles[column] = style
    for formatting in sheet.conditional_formatting:
        ranges = tuple(sorted(str(formatting.sqref).split()))
        for rule in formatting.rules:
            if rule.colorScale is not None:
                facts.colour_scales.add(ColourScale(ranges, _points(rule.colorScale)))
    facts.merged = {str(area) for area in sheet.merged_cells.ranges}
    return facts


def _points(scale: Any) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        # Excel ignores the value that some programs write for a minimum or maximum.
        (point.type, "" if point.type in ("min", "max") else str(point.val), _colour(colour))
        for point, colour in zip(scale.cfvo, scale.color, strict=True)
    )


def _colour(colour: Any) -> str:
    if colour.type == "rgb":
        # Conditional formats have no transparency: programs differ in the alpha they write.
        return f"#{colour.rgb[-6:].upper()}"
    tint = f" tint {colour.tint:g}" if colour.tint else ""
    return f"{colour.type} {colour.value}{tint}"


def _read_values(path: str | os.PathLike[str], name: str, facts: SheetFacts) -> None:
    for cell in read_cells(path, name):
        position = cell.row, cell.column
        if cell.formula is None:
            facts.constants[position] = cell.value
        else:
            facts.values[position] = cell.value
