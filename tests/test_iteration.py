"""A workbook that takes training steps by itself, one at each so many recalculations."""

from __future__ import annotations

import random
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cell_trainings import cell_training
from openxml_audit import OpenXmlValidator
from planting import edit_part, recached, spliced
from test_cli import ERROR, run

import sheetconv as sc
from sheetconv.calculators import CellError, Engine, OpenBook
from sheetconv.cell_training import spelling
from sheetconv.cell_training.iteration import period_of, register_formulas
from sheetconv.cell_training.places import Places
from sheetconv.cell_training.program import CellTraining
from sheetconv.cell_training.reckoning import all_steps
from sheetconv.cell_training.registers import BEFORE_END, LAST, least_period, registers_of
from sheetconv.cell_training.spelling import step_formulas
from sheetconv.cell_training.writing import BuiltTraining, build_training
from sheetconv.checking import check
from sheetconv.checking.report import lines
from sheetconv.errors import TrainingError
from sheetconv.formulas import CellFormulas, formula_text
from sheetconv.layers.base import Array, Layer
from sheetconv.references import references
from sheetconv.tensor_cells import cell_of, numbers_of
from sheetconv.training.losses import MSE
from sheetconv.training.optimisers import SGD, Adam, Optimiser
from sheetconv.training.schedules import Cosine

EXACT = 1e-12
#: As few cells as a network with a kernel, a pool and a dense layer can have.
TINY: tuple[Layer, ...] = (
    sc.Conv2d(1, 1, 2), sc.ReLU(), sc.MaxPool2d(2, stride=1), sc.Flatten(), sc.Linear(4, 3)
)  # fmt: skip


def repeated(optimiser: Optimiser | None = None, **other: Any) -> CellTraining:
    training = cell_training(TINY, (1, 4, 4), optimiser=optimiser, steps=1, **other)
    return replace(training, iterate=True, total=40)


def course(training: CellTraining, steps: int) -> list[dict[str, Array]]:
    """What NumPy makes of so many drawn steps."""
    drawn = replace(training, iterate=False, steps=steps)
    return all_steps(drawn, Places(training).setting_values)


class Running:
    """A workbook that is open, and recalculated again and again.

    Args:
        training: what it trains.
        book: an engine's.
    """

    def __init__(self, training: CellTraining, book: OpenBook) -> None:
        self.placed, self.book = Places(training).step(0), book

    def put(self, name: str, value: float) -> None:
        self.book.set_values(self.placed[name].grids[0].bounds, [[value]])

    def recalculate(self, times: int = 1) -> None:
        for _ in range(times):
            self.book.recalculate()

    def read(self) -> dict[str, Array]:
        """What every tensor of the step shows, in its shape; NaN where it shows no number."""
        areas = [grid.bounds for where in self.placed.values() for grid in where.grids]
        rows, found = iter(self.book.get_many(areas)), {}
        for name, where in self.placed.items():
            parts = [numbers_of(next(rows), grid)[0] for grid in where.grids]
            found[name] = np.concatenate(parts).reshape(where.shape)
        return found

    def __getitem__(self, name: str) -> Any:
        ((value,),) = self.book.get_values(self.placed[name].grids[0].bounds)
        return value


@contextmanager
def running(engine: Engine, training: CellTraining, path: Path) -> Iterator[Running]:
    with engine.open(path) as book:
        yield Running(training, book)


def worst(shown: dict[str, Array], expected: dict[str, Array]) -> float:
    """How far what is shown lies off, at most, of the size of its tensor."""
    return max(
        float(np.abs(shown[name] - value).max() / max(1.0, np.abs(value).max()))
        for name, value in expected.items()
        if name in shown
    )


# --- LibreOffice


