"""The workbooks that are kept in the repository are those that the commands make today."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sheetconv.diff import diff

FOLDER = Path(__file__).parents[1] / "workbooks"
ROW = re.compile(r"^\| `(\S+\.xlsx)` \| `sheetconv (.+)` \|$", re.MULTILINE)
README = (FOLDER / "README.md").read_text(encoding="utf-8")
MADE_BY = dict(ROW.findall(README))
PICTURES = dict(
    re.findall(r"^\| `(\S+\.png)` \| `sheetconv (render .+)` \|$", README, re.MULTILINE)
)


def test_every_workbook_is_listed() -> None:
    assert {path.name for path in FOLDER.glob("*.xlsx")} == set(MADE_BY) != set()


@pytest.mark.parametrize("name", MADE_BY)
def test_a_workbook_is_what_its_command_makes(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sheetconv", *MADE_BY[name].split(), "-o", name]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    # NumPy adds in another order on another processor.
    found = diff(FOLDER / name, tmp_path / name)
    assert found.equal, "\n".join(found.lines())


def test_every_picture_is_listed() -> None:
    # What a training run looks like is not the same to the last digit on every machine.
    made_by_hand = {"trace-precedents.png", "training.png"}
    assert {path.name for path in FOLDER.glob("*.png")} == set(PICTURES) | made_by_hand


@pytest.mark.usefixtures("libreoffice")
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_its_command_makes(name: str, tmp_path: Path) -> None:
    """As far as fonts go, which differ between machines: the same colours fill the cells."""
    shutil.copy(FOLDER / PICTURES[name].split()[1], tmp_path)
    command = [sys.executable, "-m", "sheetconv", *PICTURES[name].split()]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    kept, made = (colours(folder / name) for folder in (FOLDER, tmp_path))
    for one, other in ((kept, made), (made, kept)):
        filling = {colour for colour, count in one.items() if count > 200}
        assert len(filling) >= 5
        assert filling <= set(other)


def colours(path: Path) -> dict[bytes, int]:
    """How many squares of 5 x 5 pixels have one colour, by colour."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    squares = np.lib.stride_tricks.sliding_window_view(pixels, (5, 5), axis=(0, 1))
    flat = (squares == squares[..., :1, :1]).all(axis=(2, 3, 4))
    found, counts = np.unique(squares[flat][..., 0, 0], axis=0, return_counts=True)
    return {bytes(colour): int(count) for colour, count in zip(found, counts, strict=True)}
