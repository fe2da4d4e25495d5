"""How a person steers a live run: keys of a terminal, and Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from importlib import import_module
from types import FrameType, TracebackType
from typing import Any, Protocol, Self

#: What each key does.
PAUSE, SINGLE, STOP, RESET = " ", "s", "q", "r"
#: The same in words, for people.
HINT = "space pauses, s takes one step, r resets the weights, q saves and stops"


class Controls(Protocol):
    """Where keys come from. A context manager.

    Attributes:
        waits: whether somebody is there, who may press one at last.
    """

    waits: bool

    def pressed(self, wait: float = 0.0) -> str:
        """The next key in lower case; empty if none is pressed within `wait` seconds."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class NoControls:
    """Nobody presses anything."""

    waits = False

    def pressed(self, wait: float = 0.0) -> str:
        if wait:
            time.sleep(wait)
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


class Terminal(NoControls):
    """The keys of a terminal, which does not show them and does not wait for Enter.

    Args:
        descriptor: of the terminal. Default: standard input.
    """

    waits = True

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        if sys.platform != "win32":
            termios, tty = import_module("termios"), import_module("tty")
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._before:
            termios = import_module("termios")
            # A terminal that is gone needs none of it.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def pressed(self, wait: float = 0.0) -> str:
        if sys.platform == "win32":
            return _windows_key(wait)
        select = import_module("select").select
        if not select([self._descriptor], [], [], wait)[0]:
            return ""
        # A terminal that is gone gives an error, or nothing for ever.
        with contextlib.suppress(OSError):
            key = os.read(self._descriptor, 1)
            return key.decode("ascii", "ignore").lower() if key else STOP
        return STOP


def _windows_key(wait: float) -> str:
    msvcrt = import_module("msvcrt")
    until = time.monotonic() + wait
    while not msvcrt.kbhit():
        if time.monotonic() >= until:
            return ""
        time.sleep(0.01)
    key: str = msvcrt.getwch()
    return key.lower()


class Interrupts:
    """Takes Ctrl-C, and the end of the terminal, as a wish to stop after the step.

    A second Ctrl-C, while a program hangs, is a `KeyboardInterrupt` as usual.

    Attributes:
        wished: whether somebody wished it.
    """

    def __init__(self) -> None:
        self.wished = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python sets signals in its main thread only.
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGHUP"):
                number = getattr(signal, name, None)
                # What is started in the background, or by nohup, is to ignore them.
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._wish)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _wish(self, number: int, frame: FrameType | None) -> None:
        if self.wished and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.wished = True
