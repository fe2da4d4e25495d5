"""A network as it is taken over, layer by layer, from another program's model.

The chain follows the shape, holds paddings back until the layer that can carry them,
and gives the layers their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import index
from typing import Any

import numpy as np

from ..errors import ModelError, SheetconvError
from ..formulas import Shape
from ..layers import LAYERS, Layer
from ..layers.base import Array
from ..network import Sequential

# As long as a worksheet's name may be.
_LONGEST_NAME = 31

#: Left, right, top, bottom: the order of PyTorch's `ZeroPad2d`.
Sides = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Padding:
    """A padding that stands before the layer that is to carry it.

    Attributes:
        sides: left, right, top, bottom.
        mode: as Conv2d's `padding_mode`.
        where: what made it, for errors.
    """

    sides: Sides
    mode: str
    where: str


@dataclass
class Link:
    """A layer of the chain with its parameters, and the name that its model gives it."""

    layer: Layer
    params: dict[str, Array]
    name: str


@dataclass
class Chain:
    """The layers so far.

    Attributes:
        shape: what the next layer gets, without the batch.
        links: the layers in order.
        padding: what the next layer has to carry.
    """

    shape: Shape
    links: list[Link] = field(default_factory=list)
    padding: Padding | None = None

    def add(
        self,
        where: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        name: str = "",
        **config: Any,
    ) -> None:
        """Append a layer.

        Args:
            where: what it is made from, for errors.
            kind: the name of its class, which is PyTorch's.
            params: its parameters by name, of any kind of number.
            name: as the model has it; kept if it can be a layer's name.
            config: the fields of the layer.

        Raises:
            ModelError: the layer refuses its fields or its input, or a padding waits for
                another kind of layer.
        """
        if self.padding:
            raise ModelError(
                f"{self.padding.where} stands before {where}: padding is taken over where a "
                "convolution follows"
            )
        try:
            layer = LAYERS[kind](**config)
            shape = layer.output_shape(self.shape)
        except SheetconvError as error:
            raise ModelError(f"{where}: {error}") from None
        arrays = {key: np.array(value, dtype=np.float64) for key, value in (params or {}).items()}
        self.links.append(Link(layer, arrays, name))
        self.shape = shape

    def add_flatten(self, where: str, name: str = "") -> None:
        """Append Flatten where there are planes; a vector is flat already."""
        if len(self.shape) == 3:
            self.add(where, "Flatten", name=name)

    def pad(self, padding: Padding) -> None:
        """Hold a padding back for the layer that follows.

        Raises:
            ModelError: the input has no planes, or another padding waits that cannot be
                joined with it.
        """
        if len(self.shape) != 3:
            raise ModelError(f"{padding.where} got an input of shape {self.shape}: expected planes")
        if min(padding.sides) < 0:
            raise ModelError(f"{padding.where} crops: its sides are {padding.sides}: expected 0 up")
        if not any(padding.sides):
            return
        if self.padding:
            if (self.padding.mode, padding.mode) != ("zeros", "zeros"):
                raise ModelError(
                    f"{self.padding.where} and {padding.where} pad twice: expected one padding, "
                    "or zeros both times"
                )
            padding = replace(padding, sides=added(self.padding.sides, padding.sides))
        self.padding = padding

    def take_padding(self) -> Padding:
        """The padding that waits, or none; the caller's layer carries it."""
        taken, self.padding = self.padding, None
        return taken or Padding((0, 0, 0, 0), "zeros", "")

    def add_bias(self, where: str, values: Array) -> None:
        """Add numbers to the bias of the layer just appended.

        Args:
            where: what they come from, for errors.
            values: one for each output channel or feature.

        Raises:
            ModelError: the last layer has no bias, or a padding stands between.
        """
        last = self.links[-1] if self.links else None
        if last is None or self.padding or type(last.layer).__name__ not in ("Conv2d", "Linear"):
            raise ModelError(
                f"{where}: a constant is added only as the bias of a convolution or dense layer "
                "right before"
            )
        layer: Any = last.layer
        bias = last.params.get("bias", 0.0) + values
        self.links[-1] = Link(replace(layer, bias=True), {**last.params, "bias": bias}, last.name)

    def divide(self, std: Array, name: str) -> bool:
        """Make numbers the deviation of the Normalize just appended, and say whether it took them.

        Not where it has another than 1, or a padding stands between.

        Args:
            std: one number for each channel.
            name: what divides by them is named so in the model; empty keeps the layer's name.
        """
        last = self.links[-1] if self.links else None
        if last is None or self.padding or type(last.layer).__name__ != "Normalize":
            return False
        if np.any(last.params["std"] != 1):
            return False
        self.links[-1] = Link(last.layer, {**last.params, "std": std}, name or last.name)
        return True

    def network(self) -> Sequential:
        """The network, with its parameters.

        Raises:
            ModelError: there is no layer, a padding is left over, or a parameter has a
                wrong shape or holds NaN or infinity.
        """
        if self.padding:
            raise ModelError(
                f"{self.padding.where} stands last: padding is taken over where a convolution "
                "follows"
            )
        if not self.links:
            raise ModelError("the model has no layer that computes anything")
        names = self._names()
        try:
            network = Sequential(
                *((name, link.layer) for name, link in zip(names, self.links, strict=True))
            )
            network.load_state_dict(
                {
                    f"{name}.{key}": value
                    for name, link in zip(names, self.links, strict=True)
                    for key, value in link.params.items()
                }
            )
        except SheetconvError as error:
            raise ModelError(str(error)) from None
        return network

    def _names(self) -> list[str]:
        """The model's names where they are identifiers, each once; others by kind."""
        kept: list[str] = []
        for link in self.links:
            usable = (
                link.name.isidentifier()
                and len(link.name) <= _LONGEST_NAME
                and link.name not in kept
            )
            kept.append(link.name if usable else "")
        counts: dict[str, int] = {}
        names = []
        for name, link in zip(kept, self.links, strict=True):
            stem = link.layer.stem
            counts[stem] = counts.get(stem, 0) + 1
            while not name:
                automatic = f"{stem}{counts[stem]}"
                if automatic in kept:
                    counts[stem] += 1
                else:
                    name = automatic
            names.append(name)
        return names


