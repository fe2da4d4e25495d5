"""The check of workbooks: every kind of planted error is found and named, and nothing else is.

Errors are planted in small networks that hold every way of drawing (bias, stride, drawn
padding, dropout, compact and aligned pools, several outputs), in both formula styles, and
a few in conv-example itself.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import planting
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planting import (
    Content,
    Hand,
    cached_value,
    formula_of,
    recached,
    resave_in_libreoffice,
    spliced,
    typed,
)

import sheetconv as sc
from sheetconv import description
from sheetconv.calculators import CellError, Engine, EngineStatus, OpenBook, Value, find_engine
from sheetconv.cells import Cell, Range, parse_cell
from sheetconv.checking import NUMBERS, POISON, CheckResult, check, report
from sheetconv.drawing import FormulaStyle
from sheetconv.errors import CalculatorError, CheckError, SheetconvError, WorkbookError
from sheetconv.formulas import Placed, Role
from sheetconv.network_sheet import NetworkSheet
from sheetconv.template import load_template
from sheetconv.workbook import build_workbook
from sheetconv.xlsx import sheet_parts

CONV_EXAMPLE = "conv-example"
DROPOUT = "conv-example (dropout)"


@dataclass(frozen=True)
class Book:
    """A workbook that a test may spoil."""

    path: Path
    worksheet: str
    placed: dict[str, Placed]
    style: FormulaStyle

    def cell(self, tensor: str, index: int) -> str:
        """A1 text of a unit by its flat index."""
        cells = [cell for grid in self.placed[tensor].grids for cell in grid.cells()]
        return cells[index].a1

    def check(self, *engines: Engine, **options: Any) -> CheckResult:
        """The check, by IronCalc unless engines are given."""
        return check(self.path, engines or [find_engine("ironcalc")], **options)

    def rewrite(self, hand: Hand, cell: str, change: Callable[[str], Content]) -> None:
        """Let a hand change the formula of a cell."""
        hand(self.path, self.worksheet, cell, change(formula_of(self.path, self.worksheet, cell)))


def padded_network() -> sc.Sequential:
    return sc.Sequential(
        sc.Conv2d(1, 2, 3, padding=1),
        sc.ReLU(),
        sc.MaxPool2d(2),
        sc.Conv2d(2, 2, 2, stride=2),
        sc.Flatten(),
        sc.Linear(8, 3),
        seed=3,
    )


def dropout_network() -> sc.Sequential:
    return sc.Sequential(
        sc.Conv2d(1, 2, 3, bias=False),
        sc.ReLU(),
        sc.Dropout(0.4),
        sc.MaxPool2d(2, ceil_mode=True),
        sc.Flatten(),
        sc.Linear(18, 2),
        seed=5,
    )


def dark_above(height: int, width: int) -> np.ndarray:
    """An image whose upper half is zeros, where a wrong reference changes nothing."""
    image = np.random.default_rng(0).random((height, width))
    image[: height // 2] = 0.0
    return image


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Book]:
    """Every workbook in both formula styles; tests work on copies."""
    folder = tmp_path_factory.mktemp("books")
    books = {}
    styles: tuple[FormulaStyle, ...] = ("sumproduct", "array")
    for style in styles:
        padded = NetworkSheet(
            padded_network(), dark_above(8, 8), sc.Drawing("padded", formulas=style)
        )
        dropout = NetworkSheet(
            dropout_network(),
            dark_above(7, 8),
            sc.Drawing("dropout", formulas=style, aligned=frozenset({"maxpool1"})),
        )
        for sheet in (padded, dropout):
            name = sheet.drawing.worksheet
            built = build_workbook([sheet], folder / f"{name}-{style}.xlsx")
            books[name, style] = Book(built.path, name, dict(built.layouts[0].placed), style)
    template = load_template(CONV_EXAMPLE)
    sheets = [NetworkSheet(item.network, item.image, item.drawing) for item in template.networks]
    built = build_workbook(sheets, folder / "conv-example.xlsx")
    for layout in built.layouts:
        name = layout.drawing.worksheet
        books[name, "array"] = Book(built.path, name, dict(layout.placed), "array")
    return books


Copy = Callable[..., Book]


@pytest.fixture
def copy(originals: dict[tuple[str, str], Book], tmp_path: Path) -> Copy:
    """Makes a copy of a workbook for the test to spoil."""

    def make(name: str, style: str = "array") -> Book:
        original = originals[name, style]
        path = Path(shutil.copy(original.path, tmp_path / f"{name}-{style}.xlsx"))
        return Book(path, name, original.placed, original.style)

    return make


def wrong_cells(result: CheckResult) -> list[str]:
    return sorted(item.cell.a1 for item in result.wrong)


def assert_only(result: CheckResult, cell: str, layer: str, *, follows: bool) -> None:
    """The one cell is wrong, under the right label; consequences are counted apart.

    With `follows`, there are some wherever the workbook's own numbers show the error; what
    only a probe shows has none, since there every layer stands by itself. Behind random
    cells it is chance whether a pool passes the error on.
    """
    assert wrong_cells(result) == [cell]
    assert result.wrong[0].layer == layer
    own = [item for item in result.layers if ", probe" not in item.source]
    shown = layer == NUMBERS or any(item.wrong for item in own)
    random = any(t.placed.role is Role.NOISE for item in own for t in item.tensors)
    if not follows or not shown:
        assert result.follows == 0
    elif not random:
        assert result.follows > 0
    assert not result.ok


def shifted(formula: str, *, down: int = 0, right: int = 0, which: int = 0) -> str:
    """The formula with one of its relative ranges moved."""
    ranges = list(re.finditer(r"(?<![$A-Z])[A-Z]+\d+:[A-Z]+\d+", formula))
    area = parse_range_text(ranges[which][0])
    moved = Range("", area.row + down, area.column + right, area.height, area.width)
    return formula[: ranges[which].start()] + moved.a1 + formula[ranges[which].end() :]


def moved_cells(formula: str, *, down: int = 0, right: int = 0) -> str:
    """The formula with every relative reference to a single cell moved."""

    def moved(match: re.Match[str]) -> str:
        cell = parse_cell(match[0])
        return Cell("", cell.row + down, cell.column + right).a1

    return re.sub(r"(?<![$A-Z])[A-Z]+\d+(?![\d(])", moved, formula)


def parse_range_text(text: str) -> Range:
    first, last = (parse_cell(part) for part in text.split(":"))
    return Range(
        "", first.row, first.column, last.row - first.row + 1, last.column - first.column + 1
    )


def without_cell(formula: str, row: int, column: int) -> str:
    """MAX over a 2 x 2 window without one of its cells."""
    found = re.search(r"[A-Z]+\d+:[A-Z]+\d+", formula)
    assert found is not None
    area = parse_range_text(found[0])
    cells = [
        Cell("", area.row + i, area.column + j).a1
        for i in range(2)
        for j in range(2)
        if (i, j) != (row, column)
    ]
    return formula.replace(found[0], ",".join(cells))


def without_last_term(formula: str) -> str:
    return formula[: formula.rindex("+")] + ("}" if formula.endswith("}") else "")


def other_channels_kernel(formula: str) -> str:
    """Conv2's formula with the second channel's kernel for the first channel, too."""
    kernels = re.findall(r"\$[A-Z]+\$\d+:\$[A-Z]+\$\d+", formula)
    assert len(kernels) == 2
    return formula.replace(kernels[0], kernels[1])


def other_weights(formula: str) -> str:
    """A dense formula whose first weights are those of the second plane."""
    weights = re.findall(r"SUMPRODUCT\(([A-Z]+\d+:[A-Z]+\d+)", formula)
    return formula.replace(weights[0], weights[1], 1)


def minus_for_plus(formula: str) -> str:
    return formula.replace("+", "-", 1)


def negated(formula: str) -> str:
    return formula.replace("MAX(0,", "MAX(0,-")


def not_rectified(formula: str) -> str:
    inner = formula.strip("{=}").removeprefix("MAX(0,").removesuffix(")")
    return f"{{={inner}}}" if formula.startswith("{") else f"={inner}"


CONV1, POOL, DENSE = "conv1 + relu1", "maxpool1", "dense1"


@dataclass(frozen=True)
class Plant:
    """One wrong formula: the network, where it stands, and what is done to it."""

    network: str
    tensor: str
    index: int
    change: Callable[[str], Content]
    follows: bool = True

    @property
    def layer(self) -> str:
        """The label under which the cell has to be found."""
        name = self.tensor.partition(".")[0]
        return f"{name} + relu1" if name == "conv1" else name


PLANTS = {
    # The upper rows of the image are zeros: only a probe can see a wrong reference there.
    "row off among zeros": Plant("padded", "conv1.out", 10, lambda f: shifted(f, down=1)),
    "column off among zeros": Plant("dropout", "conv1.out", 1, lambda f: shifted(f, right=1)),
    "row off": Plant("padded", "conv1.out", 100, lambda f: shifted(f, down=1)),
    "row off, stride": Plant("padded", "conv2.out", 6, lambda f: shifted(f, down=-1, which=1)),
    "sign of the sum": Plant("padded", "conv1.out", 36, negated),
    "no rectifier": Plant("padded", "conv1.out", 37, not_rectified, follows=False),
    "no rectifier, second channel": Plant("padded", "conv1.out", 101, not_rectified, False),
    "minus for plus": Plant("padded", "conv2.out", 3, minus_for_plus),
    "no bias": Plant("padded", "conv2.out", 5, without_last_term),
    "no second channel": Plant(
        "padded", "conv2.out", 2, lambda f: without_last_term(without_last_term(f))
    ),
    "other kernel": Plant("padded", "conv2.out", 7, other_channels_kernel),
    "pool row off": Plant("padded", "maxpool1.out", 18, lambda f: shifted(f, down=1)),
    "pool column off": Plant("dropout", "maxpool1.out", 4, lambda f: shifted(f, right=-1)),
    "pool window too small": Plant("padded", "maxpool1.out", 30, lambda f: without_cell(f, 1, 1)),
    "dropout reads its neighbour": Plant(
        "dropout", "dropout1.out", 40, lambda f: moved_cells(f, right=-1)
    ),
    "share of another plane": Plant(
        "dropout", "dropout1.share", 1, lambda f: f.replace("/", "*2/"), follows=False
    ),
    "dense weights of another plane": Plant("padded", "dense1.out", 2, other_weights, False),
    "dense minus for plus": Plant("dropout", "dense1.out", 1, minus_for_plus, False),
    "dense without bias": Plant("padded", "dense1.out", 1, without_last_term, False),
}


@pytest.mark.parametrize(("style", "hand"), [("sumproduct", typed), ("array", spliced)])
@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_wrong_formula_is_named(copy: Copy, plant: Plant, style: str, hand: Hand) -> None:
    book = copy(plant.network, style)
    cell = book.cell(plant.tensor, plant.index)
    book.rewrite(hand, cell, plant.change)
    result = book.check()
    assert_only(result, cell, plant.layer, follows=plant.follows)
    assert [changed.a1 for changed in result.changed] == [cell]


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("unit", [0, 5, 21])
def test_pool_that_misses_one_cell(copy: Copy, unit: int, row: int, column: int) -> None:
    book = copy("padded", "sumproduct")
    cell = book.cell("maxpool1.out", unit + 1)
    book.rewrite(spliced, cell, lambda formula: without_cell(formula, row, column))
    assert_only(book.check(), cell, POOL, follows=True)


@pytest.mark.parametrize(
    ("tensor", "index", "change"),
    [
        ("mask", 31, lambda formula: moved_cells(formula, down=1)),
        ("zeros", 1, lambda formula: shifted(formula, down=1)),
        ("total", 0, lambda formula: formula + "+1"),
    ],
)
def test_wrong_step_within_a_layer(
    copy: Copy, tensor: str, index: int, change: Callable[[str], Content]
) -> None:
    """The steps that read a wrong one follow it; they are not wrong themselves."""
    book = copy("dropout")
    cell = book.cell(f"dropout1.{tensor}", index)
    book.rewrite(spliced, cell, change)
    result = book.check()
    assert wrong_cells(result) == [cell]
    assert {item.layer for item in result.wrong} == {"dropout1"}


@pytest.mark.parametrize("style", ["sumproduct", "array"])
@pytest.mark.parametrize(
    ("network", "tensor", "index", "layer"),
    [
        ("padded", "conv1.out", 100, CONV1),
        ("padded", "conv1.out", 9, CONV1),  # it shows 0 among zeros
        ("padded", "conv2.out", 3, "conv2"),
        ("padded", "dense1.out", 1, DENSE),
        ("dropout", "maxpool1.out", 17, POOL),
    ],
)
@pytest.mark.parametrize("hand", [typed, spliced])
def test_constant_in_place_of_a_formula(
    copy: Copy, network: str, tensor: str, index: int, layer: str, style: str, hand: Hand
) -> None:
    book = copy(network, style)
    cell = book.cell(tensor, index)
    own = cached_value(book.path, book.worksheet, cell)
    hand(book.path, book.worksheet, cell, own)
    result = book.check()
    assert_only(result, cell, layer, follows=layer != DENSE)
    (found,) = result.structure
    assert found.source == "file"
    # openpyxl writes 16 digits.
    assert found.got == pytest.approx(own, rel=1e-14)
    assert "stands where a formula is expected" in str(found)


@pytest.mark.parametrize("hand", [typed, spliced])
@pytest.mark.parametrize("content", [None, "hello", "#DIV/0!", 777.0])
@pytest.mark.parametrize(
    ("tensor", "index", "layer"), [("conv1.out", 100, CONV1), ("dense1.out", 2, DENSE)]
)
def test_formula_typed_over(
    copy: Copy, tensor: str, index: int, layer: str, content: Content, hand: Hand
) -> None:
    book = copy("padded")
    cell = book.cell(tensor, index)
    hand(book.path, book.worksheet, cell, content)
    result = book.check()
    assert_only(result, cell, layer, follows=layer != DENSE)
    assert "not recalculated" not in str(result.wrong[0])


def test_cached_value_off_by_a_little(copy: Copy) -> None:
    book = copy("padded")
    for tensor, index, layer in [("conv1.out", 104, CONV1), ("dense1.out", 0, DENSE)]:
        cell = book.cell(tensor, index)
        own = cached_value(book.path, book.worksheet, cell)
        recached(book.path, book.worksheet, cell, own + 1e-9)
        result = book.check()
        # The cells that read it still show what they should.
        assert_only(result, cell, layer, follows=False)
        assert result.wrong[0].source == "cached values"
        assert result.wrong[0].got == own + 1e-9
        assert result.wrong[0].expected == pytest.approx(own, abs=1e-14)
        recached(book.path, book.worksheet, cell, own)
    assert book.check().ok


def test_one_missing_cached_value(copy: Copy) -> None:
    book = copy("padded")
    cell = book.cell("conv2.out", 1)
    recached(book.path, book.worksheet, cell, None)
    result = book.check()
    assert_only(result, cell, "conv2", follows=False)
    assert result.wrong[0].got is None


@pytest.mark.parametrize(("style", "hand"), [("sumproduct", spliced), ("array", typed)])
@pytest.mark.parametrize(
    ("tensor", "index", "content"),
    [
        ("input", 45, "seven"),
        ("conv1.weight", 10, "#DIV/0!"),
        ("conv2.bias", 1, "none"),
        ("dense1.weight", 23, "#N/A"),
    ],
)
def test_no_number_in_a_number_cell(
    copy: Copy, tensor: str, index: int, content: str, style: str, hand: Hand
) -> None:
    book = copy("padded", style)
    cell = book.cell(tensor, index)
    hand(book.path, book.worksheet, cell, content)
    assert_only(book.check(), cell, NUMBERS, follows=True)


@pytest.mark.parametrize("formula", ["=1/3", "=C5/3", "=IF(1>2,1,0.25)"])
@pytest.mark.parametrize(("tensor", "index"), [("conv1.weight", 4), ("dense1.bias", 1)])
def test_formula_that_gives_a_number_is_a_number(
    copy: Copy, tensor: str, index: int, formula: str
) -> None:
    book = copy("padded")
    cell = book.cell(tensor, index)
    typed(book.path, book.worksheet, cell, formula)
    result = book.check()
    assert result.ok, result.wrong
    assert not result.changed


def test_number_formula_with_the_cached_value_of_what_it_replaced(copy: Copy) -> None:
    """The cached values still agree with each other, and the engine has its own number."""
    book = copy("padded")
    spliced(book.path, book.worksheet, book.cell("conv1.weight", 4), "=1/3")
    result = book.check()
    assert result.ok, result.wrong
    assert "cached values" in result.sources


@pytest.mark.parametrize("hand", [typed, spliced])
@pytest.mark.parametrize(("formula", "got"), [('="x"', "x"), ("=1/0", CellError("#DIV/0!"))])
def test_formula_that_gives_no_number(copy: Copy, formula: str, got: Value, hand: Hand) -> None:
    book = copy("padded")
    cell = book.cell("conv2.weight", 9)
    hand(book.path, book.worksheet, cell, formula)
    result = book.check()
    assert_only(result, cell, NUMBERS, follows=True)
    assert (result.wrong[0].got, result.wrong[0].source) == (got, "ironcalc")


def test_number_formula_without_a_cached_value(copy: Copy) -> None:
    book = copy("padded")
    cell = book.cell("conv2.weight", 9)
    spliced(book.path, book.worksheet, cell, "=0.5")
    recached(book.path, book.worksheet, cell, None)
    (found,) = [item for item in book.check().wrong if item.layer == NUMBERS]
    assert (found.cell.a1, found.source) == (cell, "cached values")


# No false alarms.


@pytest.mark.parametrize("style", ["sumproduct", "array"])
@pytest.mark.parametrize("network", ["padded", "dropout"])
def test_untouched_book_is_right(copy: Copy, network: str, style: str) -> None:
    book = copy(network, style)
    result = book.check()
    assert result.ok, result.wrong
    assert result.changed == []
    assert result.notes == []
    assert result.sources == [
        "cached values",
        "ironcalc",
        *(f"ironcalc, probe {number}" for number in range(1, 5)),
    ]
    formulas = sum(placed.size for placed in book.placed.values() if placed.role.is_formula)
    assert result.formula_cells == formulas
    for source in result.sources:
        cells = sum(layer.cells for layer in result.layers if layer.source == source)
        assert cells == formulas


def test_untouched_book_in_libreoffice(copy: Copy, libreoffice: Engine) -> None:
    """With probes, which write into LibreOffice; dropout and arrays are in conv-example."""
    result = copy("padded", "sumproduct").check(libreoffice)
    assert result.ok, result.wrong


def test_conv_example_in_every_engine(copy: Copy, libreoffice: Engine) -> None:
    result = copy(CONV_EXAMPLE).check(find_engine("ironcalc"), libreoffice, probes=1)
    assert result.ok, result.wrong
    assert result.formula_cells == 9_336


@pytest.mark.parametrize("style", ["sumproduct", "array"])
@pytest.mark.parametrize("network", ["padded", "dropout"])
def test_book_resaved_by_openpyxl(copy: Copy, network: str, style: str) -> None:
    book = copy(network, style)
    with planting.opened(book.path):
        pass
    result = book.check()
    assert result.ok, result.wrong
    assert result.changed == []
    assert "cached values" not in result.sources
    (note,) = result.notes
    assert "no cached values" in note


def test_without_cached_values_and_engine_nothing_can_be_said(copy: Copy) -> None:
    book = copy("padded")
    with planting.opened(book.path):
        pass
    with pytest.raises(CheckError, match="no cached values"):
        check(book.path, ())


@pytest.mark.parametrize("network", ["padded", "dropout"])
def test_book_edited_by_a_person(copy: Copy, network: str) -> None:
    """Pixels and kernels may be edited: the expectation follows them."""
    book = copy(network)
    rng = np.random.default_rng(1)
    with planting.opened(book.path) as workbook:
        sheet = workbook[book.worksheet]
        for tensor in ("input", "conv1.weight", "dense1.weight"):
            for grid in book.placed[tensor].grids:
                for cell in grid.cells():
                    sheet[cell.a1] = float(rng.normal())
        sheet[book.cell("input", 3)] = 1
    result = book.check()
    assert result.ok, result.wrong


def test_blank_pixel_counts_as_zero(copy: Copy) -> None:
    book = copy("padded")
    for index in (50, 51):
        typed(book.path, book.worksheet, book.cell("input", index), None)
    typed(book.path, book.worksheet, book.cell("conv1.weight", 4), None)
    result = book.check()
    assert result.ok, result.wrong


def test_formula_of_equal_value_is_only_reported(copy: Copy) -> None:
    book = copy("padded")
    cell = book.cell("conv1.out", 100)
    book.rewrite(
        spliced, cell, lambda f: f.strip("{}").replace("SUM(", "SUMPRODUCT(").replace("*$", ",$")
    )
    result = book.check()
    assert result.ok, result.wrong
    assert [changed.a1 for changed in result.changed] == [cell]


def test_spaces_and_case_do_not_change_a_formula(copy: Copy) -> None:
    book = copy("padded")
    cell = book.cell("dense1.out", 1)
    book.rewrite(spliced, cell, lambda f: f.lower().replace(",", ", ").replace("+", " + "))
    assert book.check().changed == []


@pytest.mark.parametrize(("network", "style"), [("padded", "sumproduct"), (CONV_EXAMPLE, "array")])
def test_book_resaved_by_libreoffice(
    copy: Copy, network: str, style: str, libreoffice: Engine, tmp_path: Path
) -> None:
    """Cached values too: LibreOffice writes 15 digits, of the image and weights as well."""
    book = copy(network, style)
    resaved = Book(resave_in_libreoffice(book.path, tmp_path), network, book.placed, book.style)
    result = resaved.check()
    assert result.ok, result.wrong
    assert result.sources[0] == "cached values"


@pytest.mark.usefixtures("libreoffice")
def test_small_numbers_resaved_by_libreoffice(tmp_path: Path) -> None:
    """It saves 15 digits, and on loading calculates some cells anew and others not."""
    rng = np.random.default_rng(3)
    network = sc.Sequential(
        sc.Conv2d(1, 16, 3, padding=1), sc.ReLU(), sc.MaxPool2d(2), sc.Flatten(), sc.Linear(576, 3)
    )
    sc.build(network, tmp_path / "small.xlsx", image=rng.random((12, 12)) / 300)
    result = check(resave_in_libreoffice(tmp_path / "small.xlsx", tmp_path), (), probes=0)
    assert result.ok, result.wrong
    assert any("15 digits" in note for note in result.notes)


# Engines that do not do as they should.


class FakeBook:
    """A book of IronCalc, some of whose values are changed as they are read.

    One that does not recalculate shows the file's values: IronCalc itself calculates what
    colour scales refer to when it opens a file.
    """

    def __init__(self, engine: FakeEngine, path: Path) -> None:
        self.engine = engine
        self.book = find_engine("ironcalc").open(path)
        self.file = planting.load_workbook(path, data_only=True)

    def set_values(self, area: Range, values: Sequence[Sequence[Value]]) -> None:
        self.book.set_values(area, values)

    def recalculate(self) -> None:
        if self.engine.recalculates:
            self.book.recalculate()

    def get_values(self, area: Range) -> list[list[Value]]:
        rows = self.book.get_values(area)
        if not self.engine.recalculates:
            sheet = self.file[area.sheet]
            cells = sheet[area.a1] if ":" in area.a1 else ((sheet[area.a1],),)
            rows = [[cell.value for cell in row] for row in cells]
        for text, change in self.engine.changes.items():
            cell = parse_cell(text)
            i, j = cell.row - area.row, cell.column - area.column
            if 0 <= i < area.height and 0 <= j < area.width:
                rows[i][j] = change(rows[i][j])
        return rows

    def close(self) -> None:
        self.book.close()

    def __enter__(self) -> FakeBook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FakeEngine:
    """IronCalc, but for the values of some cells, or without recalculating at all."""

    name = "fake"

    def __init__(
        self,
        changes: dict[str, Callable[[Value], Value]] | None = None,
        *,
        recalculates: bool = True,
    ) -> None:
        self.changes = changes or {}
        self.recalculates = recalculates

    def status(self) -> EngineStatus:
        return EngineStatus(self.name, True, "1", "here", "")

    def open(self, path: Path, *, timeout: float = 120.0) -> OpenBook:
        return FakeBook(self, path)


@pytest.mark.parametrize("network", ["padded", "dropout"])
def test_engine_that_recalculates_nothing(copy: Copy, network: str) -> None:
    book = copy(network)
    result = book.check(FakeEngine(recalculates=False))
    assert len(result.wrong) == result.formula_cells
    assert all("not recalculated" in item.reason for item in result.wrong)
    assert {item.source for item in result.wrong} == {"fake"}
    assert result.follows == 0


def test_engine_that_misses_one_cell(copy: Copy) -> None:
    book = copy("padded")
    cell = book.cell("dense1.out", 2)
    result = book.check(FakeEngine({cell: lambda _: POISON}))
    assert_only(result, cell, DENSE, follows=False)
    assert "not recalculated" in str(result.wrong[0])


@pytest.mark.parametrize("value", ["text", "", None, True, CellError("#VALUE!"), float("nan")])
def test_engine_that_gives_no_number(copy: Copy, value: Value) -> None:
    book = copy("padded")
    cell = book.cell("dense1.out", 2)
    result = book.check(FakeEngine({cell: lambda _: value}))
    assert_only(result, cell, DENSE, follows=False)
    assert result.wrong[0].source == "fake"
    assert type(result.wrong[0].got) is type(value)


@pytest.mark.parametrize("layer", [sc.Conv2d(1, 2, 3), sc.Conv2d(1, 1, 2, stride=2, bias=False)])
@pytest.mark.parametrize("direction", [1, -1])
def test_bounds_are_tight(tmp_path: Path, layer: sc.Conv2d, direction: int) -> None:
    """Twice the bound is found; half of it is rounding."""
    image = np.random.default_rng(2).normal(size=(6, 6))
    built = sc.build(sc.Sequential(layer), tmp_path / "one.xlsx", image=image)
    (own,) = check(built.path).layers[0].tensors
    expected, bound = float(own.expected[3]), float(own.bound[3])
    assert 0 < bound < 1e-13
    cell = list(own.placed.grids[0].cells())[3].a1

    def result(factor: float) -> CheckResult:
        value = expected + direction * factor * bound
        return check(built.path, [FakeEngine({cell: lambda _: value})], probes=0)

    assert_only(result(2.0), cell, "conv1", follows=False)
    assert result(0.5).ok


@pytest.mark.parametrize("value", [777.0, 1.0, -0.01, "text"])
def test_random_number_out_of_range(copy: Copy, value: Value) -> None:
    book = copy("dropout")
    cell = book.cell("dropout1.random", 7)
    result = book.check(FakeEngine({cell: lambda _: value}), probes=0)
    found = {item.cell.a1: item for item in result.wrong}
    assert cell in found
    assert "a random number in [0, 1)" in found[cell].reason
    assert found[cell].layer == "dropout1"


@pytest.mark.parametrize("constant", [777.0, 0.5])
def test_constant_in_place_of_rand(copy: Copy, constant: float) -> None:
    book = copy("dropout")
    cell = book.cell("dropout1.random", 7)
    typed(book.path, book.worksheet, cell, constant)
    assert_only(book.check(), cell, "dropout1", follows=False)


def test_other_formula_in_place_of_rand(copy: Copy) -> None:
    book = copy("dropout")
    cell = book.cell("dropout1.random", 7)
    typed(book.path, book.worksheet, cell, "=RAND()*777")
    result = book.check(probes=20)
    assert_only(result, cell, "dropout1", follows=False)
    typed(book.path, book.worksheet, cell, "=RAND()*0.5")
    result = book.check()
    assert result.ok, result.wrong
    assert [changed.a1 for changed in result.changed] == [cell]


@pytest.mark.parametrize("p", [0.0, 1.0, 0.25])
def test_dropout_edited(copy: Copy, p: float) -> None:
    """The random numbers are the workbook's own: what follows has to be consistent with them."""
    book = copy("dropout")
    typed(book.path, book.worksheet, book.cell("dropout1.p", 0), p)
    result = book.check()
    assert result.ok, result.wrong
    (shares,) = [
        tensor.got
        for layer in result.layers
        for tensor in layer.tensors
        if layer.source == "ironcalc" and tensor.name == "dropout1.share"
    ]
    if p in (0.0, 1.0):
        np.testing.assert_array_equal(shares, p)


