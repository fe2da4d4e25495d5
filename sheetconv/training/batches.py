"""In which order images are learned from, and in which batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shuffled_batches(
    images: int, batch: int, seed: int, epoch: int, *, drop_single: bool = False
) -> list[NDArray[np.int64]]:
    """The numbers of the images of each batch of an epoch.

    The order depends on the seed and the epoch alone, so that a run that was interrupted can go
    on anywhere. The last batch has what is left over.

    Args:
        images: how many there are.
        batch: how many of them a batch has.
        seed: of the order.
        epoch: its number.
        drop_single: leave out a last batch of one image, which has no variance that batch
            normalisation could divide by. Default False.

    Example:
        >>> [len(numbers) for numbers in shuffled_batches(10, 4, seed=0, epoch=1)]
        [4, 4, 2]
    """
    order = np.random.default_rng((seed, epoch)).permutation(images)
    batches = [order[first : first + batch] for first in range(0, images, batch)]
    if drop_single and len(batches) > 1 and len(batches[-1]) == 1:
        batches.pop()
    return batches