@pytest.mark.parametrize(
    "optimiser", [SGD(0.3), SGD(0.1, momentum=0.9), Adam(0.03)], ids=["sgd", "momentum", "adam"]
)
def test_libreoffice_takes_the_steps_of_numpy(
    optimiser: Optimiser, libreoffice: Engine, tmp_path: Path
) -> None:
    training = repeated(optimiser, schedule=Cosine(0.01))
    built, expected = build_training(training, tmp_path / "a.xlsx"), course(training, 20)
    weights = [f"{layer}.{key}" for layer, key in training.learned]
    with running(libreoffice, training, built.path) as book:
        book.put("run", 1.0)
        book.recalculate(built.period - 1)
        start = before = book.read()
        for number, values in enumerate(expected):
            if number:
                book.recalculate(built.period)
            shown = book.read()
            assert float(shown["tick"]) == (number + 1) * built.period - 1
            assert float(shown["phase"]) == built.period - 1
            assert float(shown["number"]) == number
            assert worst(shown, values) < EXACT
            if number:
                assert all((shown[name] != before[name]).any() for name in [*weights, "loss"])
            before = shown
        assert worst(shown, expected[18]) > 1e-4

        book.put("run", 0.0)
        book.recalculate(3)
        held = book.read()
        assert all(np.array_equal(held[name], shown[name]) for name in shown if name != "run")

        book.put("reset", 1.0)
        book.recalculate(2)
        book.put("reset", 0.0)
        book.recalculate(built.period)
        again = book.read()
        assert float(again["tick"]) == float(again["number"]) == 0
        assert worst(again, expected[0]) < EXACT
        assert all(np.array_equal(again[name], start[name]) for name in weights)


def test_too_few_recalculations_a_step_make_other_weights(
    libreoffice: Engine, tmp_path: Path
) -> None:
    training = repeated()
    built, expected = build_training(training, tmp_path / "a.xlsx"), course(training, 5)
    with running(libreoffice, training, built.path) as book:
        book.put("period", 5.0)
        book.put("run", 1.0)
        book.recalculate(3 * 5 + 4)
        shown = book.read()
    assert float(shown["tick"]) == 19
    weights = {name: expected[3][name] for name in ("conv1.weight", "dense1.weight")}
    assert worst(shown, weights) > 1e-3


