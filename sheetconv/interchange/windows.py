"""Windows that slide along one axis: what ONNX says of them, in the fields of our layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

# Windows are compared unit by unit for each padding, as far as that takes no time.
_MOST_COMPARISONS = 2**20


@dataclass(frozen=True, slots=True)
class Axis:
    """The windows along one axis of a plane.

    Attributes:
        length: of the plane.
        kernel, stride, dilation: of the window.
        before, after: units of padding.
        ceil_mode: whether a window that only partly covers the padded plane is kept,
            unless it begins past the plane and the padding before it.
    """

    length: int
    kernel: int
    stride: int
    dilation: int
    before: int = 0
    after: int = 0
    ceil_mode: bool = False

    @property
    def span(self) -> int:
        """Units from the first of a window to its last, both included."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def count(self) -> int:
        """How many windows there are."""
        room = self.length + self.before + self.after - self.span
        out = (-(-room // self.stride) if self.ceil_mode else room // self.stride) + 1
        if self.ceil_mode and (out - 1) * self.stride >= self.length + self.before:
            out -= 1
        return out

    def read(self, *, padding_counts: bool) -> list[tuple[tuple[int, ...], int]]:
        """For each window the units of the plane that it reads, and how many units count.

        Args:
            padding_counts: whether units of padding count.
        """
        found = []
        for number in range(self.count):
            first = number * self.stride - self.before
            places = range(first, first + self.span, self.dilation)
            inside = tuple(place for place in places if 0 <= place < self.length)
            counted = sum(place < self.length + self.after for place in places)
            found.append((inside, counted if padding_counts else len(inside)))
        return found


def same_padding(axis: Axis, *, upper: bool) -> tuple[int, int]:
    """The padding before and after with which ceil(length / stride) windows fit.

    Args:
        axis: the windows; their padding is not read.
        upper: whether the odd unit goes to the end (SAME_UPPER) or the beginning.

    Example:
        >>> same_padding(Axis(5, 2, 1, 1), upper=True)
        (0, 1)
    """
    out = -(-axis.length // axis.stride)
    total = max((out - 1) * axis.stride + axis.span - axis.length, 0)
    small, large = total // 2, total - total // 2
    return (small, large) if upper else (large, small)


def as_symmetric(
    axes: Sequence[Axis], *, padding_counts: bool
) -> tuple[tuple[int, int], bool] | None:
    """The padding (height, width) and ceil_mode of a pool of ours that reads the same windows.

    Args:
        axes: the windows along height and width; their sides may differ.
        padding_counts: whether units of padding count as zeros of a mean.

    Returns:
        None if there is none.

    Example:
        A padding at the end only is what `ceil_mode` reads.

        >>> axis = Axis(5, kernel=2, stride=2, dilation=1, after=1)
        >>> as_symmetric((axis, axis), padding_counts=False)
        ((0, 0), True)
    """
    if all(axis.before == axis.after for axis in axes):
        return (axes[0].before, axes[1].before), axes[0].ceil_mode
    if any(axis.count * axis.kernel**2 > _MOST_COMPARISONS for axis in axes):
        return None
    for ceil_mode in (axes[0].ceil_mode, not axes[0].ceil_mode):
        fitting = [_paddings(axis, ceil_mode, padding_counts) for axis in axes]
        if all(fitting):
            return (fitting[0][0], fitting[1][0]), ceil_mode
    return None


def _paddings(axis: Axis, ceil_mode: bool, padding_counts: bool) -> list[int]:
    """The paddings on both sides that read the same windows; the nearest to `before` first."""
    wanted = axis.read(padding_counts=padding_counts)
    found = []
    for side in range(axis.kernel // 2 + 1):
        other = replace(axis, before=side, after=side, ceil_mode=ceil_mode)
        if other.read(padding_counts=padding_counts) == wanted:
            found.append(side)
    return sorted(found, key=lambda side: abs(side - axis.before))
