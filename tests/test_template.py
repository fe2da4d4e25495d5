"""Templates: the one that comes along, and every way in which one can be broken."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sheetconv import Conv2d, Dropout, MaxPool2d, Pixels, ReLU, load_template
from sheetconv.data_files import load_arrays
from sheetconv.drawing import Columns, Drawing, Fill, Style, Text
from sheetconv.errors import SheetconvError, TemplateError
from sheetconv.layers import LAYERS
from sheetconv.template import template_names, templates_folder

GOOD = """\
format = 1
title = "A title"
description = "One sentence."

[[networks]]
worksheet = "tiny"
input = [1, 6, 6]
data = "tiny.npz"
seed = 3
layers = [
  { type = "Conv2d", in_channels = 1, out_channels = 2, kernel_size = [3, 2], bias = false },
  { name = "pool", type = "MaxPool2d", kernel_size = 2 },
]

[networks.drawing]
aligned = ["pool"]
"""

#: The template without its drawing and data, for what is appended to it.
HEAD = GOOD.partition("[networks.drawing]")[0].replace('data = "tiny.npz"\n', "")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a template, and numbers that fit `GOOD` beside it."""
    weight = np.arange(12.0).reshape(2, 1, 3, 2)
    image = np.arange(36.0).reshape(1, 6, 6)
    np.savez(tmp_path / "tiny.npz", **{"input": image, "conv1.weight": weight})

    def write_text(text: str) -> Path:
        path = tmp_path / "tiny.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


