"""The command that compares two ways to train a network: experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import FILE, quoted
from .training_options import data_options, repeat_options, step_options

# The options of the training that can be given here.
_OWN = ("data", "valid", "epochs", "batch", "lr", "optimiser", "seed")


@click.command()
@click.argument("name", required=False)
@click.argument("template", default="simple-cnn-wide")
@data_options
@step_options
@repeat_options
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Train with N seeds; give means and standard deviations. Default: 1.",
)
@click.option("-o", "--output", type=FILE, help="The workbook. Default: experiment-NAME.xlsx.")
@click.option("-f", "--force", is_flag=True, help="Replace an existing file.")
@click.option("--list", "listing", is_flag=True, help="What there is to compare.")
def experiment(name: str | None, template: str, listing: bool, **given: Any) -> None:
    """Train a network twice with one thing different, and compare.

    NAME says what: without it, or with --list, all are listed. TEMPLATE is as for sheetconv
    train, by default simple-cnn-wide, and the data are the template's own unless --data says
    otherwise. Both networks start from the same weights. The workbook shows the comparison, and
    both networks as live worksheets.
    """
    from ..training.variants import EXPERIMENTS, experiment_named

    if name is None or listing:
        width = max(map(len, EXPERIMENTS))
        for item in EXPERIMENTS.values():
            click.echo(f"{item.name:<{width}}  {item.compares}")
        click.echo("To run one:\n  sheetconv experiment NAME [TEMPLATE]")
        return
    experiment_named(name)

    from ..errors import TrainingError
    from ..files import check_target
    from ..interchange.onnx_template import load_template_or_model
    from ..training.experiment_workbook import require_drawable
    from ..training.experiments import run_experiment
    from ..training.progress import Progress
    from ..training.training_run import DataPlace

    output = given["output"] or Path(f"experiment-{name}.xlsx")
    check_target(output, force=given["force"])
    if output.suffix.lower() != ".xlsx":
        raise TrainingError(f"{output}: the name of a workbook ends in .xlsx")
    loaded = load_template_or_model(template)
    require_drawable(loaded)
    result = run_experiment(
        name,
        loaded,
        {key: given[key] for key in _OWN},
        place=DataPlace(given["data_dir"], given["label"], given["invert"]),
        seeds=given["seeds"],
        threads=given["threads"],
        progress=Progress,
        announce=lambda text: click.echo(f"{text}:", err=True),
    )
    one = result.first[0]
    click.echo(
        f"{result.experiment.name} with {loaded.name} on {result.data}: {one.images:,} images for "
        f"training, {len(result.valid):,} for validation"
    )
    for line in result.lines():
        click.echo(f"  {line}")
    for sentence in (result.sentence, *result.notes):
        click.echo(sentence)
    built = result.write(output, force=given["force"])
    click.echo(
        f"wrote {built.path}: {built.formula_cells:,} formula cells, {built.file_size:,} bytes; "
        f"worksheets: {', '.join(built.worksheets)}"
    )
    click.echo(f"To check every cell:\n  sheetconv check {quoted(built.path)}")
