"""Commands that show what stands in a workbook: trace, render."""

from __future__ import annotations

from pathlib import Path

import click

from . import FILE


@click.command()
@click.argument("file", type=FILE)
@click.argument("cell")
@click.option(
    "--depth", type=click.IntRange(min=1), help="How many steps to go back. Default: all."
)
@click.option("--png", type=FILE, help="Draw the worksheet with arrows into this file.")
@click.option("-f", "--force", is_flag=True, help="Replace an existing picture.")
def trace(file: Path, cell: str, depth: int | None, png: Path | None, force: bool) -> None:
    """Show what CELL of FILE depends on, layer by layer, down to the input pixels.

    CELL is written like 'conv_2!D41', or D41 where there is only one worksheet. What a
    formula reads is taken from its text as it stands in the file; values are those that
    the file shows. Rows, columns, channels and units are counted from 1.
    """
    from ..tracing import trace as run_trace

    for line in run_trace(file, cell, depth, png=png, force=force).lines():
        click.echo(line)
    if png is not None:
        click.echo(f"wrote {png}")


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "-o",
    "--output",
    type=FILE,
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
    from ..rendering import render as run_render

    for path in run_render(
        file, output, sheets=sheets, area=area, dpi=dpi, force=force, timeout=timeout
    ):
        click.echo(f"wrote {path}: {path.stat().st_size:,} bytes")
