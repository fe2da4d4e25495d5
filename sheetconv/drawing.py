"""How a network is to be drawn: pure data, from a template or from Python.

Every field has a default that fits any network. A template that must look like an
existing workbook pins planes to cells and gives texts, widths and colours itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .errors import LayoutError
from .layers.validation import shown
from .palette import DIGITS
from .spelling import these

FormulaStyle = Literal["sumproduct", "array"]
LayoutStyle = Literal["auto", "one-sheet", "per-layer"]
BorderStyle = Literal["drawn", "blank"]

#: Field of a drawing -> the words that it takes, the default first.
WORDS: dict[str, tuple[str, ...]] = {
    "layout": get_args(LayoutStyle),
    "formulas": get_args(FormulaStyle),
    "border": get_args(BorderStyle),
}

_COLOUR = re.compile("#[0-9A-Fa-f]{6}")
_ALIGNMENTS = ("left", "center", "right")


def _check(owner: Any, name: str, fits: bool, expected: str) -> None:
    if not fits:
        value = shown(getattr(owner, name))
        raise LayoutError(f"{type(owner).__name__}: {name} is {value}: expected {expected}")


def _all_are(items: Iterable[Any], kind: Any) -> bool:
    return all(isinstance(item, kind) for item in items)


def _is_between(value: Any, least: float, most: float, *, whole: bool = False) -> bool:
    kind = int if whole else int | float
    return isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most


@dataclass(frozen=True, slots=True)
class Style:
    """The looks of a cell.

    Attributes:
        number_format: Excel's number format. Default `General`.
        bold, italic: of the font. Default False.
        colour: of the font, `#RRGGBB`. Default: the program's own.
        fill: of the background, `#RRGGBB`. Default: none.
        align: `left`, `center` or `right`. Default: the program's own.
        frame: colour of a thin line around the cell, `#RRGGBB`. Default: none.
        size: of the font, in points. Default: the program's own, 11.
    """

    number_format: str = "General"
    bold: bool = False
    italic: bool = False
    colour: str | None = None
    fill: str | None = None
    align: str | None = None
    frame: str | None = None
    size: float | None = None

    def __post_init__(self) -> None:
        _check(self, "number_format", isinstance(self.number_format, str), "a text")
        for name in ("bold", "italic"):
            _check(self, name, isinstance(getattr(self, name), bool), "true or false")
        sized = self.size is None or _is_between(self.size, 1, 409)
        _check(self, "size", sized, "a number of points from 1 to 409")
        for name in ("colour", "fill", "frame"):
            value = getattr(self, name)
            fits = value is None or (isinstance(value, str) and bool(_COLOUR.fullmatch(value)))
            _check(self, name, fits, 'a colour such as "#F8696B"')
        aligned = self.align is None or (isinstance(self.align, str) and self.align in _ALIGNMENTS)
        _check(self, "align", aligned, these(_ALIGNMENTS))


@dataclass(frozen=True, slots=True)
class Text:
    """A text on the worksheet.

    Attributes:
        cell: where, as A1 text.
        text: what it says; never read as a formula.
        style: its looks.
    """

    cell: str
    text: str
    style: Style = Style()

    def __post_init__(self) -> None:
        _check(self, "cell", isinstance(self.cell, str), "a cell such as A1")
        _check(self, "style", isinstance(self.style, Style), "a Style")


@dataclass(frozen=True, slots=True)
class Columns:
    """The width of some columns.

    Attributes:
        columns: letters of the first and last column, as in `A:AB`.
        width: in characters, as the file holds it.
        hidden: whether they are hidden.
        outline: the outline level, 0 for none.
        collapsed: whether the group beside it is folded away.
    """

    columns: str
    width: float
    hidden: bool = False
    outline: int = 0
    collapsed: bool = False

    def __post_init__(self) -> None:
        _check(self, "columns", isinstance(self.columns, str), "columns such as A:AB")
        _check(self, "width", _is_between(self.width, 0, 255), "a number from 0 to 255")
        outline = "a whole number from 0 to 7"
        _check(self, "outline", _is_between(self.outline, 0, 7, whole=True), outline)
        for name in ("hidden", "collapsed"):
            _check(self, name, isinstance(getattr(self, name), bool), "true or false")


@dataclass(frozen=True, slots=True)
class Fill:
    """Looks of cells that hold no number: a background.

    Attributes:
        ranges: the cells, as A1 texts separated by blanks.
        style: their looks.
    """

    ranges: str
    style: Style

    def __post_init__(self) -> None:
        _check(self, "ranges", isinstance(self.ranges, str), "ranges such as A2:AB29")
        _check(self, "style", isinstance(self.style, Style), "a Style")


_ANCHORS = 'cells by tensor name, as in {"input": ("C5",)}'
_BY_TENSOR: tuple[tuple[str, Any, str], ...] = (
    ("anchors", tuple | list, _ANCHORS),
    ("number_formats", str, "number formats by tensor name"),
    ("styles", Style, "a Style by tensor name"),
)
_LISTS: tuple[tuple[str, Any, str], ...] = (
    ("texts", Text, "a tuple of Text, or None"),
    ("colour_scales", str, "a tuple of ranges, or None"),
    ("columns", Columns, "a tuple of Columns, or None"),
    ("fills", Fill, "a tuple of Fill"),
    ("merges", str, "a tuple of ranges"),
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """How one network is drawn.

    Attributes:
        worksheet: the worksheet's name. Default `network`.
        layout: `one-sheet`: everything on one worksheet; `per-layer`: one for the input and
            one for each layer, linked with each other; `auto`: one as long as the network
            fits, and always where something is pinned to cells. Default `auto`.
        formulas: `sumproduct`: `SUMPRODUCT(a,b)`, and shared formulas wherever a plane is
            a fill; `array`: one-cell array formulas `SUM(a*b)`, each written out, as in
            fast.ai's workbook. Default `sumproduct`.
        fuse: write elementwise layers into the formula of the layer before. Default True.
        border: `drawn`: grey cells, zeros where the padding is zeros; `blank`: nothing is
            drawn, and SUM reads the blank as zero. Default `drawn`.
        aligned: names of pools and convolutions whose units stand at the top left of their
            windows, so that rows and columns are skipped. Default none.
        anchors: tensor name -> the first cell of each of its planes, as A1 text, for
            tensors that must stand at given cells; of several images, the first one's.
            Default: the layout chooses.
        classes: names of the outputs, written beside them. Default none.
        number_formats: tensor name -> Excel number format.
        styles: tensor name -> looks, where more than the number format is given.
        texts: all texts. Default: titles, shapes and labels.
        colour_scales: ranges, separated by blanks, one white-to-red scale each.
            Default: one for each plane and each tensor of weights.
        columns: all column widths. Default: chosen.
        default_width: width of the columns not named, in characters. Default: chosen.
        row_height: height of all rows, in points. Default: the program's own.
        fills: backgrounds of cells without numbers.
        merges: ranges that are merged into one cell.
        freeze: the first cell that scrolls, as A1 text; None for no frozen panes.
            Default: below the titles.
        zoom: in percent. Default 100.

    Raises:
        LayoutError: a field is of another type, or out of its range.

    Example:
        >>> Drawing(zoom=1000)
        Traceback (most recent call last):
        sheetconv.errors.LayoutError: Drawing: zoom is 1000: expected a whole number from 10 to 400
    """

    worksheet: str = "network"
    layout: LayoutStyle = "auto"
    formulas: FormulaStyle = "sumproduct"
    fuse: bool = True
    border: BorderStyle = "drawn"
    aligned: frozenset[str] = frozenset()
    classes: tuple[str, ...] = ()
    anchors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    number_formats: Mapping[str, str] = field(default_factory=dict)
    styles: Mapping[str, Style] = field(default_factory=dict)
    texts: tuple[Text, ...] | None = None
    colour_scales: tuple[str, ...] | None = None
    columns: tuple[Columns, ...] | None = None
    default_width: float | None = None
    row_height: float | None = None
    fills: tuple[Fill, ...] = ()
    merges: tuple[str, ...] = ()
    freeze: str | None = "A3"
    zoom: int = 100

    def __post_init__(self) -> None:
        _check(self, "worksheet", isinstance(self.worksheet, str), "a text")
        for name, words in WORDS.items():
            word = getattr(self, name)
            _check(self, name, isinstance(word, str) and word in words, these(words))
        _check(self, "fuse", isinstance(self.fuse, bool), "true or false")
        named = isinstance(self.aligned, Set) and _all_are(self.aligned, str)
        _check(self, "aligned", named, "a set of layer names")
        classes = isinstance(self.classes, tuple | list) and _all_are(self.classes, str)
        _check(self, "classes", classes, "a tuple of names")
        for name, kind, expected in _BY_TENSOR:
            items = getattr(self, name)
            fits = isinstance(items, Mapping) and _all_are(items, str)
            _check(self, name, fits and _all_are(items.values(), kind), expected)
        anchored = all(cells and _all_are(cells, str) for cells in self.anchors.values())
        _check(self, "anchors", anchored, _ANCHORS)
        for name, kind, expected in _LISTS:
            items = getattr(self, name)
            optional = items is None and name not in ("fills", "merges")
            fits = isinstance(items, tuple | list) and _all_are(items, kind)
            _check(self, name, optional or fits, expected)
        filled = all(scale.strip() for scale in self.colour_scales or ())
        _check(self, "colour_scales", filled, "ranges such as A2:AB29")
        for name in ("default_width", "row_height"):
            size = getattr(self, name)
            fits = size is None or (_is_between(size, 0, 256) and 0 < size < 256)
            _check(self, name, fits, "a number between 0 and 256")
        _check(self, "freeze", self.freeze is None or isinstance(self.freeze, str), "a cell")
        zoom = "a whole number from 10 to 400"
        _check(self, "zoom", _is_between(self.zoom, 10, 400, whole=True), zoom)

    @property
    def is_pinned(self) -> bool:
        """Whether the drawing names cells of a worksheet, which it then has to itself."""
        return bool(self.anchors or self.fills or self.merges) or any(
            item is not None for item in (self.texts, self.colour_scales, self.columns)
        )

    @property
    def digits(self) -> int | None:
        """Points of the digits on planes; None for the program's own.

        A drawing that pins cells has column widths and letters of its own, too.
        """
        return None if self.is_pinned else DIGITS
