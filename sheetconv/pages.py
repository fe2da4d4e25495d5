"""Worksheets of a network that has one for each layer: their names, and the links between."""

from __future__ import annotations

from .cells import MAX_SHEET_NAME, Cell
from .drawing import Style
from .errors import LayoutError
from .layout import SheetText

_LINK = Style(colour="#0563C1")
_HEADING = Style(bold=True)


def page_name(worksheet: str, layer: str) -> str:
    """The name of a layer's worksheet: the network's, and the layer's.

    Raises:
        LayoutError: the layer's name leaves no room.

    Example:
        >>> page_name("lenet5", "conv1")
        'lenet5_conv1'
    """
    room = MAX_SHEET_NAME - len(layer) - 1
    if room < 1:
        raise LayoutError(
            f"layer name {layer!r} is too long for a worksheet of its own, whose name has at most "
            f"{MAX_SHEET_NAME} characters: choose a shorter one"
        )
    return f"{worksheet[:room]}_{layer}"


def page_texts(names: list[str], number: int, column: int) -> list[SheetText]:
    """The links of one worksheet: to its neighbours, and from the first one to all.

    Args:
        names: of all worksheets, in order.
        number: which of them.
        column: where the first worksheet has room for the list.
    """
    name, texts = names[number], []
    if number:
        texts.append(SheetText(Cell(name, 0, 0), "\u25c4", _LINK, Cell(names[number - 1], 0, 0)))
    if number + 1 < len(names):
        texts.append(SheetText(Cell(name, 1, 0), "\u25ba", _LINK, Cell(names[number + 1], 0, 0)))
    if not number:
        texts.append(SheetText(Cell(name, 0, column), "Worksheets", _HEADING))
        texts += [
            SheetText(Cell(name, 2 + row, column), other, _LINK, Cell(other, 0, 0))
            for row, other in enumerate(names[1:])
        ]
    return texts
