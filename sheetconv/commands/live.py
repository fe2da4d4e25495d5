"""The command that lets a spreadsheet program train while a person watches: live."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import FILE, quoted

if TYPE_CHECKING:
    from ..live.watching import Silence

# Of a run whose end is known so many lines are printed, of another one for so many steps.
_LINES, _EVERY = 20, 100


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--engine",
    default="ironcalc",
    show_default=True,
    help="What calculates: ironcalc, libreoffice or excel.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=0),
    default=0,
    help="How many. Default, and 0: until you stop it.",
)
@click.option("--show", is_flag=True, help="In a window of LibreOffice or Excel.")
@click.option("-o", "--output", type=FILE, help="Where to save. Default: FILE itself.")
@click.option("--plain", is_flag=True, help="Lines instead of pictures.")
@click.option(
    "--every", type=click.IntRange(min=1), help="Steps from one line to the next, with --plain."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Seconds that the program may take for one call.",
)
@click.option("-f", "--force", is_flag=True, help="Replace an existing OUTPUT.")
def live(
    file: Path,
    engine: str,
    steps: int,
    show: bool,
    output: Path | None,
    plain: bool,
    every: int | None,
    timeout: float,
    force: bool,
) -> None:
    """Let a spreadsheet program train the network of FILE, step by step, while you watch.

    FILE is a workbook of sheetconv build TEMPLATE --train; --steps 1 there is enough, and the
    fastest. Each step is one recalculation. In a terminal, space pauses and goes on, s takes a
    single step, r resets the weights, q saves and stops. So does Ctrl-C, after the step. What was
    learned is saved at the end, and every ten seconds until then.

    With --show the worksheets follow. Your changes of settings and data there are kept; for
    others, save a copy from the window.
    """
    from ..errors import WorkbookError
    from ..live import run_live
    from ..live.controls import NoControls, Terminal

    has_keys = sys.stdin.isatty()
    controls = Terminal() if has_keys else NoControls()
    watcher = _watcher(plain, every or (max(1, steps // _LINES) if steps else _EVERY), has_keys)
    result = run_live(
        file,
        engine,
        steps,
        output=output,
        force=force,
        show=show,
        timeout=timeout,
        controls=controls,
        watcher=watcher,
    )
    taken = len(result.losses)
    counted = f"{taken:,} step{'' if taken == 1 else 's'}"
    losses = f", loss {result.losses[0]:.4f} to {result.losses[-1]:.4f}" if taken else ""
    click.echo(f"{counted}, {result.steps_per_second:,.0f} a second{losses}")
    wished = output or file
    if result.path != wished:
        raise WorkbookError(
            f"{wished} could not be replaced, as another program changed it or has it open: all "
            f"is saved in {result.path}"
        )
    click.echo(
        f"{result.path} goes on with step {result.step:,}. To check every cell:\n"
        f"  sheetconv check {quoted(result.path)}"
    )


def _watcher(plain: bool, every: int, has_keys: bool) -> Silence:
    """Pictures where a terminal can show them, else lines."""
    from ..live.controls import HINT
    from ..live.watching import Lines, Screen

    is_unicode = "utf" in (sys.stdout.encoding or "").lower()
    if plain or not sys.stdout.isatty() or not is_unicode:
        return Lines(every)
    return Screen(hint=HINT if has_keys else "")
