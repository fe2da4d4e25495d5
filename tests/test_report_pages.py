"""Pages beside a network: every cell, chart and colour scale where it belongs."""

from __future__ import annotations

import hashlib
import math
import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
from openpyxl.worksheet.worksheet import Worksheet
from PIL import Image
from test_openxml_audit import findings

import sheetconv as sc
from sheetconv.calculators import Engine
from sheetconv.cells import Range, parse_range
from sheetconv.diff import diff
from sheetconv.errors import LayoutError
from sheetconv.guides import Guides
from sheetconv.palette import ACTIVATIONS, LINES, PIXELS, SIGNED, TINTS
from sheetconv.report_layout import place_pages
from sheetconv.report_numbers import HeatMap, Images, Table
from sheetconv.report_pages import LineChart, Lines, ReportPage, Series, Stack, TableColumn
from sheetconv.report_placed import PlacedPage
from sheetconv.workbook import BuiltWorkbook

CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DRAWN = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
RNG = np.random.default_rng(5)
LOSSES = pd.DataFrame(
    {"loss": RNG.random(7), "rate": RNG.random(7) * 1e-3, "note": list("abcdefg")},
    index=pd.Index(range(0, 70, 10), name="batch"),
)


def build(path: Path, *pages: ReportPage, guides: Guides | bool = False) -> BuiltWorkbook:
    network = sc.Sequential(sc.Conv2d(1, 1, 2), seed=1)
    return sc.build(network, path / "book.xlsx", image=np.eye(4), pages=pages, guides=guides)


def written(path: Path, *blocks: Any, **options: Any) -> Worksheet:
    """The worksheet of one page, as openpyxl reads it."""
    built = build(path, ReportPage("page", blocks=blocks, **options))
    sheet = openpyxl.load_workbook(built.path)["page"]
    assert isinstance(sheet, Worksheet)
    return sheet


def values(sheet: Worksheet, area: str) -> list[list[Any]]:
    cells = sheet[area]
    rows = cells if isinstance(cells, tuple) else ((cells,),)
    return [[cell.value for cell in row] for row in rows]


def line(column: str, x: str = "batch", table: str = "losses", **options: Any) -> Series:
    return Series(column, TableColumn(table, column), TableColumn(table, x), **options)


def charts(path: Path) -> dict[str, ET.Element]:
    """The charts of a workbook by their titles."""
    found = {}
    with zipfile.ZipFile(path) as package:
        for name in package.namelist():
            if name.startswith("xl/charts/"):
                root = ET.fromstring(package.read(name))
                title = root.find(f"{CHART}chart/{CHART}title")
                assert title is not None
                found["".join(text.text or "" for text in title.iter(f"{DRAWN}t"))] = root
    return found


def points(path: Path, title: str) -> dict[str, tuple[list[Any], list[Any]]]:
    """What the lines of a chart show, x and y by name, from the cells that they refer to."""
    book = openpyxl.load_workbook(path)
    found = {}
    for series in charts(path)[title].iter(f"{CHART}ser"):
        name = "".join(value.text or "" for value in series.find(f"{CHART}tx").iter(f"{CHART}v"))  # type: ignore[union-attr]
        both = []
        for axis in ("xVal", "yVal"):
            reference = series.find(f"{CHART}{axis}/{CHART}numRef")
            assert reference is not None
            area = parse_range(str(reference.findtext(f"{CHART}f")))
            assert area.width == 1
            cells = [row[0] for row in values(book[area.sheet], area.a1)]
            both.append(cells)
            cache = reference.find(f"{CHART}numCache")
            assert cache is not None
            assert cache.find(f"{CHART}ptCount").get("val") == str(area.height)  # type: ignore[union-attr]
            cached = {
                int(point.get("idx", "")): float(point.findtext(f"{CHART}v", ""))
                for point in cache.iter(f"{CHART}pt")
            }
            numbers = {i: value for i, value in enumerate(cells) if isinstance(value, int | float)}
            assert cached == pytest.approx(numbers, rel=1e-6)
        found[name] = (both[0], both[1])
    return found


