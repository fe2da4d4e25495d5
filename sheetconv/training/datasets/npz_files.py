"""Images and labels in an .npz file, as NumPy and Keras write them.

Such a file may come from anybody: what an array promises is compared with what is there before
memory is taken for it, and pickled objects are never loaded. Bytes stay bytes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data_files import reading
from ...errors import DataError
from ...spelling import misspelt
from .arrays import Examples, datasets_of
from .data import Data
from .memory import require_memory
from .options import Options

#: Images and labels for training, and those for validation: this project's names, and Keras'.
_NAMES = (
    (("images", "labels"), ("valid_images", "valid_labels")),
    (("x_train", "y_train"), ("x_test", "y_test")),
)
_CLASSES = "classes"
_NPY = ".npy"


def load_npz(path: Path, options: Options) -> Data:
    """The arrays of an .npz file, with its own part for validation or a share.

    Args:
        path: the file. It holds `images` and `labels` as `Data.from_arrays` takes them, and may
            hold `classes`, `valid_images` and `valid_labels`; or it holds `x_train`, `y_train`,
            `x_test` and `y_test`.
        options: with `valid`, that share of the training part is for validation.

    Raises:
        DataError: the file or an array is damaged, missing, no numbers or too large; or the
            arrays do not fit together.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/a.npz", images=np.zeros((8, 2, 2)), labels=[0, 1] * 4)
        ...     data = load_npz(Path(folder, "a.npz"), Options(valid=0.5))
        >>> len(data.train), data.train.image_shape
        (4, (1, 2, 2))
    """
    with reading(path, "an .npz file of arrays", DataError), zipfile.ZipFile(path) as archive:
        members = {item.filename.removesuffix(_NPY): item for item in archive.infolist()}
        train, valid = _wanted(members, path, with_valid=options.valid is None)
        names = [*train, *valid, *([_CLASSES] if _CLASSES in members else [])]
        require_memory(sum(members[name].file_size for name in names), f"{path}: what it holds")
        arrays = {name: _read(archive, members[name], name) for name in names}

    def examples(names: tuple[str, str]) -> Examples:
        images, labels = names
        return Examples(arrays[images], arrays[labels], f"{path}: {images}", f"{path}: {labels}")

    classes = _texts(arrays[_CLASSES], path) if _CLASSES in arrays else None
    parts = datasets_of(
        examples(train),
        examples(valid) if valid else options.share,
        classes,
        seed=options.seed,
        image_shape=options.image_shape,
    )
    return Data(*parts, str(path))


def _wanted(
    members: Mapping[str, Any], path: Path, *, with_valid: bool
) -> tuple[tuple[str, str], tuple[str, str] | tuple[()]]:
    """The names of the arrays for training and, where they are there, of those for validation."""
    for train, valid in _NAMES:
        if not any(name in members for name in train):
            continue
        missing = [name for name in train if name not in members]
        some = [name for name in valid if name in members]
        if with_valid and some:
            missing += [name for name in valid if name not in members]
        if missing:
            raise DataError(
                f"{path} holds no array {missing[0]!r}: it holds {', '.join(members)}"
                f"{misspelt(missing[0], members)}"
            )
        return train, valid if with_valid and some else ()
    names = ", ".join(members) or "nothing"
    raise DataError(
        f"{path} holds no arrays 'images' and 'labels', nor 'x_train' and 'y_train': it holds "
        f"{names}{misspelt('images', members)}"
    )


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> NDArray[Any]:
    """One array; nothing is read that its header cannot mean."""
    with archive.open(member) as stream:
        header = (
            np.lib.format.read_array_header_1_0
            if np.lib.format.read_magic(stream) == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = header(stream)
        if dtype.hasobject:
            raise TypeError(f"{name} holds pickled objects, which are never loaded")
        if dtype.kind not in "biufU":
            raise TypeError(f"{name} holds {dtype}: expected numbers, or texts as labels")
        promised, there = prod(shape) * dtype.itemsize, member.file_size - stream.tell()
        if min(shape, default=0) < 0 or promised != there:
            raise ValueError(
                f"{name} has the shape {shape}, {promised:,} bytes, and {there:,} bytes follow"
            )
        stream.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _texts(array: NDArray[Any], path: Path) -> list[str]:
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: {_CLASSES} has the shape {array.shape} and holds {array.dtype}: expected a "
            "list of names"
        )
    return [str(name) for name in array]
