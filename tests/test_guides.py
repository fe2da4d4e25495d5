"""What explains a network: right for every choice, wrong where something was planted, in words."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planting import opened, recached, resave_in_libreoffice, spliced
from random_networks import Case, cases
from test_check import VALUES, described_once, places, redescribe

import sheetconv as sc
from sheetconv.calculators import ENGINES, Engine, OpenBook
from sheetconv.cells import Cell, Range, parse_cell
from sheetconv.checking import CheckResult
from sheetconv.description import Described
from sheetconv.drawing import Drawing
from sheetconv.errors import CheckError, LayoutError, ShapeError, SheetconvError
from sheetconv.guides import Guide, Guides
from sheetconv.guides.kernels import KERNELS, Kernels
from sheetconv.guides.matrix_product import MatrixProduct
from sheetconv.guides.receptive_field import ReceptiveFieldGuide
from sheetconv.layers import LAYERS, Example
from sheetconv.layers.base import Array
from sheetconv.layout import Layout
from sheetconv.network_sheet import NetworkSheet
from sheetconv.template import load_template
from sheetconv.tensor_cells import read_descriptions
from sheetconv.values import CellError, Value
from sheetconv.workbook import build_workbook

#: Templates whose workbooks have every guide between them.
TEMPLATES = ("digits", "edges", "multi-label", "norms", "rgb")
EXAMPLES = [
    pytest.param(example, id=f"{name}-{number}")
    for name, layer_class in LAYERS.items()
    for number, example in enumerate(layer_class.examples())
    if name != "Flatten"
]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A workbook of each template."""
    folder = tmp_path_factory.mktemp("books")
    for name in TEMPLATES:
        template = load_template(name)
        sheets = [
            NetworkSheet(item.network, item.image, item.drawing, item.guides)
            for item in template.networks
        ]
        build_workbook(sheets, folder / f"{name}.xlsx", title=name, about=template.description)
    return {name: folder / f"{name}.xlsx" for name in TEMPLATES}


def guides_of(path: Path, number: int = 0) -> dict[str, Guide]:
    """The guides of a network, by kind."""
    return {guide.kind: guide for guide in described(path, number).guides}


def described(path: Path, number: int = 0) -> Described:
    return read_descriptions(path)[number]


@contextmanager
def running(path: Path, engine: str = "ironcalc") -> Iterator[OpenBook]:
    with ENGINES[engine].open(path) as book:
        yield book


def put(book: OpenBook, place: str, value: Value) -> None:
    """Write a value into a cell, and recalculate."""
    cell = parse_cell(place)
    book.set_values(Range(cell.sheet, cell.row, cell.column), [[value]])
    book.recalculate()


def seen(book: OpenBook, place: str | Cell) -> Value:
    cell = parse_cell(place) if isinstance(place, str) else place
    return book.get_values(Range(cell.sheet, cell.row, cell.column))[0][0]


def plane(book: OpenBook, layout: Layout, name: str) -> Array:
    """A tensor as an engine shows it."""
    placed = layout.placed[name]
    return np.array([book.get_values(grid.bounds) for grid in placed.grids]).reshape(placed.shape)


def errors_in(book: OpenBook, path: Path) -> list[str]:
    """Every cell of the workbook that shows an error."""
    found = []
    sheets = openpyxl.load_workbook(path)
    for sheet in sheets.worksheets:
        area = Range(sheet.title, 0, 0, sheet.max_row, sheet.max_column)
        for i, row in enumerate(book.get_values(area)):
            found += [str(Cell(sheet.title, i, j)) for j, v in enumerate(row) if is_error(v)]
    return found


def is_error(value: Value) -> bool:
    return isinstance(value, CellError)


def wrong(result: CheckResult) -> set[str]:
    return {str(item.cell) for item in result.wrong}


# --- The check, and what it finds


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_choice_of_a_template_is_right(name: str, books: dict[str, Path]) -> None:
    result = sc.check(books[name])
    assert result.ok, result.wrong[:3]
    chosen = [source for source in result.sources if source.startswith("ironcalc, choice ")]
    pictures = [item.guides.pictures for item in load_template(name).networks]
    own = sum(len(bank) for bank in pictures if bank is not None)
    assert len(chosen) > own
    kinds = {guide.kind for guide in described(books[name]).guides if guide.kind != "head"}
    assert kinds <= {layer.label for layer in result.layers if layer.source == "ironcalc"}


