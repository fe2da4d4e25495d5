"""The options that commands which train have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from . import FILE

Command = Callable[..., Any]


def data_options(command: Command) -> Command:
    """What to learn from: --data, --data-dir, --label, --invert, --valid."""
    return with_options(
        command,
        click.option(
            "--data",
            metavar="NAME|PATH",
            help="digits, mnist or fashion-mnist; or your own: a folder of folders that are named "
            "as the classes of the pictures in them, .npz with images and labels, or .csv. "
            "Default: the template's.",
        ),
        click.option(
            "--data-dir", type=FILE, help="Where the IDX files of mnist or fashion-mnist are."
        ),
        click.option(
            "--label", default="label", show_default=True, help="The label's column of a .csv."
        ),
        click.option("--invert", is_flag=True, help="Swap dark and light of the pictures."),
        click.option("--valid", type=float, metavar="SHARE", help="Of the images, for validation."),
    )


def step_options(command: Command) -> Command:
    """How it learns: --epochs, --batch, --lr, --optimiser."""
    return with_options(
        command,
        click.option("--epochs", type=int, help="How often every image is seen."),
        click.option("--batch", type=int, help="Images of a step."),
        click.option("--lr", type=float, help="Learning rate, or the largest one of the schedule."),
        click.option("--optimiser", help="sgd, rmsprop, adam or adamw."),
    )


def repeat_options(command: Command) -> Command:
    """What a run can be repeated with: --seed, --threads."""
    return with_options(
        command,
        click.option("--seed", type=int, help="Of weights, split, order and dropout."),
        click.option(
            "--threads", type=click.IntRange(1, 256), help="How many work. Default: all cores."
        ),
    )


def with_options(command: Command, *options: Callable[[Command], Command]) -> Command:
    """A command with options, listed in that order."""
    for option in reversed(options):
        command = option(command)
    return command