def test_one_register_instead_of_two_mixes_old_weights_and_new(
    libreoffice: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def naive(places: Places, placed: Any) -> Iterator[tuple[str, CellFormulas]]:
        """State = the next value, at each recalculation."""
        at = {name: placed[name].grids for name in placed}
        states = {item.state: item for item in registers_of(places.training)}
        for name, item in register_formulas(places, placed):
            if name not in states:
                yield name, item
                continue
            k = at[name].index(item.grid)
            following = spelling.copied(name, placed[name], placed[states[name].next or name])
            ((source,),) = [made.formula for _, made in following if made.grid == at[name][k]]
            plus = () if states[name].next else ("+1",)
            start, itself = item.formula[1], item.formula[-2]
            text = (item.formula[0], start, ",IF($B$1=1,", source, *plus, ",", itself, "))")
            yield name, replace(item, formula=text)

    monkeypatch.setattr(spelling, "register_formulas", naive)
    training = repeated()
    built, expected = build_training(training, tmp_path / "a.xlsx"), course(training, 9)
    with running(libreoffice, training, built.path) as book:
        book.put("run", 1.0)
        book.recalculate(5)
        shown = book.read()
    number = round(float(shown["number"]))
    assert number > 2
    assert min(
        worst(shown, {"dense1.weight": values["dense1.weight"]}) for values in expected
    ) > 1e-3  # fmt: skip


def test_the_file_switches_iterations_on(libreoffice: Engine, tmp_path: Path) -> None:
    training = repeated()
    built = build_training(training, tmp_path / "a.xlsx")
    with zipfile.ZipFile(built.path) as package:
        text = package.read("xl/workbook.xml").decode()
    (properties,) = re.findall("<calcPr[^>]*>", text)
    for words in ('iterate="1"', 'iterateCount="1"', 'iterateDelta="1000000000"'):
        assert words in properties
    edit_part(built.path, "xl/workbook.xml", lambda text: re.sub(" iterate[^ ]*", "", text))
    with running(libreoffice, training, built.path) as book:
        book.put("run", 1.0)
        book.recalculate()
        assert book["tick"] == CellError("Err:522")


# --- In whatever order


def course_of_registers(
    period: int, depth: int, order: Callable[[list[Any]], list[Any]], at_once: bool = False
) -> list[int]:
    """The states of one number that goes through `depth` cells, as the registers keep it."""
    values: dict[Any, int] = dict.fromkeys(["tick", "phase", "shadow", "state", *range(depth)], 0)

    def calculated(name: Any, shown: dict[Any, int]) -> int:
        if name == "tick":
            return shown["tick"] + 1
        if name == "phase":
            return shown["tick"] % period
        if name == "state":
            return shown["shadow"] if shown["phase"] <= LAST else shown["state"]
        if name == "shadow":
            taking = period - BEFORE_END <= shown["phase"] <= period - BEFORE_END + LAST
            return shown[depth - 1] if taking else shown["shadow"]
        return shown[name - 1] if name else shown["state"] + 1

    states = []
    for tick in range(1, 20 * period):
        shown = dict(values) if at_once else values
        for name in order(list(values)):
            values[name] = calculated(name, shown)
        if tick % period == period - 1:
            states.append(values["state"])
    return states


ORDERS: dict[str, Callable[[], Callable[[list[Any]], list[Any]]]] = {
    "down": lambda: lambda names: names,
    "up": lambda: lambda names: names[::-1],
    "any": lambda: lambda names: random.Random(0).sample(names, len(names)),
    "another each time": lambda: _shuffling(random.Random(1)),
    "one or the other": lambda: _turning(random.Random(2)),
}


def _shuffling(rng: random.Random) -> Callable[[list[Any]], list[Any]]:
    return lambda names: rng.sample(names, len(names))


def _turning(rng: random.Random) -> Callable[[list[Any]], list[Any]]:
    return lambda names: names[:: rng.choice((1, -1))]


@pytest.mark.parametrize("depth", [1, 3, 12])
@pytest.mark.parametrize("name", ORDERS)
def test_any_order_of_calculation_will_do(name: str, depth: int) -> None:
    period = least_period(depth)
    assert course_of_registers(period, depth, ORDERS[name]()) == list(range(20))


def test_all_cells_may_be_calculated_at_once() -> None:
    order = ORDERS["down"]()
    assert course_of_registers(least_period(12), 12, order, at_once=True) == list(range(20))
    assert course_of_registers(12 + 3, 12, order, at_once=True) != list(range(20))


NETWORKS: dict[str, tuple[tuple[Layer, ...], tuple[int, ...]]] = {
    "dense": ((sc.Linear(4, 3),), (4,)),
    "tiny": (TINY, (1, 4, 4)),
    "normalised": (
        (sc.Conv2d(1, 2, 3, padding=1), sc.BatchNorm2d(2), sc.GELU(), sc.AvgPool2d(2),
         sc.Flatten(), sc.Linear(8, 3)),
        (1, 4, 4),
    ),
    "strides": (
        (sc.Conv2d(2, 2, 3, stride=2, padding=1), sc.InstanceNorm2d(2), sc.Tanh(),
         sc.AdaptiveAvgPool2d(1), sc.Flatten(), sc.Linear(2, 3), sc.Softmax(), sc.Linear(3, 2)),
        (2, 6, 6),
    ),
}  # fmt: skip


def longest_chain(training: CellTraining) -> int:
    """Cells, one after the other, from a register to the next value of another, cell by cell."""
    places = Places(training)
    registers = registers_of(training)
    kept = {"tick", "phase", *(name for item in registers for name in (item.state, item.shadow))}
    reads: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for name, item in step_formulas(places, 0):
        for k, cell in enumerate(() if name in kept else item.grid.cells()):
            text = formula_text(item.formula, *divmod(k, item.grid.width))
            reads[cell.row, cell.column] = [
                (row, column)
                for area in references(text, cell.sheet).areas
                if area.sheet == cell.sheet
                for row in range(area.top, area.bottom + 1)
                for column in range(area.left, area.right + 1)
            ]
    depths: dict[tuple[int, int], int] = {}

    def depth(cell: tuple[int, int]) -> int:
        if cell not in reads:
            return 0
        if cell not in depths:
            depths[cell] = 1 + max(map(depth, reads[cell]), default=0)
        return depths[cell]

    return max(map(depth, reads))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("optimiser", [SGD(0.1), Adam()], ids=["sgd", "adam"])
def test_a_step_has_as_many_recalculations_as_its_longest_chain_needs(
    name: str, optimiser: Optimiser
) -> None:
    layers, shape = NETWORKS[name]
    training = cell_training(layers, shape, optimiser=optimiser, steps=1)
    training = replace(training, iterate=True)
    places = Places(training)
    period = period_of(places, step_formulas(places, 0))
    assert period == least_period(longest_chain(training))
    assert period > 15


# --- The check


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> BuiltTraining:
    path = tmp_path_factory.mktemp("iteration") / "a.xlsx"
    return build_training(repeated(Adam(0.03)), path)


def copied(built: BuiltTraining, folder: Path) -> Path:
    path = folder / "copy.xlsx"
    path.write_bytes(built.path.read_bytes())
    return path


def at(name: str, index: int = 0) -> str:
    """The cell of a tensor of the fixture's step."""
    return cell_of(Places(repeated(Adam(0.03))).step(0)[name], index).a1


def test_what_ironcalc_cannot_do_is_said(workbook: BuiltTraining) -> None:
    result = check(workbook.path)
    assert result.ok
    assert not result.changed
    assert result.sources == ["cached values"]
    assert sum(layer.cells for layer in result.layers) == workbook.formula_cells
    (note,) = result.notes
    assert "which ironcalc does not calculate" in note
    assert "--engine libreoffice" in note
    assert any(note in line for line in lines(result, {}))


def test_libreoffice_takes_a_step_for_the_check(
    workbook: BuiltTraining, libreoffice: Engine
) -> None:
    result = check(workbook.path, [libreoffice])
    assert result.ok
    assert result.notes == []
    labels = {layer.label: layer for layer in result.layers if layer.source == "libreoffice"}
    for label in ("forward", "weights, a step on", "registers", "registers, a step on"):
        assert labels[label].cells > 0
    assert result.sources == ["cached values", "libreoffice", "libreoffice, probe 1"]


def test_a_shadow_of_another_weight_is_found(
    workbook: BuiltTraining, libreoffice: Engine, tmp_path: Path
) -> None:
    path, shadow = copied(workbook, tmp_path), at("dense1.bias.shadow")
    spliced(path, "steps", shadow, f"={at('dense1.bias.shadow', 1)}+0*{shadow}")
    assert check(path).ok
    result = check(path, [libreoffice])
    assert [cell.a1 for cell in result.changed] == [shadow]
    assert at("dense1.bias") in {item.cell.a1 for item in result.wrong}


@pytest.mark.parametrize(
    ("name", "value"),
    [("conv1.weight", 0.25), ("conv1.weight.shadow", 0.25), ("dense1.weight.exp_avg.was", 1.0),
     ("dense1.bias.new", 0.25), ("tick", 24.0), ("phase", 3.0), ("number", 1.0), ("loss", 3.0)],
)  # fmt: skip
def test_wrong_cached_values_are_found(
    name: str, value: float, workbook: BuiltTraining, tmp_path: Path
) -> None:
    path = copied(workbook, tmp_path)
    recached(path, "steps", at(name), value)
    result = check(path, ())
    found = at("phase") if name == "tick" else at(name)
    assert found in {item.cell.a1 for item in result.wrong}


def test_cached_values_of_a_step_under_way_belong_to_no_step(
    workbook: BuiltTraining, tmp_path: Path
) -> None:
    path = copied(workbook, tmp_path)
    recached(path, "steps", at("tick"), 3.0)
    recached(path, "steps", at("loss"), 3.0)
    result = check(path)
    assert result.layers == []
    assert result.notes[0].startswith("steps: saved in the middle of a step")
    # In a later phase everything has settled.
    for name in ("tick", "phase"):
        recached(path, "steps", at(name), workbook.period - BEFORE_END)
    assert [item.cell.a1 for item in check(path).wrong] == [at("loss")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("period", 5.0, "K is 5: a whole number from"), ("period", 50.5, "K is 50.5"),
     ("run", "yes", "'yes' stands where a number"), ("first", 1.5, "1.5 stands where a whole"),
     ("conv1.weight", 0.25, "0.25 stands where a formula")],
)  # fmt: skip
def test_what_a_person_types_wrong(
    name: str, content: float | str, words: str, workbook: BuiltTraining, tmp_path: Path
) -> None:
    path = copied(workbook, tmp_path)
    spliced(path, "steps", at(name), content)
    (wrong, *_) = [item for item in check(path).wrong if item.cell.a1 == at(name)]
    assert words in wrong.reason