def test_every_choice_is_right_in_libreoffice(books: dict[str, Path], libreoffice: Engine) -> None:
    result = sc.check(books["edges"], [libreoffice], probes=1)
    assert result.ok, result.wrong[:3]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_guides_of_every_layer_are_right(example: Example, tmp_path: Path) -> None:
    network = sc.Sequential(example.layer)
    ((name, _),) = network
    state = network.state_dict()
    own = {f"{name}.{key}": value for key, value in example.params.items()}
    network.load_state_dict({key: own.get(key, value) for key, value in state.items()})
    built = sc.build(network, tmp_path / "a.xlsx", image=example.x, guides=True)
    result = sc.check(built.path, probes=1)
    assert result.ok, result.wrong[:3]
    assert result.formula_cells == built.formula_cells
    assert built.guide_cells > 0


@settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(case=cases(), scale=st.sampled_from([1.0, 1.0, 1e-6, 1e6, 0.0]))
def test_the_guides_of_random_networks_are_right(case: Case, scale: float) -> None:
    rng = np.random.default_rng(0)
    image = scale * rng.normal(size=(case.batch, *case.input_shape))
    bank = scale * rng.normal(size=(2, *case.input_shape)) if case.batch == 1 else None
    with TemporaryDirectory() as folder:
        book = sc.build(
            case.network,
            Path(folder) / "a.xlsx",
            image=image if len(case.input_shape) == 3 else image[0],
            drawing=case.drawing,
            guides=Guides(pictures=bank),
        )
        result = sc.check(book.path)
        assert result.ok, result.wrong[:3]


#: Worksheet and cell of a planted formula, and what it becomes.
PLANTS: list[tuple[str, str, Callable[[str], str]]] = [
    ("summary", "F8", lambda text: text.replace("+1", "+2")),
    ("summary", "Y8", lambda text: f"{text}+1"),
    ("summary", "AG8", lambda text: f"{text}-1"),
    ("summary", "W16", lambda text: text.replace("W8", "W9")),
    ("field", "C15", lambda text: f"{text}+1"),
    ("field", "AA21", lambda text: text.replace("MIN", "1+MIN")),
    ("field", "L40", lambda text: text.replace(",1,0)", ",2,0)")),
    ("gallery", "E7", lambda text: text.replace("F11", "G11")),
    ("matrix", "D22", lambda text: text.replace("$N", "$O")),
    ("matrix", "AQ22", lambda text: text.replace("MMULT", "0*MMULT")),
    ("matrix", "G44", lambda text: f"{text}+1"),
    ("pictures", "C5", lambda text: f"{text}+0.5"),
    ("pictures", "F7", lambda text: text.replace("B8", "B9")),
    ("pictures", "D9", lambda text: text.replace("B9", "B10")),
    ("digits", "G12", lambda text: text.replace("J10:J140", "J11:J141")),
    ("digits", "K2", lambda text: text.replace(",pictures!$C$4", ",1+pictures!$C$4")),
    ("digits", "U2", lambda text: f'{text}&"?"'),
    ("digits", "Z2", lambda text: text.replace("MAX", "MIN")),
    ("digits", "AC2", lambda text: text.replace('"right","wrong"', '"wrong","right"')),
    ("digits", "K3", lambda text: text.replace("MATCH(1,", "MATCH(0,")),
    ("field", "AC23", lambda text: text.replace(" of the picture", "")),
    ("digits", "B4", lambda text: text.replace(">0", ">=0")),
]


@pytest.fixture
def digits(books: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copy(books["digits"], tmp_path))


@pytest.mark.parametrize(
    ("sheet", "cell", "change"), PLANTS, ids=[f"{s}!{c}" for s, c, _ in PLANTS]
)
def test_a_planted_formula_is_found(
    sheet: str, cell: str, change: Callable[[str], str], digits: Path
) -> None:
    with opened(digits) as book:
        text = str(book[sheet][cell].value)
    assert text.startswith("="), text
    shutil.copy(digits, digits.with_name("right.xlsx"))
    planted = change(text)
    assert planted != text, text
    spliced(digits, sheet, cell, planted)
    result = sc.check(digits)
    assert not result.ok
    assert f"{sheet}!{cell}" in wrong(result)
    assert f"{sheet}!{cell}" in {str(changed) for changed in result.changed}


def test_a_formula_that_is_right_for_the_first_picture_alone_is_found(digits: Path) -> None:
    """Only choosing the others shows it."""
    place = described(digits).layout.placed["input"].grids[0].cell(3, 3)
    first = guides_of(digits)["pictures"].given()["pixels 1, 1"].grid.cell(3, 3)
    spliced(digits, place.sheet, place.a1, f"={first}")
    result = sc.check(digits)
    assert str(place) in wrong(result)
    assert {item.source.split(",")[1].split()[0] for item in result.wrong} == {"choice"}


