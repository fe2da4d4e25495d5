"""The check of workbooks that train: what it finds, what it follows, and what it cannot read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cell_trainings import cell_training, many_layers, opened, tensor_cell
from planting import cached_value, recached, spliced, typed
from planting import opened as edited

import sheetconv as sc
from sheetconv.calculators import Engine
from sheetconv.cell_training.places import Places
from sheetconv.cell_training.program import CellTraining
from sheetconv.cell_training.spelling import all_formulas, step_formulas
from sheetconv.cell_training.writing import build_training
from sheetconv.checking.trainings import read_trainings
from sheetconv.errors import CheckError, TrainingError
from sheetconv.formulas import formula_text
from sheetconv.layers.base import Layer
from sheetconv.training.losses import BCEWithLogits
from sheetconv.training.optimisers import SGD, Adam, RMSprop
from sheetconv.training.schedules import Cosine, OneCycle

#: Every kind of cell: of the second step, of the table, and of the worksheets beside the steps.
KINDS = (
    *("1 number", "1 lr", "1 loss", "1 target", "1 input", "1 normalize1.mean", "1 conv1.weight"),
    *("1 conv1.weight.exp_avg.was", "1 batchnorm1.var", "1 batchnorm1.out", "1 maxpool1.out"),
    *("1 avgpool1.out", "1 dense1.out", "1 loss.exp", "1 loss.grad", "1 loss.loss"),
    *("1 dense1.out.grad", "1 dense1.weight.grad", "1 avgpool1.out.grad", "1 maxpool1.out.grad"),
    *("1 batchnorm1.grad.mean", "1 batchnorm1.out.grad", "1 conv1.weight.grad"),
    *("1 dense1.weight.exp_avg_sq", "1 conv1.weight.new", "table 1 loss", "up conv1.weight"),
    *("up normalize1.mean", "down maxpool1.out", "list gradient", "gradient check chosen"),
    *("gradient check slope", "RMSprop slope a", "Adam exp_avg_sq b"),
)
#: Those from which NumPy's next step is not taken, so that what reads them is off, too.
READ_AGAIN = {
    *("1 number", "1 target", "1 maxpool1.out", "1 loss.exp", "1 batchnorm1.var"),
    *("1 batchnorm1.grad.mean", "1 dense1.weight.exp_avg_sq", "gradient check chosen"),
    "Adam exp_avg_sq b",
}


@pytest.fixture(scope="module")
def training() -> CellTraining:
    return many_layers(Adam(0.02), Cosine())


@pytest.fixture(scope="module")
def built(training: CellTraining, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_training(training, tmp_path_factory.mktemp("built") / "a.xlsx").path


@pytest.fixture
def book(built: Path, tmp_path: Path) -> Path:
    """A copy to plant something in."""
    return Path(shutil.copy(built, tmp_path / "a.xlsx"))


# --- What is planted


def test_a_workbook_as_it_was_built_is_right(built: Path) -> None:
    result = sc.check(built, ["ironcalc"])
    assert result.ok
    assert not result.changed
    assert not result.notes
    assert {layer.label for layer in result.layers} == {
        *("steps", "forward", "loss", "gradients", "weights", "gradient check", "line")
    }
    assert "probe" in result.sources[-1]


@pytest.mark.parametrize("name", KINDS)
def test_wrong_formulas_are_found(name: str, training: CellTraining, book: Path) -> None:
    at = tensor_cell(training, name)
    spliced(book, at.sheet, at.a1, f"={cached_value(book, at.sheet, at.a1)!r}+0.00001")
    assert sc.check(book, []).ok
    result = sc.check(book, ["ironcalc"])
    assert result.changed == [at]
    wrong = {item.cell for item in result.wrong}
    assert at in wrong
    if name not in READ_AGAIN:
        assert wrong == {at}


@pytest.mark.parametrize("name", KINDS[::5])
def test_wrong_cached_values_are_found(name: str, training: CellTraining, book: Path) -> None:
    at = tensor_cell(training, name)
    recached(book, at.sheet, at.a1, cached_value(book, at.sheet, at.a1) + 0.001)
    assert at in [item.cell for item in sc.check(book, []).wrong]
    recached(book, at.sheet, at.a1, None)
    assert at in [item.cell for item in sc.check(book, []).wrong]


@pytest.mark.parametrize("name", KINDS[::9])
def test_numbers_over_formulas_are_found(name: str, training: CellTraining, book: Path) -> None:
    at = tensor_cell(training, name)
    spliced(book, at.sheet, at.a1, cached_value(book, at.sheet, at.a1))
    (wrong,) = sc.check(book, []).wrong
    assert wrong.cell == at
    assert "stands where a formula is expected" in str(wrong)


#: What a person may type that cannot be used, and what is said of it.
UNUSABLE: dict[tuple[str, int], tuple[Any, str]] = {
    ("0 conv1.weight", 4): ("text", "'text' stands where a number is expected"),
    ("data pixels", 7): ("#N/A", "'#N/A' stands where a number is expected"),
    ("data targets", 1): (3.0, "3.0 stands where the number of a class, 0 to 2, is expected"),
    ("data targets", 2): (0.5, "0.5 stands where the number of a class"),
    ("setting batches", 0): (3.0, "a whole number from 1 to 2 is expected"),
    ("setting total", 0): (0.0, "a whole number from 1 to"),
    ("0 number", 0): (-1.0, "a whole number from 0 to"),
    ("setting beta1", 0): (1.0, "Adam: betas is 1.0: expected a number from 0 to below 1"),
    ("setting eps", 0): (0.0, "Adam: eps is 0.0: expected"),
    ("momentum setting lr", 0): ("fast", "'fast' stands where a number is expected"),
    ("Adam setting beta2", 0): (1.5, "Adam: betas is 1.5"),
    ("gradient check epsilon", 0): ("", "'' stands where a number is expected"),
}


@pytest.mark.parametrize(("name", "index"), UNUSABLE)
def test_what_cannot_be_used_is_said(
    name: str, index: int, training: CellTraining, book: Path
) -> None:
    content, said = UNUSABLE[name, index]
    at = tensor_cell(training, name, index)
    spliced(book, at.sheet, at.a1, content)
    result = sc.check(book, ["ironcalc"])
    (wrong,) = result.wrong
    assert wrong.cell == at
    assert said in str(wrong)
    saying = {item.source for layer in result.layers for item in layer.wrong}
    assert saying >= {source for source in result.sources if "probe" not in source}


def test_a_schedule_that_does_not_take_the_learning_rate(tmp_path: Path) -> None:
    training = cell_training(schedule=Cosine(0.05), steps=1)
    path = build_training(training, tmp_path / "a.xlsx").path
    at = tensor_cell(training, "setting lr")
    typed(path, at.sheet, at.a1, 0.01)
    (wrong,) = sc.check(path, ["ironcalc"]).wrong
    assert wrong.cell == at
    assert "Cosine: lr_min is 0.05, above the learning rate 0.01" in str(wrong)


# --- What follows

#: Tensor, unit -> what is typed there.
EDITS: dict[tuple[str, int], float] = {
    ("setting lr", 0): 0.5,
    ("setting beta1", 0): 0.5,
    ("setting beta2", 0): 0.9,
    ("setting eps", 0): 0.01,
    ("setting weight_decay", 0): 0.3,
    ("setting total", 0): 7.0,
    ("setting batches", 0): 1.0,
    ("0 number", 0): 4.0,
    ("0 conv1.weight", 5): 3.0,
    ("0 dense1.bias", 0): -2.0,
    ("0 conv1.weight.exp_avg.was", 3): 0.5,
    ("0 normalize1.std", 0): 2.0,
    ("0 batchnorm1.eps", 0): 0.5,
    ("data pixels", 20): 9.0,
    ("data targets", 1): 0.0,
}


@pytest.mark.parametrize(("name", "index"), EDITS)
def test_edits_are_followed(name: str, index: int, training: CellTraining, built: Path) -> None:
    (cells,) = read_trainings(built)
    seen = ("table 0 lr", "table 1 lr", "table 0 loss", "table 1 loss", "1 dense1.weight.new")
    with opened(built, training) as book:
        before = {key: book[key] for key in seen}
        book.put(name, EDITS[name, index], index)
        assert max(np.abs(before[key] - book[key]).max() for key in seen) > 1e-6
        results = cells.compare(cells.from_engine(book.opened), "ironcalc")
    assert sum(layer.cells for layer in results) == cells.formula_cells
    assert not [item for layer in results for item in layer.wrong]


def test_a_file_that_was_edited_is_right(training: CellTraining, book: Path) -> None:
    with edited(book) as workbook:
        for (name, index), value in EDITS.items():
            at = tensor_cell(training, name, index)
            workbook[at.sheet][at.a1].value = value
    result = sc.check(book, ["ironcalc"])
    assert result.ok
    assert not result.changed


@pytest.mark.parametrize(
    "optimiser", [SGD(0.1, momentum=0.9, nesterov=True), RMSprop(0.01, momentum=0.9), Adam(0.01)]
)
def test_a_momentum_of_zero_is_followed(optimiser: Any, tmp_path: Path) -> None:
    training = cell_training(optimiser=optimiser)
    path = build_training(training, tmp_path / "a.xlsx").path
    for name in (f"setting {training.momentum}", "momentum setting momentum"):
        at = tensor_cell(training, name)
        typed(path, at.sheet, at.a1, 0.0)
    assert sc.check(path, ["ironcalc"]).ok


def test_a_learning_rate_draws_the_curve_anew(training: CellTraining, book: Path) -> None:
    """The cells that the chart shows change with it, and the next step has other weights."""
    with opened(book, training) as it:
        before = it["1 dense1.weight"].copy(), [float(it[f"table {n} loss"]) for n in range(2)]
        it.put("setting lr", 1.0)
        after = it["1 dense1.weight"].copy(), [float(it[f"table {n} loss"]) for n in range(2)]
    assert np.abs(before[0] - after[0]).max() > 0.1
    assert before[1][0] == after[1][0]
    assert abs(before[1][1] - after[1][1]) > 0.01


def test_blanks_are_zeros(training: CellTraining, book: Path) -> None:
    for name, index in (("0 conv1.weight", 4), ("data pixels", 3), ("setting weight_decay", 0)):
        at = tensor_cell(training, name, index)
        typed(book, at.sheet, at.a1, None)
    assert sc.check(book, ["ironcalc"]).ok


def test_a_weight_that_there_is_not(training: CellTraining, book: Path) -> None:
    at = tensor_cell(training, "gradient check weight")
    typed(book, at.sheet, at.a1, "conv9.weight 1")
    assert sc.check(book, ["ironcalc"]).ok
    typed(book, at.sheet, at.a1, "CONV1.bias 2")
    assert sc.check(book, ["ironcalc"]).ok


def test_a_training_that_diverges_is_no_error(tmp_path: Path) -> None:
    given: dict[str, Any] = {"loss": BCEWithLogits(), "targets": np.eye(4, 3)}
    with pytest.raises(TrainingError, match="step 1 comes to no finite numbers, the loss being"):
        build_training(cell_training(**given, optimiser=SGD(1e250)), tmp_path / "a.xlsx")
    training = cell_training(**given)
    path = build_training(training, tmp_path / "a.xlsx").path
    at = tensor_cell(training, "setting lr")
    typed(path, at.sheet, at.a1, 1e250)
    assert sc.check(path, ["ironcalc"]).ok
    at = tensor_cell(training, "0 conv1.bias.grad")
    typed(path, at.sheet, at.a1, "=1")
    assert [item.cell for item in sc.check(path, ["ironcalc"]).wrong] == [at]


@pytest.mark.parametrize("layer", [sc.Sigmoid(), sc.Tanh(), sc.GELU(), sc.LeakyReLU(), sc.ReLU()])
def test_wrong_slopes_at_zero_are_found(layer: Layer, tmp_path: Path) -> None:
    layers = [sc.Conv2d(1, 1, 3, bias=False), layer, sc.Flatten(), sc.Linear(4, 2)]
    training = cell_training(layers, (1, 4, 4), images=np.zeros((4, 1, 4, 4)), steps=1)
    path = build_training(training, tmp_path / "a.xlsx").path
    at = tensor_cell(training, "0 conv1.out.grad")
    spliced(path, at.sheet, at.a1, f"={cached_value(path, at.sheet, at.a1)!r}+0.00000001")
    assert [item.cell for item in sc.check(path, ["ironcalc"]).wrong] == [at]


def test_files_without_cached_values(book: Path) -> None:
    with edited(book):
        pass
    assert sc.check(book, ["ironcalc"]).ok
    with pytest.raises(CheckError, match="holds no cached values"):
        sc.check(book, [])


def test_libreoffice_saves_a_workbook_that_is_right(
    libreoffice: Engine, book: Path, tmp_path: Path
) -> None:
    from planting import resave_in_libreoffice

    assert sc.check(resave_in_libreoffice(book, tmp_path), []).ok


def test_worksheets_that_are_gone(book: Path) -> None:
    with edited(book) as workbook:
        del workbook["line"]
    result = sc.check(book, ["ironcalc"])
    assert result.ok
    assert result.notes[0].startswith("no worksheet 'line' is there any more")
    with edited(book) as workbook:
        workbook["steps"].title = "my steps"
    with pytest.raises(CheckError, match="has no worksheet 'steps', on which its training stood"):
        sc.check(book)


@pytest.mark.parametrize("optimiser", [Adam(), SGD(momentum=0.9)])
def test_later_steps_are_spelled_as_the_second(optimiser: Any) -> None:
    places = Places(many_layers(optimiser, OneCycle(), steps=4))

    def texts(formulas: Any) -> list[tuple[str, str, str]]:
        return [
            (name, str(item.grid), formula_text(item.formula, *divmod(k, item.grid.width)))
            for name, item in formulas
            for k in range(item.grid.size)
        ]

    for number, formulas in enumerate(all_formulas(places)):
        assert texts(formulas) == texts(step_formulas(places, number))
