"""Overwrite every cached value of a workbook: the proof that a program recalculates.

Some spreadsheet programs trust the cached values of a file. A check therefore lets
them recalculate a copy in which every cached value is one absurd number, and asserts
that none of it is left. The copy is spliced, byte by byte, from the original, so that
nothing else can differ.
"""

from __future__ import annotations

import copy
import os
import re
import zipfile
from pathlib import Path

from ..cells import Range, parse_cell, parse_range
from ..errors import LayoutError, WorkbookError
from .archive import new_parser, open_package, sheet_parts

#: Kinds of formula whose results fill a range of which only the first cell has the formula.
RANGE_FORMULAS = ("array", "dataTable")

#: A cell with a formula, as programs usually write it: what stays before its type, what stays
#: behind it, and its value.
_USUAL = re.compile(
    rb'(<c r="[A-Z]+[0-9]+"(?: s="[0-9]+")?)(?: t="\w+")?((?: cm="[0-9]+")?>'
    rb'<f(?: [\w:]+="[^"<>]*")*(?:/>|>[^<]*</f>))(?:<v ?/>|<v>[^<]*</v>)?</c>'
)
_FORMULA = re.compile(rb"<f[\s/>]")
_RANGE_FORMULA = re.compile(rb'<f [^<>]*"(?:%s)"[^<>]*' % "|".join(RANGE_FORMULAS).encode())
_TYPE_ATTRIBUTE = re.compile(rb"\st\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def poison(
    source: str | os.PathLike[str], target: str | os.PathLike[str], value: float = 777
) -> int:
    """Copy a workbook, with the cached value of every formula cell replaced by one number.

    A spreadsheet program that trusts cached values gives the number back; one that recalculates
    leaves none. Texts, truth values and errors become the number too; cells without a cached
    value get one; so do the further cells of array formulas. All else stays byte for byte.

    Args:
        source: the workbook.
        target: the copy; overwritten where it exists.
        value: the number, one that no formula gives.

    Returns:
        How many formula cells were poisoned.

    Raises:
        WorkbookError: `source` cannot be read, or `target` cannot be written or is `source`.
    """
    copied = Path(target)
    if copied.exists() and copied.samefile(source):
        raise WorkbookError(f"{copied}: is the workbook itself: name another file to write")
    number = repr(value).encode()
    count = 0
    parts = set(sheet_parts(source).values())
    unfinished = copied.with_name(copied.name + ".part")
    with open_package(source) as package:
        try:
            with zipfile.ZipFile(unfinished, "w") as out:
                for entry in package.infolist():
                    data = package.read(entry)
                    if entry.filename in parts:
                        usual = _poisoned_usual(package, entry.filename, data, number)
                        data, cells = usual or _poisoned(package, entry.filename, data, number)
                        count += cells
                    # A copy: writing would overwrite the offset of the entry to be read.
                    # Level 1, since the file is read once or twice and then thrown away.
                    out.writestr(copy.copy(entry), data, entry.compress_type, compresslevel=1)
            unfinished.replace(copied)
        except OSError as error:
            raise WorkbookError(
                f"{copied}: cannot be written ({error.strerror or error}): "
                "check the folder, its permissions and the disk's free space"
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)
    return count


def _poisoned_usual(
    package: zipfile.ZipFile, part: str, data: bytes, number: bytes
) -> tuple[bytes, int] | None:
    """As `_poisoned`, ten times as fast: by one regular expression that must match every formula.

    None where one is spelled otherwise, where a formula fills cells besides its own, and where
    what looks like a cell may be none: in a comment, a CDATA section, an instruction.
    """
    if b"<worksheet" not in data or b"<!" in data or data.count(b"<?") > 1:
        return None
    if any(b":" in formula for formula in _RANGE_FORMULA.findall(data)):
        return None
    spliced, count = _USUAL.subn(rb"\1\2<v>" + number + b"</v></c>", data)
    if count != len(_FORMULA.findall(data)):
        return None
    new_parser(package, part).Parse(data, True)
    return spliced, count


def _poisoned(package: zipfile.ZipFile, part: str, data: bytes, number: bytes) -> tuple[bytes, int]:
    """The worksheet `data` with poisoned values, and the count of them."""
    if data.startswith(_UTF_16):
        raise WorkbookError(
            f"{package.filename}: {part} is UTF-16, UTF-8 is expected: "
            "open it in a spreadsheet program and save it again"
        )
    parser = new_parser(package, part)
    pieces: list[bytes] = []
    spans: list[Range] = []
    prefix = ""
    copied = count = 0
    cell = inside = -1
    formula = -1
    value: tuple[int, int] | None = None
    cell_attributes: dict[str, str] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal prefix, cell, inside, formula, value, cell_attributes
        if cell < 0:
            if name == prefix + "c":
                cell, inside, formula, value = parser.CurrentByteIndex, -1, -1, None
                cell_attributes = attributes
            elif name.endswith("worksheet"):
                prefix = name.removesuffix("worksheet")
            return
        if inside < 0:
            inside = parser.CurrentByteIndex
        if name == prefix + "v":
            value = (parser.CurrentByteIndex, -1)
        elif (
            name == prefix + "f"
            and attributes.get("t") in RANGE_FORMULAS
            and ":" in attributes.get("ref", "")
        ):
            spans.append(parse_range(attributes["ref"]))

    def end(name: str) -> None:
        nonlocal cell, formula, value
        if cell < 0:
            return
        if name == prefix + "v" and value is not None:
            value = (value[0], after(name))
        elif name == prefix + "f":
            formula = after(name)
        elif name == prefix + "c":
            if formula >= 0 or (spans and value is not None and _within(spans, cell_attributes)):
                splice()
            cell = -1

    def after(name: str) -> int:
        """The byte after the tag that ends here: expat points behind an empty element already."""
        index = parser.CurrentByteIndex
        closing = f"</{name}".encode()
        return data.index(b">", index) + 1 if data.startswith(closing, index) else index

    def splice() -> None:
        nonlocal copied, count
        if "t" in cell_attributes:
            attribute = _TYPE_ATTRIBUTE.search(data, cell, inside)
            if attribute is not None:
                pieces.append(data[copied : attribute.start()])
                copied = attribute.end()
        first, last = (formula, formula) if value is None else value
        tag = f"{prefix}v".encode()
        pieces.append(data[copied:first])
        pieces.append(b"<" + tag + b">" + number + b"</" + tag + b">")
        copied = last
        count += 1

    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(data, True)
    except LayoutError as error:
        raise WorkbookError(
            f"{package.filename}: {part}: malformed cell ({error}): "
            "open it in a spreadsheet program and save it again"
        ) from error
    pieces.append(data[copied:])
    return b"".join(pieces), count


def _within(spans: list[Range], attributes: dict[str, str]) -> bool:
    cell = parse_cell(attributes.get("r", ""))
    return any(
        span.row <= cell.row <= span.last_row and span.column <= cell.column <= span.last_column
        for span in spans
    )
