"""Losses, steps of optimisers and schedules as formulas: spreadsheets compute what NumPy does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xlsxwriter

from sheetconv.calculators import Engine, OpenBook, find_engine
from sheetconv.cells import Cell, Grid, Range
from sheetconv.errors import LayoutError
from sheetconv.formulas import CellFormulas, Moving, Placed, Role, can_share, formula_text
from sheetconv.training.losses import LOSSES, MSE, BCEWithLogits, CrossEntropy, Loss, LossView
from sheetconv.training.optimisers import OPTIMISERS, SGD, Adam, AdamW, Optimiser, RMSprop
from sheetconv.training.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    Schedule,
    Step,
)

POISON = 777.0
#: All of them are in Excel 2007, and in every other program.
FUNCTIONS = {
    *("ABS", "AVERAGE", "COS", "EXP", "IF", "INDEX", "INT", "LN", "MAX", "MOD", "PI"),
    *("SQRT", "SUM", "SUMPRODUCT", "SUMSQ"),
}


class Book:
    """Numbers and formulas, gathered cell by cell, and what a program makes of them."""

    def __init__(self) -> None:
        self.numbers: dict[Cell, float] = {}
        self.formulas: dict[Cell, str] = {}

    def write_numbers(self, placed: Placed | Grid, values: Any) -> None:
        # XlsxWriter writes 16 digits: with so few the numbers read back as they are.
        given = np.asarray(values, float)
        assert np.array_equal(given, given.round(9))
        self.numbers |= zip(cells_of(placed), given.ravel().tolist(), strict=True)

    def write_formulas(self, formulas: list[CellFormulas]) -> None:
        for item in formulas:
            for number, cell in enumerate(item.grid.cells()):
                i, j = divmod(number, item.grid.width)
                assert cell not in self.formulas
                self.formulas[cell] = formula_text(item.formula, i, j)

    def write(self, path: Path) -> Path:
        cells: dict[Cell, Any] = {**self.numbers, **self.formulas}
        with xlsxwriter.Workbook(path) as book:
            sheets = {name: book.add_worksheet(name) for name in sorted({c.sheet for c in cells})}
            for cell, content in cells.items():
                place = (cell.row, cell.column)
                if isinstance(content, str):
                    sheets[cell.sheet].write_formula(*place, f"={content}", None, POISON)
                else:
                    sheets[cell.sheet].write_number(*place, content)
        return path

    def take(self, other: Book, sheet: str) -> None:
        """Put another book's one worksheet beside one's own."""
        self.numbers |= {replace(cell, sheet=sheet): it for cell, it in other.numbers.items()}
        self.formulas |= {replace(cell, sheet=sheet): it for cell, it in other.formulas.items()}

    def edited(self, cell: Cell, content: str | float) -> Book:
        """The same with another content in one cell."""
        book = Book()
        book.numbers, book.formulas = dict(self.numbers), dict(self.formulas)
        (book.formulas if isinstance(content, str) else book.numbers)[cell] = content
        return book

    def values(self, path: Path, engine: Engine | None = None) -> dict[Cell, Any]:
        with (engine or find_engine("ironcalc")).open(self.write(path)) as opened:
            opened.recalculate()
            return self.read(opened)

    def read(self, opened: OpenBook) -> dict[Cell, Any]:
        values: dict[Cell, Any] = {}
        for sheet in sorted({cell.sheet for cell in self.formulas}):
            cells = [cell for cell in self.formulas if cell.sheet == sheet]
            area = Range(
                *(sheet, 0, 0),
                *(max(cell.row for cell in cells) + 1, max(cell.column for cell in cells) + 1),
            )
            rows = opened.get_values(area)
            values |= {cell: rows[cell.row][cell.column] for cell in cells}
        assert POISON not in values.values()
        return values


def cells_of(placed: Placed | Grid) -> list[Cell]:
    grids = (placed,) if isinstance(placed, Grid) else placed.grids
    return [cell for grid in grids for cell in grid.cells()]


def values_on(sheet: str, values: dict[Cell, Any]) -> dict[Cell, Any]:
    """What stands on one worksheet, as if it were called s."""
    return {replace(cell, sheet="s"): it for cell, it in values.items() if cell.sheet == sheet}


def differs(compare: Callable[[], None]) -> bool:
    try:
        compare()
    except AssertionError:
        return True
    return False


# --- Losses

#: How the scores of an image may stand: the grids of K units, from a row on.
ARRANGEMENTS: dict[str, Callable[[int, int], list[Grid]]] = {
    "column": lambda row, k: [Grid("s", row, 1, k, 1)],
    "elsewhere": lambda row, k: [Grid("the scores", row, 1, k, 1)],
    "row": lambda row, k: [Grid("s", row, 1, 1, k)],
    "plane": lambda row, k: [Grid("s", row, 1, 3, k // 3)],
    "aligned": lambda row, k: [Grid("s", row, 1, 3, k // 3, 2, 3)],
    "cells": lambda row, k: [Grid("s", row + 3 * c, 1, 1, 1) for c in range(k)],
    "planes": lambda row, k: [Grid("s", row + 5 * c, 1, 2, 2) for c in range(k // 4)],
    "columns": lambda row, k: [Grid("s", row + 9 * c, 1, 4, 1, 2) for c in range(k // 4)],
    "rows": lambda row, k: [Grid("s", row + c, 1, 1, 4, 1, 2) for c in range(k // 4)],
    "apart": lambda row, k: [Grid("s", row + 5 * c, 1, 2, 2, 2, 2) for c in range(k // 4)],
    "uneven": lambda row, k: [Grid("s", row + 4 * c * c, 1, 2, 2) for c in range(k // 4)],
    "beside": lambda row, k: [Grid("s", row, 1 + 4 * c, 2, 2) for c in range(k // 4)],
    "above": lambda row, k: [Grid("s", row + 20 - 5 * c, 1, 2, 2) for c in range(k // 4)],
}
LOSS_CASES: dict[str, Loss] = {
    "cross-entropy": CrossEntropy(),
    "smoothed": CrossEntropy(0.1),
    "all smoothed": CrossEntropy(1.0),
    "hardly smoothed": CrossEntropy(1e-6),
    "bce": BCEWithLogits(),
    "mse": MSE(),
    "mse, classes": MSE(),
}
every_loss = pytest.mark.parametrize("case", LOSS_CASES)
IMAGES, COUNT = 6, 8


def random_batch(case: str, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, outputs), small ones, extreme ones and ties, and targets that fit the loss."""
    rng = np.random.default_rng(outputs)
    scores = rng.normal(size=(IMAGES, outputs))
    scores[1] = np.where(np.arange(outputs) % 2, -800, 800)
    scores[2] = 2.5
    scores[3] = -800
    scores[4] *= 30
    scores[5] = 800 + scores[5]
    if case == "bce":
        return scores.round(6), rng.uniform(size=scores.shape).round(rng.integers(0, 3))
    if case == "mse":
        return scores.round(6), rng.normal(size=scores.shape).round(3)
    return scores.round(6), rng.integers(0, outputs, IMAGES)


