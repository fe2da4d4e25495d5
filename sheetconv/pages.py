"""Worksheets of a network that has one for each layer: their names, and the links between."""

from __future__ import annotations

from collections.abc import Iterable

from .cells import MAX_SHEET_NAME, Cell, text_length
from .drawing import Style
from .errors import LayoutError
from .layout import SheetText
from .palette import LINK

_LINK = Style(colour=LINK)
_HEADING = Style(bold=True)


def page_names(worksheet: str, layers: Iterable[str]) -> list[str]:
    """The names of the worksheets: the network's, and for each layer that with the layer's.

    The network's is cut where both together have more than 31 characters.

    Args:
        worksheet: the network's, which is the input's.
        layers: names of the layers that are drawn, in order.

    Raises:
        LayoutError: a layer's name leaves no room, or Excel takes two names for one.

    Example:
        >>> page_names("lenet5", ["conv1", "dense1"])
        ['lenet5', 'lenet5_conv1', 'lenet5_dense1']
    """
    names = {worksheet.lower(): (worksheet, "the input")}
    for layer in layers:
        name, whose = _page_name(worksheet, layer), f"layer {layer}"
        # Excel does not tell small letters from capitals.
        _, other = names.setdefault(name.lower(), (name, whose))
        if other != whose:
            raise LayoutError(
                f"{other} and {whose} would both have the worksheet {name!r}: give the layers, or "
                "the network's worksheet, other names"
            )
    return [name for name, _ in names.values()]


def _page_name(worksheet: str, layer: str) -> str:
    room = MAX_SHEET_NAME - text_length(layer) - 1
    if room < 1:
        raise LayoutError(
            f"layer name {layer!r} is too long for a worksheet of its own, whose name has at most "
            f"{MAX_SHEET_NAME} characters: choose a shorter one"
        )
    cut = worksheet[:room]
    while text_length(cut) > room:
        cut = cut[:-1]
    return f"{cut}_{layer}"


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
