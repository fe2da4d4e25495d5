"""Reading workbooks back: every number in its place, edits seen, and nothing harmful let in."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from planting import edit_part, opened, recached, resave_in_libreoffice, spliced, typed

import sheetconv as sc
from sheetconv import description, tables
from sheetconv.calculators import Engine
from sheetconv.contents import WorkbookContents
from sheetconv.errors import CalculatorError, CheckError, SheetconvError, WorkbookError
from sheetconv.layers import LAYERS
from sheetconv.layers.base import Example
from sheetconv.network_sheet import NetworkSheet
from sheetconv.workbook import build_workbook
from sheetconv.xlsx import sheet_parts


def network(seed: int = 0) -> sc.Sequential:
    return sc.Sequential(
        sc.Conv2d(1, 2, 3), sc.ReLU(), sc.MaxPool2d(2), sc.Flatten(), sc.Linear(8, 3), seed=seed
    )


IMAGES = np.random.default_rng(0).normal(size=(2, 1, 6, 6))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A workbook with two images."""
    return sc.build(network(), tmp_path / "mine.xlsx", image=IMAGES).path


@pytest.fixture
def with_table(path: Path) -> Path:
    """A workbook with a table of the user's own, saved by openpyxl: without cached values."""
    with opened(path) as book:
        sheet = book.create_sheet("marks")
        sheet.append(["name", "mark", "passed"])
        sheet.append(["Ada", 5, True])
        sheet.append(["=Bob", "=B2*2", False])
        sheet["A3"].data_type = "s"
        book.create_sheet("empty")
    return path


