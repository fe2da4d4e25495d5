"""Data from wherever users have it: a known name, a folder, an .npz or a .csv file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...formulas import Shape
from ...layers.validation import shown
from ...spelling import suggestion
from .arrays import as_shape
from .base import Dataset
from .class_folders import load_class_folders
from .csv_files import load_csv
from .data import Data
from .digits import load_digits
from .mnist import FASHION_MNIST, MNIST, load_idx_set
from .npz_files import load_npz
from .options import Options
from .splitting import check_seed, check_share

#: The data sets that have a name.
NAMED: Mapping[str, Callable[[Options], Data]] = {
    "digits": load_digits,
    "mnist": partial(load_idx_set, MNIST),
    "fashion-mnist": partial(load_idx_set, FASHION_MNIST),
}
#: Those whose files are not part of this package.
_ELSEWHERE = ("mnist", "fashion-mnist")
#: How the name of a file ends -> what reads it.
_FILES: Mapping[str, Callable[[Path, Options], Data]] = {".npz": load_npz, ".csv": load_csv}


def load_data(
    source: str | Path,
    *,
    data_dir: Path | None = None,
    valid: float | None = None,
    seed: int = 0,
    image_shape: Shape | None = None,
    invert: bool = False,
    label: str = "label",
    download: bool = True,
) -> Data:
    """Examples for training and validation, from a known data set or the user's own files.

    - **`digits`**: 1,797 digits of 8 x 8 pixels, part of this package.
    - **`mnist`**, **`fashion-mnist`**: 70,000 pictures of 28 x 28, from `data_dir`, from the
      system, or downloaded once.
    - **A folder** of folders that are named as the classes of the pictures in them, or that has
      `train` and `valid`, `validation`, `val` or `test` with such folders.
    - **`.npz`** files with `images` and `labels`, and perhaps `classes`, `valid_images` and
      `valid_labels`; or with Keras' `x_train`, `y_train`, `x_test` and `y_test`.
    - **`.csv`** files with a row for each image: a column for its label, the others its pixels.

    Args:
        source: a name, or a path; a folder that is called as a data set is `./digits`.
        data_dir: the folder with the files of `mnist` or `fashion-mnist`. Default: where the
            system has them, or the cache.
        valid: the share for validation: the same of each class, see `split`. Default: the
            source's own part, or 0.2 where it has none.
        seed: which examples these are. Default 0.
        image_shape: (channels, height, width) or (features,) that the network takes. Pictures
            of a folder are resized; a list of pixels is brought into that shape; anything else
            must have it. Default: the images keep their own.
        invert: swap dark and light, for dark ink on white paper where light strokes on black
            are wanted. Default False. It is for bytes.
        label: the column of a .csv file that holds the label. Default `label`, or the only one
            that is called label, class, target, digit or y.
        download: whether files that are missing are downloaded. Default True.

    Returns:
        The data; they are called as the source.

    Raises:
        DataError: the source is unknown, or cannot be used; the message says what to do.

    Example:
        >>> data = load_data("digits")
        >>> data.name, len(data.train), len(data.valid), data.train.classes[:3]
        ('digits', 1438, 359, ('0', '1', '2'))
    """
    if valid is not None:
        check_share(valid)
    check_seed(seed)
    if not isinstance(source, str | Path):
        raise DataError(f"source is {shown(source)}: expected a name or a path")
    shape = None if image_shape is None else as_shape(image_shape)
    folder = None if data_dir is None else Path(data_dir)
    options = Options(folder, valid, seed, shape, label, download)
    if folder is not None and source not in _ELSEWHERE:
        raise DataError(
            f"--data-dir {folder} is for {' and '.join(_ELSEWHERE)}: {source} needs none"
        )
    data = NAMED[str(source)](options) if source in NAMED else _of_path(source, options)
    if invert:
        data = Data(_inverted(data.train, data), _inverted(data.valid, data), data.name)
    return data


def _of_path(source: str | Path, options: Options) -> Data:
    path = Path(source)
    if path.is_dir():
        return load_class_folders(path, options)
    if not path.exists():
        hint = suggestion(str(source), list(NAMED))
        raise DataError(f"{shown(str(source))} is no file, no folder and no data set{hint}")
    read = _FILES.get(path.suffix.lower())
    if read is None:
        hint = ""
        if path.name.endswith(("-ubyte", "-ubyte.gz")):
            hint = "; for IDX files train with mnist or fashion-mnist and --data-dir, their folder"
        raise DataError(
            f"{path} is no .npz or .csv file and no folder of class folders{hint or ': give one'}"
        )
    if not path.stat().st_size:
        raise DataError(f"{path} is an empty file (0 bytes)")
    return read(path, options)


def _inverted(dataset: Dataset, data: Data) -> Dataset:
    """The data set with dark and light swapped, in the arrays that it has."""
    if dataset.images.dtype != np.uint8:
        raise DataError(
            f"{data.name} holds {dataset.images.dtype}, numbers that are taken as they are: "
            "--invert is for bytes"
        )
    np.subtract(round(1 / dataset.scale), dataset.images, out=dataset.images)
    return dataset
