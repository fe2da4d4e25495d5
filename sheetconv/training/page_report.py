"""What a training run leaves behind for its pages, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from ..layers.validation import shown
from ..spelling import suggestion

if TYPE_CHECKING:
    import pandas as pd

#: Columns that a frame has to have.
STATISTICS = ("mean", "std", "near_zero")
_WORST = ("loss", "label", "predicted", "probability", "probability_of_label")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingReport:
    """What a training run leaves behind.

    Attributes:
        settings: name -> value of everything that made the run what it is, in order: data,
            loss, optimiser, learning rate, epochs, seed, versions.
        batches: one row a batch, the index `batch` from 0: epoch, loss, smooth_loss, lr, and
            others such as momentum.
        epochs: one row an epoch, the index `epoch` from 1: train_loss, and as they are there
            valid_loss, metrics and seconds.
        activations: mean, std and near_zero by layer and batch. Default: none.
        colour_dimensions: layer -> (bins, batches), from zero for no activation, the highest
            bin first. Default: none.
        bin_edges: (bins + 1,), where the bins begin and end, the lowest first. Default: unknown.
        confusion: counts, a row for each actual class, a column for each predicted one.
        per_class: one row a class. Default: none.
        most_confused: pairs of classes. Default: none.
        kernels: the first layer's weight before and after, both (O, C, kh, kw). Default: none.
        worst: one row an image, the index its number: loss, label, predicted, probability,
            probability_of_label. Default: none.
        worst_images: (n, C, H, W), in the order of `worst`. Default: none.

    Raises:
        TrainingError: a column is missing, or shapes do not fit together.

    Example:
        >>> import pandas as pd
        >>> batches = pd.DataFrame({"epoch": [1], "loss": [2.0], "lr": [0.1]})
        >>> TrainingReport({}, batches, pd.DataFrame({"train_loss": [2.0]}))
        Traceback (most recent call last):
        sheetconv.errors.TrainingError: report: batches has no column 'smooth_loss': known are
        epoch, loss, lr
    """

    settings: Mapping[str, object]
    batches: pd.DataFrame
    epochs: pd.DataFrame
    activations: pd.DataFrame | None = None
    colour_dimensions: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    bin_edges: NDArray[Any] | None = None
    confusion: pd.DataFrame | None = None
    per_class: pd.DataFrame | None = None
    most_confused: pd.DataFrame | None = None
    kernels: tuple[NDArray[Any], NDArray[Any]] | None = None
    worst: pd.DataFrame | None = None
    worst_images: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        _require("batches", self.batches, ("epoch", "loss", "smooth_loss", "lr"))
        _require("epochs", self.epochs, ("train_loss",))
        if self.activations is not None:
            _require("activations", self.activations, STATISTICS)
            if self.activations.index.nlevels != 2:
                _refuse("activations", "has another index", "(layer, batch)")
        bins = None if self.bin_edges is None else len(self.bin_edges) - 1
        for layer, values in self.colour_dimensions.items():
            shape = np.shape(values)
            if len(shape) != 2 or 0 in shape or bins not in (None, shape[0]):
                expected = f"({'bins' if bins is None else bins}, batches)"
                _refuse(f"colour_dimensions of {layer}", f"has shape {shape}", expected)
        if self.confusion is not None and len(set(self.confusion.shape)) != 1:
            _refuse("confusion", f"has shape {self.confusion.shape}", "as many rows as columns")
        if self.kernels is not None:
            before, after = (np.shape(weight) for weight in self.kernels)
            if len(before) != 4 or before != after:
                _refuse("kernels", f"have shapes {before} and {after}", "twice (O, C, kh, kw)")
        if self.worst is not None:
            _require("worst", self.worst, _WORST)
        if self.worst_images is not None:
            shape, count = np.shape(self.worst_images), 0 if self.worst is None else len(self.worst)
            if len(shape) != 4 or shape[0] != count:
                _refuse("worst_images", f"has shape {shape}", f"({count}, C, H, W), as `worst`")


def _require(name: str, frame: Any, columns: Sequence[str]) -> None:
    if not (hasattr(frame, "columns") and hasattr(frame, "index")):
        raise TrainingError(f"report: {name} is {shown(frame)}: expected a pandas DataFrame")
    for column in columns:
        if column not in frame.columns:
            known = [str(other) for other in frame.columns]
            hint = suggestion(column, known) if known else ": it has none"
            raise TrainingError(f"report: {name} has no column {column!r}{hint}")


def _refuse(name: str, got: str, expected: str) -> None:
    raise TrainingError(f"report: {name} {got}: expected {expected}")
