"""Whether a data set fits into this computer's memory: said before it is read."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import DataError

#: What Linux says of its memory, and of the share that a container has of it.
_MEMORY = Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup/memory.max")


def available_memory() -> int | None:
    """The bytes of memory that can be had; None where the system does not say.

    Linux says what is free or can be freed; other systems with POSIX's names say how much
    there is altogether.
    """
    found = [size for size in (_free(), _allowed()) if size is not None]
    if found:
        return min(found)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # Windows has no sysconf, and not every system has every name.
    except (AttributeError, ValueError, OSError):
        return None


def require_memory(size: int, what: str) -> None:
    """Refuse what does not fit into memory.

    Args:
        size: how many bytes it takes.
        what: what takes them, for the error.

    Raises:
        DataError: fewer bytes are available.

    Example:
        >>> require_memory(1000, "a small data set")
    """
    available = available_memory()
    if available is not None and size > available:
        raise DataError(
            f"{what} takes {size:,} bytes of memory, and {available:,} are available: take fewer "
            "images or smaller ones"
        )


def _free() -> int | None:
    try:
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable" and value.split()[1:] == ["kB"]:
            return int(value.split()[0]) * 1024
    return None


def _allowed() -> int | None:
    try:
        # Without a limit it says "max".
        return int(_CONTAINER.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
