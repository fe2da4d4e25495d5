"""Commands that make workbooks, or say what they would be: build, templates, new, summary."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from . import FILE, quoted
from .cell_training import build_cells, cell_training_options


def _lengths(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Three lengths, or one, with commas between them."""
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    # A length of more digits is beyond every worksheet.
    if len(parts) not in (1, 3) or not all(re.fullmatch("0*[1-9][0-9]{0,9}", p) for p in parts):
        raise click.BadParameter(
            f"{value[:60]!r} is no shape: write channels,height,width as in 3,20,20, or the "
            "number of features."
        )
    return tuple(map(int, parts))


_INPUT = click.option(
    "--input",
    "input_shape",
    callback=_lengths,
    metavar="SHAPE",
    help="What an .onnx model takes that leaves lengths open: channels,height,width or features, "
    "as in 3,20,20.",
)


@click.command()
@click.argument("template")
@click.option("-o", "--output", type=FILE, help="The file to write. Default: TEMPLATE.xlsx here.")
@click.option(
    "--formulas",
    type=click.Choice(["sumproduct", "array"]),
    help="SUMPRODUCT(a,b), shared where a plane is a fill; or one-cell array formulas "
    "SUM(a*b). Default: as the template says.",
)
@click.option(
    "--layout",
    "layout",
    type=click.Choice(["auto", "one-sheet", "per-layer"]),
    help="One worksheet, one for each layer, or one as long as the network fits. Default: as "
    "the template says, which is auto unless it says otherwise.",
)
@click.option(
    "--image",
    "images",
    type=FILE,
    multiple=True,
    help="An image of your own: a picture, resized and scaled as the template says; or .npy or "
    ".csv, taken as it is. Given several times: a batch. Default: the template's.",
)
@click.option(
    "--invert/--no-invert",
    default=None,
    help="Whether dark and light of the picture are swapped. Default: as the template says.",
)
@click.option(
    "--weights",
    type=FILE,
    help="Trained weights: .npz, .safetensors, or a PyTorch state_dict as .pt or .pth. "
    "Default: the template's.",
)
@click.option(
    "--pictures",
    type=FILE,
    metavar="FOLDER|FILE",
    help="Pictures of your own to choose from in the workbook: a folder of them, or of folders "
    "named as their classes; or an .npz file with pictures and labels. Default: the template's.",
)
@click.option(
    "--classes",
    metavar="A,B,...",
    help="Names of the outputs, in their order, with commas between them. Default: the template's.",
)
@click.option(
    "--plain",
    is_flag=True,
    help="The network alone: no cover, no list of pictures, no worksheets that explain it.",
)
@cell_training_options
@_INPUT
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the random numbers that RAND() cells show at first.",
)
@click.option("-f", "--force", is_flag=True, help="Replace an existing file.")
def build(
    template: str,
    output: Path | None,
    formulas: str | None,
    layout: str | None,
    images: tuple[Path, ...],
    invert: bool | None,
    weights: Path | None,
    pictures: Path | None,
    classes: str | None,
    plain: bool,
    train: bool,
    input_shape: tuple[int, ...] | None,
    seed: int,
    force: bool,
    **training: Any,
) -> None:
    """Write the network of TEMPLATE as a workbook.

    TEMPLATE is the name of a template that comes with sheetconv, such as conv-example, or
    the path of a .toml file of your own or of an .onnx model. An image or weights of your own
    go into each of its networks.
    """
    from dataclasses import replace
    from typing import cast

    from ..drawing import FormulaStyle, LayoutStyle
    from ..interchange.onnx_template import load_template_or_model
    from ..network_sheet import NetworkSheet
    from ..own_data import batch_changes, load_into, with_classes, with_images
    from ..picture_files import with_pictures
    from ..workbook import build_workbook

    if train:
        others = {"formulas": formulas, "layout": layout, "image": images, "invert": invert,
                  "weights": weights, "pictures": pictures, "classes": classes,
                  "plain": plain, "input": input_shape}  # fmt: skip
        if unfit := [name for name, value in others.items() if value]:
            raise click.UsageError(f"--{unfit[0]} does not go with --train: leave out one of them.")
        build_cells(template, output, seed, force, training)
        return
    if alone := [name for name, value in training.items() if value is not None]:
        name = alone[0].replace("_", "-").replace("count", "images")
        raise click.UsageError(f"--{name} is for --train: add that, or use sheetconv train.")
    if invert is not None and not (images or pictures):
        raise click.UsageError(
            "--invert and --no-invert are for pictures: give --image or --pictures, too."
        )
    if plain and pictures:
        raise click.UsageError("--plain has no list for --pictures: leave out one of them.")
    own = load_template_or_model(template, input_shape)
    if classes is not None:
        own = with_classes(own, [name.strip() for name in classes.split(",")])
    loaded = own
    if images:
        loaded = with_images(own, images, invert)
    if pictures is not None:
        loaded = with_pictures(loaded, pictures, invert, keep_image=bool(images))
    if weights is not None:
        load_into(loaded, weights)
    target = output or Path(f"{loaded.name}.xlsx")
    sheets = []
    for item in loaded.networks:
        drawing = item.drawing
        if formulas:
            drawing = replace(drawing, formulas=cast(FormulaStyle, formulas))
        if layout:
            drawing = replace(drawing, layout=cast(LayoutStyle, layout))
        guides = None if plain else item.guides
        sheets.append(NetworkSheet(item.network, item.image, drawing, guides))
    built = build_workbook(
        sheets, target, title=loaded.title, about=loaded.description, force=force, seed=seed
    )
    explaining = f" ({built.guide_cells:,} of them explain it)" if built.guide_cells else ""
    click.echo(
        f"wrote {built.path}: {built.formula_cells:,} formula cells{explaining}, "
        f"{built.file_size:,} bytes; worksheets: {', '.join(built.worksheets)}"
    )
    for laid in built.layouts:
        if not laid.drawing.is_pinned:
            many = "one worksheet a layer" if len(laid.worksheets) > 1 else "one worksheet"
            click.echo(f"{laid.drawing.worksheet}: {many}, {laid.reason}")
    for line in batch_changes(own, loaded):
        click.echo(line)
    first = "Open it, click a cell, and trace its precedents."
    if built.guide_cells:
        first = f"Open it; the worksheet {built.worksheets[0]} says what to try."
    click.echo(f"{first} To check every cell:\n  sheetconv check {quoted(built.path)}")


