"""Data to train with: what is read from each source, pixel by pixel, and all that is refused."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import re
import socket
import struct
import threading
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sheetconv.errors import DataError, SheetconvError
from sheetconv.training.datasets import (
    Data,
    Dataset,
    base,
    csv_files,
    downloads,
    idx_files,
    load_data,
    memory,
    split,
)
from sheetconv.training.datasets import mnist as mnist_source
from sheetconv.training.datasets.digits import CLASSES
from sheetconv.training.datasets.idx_files import read_idx

RNG = np.random.default_rng(0)
GREYS = RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8)
TWO = np.tile([0, 1], 20)
TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def refused(source: Any, words: str = "", **options: Any) -> str:
    """The one line with which a source is refused, which matches `words`."""
    with pytest.raises(DataError) as caught:
        load_data(source, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert re.search(words, message), message
    return message


def refused_arrays(words: str, *args: Any, **options: Any) -> None:
    with pytest.raises(DataError, match=words):
        Data.from_arrays(*args, **options)


def pool(*parts: Dataset) -> set[tuple[bytes, bytes]]:
    """The examples of some data sets, whatever their order."""
    return {
        (image.tobytes(), label.tobytes())
        for part in parts
        for image, label in zip(part.images, part.labels, strict=True)
    }


# --- A data set


def dataset(images: np.ndarray = GREYS[:, None], scale: float = 1 / 255) -> Dataset:
    return Dataset(images, TWO[: len(images)], ("a", "b"), scale)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        (slice(2, 9), GREYS[2:9]),
        (slice(None, None, 7), GREYS[::7]),
        ([5, 0, 5], GREYS[[5, 0, 5]]),
        (np.array([39, 1]), GREYS[[39, 1]]),
        ([], GREYS[:0]),
        (np.arange(40) % 3 == 0, GREYS[::3]),
    ],
    ids=["slice", "steps", "list", "array", "empty", "mask"],
)
def test_numbers_are_the_scaled_pixels_of_those_asked_for(
    indices: Any, expected: np.ndarray, dtype: type
) -> None:
    numbers = dataset().numbers(indices, dtype)
    assert numbers.dtype == dtype
    assert numbers.shape == (len(expected), 1, 6, 5)
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(numbers, expected[:, None] / 255, rtol=tolerance)


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(IndexError):
        dataset().numbers(np.ones(39, dtype=bool))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("indices", [slice(0, 3), [0, 1, 2]], ids=["slice", "list"])
def test_numbers_belong_to_the_caller(dtype: type, indices: Any) -> None:
    images = GREYS[:, None].astype(dtype)
    own = dataset(images, 1.0)
    for kind in (np.float32, np.float64):
        own.numbers(indices, kind)[:] = -1
    np.testing.assert_array_equal(images, GREYS[:, None])


def test_a_subset_keeps_order_and_labels_and_a_slice_is_a_view() -> None:
    own = dataset()
    some = own.subset([3, 0, 3])
    np.testing.assert_array_equal(some.images, own.images[[3, 0, 3]])
    assert some.labels.tolist() == [1, 0, 1]
    assert (some.classes, some.scale, some.image_shape) == (own.classes, own.scale, (1, 6, 5))
    assert np.shares_memory(own.subset(slice(0, 9)).images, own.images)
    assert not np.shares_memory(some.images, own.images)
    assert len(own.subset([])) == 0


@pytest.mark.parametrize("shape", [(300, 3, 17, 19), (90_000, 2), (3, 2, 200, 300)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_statistics_are_those_of_all_the_numbers_at_once(
    shape: tuple[int, ...], dtype: type
) -> None:
    images = RNG.integers(0, 256, shape).astype(dtype)
    images[:, 1] //= 2
    own = Dataset(images, np.zeros(len(images), np.int64), ("a",), 1 / 255)
    mean, std = own.statistics()
    axes = (0, *range(2, images.ndim))
    np.testing.assert_allclose(mean, images.mean(axes, np.float64) / 255, rtol=1e-12)
    np.testing.assert_allclose(std, images.std(axes, np.float64) / 255, rtol=1e-12)
    assert mean[0] > 1.5 * mean[1]
    assert (mean.shape, mean.dtype, std.dtype) == ((shape[1],), np.float64, np.float64)


def test_statistics_keep_their_digits_far_from_zero() -> None:
    values = 1e8 + RNG.random((200_000, 1))
    _, std = Dataset(values, np.zeros(len(values), np.int64), ("a",)).statistics()
    np.testing.assert_allclose(std, values.std(axis=0), rtol=1e-7)
    naive = np.sqrt(abs((values**2).mean() - values.mean() ** 2))
    assert abs(naive - values.std()) > 1e-3


def test_statistics_of_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="there are no images"):
        dataset().subset([]).statistics()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": GREYS}, r"images has the shape \(40, 6, 5\)"),
        ({"images": GREYS[:, None, :0]}, r"images has the shape \(40, 1, 0, 5\)"),
        ({"images": GREYS[:, None].astype(int)}, "images holds int64: expected uint8, float32"),
        ({"labels": TWO[:-1]}, "40 images and 39 labels"),
        ({"labels": TWO.astype(np.int32)}, "labels holds int32: expected int64"),
        ({"labels": TWO + 1}, r"labels\[1\] is 2: expected 0 to 1, .* one of 2 classes"),
        ({"labels": TWO - 1}, r"labels\[0\] is -1"),
        ({"labels": np.zeros((40, 3), np.uint8)}, "labels has 3 columns and classes 2 names"),
        ({"labels": np.full((40, 2), 2, np.uint8)}, r"labels\[0, 0\] is 2: expected 0 to 1$"),
        ({"labels": np.zeros((40, 2), int)}, "labels holds int64: expected uint8"),
        ({"labels": np.zeros((40, 1, 1), int)}, r"labels has the shape \(40, 1, 1\)"),
        ({"classes": ("a", "a")}, "classes has 'a' twice"),
        ({"classes": ("a", "")}, "none of them empty"),
        ({"classes": "ab"}, "classes is 'ab': expected names"),
        ({"scale": 0.0}, "scale is 0.0: expected a number above 0"),
        ({"scale": float("nan")}, "scale is nan"),
    ],
)
def test_a_data_set_that_is_none_is_refused(change: dict[str, Any], words: str) -> None:
    fields = {"images": GREYS[:, None], "labels": TWO, "classes": ("a", "b")}
    Dataset(**fields)
    with pytest.raises(DataError, match=words):
        Dataset(**(fields | change))


def test_data_of_unequal_parts_are_refused() -> None:
    own = dataset()
    Data(own, own, "x")
    for other, words in (
        (own.subset([]), "x: there are no examples for validation"),
        (dataset(GREYS[:, None, :3]), r"x: image_shape is \(1, 6, 5\) for training and \(1, 3, 5"),
        (Dataset(own.images, own.labels, ("a", "c"), own.scale), "x: classes is"),
        (dataset(scale=1.0), "x: scale is"),
    ):
        with pytest.raises(DataError, match=words):
            Data(own, other, "x")
    with pytest.raises(DataError, match="no examples for training"):
        Data(own.subset([]), own, "x")


# --- Splitting


def counted(labels: np.ndarray) -> Dataset:
    """A data set whose images are their own numbers."""
    images = np.arange(len(labels), dtype=np.float64)[:, None]
    return Dataset(images, labels, ("a", "b", "c"))


@pytest.mark.parametrize("seed", [0, 1, 2**70])
@pytest.mark.parametrize(
    ("share", "kept"), [(0.2, (10, 2, 1)), (0.5, (25, 5, 2)), (0.01, (1, 1, 1)), (0.99, (49, 9, 2))]
)
def test_a_split_takes_the_same_share_of_each_class(
    share: float, kept: tuple[int, ...], seed: int
) -> None:
    labels = np.random.default_rng(5).permutation(np.repeat([0, 1, 2], [50, 10, 3]))
    own = counted(labels)
    train, valid = split(own, share, seed)
    assert tuple(np.bincount(valid.labels, minlength=3)) == kept
    together = np.concatenate([train.images, valid.images])[:, 0]
    np.testing.assert_array_equal(np.sort(together), np.arange(63))
    for part in (train, valid):
        assert (np.diff(part.images[:, 0]) > 0).all()
        np.testing.assert_array_equal(part.labels, labels[part.images[:, 0].astype(int)])


def test_a_seed_means_the_same_examples_everywhere() -> None:
    own = counted(np.arange(60) % 3)
    _, valid = split(own, 0.15, 7)
    assert valid.images[:, 0].tolist() == [6, 23, 24, 32, 35, 37, 39, 46, 52]
    assert pool(split(own, 0.15, 7)[1]) == pool(valid)
    assert pool(split(own, 0.15, 8)[1]) != pool(valid)


def test_a_split_is_drawn_and_not_cut_off() -> None:
    """Every example is once kept back; the first or last would be always, or never."""
    own = counted(np.arange(30) % 3)
    kept = {n for seed in range(60) for n in split(own, 0.2, seed)[1].images[:, 0].tolist()}
    assert kept == set(range(30))


def test_images_of_several_labels_are_split_alike() -> None:
    labels = RNG.integers(0, 2, (20, 3), dtype=np.uint8)
    # A label that one image has is no hindrance.
    labels[:, 2] = np.arange(20) == 4
    own = counted(labels)
    train, valid = split(own, 0.25, 3)
    assert (len(train), len(valid)) == (15, 5)
    assert valid.is_multi_label
    assert pool(train, valid) == pool(own)
    assert pool(split(own, 0.25, 3)[1]) == pool(valid)
    with pytest.raises(DataError, match="there is 1 example to split"):
        split(own.subset([0]), 0.5)


def test_a_class_of_one_example_cannot_be_split() -> None:
    labels = np.array([0, 0, 1, 2, 2])
    with pytest.raises(DataError, match=r"the class 'b' has only one example \(number 2\)"):
        split(counted(labels), 0.5)
    # A class without examples can.
    assert len(split(counted(labels).subset([0, 1, 3, 4]), 0.5)[1]) == 2


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), True, "0.2", None])
def test_a_share_that_leaves_nothing_is_refused(share: Any) -> None:
    with pytest.raises(DataError, match="share for validation is"):
        split(dataset(), share)
    if share is not None:
        refused("digits", "share for validation is", valid=share)


@pytest.mark.parametrize("seed", [-1, 0.5, True, "0", None])
def test_a_seed_that_is_none_is_refused(seed: Any) -> None:
    with pytest.raises(DataError, match=r"seed is .* whole number of at least 0"):
        split(dataset(), 0.5, seed)


# --- Digits


def test_digits_are_those_of_uci_in_scikit_learns_order() -> None:
    data = load_data("digits", valid=0.2)
    assert (data.name, data.train.classes, data.train.scale) == ("digits", CLASSES, 1 / 16)
    assert data.train.image_shape == (1, 8, 8)
    assert data.train.images.dtype == np.uint8
    with np.load(Path(base.__file__).with_name("digits.npz")) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    assert images[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert images.max() == 16
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == DIGITS
    whole = Dataset(images[:, None], labels.astype(np.int64), CLASSES)
    assert pool(data.train, data.valid) == pool(whole)
    assert data.train.numbers(slice(None)).max() == 1


def test_digits_have_their_own_shape() -> None:
    assert load_data("digits", image_shape=(64,)).train.image_shape == (64,)
    refused(
        "digits", r"digits: images has images of the shape \(1, 8, 8\)", image_shape=(1, 28, 28)
    )
    for shape in ((8, 8), (1, 0, 8), "a", 8, (1, 8, None)):
        refused("digits", "image_shape is .* expected", image_shape=shape)


def test_inverted_bytes_count_from_the_other_end() -> None:
    plain, inverted = (load_data("digits", seed=4, invert=own) for own in (False, True))
    for one, other in ((plain.train, inverted.train), (plain.valid, inverted.valid)):
        np.testing.assert_array_equal(other.images, 16 - one.images)
        assert other.images.dtype == np.uint8


# --- IDX files


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def idx_folder(folder: Path, *, packed: bool = False, parts: int = 2) -> Path:
    """Files as those of MNIST: 30 images for training, and the last 10 of `GREYS` for testing."""
    folder.mkdir(parents=True, exist_ok=True)
    for names, own in zip((TRAIN, TEST)[:parts], (slice(0, 30), slice(30, 40)), strict=False):
        for name, array in zip(names, (GREYS[own], TWO[own]), strict=True):
            data = idx(array)
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return folder


def closed() -> str:
    """An address at which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{found.getsockname()[1]}/"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("subfolder", ["", "own", "torchvision"])
