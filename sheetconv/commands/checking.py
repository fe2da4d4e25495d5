"""Commands that hold workbooks against NumPy or each other: check, diff, doctor."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..version import __version__
from . import FILE


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
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
@click.option("--report", type=FILE, help="Write one row a cell to this .csv or .json file.")
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
    from ..calculators import find_engine, found_engines
    from ..checking import check as run_check
    from ..checking import report as check_report
    from ..files import check_target

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


@click.command()
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
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
    from ..diff import diff as run_diff

    found = run_diff(a, b, rtol=rtol)
    for line in found.lines(limit):
        click.echo(line)
    click.echo(found.summary())
    if not found.equal:
        sys.exit(1)


@click.command()
def doctor() -> None:
    """Say which spreadsheet engines are here, and how to get the others."""
    import platform

    from ..calculators import statuses

    click.echo(f"sheetconv {__version__}, Python {platform.python_version()}, {sys.platform}")
    for status in statuses():
        if status.found:
            click.echo(f"  {status.name:<12} {status.version}  ({status.where})")
        else:
            click.echo(f"  {status.name:<12} not found: {status.hint}")