def loss_views(
    loss: Loss, arrangement: str, outputs: int, shape: tuple[int, ...]
) -> list[LossView]:
    """Where everything of every image stands; the gradient is arranged as the scores are."""
    views = []
    for image in range(IMAGES):
        row = 5 + 60 * image
        grids = ARRANGEMENTS[arrangement](row, outputs)
        target = Grid("s", row, 18, outputs if shape else 1, 1)
        own = {}
        for number, tensor in enumerate(loss.tensors(outputs)):
            column = Grid("s", row, 22 + 2 * number, *(tensor.shape or (1,)), 1)
            own[tensor.name] = Placed(tensor.shape, tensor.role, (column,))
        moved = tuple(replace(grid, sheet="s", column=grid.column + 40) for grid in grids)
        own["grad"] = replace(own["grad"], grids=moved)
        scores = Placed((outputs,), Role.OUTPUT, tuple(grids))
        views.append(LossView("s", scores, Placed(shape, Role.INPUT, (target,)), own, "$A$2"))
    return views


def drawn_loss(case: str, arrangement: str, outputs: int) -> tuple[Book, list[LossView]]:
    loss, (scores, targets) = LOSS_CASES[case], random_batch(case, outputs)
    book, views = Book(), loss_views(loss, arrangement, outputs, targets.shape[1:])
    book.write_numbers(Grid("s", 1, 0, 1, 1), [COUNT])
    for view, own, wanted in zip(views, scores, targets, strict=True):
        book.write_numbers(view.scores, own)
        book.write_numbers(view.targets, wanted)
        book.write_formulas(loss.formulas(view))
    return book, views