def test_a_head_that_does_not_look_at_the_pixels_is_found(digits: Path) -> None:
    """Only a text among them shows it."""
    with opened(digits) as book:
        text = str(book["digits"]["B4"].value)
    spliced(digits, "digits", "B4", re.sub(r"COUNTA\([^)]*\)-COUNT\([^)]*\)", "0", text))
    assert "digits!B4" in wrong(sc.check(digits, probes=0))


def test_a_list_above_a_filter_that_does_nothing_is_found(
    books: dict[str, Path], tmp_path: Path
) -> None:
    path = Path(shutil.copy(books["edges"], tmp_path))
    spliced(path, "kernels", "L9", "=0+3")
    assert "kernels!L9" in wrong(sc.check(path, probes=0))


def test_a_convolution_that_begins_elsewhere_differs_from_its_matrix(digits: Path) -> None:
    """The matrix is compared with the cells of the worksheet, not with itself."""
    cell = described(digits).layout.placed["conv1.out"].grids[0].cell(3, 3)
    spliced(digits, cell.sheet, cell.a1, 1.0)
    found = wrong(sc.check(digits, probes=0))
    assert {item.split("!")[0] for item in found} == {"digits", "gallery", "matrix"}


@pytest.mark.parametrize(
    ("sheet", "cell", "value", "reason"),
    [
        ("summary", "F8", 8.0, "stands where a formula is expected"),
        ("summary", "I8", 5.0, "got 5.0, expected 3.0"),
        ("field", "J21", 2.0, "got 2.0, expected 1.0"),
        ("matrix", "G22", 1.0, "got 1.0, expected 0.0"),
        ("digits", "U2", "2", "stands where a formula is expected"),
    ],
)
def test_a_planted_number_is_found(
    sheet: str, cell: str, value: float | str, reason: str, digits: Path
) -> None:
    spliced(digits, sheet, cell, value)
    result = sc.check(digits)
    (item,) = (item for item in result.wrong if str(item.cell) == f"{sheet}!{cell}")
    assert reason in item.reason


def test_a_cached_value_that_is_off_is_found(digits: Path) -> None:
    recached(digits, "summary", "Y8", 4609.0)
    assert wrong(sc.check(digits)) == {"summary!Y8"}
    assert wrong(sc.check(digits, [])) == {"summary!Y8"}


def test_what_a_person_may_change_is_no_fault(digits: Path) -> None:
    with opened(digits) as book:
        book["pictures"]["C8"] = "two"  # a label
        book["pictures"]["B9"] = "zero"  # a name
        book["pictures"]["H10"] = 0.5  # a pixel
        book["digits"]["E2"] = "zero"
        book["digits"]["E3"] = "w13"
        book["matrix"]["D4"] = 1
        book["digits"]["O10"] = 0.75  # a weight
    result = sc.check(digits)
    assert result.ok, result.wrong[:3]


def test_names_may_be_numbers_and_hold_any_sign(digits: Path) -> None:
    for name in (3.0, "a*", "b~?", "=SUM(A1)"):
        with opened(digits) as book:
            for cell in (book["pictures"]["B9"], book["digits"]["E2"]):
                cell.value = name
                cell.data_type = "s" if isinstance(name, str) else "n"
        result = sc.check(digits, probes=0)
        assert result.ok, result.wrong[:3]
        with running(digits) as book:
            book.recalculate()
            assert seen(book, "digits!K2") == "0"


def test_a_kernel_may_have_another_name(books: dict[str, Path], tmp_path: Path) -> None:
    path = Path(shutil.copy(books["edges"], tmp_path))
    with opened(path) as book:
        book["kernels"]["B8"] = "my own"
        book["edges"]["AF9"] = "my own"
        book["kernels"]["E8"] = 5
    result = sc.check(path, probes=0)
    assert result.ok, result.wrong[:3]


def test_a_text_among_the_pixels_is_named_where_it_stands(digits: Path) -> None:
    with opened(digits) as book:
        book["pictures"]["H10"] = "dark"
    result = sc.check(digits, probes=0)
    assert [str(item) for item in result.structure] == [
        "pictures!H10: 'dark' stands where a number is expected (pictures, file)"
    ]


def test_pixels_typed_over_the_formulas_are_given(digits: Path) -> None:
    with opened(digits) as book:
        for column in range(3, 11):
            book["digits"].cell(12, column).value = 1.0
    result = sc.check(digits, probes=1)
    assert result.ok, result.wrong[:3]
    assert np.array_equal(sc.read(digits, engine="ironcalc").input[0, 0, 2], np.ones(8))


