"""The first convolution's kernels, which people look at before and after training."""

from __future__ import annotations

from ..layers.base import Array
from ..network import Sequential


def first_kernels(network: Sequential) -> Array | None:
    """A copy of the first convolution's weight, if there is one.

    Args:
        network: the network.
    """
    for own in network.params.values():
        if "weight" in own and own["weight"].ndim == 4:
            return own["weight"].copy()
    return None
