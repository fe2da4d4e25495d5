"""Pictures of worksheets show every cell in its colour, at its place, and nothing hidden."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import openpyxl
import pypdfium2
import pytest
import xlsxwriter
from PIL import Image

import sheetconv as sc
from sheetconv.calculators import Engine
from sheetconv.errors import CalculatorError, LayoutError, WorkbookError
from sheetconv.rendering.pages import MARGIN

DPI = 96.0
VALUES = np.array([[0, 1, 2], [9, 4, 7], [3, 10, 6], [5, 8, 2.5]])
LIT = (0, 176, 80)
RED, WHITE = (255, 0, 0), (255, 255, 255)


def write(path: Path, values: np.ndarray = VALUES) -> Path:
    """Worksheets `one` (VALUES, white to red), `two`, a hidden and a very hidden one."""
    with xlsxwriter.Workbook(path) as book:
        one = book.add_worksheet("one")
        for (row, column), value in np.ndenumerate(values):
            one.write_number(row, column, value)
        scale = {"type": "2_color_scale", "min_color": "#FFFFFF", "max_color": "#FF0000"}
        one.conditional_format("A1:C4", scale)
        one.set_header("&Cthe header")
        two = book.add_worksheet("two")
        two.write_string("A1", "second <sheet>", book.add_format({"bold": True}))
        decimal = book.add_format({"num_format": "0.0"})
        two.write_formula("B3", "=one!A2*2", decimal, 18)
        fill = book.add_format({"bg_color": "#{:02X}{:02X}{:02X}".format(*LIT)})
        two.conditional_format("A1:D5", {"type": "formula", "criteria": "=B2=18", "format": fill})
        hidden = book.add_worksheet("hidden")
        hidden.write_string("A1", "concealed")
        hidden.hide()
        very = book.add_worksheet("sheetconv")
        very.write_string("A1", "unspeakable")
        very.very_hidden()
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("render")


@pytest.fixture(scope="module")
def book(folder: Path) -> Path:
    return write(folder / "book.xlsx")


@pytest.fixture(scope="module")
def pictures(libreoffice: Engine, book: Path, folder: Path) -> list[Path]:
    return sc.render(book, folder / "out.png", dpi=DPI)


@pytest.fixture(scope="module")
def page(libreoffice: Engine, book: Path, folder: Path) -> str:
    (file,) = sc.render(book, folder / "out.html")
    return file.read_text(encoding="utf-8")


def red(value: float) -> tuple[int, ...]:
    rest = round(255 * (1 - (value - VALUES.min()) / (VALUES.max() - VALUES.min())))
    return 255, rest, rest


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB")).astype(int)


def cell_of(picture: np.ndarray, row: int, column: int, shape: tuple[int, int]) -> np.ndarray:
    """The pixels of one of equally large cells, without its edges."""
    margin = MARGIN / 2540 * DPI
    height, width = ((picture.shape[axis] - 2 * margin) / shape[axis] for axis in (0, 1))
    top, left = margin + row * height, margin + column * width
    return picture[
        round(top) + 2 : round(top + height) - 2, round(left) + 2 : round(left + width) - 2
    ]


def backgrounds(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The colour of every cell, in its left upper corner, where no number stands."""
    return np.array(
        [
            [cell_of(picture, i, j, shape)[0, 0] for j in range(shape[1])]
            for i in range(shape[0])
        ]
    )  # fmt: skip


# Pictures.


def test_each_visible_worksheet_has_a_picture(pictures: list[Path], folder: Path) -> None:
    assert [path.name for path in pictures] == ["out-one.png", "out-two.png"]
    assert sorted(folder.glob("*.png")) == sorted(pictures)


def test_the_picture_has_the_size_of_the_cells(pictures: list[Path]) -> None:
    """Four rows of 15 points, and little around them."""
    height = pixels(pictures[0]).shape[0]
    assert height == pytest.approx((4 * 15 / 72 + 2 * MARGIN / 2540) * DPI, abs=2)


