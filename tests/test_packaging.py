"""The wheel holds all that a workbook needs: built, installed elsewhere, and used there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(folder),
            str(ROOT),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_templates_and_licences(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {name for name in names if name.startswith("sheetconv/templates/")}
    assert shipped == {
        f"sheetconv/templates/{path.name}"
        for path in (ROOT / "templates").iterdir()
        if path.suffix in (".toml", ".npz", ".md")
    }
    for name in ("LICENSE", "NOTICE"):
        assert any(entry.endswith(f"licenses/{name}") for entry in names)
    assert "sheetconv/py.typed" in names
    assert not any(entry.startswith(("tests/", "benchmarks/", "templates/")) for entry in names)


def test_an_installed_wheel_builds_a_workbook_in_an_empty_folder(
    wheel: Path, tmp_path: Path
) -> None:
    place, empty = tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(place),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    environment = os.environ | {"PYTHONPATH": str(place)}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=empty,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert run("-c", "import sheetconv; print(sheetconv.__file__)").startswith(str(place))
    assert "9,336 formula cells" in run("-m", "sheetconv", "build", "conv-example")
    assert "OK: 9,336 formula cells" in run("-m", "sheetconv", "check", "conv-example.xlsx")
    assert [item.name for item in empty.iterdir()] == ["conv-example.xlsx"]
