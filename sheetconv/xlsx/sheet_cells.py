"""The cells of a worksheet's XML, whichever way the XML is written.

It owns what a cell is, how its stored text becomes a value, and the general parser by
expat events. `reading` has a faster way for the spelling that programs usually write,
and comes back here for every other.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from typing import NamedTuple
from xml.parsers.expat import XMLParserType

from ..cells import Range, column_index, parse_range
from ..values import CellError, Value
from .archive import chunks, main_part, new_parser, relationships
from .poisoning import RANGE_FORMULAS

_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_Start = Callable[[str, dict[str, str]], None]
_End = Callable[[str], None]


class SheetCell(NamedTuple):
    """One cell as the file holds it.

    Attributes:
        row: zero-based row.
        column: zero-based column.
        formula: the formula as stored, without the equals sign; None for a constant; empty
            where the file stores it with another cell (followers of a shared formula, further
            cells of an array formula).
        array: whether the cell belongs to an array formula.
        shared: the number of the shared formula to which the cell belongs, else None.
        value: the constant, or the formula's cached value; None where there is none.
        area: the cells that an array formula of several cells fills, at each of them.
    """

    row: int
    column: int
    formula: str | None
    array: bool
    shared: int | None
    value: Value
    area: Range | None = None


class Columns(dict[str, int]):
    """Zero-based columns by their letters: a plain dict look-up for each but the first."""

    def __missing__(self, letters: str) -> int:
        if not (letters.isascii() and letters.isalpha() and len(letters) <= 3):
            raise ValueError(f"cell in column {letters!r}")
        self[letters] = column_index(letters)
        return self[letters]


class Strings:
    """The shared strings of a workbook, read when the first cell asks for one."""

    def __init__(self, package: zipfile.ZipFile) -> None:
        self._package = package
        self._strings: list[str] | None = None

    def __getitem__(self, index: int) -> str:
        if self._strings is None:
            self._strings = _shared_strings(self._package)
        return self._strings[index]


def cell_value(kind: str | None, raw: str | None, strings: Strings) -> Value:
    """What a cell of the stored type `kind` holds, where `raw` is the text of its value."""
    if raw is None:
        return None
    if kind is None or kind == "n":
        return float(raw) if raw else None
    if kind == "s":
        return strings[int(raw)]
    if kind == "b":
        return raw in ("1", "true")
    if kind == "e":
        return CellError(raw)
    return _unescape(raw)


class Formulas:
    """What the attributes of formulas say, and the ranges that array formulas fill."""

    def __init__(self) -> None:
        self.spans: list[Range] = []

    def read(self, attributes: dict[str, str]) -> tuple[bool, int | None, Range | None]:
        """Whether a formula is an array formula, its shared number, and the cells it fills."""
        kind = attributes.get("t")
        if kind == "shared":
            return False, int(attributes["si"]), None
        if kind not in RANGE_FORMULAS:
            return False, None, None
        if ":" not in (area := attributes.get("ref", "")):
            return True, None, None
        self.spans.append(parse_range(area))
        return True, None, self.spans[-1]

    def filling(self, row: int, column: int) -> Range | None:
        """The cells that the formula of another cell fills, this one among them."""
        for span in self.spans:
            if span.row <= row <= span.last_row and span.column <= column <= span.last_column:
                return span
        return None


def collect_cells(
    parser: XMLParserType,
    emit: Callable[[SheetCell], object],
    strings: Strings,
) -> None:
    """Let `parser` emit the cells of a worksheet.

    Plain closures, and text gathered by `list.append` itself: handlers are called eight times a
    cell, and their attribute look-ups would be most of the time.
    """
    columns = Columns()
    formulas = Formulas()
    text: list[str] = []
    inline: list[str] | None = None
    row, column, row_text = -1, -1, ""
    reference: str | None = None
    kind: str | None = None
    formula: str | None = None
    raw: str | None = None
    shared: int | None = None
    area: Range | None = None
    array = phonetic = False
    formula_attributes: dict[str, str] = {}

    def root(name: str, attributes: dict[str, str]) -> None:
        prefix = name[: name.rfind(":") + 1]
        tags = (prefix + tag for tag in ("c", "v", "f", "row", "is", "t", "rPh"))
        parser.StartElementHandler, parser.EndElementHandler = handlers(*tags)
        parser.CharacterDataHandler = text.append

    def handlers(c: str, v: str, f: str, r: str, i: str, t: str, p: str) -> tuple[_Start, _End]:
        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal reference, kind, formula, raw, shared, array, area, inline
            nonlocal row, column, row_text, formula_attributes, phonetic
            if name == c:
                reference = attributes.get("r")
                kind = attributes.get("t")
                formula = raw = shared = area = inline = None
                array = False
            elif name in (v, t):
                text.clear()
            elif name == f:
                text.clear()
                formula_attributes = attributes
            elif name == r:
                row = int(attributes["r"]) - 1 if "r" in attributes else row + 1
                column, row_text = -1, str(row + 1)
            elif name == i:
                inline = []
            elif name == p:
                phonetic = True

        def end(name: str) -> None:
            nonlocal raw, formula, array, shared, area, column, phonetic
            if name == v:
                raw = "".join(text)
            elif name == c:
                if reference is None:
                    column += 1
                elif reference.endswith(row_text):
                    column = columns[reference[: -len(row_text)]]
                else:
                    raise ValueError(f"{reference} stands in row {row_text}")
                if raw is not None or formula is not None or inline is not None:
                    finish()
            elif name == f:
                formula = "".join(text)
                array, shared, area = formulas.read(formula_attributes)
            elif name == t and inline is not None and not phonetic:
                inline.append("".join(text))
            elif name == p:
                phonetic = False

        return start, end

    def finish() -> None:
        nonlocal formula, array, area
        if kind == "inlineStr":
            value = None if inline is None else cell_value(kind, "".join(inline), strings)
        else:
            value = cell_value(kind, raw, strings)
        if formulas.spans and formula is None:
            area = formulas.filling(row, column)
            if area is not None:
                formula, array = "", True
        if value is not None or formula is not None:
            emit(SheetCell(row, column, formula, array, shared, value, area))

    parser.StartElementHandler = root


def _unescape(text: str) -> str:
    """Excel writes control characters as _x000D_, and a literal underscore before x as _x005F_."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _shared_strings(package: zipfile.ZipFile) -> list[str]:
    """The texts of all rich text runs of every shared string, without phonetic guides."""
    part = next(
        (
            target
            for kind, target in relationships(package, main_part(package)).values()
            if kind.endswith("/sharedStrings")
        ),
        "xl/sharedStrings.xml",
    )
    strings: list[str] = []
    text: list[str] = []
    runs: list[str] = []
    phonetic = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal phonetic
        local = name.rpartition(":")[2]
        if local == "si":
            runs.clear()
        elif local == "t":
            text.clear()
        elif local == "rPh":
            phonetic = True

    def end(name: str) -> None:
        nonlocal phonetic
        local = name.rpartition(":")[2]
        if local == "si":
            strings.append(_unescape("".join(runs)))
        elif local == "t" and not phonetic:
            runs.append("".join(text))
        elif local == "rPh":
            phonetic = False

    parser = new_parser(package, part)
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    for chunk in chunks(package, part):
        parser.Parse(chunk, False)
    parser.Parse(b"", True)
    return strings
