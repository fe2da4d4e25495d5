"""What a person sees of a live run: lines, or a picture in the terminal that moves."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

import numpy as np

from ..formulas import Placed
from ..layers.base import Array
from ..palette import ACTIVATIONS, PIXELS, SIGNED, TINTS
from ..values import Value
from .controls import HINT
from .history import History
from .step_cells import StepCells

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

# As the workbook's charts have it; and of the answer that is right, on dark or light ground.
_LOSS, _RIGHT = "#0072B2", TINTS["green"][1]
# Pictures a second, at most.
_RATE = 8.0
_CURVE_WIDTH, _CURVE_HEIGHT = 56, 8
# Characters of its marks and its frame.
_BESIDE = 13
_MOST_ANSWERS = 5
_BAR, _MOST_LABEL = 16, 10
# Planes that are taller, or lines of planes that are wider, say nothing.
_MOST_HEIGHT, _MOST_WIDTH = 32, 72
# Planes that are lower are enlarged, as far as this goes.
_SMALL, _MOST_TIMES = 16, 3


@dataclass(slots=True)
class Moment:
    """Where a run stands.

    Attributes:
        cells: the step's, in the open workbook.
        name: the workbook's.
        engine: what calculates.
        history: the losses, as the workbook keeps them.
        number: of the step that is calculated, from 0.
        loss, lr: of that step.
        taken: steps since the run began, or since the weights were reset.
        speed: steps a second, pauses left out.
        paused: whether it waits for a key.
    """

    cells: StepCells
    name: str
    engine: str
    history: History
    number: int
    loss: float
    lr: float
    taken: int = 0
    speed: float = 0.0
    paused: bool = False

    @property
    def line(self) -> str:
        """All of it in one line."""
        return (
            f"step {self.number:,}  loss {self.loss:.4f}  learning rate {self.lr:.4g}  "
            f"{self.speed:,.0f} steps/s"
        )


class Silence:
    """Shows nothing: what `run_live` does unless it is asked for more. A context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def show(self, moment: Moment, *, now: bool = False) -> None:
        """A step was taken, or a key was pressed.

        Args:
            moment: where the run stands.
            now: show it, however little time has passed. Default False.
        """

    def say(self, text: str) -> None:
        """Something that went otherwise than expected."""


class Lines(Silence):
    """A line for every so many steps.

    Args:
        every: how many.
        stream: where to. Default: standard output.
    """

    def __init__(self, every: int, stream: TextIO | None = None) -> None:
        self._every = every
        self._stream = stream
        self._last = ""

    def show(self, moment: Moment, *, now: bool = False) -> None:
        line = moment.line + ("  (paused)" if moment.paused else "")
        if line != self._last and (now or moment.taken % self._every == 0):
            self.say(line)
            self._last = line

    def say(self, text: str) -> None:
        print(text, file=self._stream or sys.stdout, flush=True)


class Screen(Silence):
    """The loss as a curve, an image, kernels, activations and answers, some times a second.

    Args:
        console: rich's. Default: of standard output.
        hint: what keys do; empty if there are none.
    """

    def __init__(self, console: Console | None = None, hint: str = HINT) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console() if console is None else console
        self._live = Live(console=self._console, auto_refresh=False)
        self._hint = hint
        self._said = ""
        self._shown = 0.0
        self._pictures: _Pictures | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, moment: Moment, *, now: bool = False) -> None:
        if not now and time.monotonic() - self._shown < 1 / _RATE:
            return
        if self._pictures is None:
            self._pictures = _Pictures(moment.cells)
        self._live.update(self._drawn(moment, self._pictures), refresh=True)
        self._shown = time.monotonic()

    def say(self, text: str) -> None:
        self._said = text

    def _drawn(self, moment: Moment, pictures: _Pictures) -> RenderableType:
        from rich.columns import Columns
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        head = Text.assemble(
            (f"{moment.name}  ", "bold"),
            f"{moment.engine}  {moment.line}",
            ("  paused" if moment.paused else "", "bold reverse"),
            overflow="ellipsis",
            no_wrap=True,
        )
        values = [row.loss for row in moment.history.rows]
        width = max(1, min(_CURVE_WIDTH, self._console.width - _BESIDE))
        losses = [Panel.fit(_curve(values, width), title="loss")] if values else []
        panels = [Panel.fit(text, title=title) for title, text in pictures.drawn()]
        foot = Text(self._said or self._hint, style="dim")
        return Group(head, *losses, Columns(panels), foot)