def test_a_book_resaved_by_libreoffice_is_right(
    digits: Path, tmp_path: Path, libreoffice: Engine
) -> None:
    result = sc.check(resave_in_libreoffice(digits, tmp_path))
    assert result.ok, result.wrong[:3]


# --- Pictures and answers


def test_the_answer_is_the_trainer_s_for_every_picture(books: dict[str, Path]) -> None:
    item = load_template("digits").networks[0]
    assert item.guides.pictures is not None
    answers = item.network(item.guides.pictures)
    names = guides_of(books["digits"])["pictures"].given()["picture names"].grid
    verdicts = []
    with running(books["digits"]) as book:
        for number, probabilities in enumerate(answers):
            put(book, "digits!E2", seen(book, names.cell(number, 0)))
            assert seen(book, "digits!U2") == str(probabilities.argmax())
            sure = seen(book, "digits!Z2")
            assert isinstance(sure, float)
            assert sure == pytest.approx(probabilities.max(), rel=1e-12)
            assert seen(book, "digits!K2") == item.guides.labels[number]
            right = item.guides.labels[number] == str(probabilities.argmax())
            assert seen(book, "digits!AC2") == ("right" if right else "wrong")
            verdicts.append(right)
    # Both kinds are there to see.
    assert verdicts.count(False) == 2


def test_several_labels_are_named(books: dict[str, Path]) -> None:
    item = load_template("multi-label").networks[0]
    assert item.guides.pictures is not None
    names = guides_of(books["multi-label"])["pictures"].given()["picture names"].grid
    answers = item.network(item.guides.pictures)
    with running(books["multi-label"]) as book:
        for number, answer in enumerate(answers):
            put(book, "'multi-label'!E2", seen(book, names.cell(number, 0)))
            wanted = [n for n, p in zip(item.drawing.classes, answer, strict=True) if p > 0.5]
            assert seen(book, "'multi-label'!U2") == (", ".join(wanted) or "none")
        put(book, "'multi-label'!E2", "draw your own")
        assert seen(book, "'multi-label'!AC2") == ""


def test_what_is_drawn_in_the_last_picture_is_seen(books: dict[str, Path]) -> None:
    layout = described(books["digits"]).layout
    with running(books["digits"]) as book:
        put(book, "digits!E2", "draw your own")
        assert not plane(book, layout, "input").any()
        put(book, "pictures!G140", 1.0)
        assert plane(book, layout, "input").sum() == 1.0
        assert errors_in(book, books["digits"]) == []


def test_a_network_without_pictures_says_its_answer_alone(tmp_path: Path) -> None:
    network = sc.Sequential(sc.Flatten(), sc.Linear(4, 3))
    built = sc.build(network, tmp_path / "a.xlsx", image=np.eye(2), guides=True)
    with running(built.path) as book:
        book.recalculate()
        out = network(np.eye(2)[None, None])[0]
        assert seen(book, "network!G2") == str(out.argmax())
        assert seen(book, "network!L2") == pytest.approx(out.max())
    assert "pictures" not in built.worksheets


# --- Kernels


def test_the_kernels_of_the_book_find_its_edges(books: dict[str, Path]) -> None:
    """Picked by name, they make the book's numbers on its digit."""
    layout = described(books["edges"]).layout
    item = load_template("edges").networks[0]
    digit = item.image[0]
    with running(books["edges"]) as book:
        made = {}
        for name in KERNELS:
            put(book, "edges!AF9", name)
            made[name] = plane(book, layout, "conv1.out")[0, 0]
    top = made["top edge"]
    assert top.max() == 762.0
    # Row 5 of the book's picture, columns 7 and 8 there begin at 0.
    assert top[2, 5] == (digit[4, 5:8] - digit[2, 5:8]).sum()
    assert made["left edge"][5, 19] == (digit[5:8, 20] - digit[5:8, 19]).sum()
    np.testing.assert_array_equal(made["bottom edge"], -top)
    np.testing.assert_array_equal(made["identity"], digit[1:-1, 1:-1])
    np.testing.assert_array_equal(
        made["diagonal 1"],
        digit[:-2, 2:] - digit[:-2, 1:-1] - digit[1:-1, :-2] + digit[1:-1, 1:-1] + digit[2:, :-2],
    )
    windows = np.lib.stride_tricks.sliding_window_view(digit, (3, 3))
    np.testing.assert_allclose(made["box blur"], windows.mean(axis=(2, 3)), rtol=1e-12)
    np.testing.assert_array_equal(made["outline"], 9 * digit[1:-1, 1:-1] - windows.sum(axis=(2, 3)))
    flat = {name: float(np.sum(numbers)) for name, (numbers, _) in KERNELS.items()}
    keeping = {"sharpen", "emboss", "box blur", "Gaussian blur", "identity"}
    keeping |= {"diagonal 1", "diagonal 2"}
    assert {name for name, total in flat.items() if total == pytest.approx(1)} == keeping
    # On a flat area an edge kernel finds nothing; the book's diagonals do.
    assert {n for n, total in flat.items() if total == 0} == {
        "top edge", "bottom edge", "left edge", "right edge", "Sobel x", "Sobel y", "outline",
    }  # fmt: skip


