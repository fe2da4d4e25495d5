"""Which cell a person means, and what to say where it cannot be traced."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from ..cells import Cell, parse_cell, quote_sheet
from ..errors import LayoutError, TraceError
from ..values import CellError, Value


def asked_cell(text: str, sheets: Sequence[str], visible: Sequence[str], where: str) -> Cell:
    """The cell that somebody named.

    Args:
        text: A1 text, with or without a worksheet, quoted or not.
        sheets: the names of all worksheets.
        visible: of those, the ones that one may mean without naming them.
        where: the file, for errors.

    Raises:
        TraceError: it is no cell, there is no such worksheet, or several may be meant.

    Example:
        >>> str(asked_cell("my book!b3", ["my book", "x"], ["my book"], "a.xlsx"))
        "'my book'!B3"
        >>> asked_cell("convl!B3", ["conv1", "x"], ["conv1"], "a.xlsx")
        Traceback (most recent call last):
        sheetconv.errors.TraceError: a.xlsx has no worksheet 'convl': did you mean 'conv1'?
    """
    try:
        cell = parse_cell(text)
    except LayoutError as error:
        raise TraceError(str(error)) from None
    if not cell.sheet:
        if len(visible) != 1:
            examples = " or ".join(f"{quote_sheet(name)}!{cell.a1}" for name in visible[:3])
            raise TraceError(
                f"{where} has {len(visible)} worksheets, and {text} may be on any: write {examples}"
            )
        return Cell(visible[0], cell.row, cell.column)
    for name in sheets:
        if name.lower() == cell.sheet.lower():
            return Cell(name, cell.row, cell.column)
    lower = {name.lower(): name for name in sheets}
    close = get_close_matches(cell.sheet.lower(), lower, n=1)
    hint = f"did you mean {lower[close[0]]!r}?" if close else f"it has {', '.join(sheets)}"
    raise TraceError(f"{where} has no worksheet {cell.sheet!r}: {hint}")


def shown(value: Value, digits: int = 6) -> str:
    """A cell's value in a sentence.

    Example:
        >>> shown(0.9435291), shown("seven"), shown(True), shown(None)
        ('0.943529', "'seven'", 'TRUE', 'nothing')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        # Minus zero is zero to a spreadsheet.
        return f"{value + 0.0:.{digits}g}"
    return str(value) if isinstance(value, CellError) else repr(value)


def counted(number: int, word: str) -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "cell"), counted(1352, "cell")
        ('1 cell', '1,352 cells')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"
