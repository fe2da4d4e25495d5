"""What a person sees while a network is trained: a bar, or lines where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO


class Silence:
    """Shows nothing: what `Learner` does unless it is asked for more."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def start(self, batches: int, done: int, images: int) -> None:
        """A run begins, or goes on after `done` of its batches of so many images."""

    def batch(self, loss: float) -> None:
        """A batch was learned from; `loss` is smoothed."""

    def epoch(
        self, epoch: int, epochs: int, train: float, valid: float, metrics: Mapping[str, float],
        seconds: float,
    ) -> None:  # fmt: skip
        """An epoch has ended."""


class Progress(Silence):
    """A bar with loss, metrics, images a second and time left, and a line for each epoch.

    Args:
        stream: where to. Default: standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        # A program may be started without any.
        self.stream: TextIO | None = sys.stderr if stream is None else stream
        self._bar: Any = None
        self._images = 0
        self._shown: dict[str, str] = {}

    def start(self, batches: int, done: int, images: int) -> None:
        self._images = images
        if self.stream is None or not self.stream.isatty():
            return
        from tqdm import tqdm

        self._bar = tqdm(
            total=batches * images,
            initial=done * images,
            unit=" images",
            unit_scale=True,
            desc="training",
            leave=False,
            file=self.stream,
            dynamic_ncols=True,
        )

    def batch(self, loss: float) -> None:
        if self._bar is not None:
            # Cheap: the bar is drawn some ten times a second, however often it is told.
            self._bar.set_postfix({"loss": f"{loss:.4f}", **self._shown}, refresh=False)
            self._bar.update(self._images)

    def epoch(
        self, epoch: int, epochs: int, train: float, valid: float, metrics: Mapping[str, float],
        seconds: float,
    ) -> None:  # fmt: skip
        self._shown = {name: as_text(name, value) for name, value in metrics.items()}
        measured = "".join(f"  {name} {text}" for name, text in self._shown.items())
        line = (
            f"epoch {epoch:>{len(str(epochs))}}/{epochs}  training loss {train:.4f}  "
            f"validation loss {valid:.4f}{measured}  {seconds:.1f} s"
        )
        if self.stream is None:
            return
        if self._bar is None:
            print(line, file=self.stream, flush=True)
        else:
            self._bar.write(line, file=self.stream)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def as_text(metric: str, value: float) -> str:
    """A metric for people: shares as percentages.

    Example:
        >>> as_text("accuracy", 0.98765), as_text("f1", 0.5)
        ('98.77%', '0.5000')
    """
    if metric.startswith(("accuracy", "top-", "error", "exact")):
        return f"{100 * value:.2f}%"
    return f"{value:.4f}"
