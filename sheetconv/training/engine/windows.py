"""Where the taps of a sliding window meet the rows of a plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...formulas import Shape


@dataclass(frozen=True, slots=True)
class Tap:
    """One cell of a window, for all windows at once.

    Attributes:
        at: row and column within the window, without dilation.
        inputs: the rows and columns of the input that it meets, as slices.
        outputs: the units whose windows those are, as slices.
        is_whole: whether it meets the input in every window.
    """

    at: tuple[int, int]
    inputs: tuple[slice, slice]
    outputs: tuple[slice, slice]
    is_whole: bool


def taps(
    input_size: Shape,
    output_size: Shape,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Iterator[Tap]:
    """The cells of a window, row by row; those that meet padding alone are left out.

    Args:
        input_size: height and width of the input.
        output_size: of the output.
        kernel, stride, dilation: likewise, as (height, width).
        padding: rows above and columns left of the input where the first window begins.

    Example:
        >>> first, *_ = taps((4, 4), (2, 2), (3, 3), (2, 2), (1, 1), (1, 1))
        >>> first.inputs, first.outputs      # the corner of the first windows is padding
        ((slice(1, 2, 2), slice(1, 2, 2)), (slice(1, 2, None), slice(1, 2, None)))
    """
    rows = [
        _met(u * dilation[0] - padding[0], input_size[0], output_size[0], stride[0])
        for u in range(kernel[0])
    ]
    columns = [
        _met(v * dilation[1] - padding[1], input_size[1], output_size[1], stride[1])
        for v in range(kernel[1])
    ]
    for u, row in enumerate(rows):
        for v, column in enumerate(columns):
            if row is None or column is None:
                continue
            whole = _all(row[1], output_size[0]) and _all(column[1], output_size[1])
            yield Tap((u, v), (row[0], column[0]), (row[1], column[1]), whole)


def _met(offset: int, inputs: int, outputs: int, stride: int) -> tuple[slice, slice] | None:
    """The positions o * stride + offset that lie in the input, and their o."""
    first = max(0, -(offset // stride))
    last = min(outputs - 1, (inputs - 1 - offset) // stride)
    if last < first:
        return None
    start = first * stride + offset
    return slice(start, last * stride + offset + 1, stride), slice(first, last + 1)


def _all(outputs: slice, count: int) -> bool:
    return outputs == slice(0, count)