def refused(path: Path, kind: type[SheetconvError], **options: str) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(kind) as caught:
        sc.read(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


# --- Tensors


def test_every_number_comes_back_to_the_last_bit(path: Path) -> None:
    book = sc.read(path)
    net = network()
    np.testing.assert_array_equal(book.input, IMAGES)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(book[name], value)
        np.testing.assert_array_equal(book.network.state_dict()[name], value)
        assert book[name].dtype == np.float64
    convolved = np.maximum(net.layers["conv1"].forward(IMAGES, net.params["conv1"])[0], 0)
    np.testing.assert_allclose(book["conv1.out"], convolved, rtol=1e-13)
    np.testing.assert_allclose(book.output, net(IMAGES), rtol=1e-13)
    assert list(book.tensors) == [
        "input", "conv1.weight", "conv1.bias", "conv1.out", "maxpool1.out", "dense1.weight",
        "dense1.bias", "dense1.out",
    ]  # fmt: skip
    assert book.notes == ()
    assert dict(book.tables) == {}


EXAMPLES = [
    pytest.param(example, id=f"{name}-{number}")
    for name, layer in LAYERS.items()
    for number, example in enumerate(layer.examples())
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_layer_comes_back_and_builds_again(example: Example, tmp_path: Path) -> None:
    # A layer that draws nothing needs one that does before it.
    layers = [sc.ReLU(), example.layer]
    net = sc.Sequential(*layers)
    shape = example.x.shape
    try:
        net.shapes(shape)
        first = sc.build(net, tmp_path / "first.xlsx", image=example.x)
    except SheetconvError as error:
        pytest.fail(f"the example does not build: {error}")
    book = sc.read(first.path)
    expected = book.network(book.input, book.only.noise)
    assert expected.shape == book.output.shape
    np.testing.assert_allclose(book.output, expected, rtol=1e-13, atol=1e-300)
    image = book.input[0]
    second = sc.build(book.network, tmp_path / "second.xlsx", image=image)
    again = sc.read(second.path)
    assert again.tensors.keys() == book.tensors.keys()
    for name, value in book.tensors.items():
        np.testing.assert_array_equal(again[name], value)


@pytest.mark.parametrize("layout", ["one-sheet", "per-layer"])
def test_a_workbook_built_from_what_was_read_holds_the_same(tmp_path: Path, layout: str) -> None:
    drawing = sc.Drawing("first", layout=layout, fuse=False)  # type: ignore[arg-type]
    built = sc.build(network(3), tmp_path / "a.xlsx", image=IMAGES, drawing=drawing)
    book = sc.read(built.path)
    (name,) = book.networks
    assert name == "first"
    drawing = book.only.layout.drawing
    sc.build(book.network, tmp_path / "b.xlsx", image=book.input, drawing=drawing)
    again = sc.read(tmp_path / "b.xlsx")
    assert again.tensors.keys() == book.tensors.keys()
    assert "relu1.out" in book.tensors
    for name, value in book.tensors.items():
        np.testing.assert_array_equal(again[name], value)


def test_the_template_conv_example_with_its_dropout(tmp_path: Path) -> None:
    template = sc.load_template("conv-example")
    sheets = [NetworkSheet(item.network, item.image, item.drawing) for item in template.networks]
    book = sc.read(build_workbook(sheets, tmp_path / "a.xlsx").path)
    assert list(book.networks) == ["conv-example (dropout)", "conv-example"]
    for item in book.networks.values():
        noise = item.noise
        np.testing.assert_allclose(item.output, item.network(item.input, noise), rtol=1e-13)
        assert bool(noise) == ("dropout" in item.name)
        if noise:
            # Without its random numbers the network is another.
            assert not np.allclose(item.output, item.network(item.input))
    with pytest.raises(WorkbookError, match=r"holds 2 networks, .*: choose one, as in networks"):
        book["conv1.weight"]


def test_the_output_behind_flatten_has_the_networks_shape(tmp_path: Path) -> None:
    net = sc.Sequential(sc.Conv2d(1, 2, 3), sc.Flatten())
    sc.build(net, tmp_path / "a.xlsx", image=IMAGES)
    book = sc.read(tmp_path / "a.xlsx")
    assert book["conv1.out"].shape == (2, 2, 4, 4)
    assert book.output.shape == (2, 32)
    np.testing.assert_allclose(book.output, net(IMAGES), rtol=1e-13)


def test_unknown_tensors_are_named_with_what_is_near(path: Path) -> None:
    book = sc.read(path)
    with pytest.raises(KeyError, match=r"no tensor 'conv1.wieght' .* did you mean 'conv1.weight'"):
        book["conv1.wieght"]
    with pytest.raises(KeyError, match=r"no tensor 'zzz' .* it has input, conv1.weight"):
        book.only.cells("zzz")
    with pytest.raises(KeyError):
        book.only.frame("zzz")


# --- Cells and frames


def test_cells_name_where_each_number_stands(path: Path) -> None:
    item = sc.read(path).only
    sheet = openpyxl.load_workbook(path, data_only=True)[item.name]
    for name, value in item.tensors.items():
        cells = item.cells(name)
        assert cells.shape == value.shape
        shown = [sheet[cell].value for cell in cells.reshape(-1).tolist()]
        assert shown == value.reshape(-1).tolist()


def test_cells_of_an_aligned_pool_lie_apart(tmp_path: Path) -> None:
    drawing = sc.Drawing(aligned=frozenset({"maxpool1"}))
    sc.build(network(), tmp_path / "a.xlsx", image=IMAGES, drawing=drawing)
    item = sc.read(tmp_path / "a.xlsx").only
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx", data_only=True)[item.name]
    cells = item.cells("maxpool1.out")
    shown = [sheet[cell].value for cell in cells.reshape(-1).tolist()]
    assert shown == item["maxpool1.out"].reshape(-1).tolist()
    assert sheet[cells[0, 0, 1, 0]].row - sheet[cells[0, 0, 0, 0]].row == 2


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("input", ["image", "channel", "row", "column"]),
        ("conv1.weight", ["out_channel", "in_channel", "row", "column"]),
        ("conv1.bias", ["channel"]),
        ("conv1.out", ["image", "channel", "row", "column"]),
        ("dense1.weight", ["out_feature", "in_feature"]),
        ("dense1.out", ["image", "feature"]),
    ],
)
def test_frames_have_a_row_for_each_unit(path: Path, name: str, axes: list[str]) -> None:
    item = sc.read(path).only
    frame = item.frame(name)
    value = item[name]
    assert list(frame.index.names) == axes
    assert list(frame.columns) == ["worksheet", "cell", "value"]
    assert len(frame) == value.size
    last = tuple(length - 1 for length in value.shape)
    row = frame.loc[last if len(last) > 1 else last[0]]
    assert row.tolist() == ["network", item.cells(name)[last], value[last]]


