"""What a worksheet beside the steps is made of: tensors with formulas, numbers, and words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..cells import Grid, Range
from ..drawing import Style
from ..formulas import CellFormulas, Placed
from ..guides.base import GuideCell, GuidePage, Validation
from ..layers.base import Array, Border
from ..number_formats import fitting_format
from ..palette import DIGITS
from .places import Places

# The longest chain of numbers that `Panel.expected` takes from what is shown.
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Shown:
    """The numbers that a workbook shows; while it is built, as far as they are known.

    Attributes:
        numbers: name -> its numbers.
        placed: name -> its cells.
        texts: name -> the text that a person chose.
    """

    numbers: Mapping[str, Array]
    placed: Mapping[str, Placed]
    texts: Mapping[str, str]

    def __contains__(self, name: str) -> bool:
        return name in self.numbers

    def __call__(self, name: str) -> Array:
        """The numbers of a tensor in its shape; zeros where nothing is known of them."""
        if name not in self.numbers:
            return np.zeros(self.placed[name].shape)
        array = self.numbers[name]
        return array.reshape(self.placed[name].shape) if name in self.placed else array


class Panel(ABC):
    """A worksheet of its own.

    Args:
        places: where the steps stand.

    Attributes:
        placed: name -> cells; the names of all panels and steps differ.
        given: name -> the numbers that a person may change, as they are at first.
        texts: name -> the text that a person chooses, as it is at first.
    """

    def __init__(self, places: Places) -> None:
        self.places = places
        self.placed: dict[str, Placed] = {}
        self.given: dict[str, Array] = {}
        self.texts: dict[str, str] = {}

    @property
    @abstractmethod
    def page(self) -> GuidePage:
        """Its worksheet."""

    @abstractmethod
    def formulas(self) -> Iterator[tuple[str, CellFormulas]]:
        """Every formula, with the name of its tensor."""

    @abstractmethod
    def expected(self, shown: Shown) -> Mapping[str, Array]:
        """What every tensor of formulas should show.

        Args:
            shown: the numbers of the workbook, those of the steps, too.
        """

    def unusable(self, shown: Shown) -> Iterator[tuple[str, str]]:
        """Which of a person's numbers are out of range, and why. Default: none."""
        yield from ()

    def roughness(self, shown: Shown) -> Mapping[str, Array]:
        """How far tensors may lie off beyond rounding, by name. Default: not at all."""
        return {}

    @abstractmethod
    def words(self) -> Iterator[GuideCell]:
        """Titles and labels; and the texts that a person chooses."""

    def validations(self) -> list[Validation]:
        """What may be typed where. Default: anything."""
        return []

    def style(self, name: str, numbers: Array) -> Style:
        """The looks of a tensor's formulas. Default: small digits, two of them after the point.

        Args:
            name: of the tensor.
            numbers: what it shows at first.
        """
        return Style(fitting_format(numbers, is_weight=True), size=DIGITS)

    def scales(self) -> list[tuple[list[str], tuple[str, ...]]]:
        """Tensors that share a colour scale around zero, and its colours. Default: none."""
        return []

    def borders(self) -> list[tuple[Grid, Border]]:
        """Planes with cells around them, which their readers reach. Default: none."""
        return []

    def turns(self) -> list[tuple[Range, str]]:
        """What a check chooses, one after the other: a cell, and a text for it. Default: none."""
        return []

    def first_values(self, steps: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        """What every tensor shows when the workbook is built.

        Args:
            steps: the numbers of every step, by the full names of its tensors.
        """
        known = dict(self.given)
        known |= {
            f"{n} {name}": value for n, item in enumerate(steps) for name, value in item.items()
        }
        # What follows from one another follows within a few rounds.
        for _ in range(_ROUNDS):
            known |= self.expected(Shown(known, self.placed, self.texts))
        numbers = [name for name in self.placed if name not in self.texts]
        return {name: np.asarray(known[name], dtype=np.float64) for name in numbers}