@click.command()
def templates() -> None:
    """List the templates that come with sheetconv."""
    from ..listing import template_lines

    for line in template_lines():
        click.echo(line)
    click.echo("To edit one of your own:\n  sheetconv new NAME --from TEMPLATE")


@click.command()
@click.argument("name")
@click.option(
    "--from",
    "source",
    metavar="TEMPLATE",
    required=True,
    help="The template to copy: see sheetconv templates; or a .toml file of your own.",
)
@click.option("-f", "--force", is_flag=True, help="Replace existing files.")
def new(name: str, source: str, force: bool) -> None:
    """Copy a template and its numbers into this folder, to edit.

    Writes NAME.toml, and NAME.npz where the template has numbers.
    """
    from ..own_template import new_template

    written = new_template(name, source, force=force)
    click.echo(f"wrote {' and '.join(map(str, written))}: a copy of {source}")
    click.echo(f"Edit {written[0]}, then:\n  sheetconv build {quoted(written[0])}")


@click.command()
@click.argument("template")
@_INPUT
def summary(template: str, input_shape: tuple[int, ...] | None) -> None:
    """Show what TEMPLATE costs and its layers.

    First come the cells, bytes and seconds that a workbook of it will take, then every layer.
    Multiplications are those by weights, for one image. A receptive field is the part of the
    image that a unit can depend on; step is how far it moves from one unit to the next, and
    first at is the row and column of the first one's first pixel, negative in the padding.
    """
    from ..budget import budget
    from ..interchange.onnx_template import load_template_or_model
    from ..network_sheet import NetworkSheet
    from ..summary import summarize

    loaded = load_template_or_model(template, input_shape)
    networks = [
        NetworkSheet(item.network, item.image, item.drawing, item.guides)
        for item in loaded.networks
    ]
    click.echo(f"{loaded.title}: {loaded.description}" if loaded.description else loaded.title)
    for line in budget(networks).lines():
        click.echo(line)
    for item in networks:
        click.echo(f"\n{item.drawing.worksheet}:")
        for line in summarize(item.network, item.image.shape).lines():
            click.echo(line)
