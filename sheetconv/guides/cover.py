"""The cover: what a workbook is, what to try first, and what its colours mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..cells import Cell
from ..drawing import Style
from ..layout import Layout
from ..network import Sequential
from ..palette import (
    ACTIVATIONS,
    CHOICE,
    CHOICE_FRAME,
    FRAME,
    GREY,
    GREY_DIGITS,
    LINK,
    LIT,
    PIXELS,
    RIGHT,
    RIGHT_DIGITS,
    SIGNED,
    WRONG,
    WRONG_DIGITS,
)
from .base import HEADING, NOTE, TABLE_HEAD, Guide, GuideCell, GuidePage
from .receptive_field import ReceptiveFieldGuide

_BIG = Style(bold=True, size=20)
_STEP = Style(bold=True, align="center", fill=CHOICE, frame=CHOICE_FRAME)
_WORDS = 3  # a narrow column before them
#: Layers of a longer network are not all listed.
_MOST_LAYERS = 60


@dataclass(frozen=True, slots=True)
class Covered:
    """A network that the cover speaks of.

    Attributes:
        network: its layers.
        layout: where they stand.
        guides: what explains them.
    """

    network: Sequential
    layout: Layout
    guides: Sequence[Guide]


def cover_page(name: str) -> GuidePage:
    """The worksheet of the cover."""
    columns = ((0, 0, 3.0), (1, 1, 18.0), (2, 2, 1.5), (_WORDS, _WORDS, 24.0), (4, 7, 14.0))
    return GuidePage(name, columns, heights=((1, 30.0),))


def cover_cells(
    name: str,
    title: str,
    description: str,
    covered: Sequence[Covered],
    reports: Sequence[tuple[str, str]] = (),
) -> Iterator[GuideCell]:
    """Everything that the cover says.

    Args:
        name: of its worksheet.
        title, description: of the workbook, for people.
        covered: its networks.
        reports: the names of other worksheets, and a sentence about each. Default: none.
    """

    def text(row: int, column: int, words: str, style: Style = NOTE) -> GuideCell:
        return GuideCell(Cell(name, row, column), words, style=style)

    yield text(1, 1, title, _BIG)
    if description:
        yield text(2, 1, description)
    yield text(4, 1, "Try this first", HEADING)
    row = 5
    for number, (words, link) in enumerate(_steps(covered), 1):
        yield text(row, 1, str(number), _STEP)
        yield GuideCell(
            Cell(name, row, _WORDS),
            words,
            link=link,
            style=_linked(link),
        )
        row += 1
    row += 1
    if reports:
        yield text(row, 1, "Reports", HEADING)
        row += 1
        for report, about in reports:
            link = Cell(report, 0, 0)
            yield GuideCell(Cell(name, row, 1), report, link=link, style=_linked(link))
            yield text(row, _WORDS, about, Style())
            row += 1
        row += 1
    yield text(row, 1, "What the colours mean", HEADING)
    for sample, style, words in _legend():
        row += 1
        yield text(row, 1, sample, style)
        yield text(row, _WORDS, words, Style())
    for item in covered:
        row += 2
        yield text(row, 1, f"The network on {item.layout.drawing.worksheet}", HEADING)
        row += 1
        for offset, head in enumerate(("layer", "type", "output shape")):
            yield text(row, (1, _WORDS, _WORDS + 1)[offset], head, TABLE_HEAD)
        for cell in _layers(name, row + 1, item):
            row = cell.cell.row
            yield cell
    row += 2
    proof = "To prove that every formula is right: sheetconv check, and the name of this file."
    yield text(row, 1, proof)


def _steps(covered: Sequence[Covered]) -> Iterator[tuple[str, Cell | None]]:
    """What to try, and where."""
    first = covered[0]
    home = first.layout.drawing.worksheet
    unit = first.layout.placed[first.layout.stages[0].out].grids[0]
    middle = unit.cell(unit.height // 2, unit.width // 2)
    yield (
        f"Click {middle.a1} on {middle.sheet} and press Trace Precedents (Excel: Formulas; "
        "LibreOffice: Tools, Detective): the window and the kernel that make the number.",
        middle,
    )
    yield (
        "Type another number into a framed cell, a weight, and see what changes.",
        Cell(home, 0, 0),
    )
    for item in covered:
        for guide in item.guides:
            if not guide.invitation:
                continue
            words = guide.invitation
            if isinstance(guide, ReceptiveFieldGuide):
                words = words.format(unit=guide.favourite)
            words = words.replace("*", "")
            where = (
                guide.sheet
                if len(covered) == 1
                else f"{item.layout.drawing.worksheet}, {guide.sheet}"
            )
            yield f"{where}: {words}", Cell(guide.sheet, 0, 0)


def _linked(link: Cell | None) -> Style:
    return Style(colour=LINK) if link else Style()


def _legend() -> Iterator[tuple[str, Style, str]]:
    """A sample of each kind of cell: its text, its looks, and what it is."""
    plain = Style(align="center")
    strong = Style(align="center", bold=True)
    yield "1.0", replace(plain, fill=PIXELS[1]), "a pixel; white is zero"
    yield "1.0", replace(plain, fill=ACTIVATIONS[1]), "an activation above zero; white is zero"
    yield "-1.0", replace(plain, fill=SIGNED[0]), "a number below zero"
    weight = replace(plain, fill=SIGNED[2], frame=FRAME)
    yield "0.50", weight, "framed: a weight, which you may change"
    yield "0", replace(plain, fill=GREY, colour=GREY_DIGITS), "padding around a plane"
    choice = replace(strong, fill=CHOICE, frame=CHOICE_FRAME)
    yield "choose", choice, "yours: choose from the list, or type"
    yield "1.0", replace(strong, frame=LIT), "what the chosen unit sees"
    yield "right", replace(strong, fill=RIGHT, colour=RIGHT_DIGITS), "the answer is the label"
    yield "wrong", replace(strong, fill=WRONG, colour=WRONG_DIGITS), "it is another"


def _layers(name: str, row: int, item: Covered) -> Iterator[GuideCell]:
    layout = item.layout
    shapes = {"input": layout.input_shape, **item.network.shapes(layout.input_shape)}
    drawn = {own: stage.out for stage in layout.stages for own in (stage.name, *stage.fused)}
    listed = list(shapes.items())[:_MOST_LAYERS]
    for number, (layer, shape) in enumerate(listed):
        tensor = "input" if layer == "input" else drawn.get(layer)
        link = layout.placed[tensor].grids[0].cell(0, 0) if tensor else None
        kind = "" if layer == "input" else type(item.network.layers[layer]).__name__
        place = Cell(name, row + number, 1)
        yield GuideCell(place, layer, link=link, style=_linked(link))
        yield GuideCell(Cell(name, row + number, _WORDS), kind)
        lengths = " x ".join(map(str, (layout.batch, *shape)))
        yield GuideCell(Cell(name, row + number, _WORDS + 1), lengths)