def test_a_plane_is_unstacked_from_its_frame(path: Path) -> None:
    item = sc.read(path).only
    plane = item.frame("conv1.out")["value"].loc[1, 0].unstack()
    np.testing.assert_array_equal(plane.to_numpy(), item["conv1.out"][1, 0])


def test_frames_name_the_worksheet_of_each_layer(tmp_path: Path) -> None:
    sc.build(network(), tmp_path / "a.xlsx", image=IMAGES, drawing=sc.Drawing(layout="per-layer"))
    item = sc.read(tmp_path / "a.xlsx").only
    assert set(item.frame("input").worksheet) == {"network"}
    assert set(item.frame("conv1.out").worksheet) == {"network_conv1"}


def test_single_numbers_have_frames_of_one_row(tmp_path: Path) -> None:
    net = sc.Sequential(sc.Conv2d(1, 1, 3), sc.Dropout(0.25))
    sc.build(net, tmp_path / "a.xlsx", image=IMAGES[0])
    item = sc.read(tmp_path / "a.xlsx").only
    assert item["dropout1.p"].shape == ()
    assert item.cells("dropout1.p").shape == ()
    assert item.frame("dropout1.p").value.tolist() == [0.25]
    assert list(item.frame("dropout1.share").index.names) == ["image", "channel"]


def test_the_contents_say_what_they_are(with_table: Path) -> None:
    text = repr(sc.read(with_table))
    assert "\n" not in text
    assert "<network 'network': input (2, 1, 6, 6), conv1.weight (2, 1, 3, 3)" in text
    assert "tables 'marks', 'empty'; " in text
    assert text.endswith("recalculate it, as in read(path, engine='ironcalc')")


# --- Edits


def edited(path: Path, name: str, index: tuple[int, ...]) -> str:
    return str(sc.read(path).only.cells(name)[index])


def edit(path: Path) -> tuple[sc.Sequential, np.ndarray]:
    """Type a weight and a pixel in openpyxl; the network and the images as edited."""
    weight = edited(path, "conv1.weight", (0, 0, 0, 0))
    pixel = edited(path, "input", (0, 0, 0, 0))
    with opened(path) as book:
        book["network"][weight] = 2.5
        book["network"][pixel] = -7
    net, images = network(), IMAGES.copy()
    net.params["conv1"]["weight"][0, 0, 0, 0], images[0, 0, 0, 0] = 2.5, -7.0
    return net, images


def holds(book: WorkbookContents, net: sc.Sequential, images: np.ndarray, digits: int) -> None:
    """Assert that the numbers are those, as written with so many digits."""
    precision = 10.0 ** (1 - digits)
    np.testing.assert_allclose(book.input, images, rtol=precision)
    for name, value in net.state_dict().items():
        np.testing.assert_allclose(book.network.state_dict()[name], value, rtol=precision)


def test_edits_by_openpyxl_are_read_and_lost_values_are_nan_with_a_way_out(path: Path) -> None:
    net, images = edit(path)
    book = sc.read(path)
    holds(book, net, images, digits=16)
    assert book["conv1.weight"][0, 0, 0, 0] == 2.5
    assert np.isnan(book.output).all()
    assert book.output.shape == (2, 3)
    (note,) = book.notes
    assert note.startswith("86 formulas have no value and are NaN")
    assert "read(path, engine='ironcalc')" in note
    recalculated = sc.read(path, engine="ironcalc")
    np.testing.assert_allclose(recalculated.output, net(images), rtol=1e-13)
    assert recalculated.notes == ()


def test_edits_saved_by_libreoffice_are_read(
    path: Path, tmp_path: Path, libreoffice: Engine
) -> None:
    net, images = edit(path)
    book = sc.read(resave_in_libreoffice(path, tmp_path))
    holds(book, net, images, digits=15)
    np.testing.assert_allclose(book.output, net(images), rtol=1e-12)
    again = sc.read(path, engine=libreoffice)
    np.testing.assert_allclose(again.output, net(images), rtol=1e-13)


