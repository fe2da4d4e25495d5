"""Workbooks that train, from the command line to everything that reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from cell_trainings import SMALL, cell_training, many_layers, tensor_cell
from openxml_audit import OpenXmlValidator
from planting import opened as edited
from planting import typed
from test_cli import run

import sheetconv as sc
from sheetconv import cli
from sheetconv.cell_training.description import check_file, trainings_of
from sheetconv.cell_training.program import CellTraining
from sheetconv.cell_training.writing import build_training
from sheetconv.description import HEADING
from sheetconv.errors import CheckError
from sheetconv.tensor_cells import description_rows
from sheetconv.training.optimisers import SGD, Adam
from sheetconv.training.schedules import OneCycle


@pytest.fixture(scope="module")
def training() -> CellTraining:
    return many_layers(Adam(0.02), OneCycle())


@pytest.fixture(scope="module")
def built(training: CellTraining, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_training(training, tmp_path_factory.mktemp("built") / "a.xlsx").path


@pytest.fixture
def book(built: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copy(built, tmp_path / "a.xlsx"))


# --- Descriptions from anybody

#: Keys, and what stands there instead.
TAMPERED: list[tuple[tuple[Any, ...], Any]] = [
    *((("steps",), value) for value in (0, -1, 2.5, "3", None, True, [1], 10**5, 10**9, 10**15)),
    *((("batch",), value) for value in (0, 5, "2", 10**6)),
    *((("images",), value) for value in (0, 10**5, 10**6, 10**12, None)),
    *((("total",), value) for value in (0, "x", 1.5)),
    *((("input_shape",), value) for value in ([], [6], [1, 6.0, 6], "abc", 5, [1, 10**6, 10**6])),
    *((("targets",), value) for value in ([1], [3, 3], [10**6], 5, None)),
    *((("layers",), value) for value in ([], 5, None, [5], [{}], [{"name": "a", "type": "No"}])),
    (("layers", 7, "out_features"), 10**5),
    (("layers", 7, "out_features"), 10**9),
    (("layers", 1, "out_channels"), 10**12),
    (("layers", 1, "padding"), 10**6),
    (("layers", 0), {"name": "normalize1", "type": "Dropout"}),
    (("layers", 0, "name"), "a b"),
    *((("loss",), value) for value in (5, {}, {"name": "no"}, {"name": "bce"}, {"name": "sgd"})),
    (("optimiser", "betas"), [2, 3]),
    (("optimiser", "no"), 1),
    (("optimiser", "name"), 5),
    (("schedule", "moms"), "abc"),
    (("schedule",), [1]),
    (("sheets",), 5),
    (("sheets", "home"), 7),
    (("sheets", "home"), "steps"),
    (("sheets", "steps"), "x" * 50),
    (("sheets", "no"), "a"),
    (("sheets", "data"), "elsewhere"),
]


def read(text: str, path: Path) -> None:
    """What a check does first."""
    for places in trainings_of([HEADING, text], str(path)):
        check_file(places, path)


def tampered(book: Path, keys: tuple[Any, ...], value: Any) -> str:
    """The workbook's description with something else in one place."""
    content = json.loads("".join(description_rows(book)[1:]))
    place: Any = content["trainings"][0]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return json.dumps(content)


@pytest.mark.parametrize(("keys", "value"), TAMPERED, ids=repr)
def test_tampered_descriptions_give_one_line(
    keys: tuple[Any, ...], value: Any, built: Path
) -> None:
    with pytest.raises(CheckError) as caught:
        read(tampered(built, keys, value), built)
    assert str(caught.value).startswith(str(built))
    assert "\n" not in str(caught.value)


def test_a_tampered_file_gives_one_line(book: Path) -> None:
    untouched = trainings_of([HEADING, tampered(book, ("steps",), 2)], str(book))
    assert untouched[0].training.steps == 2
    text = tampered(book, ("layers", 7, "out_features"), 10**5)
    with edited(book) as workbook:
        sheet = workbook["sheetconv"]
        sheet.delete_rows(2, sheet.max_row)
        sheet["A2"] = text
    with pytest.raises(CheckError, match=r"is damaged: the worksheet 'steps' has not .* cells"):
        sc.check(book, ["ironcalc"])


# --- Everything else that reads workbooks


def test_excel_opens_it_without_a_word(built: Path, tmp_path: Path) -> None:
    assert [str(error) for error in OpenXmlValidator().validate(str(built)).errors] == []
    training = cell_training(SMALL, optimiser=SGD(0.1), steps=1)
    one = build_training(training, tmp_path / "b.xlsx").path
    assert [str(error) for error in OpenXmlValidator().validate(str(one)).errors] == []


