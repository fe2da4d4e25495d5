"""Building workbooks: what is written, what is refused, and that nothing is left half-done."""

from __future__ import annotations

import errno
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import openpyxl
import pytest

from sheetconv import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, build
from sheetconv.cells import Grid
from sheetconv.description import HEADING, from_rows
from sheetconv.drawing import Columns, Drawing, Fill, Style, Text
from sheetconv.errors import LayoutError, ShapeError, SheetconvError, WorkbookError
from sheetconv.network_sheet import NetworkSheet
from sheetconv.sheet_writer import CellWorksheet
from sheetconv.workbook import build_workbook

IMAGE = np.random.default_rng(0).normal(size=(6, 6))


def network() -> Sequential:
    return Sequential(Conv2d(1, 2, 3), ReLU(), MaxPool2d(2), Flatten(), Linear(8, 2))


def sheets(*names: str) -> list[NetworkSheet]:
    return [NetworkSheet(network(), IMAGE, Drawing(worksheet=name)) for name in names]


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for temporary files, to see what is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


# --- What is written


def test_every_cell_is_counted_and_holds_its_value(tmp_path: Path) -> None:
    built = build(network(), tmp_path / "a.xlsx", image=IMAGE)
    assert built.path == tmp_path / "a.xlsx"
    size = f"{built.file_size:,} bytes"
    assert repr(built) == f"<BuiltWorkbook {built.path}: 42 formula cells, {size}>"
    assert built.file_size == built.path.stat().st_size
    assert built.formula_cells == 2 * 4 * 4 + 2 * 2 * 2 + 2
    assert built.number_cells == 6 * 6 + 2 * 9 + 2 + 2 * 8 + 2
    placed = built.layouts[0].placed
    sheet = openpyxl.load_workbook(built.path, data_only=True)["network"]

    def shown(name: str) -> list[float]:
        return [sheet[cell.a1].value for grid in placed[name].grids for cell in grid.cells()]

    made = network()
    assert shown("input") == IMAGE.reshape(-1).tolist()
    for name, value in made.state_dict().items():
        assert shown(name) == value.reshape(-1).tolist()
    np.testing.assert_allclose(shown("dense1.out"), made(IMAGE[None, None])[0], rtol=1e-14)


def test_formulas_are_the_ones_a_person_would_write(tmp_path: Path) -> None:
    built = build(network(), tmp_path / "a.xlsx", image=IMAGE)
    sheet = openpyxl.load_workbook(built.path)["network"]
    placed = built.layouts[0].placed

    def formula(name: str, i: int, j: int) -> str:
        return str(sheet[placed[name].grids[1 if name != "dense1.out" else 0].cell(i, j).a1].value)

    def a1(name: str, plane: int, i: int, j: int) -> str:
        return placed[name].grids[plane].cell(i, j).a1

    kernel = placed["conv1.weight"].grids[1].bounds.absolute
    bias = placed["conv1.bias"].grids[1].bounds.absolute
    window = f"{a1('input', 0, 1, 2)}:{a1('input', 0, 3, 4)}"
    assert formula("conv1.out", 1, 2) == f"=MAX(0,SUMPRODUCT({window},{kernel})+{bias})"
    pooled = f"{a1('conv1.out', 1, 2, 0)}:{a1('conv1.out', 1, 3, 1)}"
    assert formula("maxpool1.out", 1, 0) == f"=MAX({pooled})"
    planes = [grid.bounds.a1 for grid in placed["maxpool1.out"].grids]
    weights = [grid.bounds.a1 for grid in placed["dense1.weight"].grids[2:]]
    terms = "+".join(f"SUMPRODUCT({w},{p})" for w, p in zip(weights, planes, strict=True))
    assert formula("dense1.out", 1, 0) == f"={terms}+{a1('dense1.bias', 0, 1, 0)}"


def test_array_style_has_one_cell_array_formulas(tmp_path: Path) -> None:
    drawing = Drawing(formulas="array")
    built = build(network(), tmp_path / "a.xlsx", image=IMAGE, drawing=drawing)
    sheet = openpyxl.load_workbook(built.path)["network"]
    grid = built.layouts[0].placed["conv1.out"].grids[0]
    for cell in grid.cells():
        value = sheet[cell.a1].value
        assert value.ref == cell.a1
        assert value.text.startswith("=MAX(0,SUM(")


