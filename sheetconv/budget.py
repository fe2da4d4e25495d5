"""What a workbook will cost, before it is built: cells, bytes, seconds, room on the worksheet.

Cells are counted exactly. The size of the file and the seconds are estimates: a model whose
constants were fitted to 24 workbooks by `benchmarks/budgets.py`, on two cores (x86-64, Linux,
Python 3.11) with IronCalc 0.9.1 and LibreOffice 7.4. For numbers with all their digits the
size was met within 20%; zeros, as around a digit, take less. Seconds from a hundredth on were
met within a factor of three; other machines differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod

import numpy as np

from .arranging import lay_out
from .drawing import Drawing
from .errors import LayoutError
from .formulas import Shape, can_share, formula_text
from .layout import SheetLayout, stage_formulas, stages_of
from .network import Sequential

# Bytes of a compressed .xlsx file.
_BYTES = 6_800.0  # of a workbook with nothing in it
_BYTES_PER_NUMBER = 14.0
_BYTES_PER_SHARED = 11.0
_BYTES_PER_FORMULA = 13.0  # written out, and for each of its characters
_BYTES_PER_CHARACTER = 0.21
#: Seconds by engine: for each formula cell, number cell, range in a formula, multiplication.
_SECONDS = {
    "IronCalc": (1e-6, 7e-7, 0.0, 2.5e-7),
    "LibreOffice": (1.5e-6, 1e-7, 2.5e-6, 7e-8),
}


@dataclass(frozen=True, slots=True)
class SheetBudget:
    """What one network costs on its worksheet.

    Attributes:
        worksheet: its name.
        formula_cells: cells that hold a formula.
        number_cells: cells that hold an input, a parameter or a setting.
        refusal: why it does not fit on one worksheet; empty where it fits. Then what
            follows is known.
        rows, columns: of the worksheet, up to the last cell of a tensor.
        bytes: what it adds to the file, estimated.
        seconds: engine -> seconds of one recalculation, estimated.
    """

    worksheet: str
    formula_cells: int
    number_cells: int
    refusal: str = ""
    rows: int = 0
    columns: int = 0
    bytes: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def fits(self) -> bool:
        """Whether it fits on one worksheet."""
        return not self.refusal


@dataclass(frozen=True, slots=True)
class Budget:
    """What a workbook costs.

    Attributes:
        sheets: one for each network.
    """

    sheets: tuple[SheetBudget, ...]

    @property
    def formula_cells(self) -> int:
        """Cells that hold a formula, exactly."""
        return sum(sheet.formula_cells for sheet in self.sheets)

    @property
    def number_cells(self) -> int:
        """Cells that hold an input, a parameter or a setting, exactly."""
        return sum(sheet.number_cells for sheet in self.sheets)

    @property
    def fits(self) -> bool:
        """Whether every network fits on one worksheet; only then is the rest known."""
        return all(sheet.fits for sheet in self.sheets)

    @property
    def file_size(self) -> int:
        """Bytes of the file, estimated."""
        return round(_BYTES + sum(sheet.bytes for sheet in self.sheets))

    @property
    def seconds(self) -> dict[str, float]:
        """Engine -> seconds of one recalculation, estimated."""
        return {name: sum(sheet.seconds.get(name, 0) for sheet in self.sheets) for name in _SECONDS}

    def lines(self) -> list[str]:
        """The budget for the terminal."""
        cells = f"{self.formula_cells:,} formula cells and {self.number_cells:,} number cells"
        out = [f"Workbook: {cells}"]
        if self.fits:
            seconds = ", ".join(f"{_about(s)} s in {name}" for name, s in self.seconds.items())
            out.append(f"  file size about {_about(self.file_size)} bytes")
            out.append(f"  recalculation about {seconds}")
        for sheet in self.sheets:
            if sheet.fits:
                room = f"{sheet.rows:,} rows x {sheet.columns:,} columns"
                out.append(f"  worksheet {sheet.worksheet}: fits, {room}")
            else:
                out.append(f"  worksheet {sheet.worksheet}: does not fit: {sheet.refusal}")
        return out


def budget(items: Iterable[tuple[Sequential, Shape, Drawing]]) -> Budget:
    """What a workbook of some networks will cost.

    Args:
        items: for each worksheet the network, the shape of its input without the batch,
            and how it is drawn.

    Raises:
        ShapeError: the layers do not fit each other or the input.
        LayoutError: a network has nothing to draw.

    Example:
        >>> from sheetconv import Conv2d, Drawing, Sequential
        >>> found = budget([(Sequential(Conv2d(1, 2, 3)), (1, 8, 8), Drawing())])
        >>> found.formula_cells, found.number_cells, found.fits
        (72, 84, True)
    """
    return Budget(tuple(_sheet(*item) for item in items))


def count_cells(network: Sequential, input_shape: Shape, drawing: Drawing) -> tuple[int, int]:
    """How many formula cells and number cells a network has, exactly, without laying it out.

    Raises:
        ShapeError, LayoutError: as for `budget`.

    Example:
        >>> from sheetconv import Drawing, MaxPool2d, Sequential
        >>> count_cells(Sequential(MaxPool2d(2)), (1, 8, 8), Drawing())
        (16, 64)
    """
    formulas, numbers = 0, prod(input_shape)
    for stage in stages_of(network, input_shape, drawing.fuse):
        for tensor in network.layers[stage.name].tensors(stage.input_shape):
            if tensor.role.is_formula:
                formulas += prod(tensor.shape)
            else:
                numbers += prod(tensor.shape)
    return formulas, numbers


def _sheet(network: Sequential, input_shape: Shape, drawing: Drawing) -> SheetBudget:
    formulas, numbers = count_cells(network, input_shape, drawing)
    try:
        layout = lay_out(network, input_shape, drawing)
        size, ranges = _spelled(network, layout)
    except LayoutError as error:
        return SheetBudget(drawing.worksheet, formulas, numbers, str(error))
    shapes = [input_shape, *network.shapes(input_shape).values()]
    products = sum(
        layer.multiplications(shape) for (_, layer), shape in zip(network, shapes, strict=False)
    )
    bounds = [grid.bounds for placed in layout.placed.values() for grid in placed.grids]
    return SheetBudget(
        drawing.worksheet,
        formulas,
        numbers,
        "",
        max(area.last_row for area in bounds) + 1,
        max(area.last_column for area in bounds) + 1,
        size + _BYTES_PER_NUMBER * numbers,
        {
            name: float(np.dot(each, (formulas, numbers, ranges, products)))
            for name, each in _SECONDS.items()
        },
    )


def _spelled(network: Sequential, layout: SheetLayout) -> tuple[float, int]:
    """The bytes that all formulas take, and how many ranges they name."""
    size, ranges = 0.0, 0
    for stage in layout.stages:
        for item in stage_formulas(network, stage, layout.placed, layout.drawing):
            # The last cell's is as long as any.
            text = formula_text(item.formula, item.grid.height - 1, item.grid.width - 1)
            ranges += item.grid.size * text.count(":")
            each = _BYTES_PER_FORMULA + _BYTES_PER_CHARACTER * len(text)
            size += item.grid.size * (_BYTES_PER_SHARED if can_share(item) else each)
    return size, ranges


def _about(number: float) -> str:
    """A number with the two digits that an estimate has.

    Example:
        >>> _about(172_280), _about(1.26), _about(0.0345), _about(0.00012)
        ('170,000', '1.3', '0.03', '0.01')
    """
    if number < 10:
        return f"{max(number, 0.01):.2f}" if number < 0.095 else f"{number:.1f}"
    digits = len(str(round(number))) - 2
    return f"{round(number, -digits):,.0f}"
