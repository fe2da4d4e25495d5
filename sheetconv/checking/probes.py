"""The numbers of a probe: an image and weights under which a wrong formula shows.

With the workbook's own numbers a wrong reference may hide among zeros, behind a
rectifier that lets nothing through, or under the maximum of a window.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..description import Described
from ..formulas import Role, Shape
from ..layers.base import Array
from .tensor_cells import given_roles

# For each probe, whether its image grows downwards, and to the right: in turn each corner
# of a window holds its maximum, so that a pool shows which range it reads. And the sign of
# the weights of every other output channel, from the first or from the second: a rectifier
# shows where its sums are negative, and the other channels keep what follows alive.
_PROBES = (
    (1, 1, (1, 1)), (-1, -1, (1, 1)), (1, -1, (1, 1)), (-1, 1, (1, 1)),
    (1, 1, (-1, 1)), (-1, -1, (1, -1)),
)  # fmt: skip


# The weights of a probe's kernel, but for its middle: what they add to a cell is less than
# the step of the image from one pixel to the next, and still far above rounding.
_BESIDE_THE_MIDDLE = 0.001


def draw(described: Described, given: Mapping[str, Array], probe: int) -> dict[str, Array]:
    """Random numbers for the image, the weights and what settings a layer varies.

    Positive ones let every rectifier through. Weights are scaled by their number for each
    output, so that sums stay near 1 however many layers follow.

    Args:
        described: the network.
        given: full name -> the workbook's own image, weights and settings.
        probe: its number, from 1; it seeds the random numbers.
    """
    rng = np.random.default_rng(probe)
    down, right, signs = _PROBES[(probe - 1) % len(_PROBES)]
    numbers = dict(given)
    numbers["input"] = _draw_image(described.layout.input_shape, down, right, rng)
    for name in given_roles(described, Role.PARAM):
        shape = numbers[name].shape
        drawn = rng.uniform(0.5, 1.5, shape) / max(1, numbers[name].size // shape[0])
        if len(shape) == 4:
            # Mostly the middle of a kernel counts: its plane grows as the image does, even
            # where the kernel reaches over the edge.
            middle = (..., shape[2] // 2, shape[3] // 2)
            peak = drawn[middle] * shape[2] * shape[3]
            drawn *= _BESIDE_THE_MIDDLE
            drawn[middle] = peak
        for first, sign in enumerate(signs):
            drawn[first::2] *= sign
        numbers[name] = drawn
    for layer_name, layer in described.network:
        for key, value in layer.probe_settings(rng).items():
            numbers[f"{layer_name}.{key}"] = value
    return numbers


def _draw_image(shape: Shape, down: int, right: int, rng: np.random.Generator) -> Array:
    """Random numbers; in planes they also grow from one corner to the opposite one."""
    image = rng.uniform(0.5, 1.5, shape)
    if len(shape) != 3:
        return image
    rows, columns = (np.linspace(0.0, 1.0, length) for length in shape[1:])
    # The noise is smaller than the step from one pixel to the next.
    noise: Array = image / (4 * max(shape[1:]))
    return noise + rows[::down, np.newaxis] + columns[::right]