def refused(path: Path | str) -> str:
    """The one line with which a template is refused."""
    with pytest.raises(SheetconvError) as caught:
        load_template(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# --- What comes along, and what is read


def test_conv_example_is_the_original() -> None:
    template = load_template("conv-example")
    assert "conv-example" in template_names()
    assert template.name == template.title == "conv-example"
    dropped, plain = template.networks
    assert plain.drawing.worksheet == "conv-example"
    assert list(plain.network.shapes((1, 28, 28)).values()) == [
        (2, 26, 26), (2, 26, 26), (2, 24, 25), (2, 24, 25), (2, 12, 13), (312,), (1,),
    ]  # fmt: skip
    assert isinstance(dropped.network.layers["dropout"], Dropout)
    # The value that Excel computed for the original's cell EN4.
    assert plain.network(plain.image[None]).item() == pytest.approx(258.73762671075724, abs=1e-11)


def test_a_template_is_read(write: Callable[[str], Path]) -> None:
    template = load_template(write(GOOD))
    assert (template.name, template.title, template.description) == (
        "tiny", "A title", "One sentence.",
    )  # fmt: skip
    (item,) = template.networks
    assert dict(item.network) == {
        "conv1": Conv2d(1, 2, (3, 2), bias=False), "pool": MaxPool2d(2),
    }  # fmt: skip
    assert item.network.params["conv1"]["weight"].reshape(-1).tolist() == list(range(12))
    assert item.image.reshape(-1).tolist() == list(range(36))
    assert (item.drawing.worksheet, item.drawing.aligned) == ("tiny", frozenset({"pool"}))


def test_what_is_left_out_has_a_default(write: Callable[[str], Path]) -> None:
    text = 'format = 1\n[[networks]]\ninput = [1, 2, 3]\nlayers = [{ type = "ReLU" }]\n'
    template = load_template(write(text))
    assert (template.title, template.description) == ("tiny", "")
    (item,) = template.networks
    assert item.drawing.worksheet == "tiny"
    assert item.image.shape == (1, 2, 3)
    np.testing.assert_array_equal(item.image, load_template(write(text)).networks[0].image)
    assert item.network.layers["relu1"] == ReLU()


def test_seeds_fix_what_the_data_does_not_hold(write: Callable[[str], Path]) -> None:
    def weight(text: str) -> np.ndarray:
        return load_template(write(text)).networks[0].network.params["conv1"]["weight"]

    np.testing.assert_array_equal(weight(HEAD), weight(HEAD))
    assert not np.array_equal(weight(HEAD), weight(HEAD.replace("seed = 3", "seed = 4")))


def test_data_may_hold_the_image_only(write: Callable[[str], Path]) -> None:
    path = write(GOOD)
    np.savez(path.with_suffix(".npz"), input=np.ones((1, 6, 6), dtype=np.uint8))
    (item,) = load_template(path).networks
    assert item.image.dtype == np.float64
    assert item.image.sum() == 36


def test_drawings_are_read(write: Callable[[str], Path]) -> None:
    text = HEAD + (
        '[networks.drawing]\nformulas = "array"\nborder = "blank"\nfuse = false\nfreeze = ""\n'
        "zoom = 75\ndefault_width = 3\nrow_height = 14.4\n"
        'columns = [{ columns = "A:B", width = 3, hidden = true, outline = 1, collapsed = true }]\n'
        'colour_scales = ["A1:B2 C1"]\nmerges = ["A1:B1"]\n'
        'fills = [{ ranges = "A9", fill = "#FF0000" }]\n'
        'texts = [{ cell = "A1", text = "=x", bold = true, align = "center" }]\n'
        'anchors = { input = ["B4"] }\nnumber_formats = { input = "0" }\n'
        'styles = { "conv1.out" = { italic = true, colour = "#00ff00" } }\n'
    )
    drawing = load_template(write(text)).networks[0].drawing
    assert (drawing.formulas, drawing.border, drawing.fuse) == ("array", "blank", False)
    assert (drawing.freeze, drawing.zoom) == (None, 75)
    assert (drawing.default_width, drawing.row_height) == (3.0, 14.4)
    assert drawing.columns == (Columns("A:B", 3.0, hidden=True, outline=1, collapsed=True),)
    assert (drawing.colour_scales, drawing.merges) == (("A1:B2 C1",), ("A1:B1",))
    assert drawing.fills == (Fill("A9", Style(fill="#FF0000")),)
    assert drawing.texts == (Text("A1", "=x", Style(bold=True, align="center")),)
    assert drawing.anchors == {"input": ("B4",)}
    assert drawing.number_formats == {"input": "0"}
    assert drawing.styles == {"conv1.out": Style(italic=True, colour="#00ff00")}


# --- Broken templates

CONV = '{ type = "Conv2d", in_channels = 1, out_channels = 2, kernel_size = [3, 2], bias = false }'


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        ("format = 1", "format = ", ["is not valid TOML", "line 1"]),
        ("seed = 3", "seed = 3 4", ["is not valid TOML", "line 9"]),
        ("seed = 3", "seed = 3\nseed = 4", ["is not valid TOML", "line 10"]),
        ("format = 1\n", "", ["'format' is missing: expected the number 1"]),
        ("format = 1", "format = 2", ["format is 2: expected the number 1"]),
        ("format = 1", "format = true", ["format is True"]),
        ("format = 1", 'format = "1"', ["format is '1': expected the number 1"]),
        ("title =", "titel =", ["unknown key 'titel'", "did you mean title?"]),
        ('title = "A title"', "title = 3", ["title is 3: expected a text"]),
        ("[[networks]]", "[networks]", ["networks is {", "expected a list of tables"]),
        ("[[networks]]", "[[network]]", ["networks is {'drawing'", "expected a list of tables"]),
        ('worksheet = "tiny"', "worksheet = 1", ["networks[0].worksheet is 1: expected a text"]),
        ('"tiny"\n', '"a/b"\n', ["networks[0]", "'a/b' is not one that Excel takes"]),
        ('"tiny"\n', '"C1"\n', ["networks[0]", "'C1' looks like a cell"]),
        ("input = [1, 6, 6]\n", "", ["'input' is missing in networks[0]"]),
        ("[1, 6, 6]", "[6, 6]", ["networks[0].input is [6, 6]: expected [channels, height"]),
        ("[1, 6, 6]", "[1, 6, 0]", ["networks[0].input is [1, 6, 0]"]),
        ("[1, 6, 6]", "[1, 6, 6.0]", ["networks[0].input is [1, 6, 6.0]"]),
        ("[1, 6, 6]", "[1, true, 6]", ["networks[0].input is [1, True, 6]"]),
        ("[1, 6, 6]", '"1x6x6"', ["networks[0].input is '1x6x6'"]),
        ("seed = 3", "seed = -3", ["networks[0].seed is -3: expected a whole number of at least"]),
        ("seed = 3", "sead = 3", ["unknown key 'sead' in networks[0]", "did you mean seed?"]),
        ('data = "tiny.npz"', "data = 3", ["networks[0].data is 3"]),
        ("layers = [", "layerz = [", ["'layers' is missing in networks[0]"]),
        ("layers = [", "layers = [3,", ["networks[0].layers[0] is 3: expected a table"]),
        (CONV, '{ type = "Conv2D" }', ["networks[0].layers[0]", "'Conv2D' is unknown: did you me"]),
        (CONV, '{ type = "Softmin" }', ["'Softmin' is unknown", "did you mean Softmax?"]),
        (CONV, "{ type = 2 }", ["layer type 2 is unknown"]),
        (CONV, "{ kernel_size = 2 }", ["layers[0]: 'type' is missing: expected a layer, such"]),
        ("bias = false", 'padding_mode = "zero"', ["padding_mode is 'zero': expected zeros, reflect"
            ", replicate or circular; did you mean zeros?"]),
        (CONV, '{ tpye = "Conv2d" }', ["'type' is missing", "'tpye' is there: misspelt?"]),
        (CONV, '{ type = "Dense" }', ["layer type 'Dense' is unknown: did you mean Linear? Known"]),
        (CONV, '{ type = "BatchNorm" }', ["did you mean BatchNorm2d?"]),
        ("format = 1", "fromat = 1", ["'format' is missing", "'fromat' is there: misspelt?"]),
        ("[[networks]]", "[[network]]", ["expected a list of tables; 'network' is there: missp"]),
        ("[[networks]]", "[networks]", ["expected a list of tables: write [[networks]]"]),
        ("input = [1", "inputs = [1", ["'input' is missing in networks[0]", "'inputs' is there"]),
        ("layers = [", "layer = [", ["'layers' is missing in networks[0]", "'layer' is there"]),
        ("kernel_size = 2 }", "size = 2 }", ["layers[1]: MaxPool2d has no field 'size'"]),
        ("kernel_size = 2 }", "kernelsize = 2 }", ["did you mean kernel_size?"]),
        (", kernel_size = 2 }", " }", ["layers[1]: MaxPool2d needs the field 'kernel_size'"]),
        ("kernel_size = 2 }", "kernel_size = 0 }", ["layers[1]: MaxPool2d: kernel_size is 0"]),
        ("kernel_size = 2 }", 'kernel_size = "2" }', ["MaxPool2d: kernel_size is '2'"]),
        ('"pool", type', "3, type", ["networks[0].layers[1].name is 3: expected a text"]),
        ('"pool", type', '"p-l", type', ["networks[0]: layer name 'p-l'"]),
        ('"pool", type', '"conv1", type', ["networks[0]: two layers are named 'conv1'"]),
        ("in_channels = 1", "in_channels = 4", [
            "networks[0]: layer conv1: Conv2d(in_channels=4", "input of shape (1, 6, 6)",
            "expected (4, height, width)",
        ]),
        ("2 },\n", '2 },\n{ type = "Linear", in_features = 8, out_features = 1 }', [
            "networks[0]: layer dense1: Linear(in_features=8", "shape (2, 2, 2)", "put Flatten",
        ]),
        ("kernel_size = 2 }", "kernel_size = 7 }", ["layer pool: MaxPool2d(kernel_size=7"]),
        (
            "out_channels = 2", "out_channels = 1000000000000000",
            ["out_channels is beyond 999,999,999,999"],
        ),
        ('aligned = ["pool"]', 'aligned = "pool"', ["networks[0].drawing.aligned is 'pool'"]),
        ('aligned = ["pool"]', 'aligned = ["pol"]', [
            "networks[0].drawing.aligned: no layer is named 'pol': did you mean pool? Known are "
            "conv1, pool",
        ]),
        ("aligned = ", "alined = ", ["unknown key 'alined' in networks[0].drawing", "aligned?"]),
    ],
)  # fmt: skip
def test_a_broken_template_is_refused(
    old: str, new: str, messages: list[str], write: Callable[[str], Path]
) -> None:
    assert GOOD.count(old) == 1
    path = write(GOOD.replace(old, new))
    message = refused(path)
    assert message.startswith(str(path))
    for part in messages:
        assert part in message