def test_the_workbook_describes_itself(tmp_path: Path) -> None:
    built = build_workbook(sheets("one", "two"), tmp_path / "a.xlsx", title="A & B")
    book = openpyxl.load_workbook(built.path)
    assert book.sheetnames == ["one", "two", "sheetconv"]
    assert book["sheetconv"].sheet_state == "veryHidden"
    assert book.properties.title == "A & B"
    rows = [str(cell.value) for cell in book["sheetconv"]["A"]]
    assert rows[0] == HEADING
    described = from_rows(rows, "a.xlsx")
    assert [item.worksheet for item in described] == ["one", "two"]
    for item, layout in zip(described, built.layouts, strict=True):
        assert dict(item.network) == dict(network())
        assert item.layout.placed == layout.placed
        assert item.layout.stages == layout.stages


def test_looks_reach_the_cells(tmp_path: Path) -> None:
    style = Style("0.000", bold=True, italic=True, colour="#FF0000", fill="#00FF00", align="right")
    drawing = Drawing(
        styles={"input": style},
        number_formats={"conv1.out": "0.0000"},
        fills=(Fill("A40:B41", Style(fill="#0000FF")),),
        merges=("A50:B51",),
        freeze="C5",
        zoom=75,
    )
    built = build(network(), tmp_path / "a.xlsx", image=IMAGE, drawing=drawing)
    sheet = openpyxl.load_workbook(built.path)["network"]
    placed = built.layouts[0].placed
    cell = sheet[placed["input"].grids[0].cell(5, 5).a1]
    assert (cell.number_format, cell.font.bold, cell.font.italic) == ("0.000", True, True)
    assert (cell.font.color.rgb, cell.fill.fgColor.rgb) == ("FFFF0000", "FF00FF00")
    assert cell.alignment.horizontal == "right"
    assert sheet[placed["conv1.out"].grids[1].cell(3, 3).a1].number_format == "0.0000"
    assert sheet["B41"].fill.fgColor.rgb == "FF0000FF"
    assert [str(area) for area in sheet.merged_cells.ranges] == ["A50:B51"]
    assert (sheet.freeze_panes, sheet.sheet_view.zoomScale) == ("C5", 75)


def test_the_drawn_border_is_zeros_for_convolutions_and_blank_for_pools(tmp_path: Path) -> None:
    for layer, value in ((Conv2d(1, 1, 3, padding=1), 0), (MaxPool2d(3, 1, padding=1), None)):
        built = build(Sequential(layer), tmp_path / "a.xlsx", image=IMAGE, force=True)
        sheet = openpyxl.load_workbook(built.path)["network"]
        grid = built.layouts[0].placed["input"].grids[0]
        frame = [
            sheet[Grid("", grid.row - 1, grid.column - 1, 8, 8).cell(i, j).a1]
            for i in range(8)
            for j in range(8)
            if i in (0, 7) or j in (0, 7)
        ]
        assert {cell.value for cell in frame} == {value}
        assert {cell.fill.fgColor.rgb for cell in frame} == {"FFD9D9D9"}


def test_seeds_fix_the_random_numbers_that_are_shown(tmp_path: Path) -> None:
    def shown(seed: int) -> list[float]:
        built = build(
            Sequential(Dropout()), tmp_path / "a.xlsx", image=IMAGE, force=True, seed=seed
        )
        sheet = openpyxl.load_workbook(built.path, data_only=True)["network"]
        cells = built.layouts[0].placed["dropout1.random"].grids[0].cells()
        return [sheet[cell.a1].value for cell in cells]

    assert shown(1) == shown(1) != shown(2)
    assert (
        shown(1)
        == Sequential(Dropout()).draw_noise((1, 6, 6), 1)["dropout1"]["random"].reshape(-1).tolist()
    )


def test_a_large_build_shows_its_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    advanced: list[int] = []
    monkeypatch.setattr("sheetconv.workbook._CELLS_WORTH_A_BAR", 1)
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr("tqdm.tqdm.update", lambda _, cells: advanced.append(cells))
    built = build(network(), tmp_path / "a.xlsx", image=IMAGE)
    assert sum(advanced) > built.formula_cells + built.number_cells  # texts count too


