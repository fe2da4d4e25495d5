"""Ranges of a workbook as pages of a PDF, and such pages as pixels.

LibreOffice prints each range on a page of its own size; PDFium draws the pages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
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
    """A range on a page of a PDF, or on several, one below the other, if it is long.

    Attributes:
        file: the PDF.
        numbers: the pages', from 0.
        heights: of the cells on each of several pages; none for one page.
        width, height: of all together with MARGIN around, in 1/100 mm. The PDF itself may say
            less, as its unit has to grow with very wide pages.
    """

    file: Path
    numbers: range
    heights: tuple[int, ...]
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
    """Print ranges of different worksheets, in the workbook's order.

    Very wide ones have files of their own; the others are in one.

    Raises:
        CalculatorError: LibreOffice failed.
    """
    wanted = [corners(area) for area in areas]
    folder = str(office.folder)
    pages = []
    for item in office.call("draw the worksheets", "page", "print_pages", wanted, MARGIN, folder):
        heights = tuple(sum(map(printed, rows)) for rows in item["heights"])
        height = sum(heights) + 2 * MARGIN if heights else item["height"]
        numbers = range(item["first"], item["first"] + max(len(heights), 1))
        pages.append(Page(Path(item["file"]), numbers, heights, item["width"], height))
    return pages


def printed(size: int) -> int:
    """The size in print of a column or a row, both in 1/100 mm.

    What is a whole number of twips is cut to whole 1/100 mm; after hundreds of columns the
    difference is seen.

    Example:
        >>> printed(530)
        529
    """
    return round(size * 1440 / _PER_INCH) * _PER_INCH // 1440


def save_pdf(pages: Sequence[Page], target: Path) -> None:
    """Write pages as one PDF, in their order, each as high as its cells."""
    import pypdfium2

    files = [page.file for page in pages]
    # The links and bookmarks of this file stay; pages that join it bring none.
    most = max(files, key=files.count)
    if len(set(files)) == 1 and not any(page.heights for page in pages):
        target.write_bytes(most.read_bytes())
        return
    whole = pypdfium2.PdfDocument(most)
    try:
        place = 0
        for page in pages:
            if page.file != most:
                other = pypdfium2.PdfDocument(page.file)
                try:
                    whole.import_pages(other, list(page.numbers), place)
                finally:
                    other.close()
            for number, height in enumerate(page.heights, place):
                leaf = whole[number]
                width, top = leaf.get_size()
                cells = (height + 2 * MARGIN) * width / page.width
                leaf.set_mediabox(0, top - cells, width, top)
            place += len(page.numbers)
        whole.save(target)
    finally:
        whole.close()


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
        scale = page.width / _PER_INCH * dpi / pdf[page.numbers[0]].get_width()
        pictures = (
            pdf[number].render(scale=scale).to_pil().convert("RGB") for number in page.numbers
        )
        return _joined(pictures, page.heights, dpi) if page.heights else next(pictures)
    finally:
        pdf.close()


def _joined(pictures: Iterator[Image], heights: Sequence[int], dpi: float) -> Image:
    """Pictures of the pages of one range, one below the other without their margins."""
    from PIL import Image

    margin = round(MARGIN / _PER_INCH * dpi)
    ends = [round(end / _PER_INCH * dpi) for end in accumulate(heights, initial=0)]
    whole = None
    for picture, (start, end) in zip(pictures, pairwise(ends), strict=True):
        if whole is None:
            whole = Image.new("RGB", (picture.width, ends[-1] + 2 * margin), "white")
        cells = picture.crop((0, margin, picture.width, margin + end - start))
        whole.paste(cells, (0, margin + start))
    assert whole is not None
    return whole
