"""The user's own image: a picture, or a file of numbers, as the array that a network takes."""

from __future__ import annotations

import csv
import logging
import warnings
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .data_files import load_array, reading, require_file
from .errors import ImageError
from .formulas import Shape
from .layers.base import Array
from .pixels import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

#: How many pixels a picture may have; checked before any of them is decoded.
MAX_PIXELS = 50_000_000
#: How large a .csv file may be: text takes several times its size to read.
MAX_CSV_BYTES = 2**28

# What is lighter than this everywhere cannot be seen on white paper.
_ALMOST_WHITE = 250
# Pillow logs what it raises as well, and Python prints what is logged where nobody listens.
_UNHEARD = logging.NullHandler()


def load_image(path: str | Path, shape: Shape, pixels: Pixels | None = None) -> Array:
    r"""An image of the user's own, as a network takes it.

    - **Pictures**, in any format that Pillow reads except EPS, which is a program. The
      camera's orientation is applied; of an animation the first picture is taken. Whatever
      is transparent shows white paper, or black where nothing but white was drawn on it.
      Colours become grey for one channel and RGB for three; 16-bit greys keep their
      steps. The whole picture is kept, with its proportions: it is resized (Lanczos) to
      fit, centred, and the strips that remain take the median colour of its four edges.
      Then `pixels` says which numbers the pixels become.
    - **`.npy`** files are taken as they are, as numbers that are scaled already. Besides
      `shape` itself they may have the shape (1, channels, height, width), (height, width)
      for one channel, or (height, width, channels); a shape that can be read in two ways
      is read as (channels, height, width).
    - **`.csv`** files hold a grid of numbers, taken as they are: one line a row of the
      image, several channels one below the other, as in a workbook. Between numbers stands
      a comma, or a semicolon or tab: then decimals may have a comma.

    Args:
        path: the file.
        shape: (channels, height, width), or (features,), which .npy and .csv files can
            fill.
        pixels: how pixels become numbers. Default: `Pixels()`, 0 to 1.

    Returns:
        A float64 array of `shape`.

    Raises:
        ImageError: the file is missing, damaged, of another shape, holds anything but
            finite numbers, or has more than 50 million pixels.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(f"{folder}/a.csv").write_text("0,1\n2,3\n")
        ...     load_image(f"{folder}/a.csv", (1, 2, 2))
        array([[[0., 1.],
                [2., 3.]]])
    """
    file = Path(path)
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise ImageError(
            f"an image of shape {shape} is asked for: expected (channels, height, width)"
        )
    if prod(shape) > MAX_PIXELS:
        raise ImageError(f"an image of shape {shape} is asked for: the limit is {MAX_PIXELS:,}")
    require_file(file, ImageError)
    if file.suffix.lower() == ".npy":
        return _finite(_as_shape(load_array(file, ImageError), shape, file), file)
    if file.suffix.lower() == ".csv":
        return _finite(_rows_as_shape(_read_csv(file), shape, file), file)
    if len(shape) == 1:
        raise ImageError(
            f"{file} is not an .npy or .csv file: the network takes {shape[0]} numbers, no picture"
        )
    if shape[0] not in (1, 3):
        raise ImageError(
            f"{file}: a picture has 1 channel (grey) or 3 (RGB), the network takes {shape}: "
            "give an .npy file of that shape"
        )
    return (pixels or Pixels()).scaled(_read_picture(file, shape))


