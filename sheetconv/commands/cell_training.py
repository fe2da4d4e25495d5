"""What `sheetconv build --train` does: a template's network, trained in cells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from . import FILE, quoted
from .training_options import Command, with_options


def cell_training_options(command: Command) -> Command:
    """--train and what goes with it."""
    return with_options(
        command,
        click.option(
            "--train",
            is_flag=True,
            help="Lay out training steps in cells: forward pass, loss, every gradient and the new "
            "weights are formulas. The options that follow are for it.",
        ),
        click.option("--steps", type=int, help="How many steps are drawn. Default: 10."),
        click.option(
            "--iterate",
            is_flag=True,
            default=None,
            help="Draw one step, which recalculations repeat: cells that refer to themselves keep "
            "the weights. LibreOffice calculates that; Excel should, and is not tried.",
        ),
        click.option(
            "--images",
            "count",
            type=int,
            help="How many images the batches come from. Default: 8.",
        ),
        click.option(
            "--data", metavar="NAME|PATH", help="As for sheetconv train. Default: the template's."
        ),
        click.option("--data-dir", type=FILE, help="Where the IDX files of a data set are."),
        click.option("--label", help="The label's column of a .csv."),
        click.option("--batch", type=int, help="Images of a step. Default: 4."),
        click.option("--lr", type=float, help="Learning rate. Default: 0.2 for SGD."),
        click.option("--optimiser", help="sgd, rmsprop, adam or adamw. Default: sgd."),
        click.option("--momentum", type=float, help="Of SGD and RMSprop; Adam's first beta."),
        click.option("--weight-decay", type=float, help="How fast weights fall by themselves."),
        click.option("--schedule", help="constant, step, cosine or one-cycle. Default: constant."),
        click.option("--loss", help="cross-entropy, bce or mse. Default: as the data want it."),
        click.option(
            "--init", help="How weights begin, as for sheetconv train; keep for the template's."
        ),
    )


def build_cells(
    template: str, output: Path | None, seed: int, force: bool, given: Mapping[str, Any]
) -> None:
    """Write the workbook, and say what to do with it."""
    from ..cell_training.setting_up import cell_training_of
    from ..cell_training.writing import build_training
    from ..errors import TrainingError
    from ..files import check_target
    from ..interchange.onnx_template import load_template_or_model

    loaded = load_template_or_model(template, None)
    if len(loaded.networks) > 1:
        raise TrainingError(
            f"the template {loaded.name} has {len(loaded.networks)} networks: only a template of "
            "one can be trained"
        )
    target = output or Path(f"{loaded.name}-training.xlsx")
    check_target(target, force=force)
    # Without a seed on the command line it is the template's.
    training = cell_training_of(loaded, {**given, "seed": seed or None})
    built = build_training(training, target, title=loaded.title, force=force)
    drawn = "1 step" if built.steps == 1 else f"{built.steps} steps"
    click.echo(
        f"wrote {built.path}: {drawn} in {built.formula_cells:,} formula cells, "
        f"{built.file_size:,} bytes; worksheets: {', '.join(built.worksheets)}"
    )
    if built.period:
        click.echo(
            f"loss: {built.losses[0]:.4f} at first; {built.period} recalculations are a step"
        )
        says, engine = built.worksheets[1], " --engine libreoffice"
    else:
        click.echo(
            f"loss: {built.losses[0]:.4f} in the first step, {built.losses[-1]:.4f} in the last"
        )
        says, engine = built.worksheets[0], ""
    click.echo(
        f"Open it; the worksheet {says} says what to try. To check every cell:\n"
        f"  sheetconv check {quoted(built.path)}{engine}"
    )
