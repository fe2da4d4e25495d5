"""Templates: networks as TOML files, with their numbers as .npz beside them.

::

    format = 1
    title = "A name for people"
    description = "One sentence."

    [[networks]]                      # one for each worksheet
    worksheet = "conv-example"        # default: the file's name, or else "network"
    input = [1, 28, 28]               # channels, height, width
    batch = 1                         # how many images, one block below the other; optional
    data = "conv-example.npz"         # arrays `input`, `conv1.weight`, ...; optional
    seed = 0                          # of whatever `data` does not hold; optional
    layers = [
      { type = "Conv2d", in_channels = 1, out_channels = 2, kernel_size = 3, bias = false },
      { type = "ReLU" },
      { name = "pool", type = "MaxPool2d", kernel_size = 2 },
    ]

    [networks.pixels]                 # optional: of a picture given with --image
    range = [0, 1]                    # what black and white become
    mean = 0.1307                     # subtracted then; one number, or one a channel
    std = 0.3081                      # divided by then; one number, or one a channel
    invert = false                    # whether dark and light are swapped first

    [networks.drawing]                # optional: the fields of `sheetconv.Drawing`
    formulas = "sumproduct"

    [networks.guides]                 # optional: what explains the network
    matrix = "conv1"                  # the layer that is shown as a matrix product
    kernels = false                   # whether the first layer's kernels are chosen by name
    leave_out = ["gallery"]           # worksheets to leave out

    [networks.training]               # optional: how `sheetconv train` goes about it
    data = "digits"
    epochs = 20

`data` may hold `pictures`, to choose from, and `labels`, the numbers of their classes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .cells import MOST_CELLS, check_sheet_name, sheet_name_of_file
from .data_files import load_arrays
from .drawing import Drawing
from .errors import ImageError, SheetconvError, TemplateError
from .formulas import Shape
from .guides import Guides, check_pictures
from .layers import layer_from_config
from .layers.base import Array
from .network import Sequential
from .pixels import Pixels
from .spelling import suggestion
from .template_drawing import read_drawing
from .template_guides import picture_labels, read_guides
from .template_training import read_training
from .toml_table import Table

FORMAT = 1
# A template is text that a person wrote.
_MAX_TOML_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class TemplateNetwork:
    """One network of a template.

    Attributes:
        network: the layers and their parameters.
        image: (channels, height, width) or (features,), the number of images before it where
            the template has a batch.
        drawing: how it is drawn.
        pixels: what the pixels of a picture become that takes the image's place.
        guides: what explains it.
        training: the options that its training has, by name.
    """

    network: Sequential
    image: Array
    drawing: Drawing
    pixels: Pixels = field(default_factory=Pixels)
    guides: Guides = field(default_factory=Guides)
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """A template, read and validated.

    Attributes:
        name: the file's, without its ending.
        title: for people.
        description: one sentence.
        networks: one for each worksheet.
    """

    name: str
    title: str
    description: str
    networks: tuple[TemplateNetwork, ...]


def templates_folder() -> Path:
    """Where the templates that come with sheetconv lie."""
    inside = Path(__file__).parent / "templates"
    # An editable installation uses the checkout's own folder.
    return inside if inside.is_dir() else Path(__file__).parent.parent / "templates"


def template_names() -> list[str]:
    """The names of the templates that come with sheetconv.

    Example:
        >>> "conv-example" in template_names()
        True
    """
    return sorted(path.stem for path in templates_folder().glob("*.toml"))


def load_template(name: str | Path) -> Template:
    """Read a template.

    Args:
        name: the name of one that comes with sheetconv, or the path of a .toml file.

    Raises:
        TemplateError: there is none, its TOML is broken, or a key or value is not one
            that templates have; the message names the file and the key or line.
        ShapeError: the layers do not fit each other, the image, or the parameters.

    Example:
        >>> template = load_template("conv-example")
        >>> template.networks[1].network(template.networks[1].image[None]).round(3)
        array([[258.738]])
    """
    path = find_template(name)
    try:
        if path.stat().st_size > _MAX_TOML_BYTES:
            raise TemplateError(f"{path} is larger than {_MAX_TOML_BYTES:,} bytes: not a template")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TemplateError(f"cannot read the template {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TemplateError(f"{path} is not UTF-8 text: a template is a TOML file") from None
    except (ValueError, RecursionError) as error:
        raise TemplateError(f"{path} is not valid TOML: {error}") from None
    return _template(Table(content, str(path), ""), path)


def find_template(name: str | Path) -> Path:
    """The .toml file of a template.

    Args:
        name: as for `load_template`.

    Raises:
        TemplateError: there is none; the message names those that are meant most likely.
    """
    text = str(name)
    if text.lower().endswith(".xlsx"):
        raise TemplateError(
            f"{text} is a workbook, no template: did you mean sheetconv check {text}?"
        )
    if text not in template_names() and Path(text).is_dir():
        raise TemplateError(f"{text} is a folder: give the path of a .toml file in it")
    if text.endswith(".toml"):
        if Path(text).is_file():
            return Path(text)
        shipped = template_names()
        # A file beside it, or a template that comes along, by nearly the same name.
        near = [str(path) for path in Path(text).parent.glob("*.toml") if path.is_file()]
        close = get_close_matches(text, near, n=1)
        if not close and Path(text).name == text:
            close = get_close_matches(text.removesuffix(".toml"), shipped, n=1)
        guess = f"did you mean {close[0]}?" if close else "give the path of a .toml file"
        raise TemplateError(f"the template {text} does not exist: {guess}")
    if text in template_names():
        return templates_folder() / f"{text}.toml"
    if Path(f"{text}.toml").is_file():
        raise TemplateError(f"no template is named {text!r}: did you mean {text}.toml?")
    raise TemplateError(f"no template is named {text!r}{suggestion(text, template_names())}")


def _template(table: Table, path: Path) -> Template:
    version = table.need("format", int, f"the number {FORMAT}")
    if version != FORMAT:
        raise table.error("format", version, f"the number {FORMAT}")
    title = table.get("title", str, "a text", path.stem) or path.stem
    description = table.get("description", str, "a text", "") or ""
    entries = table.tables("networks", need=True)
    if not entries:
        raise table.error("networks", [], "at least one [[networks]] table")
    table.finish()
    return Template(path.stem, title, description, tuple(_network(e, path) for e in entries))


def _network(table: Table, path: Path) -> TemplateNetwork:
    default_sheet = sheet_name_of_file(path.stem)
    worksheet = table.get("worksheet", str, "a text", default_sheet) or default_sheet
    shape = table.need("input", list, "[channels, height, width]")
    if len(shape) not in (1, 3) or not all(type(n) is int and n > 0 for n in shape):
        raise table.error("input", shape, "[channels, height, width], whole numbers above 0")
    batch = table.get("batch", int, "a whole number above 0")
    if batch is not None and batch < 1:
        raise table.error("batch", batch, "a whole number above 0")
    images = (*shape,) if batch is None else (batch, *shape)
    if (cells := prod(images)) > MOST_CELLS:
        several = "" if batch is None else f" for {batch:,} images"
        raise TemplateError(
            f"{table.file}: {table.where}.input is {shape}, {cells:,} cells{several}: expected "
            f"at most {MOST_CELLS:,}, as many as a workbook can have"
        )
    seed = table.get("seed", int, "a whole number", 0) or 0
    if seed < 0:
        raise table.error("seed", seed, "a whole number of at least 0")
    data = table.get("data", str, "the name of an .npz file")
    if data is not None and not data.isprintable():
        raise table.error("data", data, "the name of an .npz file")
    layers = []
    for entry in table.tables("layers", need=True):
        config = dict(entry.content)
        name = config.pop("name", "")
        if not isinstance(name, str):
            raise entry.error("name", name, "a text")
        try:
            layers.append((name, layer_from_config(config)))
        except SheetconvError as error:
            raise TemplateError(f"{table.file}: {entry.where}: {error}") from None
    drawing = read_drawing(table.table("drawing"), worksheet)
    pixels = _pixels(table.table("pixels"), shape[0] if len(shape) == 3 else 1)
    options = read_guides(table.table("guides"))
    training = read_training(table.table("training"))
    table.finish()
    try:
        check_sheet_name(worksheet)
        network = Sequential(*layers, seed=seed)
        network.shapes(tuple(shape))
    except SheetconvError as error:
        raise TemplateError(f"{table.file}: {table.where}: {error}") from None
    _check_drawn_names(drawing, network, tuple(shape), table)
    arrays = _arrays(path.parent / data if data else None, table)
    pictures, labels = arrays.pop("pictures", None), arrays.pop("labels", None)
    image = _numbers(network, images, seed, arrays, path.parent / (data or ""), table)
    try:
        named = picture_labels(labels, drawing.classes)
        guides = replace(options, pictures=pictures, labels=named)
        if pictures is not None:
            check_pictures(pictures, tuple(shape))
    except SheetconvError as error:
        where = path.parent / (data or "")
        raise TemplateError(f"{table.file}: {table.where}: {where}: {error}") from None
    return TemplateNetwork(network, image, drawing, pixels, guides, training)


def _pixels(table: Table, channels: int) -> Pixels:
    limits = table.get("range", list, "two numbers", [0, 1]) or []
    if len(limits) != 2:
        raise table.error("range", limits, "two numbers: what black and white become")
    numbers = f"a number, or {channels} of them, one for each channel"
    try:
        pixels = Pixels(
            low=limits[0],
            high=limits[1],
            mean=table.get("mean", object, numbers),  # type: ignore[arg-type]
            std=table.get("std", object, numbers),  # type: ignore[arg-type]
            invert=table.get("invert", bool, "true or false", False) or False,
        )
        pixels.check_channels(channels)
    except ImageError as error:
        raise TemplateError(f"{table.file}: {table.where}: {error}") from None
    table.finish()
    return pixels


def _check_drawn_names(drawing: Drawing, network: Sequential, shape: Shape, table: Table) -> None:
    """Refuse names of layers and tensors that the network does not have."""
    layers, tensors = list(network.layers), ["input"]
    before = [shape, *network.shapes(shape).values()]
    for (name, layer), layer_input in zip(network, before, strict=False):
        tensors += [f"{name}.{tensor.name}" for tensor in layer.tensors(layer_input)]
    for key, what, known, given in (
        ("aligned", "layer", layers, sorted(drawing.aligned)),
        ("anchors", "tensor", tensors, drawing.anchors),
        ("number_formats", "tensor", tensors, drawing.number_formats),
        ("styles", "tensor", tensors, drawing.styles),
    ):
        for name in given:
            if name not in known:
                raise TemplateError(
                    f"{table.file}: {table.where}.drawing.{key}: no {what} is named "
                    f"{name!r}{suggestion(name, known)}"
                )


def _arrays(data: Path | None, table: Table) -> dict[str, Array]:
    try:
        return load_arrays(data, TemplateError) if data else {}
    except TemplateError as error:
        raise TemplateError(f"{table.file}: {table.where}.data: {error}") from None


def _numbers(
    network: Sequential,
    shape: Shape,
    seed: int,
    arrays: dict[str, Array],
    data: Path,
    table: Table,
) -> Array:
    """Load the parameters into the network; give the image."""
    image = arrays.pop("input", None)
    if arrays:
        try:
            network.load_state_dict(arrays)
        except SheetconvError as error:
            raise TemplateError(f"{table.file}: {table.where}: {data}: {error}") from None
    if image is None:
        return np.random.default_rng(seed).random(shape)
    if image.shape != shape:
        raise TemplateError(
            f"{table.file}: {table.where}: 'input' in {data} has shape {image.shape}: "
            f"expected {shape}"
        )
    return image
