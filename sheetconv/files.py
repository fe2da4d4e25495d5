"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import WorkbookError


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a target before anything is computed for it.

    Args:
        path: the file to write.
        force: whether an existing file may be replaced.

    Raises:
        WorkbookError: it is a folder, its folder is missing, or it exists and `force` is
            false.
    """
    if os.path.isdir(path):
        raise WorkbookError(f"{path} is a folder: give the name of a file in it")
    if os.path.exists(path) and not force:
        raise WorkbookError(f"{path} exists already: use --force to replace it, or another name")
    if not os.path.isdir(path.parent):
        raise WorkbookError(f"the folder {path.parent} does not exist: create it first")


@contextmanager
def written_whole(path: Path, *, force: bool) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block succeeds.

    If the block fails or is interrupted, the temporary file is removed and whatever
    stood at `path` stays as it was.

    Args:
        path: the file to write.
        force: whether an existing file may be replaced.

    Raises:
        WorkbookError: the folder is missing or not writable, the file exists and `force`
            is false, the disk is full, or another program holds the file.
    """
    check_target(path, force=force)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise WorkbookError(
            f"cannot write into {path.parent}: {reason}: choose another folder or name"
        ) from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except PermissionError:
        raise WorkbookError(
            f"cannot replace {path}: close it in Excel or whichever program has it open"
        ) from None
    except OSError as error:
        raise WorkbookError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
