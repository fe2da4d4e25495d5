"""Images of the user's own: what becomes of pixels, and everything that is refused."""

from __future__ import annotations

import math
import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from sheetconv import Pixels, images, load_image
from sheetconv.errors import ImageError, SheetconvError

GREY, RGB = (1, 4, 4), (3, 4, 4)


def saved(folder: Path, picture: Image.Image, name: str = "x.png", **options: object) -> Path:
    picture.save(folder / name, **options)
    return folder / name


def refused(path: Path, shape: tuple[int, ...] = GREY) -> str:
    """The one line with which a file is refused; it names the file."""
    with pytest.raises(ImageError) as caught:
        load_image(path, shape)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.removeprefix("cannot read ").startswith(str(path))
    return message


def ramp(height: int, width: int) -> np.ndarray:
    """Steps that differ everywhere, from 0 to at most 255."""
    return np.arange(height * width, dtype=np.uint8).reshape(height, width) * 3


# --- Pictures: which number a pixel becomes


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.gif", "x.tif", "x.webp", "x.pgm", "x.PNG"])
def test_a_grey_picture_of_the_right_size_is_taken_pixel_by_pixel(
    name: str, tmp_path: Path
) -> None:
    options = {"lossless": True} if name.endswith("webp") else {}
    path = saved(tmp_path, Image.fromarray(ramp(4, 4)), name, **options)
    image = load_image(path, GREY)
    assert image.dtype == np.float64
    np.testing.assert_array_equal(image, [ramp(4, 4) / 255])


def test_the_name_does_not_decide_which_kind_of_picture_it_is(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(ramp(4, 4)))
    np.testing.assert_array_equal(
        load_image(path.rename(tmp_path / "x.jpg"), GREY), [ramp(4, 4) / 255]
    )


def test_channels_are_red_green_blue(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(pixels))
    np.testing.assert_array_equal(load_image(path, RGB), np.moveaxis(pixels, -1, 0) / 255)


def test_colours_become_grey_with_the_weights_of_itu_601(tmp_path: Path) -> None:
    for colour, share in (((255, 0, 0), 0.299), ((0, 255, 0), 0.587), ((0, 0, 255), 0.114)):
        path = saved(tmp_path, Image.new("RGB", (4, 4), colour))
        np.testing.assert_allclose(load_image(path, GREY), share, atol=0.5 / 255)


def test_greys_fill_three_channels(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(ramp(4, 4)))
    np.testing.assert_array_equal(load_image(path, RGB), [ramp(4, 4) / 255] * 3)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, 255),
        ("L", 51, 51),
        ("LA", (51, 255), 51),
        ("P", 51, 51),
        ("RGB", (51, 51, 51), 51),
        ("RGBA", (51, 51, 51, 255), 51),
        ("CMYK", (0, 0, 0, 204), 51),
        ("YCbCr", (51, 128, 128), 51),
        ("I;16", 51 * 257, 51),
    ],
)
@pytest.mark.parametrize("shape", [GREY, RGB])
def test_every_mode_of_a_picture(
    mode: str, colour: object, expected: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    picture = Image.new(mode, (4, 4), colour)
    if mode == "P":
        picture.putpalette([n for grey in range(256) for n in (grey, grey, grey)])
    path = saved(tmp_path, picture, "x.tif")
    with Image.open(path) as again:
        assert again.mode == mode
    np.testing.assert_allclose(load_image(path, shape), np.full(shape, expected / 255), rtol=1e-7)


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.pgm"])
def test_16_bits_keep_their_steps(name: str, tmp_path: Path) -> None:
    steps = np.array([[0, 1], [30_000, 65_535]], dtype=np.uint16)
    path = saved(tmp_path, Image.fromarray(steps), name)
    np.testing.assert_allclose(load_image(path, (1, 2, 2)), [steps / 65_535], rtol=1e-6)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_are_refused_for_nobody_knows_their_range(mode: str, tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new(mode, (4, 4), 1), "x.tif")
    assert "has pixels of 32 bits" in refused(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_the_camera_is_applied(orientation: int, tmp_path: Path) -> None:
    undo = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
        5: np.transpose, 6: np.rot90, 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1),
    }[orientation]  # fmt: skip
    upright = ramp(3, 4)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo(upright)))
    path = saved(tmp_path, stored, exif=exif)
    np.testing.assert_array_equal(load_image(path, (1, 3, 4)), [upright / 255])


