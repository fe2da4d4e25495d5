"""The commands: their options, and what they print. Each imports only what it uses."""

from __future__ import annotations

from pathlib import Path

import click

#: A file or folder, which need not exist.
FILE = click.Path(path_type=Path)


def quoted(path: Path) -> str:
    """A path as a command line takes it."""
    text = str(path)
    return f'"{text}"' if " " in text else text