# --- What is refused


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((2, 6, 6)), "layer conv1: Conv2d("),
        (np.zeros((5, 5)), "layer dense1: Linear("),
        (np.zeros(36), "layer conv1: Conv2d("),
        (np.zeros((1, 1, 1, 6, 6)), "the image has shape (1, 1, 1, 6, 6): expected (height, "),
        (np.zeros((0, 6)), "the image has shape (0, 6)"),
        (3.0, "the image has shape ()"),
        ([["a", "b"]], "the image is not an array of numbers"),
        (np.full((6, 6), np.nan), "input holds NaN or infinity"),
        (np.where(np.eye(6), np.inf, 0.0), "input holds NaN or infinity"),
    ],
)
def test_images_that_do_not_fit_are_refused(image: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ShapeError) as caught:
        build(network(), tmp_path / "a.xlsx", image=image)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("weight", np.full((2, 1, 3, 3), np.nan), "conv1.weight holds NaN or infinity"),
        ("bias", np.array([0.0, -np.inf]), "conv1.bias holds NaN or infinity"),
        ("bias", np.zeros(3), "conv1.bias has shape (3,): the network draws (2,)"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(
    key: str, value: np.ndarray, message: str, tmp_path: Path
) -> None:
    changed = network()
    changed.params["conv1"][key] = value
    with pytest.raises(ShapeError) as caught:
        build(changed, tmp_path / "a.xlsx", image=IMAGE)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_activations_that_overflow_are_refused(tmp_path: Path) -> None:
    summing = Sequential(Conv2d(1, 1, 3, bias=False))
    summing.params["conv1"]["weight"][:] = 1.0
    with pytest.raises(ShapeError, match=r"conv1\.out holds NaN or infinity, which no cell can"):
        build(summing, tmp_path / "a.xlsx", image=np.full((6, 6), 1e308))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("one", "one"), "two worksheets are named 'one': give each a name of its own"),
        (("one", "ONE"), "two worksheets are named 'ONE'"),
        (("sheetconv",), "a worksheet is named 'sheetconv': sheetconv keeps that name"),
        (("SheetConv",), "a worksheet is named 'SheetConv'"),
        (("a/b",), "worksheet name 'a/b'"),
    ],
)
def test_names_of_worksheets_are_checked(
    names: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(LayoutError) as caught:
        build_workbook(sheets(*names), tmp_path / "a.xlsx")
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("drawing", "message"),
    [
        (Drawing(texts=(Text("B40", "x" * 32_768),)), "the text at B40 has 32,768 characters"),
        (Drawing(columns=(Columns("A:C", 3), Columns("B:D", 4))), "columns B:D are given two"),
        (Drawing(columns=(Columns("A-C", 3),)), "columns 'A-C': write them like A:AB"),
        (Drawing(merges=("A40:B41", "B41:C41")), "B41:C41 cannot be merged"),
        (Drawing(merges=("A40",)), "A40 cannot be merged: it is one cell"),
        (Drawing(merges=("A40:",)), "'A40:' is not a cell or a range"),
        (Drawing(freeze="A0"), "'A0' lies outside a worksheet"),
        (Drawing(colour_scales=("A1:B2 nowhere",)), "'nowhere' is not a cell or a range"),
        (Drawing(fills=(Fill("B4", Style()),)), "overlaps input"),
        (Drawing(fills=(Fill("A40:B41 B41", Style()),)), "overlaps a fill"),
    ],
)
def test_drawings_that_break_a_workbook_are_refused(
    drawing: Drawing, message: str, tmp_path: Path
) -> None:
    with pytest.raises(LayoutError) as caught:
        build(network(), tmp_path / "a.xlsx", image=IMAGE, drawing=drawing)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# --- The file


def refused(path: Path, *, force: bool = False) -> str:
    """The message with which a build is refused."""
    with pytest.raises(WorkbookError) as caught:
        build(network(), path, image=IMAGE, force=force)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_existing_file_is_replaced_with_force_only(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"precious")
    assert refused(path) == (
        f"{path} exists already: replace it with --force (in Python force=True), or choose "
        "another name"
    )
    assert path.read_bytes() == b"precious"
    build(network(), path, image=IMAGE, force=True)
    assert path.read_bytes()[:2] == b"PK"
    assert list(tmp_path.iterdir()) == [path]