def test_the_first_picture_of_an_animation_is_taken(tmp_path: Path) -> None:
    first, second = Image.new("L", (4, 4), 51), Image.new("L", (4, 4), 204)
    path = saved(tmp_path, first, "x.gif", save_all=True, append_images=[second])
    with Image.open(path) as again:
        assert again.n_frames == 2
    np.testing.assert_array_equal(load_image(path, GREY), np.full(GREY, 0.2))


# --- Transparency


def drawn(ink: int, alpha: int = 255) -> Image.Image:
    """A dot of ink in the corner of a transparent picture."""
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)
    pixels[0, 0] = (ink, ink, ink, alpha)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("picture", "dot", "ground"),
    [
        (drawn(0), 0, 255),
        (drawn(0, alpha=127), 128, 255),
        (drawn(102), 102, 255),
        (drawn(255), 255, 0),
        (drawn(255, alpha=0), 255, 255),
        (Image.new("RGBA", (4, 4), "white"), 255, 255),
    ],
    ids=["black", "half", "grey", "white", "nothing", "opaque"],
)
def test_the_transparent_is_paper_on_which_the_ink_shows(
    picture: Image.Image, dot: int, ground: int, tmp_path: Path
) -> None:
    path = saved(tmp_path, picture)
    for shape in (GREY, RGB):
        expected = np.full(shape, ground)
        expected[:, 0, 0] = dot
        np.testing.assert_array_equal(load_image(path, shape), expected / 255)


def test_a_palette_may_have_a_transparent_colour(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [1, 1]], dtype=np.uint8))
    picture = picture.convert("P")
    picture.putpalette([10, 10, 10, 0, 0, 0])
    path = saved(tmp_path, picture, transparency=1)
    np.testing.assert_array_equal(
        load_image(path, (1, 2, 2)), np.array([[[10, 255], [255, 255]]]) / 255
    )


def test_invisible_colours_do_not_bleed_when_resized(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), dtype=np.uint8)
    pixels[..., 0] = 255
    pixels[2:6, 2:6] = (0, 0, 0, 255)
    red, green, blue = load_image(saved(tmp_path, Image.fromarray(pixels)), RGB)
    np.testing.assert_array_equal(red, green)
    np.testing.assert_array_equal(red, blue)


# --- Size


def test_a_uniform_picture_stays_uniform_in_every_size(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("L", (37, 91), 51))
    for size in ((1, 1), (3, 5), (5, 3), (200, 100)):
        np.testing.assert_array_equal(load_image(path, (1, *size)), np.full((1, *size), 0.2))


def test_the_whole_picture_is_resized(tmp_path: Path) -> None:
    quarters = np.kron([[0, 85], [170, 255]], np.ones((50, 50))).astype(np.uint8)
    image = load_image(saved(tmp_path, Image.fromarray(quarters)), (1, 10, 10))
    for corner, expected in (((0, 0), 0), ((0, -1), 85), ((-1, 0), 170), ((-1, -1), 255)):
        assert image[0][corner] == pytest.approx(expected / 255, abs=0.01)


@pytest.mark.parametrize("bits", [8, 16])
def test_resizing_never_leaves_the_range(bits: int, tmp_path: Path) -> None:
    board = np.kron(np.indices((6, 6)).sum(axis=0) % 2, np.ones((5, 5)))
    kind = {8: np.uint8, 16: np.uint16}[bits]
    path = saved(tmp_path, Image.fromarray((board * (2**bits - 1)).astype(kind)))
    for size in (7, 29, 31, 100):
        image = load_image(path, (1, size, size))
        assert 0 <= image.min() < image.max() <= 1


