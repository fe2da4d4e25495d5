"""From the flow of one image to a finished layout: a block for every image of the batch.

The flow places the first image. What each image has for itself is repeated below it; what
all share, such as kernels, stands beside the first block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .cells import Grid, Range, column_name, parse_cell, parse_range
from .drawing import Columns
from .flow import FIRST_IMAGE, GAP, Flow, Page
from .formulas import Placed
from .frames import border_cells
from .layers.base import Border
from .layout import BorderCells, ColourScale, Layout, SheetLooks, SheetText
from .overlaps import grown
from .pages import page_texts
from .palette import WHITE_TO_RED

_PLANE_WIDTH, _VECTOR_WIDTH = 4.5, 5.6  # characters: for -12.3 and -12.34 in small digits
_BETWEEN = 3  # blank rows between the blocks of two images, the second's label among them


def finished(flow: Flow, reason: str) -> Layout:
    """The layout of a whole batch.

    Args:
        flow: where the first image's tensors stand, and what all images share.
        reason: why it has one worksheet, or one a layer.
    """
    heights = _heights(flow)
    placed = {full: _placed(flow, full, heights) for full in flow.grids}
    return Layout(
        flow.drawing,
        flow.input_shape,
        flow.batch,
        flow.stages,
        placed,
        flow.styles,
        tuple(_borders(flow, placed)),
        tuple(_scales(flow, heights)),
        tuple(_looks(flow, page, heights.get(page.name, 0)) for page in flow.pages),
        reason,
        frozenset(flow.unformatted),
    )


def _heights(flow: Flow) -> dict[str, int]:
    """Rows from one image's block to the next, by worksheet."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for full, grids in flow.grids.items():
        if not flow.tensors[full].batched:
            continue
        for grid in grids:
            area = grown(grid, flow.moats.get(full, Border()), past=True)
            first[grid.sheet] = min(first.get(grid.sheet, area.row), area.row)
            last[grid.sheet] = max(last.get(grid.sheet, 0), area.last_row)
    return {sheet: last[sheet] - first[sheet] + 1 + _BETWEEN for sheet in first}


def _placed(flow: Flow, full: str, heights: Mapping[str, int]) -> Placed:
    tensor, grids = flow.tensors[full], flow.grids[full]
    if not tensor.batched:
        return Placed(tensor.shape, tensor.role, tuple(grids))
    repeated = [
        _down(grid, number * heights[grid.sheet]) for number in range(flow.batch) for grid in grids
    ]
    return Placed((flow.batch, *tensor.shape), tensor.role, tuple(repeated))


def _down(grid: Grid, rows: int) -> Grid:
    return replace(grid, row=grid.row + rows) if rows else grid


def _borders(flow: Flow, placed: Mapping[str, Placed]) -> list[BorderCells]:
    return [
        cells
        for full, moat in flow.moats.items()
        if not moat.filled and (flow.drawing.border == "drawn" or moat.counts)
        for grid in placed[full].grids
        for cells in border_cells(grid, moat)
    ]


def _scales(flow: Flow, heights: Mapping[str, int]) -> list[ColourScale]:
    if flow.drawing.colour_scales is not None:
        return [_given_scale(flow, text, heights) for text in flow.drawing.colour_scales]
    scales = []
    for page in flow.pages:
        height = heights.get(page.name, 0)
        for scale, batched in page.scales:
            # One for all images: a faint image has to look faint beside the others.
            images = range(flow.batch if batched else 1)
            ranges = [
                replace(area, row=area.row + number * height)
                for number in images
                for area in scale.ranges
            ]
            scales.append(ColourScale(tuple(ranges), scale.colours))
    return scales


def _given_scale(flow: Flow, text: str, heights: Mapping[str, int]) -> ColourScale:
    """The drawing's own, over every image's block where planes of the first lie in it."""
    sheet = flow.drawing.worksheet
    areas = [parse_range(part, sheet) for part in text.split()]
    planes = [
        grid.bounds
        for full, grids in flow.grids.items()
        if flow.tensors[full].batched
        for grid in grids
    ]
    images = range(flow.batch)
    if not any(area.overlaps(plane) for area in areas for plane in planes):
        images = range(1)
    repeated = [
        replace(area, row=area.row + number * heights.get(sheet, 0))
        for number in images
        for area in areas
    ]
    return ColourScale(tuple(repeated), WHITE_TO_RED, from_zero=False)


def _looks(flow: Flow, page: Page, height: int) -> SheetLooks:
    drawing = flow.drawing
    if drawing.texts is not None:
        texts = [
            SheetText(parse_cell(text.cell, page.name), text.text, text.style)
            for text in drawing.texts
        ]
    else:
        texts = _without_pinned(flow, _repeated(flow, page, height))
    if flow.per_layer:
        names = [item.name for item in flow.pages]
        texts += page_texts(names, names.index(page.name), _column_after_input(flow))
    columns, width = drawing.columns or (), drawing.default_width
    if drawing.default_width is None and drawing.columns is None:
        columns = tuple(
            Columns(f"{column_name(first)}:{column_name(last)}", _VECTOR_WIDTH)
            for first, last in _merged(page.wide)
        )
        width = _PLANE_WIDTH
    return SheetLooks(page.name, tuple(texts), columns, width)


def _repeated(flow: Flow, page: Page, height: int) -> list[SheetText]:
    """The texts of every image's block; each has its number."""
    texts = []
    for text, batched in page.texts:
        for number in range(flow.batch if batched else 1):
            cell = replace(text.cell, row=text.cell.row + number * height)
            shown = f"image {number + 1}" if text.text == FIRST_IMAGE else text.text
            texts.append(replace(text, cell=cell, text=shown))
    return texts


def _without_pinned(flow: Flow, texts: list[SheetText]) -> list[SheetText]:
    """The titles and labels, without those whose place a pinned tensor took or left no room for."""
    if not flow.drawing.anchors:
        return texts
    taken = [
        grown(grid, flow.moats.get(name, Border()), past=True)
        for name, grids in flow.grids.items()
        for grid in grids
    ]

    def is_free(text: SheetText) -> bool:
        place = Range(text.cell.sheet, text.cell.row, text.cell.column)
        exists = place.row >= 0 and place.column >= 0
        return exists and not any(place.overlaps(area) for area in taken)

    return [text for text in texts if is_free(text)]


def _column_after_input(flow: Flow) -> int:
    """The first free column of the input's worksheet, where the input stands alone."""
    moat = flow.moats["input"]
    last = max(grown(grid, moat, past=True).last_column for grid in flow.grids["input"])
    return last + 1 + GAP


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of columns, sorted, those that touch or overlap made one."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(set(spans)):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
