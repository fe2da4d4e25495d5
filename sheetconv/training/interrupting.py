"""Ctrl-C in training: the batch is finished first, so that nothing is lost."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interruption:
    """Within its block the first Ctrl-C only sets `wanted`; the second one interrupts as usual.

    Signals reach the main thread alone; elsewhere nothing is changed, and neither is it where
    Ctrl-C is ignored, as by what `nohup` starts, or is another program's.

    Attributes:
        wanted: whether Ctrl-C was pressed.

    Example:
        >>> with Interruption() as interruption:
        ...     interruption.wanted
        False
    """

    def __init__(self) -> None:
        self.wanted = False

    def __enter__(self) -> Interruption:
        before = signal.getsignal(signal.SIGINT)
        # None is what only C can set again.
        theirs = before is None or before is signal.SIG_IGN
        self._active = threading.current_thread() is threading.main_thread() and not theirs
        if self._active:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.wanted = True
        signal.signal(signal.SIGINT, self._before)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._active:
            signal.signal(signal.SIGINT, self._before)