def read_shape(given: Sequence[int]) -> Shape:
    """The shape of an input as a caller gives it.

    Raises:
        ModelError: it is neither (channels, height, width) nor (features,).
    """
    try:
        shape = tuple(index(length) for length in given)
    except TypeError:
        shape = ()
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise ModelError(
            f"input_shape is {given!r}: expected (channels, height, width) or (features,)"
        )
    return shape


def added(one: Sides, other: Sides) -> Sides:
    """Two paddings of zeros, one around the other.

    Example:
        >>> added((1, 0, 0, 0), (1, 2, 3, 4))
        (2, 2, 3, 4)
    """
    left, right, top, bottom = (a + b for a, b in zip(one, other, strict=True))
    return (left, right, top, bottom)


def plain_padding(sides: Sides) -> int | tuple[int, int] | Sides:
    """A padding in its shortest form: one number, (height, width), or four sides.

    Example:
        >>> plain_padding((1, 1, 1, 1)), plain_padding((2, 2, 1, 1)), plain_padding((0, 1, 0, 1))
        (1, (1, 2), (0, 1, 0, 1))
    """
    left, right, top, bottom = sides
    if left == right and top == bottom:
        return plain_pair((top, left))
    return sides


def plain_pair(pair: tuple[int, int]) -> int | tuple[int, int]:
    """A pair in its shortest form: one number where both are the same.

    Example:
        >>> plain_pair((2, 2)), plain_pair((1, 2))
        (2, (1, 2))
    """
    return pair[0] if pair[0] == pair[1] else pair
