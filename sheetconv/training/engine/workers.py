"""Threads that share a step: the same tasks always go to the same thread.

NumPy gives up Python's lock while it computes, so that threads really work at once, and a
thread that meets the same images again finds them in its core's cache.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from types import TracebackType

from threadpoolctl import ThreadpoolController

Task = Callable[[], None]
Jobs = SimpleQueue[Sequence[Task] | None]
Results = SimpleQueue[BaseException | None]


class Workers:
    """The calling thread and some more, between which tasks are shared.

    Within a `with` block the threads of the matrix library are held at one each: the tasks
    themselves are what runs at once, and the last bits of a product do not depend on how many
    threads there are. A block within the block changes nothing.

    Args:
        count: how many threads work. Default: one for each core that the process may use.

    Example:
        >>> seen = []
        >>> with Workers(2) as workers:
        ...     workers.run([lambda: seen.append(1), lambda: seen.append(2)])
        >>> sorted(seen)
        [1, 2]
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count or usable_cores()
        self._depth = 0
        self._threads: list[threading.Thread] = []
        self._jobs: list[Jobs] = []
        self._done: Results = SimpleQueue()

    def __enter__(self) -> Workers:
        self._depth += 1
        if self._depth == 1:
            _LIBRARY.hold()
            # Of this block alone: what an interrupted one left undone must not end a run here.
            self._done = SimpleQueue()
            for _ in range(self.count - 1):
                jobs: Jobs = SimpleQueue()
                thread = threading.Thread(target=_work, args=(jobs, self._done), daemon=True)
                thread.start()
                self._jobs.append(jobs)
                self._threads.append(thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth:
            return
        for jobs in self._jobs:
            jobs.put(None)
        # After an interruption they may still write into buffers that others go on to use.
        for thread in self._threads:
            thread.join()
        self._jobs.clear()
        self._threads.clear()
        _LIBRARY.release()

    def run(self, tasks: Sequence[Task]) -> None:
        """Run every task, and wait for all.

        Raises:
            Exception: the first one that a task raised, once all threads have come to rest.
        """
        threads = len(self._jobs) + 1
        busy = self._jobs[: len(tasks) - 1]
        for number, jobs in enumerate(busy, 1):
            jobs.put(tasks[number::threads])
        errors = [_run_all(tasks[::threads]), *(self._done.get() for _ in busy)]
        for error in errors:
            if error is not None:
                raise error


class _MatrixLibrary:
    """The threads of the matrix library, which all of a process share.

    They come back when the last who holds them lets go, whoever was first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0

    def hold(self) -> None:
        with self._lock:
            if not self._holders:
                self._limits = ThreadpoolController().limit(limits=1, user_api="blas")
                self._limits.__enter__()
            self._holders += 1

    def release(self) -> None:
        with self._lock:
            self._holders -= 1
            if not self._holders:
                self._limits.__exit__(None, None, None)


_LIBRARY = _MatrixLibrary()


def _work(jobs: Jobs, done: Results) -> None:
    while (tasks := jobs.get()) is not None:
        done.put(_run_all(tasks))


def _run_all(tasks: Sequence[Task]) -> BaseException | None:
    try:
        for task in tasks:
            task()
    except BaseException as error:
        return error
    return None


def usable_cores() -> int:
    """How many cores this process may use.

    Example:
        >>> usable_cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