def test_the_weights_that_have_a_name_are_called_by_it(books: dict[str, Path]) -> None:
    with running(books["edges"]) as book:
        book.recalculate()
        rows = [book.get_values(Range("kernels", 7 + k, 10))[0][0] for k in range(4)]
    assert rows == ["top edge", "left edge", "diagonal 1", "diagonal 2"]


def test_a_custom_kernel_is_the_user_s(tmp_path: Path) -> None:
    network = sc.Sequential(sc.Conv2d(1, 2, 3, bias=False))
    image = np.random.default_rng(0).random((5, 5))
    built = sc.build(network, tmp_path / "a.xlsx", image=image, guides=Guides(kernels=True))
    (kernels,) = (g for g in described(built.path).guides if isinstance(g, Kernels))
    with running(built.path) as book:
        book.recalculate()
        assert seen(book, kernels.choice(0)) == "custom 1"
        weight = plane(book, built.layouts[0], "conv1.weight")
        np.testing.assert_array_equal(weight, network.params["conv1"]["weight"])
        own = kernels.given()["kernel custom 2"].grid.bounds
        book.set_values(own, [[0.0] * 3, [0.0, 2.0, 0.0], [0.0] * 3])
        book.recalculate()
        out = plane(book, built.layouts[0], "conv1.out")[0, 1]
        np.testing.assert_array_equal(out, 2 * image[1:-1, 1:-1])


# --- The matrix


@pytest.mark.parametrize(
    "layer",
    [
        sc.Conv2d(1, 2, 3),
        sc.Conv2d(2, 2, (2, 3), stride=(2, 1), padding=(1, 0, 2, 1)),
        sc.Conv2d(2, 2, 2, dilation=2, groups=2, bias=False),
    ],
)
def test_the_matrix_is_the_convolution(layer: sc.Conv2d, tmp_path: Path) -> None:
    network = sc.Sequential(layer, sc.ReLU())
    image = np.random.default_rng(0).normal(size=(layer.in_channels, 9, 8))
    built = sc.build(network, tmp_path / "a.xlsx", image=image, guides=True)
    (guide,) = (g for g in described(built.path).guides if isinstance(g, MatrixProduct))
    entries, after = guide.entries, guide.after
    with running(built.path) as book:
        for row, column in ((1.0, 1.0), (2.0, 3.0)):
            put(book, "matrix!D4", row)
            put(book, "matrix!D5", column)
            matrix = np.array(book.get_values(entries.bounds))
            patch = np.array(book.get_values(Range("matrix", entries.row, after, entries.width)))
            made = np.array(
                book.get_values(Range("matrix", entries.row, after + 3, entries.height, 3))
            )
            rows, columns = guide.patch.units
            i, j = int(row) - 1, int(column) - 1
            wanted = network(image[None])[0, 0, i : i + rows, j : j + columns]
            bias = network.params["conv1"].get("bias", np.zeros(1))[0]
            np.testing.assert_allclose(
                np.maximum(matrix @ patch[:, 0] + bias, 0), wanted.reshape(-1), atol=1e-12
            )
            np.testing.assert_allclose(made[:, 0], wanted.reshape(-1), atol=1e-12)
            np.testing.assert_allclose(made[:, 2], 0, atol=1e-12)
            # Each weight stands once in each row.
            weights = network.params["conv1"]["weight"][0].reshape(-1)
            for line in matrix:
                assert sorted(line[line != 0]) == sorted(weights)


def test_each_weight_has_its_colour_everywhere(books: dict[str, Path]) -> None:
    sheet = openpyxl.load_workbook(books["digits"])["matrix"]
    colours: dict[str, set[str]] = {}
    for row in sheet.iter_rows():
        for cell in row:
            text = str(cell.value)
            if text.startswith("=$") and cell.fill.fgColor.rgb != "00000000":
                colours.setdefault(text, set()).add(cell.fill.fgColor.rgb)
    assert len(colours) == 9
    assert all(len(own) == 1 for own in colours.values())
    assert len(set.union(*colours.values())) == 9


