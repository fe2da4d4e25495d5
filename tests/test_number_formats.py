"""Number formats: those that Excel takes pass, and others are refused before they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sheetconv as sc
from sheetconv.errors import LayoutError
from sheetconv.number_formats import check_number_format


@pytest.mark.parametrize(
    "text",
    [
        *("General", "0.00E+00", "@", "0;-0;0;@", "[h]:[mm]:[SS]", "[Color56]0", "[Red][<0]0"),
        *(
            "[$-409]d mmm",
            "[$\N{EURO SIGN}-407] 0",
            '0" [x;"',
            "0\\[",
            "0\\;\\;\\;\\;",
            '[>=1e3]0,"k"',
        ),
        '_-* #,##0.00_-;\\-* #,##0.00_-;_-* "-"??_-;_-@_-',
    ],
)
def test_what_excel_takes_passes(text: str) -> None:
    check_number_format(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello[[;;;;", "the bracket at character 6 is not closed"),
        ("0.0%;[Rod]0", "has [Rod]: expected a colour such as Red"),
        ("[Color57]0", "has [Color57]"),
        ("[]0", "has []"),
        ("[>=]0", "has [>=]"),
        ("[hm]", "has [hm]"),
        ('0"x', "the quote at character 2 is not closed"),
        ("0;0;0;@;0", "has 5 sections: expected at most 4"),
        ("0_", "ends with _"),
        ("0" * 256, "has 256 characters"),
        ("0\n", "no control characters"),
    ],
)
def test_what_damages_a_workbook_is_refused(text: str, says: str, tmp_path: Path) -> None:
    drawing = sc.Drawing(number_formats={"relu1.out": text})
    with pytest.raises(LayoutError) as caught:
        sc.build(sc.Sequential(sc.ReLU()), tmp_path / "a.xlsx", image=np.eye(2), drawing=drawing)
    assert says in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ('[networks.drawing.number_formats]\n"relu1.out" = "[Rod]0"', "number_formats.relu1.out"),
        ('[networks.drawing.styles.input]\nnumber_format = "[Rod]0"', "styles.input.number_format"),
    ],
)
def test_a_template_s_is_refused_with_its_place(table: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    layers = 'input = [1, 2, 2]\nlayers = [{ type = "ReLU" }]'
    path.write_text(f"format = 1\n[[networks]]\n{layers}\n{table}\n")
    with pytest.raises(sc.SheetconvError, match=r"networks\[0\].drawing") as caught:
        sc.load_template(path)
    assert f"drawing.{place}: number format '[Rod]0' has [Rod]" in str(caught.value)