@pytest.mark.parametrize(
    ("drawing", "messages"),
    [
        ('formulas = "SUM"', ["drawing.formulas is 'SUM': expected sumproduct or array"]),
        ("border = true", ["drawing.border is True: expected drawn or blank"]),
        ("fuse = 1", ["drawing.fuse is 1: expected true or false"]),
        ("aligned = [1]", ["drawing.aligned is [1]: expected a list of layer names"]),
        ("anchors = 3", ["drawing.anchors is 3: expected a table"]),
        ('anchors = { input = "B4" }', ["drawing.anchors.input is 'B4': expected a list of cells"]),
        ("anchors = { input = [] }", ["drawing.anchors.input is []"]),
        ("number_formats = { input = 0 }", ["number_formats.input is 0: expected an Excel number"]),
        ("styles = { input = 0 }", ["drawing.styles.input is 0: expected a table"]),
        ("styles = { input = { bald = true } }", ["unknown key 'bald' in networks[0].drawing.sty",
                                                  "did you mean bold?"]),
        ('styles = { input = { colour = "red" } }', ["styles.input.colour is 'red': expected a"]),
        ('styles = { input = { align = "top" } }', ["styles.input.align is 'top'"]),
        ('texts = [{ cell = "A1" }]', ["'text' is missing in networks[0].drawing.texts[0]"]),
        ('texts = [{ cell = "A1", text = 3 }]', ["drawing.texts[0].text is 3: expected a text"]),
        ('texts = ["A1"]', ["drawing.texts[0] is 'A1': expected a table"]),
        ('colour_scales = [""]', ["drawing.colour_scales is ['']: expected a list of ranges"]),
        ('columns = [{ columns = "A:B" }]', ["'width' is missing in networks[0].drawing.columns"]),
        ('columns = [{ columns = "A", width = 300 }]', ["width is 300.0: expected a number from"]),
        ('columns = [{ columns = "A", width = 3, outline = 8 }]', ["outline is 8"]),
        ("default_width = 0", ["drawing.default_width is 0.0: expected a number between 0 and"]),
        ("row_height = nan", ["drawing.row_height is nan"]),
        ('fills = [{ fill = "#FF0000" }]', ["'ranges' is missing in networks[0].drawing.fills[0]"]),
        ("merges = [1]", ["drawing.merges is [1]: expected a list of ranges"]),
        ("freeze = 3", ["drawing.freeze is 3: expected a cell, or an empty text"]),
        ('formulas = "aray"', ["expected sumproduct or array; did you mean array?"]),
        ('layout = "perlayer"', ["expected auto, one-sheet or per-layer; did you mean per-layer?"]),
        ('texts = [{ cell = "A1", text = "", align = "centre" }]', ["texts[0].align is 'centre'",
            "expected left, center or right; did you mean center?"]),
        ('texts = [{ cell = "A1B", text = "" }]', ["texts[0].cell: 'A1B' is not a cell"]),
        ('anchors = { inptu = ["A1"] }', ["drawing.anchors: no tensor is named 'inptu': did you "
            "mean input? Known are input, conv1.weight, conv1.out, pool.out"]),
        ('anchors = { "conv1.bias" = ["A1"] }', ["no tensor is named 'conv1.bias'"]),
        ('anchors = { input = ["A1:B2"] }', ["drawing.anchors.input: 'A1:B2' is a range"]),
        ('number_formats = { "pool.uot" = "0" }', ["drawing.number_formats", "mean pool.out?"]),
        ('styles = { "conv.out" = {} }', ["drawing.styles: no tensor", "mean conv1.out?"]),
        ('colour_scales = ["A1:B2 C"]', ["drawing.colour_scales: 'C' is not a cell or a range"]),
        ('fills = [{ ranges = "A1:A" }]', ["drawing.fills[0].ranges: 'A1:A' is not a cell"]),
        ('fills = [{ ranges = "A1", ranegs = "" }]', ["'ranegs'", "Known are ranges, number_form"]),
        ('merges = ["B2:A1"]', ["drawing.merges: 'B2:A1' runs backwards"]),
        ('freeze = "3A"', ["drawing.freeze: '3A' is not a cell or a range"]),
        ('columns = [{ column = "A", width = 3 }]', ["'columns' is missing", "'column' is there"]),
        ("zoom = 5", ["drawing.zoom is 5: expected a whole number from 10 to 400"]),
        ("zoom = 75.5", ["drawing.zoom is 75.5"]),
    ],
)  # fmt: skip
def test_a_broken_drawing_is_refused(
    drawing: str, messages: list[str], write: Callable[[str], Path]
) -> None:
    path = write(f"{HEAD}[networks.drawing]\n{drawing}\n")
    message = refused(path)
    assert message.startswith(str(path))
    for part in messages:
        assert part in message