# --- Receptive fields


@pytest.mark.parametrize("name", ["digits", "edges", "rgb"])
def test_the_field_of_every_unit_is_the_traced_one(name: str, books: dict[str, Path]) -> None:
    from sheetconv.tracing.tracer import Tracer

    tracer = Tracer(books[name])
    (guide,) = (g for g in described(books[name]).guides if isinstance(g, ReceptiveFieldGuide))
    compared = 0
    for placed in (guide.layout.placed[stage.out] for stage in guide.layout.stages):
        for grid in placed.grids:
            for cell in list(grid.cells())[:: max(1, grid.size // 12)]:
                traced = tracer.pixels(cell)
                assert traced is not None
                np.testing.assert_array_equal(guide.mask(cell.a1), traced)
                compared += 1
    assert compared > 20


def test_live_batch_statistics_make_a_unit_see_every_image(books: dict[str, Path]) -> None:
    batch, instance = (
        next(g for g in described(books["norms"], n).guides if isinstance(g, ReceptiveFieldGuide))
        for n in (0, 1)
    )
    for guide, images in ((batch, 3), (instance, 1)):
        unit = guide.layout.placed[guide.layout.stages[-1].out].grids[0].cell(0, 0)
        assert guide.mask(unit.a1).any(axis=(1, 2, 3)).sum() == images


# --- What cannot be used is said in words


@pytest.mark.parametrize(
    ("place", "value", "said_at", "words"),
    [
        ("digits!E3", "nonsense", "K3", "This is the cell of no unit"),
        ("digits!E3", "ZZ99999", "K3", "This is the cell of no unit"),
        ("digits!E3", "other!A1", "K3", "This is the cell of no unit"),
        ("digits!E3", None, "K3", "This is the cell of no unit"),
        ("digits!E3", 12.5, "K3", "This is the cell of no unit"),
        ("digits!E3", "  $aE$11 ", "K3", "maxpool1: channel 1, row 3, column 3, sees rows 4 to 7"),
        ("digits!E3", "digits!d12", "K3", "input: channel 1, row 3, column 2"),
        ("digits!E3", "'DIGITS' ! d 12", "K3", "input: channel 1, row 3, column 2"),
        ("digits!E3", "A?12", "K3", "This is the cell of no unit"),
        ("digits!E3", "d1e1", "K3", "This is the cell of no unit"),
        ("digits!E2", "no*", "B4", "There is no picture of this name: choose one"),
        ("digits!E2", "no. 99 (7)", "B4", "There is no picture of this name: choose one"),
        ("digits!E2", 7.0, "B4", "There is no picture of this name"),
        ("pictures!G10", "dark", "B4", "A cell of the picture holds no number: type one there."),
        ("digits!O10", "high", "B4", "A cell of conv1.weight holds no number: type one there."),
        ("matrix!D4", 99.0, None, "Type whole numbers: a row from 1 to 5, a column from 1 to 5."),
        ("matrix!D5", "two", None, "Type whole numbers"),
    ],
)
def test_what_cannot_be_used_is_said_in_words(
    place: str, value: Value, said_at: str | None, words: str, books: dict[str, Path]
) -> None:
    with running(books["digits"]) as book:
        put(book, place, value)
        said = seen(book, f"digits!{said_at}" if said_at else "matrix!B6")
        if str(words).startswith("There is no picture"):
            # Nothing is right or wrong then.
            assert (seen(book, "digits!K2"), seen(book, "digits!AC2")) == ("", "")
        assert str(said).startswith(words)
        assert errors_in(book, books["digits"]) == []


def test_a_kernel_that_there_is_not_is_said_in_words(books: dict[str, Path]) -> None:
    with running(books["edges"]) as book:
        put(book, "edges!AF9", "sharpest")
        assert str(seen(book, "edges!B4")).startswith("There is no kernel of the name above filter")
        assert errors_in(book, books["edges"]) == []
        put(book, "edges!AF9", "sharpen")
        assert seen(book, "edges!B4") == ""


# --- How it looks


def test_validations_and_names_are_in_the_file(books: dict[str, Path]) -> None:
    book = openpyxl.load_workbook(books["digits"])
    rules = {str(rule.sqref): rule for rule in book["digits"].data_validations.dataValidation}
    assert rules["E2"].type == "list"
    assert rules["E2"].formula1 == "pictures!$B$8:$B$21"
    # An address may be typed that is not among those of the list.
    assert not rules["E3"].showErrorMessage
    weights = described(books["digits"]).layout.placed["conv1.weight"].grids[0].bounds.a1
    assert rules[weights].type == "decimal"
    assert "lit_1" in book.defined_names
    assert [sheet.title for sheet in book.worksheets][:3] == ["start", "digits", "pictures"]
    assert book["digits"].freeze_panes == "A8"


def test_the_cover_leads_everywhere(books: dict[str, Path]) -> None:
    book = openpyxl.load_workbook(books["digits"])
    cells = [cell for row in book["start"].iter_rows() for cell in row]
    links = {cell.hyperlink.location.split("!")[0] for cell in cells if cell.hyperlink}
    assert links == {"digits", "pictures", "field", "gallery", "matrix", "summary"}
    texts = [cell.value for cell in cells if cell.value]
    assert "Try this first" in texts
    assert load_template("digits").description in texts


def test_several_networks_have_worksheets_and_names_of_their_own(books: dict[str, Path]) -> None:
    book = openpyxl.load_workbook(books["norms"])
    assert "batch norm summary" in book.sheetnames
    assert "instance norm summary" in book.sheetnames
    assert book.sheetnames.count("start") == 1
    assert "lit_1" in book["batch norm"].defined_names


def test_names_of_worksheets_never_collide(tmp_path: Path) -> None:
    names = ["Summary", "start", "a" * 31, "b" * 31]
    sheets = [
        NetworkSheet(sc.Sequential(sc.ReLU()), np.eye(2), Drawing(worksheet=name), Guides())
        for name in names
    ]
    built = build_workbook(sheets, tmp_path / "a.xlsx")
    lower = [name.lower() for name in built.worksheets]
    assert len(set(lower)) == len(lower)
    assert all(len(name) <= 31 for name in lower)
    assert sc.check(built.path, probes=0).ok


def test_defined_names_never_collide(tmp_path: Path) -> None:
    network = sc.Sequential(
        ("conv", sc.Conv2d(1, 1, 1)), ("lit_1", sc.Tanh()), ("CONV", sc.Conv2d(1, 1, 1))
    )
    drawing = Drawing(fuse=False)
    built = sc.build(network, tmp_path / "a.xlsx", image=np.eye(3), drawing=drawing, guides=True)
    with zipfile.ZipFile(built.path) as package:
        names = re.findall(r'<definedName name="([^"]+)"', package.read("xl/workbook.xml").decode())
    assert {"lit_1", "lit_1_out", "conv_out", "CONV_out_"} <= set(names)
    assert len({name.lower() for name in names}) == len(names)


def test_a_deep_network_has_formulas_that_excel_takes(tmp_path: Path) -> None:
    """No more than 64 functions within each other, and 8,192 characters."""
    layers = [layer for _ in range(70) for layer in (sc.Conv2d(1, 1, 1), sc.LeakyReLU(0.1))]
    built = sc.build(sc.Sequential(*layers), tmp_path / "a.xlsx", image=np.eye(2), guides=True)
    deepest = longest = 0
    for sheet in openpyxl.load_workbook(built.path).worksheets:
        for row in sheet.iter_rows():
            for text in (str(c.value) for c in row if str(c.value).startswith("=")):
                depth = most = 0
                for character in text:
                    depth += (character == "(") - (character == ")")
                    most = max(most, depth)
                deepest, longest = max(deepest, most), max(longest, len(text))
    assert 10 < deepest < 64
    assert 1000 < longest < 8192
    assert sc.check(built.path, [], probes=0).ok


def test_the_same_call_gives_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-m", "sheetconv", "build", "digits", "-o", f"{seed}.xlsx"]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
        written.append((tmp_path / f"{seed}.xlsx").read_bytes())
    assert written[0] == written[1]


def test_a_drawing_that_pins_cells_has_no_guides(tmp_path: Path) -> None:
    item = load_template("conv-example").networks[1]
    sheet = NetworkSheet(item.network, item.image, item.drawing, Guides())
    built = build_workbook([sheet], tmp_path / "a.xlsx")
    assert built.worksheets == ("conv-example",)
    assert built.guide_cells == 0


def test_tables_that_read_gives_are_none_of_the_guides(books: dict[str, Path]) -> None:
    assert dict(sc.read(books["digits"]).tables) == {}


def test_large_networks_have_what_fits(tmp_path: Path) -> None:
    network = sc.Sequential(sc.Conv2d(1, 1100, 1), sc.AdaptiveAvgPool2d(1))
    built = sc.build(network, tmp_path / "a.xlsx", image=np.eye(3), guides=True)
    assert "field" not in built.worksheets
    assert "summary" in built.worksheets
    assert sc.check(built.path, [], probes=0).ok


# --- What is refused


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"leave_out": ["maps"]}, LayoutError, "leave_out has 'maps': known are pictures"),
        ({"labels": ["a"]}, ShapeError, "labels or names without pictures"),
        ({"pictures": [["a"]]}, ShapeError, "pictures is no array of numbers"),
        ({"pictures": np.zeros((2, 3, 3))}, ShapeError, "pictures has shape (2, 3, 3)"),
        ({"pictures": np.full((1, 1, 4, 4), np.nan)}, ShapeError, "holds NaN or infinity"),
        ({"pictures": np.zeros((2, 1, 4, 4)), "labels": ["a"]}, ShapeError, "1 labels for 2"),
        ({"pictures": np.zeros((2, 1, 4, 4)), "labels": [1, 2]}, LayoutError, "labels are no"),
        ({"pictures": np.zeros((300, 1, 4, 4))}, ShapeError, "300 pictures: at most 200"),
        ({"pictures": np.zeros((2, 1, 5, 5))}, ShapeError, "'pictures' has shape (2, 1, 5, 5)"),
        ({"matrix": "relu1"}, LayoutError, "matrix is 'relu1': expected a convolution"),
        ({"kernels": True}, LayoutError, "kernels by name: expected a first layer"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    network = sc.Sequential(sc.Conv2d(1, 1, 2), sc.ReLU())
    with pytest.raises(error) as caught:
        sc.build(network, tmp_path / "a.xlsx", image=np.eye(4), guides=Guides(**options))
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_guides_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="guides is 'all': expected Guides"):
        sc.build(sc.Sequential(sc.ReLU()), tmp_path / "a.xlsx", image=np.eye(2), guides="all")  # type: ignore[arg-type]