@pytest.mark.parametrize("turned", [False, True])
def test_proportions_are_kept_and_strips_take_the_colour_of_the_edges(
    turned: bool, tmp_path: Path
) -> None:
    colour = (200, 150, 100)
    page = np.full((40, 80, 3), colour, dtype=np.uint8)
    page[8:32, 24:48] = 0
    page = page.transpose(1, 0, 2) if turned else page
    image = load_image(saved(tmp_path, Image.fromarray(page)), (3, 20, 20)) * 255
    image = image.transpose(2, 1, 0) if turned else image.transpose(1, 2, 0)
    # A quarter of its size, 10 x 20, with strips of 5 above and below.
    for strip in (image[:5], image[15:]):
        np.testing.assert_allclose(strip, np.broadcast_to(colour, strip.shape))
    dark = np.argwhere(image[..., 0] < 100)
    assert (dark.min(axis=0).tolist(), dark.max(axis=0).tolist()) == ([7, 6], [12, 11])


# --- Numbers for pixels


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (Pixels(), [0, 0.2, 1]),
        (Pixels(invert=True), [1, 0.8, 0]),
        (Pixels(0, 255), [0, 51, 255]),
        (Pixels(0, 255, invert=True), [255, 204, 0]),
        (Pixels(-1, 1), [-1, -0.6, 1]),
        (Pixels(1, 0), [1, 0.8, 0]),
        (Pixels(mean=0.2), [-0.2, 0, 0.8]),
        (Pixels(std=0.5), [0, 0.4, 2]),
        (Pixels(mean=[0.2], std=(0.5,)), [-0.4, 0, 1.6]),
        (Pixels(mean=np.float32(0.5), std=np.array([0.25])), [-2, -1.2, 2]),
        (Pixels(0, 255, mean=51, std=51, invert=True), [4, 3, -1]),
    ],
)
def test_pixels_become_numbers(pixels: Pixels, expected: list[float], tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(np.array([[0, 51, 255]], dtype=np.uint8)))
    np.testing.assert_allclose(load_image(path, (1, 1, 3), pixels), [[expected]], atol=1e-15)


def test_every_channel_has_its_own_mean_and_std(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGB", (1, 1), (51, 102, 153)))
    pixels = Pixels(mean=(0.1, 0.2, 0.3), std=(1, 2, 3))
    np.testing.assert_allclose(load_image(path, (3, 1, 1), pixels).ravel(), [0.1, 0.1, 0.1])
    with pytest.raises(ImageError, match=r"mean has 3 numbers: expected one, or .* \(1\)"):
        load_image(path, (1, 1, 1), pixels)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"low": math.nan}, "low is nan: expected a number"),
        ({"high": "1"}, "high is '1'"),
        ({"low": True}, "low is True"),
        ({"low": [0]}, r"low is \[0\]"),
        ({"low": 2, "high": 2.0}, "low and high are both 2.0"),
        ({"mean": "0.5"}, "mean is '0.5'"),
        ({"mean": []}, r"mean is \[\]: expected a number, or one for each channel"),
        ({"mean": [0.1, math.inf]}, "mean is"),
        ({"std": [1, 0]}, r"std is \(1.0, 0.0\): expected numbers above 0"),
        ({"std": -1}, "std is -1.0"),
        ({"std": 10**400}, "std is 1000"),
        ({"invert": 1}, "invert is 1: expected True or False"),
    ],
)
def test_pixels_that_mean_nothing_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        Pixels(**fields)


# --- Arrays


def npy(folder: Path, array: object, name: str = "x.npy") -> Path:
    with (folder / name).open("wb") as stream:
        np.save(stream, np.asarray(array))
    return folder / name


@pytest.mark.parametrize("dtype", ["?", "i1", "<u2", ">i4", "<f2", ">f8", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_taken_as_they_are(dtype: str, order: str, tmp_path: Path) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype, order=order)
    image = load_image(npy(tmp_path, array), (2, 3, 4), Pixels(9, 10, invert=True))
    assert image.dtype == np.float64
    np.testing.assert_array_equal(image, array.astype(float))


@pytest.mark.parametrize(
    ("got", "expected", "how"),
    [
        ((3, 4), (1, 3, 4), lambda a: a[np.newaxis]),
        ((3, 4, 1), (1, 3, 4), lambda a: a.transpose(2, 0, 1)),
        ((3, 4, 2), (2, 3, 4), lambda a: a.transpose(2, 0, 1)),
        ((3, 3, 3), (3, 3, 3), lambda a: a),
        ((1, 2, 3, 4), (2, 3, 4), lambda a: a[0]),
        ((6,), (6,), lambda a: a),
        ((1, 6), (6,), lambda a: a[0]),
    ],
)
def test_shapes_of_arrays_are_adjusted_where_only_one_way_fits(
    got: tuple[int, ...],
    expected: tuple[int, ...],
    how: Callable[[np.ndarray], np.ndarray],
    tmp_path: Path,
) -> None:
    array = np.random.default_rng(0).random(got)
    image = load_image(npy(tmp_path, array), expected)
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, how(array))


