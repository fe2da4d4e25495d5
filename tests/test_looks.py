"""What people see: numbers as LibreOffice shows them."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import numpy as np

import sheetconv as sc
from sheetconv.calculators import Engine

# Commas, quotes, UTF-8, from the first line, cell contents as shown.
AS_SHOWN = "Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false"


def test_negative_numbers_keep_their_sign_on_screen(tmp_path: Path, libreoffice: Engine) -> None:
    values = [-250.0, -25.5, -2.55, -0.32, 0.0, 0.32, 25.5, 250.0]
    network = sc.Sequential(sc.ReLU())
    built = sc.build(network, tmp_path / "a.xlsx", image=np.array([values]))
    profile = (tmp_path / "profile").as_uri()
    subprocess.run(
        [
            libreoffice.status().where, f"-env:UserInstallation={profile}", "--headless",
            "--convert-to", f"csv:{AS_SHOWN}", "--outdir", str(tmp_path), str(built.path),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )  # fmt: skip
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    first = built.layouts[0].placed["input"].grids[0]
    shown = [rows[first.row][first.column + j] for j in range(len(values))]
    assert shown == ["-250.0", "-25.5", "-2.6", "-0.3", "0.0", "0.3", "25.5", "250"]
