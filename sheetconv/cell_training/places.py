"""Where everything of a workbook that trains stands: settings, data, steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod

from ..cells import MAX_COLUMNS, MAX_ROWS, MOST_CELLS, Cell, Grid
from ..errors import LayoutError
from ..formulas import Placed, Role
from .block import Block, lay_block
from .program import CellTraining
from .registers import CONTROLS

#: Rows above the first step, where titles stay in sight.
TITLES = 3
_FIRST_SETTING = 4
_FIRST_IMAGE = 4


def own_settings(names: Iterable[str]) -> tuple[str, ...]:
    """The settings that an optimiser keeps from step to step, each within limits of its own.

    Learning rate, momentum and weight decay are given to every step, and may be any numbers.

    Args:
        names: of an optimiser's settings.

    Example:
        >>> from sheetconv.training.optimisers import Adam
        >>> own_settings(Adam().cells())
        ('beta1', 'beta2', 'eps')
    """
    return tuple(name for name in names if name not in ("lr", "momentum", "weight_decay"))


@dataclass(frozen=True, slots=True)
class SheetNames:
    """The worksheets of a workbook that trains.

    Attributes:
        home: settings, the loss of every step and its chart.
        steps: forward pass, gradients and new weights of every step.
        data: the images.
        gradient: the gradient check.
        line: the same for a straight line, with four optimisers.
    """

    home: str = "training"
    steps: str = "steps"
    data: str = "data"
    gradient: str = "gradient check"
    line: str = "line"


@dataclass(frozen=True, eq=False)
class Places:
    """Where everything stands.

    Attributes:
        training: what is trained.
        names: the worksheets.
    """

    training: CellTraining
    names: SheetNames = SheetNames()

    @cached_property
    def block(self) -> Block:
        """One step, as if its first row were row 0."""
        return lay_block(self.training, self.names.steps)

    @cached_property
    def steps(self) -> list[dict[str, Placed]]:
        """The cells of every step, by full name."""
        rows = map(self.first_row, range(self.training.steps))
        return [self.block.down(row) for row in rows]

    def step(self, number: int) -> dict[str, Placed]:
        """The cells of a step, from 0, by full name."""
        return self.steps[number]

    def first_row(self, number: int) -> int:
        """The first row of a step; titles stand above it, or below the cells that drive it."""
        return (0 if self.training.iterate else TITLES) + number * self.block.height

    @property
    def title_row(self) -> int:
        """The row of the titles of all columns."""
        return len(CONTROLS) + 1 if self.training.iterate else 0

    # --- Settings

    @cached_property
    def settings(self) -> dict[str, Cell]:
        """The cells of the optimiser's numbers, and of the length of the schedule."""
        names = [*self.training.settings, "total", "batches"]
        return {name: Cell(self.names.home, _FIRST_SETTING + k, 1) for k, name in enumerate(names)}

    @cached_property
    def setting_values(self) -> dict[str, float]:
        """What they hold at first."""
        training = self.training
        own = training.optimiser.cells()
        own |= {"total": float(training.total), "batches": float(training.batches)}
        return {name: own[name] for name in self.settings}

    # --- Data

    @cached_property
    def pixels(self) -> Grid:
        """The data sheet's pixels: a row for each image."""
        count = len(self.training.images)
        return Grid(self.names.data, _FIRST_IMAGE, 2 + self.target_count, count, self._pixel_count)

    @cached_property
    def targets(self) -> Grid:
        """The data sheet's targets: a row for each image."""
        return Grid(self.names.data, _FIRST_IMAGE, 2, len(self.training.images), self.target_count)

    @property
    def labels(self) -> Grid:
        """What each image shows, in words."""
        return Grid(self.names.data, _FIRST_IMAGE, 1, len(self.training.images), 1)

    @property
    def target_count(self) -> int:
        """Numbers of a target."""
        targets = self.training.targets
        return 1 if targets.ndim == 1 else int(targets.shape[1])

    @property
    def _pixel_count(self) -> int:
        return prod(self.training.input_shape)

    # --- Limits

    def check(self) -> None:
        """Refuse what no workbook can hold.

        Raises:
            LayoutError: there are too many rows, columns or cells.
        """
        rows = self.first_row(self.training.steps)
        bounds = [grid.bounds for placed in self.block.placed.values() for grid in placed.grids]
        columns = max(area.last_column for area in bounds) + 1
        cells = self.training.steps * sum(placed.size for placed in self.block.placed.values())
        if columns > MAX_COLUMNS or self.pixels.bounds.last_column >= MAX_COLUMNS:
            raise LayoutError(
                f"a training step needs {columns:,} columns, and a worksheet has {MAX_COLUMNS:,}: "
                "use fewer outputs, fewer channels or smaller images"
            )
        if rows > MAX_ROWS:
            raise LayoutError(
                f"{self.training.steps:,} steps need {rows:,} rows, and a worksheet has "
                f"{MAX_ROWS:,}: draw fewer steps"
            )
        if cells > MOST_CELLS:
            raise LayoutError(
                f"{self.training.steps:,} steps need {cells:,} cells, and a workbook of more than "
                f"{MOST_CELLS:,} opens nowhere: draw fewer steps, or train a smaller network"
            )

    @cached_property
    def tensors(self) -> dict[str, Placed]:
        """The data, and the settings as `setting lr`: what belongs to no step."""
        found = {
            "data pixels": Placed(
                (self.pixels.height, self.pixels.width), Role.INPUT, (self.pixels,)
            ),
            "data targets": Placed(
                (self.targets.height, self.targets.width), Role.INPUT, (self.targets,)
            ),
        }
        for name, cell in self.settings.items():
            grid = Grid(cell.sheet, cell.row, cell.column, 1, 1)
            found[f"setting {name}"] = Placed((), Role.SETTING, (grid,))
        return found
