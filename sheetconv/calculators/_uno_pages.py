"""Worksheets as pages, inside LibreOffice: functions that `_uno_server.py` calls.

They are run by LibreOffice's Python, under the conditions that are written there. The
first argument is its `Server`. What they change is the private copy.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

TEXT = 4  # com.sun.star.sheet.CellFlags.STRING
ANY_CONTENT = 1 | 2 | TEXT | 16  # numbers, dates, texts, formulas
TEXT_RESULT = 2  # com.sun.star.sheet.FormulaResult.STRING
NORMAL_WEIGHT = 100.0  # com.sun.star.awt.FontWeight.NORMAL
UTF_8 = 76
SLACK = 20  # 1/100 mm


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
    server: Any, areas: list[list[Any]], margin: int, target: str
) -> list[tuple[int, int]]:
    """Print ranges into a PDF, each alone on a page of its own size.

    Args:
        areas: [worksheet, left, top, right, bottom] each, in the workbook's order.
        margin: around each, in 1/100 mm.
        target: the file to write.

    Returns:
        Width and height of each page in 1/100 mm.
    """
    sizes = []
    styles = server.document.StyleFamilies.getByName("PageStyles")
    for number, (name, *corners) in enumerate(areas):
        area = server.area(name, *corners)
        name_of_style = f"sheetconv {number}"
        if not styles.hasByName(name_of_style):
            made = server.document.createInstance("com.sun.star.style.PageStyle")
            styles.insertByName(name_of_style, made)
        style = styles.getByName(name_of_style)
        style.HeaderIsOn = style.FooterIsOn = False
        style.PrintGrid = style.PrintHeaders = False
        style.LeftMargin = style.RightMargin = style.TopMargin = style.BottomMargin = margin
        # The slack is for rounding, which must not ask for a second page.
        style.Width = area.Size.Width + 2 * margin + SLACK
        style.Height = area.Size.Height + 2 * margin + SLACK
        sizes.append((style.Width, style.Height))
        style.ScaleToPagesX = style.ScaleToPagesY = 1
        sheet = server.document.Sheets.getByName(name)
        sheet.IsVisible = True
        sheet.setPrintTitleColumns(False)
        sheet.setPrintTitleRows(False)
        sheet.removeAllManualPageBreaks()
        sheet.PageStyle = style.Name
    printed = {name: corners for name, *corners in areas}
    for name in server.document.Sheets.ElementNames:
        sheet = server.document.Sheets.getByName(name)
        # Where any worksheet has a print area, those that have none are not printed.
        sheet.setPrintAreas(
            (server.area(name, *printed[name]).RangeAddress,) if name in printed else ()
        )
    server.store(target, FilterName="calc_pdf_Export")
    return sizes


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