def test_idx_files_of_a_folder_of_the_users(
    tmp_path: Path, name: str, packed: bool, subfolder: str
) -> None:
    torchvision = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw"}[name]
    idx_folder(
        tmp_path / {"": ".", "own": name, "torchvision": torchvision}[subfolder], packed=packed
    )
    data = load_data(name, data_dir=tmp_path, download=False)
    np.testing.assert_array_equal(data.train.images, GREYS[:30, None])
    np.testing.assert_array_equal(data.valid.images, GREYS[30:, None])
    np.testing.assert_array_equal(data.train.labels, TWO[:30])
    assert (data.train.images.dtype, data.train.labels.dtype) == (np.uint8, np.int64)
    assert (data.name, data.train.scale, len(data.train.classes)) == (name, 1 / 255, 10)
    assert data.train.classes[9] == ("9" if name == "mnist" else "Ankle boot")


def test_a_share_of_the_training_part_needs_no_other_files(tmp_path: Path) -> None:
    idx_folder(tmp_path, parts=1)
    data = load_data("mnist", data_dir=tmp_path, valid=0.2)
    assert (len(data.train), len(data.valid)) == (24, 6)
    assert pool(data.train, data.valid) == pool(Dataset(GREYS[:30, None], TWO[:30], ("a", "b")))
    refused("mnist", f"holds no {TEST[0]}, {TEST[1]}, gzipped or not", data_dir=tmp_path)


def test_a_name_does_not_decide_whether_a_file_is_gzipped(tmp_path: Path) -> None:
    for name, data in (("a.gz", idx(TWO)), ("b", gzip.compress(idx(TWO)))):
        (tmp_path / name).write_bytes(data)
        np.testing.assert_array_equal(read_idx(tmp_path / name, 1), TWO)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "begins with nothing: expected the magic number 00 00 08 03"),
        (b"\0\0", "begins with 00 00: expected"),
        (b"\1" + idx(GREYS)[1:], "begins with 01 00 08 03: expected"),
        (idx(TWO), "begins with 00 00 08 01, an IDX file of labels: expected the magic number"),
        (b"\0\0\x0d" + idx(GREYS)[3:], "begins with 00 00 0d 03: expected"),
        (idx(GREYS)[:9], "is truncated: it ends within its header"),
        (idx(GREYS)[:-1], "truncated: its header promises 1,200 bytes for 40 x 6 x 5, and 1,199"),
        (idx(GREYS) + b"\0", "goes on after the 1,200 bytes that its header promises"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path: Path, data: bytes, words: str, packed: bool) -> None:
    folder = idx_folder(tmp_path)
    path = folder / TRAIN[0]
    load_data("mnist", data_dir=folder)
    path.write_bytes(gzip.compress(data) if packed else data)
    message = refused("mnist", words, data_dir=folder)
    assert message.startswith(str(path))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data[:-9], "is truncated: its gzip stream has no end"),
        (lambda data: data[:20] + bytes([data[20] ^ 255]) + data[21:], "is damaged|truncated"),
        (lambda data: data[:-6] + b"\0\0" + data[-4:], r"is damaged \(CRC check failed"),
        (lambda data: data + b"rest", "is damaged"),
    ],
)
def test_damaged_gzip_files_are_named(tmp_path: Path, spoil: Any, words: str) -> None:
    path = idx_folder(tmp_path, packed=True) / f"{TRAIN[0]}.gz"
    path.write_bytes(spoil(path.read_bytes()))
    assert refused("mnist", words, data_dir=tmp_path).startswith(str(path))


