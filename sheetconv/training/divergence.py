"""What is said of a loss that does not come back: where, which layer, what to try."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from .engine import Engine
from .fields import Numbers
from .losses import Loss


def diverged(loss: float, first: float | None, place: str, where: str) -> TrainingError:
    """The error for such a loss.

    Args:
        loss: the batch's.
        first: the run's first; None where this is it, so that no step was taken.
        place: batch and epoch, in words.
        where: what `largest_activations` says.

    Example:
        >>> str(diverged(float("nan"), 2.3, "batch 3 of epoch 1", "layer conv1 is the first"))[:50]
        'the loss is NaN in batch 3 of epoch 1: layer conv1'
    """
    what = "NaN" if math.isnan(loss) else f"{loss:.3g}"
    if math.isfinite(loss) and first is not None:
        what += f", having begun at {first:.3g},"
    advice = (
        "try a smaller learning rate (sheetconv train --find-lr, in Python Learner.find_lr, "
        "suggests one), or clip the gradient"
    )
    if first is None:
        # It is not for the learning rate.
        advice = "scale the images to numbers near 1, or put a Normalize layer first"
    return TrainingError(f"the loss is {what} in {place}: {where}; {advice}")


def largest_activations(
    engine: Engine,
    images: NDArray[Any],
    targets: NDArray[Any],
    loss: Loss,
    scale: float,
    step: int,
) -> str:
    """The first layer with an activation that is no finite number, or that of the largest.

    Args:
        engine: the network, as it was before the batch.
        images, targets: the batch.
        loss: the loss.
        scale: what the images are multiplied by.
        step: its number, so that random layers draw the same noise.
    """
    largest: dict[tuple[str, int], float] = {}

    def observe(layer: str, chunk: int, activations: Numbers) -> None:
        largest[layer, chunk] = float(np.abs(activations).max())

    engine.step(images, targets, loss, scale=scale, number=step, observe=observe)
    sizes: dict[str, float] = {}
    for state in engine.states:
        own = [size for (layer, _), size in largest.items() if layer == state.name]
        if own and not all(map(math.isfinite, own)):
            return f"layer {state.name} is the first whose activations are not finite"
        sizes[state.name] = max(own, default=0.0)
    name = max(sizes, key=sizes.__getitem__)
    return f"the largest activations, up to {sizes[name]:.2g}, are those of layer {name}"
