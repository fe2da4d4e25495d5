"""Worksheets as pages, inside LibreOffice: functions that `_uno_server.py` calls.

They are run by LibreOffice's Python, under the conditions that are written there. The
first argument is its `Server`. What they change is the private copy.
"""

from __future__ import annotations

import os
from itertools import groupby
from typing import Any

TEXT = 4  # com.sun.star.sheet.CellFlags.STRING
ANY_CONTENT = 1 | 2 | TEXT | 16  # numbers, dates, texts, formulas
TEXT_RESULT = 2  # com.sun.star.sheet.FormulaResult.STRING
NORMAL_WEIGHT = 100.0  # com.sun.star.awt.FontWeight.NORMAL
UTF_8 = 76
SLACK = 20  # 1/100 mm
TWIPS = 1440 / 2540  # in 1/100 mm
ROUNDING = 4  # 1/100 mm
# 1/100 mm. From 508,000 on, 200 inches, a page of a PDF has a unit of its own, in which
# LibreOffice draws all smaller pages that follow in the file, too: they are shrunk.
LONGEST = 500_000
# LibreOffice draws about 1,020 rows of a page and leaves out the rest.
MOST_ROWS = 1000


def calculate(server: Any) -> None:
    """Recalculate everything, and whatever is drawn from then on.

    The formulas of conditional formats are calculated when their cells are drawn, and
    never while automatic calculation is off.
    """
    server.document.enableAutomaticCalculation(True)
    server.document.calculateAll()


def used(server: Any, sheet: str) -> list[int] | None:
    """The corners of what a worksheet shows, with texts that run over; None if nothing."""
    shown = server.document.Sheets.getByName(sheet)
    cursor = shown.createCursor()
    cursor.gotoStartOfUsedArea(False)
    cursor.gotoEndOfUsedArea(True)
    used = cursor.RangeAddress
    shapes = [shown.DrawPage.getByIndex(i) for i in range(shown.DrawPage.Count)]
    if not shapes and not cursor.queryContentCells(ANY_CONTENT).Count:
        return None
    left, top = used.StartColumn, used.StartRow
    right, bottom = used.EndColumn, used.EndRow
    width = height = 0
    for shape in shapes:
        width = max(width, shape.Position.X + shape.Size.Width)
        height = max(height, shape.Position.Y + shape.Size.Height)
        left = top = 0
    texts = cursor.queryContentCells(TEXT)
    for column in {
        column
        for address in texts.RangeAddresses
        for column in range(address.StartColumn, address.EndColumn + 1)
    }:
        width = max(width, right_edge(shown, column))
    while shown.getCellRangeByPosition(0, 0, right, 0).Size.Width < width:
        right += 1
    while shown.getCellRangeByPosition(0, 0, 0, bottom).Size.Height < height:
        bottom += 1
    return [left, top, right, bottom]


def looks(server: Any, sheet: str, left: int, top: int, right: int, bottom: int) -> dict[str, Any]:
    """What a page of a range needs besides its texts and colours.

    Returns:
        "widths" and "heights" of its columns and rows in 1/100 mm, 0 where hidden;
        "fonts": [rectangles, properties] each; "texts": rectangles of what is no number.
        A rectangle is [left, top, right, bottom].
    """
    area = server.area(sheet, left, top, right, bottom)
    fonts = []
    groups = area.getUniqueCellFormatRanges()
    for index in range(groups.Count):
        group = groups.getByIndex(index)
        font = {
            "bold": group.CharWeight > NORMAL_WEIGHT,
            "italic": group.CharPosture.value == "ITALIC",
            "colour": group.CharColor,
            "points": group.CharHeight,
            "align": group.HoriJustify.value,
        }
        fonts.append([rectangles(group), font])
    columns, rows = area.Columns, area.Rows
    return {
        "widths": [shown_size(columns.getByIndex(i), "Width") for i in range(columns.Count)],
        "heights": [shown_size(rows.getByIndex(i), "Height") for i in range(rows.Count)],
        "fonts": fonts,
        "texts": rectangles(area.queryContentCells(TEXT))
        + rectangles(area.queryFormulaCells(TEXT_RESULT)),
    }


