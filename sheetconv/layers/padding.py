"""Padding that mirrors, repeats or continues a plane: its numbers, its gradient, its cells.

PyTorch's `padding_mode`. Padding by zeros needs none of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError
from ..formulas import CellFormulas, Moving, View
from .base import Array

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
MODES: tuple[str, ...] = get_args(PaddingMode)

Sides = tuple[int, int, int, int]


def source_index(position: int, length: int, mode: str) -> int | None:
    """Which unit of a row a position stands for that may lie outside; None for a zero.

    Args:
        position: from 0; negative before the row, `length` or more behind it.
        length: of the row.
        mode: one of `MODES`.

    Example:
        >>> [source_index(-1, 4, mode) for mode in MODES]
        [None, 1, 0, 3]
    """
    if 0 <= position < length:
        return position
    if mode == "zeros":
        return None
    if mode == "replicate":
        return 0 if position < 0 else length - 1
    if mode == "circular":
        return position % length
    return -position if position < 0 else 2 * (length - 1) - position


def check_fits(layer: str, mode: str, sides: Sides, height: int, width: int) -> None:
    """Refuse padding that is wider than the plane that it mirrors or continues.

    Raises:
        ShapeError: reflected padding reaches the far edge, or circular padding passes it.
    """
    left, right, top, bottom = sides
    for name, length, reach in (
        ("height", height, max(top, bottom)),
        ("width", width, max(left, right)),
    ):
        most = {"reflect": length - 1, "circular": length}.get(mode, reach)
        if reach > most:
            raise ShapeError(
                f"{layer}: padding_mode {mode} with {reach} units of padding on an input of "
                f"{name} {length}: expected at most {most}"
            )


def padded(x: Array, sides: Sides, mode: str) -> Array:
    """A batch with its padding: (N, C, top + H + bottom, left + W + right)."""
    left, right, top, bottom = sides
    if mode == "zeros":
        return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    rows, columns = _sources(x.shape[2], top, bottom, mode), _sources(x.shape[3], left, right, mode)
    return x[:, :, rows][:, :, :, columns]


def _sources(length: int, before: int, after: int, mode: str) -> NDArray[np.intp]:
    positions = range(-before, length + after)
    return np.array([source_index(position, length, mode) for position in positions], np.intp)


def unpadded_gradient(grad: Array, sides: Sides, mode: str) -> Array:
    """The gradient of the batch, from that of its padded form: every copy's is added up."""
    left, right, top, bottom = sides
    height, width = grad.shape[2] - top - bottom, grad.shape[3] - left - right
    out = grad[:, :, top : top + height].copy()
    if mode != "zeros":
        for row in (*range(top), *range(top + height, grad.shape[2])):
            source = source_index(row - top, height, mode)
            out[:, :, source] += grad[:, :, row]
    inner = out[:, :, :, left : left + width].copy()
    if mode != "zeros":
        for column in (*range(left), *range(left + width, grad.shape[3])):
            source = source_index(column - left, width, mode)
            inner[:, :, :, source] += out[:, :, :, column]
    return inner


def frame_size(sides: Sides, height: int, width: int) -> int:
    """How many units the padding of one plane has."""
    left, right, top, bottom = sides
    return (top + height + bottom) * (left + width + right) - height * width


def frame(whole: Array, sides: Sides) -> Array:
    """The padding of each plane of a padded batch: (N, C, units), corners and sides row by row."""
    parts = [whole[:, :, i, j].reshape(*whole.shape[:2], -1) for i, j in _parts(whole, sides)]
    return np.concatenate(parts, axis=2)


def with_frame(x: Array, border: Array, sides: Sides) -> Array:
    """A batch with a given padding, as `frame` gives it."""
    left, right, top, bottom = sides
    n, c, height, width = x.shape
    whole = np.zeros((n, c, top + height + bottom, left + width + right), x.dtype)
    whole[:, :, top : top + height, left : left + width] = x
    units = np.broadcast_to(border, (n, c, border.shape[-1]))
    start = 0
    for i, j in _parts(whole, sides):
        part = whole[:, :, i, j]
        size = part.shape[2] * part.shape[3]
        part[...] = units[:, :, start : start + size].reshape(part.shape)
        start += size
    return whole


def _parts(whole: Array, sides: Sides) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the parts of the padding that are not empty."""
    left, right, top, bottom = sides
    height, width = whole.shape[2:]
    rows = (slice(0, top), slice(top, height - bottom), slice(height - bottom, height))
    columns = (slice(0, left), slice(left, width - right), slice(width - right, width))
    for a, i in enumerate(rows):
        for b, j in enumerate(columns):
            if (a, b) != (1, 1) and i.start < i.stop and j.start < j.stop:
                yield i, j


def frame_formulas(view: View, tensor: str, mode: str) -> list[CellFormulas]:
    """Every cell of the padding refers to the cell that it mirrors, repeats or continues.

    Args:
        view: what the layer sees; its input's planes stand in the middle of the padding.
        tensor: the name of the tensor on the padding.
        mode: not `zeros`.
    """
    parts = list(view.planes(tensor))
    each = len(parts) // len(view.input.grids)
    formulas = []
    for number, start, grid in parts:
        plane = view.input.grids[number // each]
        i = (grid.row - plane.row) // plane.row_step
        j = (grid.column - plane.column) // plane.column_step
        row, row_step = _walk(i, grid.height, plane.height, mode)
        column, column_step = _walk(j, grid.width, plane.width, mode)
        # The padding stands on the worksheet of the plane, so that no name is needed.
        reference = Moving(
            "",
            plane.row + row * plane.row_step,
            plane.column + column * plane.column_step,
            1,
            1,
            row_step * plane.row_step,
            column_step * plane.column_step,
        )
        formulas.append(CellFormulas(tensor, start, grid, (reference,)))
    return formulas


def _walk(position: int, count: int, length: int, mode: str) -> tuple[int, int]:
    """The source of the first of some adjacent positions, and the step to the next one's."""
    first = source_index(position, length, mode)
    assert first is not None
    if count == 1:
        return first, 1 if 0 <= position < length else 0
    second = source_index(position + 1, length, mode)
    assert second is not None
    return first, second - first
