"""From a network and a drawing to a layout: one worksheet, or one for each layer."""

from __future__ import annotations

from math import prod

from .blocks import finished
from .cells import MAX_COLUMNS, MAX_ROWS, MOST_CELLS, check_sheet_name
from .drawing import Drawing
from .errors import LayoutError
from .flow import Flow
from .formulas import Shape
from .layout import Layout, count_cells, drawn_tensors, stages_of
from .network import Sequential
from .overlaps import check_overlaps

#: Above this many cells each layer gets a worksheet of its own: programs scroll and
#: recalculate a large worksheet slowly, and nobody finds a plane in it.
MOST_ON_ONE_SHEET = 300_000

#: More planes of one tensor than this take minutes and gigabytes to lay out, and nobody scrolls
#: past them.
MOST_PLANES = 2**16

# Blank rows, or more, between a plane and the one below it.
_BETWEEN_PLANES = 2


def lay_out(
    network: Sequential,
    input_shape: Shape,
    drawing: Drawing | None = None,
    *,
    batch: int = 1,
    signed_input: bool = False,
) -> Layout:
    """Give every tensor of a network its cells.

    Args:
        network: the layers.
        input_shape: (channels, height, width) of one image.
        drawing: what to pin and how to draw. Default: `Drawing()`.
        batch: how many images, one block of planes below the other. Default 1.
        signed_input: whether the image has negative numbers, which are then blue. Default
            False.

    Raises:
        ShapeError: the layers do not fit each other or the input.
        LayoutError: the network does not fit a workbook, or things overlap.

    Example:
        >>> from sheetconv import Conv2d, Sequential
        >>> layout = lay_out(Sequential(Conv2d(1, 1, 3)), (1, 5, 5))
        >>> layout.placed["conv1.out"].grids[0].bounds.a1
        'N4:P6'
    """
    drawing = drawing or Drawing()
    check_sheet_name(drawing.worksheet)
    _check_rows(network, input_shape, drawing, batch)
    cells = sum(count_cells(network, input_shape, drawing, batch))
    if cells > MOST_CELLS:
        raise LayoutError(
            f"the network needs {cells:,} cells, and a workbook of more than {MOST_CELLS:,} "
            "opens nowhere: use smaller images, fewer channels or fewer outputs"
        )

    def laid(per_layer: bool, reason: str) -> tuple[Flow, Layout]:
        flow = Flow(network, input_shape, drawing, batch, signed_input, per_layer)
        return flow, finished(flow, reason)

    if drawing.layout == "per-layer":
        if drawing.is_pinned:
            raise LayoutError(
                "the drawing pins cells of one worksheet, and layout is per-layer: leave out the "
                "anchors, texts, fills, merges, columns and colour scales, or draw one-sheet"
            )
        flow, layout = laid(True, "as asked")
    elif drawing.layout == "one-sheet" or drawing.is_pinned:
        flow, layout = laid(False, "as asked")
    elif cells > MOST_ON_ONE_SHEET:
        flow, layout = laid(True, f"{cells:,} cells are too many for one to scroll well")
    else:
        flow, layout = laid(False, "so that Trace Precedents draws all its arrows")
        if size := _beyond(layout):
            flow, layout = laid(True, f"one would need {size[1]:,} columns and {size[0]:,} rows")
    _check_limits(layout)
    check_overlaps(layout, flow.moats, flow.framing)
    return layout


def _check_rows(network: Sequential, input_shape: Shape, drawing: Drawing, batch: int) -> None:
    """Refuse planes that are too many or too tall together, before they are laid out."""
    stages = stages_of(network, input_shape, drawing.fuse)
    if len(input_shape) == 3:
        _check_planes("the input", input_shape[0], batch)
    for stage, tensor in drawn_tensors(network, stages):
        images = batch if tensor.batched else 1
        planes = prod(tensor.shape[:-2]) * images
        if tensor.arrangement == "planes":
            _check_planes(f"layer {stage.name}: {tensor.name}", tensor.shape[0], images)
        if f"{stage.name}.{tensor.name}" in drawing.anchors:
            continue
        rows = planes * (prod(tensor.shape[-2:-1]) + _BETWEEN_PLANES) - _BETWEEN_PLANES
        if tensor.arrangement == "planes" and rows > MAX_ROWS:
            raise LayoutError(
                f"layer {stage.name}: the planes of {tensor.name}, of shape {tensor.shape}, "
                f"for {batch:,} images need {rows:,} rows, and a worksheet has {MAX_ROWS:,}: "
                "use smaller images, fewer channels or fewer images"
            )


def _check_planes(what: str, channels: int, images: int) -> None:
    if (planes := channels * images) > MOST_PLANES:
        several = "" if images == 1 else f" ({channels:,} for each of {images:,} images)"
        raise LayoutError(
            f"{what} has {planes:,} planes{several}: expected at most {MOST_PLANES:,}; use fewer "
            "channels or fewer images"
        )


def _beyond(layout: Layout) -> tuple[int, int] | None:
    """Rows and columns of the largest worksheet, if it is larger than Excel's."""
    bounds = [grid.bounds for placed in layout.placed.values() for grid in placed.grids]
    rows = max(area.last_row for area in bounds) + 1
    columns = max(area.last_column for area in bounds) + 1
    return (rows, columns) if rows > MAX_ROWS or columns > MAX_COLUMNS else None


def _check_limits(layout: Layout) -> None:
    if size := _beyond(layout):
        units = sum(placed.size for placed in layout.placed.values())
        hint = "" if layout.drawing.layout == "per-layer" else "draw it with layout per-layer, or "
        raise LayoutError(
            f"the network needs {size[0]:,} rows and {size[1]:,} columns for its {units:,} cells, "
            f"and a worksheet has {MAX_ROWS:,} and {MAX_COLUMNS:,}: {hint}use smaller images, "
            "fewer channels or fewer outputs"
        )
