"""The command line: it starts commands, and says in one line why one failed.

Exit codes: 0 for success; 1 where a check or comparison found differences; 2 for a
mistake in the call or an input that cannot be used, in one line on standard error;
130 when interrupted; 70 for a fault of sheetconv's own, with a traceback.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from typing import NoReturn

import click

from .commands import checking, experiments, live, making, showing, training
from .errors import SheetconvError
from .version import __version__


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
      sheetconv new mine --from digits
    """  # noqa: D301 - click reads \\b


for _command in (
    *(making.build, making.templates, making.new, making.summary),
    *(checking.check, checking.diff, checking.doctor),
    *(showing.trace, showing.render),
    *(training.train, experiments.experiment, live.live),
):
    cli.add_command(_command)


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