def test_idx_files_that_cannot_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"cannot read .*x: No such file or directory"):
        read_idx(tmp_path / "x", 1)
    (tmp_path / "x").write_bytes(idx(TWO))

    def full(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(idx_files.np, "empty", full)
    with pytest.raises(DataError, match="x does not fit into memory"):
        read_idx(tmp_path / "x", 1)


def test_idx_files_that_do_not_belong_together(tmp_path: Path) -> None:
    folder = idx_folder(tmp_path)
    images, labels = (folder / name for name in TRAIN)
    labels.write_bytes(idx(TWO[:29]))
    assert refused("mnist", r"holds 30 images and .* 29 labels", data_dir=folder).startswith(
        str(images)
    )
    labels.write_bytes(idx(np.append(TWO[:29], 10)))
    refused("mnist", rf"{TRAIN[1]}\[29\] is 10: expected 0 to 9", data_dir=folder)
    labels.write_bytes(idx(np.zeros(30)))
    refused("mnist", f"{TRAIN[1]} has only one class, '0'", data_dir=folder)
    labels.write_bytes(idx(TWO[:30]))
    images.write_bytes(idx(GREYS[:30, :5]))
    refused("mnist", r"differ in their shape, \(1, 5, 5\) and \(1, 6, 5\)", data_dir=folder)
    images.write_bytes(idx(GREYS[:30]))
    (folder / TEST[0]).write_bytes(idx(GREYS[:0]))
    (folder / TEST[1]).write_bytes(idx(TWO[:0]))
    refused("mnist", f"{TEST[0]} is empty: expected examples for validation", data_dir=folder)
    (folder / TRAIN[0]).write_bytes(idx(GREYS[:0]))
    (folder / TRAIN[1]).write_bytes(idx(TWO[:0]))
    refused("mnist", f"{TRAIN[1]} is empty", data_dir=folder)


def test_a_data_dir_is_taken_at_its_word(tmp_path: Path) -> None:
    refused("mnist", r"--data-dir .* holds no .*download it from http", data_dir=tmp_path)
    refused("mnist", "is no folder: expected one that holds train-images", data_dir=tmp_path / "x")
    refused("digits", "is for mnist and fashion-mnist: digits needs none", data_dir=tmp_path)


def test_files_of_the_system_are_taken_before_the_internet_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = idx_folder(tmp_path / "installed", packed=True)
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path / "cache")
    hashes = dict.fromkeys((f"{name}.gz" for name in TRAIN + TEST), "0" * 64)
    published = downloads.Published("fashion-mnist", (closed(),), hashes)
    source = mnist_source.IdxSet(published, CLASSES, "x", installed)
    data = mnist_source.load_idx_set(source, mnist_source.Options(download=False))
    np.testing.assert_array_equal(data.valid.images, GREYS[30:, None])
    # The user's own come first.
    own = idx_folder(tmp_path / "own", parts=1)
    (own / TRAIN[0]).write_bytes(idx(255 - GREYS[:30]))
    options = mnist_source.Options(data_dir=own, valid=0.5)
    data = mnist_source.load_idx_set(source, options)
    assert not pool(data.train) & pool(dataset())
    # Half of them are none.
    (installed / f"{TEST[0]}.gz").unlink()
    with pytest.raises(DataError, match="download is off"):
        mnist_source.load_idx_set(source, mnist_source.Options(download=False))
    # Debian's package has this folder.
    assert mnist_source.FASHION_MNIST.installed == Path("/usr/share/datasets/fashion-mnist")


# --- Downloads


class Server(ThreadingHTTPServer):
    """Serves a folder and counts what is asked for."""

    asked: list[str]


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    served = idx_folder(tmp_path / "served", packed=True)
    with Server(("127.0.0.1", 0), partial(Handler, directory=str(served))) as own:
        own.asked = []
        thread = threading.Thread(target=own.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield own
        own.shutdown()
        thread.join()


@pytest.fixture
def source(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mnist_source.IdxSet:
    """MNIST as the server has it; the first mirror is down."""
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path / "cache")
    hashes = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "served").iterdir()
    }
    mirrors = (closed(), f"http://127.0.0.1:{server.server_port}/")
    return mnist_source.IdxSet(downloads.Published("mnist", mirrors, hashes), CLASSES, "x")


def loaded(source: mnist_source.IdxSet, **options: Any) -> Data:
    return mnist_source.load_idx_set(source, mnist_source.Options(**options))


