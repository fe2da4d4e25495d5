"""Guides on worksheets: their cells, rules and widths, as XlsxWriter takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .cells import MAX_FORMULA, Grid, check_text, quote_sheet
from .colour_scales import add_colour_scale
from .drawing import Style
from .errors import LayoutError
from .guides import GuidePage, Validation
from .guides.contents import GuideContent
from .sheet_writer import (
    Band,
    BlankBand,
    CellWorksheet,
    ColumnWidth,
    NumberBand,
    SheetContent,
    TextBand,
    ValueBand,
)

# Excel's limit of what a validation says.
_MOST_MESSAGE = 255
_LARGEST = 1e300
# Of a character, by which columns are measured.
_PIXELS = 7


def bands_of(sheet: Any, content: GuideContent, looks: Any) -> list[Band]:
    """The cells of a worksheet as bands; links and merges go to the worksheet itself.

    Args:
        sheet: an XlsxWriter worksheet.
        content: what guides put there.
        looks: the workbook's cell formats.

    Raises:
        LayoutError: a text is none that a cell can hold.
    """
    bands: list[Band] = [
        NumberBand(grid, numbers, looks.index(style)) for grid, numbers, style in content.planes
    ]
    for item in content.cells:
        cell, style = item.cell, looks.index(item.style)
        grid = Grid(cell.sheet, cell.row, cell.column, 1, 1)
        if item.formula:
            if len(item.formula) >= MAX_FORMULA:
                raise LayoutError(
                    f"the formula of {cell} needs {len(item.formula) + 1:,} characters, and Excel "
                    f"takes {MAX_FORMULA:,}: use fewer layers or outputs, or leave it out"
                )
            bands.append(ValueBand(grid, item.formula, item.value, style))
        elif isinstance(item.value, str) and item.value:
            check_text(item.value, f"the text at {cell}")
            index = sheet.str_table._get_shared_string_index(item.value)
            bands.append(TextBand(grid, item.value, style, index))
        elif isinstance(item.value, float):
            bands.append(ValueBand(grid, "", item.value, style))
        else:
            bands.append(BlankBand(grid, style))
        if item.across > 1:
            beside = Grid(cell.sheet, cell.row, cell.column + 1, 1, item.across - 1)
            bands.append(BlankBand(beside, style))
            last = cell.column + item.across - 1
            sheet.merge.append([cell.row, cell.column, cell.row, last])
        if item.link is not None:
            sheet.write_url(cell.row, cell.column, f"internal:{item.link}", string=str(item.value))
    return bands


def add_rules(book: Any, sheet: Any, content: GuideContent) -> None:
    """Add the validations and highlights of a worksheet."""
    for rule in content.validations:
        _validate(sheet, rule)
    for highlight in content.highlights:
        first = highlight.areas[0]
        options = {
            "type": "formula",
            "criteria": f"={highlight.formula}",
            "format": book.add_format(_properties(highlight.style)),
            "multi_range": " ".join(area.a1 for area in highlight.areas),
        }
        sheet.conditional_format(
            first.row, first.column, first.last_row, first.last_column, options
        )


def quiet(sheet: Any) -> None:
    """Keep Excel from marking cells in green for what is meant: labels that are digits, formulas
    that differ from those beside them or leave out their neighbours.
    """
    kinds = ("number_stored_as_text", "formula_differs", "formula_range", "empty_cell_reference")
    sheet.ignore_errors(dict.fromkeys(kinds, "A1:XFD1048576"))


def _properties(style: Style) -> dict[str, Any]:
    properties: dict[str, Any] = {"bold": style.bold}
    if style.colour:
        properties["font_color"] = style.colour
    if style.fill:
        properties["bg_color"] = style.fill
    if style.frame:
        properties |= {"border": 1, "border_color": style.frame}
    return properties


def _validate(sheet: Any, rule: Validation) -> None:
    area = rule.area
    options: dict[str, Any] = {
        "error_title": "This cannot be used",
        "error_message": rule.message[:_MOST_MESSAGE],
    }
    if rule.kind == "list":
        assert rule.source is not None
        source = f"={quote_sheet(rule.source.sheet)}!{rule.source.absolute}"
        options |= {
            "validate": "list",
            "source": source,
            "input_message": rule.message[:_MOST_MESSAGE],
            "show_error": rule.strict,
        }
    else:
        least, most = rule.limits if rule.kind == "whole" else (-_LARGEST, _LARGEST)
        options |= {
            "validate": "integer" if rule.kind == "whole" else "decimal",
            "criteria": "between",
            "minimum": least,
            "maximum": most,
        }
    sheet.data_validation(area.row, area.column, area.last_row, area.last_column, options)


def write_page(
    book: Any,
    page: GuidePage,
    content: GuideContent,
    looks: Any,
    planes: Sequence[Band] = (),
) -> Any:
    """Add a guide's own worksheet.

    Args:
        book: an XlsxWriter workbook.
        page: its name and widths.
        content: what stands there.
        looks: the workbook's cell formats.
        planes: more cells. Default: none.

    Returns:
        The worksheet, to which charts may be added.
    """
    sheet = book.add_worksheet(page.name, worksheet_class=CellWorksheet)
    bands = [*bands_of(sheet, content, looks), *planes]
    columns = [ColumnWidth(first, last, width) for first, last, width in page.columns]
    add_rules(book, sheet, content)
    for scale in content.scales:
        add_colour_scale(sheet, scale)
    if page.freeze != (0, 0):
        sheet.freeze_panes(*page.freeze)
    sheet.hide_gridlines(2)
    quiet(sheet)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    # The worksheet writes these sizes itself; XlsxWriter has to know them where it puts a chart.
    for first, last, width in page.columns:
        sheet.set_column_pixels(first, last, round(width * _PIXELS))
    for row, height in page.heights:
        sheet.set_row(row, height)
    sheet.prepare(
        SheetContent(
            bands=bands,
            columns=columns,
            default_width=page.default_width,
            row_height=page.row_height,
            heights=dict(page.heights),
        )
    )
    return sheet