def texts(server: Any, sheet: str, target: str) -> None:
    """Write what the cells of a worksheet show as CSV, from cell A1 on.

    Args:
        sheet: its name.
        target: the file to write; LibreOffice adds the worksheet's name: x.csv is x-sheet.csv.
    """
    number = server.document.Sheets.ElementNames.index(sheet) + 1
    # Separators, encoding and first row; not all in quotes, not numbers as such but all as
    # shown, no formulas, no spaces removed; which worksheet.
    options = f"{ord(',')},{ord(chr(34))},{UTF_8},1,,0,false,false,true,false,false,{number}"
    server.store(target, FilterName="Text - txt - csv (StarCalc)", FilterOptions=options)


def blank(
    server: Any, heights: list[int], sheet: str, left: int, top: int, right: int, bottom: int
) -> None:
    """Hide the texts and numbers of a range, so that only its colours are printed.

    Args:
        heights: of its rows, as `looks` gives them; they stay so, although rows are as high as
            their texts until they are told otherwise.
        sheet, left, top, right, bottom: the range.
    """
    import uno

    area = server.area(sheet, left, top, right, bottom)
    locale = uno.createUnoStruct("com.sun.star.lang.Locale")
    formats = server.document.NumberFormats
    key = formats.queryKey(";;;", locale, False)
    area.NumberFormat = key if key >= 0 else formats.addNew(";;;", locale)
    row = 0
    for height, run in groupby(heights):
        last = row + len(list(run)) - 1
        if height:
            area.getCellRangeByPosition(0, row, 0, last).Rows.Height = height
        row = last + 1


def print_pages(
    server: Any, areas: list[list[Any]], margin: int, folder: str
) -> list[dict[str, Any]]:
    """Print ranges into PDFs, each on a page of its own size, or on several if it is long.

    All of them are in one PDF, except those that are wider than LONGEST: each of these is in
    one of its own.

    Args:
        areas: [worksheet, left, top, right, bottom] each, in the workbook's order.
        margin: around each, in 1/100 mm.
        folder: where the files are written.

    Returns:
        For each range the "file" and the number of the "first" page in it, from 0; "width" and
        "height" of its pages in 1/100 mm; "heights": of the rows on each page, if there are
        several.
    """
    sheets = server.document.Sheets
    printed: list[dict[str, Any]] = []
    parts = []
    for number, (name, *corners) in enumerate(areas):
        area = server.area(name, *corners)
        heights = pieces(area, LONGEST - 2 * margin - SLACK)
        parts.append(cut(area, [len(rows) for rows in heights]))
        # The slack is for rounding, which must not ask for a second page.
        width = area.Size.Width + 2 * margin + SLACK
        height = max(part.Size.Height for part in parts[-1]) + 2 * margin + SLACK
        sheet = sheets.getByName(name)
        if heights:
            put_shapes(server, sheet, parts[-1])
        width, height = set_page(server, sheet, f"sheetconv {number}", width, height, margin)
        printed.append({"width": width, "height": height, "heights": heights})
    # Where any worksheet has a print area, those that have none are not printed.
    for name in sheets.ElementNames:
        sheets.getByName(name).setPrintAreas(())
    together = [number for number, page in enumerate(printed) if page["width"] <= LONGEST]
    alone = [[number] for number, page in enumerate(printed) if page["width"] > LONGEST]
    for group in [together, *alone] if together else alone:
        first, file = 0, os.path.join(folder, f"pages-{group[0]}.pdf")
        for number in group:
            addresses = tuple(part.RangeAddress for part in parts[number])
            sheets.getByName(areas[number][0]).setPrintAreas(addresses)
            printed[number].update(file=file, first=first)
            first += len(addresses)
        server.store(file, FilterName="calc_pdf_Export")
        for number in group:
            sheets.getByName(areas[number][0]).setPrintAreas(())
    return printed


