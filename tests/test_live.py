"""Live runs: exact in every engine, steered by keys, saved whatever happens."""

from __future__ import annotations

import io
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_calculators_excel
from click.testing import CliRunner
from openxml_audit import OpenXmlValidator
from rich.console import Console
from test_calculators import assert_nothing_left, office_of, private
from test_calculators_excel import App, Books, platform

import sheetconv as sc
from sheetconv.calculators import ENGINES, Engine, OpenBook
from sheetconv.calculators import ironcalc as ironcalc_module
from sheetconv.cell_training.description import trainings_of
from sheetconv.cell_training.home import LIVE_ROWS, live_table
from sheetconv.cell_training.places import Places
from sheetconv.cell_training.program import CellTraining
from sheetconv.cell_training.reckoning import all_steps
from sheetconv.cell_training.writing import build_training
from sheetconv.cells import Range
from sheetconv.checking import check
from sheetconv.cli import cli
from sheetconv.errors import CalculatorError, CheckError, TrainingError, WorkbookError
from sheetconv.live import LiveResult, loop, run_live
from sheetconv.live.controls import Interrupts, NoControls, Terminal
from sheetconv.live.history import History, Row
from sheetconv.live.saving import Saver
from sheetconv.live.watching import Lines, Moment, Screen, Silence
from sheetconv.tensor_cells import description_rows
from sheetconv.training.losses import CrossEntropy
from sheetconv.training.optimisers import SGD, Adam, Optimiser, RMSprop
from sheetconv.training.schedules import Constant, OneCycle, Schedule
from sheetconv.xlsx import read_cells

__all__ = ["platform", "private"]

STEPS = 50
CONFIGURATIONS: dict[str, tuple[Optimiser, Schedule, bool]] = {
    "sgd": (SGD(lr=0.2), Constant(), False),
    "momentum": (SGD(lr=0.05, momentum=0.9, weight_decay=0.01), OneCycle(), False),
    "rmsprop": (RMSprop(lr=0.01), Constant(), False),
    "adam": (Adam(lr=0.02), Constant(), False),
    "batch-norm": (Adam(lr=0.02), Constant(), True),
}


def training_of(optimiser: Optimiser, schedule: Schedule, norm: bool, steps: int) -> CellTraining:
    rng = np.random.default_rng(3)
    # A bias before a batch's statistics would have no effect.
    extra = [sc.BatchNorm2d(2, track_running_stats=False)] if norm else []
    conv = sc.Conv2d(1, 2, 2, bias=not norm)
    layers = [conv, *extra, sc.ReLU(), sc.MaxPool2d(2), sc.Flatten()]
    images, targets = rng.normal(size=(6, 1, 5, 5)), np.array([0, 1, 2, 2, 1, 0])
    return CellTraining(
        sc.Sequential(*layers, sc.Linear(8, 3), seed=1),
        (1, 5, 5),
        CrossEntropy(),
        optimiser,
        schedule,
        images,
        targets,
        tuple("abc"[k] for k in targets),
        3,
        steps,
        STEPS,
    )