def scales(sheet: Worksheet) -> list[tuple[str, list[tuple[str, Any]], list[str]]]:
    """Ranges, stops and colours of the colour scales."""
    return [
        (
            str(formatting.sqref),
            [(stop.type, stop.val) for stop in rule.colorScale.cfvo],
            [f"#{colour.rgb[-6:]}" for colour in rule.colorScale.color],
        )
        for formatting in sheet.conditional_formatting
        for rule in formatting.rules
    ]


# --- Tables


def test_every_cell_of_a_table_is_what_the_frame_holds(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "real": [0.1, math.nan, math.inf, -1e-300],
            "single": np.array([0.1, 2.5, -0.0, 1e30], dtype=np.float32),
            "whole": [1, -7, 2**53, 2**53 + 1],
            "text": ["=1+1", "+2", "-x", "@a"],
            "mixed": [None, True, 2.5, "nan"],
            "missing": pd.array([1, None, 3, 4], dtype="Int64"),
        },
        index=pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["layer", None]),
    )
    sheet = written(tmp_path, Table("t", frame, "A table", notes=["A note."]))
    assert values(sheet, "B3:B4") == [["A table"], ["A note."]]
    head = ["layer", "index", "real", "single", "whole", "text", "mixed", "missing"]
    assert values(sheet, "B5:I9") == [
        head,
        ["a", 1, 0.1, float(np.float32(0.1)), 1, "=1+1", None, 1],
        ["a", 2, None, 2.5, -7, "+2", "yes", None],
        ["b", 1, "inf", 0, 2**53, "-x", 2.5, 3],
        ["b", 2, -1e-300, float(np.float32(1e30)), str(2**53 + 1), "@a", "nan", 4],
    ]
    assert {cell.data_type for row in sheet["G6:G9"] for cell in row} == {"s"}
    assert sheet["B10"].value is None


def test_formats_alignment_and_widths(tmp_path: Path) -> None:
    frame = pd.DataFrame({"share": [0.5], "what": ["x" * 40], "n": [3]})
    table = Table("t", frame, formats={"share": "0.0%"}, aligned={"n": "left"}, index=False)
    sheet = written(tmp_path, table)
    assert [sheet[f"{c}4"].number_format for c in "BCD"] == ["0.0%", "General", "General"]
    assert [sheet[f"{c}3"].alignment.horizontal for c in "BCD"] == ["right", "left", "left"]
    assert sheet["D4"].alignment.horizontal == "left"
    widths = [sheet.column_dimensions[c].width * 7 for c in "BC"]
    assert widths[0] >= 5 * 7
    assert widths[1] >= 40 * 7


def test_a_table_without_rows_is_a_header(tmp_path: Path) -> None:
    sheet = written(
        tmp_path, Table("t", pd.DataFrame({"a": [], "b": []}), index=False), Lines(["x"])
    )
    assert values(sheet, "B3:C5") == [["a", "b"], [None, None], ["x", None]]


def test_lines_stand_below_each_other(tmp_path: Path) -> None:
    sheet = written(
        tmp_path, Lines(["=one", "two"], "Said"), title="A title", about="About.", lines=["More."]
    )
    rows = ["A title", "About.", "More.", None, "Said", "=one", "two"]
    assert [row[0] for row in values(sheet, "B1:B7")] == rows
    assert sheet.freeze_panes == "A2"
    assert sheet["A1"].value is None


# --- Heat maps and images


MATRIX = np.array([[0.0, 1.5, -2.0], [math.nan, math.inf, 4.0]])


def test_every_cell_of_a_heat_map(tmp_path: Path) -> None:
    heat_map = HeatMap(
        MATRIX, "Heat", ["r1", "=r2"], ["a", "b", "c"], "rows", "columns", SIGNED, cell=(24, 24),
        number_format="0.0", notes=["A note."],
    )  # fmt: skip
    sheet = written(tmp_path, heat_map)
    assert values(sheet, "B3:E8") == [
        ["Heat", None, None, None],
        ["A note.", None, None, None],
        [None, "columns", None, None],
        ["rows", "a", "b", "c"],
        ["r1", 0, 1.5, -2],
        ["=r2", None, "inf", 4],
    ]
    assert sheet["C7"].number_format == "0.0"
    # Square, as wide in pixels as high.
    assert {sheet.column_dimensions[c].width * 7 for c in "C"} == {24.0}
    assert [sheet.row_dimensions[row].height * 4 / 3 for row in (7, 8)] == [24.0, 24.0]


