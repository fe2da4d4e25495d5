"""The cells of a worksheet as a stream: one regular expression where the file is written
as programs usually write it, an XML parser where it is not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from operator import itemgetter
from pathlib import Path
from zipfile import ZipFile

from ..errors import LayoutError, WorkbookError
from ..values import Value
from .archive import chunks, new_parser, open_package, sheet_parts
from .sheet_cells import Columns, Formulas, SheetCell, Strings, cell_value, collect_cells

#: A tag of a row, or one cell, as programs usually write them.
_TOKEN = re.compile(
    r'((?:<c r="([A-Z]+)([0-9]+)"(?: s="[0-9]+")?(?: t="(\w+)")?(?: cm="[0-9]+")?(?:/>|>'
    r'(?:(<f)((?: [\w:]+="[^"<&]*")*)(?:/>|>([^<]*)</f>))?(?:(<v)(?: ?/>|>([^<]*)</v>))?</c>)'
    r'|<row r="([0-9]+)"[^<>]*>|</row>)\s*)'
)
_ATTRIBUTE = re.compile(r'([\w:]+)="([^"]*)"')
_REFERENCE = re.compile(r"&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|(\w+));")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}


def read_cells(path: str | os.PathLike[str], sheet: str) -> Iterator[SheetCell]:
    """Every cell of a worksheet that holds a formula or a value, in the file's order.

    Cells are parsed as they are asked for; formatted blank cells are left out.

    Args:
        path: the workbook.
        sheet: the worksheet's name.

    Raises:
        WorkbookError: the file cannot be read or has no such worksheet (at the call); a cell is
            malformed (while iterating).
    """
    parts = sheet_parts(path)
    if sheet not in parts:
        raise WorkbookError(
            f"{Path(path)}: no worksheet {sheet!r}: it has {', '.join(map(repr, parts)) or 'none'}"
        )
    return _stream(path, parts[sheet])


def _stream(path: str | os.PathLike[str], part: str) -> Iterator[SheetCell]:
    with open_package(path) as package:
        count = 0
        try:
            try:
                for cells in _usual(package, part):
                    count += len(cells)
                    yield from cells
            except _UnusualError:
                # Rare enough to begin anew, and simpler than to change parsers within a row.
                yield from islice(_general(package, part), count, None)
        except (ValueError, KeyError, IndexError, LayoutError) as error:
            raise WorkbookError(
                f"{Path(path)}: {part}: malformed cell ({error}): "
                "open it in a spreadsheet program and save it again"
            ) from error


class _UnusualError(Exception):
    """The XML is not spelled as `_TOKEN` expects; it may be right all the same."""


def _general(package: ZipFile, part: str) -> Iterator[SheetCell]:
    """Cells by expat events: right for every spelling, at half the speed."""
    cells: list[SheetCell] = []
    parser = new_parser(package, part)
    collect_cells(parser, cells.append, Strings(package))
    for chunk in chunks(package, part):
        parser.Parse(chunk, False)
        yield from cells
        cells.clear()
    parser.Parse(b"", True)


def _usual(package: ZipFile, part: str) -> Iterator[list[SheetCell]]:
    """Cells by one regular expression, which must match without a gap from end to end.

    Expat sees every byte too, but without a call for each tag: what is scanned is well-formed
    and has no DTD. A comment, a prefix, another order of attributes make a gap.

    Raises:
        _UnusualError: there was a gap; the lists so far are right.
    """
    parser = new_parser(package, part)
    scan = _scanner(Strings(package))
    held = b""
    state = "head"
    for chunk in chunks(package, part):
        parser.Parse(chunk, False)
        if state == "tail":
            continue
        held += chunk
        if state == "head":
            start = held.find(b"<sheetData>")
            if start < 0 and len(held) < 1_000_000:
                continue
            head = held[:start]
            if start < 0 or b"<!" in head or head.count(b"<?") > 1 or not _is_utf_8(head):
                raise _UnusualError
            state, held = "cells", held[start + len(b"<sheetData>") :].lstrip()
        cut = held.find(b"</sheetData>")
        if cut >= 0:
            state = "tail"
        else:
            cut = held.rfind(b"<c ")
        if cut > 0:
            yield scan(held[:cut].decode())
            held = held[cut:]
    parser.Parse(b"", True)
    if state != "tail":
        raise _UnusualError


def _is_utf_8(head: bytes) -> bool:
    declared = re.search(rb"encoding=[\"']([^\"']+)", head.partition(b"?>")[0])
    return b"\0" not in head and (declared is None or declared[1].lower() == b"utf-8")


def _scanner(strings: Strings) -> Callable[[str], list[SheetCell]]:
    columns = Columns()
    formulas = Formulas()
    # The followers of a shared formula all have the same attributes: its number by these.
    followers: dict[str, int] = {}
    # Half the time of calling SheetCell.
    new = tuple.__new__
    row, row_text = -1, ""

    def scan(text: str) -> list[SheetCell]:
        nonlocal row, row_text
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        tokens = _TOKEN.findall(text)
        if sum(map(len, map(itemgetter(0), tokens))) != len(text):
            raise _UnusualError
        cells: list[SheetCell] = []
        emit = cells.append
        for _, letters, number, kind, f, attributes, formula, v, raw, new_row in tokens:
            if not letters:
                if new_row:
                    row, row_text = int(new_row) - 1, new_row
                continue
            if number != row_text:
                raise _UnusualError
            array, shared, area = False, None, None
            column = columns[letters]
            if f:
                if attributes:
                    shared = followers.get(attributes)
                    if shared is None:
                        array, shared, area = formulas.read(dict(_ATTRIBUTE.findall(attributes)))
                        if shared is not None:
                            followers[attributes] = shared
                if "&" in formula:
                    formula = _resolve(formula)
            elif not v:
                continue
            else:
                if formulas.spans:
                    area = formulas.filling(row, column)
                array = area is not None
                if not array:
                    formula = None
            value: Value
            if not kind:
                value = float(raw) if raw else None
            elif v:
                value = cell_value(kind, _resolve(raw) if "&" in raw else raw, strings)
            else:
                value = None
            if value is not None or formula is not None:
                emit(new(SheetCell, (row, column, formula, array, shared, value, area)))
        return cells

    return scan


def _resolve(text: str) -> str:
    """Replace the entities of XML itself; expat has refused all others."""
    return _REFERENCE.sub(
        lambda match: (
            chr(int(match[1], 16))
            if match[1]
            else chr(int(match[2]))
            if match[2]
            else _ENTITIES[match[3]]
        ),
        text,
    )
