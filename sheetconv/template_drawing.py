"""The part of a template that says how its network is drawn: `[networks.drawing]`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from .drawing import WORDS, Columns, Drawing, Fill, Style, Text
from .errors import LayoutError, TemplateError
from .number_formats import check_number_format
from .toml_table import Table

_T = TypeVar("_T")


def read_drawing(table: Table, worksheet: str) -> Drawing:
    """The drawing that a table describes; its keys are the fields of `Drawing`.

    Raises:
        TemplateError: a key is unknown, or a value is not one that the field takes.
    """
    values: dict[str, Any] = {"worksheet": worksheet}
    for key, words in WORDS.items():
        values[key] = table.choice(key, words, words[0])
    values["fuse"] = table.get("fuse", bool, "true or false", True)
    aligned = table.get("aligned", list, "a list of layer names", []) or []
    if not all(isinstance(name, str) for name in aligned):
        raise table.error("aligned", aligned, "a list of layer names")
    values["aligned"] = frozenset(aligned)
    classes = table.get("classes", list, "a list of names", []) or []
    if not all(isinstance(name, str) for name in classes):
        raise table.error("classes", classes, 'a list of names such as ["cat", "dog"]')
    values["classes"] = tuple(classes)
    values["anchors"] = _mapping(table, "anchors", _anchors)
    values["number_formats"] = _mapping(table, "number_formats", _number_format)
    styles = table.table("styles")
    values["styles"] = {
        name: _style(Table(item, table.file, f"{styles.where}.{name}"))
        for name, item in styles.content.items()
    }
    if "texts" in table.content:
        values["texts"] = tuple(_text(item) for item in table.tables("texts"))
    if "colour_scales" in table.content:
        scales = table.need("colour_scales", list, "a list of ranges")
        if not all(isinstance(item, str) and item.strip() for item in scales):
            raise table.error("colour_scales", scales, 'a list of ranges such as "A2:AB29"')
        values["colour_scales"] = tuple(
            table.cells("colour_scales", item, many=True) for item in scales
        )
    if "columns" in table.content:
        values["columns"] = tuple(_columns(item) for item in table.tables("columns"))
    for key in ("default_width", "row_height"):
        values[key] = table.get(key, float, "a number")
        if values[key] is not None and not 0 < values[key] < 256:
            raise table.error(key, values[key], "a number between 0 and 256")
    values["fills"] = tuple(
        Fill(
            item.cells("ranges", item.need("ranges", str, "ranges"), many=True),
            _style(item, {"ranges"}),
        )
        for item in table.tables("fills")
    )
    merges = table.get("merges", list, "a list of ranges", []) or []
    if not all(isinstance(item, str) for item in merges):
        raise table.error("merges", merges, "a list of ranges")
    values["merges"] = tuple(table.cells("merges", item, many=True) for item in merges)
    default_freeze = Drawing.__dataclass_fields__["freeze"].default
    values["freeze"] = table.get("freeze", str, "a cell, or an empty text", default_freeze) or None
    if values["freeze"] is not None:
        table.cells("freeze", values["freeze"])
    values["zoom"] = table.get("zoom", int, "a whole number from 10 to 400", 100)
    if not 10 <= values["zoom"] <= 400:
        raise table.error("zoom", values["zoom"], "a whole number from 10 to 400")
    table.finish()
    return Drawing(**values)


def _mapping(table: Table, key: str, read: Callable[[Table, str], _T]) -> Mapping[str, _T]:
    inner = table.table(key)
    return {name: read(inner, name) for name in inner.content}


def _anchors(table: Table, key: str) -> tuple[str, ...]:
    cells = table.need(key, list, "a list of cells")
    if not cells or not all(isinstance(cell, str) for cell in cells):
        raise table.error(key, cells, 'a list of cells such as ["AH3", "AH32"]')
    return tuple(table.cells(key, cell) for cell in cells)


def _number_format(table: Table, key: str) -> str:
    text = table.need(key, str, "an Excel number format")
    try:
        check_number_format(text)
    except LayoutError as error:
        raise TemplateError(f"{table.file}: {table.where}.{key}: {error}") from None
    return text


def _style(table: Table, besides: set[str] | None = None) -> Style:
    values: dict[str, Any] = {}
    for field in fields(Style):
        if field.name in ("bold", "italic"):
            values[field.name] = table.get(field.name, bool, "true or false", False)
        elif field.name == "number_format" and field.name in table.content:
            values[field.name] = _number_format(table, field.name)
        elif field.name == "size":
            values[field.name] = table.get(field.name, float, "a number of points")
            if values[field.name] is not None and not 1 <= values[field.name] <= 409:
                raise table.error("size", values[field.name], "a number of points from 1 to 409")
        elif field.name in table.content:
            values[field.name] = table.need(field.name, str, "a text")
        else:
            table.asked.append(field.name)
    for key in ("colour", "fill", "frame"):
        if key in values and not _is_colour(values[key]):
            raise table.error(key, values[key], 'a colour such as "#F8696B"')
    if "align" in values:
        table.choice("align", ("left", "center", "right"), "left")
    table.asked += sorted(besides or ())
    table.finish()
    return Style(**values)


def _is_colour(text: str) -> bool:
    return (
        len(text) == 7 and text[0] == "#" and all(c in "0123456789abcdefABCDEF" for c in text[1:])
    )


def _text(table: Table) -> Text:
    cell, text = table.need("cell", str, "a cell"), table.need("text", str, "a text")
    return Text(table.cells("cell", cell), text, _style(table, {"cell", "text"}))


def _columns(table: Table) -> Columns:
    letters = table.need("columns", str, "columns such as A:AB")
    width = table.need("width", float, "a number of characters")
    outline = table.get("outline", int, "a whole number from 0 to 7", 0) or 0
    hidden = table.get("hidden", bool, "true or false", False) or False
    collapsed = table.get("collapsed", bool, "true or false", False) or False
    if not 0 <= outline <= 7:
        raise table.error("outline", outline, "a whole number from 0 to 7")
    if not 0 <= width <= 255:
        raise table.error("width", width, "a number from 0 to 255")
    table.finish()
    return Columns(letters, width, hidden, outline, collapsed)