@pytest.fixture(scope="module")
def workbooks(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("live")

    def of(name: str, steps: int = 1) -> Path:
        path = folder / f"{name}-{steps}.xlsx"
        if not path.exists():
            build_training(training_of(*CONFIGURATIONS[name], steps), path)
        return path

    return of


@pytest.fixture
def book(workbooks: Callable[..., Path], tmp_path: Path) -> Path:
    """A workbook that may be changed."""
    return Path(shutil.copy(workbooks("momentum"), tmp_path / "book.xlsx"))


def places_of(path: Path) -> Places:
    (places,) = trainings_of(description_rows(path), str(path))
    return places


def cells_of(path: Path, sheet: str) -> dict[tuple[int, int], Any]:
    return {(cell.row, cell.column): cell.value for cell in read_cells(path, sheet)}


def tensor(path: Path, name: str) -> list[float]:
    placed = places_of(path).step(0)[name]
    found = cells_of(path, "steps")
    return [found[c.row, c.column] for grid in placed.grids for c in grid.cells()]


def history(path: Path) -> list[Row]:
    table = live_table(places_of(path))
    found = cells_of(path, table.sheet)
    rows = (
        [found.get((table.row + n, table.column + k)) for k in range(3)]
        for n in range(table.height)
    )
    return [Row(*row) for row in itertools.takewhile(lambda row: row[0] is not None, rows)]


def by_trainer(training: CellTraining) -> tuple[list[float], dict[str, np.ndarray]]:
    """The same by the network's own forward and backward, and the trainer's optimisers."""
    network, optimiser = training.network, training.optimiser
    weights = {name: value.copy() for name, value in network.state_dict().items()}
    state = {name: optimiser.init_state(value.size, float) for name, value in weights.items()}
    losses = []
    for number in range(STEPS):
        copy = sc.Sequential(*network, seed=1)
        copy.load_state_dict(weights)
        batch, epoch = number % training.batches, number // training.batches
        rows = slice(batch * training.batch, (batch + 1) * training.batch)
        scores, caches = copy.forward(training.images[rows])
        grad = np.empty(scores.T.shape)
        targets = training.targets[rows]
        losses.append(training.loss.share(scores.T.copy(), targets, training.batch, grad))
        _, grads = copy.backward(np.ascontiguousarray(grad.T), caches)
        hyper = training.schedule.at(number, training.total, epoch, optimiser.lr)
        for name, value in weights.items():
            layer, key = name.split(".")
            optimiser.step(
                value.reshape(-1),
                grads[layer][key].reshape(-1).copy(),
                state[name],
                lr=hyper.lr,
                momentum=hyper.momentum,
                number=number + 1,
            )
    return losses, weights


def assert_exact(training: CellTraining, result: LiveResult, path: Path) -> None:
    steps = all_steps(replace(training, steps=STEPS), Places(training).setting_values)
    losses, weights = by_trainer(training)
    assert result.step == STEPS
    assert tensor(path, "number") == [STEPS]
    first = training.network.state_dict()
    assert set(result.weights) == set(weights) == set(first)
    for name, got in result.weights.items():
        assert np.abs(got - first[name]).max() > 1e-3
        np.testing.assert_allclose(got, steps[-1][f"{name}.new"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(got, weights[name], rtol=0, atol=1e-12)
        assert tensor(path, name) == got.ravel().tolist()
    np.testing.assert_allclose(result.losses, losses, rtol=0, atol=1e-12)
    expected = [float(step["loss"]) for step in steps]
    np.testing.assert_allclose(result.losses, expected, rtol=0, atol=1e-12)
    rows = history(path)
    assert [row.step for row in rows] == list(range(STEPS))
    assert tuple(row.loss for row in rows) == result.losses
    np.testing.assert_allclose([r.lr for r in rows], [float(s["lr"]) for s in steps], atol=1e-12)


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("engine", ["ironcalc", "libreoffice"])
def test_fifty_steps_are_exact(
    engine: str,
    name: str,
    workbooks: Callable[..., Path],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if engine == "libreoffice":
        request.getfixturevalue("libreoffice")
    source, output = workbooks(name), tmp_path / "out.xlsx"
    before = source.read_bytes()
    result = run_live(source, engine, STEPS, output=output)
    training = training_of(*CONFIGURATIONS[name], 1)
    assert_exact(training, result, output)
    assert source.read_bytes() == before
    assert result.path == output
    assert result.steps_per_second > 1
    # What follows from the weights is calculated anew.
    assert check(output, ()).ok
    if engine == "ironcalc":
        checked = check(output)
        assert checked.ok, checked.layers
        for wrong in (
            replace(result, losses=result.losses[1:] + result.losses[:1]),
            replace(result, step=STEPS - 1),
            replace(result, weights={n: w + 1e-11 for n, w in result.weights.items()}),
        ):
            with pytest.raises(AssertionError):
                assert_exact(training, wrong, output)


def test_an_engine_that_does_not_recalculate_is_noticed(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ironcalc_module._IronCalcBook, "_calculate", lambda self: None)
    result = run_live(book, steps=STEPS)
    with pytest.raises(AssertionError):
        assert_exact(training_of(*CONFIGURATIONS["momentum"], 1), result, book)


def test_a_run_goes_on_where_the_last_one_ended(
    book: Path, workbooks: Callable[..., Path], tmp_path: Path
) -> None:
    run_live(book, steps=20)
    run_live(book, steps=30)
    whole = run_live(workbooks("momentum"), steps=STEPS, output=tmp_path / "whole.xlsx")
    assert tensor(book, "conv1.weight") == whole.weights["conv1.weight"].ravel().tolist()
    assert history(book) == history(whole.path)


def test_further_drawn_steps_follow(workbooks: Callable[..., Path], tmp_path: Path) -> None:
    one = run_live(workbooks("adam"), steps=4, output=tmp_path / "one.xlsx")
    several = run_live(workbooks("adam", 3), steps=4, output=tmp_path / "several.xlsx")
    assert several.losses == one.losses
    assert check(several.path).ok


def test_only_numbers_are_changed_in_the_file(
    workbooks: Callable[..., Path], tmp_path: Path
) -> None:
    source = workbooks("momentum")
    saved = run_live(source, steps=3, output=tmp_path / "out.xlsx").path
    assert [str(error) for error in OpenXmlValidator().validate(str(saved)).errors] == []
    with zipfile.ZipFile(source) as a, zipfile.ZipFile(saved) as b:
        assert a.namelist() == b.namelist()
        changed = [name for name in a.namelist() if a.read(name) != b.read(name)]
    assert changed
    assert all(name.startswith("xl/worksheets/sheet") for name in changed)
    for sheet in ("training", "steps", "line", "data"):
        kept = [
            {(c.row, c.column): (c.formula, c.shared) for c in read_cells(path, sheet) if c.formula}
            for path in (source, saved)
        ]
        assert kept[0] == kept[1]
    assert cells_of(source, "steps") != cells_of(saved, "steps")


class Script(NoControls):
    """Keys, one for each time that the run asks."""

    def __init__(self, *keys: str) -> None:
        self.keys = iter(keys)

    def pressed(self, wait: float = 0.0) -> str:
        return next(self.keys)


def test_keys(book: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.xlsx"
    first = tensor(book, "conv1.weight")

    def run(*keys: str) -> LiveResult:
        return run_live(book, output=out, force=True, controls=Script(*keys, "q"))

    assert len(run("", "", "").losses) == 3
    # While it is paused, nothing but single steps.
    assert len(run("", " ", "", "", "s", "", "x").losses) == 2
    assert len(run("", " ", "", " ", "", "").losses) == 3
    # The first s pauses a run.
    assert len(run("", "s", "", "s").losses) == 2
    reset = run("", "", "", "r", "")
    assert (len(reset.losses), reset.step) == (1, 1)
    assert reset.losses == run("").losses
    back = run("", "", "", "r")
    assert tensor(out, "conv1.weight") == first == back.weights["conv1.weight"].ravel().tolist()
    assert tensor(out, "number") == [0]
    assert history(out) == []
    assert len(run_live(book, steps=2, output=out, force=True, controls=Script("", "")).losses) == 2


def test_nothing_is_written_where_no_step_was_taken(book: Path, tmp_path: Path) -> None:
    before = book.read_bytes()
    assert run_live(book, controls=Script("q")).losses == ()
    assert book.read_bytes() == before
    run_live(book, output=tmp_path / "copy.xlsx", controls=Script("q"))
    assert check(tmp_path / "copy.xlsx").ok


class At(Silence):
    """Does something when so many steps are taken; or at every step."""

    def __init__(self, taken: int | None, do: Callable[[Moment], object]) -> None:
        self.taken, self.do = taken, do
        self.said: list[str] = []

    def show(self, moment: Moment, *, now: bool = False) -> None:
        if self.taken in (None, moment.taken) and not now:
            self.do(moment)

    def say(self, text: str) -> None:
        self.said.append(text)


def interrupt(times: int) -> Callable[[Moment], object]:
    return lambda moment: [signal.raise_signal(signal.SIGINT) for _ in range(times)]


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_stops_after_the_step_and_saves(book: Path, times: int) -> None:
    handler = signal.getsignal(signal.SIGINT)
    result = run_live(book, watcher=At(5, interrupt(times)))
    assert len(result.losses) == 5
    assert tensor(book, "number") == [5]
    assert signal.getsignal(signal.SIGINT) is handler


def test_what_ends_the_process_saves_too(book: Path) -> None:
    def leave(moment: Moment) -> None:
        sys.exit(143)

    with pytest.raises(SystemExit):
        run_live(book, watcher=At(4, leave))
    assert tensor(book, "number") == [4]


def write(cell: str, value: Any) -> Callable[[Moment], None]:
    def do(moment: Moment) -> None:
        where = moment.cells.places.settings[cell]
        moment.cells.book.set_values(Range(where.sheet, where.row, where.column), [[value]])

    return do


def test_what_is_no_number_is_named(book: Path) -> None:
    where = places_of(book).settings["lr"]
    message = rf"^{where} holds 'fast' where a number is expected: type one there; the weights "
    with pytest.raises(TrainingError, match=message + "with which step 7 begins are saved in"):
        run_live(book, steps=20, watcher=At(7, write("lr", "fast")))
    assert tensor(book, "number") == [7]
    assert check(book).ok


def test_a_run_that_goes_astray_keeps_the_last_good_weights(book: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        run_live(book, steps=50, watcher=At(7, write("lr", 1e200)))
    message = str(caught.value)
    assert re.search(r"went astray: in step \d+ the loss is .*; a smaller learning rate", message)
    assert "\n" not in message
    assert tensor(book, "number") <= [9]
    assert np.isfinite(tensor(book, "conv1.weight")).all()
    assert len(history(book)) == tensor(book, "number")[0]


def test_it_is_saved_on_the_way(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(loop, "_SHARE", 0.0)
    found = []
    run_live(book, steps=6, watcher=At(6, lambda moment: found.append(tensor(book, "number"))))
    assert found == [[5]]
    assert tensor(book, "number") == [6]


def test_a_file_that_others_change_is_left_alone(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(loop, "_SHARE", 0.0)
    watcher = At(3, lambda moment: book.write_bytes(b"of somebody else"))
    result = run_live(book, steps=6, watcher=watcher)
    assert book.read_bytes() == b"of somebody else"
    assert result.path == book.with_name("book-live-1.xlsx")
    assert tensor(result.path, "number") == [6]
    assert "not saved yet" in watcher.said[0]
    assert "was changed by another program" in watcher.said[0]


def test_what_calculates_nothing_leaves_no_stale_values(
    book: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(self: object) -> None:
        raise CalculatorError("it does not calculate")

    with Saver(book, tmp_path / "out.xlsx") as saver:
        monkeypatch.setattr(ironcalc_module._IronCalcBook, "_calculate", refuse)
        saver.save({"steps": {(0, 0): 1.0}})
    assert {c.value for c in read_cells(tmp_path / "out.xlsx", "steps") if c.formula} == {None}
    # With the weights alone, what was calculated before would no longer be true.
    monkeypatch.undo()
    monkeypatch.setattr(Saver, "_calculated", lambda self, numbers: {})
    run_live(book, steps=3)
    assert not check(book, ()).ok


def test_refusals(book: Path, tmp_path: Path) -> None:
    plain = sc.build(sc.Sequential(sc.Conv2d(1, 1, 2)), tmp_path / "a.xlsx", image=np.eye(3)).path
    with pytest.raises(TrainingError, match=r"make .* with: sheetconv build TEMPLATE --train$"):
        run_live(plain)
    again = replace(training_of(*CONFIGURATIONS["sgd"], 1), iterate=True)
    repeated = build_training(again, tmp_path / "b.xlsx").path
    with pytest.raises(TrainingError, match="takes its steps by itself"):
        run_live(repeated)
    with pytest.raises(WorkbookError, match="no such file"):
        run_live(tmp_path / "none.xlsx")
    with pytest.raises(WorkbookError, match=r"a\.xlsx exists already"):
        run_live(book, steps=1, output=plain)
    with pytest.raises(WorkbookError, match=r"ends in \.xlsx"):
        run_live(book, steps=1, output=tmp_path / "a.csv")
    with pytest.raises(CalculatorError, match="no engine 'iron', did you mean 'ironcalc'"):
        run_live(book, "iron")
    with pytest.raises(CalculatorError, match="IronCalc has no window"):
        run_live(book, show=True)
    with pytest.raises(sc.SheetconvError, match="steps is -1"):
        run_live(book, steps=-1)
    openpyxl = pytest.importorskip("openpyxl")
    openpyxl.Workbook().save(tmp_path / "other.xlsx")
    with pytest.raises(CheckError, match="not made by sheetconv"):
        run_live(tmp_path / "other.xlsx")


def test_history() -> None:
    table = History(most=6)
    for step in range(100):
        table.add(step, float(step), 0.1)
    assert [row.step for row in table.rows] == [0, 32, 64, 96]
    again = History(table.rows, most=6)
    again.add(97, 0.0, 0.1)
    again.add(128, 0.0, 0.1)
    assert [row.step for row in again.rows] == [0, 32, 64, 96, 128]
    again.add(64, 0.5, 0.1)
    assert [(row.step, row.loss) for row in again.rows][-1] == (64, 0.5)
    again.reset()
    assert again.rows == table.rows
    assert LIVE_ROWS == 1000


def test_lines_and_pictures(book: Path) -> None:
    text = io.StringIO()
    run_live(book, steps=6, watcher=Lines(3, text))
    lines = text.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["step 0", "step 3", "step 6"]
    console = Console(file=io.StringIO(), width=110, force_terminal=True, color_system="truecolor")
    screen = Screen(console)
    screen.say("a word")
    run_live(book, steps=5, watcher=screen)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for word in ("step 11", "loss", "image", "conv1 kernels", "conv1 activations", "a word"):
        assert word in shown
    assert re.search(r"[abc] \S+ +\d\.\d\d", shown)
    assert "\u2580" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="terminals are others there")
def test_a_terminal_gives_keys_and_is_left_as_it_was() -> None:
    import pty
    import termios

    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    with Terminal(slave) as keys:
        assert termios.tcgetattr(slave) != before
        assert keys.pressed() == ""
        os.write(master, b" Q")
        assert [keys.pressed(1), keys.pressed(1), keys.pressed()] == [" ", "q", ""]
        os.close(master)
        assert keys.pressed(1) == "q"
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert interrupts.wished
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    os.close(slave)


def test_the_command(book: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, ["live", str(book), "--steps", "40"])
    assert run.exit_code == 0
    lines = run.output.splitlines()
    assert lines[0].startswith("step 0  loss ")
    assert lines[-4].startswith("step 40  ")
    assert re.match(r"40 steps, [\d,]+ a second, loss [\d.]+ to [\d.]+$", lines[-3])
    assert lines[-2].startswith(f"{book} goes on with step 40.")
    assert lines[-1] == f"  sheetconv check {book}"
    text = [sys.executable, "-m", "sheetconv", "live", str(book), "--every", "50"]
    with subprocess.Popen(text, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("step 40")
        assert process.stdout.readline().startswith("step 90")
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert "goes on with step" in rest
    assert tensor(book, "number")[0] >= 90
    assert check(book).ok


def test_many_ranges_at_once(book: Path) -> None:
    areas = [Range("steps", 6, 15, 2, 2), Range("training", 4, 1), Range("training", 0, 0)]
    with ENGINES["ironcalc"].open(book) as opened:
        before = opened.get_many(areas)
        assert before == [opened.get_values(area) for area in areas]
        assert not isinstance(before[2][0][0], float)
        opened.set_many(areas[:2], [[[1.0, None], [2.0, 3.0]], [[0.5]]])
        assert opened.get_many(areas[:2]) == [[[1.0, None], [2.0, 3.0]], [[0.5]]]
        with pytest.raises(CalculatorError, match="do not fit"):
            opened.set_many(areas[:1], [[[1.0]]])
        with pytest.raises(CalculatorError, match=r"no worksheet 'step' .*did you mean 'steps'"):
            opened.get_many([Range("step", 0, 0)])


# --- LibreOffice


def test_a_killed_libreoffice_leaves_the_last_good_weights(
    libreoffice: Engine, book: Path, private: Path
) -> None:
    def kill(moment: Moment) -> None:
        os.kill(office_of(private), signal.SIGKILL)

    with pytest.raises(CalculatorError) as caught:
        run_live(book, libreoffice, steps=50, watcher=At(5, kill))
    message = str(caught.value)
    assert message.startswith("LibreOffice stopped when it was to ")
    assert message.endswith(f"the weights with which step 5 begins are saved in {book}")
    assert "\n" not in message
    assert tensor(book, "number") == [5]
    assert len(history(book)) == 5
    assert check(book).ok
    assert_nothing_left(private)
    assert list(book.parent.glob(".*")) == []


def test_a_window_shows_the_history_and_keeps_what_a_person_types(
    libreoffice: Engine, book: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A window that is drawn nowhere.
    monkeypatch.setenv("SAL_USE_VCLPLUGIN", "svp")
    monkeypatch.setattr(loop, "_SHOW_EVERY", 0.0)
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(loop, "_SHARE", 0.0)
    seen: list[Any] = []

    def look(moment: Moment) -> None:
        if moment.taken == 2:
            write("lr", 0.25)(moment)
            table = live_table(moment.cells.places)
            seen.extend(moment.cells.book.get_values(table))
        if moment.taken == 5:
            moment.cells.book._office.call("close", "quit")  # type: ignore[attr-defined]

    with pytest.raises(
        CalculatorError, match=r"^LibreOffice could not .*: it was closed; .* step 5"
    ):
        run_live(book, libreoffice, 9, show=True, watcher=At(None, look))
    rows = history(book)
    assert len(rows) == 5
    assert [Row(*row) for row in seen[:1]] == rows[:1]
    assert seen[2] == [None] * 3
    assert cells_of(book, "training")[4, 1] == 0.25
    training = training_of(*CONFIGURATIONS["momentum"], 1)
    assert rows[4].lr == pytest.approx(training.schedule.at(4, STEPS, 2, 0.25).lr, rel=1e-12)
    assert check(book).ok
    assert_nothing_left(private)


def test_a_program_that_hangs_is_stopped(libreoffice: Engine, book: Path, private: Path) -> None:
    def stop(moment: Moment) -> None:
        # As a dialog that waits for an answer.
        moment.cells.book._office.timeout = 0.5  # type: ignore[attr-defined]
        os.kill(office_of(private), signal.SIGSTOP)

    with pytest.raises(
        CalculatorError, match=r"did not write .* within 0\.5 s and was stopped.*saved"
    ):
        run_live(book, libreoffice, 9, watcher=At(2, stop))
    assert tensor(book, "number") == [2]
    assert_nothing_left(private)


# --- Excel, by a stand-in that calculates as IronCalc does


class CalculatingCells:
    def __init__(self, book: CalculatingBook, area: Range, errors: bool = False) -> None:
        self._book, self._area = book, area
        self.options = lambda *, err_to_str: self

    @property
    def raw_value(self) -> Any:
        rows = self._book.inside.get_values(self._area)
        return [["" if value is None else value for value in row] for row in rows]

    @raw_value.setter
    def raw_value(self, values: Any) -> None:
        given = [[None if value == "" else value for value in row] for row in values]
        self._book.inside.set_values(self._area, given)

    @property
    def api(self) -> Any:
        return types.SimpleNamespace(Value2=tuple(map(tuple, self.raw_value)))


class CalculatingBook(test_calculators_excel.Book):
    def __init__(self, app: App, path: str) -> None:
        super().__init__(app)
        self.inside: OpenBook = ENGINES["ironcalc"].open(Path(path))
        names = ("training", "steps", "gradient check", "line", "data")
        self.sheets[:] = [self.sheet(name) for name in names]

    def sheet(self, name: str) -> Any:
        def area(first: tuple[int, int], last: tuple[int, int]) -> CalculatingCells:
            (top, left), (bottom, right) = first, last
            size = (bottom - top + 1, right - left + 1)
            return CalculatingCells(self, Range(name, top - 1, left - 1, *size))

        return types.SimpleNamespace(name=name, range=area)


@pytest.fixture
def calculating(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_book(self: Books, path: str, **options: Any) -> CalculatingBook:
        book = CalculatingBook(self.app, path)
        self.append(book)
        again = book.inside.recalculate
        self.app.api = types.SimpleNamespace(
            CalculateFullRebuild=again, calculate_full_rebuild=again
        )
        return book

    monkeypatch.setattr(Books, "open", open_book)


def test_excel_is_exact_by_its_stand_in(calculating: None, book: Path) -> None:
    result = run_live(book, "excel", STEPS, show=True)
    assert App.made.log[0] == ("app", {"visible": True, "add_book": False})
    assert App.made.log[-1] == "quit"
    assert_exact(training_of(*CONFIGURATIONS["momentum"], 1), result, book)


def test_an_excel_that_is_closed_leaves_the_last_good_weights(
    calculating: None, book: Path
) -> None:
    closed = At(3, lambda moment: App.made.books[0].sheets.clear())
    with pytest.raises(
        CalculatorError, match=r"^Excel could not .*; the weights with which step 3"
    ):
        run_live(book, "excel", STEPS, watcher=closed)
    assert tensor(book, "number") == [3]
