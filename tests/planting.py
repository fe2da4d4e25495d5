"""Errors planted in workbooks, by hand through openpyxl, or spliced into the file's XML.

openpyxl drops every cached value, as do programs that do not calculate; a splice changes
one cell's XML and leaves all else byte for byte, cached values too.
"""

from __future__ import annotations

import re
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

from openpyxl import Workbook, load_workbook
from openpyxl.worksheet.formula import ArrayFormula

from sheetconv.calculators.office import find_soffice
from sheetconv.cells import parse_cell
from sheetconv.xlsx import SheetCell, read_cells, sheet_parts

#: What a cell is made to hold: a number, a text, an error, a formula as Excel shows it
#: (`=A1` or `{=SUM(A1:A2*2)}`), or nothing.
Content = float | str | None

#: Plants one content in one cell of a workbook.
Hand = Callable[[Path, str, str, Content], None]

_ERROR = re.compile(r"#[A-Z/0!?]+\Z")


def edit_part(path: Path, part: str, edit: Callable[[str], str]) -> None:
    """Replace the text of one part of a workbook."""
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    parts[part] = edit(parts[part].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in parts.items():
            package.writestr(name, data)


def splice(path: Path, worksheet: str, cell: str, edit: Callable[[str], str]) -> None:
    """Replace the XML of one cell, which has to exist."""

    def replaced(text: str) -> str:
        found = re.search(rf'<c r="{cell}"[^>]*?(?:/>|>.*?</c>)', text)
        assert found is not None, f"{worksheet}!{cell} is not in the file"
        return text[: found.start()] + edit(found[0]) + text[found.end() :]

    edit_part(path, sheet_parts(path)[worksheet], replaced)


def spliced(path: Path, worksheet: str, cell: str, content: Content) -> None:
    """Give a cell another content; a formula keeps the cached value of what it replaces."""

    def edit(xml: str) -> str:
        style = re.search(r' s="\d+"', xml)
        value = re.search(r"<v>.*?</v>", xml)
        head = f'<c r="{cell}"{style[0] if style else ""}'
        cached = value[0] if value else ""
        if content is None:
            return ""
        if not isinstance(content, str):
            return f"{head}><v>{content!r}</v></c>"
        if content.startswith("{="):
            formula = escape(content[2:-1])
            return f'{head}><f t="array" ref="{cell}">{formula}</f>{cached}</c>'
        if content.startswith("="):
            return f"{head}><f>{escape(content[1:])}</f>{cached}</c>"
        if _ERROR.match(content):
            return f'{head} t="e"><v>{content}</v></c>'
        return f'{head} t="inlineStr"><is><t>{escape(content)}</t></is></c>'

    splice(path, worksheet, cell, edit)


def recached(path: Path, worksheet: str, cell: str, value: float | None) -> None:
    """Give a formula another cached value, or none, and leave the formula."""
    text = "" if value is None else f"<v>{value!r}</v>"
    splice(path, worksheet, cell, lambda xml: re.sub(r"<v>.*?</v>", text, xml))


def typed(path: Path, worksheet: str, cell: str, content: Content) -> None:
    """Give a cell another content through openpyxl; every cached value is lost."""
    with opened(path) as book:
        value: object = content
        if isinstance(content, str) and content.startswith("{="):
            value = ArrayFormula(cell, content[1:-1])
        book[worksheet][cell].value = value


@contextmanager
def opened(path: Path) -> Iterator[Workbook]:
    """A workbook in openpyxl, saved at the end."""
    book = load_workbook(path)
    yield book
    book.save(path)


def resave_in_libreoffice(path: Path, folder: Path) -> Path:
    """A workbook as LibreOffice saves it, in a folder of its own within `folder`."""
    target = folder / "resaved"
    subprocess.run(
        [
            find_soffice(),
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            "--headless",
            "--convert-to",
            "xlsx",
            "--outdir",
            target,
            path,
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return target / path.name


def formula_of(path: Path, worksheet: str, cell: str) -> str:
    """The formula of a cell as Excel shows it."""
    found = _read(path, worksheet, cell)
    if found.formula:
        return f"{{={found.formula}}}" if found.array else f"={found.formula}"
    # openpyxl spells out the followers of a shared formula.
    return str(load_workbook(path)[worksheet][cell].value)


def cached_value(path: Path, worksheet: str, cell: str) -> float:
    """The cached value of a cell, to the last bit."""
    value = _read(path, worksheet, cell).value
    assert isinstance(value, float)
    return value


def _read(path: Path, worksheet: str, cell: str) -> SheetCell:
    at = parse_cell(cell)
    (found,) = (
        found
        for found in read_cells(path, worksheet)
        if (found.row, found.column) == (at.row, at.column)
    )
    return found
