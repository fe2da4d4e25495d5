"""The workbooks that are kept in the repository are those that the commands make today."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sheetconv.diff import diff

FOLDER = Path(__file__).parents[1] / "workbooks"
ROW = re.compile(r"^\| `(\S+\.xlsx)` \| `sheetconv (.+)` \|$", re.MULTILINE)
MADE_BY = dict(ROW.findall((FOLDER / "README.md").read_text(encoding="utf-8")))


def test_every_workbook_is_listed() -> None:
    assert {path.name for path in FOLDER.glob("*.xlsx")} == set(MADE_BY) != set()


@pytest.mark.parametrize("name", MADE_BY)
def test_a_workbook_is_what_its_command_makes(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sheetconv", *MADE_BY[name].split(), "-o", name]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = diff(FOLDER / name, tmp_path / name, rtol=0.0)
    assert found.equal, "\n".join(found.lines())