# --- Workbooks that somebody damaged


@pytest.mark.parametrize("sheet", ["matrix", "field", "summary", "gallery"])
def test_a_worksheet_that_explains_may_be_deleted(sheet: str, digits: Path) -> None:
    with opened(digits) as book:
        del book[sheet]
    result = sc.check(digits, probes=1)
    assert result.ok, result.wrong[:3]
    assert any(f"no worksheet {sheet!r} is there any more" in note for note in result.notes)


def test_without_its_pictures_a_network_is_wrong(digits: Path) -> None:
    with opened(digits) as book:
        del book["pictures"]
    result = sc.check(digits, probes=1)
    assert not result.ok
    place = described(digits).layout.placed["input"].grids[0].cell(0, 0)
    assert str(place) in wrong(result)


@settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_mutated_guide_is_refused_or_checked(
    data: st.DataObject, books: dict[str, Path], tmp_path: Path
) -> None:
    content = described_once(books["digits"])
    guides = content["networks"][0]["guides"]
    for _ in range(data.draw(st.integers(1, 2))):
        found = [place for place in places(guides) if place[0]]
        container, key = found[data.draw(st.integers(0, len(found) - 1))]
        if data.draw(st.integers(0, 3)) == 0:
            del container[key]
        else:
            kinds = st.sampled_from(["field", "matrix", "pictures", "kernels", "summary", "head"])
            container[key] = data.draw(VALUES | kinds)
    path = Path(shutil.copy(books["digits"], tmp_path / "mutated.xlsx"))
    redescribe(path, json.dumps(content))
    right = 0
    with suppress(SheetconvError):
        result = sc.check(path, probes=0)
        right = result.formula_cells if result.ok else 0
    # What is found right was found with cells, and no more of them than there are.
    assert right <= sc.check(books["digits"], [], probes=0).formula_cells


@pytest.mark.parametrize(
    "guides",
    [
        5,
        {"kind": "field"},
        [[]],
        [{"kind": "field"}],
        [{"kind": "field", "sheet": ""}],
        [{"kind": "field", "sheet": "digits"}],
        [{"kind": "maps", "sheet": "field"}],
        [{"kind": "pictures", "sheet": "pictures", "count": 10**9}],
        [{"kind": "matrix", "sheet": "matrix", "layer": "maxpool1"}],
        [{"kind": "kernels", "sheet": "gallery"}, {"kind": "kernels", "sheet": "matrix"}],
        [{"kind": "head", "sheet": "", "cover": 3}],
    ],
)
def test_a_damaged_guide_is_refused_in_one_line(guides: Any, digits: Path) -> None:
    content = described_once(digits)
    content["networks"][0]["guides"] = guides
    redescribe(digits, json.dumps(content))
    with pytest.raises(CheckError, match="build the workbook again") as caught:
        sc.check(digits)
    assert "\n" not in str(caught.value)