# conv-example itself.


@pytest.mark.parametrize(
    ("cell", "layer", "change"),
    [
        ("AH3", CONV1, lambda f: shifted(f, down=1)),
        ("CB15", "conv2 + relu2", other_channels_kernel),
        ("CO12", "maxpool", lambda f: without_cell(f, 0, 1)),
    ],
)
def test_conv_example(copy: Copy, cell: str, layer: str, change: Callable[[str], Content]) -> None:
    book = copy(CONV_EXAMPLE)
    book.rewrite(spliced, cell, change)
    result = book.check()
    assert_only(result, cell, layer, follows=True)
    assert result.wrong[0].cell.sheet == CONV_EXAMPLE


def test_several_errors_are_all_named(copy: Copy) -> None:
    book = copy(CONV_EXAMPLE)
    planted = {"AK7": CONV1, "BN40": "conv2 + relu2", "DK55": "maxpool", "EN4": "dense"}
    for cell in planted:
        spliced(book.path, CONV_EXAMPLE, cell, 777.0)
    result = book.check()
    assert {item.cell.a1: item.layer for item in result.wrong} == planted


@pytest.mark.parametrize("insert", ["insert_rows", "insert_cols", "delete_rows"])
def test_rows_or_columns_inserted(copy: Copy, insert: str) -> None:
    """By openpyxl, which moves the cells, and not what formulas refer to."""
    book = copy("padded", "sumproduct")
    with planting.opened(book.path) as workbook:
        getattr(workbook[book.worksheet], insert)(2)
    result = book.check()
    assert not result.ok
    assert len(result.wrong) > 20
    assert {item.layer for item in result.wrong} >= {CONV1, POOL, "conv2", DENSE}
    [sentence] = result.moved
    assert sentence.startswith("padded: the cells do not stand where they were built")
    assert "were rows or columns inserted" in sentence
    printed = report.lines(result, {})
    assert printed.index(sentence) == printed.index(str(result.wrong[0])) - 1


