"""Every kind of workbook that sheetconv writes is one that Excel opens without a word."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from openxml_audit import OpenXmlValidator

import sheetconv as sc
from sheetconv.drawing import Drawing
from sheetconv.network_sheet import NetworkSheet
from sheetconv.template import load_template, template_names
from sheetconv.workbook import build_workbook


def findings(path: Path) -> list[str]:
    """What the validator finds in a file."""
    return [str(error) for error in OpenXmlValidator().validate(str(path)).errors]


def everything(formulas: str, border: str, fuse: bool) -> tuple[sc.Sequential, Drawing]:
    """A network with every layer, drawn in one of the ways."""
    network = sc.Sequential(
        sc.Conv2d(3, 4, 3, stride=2, padding=(1, 2, 0, 1)),
        sc.ReLU(),
        sc.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
        sc.Dropout(0.25),
        sc.Conv2d(4, 2, (1, 2)),
        sc.Flatten(),
        sc.Linear(24, 5),
        sc.ReLU(),
        sc.Linear(5, 2, bias=False),
    )
    return network, Drawing("a <b> & 'c' %d", formulas=formulas, border=border, fuse=fuse)


#: The validator takes a minute for 70,000 cells; these have no kind of cell that others have not.
LARGE = ("lenet5", "simple-cnn-wide")


@pytest.mark.parametrize("name", [name for name in template_names() if name not in LARGE])
def test_templates_are_clean(name: str, tmp_path: Path) -> None:
    template = load_template(name)
    sheets = [NetworkSheet(n.network, n.image, n.drawing, n.guides) for n in template.networks]
    built = build_workbook(sheets, tmp_path / "book.xlsx", title=template.title)
    assert findings(built.path) == []


@pytest.mark.parametrize("formulas", ["sumproduct", "array"])
@pytest.mark.parametrize(("border", "fuse"), [("drawn", True), ("blank", False)])
def test_networks_are_clean(formulas: str, border: str, fuse: bool, tmp_path: Path) -> None:
    network, drawing = everything(formulas, border, fuse)
    image = np.random.default_rng(1).random((3, 14, 12))
    built = sc.build(network, tmp_path / "book.xlsx", image=image, drawing=drawing)
    assert findings(built.path) == []


def test_a_planted_fault_is_found(tmp_path: Path) -> None:
    network, drawing = everything("sumproduct", "drawn", True)
    built = sc.build(network, tmp_path / "a.xlsx", image=np.ones((3, 14, 12)), drawing=drawing)
    damaged = tmp_path / "b.xlsx"
    with zipfile.ZipFile(built.path) as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "xl/worksheets/sheet1.xml":
                # The columns have to stand before the cells.
                columns = data[data.index(b"<cols>") : data.index(b"</cols>") + len(b"</cols>")]
                data = data.replace(columns, b"").replace(
                    b"</sheetData>", b"</sheetData>" + columns
                )
            target.writestr(name, data)
    assert findings(damaged) != []