def test_a_longer_step_is_a_right_one(workbook: BuiltTraining, tmp_path: Path) -> None:
    path = copied(workbook, tmp_path)
    spliced(path, "steps", at("period"), 100.0)
    assert check(path).ok


# --- The workbook


def test_the_workbook_stands_at_the_beginning(workbook: BuiltTraining) -> None:
    assert workbook.worksheets == ("training", "steps", "data")
    assert [str(error) for error in OpenXmlValidator().validate(str(workbook.path)).errors] == []
    with zipfile.ZipFile(workbook.path) as package:
        texts = package.read("xl/sharedStrings.xml").decode()
        sheet = package.read("xl/worksheets/sheet2.xml").decode()
    for words in ("Ctrl+Shift+F9", "Never tried with Excel", f"{workbook.period} times"):
        assert words in texts
    assert '<pane xSplit="2" ySplit="9"' in sheet
    assert 'sqref="B1"' in sheet


def test_counters_stand_above_all_that_refers_to_them() -> None:
    training = repeated(Adam(0.03))
    placed = Places(training).step(0)
    above = max(placed[name].grids[0].row for name in ("run", "reset", "period", "tick", "phase"))
    rows = [grid.row for name, where in placed.items() for grid in where.grids]
    assert sorted(rows)[5] > above == 4
    assert {grid.sheet for where in placed.values() for grid in where.grids} == {"steps"}