def compare_loss(
    case: str, outputs: int, views: list[LossView], values: dict[Cell, Any], snap: float = 0.0
) -> None:
    """Hold what a program computed against NumPy; `snap` is what it may take for zero."""
    expected = LOSS_CASES[case].expected(*random_batch(case, outputs), COUNT)
    tensors = LOSS_CASES[case].tensors(outputs)
    assert list(expected) == [tensor.name for tensor in tensors]
    # Small differences of scores of 800, or of probabilities near 1.
    least = {"grad": 1e-15 / COUNT + snap, "loss": 1e-15 + snap, "element": 3e-14 + snap}
    for tensor in tensors:
        got = [[values[cell] for cell in cells_of(view.own[tensor.name])] for view in views]
        np.testing.assert_allclose(
            np.array(got, float).reshape(IMAGES, *tensor.shape),
            expected[tensor.name],
            *(1e-14, least.get(tensor.name, 1e-300)),
            err_msg=f"{case}, {outputs} outputs: {tensor.name}",
        )


@pytest.mark.parametrize("arrangement", ["column", "cells"])
@every_loss
def test_losses_of_any_number_of_outputs(case: str, arrangement: str, tmp_path: Path) -> None:
    book, drawn = Book(), {}
    for outputs in range(1, 13):
        one, drawn[outputs] = drawn_loss(case, arrangement, outputs)
        book.take(one, f"{outputs} outputs")
    values = book.values(tmp_path / "x.xlsx")
    for outputs, views in drawn.items():
        compare_loss(case, outputs, views, values_on(f"{outputs} outputs", values))


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@every_loss
def test_losses_of_scores_on_planes(case: str, arrangement: str, tmp_path: Path) -> None:
    book, views = drawn_loss(case, arrangement, 12)
    values = book.values(tmp_path / "x.xlsx")
    compare_loss(case, 12, views, values)
    # The class is found by its number alone, whatever the arrangement.
    if case == "cross-entropy":
        index = formula_text(CrossEntropy().formulas(views[0])[-1].formula)
        assert ("INDEX" in index) == (arrangement not in ("uneven", "beside", "above"))


@every_loss
def test_the_comparison_of_losses_finds_what_is_wrong(case: str, tmp_path: Path) -> None:
    book, views = drawn_loss(case, "planes", 12)
    values = book.values(tmp_path / "x.xlsx")
    compare_loss(case, 12, views, values)
    for view in (views[0], views[5]):
        for name in view.own:
            cell = cells_of(view.own[name])[-1]
            wrong = {**values, cell: 0.99999 * values[cell] + 1e-9}
            assert differs(lambda seen=wrong: compare_loss(case, 12, views, seen)), cell
    target, grad = cells_of(views[4].targets)[0], cells_of(views[0].own["grad"])[3]
    edits: list[tuple[Cell, str | float]] = [
        (Cell("s", 1, 0), COUNT + 1.0),
        (grad, f"1.00001*({book.formulas[grad]})"),
    ]
    if case != "all smoothed":
        edits.append((target, 2.0 if book.numbers[target] != 2 else 1.0))
    for cell, content in edits:
        values = book.edited(cell, content).values(tmp_path / "x.xlsx")
        assert differs(lambda seen=values: compare_loss(case, 12, views, seen)), cell


@every_loss
def test_what_losses_expect_is_what_training_computes(case: str) -> None:
    loss, (scores, targets) = LOSS_CASES[case], random_batch(case, 12)
    columns = np.ascontiguousarray(scores.T)
    grad = np.empty_like(columns)
    share = loss.share(columns, targets, COUNT, grad)
    kept = scores.copy()
    as_read = targets.astype(float) if targets.ndim == 1 else targets
    expected = loss.expected(scores, as_read, COUNT)
    np.testing.assert_array_equal(expected["grad"], grad.T)
    assert expected["loss"].sum() / COUNT == pytest.approx(share, rel=1e-13)
    np.testing.assert_array_equal(scores, kept)
    for tensor in loss.tensors(12):
        assert expected[tensor.name].shape == (IMAGES, *tensor.shape)
        assert expected[tensor.name].dtype == np.float64


