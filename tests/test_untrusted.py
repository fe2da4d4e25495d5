"""Texts and numbers from anywhere: no text becomes a formula, nothing absurd is a traceback."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pytest

import sheetconv as sc
from sheetconv import worksheet
from sheetconv.data_files import load_arrays
from sheetconv.drawing import Style, Text
from sheetconv.errors import LayoutError, ShapeError, SheetconvError, TemplateError
from sheetconv.network_sheet import NetworkSheet
from sheetconv.template import load_template
from sheetconv.workbook import build_workbook
from sheetconv.xlsx import read_cells

FORMULAS = ["=1+1", "+1", "-1", "@SUM(1)", "{=SUM(1)}", '=HYPERLINK("http://x.y")']
SPECIAL = ["<&>\"'", "]]>", "a\tb\nc", "a\rb", "\x00", "\x01\x0b\x1f", "\uffff", "_x0041_", " a "]


def network() -> sc.Sequential:
    return sc.Sequential(sc.Conv2d(1, 1, 3))


def built(path: Path, drawing: sc.Drawing, title: str = "") -> Path:
    """A workbook every part of which is well-formed XML."""
    sheet = NetworkSheet(network(), np.eye(5), drawing)
    build_workbook([sheet], path, title=title)
    with zipfile.ZipFile(path) as package:
        for name in package.namelist():
            if name.endswith((".xml", ".rels")):
                ElementTree.fromstring(package.read(name))
    return path


# --- Texts


@pytest.mark.parametrize("text", FORMULAS + SPECIAL)
def test_a_text_in_a_cell_stays_that_text(tmp_path: Path, text: str) -> None:
    path = built(tmp_path / "a.xlsx", sc.Drawing(texts=(Text("A1", text),)))
    (cell,) = (c for c in read_cells(path, "network") if (c.row, c.column) == (0, 0))
    assert cell.value == text
    assert cell.formula is None
    assert openpyxl.load_workbook(path)["network"]["A1"].data_type == "s"


@pytest.mark.parametrize("text", FORMULAS + SPECIAL)
def test_a_title_is_a_text(tmp_path: Path, text: str) -> None:
    path = built(tmp_path / "a.xlsx", sc.Drawing(), title=text)
    title = openpyxl.load_workbook(path).properties.title
    if text.isprintable() and "_x" not in text:
        assert title == text
    assert sc.check(path, probes=0).ok


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "<&>\"'x", "{=SUM(1)}", "1.5", "TRUE"])
@pytest.mark.parametrize("layout", ["one-sheet", "per-layer"])
def test_worksheets_named_like_formulas_are_checked_and_read(
    tmp_path: Path, name: str, layout: str
) -> None:
    drawing = sc.Drawing(name, layout=layout)  # type: ignore[arg-type]
    path = built(tmp_path / "a.xlsx", drawing)
    assert sc.check(path, probes=1).ok
    book = sc.read(path, engine="ironcalc")
    assert list(book.networks) == [name]
    np.testing.assert_allclose(book.output, network()(np.eye(5)[None, None]), rtol=1e-13)
    texts = [c for c in read_cells(path, name) if isinstance(c.value, str)]
    assert texts
    assert all(cell.formula is None for cell in texts)


def test_half_characters_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    target = tmp_path / "a.xlsx"
    with pytest.raises(LayoutError, match=r"the text at A1 has half a character \('\\ud800x'\)"):
        built(target, sc.Drawing(texts=(Text("A1", "\ud800x"),)))
    with pytest.raises(LayoutError, match="the title has half a character"):
        built(target, sc.Drawing(), title="\udfff")
    assert list(tmp_path.iterdir()) == []


def test_lengths_are_counted_as_excel_counts_them(tmp_path: Path) -> None:
    face = "\N{GRINNING FACE}"
    built(tmp_path / "a.xlsx", sc.Drawing(face * 15))
    with pytest.raises(LayoutError, match="has 32 characters: use 1 to 31"):
        built(tmp_path / "b.xlsx", sc.Drawing(face * 16))
    fits = face * (32_767 // 2)
    built(tmp_path / "c.xlsx", sc.Drawing(texts=(Text("A1", fits),)), title=fits)
    for drawing, title in ((sc.Drawing(texts=(Text("A1", fits + face),)), ""), (None, fits + face)):
        with pytest.raises(LayoutError, match="has 32,768 characters, and a cell takes 32,767"):
            built(tmp_path / "d.xlsx", drawing or sc.Drawing(), title=title)


@pytest.mark.parametrize("text", ["\x01", "0.0\n", "\uffff", "0" * 256])
def test_number_formats_that_spoil_a_workbook_are_refused(tmp_path: Path, text: str) -> None:
    for drawing in (
        sc.Drawing(number_formats={"conv1.out": text}),
        sc.Drawing(texts=(Text("A1", "x", Style(number_format=text)),)),
    ):
        with pytest.raises(LayoutError, match=r"number format .* use at most 255, and no control"):
            built(tmp_path / "a.xlsx", drawing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ['[Red]"<&>"0', "0" * 255, '"=1+1"'])
def test_number_formats_of_other_characters_are_kept(tmp_path: Path, text: str) -> None:
    path = built(tmp_path / "a.xlsx", sc.Drawing(number_formats={"conv1.out": text}))
    cell = sc.read(path).only.cells("conv1.out")[0, 0, 0, 0]
    assert openpyxl.load_workbook(path)["network"][str(cell)].number_format == text


# --- Absurd numbers


TEMPLATE = """
format = 1
[[networks]]
worksheet = "small"
input = [1, 8, 8]
layers = [{layer}]
[networks.drawing]
{drawing}
"""


def conv(field: str, value: str) -> str:
    """A convolution as a template gives it, one of its fields absurd."""
    fields = {"in_channels": "1", "out_channels": "1", "kernel_size": "3"} | {field: value}
    return '{ type = "Conv2d", ' + ", ".join(f"{k} = {v}" for k, v in fields.items()) + " }"


def from_template(folder: Path, layer: str, drawing: str = "") -> None:
    """Build a template that somebody sent."""
    path = folder / "sent.toml"
    path.write_text(TEMPLATE.format(layer=layer, drawing=drawing), encoding="utf-8")
    (item,) = load_template(path).networks
    build_workbook([NetworkSheet(item.network, item.image, item.drawing)], folder / "a.xlsx")


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (conv("stride", "1000000000000"), "stride is beyond 999,999,999,999"),
        (conv("stride", f"1{'0' * 400}"), "stride is beyond 999,999,999,999"),
        (conv("padding", "1000000000"), "need 2,000,000,006 rows, and a worksheet has"),
        (conv("dilation", "1000000000"), "dilation=1000000000"),
        (conv("kernel_size", "1000000000"), "more parameters than fit into memory"),
        (conv("out_channels", "65537"), "layer conv1: out has 65,537 planes: expected at most"),
        (
            '{ type = "MaxPool2d", kernel_size = 1000000000, padding = 500000000 }',
            "rows|cells, and a workbook",
        ),
        (
            '{ type = "Flatten" }, '
            '{ type = "Linear", in_features = 64, out_features = 999999999999 }',
            "more parameters than fit into memory",
        ),
    ],
)  # fmt: skip
def test_layers_that_no_workbook_holds_are_refused(tmp_path: Path, layer: str, says: str) -> None:
    with pytest.raises(SheetconvError) as caught:
        from_template(tmp_path, layer)
    text = str(caught.value)
    assert re.search(says, text), text
    assert "\n" not in text
    assert not (tmp_path / "a.xlsx").exists()


def test_the_largest_stride_is_described_and_read(tmp_path: Path) -> None:
    net = sc.Sequential(sc.Conv2d(1, 1, 3, stride=10**12 - 1))
    sc.build(net, tmp_path / "a.xlsx", image=np.eye(8))
    assert sc.check(tmp_path / "a.xlsx", probes=1).ok
    with pytest.raises(ShapeError, match="stride is beyond"):
        sc.Conv2d(1, 1, 3, stride=10**5000)


def test_a_batch_that_no_worksheet_holds_is_refused_before_it_is_laid_out(
    tmp_path: Path,
) -> None:
    images = np.zeros((60_001, 1, 20, 1))
    with pytest.raises(LayoutError, match="for 60,001 images need 1,320,020 rows"):
        sc.build(sc.Sequential(sc.MaxPool2d(1)), tmp_path / "a.xlsx", image=images)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((1, 65_537, 1, 1), "the input has 65,537 planes: expected at most 65,536"),
        ((32_769, 2, 1, 1), r"65,538 planes \(2 for each of 32,769 images\): expected at most"),
    ],
)
def test_more_planes_than_anybody_scrolls_past_are_refused(
    shape: tuple[int, ...], says: str, tmp_path: Path
) -> None:
    with pytest.raises(LayoutError, match=says):
        sc.build(sc.Sequential(sc.ReLU()), tmp_path / "a.xlsx", image=np.zeros(shape))


def test_a_computation_beyond_the_memory_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(*_: object) -> None:
        raise MemoryError("Unable to allocate 7.63 GiB")

    monkeypatch.setattr(worksheet, "evaluate", evaluate)
    with pytest.raises(ShapeError, match="more numbers at once than fit into memory"):
        sc.build(network(), tmp_path / "a.xlsx", image=np.eye(5))


@pytest.mark.parametrize(
    "drawing",
    ["x = " + "[" * 5000 + "]" * 5000, "x = " + "{a=" * 5000 + "1" + "}" * 5000,
     ".".join(["a"] * 3000) + " = 1"],
    ids=["lists", "tables", "keys"],
)  # fmt: skip
def test_deep_nesting_in_a_template_is_refused(tmp_path: Path, drawing: str) -> None:
    with pytest.raises(TemplateError) as caught:
        from_template(tmp_path, conv("bias", "false"), drawing)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


# --- Arrays


def array_file(path: Path, description: str, shape: str, data: bytes) -> Path:
    """An .npz whose one array says that it has that type and shape."""
    header = f"{{'descr': {description}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("input.npy", content)
    return path


def test_the_hostile_arrays_are_spelt_right(tmp_path: Path) -> None:
    path = array_file(tmp_path / "a.npz", "'<f8'", "(1,)", np.array([2.5]).tobytes())
    assert load_arrays(path, TemplateError)["input"].tolist() == [2.5]


@pytest.mark.parametrize(
    ("description", "shape", "says"),
    [
        ("'|O'", "(1,)", "holds object, expected numbers"),
        ("'<f8'", "(999999999999999999999999, 2)", "the data ends before"),
        ("'<f8'", "(9223372036854775807,)", "the data ends before"),
        ("'<f8'", "(-1,)", "the data ends before"),
        ("'<f8'", "(" * 3000 + ")" * 3000, "Cannot parse header"),
        ("'<f8'", "(" + "1, " * 100 + ")", "dimension"),
        ("[('a', '<f8')]", "(1,)", "expected numbers"),
        (f"'{'x' * 50_000}'", "(1,)", "not be safe to load"),
    ],
)
def test_hostile_arrays_are_refused_in_one_short_line(
    tmp_path: Path, description: str, shape: str, says: str
) -> None:
    path = array_file(tmp_path / "a.npz", description, shape, b"x" * 8)
    with pytest.raises(TemplateError, match=says) as caught:
        load_arrays(path, TemplateError)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250 + len(str(path))


def test_long_doubles_beyond_doubles_are_infinite_without_a_warning(tmp_path: Path) -> None:
    if np.finfo(np.longdouble).max <= np.finfo(np.float64).max:
        pytest.skip("long doubles are doubles here")
    path = tmp_path / "a.npz"
    np.savez(path, input=np.array([np.finfo(np.longdouble).max]))
    assert load_arrays(path, TemplateError)["input"].tolist() == [np.inf]