def test_row_inserted_where_no_engine_opens_the_file(copy: Copy) -> None:
    """An array formula that openpyxl moved says that it stands where it stood."""
    book = copy(CONV_EXAMPLE, "array")
    with planting.opened(book.path) as workbook:
        workbook[book.worksheet].insert_rows(2)
    with pytest.raises(CalculatorError, match=r"were rows or columns inserted.*could not open"):
        book.check()


def test_rewritten_formulas_and_a_typed_number_are_no_moved_cells(copy: Copy) -> None:
    book = copy("padded", "sumproduct")
    with planting.opened(book.path) as workbook:
        for name, placed in book.placed.items():
            if placed.role.is_formula:
                for index in range(placed.size):
                    cell = workbook[book.worksheet][book.cell(name, index)]
                    cell.value = f"{cell.value}+0"
        workbook[book.worksheet][book.cell("conv2.out", 0)].value = 777.0
    result = book.check()
    assert len(result.changed) == result.formula_cells - 1
    assert result.moved == []


# Files that are not sheetconv's, or not any more.


def test_ordinary_workbook(tmp_path: Path) -> None:
    path = tmp_path / "ordinary.xlsx"
    planting.Workbook().save(path)
    with pytest.raises(CheckError, match="was not made by sheetconv"):
        check(path)


