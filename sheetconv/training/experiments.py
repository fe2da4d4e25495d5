"""Experiments: the same network trained twice with one thing different, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..batches import batch_of
from ..errors import TrainingError
from ..interchange.onnx_template import load_template_or_model
from ..network import Sequential
from ..template import Template, TemplateNetwork
from ..workbook import BuiltWorkbook
from .datasets import Data, Dataset
from .evaluation import Evaluation
from .experiment_words import notes_of, result_lines, sentence_of
from .fields import whole
from .history import History
from .initialisation import initialise
from .options import KEEP, TrainingOptions
from .progress import Silence
from .training_run import DataPlace, TrainingRun
from .variants import Experiment, Variant, experiment_named, rebuilt

if TYPE_CHECKING:
    import pandas as pd

#: What is measured of a run, and what its spread over several seeds is given of.
MEASURED = ("train_loss", "valid_loss", "accuracy")


@dataclass(frozen=True, slots=True, eq=False)
class VariantRun:
    """One variant, trained once.

    Attributes:
        variant: what was trained; its network has the trained weights.
        seed: of this run.
        history: the record.
        images: how many the network learned from in an epoch.
        judged: what it says of the validation images; None where it diverged.
        settings: name -> value of everything that made the run what it is.
        trouble: why it ended early; empty where it did not.
    """

    variant: Variant
    seed: int
    history: History
    images: int
    judged: Evaluation | None
    settings: Mapping[str, object]
    trouble: str = ""

    def measured(self) -> dict[str, float]:
        """parameters, train_loss, valid_loss, accuracy, seconds and images_per_second.

        Losses and accuracy of a run that diverged are NaN; what was seen in its last epoch,
        which did not end, has no part in the speed.
        """
        epochs, judged = self.history.epochs, self.judged
        seconds = float(epochs["seconds"].sum())
        params = self.variant.network.params.values()
        return {
            "parameters": sum(array.size for own in params for array in own.values()),
            "train_loss": math.nan if judged is None else float(epochs["train_loss"].iloc[-1]),
            "valid_loss": math.nan if judged is None else judged.loss,
            "accuracy": math.nan if judged is None else judged.accuracy,
            "seconds": seconds,
            "images_per_second": self.images * len(epochs) / seconds if seconds else math.nan,
        }


@dataclass(frozen=True, slots=True, eq=False)
class ExperimentResult:
    """What came of an experiment.

    Attributes:
        experiment: what was compared.
        template: whose network it was.
        item: that network, before it was changed.
        runs: of every seed the variants in order.
        data: name of the data.
        valid: the validation images of the first seed.
    """

    experiment: Experiment
    template: Template
    item: TemplateNetwork
    runs: tuple[VariantRun, ...]
    data: str
    valid: Dataset

    @property
    def variants(self) -> list[str]:
        """The names of the variants, in order."""
        return list(dict.fromkeys(run.variant.name for run in self.runs))

    @property
    def seeds(self) -> list[int]:
        """The seeds, in order."""
        return list(dict.fromkeys(run.seed for run in self.runs))

    @property
    def first(self) -> tuple[VariantRun, ...]:
        """The runs of the first seed, whose networks a workbook shows."""
        return self.runs[: len(self.variants)]

    @property
    def by_seed(self) -> pd.DataFrame:
        """One row a run: see `VariantRun.measured`."""
        import pandas as pd

        keys = [(run.variant.name, run.seed) for run in self.runs]
        index = pd.MultiIndex.from_tuples(keys, names=["variant", "seed"])
        return pd.DataFrame([run.measured() for run in self.runs], index=index)

    @property
    def table(self) -> pd.DataFrame:
        """One row a variant: the means over the seeds of what `by_seed` has.

        Of several seeds, `train_loss_spread` and so on are the standard deviations. Runs that
        diverged are left out.
        """
        grouped = self.by_seed.groupby("variant", sort=False)
        table = grouped.mean().astype({"parameters": int})
        if len(self.seeds) > 1:
            spread = grouped[list(MEASURED)].std()
            table = table.join(spread.add_suffix("_spread"))
        return table

    @property
    def epochs(self) -> pd.DataFrame:
        """One row for each variant, seed and epoch: losses, metrics and seconds."""
        return self._of_all(lambda run: run.history.epochs)

    @property
    def batches(self) -> pd.DataFrame:
        """One row for each variant, seed and batch, and `images`: how many were seen by then."""
        return self._of_all(_with_images)

    @property
    def activations(self) -> pd.DataFrame:
        """One row for each variant, seed, layer and batch: mean, std and near_zero."""
        return self._of_all(lambda run: run.history.activations)

    def _of_all(self, frame: Callable[[VariantRun], pd.DataFrame]) -> pd.DataFrame:
        import pandas as pd

        frames = {(run.variant.name, run.seed): frame(run) for run in self.runs}
        # What is empty has no types of its own; all of them may be.
        filled = {key: own for key, own in frames.items() if len(own)}
        return pd.concat(filled or frames, names=["variant", "seed"])

    @property
    def sentence(self) -> str:
        """What was seen, in one sentence."""
        return sentence_of(self)

    @property
    def notes(self) -> list[str]:
        """What else there is to say: how sure it is, what changed, what diverged."""
        return notes_of(self)

    def lines(self) -> list[str]:
        """The results as a table for the terminal."""
        return result_lines(self)

    def write(self, path: str | Path, *, force: bool = False) -> BuiltWorkbook:
        """Write a workbook: the page `comparison`, and the trained networks as live worksheets.

        Args:
            path: the .xlsx file.
            force: replace an existing file. Default False.

        Raises:
            WorkbookError: the file cannot be written.
            LayoutError: no network can be drawn.
        """
        from .experiment_workbook import write_experiment

        return write_experiment(self, Path(path), force=force)


def run_experiment(
    name: str,
    template: Template | str = "simple-cnn-wide",
    options: Mapping[str, Any] | None = None,
    *,
    place: DataPlace | None = None,
    seeds: int = 1,
    threads: int | None = None,
    progress: Callable[[], Silence] = Silence,
    announce: Callable[[str], None] | None = None,
) -> ExperimentResult:
    """Train each variant of a network in turn, from the same weights and on the same data.

    Args:
        name: one of `EXPERIMENTS`: batch-size, schedule, batchnorm, norm-position, norm-kind.
        template: whose network; or its name or path. Default "simple-cnn-wide".
        options: what is other than the template's training says, by the names of
            `TrainingOptions`. Default: nothing.
        place: where the data are.
        seeds: with how many seeds each variant is trained: `seed`, `seed + 1`, ... Default 1.
        threads: how many work. Default: one for each core.
        progress: makes what a person sees of a run. Default: nothing.
        announce: is told which run begins. Default: nobody.

    Raises:
        TrainingError: there is no such experiment, the network has nothing to compare, an
            option cannot be used, or every variant diverges.
        DataError, ShapeError: as for `TrainingRun`.
        KeyboardInterrupt: by Ctrl-C.

    Example:
        >>> result = run_experiment("norm-position", "digits-batchnorm", {"epochs": 1})
        >>> result.table.index.tolist(), result.table["parameters"].tolist()
        (['norm before activation', 'norm after activation'], [7234, 7234])
    """
    experiment = experiment_named(name)
    loaded = template if isinstance(template, Template) else load_template_or_model(template)
    if len(loaded.networks) > 1:
        raise TrainingError(
            f"the template {loaded.name} has {len(loaded.networks)} networks: only a template of "
            "one can be trained"
        )
    (item,) = loaded.networks
    given = {key: value for key, value in (options or {}).items() if value is not None}
    if experiment.sets in given:
        raise TrainingError(
            f"the experiment {name} sets {experiment.sets} itself, for it compares "
            f"{experiment.compares}: leave it out"
        )
    chosen = TrainingOptions().changed(dict(item.training)).changed(given)
    # Whatever else is measured, accuracies are compared.
    chosen = replace(chosen, metrics=tuple(dict.fromkeys(("accuracy", *chosen.metrics))))
    _, shape = batch_of(item.network, item.image.shape)
    item = replace(item, image=np.zeros(shape))
    count = whole("run_experiment", "seeds", seeds, 1)
    start = whole("training", "seed", chosen.seed, 0)
    planned = [
        (seed, variant)
        for seed in range(start, start + count)
        for variant in _variants(experiment, item, replace(chosen, seed=seed))
    ]
    runs: list[VariantRun] = []
    data: Data | None = None
    for number, (seed, variant) in enumerate(planned, 1):
        run = TrainingRun(
            loaded,
            replace(item, network=variant.network),
            # All variants start from the weights that they were given.
            replace(variant.options, init=KEEP),
            place,
            threads=threads,
            progress=progress(),
        )
        if announce is not None:
            seeded = f", seed {seed}" if count > 1 else ""
            announce(f"{variant.name}{seeded} ({number} of {len(planned)})")
        data = data or run.data
        runs.append(_trained(run, variant, seed))
    if all(run.trouble for run in runs):
        raise TrainingError(
            f"every variant diverged, {runs[0].variant.name} first: {runs[0].trouble}"
        )
    assert data is not None
    return ExperimentResult(experiment, loaded, item, tuple(runs), data.name, data.valid)


def _variants(
    experiment: Experiment, item: TemplateNetwork, options: TrainingOptions
) -> tuple[Variant, ...]:
    start: Sequential = rebuilt(item.network, list(item.network))
    if options.init != KEEP:
        initialise(start, options.init, options.seed)
    return experiment.variants(start, item.image.shape, options)


def _trained(run: TrainingRun, variant: Variant, seed: int) -> VariantRun:
    """Train, and keep what is to be compared.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        TrainingError: it cannot begin. Where the loss goes astray later, that is a result.
    """
    learner, trouble = run.learner, ""
    try:
        run.train(None, {})
    except TrainingError as error:
        if not len(learner.history):
            raise
        trouble = str(error)
    if learner.interrupted:
        raise KeyboardInterrupt
    judged = None if trouble else learner.evaluate()
    settings = {**run.settings(), "initialisation": variant.options.init}
    return VariantRun(
        variant, seed, learner.history, len(run.data.train), judged, settings, trouble
    )


def _with_images(run: VariantRun) -> pd.DataFrame:
    batches = run.history.batches
    within = batches.groupby("epoch").cumcount().to_numpy() + 1
    epoch = batches["epoch"].to_numpy() - 1
    seen = epoch * run.images + np.minimum(within * run.variant.options.batch, run.images)
    return batches.assign(images=seen)