def pieces(area: Any, longest: int) -> list[list[int]]:
    """The heights of the rows on each page of a range in 1/100 mm; none if one page is enough."""
    count = area.Rows.Count
    if count <= MOST_ROWS and area.Size.Height <= longest:
        return []
    found: list[list[int]] = [[]]
    length = shown = 0
    for height in row_heights(area, 0, count):
        length += height
        shown += height > 0
        if height and shown > 1 and (length > longest or shown > MOST_ROWS):
            found.append([])
            length, shown = height, 1
        found[-1].append(height)
    return found if len(found) > 1 else []


def row_heights(area: Any, first: int, count: int) -> list[int]:
    """The heights of rows in 1/100 mm, 0 where hidden; of equal ones only the first is asked."""
    one = shown_size(area.Rows.getByIndex(first), "Height")
    if count == 1:
        return [one]
    all_of_them = area.getCellRangeByPosition(0, first, 0, first + count - 1).Size.Height
    # Rows are whole twips high, and the height of a range is rounded twice.
    if abs(all_of_them - count * round(one * TWIPS) / TWIPS) < ROUNDING:
        return [one] * count
    half = count // 2
    return row_heights(area, first, half) + row_heights(area, first + half, count - half)


def cut(area: Any, counts: list[int]) -> list[Any]:
    """The parts of a range that have so many rows each; the range itself if there are none."""
    right, first, found = area.Columns.Count - 1, 0, []
    for count in counts:
        found.append(area.getCellRangeByPosition(0, first, right, first + count - 1))
        first += count
    return found or [area]


def put_shapes(server: Any, sheet: Any, parts: list[Any]) -> None:
    """Put what is not seen on every page, as LibreOffice leaves out pages that are empty."""
    import uno

    for part in parts:
        shape = server.document.createInstance("com.sun.star.drawing.RectangleShape")
        sheet.DrawPage.add(shape)
        shape.Position = part.Position
        shape.FillStyle = uno.Enum("com.sun.star.drawing.FillStyle", "NONE")
        shape.LineStyle = uno.Enum("com.sun.star.drawing.LineStyle", "NONE")


def set_page(
    server: Any, sheet: Any, name: str, width: int, height: int, margin: int
) -> tuple[int, int]:
    """Give a worksheet pages of a size; returns the size that they have."""
    styles = server.document.StyleFamilies.getByName("PageStyles")
    if not styles.hasByName(name):
        made = server.document.createInstance("com.sun.star.style.PageStyle")
        styles.insertByName(name, made)
    style = styles.getByName(name)
    style.HeaderIsOn = style.FooterIsOn = False
    style.PrintGrid = style.PrintHeaders = False
    style.LeftMargin = style.RightMargin = style.TopMargin = style.BottomMargin = margin
    style.Width, style.Height = width, height
    style.ScaleToPagesX = style.ScaleToPagesY = 1
    sheet.IsVisible = True
    sheet.setPrintTitleColumns(False)
    sheet.setPrintTitleRows(False)
    sheet.removeAllManualPageBreaks()
    sheet.PageStyle = name
    return style.Width, style.Height


def right_edge(sheet: Any, index: int) -> int:
    """Where the longest text of a column ends if it runs over, in 1/100 mm."""
    column = sheet.Columns.getByIndex(index)
    if not column.IsVisible:
        return 0
    width = column.Width
    column.OptimalWidth = True
    optimal = column.Width
    column.Width = width
    left = sheet.getCellByPosition(index, 0).Position.X
    return int(left + optimal)


def shown_size(line: Any, name: str) -> int:
    return int(getattr(line, name)) if line.IsVisible else 0


def rectangles(ranges: Any) -> list[list[int]]:
    return [[a.StartColumn, a.StartRow, a.EndColumn, a.EndRow] for a in ranges.RangeAddresses]
