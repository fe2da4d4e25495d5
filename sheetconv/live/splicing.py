"""New values in the cells of a workbook, all else of the file as it was.

Charts, looks and formulas stay byte for byte: saving by way of a program's own export would
rewrite them all, and round numbers to 15 digits.
"""

from __future__ import annotations

import copy
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from ..cells import column_name, parse_cell
from ..errors import WorkbookError
from ..values import CellError, Value
from ..xlsx import sheet_parts
from ..xlsx.archive import new_parser, open_package

#: Values by the zero-based row and column of their cells; None for a blank.
Values = Mapping[tuple[int, int], Value]

_TYPE = re.compile(rb"\st\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_SPANS = re.compile(rb"\sspans\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def splice(source: Path, target: Path, sheets: Mapping[str, Values]) -> None:
    """Copy a workbook with other values in some of its cells.

    A cell with a formula keeps it: the value is what it shows. Cells that the file does not
    have are added, unless they are to be blank.

    Args:
        source: the workbook.
        target: the copy; overwritten where it exists.
        sheets: worksheet -> its values.

    Raises:
        WorkbookError: `source` cannot be read, is no UTF-8, or has no such worksheet.
        OSError: `target` cannot be written.
    """
    parts = sheet_parts(source)
    if missing := [name for name in sheets if name not in parts]:
        raise WorkbookError(f"{source}: no worksheet {missing[0]!r}: give it its old name again")
    changed = {parts[name]: values for name, values in sheets.items() if values}
    with open_package(source) as package, zipfile.ZipFile(target, "w") as out:
        for entry in package.infolist():
            data = package.read(entry)
            if entry.filename in changed:
                data = _spliced(package, entry.filename, data, changed[entry.filename])
            # A copy: writing would overwrite the offset of the entry to be read.
            out.writestr(copy.copy(entry), data, entry.compress_type)


def _spliced(package: zipfile.ZipFile, part: str, data: bytes, values: Values) -> bytes:
    """A worksheet with its new values."""
    if data.startswith(_UTF_16):
        raise WorkbookError(
            f"{package.filename}: {part} is UTF-16, UTF-8 is expected: "
            "open it in a spreadsheet program and save it again"
        )
    return _Splicing(package, part, data, values).result


class _Splicing:
    """One pass over the XML of a worksheet, which notes what to put in which place."""

    def __init__(self, package: zipfile.ZipFile, part: str, data: bytes, values: Values) -> None:
        self.data = data
        self.pieces: list[bytes] = []
        self.copied = 0
        self.prefix = ""
        # What is left to write: row -> column -> value.
        self.left: dict[int, dict[int, Value]] = defaultdict(dict)
        for (row, column), value in values.items():
            self.left[row][column] = value
        self.rows = iter(sorted(self.left))
        self.next_row = next(self.rows, None)
        self.row = self.column = -1
        self.columns: Iterator[int] = iter(())
        self.next_column: int | None = None
        self.cell = self.inside = self.formula = self.first = self.last = -1
        self.parser = new_parser(package, part)
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._start, self._end
        self.parser.Parse(data, True)
        self.pieces.append(data[self.copied :])
        self.result = b"".join(self.pieces)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at = self.parser.CurrentByteIndex
        if self.cell >= 0:
            if self.inside < 0:
                self.inside = at
            if name == f"{self.prefix}v" or name == f"{self.prefix}is":
                self.first = at
        elif name == f"{self.prefix}c":
            if self.row != self.next_row:
                return
            reference = attributes.get("r")
            self.column = parse_cell(reference).column if reference else self.column + 1
            self._add_cells(at, self.column)
            if self.column == self.next_column:
                self.cell = at
                self.inside = self.formula = self.first = self.last = -1
        elif name == f"{self.prefix}row":
            self.row = int(attributes["r"]) - 1 if "r" in attributes else self.row + 1
            self.column = -1
            self._add_rows(at, self.row)
            if self.row == self.next_row:
                self.columns = iter(sorted(self.left[self.row]))
                self.next_column = next(self.columns, None)
                self._cut(_SPANS, at, self.data.index(b">", at))
        elif name.rpartition(":")[2] == "worksheet":
            self.prefix = name.removesuffix("worksheet")

    def _end(self, name: str) -> None:
        if self.cell >= 0:
            if name == f"{self.prefix}v" or name == f"{self.prefix}is":
                self.last = self._after(name)
            elif name == f"{self.prefix}f":
                self.formula = self._after(name)
            elif name == f"{self.prefix}c":
                self._replace(self._after(name))
                self.cell = -1
                self.next_column = next(self.columns, None)
        elif name == f"{self.prefix}row" and self.row == self.next_row:
            self._add_cells(self._open(name), None)
            self.next_row = next(self.rows, None)
        elif name == f"{self.prefix}sheetData":
            self._add_rows(self._open(name), None)

    def _after(self, name: str) -> int:
        """The byte after the tag that ends here: expat points behind an empty element already."""
        at = self.parser.CurrentByteIndex
        closing = f"</{name}".encode()
        return self.data.index(b">", at) + 1 if self.data.startswith(closing, at) else at

    def _open(self, name: str) -> int:
        """Where the element that ends here takes more content; an empty one is opened for it."""
        at = self.parser.CurrentByteIndex
        if self.data.startswith(f"</{name}".encode(), at):
            return at
        slash = self.data.rindex(b"/", 0, at)
        self._put(slash, b">", slash + 2)
        self.pieces.append(f"</{name}>".encode())
        # What is added goes before the end tag.
        return -1

    def _put(self, first: int, new: bytes, last: int) -> None:
        """Put new bytes in the place of some."""
        self.pieces += (self.data[self.copied : first], new)
        self.copied = last

    def _cut(self, pattern: re.Pattern[bytes], first: int, last: int) -> None:
        found = pattern.search(self.data, first, last)
        if found is not None:
            self._put(found.start(), b"", found.end())

    def _replace(self, end: int) -> None:
        """Another value in the cell that ends here."""
        value = self.left[self.row][self.column]
        kind, text = _stored(value, self.prefix)
        if self.inside < 0:
            # <c r="A1" s="3"/>, or with nothing in it.
            self._open_tag(kind, end, text)
            return
        tag_end = self.data.index(b">", self.cell)
        self._cut(_TYPE, self.cell, tag_end)
        self._put(tag_end, kind, tag_end)
        if self.first >= 0:
            self._put(self.first, text, self.last)
        else:
            place = self.formula if self.formula >= 0 else self.inside
            self._put(place, text, place)

    def _open_tag(self, kind: bytes, end: int, text: bytes) -> None:
        tag_end = self.data.index(b">", self.cell)
        slash = tag_end - 1 if self.data[tag_end - 1 : tag_end] == b"/" else tag_end
        self._cut(_TYPE, self.cell, slash)
        close = f"</{self.prefix}c>".encode()
        self._put(slash, kind + b">" + text + close if text else kind + b"/>", end)

    def _add_cells(self, at: int, column: int | None) -> None:
        """Add the cells of this row that the file does not have, before a column."""
        while self.row == self.next_row and self.next_column is not None:
            if column is not None and self.next_column >= column:
                return
            new = self._new_cell(self.row, self.next_column)
            self._add(at, new)
            self.next_column = next(self.columns, None)

    def _add_rows(self, at: int, row: int | None) -> None:
        """Add the rows that the file does not have, before a row."""
        while self.next_row is not None and (row is None or self.next_row < row):
            columns = sorted(self.left[self.next_row])
            cells = b"".join(self._new_cell(self.next_row, column) for column in columns)
            if cells:
                tag = f"{self.prefix}row"
                opening = f'<{tag} r="{self.next_row + 1}">'.encode()
                self._add(at, opening + cells + f"</{tag}>".encode())
            self.next_row = next(self.rows, None)

    def _add(self, at: int, new: bytes) -> None:
        if at < 0:
            self.pieces.insert(-1, new)
        else:
            self._put(at, new, at)

    def _new_cell(self, row: int, column: int) -> bytes:
        value = self.left[row][column]
        if value is None:
            return b""
        kind, text = _stored(value, self.prefix)
        tag, reference = f"{self.prefix}c", f"{column_name(column)}{row + 1}"
        return f'<{tag} r="{reference}"'.encode() + kind + b">" + text + f"</{tag}>".encode()


def _stored(value: Value, prefix: str) -> tuple[bytes, bytes]:
    """The type attribute of a value and its element; a blank has neither."""
    if value is None:
        return b"", b""
    if isinstance(value, bool):
        kind, text = "b", str(int(value))
    elif isinstance(value, CellError):
        kind, text = "e", escape(value)
    elif isinstance(value, str):
        kind, text = "str", escape(value)
    else:
        kind, text = "", repr(value)
    attribute = f' t="{kind}"' if kind else ""
    return attribute.encode(), f"<{prefix}v>{text}</{prefix}v>".encode()


def runs(cells: Mapping[tuple[int, int], object]) -> Iterator[tuple[int, int, int]]:
    """Cells that stand beside each other in a row: row, first column, how many.

    Example:
        >>> list(runs({(0, 3): 0, (0, 4): 0, (1, 4): 0}))
        [(0, 3, 2), (1, 4, 1)]
    """
    numbered = enumerate(sorted(cells))
    for (row, _), group in groupby(numbered, lambda item: (item[1][0], item[1][1] - item[0])):
        columns = [column for _, (_, column) in group]
        yield row, columns[0], len(columns)