def test_numbers_are_hidden_unless_a_format_shows_them(tmp_path: Path) -> None:
    assert written(tmp_path, HeatMap(np.ones((1, 1))))["B3"].number_format == ";;;"


def test_long_headings_run_upwards_and_sparse_ones_do_not(tmp_path: Path) -> None:
    sheet = written(
        tmp_path,
        HeatMap(np.ones((1, 2)), columns=["Ankle boot", "Bag"]),
        HeatMap(
            np.ones((8, 12)), rows=["10"] + [""] * 7, columns=["1000"] + [""] * 11, cell=(4, 5)
        ),
    )
    assert sheet["B3"].alignment.textRotation == 90
    assert sheet.row_dimensions[3].height * 4 / 3 > 10 * 5
    row = next(cell.row for (cell,) in sheet["C5:C8"] if cell.value == "1000")
    assert sheet[f"C{row}"].alignment.textRotation == 0
    # The heading at the left has no room in four pixels.
    assert f"B{row + 1}:B{row + 4}" in {str(area) for area in sheet.merged_cells.ranges}


def test_every_pixel_of_images(tmp_path: Path) -> None:
    images = RNG.random((5, 2, 3, 4))
    captions = [f"no {i}\nsecond" for i in range(5)]
    sheet = written(tmp_path, Images(images, captions, "Images", across=3, gap=2, cell=9))
    step = 2 * 5 - 1 + 2
    for number, image in enumerate(images):
        # Title, two lines of captions, three rows of pixels, a gap.
        top, left = 4 + number // 3 * 6, 2 + number % 3 * step
        assert sheet.cell(top, left).value == f"no {number}"
        assert sheet.cell(top + 1, left).value == "second"
        for (channel, i, j), value in np.ndenumerate(image):
            assert sheet.cell(top + 2 + i, left + channel * 5 + j).value == value
    count = sum(isinstance(cell.value, float) for row in sheet.rows for cell in row)
    assert count == images.size
    assert sheet.row_dimensions[6].height * 4 / 3 == 9
    assert sheet.column_dimensions["B"].width * 7 == 9


def test_images_without_channels_and_captions(tmp_path: Path) -> None:
    assert values(written(tmp_path, Images(np.array([[[1.0, 2]], [[3, 4]]]))), "B3:G3") == [
        [1, 2, None, None, 3, 4]
    ]


# --- Colours


