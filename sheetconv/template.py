"""Templates: networks as TOML files, with their numbers as .npz beside them.

::

    format = 1
    title = "A name for people"
    description = "One sentence."

    [[networks]]                      # one for each worksheet
    worksheet = "conv-example"
    input = [1, 28, 28]               # channels, height, width
    data = "conv-example.npz"         # arrays `input`, `conv1.weight`, ...; optional
    seed = 0                          # of whatever `data` does not hold; optional
    layers = [
      { type = "Conv2d", in_channels = 1, out_channels = 2, kernel_size = 3, bias = false },
      { type = "ReLU" },
      { name = "pool", type = "MaxPool2d", kernel_size = 2 },
    ]

    [networks.drawing]                # optional: the fields of `sheetconv.Drawing`
    formulas = "sumproduct"
"""

from __future__ import annotations

import tomllib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .cells import check_sheet_name
from .drawing import Columns, Drawing, Fill, Style, Text
from .errors import SheetconvError, TemplateError
from .formulas import Shape
from .layers import layer_from_config, suggestion
from .layers.base import Array
from .network import TOO_LARGE, Sequential

FORMAT = 1
# A template is text that a person wrote, and its numbers are those of one network.
_MAX_TOML_BYTES = 4 * 2**20
_MAX_DATA_BYTES = 2**30
# What zipfile and NumPy raise for a file that is damaged, encrypted, or no .npz at all.
_DAMAGED = (
    OSError, ValueError, TypeError, EOFError, RuntimeError, MemoryError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TemplateNetwork:
    """One network of a template.

    Attributes:
        network: the layers and their parameters.
        image: of shape `input_shape`.
        drawing: how it is drawn.
    """

    network: Sequential
    image: Array
    drawing: Drawing


@dataclass(frozen=True, slots=True)
class Template:
    """A template, read and validated.

    Attributes:
        name: the file's, without its ending.
        title: for people.
        description: one sentence.
        networks: one for each worksheet.
    """

    name: str
    title: str
    description: str
    networks: tuple[TemplateNetwork, ...]


def templates_folder() -> Path:
    """Where the templates that come with sheetconv lie."""
    inside = Path(__file__).parent / "templates"
    # An editable installation uses the checkout's own folder.
    return inside if inside.is_dir() else Path(__file__).parent.parent / "templates"


def template_names() -> list[str]:
    """The names of the templates that come with sheetconv.

    Example:
        >>> "conv-example" in template_names()
        True
    """
    return sorted(path.stem for path in templates_folder().glob("*.toml"))


def load_template(name: str | Path) -> Template:
    """Read a template.

    Args:
        name: the name of one that comes with sheetconv, or the path of a .toml file.

    Raises:
        TemplateError: there is none, its TOML is broken, or a key or value is not one
            that templates have; the message names the file and the key or line.
        ShapeError: the layers do not fit each other, the image, or the parameters.

    Example:
        >>> template = load_template("conv-example")
        >>> template.networks[1].network(template.networks[1].image[None]).round(3)
        array([[258.738]])
    """
    path = _find(name)
    try:
        if path.stat().st_size > _MAX_TOML_BYTES:
            raise TemplateError(f"{path} is larger than {_MAX_TOML_BYTES:,} bytes: not a template")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TemplateError(f"cannot read the template {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TemplateError(f"{path} is not UTF-8 text: a template is a TOML file") from None
    except (ValueError, RecursionError) as error:
        raise TemplateError(f"{path} is not valid TOML: {error}") from None
    return _template(_Table(content, str(path), ""), path)


def _find(name: str | Path) -> Path:
    text = str(name)
    if text.endswith(".toml"):
        if not Path(text).is_file():
            raise TemplateError(
                f"the template {text} does not exist: give the path of a .toml file"
            )
        return Path(text)
    if text in template_names():
        return templates_folder() / f"{text}.toml"
    raise TemplateError(f"no template is named {text!r}{suggestion(text, template_names())}")


class _Table:
    """A TOML table that knows where it stands and which of its keys were asked for."""

    def __init__(self, content: Any, file: str, where: str) -> None:
        self.file = file
        self.where = where
        if not isinstance(content, dict):
            raise self.error("", content, "a table")
        self.content: dict[str, Any] = content
        self.asked: list[str] = []

    def error(self, key: str, got: Any, expected: str) -> TemplateError:
        place = ".".join(part for part in (self.where, key) if part) or "the file"
        return TemplateError(f"{self.file}: {place} is {_shown(got)}: expected {expected}")

    def get(
        self,
        key: str,
        kind: type[_T],
        expected: str,
        default: _T | None = None,
        *,
        need: bool = False,
    ) -> _T | None:
        self.asked.append(key)
        if key not in self.content:
            if need:
                place = f" in {self.where}" if self.where else ""
                raise TemplateError(f"{self.file}: {key!r} is missing{place}: expected {expected}")
            return default
        value = self.content[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(key, value, expected)
        return value

    def need(self, key: str, kind: type[_T], expected: str) -> _T:
        value = self.get(key, kind, expected, need=True)
        assert value is not None
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.get(key, str, " or ".join(allowed), default)
        if value not in allowed:
            raise self.error(key, value, " or ".join(allowed))
        return value

    def tables(self, key: str, *, need: bool = False) -> list[_Table]:
        found = self.get(key, list, "a list of tables", [], need=need) or []
        place = ".".join(part for part in (self.where, key) if part)
        return [_Table(item, self.file, f"{place}[{n}]") for n, item in enumerate(found)]

    def table(self, key: str) -> _Table:
        place = ".".join(part for part in (self.where, key) if part)
        return _Table(self.get(key, dict, "a table", {}), self.file, place)

    def finish(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self.content:
            if key not in self.asked:
                place = f" in {self.where}" if self.where else ""
                raise TemplateError(
                    f"{self.file}: unknown key {key!r}{place}{suggestion(key, self.asked)}"
                )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _template(table: _Table, path: Path) -> Template:
    version = table.need("format", int, f"the number {FORMAT}")
    if version != FORMAT:
        raise table.error("format", version, f"the number {FORMAT}")
    title = table.get("title", str, "a text", path.stem) or path.stem
    description = table.get("description", str, "a text", "") or ""
    entries = table.tables("networks", need=True)
    if not entries:
        raise table.error("networks", [], "at least one [[networks]] table")
    table.finish()
    return Template(path.stem, title, description, tuple(_network(e, path) for e in entries))


def _network(table: _Table, path: Path) -> TemplateNetwork:
    default_sheet = path.stem
    worksheet = table.get("worksheet", str, "a text", default_sheet) or default_sheet
    shape = table.need("input", list, "[channels, height, width]")
    if len(shape) not in (1, 3) or not all(type(n) is int and n > 0 for n in shape):
        raise table.error("input", shape, "[channels, height, width], whole numbers above 0")
    seed = table.get("seed", int, "a whole number", 0) or 0
    if seed < 0:
        raise table.error("seed", seed, "a whole number of at least 0")
    data = table.get("data", str, "the name of an .npz file")
    layers = []
    for entry in table.tables("layers", need=True):
        config = dict(entry.content)
        name = config.pop("name", "")
        if not isinstance(name, str):
            raise entry.error("name", name, "a text")
        try:
            layers.append((name, layer_from_config(config)))
        except SheetconvError as error:
            raise TemplateError(f"{table.file}: {entry.where}: {error}") from None
    drawing = _drawing(table.table("drawing"), worksheet)
    table.finish()
    try:
        check_sheet_name(worksheet)
        network = Sequential(*layers, seed=seed)
        network.shapes(tuple(shape))
    except SheetconvError as error:
        raise TemplateError(f"{table.file}: {table.where}: {error}") from None
    image = _numbers(network, tuple(shape), seed, path.parent / data if data else None, table)
    return TemplateNetwork(network, image, drawing)


def _numbers(
    network: Sequential, shape: Shape, seed: int, data: Path | None, table: _Table
) -> Array:
    """Load the parameters into the network; give the image."""
    arrays = load_arrays(data) if data else {}
    image = arrays.pop("input", None)
    if arrays:
        try:
            network.load_state_dict(arrays)
        except SheetconvError as error:
            raise TemplateError(f"{table.file}: {table.where}: {data}: {error}") from None
    if image is None:
        try:
            return np.random.default_rng(seed).random(shape)
        except TOO_LARGE:
            raise table.error("input", list(shape), "an image that fits into memory") from None
    if image.shape != shape:
        raise TemplateError(
            f"{table.file}: {table.where}: 'input' in {data} has shape {image.shape}: "
            f"expected {shape}"
        )
    return image


def load_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file, as float64.

    Raises:
        TemplateError: the file is missing, no .npz, too large, or holds anything but
            numbers; pickled objects are never loaded.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > _MAX_DATA_BYTES:
            raise TemplateError(f"{path} holds {size:,} bytes: the limit is {_MAX_DATA_BYTES:,}")
        with np.load(path, allow_pickle=False) as archive:
            return {name: _float_array(archive[name]) for name in archive.files}
    except FileNotFoundError:
        raise TemplateError(f"the data file {path} does not exist") from None
    except _DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TemplateError(f"{path} is not an .npz file of numbers: {reason}") from None


def _float_array(value: Any) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"an array holds {array.dtype}, expected numbers")
    return array.astype(np.float64)


def _drawing(table: _Table, worksheet: str) -> Drawing:
    values: dict[str, Any] = {"worksheet": worksheet}
    values["formulas"] = table.choice("formulas", ("sumproduct", "array"), "sumproduct")
    values["border"] = table.choice("border", ("drawn", "blank"), "drawn")
    values["fuse"] = table.get("fuse", bool, "true or false", True)
    aligned = table.get("aligned", list, "a list of layer names", []) or []
    if not all(isinstance(name, str) for name in aligned):
        raise table.error("aligned", aligned, "a list of layer names")
    values["aligned"] = frozenset(aligned)
    values["anchors"] = _mapping(table, "anchors", _anchors)
    values["number_formats"] = _mapping(table, "number_formats", _number_format)
    styles = table.table("styles")
    values["styles"] = {
        name: _style(_Table(item, table.file, f"{styles.where}.{name}"))
        for name, item in styles.content.items()
    }
    if "texts" in table.content:
        values["texts"] = tuple(_text(item) for item in table.tables("texts"))
    if "colour_scales" in table.content:
        scales = table.need("colour_scales", list, "a list of ranges")
        if not all(isinstance(item, str) and item.strip() for item in scales):
            raise table.error("colour_scales", scales, 'a list of ranges such as "A2:AB29"')
        values["colour_scales"] = tuple(scales)
    if "columns" in table.content:
        values["columns"] = tuple(_columns(item) for item in table.tables("columns"))
    for key in ("default_width", "row_height"):
        values[key] = table.get(key, float, "a number")
        if values[key] is not None and not 0 < values[key] < 256:
            raise table.error(key, values[key], "a number between 0 and 256")
    values["fills"] = tuple(
        Fill(item.need("ranges", str, "ranges"), _style(item, {"ranges"}))
        for item in table.tables("fills")
    )
    merges = table.get("merges", list, "a list of ranges", []) or []
    if not all(isinstance(item, str) for item in merges):
        raise table.error("merges", merges, "a list of ranges")
    values["merges"] = tuple(merges)
    default_freeze = Drawing.__dataclass_fields__["freeze"].default
    values["freeze"] = table.get("freeze", str, "a cell, or an empty text", default_freeze) or None
    values["zoom"] = table.get("zoom", int, "a whole number from 10 to 400", 100)
    if not 10 <= values["zoom"] <= 400:
        raise table.error("zoom", values["zoom"], "a whole number from 10 to 400")
    table.finish()
    return Drawing(**values)


def _mapping(table: _Table, key: str, read: Callable[[_Table, str], _T]) -> Mapping[str, _T]:
    inner = table.table(key)
    return {name: read(inner, name) for name in inner.content}


def _anchors(table: _Table, key: str) -> tuple[str, ...]:
    cells = table.need(key, list, "a list of cells")
    if not cells or not all(isinstance(cell, str) for cell in cells):
        raise table.error(key, cells, 'a list of cells such as ["AH3", "AH32"]')
    return tuple(cells)


def _number_format(table: _Table, key: str) -> str:
    return table.need(key, str, "an Excel number format")


def _style(table: _Table, besides: set[str] | None = None) -> Style:
    values: dict[str, Any] = {}
    for field in fields(Style):
        if field.name in ("bold", "italic"):
            values[field.name] = table.get(field.name, bool, "true or false", False)
        elif field.name in table.content:
            values[field.name] = table.need(field.name, str, "a text")
        else:
            table.asked.append(field.name)
    for key in ("colour", "fill"):
        if key in values and not _is_colour(values[key]):
            raise table.error(key, values[key], 'a colour such as "#F8696B"')
    if values.get("align", "left") not in ("left", "center", "right"):
        raise table.error("align", values["align"], "left, center or right")
    table.asked += sorted(besides or ())
    table.finish()
    return Style(**values)


def _is_colour(text: str) -> bool:
    return (
        len(text) == 7 and text[0] == "#" and all(c in "0123456789abcdefABCDEF" for c in text[1:])
    )


def _text(table: _Table) -> Text:
    cell, text = table.need("cell", str, "a cell"), table.need("text", str, "a text")
    return Text(cell, text, _style(table, {"cell", "text"}))


def _columns(table: _Table) -> Columns:
    columns = Columns(
        table.need("columns", str, "columns such as A:AB"),
        table.need("width", float, "a number of characters"),
        table.get("hidden", bool, "true or false", False) or False,
        table.get("outline", int, "a whole number from 0 to 7", 0) or 0,
        table.get("collapsed", bool, "true or false", False) or False,
    )
    if not 0 <= columns.outline <= 7:
        raise table.error("outline", columns.outline, "a whole number from 0 to 7")
    if not 0 <= columns.width <= 255:
        raise table.error("width", columns.width, "a number from 0 to 255")
    table.finish()
    return columns
