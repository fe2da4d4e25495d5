"""Programs that are started here and certainly end here, with all that they started.

A spreadsheet program is a small tree of processes that may hang at any moment, so
everything that is started is a process group of its own and stands under a time limit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def start(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program at the head of a process group of its own, its output on a pipe.

    A Ctrl-C in the terminal reaches only this Python, which then ends the group.
    """
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return subprocess.Popen(
        command,
        env=env,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
        creationflags=flags,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program of `start` and all that it started, without waiting."""
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False
        )
    elif process.returncode is None:
        # Until it is waited for, a dead process keeps its number, so that the group is ours.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program of `start` and all that it started, wait for it, and close its pipes."""
    kill(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            # Closing flushes what the dead program no longer takes.
            with suppress(OSError):
                pipe.close()


@contextmanager
def time_limit(seconds: float, expire: Callable[[], None]) -> Iterator[threading.Event]:
    """Call `expire` from another thread if the block runs longer than `seconds`.

    `expire` must make the block return, for example by killing the program that it waits
    for. The event that is given tells whether it was called.

    Example:
        >>> with time_limit(60, lambda: None) as expired:
        ...     pass
        >>> expired.is_set()
        False
    """
    expired = threading.Event()

    def run() -> None:
        expired.set()
        expire()

    timer = threading.Timer(seconds, run)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()
        timer.join()


def run(
    command: Sequence[str | Path], *, env: Mapping[str, str], seconds: float
) -> tuple[int, str]:
    """Run a program to its end; its exit code and output.

    Raises:
        OSError: it cannot be started.
        TimeoutError: it ran longer than `seconds` and was killed.
    """
    process = start(command, env=env)
    try:
        with time_limit(seconds, lambda: kill(process)) as expired:
            output = process.communicate()[0]
    finally:
        end(process)
    if expired.is_set():
        raise TimeoutError(f"{command[0]} did not end within {seconds:g} s")
    return process.returncode, output.decode(errors="replace").strip()