@pytest.mark.parametrize(
    ("got", "expected", "message"),
    [
        ((4, 3), (1, 3, 4), "(4, 3): expected (1, 3, 4), (1, 1, 3, 4), (3, 4) or (3, 4, 1)"),
        ((3, 4), (2, 3, 4), "(3, 4): expected (2, 3, 4), (1, 2, 3, 4) or (3, 4, 2)"),
        ((2, 2, 3, 4), (2, 3, 4), "(2, 2, 3, 4): expected"),
        ((), (1, 1, 1), "(): expected (1, 1, 1)"),
        ((5,), (6,), "(5,): expected (6,) or (1, 6)"),
        ((0, 4), (1, 3, 4), "(0, 4): expected"),
    ],
)
def test_other_shapes_are_refused(
    got: tuple[int, ...], expected: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    assert f"has shape {message}" in refused(npy(tmp_path, np.zeros(got)), expected)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    array = np.zeros(GREY)
    array[0, 2, 3] = value
    message = f"holds {value} at (0, 2, 3): expected finite numbers"
    assert message in refused(npy(tmp_path, array))
    np.savetxt(tmp_path / "x.csv", array[0], delimiter=",")
    assert message in refused(tmp_path / "x.csv")


# --- Grids as .csv


@pytest.mark.parametrize(
    "text",
    [
        "0.5,1,-2\n3,4e1,+5\n",
        "0.5,1,-2\r\n3,4e1,+5",
        "\ufeff0.5,1,-2\n3,4e1,+5\n",
        "0,5;1;-2\n3;4e1;+5\n",
        "0.5\t1\t-2\n3\t4e1\t+5\n",
        '"0.5", 1, -2\n\n"3",4e1 ,"+5"\n\n',
    ],
    ids=["commas", "windows", "bom", "semicolons", "tabs", "quotes"],
)
def test_grids_of_numbers(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8", newline="")
    expected = np.array([[0.5, 1, -2], [3, 40, 5]])
    np.testing.assert_array_equal(load_image(path, (1, 2, 3), Pixels(9, 10)), [expected])
    np.testing.assert_array_equal(load_image(path, (2, 1, 3)), expected[:, np.newaxis])


@pytest.mark.parametrize("text", ["1,2,3\n", "1\n2\n3\n"])
def test_a_row_or_a_column_of_features(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    assert load_image(tmp_path / "x.csv", (3,)).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n3,x\n", "row 2, column 2 is 'x': expected a number"),
        ("pixel0,pixel1\n1,2\n", "row 1, column 1 is 'pixel0'"),
        ("1,\n3,4\n", "row 1, column 2 is '': expected a number"),
        ("1,=2\n", "row 1, column 2 is '=2'"),
        ("1,\x00\n", "row 1, column 2 is '\\x00'"),
        (f"{'é' * 99}\n", f"row 1, column 1 is '{'é' * 17}...'"),
        (f"{'1' * 200_000}\n", "is not a .csv file of numbers: field larger than"),
        ("1,2\n3\n", "row 2 has 1 numbers, the first 2: expected as many in every row"),
        ("\n \n".replace(" ", ""), "holds no numbers"),
        ("1,2\n3,4\n5,6\n", "has 3 rows of 2 numbers: expected 4 rows of 4"),
        ("1;2.000,5\n", "row 1, column 2 is '2.000.5'"),
    ],
)
def test_broken_grids_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    assert message in refused(tmp_path / "x.csv")


def test_the_shape_of_a_grid_with_channels_is_explained(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2\n3,4\n")
    message = refused(tmp_path / "x.csv", (3, 2, 2))
    assert message.endswith(
        "has 2 rows of 2 numbers: expected 6 rows of 2 (3 channels of 2 rows, one below the other)"
    )
    assert "2 rows of 2 numbers: expected 3 in one row" in refused(tmp_path / "x.csv", (3,))


# --- Files that nobody should send


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(width: int, height: int) -> bytes:
    """A real PNG of a few bytes that claims, and unpacks to, black pixels without end."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(10_000_000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def gif_bomb() -> bytes:
    """A GIF that claims 65,535 x 65,535 pixels."""
    side = b"\xff\xff\xff\xff"
    return b"GIF89a" + side + b"\0\0\0," + bytes(4) + side + b"\0\x08\x01\0\0;"


def ico_bomb() -> bytes:
    """An icon of 16 x 16 pixels, as its directory says, that is a large PNG."""
    large = png_bomb(12_000, 10_000)
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(large), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + large


def npy_header(shape: str, descr: str = "'<f8'") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def good_png() -> bytes:
    stream = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
        stream, "png"
    )
    return stream.getvalue()


def good_npz() -> bytes:
    stream = BytesIO()
    np.savez(stream, input=np.zeros(GREY))
    return stream.getvalue()


class Trap:
    """An object whose pickle makes a folder when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)


#: Name of a file, its content, and part of the line with which it is refused.
HOSTILE = [
    ("bomb.png", png_bomb(100_000, 100_000), "has more than 50,000,000 pixels"),
    ("large.png", png_bomb(10_000, 6_000), "has more than 50,000,000 pixels"),
    ("long.png", png_bomb(2**31 - 1, 1), "has more than 50,000,000 pixels"),
    ("bomb.ico", ico_bomb(), "has more than 50,000,000 pixels"),
    ("bomb.gif", gif_bomb(), "has more than 50,000,000 pixels"),
    ("short.png", good_png()[:2_000], "is not a picture that can be read: "),
    ("chunk.png", good_png()[:-30] + bytes(30), "is not a picture that can be read: "),
    ("head.png", good_png()[:10], "is not a picture that can be read: give"),
    ("empty.png", b"", "is an empty file (0 bytes)"),
    ("text.png", b"not a picture", "is not a picture that can be read: give a .png, .jpg"),
    ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a picture that can be"),
    ("program.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "EPS"),
    ("empty.npy", b"", "is an empty file (0 bytes)"),
    ("empty.csv", b"", "is an empty file (0 bytes)"),
    ("huge.npy", npy_header("(1000000, 1000000)"), "the array claims the shape (1000000, 1000000)"),
    ("wide.npy", npy_header("(99999999999999999999,)"), "claims the shape (99999999999999999999,)"),
    ("less.npy", npy_header("(-4, -4)") + bytes(128), "claims the shape (-4, -4)"),
    ("none.npy", npy_header("(1000000000,)", "'<U0'"), "holds <U0, expected numbers"),
    ("text.npy", b"1 2 3", "is not an .npy file of numbers: "),
    ("deep.npy", npy_header("(" * 4000 + ")" * 4000), "is not an .npy file of numbers: "),
    ("zip.npy", good_npz(), "is not an .npy file of numbers: "),
    ("zip.png", good_npz(), "is not a picture that can be read: "),
    ("binary.csv", bytes(range(256)), "row 1, column 1 is '\\x00"),
]


@pytest.mark.parametrize(("name", "content", "message"), HOSTILE, ids=[item[0] for item in HOSTILE])
def test_hostile_files_are_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    refusal = refused(tmp_path / name)
    assert message in refusal
    assert len(refusal) < len(str(tmp_path)) + 250


def test_the_pixels_of_a_bomb_are_never_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load = ImageFile.ImageFile.load
    monkeypatch.setattr(
        "PIL.ImageFile.ImageFile.load", lambda self: loaded.append(self.size) or load(self)
    )
    (tmp_path / "x.png").write_bytes(good_png())
    load_image(tmp_path / "x.png", GREY)
    assert loaded
    loaded.clear()
    (tmp_path / "x.png").write_bytes(png_bomb(10_000, 6_000))
    refused(tmp_path / "x.png")
    assert loaded == []


def test_the_limit_of_pixels_is_where_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, Image.new("L", (8, 8)))
    monkeypatch.setattr(images, "MAX_PIXELS", 64)
    load_image(path, GREY)
    monkeypatch.setattr(images, "MAX_PIXELS", 63)
    assert "more than 63 pixels" in refused(path)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 10**6, 10**6), "the limit is 50,000,000"),
        ((1, 0, 4), "expected (channels, height, width)"),
        ((4, 4), "expected (channels, height, width)"),
        ((), "expected (channels, height, width)"),
    ],
)
def test_shapes_that_no_image_has_are_refused(
    shape: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, Image.new("L", (8, 8)))
    with pytest.raises(ImageError) as caught:
        load_image(path, shape)
    assert message in str(caught.value)


