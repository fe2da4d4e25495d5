"""The command line: parse, call, print. Every command imports only what it uses.

Exit codes: 0 for success; 1 where a check or comparison found differences; 2 for a
mistake in the call or an input that cannot be used, in one line on standard error;
130 when interrupted; 70 for a fault of sheetconv's own, with a traceback.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import click

from .errors import SheetconvError
from .version import __version__

_FILE = click.Path(path_type=Path)


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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sheetconv")
def cli() -> None:
    """Convolutional networks as Excel workbooks of live formulas.

    \b
    Start with:
      sheetconv build conv-example
      sheetconv check conv-example.xlsx

    \b
    Then make a network of your own:
      sheetconv templates
      sheetconv new mine --from conv-example
    """  # noqa: D301 - click reads \\b


@cli.command()
@click.argument("template")
@click.option("-o", "--output", type=_FILE, help="The file to write. Default: TEMPLATE.xlsx here.")
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
    type=_FILE,
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
    type=_FILE,
    help="Trained weights: .npz, .safetensors, or a PyTorch state_dict as .pt or .pth. "
    "Default: the template's.",
)
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
    input_shape: tuple[int, ...] | None,
    seed: int,
    force: bool,
) -> None:
    """Write the network of TEMPLATE as a workbook.

    TEMPLATE is the name of a template that comes with sheetconv, such as conv-example, or
    the path of a .toml file of your own or of an .onnx model. An image or weights of your own
    go into each of its networks.
    """
    from dataclasses import replace
    from typing import cast

    from .drawing import FormulaStyle, LayoutStyle
    from .interchange.onnx_template import load_template_or_model
    from .own_data import batch_changes, load_into, with_images
    from .workbook import build_workbook
    from .worksheet import NetworkSheet

    if invert is not None and not images:
        raise click.UsageError("--invert and --no-invert are for a picture: give --image, too.")
    own = loaded = load_template_or_model(template, input_shape)
    if images:
        loaded = with_images(own, images, invert)
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
        sheets.append(NetworkSheet(item.network, item.image, drawing))
    built = build_workbook(sheets, target, title=loaded.title, force=force, seed=seed)
    click.echo(
        f"wrote {built.path}: {built.formula_cells:,} formula cells, {built.file_size:,} bytes; "
        f"worksheets: {', '.join(name for laid in built.layouts for name in laid.worksheets)}"
    )
    for laid in built.layouts:
        if not laid.drawing.is_pinned:
            many = "one worksheet a layer" if len(laid.worksheets) > 1 else "one worksheet"
            click.echo(f"{laid.drawing.worksheet}: {many}, {laid.reason}")
    for line in batch_changes(own, loaded):
        click.echo(line)
    click.echo(
        "Open it, click a cell, and trace its precedents. To check every cell:\n"
        f"  sheetconv check {_quoted(built.path)}"
    )


@cli.command()
def templates() -> None:
    """List the templates that come with sheetconv."""
    from .listing import template_lines

    for line in template_lines():
        click.echo(line)
    click.echo("To edit one of your own:\n  sheetconv new NAME --from TEMPLATE")


@cli.command()
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
    from .own_template import new_template

    written = new_template(name, source, force=force)
    click.echo(f"wrote {' and '.join(map(str, written))}: a copy of {source}")
    click.echo(f"Edit {written[0]}, then:\n  sheetconv build {_quoted(written[0])}")


@cli.command()
@click.argument("template")
@_INPUT
def summary(template: str, input_shape: tuple[int, ...] | None) -> None:
    """Show what TEMPLATE costs and its layers.

    First come the cells, bytes and seconds that a workbook of it will take, then every layer.
    Multiplications are those by weights, for one image. A receptive field is the part of the
    image that a unit can depend on; step is how far it moves from one unit to the next, and
    first at is the row and column of the first one's first pixel, negative in the padding.
    """
    from .budget import budget
    from .interchange.onnx_template import load_template_or_model
    from .summary import summarize

    loaded = load_template_or_model(template, input_shape)
    networks = [(item.network, item.image, item.drawing) for item in loaded.networks]
    click.echo(f"{loaded.title}: {loaded.description}" if loaded.description else loaded.title)
    for line in budget(networks).lines():
        click.echo(line)
    for network, image, drawing in networks:
        click.echo(f"\n{drawing.worksheet}:")
        for line in summarize(network, image.shape).lines():
            click.echo(line)


@cli.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--engine",
    "engine",
    default="ironcalc",
    show_default=True,
    help="What recalculates: ironcalc, libreoffice, excel, or all that are found.",
)
@click.option(
    "--probes",
    type=click.IntRange(0, 100),
    help="How often every layer is recalculated with random numbers. Default: as often as it "
    "takes to see every cell that its formulas read.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Seconds that one step of an engine may take.",
)
@click.option("--report", type=_FILE, help="Write one row a cell to this .csv or .json file.")
@click.option("-f", "--force", is_flag=True, help="Replace an existing report.")
def check(
    files: tuple[Path, ...],
    engine: str,
    probes: int | None,
    timeout: float,
    report: Path | None,
    force: bool,
) -> None:
    """Recalculate FILES for real and hold every formula cell against NumPy.

    Inputs and weights are read from the cells as they are, so that edited workbooks can be
    checked too. Exit code 1 if any cell is wrong.
    """
    from .calculators import find_engine, found_engines
    from .checking import check as run_check
    from .checking import report as check_report
    from .files import check_target

    if report is not None:
        check_report.require_report_name(report)
        check_target(report, force=force)
    engines = found_engines() if engine == "all" else [find_engine(engine)]
    versions = {item.name: item.status().version for item in engines}
    results = []
    for number, file in enumerate(files):
        results.append(run_check(file, engines, probes=probes, timeout=timeout))
        if number:
            click.echo()
        click.echo("\n".join(check_report.lines(results[-1], versions)))
    if report is not None:
        check_report.write_report(results, report, force=force)
        click.echo(f"wrote {report}")
    if not all(result.ok for result in results):
        sys.exit(1)


@cli.command()
@click.argument("a", type=_FILE)
@click.argument("b", type=_FILE)
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    help="How far numbers may lie apart, relative to the larger. Default: constants not at all, "
    "cached values 1e-12.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How many differences to print.",
)
def diff(a: Path, b: Path, rtol: float | None, limit: int) -> None:
    """Compare workbooks A and B by sheet and cell.

    Compared are formulas, values, number formats, bold and italic, colour scales, column
    widths and merged cells. Exit code 1 if they differ.
    """
    from .diff import diff as run_diff

    found = run_diff(a, b, rtol=rtol)
    for line in found.lines(limit):
        click.echo(line)
    click.echo(found.summary())
    if not found.equal:
        sys.exit(1)


@cli.command()
@click.argument("file", type=_FILE)
@click.argument("cell")
@click.option(
    "--depth", type=click.IntRange(min=1), help="How many steps to go back. Default: all."
)
@click.option("--png", type=_FILE, help="Draw the worksheet with arrows into this file.")
@click.option("-f", "--force", is_flag=True, help="Replace an existing picture.")
def trace(file: Path, cell: str, depth: int | None, png: Path | None, force: bool) -> None:
    """Show what CELL of FILE depends on, layer by layer, down to the input pixels.

    CELL is written like 'conv_2!D41', or D41 where there is only one worksheet. What a
    formula reads is taken from its text as it stands in the file; values are those that
    the file shows. Rows, columns, channels and units are counted from 1.
    """
    from .tracing import trace as run_trace

    for line in run_trace(file, cell, depth, png=png, force=force).lines():
        click.echo(line)
    if png is not None:
        click.echo(f"wrote {png}")


@cli.command()
@click.argument("file", type=_FILE)
@click.option(
    "-o",
    "--output",
    type=_FILE,
    required=True,
    help="The file to write: .png, .pdf or .html. Of several worksheets, out.png is one file "
    "each: out-NAME.png.",
)
@click.option(
    "--sheet",
    "sheets",
    metavar="NAME",
    multiple=True,
    help="A worksheet to draw; may be given several times. Default: all that are not hidden.",
)
@click.option(
    "--range", "area", metavar="A1:Z40", help="The cells to draw. Default: all that are used."
)
@click.option(
    "--dpi",
    type=click.FloatRange(min=1),
    help="Pixels per inch of a .png; 96 is the size on a screen. Default: 144, or less for very "
    "large worksheets.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Seconds that one step of LibreOffice may take.",
)
@click.option("-f", "--force", is_flag=True, help="Replace existing files.")
def render(
    file: Path,
    output: Path,
    sheets: tuple[str, ...],
    area: str | None,
    dpi: float | None,
    timeout: float,
    force: bool,
) -> None:
    """Draw worksheets of FILE as pictures, for slides.

    LibreOffice draws what it would show, on pages as large as the cells in use: a .png for
    each worksheet, a .pdf with a page for each, or an .html page with a table for each.
    """
    from .rendering import render as run_render

    for path in run_render(
        file, output, sheets=sheets, area=area, dpi=dpi, force=force, timeout=timeout
    ):
        click.echo(f"wrote {path}: {path.stat().st_size:,} bytes")


@cli.command()
def doctor() -> None:
    """Say which spreadsheet engines are here, and how to get the others."""
    import platform

    from .calculators import statuses

    click.echo(f"sheetconv {__version__}, Python {platform.python_version()}, {sys.platform}")
    for status in statuses():
        if status.found:
            click.echo(f"  {status.name:<12} {status.version}  ({status.where})")
        else:
            click.echo(f"  {status.name:<12} not found: {status.hint}")


def _quoted(path: Path) -> str:
    text = str(path)
    return f'"{text}"' if " " in text else text


def _fail(message: str) -> NoReturn:
    click.echo(f"sheetconv: error: {' '.join(message.split())}", err=True)
    sys.exit(2)


def main() -> None:
    """The entry point of the `sheetconv` command."""
    # A character that the terminal cannot show is no reason to fail.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Told to stop, it cleans up as it does after an error.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cli.main(prog_name="sheetconv", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "sheetconv"
        _fail(f"{error.format_message()} See: {command} --help")
    except SheetconvError as error:
        _fail(str(error))
    except MemoryError:
        _fail("not enough memory: use a smaller image, fewer channels or fewer outputs")
    except (click.Abort, KeyboardInterrupt):
        click.echo("sheetconv: interrupted; no file was changed", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe went away, as `head` does; keep Python from saying so again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception:
        # A fault of sheetconv's own must not look like the answer that cells are wrong.
        traceback.print_exc()
        sys.exit(70)
