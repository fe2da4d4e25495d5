"""Pictures of a training run for slides and notebooks, and the files that they are written to.

Each `..._plot` makes one figure of matplotlib, which notebooks show; `save_plots` writes all
that there is something to draw of. `history_plots.py` draws how training went,
`answer_plots.py` what came of it, on the blank figures of `plot_paper.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from ..files import written_together, written_whole
from .answer_plots import confusion_plot, kernels_plot, per_class_plot, worst_plot
from .evaluation import Evaluation
from .history import History
from .history_plots import (
    activations_plot,
    colour_dimension_plot,
    loss_plot,
    lr_plot,
    metrics_plot,
    schedule_plot,
)
from .plot_paper import png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "activations_plot",
    "colour_dimension_plot",
    "confusion_plot",
    "kernels_plot",
    "loss_plot",
    "lr_plot",
    "metrics_plot",
    "per_class_plot",
    "save_figure",
    "save_plots",
    "schedule_plot",
    "worst_plot",
]

Numbers = NDArray[np.float64]


def save_figure(figure: Figure, path: str | PathLike[str], *, force: bool = False) -> None:
    """Write a figure as .png.

    Args:
        figure: of one of the functions here.
        path: the file, ending in .png.
        force: replace an existing file. Default False.

    Raises:
        TrainingError: the name ends otherwise.
        WorkbookError: the file cannot be written; nothing is left half-written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise TrainingError(f"{path}: the name of a plot ends in .png")
    with written_whole(path, force=force) as temporary:
        temporary.write_bytes(png(figure))


def save_plots(
    history: History,
    evaluation: Evaluation | None,
    prefix: str | PathLike[str],
    kernels_before: Numbers | None = None,
    kernels_after: Numbers | None = None,
    worst_images: Numbers | None = None,
    *,
    force: bool = False,
) -> list[Path]:
    """Write every plot that there is something to draw of, as .png.

    Args:
        history: of the training.
        evaluation: of the validation set; None for none.
        prefix: a folder, for files such as `loss.png`, or how the names of the files begin:
            `runs/digits` gives `runs/digits-loss.png`.
        kernels_before: of the first layer, before training; see `kernels_plot`.
        kernels_after: the same after training.
        worst_images: those of `evaluation.worst(count)`; see `worst_plot`.
        force: replace existing files. Default False.

    Returns:
        The files that were written: all of them, or if one cannot be written, none.

    Raises:
        TrainingError: there is nothing to draw, an array is none of kernels or images, or
            matplotlib is missing.
        WorkbookError: a file cannot be written, or exists and `force` is false.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> history = History()
        >>> history.record_batch(1, 2.0, lr=0.1)
        >>> with TemporaryDirectory() as folder:
        ...     [path.name for path in save_plots(history, None, f"{folder}/run")]
        ['run-loss.png', 'run-schedule.png']
    """
    plots: dict[str, Callable[[], Figure]] = {}
    if len(history):
        plots["loss"] = lambda: loss_plot(history)
    if history.metric_names:
        plots["metrics"] = lambda: metrics_plot(history)
    if history.batches.filter(["lr", "momentum"]).notna().any(axis=None):
        plots["schedule"] = lambda: schedule_plot(history)
    if history.layers:
        plots["activations"] = lambda: activations_plot(history)
    if history.counted_layers:
        plots["colour-dimension"] = lambda: colour_dimension_plot(history)
    if kernels_after is not None:
        plots["kernels"] = lambda: kernels_plot(kernels_after, kernels_before)
    if evaluation is not None:
        if not evaluation.is_multi_label:
            plots["confusion"] = lambda: confusion_plot(evaluation)
        plots["classes"] = lambda: per_class_plot(evaluation)
        if worst_images is not None:
            plots["worst"] = lambda: worst_plot(evaluation, worst_images)
    if not plots:
        raise TrainingError("there is nothing to draw: nothing was recorded or evaluated")
    begin = Path(prefix)
    paths = [
        begin / f"{name}.png" if begin.is_dir() else begin.with_name(f"{begin.name}-{name}.png")
        for name in plots
    ]
    with written_together(paths, force=force) as temporaries:
        for plot, temporary in zip(plots.values(), temporaries, strict=True):
            temporary.write_bytes(png(plot()))
    return paths
