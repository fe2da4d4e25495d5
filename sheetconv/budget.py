"""What a workbook will cost, before it is built: cells, bytes, seconds, worksheets.

Cells are counted exactly. The size of the file and the seconds are estimates, with constants
fitted by `benchmarks/budgets.py` on two cores (x86-64, Linux, Python 3.11) with IronCalc 0.9.1
and LibreOffice 7.4. The size was met within 25%: most of it is digits, of which a sample is
compressed here. Seconds from a hundredth on were met within a factor of three; other machines
differ.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from .arranging import lay_out
from .batches import as_batch
from .errors import LayoutError
from .evaluate import evaluate, known_tensors
from .formulas import CellFormulas, can_share, formula_text
from .guides import Guide, plan, with_head
from .guides.contents import GuideContent, contents
from .layers.base import Array
from .layout import Layout, count_cells, stage_formulas
from .network_sheet import NetworkSheet
from .summary import summarize

# Bytes of a compressed .xlsx file.
_BYTES = 5_900.0  # of a workbook with nothing in it
_BYTES_PER_SHEET = 730.0
_BYTES_PER_DIGITS = 1.07  # for each byte of compressed numbers and cached values
_BYTES_PER_NUMBER = 3.9  # for the cell around it
_BYTES_PER_SHARED = 3.9
_BYTES_PER_FORMULA = 4.9  # written out, and for each of its characters
_BYTES_PER_CHARACTER = 0.19
_BYTES_OF_COVER = 1_500.0
_BYTES_PER_GUIDE = 2_200.0
_BYTES_PER_GUIDE_FORMULA = 8.0
_BYTES_PER_HIGHLIGHT = 90.0
_BYTES_PER_PICTURE_CELL = 2.0  # many are zeros
# How many numbers of a tensor are compressed.
_SAMPLE = 10_000
#: Seconds by engine: for each formula cell, number cell, range in a formula, multiplication.
_SECONDS = {
    "IronCalc": (1e-6, 7e-7, 0.0, 2.5e-7),
    "LibreOffice": (1.5e-6, 1e-7, 2.5e-6, 7e-8),
}


@dataclass(frozen=True, slots=True)
class NetworkBudget:
    """What one network of a workbook costs.

    Attributes:
        name: of its worksheet, or with which the names of its worksheets begin.
        formula_cells: cells that hold a formula.
        number_cells: cells that hold an input, a parameter, a buffer or a setting.
        refusal: why it cannot be drawn; empty where it can. Then what follows is known.
        worksheets: how many it takes: one, or one for the input and each layer.
        reason: why so many, in a few words.
        rows, columns: of the largest worksheet, up to the last cell of a tensor.
        guide_cells: formula cells of what explains it; they are none of `formula_cells`.
        bytes: what it adds to the file, estimated.
        seconds: engine -> seconds of one recalculation, estimated.
    """

    name: str
    formula_cells: int
    number_cells: int
    refusal: str = ""
    worksheets: int = 0
    reason: str = ""
    rows: int = 0
    columns: int = 0
    guide_cells: int = 0
    bytes: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def fits(self) -> bool:
        """Whether it can be drawn."""
        return not self.refusal

    def line(self) -> str:
        """How it is drawn, or why it is not, for the terminal."""
        if not self.fits:
            return f"{self.name}: does not fit: {self.refusal}"
        room = f"{self.rows:,} rows x {self.columns:,} columns"
        if self.worksheets == 1:
            return f"{self.name}: one worksheet, {room} ({self.reason})"
        return f"{self.name}: {self.worksheets} worksheets, at most {room} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a workbook costs.

    Attributes:
        networks: one for each, in the order of their worksheets.
    """

    networks: tuple[NetworkBudget, ...]

    @property
    def formula_cells(self) -> int:
        """Cells that hold a formula, exactly."""
        return sum(item.formula_cells for item in self.networks)

    @property
    def guide_cells(self) -> int:
        """Formula cells of what explains the networks, exactly."""
        return sum(item.guide_cells for item in self.networks)

    @property
    def number_cells(self) -> int:
        """Cells that hold an input, a parameter, a buffer or a setting, exactly."""
        return sum(item.number_cells for item in self.networks)

    @property
    def fits(self) -> bool:
        """Whether every network can be drawn; only then is the rest known."""
        return all(item.fits for item in self.networks)

    @property
    def file_size(self) -> int:
        """Bytes of the file, estimated."""
        return round(_BYTES + sum(item.bytes for item in self.networks))

    @property
    def seconds(self) -> dict[str, float]:
        """Engine -> seconds of one recalculation, estimated."""
        return {name: sum(item.seconds.get(name, 0) for item in self.networks) for name in _SECONDS}

    def lines(self) -> list[str]:
        """The budget for the terminal."""
        cells = f"{self.formula_cells:,} formula cells and {self.number_cells:,} number cells"
        out = [f"Workbook: {cells}"]
        if self.guide_cells:
            out.append(f"  and {self.guide_cells:,} formula cells that explain it (--plain: none)")
        if self.fits:
            seconds = ", ".join(f"{_about(s)} s in {name}" for name, s in self.seconds.items())
            out.append(f"  file size about {_about(self.file_size)} bytes")
            out.append(f"  recalculation about {seconds}")
        out += [f"  {item.line()}" for item in self.networks]
        return out