@every_loss
def test_gradient_cells_are_the_slope_of_loss_cells(case: str, tmp_path: Path) -> None:
    book, views = drawn_loss(case, "planes", 12)
    view, step = views[0], 1e-5
    with find_engine("ironcalc").open(book.write(tmp_path / "x.xlsx")) as opened:
        for k in (0, 7, 11):
            cell, losses = cells_of(view.scores)[k], []
            area = Range(cell.sheet, cell.row, cell.column)
            for moved in (step, -step, 0.0):
                opened.set_values(area, [[book.numbers[cell] + moved]])
                opened.recalculate()
                values = book.read(opened)
                losses.append(values[cells_of(view.own["loss"])[0]])
            slope = (losses[0] - losses[1]) / (2 * step) / COUNT
            assert values[cells_of(view.own["grad"])[k]] == pytest.approx(slope, abs=1e-9)
            assert abs(slope) > 1e-4


def test_columns_are_filled_down() -> None:
    (view, *_) = loss_views(BCEWithLogits(), "column", 5, (5,))
    spelled = {item.tensor: item for item in BCEWithLogits().formulas(view)}
    assert list(spelled) == ["exp", "probability", "element", "grad", "loss"]
    assert all(can_share(item) for item in spelled.values() if item.tensor != "loss")
    assert formula_text(spelled["element"].formula, 2) == "MAX(B8,0)-B8*S8+LN(1+W8)"
    (view, *_) = loss_views(BCEWithLogits(), "planes", 12, (12,))
    assert sum(item.tensor == "grad" for item in BCEWithLogits().formulas(view)) == 12