def test_text_file(tmp_path: Path) -> None:
    path = tmp_path / "text.xlsx"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(WorkbookError, match="CSV"):
        check(path)


@pytest.mark.parametrize("removed", [True, False])
def test_worksheet_gone(copy: Copy, removed: bool) -> None:
    book = copy("padded")
    with planting.opened(book.path) as workbook:
        if removed:
            workbook.create_sheet("left")
            del workbook[book.worksheet]
        else:
            workbook[book.worksheet].title = "renamed"
    with pytest.raises(CheckError, match="'padded', on which its network stood: it has"):
        check(book.path)


def described(path: Path) -> dict[str, Any]:
    """The JSON of a workbook's description."""
    sheet = planting.load_workbook(path)[description.SHEET]
    text = "".join(str(cell.value) for cell in sheet["A"][1:])
    return json.loads(text)


def redescribe(path: Path, text: str) -> None:
    spliced(path, description.SHEET, "A2", text)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text[:-20], "build the workbook again"),
        (lambda text: "", "build the workbook again"),
        (lambda text: "[" * 100_000, "build the workbook again"),
        (lambda text: text.replace('"format":2', '"format":3'), "use the sheetconv that made it"),
        (lambda text: text.replace('"format":2', '"format":null'), "format None"),
        (lambda text: text.replace('"networks"', '"nets"'), "build the workbook again"),
        (lambda text: '{"format":2,"networks":[]}', "describes no network"),
        (lambda text: text.replace("MaxPool2d", "MaxPool9d"), "'MaxPool9d' is unknown"),
        (lambda text: text.replace("out_features", "outs"), "no field 'outs'"),
        (lambda text: text.replace('"kernel_size":3', '"kernel_size":-3'), "kernel_size is -3"),
        (lambda text: text.replace('"kernel_size":3', '"kernel_size":NaN'), "again"),
        (lambda text: text.replace('"out_features":3', '"out_features":1000000000'), "units"),
        (lambda text: text.replace('"out_features":3', '"out_features":1' + "0" * 99), "again"),
        (lambda text: text.replace('"padding":1', '"padding":100000'), "units|padding"),
        (lambda text: text.replace("[1,8,8]", "[1,8,9]"), "conv|fit|expected"),
        (lambda text: text.replace("[1,8,8]", "[1,8,8.0]"), "again"),
        (lambda text: text.replace("[1,8,8]", "[1,-8,-8]"), "again"),
        (lambda text: text.replace('"padded"', '["padded"]'), "again"),
        (lambda text: text.replace('"sumproduct"', '"product"'), "again"),
        (lambda text: text.replace('"C5"', '"C5:D6"'), "one cell is expected"),
        (lambda text: text.replace('"C5"', '"XFD5"'), "outside a worksheet"),
        (lambda text: text.replace('"C5",8,8,1,1', '"C5",8,8,1'), "again"),
        (lambda text: text.replace('"C5",8,8,1,1', '"C5",8,8,0,1'), "again"),
        (lambda text: text.replace('"C5",8,8,1,1', '"C5",8,8,1,99999999'), "outside a worksheet"),
        (lambda text: text.replace('"C5",8,8,1,1', '"C5",4,16,1,1'), "cells of input do not fit"),
        (lambda text: text.replace('"role":"param"', '"role":"output"'), "do not fit its layer"),
        (lambda text: text.replace('"conv2.bias"', '"conv2.base"'), "not those of its layers"),
    ],
)
def test_damaged_description(copy: Copy, edit: Callable[[str], str], message: str) -> None:
    book = copy("padded", "sumproduct")
    text = json.dumps(described(book.path), separators=(",", ":"))
    assert edit(text) != text
    redescribe(book.path, edit(text))
    with pytest.raises(CheckError, match=message) as caught:
        check(book.path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.sampled_from([10**6, 10**9, 10**40, -(10**9), 0.5, 1e300]),
    st.sampled_from(["", "A1", "XFD1048576", "ZZZZ9", "output", "input", "Conv2d", "é\n"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    found = []
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            found.append((value, key))
            found += places(value[key])
    return found


@settings(
    derandomize=True,
    max_examples=120,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_mutated_description_is_refused_or_checked(
    originals: dict[tuple[str, str], Book], tmp_path: Path, data: st.DataObject
) -> None:
    """Whatever the description says: a result, or one of sheetconv's errors."""
    book = originals[data.draw(st.sampled_from(["padded", "dropout"])), "array"]
    content = described_once(book.path)
    for _ in range(data.draw(st.integers(1, 2))):
        found = places(content)
        container, key = found[data.draw(st.integers(0, len(found) - 1))]
        if data.draw(st.integers(0, 4)) == 0:
            del container[key]
        else:
            container[key] = data.draw(VALUES)
        if not content:
            break
    path = Path(shutil.copy(book.path, tmp_path / "mutated.xlsx"))
    redescribe(path, json.dumps(content))
    cells = 0
    with suppress(SheetconvError):
        result = check(path, [find_engine("ironcalc")], probes=1)
        cells = result.formula_cells if result.ok else 0
    # What is found right was found with cells, and no more of them than there are.
    assert cells <= sum(p.size for p in book.placed.values() if p.role.is_formula)


_DESCRIBED: dict[Path, str] = {}


def described_once(path: Path) -> dict[str, Any]:
    """A fresh copy of the description of a workbook that no test changes."""
    if path not in _DESCRIBED:
        _DESCRIBED[path] = json.dumps(described(path))
    return json.loads(_DESCRIBED[path])


def test_all_parts_of_a_long_description_are_read(
    copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = copy("padded")
    monkeypatch.setattr(description, "_PIECE", 100)
    path = book.path.with_name("long.xlsx")
    built = sc.build(padded_network(), path, image=dark_above(8, 8))
    assert len(planting.load_workbook(path)[description.SHEET]["A"]) > 10
    assert check(built.path).ok
    assert description.SHEET in sheet_parts(path)
