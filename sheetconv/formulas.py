"""How a layer spells the formulas of its cells.

A formula is a tuple of texts and *moving* references. A moving reference is what a
person gets who fills a formula right and down: it names a range for the first unit
of a plane and steps with every unit. One formula therefore stands for a whole plane,
however large, and the writer can hold it as one Excel shared formula.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import prod

from .cells import Grid, Range, quote_sheet

Shape = tuple[int, ...]

#: The most terms of a sum over planes: a formula has at most 8,192 characters, of which a term
#: takes up to 94, and a leaky rectifier holds it twice.
MOST_TERMS = 40

#: The most arguments that Excel takes of one function.
MOST_ARGUMENTS = 255


class Role(StrEnum):
    """What a drawn tensor is: who fills its cells, and whether they may be edited."""

    INPUT = "input"  # the image: numbers
    PARAM = "param"  # learned numbers: kernels, weights, biases
    BUFFER = "buffer"  # numbers that are kept but not learned: running means and variances
    SETTING = "setting"  # a number that a person turns: dropout's p
    NOISE = "noise"  # volatile formulas: RAND()
    STEP = "step"  # formulas between input and output
    OUTPUT = "output"  # formulas: the layer's activations

    @property
    def is_formula(self) -> bool:
        """Whether the cells hold formulas; the others hold numbers."""
        return self in (Role.NOISE, Role.STEP, Role.OUTPUT)


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor on its worksheet: its units in C order run through the grids one by one.

    Tensors that each image of the batch has for itself, such as activations, have the batch
    first in their shape.

    Example:
        >>> conv1 = Placed((1, 2, 26, 26), Role.OUTPUT, (
        ...     Grid("s", 2, 33, 26, 26), Grid("s", 31, 33, 26, 26)))
        >>> conv1.size
        1352
        >>> conv1.image(0).shape
        (2, 26, 26)
    """

    shape: Shape
    role: Role
    grids: tuple[Grid, ...]

    def __post_init__(self) -> None:
        if self.size != sum(grid.size for grid in self.grids):
            raise ValueError(f"shape {self.shape} does not fill grids {self.grids}")

    @property
    def size(self) -> int:
        """How many units the tensor has."""
        return prod(self.shape)

    def image(self, number: int) -> Placed:
        """One image of the batch, its shape without the batch."""
        count = len(self.grids) // self.shape[0]
        return Placed(self.shape[1:], self.role, self.grids[number * count : (number + 1) * count])


@dataclass(frozen=True, slots=True)
class Moving:
    """A reference that moves with the unit whose formula holds it.

    Unit (i, j) refers to `height` x `width` cells from row `row + i * row_step` and
    column `column + j * column_step`. `sheet` is empty for the formula's own worksheet.

    Example:
        >>> Moving("", 0, 0, 3, 3, 1, 1).text(2, 1)
        'B3:D5'
    """

    sheet: str
    row: int
    column: int
    height: int
    width: int
    row_step: int
    column_step: int

    def text(self, i: int, j: int) -> str:
        """The A1 text that unit (i, j) holds."""
        area = Range(
            self.sheet,
            self.row + i * self.row_step,
            self.column + j * self.column_step,
            self.height,
            self.width,
        )
        return str(area) if self.sheet else area.a1


Formula = tuple[str | Moving, ...]


def formula_text(formula: Formula, i: int = 0, j: int = 0) -> str:
    """The text, without the equals sign, that unit (i, j) holds.

    Example:
        >>> formula_text(("MAX(", Moving("", 3, 64, 2, 2, 2, 2), ")"), 1, 0)
        'MAX(BM6:BN7)'
    """
    return "".join(p if isinstance(p, str) else p.text(i, j) for p in formula)


def joined(separator: str, formulas: Iterable[Formula]) -> Formula:
    """Formulas with a text between them, as `str.join` does.

    Example:
        >>> joined("+", [("A1",), ("B1",)])
        ('A1', '+', 'B1')
    """
    pieces: list[str | Moving] = []
    for formula in formulas:
        if pieces:
            pieces.append(separator)
        pieces.extend(formula)
    return tuple(pieces)


def called(function: str, arguments: Sequence[Formula]) -> Formula:
    """The call of SUM or MAX, nested where there are more arguments than Excel takes.

    Example:
        >>> formula_text(called("SUM", [("A1",), ("B1:C2",)]))
        'SUM(A1,B1:C2)'
    """
    while len(arguments) > MOST_ARGUMENTS:
        starts = range(0, len(arguments), MOST_ARGUMENTS)
        arguments = [called(function, arguments[i : i + MOST_ARGUMENTS]) for i in starts]
    return (f"{function}(", *joined(",", arguments), ")")


@dataclass(frozen=True, slots=True)
class CellFormulas:
    """The formula of some units of a tensor.

    Attributes:
        tensor: the tensor's name within its layer, `out` for its activations.
        start: flat index, within the tensor, of the first unit of `grid`.
        grid: where these units stand.
        formula: what they hold.
        array: whether each cell is a one-cell array formula.
    """

    tensor: str
    start: int
    grid: Grid
    formula: Formula
    array: bool = False