def budget(items: Iterable[NetworkSheet]) -> Budget:
    """What a workbook of some networks will cost.

    Args:
        items: the networks, as `build_workbook` takes them.

    Raises:
        ShapeError: the layers do not fit each other or the input.
        LayoutError: a network has nothing to draw.

    Example:
        >>> from sheetconv import Conv2d, Sequential
        >>> found = budget([NetworkSheet(Sequential(Conv2d(1, 2, 3)), np.eye(8))])
        >>> found.formula_cells, found.number_cells, found.fits
        (72, 84, True)
    """
    return Budget(tuple(map(_of_network, items)))


def _of_network(item: NetworkSheet) -> NetworkBudget:
    network, drawing = item.network, item.drawing
    images = as_batch(network, item.image)
    batch, shape = len(images), images.shape[1:]
    formulas, numbers = count_cells(network, shape, drawing, batch)
    try:
        layout = lay_out(network, shape, drawing, batch=batch)
        cells = [
            item
            for stage in layout.stages
            for item in stage_formulas(network, stage, layout.placed, drawing)
        ]
    except LayoutError as error:
        return NetworkBudget(drawing.worksheet, formulas, numbers, str(error))
    tensors = known_tensors(network, layout, images, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        tensors |= evaluate(network, layout, tensors)
    guides = _guides(item, layout, tensors)
    feeding = [own for guide in guides for items in guide.feeds().values() for own in items]
    fed = sum(own.grid.size for own in feeding)
    formulas, numbers = formulas + fed, numbers - fed
    guided = contents(guides, tensors)
    explaining = sum(own.formulas for own in guided.values())
    size = _bytes_of_guides(guides, guided) + _BYTES_PER_SHARED * fed
    size += _BYTES_PER_SHEET * len(layout.worksheets) + _BYTES_PER_NUMBER * numbers
    size += _BYTES_PER_DIGITS * sum(digits_size(tensors[name]) for name in layout.placed)
    size += sum(_spelled(item) for item in cells)
    ranges = sum(item.grid.size * _longest(item).count(":") for item in cells)
    products = batch * summarize(network, shape).multiplications
    bounds = [grid.bounds for placed in layout.placed.values() for grid in placed.grids]
    return NetworkBudget(
        drawing.worksheet,
        formulas,
        numbers,
        "",
        len(layout.worksheets),
        layout.reason,
        max(area.last_row for area in bounds) + 1,
        max(area.last_column for area in bounds) + 1,
        explaining,
        size,
        {
            name: float(np.dot(each, (formulas, numbers, ranges, products)))
            for name, each in _SECONDS.items()
        },
    )


def _guides(item: NetworkSheet, layout: Layout, tensors: Mapping[str, Array]) -> list[Guide]:
    """What explains a network; see `PreparedSheet`."""
    if item.guides is None or not item.has_guides:
        return []
    return plan(item.network, with_head(layout), tensors, item.guides, taken=layout.worksheets)[0]


def _bytes_of_guides(guides: list[Guide], guided: Mapping[str, GuideContent]) -> float:
    if not guides:
        return 0.0
    planes = [values.reshape(-1) for own in guided.values() for _, values, _ in own.planes]
    numbers = np.concatenate([np.zeros(0), *planes])
    size = _BYTES_OF_COVER + _BYTES_PER_GUIDE * sum(bool(guide.sheet) for guide in guides)
    for own in guided.values():
        size += _BYTES_PER_GUIDE_FORMULA * own.formulas
        size += _BYTES_PER_HIGHLIGHT * len(own.highlights)
    size += _BYTES_PER_PICTURE_CELL * numbers.size
    return size + _BYTES_PER_DIGITS * (digits_size(numbers) if numbers.size else 0.0)


def _longest(item: CellFormulas) -> str:
    """The formula of the last cell, which is as long as any."""
    return formula_text(item.formula, item.grid.height - 1, item.grid.width - 1)


def _spelled(item: CellFormulas) -> float:
    """The bytes of some formulas, without their cached values."""
    if can_share(item):
        return _BYTES_PER_SHARED * item.grid.size
    return item.grid.size * (_BYTES_PER_FORMULA + _BYTES_PER_CHARACTER * len(_longest(item)))


def digits_size(values: Array) -> float:
    """The bytes of numbers as compressed text, from a sample of them.

    Example:
        >>> digits_size(np.zeros(1000)) < 100, digits_size(np.pi * np.arange(1000)) > 7000
        (True, True)
    """
    flat = np.ravel(values)
    sample = flat[:: -(-flat.size // _SAMPLE)]
    text = "\n".join(map(repr, sample.tolist()))
    return len(zlib.compress(text.encode())) * flat.size / sample.size


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
