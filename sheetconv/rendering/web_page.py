"""Worksheets as one HTML page: tables of what the cells show, in the colours that they have.

LibreOffice's own HTML has no colour scales, and neither it nor any file format tells the
colour that a conditional format gives to a cell. So the ranges are printed without their
texts, and each cell's colour is read off the picture, at its centre.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from html import escape
from itertools import accumulate, groupby, pairwise
from typing import Any

import numpy as np

from ..calculators.office import Office
from ..cells import Range
from .pages import MARGIN, Page, corners, draw, largest_dpi, print_pages, printed

_DPI = 72.0
_SCREEN = 96 / 2540  # pixels of a browser for 1/100 mm
_WHITE = "ffffff"
_PADDING = 2  # pixels, as in the style below
_DIGIT = 0.65  # pixels of a digit for one point of a font's height

_STYLE = """\
body { margin: 1em; background: #fff; color: #000; font: 11pt Calibri, Carlito, sans-serif; }
table { table-layout: fixed; border-collapse: collapse; width: 0; }
td { padding: 0 2px; white-space: nowrap; vertical-align: middle; line-height: 1.1; }
.n { text-align: right; overflow: hidden; }"""


def web_page(office: Office, areas: Sequence[Range], *, title: str) -> str:
    """An HTML page on its own with a table for each range, in the workbook's order.

    Raises:
        CalculatorError: LibreOffice failed.
    """
    texts = [_texts(office, area) for area in areas]
    looks = [
        office.call(f"read the looks of {area}", "page", "looks", *corners(area)) for area in areas
    ]
    for area, look in zip(areas, looks, strict=True):
        heights = look["heights"]
        office.call(f"draw the colours of {area}", "page", "blank", heights, *corners(area))
    classes: dict[str, str] = {}
    body: list[str] = []
    for page, area, shown, look in zip(
        print_pages(office, areas), areas, texts, looks, strict=True
    ):
        body.append(f"<h2>{escape(area.sheet)}</h2>")
        body.extend(_table(area, shown, look, _colours(page, look), classes))
    rules = "\n".join(f".{name} {{ {rule} }}" for rule, name in classes.items())
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">',
            f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n{rules}\n</style>",
            *body,
            "</html>\n",
        ]
    )


def _texts(office: Office, area: Range) -> list[list[str]]:
    folder = office.folder / "texts"
    folder.mkdir()
    target = str(folder / "x.csv")
    office.call(f"read the texts of {area.sheet}", "page", "texts", area.sheet, target)
    (file,) = folder.iterdir()
    file = file.rename(office.folder / "texts.csv")
    folder.rmdir()
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(stream))[area.row : area.last_row + 1]
    rows += [[]] * (area.height - len(rows))
    padded = (row[area.column : area.last_column + 1] for row in rows)
    return [row + [""] * (area.width - len(row)) for row in padded]


def _colours(page: Page, look: dict[str, Any]) -> list[list[str]]:
    """The background of every cell as six hexadecimal digits, rows of columns."""
    dpi = min(_DPI, largest_dpi(page))
    pixels = np.asarray(draw(page, dpi))
    down, across = (
        np.minimum(np.rint(np.array(_centres(look[name])) * dpi / 2540), last).astype(int)
        for name, last in (("heights", len(pixels) - 1), ("widths", len(pixels[0]) - 1))
    )
    return [[bytes(pixel).hex() for pixel in row] for row in pixels[np.ix_(down, across)]]


def _centres(sizes: Sequence[int]) -> list[float]:
    """The middles of columns or rows on a page, in 1/100 mm."""
    ends = list(accumulate(map(printed, sizes), initial=MARGIN))
    return [(start + end) / 2 for start, end in pairwise(ends)]


def _table(
    area: Range,
    texts: list[list[str]],
    look: dict[str, Any],
    colours: list[list[str]],
    classes: dict[str, str],
) -> list[str]:
    """The lines of one table; `classes` collects CSS rules and their names."""
    fonts = _spread(area, look["fonts"], {})
    is_text = _spread(area, [(look["texts"], True)], False)
    columns = [j for j, width in enumerate(look["widths"]) if width]
    rows = [i for i, height in enumerate(look["heights"]) if height]
    if not rows or not columns:
        return []
    widths = "".join(
        f'<col span={len(list(run))} style="width: {width * _SCREEN:.4g}px">'
        for width, run in groupby(look["widths"][j] for j in columns)
    )
    lines = [f"<table><colgroup>{widths}</colgroup>"]
    for i in rows:
        cells = []
        for j in columns:
            text, font = texts[i][j], fonts[i][j]
            if not is_text[i][j]:
                text = _fitted(text, look["widths"][j], font.get("points", 11))
            rule = _rule(text, colours[i][j], font)
            name = classes.setdefault(rule, f"s{len(classes)}") if rule else ""
            if text and not is_text[i][j]:
                name = f"{name} n".strip()
            mark = f' class="{name}"' if " " in name else f" class={name}" if name else ""
            cells.append(f"<td{mark}>{escape(text, quote=False)}")
        while len(cells) > 1 and cells[-1] == "<td>":
            cells.pop()
        height = look["heights"][i] * _SCREEN
        lines.append(f'<tr style="height: {height:.4g}px">{"".join(cells)}')
    lines.append("</table>")
    return lines


def _fitted(text: str, width: int, points: float) -> str:
    """A number with as many decimals as its column has room for, as spreadsheets show it.

    Cut off at the edge of its cell, 0.996 would read 0.9.

    Example:
        >>> _fitted("0.99609375", 550, 11), _fitted("0.99609375", 1058, 11)
        ('1', '0.996')
    """
    room = int((width * _SCREEN - 2 * _PADDING) / (points * _DIGIT))
    if len(text) <= room or not re.fullmatch(r"-?[0-9]+\.[0-9]+", text):
        return text
    shorter = text
    for decimals in range(len(text.partition(".")[2]) - 1, -1, -1):
        shorter = f"{float(text):.{decimals}f}"
        if len(shorter) <= room:
            break
    if "." in shorter:
        shorter = shorter.rstrip("0").rstrip(".")
    return "0" if shorter == "-0" else shorter


def _rule(text: str, colour: str, font: dict[str, Any]) -> str:
    """The CSS of a cell beyond that of every cell."""
    parts = [f"background: #{colour}"] if colour != _WHITE else []
    if text and font:
        parts += ["font-weight: bold"] if font["bold"] else []
        parts += ["font-style: italic"] if font["italic"] else []
        parts += [f"color: #{font['colour']:06x}"] if font["colour"] > 0 else []
        parts += [f"font-size: {font['points']:g}pt"] if font["points"] != 11 else []
        if font["align"] in ("LEFT", "CENTER", "RIGHT"):
            parts.append(f"text-align: {font['align'].lower()}")
    return "; ".join(parts)


def _spread(area: Range, groups: Any, default: Any) -> list[list[Any]]:
    """Properties of rectangles as one for each cell, rows of columns."""
    spread = [[default] * area.width for _ in range(area.height)]
    for rectangles, value in groups:
        for left, top, right, bottom in rectangles:
            count = right - left + 1
            for row in range(top - area.row, bottom - area.row + 1):
                start = left - area.column
                spread[row][start : start + count] = [value] * count
    return spread
