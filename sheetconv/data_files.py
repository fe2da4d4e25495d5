"""Data files that a user gives: what cannot be used is refused in one line.

Such a file may come from anybody. Its size is checked before memory is taken for it, and
pickled objects are never loaded.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from .errors import SheetconvError
from .formulas import Shape
from .layers.base import Array

#: How much a file may hold, unpacked and as float64.
MAX_BYTES = 2**30
# How an .npy file begins.
_NPY = b"\x93NUMPY"
# Some readers quote the file.
_MAX_REASON = 150


def require_file(path: Path, failure: type[SheetconvError]) -> None:
    """Refuse what is no file, an empty one, or one that is too large.

    Args:
        path: the file.
        failure: the error to raise.
    """
    if path.is_dir():
        raise failure(f"{path} is a folder: give the name of a file in it")
    if not path.is_file():
        raise failure(f"{path} does not exist, or is no file: give the path of a file")
    size = path.stat().st_size
    if not size:
        raise failure(f"{path} is an empty file (0 bytes)")
    _check_bytes(path, size, failure)


@contextmanager
def reading(path: Path, kind: str, failure: type[SheetconvError]) -> Iterator[None]:
    """Report whatever a reader raises in this block as a file that is not of its kind.

    Args:
        path: the file that is read.
        kind: what it was taken for: "an .npz file of numbers".
        failure: the error to raise.
    """
    try:
        with warnings.catch_warnings():
            # What a reader can live with, the user can.
            warnings.simplefilter("ignore")
            yield
    except SheetconvError:
        raise
    except MemoryError:
        raise failure(f"{path} does not fit into memory: give a smaller file") from None
    # The libraries that take files apart promise no list of what damaged ones make them raise.
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise failure(f"cannot read {path}: {error.strerror}") from None
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        shown = reason if len(reason) <= _MAX_REASON else reason[: _MAX_REASON - 3] + "..."
        raise failure(f"{path} is not {kind}: {shown}") from None


def load_arrays(path: Path, failure: type[SheetconvError]) -> dict[str, Array]:
    """The arrays of an .npz file, as float64.

    Args:
        path: the file.
        failure: the error to raise: the file is missing, no .npz, too large, or holds
            anything but numbers.
    """
    require_file(path, failure)
    arrays = {}
    with reading(path, "a file that can be read", failure), path.open("rb") as file:
        if file.read(len(_NPY)) == _NPY:
            raise failure(
                f"{path} is not an .npz file of numbers but one array, as .npy: save it with "
                "np.savez, which gives it a name"
            )
    with reading(path, "an .npz file of numbers", failure), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _check_bytes(path, sum(member.file_size for member in members), failure)
        for member in members:
            name = member.filename.removesuffix(".npy")
            with archive.open(member) as stream:
                arrays[name] = _read_npy(stream, member.file_size, name)
            _check_bytes(path, sum(array.nbytes for array in arrays.values()), failure)
    return arrays


def load_array(path: Path, failure: type[SheetconvError]) -> Array:
    """The array of an .npy file, as float64.

    Args:
        path: the file.
        failure: as for `load_arrays`.
    """
    require_file(path, failure)
    with reading(path, "an .npy file of numbers", failure), path.open("rb") as stream:
        return _read_npy(stream, path.stat().st_size, "the array")


def _check_bytes(path: Path, size: int, failure: type[SheetconvError]) -> None:
    if size > MAX_BYTES:
        raise failure(f"{path} holds {size:,} bytes: the limit is {MAX_BYTES:,}")


def _read_npy(stream: IO[bytes], size: int, name: str) -> Array:
    """The array of a stream of `size` bytes; nothing is read that its header cannot mean."""
    shape, dtype = _npy_header(stream)
    if dtype.kind not in "biuf":
        raise TypeError(f"{name} holds {dtype}, expected numbers")
    if min(shape, default=0) < 0 or prod(shape) * dtype.itemsize > size:
        raise ValueError(f"{name} claims the shape {shape}, and the data ends before")
    if prod(shape) * 8 > MAX_BYTES:
        raise ValueError(f"{name} has the shape {shape}, more than {MAX_BYTES:,} bytes")
    stream.seek(0)
    array: Array = np.lib.format.read_array(stream, allow_pickle=False).astype(np.float64)
    return array


def _npy_header(stream: IO[bytes]) -> tuple[Shape, np.dtype[np.generic]]:
    read_header = (
        np.lib.format.read_array_header_1_0
        if np.lib.format.read_magic(stream) == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(stream)
    return shape, dtype
