"""IDX files of bytes, the format of MNIST: gzipped or not, whatever their names say.

::

    00 00 08 n      magic number: bytes, n dimensions
    size * n        big-endian, 32 bits each
    bytes           the last dimension varies fastest
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from .memory import require_memory

_GZIP = b"\x1f\x8b"
_BYTES = 0x08
_KINDS = {1: "labels", 3: "images"}
# The fastest size of a piece to unpack at a time.
_PIECE = 2**20


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The bytes of an IDX file.

    Args:
        path: the file.
        dimensions: how many it must have: 3 for images, 1 for labels.

    Returns:
        (images, height, width) or (labels,), as uint8.

    Raises:
        DataError: the file is missing, is none of bytes with that many dimensions, ends too
            early or too late, or does not fit into memory.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "labels")
        ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3]) + bytes([7, 2, 1]))
        ...     read_idx(path, 1)
        array([7, 2, 1], dtype=uint8)
    """
    with _opened(path) as stream:
        shape = _shape(stream, dimensions, path)
        size = prod(shape)
        require_memory(size, f"{path}: what it holds")
        out = np.empty(size, dtype=np.uint8)
        found = _fill(out, stream)
        if found < size:
            raise DataError(
                f"{path} is truncated: its header promises {size:,} bytes for {_shown(shape)}, and "
                f"{found:,} follow: copy or download it again"
            )
        if stream.read(1):
            raise DataError(
                f"{path} goes on after the {size:,} bytes that its header promises for "
                f"{_shown(shape)}: copy or download it again"
            )
    return out.reshape(shape)


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedIOBase]:
    """The file's bytes, unpacked; whatever is wrong with them is named."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_GZIP))
            file.seek(0)
            if start != _GZIP:
                yield file
            else:
                with gzip.open(file) as stream:
                    yield stream
    except EOFError:
        raise DataError(
            f"{path} is truncated: its gzip stream has no end: copy or download it again"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}): copy or download it again") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except MemoryError:
        raise DataError(f"{path} does not fit into memory") from None


def _shape(stream: io.BufferedIOBase, dimensions: int, path: Path) -> tuple[int, ...]:
    magic = stream.read(4)
    expected = bytes([0, 0, _BYTES, dimensions])
    if magic != expected:
        other = _KINDS.get(magic[3]) if magic[:3] == expected[:3] and len(magic) == 4 else None
        hint = f", an IDX file of {other}" if other else ""
        raise DataError(
            f"{path} begins with {magic.hex(' ') or 'nothing'}{hint}: expected the magic number "
            f"{expected.hex(' ')} of an IDX file of {_KINDS[dimensions]}"
        )
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(f"{path} is truncated: it ends within its header")
    return struct.unpack(f">{dimensions}I", sizes)


def _fill(out: NDArray[np.uint8], stream: io.BufferedIOBase) -> int:
    """How many bytes the stream had for an array."""
    view, found = out.data, 0
    while found < len(view):
        count = stream.readinto(view[found : found + _PIECE])
        if not count:
            break
        found += count
    return found


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{size:,}" for size in shape)
