"""A template's network, trained as its options say, and written as a workbook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arranging import lay_out
from ..batches import batch_of
from ..errors import TrainingError
from ..files import check_target, written_whole
from ..template import Template, TemplateNetwork
from ..workbook import BuiltWorkbook
from .datasets import Data, load_data
from .evaluation import Evaluation
from .fields import real, whole
from .initialisation import initialise
from .learner import Learner
from .losses import CrossEntropy, Loss
from .options import KEEP, TrainingOptions
from .progress import Silence
from .workbook import build_trained, check_names, learner_settings

# So many batches have their activations recorded, about, unless it is said otherwise.
_RECORDED = 100


@dataclass(frozen=True, slots=True)
class DataPlace:
    """Where the data of a run are.

    Attributes:
        folder: with the files of a known data set. Default: where the system or the cache has
            them.
        label: the column of a .csv file that holds the label. Default "label".
        invert: whether dark and light are swapped. Default False.
    """

    folder: Path | None = None
    label: str = "label"
    invert: bool = False


class TrainingRun:
    """One network of a template in training.

    Args:
        template: where it comes from.
        item: the network.
        options: how it is trained; `data` must be given.
        place: where the data are.
        threads: how many work. Default: one for each core.
        progress: what a person sees. Default: nothing.

    Attributes:
        learner: the learner.
        data: what it learns from.

    Raises:
        TrainingError: no data are named, or an option is none of those known.
        DataError: the data cannot be used.
        ShapeError: the network does not fit them.
    """

    def __init__(
        self,
        template: Template,
        item: TemplateNetwork,
        options: TrainingOptions,
        place: DataPlace | None = None,
        *,
        threads: int | None = None,
        progress: Silence | None = None,
    ) -> None:
        self.template, self.item, self.options = template, item, options
        if not options.data:
            raise TrainingError(
                f"the template {template.name} names no data to train on: give a data set, as in "
                "--data digits, or a folder of folders that are named as classes, an .npz or a .csv"
            )
        # Before data are read, and before anything is said of a run.
        for name in ("epochs", "batch", "patience"):
            if getattr(options, name) is not None:
                whole("training", name, getattr(options, name), 1)
        if options.lr is not None:
            real("training", "lr", options.lr, above=True)
        where = place or DataPlace()
        source = options.data
        # The template's own may be several images.
        _, self._shape = batch_of(item.network, item.image.shape)
        self.data: Data = load_data(
            source,
            data_dir=where.folder,
            valid=options.valid,
            seed=options.seed,
            image_shape=self._shape,
            invert=where.invert,
            label=where.label,
        )
        if options.init != KEEP:
            initialise(item.network, options.init, options.seed)
        schedule = options.make_schedule()
        self._schedule = schedule
        steps = options.epochs * -(-len(self.data.train) // options.batch)
        recorded = max(1, steps // _RECORDED)
        self.learner = Learner(
            item.network,
            self.data,
            _loss(options, self.data.train.is_multi_label),
            options.make_optimiser(),
            batch=options.batch,
            dtype=options.dtype,
            metrics=options.metrics,
            frozen=options.frozen,
            lr_factors=options.lr_factors,
            clip_norm=options.clip_norm,
            clip_value=options.clip_value,
            activations=recorded if options.activations is None else options.activations,
            seed=options.seed,
            threads=threads,
            progress=progress,
        )

    def train(self, checkpoint: Path | None, more: Mapping[str, Any]) -> None:
        """Train from the beginning.

        Args:
            checkpoint: the file from which `resume` goes on. None for no such file.
            more: what else it shall say, as JSON has it.
        """
        options = self.options
        self.learner.fit(
            options.epochs,
            options.lr,
            self._schedule,
            patience=options.patience,
            checkpoint=checkpoint,
            about=more,
        )

    def resume(self, checkpoint: Path) -> None:
        """Go on where a checkpoint stands.

        Args:
            checkpoint: the file.
        """
        self.learner.resume(checkpoint)

    def require_drawable(self) -> None:
        """Refuse a network that no workbook can hold, before hours are spent on it.

        Raises:
            LayoutError: it is one.
        """
        lay_out(self.item.network, self._shape, self.item.drawing)
        check_names(self.item.drawing.worksheet, self.data.train.classes)

    def write(self, path: Path, *, plain: bool = False, force: bool = False) -> Written:
        """Write the workbook: the network with its trained weights, and how it was trained.

        Args:
            path: the .xlsx file.
            plain: leave out what explains the network; its training stays. Default False.
            force: replace an existing file. Default False.
        """
        judged = self.learner.evaluate()
        built = build_trained(
            self.learner,
            path,
            drawing=self.item.drawing,
            guides=False if plain else self.item.guides,
            title=self.template.title,
            about=self._about(),
            settings=self.settings(),
            judged=judged,
            force=force,
        )
        return Written(built, judged)

    @property
    def best_epoch(self) -> int:
        """The epoch with the least validation loss, whose weights early stopping keeps."""
        losses = self.learner.history.epochs["valid_loss"].to_numpy()
        return int(np.nanargmin(losses)) + 1

    def _about(self) -> str:
        """One sentence for the cover: the template's, unless it is about other data."""
        data = self.item.training.get("data", self.data.name)
        if data == self.data.name:
            return self.template.description
        return f"{self.template.name}, trained on {self.data.name}."

    def settings(self) -> dict[str, object]:
        """Everything that made the run what it is, in the words of the command line."""
        options = self.options
        return {
            "network": self.template.name,
            **learner_settings(self.learner),
            "schedule": options.schedule,
            "epochs": options.epochs,
            "initialisation": options.init,
            **({"patience": options.patience} if options.patience else {}),
            **({"weights of epoch": self.best_epoch} if options.patience else {}),
        }


@dataclass(frozen=True, slots=True)
class Written:
    """A trained network's workbook.

    Attributes:
        built: the workbook.
        judged: what the network says of the validation images.
    """

    built: BuiltWorkbook
    judged: Evaluation


def save_weights(learner: Learner, path: Path, *, force: bool = False) -> None:
    """Write the network's parameters and buffers as .npz, as `sheetconv build --weights` takes.

    Args:
        learner: whose network.
        path: the .npz file.
        force: replace an existing file. Default False.
    """
    check_target(path, force=force)
    with written_whole(path, force=force) as temporary, temporary.open("wb") as file:
        arrays: dict[str, Any] = learner.network.state_dict()
        np.savez_compressed(file, **arrays)


def _loss(options: TrainingOptions, many: bool) -> Loss | str | None:
    if options.label_smoothing:
        loss = options.loss or ("bce" if many else "cross-entropy")
        if loss != "cross-entropy":
            raise TrainingError(
                f"label_smoothing is for cross-entropy, and the loss is {loss}: leave out one of "
                "them"
            )
        return CrossEntropy(options.label_smoothing)
    return options.loss