def test_what_cannot_be_spelled_is_refused() -> None:
    (numbers, *_) = loss_views(BCEWithLogits(), "column", 3, (3,))
    (one_class, *_) = loss_views(CrossEntropy(), "column", 3, ())
    refused: list[tuple[Loss, LossView, str]] = [
        (CrossEntropy(), replace(one_class, targets=numbers.targets), "shape (3,): expected ()"),
        (BCEWithLogits(), replace(numbers, targets=one_class.targets), "shape (): expected (3,)"),
        (MSE(), replace(one_class, targets=Placed((2,), Role.INPUT, (Grid("s", 0, 0, 2, 1),))),
         "shape (2,): expected () or (3,)"),
    ]  # fmt: skip
    for outputs, said in ((256, "stand on 256 planes, and MAX takes 255"), (252, "needs")):
        grids = tuple(
            Grid("s", 10000 + 2 * place + place // 4, 700, 1, 1) for place in range(outputs)
        )
        own = loss_views(CrossEntropy(0.1), "column", outputs, ())[0].own
        scores = Placed((outputs,), Role.OUTPUT, grids)
        view = LossView("s", scores, one_class.targets, own, "$A$2")
        refused.append((CrossEntropy(0.1), view, said))
    for loss, view, said in refused:
        with pytest.raises(LayoutError) as caught:
            loss.formulas(view)
        assert said in str(caught.value)
        assert str(caught.value).startswith(f"{loss.name}: ")
        assert "\n" not in str(caught.value)


# --- Optimisers

STEPS = 10
OPTIMISER_CASES: list[Optimiser] = [
    SGD(0.05),
    SGD(0.05, weight_decay=0.1),
    SGD(0.05, momentum=0.9),
    SGD(0.02, momentum=0.8, dampening=0.3, weight_decay=0.02),
    SGD(0.02, momentum=0.9, dampening=0.75),
    SGD(0.02, momentum=0.9, nesterov=True, weight_decay=0.01),
    RMSprop(),
    RMSprop(0.003, alpha=0.9, eps=1e-3, weight_decay=0.1),
    RMSprop(momentum=0.5),
    RMSprop(0.003, momentum=0.7, centered=True, weight_decay=0.05),
    RMSprop(centered=True, alpha=0.5),
    Adam(),
    Adam(0.05, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.2),
    Adam(betas=(0.0, 0.5)),
    AdamW(),
    AdamW(0.05, betas=(0.7, 0.99), weight_decay=0.3),
]
#: The momentum of each step; a schedule may begin with 0, and come down to it.
COURSES: dict[str, list[float] | None] = {
    "own": None,
    "driven": [0.95, 0.9, 0.85, 0.0, 0.0, 0.3, 0.99, 0.9, 0.5, 0.1],
    "from 0": [0.0, 0.9, 0.85, 0.9, 0.0, 0.3, 0.99, 0.9, 0.5, 0.1],
}
every_optimiser = pytest.mark.parametrize("optimiser", OPTIMISER_CASES, ids=repr)
STARTS = np.array([1.25, -0.375, 0.0, 3.0, 1e-6])


def gradients_of(step: int) -> np.ndarray:
    """Some change, some stay, the third is 0 at first, the last is tiny."""
    changing = np.random.default_rng(step).normal(size=5)
    return (changing * [1, 20, step > 4, 0, 1e-4] + [0, 0, 0, 2, 0]).round(9)


class Course:
    """Steps of an optimiser, side by side: a block of columns each, an element a row."""

    def __init__(self, sheet: str, optimiser: Optimiser, momenta: list[float] | None) -> None:
        self.optimiser, self.sheet = optimiser, sheet
        self.columns = ("value", "gradient", *optimiser.kept)
        self.hyper = [
            (round(optimiser.lr * (1 + step % 3), 9), None if momenta is None else momenta[step])
            for step in range(STEPS)
        ]

    def grid(self, step: int, name: str) -> Grid:
        column = step * (len(self.columns) + 1) + self.columns.index(name)
        return Grid(self.sheet, 10, column, len(STARTS), 1)

    def cell(self, step: int, name: str) -> Moving:
        grid = self.grid(step, name)
        return Moving("", grid.row, grid.column, 1, 1, 1, 1)

    def draw(self, book: Book) -> None:
        optimiser = self.optimiser
        for name in self.columns:
            book.write_numbers(self.grid(0, name), STARTS if name == "value" else 0 * STARTS)
        for step, (lr, momentum) in enumerate(self.hyper):
            book.write_numbers(self.grid(step, "gradient"), gradients_of(step))
            numbers = {**optimiser.cells(), "number": step + 1, "lr": lr}
            for driven in ("momentum", "beta1"):
                if driven in numbers and momentum is not None:
                    numbers[driven] = momentum
            column = self.grid(step, "value").column
            places = {name: Grid(self.sheet, i, column, 1, 1) for i, name in enumerate(numbers)}
            for name, place in places.items():
                book.write_numbers(place, [numbers[name]])
            cells = {name: place.bounds.absolute for name, place in places.items()}
            spelled = optimiser.formulas(
                (self.cell(step, "value"),),
                (self.cell(step, "gradient"),),
                {name: (self.cell(step, name),) for name in optimiser.kept},
                {name: (self.cell(step + 1, name),) for name in optimiser.kept},
                {name: cells[name] for name in optimiser.cells()},
                cells["number"],
            )
            assert set(spelled) == {"value", *optimiser.kept}
            drawn = [
                CellFormulas(name, 0, self.grid(step + 1, name), formula)
                for name, formula in spelled.items()
            ]
            assert all(can_share(item) for item in drawn)
            book.write_formulas(drawn)

    def taken(self) -> Iterator[dict[str, np.ndarray]]:
        """What NumPy's steps leave."""
        values, state = STARTS.copy(), self.optimiser.init_state(len(STARTS), float)
        for step, (lr, momentum) in enumerate(self.hyper):
            self.optimiser.step(
                *(values, gradients_of(step), state), lr=lr, momentum=momentum, number=step + 1
            )
            yield {"value": values, **state}

    def compare(self, values: dict[Cell, Any], rtol: float = 1e-13) -> None:
        for step, expected in enumerate(self.taken(), 1):
            for name, vector in expected.items():
                got = [values[cell] for cell in cells_of(self.grid(step, name))]
                message = f"{self.optimiser}: {name} after step {step}"
                np.testing.assert_allclose(got, vector, rtol, 1e-300, err_msg=message)


@pytest.mark.parametrize("momenta", COURSES)
@every_optimiser
def test_steps_of_optimisers(optimiser: Optimiser, momenta: str, tmp_path: Path) -> None:
    book, course = Book(), Course("s", optimiser, COURSES[momenta])
    course.draw(book)
    course.compare(book.values(tmp_path / "x.xlsx"))


@every_optimiser
def test_the_comparison_of_steps_finds_what_is_wrong(optimiser: Optimiser, tmp_path: Path) -> None:
    book, course = Book(), Course("s", optimiser, COURSES["driven"])
    course.draw(book)
    column = course.grid(7, "value").column
    with find_engine("ironcalc").open(book.write(tmp_path / "x.xlsx")) as opened:
        for row, name in enumerate(optimiser.cells()):
            area = Range("s", row, column)
            for content, wrong in ((0.123, True), (book.numbers[area.first], False)):
                opened.set_values(area, [[content]])
                opened.recalculate()
                values = book.read(opened)
                assert differs(lambda seen=values: course.compare(seen)) is wrong, name
    for name in ("value", *optimiser.kept):
        cell = course.grid(3, name).cell(1, 0)
        off = {**values, cell: values[cell] * (1 + 1e-12)}
        assert differs(lambda seen=off: course.compare(seen)), name
    planted = book.edited(cell, f"({book.formulas[cell]})*(1+1E-12)").values(tmp_path / "x.xlsx")
    assert differs(lambda: course.compare(planted))


def test_a_variance_below_zero_is_none(tmp_path: Path) -> None:
    """Of gradients that are all alike, the rounding of either sign is left."""
    optimiser, book = RMSprop(0.5, eps=0.25, centered=True), Book()
    given = {**optimiser.cells(), "value": 3.0, "gradient": 1.0, "square": 1.0, "mean": 1.0000001}
    book.write_numbers(Grid("s", 0, 0, len(given), 1), list(given.values()))
    at = {name: f"A{row}" for row, name in enumerate(given, 1)}
    kept = {"square_avg": (at["square"],), "grad_avg": (at["mean"],)}
    spelled = optimiser.formulas((at["value"],), (at["gradient"],), kept, kept, at, "")
    book.formulas[Cell("s", 0, 1)] = formula_text(spelled["value"])
    assert list(book.values(tmp_path / "x.xlsx").values()) == [3.0 - 0.5 * 1.0 / 0.25]


def test_cells_of_optimisers() -> None:
    assert SGD().cells() == {"lr": 0.001, "weight_decay": 0.0}
    assert list(SGD(momentum=0.9).cells()) == ["lr", "momentum", "weight_decay"]
    damped = SGD(momentum=0.9, dampening=0.1, weight_decay=0.5).cells()
    assert damped == {"lr": 0.001, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.5}
    assert list(RMSprop().cells()) == ["lr", "alpha", "eps", "weight_decay"]
    assert list(RMSprop(momentum=0.1).cells())[1] == "momentum"
    assert list(Adam().cells()) == ["lr", "beta1", "beta2", "eps", "weight_decay"]
    assert AdamW().cells()["weight_decay"] == 0.01
    for optimiser in OPTIMISER_CASES:
        driven = {"momentum", "beta1"} & set(optimiser.cells())
        assert len(driven) == optimiser.has_momentum
        assert all(optimiser.cells()[name] == optimiser.own_momentum for name in driven)
    assert {type(optimiser) for optimiser in OPTIMISER_CASES} == set(OPTIMISERS.values())


# --- Schedules

SCHEDULE_CASES: list[Schedule] = [
    Constant(),
    Step(1, 0.9),
    Step(3),
    Step(2, 0.0),
    Step(100, 1.0),
    Cosine(),
    Cosine(0.001),
    Cosine(1e-7),
    OneCycle(),
    OneCycle(0.3, 10.0, 1e3, (0.9, 0.5, 0.7)),
    OneCycle(0.0, moms=(0.1, 0.0, 0.9)),
    OneCycle(0.99, moms=None),
    Exponential(num_it=63),
]
every_schedule = pytest.mark.parametrize("schedule", SCHEDULE_CASES, ids=repr)
BATCHES, PER_EPOCH, LR, MOMENTUM = 63, 9, 0.3, 0.625


def draw_schedule(book: Book, sheet: str, schedule: Schedule) -> None:
    book.write_numbers(Grid(sheet, 0, 0, 1, 3), [BATCHES, LR, MOMENTUM])
    for batch in range(BATCHES):
        row = batch + 2
        book.write_numbers(Grid(sheet, row, 0, 1, 2), [batch, batch // PER_EPOCH])
        spelled = schedule.formulas(f"A{row + 1}", "$A$1", f"B{row + 1}", "$B$1", "$C$1")
        for column, text in enumerate(spelled, 2):
            book.formulas[Cell(sheet, row, column)] = text


def compare_schedule(sheet: str, schedule: Schedule, values: dict[Cell, Any]) -> None:
    for batch in range(BATCHES):
        hyper = schedule.at(batch, BATCHES, batch // PER_EPOCH, LR)
        expected = (hyper.lr, MOMENTUM if hyper.momentum is None else hyper.momentum)
        got = [values[Cell(sheet, batch + 2, column)] for column in (2, 3)]
        np.testing.assert_allclose(got, expected, 1e-15, err_msg=f"{schedule}: {batch}")


@every_schedule
def test_schedules(schedule: Schedule, tmp_path: Path) -> None:
    book = Book()
    draw_schedule(book, "s", schedule)
    values = book.values(tmp_path / "x.xlsx")
    compare_schedule("s", schedule, values)
    for column in (2, 3):
        cell = Cell("s", 40, column)
        wrong = {**values, cell: values[cell] * (1 + 1e-14) + 1e-20}
        assert differs(lambda seen=wrong: compare_schedule("s", schedule, seen))


def test_other_schedules_differ(tmp_path: Path) -> None:
    book = Book()
    draw_schedule(book, "s", Cosine())
    values = book.values(tmp_path / "x.xlsx")
    for other in SCHEDULE_CASES:
        if other != Cosine():
            assert differs(lambda it=other: compare_schedule("s", it, values))
    assert {type(schedule) for schedule in SCHEDULE_CASES} >= set(SCHEDULES.values())


# --- All together


def everything() -> tuple[Book, list[Callable[[dict[Cell, Any]], None]]]:
    """A book with a worksheet for each optimiser and schedule, and what compares them."""
    book, compares = Book(), list[Callable[[dict[Cell, Any]], None]]()
    for number, optimiser in enumerate(OPTIMISER_CASES):
        course = Course(f"opt_{number}", optimiser, COURSES["driven"])
        course.draw(book)
        compares.append(course.compare)
    for number, schedule in enumerate(SCHEDULE_CASES):
        sheet = f"plan_{number}"
        draw_schedule(book, sheet, schedule)
        compares.append(
            lambda values, sheet=sheet, it=schedule: compare_schedule(sheet, it, values)
        )
    return book, compares


def before_base(text: str, power: int) -> str:
    """What stands before the number, reference or brackets whose power is taken."""
    start, depth = power, 0
    while start and (depth or text[start - 1] not in "(,+-*/<>="):
        start -= 1
        depth += {")": 1, "(": -1}.get(text[start], 0)
        if text[start] == "(" and not depth:
            break
    return text[start - 1]


def test_functions_are_those_of_excel_2007() -> None:
    books = [everything()[0]]
    books += [drawn_loss(case, place, 12)[0] for case in LOSS_CASES for place in ARRANGEMENTS]
    texts = {text for book in books for text in book.formulas.values()}
    used = {name for text in texts for name in re.findall(r"([A-Z][A-Z0-9.]*)\(", text)}
    assert used == FUNCTIONS
    # -A1^2 is the square of -A1: every power stands in brackets of its own.
    bases = [
        before_base(text, match.start()) for text in texts for match in re.finditer(r"\^", text)
    ]
    assert set(bases) == {"("}
    assert before_base("B1-(A1+2)^2", 9) == before_base("B1-$A$1^2", 7) == "-"
    assert set(LOSSES.values()) == {type(loss) for loss in LOSS_CASES.values()}


def test_libreoffice_agrees(libreoffice: Engine, tmp_path: Path) -> None:
    book, compares = everything()
    drawn = []
    for case, place in zip(LOSS_CASES, ("aligned", "planes", "cells", "uneven") * 2, strict=False):
        one, views = drawn_loss(case, place, 12)
        book.take(one, f"loss {len(drawn)}")
        drawn.append((case, views))
    values = book.values(tmp_path / "x.xlsx", libreoffice)
    for compare in compares:
        compare(values)
    for number, (case, views) in enumerate(drawn):
        compare_loss(case, 12, views, values_on(f"loss {number}", values), snap=4e-15)