def test_an_engine_replaces_cached_values_that_are_wrong(path: Path) -> None:
    cell = edited(path, "dense1.out", (0, 0))
    recached(path, "network", cell, 123.0)
    assert sc.read(path).output[0, 0] == 123.0
    book = sc.read(path, engine="ironcalc")
    np.testing.assert_allclose(book.output, network()(IMAGES), rtol=1e-13)


def test_an_edited_probability_is_the_layers(tmp_path: Path) -> None:
    net = sc.Sequential(sc.Conv2d(1, 1, 3), sc.Dropout(0.25))
    path = sc.build(net, tmp_path / "a.xlsx", image=IMAGES[0]).path
    cell = edited(path, "dropout1.p", ())
    spliced(path, "network", cell, 0.75)
    book = sc.read(path, engine="ironcalc")
    assert book.network.layers["dropout1"] == sc.Dropout(0.75)
    noise = book.only.noise
    np.testing.assert_allclose(book.output, book.network(book.input, noise), rtol=1e-13)
    spliced(path, "network", cell, 1.5)
    text = refused(path, WorkbookError)
    assert f"network!{cell}: Dropout: p is 1.5" in text


def test_a_blank_cell_counts_as_zero(path: Path) -> None:
    spliced(path, "network", edited(path, "conv1.weight", (1, 0, 2, 2)), None)
    book = sc.read(path, engine="ironcalc")
    assert book["conv1.weight"][1, 0, 2, 2] == 0.0
    np.testing.assert_allclose(book.output, book.network(book.input), rtol=1e-13)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("nought", "'nought'"),
        ("#DIV/0!", "#DIV/0!"),
        ("0.5 ", "'0.5 '"),
        ("=1\n" * 3000, "..."),
    ],
)
@pytest.mark.parametrize("tensor", ["input", "conv1.weight", "dense1.bias"])
def test_what_is_no_number_is_named_with_its_cell(
    path: Path, tensor: str, content: str, shown: str
) -> None:
    index = tuple(length - 1 for length in sc.read(path)[tensor].shape)
    cell = edited(path, tensor, index)
    if content.startswith("="):
        with opened(path) as book:
            book["network"][cell] = content
            book["network"][cell].data_type = "s"
    else:
        spliced(path, "network", cell, content)
    text = refused(path, WorkbookError)
    assert f"network!{cell}, a cell of {tensor}, holds " in text
    assert f"{shown}" in text
    assert text.endswith("expected a number; type one there")
    assert len(text) < 300 + len(str(path))


@pytest.mark.parametrize("insert", ["insert_rows", "insert_cols"])
def test_moved_cells_are_asked_about(path: Path, insert: str) -> None:
    """Where a text came to stand for a number in the error, else in a note."""
    with opened(path) as book:
        getattr(book["network"], insert)(2)
    try:
        said = " ".join(sc.read(path).notes)
    except WorkbookError as error:
        said = str(error)
        assert "expected a number; were rows" in said
    assert "were rows or columns inserted" in said


def test_untouched_cells_are_not_asked_about(path: Path) -> None:
    assert sc.read(path).notes == ()


@pytest.mark.parametrize("number", ["1e999", "-1e999", "nan", "inf"])
def test_numbers_that_no_spreadsheet_holds_are_refused(path: Path, number: str) -> None:
    cell = edited(path, "conv1.weight", (0, 0, 0, 0))
    spliced(path, "network", cell, 0.0625)
    part = sheet_parts(path)["network"]
    edit_part(path, part, lambda text: text.replace("<v>0.0625</v>", f"<v>{number}</v>", 1))
    text = refused(path, WorkbookError)
    assert f"network!{cell}, a cell of conv1.weight, holds {float(number)}" in text


def test_a_weight_made_a_formula_is_its_value(path: Path) -> None:
    cell = edited(path, "conv1.weight", (0, 0, 0, 0))
    typed(path, "network", cell, "=1/4")
    text = refused(path, WorkbookError)
    assert f"network!{cell}, a cell of conv1.weight, holds a formula without a value" in text
    assert text.endswith("read(path, engine='ironcalc')")
    book = sc.read(path, engine="ironcalc")
    assert book["conv1.weight"][0, 0, 0, 0] == 0.25
    np.testing.assert_allclose(book.output, book.network(book.input), rtol=1e-13)


