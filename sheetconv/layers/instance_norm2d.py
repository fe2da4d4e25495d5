"""Instance normalisation: each plane of each image is centred and scaled by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Example
from .normalizing import Normalization2d


@dataclass(frozen=True)
class InstanceNorm2d(Normalization2d):
    """Takes off each plane's own mean and divides by its own standard deviation.

    ::

        mean[c] = the mean of plane c;  var[c] = the mean of (x[c] - mean[c])**2
        out     = (x - mean[c]) / sqrt(var[c] + eps)          (* weight[c] + bias[c])

        =AVERAGE(AH3:AK6)
        =SUMPRODUCT((AH3:AK6-$W$4)^2)/16
        =(AH3-$W$4)/SQRT($W$5+$U$5)

        grad_input = (grad_output - grad.mean[c] - (x - mean[c]) * grad.slope[c])
                     / sqrt(var[c] + eps)                     (* weight[c])

        =(CK3-$CH$4-(AH3-$W$4)*$CH$5)/SQRT($W$5+$U$5)

    `grad.mean` and `grad.slope` are those of `BatchNorm2d`, for each plane by itself.

    With `track_running_stats`, as in PyTorch's `eval`, mean and variance are numbers that
    training left in `running_mean` and `running_var`, the same for all images. Shapes:
    x (N, num_features, H, W), out the same; `mean` and `var` have one number an image and
    channel, the others one a channel. A plane of one cell, which PyTorch refuses, becomes
    its bias, or 0.

    Args:
        num_features: channels of the input.
        eps: added to the variance, above 0. It stands in a cell. Default 1e-5.
        momentum: the part of a new batch in the running statistics when they are learned;
            None for the mean of all batches, where PyTorch's stay as they are. Default 0.1.
        affine: whether `weight` and `bias` follow. Default False.
        track_running_stats: whether to use running statistics. Default False.

    Raises:
        ShapeError: a field is out of its range.

    Example:
        >>> x = np.array([[[[1.0, 3.0]]], [[[5.0, 5.0]]]])
        >>> InstanceNorm2d(1, eps=3.0).forward(x, {})[0].tolist()
        [[[[-0.5, 0.5]]], [[[0.0, 0.0]]]]
    """

    num_features: int
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = False
    track_running_stats: bool = False

    title: ClassVar[str] = "InstanceNorm"
    stem: ClassVar[str] = "instancenorm"

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[1.0, 3.0], [3.0, 1.0]], [[2.0, 2.0], [-2.0, -2.0]]])
        learned = {"weight": np.array([3.0, -0.5]), "bias": np.array([1.0, 0.25])}
        running = {"running_mean": np.array([-1.0, 2.0]), "running_var": np.array([3.0, 8.0])}
        return [
            # All alike: nothing is left.
            Example(cls(1), np.full((1, 2, 3), 5.0), {}, (0, 1, 2), 0.0),
            # Mean 0 and variance 4: -2 / sqrt(4 + 12)
            Example(cls(2, 12.0, None), x, {}, (1, 1, 1), -0.5),
            # Mean 2 and variance 1: (3 - 2) / sqrt(1 + 3) * 3 + 1
            Example(cls(2, 3.0, affine=True), x, learned, (0, 1, 0), 2.5),
            # (3 + 1) / sqrt(3 + 1)
            Example(cls(2, 1.0, track_running_stats=True), x, running, (0, 1, 0), 2.0),
        ]
