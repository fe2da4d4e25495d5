"""The pytest plugin: `pytest workbooks/` checks each workbook of sheetconv in a folder.

The plugin is active in the run of this very file, through its entry point; so it is in
pytest as these tests start it, in folders of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from openpyxl import Workbook
from planting import spliced

import sheetconv as sc
from sheetconv.checking import check
from sheetconv.tensor_cells import cell_of


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = sc.Sequential(
        sc.Conv2d(1, 1, 3), sc.ReLU(), sc.MaxPool2d(2), sc.Flatten(), sc.Linear(4, 1)
    )
    path = tmp_path_factory.mktemp("books") / "good.xlsx"
    sc.build(network, path, image=np.random.default_rng(0).random((6, 6)))
    return path


@pytest.fixture
def folder(book: Path, tmp_path: Path) -> Path:
    """A folder with one good workbook in `workbooks`."""
    (tmp_path / "workbooks").mkdir()
    shutil.copy(book, tmp_path / "workbooks" / "good.xlsx")
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of pytest in a folder, and what it prints."""
    options = ["-p", "sheetconv.pytest_plugin", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", *options, *arguments],
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_plugin_is_active_here(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.hasplugin("sheetconv")


def test_one_test_for_the_numbers_and_for_each_layer(folder: Path) -> None:
    code, output = run(folder, "-v", "workbooks")
    assert code == 0
    for label in ("numbers", "conv1 + relu1", "maxpool1", "dense1"):
        assert f"workbooks/good.xlsx::network::{label} PASSED" in output
    assert "4 passed" in output


def test_one_layer_by_its_name(folder: Path) -> None:
    code, output = run(folder, "-v", "workbooks/good.xlsx::network::dense1")
    assert code == 0
    assert "1 passed" in output


def spoil(folder: Path, tensor: str, index: int, content: float | str) -> str:
    """Plant a content in the workbook; the cell."""
    path = folder / "workbooks" / "good.xlsx"
    (placed,) = (
        t.placed for layer in check(path, ()).layers for t in layer.tensors if t.name == tensor
    )
    cell = cell_of(placed, index)
    spliced(path, cell.sheet, cell.a1, content)
    return str(cell)


def test_wrong_cell_fails_its_layer(folder: Path) -> None:
    cell = spoil(folder, "maxpool1.out", 3, 777.0)
    code, output = run(folder, "workbooks")
    assert code == 1
    # The dense layer is off because of it.
    assert "2 failed, 2 passed" in output
    assert "good.xlsx::network::maxpool1" in output
    assert f"{cell}: 777.0 stands where a formula is expected (maxpool1, file)" in output
    assert "1 cell is off because of cells before" in output
    assert "Traceback" not in output


def test_text_for_a_pixel_fails_the_numbers(folder: Path) -> None:
    spliced(folder / "workbooks" / "good.xlsx", "network", "C5", "seven")
    code, output = run(folder, "workbooks", "-k", "numbers")
    assert code == 1
    assert "'seven' stands where a number is expected" in output


def test_other_files_are_passed_over(folder: Path) -> None:
    workbooks = folder / "workbooks"
    Workbook().save(workbooks / "ordinary.xlsx")
    (workbooks / "~$good.xlsx").write_bytes(b"the lock file of Excel")
    (workbooks / "notes.txt").write_text("good.xlsx is right")
    code, output = run(folder, "workbooks")
    assert code == 0
    assert "4 passed" in output


def test_unreadable_file_is_an_error_only_where_it_was_asked_for(folder: Path) -> None:
    broken = folder / "workbooks" / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04 and then nothing of a zip")
    code, output = run(folder)
    assert code == 0
    assert "4 passed" in output
    for asked, others in (("workbooks", "4 passed"), ("workbooks/broken.xlsx", "1 failed")):
        code, output = run(folder, asked)
        assert code == 1
        assert "FAILED workbooks/broken.xlsx::readable" in output
        assert others in output
        assert "Traceback" not in output


def test_damaged_description_is_an_error(folder: Path) -> None:
    spliced(folder / "workbooks" / "good.xlsx", "sheetconv", "A2", "{")
    code, output = run(folder, "workbooks")
    assert code == 1
    assert "the description on the hidden worksheet 'sheetconv' is damaged" in output
    assert "Traceback" not in output


def test_unknown_engine(folder: Path) -> None:
    code, output = run(folder, "workbooks", "--sheetconv-engine", "ironclac")
    assert code != 0
    assert "there is no engine 'ironclac', did you mean 'ironcalc'?" in output
    assert "Traceback" not in output
    assert "passed" not in output


def test_engine_that_is_named(folder: Path) -> None:
    code, output = run(folder, "workbooks", "--sheetconv-engine", "ironcalc")
    assert code == 0
    assert "4 passed" in output


def test_nothing_is_loaded_for_other_tests(folder: Path) -> None:
    """A project that has sheetconv installed pays nothing for its own tests."""
    (folder / "test_own.py").write_text(
        "import sys\n"
        "def test_own():\n"
        "    assert not {'numpy', 'pandas', 'openpyxl', 'ironcalc'} & set(sys.modules)\n"
    )
    code, output = run(folder, "test_own.py")
    assert code == 0, output
