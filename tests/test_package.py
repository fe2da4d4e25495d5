"""The reader of .xlsx files: what it refuses, what it reads, and how it poisons."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import ironcalc
import openpyxl
import pytest
import xlsxwriter

from sheetconv.cells import Range
from sheetconv.errors import WorkbookError
from sheetconv.values import CellError
from sheetconv.xlsx import (
    SheetCell,
    archive,
    check_package,
    defined_names,
    poison,
    poisoning,
    read_cells,
    reading,
    sheet_parts,
    sheet_states,
)

SHEET = "xl/worksheets/sheet1.xml"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Two constants, formulas of every type of result, and an array formula over two cells."""
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        sheet = workbook.add_worksheet("first one")
        sheet.write_number(0, 0, 2.5)
        sheet.write_string(0, 1, "=text & <more>")
        sheet.write_formula(1, 0, "=A1*2", None, 5)
        sheet.write_formula(1, 1, '=B1&"x"', None, "=text & <more>x")
        sheet.write_formula(1, 2, "=A1>2", None, True)
        sheet.write_formula(1, 3, "=1/0", None, "#DIV/0!")
        sheet.write_array_formula(2, 0, 3, 0, "{=A1:A2*2}", None, 5)
        sheet.write_number(3, 0, 10)
        sheet.write_boolean(4, 0, True)
        sheet.write_blank(5, 0, None, workbook.add_format({"bold": True}))
        workbook.add_worksheet("hidden").hide()
        workbook.add_worksheet("secret").very_hidden()
    return path