def test_colour_scales_begin_with_white_at_zero(tmp_path: Path) -> None:
    values = np.arange(6.0).reshape(2, 3)
    sheet = written(
        tmp_path,
        HeatMap(values),
        HeatMap(values - 3, colours=SIGNED),
        Images(values[np.newaxis], largest=9.0),
        Images(values[np.newaxis], colours=SIGNED, largest=9.0),
    )
    areas = ["B3:D4", "B6:D7", "B9:D10", "B12:D13"]
    assert values.tolist() == [[float(v) for v in row] for row in _numbers(sheet, "B3:D4")]
    stops = [
        [("num", 0), ("formula", "MAX(MAX($B$3:$D$4),1E-9)")],
        [
            ("formula", "-MAX(MAX($B$6:$D$7),-MIN($B$6:$D$7),1E-9)"),
            ("num", 0),
            ("formula", "MAX(MAX($B$6:$D$7),-MIN($B$6:$D$7),1E-9)"),
        ],
        [("num", 0), ("formula", "9.0")],
        [("formula", "-9.0"), ("num", 0), ("formula", "9.0")],
    ]
    colours = [list(c) for c in (ACTIVATIONS, SIGNED, PIXELS, SIGNED)]
    assert scales(sheet) == list(zip(areas, stops, colours, strict=True))
    assert all(scale[len(scale) // 2 if len(scale) == 3 else 0] == "#FFFFFF" for scale in colours)


def _numbers(sheet: Worksheet, area: str) -> list[list[float]]:
    return [[float(value) for value in row] for row in values(sheet, area)]


def test_the_diagonal_has_a_scale_of_its_own(tmp_path: Path) -> None:
    green, orange = ("#FFFFFF", "#00FF00"), ("#FFFFFF", "#FF8800")
    counts = np.array([[90.0, 2, 0], [1, 80, 5], [3, 0, 70]])
    heat_map = HeatMap(counts, colours=orange, diagonal=green)
    on, beside = scales(written(tmp_path, heat_map))
    assert on == ("B3 C4 D5", [("num", 0), ("formula", "90.0")], list(green))
    assert sorted(beside[0].split()) == ["B4", "B5:C5", "C3:D3", "D4"]
    assert beside[1:] == ([("num", 0), ("formula", "5.0")], list(orange))


def test_each_channel_has_its_colour(tmp_path: Path) -> None:
    images = Images(np.ones((2, 3, 1, 1)), colours=tuple(TINTS.values()), gap=1)
    found = scales(written(tmp_path, images))
    assert [(area, tuple(colours)) for area, _, colours in found] == [
        ("B3 H3", TINTS["red"]),
        ("D3 J3", TINTS["green"]),
        ("F3 L3", TINTS["blue"]),
    ]


# --- Charts


def test_a_chart_reads_the_cells_of_its_table(tmp_path: Path) -> None:
    table = Table("losses", LOSSES)
    chart = LineChart("Losses", [line("loss"), line("rate", secondary=True)], "batch", "loss", "lr")
    built = build(tmp_path, ReportPage("page", blocks=[(table, chart)]))
    found = points(built.path, "Losses")
    for name in ("loss", "rate"):
        x, y = found[name]
        assert x == LOSSES.index.tolist()
        assert y == LOSSES[name].tolist()
        # Another row would be seen.
        assert y[1:] != LOSSES[name].tolist()[:-1]
    assert len(charts(built.path)["Losses"].findall(f".//{CHART}valAx")) == 4


def test_a_chart_reads_some_rows_of_a_table_on_another_page(tmp_path: Path) -> None:
    frame = LOSSES.copy()
    frame.loc[20, "loss"] = math.nan
    frame.loc[40, "loss"] = math.inf
    part = Series(
        "=some", TableColumn("losses", "loss", 1, 4), TableColumn("losses", "batch", 1, 4)
    )
    rest = Series("a!B1", TableColumn("losses", "loss", 3), TableColumn("losses", "batch", 3))
    built = build(
        tmp_path,
        ReportPage("first page", blocks=[LineChart("=Some", [part, rest])]),
        ReportPage("it's data", blocks=[Table("losses", frame)], bare=True),
    )
    found = points(built.path, "=Some")
    losses = LOSSES["loss"].tolist()
    assert found["=some"] == ([10, 20, 30, 40], [losses[1], None, losses[3], "inf"])
    assert found["a! B1"] == ([30, 40, 50, 60], [losses[3], "inf", *losses[5:]])
    text = ET.tostring(charts(built.path)["=Some"]).decode()
    assert "'it''s data'!$B$3:$B$6" in text


def test_axes_lines_and_markers_are_as_asked_for(tmp_path: Path) -> None:
    frame = pd.DataFrame({"lr": [1e-6, 1e-3, 2.0], "loss": [3.0, 2.0, 9.0]})
    series = line(
        "loss", "lr", "t", smooth=True, markers=True, dashed=True, colour="#112233", width=3.0
    )
    chart = LineChart("Find", [series], "lr", log_x=True, y_range=(0, 10), y_format="0.00")
    built = build(tmp_path, ReportPage("page", blocks=[(Table("t", frame, index=False), chart)]))
    text = ET.tostring(charts(built.path)["Find"]).decode().replace("ns0:", "c:")
    x_axis, y_axis = re.findall(r"<c:valAx>.*?</c:valAx>", text)
    assert '<c:logBase val="10" />' in x_axis
    assert 'c:max val="10.0"' in x_axis
    assert 'c:min val="1e-06"' in x_axis
    assert "c:logBase" not in y_axis
    assert 'c:max val="10"' in y_axis
    assert 'formatCode="0.00"' in y_axis
    assert '<c:smooth val="1" />' in text
    assert '<c:symbol val="circle" />' in text
    assert 'val="112233"' in text
    assert 'val="dash"' in text
    assert 'w="38100"' in text
    # One line needs no legend.
    assert "c:legend>" not in text


@pytest.mark.parametrize(
    ("x", "begin", "end", "step"),
    [
        (range(1, 9), 1, 8, 1),
        (range(1, 26), 0, 25, 5),
        (range(0, 3752), 0, 3751, 500),
        ([0.5, 1.25], 0.5, 1.25, None),
    ],
)
def test_the_x_axis_ends_with_the_points(
    x: Sequence[float], begin: float, end: float, step: float | None, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"x": x, "y": np.ones(len(x))})
    chart = LineChart("Line", [line("y", "x", "t")])
    built = build(tmp_path, ReportPage("page", blocks=[Table("t", frame, index=False), chart]))
    axis = charts(built.path)["Line"].find(f".//{CHART}valAx")
    assert axis is not None
    found = [axis.find(f"{CHART}{name}") for name in ("scaling/" + f"{CHART}min", "majorUnit")]
    assert float(found[0].get("val", "")) == begin  # type: ignore[union-attr]
    assert float(axis.find(f"{CHART}scaling/{CHART}max").get("val", "")) == end  # type: ignore[union-attr]
    assert (None if found[1] is None else float(found[1].get("val", ""))) == step


def test_lines_of_a_chart_differ_in_colour(tmp_path: Path) -> None:
    def colours(count: int) -> list[str]:
        frame = pd.DataFrame({f"y{i}": [1.0, 2.0] for i in range(count)}).rename_axis("x")
        chart = LineChart("Many", [line(name, "x", "t") for name in frame.columns])
        folder = tmp_path / str(count)
        folder.mkdir()
        built = build(folder, ReportPage("page", blocks=[Table("t", frame), chart]))
        many = charts(built.path)["Many"].findall(f".//{CHART}ser")
        return [f"#{s.find(f'.//{DRAWN}srgbClr').get('val')}" for s in many]  # type: ignore[union-attr]

    assert colours(3) == list(LINES[:3])
    assert len(set(colours(20))) == 20


# --- Places


Box = tuple[float, float, float, float]


def boxes(placed: PlacedPage) -> list[Box]:
    """Everything on a page as left, top, right and bottom, in pixels."""
    heights, widths = np.full(2000, 20.0), np.full(2000, 64.0)
    for row, points in placed.page.heights:
        heights[row] = round(points * 4 / 3)
    for first, last, width in placed.page.columns:
        widths[first : last + 1] = round(width * 7)
    x, y = np.r_[0, widths.cumsum()], np.r_[0, heights.cumsum()]
    areas = [grid.bounds for grid, _, _ in placed.content.planes]
    for item in placed.content.cells:
        if item.value is not None:
            cell = item.cell
            areas.append(Range(cell.sheet, cell.row, cell.column, 1, item.across))
    found = [(x[a.column], y[a.row], x[a.column + a.width], y[a.row + a.height]) for a in areas]
    for chart in placed.charts:
        left, top = x[chart.column] + chart.x, y[chart.row] + chart.y
        found.append((left, top, left + chart.chart.width, top + chart.chart.height))
    return found


def overlapping(found: Sequence[Box]) -> list[tuple[Box, Box]]:
    return [
        (a, b)
        for a, b in combinations(found, 2)
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]


def random_blocks(rng: np.random.Generator, number: int) -> Any:
    name = f"t{number}"
    frame = pd.DataFrame(rng.random((rng.integers(1, 6), rng.integers(1, 4))))
    kind = rng.integers(6)
    if kind == 0:
        return Table(name, frame, "Table", notes=["note"])
    if kind == 1:
        rows = [f"row {i}" for i in range(rng.integers(1, 9))]
        return HeatMap(
            rng.random((len(rows), 3)), "Heat", rows, ["a", "long heading", "c"],
            cell=(int(rng.integers(3, 30)), int(rng.integers(3, 30))),
        )  # fmt: skip
    if kind == 2:
        count = int(rng.integers(1, 7))
        cell = int(rng.integers(4, 20))
        return Images(rng.random((count, 2, 3, 3)), ["a"] * count, across=3, cell=cell)
    if kind == 3:
        return Lines(["a", "b"], "Lines")
    if kind == 4:
        chart = LineChart("Chart", [line("loss")], width=300, height=150)
        return Stack([chart] * int(rng.integers(1, 5)), across=2)
    return Stack([Table(name, frame), HeatMap(rng.random((2, 2)), cell=(9, 9)), Lines(["x"])])


@pytest.mark.parametrize("seed", range(12))
def test_nothing_stands_on_anything_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks: list[Any] = []
    for band in range(int(rng.integers(1, 5))):
        blocks.append([random_blocks(rng, 10 * band + i) for i in range(int(rng.integers(1, 4)))])
    data = ReportPage("data", blocks=[Table("losses", LOSSES)], bare=True)
    placed, _ = place_pages([ReportPage("page", blocks=blocks), data], "start")
    found = boxes(placed)
    assert len(found) > 1
    assert overlapping(found) == []


def test_the_test_sees_what_overlaps() -> None:
    placed, _ = place_pages(
        [
            ReportPage("page", blocks=[(HeatMap(MATRIX), LineChart("Chart", [line("loss")]))]),
            ReportPage("data", blocks=[Table("losses", LOSSES)], bare=True),
        ]
    )
    (chart,) = placed.charts
    assert overlapping(boxes(placed)) == []
    placed.charts = [type(chart)(chart.chart, chart.row, 1, 0, 0)]
    assert overlapping(boxes(placed)) != []


def test_a_table_below_images_has_its_cells_merged(tmp_path: Path) -> None:
    images = Images(np.ones((3, 1, 5, 5)), cell=6)
    frame = pd.DataFrame({"number": [1.5, math.nan], "word": ["=a", "b"]})
    sheet = written(tmp_path, images, Table("t", frame, index=False))
    merged = {str(area): area for area in sheet.merged_cells.ranges}
    texts = {sheet.cell(area.min_row, area.min_col).value for area in merged.values()}
    assert texts == {"number", "word", 1.5, "=a", "b"}
    widths = {
        sheet.cell(a.min_row, a.min_col).value: a.max_col - a.min_col for a in merged.values()
    }
    # In cells of 6 pixels: at least 7 for each character.
    assert widths["number"] + 1 >= 6 * 7 / 6
    assert widths["number"] > widths["word"]


# --- Workbooks


PAGES = (
    ReportPage(
        "training", "How it went", "What it is.", ["More of it."],
        [
            (Table("few", LOSSES.head(2)), Stack([LineChart("A", [line("loss")])] * 3, across=2)),
            HeatMap(MATRIX, "Heat", colours=SIGNED),
        ],
    ),
    ReportPage("losses", "All", "Every number.", ["Said in a box."], [Table("losses", LOSSES)],
               bare=True),
)  # fmt: skip


def test_pages_come_last_and_are_listed(tmp_path: Path) -> None:
    built = build(tmp_path, *PAGES, guides=True)
    assert built.worksheets[0] == "start"
    assert built.worksheets[-2:] == ("training", "losses")
    book = openpyxl.load_workbook(built.path)
    assert book.sheetnames == [*built.worksheets, "sheetconv"]
    cover = book["start"]
    (row,) = [cell.row for (cell,) in cover["B1:B40"] if cell.value == "Reports"]
    assert values(cover, f"B{row + 1}:D{row + 2}") == [
        ["training", None, "What it is."],
        ["losses", None, "Every number."],
    ]
    assert [cover[f"B{row + i}"].hyperlink.location for i in (1, 2)] == ["training!A1", "losses!A1"]
    assert book["training"]["A1"].hyperlink.location == "start!A1"
    with zipfile.ZipFile(built.path) as package:
        drawings = [package.read(n).decode() for n in package.namelist() if "drawings/drawing" in n]
        (box,) = [text for text in drawings if "Said in a box." in text]
    assert "\u25c4 start" in box


def test_without_a_cover_there_is_no_link(tmp_path: Path) -> None:
    built = build(tmp_path, *PAGES)
    assert built.worksheets == ("network", "training", "losses")
    book = openpyxl.load_workbook(built.path)
    assert book["training"]["A1"].hyperlink is None
    with zipfile.ZipFile(built.path) as package:
        links = [name for name in package.namelist() if b"start" in package.read(name)]
    assert links == []


def test_a_bare_page_reads_back_as_its_frame(tmp_path: Path) -> None:
    built = build(tmp_path, *PAGES)
    tables = sc.read(built.path).tables
    assert list(tables) == ["training", "losses"]
    read = tables["losses"].set_index("batch")
    pd.testing.assert_frame_equal(
        read, LOSSES, check_dtype=False, check_index_type=False, check_column_type=False
    )
    assert openpyxl.load_workbook(built.path)["losses"].freeze_panes == "B2"
    assert "Heat" in tables["training"].to_numpy()


def test_a_workbook_with_pages_is_checked_diffed_and_traced(tmp_path: Path) -> None:
    built = build(tmp_path, *PAGES, guides=True)
    before = built.path.read_bytes()
    result = sc.check(built.path)
    assert result.ok
    assert result.formula_cells == built.formula_cells
    assert built.path.read_bytes() == before
    assert len(charts(built.path)) == 1
    with zipfile.ZipFile(built.path) as package:
        assert sum(name.startswith("xl/charts/chart") for name in package.namelist()) == 3
    assert diff(built.path, built.path).equal
    first = built.layouts[0].placed["conv1.out"].grids[0].cell(0, 0)
    assert "conv1.weight" in "\n".join(sc.trace(built.path, str(first)).lines())


def test_pages_change_nothing_else(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    plain, paged = build(one), build(two, *PAGES)
    assert (paged.formula_cells, paged.number_cells) == (plain.formula_cells, plain.number_cells)
    result = diff(plain.path, paged.path)
    assert {item.sheet for item in result.differences} == {"training", "losses"}


def test_the_same_pages_give_the_same_bytes(tmp_path: Path) -> None:
    hashes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        built = build(tmp_path / name, *PAGES, guides=True)
        hashes.append(hashlib.sha256(built.path.read_bytes()).hexdigest())
    assert len(set(hashes)) == 1
    (tmp_path / "three").mkdir()
    other = build(tmp_path / "three", *PAGES[::-1], guides=True)
    assert hashlib.sha256(other.path.read_bytes()).hexdigest() not in hashes


def test_a_workbook_with_pages_is_one_that_excel_opens(tmp_path: Path) -> None:
    assert findings(build(tmp_path, *PAGES, guides=True).path) == []


def test_pages_are_drawn_by_libreoffice(tmp_path: Path, libreoffice: Engine) -> None:
    heat_map = HeatMap(np.array([[0.0, 1.0]]), colours=("#FFFFFF", "#00AA55"), cell=(40, 40))
    chart = LineChart("Chart", [line("loss", colour="#AA00AA", width=4.0)])
    built = build(
        tmp_path,
        ReportPage("page", blocks=[(heat_map, chart)]),
        ReportPage("data", blocks=[Table("losses", LOSSES)], bare=True),
    )
    (file,) = sc.render(built.path, tmp_path / "page.png", sheets="page", dpi=96)
    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)

    def count(*colour: int) -> int:
        return int((np.abs(pixels - colour).max(axis=2) < 3).sum())

    # One cell of the two, and a line.
    assert 1000 < count(0, 170, 85) < 4000
    assert count(170, 0, 170) > 500
    assert count(85, 170, 0) == 0


# --- Refusals


FRAME = pd.DataFrame({"a": [1.0]})
#: Numbers as people may give them, whatever the types say.
ONE: Any = [[1.0]]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["network"], "a page is named 'network', as another worksheet"),
        (["NetWork"], "a page is named 'NetWork', as another worksheet"),
        (["one", "One"], "a page is named 'One', as another worksheet"),
        (["sheetconv"], "sheetconv keeps that name to itself"),
    ],
)
def test_names_that_are_taken(names: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=says):
        build(tmp_path, *(ReportPage(name) for name in names))
    assert list(tmp_path.iterdir()) == []


