"""The live run: recalculate, read what a step made, write it where the next step begins.

One loop for every engine. Everything of a step is read before anything is written. It ends
after so many steps, when a person stops it, or when the program or the training fails; the
last weights whose loss was a number are on disk then.
"""

from __future__ import annotations

import time
from array import array
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..calculators import Engine, OpenBook, find_engine
from ..cell_training.description import check_file, trainings_of
from ..cell_training.places import Places
from ..errors import CalculatorError, TrainingError, WorkbookError
from ..layers.base import Array
from ..layers.validation import whole
from ..tensor_cells import cells_of, description_rows
from ..values import Value
from .controls import PAUSE, RESET, SINGLE, STOP, Controls, Interrupts, NoControls
from .history import History, read_history
from .saving import Saver
from .step_cells import Step, StepCells
from .watching import Moment, Silence

#: Seconds from one saving to the next; saving takes a tenth of the time at most.
SAVE_EVERY = 10.0
_SHARE = 10.0
# Of a table that a person sees grow, in seconds.
_SHOW_EVERY = 0.2
_KEY_WAIT = 0.05


@dataclass(frozen=True, slots=True)
class LiveResult:
    """What a live run did.

    Attributes:
        losses: of every step, in their order, since the weights were reset, if they were.
        weights: `conv1.weight` -> array, after the last step.
        steps_per_second: pauses and saving left out.
        step: the number of the step with which the workbook begins now.
        path: where it was saved.
    """

    losses: tuple[float, ...]
    weights: Mapping[str, Array]
    steps_per_second: float
    step: int
    path: Path


def run_live(
    path: str | Path,
    engine: str | Engine = "ironcalc",
    steps: int | None = None,
    *,
    output: str | Path | None = None,
    force: bool = False,
    show: bool = False,
    timeout: float = 60.0,
    controls: Controls | None = None,
    watcher: Silence | None = None,
) -> LiveResult:
    """Let a spreadsheet program take training steps, and save the workbook.

    Each step is one recalculation of the workbook's first step, whose new weights then are
    copied onto its weights. One drawn step is enough: without a window, any others are not
    even calculated, except for saving. What is saved besides the weights are their history and,
    from a window, settings and data that a person changed there; for any other change
    save a copy from the window itself.

    Args:
        path: a workbook that `sheetconv build --train` made.
        engine: what calculates, by name or from `sheetconv.calculators`. Default: IronCalc.
        steps: how many; 0 or None for as many as until somebody stops it. Default None.
        output: where to save. Default: the workbook itself.
        force: replace another file. Default False.
        show: in a window of the program. Default False.
        timeout: seconds that one call of the program may take. Default 60.
        controls: where keys come from. Default: nowhere.
        watcher: what shows the run. Default: nothing.

    Raises:
        WorkbookError: the workbook cannot be read or saved.
        CheckError: sheetconv did not make it, or its description is damaged.
        TrainingError: it has no steps of training, its cells hold something else than numbers, or
            the loss is none: training went astray. What was good until then is saved.
        CalculatorError: the program is missing, failed, was closed or hung. Likewise.

    Example:
        >>> import tempfile, numpy as np, sheetconv as sc
        >>> from sheetconv.cell_training.program import CellTraining
        >>> from sheetconv.cell_training.writing import build_training
        >>> from sheetconv.training.losses import MSE
        >>> from sheetconv.training.optimisers import SGD
        >>> from sheetconv.training.schedules import Constant
        >>> x = np.arange(4.0).reshape(4, 1, 1, 1)
        >>> training = CellTraining(sc.Sequential(sc.Flatten(), sc.Linear(1, 1)), (1, 1, 1), MSE(),
        ...                         SGD(lr=0.1), Constant(), x, 2 * x[:, 0, 0], tuple("abcd"),
        ...                         batch=4, steps=1, total=200)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     built = build_training(training, f"{folder}/line.xlsx")
        ...     result = run_live(built.path, steps=200)
        >>> len(result.losses), result.step, result.weights["dense1.weight"].round(3)
        (200, 200, array([[2.]]))
    """
    path = Path(path)
    wanted = whole("live", "steps", steps or 0, 0)
    places = _places(path)
    program = find_engine(engine) if isinstance(engine, str) else engine
    with (
        Saver(path, path if output is None else Path(output), force=force) as saver,
        program.open(path, timeout=timeout, show=show) as book,
        Interrupts() as interrupts,
        controls or NoControls() as keys,
        watcher or Silence() as screen,
    ):
        run = _Run(path, places, program.name, book, saver, screen, show)
        run.go(wanted, keys, interrupts)
    return run.result()


def _places(path: Path) -> Places:
    found = trainings_of(description_rows(path), str(path))
    if not found:
        raise TrainingError(
            f"{path} has no worksheets whose cells take training steps: make a workbook that has, "
            "with: sheetconv build TEMPLATE --train"
        )
    places = found[0]
    check_file(places, path)
    if places.training.iterate:
        raise TrainingError(
            f"{path} takes its steps by itself, one after the other as it is recalculated: for a "
            "live run make a workbook with: sheetconv build TEMPLATE --train --steps 1"
        )
    return places


