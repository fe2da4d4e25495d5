"""The command that trains a network: train."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from . import FILE, quoted
from .training_options import data_options, repeat_options, step_options

# The options that templates have, too.
_OWN = (
    *("data", "epochs", "batch", "lr", "optimiser", "momentum", "nesterov", "weight_decay"),
    *("schedule", "step_size", "gamma", "loss", "label_smoothing", "init", "metrics", "frozen"),
    *("lr_factors", "clip_norm", "clip_value", "patience", "valid", "activations", "dtype"),
    "seed",
)


# What else a run that goes on has to know.
_FILES = ("data_dir", "weights", "save_weights", "png")
_PLACE = (*_FILES, "label", "invert", "plain", "force")


def _factors(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, float] | None:
    """LAYER=FACTOR, as a mapping."""
    factors: dict[str, float] = {}
    for item in value:
        name, _, number = item.partition("=")
        try:
            factors[name.strip()] = float(number)
        except ValueError:
            raise click.BadParameter(
                f"{item[:60]!r}: write LAYER=FACTOR, as in conv1=0.1."
            ) from None
    return factors or None


def _names(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    """Names with commas between them."""
    return None if value is None else tuple(name.strip() for name in value.split(","))


@click.command()
@click.argument("template")
@data_options
@step_options
@click.option("--momentum", type=float, help="Of SGD and RMSprop; Adam's first beta.")
@click.option("--nesterov", is_flag=True, default=None, help="SGD looks ahead.")
@click.option("--weight-decay", type=float, help="How fast weights fall by themselves.")
@click.option("--schedule", help="constant, step, cosine or one-cycle.")
@click.option("--step-size", type=int, help="Epochs between the steps of --schedule step.")
@click.option("--gamma", type=float, help="What a step multiplies the learning rate by.")
@click.option("--loss", help="cross-entropy, bce or mse. Default: as the data want it.")
@click.option("--label-smoothing", type=float, help="How uncertain labels are in training.")
@click.option(
    "--init",
    help="How weights begin: default (PyTorch's), kaiming-normal, kaiming-uniform, xavier-normal, "
    "xavier-uniform; or keep, with the template's or those of --weights.",
)
@click.option("--weights", type=FILE, help="Weights to begin with, as for sheetconv build.")
@click.option("--metrics", callback=_names, help="accuracy, top-3, f1, ..., with commas between.")
@click.option(
    "--freeze", "frozen", callback=_names, help="Layers that do not learn: conv1, or batchnorm."
)
@click.option(
    "--lr-of",
    "lr_factors",
    multiple=True,
    callback=_factors,
    metavar="LAYER=FACTOR",
    help="What a layer's learning rate is multiplied by. May be given several times.",
)
@click.option("--clip-norm", type=float, help="The largest norm of the gradient.")
@click.option("--clip-value", type=float, help="The largest size of each number of the gradient.")
@click.option("--patience", type=int, help="End after so many epochs without improvement.")
@click.option("--activations", type=int, help="Record every so many batches; 0 for never.")
@click.option("--dtype", help="float32 or float64.")
@repeat_options
@click.option("-o", "--output", type=FILE, help="The workbook. Default: TEMPLATE-trained.xlsx.")
@click.option("--plain", is_flag=True, help="Without what explains the network.")
@click.option("--save-weights", type=FILE, help="Write the trained weights to this .npz, too.")
@click.option(
    "--png", type=FILE, metavar="FOLDER", help="Save the pictures of the training, too; needs "
    "matplotlib.",
)  # fmt: skip
@click.option("--find-lr", is_flag=True, help="Suggest a learning rate, and do not train.")
@click.option("--resume", is_flag=True, help="Go on with a run that was interrupted.")
@click.option("-f", "--force", is_flag=True, help="Replace existing files.")
@click.pass_context
def train(context: click.Context, /, template: str, **given: Any) -> None:
    """Train the network of TEMPLATE with NumPy, and write it as a workbook.

    TEMPLATE is as for sheetconv build. How it is trained stands in the template's
    [networks.training]; what is given here counts more. The workbook shows how it went, and lets
    you choose among validation images. Ctrl-C keeps what was learned: --resume goes on.
    """
    from ..errors import CheckpointError, SheetconvError, TrainingError
    from ..files import check_target
    from ..interchange.onnx_template import load_template_or_model
    from ..own_data import load_into
    from ..training.checkpoint import read_checkpoint, require_same
    from ..training.options import KEEP, TrainingOptions
    from ..training.progress import Progress, as_text
    from ..training.training_run import DataPlace, TrainingRun, save_weights

    loaded = load_template_or_model(template, None)
    if len(loaded.networks) > 1:
        raise TrainingError(
            f"the template {loaded.name} has {len(loaded.networks)} networks: only a template of "
            "one can be trained"
        )
    (item,) = loaded.networks
    options = TrainingOptions().changed(dict(item.training))
    output = given["output"] or Path(f"{loaded.name}-trained.xlsx")
    if output.suffix.lower() != ".xlsx":
        raise TrainingError(f"{output}: the name of a workbook ends in .xlsx")
    checkpoint = output.with_suffix(".checkpoint.npz")
    own = {name: given[name] for name in _OWN}
    place = {name: given[name] for name in _PLACE}
    if given["resume"] and given["find_lr"]:
        raise click.UsageError("--find-lr begins anew: leave out --resume.")
    if given["resume"]:
        if not os.path.exists(checkpoint):
            raise CheckpointError(
                f"there is no {checkpoint} to go on with: start without --resume, or give the -o "
                "of the run that was interrupted"
            )
        if place["weights"] is not None:
            raise click.UsageError(
                f"--resume goes on with the weights in {checkpoint}: leave out --weights"
            )
        kept = read_checkpoint(checkpoint).about
        found = kept.get("more")
        if not isinstance(found, dict) or not {"options", "place"} <= found.keys():
            raise CheckpointError(
                f"{checkpoint} was not written by sheetconv train: Learner.resume goes on with it"
            )
        options = TrainingOptions.from_about(found["options"])
        _check_same(context, own, options.about(), checkpoint)
        for name, value in found["place"].items():
            if context.get_parameter_source(name) is ParameterSource.DEFAULT:
                place[name] = Path(value) if name in _FILES and value else value
    else:
        options = options.changed(own)
        if place["weights"] is not None and own["init"] not in (None, KEEP):
            raise click.UsageError(
                f"--init {own['init']} would draw other weights than those of --weights: leave out "
                "one of them."
            )
        if place["weights"] is not None:
            options = options.changed({"init": KEEP})
    force = bool(place["force"])
    if not given["find_lr"]:
        check_target(output, force=force)
        if not given["resume"] and os.path.exists(checkpoint) and not force:
            raise CheckpointError(
                f"{checkpoint} is of a run that was interrupted: go on with it with --resume, or "
                "start anew with --force"
            )
        if place["save_weights"] is not None:
            _check_weights(place["save_weights"], (checkpoint, Path(options.data)), force)
        if place["png"] is not None:
            _check_folder(place["png"], force)
    # The checkpoint has all weights.
    if place["weights"] is not None and not given["resume"]:
        load_into(loaded, place["weights"])
    run = TrainingRun(
        loaded,
        item,
        options,
        DataPlace(place["data_dir"], place["label"], bool(place["invert"])),
        threads=given["threads"],
        progress=Progress(),
    )
    if given["find_lr"]:
        found_lr = run.learner.find_lr()
        for _, row in found_lr.history.batches[::10].iterrows():
            click.echo(f"  lr {row['lr']:.1e}  smoothed loss {row['smooth_loss']:.4f}")
        click.echo(f"suggested: --lr {found_lr.suggestion:.2g}")
        return
    run.require_drawable()
    if given["resume"]:
        require_same(checkpoint, kept, run.learner.about())
    train_, valid = len(run.data.train), len(run.data.valid)
    click.echo(
        f"{loaded.name} on {run.data.name}: {train_:,} images for training, {valid:,} for "
        f"validation; {options.epochs} epoch{'' if options.epochs == 1 else 's'}"
    )
    again = f"sheetconv train {quoted(Path(template))} --resume"
    again += f" -o {quoted(output)}" if given["output"] else ""
    try:
        if given["resume"]:
            run.resume(checkpoint)
        else:
            plain = {name: str(v) if isinstance(v, Path) else v for name, v in place.items()}
            run.train(checkpoint, {"options": options.about(), "place": plain})
    except TrainingError:
        # Whoever went on would go astray at the same batch again.
        checkpoint.unlink(missing_ok=True)
        raise
    try:
        if run.learner.interrupted:
            raise KeyboardInterrupt
        written = run.write(output, plain=bool(place["plain"]), force=force)
        if place["save_weights"] is not None:
            save_weights(run.learner, place["save_weights"], force=force)
            click.echo(f"wrote {place['save_weights']}")
        if place["png"] is not None:
            for path in _save_pictures(run, written.judged, place["png"], force):
                click.echo(f"wrote {path}")
    except KeyboardInterrupt:
        click.echo(
            f"interrupted: {checkpoint} has all that was learned. To go on:\n  {again}", err=True
        )
        sys.exit(130)
    except SheetconvError as error:
        raise type(error)(
            f"{error}; {checkpoint} has all that was learned: then go on with {again}"
        ) from None
    checkpoint.unlink(missing_ok=True)
    if options.patience is not None:
        ended = len(run.learner.history.epochs)
        click.echo(f"ended after epoch {ended}; the weights are those of epoch {run.best_epoch}")
    results = ", ".join(
        f"{name} {as_text(name, value)}"
        for name, value in written.judged.metrics(options.metrics).items()
    )
    click.echo(f"validation: {results}")
    built = written.built
    click.echo(
        f"wrote {built.path}: {built.formula_cells:,} formula cells, {built.file_size:,} bytes; "
        f"worksheets: {', '.join(built.worksheets)}"
    )
    click.echo(f"To check every cell:\n  sheetconv check {quoted(built.path)}")


def _check_same(
    context: click.Context, own: dict[str, Any], kept: dict[str, Any], checkpoint: Path
) -> None:
    """Refuse options that are given to a run that goes on, and differ from its own."""
    for name, value in own.items():
        if value is None:
            continue
        theirs = tuple(kept[name]) if isinstance(kept[name], list) else kept[name]
        if value != theirs:
            raise click.UsageError(
                f"--resume goes on with {checkpoint}, in which {name} is {theirs}, not {value}: "
                "leave it out, or start anew without --resume"
            )


def _check_weights(path: Path, others: tuple[Path, ...], force: bool) -> None:
    """Refuse where weights cannot be saved, before anything is trained.

    Raises:
        TrainingError: it is no .npz file, or another one that the run needs, or its folder
            cannot be written.
        WorkbookError: it exists, or its folder is missing.
    """
    from ..errors import TrainingError
    from ..files import check_target

    if path.suffix.lower() != ".npz":
        raise TrainingError(f"--save-weights {path}: the name of a file of weights ends in .npz")
    if any(os.path.abspath(path) == os.path.abspath(other) for other in others):
        raise TrainingError(f"--save-weights {path}: the run needs that file: give another name")
    check_target(path, force=force)
    if not os.access(path.parent, os.W_OK):
        raise TrainingError(f"--save-weights {path}: its folder cannot be written: give another")


def _check_folder(folder: Path, force: bool) -> None:
    """Refuse where pictures cannot be saved, before anything is trained.

    Raises:
        TrainingError: it is a file, what it is to stand in is missing, it has pictures that are
            not to be replaced, or matplotlib is missing.
    """
    from ..errors import TrainingError

    if not (folder.is_dir() or (folder.parent.is_dir() and not folder.exists())):
        raise TrainingError(f"--png {folder} is no folder, nor can be made one: give another")
    if not force and any(folder.glob("*.png")):
        raise TrainingError(
            f"--png {folder} has pictures: replace those of the same name with --force, or give "
            "another folder"
        )
    if find_spec("matplotlib") is None:
        raise TrainingError(
            "--png needs the package matplotlib: python -m pip install 'sheetconv[plots]'"
        )


def _save_pictures(run: Any, judged: Any, folder: Path, force: bool) -> list[Path]:
    from ..training.first_kernels import first_kernels
    from ..training.plots import save_plots

    learner, valid = run.learner, run.data.valid
    worst = None
    if len(valid.image_shape) == 3 and valid.image_shape[0] in (1, 3):
        worst = valid.numbers(judged.worst().index.to_numpy())
    folder.mkdir(exist_ok=True)
    return save_plots(
        learner.history,
        judged,
        folder,
        learner.kernels_before,
        first_kernels(learner.network),
        worst,
        force=force,
    )