def rewrite(path: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy whose parts went through `change`; None leaves a part out."""
    copy = path.with_name("changed.xlsx")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w", 8) as target:
        for name in source.namelist():
            data = change(name, source.read(name))
            if data is not None:
                target.writestr(name, data)
    return copy


def with_sheet(path: Path, xml: str) -> Path:
    return rewrite(path, lambda name, data: xml.encode() if name == SHEET else data)


def with_rows(path: Path, rows: str) -> Path:
    xml = f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    return with_sheet(path, xml)


def message(path: Path, check: Callable[[Path], object] = check_package) -> str:
    with pytest.raises(WorkbookError) as caught:
        check(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_a_workbook_passes(book: Path) -> None:
    check_package(book)
    check_package(str(book))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty file"),
        (bytes.fromhex("D0CF11E0A1B11AE1") + b"\0" * 600, "remove the password"),
        (b"a,b\n1,2\n", "seems to be CSV"),
        (b"<html></html>", "seems to be HTML"),
        (b"%PDF-1.7", "seems to be a PDF"),
        (b"\x00\x01\x02", "another kind"),
        (b"PK\x03\x04rubbish", "truncated or damaged"),
    ],
)
def test_files_that_are_no_zip(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "file.xlsx"
    path.write_bytes(content)
    assert says in message(path)


def test_missing_and_folder(tmp_path: Path) -> None:
    assert "no such file" in message(tmp_path / "none.xlsx")
    assert "a folder" in message(tmp_path)


def test_truncated(book: Path) -> None:
    data = book.read_bytes()
    book.write_bytes(data[: len(data) // 2])
    assert "truncated or damaged" in message(book)


def test_damaged_data(book: Path) -> None:
    with zipfile.ZipFile(book) as opened:
        offset = opened.getinfo(SHEET).header_offset
    data = bytearray(book.read_bytes())
    data[offset + 60 : offset + 160] = b"\x55" * 100
    book.write_bytes(data)
    assert "damaged" in message(book, lambda path: list(read_cells(path, "first one")))


def test_encrypted_entry(book: Path) -> None:
    data = bytearray(book.read_bytes())
    flags = data.index(b"PK\x01\x02") + 8
    data[flags] |= 1
    book.write_bytes(data)
    assert "is encrypted" in message(book)


def test_zips_of_something_else(tmp_path: Path, book: Path) -> None:
    other = tmp_path / "other.xlsx"
    with zipfile.ZipFile(other, "w") as opened:
        opened.writestr("readme.txt", "hello")
    assert "no .xlsx workbook" in message(other)
    with zipfile.ZipFile(other, "w") as opened:
        opened.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    assert "OpenDocument" in message(other)
    document = rewrite(
        book, lambda name, data: data.replace(b"spreadsheetml.sheet.main", b"x.main")
    )
    assert "its main document xl/workbook.xml is application" in message(document)
    lost = rewrite(book, lambda name, data: None if name == "xl/workbook.xml" else data)
    assert "names no main document" in message(lost)


def test_bomb(book: Path) -> None:
    bomb = with_sheet(book, " " * 5_000_000)
    assert "zip bomb" in message(bomb)
    harmless = with_sheet(book, "<a>" + " " * (archive.RATIO_FROM - 10) + "</a>")
    check_package(harmless)


def test_total_size(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNCOMPRESSED", 100)
    assert "100 are allowed" in message(book)


def test_a_name_twice(book: Path) -> None:
    with zipfile.ZipFile(book, "a") as opened:
        opened.writestr(SHEET.upper(), "<a/>")
    assert "twice" in message(book)


@pytest.mark.parametrize("part", [SHEET, "xl/styles.xml", "xl/sharedStrings.xml"])
def test_doctype(book: Path, part: str) -> None:
    def change(name: str, data: bytes) -> bytes:
        if name != part:
            return data
        return re.sub(rb"\?>", b'?><!DOCTYPE a [<!ENTITY b "c">]>', data, count=1)

    assert f"{part} has a DOCTYPE" in message(rewrite(book, change))


def test_doctype_stops_the_reader_too(book: Path) -> None:
    path = with_sheet(book, f'<!DOCTYPE a []><worksheet xmlns="{MAIN}"/>')
    assert "DOCTYPE" in message(path, lambda file: list(read_cells(file, "first one")))


def test_sheets(book: Path) -> None:
    assert sheet_parts(book) == {
        "first one": "xl/worksheets/sheet1.xml",
        "hidden": "xl/worksheets/sheet2.xml",
        "secret": "xl/worksheets/sheet3.xml",
    }
    assert sheet_states(book) == {
        "first one": "visible",
        "hidden": "hidden",
        "secret": "veryHidden",
    }


CELLS = [
    SheetCell(0, 0, None, False, None, 2.5),
    SheetCell(0, 1, None, False, None, "=text & <more>"),
    SheetCell(1, 0, "A1*2", False, None, 5.0),
    SheetCell(1, 1, 'B1&"x"', False, None, "=text & <more>x"),
    SheetCell(1, 2, "A1>2", False, None, True),
    SheetCell(1, 3, "1/0", False, None, CellError("#DIV/0!")),
    SheetCell(2, 0, "A1:A2*2", True, None, 5.0, Range("", 2, 0, 2, 1)),
    SheetCell(3, 0, "", True, None, 10.0, Range("", 2, 0, 2, 1)),
    SheetCell(4, 0, None, False, None, True),
]


def typed(cells: list[SheetCell]) -> list[tuple[SheetCell, type]]:
    return [(cell, type(cell.value)) for cell in cells]


def test_read_cells(book: Path) -> None:
    assert typed(list(read_cells(book, "first one"))) == typed(CELLS)
    assert list(read_cells(book, "hidden")) == []
    assert "no worksheet 'nope'" in message(book, lambda path: read_cells(path, "nope"))


def test_any_prefix_and_layout_of_the_xml(book: Path) -> None:
    def change(name: str, data: bytes) -> bytes:
        if name != SHEET:
            return data
        prefixed = re.sub(rb"<(/?)(?=[a-zA-Z])", rb"<\1x:", data).replace(b"xmlns=", b"xmlns:x=")
        return prefixed.replace(b"><", b">\n  <!-- c --><").replace(
            b"\n  <!-- c --></x:v", b"</x:v"
        )

    assert typed(list(read_cells(rewrite(book, change), "first one"))) == typed(CELLS)


@pytest.mark.parametrize(
    ("rows", "cells"),
    [
        (
            '<row r="2"><c r="B2"><f t="shared" ref="B2:C2" si="3">A1</f><v>1</v></c>'
            '<c r="C2"><f t="shared" si="3"/><v>2</v></c></row>',
            [SheetCell(1, 1, "A1", False, 3, 1.0), SheetCell(1, 2, "", False, 3, 2.0)],
        ),
        (
            '<row><c t="inlineStr"><is><r><t>a_x000A_</t></r><rPh><t>no</t></rPh><r><t>b</t></r>'
            "</is></c><c/><c><v>3</v></c></row>",
            [SheetCell(0, 0, None, False, None, "a\nb"), SheetCell(0, 2, None, False, None, 3.0)],
        ),
        (
            '<row r="9"><c r="AB9" t="n"><f>A1&lt;<![CDATA[B1&C1]]></f></c>'
            '<c r="AC9" t="str"><f>A1</f><v></v></c><c r="AD9" s="4"/></row>',
            [
                SheetCell(8, 27, "A1<B1&C1", False, None, None),
                SheetCell(8, 28, "A1", False, None, ""),
            ],
        ),
    ],
)
def test_ways_of_writing_cells(book: Path, rows: str, cells: list[SheetCell]) -> None:
    path = with_rows(book, rows)
    assert typed(list(read_cells(path, "first one"))) == typed(cells)


USUAL = [
    '<row r="1"><c r="A1"/><c r="B1" s="3"><v>1</v></c></row><row r="2" ht="3"/><row r="3">\n'
    '<c r="A3" t="str"><f>IF(A1&lt;2,"&#65;&amp;&quot;","")</f><v>A&amp;</v></c></row>',
    '<row r="1"><c r="A1"><f t="array" ref="A1:B1">{1,2}</f><v>1</v></c><c r="B1"><v>2</v></c>'
    '<c r="C1"><v>3</v></c></row>',
    '<row r="1"><c r="A1"><f t="shared" ref="A1:A2" si="0">B1</f><v>1</v></c></row>\r\n'
    '<row r="2"><c r="A2"><f t="shared" si="0"/><v/></c><c r="B2" t="str"><f>""</f><v></v></c>'
    '<c r="C2" t="b"><f ca="1">1=1</f></c><c r="D2" t="e" cm="1"><f>NA()</f><v>#N/A</v></c></row>',
]
UNUSUAL = [
    '<row r="1"><c s="1" r="A1"><v>1</v></c></row>',
    '<row r="1"><c r="A1"><v>1</v></c><!-- <c r="B1"><v>2</v></c> --></row>',
    '<row r="1"><c r="A1"><f><![CDATA[1<2]]></f></c></row>',
    '<row r="1"><c r="A1"><v>1</v></c></row><row><c r="A2"><v>2</v></c></row>',
    '<row r="1"><c r="A1" t="inlineStr"><is><t>x</t></is></c></row>',
]


@pytest.mark.parametrize("rows", USUAL + UNUSUAL)
def test_both_parsers_agree(book: Path, rows: str) -> None:
    path = with_rows(book, rows)
    with archive.open_package(path) as opened:
        general = list(reading._general(opened, SHEET))
    assert general
    assert typed(list(read_cells(path, "first one"))) == typed(general)


@pytest.mark.parametrize("rows", USUAL)
def test_usual_spellings_take_the_fast_way(
    book: Path, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(reading, "_general")
    assert list(read_cells(book, "first one")) == CELLS
    assert list(read_cells(with_rows(book, rows), "first one"))


def test_an_unusual_cell_after_many_usual_ones(book: Path) -> None:
    rows = "".join(f'<row r="{i}"><c r="A{i}"><v>{i}</v></c></row>' for i in range(1, 9000))
    path = with_rows(book, rows + '<row r="9000"><c s="0" r="A9000"><v>9000</v></c></row>')
    values = [cell.value for cell in read_cells(path, "first one")]
    assert values == list(range(1, 9001))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ('<row r="1"><c r="A1"><v>one</v></c></row>', "malformed cell"),
        ('<row r="1"><c r="A2"><v>1</v></c></row>', "A2 stands in row 1"),
        ('<row r="1"><c r="1"><v>1</v></c></row>', "malformed cell"),
        ('<row r="1"><c r="A1" t="s"><v>99</v></c></row>', "malformed cell"),
        ('<row r="1"><c r="A1"></row>', "no well-formed XML"),
    ],
)
def test_malformed_cells(book: Path, rows: str, says: str) -> None:
    path = with_rows(book, rows)
    assert says in message(path, lambda file: list(read_cells(file, "first one")))


def test_many_cells_across_chunks(book: Path) -> None:
    count = 3000
    rows = "".join(
        f'<row r="{i}"><c r="A{i}"><f>SUM(B{i}:C{i},{"1," * (i % 50)}2)</f><v>{i / 7!r}</v></c>'
        "</row>"
        for i in range(1, count + 1)
    )
    cells = list(read_cells(with_rows(book, rows), "first one"))
    assert cells == [
        SheetCell(i - 1, 0, f"SUM(B{i}:C{i},{'1,' * (i % 50)}2)", False, None, i / 7)
        for i in range(1, count + 1)
    ]


def test_leaving_early_closes_the_file(book: Path) -> None:
    cells = read_cells(book, "first one")
    assert next(cells) == CELLS[0]
    del cells
    book.unlink()


def test_poison(book: Path, tmp_path: Path) -> None:
    target = tmp_path / "poisoned.xlsx"
    assert poison(book, target) == 6
    workbook = openpyxl.load_workbook(target, data_only=True)
    sheet = workbook["first one"]
    assert [cell.value for cell in sheet[1][:2]] == [2.5, "=text & <more>"]
    assert [cell.value for cell in sheet[2]] == [777, 777, 777, 777]
    assert [sheet["A3"].value, sheet["A4"].value, sheet["A5"].value] == [777, 777, True]
    formulas = [cell._replace(value=None) for cell in read_cells(target, "first one")]
    assert formulas == [cell._replace(value=None) for cell in CELLS]
    with zipfile.ZipFile(book) as before, zipfile.ZipFile(target) as after:
        assert before.namelist() == after.namelist()
        changed = [name for name in before.namelist() if before.read(name) != after.read(name)]
    assert changed == [SHEET]
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_poison_splices_nothing_but_types_and_values(book: Path, tmp_path: Path) -> None:
    rows = (
        '<x:row r="1"><x:c r="A1" t="str" s="1"><x:f>B1</x:f><x:v>é</x:v></x:c>'
        '<x:c r="B1"><x:v>1</x:v></x:c><x:c t = \'e\' r="C1"><x:f>B1</x:f></x:c>'
        '<x:c r="D1"><x:f t="shared" si="0"/><x:v/>'
        '</x:c><x:c r="E1" s="1"/></x:row>'
    )
    path = with_sheet(
        book, f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData>{rows}</x:sheetData></x:worksheet>'
    )
    target = tmp_path / "poisoned.xlsx"
    assert poison(path, target, -1.5) == 3
    with zipfile.ZipFile(target) as opened:
        text = opened.read(SHEET).decode()
    assert text == (
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row r="1">'
        '<x:c r="A1" s="1"><x:f>B1</x:f><x:v>-1.5</x:v></x:c><x:c r="B1"><x:v>1</x:v>'
        '</x:c><x:c r="C1"><x:f>B1</x:f><x:v>-1.5</x:v></x:c><x:c r="D1"><x:f t="shared" si="0"/>'
        '<x:v>-1.5</x:v></x:c><x:c r="E1" s="1"/></x:row></x:sheetData></x:worksheet>'
    )


FORMULAS_IN_DISGUISE = [
    '<row r="1"><c r="A1"><f t="shared" si="0"/></c><!-- <c r="B1"><f>1</f></c> --></row>',
    '<row r="1"><c r="A1"><f>"<![CDATA[<c r="B1"><f>1</f></c>]]>"</f><v>1</v></c></row>',
    '<row r="1"><c r="A1"><f>1</f><v>1</v></c><c s="1" r="B1" t="b"><f>2</f><v>0</v></c></row>',
    '<row r="1"><c r="A1"><f ref="A1:B1" t="array">{1,2}</f><v>1</v></c>'
    '<c r="B1"><v>2</v></c></row>',
]


@pytest.mark.parametrize("rows", USUAL + UNUSUAL + FORMULAS_IN_DISGUISE)
def test_both_ways_to_poison_agree(
    book: Path, rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_rows(book, rows)
    counts = [poison(path, tmp_path / "either.xlsx")]
    monkeypatch.setattr(poisoning, "_poisoned_usual", lambda *_: None)
    counts.append(poison(path, tmp_path / "general.xlsx"))
    assert counts[0] == counts[1]
    assert (tmp_path / "either.xlsx").read_bytes() == (tmp_path / "general.xlsx").read_bytes()


@pytest.mark.parametrize("rows", [USUAL[0], USUAL[2]])
def test_usual_formulas_are_poisoned_the_fast_way(
    book: Path, rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(poisoning, "_poisoned")
    assert poison(with_rows(book, rows), tmp_path / "copy.xlsx")


def test_a_damaged_worksheet_is_not_poisoned(book: Path, tmp_path: Path) -> None:
    path = with_rows(book, '<row r="1"><c r="A1"><f>1</f><v>1</v></c><v></row>')
    assert "no well-formed XML" in message(path, lambda file: poison(file, tmp_path / "copy.xlsx"))
    assert not (tmp_path / "copy.xlsx").exists()


def test_poison_is_gone_after_recalculation(tmp_path: Path) -> None:
    path, target = tmp_path / "book.xlsx", tmp_path / "poisoned.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        sheet = workbook.add_worksheet("s")
        sheet.write_number("A1", 2)
        sheet.write_formula("A2", "=A1*3", None, 6)
        sheet.write_formula("A3", "=A2>5", None, True)
        sheet.write_formula("A4", '=A1&"x"', None, "2x")
    assert poison(path, target) == 3
    model = ironcalc.load_from_xlsx(str(target), "en", "UTC", "en")
    before = [model.get_cell_value(0, row, 1) for row in range(1, 5)]
    model.evaluate()
    after = [model.get_cell_value(0, row, 1) for row in range(1, 5)]
    assert before == [2, 777, 777, 777]
    assert after == [2, 6, True, "2x"]


def test_poison_refuses(book: Path, tmp_path: Path) -> None:
    assert "is the workbook itself" in message(book, lambda path: poison(path, path))
    nowhere = tmp_path / "none" / "copy.xlsx"
    assert "cannot be written" in message(nowhere, lambda path: poison(book, path))
    utf_16 = rewrite(
        book, lambda name, data: data.decode().encode("utf-16") if name == SHEET else data
    )
    assert "UTF-16" in message(utf_16, lambda path: poison(path, tmp_path / "copy.xlsx"))
    assert not (tmp_path / "copy.xlsx").exists()


def test_the_reference() -> None:
    path = Path(__file__).parents[2] / "shared" / "reference" / "conv-example.xlsx"
    if not path.exists():
        pytest.skip("the reference workbook is not beside the repository")
    check_package(path)
    cells = list(read_cells(path, "conv-example"))
    assert sum(cell.formula is not None for cell in cells) == 2865
    assert sum(cell.array for cell in cells) == 2552
    values = {(cell.row, cell.column): cell.value for cell in cells}
    assert values[3, 143] == 258.73762671075724


def test_defined_names_are_read_whatever_they_stand_for(tmp_path: Path) -> None:
    path = tmp_path / "names.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        workbook.add_worksheet("a & b")
        workbook.add_worksheet("s")
        workbook.define_name("Rate", "=0.5")
        workbook.define_name("kernel", "='a & b'!$A$1:$B$2")
        workbook.define_name("s!kernel", "=s!$C$1")
    assert defined_names(path) == {"rate": "0.5", "kernel": "'a & b'!$A$1:$B$2,s!$C$1"}
