"""Pictures in folders that are named as their classes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...data_files import reading
from ...errors import DataError, ImageError
from ...formulas import Shape
from ...images import MAX_PIXELS, load_image
from ...pixels import Pixels
from .arrays import BYTE, Examples, datasets_of
from .data import Data
from .memory import require_memory
from .options import Options

#: What file managers put beside pictures.
_JUNK = ("thumbs.db", "desktop.ini")
#: Files of numbers, which `load_image` takes as well.
_NUMBERS = (".npy", ".csv")
#: What the folder for validation may be called; the first that there is counts.
_VALID = ("valid", "validation", "val", "test")
_WHOLE = Pixels(low=0, high=255)
#: Modes of Pillow without colours.
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
# The tag of a camera's orientation, and its values that swap height and width.
_ORIENTATION, _SIDEWAYS = 0x0112, (5, 6, 7, 8)

#: A picture and the number of its class.
Labelled = tuple[Path, int]


def load_class_folders(path: Path, options: Options) -> Data:
    """The pictures of a folder of class folders, as bytes.

    The classes are the names of the folders, sorted. A folder `train` that holds class folders,
    with `valid`, `validation`, `val` or `test` beside it, is a split of its own. Hidden files,
    and what file managers leave behind, are passed over; anything else that is no picture is
    refused.

    Args:
        path: the folder.
        options: with `image_shape`, pictures become of that size, and grey or RGB, as
            `load_image` does it; without it all of them must have one size, and they are RGB if
            one of them has colours.

    Raises:
        DataError: a file is no picture, damaged or of another size; a class folder is empty;
            there are fewer than two classes; or the pictures do not fit into memory.
    """
    train, valid = _parts(path)
    if options.valid is not None:
        valid = None
    classes = [folder.name for folder in _subfolders(train)]
    if len(classes) < 2:
        raise DataError(
            f"{train} holds {_counted(classes)}: expected two or more folders that are named as "
            "their classes, with pictures in them"
        )
    parts = [(folder, _labelled(folder, classes)) for folder in (train, valid) if folder]
    shape = _common_shape([file for _, own in parts for file, _ in own], options.image_shape)
    require_memory(sum(len(own) for _, own in parts) * prod(shape), f"{path}: the pictures")
    first, *rest = (
        Examples(
            _read(own, shape),
            np.array([number for _, number in own]),
            f"{folder}: pictures",
            f"{folder}: classes",
        )
        for folder, own in parts
    )
    return Data(
        *datasets_of(
            first,
            rest[0] if rest else options.share,
            classes,
            seed=options.seed,
            image_shape=options.image_shape,
            scale=BYTE,
        ),
        str(path),
    )


def _parts(path: Path) -> tuple[Path, Path | None]:
    """The folder of the class folders for training, and the one for validation if there is one."""
    folders = {folder.name.lower(): folder for folder in _subfolders(path)}
    train = folders.get("train")
    # Without folders in it, it may be the class of trains.
    if train is None or not _subfolders(train):
        return path, None
    return train, next((folders[name] for name in _VALID if name in folders), None)


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, sorted by name, without what is hidden or left behind."""
    try:
        found = list(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror}") from None
    return sorted(
        (
            entry
            for entry in found
            if not entry.name.startswith(".") and entry.name.lower() not in _JUNK
        ),
        key=lambda entry: entry.name,
    )


def _subfolders(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.is_dir()]


def _labelled(part: Path, classes: Sequence[str]) -> list[Labelled]:
    """The pictures of each class folder; anything else there is refused."""
    labelled = []
    for folder in _entries(part):
        if not folder.is_dir():
            hint = ""
            if folder.name.endswith(("-ubyte", "-ubyte.gz")):
                hint = ", or train with mnist or fashion-mnist and give this folder with --data-dir"
            raise DataError(
                f"{folder} stands beside the folders of classes: move it into one of them, or "
                f"away{hint}"
            )
        if folder.name not in classes:
            raise DataError(
                f"{folder} is named as no class for training: expected {', '.join(classes)}"
            )
        files = _entries(folder)
        if not files:
            raise DataError(f"the class folder {folder} holds no pictures: put some into it")
        for file in files:
            if file.is_dir():
                raise DataError(f"{file} is a folder within a class folder: expected pictures")
            if file.suffix.lower() in _NUMBERS:
                raise DataError(
                    f"{file} holds numbers and is no picture: give all the images in one .npz or "
                    ".csv file, or move it away"
                )
        labelled += [(file, classes.index(folder.name)) for file in files]
    if not labelled:
        raise DataError(f"{part} holds no class folders: expected pictures for validation there")
    return labelled


def _common_shape(files: Sequence[Path], wanted: Shape | None) -> Shape:
    """The shape that all pictures get: the one that is wanted, or their own.

    Each is looked at before any is read.
    """
    resized = wanted is not None and len(wanted) == 3
    looks = [_look(file, oriented=not resized) for file in files]
    if wanted is not None and resized:
        if wanted[0] not in (1, 3):
            raise DataError(
                f"images of the shape {wanted} are asked for: pictures have 1 channel (grey) or 3 "
                "(RGB)"
            )
        return wanted
    height, width, _ = looks[0]
    for file, (own_height, own_width, _) in zip(files, looks, strict=True):
        if (own_height, own_width) != (height, width):
            raise DataError(
                f"{file} has {own_height} x {own_width} pixels, and {files[0]} {height} x {width} "
                "(height x width): make them of one size, or give image_shape, to which they are "
                "resized"
            )
    return (3 if any(coloured for _, _, coloured in looks) else 1, height, width)


def _look(file: Path, *, oriented: bool) -> tuple[int, int, bool]:
    """Height, width, and whether a picture has colours.

    Args:
        file: the picture.
        oriented: whether height and width are those after the camera's orientation is applied;
            some formats must be decoded for that.
    """
    from PIL import Image, UnidentifiedImageError

    too_large = f"{file} has more than {MAX_PIXELS:,} pixels: make it smaller first"
    with reading(file, "a picture that can be read", DataError):
        try:
            with Image.open(file) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise DataError(too_large)
                if oriented and picture.getexif().get(_ORIENTATION) in _SIDEWAYS:
                    width, height = height, width
                return height, width, picture.mode not in _GREY
        except UnidentifiedImageError:
            raise DataError(
                f"{file} is not a picture that can be read: save it as .png, or move it away"
            ) from None
        except Image.DecompressionBombError:
            raise DataError(too_large) from None


def _read(files: Sequence[Labelled], shape: Shape) -> NDArray[np.uint8]:
    from tqdm import tqdm

    out = np.empty((len(files), *shape), dtype=np.uint8)
    # Without a terminal there is no bar.
    bar = tqdm(files, desc="reading", unit=" pictures", delay=1.0, leave=False, disable=None)
    for number, (file, _) in enumerate(bar):
        try:
            pixels = load_image(file, shape, _WHOLE)
        except ImageError as error:
            raise DataError(str(error)) from None
        out[number] = np.rint(pixels, out=pixels)
    return out


def _counted(classes: Sequence[str]) -> str:
    return f"the folder {classes[0]} only" if classes else "no folders"
