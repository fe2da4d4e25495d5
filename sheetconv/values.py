"""What a cell may hold, whoever reads or writes it."""

from __future__ import annotations


class CellError(str):
    """An error value of a spreadsheet, such as ``#VALUE!``; told apart from a text.

    Example:
        >>> CellError("#DIV/0!"), isinstance(CellError("#DIV/0!"), str)
        ('#DIV/0!', True)
    """

    __slots__ = ()


#: What a cell may hold: a number, a text, a truth value, an error, or nothing.
Value = float | str | bool | CellError | None