def _read_picture(path: Path, shape: Shape) -> Array:
    """The pixels of a picture, from 0 to 255, in a shape of one or three channels."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    logging.getLogger("PIL").addHandler(_UNHEARD)
    too_large = f"{path} has more than {MAX_PIXELS:,} pixels: make it smaller first"
    with reading(path, "a picture that can be read", ImageError):
        # A picture within another one meets Pillow's own limit only.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as picture:
                if prod(picture.size) > MAX_PIXELS:
                    raise ImageError(too_large)
                # Pillow would hand it to Ghostscript.
                if picture.format == "EPS":
                    raise ImageError(f"{path} is an EPS file: save it as .png")
                ImageOps.exif_transpose(picture, in_place=True)
                plain = _plain(picture, path)
        except UnidentifiedImageError:
            raise ImageError(
                f"{path} is not a picture that can be read: give a .png, .jpg, ..., or numbers "
                "as .npy or .csv"
            ) from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise ImageError(too_large) from None
    return _fitted(plain, shape)


def _plain(picture: Image, path: Path) -> Image:
    """The picture in a mode that resizing knows: L, RGB, RGBA, or F from 0 to 255."""
    from PIL import Image

    # Whole numbers of 32 bits are 16-bit greys in the formats that have no others.
    if picture.mode.startswith("I;16") or (
        picture.mode == "I" and picture.format in ("PNG", "PPM")
    ):
        return Image.fromarray(np.asarray(picture).astype(np.float32) / np.float32(257))
    if picture.mode.startswith(("I", "F")):
        raise ImageError(
            f"{path} has pixels of 32 bits, whose range nobody knows: save it with 8 or 16 bits, "
            "or its numbers as .npy"
        )
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def _fitted(picture: Image, shape: Shape) -> Array:
    """The picture's pixels, resized and centred in a shape, in its number of channels."""
    from PIL.Image import Resampling

    channels, height, width = shape
    scale = min(height / picture.height, width / picture.width)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    if size != picture.size:
        picture = picture.resize(size, Resampling.LANCZOS)
    if picture.mode == "RGBA":
        picture = _on_paper(picture)
    if picture.mode != "F":
        picture = picture.convert("L" if channels == 1 else "RGB")
    # Lanczos swings beyond the range where the mode lets it.
    pixels = np.clip(np.asarray(picture, dtype=np.float64), 0, 255)
    pixels = np.moveaxis(np.atleast_3d(pixels), -1, 0)
    edges = [pixels[:, [0, -1], :], pixels[:, :, [0, -1]]]
    ground = np.median(np.concatenate([e.reshape(len(pixels), -1) for e in edges], axis=1), axis=1)
    out = np.broadcast_to(ground[:, np.newaxis, np.newaxis], shape).copy()
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    out[:, top : top + size[1], left : left + size[0]] = pixels
    return out


def _on_paper(picture: Image) -> Image:
    """The picture on white, or on black if it would vanish."""
    from PIL import Image

    def on(colour: str) -> Image.Image:
        paper = Image.new("RGBA", picture.size, colour)
        return Image.alpha_composite(paper, picture).convert("RGB")

    white = on("white")
    drawn = np.asarray(picture)[..., 3].any()
    faintest = np.asarray(white).min()
    return on("black") if drawn and faintest >= _ALMOST_WHITE else white


def _as_shape(array: Array, shape: Shape, path: Path) -> Array:
    allowed = [shape, (1, *shape)]
    if array.shape in allowed:
        return array.reshape(shape)
    if len(shape) == 3:
        channels, height, width = shape
        if channels == 1:
            allowed.append((height, width))
            if array.shape == (height, width):
                return array.reshape(shape)
        allowed.append((height, width, channels))
        if array.shape == (height, width, channels):
            return np.ascontiguousarray(np.moveaxis(array, -1, 0))
    *others, last = map(str, allowed)
    raise ImageError(f"{path} has shape {array.shape}: expected {', '.join(others)} or {last}")


def _read_csv(path: Path) -> Array:
    """The numbers of a .csv file, as rows and columns."""
    rows: list[Array] = []
    if path.stat().st_size > MAX_CSV_BYTES:
        raise ImageError(f"{path} has more than {MAX_CSV_BYTES:,} bytes: give an .npy file")
    with reading(path, "a .csv file of numbers", ImageError):
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        mark = next((mark for mark in (";", "\t") if mark in text), ",")
        if mark != ",":
            text = text.replace(",", ".")
        for number, cells in enumerate(csv.reader(text.splitlines(), delimiter=mark), 1):
            if not cells:
                continue
            rows.append(np.array([_cell(c, path, number, n) for n, c in enumerate(cells, 1)]))
            if len(cells) != len(rows[0]):
                raise ImageError(
                    f"{path}: row {number} has {len(cells)} numbers, the first {len(rows[0])}: "
                    "expected as many in every row"
                )
    if not rows:
        raise ImageError(f"{path} holds no numbers: expected a grid of them")
    return np.stack(rows)


def _cell(text: str, path: Path, row: int, column: int) -> float:
    try:
        return float(text)
    except ValueError:
        shown = repr(text if len(text) <= 20 else text[:17] + "...")
        raise ImageError(
            f"{path}: row {row}, column {column} is {shown}: expected a number"
        ) from None


def _rows_as_shape(rows: Array, shape: Shape, path: Path) -> Array:
    if len(shape) == 1:
        fits, expected = rows.size == prod(shape) and 1 in rows.shape, f"{shape[0]} in one row"
    else:
        channels, height, width = shape
        fits = rows.shape == (channels * height, width)
        expected = f"{channels * height} rows of {width}"
        if channels > 1:
            expected += f" ({channels} channels of {height} rows, one below the other)"
    if not fits:
        raise ImageError(
            f"{path} has {rows.shape[0]} rows of {rows.shape[1]} numbers: expected {expected}"
        )
    return rows.reshape(shape)


def _finite(array: Array, path: Path) -> Array:
    if not np.isfinite(array).all():
        place = tuple(int(n) for n in np.argwhere(~np.isfinite(array))[0])
        raise ImageError(f"{path} holds {array[place]} at {place}: expected finite numbers")
    return array
