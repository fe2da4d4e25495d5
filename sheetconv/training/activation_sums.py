"""Statistics of a layer's activations: mean, standard deviation, share near zero, histogram.

They say whether a network trains at all: activations that are all near zero learn nothing.
Sums of parts can be put together, so that a batch may be worked on in pieces by several
threads; put together in the same order, they have the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from ..layers.validation import shown

#: Activations at most so far from zero are near it, as in fast.ai.
NEAR = 0.05
#: Where the bins of a histogram begin and end, and how many there are. Those from 0 on are
#: fast.ai's 40 bins up to 10; as many below take the activations that no ReLU has cut.
LIMITS, BINS = (-10.0, 10.0), 80

#: So many numbers are worked on at once: they stay in a second-level cache.
_BLOCK = 16384


@dataclass(frozen=True, slots=True, eq=False)
class ActivationSums:
    """What the statistics of activations are computed from.

    Attributes:
        count: how many numbers.
        sum: of them, in float64.
        m2: the sum of their squared distances from the mean, in float64.
        near: how many are at most `near` from zero.
        histogram: how many are in each bin, int64. As in `torch.histc`, a bin has its lower
            edge, the last one both, and what is outside all of them is not counted.

    Example:
        >>> sums = ActivationSums.of(np.array([0.0, 0.0, 1.0, 3.0]), bins=4, limits=(0, 4))
        >>> sums.mean, round(sums.std, 4), sums.near_zero, sums.histogram
        (1.0, 1.4142, 0.5, array([2, 1, 0, 1]))
    """

    count: int
    sum: float
    m2: float
    near: int
    histogram: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        x: NDArray[Any],
        near: float = NEAR,
        bins: int = BINS,
        limits: tuple[float, float] = LIMITS,
    ) -> ActivationSums:
        """The sums of an array.

        Args:
            x: any shape and memory layout, which does not matter; float32 and float64 are
                taken as they are.
            near: see `NEAR`.
            bins: how many bins the histogram has. Default 80.
            limits: where they begin and end. Default (-10, 10).

        Raises:
            TrainingError: the array holds no real numbers, there is no bin, or the limits
                are not in order.
        """
        if bins < 1 or not -math.inf < limits[0] < limits[1] < math.inf:
            raise TrainingError(
                f"a histogram of {shown(bins)} bins within {shown(limits)}: expected at least one "
                "bin, and limits (low, high)"
            )
        x = np.asarray(x)
        if x.dtype.kind not in "biuf":
            raise TrainingError(f"activations are {x.dtype}: expected real numbers")
        # The order does not matter: whatever lies in a row in memory is not copied.
        flat = x.ravel(order="K")
        if flat.dtype not in (np.float32, np.float64):
            flat = flat.astype(np.float64)
        if not flat.size:
            return cls(0, 0.0, 0.0, 0, np.zeros(bins, np.int64))
        # Infinity and NaN show in the results.
        with np.errstate(invalid="ignore", over="ignore"):
            return cls.merged(
                [
                    cls._of_block(flat[start : start + _BLOCK], near, bins, limits)
                    for start in range(0, flat.size, _BLOCK)
                ]
            )

    @classmethod
    def _of_block(
        cls, x: NDArray[Any], near: float, bins: int, limits: tuple[float, float]
    ) -> ActivationSums:
        low, high = x.dtype.type(limits[0]), x.dtype.type(limits[1])
        wide = x.astype(np.float64)
        total = wide.sum()
        wide -= total / x.size
        np.multiply(wide, wide, out=wide)
        m2 = wide.sum()
        close = int(np.count_nonzero(np.abs(x) <= near))
        # Not true for NaN either.
        if not (x.min() >= low and x.max() <= high):
            x = x[(x >= low) & (x <= high)]
        # In this order and precision, which decide where a number next to an edge belongs.
        places = x - low
        places *= bins
        places /= high - low
        counts = np.bincount(places.astype(np.intp), minlength=bins + 1)
        # The upper limit itself, and what rounding takes there.
        counts[bins - 1] += counts[bins]
        histogram = counts[:bins].astype(np.int64, copy=False)
        return cls(wide.size, float(total), float(m2), close, histogram)

    @classmethod
    def merged(cls, parts: Sequence[ActivationSums]) -> ActivationSums:
        """The sums of all parts, in the order in which they are given.

        Raises:
            TrainingError: there is no part, or their histograms have different bins.

        Example:
            >>> parts = [ActivationSums.of(np.array(numbers)) for numbers in ([1.0], [3.0, 5.0])]
            >>> whole = ActivationSums.merged(parts)
            >>> whole.count, whole.mean, whole.std
            (3, 3.0, 2.0)
        """
        lengths = {len(part.histogram) for part in parts}
        if len(lengths) != 1:
            raise TrainingError(
                f"histograms of {shown(sorted(lengths))} bins cannot be put together: expected "
                "parts with the same bins"
            )
        histogram = np.sum([part.histogram for part in parts], axis=0)
        moments = reduce(_moments, ((part.count, part.sum, part.m2) for part in parts))
        return cls(*moments, sum(part.near for part in parts), histogram)

    @property
    def mean(self) -> float:
        """Their mean; NaN without numbers."""
        return self.sum / self.count if self.count else math.nan

    @property
    def std(self) -> float:
        """Their standard deviation, divided by `count - 1` as in `torch.std`; else NaN."""
        return math.sqrt(self.m2 / (self.count - 1)) if self.count > 1 else math.nan

    @property
    def near_zero(self) -> float:
        """The share that is near zero; NaN without numbers."""
        return self.near / self.count if self.count else math.nan


Moments = tuple[int, float, float]


def _moments(one: Moments, other: Moments) -> Moments:
    """Count, sum and m2 of two parts together, after Chan, Golub and LeVeque."""
    (n, total, m2), (more, more_total, more_m2) = one, other
    if not n or not more:
        return other if not n else one
    distance = more_total / more - total / n
    # A product becomes infinite where a power of Python's would raise.
    apart = distance * distance * (n * more / (n + more))
    return n + more, total + more_total, m2 + more_m2 + apart


def activation_statistics(
    x: NDArray[Any],
    near: float = NEAR,
    bins: int = BINS,
    limits: tuple[float, float] = LIMITS,
) -> tuple[float, float, float, NDArray[np.int64]]:
    """The statistics of an array of activations, as fast.ai's ActivationStats.

    Other than there, `near_zero` counts numbers that are near zero on either side, so that it
    means the same before a ReLU and after it.

    Args:
        x: any shape and memory layout.
        near: how far from zero is near. Default 0.05.
        bins: of the histogram. Default 80.
        limits: where they begin and end. Default (-10, 10).

    Returns:
        Mean, standard deviation, share near zero (each in float64 whatever `x` is), and the
        counts of the bins.

    Raises:
        TrainingError: as for `ActivationSums.of`.

    Example:
        >>> mean, std, near_zero, counts = activation_statistics(np.array([[-1.0], [0.0], [0.01]]))
        >>> round(mean, 2), round(std, 4), round(near_zero, 2), counts.nonzero()
        (-0.33, 0.5803, 0.67, (array([36, 40]),))
    """
    sums = ActivationSums.of(x, near, bins, limits)
    return sums.mean, sums.std, sums.near_zero, sums.histogram
