"""Ranges of a workbook as pages of a PDF, and such pages as pixels.

LibreOffice prints each range on a page of its own size; PDFium draws the pages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..calculators.office import Office
from ..cells import Range
from ..errors import WorkbookError

if TYPE_CHECKING:
    from PIL.Image import Image

#: White around the cells, in 1/100 mm.
MARGIN = 200

_MAX_PIXELS = 50_000_000
_DPI = 144.0
_PER_INCH = 2540


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a PDF.

    Attributes:
        file: the PDF.
        number: the page's, from 0.
        width, height: of the page, in 1/100 mm. The PDF itself may say less, as its unit has
            to grow with very large pages.
    """

    file: Path
    number: int
    width: int
    height: int


def used_area(office: Office, sheet: str) -> Range | None:
    """What a worksheet shows, with texts that run over the last column; None if nothing.

    Raises:
        CalculatorError: LibreOffice failed.
    """
    corners = office.call(f"measure {sheet}", "page", "used", sheet)
    if corners is None:
        return None
    left, top, right, bottom = corners
    return Range(sheet, top, left, bottom - top + 1, right - left + 1)


def corners(area: Range) -> tuple[str, int, int, int, int]:
    """A range as LibreOffice takes it."""
    return area.sheet, area.column, area.row, area.last_column, area.last_row


def print_pages(office: Office, areas: Sequence[Range]) -> list[Page]:
    """Print ranges of different worksheets, one page each, in the workbook's order.

    Raises:
        CalculatorError: LibreOffice failed.
    """
    file = office.folder / "pages.pdf"
    wanted = [corners(area) for area in areas]
    sizes = office.call("draw the worksheets", "page", "print_pages", wanted, MARGIN, str(file))
    return [Page(file, number, *size) for number, size in enumerate(sizes)]


def save_picture(page: Page, target: Path, dpi: float | None, sheet: str) -> None:
    """Write a page as a .png; `dpi` is 144 by default, or what 50 million pixels allow.

    Args:
        page: what to draw.
        target: the file to write.
        dpi: pixels per inch.
        sheet: the worksheet's name, for errors.

    Raises:
        WorkbookError: it has too many pixels at this `dpi`.
    """
    most = largest_dpi(page)
    if dpi is None:
        dpi = min(_DPI, most)
    elif dpi > most:
        raise WorkbookError(
            f"the picture of {sheet!r} would have more than {_MAX_PIXELS:,} pixels at {dpi:g} dpi: "
            f"use at most --dpi {math.floor(most)}, or draw a smaller range"
        )
    picture = draw(page, dpi)
    picture.save(target, "PNG", optimize=True, dpi=(dpi, dpi))


def largest_dpi(page: Page) -> float:
    """The pixels per inch at which a page has as many pixels as a picture may have."""
    return math.sqrt(_MAX_PIXELS / (page.width * page.height)) * _PER_INCH


def draw(page: Page, dpi: float) -> Image:
    """A page as an RGB picture."""
    import pypdfium2

    pdf = pypdfium2.PdfDocument(page.file)
    try:
        leaf = pdf[page.number]
        scale = page.width / _PER_INCH * dpi / leaf.get_width()
        picture: Image = leaf.render(scale=scale).to_pil().convert("RGB")
        return picture
    finally:
        pdf.close()
