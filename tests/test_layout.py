"""Layouts: no two tensors meet, whatever the network, and what cannot be drawn is refused."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import openpyxl
import pytest
from hypothesis import given, settings
from openpyxl.worksheet.formula import ArrayFormula
from random_networks import Case, cases

from sheetconv import (
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Softmax,
    build,
)
from sheetconv.arranging import lay_out
from sheetconv.calculators import find_engine
from sheetconv.cells import Cell, Range, parse_cell
from sheetconv.drawing import Columns, Drawing, Style, Text
from sheetconv.errors import LayoutError
from sheetconv.formulas import Role
from sheetconv.layers.base import Border
from sheetconv.layout import (
    Layout,
    cell_count,
    column_span,
    stage_formulas,
    stages_of,
)
from sheetconv.workbook import BuiltWorkbook

# --- Random networks


def owners(case: Case, layout: Layout) -> dict[tuple[str, int, int], set[str]]:
    """Whose each cell is, one by one: a tensor's with its gaps and with what windows reach."""
    reach = {
        stage.source: case.network.layers[stage.name].border(stage.input_shape)
        for stage in layout.stages
    }
    found: dict[tuple[str, int, int], set[str]] = {}
    for name, placed in layout.placed.items():
        moat = reach.get(name, Border())
        # Padding on which a tensor stands is that tensor's.
        moat = Border() if moat.filled else moat
        for number, grid in enumerate(placed.grids):
            rows, columns = grid.row_step, grid.column_step
            top, bottom = moat.top * rows, (moat.bottom + moat.past_bottom) * rows
            left, right = moat.left * columns, (moat.right + moat.past_right) * columns
            for row in range(grid.row - top, grid.bounds.last_row + bottom + 1):
                for column in range(grid.column - left, grid.bounds.last_column + right + 1):
                    found.setdefault((grid.sheet, row, column), set()).add(f"{name}[{number}]")
    for looks in layout.sheets:
        for text in looks.texts:
            place = (text.cell.sheet, text.cell.row, text.cell.column)
            found.setdefault(place, set()).add(f"text {text.text!r}")
    return found


def formulas_in(path: Path) -> dict[Cell, str]:
    """The formula of every cell that has one, as openpyxl reads it."""
    found = {}
    for sheet in openpyxl.load_workbook(path):
        for row in sheet.iter_rows():
            for cell in row:
                place = Cell(sheet.title, cell.row - 1, cell.column - 1)
                if isinstance(cell.value, ArrayFormula):
                    assert cell.value.ref == cell.coordinate
                    found[place] = cell.value.text
                elif cell.data_type == "f":
                    found[place] = cell.value
    return found