def test_every_cell_has_its_colour_of_the_scale(pictures: list[Path]) -> None:
    expected = np.array([[red(value) for value in row] for row in VALUES])
    assert tuple(expected[2, 1]) == RED
    np.testing.assert_allclose(backgrounds(pixels(pictures[0]), VALUES.shape), expected, atol=1)


def test_conditional_formats_by_formula_are_drawn(pictures: list[Path]) -> None:
    assert [int((pixels(path) == LIT).all(axis=2).sum()) > 500 for path in pictures] == [
        False,
        True,
    ]


def test_numbers_are_drawn(pictures: list[Path]) -> None:
    picture = pixels(pictures[0])
    for i, j in np.ndindex(VALUES.shape):
        assert cell_of(picture, i, j, VALUES.shape).sum(axis=2).min() < 150


def test_margins_are_white_without_header(pictures: list[Path]) -> None:
    picture = pixels(pictures[0])
    edge = round(MARGIN / 2540 * DPI) - 1
    for strip in (picture[:edge], picture[-edge:], picture[:, :edge], picture[:, -edge:]):
        assert (strip == WHITE).all()


def test_a_changed_value_changes_the_picture_at_its_place_only(
    libreoffice: Engine, pictures: list[Path], tmp_path: Path
) -> None:
    changed = VALUES.copy()
    changed[1, 2] = 1
    (path,) = sc.render(
        write(tmp_path / "x.xlsx", changed), tmp_path / "x.png", sheets="one", dpi=DPI
    )
    differs = (pixels(path) != pixels(pictures[0])).any(axis=2)
    cell = cell_of(differs, 1, 2, VALUES.shape)
    assert cell.all()
    rows, columns = np.nonzero(differs)
    assert np.ptp(rows) <= cell.shape[0] + 5
    assert np.ptp(columns) <= cell.shape[1] + 5


def test_a_range_is_drawn_alone(libreoffice: Engine, book: Path, tmp_path: Path) -> None:
    (path,) = sc.render(book, tmp_path / "x.PNG", area="one!B2:C3", dpi=DPI)
    assert path == tmp_path / "x.PNG"
    found = backgrounds(pixels(path), (2, 2))
    expected = [[red(value) for value in row] for row in VALUES[1:3, 1:3]]
    np.testing.assert_allclose(found, expected, atol=1)


def test_dpi_scales_the_picture(
    libreoffice: Engine, book: Path, pictures: list[Path], tmp_path: Path
) -> None:
    (path,) = sc.render(book, tmp_path / "x.png", sheets=["one"], dpi=3 * DPI)
    np.testing.assert_allclose(pixels(path).shape[:2], np.multiply(
        pixels(pictures[0]).shape[:2], 3), atol=3)  # fmt: skip


def test_a_text_that_runs_over_the_last_column_is_whole(
    libreoffice: Engine, tmp_path: Path
) -> None:
    widths = []
    for text in ("W" * 10, "W" * 60):
        with xlsxwriter.Workbook(tmp_path / "x.xlsx") as made:
            made.add_worksheet("s").write_string("B2", text)
        (path,) = sc.render(tmp_path / "x.xlsx", tmp_path / "x.png", dpi=DPI, force=True)
        ink = np.nonzero((pixels(path) != WHITE).any(axis=(0, 2)))[0]
        widths.append(np.ptp(ink))
    assert widths[1] == pytest.approx(6 * widths[0], rel=0.03)


def test_a_formula_without_a_value_is_calculated(
    libreoffice: Engine, book: Path, tmp_path: Path
) -> None:
    edited = openpyxl.load_workbook(book)
    edited["one"]["A2"] = 4
    edited["two"]["A5"] = "=one!A2+38"
    edited.save(tmp_path / "x.xlsx")
    (path,) = sc.render(tmp_path / "x.xlsx", tmp_path / "x.pdf", sheets="two")
    assert "42" in texts(path)[0]