@pytest.mark.parametrize(
    ("pixels", "messages"),
    [
        ("range = 1", ["networks[0].pixels.range is 1: expected two numbers"]),
        ("range = [0, 1, 2]", ["pixels.range is [0, 1, 2]: expected two numbers"]),
        ("range = []", ["pixels.range is []: expected two numbers"]),
        ('range = [0, "1"]', ["networks[0].pixels: Pixels: high is '1': expected a number"]),
        ("range = [1, 1]", ["pixels: Pixels: low and high are both 1.0"]),
        ("range = [0, inf]", ["pixels: Pixels: high is inf: expected a number"]),
        ("mean = true", ["pixels.mean is True: expected a number, or 1 of them"]),
        ('mean = "0.5"', ["pixels: Pixels: mean is '0.5': expected a number, or one for each"]),
        ("mean = []", ["Pixels: mean is []: expected"]),
        ("mean = [[1]]", ["Pixels: mean is [[1]]: expected"]),
        ("mean = [0.4, 0.5, 0.6]", ["Pixels: mean has 3 numbers: expected one", "channel (1)"]),
        ("std = 0", ["Pixels: std is 0.0: expected numbers above 0"]),
        ("std = [nan]", ["Pixels: std is [nan]: expected"]),
        (f"std = 1{400 * '0'}", ["Pixels: std is 1000", "..."]),
        ("invert = 1", ["pixels.invert is 1: expected true or false"]),
        ("inverted = true", ["unknown key 'inverted' in networks[0].pixels", "mean invert?"]),
        ("pixels = 1", ["unknown key 'pixels' in networks[0].pixels"]),
    ],
)
def test_broken_pixels_are_refused(
    pixels: str, messages: list[str], write: Callable[[str], Path]
) -> None:
    path = write(f"{HEAD}[networks.pixels]\n{pixels}\n")
    message = refused(path)
    assert message.startswith(str(path))
    assert len(message) < len(str(path)) + 200
    for part in messages:
        assert part in message