def test_new_weights_are_traced_back(training: CellTraining, book: Path, tmp_path: Path) -> None:
    at = tensor_cell(training, "1 conv1.weight.new")
    shown = run(tmp_path, "trace", "a.xlsx", str(at))
    assert shown.returncode == 0, shown.stderr
    for part in ("data!", "training!$", tensor_cell(training, "0 conv1.weight", 0).a1):
        assert part.replace("$", "") in shown.stdout.replace("$", "")


def test_read_diff_and_render(book: Path, tmp_path: Path) -> None:
    tables = sc.read(book)
    assert "training" in repr(tables)
    assert not tables.networks
    shutil.copy(book, tmp_path / "b.xlsx")
    same = run(tmp_path, "diff", "a.xlsx", "b.xlsx")
    assert (same.returncode, same.stdout.splitlines()[-1]) == (0, "equal")
    typed(tmp_path / "b.xlsx", "training", "B5", 0.7)
    assert run(tmp_path, "diff", "a.xlsx", "b.xlsx").returncode == 1
    page = run(tmp_path, "render", "a.xlsx", "--sheet", "training", "-o", "a.html")
    assert page.returncode == 0, page.stderr


# --- The command line


def test_build_train(tmp_path: Path) -> None:
    done = run(tmp_path, "build", "two-filters", "--train", "--steps", "2")
    assert done.returncode == 0, done.stderr
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith("wrote two-filters-training.xlsx: 2 steps in ")
    assert "worksheets: training, steps, gradient check, line, data" in first
    assert second.startswith("loss: ")
    checked = run(tmp_path, "check", "two-filters-training.xlsx")
    assert checked.returncode == 0, checked.stdout
    given = ["--steps", "4", "--images", "8", "--batch", "3", "--lr", "0.01", "--optimiser", "adam"]
    given += ["--momentum", "0.8", "--weight-decay", "0.1", "--schedule", "cosine"]
    given += ["--init", "xavier-uniform", "--seed", "3", "-o", "b.xlsx"]
    done = run(tmp_path, "build", "two-filters", "--train", *given)
    assert done.returncode == 0, done.stderr
    tables = {row[0].value: row[1].value for row in rows_of(tmp_path / "b.xlsx", "training")}
    assert {"learning rate": 0.01, "beta 1": 0.8, "weight decay": 0.1}.items() <= tables.items()
    assert tables["batches of the data"] == 2


def rows_of(path: Path, sheet: str) -> Any:
    return openpyxl.load_workbook(path)[sheet].iter_rows()


REFUSED: dict[str, str] = {
    "edges --train": "names no data to train on",
    "norms --train": "has 2 networks",
    "digits --train --optimiser adm": "did you mean adam?",
    "digits --train --schedule cosin": "did you mean cosine?",
    "digits --train --loss no": "loss 'no' is unknown",
    "digits --train --init no": "scheme is 'no'",
    "digits --train --loss bce": "bce contains a Sigmoid",
    "digits --train --batch 50 --images 40": "40 images for batches of 50",
    "digits --train --batch 0": "batch is 0: expected a whole number of at least 1",
    "digits --train --steps 0": "steps is 0: expected a whole number of at least 1",
    "digits --train --images 0": "images is 0: expected a whole number of at least 1",
    "digits --train --images 9999": "at most 2,000",
    "digits --train --lr -1": "lr is -1.0",
    "digits --train --momentum 1": "momentum is 1.0",
    "digits --train --steps 100000": "draw fewer steps",
    "digits --train --data no": "'no' is no file, no folder and no data set",
    "digits --train --plain": "--plain does not go with --train",
    "digits --train --weights w.npz": "--weights does not go with --train",
    "digits --steps 3": "--steps is for --train",
    "digits --images 3": "--images is for --train",
    "random.toml --train": "layer dropout1: Dropout",
    "digits --train -o old.xlsx": "old.xlsx exists already",
    "digits --train -o a.xls": "ends in .xlsx",
}
RANDOM = """\
format = 1
[[networks]]
worksheet = "random"
input = [1, 8, 8]
layers = [
  { type = "Flatten" },
  { type = "Dropout" },
  { type = "Linear", in_features = 64, out_features = 10 },
]
[networks.training]
data = "digits"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refused")
    (folder / "random.toml").write_text(RANDOM, encoding="utf-8")
    (folder / "old.xlsx").write_bytes(b"old")
    return folder


@pytest.mark.parametrize("words", REFUSED)
def test_what_build_train_refuses(
    words: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["sheetconv", "build", *words.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("sheetconv: error: ")
    assert error.count("\n") == 1
    assert REFUSED[words] in error
    assert sorted(path.name for path in folder.iterdir()) == ["old.xlsx", "random.toml"]
    assert (folder / "old.xlsx").read_bytes() == b"old"