def test_what_depends_on_a_random_number_is_drawn_with_it(
    libreoffice: Engine, tmp_path: Path
) -> None:
    with xlsxwriter.Workbook(tmp_path / "x.xlsx") as made:
        sheet = made.add_worksheet("s")
        sheet.write_formula("A1", "=RAND()", made.add_format({"num_format": "0.000"}), 5)
        sheet.write_formula("A2", '=TEXT(A1,"0.000")', None, "5.000")
    (path,) = sc.render(tmp_path / "x.xlsx", tmp_path / "x.pdf")
    number, same = texts(path)[0].split()
    assert number == same != "5.000"


# PDF.


def texts(path: Path) -> list[str]:
    pdf = pypdfium2.PdfDocument(path)
    try:
        return [pdf[number].get_textpage().get_text_bounded() for number in range(len(pdf))]
    finally:
        pdf.close()


def test_pdf_has_every_visible_worksheet_once(
    libreoffice: Engine, book: Path, tmp_path: Path
) -> None:
    (path,) = sc.render(book, tmp_path / "x.pdf")
    first, second = texts(path)
    assert "".join(first.split()) == "".join(f"{value:g}" for value in VALUES.ravel())
    assert second.split() == ["second", "<sheet>", "18.0"]


def test_a_hidden_worksheet_is_drawn_if_it_is_named(
    libreoffice: Engine, book: Path, tmp_path: Path
) -> None:
    (path,) = sc.render(book, tmp_path / "x.pdf", sheets=["hidden", "one"])
    assert ["concealed" in text for text in texts(path)] == [False, True]


# What is larger than LibreOffice's pages.


def write_large(path: Path, rows: int, columns: int, points: float) -> Path:
    """Two worksheets that look alike, and one of this size between them."""
    sizes = {"before": (3, 6, 15.0), "large": (rows, columns, points), "after": (3, 6, 15.0)}
    with xlsxwriter.Workbook(path) as book:
        black = book.add_format({"bg_color": "#000000"})
        for name, (height, width, row_height) in sizes.items():
            sheet = book.add_worksheet(name)
            sheet.set_default_row(row_height)
            sheet.write_column(0, 0, range(height))
            sheet.write_number(1, width - 1, 8, black)
    return path


def extent(picture: np.ndarray) -> tuple[int, int]:
    """Where what is drawn ends: pixels from the top, and from the left."""
    down, across = np.nonzero((picture != WHITE).any(axis=2))
    return int(down.max()), int(across.max())


@pytest.mark.parametrize(
    ("rows", "columns", "points", "parts"),
    [(970, 2, 15, 2), (3, 320, 15, 1), (1010, 320, 1, 2)],
    ids=["long", "wide", "long and wide"],
)
def test_what_follows_a_large_page_is_not_shrunk(
    libreoffice: Engine, tmp_path: Path, rows: int, columns: int, points: float, parts: int
) -> None:
    book = write_large(tmp_path / "x.xlsx", rows, columns, points)
    before, _, after = sc.render(book, tmp_path / "x.png", dpi=72)
    expected = pixels(before)
    np.testing.assert_array_equal(pixels(after), expected)
    shrunk = np.full_like(expected, 255)
    half = expected[::2, ::2]
    shrunk[: len(half), : len(half[0])] = half
    assert extent(shrunk) != extent(expected)

    (path,) = sc.render(book, tmp_path / "x.pdf")
    pdf = pypdfium2.PdfDocument(path)
    try:
        assert len(pdf) == parts + 2
        for number in (0, parts + 1):
            assert pdf[number].get_size() == pytest.approx(expected.shape[1::-1], abs=1)
            drawn = np.asarray(pdf[number].render().to_pil().convert("RGB"))
            assert extent(drawn) == pytest.approx(extent(expected), abs=1)
        bookmarks = [bookmark.get_title() for bookmark in pdf.get_toc()]
        assert bookmarks == ["before", *["large"] * (columns < 300), "after"]
    finally:
        pdf.close()


# Whether a row is shown; those that are have text or colour, except in a gap longer than a page.
LONG = {row: not 400 <= row < 500 for row in range(3200)}
GAP = range(1100, 3000)
IS_BLACK = [row % 7 == 0 and row not in GAP for row, shown in LONG.items() if shown]