class _Run:
    """One run: where it stands, and what is to be saved of it."""

    def __init__(
        self,
        path: Path,
        places: Places,
        engine: str,
        book: OpenBook,
        saver: Saver,
        screen: Silence,
        show: bool,
    ) -> None:
        self.places, self.book, self.saver, self.screen = places, book, saver, screen
        self.seen = show
        self.cells = StepCells(places, book)
        self.history: History = read_history(book, places)
        #: The numbers of the last step whose loss is a number, with which all began.
        self.good = self.first = self.cells.beginning()
        #: What only a person changes: read again where one can.
        self.of_person: dict[str, Array] = {}
        self.saved_at = time.monotonic()
        self.shown_at = 0.0
        self.saving = self.active = 0.0
        #: Whether there is something that the file has not.
        self.changed = not saver.is_source
        self.saved = saver.target
        if not show:
            self.cells.clear_others()
        self.step = self._calculated()
        self.losses = array("d")
        step = self.step
        self.moment = Moment(
            self.cells, path.name, engine, self.history, step.number, step.loss, step.lr
        )

    # --- Steps

    def go(self, wanted: int, keys: Controls, interrupts: Interrupts) -> None:
        """Take steps until there is a reason to end; save, whatever the reason is."""
        try:
            self.screen.show(self.moment, now=True)
            self._loop(wanted, keys, interrupts)
        except KeyboardInterrupt:
            # The second Ctrl-C: the program did not answer.
            self._save_at_last()
        except (CalculatorError, TrainingError) as error:
            raise type(error)(f"{error}; {self._saved_after_all()}") from None
        except BaseException:
            self._save_at_last()
            raise
        else:
            self._save_at_last()

    def _loop(self, wanted: int, keys: Controls, interrupts: Interrupts) -> None:
        moment = self.moment
        while not interrupts.wished:
            if wanted and moment.taken >= wanted and not moment.paused:
                if not (self.seen and keys.waits):
                    break
                # The window would vanish.
                moment.paused = True
                self.screen.say("done; q closes the window")
                self._show(now=True)
                self._save()
            key = keys.pressed(_KEY_WAIT if moment.paused else 0.0)
            if key == STOP:
                break
            if key == PAUSE:
                moment.paused = not moment.paused
            elif key == RESET:
                self._reset()
            elif key == SINGLE:
                if not moment.paused:
                    moment.paused = True
                else:
                    self._look_again()
                    self._take_step()
            if key:
                if key == PAUSE and not moment.paused:
                    self._look_again()
                self._show(now=True)
                if moment.paused:
                    self._save()
            elif not moment.paused:
                self._take_step()
                self._show()
                if self._is_due():
                    self._save()
        self._show(now=True)

    def _take_step(self) -> None:
        began = time.perf_counter()
        step, moment = self.step, self.moment
        self.cells.write(step.after)
        self.step = self._calculated()
        # Only a step whose weights give a loss that is a number has been taken.
        self.history.add(step.number, step.loss, step.lr)
        self.losses.append(step.loss)
        self.good, self.changed = step.after, True
        self.active += time.perf_counter() - began
        moment.taken += 1
        moment.speed = moment.taken / self.active if self.active else 0.0

    def _calculated(self) -> Step:
        self.book.recalculate()
        return self.cells.read()

    def _look_again(self) -> None:
        """After a pause a person may have changed numbers, from which the next step starts."""
        if self.seen:
            self.good, self.changed = self.cells.beginning(), True
            self.step = self._calculated()

    def _reset(self) -> None:
        self.cells.write(self.first)
        self.history.reset()
        self.step = self._calculated()
        self.good, self.changed = self.first, True
        self.active = 0.0
        self.losses = array("d")
        self.moment.taken, self.moment.speed = 0, 0.0

    def _show(self, *, now: bool = False) -> None:
        moment, step = self.moment, self.step
        moment.number, moment.loss, moment.lr = step.number, step.loss, step.lr
        self.screen.show(moment, now=now)
        if self.seen and (now or time.monotonic() - self.shown_at > _SHOW_EVERY):
            self.history.show(self.book, self.places)
            self.shown_at = time.monotonic()

    # --- Saving

    def _is_due(self) -> bool:
        return time.monotonic() - self.saved_at > max(SAVE_EVERY, _SHARE * self.saving)

    def _save(self) -> None:
        """Save while the run goes on; that it cannot be saved ends nothing."""
        if self.seen:
            self.of_person = self.cells.tensors(self.cells.by_person())
        elif not self.changed:
            return
        began = time.monotonic()
        try:
            self.saved = self.saver.save(self._numbers())
        except WorkbookError as error:
            self.screen.say(f"not saved yet: {error}")
        else:
            self.changed = False
        self.saved_at = time.monotonic()
        self.saving = self.saved_at - began

    def _save_at_last(self) -> None:
        """Save what is good, unless the file has it."""
        if self.seen:
            # Of a program that is gone, what was read last is what there is.
            with suppress(CalculatorError, TrainingError):
                self.of_person = self.cells.tensors(self.cells.by_person())
        if self.changed or self.seen:
            self.saved = self.saver.save_somewhere(self._numbers())

    def _numbers(self) -> dict[str, dict[tuple[int, int], Value]]:
        """All that is saved: the step's numbers, the history, and a person's."""
        sheets: dict[str, dict[tuple[int, int], Value]] = defaultdict(dict)
        for name, numbers in (self.of_person | self.cells.split(self.good)).items():
            cells = cells_of(self.cells.place(name))
            for cell, value in zip(cells, numbers.ravel().tolist(), strict=True):
                sheets[cell.sheet][cell.row, cell.column] = value
        sheets[self.places.names.home] |= self.history.cells(self.places)
        return sheets

    def _saved_after_all(self) -> str:
        """Save what is good, and say where, or why not."""
        try:
            self._save_at_last()
        except WorkbookError as error:
            return str(error)
        number = round(self.good[0])
        return f"the weights with which step {number:,} begins are saved in {self.saved}"

    def result(self) -> LiveResult:
        """What was done."""
        tensors = self.cells.split(self.good)
        weights = {
            name: array
            for name, array in tensors.items()
            if name != "number" and not name.endswith(".was")
        }
        speed = self.moment.speed
        return LiveResult(tuple(self.losses), weights, speed, round(self.good[0]), self.saved)