def test_a_target_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.xlsx").mkdir()
    (tmp_path / "file").touch()
    assert "is a folder: give the name of a file in it" in refused(tmp_path / "folder.xlsx")
    assert "is a folder" in refused(tmp_path / "folder.xlsx", force=True)
    missing = tmp_path / "missing"
    assert refused(missing / "a.xlsx") == f"the folder {missing} does not exist: create it first"
    assert "does not exist" in refused(tmp_path / "file" / "a.xlsx")
    for name in ("a.xls", "a", "a.xlsx.zip"):
        assert "the name of a workbook ends in .xlsx" in refused(tmp_path / name)
    assert "File name too long" in refused(tmp_path / ("a" * 300 + ".xlsx"))
    assert "null byte" in refused(tmp_path / "a\0b.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.xlsx"]


def test_the_ending_may_be_in_capitals(tmp_path: Path) -> None:
    assert build(network(), tmp_path / "A.XLSX", image=IMAGE).path.is_file()


def raiser(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.fixture(params=[b"precious", None], ids=["over a file", "new"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A path to build at; what stood there and no more has to stand there in the end."""
    path = tmp_path / "folder" / "a.xlsx"
    path.parent.mkdir()
    if request.param:
        path.write_bytes(request.param)
    return path


def assert_nothing_changed(target: Path, before: list[bytes]) -> None:
    assert [path.name for path in target.parent.iterdir()] == ["a.xlsx"] * len(before)
    assert [path.read_bytes() for path in target.parent.iterdir()] == before


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            WorkbookError,
            "No space left on device",
        ),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (ValueError("a bug"), ValueError, "a bug"),
    ],
)
def test_a_build_that_fails_while_writing_leaves_nothing(
    error: BaseException,
    expected: type[BaseException],
    message: str | None,
    target: Path,
    temporary_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = [path.read_bytes() for path in target.parent.iterdir()]
    write_start = CellWorksheet._write_sheet_format_pr

    streams: list[IO[str]] = []

    def write_a_little(sheet: CellWorksheet) -> None:
        write_start(sheet)
        streams.append(sheet.fh)
        raise error

    monkeypatch.setattr(CellWorksheet, "_write_sheet_data", write_a_little)
    with pytest.raises(expected, match=message) as caught:
        build(network(), target, image=IMAGE, force=True)
    assert [stream.closed for stream in streams] == [True]
    if isinstance(caught.value, SheetconvError):
        assert str(target) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert_nothing_changed(target, before)
    assert list(temporary_folder.iterdir()) == []


def test_a_full_disk_leaves_what_stood_there(
    target: Path, temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [path.read_bytes() for path in target.parent.iterdir()]
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Path, "write_bytes", raiser(full))
    assert refused(target, force=True) == f"cannot write {target}: No space left on device"
    assert_nothing_changed(target, before)
    assert list(temporary_folder.iterdir()) == []


def test_a_file_that_another_program_holds_is_left_alone(
    target: Path, temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [path.read_bytes() for path in target.parent.iterdir()]
    monkeypatch.setattr(Path, "replace", raiser(PermissionError(errno.EACCES, "denied")))
    assert refused(target, force=True) == (
        f"cannot replace {target}: close it in Excel or whichever program has it open"
    )
    assert_nothing_changed(target, before)
    assert list(temporary_folder.iterdir()) == []


def test_another_error_of_the_file_system_is_reported(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [path.read_bytes() for path in target.parent.iterdir()]
    monkeypatch.setattr(Path, "replace", raiser(OSError(errno.EROFS, "Read-only file system")))
    assert refused(target, force=True) == f"cannot write {target}: Read-only file system"
    assert_nothing_changed(target, before)


def test_a_folder_that_cannot_be_written_is_reported(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [path.read_bytes() for path in target.parent.iterdir()]
    denied = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr("sheetconv.files.tempfile.mkstemp", raiser(denied))
    assert refused(target, force=True).startswith(
        f"cannot write into {target.parent}: Permission denied: choose another folder"
    )
    assert_nothing_changed(target, before)


def test_a_good_build_leaves_the_workbook_and_nothing_else(
    target: Path, temporary_folder: Path
) -> None:
    build(network(), target, image=IMAGE, force=True)
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o600 == 0o600
    assert list(temporary_folder.iterdir()) == []


def test_a_workbook_without_networks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="at least one"):
        build_workbook([], tmp_path / "a.xlsx")
    assert list(tmp_path.iterdir()) == []