def test_a_formula_that_shows_an_error_is_nan(path: Path) -> None:
    cell = edited(path, "dense1.out", (0, 1))
    typed(path, "network", cell, "=1/0")
    output = sc.read(path, engine="ironcalc").output
    assert np.isnan(output[0, 1])
    assert np.isfinite(np.delete(output.reshape(-1), 1)).all()


# --- Tables


def test_tables_are_frames_of_what_is_in_them(with_table: Path) -> None:
    book = sc.read(with_table, engine="ironcalc")
    assert list(book.tables) == ["marks", "empty"]
    expected = pd.DataFrame(
        {"name": ["Ada", "=Bob"], "mark": [5.0, 10.0], "passed": [True, False]},
        index=pd.Index([2, 3], name="row"),
    )
    pd.testing.assert_frame_equal(book.tables["marks"], expected)
    assert book.tables["empty"].empty
    assert np.isnan(sc.read(with_table).tables["marks"]["mark"][3])


@pytest.mark.parametrize(
    ("rows", "columns", "index"),
    [
        ([["a", "b"], [1, 2]], ["a", "b"], [2]),
        ([["a", "a"], [1, 2]], ["A", "B"], [1, 2]),
        ([["a", None], [1, 2]], ["A", "B"], [1, 2]),
        ([["a", 1], [1, 2]], ["A", "B"], [1, 2]),
        ([["a", "b"]], ["A", "B"], [1]),
        ([["a", None, "c"], [None], [1, None, 2]], ["a", "c"], [3]),
        ([[None, "title"], [None, "a", "b"]], ["B", "C"], [1, 2]),
    ],
)
def test_a_first_row_of_texts_names_the_columns(
    path: Path, rows: list[list[object]], columns: list[str], index: list[int]
) -> None:
    with opened(path) as book:
        sheet = book.create_sheet("mine", 0)
        for row in rows:
            sheet.append(row)
    frame = sc.read(path).tables["mine"]
    assert list(frame.columns) == columns
    assert list(frame.index) == index


def test_hidden_tables_are_read_and_the_description_is_not(path: Path) -> None:
    with opened(path) as book:
        book.create_sheet("aside").sheet_state = "hidden"
        book["aside"]["C7"] = 1.5
    frames = sc.read(path).tables
    assert list(frames) == ["aside"]
    assert frames["aside"].loc[7, "C"] == 1.5


def test_errors_and_formulas_of_one_column_of_a_table(path: Path) -> None:
    with opened(path) as book:
        sheet = book.create_sheet("mine")
        for row, content in enumerate(["=1+1", "=1/0", None, "=A1*3", 4, '="x"&1'], 1):
            sheet.cell(row, 1, content)
            sheet.cell(row, 2, row)
    frame = sc.read(path, engine="ironcalc").tables["mine"]
    assert frame["B"].tolist() == [1, 2, 3, 4, 5, 6]
    first = frame["A"].tolist()
    assert [first[0], *first[3:]] == [2.0, 6.0, 4.0, "x1"]
    assert frame["A"].isna().tolist() == [False, True, True, False, False, False]


# --- Files from anywhere


def test_another_workbook_is_refused_with_what_to_do(tmp_path: Path) -> None:
    openpyxl.Workbook().save(tmp_path / "a.xlsx")
    assert "was not made by sheetconv" in refused(tmp_path / "a.xlsx", CheckError)
    assert "no such file" in refused(tmp_path / "none.xlsx", WorkbookError)


def test_an_engine_that_is_not_there_is_named(path: Path) -> None:
    assert "no engine 'irncalc', did you mean 'ironcalc'" in refused(
        path, CalculatorError, engine="irncalc"
    )


def part_of(path: Path, sheet: str) -> str:
    return sheet_parts(path)[sheet]


DOCTYPE = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;">]>'