def assert_every_cell_is_written_once_and_in_order(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        for name in names:
            xml = archive.read(name).decode()
            cells = [parse_cell(text) for text in re.findall(r'<c r="([A-Z]+[0-9]+)"', xml)]
            places = [(cell.row, cell.column) for cell in cells]
            assert places == sorted(set(places))
            assert places


def largest_difference_from_cached(built: BuiltWorkbook) -> float:
    """How far IronCalc's results lie from the cached values; RAND() is held at its own."""
    (layout,) = built.layouts
    cached = openpyxl.load_workbook(built.path, data_only=True)

    def shown(cell: Cell) -> float:
        return float(cached[cell.sheet][cell.a1].value)

    differences = [0.0]
    with find_engine("ironcalc").open(built.path) as book:
        for placed in layout.placed.values():
            if placed.role is Role.NOISE:
                for grid in placed.grids:
                    values = np.reshape([shown(cell) for cell in grid.cells()], (grid.height, -1))
                    book.set_values(grid.bounds, values.tolist())
        book.recalculate()
        for placed in layout.placed.values():
            if placed.role in (Role.STEP, Role.OUTPUT):
                for cell in (cell for grid in placed.grids for cell in grid.cells()):
                    ((value,),) = book.get_values(Range(cell.sheet, cell.row, cell.column))
                    differences.append(abs(value - shown(cell)))
    return max(differences)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(case=cases())
def test_random_networks_are_drawn_without_collisions_and_calculate(case: Case) -> None:
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "random.xlsx"
        image = rng.normal(size=(case.batch, *case.input_shape))
        built = build(case.network, path, image=image, drawing=case.drawing)
        (layout,) = built.layouts
        shared = {cell: names for cell, names in owners(case, layout).items() if len(names) > 1}
        assert shared == {}
        assert min(min(row, column) for _, row, column in owners(case, layout)) >= 0
        assert_every_cell_is_written_once_and_in_order(path)
        formulas = formulas_in(path)
        drawn = {
            cell
            for placed in layout.placed.values()
            if placed.role.is_formula
            for grid in placed.grids
            for cell in grid.cells()
        }
        assert set(formulas) == drawn
        assert len(formulas) == built.formula_cells
        assert built.formula_cells + built.number_cells == cell_count(layout)
        assert largest_difference_from_cached(built) < 1e-9


def test_a_wrong_cached_value_is_found(tmp_path: Path) -> None:
    built = build(Sequential(ReLU()), tmp_path / "a.xlsx", image=np.eye(3))
    assert largest_difference_from_cached(built) == 0.0
    (cell, *_) = built.layouts[0].placed["relu1.out"].grids[0].cells()
    changed = tmp_path / "changed.xlsx"
    with zipfile.ZipFile(built.path) as old, zipfile.ZipFile(changed, "w") as new:
        for item in old.infolist():
            xml = old.read(item)
            if item.filename == "xl/worksheets/sheet1.xml":
                before = xml
                xml = re.sub(rf'(<c r="{cell.a1}".*?<v>)[^<]*'.encode(), rb"\g<1>0.5", xml, count=1)
                assert xml != before
            new.writestr(item, xml)
    assert largest_difference_from_cached(replace(built, path=changed)) == 0.5


def test_a_collision_is_found_by_the_brute_force_too() -> None:
    case = Case(Sequential(ReLU()), (1, 3, 3), Drawing())
    layout = lay_out(case.network, case.input_shape)
    assert all(len(names) == 1 for names in owners(case, layout).values())
    moved = {**layout.placed, "relu1.out": layout.placed["input"]}
    found = owners(case, replace(layout, placed=moved))
    assert {"input[0]", "relu1.out[0]"} in found.values()


# --- Networks that once could not be drawn


@pytest.mark.parametrize(
    ("network", "fuse"),
    [
        (Sequential(Conv2d(1, 2, 3), MaxPool2d(2), Conv2d(2, 2, 5, padding=4)), True),
        (Sequential(Conv2d(1, 2, 3), ReLU(), Conv2d(2, 2, 3, padding=2)), False),
        (Sequential(Conv2d(1, 2, 3), Dropout(), Conv2d(2, 2, 3, padding=3)), True),
        (Sequential(MaxPool2d(2, stride=1), Flatten(), ReLU(), Linear(121, 2), ReLU()), False),
        (Sequential(Flatten(), ReLU(), Linear(144, 2)), True),
    ],
)
def test_padding_dropout_and_flatten_leave_room(
    network: Sequential, fuse: bool, tmp_path: Path
) -> None:
    image = np.random.default_rng(0).normal(size=(12, 12))
    built = build(network, tmp_path / "a.xlsx", image=image, drawing=Drawing(fuse=fuse))
    assert_every_cell_is_written_once_and_in_order(built.path)
    assert largest_difference_from_cached(built) < 1e-9


def test_dropout_of_a_single_cell_is_counted(tmp_path: Path) -> None:
    built = build(Sequential(Dropout(0.0), ReLU()), tmp_path / "a.xlsx", image=np.ones((1, 1)))
    assert largest_difference_from_cached(built) == 0.0


def test_an_elementwise_layer_behind_flatten_stands_on_planes() -> None:
    network = Sequential(Flatten(), ReLU(), Linear(8, 1))
    layout = lay_out(network, (2, 2, 2))
    assert layout.placed["relu1.out"].shape == (1, 2, 2, 2)
    assert [stage.input_shape for stage in layout.stages] == [(2, 2, 2), (8,)]


# --- What is pinned


NETWORK = Sequential(Conv2d(1, 2, 3), ReLU(), MaxPool2d(2), Flatten(), Linear(18, 2))
SHAPE = (1, 8, 8)


def test_anchors_pin_planes_to_cells() -> None:
    anchors = {"input": ("A4",), "conv1.weight": ("K4", "K14"), "conv1.out": ("P4", "P14")}
    layout = lay_out(NETWORK, SHAPE, Drawing(anchors=anchors, texts=()))
    for name, cells in anchors.items():
        assert tuple(grid.bounds.first.a1 for grid in layout.placed[name].grids) == cells
    pool = layout.placed["maxpool1.out"].grids
    assert [grid.row for grid in pool] == [3, 13]


@pytest.mark.parametrize(
    ("drawing", "messages"),
    [
        (Drawing(anchors={"conv1.out": ("P3",)}), ["conv1.out has 1 anchors: expected 2"]),
        (Drawing(anchors={"input": ("A3:B4",)}), ["'A3:B4' is a range: one cell is expected"]),
        (Drawing(anchors={"input": ("3A",)}), ["'3A' is not a cell"]),
        (Drawing(anchors={"conv1.out": ("P3", "R5")}), ["conv1.out at R5", "conv1.out at P3"]),
        (Drawing(anchors={"maxpool1.out": ("B4", "AA30")}), ["maxpool1.out at B4", "input at"]),
        (Drawing(anchors={"conv2.out": ("A1",)}), ["'conv2.out'", "conv1.out, conv1.weight, den"]),
        (Drawing(styles={"conv1": Style()}), ["'conv1' that the network does not draw"]),
        (Drawing(number_formats={"out": "0"}), ["'out' that the network does not draw"]),
        (Drawing(aligned=frozenset({"pool"})), ["aligns a layer 'pool'", "conv1, maxpool1, dense"]),
        (Drawing(worksheet="C1"), ["worksheet name 'C1' looks like a cell"]),
        (Drawing(texts=(Text("B4", "here"),)), ["the text 'here'", "input"]),
        (Drawing(texts=(Text("A1", "x"), Text("A1", "y"))), ["the text 'x'", "the text 'y'"]),
        (Drawing(texts=(Text("A0", "x"),)), ["'A0' lies outside a worksheet"]),
    ],
)
def test_drawings_that_cannot_be_are_refused(drawing: Drawing, messages: list[str]) -> None:
    with pytest.raises(LayoutError) as caught:
        lay_out(NETWORK, SHAPE, drawing)
    for message in messages:
        assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_padding_has_to_fit_the_worksheet() -> None:
    network = Sequential(Conv2d(1, 1, 3, padding=2))
    with pytest.raises(LayoutError, match="input stands too near the edge of the worksheet"):
        lay_out(network, (1, 5, 5), Drawing(anchors={"input": ("A1",)}, texts=()))


def test_a_window_that_begins_outside_the_worksheet_is_refused() -> None:
    network = Sequential(Conv2d(1, 1, 3, padding=1))
    layout = lay_out(network, (1, 5, 5))
    (grid,) = layout.placed["input"].grids
    corner = replace(layout.placed["input"], grids=(replace(grid, row=0),))
    with pytest.raises(LayoutError, match=r"layer conv1: the window of network!\w+ begins outside"):
        stage_formulas(network, layout.stages[0], {**layout.placed, "input": corner}, Drawing())


@pytest.mark.parametrize("shape", [(4, 4), (1, 1, 4, 4)])
def test_inputs_are_planes_or_a_vector(shape: tuple[int, ...]) -> None:
    with pytest.raises(LayoutError, match=r"expected \(channels, height, width\) or \(features,\)"):
        lay_out(Sequential(ReLU()), shape)


def test_padding_collides_with_what_stands_in_it() -> None:
    network = Sequential(Conv2d(1, 1, 3, padding=1, bias=False))
    anchors = {"input": ("B2",), "conv1.out": ("G2",), "conv1.weight": ("M2",)}
    with pytest.raises(LayoutError, match=r"conv1\.out at G2:K6 overlaps input at A1:G7 \(padd"):
        lay_out(network, (1, 5, 5), Drawing(anchors=anchors, texts=()))


def test_kernels_stand_as_far_apart_as_what_they_meet() -> None:
    network = Sequential(MaxPool2d(2), Conv2d(1, 1, 3, dilation=(1, 2)))
    layout = lay_out(network, (1, 12, 12), Drawing(aligned=frozenset({"maxpool1"})))
    (kernel,) = layout.placed["conv1.weight"].grids
    assert (kernel.row_step, kernel.column_step) == (2, 4)


def test_an_average_that_counts_zeros_cannot_read_a_spread_plane(tmp_path: Path) -> None:
    network = Sequential(MaxPool2d(2), AvgPool2d(2, padding=1))
    drawing = Drawing(aligned=frozenset({"maxpool1"}))
    with pytest.raises(LayoutError, match="draw the layer before it compact, not aligned"):
        build(network, tmp_path / "a.xlsx", image=np.eye(8), drawing=drawing)
    assert list(tmp_path.iterdir()) == []


def test_an_aligned_pool_stands_at_the_top_left_of_its_windows() -> None:
    drawing = Drawing(aligned=frozenset({"maxpool1"}))
    layout = lay_out(Sequential(MaxPool2d((2, 3))), (1, 6, 6), drawing)
    (source,), (grid,) = (layout.placed[name].grids for name in ("input", "maxpool1.out"))
    assert (grid.row, grid.row_step, grid.column_step) == (source.row, 2, 3)


# --- Limits


@pytest.mark.parametrize(
    ("network", "input_shape", "needs"),
    [
        (Sequential(ReLU()), (1_048_574,), "needs 1,048,577 rows and 5 columns"),
        (
            Sequential(Flatten(), Linear(4, 6_000, bias=False)),
            (1, 2, 2),
            "needs 6,003 rows and 18,0",
        ),
        (Sequential(ReLU()), (1, 1, 8_200), "needs 4 rows and 16,403 columns"),
    ],
)
def test_a_network_that_needs_more_than_a_worksheet_is_refused(
    network: Sequential, input_shape: tuple[int, ...], needs: str
) -> None:
    with pytest.raises(LayoutError, match="a worksheet has 1,048,576 and 16,384") as caught:
        lay_out(network, input_shape, Drawing(layout="one-sheet"))
    assert needs in str(caught.value)


def test_a_network_that_fills_a_worksheet_is_taken() -> None:
    layout = lay_out(Sequential(ReLU()), (1_048_573,), Drawing(layout="one-sheet"))
    assert layout.placed["relu1.out"].grids[0].bounds.last_row == 1_048_575


def test_a_formula_longer_than_excel_takes_is_refused(tmp_path: Path) -> None:
    leaks = [(f"leak{n}", LeakyReLU()) for n in range(30)]
    network = Sequential(("wide", Conv2d(40, 1, 1)), *leaks)
    with pytest.raises(LayoutError) as caught:
        build(network, tmp_path / "a.xlsx", image=np.ones((40, 1, 1)))
    assert re.fullmatch(
        r"layer wide: the formula of network!\w+ needs [0-9,]+ characters, and Excel takes 8,192: "
        r"use fewer input channels, or draw what is fused .*",
        str(caught.value),
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("columns", "span"),
    [("A:AB", (0, 27)), ("C:C", (2, 2)), ("XFD", (16_383, 16_383)), ("a:b", (0, 1))],
)
def test_columns_have_a_span(columns: str, span: tuple[int, int]) -> None:
    assert column_span(Columns(columns, 3.0)) == span


@pytest.mark.parametrize("columns", ["", "1:2", "B:A", "XFE:XFF", "A:B:C", "ABCD", "é"])
def test_columns_that_are_none_are_refused(columns: str) -> None:
    with pytest.raises(LayoutError, match="columns "):
        column_span(Columns(columns, 3.0))


# --- Stages


def test_elementwise_layers_are_fused_into_the_layer_before() -> None:
    assert [stage.label for stage in stages_of(NETWORK, SHAPE, fuse=True)] == [
        "conv1 + relu1", "maxpool1", "dense1",
    ]  # fmt: skip
    apart = stages_of(NETWORK, SHAPE, fuse=False)
    assert [(stage.name, stage.source) for stage in apart] == [
        ("conv1", "input"), ("relu1", "conv1.out"), ("maxpool1", "relu1.out"),
        ("dense1", "maxpool1.out"),
    ]  # fmt: skip


def test_colour_scales_are_one_for_each_plane() -> None:
    layout = lay_out(NETWORK, SHAPE)
    covered = Counter(area.a1 for scale in layout.colour_scales for area in scale.ranges)
    drawn = Counter(
        grid.bounds.a1
        for name, placed in layout.placed.items()
        if name != "conv1.bias"
        for grid in placed.grids
    )
    assert covered == drawn


def test_automatic_titles_make_way_for_a_pinned_tensor() -> None:
    network = Sequential(Conv2d(1, 1, 3))
    layout = lay_out(network, (1, 5, 5), Drawing(anchors={"input": ("A2",)}))
    assert layout.placed["input"].grids[0].cell(0, 0).a1 == "A2"
    cells = {text.cell.a1 for text in layout.sheets[0].texts}
    assert cells
    assert cells.isdisjoint({cell.a1 for cell in layout.placed["input"].grids[0].cells()})


def test_drawn_padding_ends_inside_the_worksheet() -> None:
    network = Sequential(Conv2d(1, 1, 3, padding=1, bias=False))
    anchors = {"input": ("XEZ4",), "conv1.weight": ("B4",), "conv1.out": ("J4",)}
    with pytest.raises(LayoutError, match="a worksheet has 1,048,576 and 16,384"):
        lay_out(network, (1, 5, 5), Drawing(anchors=anchors, texts=()))


def test_texts_and_anchors_of_another_worksheet_are_refused() -> None:
    network = Sequential(Conv2d(1, 1, 3))
    for drawing in (
        Drawing(texts=(Text("other!C5", "hello"),)),
        Drawing(anchors={"input": ("other!B4",)}),
    ):
        with pytest.raises(LayoutError, match="names another worksheet than 'network'"):
            lay_out(network, (1, 5, 5), drawing)


def test_a_network_that_draws_nothing_is_refused() -> None:
    with pytest.raises(LayoutError, match="nothing to draw"):
        lay_out(Sequential(Flatten()), (1, 5, 5))


def test_planes_that_may_be_negative_are_blue_below_zero() -> None:
    network = Sequential(Conv2d(1, 1, 3), MaxPool2d(2), ReLU(), Flatten(), Linear(1, 2), Softmax())
    drawing = Drawing(fuse=False)
    for signed in (False, True):
        layout = lay_out(network, (1, 5, 5), drawing, signed_input=signed)
        colours = {scale.ranges[0]: len(scale.colours) for scale in layout.colour_scales}
        found = {
            name: colours[layout.placed[name].grids[0].bounds]
            for name in ("input", "conv1.out", "maxpool1.out", "relu1.out", "dense1.out")
        }
        assert list(found.values()) == [3 if signed else 2, 3, 3, 2, 3]


def test_padding_made_of_formulas_has_looks_but_no_anchor() -> None:
    network = Sequential(Conv2d(1, 1, 3, padding=1, padding_mode="reflect"))
    plain = lay_out(network, (1, 5, 5)).styles["conv1.border"]
    formats = Drawing(number_formats={"conv1.border": "0.000"})
    assert lay_out(network, (1, 5, 5), formats).styles["conv1.border"] == replace(
        plain, number_format="0.000"
    )
    bold = Style(bold=True)
    chosen = lay_out(network, (1, 5, 5), Drawing(styles={"conv1.border": bold}))
    assert chosen.styles["conv1.border"] == bold
    anchored = Drawing(anchors={"conv1.border": ("A1",) * 8})
    with pytest.raises(LayoutError, match="no place of its own: anchor input"):
        lay_out(network, (1, 5, 5), anchored)
