"""How a network is to be drawn: pure data, from a template or from Python.

Every field has a default that fits any network. A template that must look like an
existing workbook pins planes to cells and gives texts, widths and colours itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FormulaStyle = Literal["sumproduct", "array"]
LayoutStyle = Literal["auto", "one-sheet", "per-layer"]

#: The colours of fast.ai's workbook: from nearly white for the least to red for the most.
WHITE_TO_RED = ("#FCFCFF", "#F8696B")
#: Below zero blue, zero white, above zero red.
BLUE_WHITE_RED = ("#5A8AC6", "#FCFCFF", "#F8696B")
#: The planes of an RGB image: each from white for none of its colour.
TINTS = {
    "red": ("#FFFFFF", "#E53935"),
    "green": ("#FFFFFF", "#2E9E48"),
    "blue": ("#FFFFFF", "#2F6FDE"),
}
GREY = "#D9D9D9"


@dataclass(frozen=True, slots=True)
class Style:
    """The looks of a cell.

    Attributes:
        number_format: Excel's number format. Default `General`.
        bold, italic: of the font. Default False.
        colour: of the font, `#RRGGBB`. Default: the program's own.
        fill: of the background, `#RRGGBB`. Default: none.
        align: `left`, `center` or `right`. Default: the program's own.
    """

    number_format: str = "General"
    bold: bool = False
    italic: bool = False
    colour: str | None = None
    fill: str | None = None
    align: str | None = None


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


@dataclass(frozen=True, slots=True)
class Fill:
    """Looks of cells that hold no number: a background.

    Attributes:
        ranges: the cells, as A1 texts separated by blanks.
        style: their looks.
    """

    ranges: str
    style: Style


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
            tensors that must stand at given cells. Default: the layout chooses.
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
    """

    worksheet: str = "network"
    layout: LayoutStyle = "auto"
    formulas: FormulaStyle = "sumproduct"
    fuse: bool = True
    border: Literal["drawn", "blank"] = "drawn"
    aligned: frozenset[str] = frozenset()
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

    @property
    def is_pinned(self) -> bool:
        """Whether the drawing names cells of a worksheet, which it then has to itself."""
        return bool(self.anchors or self.fills or self.merges) or any(
            item is not None for item in (self.texts, self.colour_scales, self.columns)
        )
