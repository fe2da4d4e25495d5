"""What people see: numbers as LibreOffice shows them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np

import sheetconv as sc
from sheetconv.calculators import Engine


def test_negative_numbers_keep_their_sign_on_screen(tmp_path: Path, libreoffice: Engine) -> None:
    values = [-250.0, -25.5, -2.55, -0.32, 0.0, 0.32, 25.5, 250.0]
    built = sc.build(sc.Sequential(sc.ReLU()), tmp_path / "a.xlsx", image=np.array([values]))
    command = [libreoffice.status().where, f"-env:UserInstallation={(tmp_path / 'p').as_uri()}"]
    command += ["--headless", "--convert-to", "html", "--outdir", str(tmp_path), str(built.path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    shown = re.findall(r'<td[^>]* sdval="[^"]*"[^>]*>(?:<[^>]*>)*([^<]*)<', page)
    image, rectified = shown[: len(values)], shown[len(values) :]
    assert image == ["-250.0", "-25.5", "-2.6", "-0.3", "0.0", "0.3", "25.5", "250"]
    assert rectified == ["0.0"] * 5 + ["0.3", "25.5", "250"]
