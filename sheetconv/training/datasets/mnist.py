"""MNIST and Fashion-MNIST: 70,000 pictures of 28 x 28 in four IDX files.

MNIST is by Yann LeCun and Corinna Cortes, published under the Creative Commons
Attribution-Share Alike 3.0 licence (https://creativecommons.org/licenses/by-sa/3.0/);
Fashion-MNIST is by Zalando SE (https://github.com/zalandoresearch/fashion-mnist), under the MIT
licence. Neither is part of this package: the files are the user's, Debian's, or downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from .arrays import BYTE, Examples, datasets_of
from .data import Data
from .downloads import Published, fetch
from .idx_files import read_idx
from .options import Options

#: Images and labels of the part for training, and of the one that is for testing.
_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclass(frozen=True, slots=True)
class IdxSet:
    """A data set in the four files of MNIST.

    Attributes:
        published: where its files are on the internet.
        classes: their names.
        subfolder: where torchvision keeps the files, within its own folder.
        installed: where a package of the system puts them; None without one.
    """

    published: Published
    classes: tuple[str, ...]
    subfolder: str
    installed: Path | None = None


MNIST = IdxSet(
    Published(
        "mnist",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        {
            "train-images-idx3-ubyte.gz": (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            "train-labels-idx1-ubyte.gz": (
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        },
    ),
    tuple("0123456789"),
    "MNIST/raw",
)

FASHION_MNIST = IdxSet(
    Published(
        "fashion-mnist",
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        {
            "train-images-idx3-ubyte.gz": (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            "train-labels-idx1-ubyte.gz": (
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
        },
    ),
    (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "FashionMNIST/raw",
    # Debian's dataset-fashion-mnist.
    Path("/usr/share/datasets/fashion-mnist"),
)


def load_idx_set(source: IdxSet, options: Options) -> Data:
    """A set in the four files of MNIST, with its own part for validation or a share.

    The files are those in `options.data_dir`, or in a folder within it that is named as the set
    or as torchvision names it. Without `data_dir` they are those that are installed, or those
    of the cache, downloaded if need be.

    Args:
        source: the set.
        options: with `valid`, that share of the training part is for validation, and the files
            of the other part are not needed.

    Raises:
        DataError: a file is missing, damaged, or cannot be downloaded; or they do not fit
            together.
    """
    needed = _TRAIN if options.valid is not None else _TRAIN + _TEST
    files = _found(source, needed, options)
    train = _examples(files, _TRAIN)
    valid = _examples(files, _TEST) if options.valid is None else options.valid
    parts = datasets_of(
        train,
        valid,
        source.classes,
        seed=options.seed,
        image_shape=options.image_shape,
        scale=BYTE,
    )
    return Data(*parts, source.published.name)


def _examples(files: dict[str, Path], names: tuple[str, str]) -> Examples:
    images, labels = (files[name] for name in names)
    return Examples(read_idx(images, 3), read_idx(labels, 1), str(images), str(labels))


def _found(source: IdxSet, names: Sequence[str], options: Options) -> dict[str, Path]:
    if options.data_dir is not None:
        return _of_folder(source, names, options.data_dir)
    if source.installed is not None:
        files = _present(source.installed, names)
        if len(files) == len(names):
            return files
    folder = fetch(source.published, [f"{name}.gz" for name in names], download=options.download)
    return {name: folder / f"{name}.gz" for name in names}


def _of_folder(source: IdxSet, names: Sequence[str], folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(
            f"--data-dir {folder} is no folder: expected one that holds {', '.join(names)}, "
            "gzipped or not"
        )
    places = [folder, folder / source.published.name, folder / source.subfolder]
    files = max((_present(place, names) for place in places), key=len)
    missing = [name for name in names if name not in files]
    if missing:
        raise DataError(
            f"--data-dir {folder} holds no {', '.join(missing)}, gzipped or not: download it from "
            f"{source.published.mirrors[0]}, or leave out --data-dir"
        )
    return files


def _present(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Which of the files a folder holds, as they are or gzipped."""
    return {
        name: path
        for name in names
        for path in (folder / f"{name}.gz", folder / name)
        if path.is_file()
    }