@pytest.mark.parametrize("sheet", ["network", "marks", description.SHEET])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: re.sub(r"\?>", f"?>{DOCTYPE}", text, count=1), "has a DOCTYPE"),
        (lambda text: text + " " * 5_000_000, "zip bomb"),
        (lambda text: text[: len(text) // 2], "no well-formed XML"),
    ],
    ids=["doctype", "bomb", "cut"],
)
@pytest.mark.parametrize("engine", [None, "ironcalc"])
def test_tricks_in_any_worksheet_are_refused(
    with_table: Path, sheet: str, change: Callable[[str], str], says: str, engine: str | None
) -> None:
    def with_declaration(text: str) -> str:
        return change(text if text.startswith("<?xml") else f'<?xml version="1.0"?>{text}')

    edit_part(with_table, part_of(with_table, sheet), with_declaration)
    options = {"engine": engine} if engine else {}
    assert says in refused(with_table, WorkbookError, **options)


def test_a_doctype_in_the_texts_is_refused(path: Path) -> None:
    edit_part(
        path,
        "xl/sharedStrings.xml",
        lambda text: DOCTYPE + re.sub(r"^<\?xml.*?\?>", "", text),
    )
    assert "has a DOCTYPE" in refused(path, WorkbookError)


def test_a_table_of_too_many_cells_is_refused(
    with_table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MOST_CELLS", 9)
    assert "marks" in sc.read(with_table).tables
    monkeypatch.setattr(tables, "MOST_CELLS", 8)
    text = refused(with_table, WorkbookError)
    assert "the table on worksheet 'marks' has more than 8 cells" in text


def with_rows(path: Path, sheet: str, rows: str) -> None:
    edit_part(
        path,
        part_of(path, sheet),
        lambda text: re.sub(
            r"<sheetData ?/>|<sheetData>.*</sheetData>", f"<sheetData>{rows}</sheetData>", text,
            flags=re.DOTALL,
        ),
    )  # fmt: skip


def test_a_far_cell_costs_no_memory_and_a_diagonal_is_refused(with_table: Path) -> None:
    far = '<row r="1"><c r="A1"><v>1</v></c></row>'
    last = '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    with_rows(with_table, "marks", far + last)
    frame = sc.read(with_table).tables["marks"]
    assert frame.shape == (2, 2)
    assert frame.loc[1048576, "XFD"] == 2.0
    letters = [tables.column_name(n) for n in range(3000)]
    rows = (f'<row r="{n}"><c r="{a}{n}"><v>1</v></c></row>' for n, a in enumerate(letters, 1))
    with_rows(with_table, "marks", "".join(rows))
    assert "has more than 4,194,304 cells" in refused(with_table, WorkbookError)


@pytest.mark.parametrize("cell", ["A1048577", "XFE1", "ZZZ1", "A99999999999999999999"])
@pytest.mark.parametrize("engine", [None, "ironcalc"])
def test_a_cell_beyond_the_last_is_refused(with_table: Path, cell: str, engine: str | None) -> None:
    row = cell.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    with_rows(with_table, "marks", f'<row r="{row}"><c r="{cell}"><v>1</v></c></row>')
    options = {"engine": engine} if engine else {}
    text = refused(with_table, WorkbookError, **options)
    assert "'marks' has a cell beyond XFD1048576" in text


def test_two_networks_on_one_worksheet_are_refused(path: Path) -> None:
    part = "xl/sharedStrings.xml"

    def twice(text: str) -> str:
        start = text.index('[{"worksheet"')
        end = text.index("]}</t>", start)
        return text[:end] + "," + text[start + 1 : end] + text[end:]

    edit_part(path, part, twice)
    assert "two networks begin on one worksheet" in refused(path, CheckError)


def test_half_a_file_is_refused(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "truncated or damaged" in refused(path, WorkbookError)


def test_a_missing_worksheet_is_named(path: Path) -> None:
    with zipfile.ZipFile(path) as package:
        assert "xl/worksheets/sheet1.xml" in package.namelist()
    edit_part(path, "xl/workbook.xml", lambda text: text.replace('"network"', '"other"'))
    assert "has no worksheet 'network', on which its network stood" in refused(path, CheckError)