def test_only_one_step_is_repeated() -> None:
    with pytest.raises(TrainingError, match="2 steps are drawn: recalculations repeat one step"):
        replace(cell_training(steps=2), iterate=True)


def test_targets_of_several_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    training = cell_training(
        (sc.Linear(3, 2),), (3,), loss=MSE(), targets=rng.random((4, 2)), steps=1
    )
    built = build_training(replace(training, iterate=True), tmp_path / "a.xlsx")
    assert check(built.path).ok


# --- The command

TEMPLATE = """\
format = 1
title = "small"
[[networks]]
worksheet = "small"
input = [1, 8, 8]
layers = [
  { name = "conv1", type = "Conv2d", in_channels = 1, out_channels = 1, kernel_size = 6 },
  { name = "relu1", type = "ReLU" },
  { name = "flatten1", type = "Flatten" },
  { name = "dense1", type = "Linear", in_features = 9, out_features = 10 },
]
[networks.training]
data = "digits"
init = "kaiming-normal"
"""


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(TEMPLATE, encoding="utf-8")
    done = run(tmp_path, "build", "small.toml", "--train", "--iterate", "--batch", "2")
    assert done.returncode == 0, done.stderr
    assert "1 step in" in done.stdout
    assert re.search(r"loss: 2\.\d{4} at first; 2\d recalculations are a step", done.stdout)
    assert "sheetconv check small-training.xlsx --engine libreoffice" in done.stdout
    checked = run(tmp_path, "check", "small-training.xlsx")
    assert checked.returncode == 0
    assert "nothing was recalculated" in checked.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--train", "--iterate", "--steps", "3"], "3 steps are drawn"),
     (["--iterate"], "--iterate is for --train")],
)  # fmt: skip
def test_what_the_command_refuses(arguments: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(TEMPLATE, encoding="utf-8")
    done = run(tmp_path, "build", "small.toml", *arguments)
    assert done.returncode != 0
    assert done.stderr.startswith(ERROR)
    assert words in done.stderr
    assert not list(tmp_path.glob("*.xlsx"))