def _curve(losses: list[float], width: int) -> Text:
    from rich.text import Text

    from .drawing import curve, means

    shown = means(losses, 2 * width)
    lines = curve(shown, width, _CURVE_HEIGHT)
    # What the highest and the lowest line stand for.
    marks = {0: f" {shown.max():.3g}", len(lines) - 1: f" {shown.min():.3g}"}
    text = Text()
    for number, line in enumerate(lines):
        text.append(line, style=_LOSS)
        text.append(marks.get(number, "").ljust(8) + ("\n" if number < len(lines) - 1 else ""))
    return text


class _Pictures:
    """The first image of the batch on its way through the network, as the cells show it."""

    def __init__(self, cells: StepCells) -> None:
        self._cells = cells
        training = cells.places.training
        self._loss = training.loss
        self._placed: dict[str, Placed] = {"image": cells.placed["input"].image(0)}
        for layer, key in training.learned:
            where = cells.placed[f"{layer}.{key}"]
            if len(where.shape) == 4:
                self._placed[f"{layer} kernels"] = where
                self._placed[f"{layer} activations"] = cells.placed[f"{layer}.out"].image(0)
                break
        self._placed["scores"] = cells.placed[training.stages[-1].out].image(0)
        self._placed["target"] = cells.placed["target"].image(0)
        self._labels = _class_labels(cells) if training.targets.ndim == 1 else {}

    def drawn(self) -> list[tuple[str, Text]]:
        """Titles and pictures."""
        from .drawing import planes

        found = self._cells.numbers(self._placed)
        scores, target = found.pop("scores").ravel(), found.pop("target").ravel()
        pictures = []
        for title, array in found.items():
            shown = array.reshape(-1, *array.shape[-2:]) if array.ndim > 1 else array[None, None]
            if title == "image":
                colours = PIXELS if shown.min() >= 0 else SIGNED
            else:
                colours = ACTIVATIONS if shown.min() >= 0 else SIGNED
            shown = shown[:, :_MOST_HEIGHT]
            times = min(max(1, _SMALL // shown.shape[1]), _MOST_TIMES)
            shown = shown.repeat(times, axis=1).repeat(times, axis=2)
            pictures.append((title, planes(shown, colours, most=_MOST_WIDTH)))
        pictures.append(("answers", self._answers(scores, target)))
        return pictures

    def _answers(self, scores: Array, target: Array) -> Text:
        from rich.text import Text

        from .drawing import bar

        shares = self._loss.probabilities(scores[:, None])[:, 0]
        right = {int(target[0])} if target.size == 1 and self._labels else set()
        labels = [self._labels.get(k, str(k))[:_MOST_LABEL] for k in range(len(shares))]
        longest, text = max(map(len, labels)), Text()
        for place, k in enumerate(np.argsort(-shares, kind="stable")[:_MOST_ANSWERS].tolist()):
            style = f"bold {_RIGHT}" if k in right else ""
            line = f"{labels[k]:>{longest}} {bar(float(shares[k]), _BAR)} {shares[k]:.2f}"
            text.append(("\n" if place else "") + line, style=style)
        return text


def _class_labels(cells: StepCells) -> dict[int, str]:
    """What each class is called: the label of its first image."""
    places = cells.places
    labels, targets = cells.book.get_many([places.labels.bounds, places.targets.bounds])
    found: dict[int, str] = {}
    for (label,), (target,) in zip(labels, targets, strict=True):
        if isinstance(target, float):
            found.setdefault(int(target), _as_label(label))
    return found


def _as_label(value: Value) -> str:
    number: Any = value
    return str(int(number)) if isinstance(value, float) and value.is_integer() else str(value)