def can_share(cells: CellFormulas) -> bool:
    """Whether every cell's formula is the fill-right and fill-down of the first.

    Example:
        >>> strided = Moving("", 0, 0, 2, 2, 2, 2)
        >>> can_share(CellFormulas("out", 0, Grid("s", 0, 9, 4, 4), ("MAX(", strided, ")")))
        False
    """
    grid = cells.grid
    return (
        not cells.array
        and grid.size > 1
        and all(
            (grid.height == 1 or piece.row_step == grid.row_step)
            and (grid.width == 1 or piece.column_step == grid.column_step)
            for piece in cells.formula
            if isinstance(piece, Moving)
        )
    )


@dataclass(frozen=True, slots=True)
class View:
    """What a layer sees of the worksheet when it spells its formulas.

    Attributes:
        sheet: the worksheet on which the formulas stand.
        input: where the layer's input stands: one image of it for `Layer.formulas`, the
            whole batch for `Layer.batch_formulas`.
        own: where the layer's own tensors stand, by name (`weight`, `out`, ...), likewise.
        array: whether a sum of products is a one-cell array formula, `SUM(a*b)`, as in
            fast.ai's workbook, or `SUMPRODUCT(a,b)`.
    """

    sheet: str
    input: Placed
    own: Mapping[str, Placed]
    array: bool = False

    def prefix(self, sheet: str) -> str:
        """The text before a reference to `sheet`: nothing on the view's own sheet."""
        return "" if sheet == self.sheet else quote_sheet(sheet) + "!"

    def absolute(self, grid: Grid) -> str:
        """The cells of a grid as a reference that stays where it is."""
        return self.prefix(grid.sheet) + grid.bounds.absolute

    def relative(self, grid: Grid) -> str:
        """The cells of a grid as a reference without dollar signs."""
        return self.prefix(grid.sheet) + grid.bounds.a1

    def part(self, grid: Grid, rows: range, columns: range) -> str:
        """Some adjacent units of a grid as a reference without dollar signs."""
        cell, steps = grid.cell(rows[0], columns[0]), (grid.row_step, grid.column_step)
        return self.relative(
            Grid(grid.sheet, cell.row, cell.column, len(rows), len(columns), *steps)
        )

    def areas(self, grids: Sequence[Grid]) -> list[str]:
        """References to all planes of a tensor: one each, or one to all if they are many.

        More than `MOST_TERMS` planes that stand one below the other are one range, with
        whatever lies between them.
        """
        if len(grids) <= MOST_TERMS or len({(g.sheet, g.column, g.width) for g in grids}) > 1:
            return [self.relative(grid) for grid in grids]
        top = min(grid.row for grid in grids)
        first, last = grids[0].bounds, max(grid.bounds.last_row for grid in grids)
        return [self.prefix(first.sheet) + replace(first, row=top, height=last - top + 1).a1]

    def window(
        self,
        grid: Grid,
        kernel_size: tuple[int, int] = (1, 1),
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
    ) -> Moving:
        """The window that slides over a grid.

        Args:
            grid: the plane under the window.
            kernel_size: height and width, in units of the plane.
            stride: rows and columns that the window moves for each unit.
            padding: rows above and columns left of the plane where the window begins.
        """
        return Moving(
            "" if grid.sheet == self.sheet else grid.sheet,
            grid.row - padding[0] * grid.row_step,
            grid.column - padding[1] * grid.column_step,
            (kernel_size[0] - 1) * grid.row_step + 1,
            (kernel_size[1] - 1) * grid.column_step + 1,
            stride[0] * grid.row_step,
            stride[1] * grid.column_step,
        )

    def sum_of_products(self, a: Formula, b: Formula) -> Formula:
        """The sum over two ranges of equal shape, in the view's style."""
        if self.array:
            return ("SUM(", *a, "*", *b, ")")
        return ("SUMPRODUCT(", *a, ",", *b, ")")

    def planes(self, tensor: str) -> Iterable[tuple[int, int, Grid]]:
        """Number, flat start and grid of every plane of one of the layer's tensors."""
        return _numbered(self.own[tensor].grids)


def _numbered(grids: Iterable[Grid]) -> Iterator[tuple[int, int, Grid]]:
    start = 0
    for number, grid in enumerate(grids):
        yield number, start, grid
        start += grid.size


@dataclass(frozen=True, slots=True)
class BackView(View):
    """What a layer sees when it spells the gradients of a loss.

    `own` has the gradients of its parameters and its other tensors of the way back, too, by
    name: `weight.grad`, `weight.turned`.

    Attributes:
        grad_output: the gradient of the loss with respect to the layer's output: planes like
            those of `out`, but as far apart as `Layer.gradient_steps` says, with blank cells
            between and around them.
        grad_input: where the gradient with respect to its input goes: planes like the
            input's, whose rows and columns may lie further apart. None where nobody asks for it.
    """

    grad_output: Placed = field(default_factory=lambda: Placed((0,), Role.STEP, ()))
    grad_input: Placed | None = None

    @property
    def targets(self) -> Iterator[tuple[int, int, Grid]]:
        """Number, flat start and grid of every plane of the input's gradient."""
        return _numbered(self.grad_input.grids if self.grad_input is not None else ())