def test_a_picture_has_one_channel_or_three(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGB", (4, 4)))
    assert "the network takes (2, 4, 4): give an .npy" in refused(path, (2, 4, 4))
    assert "the network takes 16 numbers, no picture" in refused(path, (16,))


def test_a_large_grid_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv").write_text("1,2,3,4\n" * 4)
    monkeypatch.setattr(images, "MAX_CSV_BYTES", 32)
    load_image(tmp_path / "x.csv", GREY)
    monkeypatch.setattr(images, "MAX_CSV_BYTES", 31)
    assert "more than 31 bytes: give an .npy file" in refused(tmp_path / "x.csv")


@pytest.mark.parametrize("suffix", ["png", "npy", "csv"])
def test_files_that_are_none(suffix: str, tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / f"missing.{suffix}")
    assert "does not exist" in refused(tmp_path / f"x\0.{suffix}")
    (tmp_path / f"folder.{suffix}").mkdir()
    assert "is a folder" in refused(tmp_path / f"folder.{suffix}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX pipes")
@pytest.mark.parametrize("suffix", ["png", "npy", "csv"])
def test_a_pipe_is_not_waited_for(suffix: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"x.{suffix}")
    assert "is no file" in refused(tmp_path / f"x.{suffix}")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = npy(tmp_path, np.zeros(GREY))
    monkeypatch.setattr(Path, "open", deny)
    assert refused(path) == f"cannot read {path}: Permission denied"


@pytest.mark.parametrize("name", ["x.npy", "x.csv", "x.png"])
def test_pickled_objects_are_never_loaded(name: str, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    objects = np.empty(1, dtype=object)
    objects[0] = Trap(str(sprung))
    refused(npy(tmp_path, objects, name))
    (tmp_path / name).write_bytes(pickle.dumps(Trap(str(sprung))))
    refused(tmp_path / name)
    assert not sprung.exists()
    # The trap works: loading it otherwise does spring it.
    with (tmp_path / name).open("rb") as stream:
        pickle.load(stream)
    assert sprung.exists()


def test_what_pillow_logs_stays_unheard(tmp_path: Path) -> None:
    """A TIFF of a hundred samples a pixel, of which Pillow logs that it cannot read it."""
    entries = [(256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 8), (277, 100)]
    tags = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in entries)
    path = tmp_path / "x.tif"
    path.write_bytes(b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + tags + bytes(500))
    code = f"import sheetconv as sc\ntry: sc.load_image({str(path)!r}, {GREY})\n"
    code += "except sc.SheetconvError: print('refused')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("refused\n", "")


def encoded(kind: str) -> bytes:
    stream = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


SEEDS = {f".{kind}": encoded(kind) for kind in ("png", "gif", "jpeg", "bmp", "tiff", "webp", "ico")}
SEEDS[".npy"] = npy_header("(1, 4, 4)") + bytes(128)
SEEDS[".csv"] = b"1,2,3,4\n" * 4


@pytest.mark.parametrize("suffix", SEEDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_bytes_ever_give_anything_but_an_image_or_an_error(
    suffix: str, data: st.DataObject, tmp_path: Path
) -> None:
    """Random bytes, and files of each kind with some of their bytes changed or cut off."""
    good = SEEDS[suffix]
    content = bytearray(data.draw(st.one_of(st.just(good), st.binary(max_size=300))))
    for place in data.draw(st.lists(st.integers(0, len(content)), max_size=8)):
        content[place : place + 1] = data.draw(st.binary(max_size=2))
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    try:
        image, message = load_image(path, GREY), "one line"
    except SheetconvError as error:
        image, message = np.zeros(GREY), str(error)
    assert len(message.splitlines()) == 1
    assert image.shape == GREY
    assert np.isfinite(image).all()