def not_loaded(source: mnist_source.IdxSet, words: str, **options: Any) -> str:
    with pytest.raises(DataError, match=words) as caught:
        loaded(source, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_files_are_downloaded_once(
    source: mnist_source.IdxSet, server: Server, tmp_path: Path
) -> None:
    not_loaded(source, "mnist is not on this computer, and download is off: put", download=False)
    assert server.asked == []
    data = loaded(source, valid=0.5)
    assert server.asked == [f"/{name}.gz" for name in TRAIN]
    assert pool(data.train, data.valid) == pool(Dataset(GREYS[:30, None], TWO[:30], ("a", "b")))
    # What is there already is not downloaded again.
    data = loaded(source)
    assert server.asked == [f"/{name}.gz" for name in TRAIN + TEST]
    np.testing.assert_array_equal(data.valid.images, GREYS[30:, None])
    for download in (True, False):
        np.testing.assert_array_equal(loaded(source, download=download).valid.labels, TWO[30:])
    assert len(server.asked) == 4
    kept = sorted(path.name for path in (tmp_path / "cache" / "mnist").iterdir())
    assert kept == sorted(f"{name}.gz" for name in TRAIN + TEST)


def test_a_file_of_the_cache_that_was_changed_is_downloaded_again(
    source: mnist_source.IdxSet, server: Server, tmp_path: Path
) -> None:
    loaded(source)
    path = tmp_path / "cache" / "mnist" / f"{TRAIN[0]}.gz"
    path.write_bytes(path.read_bytes()[:-3])
    not_loaded(source, "download is off", download=False)
    np.testing.assert_array_equal(loaded(source).train.images, GREYS[:30, None])
    assert server.asked[4:] == [f"/{TRAIN[0]}.gz"]


def test_another_file_than_was_published_is_refused(
    source: mnist_source.IdxSet, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "served" / f"{TRAIN[1]}.gz").write_bytes(gzip.compress(idx(1 - TWO[:30])))
    message = not_loaded(
        source,
        rf"cannot download {TRAIN[1]}\.gz of mnist: 127\.0\.0\.1:\d+ cannot be reached, "
        r"127\.0\.0\.1:\d+ has another file \(of another SHA-256\): with a connection try again",
    )
    for words in ("--data-dir", source.published.mirrors[0], *TRAIN, *TEST):
        assert words in message
    # It is not kept; the one that arrived whole is.
    kept = [path.name for path in (tmp_path / "cache" / "mnist").iterdir()]
    assert kept == [f"{TRAIN[0]}.gz"]


def test_a_mirror_without_the_file_says_so(source: mnist_source.IdxSet, tmp_path: Path) -> None:
    (tmp_path / "served" / f"{TRAIN[0]}.gz").unlink()
    not_loaded(source, r"127\.0\.0\.1:\d+ answers 404")


def test_a_mirror_that_does_not_answer_says_so(
    source: mnist_source.IdxSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pooch
    import requests

    def late(*_: Any, **__: Any) -> None:
        raise requests.ReadTimeout("late")

    monkeypatch.setattr(pooch, "retrieve", late)
    not_loaded(source, "does not answer in time, .* does not answer in time: with a connection")


def test_without_a_connection_it_is_said_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path / "cache")
    address = closed()
    hashes = dict.fromkeys((f"{name}.gz" for name in TRAIN + TEST), "0" * 64)
    source = mnist_source.IdxSet(downloads.Published("mnist", (address,), hashes), CLASSES, "x")
    message = not_loaded(source, "cannot be reached: with a connection try again, or put")
    assert f"from {address} into a folder and give it with --data-dir" in message
    assert TEST[1] in message
    assert TEST[1] not in not_loaded(source, "cannot be reached", valid=0.2)


def test_a_cache_that_cannot_be_written_is_named(
    source: mnist_source.IdxSet, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("")
    not_loaded(
        source, f"cannot write {TRAIN[0]}.gz into {re.escape(str(tmp_path / 'cache' / 'mnist'))}"
    )


def test_published_files_have_hashes_and_addresses() -> None:
    for source in (mnist_source.MNIST, mnist_source.FASHION_MNIST):
        assert list(source.published.hashes) == [f"{name}.gz" for name in TRAIN + TEST]
        assert all(re.fullmatch("[0-9a-f]{64}", own) for own in source.published.hashes.values())
        assert all(re.fullmatch("https?://.*/", own) for own in source.published.mirrors)
        assert len(source.classes) == 10
    assert "sheetconv" in str(downloads.cache_folder())


# --- Folders of class folders


def picture(path: Path, pixels: np.ndarray, **options: Any) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def class_folders(folder: Path, count: int = 3) -> Path:
    for name, first in (("dog", 0), ("cat", 10)):
        for number in range(count):
            picture(folder / name / f"{number}.png", GREYS[first + number])
    return folder


def test_folders_are_classes_and_pixels_stay_bytes(tmp_path: Path) -> None:
    data = load_data(class_folders(tmp_path), valid=0.3, seed=1)
    assert (data.name, data.train.classes) == (str(tmp_path), ("cat", "dog"))
    assert (data.train.images.dtype, data.train.scale) == (np.uint8, 1 / 255)
    expected = Dataset(
        np.concatenate([GREYS[10:13], GREYS[:3]])[:, None], np.repeat([0, 1], 3), ("cat", "dog")
    )
    assert pool(data.train, data.valid) == pool(expected)
    assert data.valid.labels.tolist() == [0, 1]


@pytest.mark.parametrize("name", ["valid", "validation", "val", "test", "Val"])
def test_a_folder_may_be_split_already(tmp_path: Path, name: str) -> None:
    class_folders(tmp_path / "train")
    picture(tmp_path / name / "cat" / "a.png", GREYS[20])
    data = load_data(tmp_path)
    assert len(data.train) == 6
    np.testing.assert_array_equal(data.valid.images, GREYS[20:21, None])
    assert data.valid.labels.tolist() == [0]
    assert len(load_data(tmp_path, valid=0.3).train) == 4
    picture(tmp_path / name / "cta" / "a.png", GREYS[20])
    refused(tmp_path, "cta is named as no class for training: expected cat, dog")


def test_of_two_parts_the_one_for_validation_counts(tmp_path: Path) -> None:
    class_folders(tmp_path / "train")
    picture(tmp_path / "test" / "cat" / "a.png", GREYS[20])
    picture(tmp_path / "val" / "cat" / "a.png", GREYS[21])
    np.testing.assert_array_equal(load_data(tmp_path).valid.images, GREYS[21:22, None])


def test_a_training_part_alone_is_split(tmp_path: Path) -> None:
    class_folders(tmp_path / "train")
    data = load_data(tmp_path, valid=0.3)
    assert (len(data.train), len(data.valid), data.train.classes) == (4, 2, ("cat", "dog"))


def test_trains_may_be_a_class(tmp_path: Path) -> None:
    for name in ("train", "test"):
        for number in range(2):
            picture(tmp_path / name / f"{number}.png", GREYS[number])
    assert load_data(tmp_path).train.classes == ("test", "train")


def test_pictures_are_resized_and_get_the_channels_of_the_network(tmp_path: Path) -> None:
    for name, grey in (("a", 51), ("b", 204)):
        for size in ((12, 10), (6, 5)):
            picture(tmp_path / name / f"{size}.png", np.full(size, grey, np.uint8))
    data = load_data(tmp_path, image_shape=(3, 4, 4), valid=0.5)
    assert data.train.image_shape == (3, 4, 4)
    for part in (data.train, data.valid):
        np.testing.assert_array_equal(part.images[:, 0, 0, 0], [51, 204])
        assert (np.ptp(part.images, axis=(1, 2, 3)) == 0).all()
    refused(tmp_path, r"of the shape \(4, 8, 8\) are asked for: pictures", image_shape=(4, 8, 8))
    data = load_data(class_folders(tmp_path / "x"), image_shape=(30,))
    assert data.train.image_shape == (30,)
    refused(tmp_path / "x", r"shape \(1, 6, 5\), 30 numbers: expected \(31,\)", image_shape=(31,))


def test_colours_in_one_picture_make_three_channels_of_all(tmp_path: Path) -> None:
    class_folders(tmp_path)
    assert load_data(tmp_path).train.image_shape == (1, 6, 5)
    colours = picture(tmp_path / "cat" / "9.png", RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8))
    data = load_data(tmp_path)
    assert data.train.image_shape == (3, 6, 5)
    together = np.concatenate([data.train.images, data.valid.images])
    assert any((image == np.moveaxis(colours, -1, 0)).all() for image in together)
    assert any((image == GREYS[0]).all() for image in together)


def test_the_cameras_orientation_is_applied(tmp_path: Path) -> None:
    class_folders(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(tmp_path / "cat" / "9.png", np.rot90(GREYS[5]), exif=exif)
    together = pool(load_data(tmp_path).train, load_data(tmp_path).valid)
    assert GREYS[5].tobytes() in {image for image, _ in together}
    # Without it, the picture has another size.
    picture(tmp_path / "cat" / "9.png", np.rot90(GREYS[5]))
    refused(tmp_path, r"9\.png has 5 x 6 pixels, and .*0\.png 6 x 5")


def test_what_is_hidden_or_left_behind_is_passed_over(tmp_path: Path) -> None:
    class_folders(tmp_path)
    before = load_data(tmp_path)
    for name in (".DS_Store", "cat/.hidden", "cat/Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    after = load_data(tmp_path)
    np.testing.assert_array_equal(after.train.images, before.train.images)
    (tmp_path / "cat" / "notes.txt").write_text("x")
    refused(tmp_path, r"notes\.txt is not a picture that can be read: save it as \.png, or move")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("cat/0.png", b"\x89PNG\r\n\x1a\n", r"0\.png is not a picture that can be read"),
        ("cat/x.csv", b"1,2", r"x\.csv holds numbers and is no picture"),
        ("cat/x.npy", b"1,2", r"x\.npy holds numbers and is no picture"),
        ("x.png", b"", r"x\.png stands beside the folders of classes: move it into one"),
        (TRAIN[0], b"", "stands beside .* train with mnist .* --data-dir$"),
        ("cat/more/x.png", b"", "more is a folder within a class folder"),
        ("bird/.hidden", b"", "the class folder .*bird holds no pictures"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    path = class_folders(tmp_path) / name
    load_data(tmp_path)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    refused(tmp_path, words)


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    path = class_folders(tmp_path) / "dog" / "2.png"
    path.write_bytes(path.read_bytes()[:-30])
    for shape in (None, (1, 3, 3)):
        assert str(path) in refused(tmp_path, image_shape=shape)


def test_sizes_that_differ_are_named(tmp_path: Path) -> None:
    class_folders(tmp_path)
    picture(tmp_path / "dog" / "1.png", GREYS[0, :4])
    message = refused(tmp_path, r"1\.png has 4 x 5 pixels, and .*0\.png 6 x 5")
    assert "give image_shape" in message


def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    class_folders(tmp_path)
    for side in (8_000, 12_000, 30_000):
        # A header, and no pixels.
        header = struct.pack(">4sIIBBBBB", b"IHDR", side, side, 8, 0, 0, 0, 0)
        chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        body = struct.pack(">I4sI", 0, b"IDAT", zlib.crc32(b"IDAT"))
        (tmp_path / "dog" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + body)
        for shape in (None, (1, 6, 5)):
            refused(tmp_path, r"1\.png has more than 50,000,000 pixels", image_shape=shape)


def test_folders_without_classes_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, "holds no folders: expected two or more folders")
    picture(tmp_path / "cat" / "0.png", GREYS[0])
    refused(tmp_path, "holds the folder cat only: expected two or more")
    picture(tmp_path / "dog" / "0.png", GREYS[0])
    refused(tmp_path, "the class 'cat' has only one example")
    class_folders(tmp_path / "split" / "train")
    (tmp_path / "split" / "val").mkdir()
    refused(tmp_path / "split", "val holds no class folders: expected pictures for validation")


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed_folder(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", closed_folder)
    refused(tmp_path, f"cannot read the folder {re.escape(str(tmp_path))}: Permission denied")


def test_ink_on_paper_is_inverted(tmp_path: Path) -> None:
    class_folders(tmp_path)
    plain, inverted = load_data(tmp_path), load_data(tmp_path, invert=True)
    np.testing.assert_array_equal(inverted.train.images, 255 - plain.train.images)
    assert not (inverted.train.images == plain.train.images).all()


# --- .npz files


def npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize(
    ("images", "shape", "scale"),
    [
        (GREYS, (1, 6, 5), 1 / 255),
        (GREYS[:, None], (1, 6, 5), 1 / 255),
        (GREYS.reshape(40, 30), (30,), 1 / 255),
        (np.asfortranarray(GREYS), (1, 6, 5), 1 / 255),
        (GREYS.astype(np.int64), (1, 6, 5), 1 / 255),
        (GREYS > 9, (1, 6, 5), 1.0),
        ((GREYS > 9).astype(np.uint8), (1, 6, 5), 1.0),
        (GREYS / 255, (1, 6, 5), 1.0),
        (GREYS.astype(np.float32), (1, 6, 5), 1.0),
        (GREYS.astype(np.float16), (1, 6, 5), 1.0),
        (GREYS.astype(">f8"), (1, 6, 5), 1.0),
        (GREYS.astype(np.int16) - 1, (1, 6, 5), 1.0),
        (GREYS.astype(np.uint16) * 257, (1, 6, 5), 1.0),
    ],
)
def test_arrays_of_every_kind(
    tmp_path: Path, images: np.ndarray, shape: tuple[int, ...], scale: float, packed: bool
) -> None:
    save = np.savez_compressed if packed else np.savez
    save(tmp_path / "a.npz", images=images, labels=TWO)
    data = load_data(tmp_path / "a.npz", valid=0.25)
    kind = {"f": np.float32 if images.itemsize <= 4 else np.float64}.get(images.dtype.kind)
    if kind is None:
        kind = np.uint8 if images.min() >= 0 and images.max() <= 255 else np.float64
    assert data.train.images.dtype == kind
    assert (data.train.image_shape, data.train.scale) == (shape, scale)
    assert data.train.classes == ("0", "1")
    expected = Dataset(images.reshape(40, *shape).astype(kind), TWO, ("0", "1"))
    assert pool(data.train, data.valid) == pool(expected)
    assert (len(data.train), len(data.valid)) == (30, 10)


@pytest.mark.parametrize(
    "names",
    [
        ("images", "labels", "valid_images", "valid_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    ],
)
def test_an_npz_file_may_have_its_own_part_for_validation(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    arrays = dict(zip(names, (GREYS[:30], TWO[:30], GREYS[30:], TWO[30:]), strict=True))
    path = npz(tmp_path, **arrays, extra=np.zeros(3))
    data = load_data(path)
    np.testing.assert_array_equal(data.train.images, GREYS[:30, None])
    np.testing.assert_array_equal(data.valid.images, GREYS[30:, None])
    np.testing.assert_array_equal(data.valid.labels, TWO[30:])
    assert len(load_data(path, valid=0.5).train) == 14
    for name in names:
        rest = {key: value for key, value in arrays.items() if key != name}
        refused(npz(tmp_path, **rest), rf"a\.npz holds no array '{name}': it holds ")


def test_classes_have_names(tmp_path: Path) -> None:
    path = npz(tmp_path, images=GREYS, labels=TWO, classes=["cat", "dog", "bird"])
    assert load_data(path).train.classes == ("cat", "dog", "bird")
    words = np.array(["dog", "cat"])[TWO]
    path = npz(tmp_path, images=GREYS, labels=words)
    data = load_data(path)
    assert data.train.classes == ("cat", "dog")
    assert pool(data.train, data.valid) == pool(dataset_of(1 - TWO))
    path = npz(tmp_path, images=GREYS, labels=words, classes=["dog", "cat"])
    data = load_data(path)
    assert pool(data.train, data.valid) == pool(dataset_of(TWO))
    path = npz(tmp_path, images=GREYS, labels=words, classes=["cat", "bird"])
    refused(path, r"labels\[0\] is 'dog', which is none of the classes.*[kK]nown are cat, bird")


def dataset_of(labels: np.ndarray) -> Dataset:
    return Dataset(GREYS[:, None], labels, ("a", "b"))


def test_numbers_without_names_are_their_own_names(tmp_path: Path) -> None:
    """3 and 7, as in the book's first data set: two classes and not eight."""
    arrays = {"images": GREYS, "labels": TWO * 4 + 3}
    own = {"valid_images": GREYS[:6], "valid_labels": [7, 3, 7, 3, 3, 3]}
    data = load_data(npz(tmp_path, **arrays, **own))
    assert data.train.classes == ("3", "7")
    np.testing.assert_array_equal(data.train.labels, TWO)
    assert data.valid.labels.tolist() == [1, 0, 1, 0, 0, 0]
    own["valid_labels"] = [7, 3, 7, 3, 3, 4]
    refused(npz(tmp_path, **arrays, **own), r"valid_labels\[5\] is '4', which is none of the")
    refused(npz(tmp_path, **arrays, classes=["a", "b"]), r"labels\[0\] is 3: expected 0 to 1")


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.float64, np.int64])
def test_columns_of_0_and_1_are_several_labels(tmp_path: Path, dtype: type) -> None:
    labels = RNG.integers(0, 2, (40, 3)).astype(dtype)
    data = load_data(npz(tmp_path, images=GREYS, labels=labels, classes=["x", "y", "z"]))
    assert data.train.is_multi_label
    assert (data.train.labels.dtype, data.train.classes) == (np.uint8, ("x", "y", "z"))
    whole = Dataset(GREYS[:, None], labels.astype(np.uint8), ("x", "y", "z"))
    assert pool(data.train, data.valid) == pool(whole)
    assert load_data(npz(tmp_path, images=GREYS, labels=labels)).train.classes == ("0", "1", "2")


def test_one_column_of_numbers_of_classes_is_none_of_labels(tmp_path: Path) -> None:
    data = load_data(npz(tmp_path, images=GREYS, labels=TWO[:, None] + 1))
    assert not data.train.is_multi_label
    assert data.train.classes == ("1", "2")
    assert load_data(npz(tmp_path, images=GREYS, labels=TWO[:, None])).train.is_multi_label


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": TWO[:-1]}, "images holds 40 images and .*labels 39 labels"),
        ({"labels": TWO * 0}, "labels has only one class, '0'"),
        ({"labels": TWO * 0, "classes": ["a", "b"]}, "labels has only one class, 'a'"),
        ({"labels": np.where(TWO, 0.5, 1)}, r"labels\[1\] is 0.5: expected a whole number"),
        ({"labels": np.where(TWO, np.nan, 1)}, r"labels\[1\] is nan: expected a whole number"),
        ({"labels": np.full((40, 2), 5)}, r"labels\[0, 0\] is 5: expected \(N,\) numbers of"),
        ({"labels": TWO[:, None, None]}, r"labels has the shape \(40, 1, 1\): expected"),
        ({"labels": np.array([["a", "b"]] * 40)}, r"labels has the shape \(40, 2\): expected"),
        ({"labels": TWO * 2.0**60}, r"labels holds numbers beyond 2\*\*53"),
        ({"labels": TWO + 0j}, "labels holds complex128: expected numbers, or texts"),
        ({"labels": np.arange(40)}, "the class '0' has only one example"),
        ({"classes": ["a"]}, r"labels\[1\] is 1: expected 0 to 0"),
        ({"classes": ["a", "a"]}, "labels: classes has 'a' twice"),
        ({"classes": [["a", "b"]]}, r"classes has the shape \(1, 2\) .* a list of names"),
        ({"classes": [0.5, 1.5]}, "classes .* holds float64: expected a list of names"),
        ({"labels": np.eye(40, 3), "classes": ["a", "b"]}, "labels has 3 columns: expected 2"),
        ({"images": GREYS[:0], "labels": TWO[:0]}, "labels is empty"),
        ({"images": TWO}, r"images has the shape \(40,\): expected \(N, height, width\)"),
        ({"images": GREYS[:, :0]}, r"images has the shape \(40, 1, 0, 5\): expected"),
        ({"images": np.where(GREYS > 254, np.nan, 1)}, r"images\[\d+, \d+, \d+\] is nan: expected"),
        ({"images": np.full((40, 4), np.inf)}, r"images\[0, 0\] is inf: expected finite numbers"),
        ({"images": np.full((40, 4), "a")}, "images holds <U1: expected uint8 or floats"),
        ({"valid_images": GREYS[:0], "valid_labels": TWO[:0]}, "valid_images is empty"),
        ({"valid_images": GREYS[:5], "valid_labels": TWO[:4]}, "valid_images holds 5 .* 4 labels"),
        ({"valid_images": GREYS[:, :3], "valid_labels": TWO}, "valid_images differ in their shape"),
        ({"valid_images": GREYS / 2, "valid_labels": TWO}, "valid_images differ in their type"),
        (
            {"valid_images": GREYS, "valid_labels": np.eye(2, dtype=int)[TWO]},
            "valid_images differ in their number of labels",
        ),
    ],
)
def test_arrays_that_cannot_be_used_are_named(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    assert str(tmp_path / "a.npz") in refused(
        npz(tmp_path, **({"images": GREYS, "labels": TWO} | change)), words
    )


def test_channels_that_seem_to_be_last(tmp_path: Path) -> None:
    colours = RNG.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
    path = npz(tmp_path, images=colours, labels=TWO)
    refused(path, r"shape \(40, 6, 5, 3\), in which the channels seem to be last: expected")
    data = load_data(path, image_shape=(3, 6, 5))
    whole = Dataset(np.moveaxis(colours, -1, 1), TWO, ("a", "b"))
    assert pool(data.train, data.valid) == pool(whole)
    assert load_data(path, image_shape=(6, 5, 3)).train.image_shape == (6, 5, 3)
    refused(path, r"shape \(6, 5, 3\), 90 numbers: expected \(3, 5, 6\)", image_shape=(3, 5, 6))


def test_lists_of_pixels_are_brought_into_shape(tmp_path: Path) -> None:
    path = npz(tmp_path, images=GREYS.reshape(40, 30), labels=TWO)
    data = load_data(path, image_shape=(1, 6, 5))
    assert pool(data.train, data.valid) == pool(dataset_of(TWO))
    assert data.train.image_shape == (1, 6, 5)
    refused(path, r"shape \(30,\), 30 numbers: expected \(1, 6, 6\)", image_shape=(1, 6, 6))
    assert load_data(npz(tmp_path, images=GREYS, labels=TWO), image_shape=(30,)).train.image_shape


def test_misspelt_arrays_are_named(tmp_path: Path) -> None:
    path = npz(tmp_path, image=GREYS, labels=TWO)
    refused(path, "holds no array 'images': it holds image, labels; 'image' is there: misspelt")
    refused(npz(tmp_path, a=GREYS), "holds no arrays 'images' and 'labels', nor .*: it holds a$")
    refused(npz(tmp_path), "it holds nothing")


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    array = np.empty(40, dtype=object)
    array[:] = [Bomb()] * 40
    path = tmp_path / "a.npz"
    np.savez(path, images=GREYS, labels=array)
    refused(path, "labels holds pickled objects, which are never loaded")
    path.write_bytes(pickle.dumps(array))
    refused(path, "is not an .npz file of arrays")
    assert not (tmp_path / "exploded").exists()
    with (
        np.load(npz(tmp_path, labels=array), allow_pickle=True) as arrays,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        assert arrays["labels"] is not None
    assert (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["images", "labels"])
@pytest.mark.parametrize("change", [-1, +1, None])
def test_arrays_that_promise_what_is_not_there(
    tmp_path: Path, name: str, change: int | None
) -> None:
    path = npz(tmp_path, images=GREYS, labels=TWO)
    with zipfile.ZipFile(path) as archive:
        members = {own: archive.read(own) for own in archive.namelist()}
    data = members[f"{name}.npy"]
    if change == -1:
        data = data[:-1]
    elif change:
        data += b"\0"
    else:
        data = data.replace(b"(40,", b"(9999999999999,", 1)
    members[f"{name}.npy"] = data
    with zipfile.ZipFile(path, "w") as archive:
        for own, content in members.items():
            archive.writestr(own, content)
    refused(path, rf"is not an \.npz file of arrays: {name} has the shape|EOF|header|parse")


def test_files_that_are_no_npz_file(tmp_path: Path) -> None:
    path = npz(tmp_path, images=GREYS, labels=TWO)
    whole = path.read_bytes()
    for data in (whole[:-40], whole[:200], b"x", whole[:60] + b"\xff\xff" + whole[62:]):
        path.write_bytes(data)
        refused(path, r"a\.npz is not an \.npz file of arrays: ")
    path.write_bytes(b"")
    refused(path, r"a\.npz is an empty file")


# --- .csv files


def csv(folder: Path, text: str) -> Path:
    (folder / "a.csv").write_bytes(text.encode())
    return folder / "a.csv"


def table(images: np.ndarray, labels: Any, label: str = "label", mark: str = ",") -> str:
    flat = images.reshape(len(images), -1)
    rows = [mark.join([label, *(f"pixel{n}" for n in range(flat.shape[1]))])]
    rows += [
        mark.join([str(name), *map(str, row)])
        for name, row in zip(labels, flat.tolist(), strict=True)
    ]
    return "\n".join(rows) + "\n"


SQUARES = RNG.integers(0, 256, (40, 5, 5), dtype=np.uint8)


def test_bytes_of_a_table_stay_bytes(tmp_path: Path) -> None:
    data = load_data(csv(tmp_path, table(SQUARES, TWO)), valid=0.25)
    assert (data.train.images.dtype, data.train.scale) == (np.uint8, 1 / 255)
    assert data.train.image_shape == (1, 5, 5)
    assert data.train.classes == ("0", "1")
    whole = Dataset(SQUARES[:, None], TWO, ("0", "1"))
    assert pool(data.train, data.valid) == pool(whole)


@pytest.mark.parametrize(
    ("images", "dtype", "scale"),
    [
        (SQUARES / 255, np.float64, 1.0),
        (SQUARES.astype(int) - 1, np.float64, 1.0),
        (SQUARES.astype(int) + 1, np.float64, 1.0),
        (SQUARES.astype(float), np.uint8, 1 / 255),
        ((SQUARES > 9).astype(int), np.uint8, 1.0),
    ],
)
def test_other_numbers_of_a_table_stay_as_they_are(
    tmp_path: Path, images: np.ndarray, dtype: type, scale: float
) -> None:
    data = load_data(csv(tmp_path, table(images, TWO)))
    assert (data.train.images.dtype, data.train.scale) == (dtype, scale)
    whole = Dataset(images[:, None].astype(dtype), TWO, ("0", "1"))
    assert pool(data.train, data.valid) == pool(whole)


def test_a_table_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes at first, then something else: in every order all numbers are the same."""
    images = SQUARES.astype(np.float64)
    for place in (None, 0, 20, 39):
        own = images.copy()
        if place is not None:
            own[place, 2, 2] = 0.5
        path = csv(tmp_path, table(own, TWO))
        for cells in (26, 26 * 7, 2**22):
            monkeypatch.setattr(csv_files, "_CELLS", cells)
            data = load_data(path)
            kind = np.uint8 if place is None else np.float64
            whole = Dataset(own[:, None].astype(kind), TWO, ("0", "1"))
            assert pool(data.train, data.valid) == pool(whole)


@pytest.mark.parametrize("label", ["label", "class", "target", "digit", "y", "Label", " Class "])
def test_the_column_of_the_label_is_found(tmp_path: Path, label: str) -> None:
    data = load_data(csv(tmp_path, table(SQUARES, TWO, label)))
    assert data.train.image_shape == (1, 5, 5)
    assert data.train.classes == ("0", "1")


def test_the_column_of_the_label_may_stand_anywhere(tmp_path: Path) -> None:
    text = "a,kind,y\n" + "0,cat,255\n" * 3 + "51,dog,0\n" * 3
    data = load_data(csv(tmp_path, text), label="kind", valid=0.3)
    assert data.train.classes == ("cat", "dog")
    np.testing.assert_array_equal(data.train.images, [[0, 255]] * 2 + [[51, 0]] * 2)
    # Without a word, it is the one called y.
    refused(csv(tmp_path, text), "row 2, column 'kind' is 'cat': expected a finite number")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([7, 3], ("3", "7")),
        (["7.0", "3.0"], ("3", "7")),
        ([10, 9], ("9", "10")),
        (["b", "10"], ("10", "b")),
        (["None", "NA"], ("NA", "None")),
        ([" dog", "cat "], ("cat", "dog")),
        (["Käse", "年"], ("Käse", "年")),
    ],
)
def test_labels_are_numbers_or_words(
    tmp_path: Path, labels: list[Any], classes: tuple[str, ...]
) -> None:
    data = load_data(csv(tmp_path, table(SQUARES, labels * 20)))
    assert data.train.classes == classes
    first = 0 if str(labels[0]).strip().removesuffix(".0") == classes[0] else 1
    whole = Dataset(SQUARES[:, None], np.array([first, 1 - first] * 20), ("a", "b"))
    assert pool(data.train, data.valid) == pool(whole)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["", "mark"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_tables_of_other_programs(tmp_path: Path, mark: str, start: str, end: str) -> None:
    text = start + table(SQUARES / 4, TWO, mark=mark).replace("\n", end)
    if mark != ",":
        text = text.replace(".", ",")
    data = load_data(csv(tmp_path, text))
    whole = Dataset(SQUARES[:, None] / 4, TWO, ("0", "1"))
    assert pool(data.train, data.valid) == pool(whole)


def test_columns_are_a_square_features_or_what_is_asked_for(tmp_path: Path) -> None:
    for images, shape, asked in (
        (SQUARES, (1, 5, 5), None),
        (SQUARES, (25,), (25,)),
        (SQUARES[:, :4], (20,), None),
        (SQUARES[:, :4], (1, 4, 5), (1, 4, 5)),
        (SQUARES[:, :4], (5, 2, 2), (5, 2, 2)),
        (SQUARES[:, :2, :2], (4,), None),
        (SQUARES[:, :4, :4], (1, 4, 4), None),
    ):
        path = csv(tmp_path, table(images, TWO))
        data = load_data(path, image_shape=asked)
        assert data.train.image_shape == shape
        whole = Dataset(images.reshape(40, *shape), TWO, ("0", "1"))
        assert pool(data.train, data.valid) == pool(whole)
    refused(path, r"shape \(16,\), 16 numbers: expected \(1, 5, 5\)", image_shape=(1, 5, 5))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "has no column label, .* or y for the label: say .*--label .* names a, b$"),
        (f"{','.join('abcdefghij')}\n", "first row names a, b, c, d, e, f, g, h, ...$"),
        ("5,0,255\n4,1,2\n", "has no column label"),
        ("class,y,a\n1,2,3\n", "class and y may both be the label: say which"),
        ("label\n1\n2\n", "has the column 'label' only"),
        (",label,a\n0,1,2\n", "column 1 has no name: name it, or take it out"),
        ("label,a\n", "has no rows below"),
        ("label,a,b\n1,2,3\n0,,5\n", "row 3, column 'a' is empty: expected a finite number"),
        ("label,a,b\n1,2,3\n0,4,x\n", "row 3, column 'b' is 'x': expected a finite number"),
        ("label,a,b\n1,2,3\n0,4,nan\n", "row 3, column 'b' is .*nan.*: expected a finite number"),
        ("label,a,b\n1,2,3\n0,4,-inf\n", "row 3, column 'b' is .*inf.*: expected a finite"),
        ("label,a,b\n1,2,3\n0,4,NA\n", "row 3, column 'b' is 'NA'"),
        ("label,a,b\n1,2,3\n0,4\n", "row 3, column 'b' is"),
        ("label,a,b\n1,2,3\n0,True,3\n", "row 3, column 'a' is 'True'"),
        ("label,a,b\n1,True,3\n0,True,3\n", "row 2, column 'a' is .*True"),
        ("label,a,b\n1,2,3\n0,1,2,3\n", "is not a .csv file of pixels: .*line 3"),
        ("label,a,b\n1,2,3,4\n0,1,2,3\n", "is not a .csv file of pixels: "),
        ("label,a,b\n1,2,3\n,1,2\n", "row 3, column 'label' is empty or NaN"),
        ("label,a,b\n1,2,3\nNaN,1,2\n", "row 3, column 'label' is empty or NaN"),
        (f"label,a,b\n1,2,3\n{'x' * 999},1,2\n", "row 3, .* is 999 characters long: expected"),
        ("label,a,b\n1,2,3\n0.5,1,2\n", "row 3, column 'label' is '0.5': expected a whole number"),
        ("label,a,b\n1,2,3\ninf,1,2\n", "row 3, column 'label' is 'inf'"),
        ("label,a,b\n1,2,3\n1,1,2\n", "column 'label' has only one class, '1'"),
        ("label,a,b\n1,2,3\n0,1,2\n", "the class '0' has only one example"),
        ("", "is an empty file"),
        ("\n\n", "is not a .csv file of pixels: "),
        ("label,a\n1,2\0,3\n", "row 2|is not a .csv file"),
    ],
)
def test_tables_that_cannot_be_used_are_named(tmp_path: Path, text: str, words: str) -> None:
    assert str(tmp_path / "a.csv") in refused(csv(tmp_path, text), words)


def test_rows_are_counted_across_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "_CELLS", 26 * 7)
    rows = table(SQUARES, TWO).splitlines()
    for row in (2, 8, 9, 41):
        spoilt = rows.copy()
        spoilt[row - 1] = spoilt[row - 1].rsplit(",", 1)[0] + ",x"
        path = csv(tmp_path, "\n".join(spoilt))
        refused(path, f"row {row}, column 'pixel24' is 'x'")
        spoilt[row - 1] = rows[row - 1].split(",", 1)[1].join([",", ""])
        refused(csv(tmp_path, "\n".join(spoilt)), f"row {row}, column 'label' is empty")


def test_a_column_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    path = csv(tmp_path, table(SQUARES[:, :1], TWO, "class"))
    load_data(path)
    refused(path, "has no column 'klass': did you mean class", label="klass")


# --- From arrays, and in general


def test_arrays_of_python() -> None:
    data = Data.from_arrays(GREYS.tolist(), TWO.tolist(), ["cat", "dog"], 0.25, 3)
    assert (data.name, data.train.scale, data.train.images.dtype) == ("arrays", 1 / 255, np.uint8)
    assert (data.train.classes, len(data.valid)) == (("cat", "dog"), 10)
    assert pool(data.train, data.valid) == pool(dataset_of(TWO))
    data = Data.from_arrays(GREYS[:30], TWO[:30], valid=(GREYS[30:], TWO[30:]), name="mine")
    assert np.shares_memory(data.train.images, GREYS)
    np.testing.assert_array_equal(data.valid.images, GREYS[30:, None])
    scaled = Data.from_arrays(GREYS // 16, TWO, scale=1 / 15, image_shape=[30])
    assert (scaled.train.scale, scaled.train.image_shape) == (1 / 15, (30,))


def test_arrays_of_pandas_and_pytorch() -> None:
    import pandas as pd
    import torch

    words = pd.Series(np.array(["dog", "cat"])[TWO])
    data = Data.from_arrays(torch.from_numpy(GREYS.copy()), words)
    assert data.train.classes == ("cat", "dog")
    assert pool(data.train, data.valid) == pool(dataset_of(1 - TWO))
    refused_arrays("images is not an array of numbers", torch.zeros(40, 4, requires_grad=True), TWO)


def test_both_parts_are_on_one_scale() -> None:
    dark = (GREYS > 300).astype(np.uint8)
    for one, other in ((GREYS, dark), (dark, GREYS)):
        data = Data.from_arrays(one, TWO, valid=(other, TWO))
        assert data.train.scale == data.valid.scale == 1 / 255
    assert Data.from_arrays(dark, TWO, valid=(dark, TWO)).train.scale == 1


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (([[1, 2], [3]], [0, 1]), "arrays: images is not an array of numbers"),
        ((GREYS, [[0], [1, 0]]), "arrays: labels is not an array of labels"),
        ((GREYS, [0, "a", None, 1.5]), "arrays: labels holds object"),
        ((np.array([None] * 4), [0, 1] * 2), "arrays: images holds object: expected uint8"),
        ((GREYS, TWO, "ab"), "labels"),
        ((GREYS, TWO, None, (GREYS,)), "arrays: valid is a tuple of 1: expected a share"),
        ((GREYS, TWO, None, (GREYS, TWO + 1)), "labels of these.*is '2', which is none of"),
        ((GREYS, TWO, None, None), "share for validation is None"),
    ],
)
def test_arrays_that_are_none_are_refused(args: tuple[Any, ...], words: str) -> None:
    refused_arrays(words, *args)


def test_the_users_own_arrays_are_not_changed_by_inversion(tmp_path: Path) -> None:
    path = npz(tmp_path, images=GREYS, labels=TWO)
    plain, inverted = load_data(path), load_data(path, invert=True)
    np.testing.assert_array_equal(inverted.valid.images, 255 - plain.valid.images)
    path = npz(tmp_path, images=GREYS > 9, labels=TWO)
    plain, inverted = load_data(path), load_data(path, invert=True)
    np.testing.assert_array_equal(inverted.valid.images, 1 - plain.valid.images)
    path = npz(tmp_path, images=GREYS / 255, labels=TWO)
    refused(path, "holds float64, numbers that are taken as they are: --invert", invert=True)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("mnsit", "'mnsit' is no file, no folder and no data set: did you mean mnist"),
        ("fashion_mnist", "did you mean fashion-mnist"),
        ("MNIST", "did you mean mnist"),
        ("", "is no|holds"),
        ("x.npz", "'x.npz' is no file"),
        (Path("digits"), "'digits' is no file"),
        (None, "source is None: expected a name or a path"),
        (3, "source is 3"),
    ],
)
def test_unknown_sources_are_refused(
    source: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(source, words)


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name, words in (
        ("a.txt", r"a\.txt is no \.npz or \.csv file and no folder of class folders: give one"),
        (f"{TRAIN[0]}.gz", "for IDX files train with mnist or fashion-mnist and --data-dir"),
    ):
        (tmp_path / name).write_bytes(b"x")
        refused(tmp_path / name, words)


def test_a_folder_that_is_called_as_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "digits")
    assert load_data("digits").name == "digits"
    assert len(load_data("digits").train) > 1000
    for source in ("./digits", Path("digits")):
        assert len(load_data(source, valid=0.3).train) == 4


# --- Memory


@pytest.mark.parametrize("source", ["idx", "folder", "npz", "csv", "csv of floats"])
def test_data_that_do_not_fit_into_memory_are_refused_before_they_are_read(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {}
    given: Any
    if source == "idx":
        given, options = "mnist", {"data_dir": idx_folder(tmp_path)}
        needed, what = 900, rf"{TRAIN[0]}: what it holds"
    elif source == "folder":
        given, needed, what = class_folders(tmp_path), 180, "the pictures"
    elif source == "npz":
        given = npz(tmp_path, images=GREYS, labels=TWO)
        needed, what = 1200 + 320 + 256, "what it holds"
    elif source == "csv":
        given, needed, what = csv(tmp_path, table(SQUARES, TWO)), 42 * 25, "its pixels"
    else:
        given = csv(tmp_path, table(SQUARES / 2, TWO))
        needed, what = 42 * 25 * 8, "its pixels"
    free = needed
    monkeypatch.setattr(memory, "available_memory", lambda: free)
    load_data(given, **options)
    free = needed - 1
    refused(given, f"{what} takes {needed:,} bytes of memory, and {free:,} are", **options)


def test_copies_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1199)
    with pytest.raises(DataError, match=r"splitting the images .* takes 1,200 bytes of memory"):
        split(dataset(), 0.5)
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    split(dataset(), 0.5)


def test_an_array_larger_than_memory_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / TRAIN[0]
    path.write_bytes(bytes([0, 0, 8, 3]) + b"\x7f" * 12)
    with pytest.raises(DataError, match=r"what it holds takes .* bytes of memory"):
        read_idx(path, 3)


def test_what_the_system_says_of_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, allowed = tmp_path / "meminfo", tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_MEMORY", free)
    monkeypatch.setattr(memory, "_CONTAINER", allowed)
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PHYS_PAGES": 7, "SC_PAGE_SIZE": 10}.get)
    assert memory.available_memory() == 70
    free.write_text("MemTotal:  99 kB\nMemAvailable:   3 kB\n")
    assert memory.available_memory() == 3072
    allowed.write_text("max\n")
    assert memory.available_memory() == 3072
    allowed.write_text("2000\n")
    assert memory.available_memory() == 2000
    free.write_text("MemTotal:  99 kB\n")
    assert memory.available_memory() == 2000
    allowed.unlink()
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.available_memory() is None


def test_errors_are_of_the_package() -> None:
    assert issubclass(DataError, SheetconvError)


DIGITS = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
