"""What a check found: wrong cells, and the numbers that they were held against."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..cells import Cell
from ..formulas import Placed
from ..layers.base import Array
from ..tensor_cells import cell_of
from ..values import Value

#: The label of wrong cells among the image and the weights.
NUMBERS = "numbers"


@dataclass(frozen=True, slots=True)
class WrongCell:
    """A cell that is not what it should be.

    Attributes:
        cell: where it stands.
        layer: the label of its stage, `conv1 + relu1`, or `numbers`.
        source: what found it: `file`, `cached values`, `ironcalc`, `ironcalc, probe 1`.
        got: what it holds or shows.
        expected: what NumPy computes from the numbers before it; None where a formula
            or a number of any value is expected.
        bound: how far `got` may lie off.
        reason: what is wrong, in words.
    """

    cell: Cell
    layer: str
    source: str
    got: Value
    expected: float | None
    bound: float
    reason: str

    def __str__(self) -> str:
        return f"{self.cell}: {self.reason} ({self.layer}, {self.source})"


@dataclass(slots=True)
class TensorResult:
    """One computed tensor held against NumPy: flat arrays over its cells.

    Attributes:
        name: full tensor name.
        placed: where it stands.
        got: what the workbook shows; NaN where that is no number.
        expected: what NumPy computes from the numbers before it.
        bound: how far `got` may lie from `expected`.
        from_image: what NumPy computes from the image.
        wrong: cells that are wrong in their place.
        follows: cells that are off only because cells before them are.
    """

    name: str
    placed: Placed
    got: Array
    expected: Array
    bound: Array
    from_image: Array
    wrong: NDArray[np.bool_]
    follows: NDArray[np.bool_]

    @property
    def errors(self) -> Array:
        """The distance from NumPy, end to end."""
        return np.abs(self.got - self.from_image)


@dataclass(slots=True)
class LayerResult:
    """The cells of one stage of one worksheet, from one source.

    Attributes:
        worksheet: its name.
        label: `conv1 + relu1`.
        source: `cached values`, an engine, or an engine's probe.
        tensors: its computed tensors.
        wrong: the wrong cells, worst first.
    """

    worksheet: str
    label: str
    source: str
    tensors: list[TensorResult]
    wrong: list[WrongCell]

    @property
    def cells(self) -> int:
        """Formula cells compared."""
        return sum(tensor.got.size for tensor in self.tensors)

    @property
    def follows(self) -> int:
        """Cells that are off only because cells before them are."""
        return sum(int(tensor.follows.sum()) for tensor in self.tensors)

    @property
    def worst(self) -> tuple[Cell, float, float] | None:
        """The cell that lies farthest from NumPy end to end, its value, and NumPy's."""
        best: tuple[float, Cell, float, float] | None = None
        for tensor in self.tensors:
            errors = np.nan_to_num(tensor.errors, nan=-1.0)
            index = int(errors.argmax())
            if errors[index] >= 0 and (best is None or errors[index] > best[0]):
                cell = cell_of(tensor.placed, index)
                got, expected = float(tensor.got[index]), float(tensor.from_image[index])
                best = (float(errors[index]), cell, got, expected)
        return best[1:] if best else None

    @property
    def largest_error(self) -> float:
        """The largest distance from NumPy, end to end."""
        worst = self.worst
        return abs(worst[1] - worst[2]) if worst else 0.0


@dataclass(slots=True, repr=False)
class CheckResult:
    """What a check found.

    Attributes:
        path: the workbook.
        layers: one entry for each worksheet, stage and source.
        structure: cells that hold the wrong kind of thing: a number for a formula, a text
            for a number, anything but a zero or a blank on the padding.
        changed: cells whose formula is not the one that sheetconv writes; no fault in
            itself.
        moved: for each network whose cells seem to stand elsewhere than they were built, one
            sentence that says so; the wrong cells are its consequences.
        formula_cells: formula cells of all worksheets.
        notes: what a person should know besides.
        seconds: how long it took.
    """

    path: Path
    layers: list[LayerResult] = field(default_factory=list)
    structure: list[WrongCell] = field(default_factory=list)
    changed: list[Cell] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    formula_cells: int = 0
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __repr__(self) -> str:
        state = "ok" if self.ok else f"{len(self.wrong)} wrong cells"
        return f"<CheckResult of {self.path}: {state}, {self.formula_cells:,} formula cells>"

    @property
    def wrong(self) -> list[WrongCell]:
        """Every wrong cell, each once, as the first source saw it."""
        found: dict[Cell, WrongCell] = {}
        for item in [*self.structure, *(w for layer in self.layers for w in layer.wrong)]:
            found.setdefault(item.cell, item)
        return list(found.values())

    @property
    def follows(self) -> int:
        """The most cells, over the sources, that are off only because of others."""
        by_source: dict[str, int] = {}
        for layer in self.layers:
            by_source[layer.source] = by_source.get(layer.source, 0) + layer.follows
        return max(by_source.values(), default=0)

    @property
    def ok(self) -> bool:
        """Whether every cell of every source agrees with NumPy."""
        return not self.wrong and not self.follows

    @property
    def sources(self) -> list[str]:
        """The sources in the order in which they were compared."""
        return list(dict.fromkeys(layer.source for layer in self.layers))