def test_guides_make_way_for_pages(tmp_path: Path) -> None:
    built = build(tmp_path, ReportPage("start"), ReportPage("Summary"), guides=True)
    assert built.worksheets[0] == "start 2"
    assert "summary 2" in built.worksheets
    assert built.worksheets[-2:] == ("start", "Summary")
    assert sc.check(built.path, ()).ok


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ReportPage("a/b"), "is not one that Excel takes"),
        (lambda: ReportPage(3), "name is 3: expected a text"),  # type: ignore[arg-type]
        (lambda: ReportPage("p", blocks=[FRAME.a.to_list()]), "has 1.0: expected a Table"),
        (lambda: ReportPage("p", bare=True), "is bare: expected one Table"),
        (lambda: Table("t", [1]), r"frame is \[1\]: expected a pandas DataFrame"),  # type: ignore[arg-type]
        (lambda: Table("t", FRAME.iloc[:, :0], index=False), "has no columns"),
        (lambda: Table("t", FRAME.rename_axis("a")), "has two columns 'a'"),
        (lambda: Table("t", FRAME, formats={"b": "0"}), "has no column 'b'"),
        (lambda: Table("t", FRAME, formats={"a": "[0"}), "is not closed"),
        (lambda: HeatMap(ONE[0]), r"shape \(1,\): expected \(rows, columns\)"),
        (lambda: HeatMap(np.array([["x"]])), "expected numbers"),
        (lambda: HeatMap(ONE, colours=("red", "blue")), "expected 2 to 3 such as"),
        (lambda: HeatMap(ONE, cell=(0, 5)), r"has \(0, 5\) pixels"),
        (lambda: HeatMap(ONE, columns=["a", "b"]), "2 columns headings for 1 columns"),
        (lambda: Images(ONE), "expected \\(count, height, width\\)"),
        (lambda: Images(np.ones((1, 2, 2)), captions=["a", "b"]), "2 captions for 1 images"),
        (lambda: Images(np.ones((1, 2, 2, 2)), colours=(PIXELS,)), "for 1 channels, and there"),
        (lambda: Images(np.ones((1, 2, 2)), across=0), "whole numbers from 1 on"),
        (lambda: LineChart("c", []), "has no series"),
        (lambda: LineChart("c", [line("a", secondary=True)]), "use the left one"),
        (lambda: LineChart("c", [line("a", colour="red")]), "'red'"),
        (lambda: Stack([Lines(["a"]), LineChart("c", [line("a")])]), "charts alone"),
        (lambda: Stack([Lines(["a"])], across=2), "only charts stand side by side"),
        (lambda: Lines(["\ud800"]), "half a character"),
    ],
)  # fmt: skip
def test_what_is_no_block_is_refused_in_one_line(make: Any, says: str) -> None:
    with pytest.raises(LayoutError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        ([Table("t", FRAME), Table("t", FRAME)], "two tables are named 't'"),
        ([LineChart("c", [line("a", "a", "tt")]), Table("t", FRAME)], "no table 'tt': did you"),
        ([LineChart("c", [line("b", "a", "t")]), Table("t", FRAME)], "has no column 'b'"),
        (
            [LineChart("c", [Series("s", TableColumn("t", "a", 0, 2), TableColumn("t", "a"))]),
             Table("t", FRAME)],
            "rows 0 to 1 of table 't': it has 1",
        ),
        (
            [Table("l", LOSSES),
             LineChart("c", [Series("s", TableColumn("l", "rate", 5), TableColumn("l", "loss"))])],
            "series 's' has 2 numbers for 7",
        ),
        ([HeatMap(np.ones((1, 16_384)))], "needs 4 rows and 16,386 columns"),
    ],
)  # fmt: skip
def test_pages_that_cannot_be_placed(blocks: list[Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=says):
        build(tmp_path, ReportPage("page", blocks=blocks))
    assert list(tmp_path.iterdir()) == []


def test_a_page_has_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="a page is 'training': expected a ReportPage"):
        build(tmp_path, "training")  # type: ignore[arg-type]


def test_tables_of_two_pages_have_different_names() -> None:
    pages = [ReportPage(name, blocks=[Table("t", FRAME)]) for name in ("one", "two")]
    with pytest.raises(LayoutError, match="two tables are named 't'"):
        place_pages(pages)
    assert len(place_pages(pages[:1])) == 1