def test_pixels_are_read(write: Callable[[str], Path]) -> None:
    assert load_template(write(HEAD)).networks[0].pixels == Pixels()
    text = f"{HEAD}[networks.pixels]\nrange = [0, 255]\nmean = 3\nstd = [0.5]\ninvert = true\n"
    pixels = load_template(write(text)).networks[0].pixels
    assert pixels == Pixels(0, 255, mean=3, std=(0.5,), invert=True)


@pytest.mark.parametrize(
    ("shape", "cells"),
    [
        ("[1, 4097, 4096]", "[1, 4097, 4096], 16,781,312 cells: expected at most 16,777,216"),
        ("[16777217]", "[16777217], 16,777,217 cells: expected"),
        ("[1, 2048, 2048]\nbatch = 5", "[1, 2048, 2048], 20,971,520 cells for 5 images: expected"),
    ],
)
def test_images_larger_than_a_workbook_are_refused_undrawn(
    shape: str, cells: str, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f'format = 1\n[[networks]]\ninput = {shape}\nlayers = [{{ type = "ReLU" }}]\n'
    monkeypatch.setattr("numpy.random.default_rng", None)
    assert f"networks[0].input is {cells}" in refused(write(text))


@pytest.mark.parametrize(
    ("stem", "worksheet"),
    [("hw3", "network"), ("Sheetconv", "network"), ("a" * 32, "network"), ("hw-3", "hw-3")],
)
def test_the_worksheet_is_named_as_the_file_where_that_can_be(
    stem: str, worksheet: str, write: Callable[[str], Path]
) -> None:
    path = write(HEAD.replace('worksheet = "tiny"\n', ""))
    path = path.rename(path.with_name(f"{stem}.toml"))
    assert load_template(path).networks[0].drawing.worksheet == worksheet


@pytest.mark.parametrize("networks", ["", "networks = []"])
def test_a_template_needs_a_network(networks: str, write: Callable[[str], Path]) -> None:
    assert "networks" in refused(write(f"format = 1\n{networks}\n"))


def test_a_long_value_is_shown_in_part(write: Callable[[str], Path]) -> None:
    message = refused(write(GOOD.replace('"A title"', str(list(range(99))))))
    assert "..." in message
    assert len(message.partition("title is ")[2]) < 100


# --- Files


def test_a_template_has_to_exist(tmp_path: Path) -> None:
    message = refused("conv-exampel")
    assert "no template is named 'conv-exampel': did you mean conv-example?" in message
    assert all(name in message for name in template_names())
    assert all(name in refused("nothing like it") for name in template_names())
    assert "missing.toml does not exist" in refused(tmp_path / "missing.toml")
    (tmp_path / "folder.toml").mkdir()
    assert "folder.toml is a folder: give the path of a .toml file in it" in refused(
        tmp_path / "folder.toml"
    )


def test_a_template_has_to_be_text(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"format = 1 # \xff\xfe")
    assert refused(path) == f"{path} is not UTF-8 text: a template is a TOML file"


def test_a_misspelt_file_is_guessed_at(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(GOOD)
    assert refused(path.with_name("tyni.toml")).endswith(f"did you mean {path}?")
    monkeypatch.chdir(path.parent)
    assert refused("tyni.toml").endswith("tyni.toml does not exist: did you mean tiny.toml?")
    assert refused("tiny").endswith("no template is named 'tiny': did you mean tiny.toml?")
    assert refused("conv-exampel.toml").endswith("did you mean conv-example?")
    assert refused("zzz.toml").endswith("zzz.toml does not exist: give the path of a .toml file")


def test_a_template_that_is_too_large_is_not_read(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(GOOD)
    monkeypatch.setattr("sheetconv.template._MAX_TOML_BYTES", 100)
    assert refused(path) == f"{path} is larger than 100 bytes: not a template"


def test_a_template_that_cannot_be_read_is_reported(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    path = write(GOOD)
    monkeypatch.setattr(Path, "read_text", deny)
    assert refused(path) == f"cannot read the template {path}: Permission denied"


def test_deeply_nested_toml_is_refused(write: Callable[[str], Path]) -> None:
    assert "is not valid TOML" in refused(write("format = " + "[" * 5000 + "]" * 5000))


# --- Numbers


class Trap:
    """An object whose pickle makes a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


def test_pickled_objects_are_never_loaded(write: Callable[[str], Path], tmp_path: Path) -> None:
    path, sprung = write(GOOD), tmp_path / "sprung"
    objects = np.array([Trap(sprung)], dtype=object)
    np.savez(path.with_suffix(".npz"), input=objects)
    message = refused(path)
    assert (
        "tiny.npz is not an .npz file of numbers: input holds object, expected numbers" in message
    )
    path.with_suffix(".npz").write_bytes(pickle.dumps(Trap(sprung)))
    assert "tiny.npz is not an .npz file of numbers" in refused(path)
    assert not sprung.exists()
    # The trap works: loading it otherwise does spring it.
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()


def one_array(value: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path, input=np.asarray(value))


def one_npy(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.zeros((1, 6, 6)))


def change_a_byte(path: Path) -> None:
    np.savez_compressed(path, input=np.random.default_rng(0).random((1, 6, 6)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def mark_as_encrypted(path: Path) -> None:
    np.savez(path, input=np.zeros((1, 6, 6)))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(bytes(content))


def claim_a_huge_array(path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"
    header = header.ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "input.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.unlink, "tiny.npz does not exist"),
        (lambda path: path.write_bytes(b""), "tiny.npz is an empty file"),
        (lambda path: path.write_text("input = 1"), "is not an .npz file of numbers"),
        (one_npy, "is not an .npz file of numbers but one array, as .npy: save it with np.savez"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "is not an .npz file of numbers"),
        (change_a_byte, "is not an .npz file of numbers"),
        (mark_as_encrypted, "is not an .npz file of numbers: File"),
        (claim_a_huge_array, "is not an .npz file of numbers"),
        (one_array(["1", "2"]), "is not an .npz file of numbers: input holds <U1"),
        (one_array([1j]), "is not an .npz file of numbers: input holds complex128"),
        (one_array(np.zeros(3, "datetime64[s]")), "input holds datetime64[s]"),
        (one_array(np.zeros((6, 6))), "'input' in"),
        (one_array(np.zeros((6, 6))), "has shape (6, 6): expected (1, 6, 6)"),
        (lambda path: np.savez(path, **{"conv1.weight": np.zeros(3)}), "conv1.weight has shape"),
        (lambda path: np.savez(path, **{"conv1.wait": np.zeros(3)}), "conv1.wait is unknown"),
        (lambda path: np.savez(path, **{"conv1.wait": np.zeros(3)}), "conv1.weight is missing"),
        (
            lambda path: np.savez(path, **{"conv1.weight": np.full((2, 1, 3, 2), np.nan)}),
            "conv1.weight holds NaN or infinity",
        ),
    ],
)
def test_broken_data_is_refused(
    make: Callable[[Path], object], message: str, write: Callable[[str], Path]
) -> None:
    path = write(GOOD)
    make(path.with_suffix(".npz"))
    refusal = refused(path)
    assert message in refusal
    assert refusal.startswith(f"{path}: networks[0]")
    assert str(path.with_suffix(".npz")) in refusal


def test_data_that_is_too_large_is_not_read(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(GOOD)
    monkeypatch.setattr("sheetconv.data_files.MAX_BYTES", 100)
    message = refused(path)
    assert message.endswith("bytes: the limit is 100")
    assert str(path.with_suffix(".npz")) in message


def test_whole_numbers_and_flags_become_doubles(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.arange(3), b=np.array([True]), c=np.float32([0.5]))
    arrays = load_arrays(tmp_path / "a.npz", TemplateError)
    assert {name: value.tolist() for name, value in arrays.items()} == {
        "a": [0, 1, 2], "b": [1], "c": [0.5],
    }  # fmt: skip
    assert {value.dtype for value in arrays.values()} == {np.dtype(np.float64)}


# --- The documentation


def documented() -> str:
    return (templates_folder() / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_and_its_fields_are_documented(name: str) -> None:
    rows = [line for line in documented().splitlines() if line.startswith("| `")]
    number = next(n for n, row in enumerate(rows) if f"`{name}`" in row.split("|")[1])
    # "The same fields" are those of the row above.
    above = rows[number - 1] if "the same fields" in rows[number] else ""
    for field in fields(LAYERS[name]):
        assert f"`{field.name}" in rows[number] + above, field.name


def test_every_key_of_a_drawing_is_documented() -> None:
    text = documented().split("## Drawing")[1]
    for field in fields(Drawing):
        if field.name != "worksheet":
            assert field.name in text, field.name


def test_the_documentation_s_template_loads(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", documented(), re.DOTALL)
    path = tmp_path / "documented.toml"
    path.write_text(text, encoding="utf-8")
    (network,) = load_template(path).networks
    assert network.drawing.worksheet == "small"


# --- What explains a network


def test_guides_are_read_with_pictures_and_labels(write: Callable[[str], Path]) -> None:
    text = GOOD + (
        '[networks.drawing]\nclasses = ["cat", "dog"]\n'
        '[networks.guides]\nmatrix = "conv1"\nkernels = true\nleave_out = ["gallery"]\n'
    )
    if "[networks.drawing]" in GOOD:
        text = GOOD.replace("[networks.drawing]", '[networks.drawing]\nclasses = ["cat", "dog"]')
        text += '[networks.guides]\nmatrix = "conv1"\nkernels = true\nleave_out = ["gallery"]\n'
    path = write(text)
    with np.load(path.with_suffix(".npz")) as data:
        arrays = dict(data)
    pictures = np.random.default_rng(0).random((3, 1, 6, 6))
    np.savez(path.with_suffix(".npz"), **arrays, pictures=pictures, labels=np.array([1, -1, 0]))
    (item,) = load_template(path).networks
    guides = item.guides
    assert (guides.matrix, guides.kernels, guides.leave_out) == ("conv1", True, ("gallery",))
    assert guides.labels == ("dog", "", "cat")
    assert guides.pictures is not None
    np.testing.assert_array_equal(guides.pictures, pictures)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("matriks = 1", "matriks"),
        ("matrix = 1", "networks[0].guides.matrix is 1: expected the name of a convolution"),
        ('kernels = "yes"', "networks[0].guides.kernels is 'yes': expected true or false"),
        ('leave_out = "gallery"', "networks[0].guides.leave_out"),
        ('leave_out = ["galery"]', "did you mean gallery?"),
        ("leave_out = [1]", "networks[0].guides.leave_out"),
    ],
)
def test_guides_that_are_none_are_refused(
    table: str, message: str, write: Callable[[str], Path]
) -> None:
    assert message in refused(write(f"{GOOD}\n[networks.guides]\n{table}\n"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"pictures": np.zeros((2, 1, 5, 5))},
            "'pictures' has shape (2, 1, 5, 5): expected (count",
        ),
        ({"pictures": np.zeros((2, 1, 6, 6)), "labels": np.array([0.5, 1])}, "what is no class"),
        ({"pictures": np.zeros((2, 1, 6, 6)), "labels": np.zeros(3)}, "3 labels for 2 pictures"),
        ({"labels": np.zeros(3)}, "labels or names without pictures"),
        ({"pictures": np.full((2, 1, 6, 6), np.inf)}, "pictures holds NaN or infinity"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(
    arrays: dict[str, np.ndarray], message: str, write: Callable[[str], Path]
) -> None:
    path = write(GOOD)
    with np.load(path.with_suffix(".npz")) as data:
        own = dict(data)
    np.savez(path.with_suffix(".npz"), **own, **arrays)
    refusal = refused(path)
    assert message in refusal
    assert str(path.with_suffix(".npz")) in refusal