@pytest.fixture(scope="module")
def long(folder: Path) -> Path:
    """A worksheet with every 50th row twice as high and every 7th black, in its second column."""
    path = folder / "long.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("long")
        black = book.add_format({"bg_color": "#000000"})
        for row, shown in LONG.items():
            if not shown or row % 50 == 0:
                sheet.set_row(row, 30, None, {"hidden": not shown})
            if row not in GAP:
                sheet.write_number(row, 0, row)
                sheet.write_blank(row, 1, None, black if row % 7 == 0 else None)
    return path


def test_every_row_of_a_long_worksheet_is_in_its_picture(
    libreoffice: Engine, long: Path, tmp_path: Path
) -> None:
    dpi = 48
    (path,) = sc.render(long, tmp_path / "x.png", dpi=dpi)
    picture = pixels(path)
    # In 1/100 mm, as LibreOffice prints 15 and 30 points.
    ends = np.cumsum([MARGIN, *(1058 if row % 50 == 0 else 529 for row in LONG if LONG[row])])
    assert len(picture) == pytest.approx((ends[-1] + MARGIN) / 2540 * dpi, abs=2)
    centres = ((ends[:-1] + ends[1:]) / 2 / 2540 * dpi).astype(int)
    found = (picture[centres, picture.shape[1] * 3 // 4] == 0).all(axis=1)
    assert found.tolist() == IS_BLACK


def test_every_row_of_a_long_worksheet_is_on_a_page(
    libreoffice: Engine, long: Path, tmp_path: Path
) -> None:
    (path,) = sc.render(long, tmp_path / "x.pdf")
    pages = [text.split() for text in texts(path)]
    assert [len(page) > 0 for page in pages] == [True, True, False, True]
    assert [int(number) for page in pages for number in page] == [
        row for row, shown in LONG.items() if shown and row not in GAP
    ]


def test_every_row_of_a_long_worksheet_has_its_colour_in_html(
    libreoffice: Engine, long: Path, tmp_path: Path
) -> None:
    (path,) = sc.render(long, tmp_path / "x.html")
    (table,) = Tables(path.read_text(encoding="utf-8")).tables
    assert [any(colour == "000000" for _, colour, _ in row) for row in table] == IS_BLACK


# HTML.


class Tables(HTMLParser):
    """The tables of a page: rows of (text, background, bold)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rules = dict(re.findall(r"^\.(\w+) \{ (.*) \}$", page, re.MULTILINE))
        self.tables: list[list[list[tuple[str, str, bool]]]] = []
        self.headings: list[str] = []
        self.tag = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tag = tag
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag == "td":
            names = (dict(attrs).get("class") or "").split()
            rule = "; ".join(self.rules[name] for name in names)
            found = re.search(r"background: #(\w{6})", rule)
            self.tables[-1][-1].append(("", found[1] if found else "ffffff", "bold" in rule))

    def handle_data(self, data: str) -> None:
        if self.tag == "td":
            row = self.tables[-1][-1]
            row[-1] = (row[-1][0] + data.strip(), *row[-1][1:])
        elif self.tag == "h2" and data.strip():
            self.headings.append(data)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour))


def test_html_has_every_value_in_its_colour(page: str) -> None:
    parsed = Tables(page)
    assert parsed.headings == ["one", "two"]
    one = parsed.tables[0]
    assert [[text for text, *_ in row] for row in one] == [
        [f"{value:g}" for value in row] for row in VALUES
    ]
    np.testing.assert_allclose(
        [[rgb(colour) for _, colour, _ in row] for row in one],
        [[red(value) for value in row] for row in VALUES],
        atol=1,
    )


def test_html_has_conditional_formats_by_formula(page: str) -> None:
    """`=B2=18`, filled from A1, is true where the cell to the right and below is B3."""
    two = Tables(page).tables[1]
    assert two[0][0] == ("second <sheet>", "ffffff", True)
    lit = [(i, j) for i, row in enumerate(two) for j, cell in enumerate(row) if cell[1] != "ffffff"]
    assert [(i, j, rgb(two[i][j][1])) for i, j in lit] == [(1, 0, LIT)]
    assert two[2][1][0] == "18.0"


def test_html_shows_nothing_hidden(page: str) -> None:
    assert not re.search("concealed|unspeakable|header|sheetconv", page)


def test_html_colours_stay_in_place_over_hundreds_of_columns(
    libreoffice: Engine, tmp_path: Path
) -> None:
    """Columns of three widths, every second cell black, as a chessboard."""
    rows, columns = 60, 600
    with xlsxwriter.Workbook(tmp_path / "x.xlsx") as made:
        sheet = made.add_worksheet("s")
        black = made.add_format({"bg_color": "#000000"})
        for j in range(columns):
            sheet.set_column(j, j, (2.71, 4, 8.43)[j % 3])
        for i, j in np.ndindex(rows, columns):
            sheet.write_number(i, j, 1, black if (i + j) % 2 else None)
        sheet.set_row(30, 3)
    (path,) = sc.render(tmp_path / "x.xlsx", tmp_path / "x.html")
    (table,) = Tables(path.read_text(encoding="utf-8")).tables
    found = np.array([[cell[1] == "000000" for cell in row] for row in table])
    np.testing.assert_array_equal(found, np.indices((rows, columns)).sum(axis=0) % 2 == 1)


def test_html_leaves_out_hidden_rows_and_columns(libreoffice: Engine, tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "x.xlsx") as made:
        sheet = made.add_worksheet("s")
        whole = made.add_format({"num_format": "0"})
        for i, j in np.ndindex(4, 4):
            sheet.write_number(i, j, 10 * i + j + 0.25, whole)
        sheet.set_row(1, None, None, {"hidden": True})
        sheet.set_column(2, 2, None, None, {"hidden": True})
    (path,) = sc.render(tmp_path / "x.xlsx", tmp_path / "x.html")
    (table,) = Tables(path.read_text(encoding="utf-8")).tables
    assert [[int(text) for text, *_ in row] for row in table] == [
        [0, 1, 3], [20, 21, 23], [30, 31, 33]
    ]  # fmt: skip


def test_html_rounds_numbers_that_are_wider_than_their_columns(
    libreoffice: Engine, tmp_path: Path
) -> None:
    with xlsxwriter.Workbook(tmp_path / "x.xlsx") as made:
        sheet = made.add_worksheet("s")
        sheet.set_column("A:A", 1.5)
        for column in range(2):
            sheet.write_column(0, column, [0.996, -0.04, 123456.5])
    (path,) = sc.render(tmp_path / "x.xlsx", tmp_path / "x.html")
    (table,) = Tables(path.read_text(encoding="utf-8")).tables
    assert [[text for text, *_ in row] for row in table] == [
        ["1", "0.996"], ["0", "-0.04"], ["123456", "123456.5"]
    ]  # fmt: skip


# Targets and mistakes.


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("x.gif", {}, "x.gif: pictures end in .png, .pdf, .html"),
        ("none/x.png", {}, "the folder .*none does not exist"),
        ("x.png", {"sheets": "ome"}, "no worksheet 'ome': did you mean 'one'?"),
        ("x.png", {"sheets": "quite different"}, "it has one, two, hidden$"),
        ("x.png", {"sheets": "sheetconv"}, "no worksheet that can be shown 'sheetconv'"),
        ("x.png", {"area": "A1:B2"}, "is for one worksheet, and .* has one, two: name one"),
        ("x.png", {"area": "two!A1:B2", "sheets": "one"}, "is for one worksheet"),
        ("x.png", {"area": "three!A1:B2"}, "no worksheet 'three'"),
        ("x.png", {"area": "one!A1:XFD9999"}, "a picture shows at most 2,000,000"),
        ("x.png", {"dpi": 0.0}, "positive number of pixels"),
        ("x.png", {"dpi": float("nan")}, "positive number of pixels"),
        ("x.pdf", {"dpi": 96.0}, "other pictures none"),
        ("there.pdf", {}, "there.pdf exists already: replace it with --force"),
        ("there.png", {}, "there-two.png exists already: replace it with --force"),
    ],
)  # fmt: skip
def test_mistakes_are_refused_before_anything_is_started(
    book: Path, tmp_path: Path, target: str, options: dict[str, object], message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "there.pdf").write_text("mine")
    (tmp_path / "there-two.png").write_text("mine")
    monkeypatch.setenv("SHEETCONV_SOFFICE", "a program that is not asked for")
    before = contents(tmp_path)
    with pytest.raises(WorkbookError, match=message):
        sc.render(book, tmp_path / target, **options)  # type: ignore[arg-type]
    assert contents(tmp_path) == before


@pytest.mark.parametrize("area", ["A1:", "XFE1", "B2:A1", "A1048577"])
def test_ranges_that_are_none(book: Path, tmp_path: Path, area: str) -> None:
    with pytest.raises(LayoutError):
        sc.render(book, tmp_path / "x.png", sheets="one", area=area)


def test_no_libreoffice_is_said_with_how_to_get_it(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHEETCONV_SOFFICE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sheetconv.calculators.office.PLACES", ())
    with pytest.raises(CalculatorError, match="LibreOffice is not found: install LibreOffice"):
        sc.render(book, tmp_path / "x.png")
    assert contents(tmp_path) == {}


def test_empty_worksheets(libreoffice: Engine, tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "x.xlsx") as made:
        made.add_worksheet("empty")
        made.add_worksheet("full").write_number("A1", 7)
    assert [path.name for path in sc.render(tmp_path / "x.xlsx", tmp_path / "x.png")] == [
        "x-full.png"
    ]
    with pytest.raises(WorkbookError, match="the worksheet 'empty' is empty"):
        sc.render(tmp_path / "x.xlsx", tmp_path / "y.png", sheets=["empty"])
    with xlsxwriter.Workbook(tmp_path / "x.xlsx") as made:
        made.add_worksheet("empty")
    with pytest.raises(WorkbookError, match="every worksheet is empty"):
        sc.render(tmp_path / "x.xlsx", tmp_path / "y.png")
    assert sorted(contents(tmp_path)) == ["x-full.png", "x.xlsx"]


def test_a_picture_with_too_many_pixels(libreoffice: Engine, book: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkbookError, match=r"50,000,000 pixels at 20000 dpi: use at most --dpi"):
        sc.render(book, tmp_path / "x.png", sheets="one", dpi=20_000)
    assert contents(tmp_path) == {}


@pytest.fixture
def here(book: Path, tmp_path: Path) -> Path:
    (tmp_path / "book.xlsx").write_bytes(book.read_bytes())
    (tmp_path / "cut.xlsx").write_bytes(book.read_bytes()[:-200])
    (tmp_path / "there.html").write_text("mine")
    return tmp_path


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sheetconv", "render", *arguments],
        cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_command(libreoffice: Engine, here: Path) -> None:
    done = run(
        here, "book.xlsx", "--sheet", "one", "--range", "B2:C3", "--dpi", "50", "-o", "x.png"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"wrote x.png: {(here / 'x.png').stat().st_size:,} bytes\n"
    assert run(here, "book.xlsx", "-o", "there.html", "--force").returncode == 0
    assert (here / "there.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["book.xlsx"], "Missing option '-o'"),
        (["book.xlsx", "-o", "there.html"], "there.html exists already: replace it with --force"),
        (["none.xlsx", "-o", "x.png"], "none.xlsx: no such file"),
        (["cut.xlsx", "-o", "x.png"], "cut.xlsx: truncated or damaged zip"),
        (["there.html", "-o", "x.png"], "there.html: a file of another kind"),
        (["book.xlsx", "-o", "x.png", "--range", "Z0"], "'Z0'"),
        (["book.xlsx", "-o", "x.png"], "SHEETCONV_SOFFICE is 'none', which is not a program"),
    ],
)
def test_mistakes_are_one_line(here: Path, arguments: list[str], message: str) -> None:
    before = contents(here)
    done = run(here, *arguments, SHEETCONV_SOFFICE="none")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert contents(here) == before
