"""Writing files whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
        raise WorkbookError(
            f"{path} exists already: replace it with --force (in Python force=True), or choose "
            "another name"
        )
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
    with written_together([path], force=force) as (temporary,):
        yield temporary


@contextmanager
def written_together(paths: Sequence[Path], *, force: bool) -> Iterator[list[Path]]:
    """As `written_whole` for several files: either all take their places or none does."""
    for path in paths:
        check_target(path, force=force)
    named = " and ".join(map(str, paths))
    with ExitStack() as stack:
        temporaries = [stack.enter_context(_temporary(path)) for path in paths]
        try:
            yield temporaries
            umask = os.umask(0)
            os.umask(umask)
            for temporary in temporaries:
                temporary.chmod(0o666 & ~umask)
            _put_in_place(temporaries, paths, stack)
        except PermissionError:
            raise WorkbookError(
                f"cannot replace {named}: close it in Excel or whichever program has it open"
            ) from None
        except OSError as error:
            raise WorkbookError(f"cannot write {named}: {error.strerror or error}") from None


def _put_in_place(temporaries: Sequence[Path], paths: Sequence[Path], stack: ExitStack) -> None:
    """Move the files; if one cannot be moved, those before it go back."""
    with ExitStack() as undo:
        for temporary, path in zip(temporaries, paths, strict=True):
            last = path == paths[-1]
            if not last and path.exists():
                kept = stack.enter_context(_temporary(path))
                shutil.copy2(path, kept)
                undo.callback(kept.replace, path)
            elif not last:
                undo.callback(path.unlink, missing_ok=True)
            temporary.replace(path)
        undo.pop_all()


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """An empty file beside `path` that is removed in the end, if it is still there."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise WorkbookError(
            f"cannot write into {path.parent}: {reason}: choose another folder or name"
        ) from None
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
