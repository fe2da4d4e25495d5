"""A network that is to be drawn, with all that is asked for: what a build is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from .drawing import Drawing
from .guides import Guides
from .layers.base import Array
from .network import Sequential


@dataclass(frozen=True, slots=True)
class NetworkSheet:
    """One network to be drawn on worksheets of its own.

    Attributes:
        network: the layers and their parameters.
        image: (height, width) for one channel, (channels, height, width), (features,), or
            several: (images, channels, height, width) or (images, features).
        drawing: how. Default: `Drawing()`.
        guides: what explains it, besides. Default: nothing.
    """

    network: Sequential
    image: Array
    drawing: Drawing = field(default_factory=Drawing)
    guides: Guides | None = None

    @property
    def has_guides(self) -> bool:
        """Whether anything explains the network: not where a drawing pins its cells."""
        return self.guides is not None and not self.drawing.is_pinned
