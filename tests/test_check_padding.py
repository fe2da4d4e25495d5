"""Padding in a workbook: what a person typed into it is named, not the cells that read it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planting import Content, Hand, opened, spliced, typed

import sheetconv as sc
from sheetconv.cells import Cell
from sheetconv.checking import CheckResult, check
from sheetconv.drawing import BorderStyle
from sheetconv.formulas import Placed

CONV, MAX, MEAN, DEPTHWISE = "conv1 + relu1", "maxpool1", "avgpool1", "conv2"
ZERO, BLANK = "the padding's 0", "a blank cell"


def network() -> sc.Sequential:
    """Every kind of padding: zeros, zeros that count, blanks, and what lies beyond."""
    return sc.Sequential(
        sc.Conv2d(1, 2, 3, padding=1),
        sc.ReLU(),
        sc.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
        sc.AvgPool2d(2, stride=1, padding=1),
        sc.Conv2d(2, 4, 3, padding=2, dilation=2, groups=2),
        seed=1,
    )


class Book:
    """A workbook of two images, which a test may spoil."""

    def __init__(self, folder: Path, border: BorderStyle = "drawn") -> None:
        images = np.random.default_rng(0).random((2, 1, 7, 8))
        drawing = sc.Drawing("digits", border=border)
        built = sc.build(network(), folder / "digits.xlsx", image=images, drawing=drawing)
        self.path = built.path
        self.placed: dict[str, Placed] = dict(built.layouts[0].placed)

    def beside(self, tensor: str, plane: int, rows: int, columns: int) -> str:
        """A cell so far from the first of a plane; from the last where a number is positive."""
        bounds = self.placed[tensor].grids[plane].bounds
        row = bounds.row + rows if rows <= 0 else bounds.last_row + rows
        column = bounds.column + columns if columns <= 0 else bounds.last_column + columns
        return Cell("digits", row, column).a1

    def check(self, *engines: str) -> CheckResult:
        return check(self.path, engines)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


PLACES = [
    ("input", 0, -1, -1, CONV, ZERO),
    ("input", 1, 1, 0, CONV, ZERO),
    ("input", 1, 0, 1, CONV, ZERO),
    ("conv1.out", 1, -1, 0, MAX, BLANK),
    ("conv1.out", 2, 0, -1, MAX, BLANK),
    ("maxpool1.out", 3, 1, 1, MEAN, ZERO),
    ("avgpool1.out", 2, 0, 2, DEPTHWISE, ZERO),
]


@pytest.mark.parametrize("hand", [typed, spliced])
@pytest.mark.parametrize(("tensor", "plane", "rows", "columns", "layer", "wanted"), PLACES)
def test_number_on_the_padding_is_the_only_wrong_cell(
    book: Book,
    hand: Hand,
    tensor: str,
    plane: int,
    rows: int,
    columns: int,
    layer: str,
    wanted: str,
) -> None:
    cell = book.beside(tensor, plane, rows, columns)
    hand(book.path, "digits", cell, 5000.0)
    result = book.check("ironcalc")
    reason = f"5000.0 stands where {wanted} is expected"
    assert [str(item) for item in result.wrong] == [f"digits!{cell}: {reason} ({layer}, file)"]
    assert result.follows > 0
    assert not result.ok


@pytest.mark.parametrize("border", ["drawn", "blank"])
@pytest.mark.parametrize("content", ["=0", "=7", "x", "#N/A", True, 1e-300])
def test_what_is_no_plain_zero_is_named(
    tmp_path: Path, border: BorderStyle, content: Content
) -> None:
    book = Book(tmp_path, border)
    cell = book.beside("input", 0, -1, 0)
    typed(book.path, "digits", cell, content)
    wrong = book.check("ironcalc").wrong
    assert [item.cell.a1 for item in wrong] == [cell]
    assert str(content) in wrong[0].reason
    assert wrong[0].expected == 0.0


def test_what_windows_reach_beyond_the_padding_is_blank(tmp_path: Path) -> None:
    """Both are named, also the zero, which the mean would count."""
    layer = sc.AvgPool2d(3, stride=2, padding=1, ceil_mode=True)
    path = tmp_path / "digits.xlsx"
    image = np.random.default_rng(0).random((6, 6))
    built = sc.build(sc.Sequential(layer), path, image=image, drawing=sc.Drawing("digits"))
    bounds = built.layouts[0].placed["input"].grids[0].bounds
    cells = [Cell("digits", bounds.last_row + 2, bounds.column + i).a1 for i in (0, 3)]
    assert check(path).ok
    for cell, number in zip(cells, (0.0, -2.0), strict=True):
        typed(path, "digits", cell, number)
    result = check(path)
    assert [item.cell.a1 for item in result.wrong] == cells
    assert {item.expected for item in result.wrong} == {None}
    assert result.follows > 0


@pytest.mark.parametrize("border", ["drawn", "blank"])
@pytest.mark.parametrize("content", [0.0, None])
def test_zero_and_blank_are_alike_where_neither_counts(
    tmp_path: Path, border: BorderStyle, content: Content
) -> None:
    book = Book(tmp_path, border)
    assert book.check("ironcalc").ok
    typed(book.path, "digits", book.beside("input", 1, 1, -1), content)
    assert book.check("ironcalc").ok


def test_blank_among_zeros_that_count_is_named(book: Book) -> None:
    cell = book.beside("maxpool1.out", 0, -1, 0)
    typed(book.path, "digits", cell, None)
    wrong = book.check("ironcalc").wrong
    assert [item.cell.a1 for item in wrong] == [cell]
    assert wrong[0].reason == "nothing stands where the padding's 0 is expected"


def test_row_of_zeros_that_count_is_named_when_the_file_leaves_it_out(tmp_path: Path) -> None:
    path = tmp_path / "digits.xlsx"
    layer = sc.AvgPool2d(2, stride=1, padding=1)
    built = sc.build(sc.Sequential(layer), path, image=np.eye(3), drawing=sc.Drawing("digits"))
    below = built.layouts[0].placed["input"].grids[0].bounds.last_row + 2
    with opened(path) as workbook:
        workbook["digits"].delete_rows(below)
    padding = [item for item in check(path).wrong if item.expected == 0]
    assert [item.cell.row + 1 for item in padding] == [below] * 5
    assert {item.got for item in padding} == {None}


def test_text_that_maximum_skips_is_no_error(book: Book) -> None:
    typed(book.path, "digits", book.beside("conv1.out", 0, -1, 0), "a note")
    assert book.check("ironcalc").ok


def test_formula_error_elsewhere_is_named_beside_the_padding(book: Book) -> None:
    padding = book.beside("input", 0, -1, -1)
    formula = book.placed["conv1.out"].grids[0].cell(4, 4).a1
    typed(book.path, "digits", padding, 5.0)
    typed(book.path, "digits", formula, "=123+0")
    result = book.check("ironcalc")
    assert [item.cell.a1 for item in result.wrong] == [padding, formula]
