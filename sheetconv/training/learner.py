"""The training loop: batches, steps, epochs, and where a run stands so that it can go on."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data_files import reading
from ..errors import CheckpointError, ShapeError, TrainingError
from ..layers.normalize import Normalize
from ..layers.validation import numbers, shown
from ..network import Sequential
from .activation_sums import ActivationSums
from .batches import shuffled_batches
from .checkpoint import (
    Checkpoint,
    fingerprint,
    read_checkpoint,
    require_alike,
    require_same,
    write_checkpoint,
)
from .clipping import clip_norm, clip_value
from .datasets import Data, Dataset
from .divergence import diverged, largest_activations
from .engine import Engine, Workers
from .evaluation import Evaluation, metric
from .fields import Numbers, real, whole
from .first_kernels import first_kernels
from .history import History
from .interrupting import Interruption
from .losses import Loss
from .lr_finding import LrFinding
from .lr_suggestion import suggest_lr
from .optimisers import Optimiser, optimiser_named
from .progress import Silence
from .run import Kept, Run, Standing
from .schedules import Exponential, OneCycle, Schedule, schedule_named
from .scores import check_last, chosen_loss, layers_of_scores
from .segments import checked_factors, layers_named, segments

if TYPE_CHECKING:
    from ..workbook import BuiltWorkbook

# What a batch of a validation set takes at once.
_JUDGED_AT_ONCE = 512
# A loss so many times the first one's does not come back.
_DIVERGED = 100.0
# A learning rate is too large where the smoothed loss is so many times the least one.
_STOP_SWEEP = 4.0


class Learner:
    """A network that learns from data.

    Args:
        network: its parameters and buffers are trained, and copied back after every fit.
        data: training and validation images.
        loss: a loss or its name. Default: binary cross-entropy where an image has any number of
            labels, else cross-entropy. A last Softmax (or Sigmoid) is left to the loss that
            contains it.
        optimiser: an optimiser or its name. Default "adam".
        batch: images of a step. Default 64.
        dtype: "float32" or "float64". Default "float32".
        metrics: names, as `METRICS` has them. Default ("accuracy",).
        frozen: layers that do not learn, by name or kind ("batchnorm"); frozen batch
            normalisations use their running statistics.
        lr_factors: layer, by name or kind -> what its learning rate is multiplied by.
        clip_norm: the largest norm of the gradient. Default: any.
        clip_value: the largest size of each number of it. Default: any.
        activations: record the statistics of every layer's activations at every so many
            batches; 0 for never. Default 0.
        normalise: measure the mean and deviation of the training images for a first layer
            `Normalize` that has none. Default True.
        seed: of the order of images and of dropout. Default 0.
        threads: how many work. Default: one for each core; the results do not depend on it.
        progress: what a person sees. Default: nothing.

    Attributes:
        history: the record, as pandas frames.
        kernels_before: (O, C, kh, kw), the first convolution's weight at the beginning; None
            where there is no convolution.
        interrupted: whether the last fit was ended by Ctrl-C.

    Raises:
        TrainingError: a setting or a name is none of those known, or all layers are frozen.
            The network has not as many outputs as the data have classes, or ends with a layer
            with which the loss does not go.
        ShapeError: the images do not fit the network.

    Example:
        >>> from sheetconv import Flatten, Linear, Sequential, Softmax
        >>> from sheetconv.training import Data, Learner
        >>> rng = np.random.default_rng(0)
        >>> images = rng.random((60, 1, 2, 2))
        >>> data = Data.from_arrays(images, (images.sum((1, 2, 3)) > 2).astype(int))
        >>> learner = Learner(Sequential(Flatten(), Linear(4, 2), Softmax()), data, batch=16)
        >>> learner.fit_one_cycle(60, 0.1)
        >>> learner.evaluate().accuracy > 0.8
        True
    """

    def __init__(
        self,
        network: Sequential,
        data: Data,
        loss: Loss | str | None = None,
        optimiser: Optimiser | str = "adam",
        *,
        batch: int = 64,
        dtype: str = "float32",
        metrics: Sequence[str] = ("accuracy",),
        frozen: Collection[str] = (),
        lr_factors: Mapping[str, float] | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        activations: int = 0,
        normalise: bool = True,
        seed: int = 0,
        threads: int | None = None,
        progress: Silence | None = None,
    ) -> None:
        if not isinstance(network, Sequential) or not isinstance(data, Data):
            raise TrainingError(
                f"Learner got {shown(network)} and {shown(data)}: expected a Sequential and Data, "
                "as from Data.from_arrays(images, labels) or load_data"
            )
        self.network, self.data = network, data
        self.loss = chosen_loss(loss, data)
        self.optimiser = optimiser_named(optimiser) if isinstance(optimiser, str) else optimiser
        self.batch = whole("Learner", "batch", batch, 1)
        if dtype not in ("float32", "float64"):
            raise TrainingError(f"dtype is {dtype!r}: expected float32 or float64")
        self.dtype, self.metrics = dtype, tuple(metrics)
        for name in self.metrics:
            metric(name)
        self.frozen = layers_named(network, frozen, "frozen")
        self.lr_factors = checked_factors(network, lr_factors or {})
        self.clip_norm = _limit("clip_norm", clip_norm)
        self.clip_value = _limit("clip_value", clip_value)
        self.activations = whole("Learner", "activations", activations, 0)
        self.seed = whole("Learner", "seed", seed, 0)
        self.workers = Workers(None if threads is None else whole("Learner", "threads", threads, 1))
        self.progress = Silence() if progress is None else progress
        self.history = History()
        self.interrupted = False
        self.input_shape = data.train.image_shape
        shapes = network.shapes(self.input_shape)
        self._outputs = math.prod(list(shapes.values())[-1])
        self._check_fit(data.train)
        self._check_fit(data.valid)
        check_last(network, self.loss)
        # A metric that has no meaning for these classes shall not end a run after its first epoch.
        labels, classes = data.valid.labels[:1], data.valid.classes
        anything = np.full((1, self._outputs), 1 / self._outputs)
        Evaluation(anything, [0.0], labels, classes).metrics(self.metrics)
        if normalise:
            self._measure()
        learning = [n for n, own in network.params.items() if own and n not in self.frozen]
        if not learning:
            raise TrainingError("no layer learns: all that have parameters are frozen")
        self._engine = self._new_engine()
        size = self._engine.parameters.values.size
        self._state = self.optimiser.init_state(size, self._engine.dtype)
        self._segments = segments(self._engine.parameters, self.frozen, self.lr_factors)
        self._standing = Standing()
        self._best: dict[str, Numbers] = {}
        self.kernels_before = first_kernels(network)
        self._fitting = False

    # --- Making

    def _check_fit(self, dataset: Dataset) -> None:
        """Refuse images and labels that the network or the loss cannot take.

        Raises:
            ShapeError, TrainingError: they are some.
        """
        if dataset.image_shape != self.input_shape:
            raise ShapeError(
                f"the images have shape {dataset.image_shape}: expected {self.input_shape}, as the "
                "network was trained on"
            )
        classes = len(dataset.classes)
        if classes != self._outputs:
            raise TrainingError(
                f"the network has {self._outputs} output{'' if self._outputs == 1 else 's'}, and "
                f"the data have {classes} classes: "
                "expected an output for each; change the last Linear or Conv2d"
            )
        self.loss.check_targets(dataset.labels, self._outputs)

    def _new_engine(self) -> Engine:
        """The network as it is, on the way to the scores from which the loss is taken."""
        return Engine(
            self.network,
            self.input_shape,
            self.workers,
            self.dtype,
            layers=layers_of_scores(self.network, self.loss),
            frozen=self.frozen,
            seed=self.seed,
        )

    def _measure(self) -> None:
        """Give a first Normalize the training images' mean and deviation, if it has none."""
        name, first = next(iter(self.network))
        buffers = self.network.buffers[name]
        if type(first) is not Normalize or not (
            (buffers["mean"] == 0).all() and (buffers["std"] == 1).all()
        ):
            return
        mean, std = self.data.train.statistics()
        # A channel that is the same everywhere has nothing to divide by.
        buffers |= {"mean": mean, "std": np.where(std > 0, std, 1.0)}

    # --- Training

    def fit(
        self,
        epochs: int,
        lr: float | None = None,
        schedule: Schedule | str = "constant",
        *,
        patience: int | None = None,
        checkpoint: str | Path | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Train for some epochs.

        Ctrl-C finishes the batch, keeps the checkpoint if there is one, and returns.

        Args:
            epochs: how often every image is seen.
            lr: the learning rate. Default: the optimiser's.
            schedule: of learning rate and momentum, or its name. Default "constant".
            patience: end after so many epochs without a smaller validation loss, with the
                weights of the best one. Default: never.
            checkpoint: a file that is written after every epoch, and every minute, from which
                `resume` goes on. Default: none.
            about: what else that file shall say, as JSON has it.

        Raises:
            TrainingError: a setting is none; or the loss is NaN, infinite or grows without
                end: the batch and the layer are named. Network and optimiser are then as they
                were before, so that another learning rate can be tried.
        """
        if isinstance(schedule, str):
            schedule = schedule_named(schedule)
        rate = self.optimiser.lr if lr is None else real("fit", "lr", lr, above=True)
        wait = None if patience is None else whole("fit", "patience", patience, 1)
        run = Run(whole("fit", "epochs", epochs, 1), rate, schedule, wait)
        done = self._standing
        self._standing = Standing(step=done.step, first=done.first + done.epoch)
        self._best = {}
        self._run(
            run, None if checkpoint is None else Path(checkpoint), dict(about or {}), fresh=True
        )

    def fit_one_cycle(self, epochs: int, lr: float | None = None, **options: Any) -> None:
        """Train with one cycle, as fast.ai: the learning rate rises and falls by cosines.

        Args:
            epochs: how often every image is seen.
            lr: the largest learning rate. Default: the optimiser's.
            **options: as for `fit`.
        """
        self.fit(epochs, lr, OneCycle(), **options)

    def resume(self, checkpoint: str | Path) -> None:
        """Go on with a run that was interrupted, bit for bit as if it had not been.

        Args:
            checkpoint: the file that `fit` wrote. The learner must have been made with the
                same network, data and settings.

        Raises:
            CheckpointError: the file is of another run, damaged, or of another version.
        """
        path = Path(checkpoint)
        found = read_checkpoint(path)
        require_same(path, found.about, self.about())
        run = self._restore(path, found)
        self._run(run, path, found.about.get("more", {}), fresh=False)

    def about(self) -> dict[str, Any]:
        """What decides the result of a run, as JSON has it."""
        fields: dict[str, Any] = {
            "network": [{"name": name, **layer.config()} for name, layer in self.network],
            "data": fingerprint(self.data),
            "loss": {"name": self.loss.name, **asdict(self.loss)},  # type: ignore[call-overload]
            "optimiser": {"name": self.optimiser.name, **self.optimiser.settings()},
            "batch": self.batch,
            "dtype": self.dtype,
            "frozen": list(self.frozen),
            "lr_factors": self.lr_factors,
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
            "activations": self.activations,
            "metrics": list(self.metrics),
            "seed": self.seed,
        }
        return fields

    def _run(self, run: Run, checkpoint: Path | None, more: dict[str, Any], *, fresh: bool) -> None:
        self.interrupted = False
        if fresh:
            # The network's numbers may have been set from outside since the last fit.
            self._engine.load()
        kept = self._keep()
        self._fitting = True
        try:
            self._train(run, checkpoint, more, fresh=fresh)
        except BaseException:
            self._put_back(kept)
            raise
        finally:
            self._fitting = False
        self._engine.store()

    def _keep(self) -> Kept:
        """Copies of all that steps change but the record."""
        state = {name: array.copy() for name, array in self._state.items()}
        return Kept(self._engine.state(), state, self._standing.step)

    def _put_back(self, kept: Kept) -> None:
        """All that steps change as it was; the epochs that were recorded stay counted."""
        self._engine.load_state(kept.engine)
        self._state, self._standing.step = kept.optimiser, kept.step

    def _train(
        self, run: Run, checkpoint: Path | None, more: dict[str, Any], *, fresh: bool
    ) -> None:
        standing, saved = self._standing, time.monotonic()
        batches = len(self._batches(0))
        total = batches * run.epochs
        if checkpoint is not None and fresh:
            self._save(checkpoint, run, more)
        with self.workers, Interruption() as interruption, self.progress:
            self.progress.start(total, standing.epoch * batches + standing.batch, self.batch)
            while standing.epoch < run.epochs:
                order = self._batches(standing.first + standing.epoch)
                for numbers in order[standing.batch :]:
                    started = time.monotonic()
                    at = standing.epoch * batches + standing.batch
                    hyper = run.schedule.at(at, total, standing.epoch, run.lr)
                    self._step(numbers, hyper.lr, hyper.momentum)
                    standing.batch += 1
                    standing.seconds += time.monotonic() - started
                    self.progress.batch(self.history.smooth_loss)
                    if interruption.wanted:
                        break
                    if checkpoint is not None and time.monotonic() - saved > 60:
                        self._save(checkpoint, run, more)
                        saved = time.monotonic()
                if interruption.wanted and standing.batch < len(order):
                    self.interrupted = True
                else:
                    ended = self._end_epoch(run)
                    self.interrupted = interruption.wanted and not ended
                if checkpoint is not None:
                    self._save(checkpoint, run, more)
                    saved = time.monotonic()
                if self.interrupted or standing.epoch >= run.epochs:
                    break

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        single = any(layer.while_training().mixes_images for _, layer in self.network)
        images = len(self.data.train)
        return shuffled_batches(images, self.batch, self.seed, epoch, drop_single=single)

    def _step(self, numbers: NDArray[np.int64], lr: float, momentum: float | None) -> None:
        """Learn from one batch."""
        standing, engine, train = self._standing, self._engine, self.data.train
        images, targets = train.images[numbers], train.labels[numbers]
        observed: dict[str, dict[int, ActivationSums]] = {}

        # What a view shows, the layer before has shown.
        views = {name for name, layer in self.network if layer.is_view}

        def observe(layer: str, chunk: int, activations: Numbers) -> None:
            if layer in views:
                return
            observed.setdefault(layer, {})[chunk] = ActivationSums.of(activations)

        wanted = self.activations and standing.step % self.activations == 0
        loss = engine.step(
            images,
            targets,
            self.loss,
            scale=train.scale,
            number=standing.step,
            observe=observe if wanted else None,
        )
        batch = len(self.history)
        self._check(loss, images, targets)
        gradients = engine.parameters.gradients
        norm = None
        if self.clip_value is not None:
            clip_value(gradients, self.clip_value)
        if self.clip_norm is not None:
            norm = clip_norm(gradients, self.clip_norm)
        standing.step += 1
        for part in self._segments:
            self.optimiser.step(
                engine.parameters.values[part.place],
                gradients[part.place],
                {name: array[part.place] for name, array in self._state.items()},
                lr=lr * part.factor,
                momentum=momentum,
                number=standing.step,
            )
        standing.loss_sum += loss * len(numbers)
        standing.images += len(numbers)
        hyper = {"lr": lr, "momentum": momentum}
        if norm is not None:
            hyper["gradient_norm"] = norm
        self.history.record_batch(standing.first + standing.epoch + 1, loss, **hyper)
        # In the order of the layers and chunks, whichever thread was first.
        for name in (name for name in self.network.layers if name in observed):
            parts = observed[name]
            sums = ActivationSums.merged([parts[place] for place in sorted(parts)])
            self.history.record_activations(
                name, batch, sums.mean, sums.std, sums.near_zero, sums.histogram
            )

    def _end_epoch(self, run: Run) -> bool:
        """Judge, record, and say whether the run is over."""
        standing, started = self._standing, time.monotonic()
        judged = self._judge(self.data.valid)
        metrics = judged.metrics(self.metrics)
        standing.epoch += 1
        number = standing.first + standing.epoch
        train = standing.loss_sum / standing.images
        seconds = standing.seconds + time.monotonic() - started
        self.history.record_epoch(number, train, judged.loss, metrics, seconds)
        self.progress.epoch(standing.epoch, run.epochs, train, judged.loss, metrics, seconds)
        standing.batch, standing.loss_sum, standing.images, standing.seconds = 0, 0.0, 0, 0.0
        if run.patience is not None:
            # Infinity is not below itself, and some weights must be the best.
            if judged.loss < standing.best or not self._best:
                standing.best, standing.waited = judged.loss, 0
                self._best = self._engine.state()
            else:
                standing.waited += 1
            if standing.waited >= run.patience or standing.epoch == run.epochs:
                self._engine.load_state(self._best)
                # Whatever is saved of the run is saved as ended.
                standing.first += standing.epoch - run.epochs
                standing.epoch = run.epochs
        return standing.epoch >= run.epochs

    def _check(self, loss: float, images: NDArray[Any], targets: NDArray[Any]) -> None:
        """Stop where the loss is NaN, infinite, or has grown beyond return.

        Raises:
            TrainingError: it is; the batch, the layer and what to try are named.
        """
        standing = self._standing
        untouched = math.isnan(standing.first_loss)
        if untouched:
            standing.first_loss = loss
        standing.follow(loss)
        if math.isfinite(loss) and standing.smooth_loss <= _DIVERGED * max(standing.first_loss, 1):
            return
        place = f"batch {standing.batch + 1} of epoch {standing.first + standing.epoch + 1}"
        where = largest_activations(
            self._engine, images, targets, self.loss, self.data.train.scale, standing.step
        )
        raise diverged(loss, None if untouched else standing.first_loss, place, where)

    # --- Judging

    def evaluate(self, dataset: Dataset | None = None) -> Evaluation:
        """What the network says of images.

        Args:
            dataset: the images. Default: the validation set.

        Raises:
            ShapeError, TrainingError: its images, labels or classes are not as those that the
                network was trained on.
        """
        if dataset is not None:
            self._check_fit(dataset)
        with self.workers:
            self._take_up()
            return self._judge(self.data.valid if dataset is None else dataset)

    def predict(self, images: NDArray[Any], scale: float = 1.0) -> Numbers:
        """The probabilities of images, in the trainer's type.

        Args:
            images: (N, *input_shape).
            scale: what they are multiplied by. Default 1.

        Returns:
            (N, outputs).

        Raises:
            ShapeError: the images have another shape, there are none, or they are no numbers.
        """
        if not isinstance(images, np.ndarray) or images.dtype.kind not in "biuf":
            try:
                images = numbers(images)
            except ValueError as error:
                raise ShapeError(f"the images are {error}") from None
        if images.shape[1:] != self.input_shape or not len(images):
            expected = ", ".join(map(str, self.input_shape))
            raise ShapeError(
                f"the images have shape {images.shape}: expected (images, {expected}), at least "
                "one image"
            )
        with self.workers:
            self._take_up()
            return self.loss.probabilities(self._scores(images, scale)).T

    def _take_up(self) -> None:
        """The network's numbers; during a fit those that it has come to, as its progress asks."""
        if not self._fitting:
            self._engine.load()

    def _scores(self, images: NDArray[Any], scale: float) -> Numbers:
        # Where images have to do with each other, all of them are a batch, as in the network.
        mixed = any(layer.mixes_images for _, layer in self.network)
        at_once = len(images) if mixed else _JUDGED_AT_ONCE
        parts = [
            self._engine.scores(images[first : first + at_once], scale=scale)
            for first in range(0, len(images), at_once)
        ]
        return np.concatenate(parts, axis=1)

    def _judge(self, dataset: Dataset) -> Evaluation:
        scores = self._scores(dataset.images, dataset.scale)
        losses = self.loss.each(scores, dataset.labels)
        probabilities = self.loss.probabilities(scores).T
        return Evaluation(probabilities, losses, dataset.labels, dataset.classes)

    def build(self, path: str | Path, **options: Any) -> BuiltWorkbook:
        """Write the network as a workbook that also shows how it was trained.

        Args:
            path: the .xlsx file.
            **options: as for `sheetconv.training.workbook.build_trained`: drawing, guides, title,
                force.
        """
        # A later room: whoever only trains writes no workbook.
        from .workbook import build_trained

        return build_trained(self, path, **options)

    # --- Learning rates

    def find_lr(
        self, start: float = 1e-7, end: float = 10.0, steps: int = 100, method: str = "valley"
    ) -> LrFinding:
        """Try ever larger learning rates, one a batch, and suggest one.

        Everything is as before afterwards. The sweep ends early where the smoothed loss is four
        times the least.

        Args:
            start, end: the least and the largest learning rate. Default 1e-7 and 10.
            steps: how many are tried. Default 100.
            method: how one is suggested: valley, steep or minimum. Default "valley".

        Returns:
            The record of the sweep, and the suggestion.
        """
        schedule = Exponential(
            start_lr=start, end_lr=end, num_it=whole("find_lr", "steps", steps, 10)
        )
        self._engine.load()
        kept, history, standing = self._keep(), self.history, self._standing
        self.history, self._standing = History(), Standing(step=standing.step)
        least = math.inf
        try:
            with self.workers:
                order: list[NDArray[np.int64]] = []
                for at in range(steps):
                    order = order or self._batches(at)
                    hyper = schedule.at(at, steps, 0, 1.0)
                    try:
                        self._step(order.pop(), hyper.lr, hyper.momentum)
                    except TrainingError:
                        break
                    least = min(least, self.history.smooth_loss)
                    if self.history.smooth_loss > _STOP_SWEEP * least:
                        break
            swept = self.history
        finally:
            self.history, self._standing = history, standing
            self._put_back(kept)
        frame = swept.batches
        suggestion = suggest_lr(
            frame["lr"].to_numpy(), frame["smooth_loss"].to_numpy(), method, skip_start=steps // 10
        )
        return LrFinding(swept, suggestion)

    # --- Keeping

    def _save(self, path: Path, run: Run, more: Mapping[str, Any]) -> None:
        about = {
            **self.about(),
            "run": run.about(),
            "standing": asdict(self._standing),
            "more": dict(more),
        }
        arrays = {f"optimiser.{name}": array for name, array in self._state.items()}
        arrays |= {f"engine.{name}": array for name, array in self._engine.state().items()}
        arrays |= {f"best.{name}": array for name, array in self._best.items()}
        if self.kernels_before is not None:
            arrays["kernels_before"] = self.kernels_before
        arrays |= {f"history.{name}": array for name, array in self.history.state().items()}
        write_checkpoint(path, about, arrays)

    def _restore(self, path: Path, found: Checkpoint) -> Run:
        """Everything as the checkpoint says.

        Raises:
            CheckpointError: it does not say it all.
        """
        try:
            with reading(path, "a whole checkpoint", CheckpointError):
                run = Run.from_about(found.about["run"])
                standing = Standing.from_about(
                    found.about["standing"], run.epochs, len(self._batches(0))
                )
                history = History.from_state(found.part("history"))
                kept, best = found.part("optimiser"), found.part("best")
                before = found.arrays.get("kernels_before")
                require_alike("the optimiser", kept, self._state)
                state = {name: kept[name] for name in self._state}
                if best:
                    require_alike("the best epoch", best, self._engine.state())
                if self.kernels_before is not None:
                    own = {"kernels": self.kernels_before}
                    require_alike("the beginning", {"kernels": before}, own)
                self._engine.load_state(found.part("engine"))
        except TrainingError as error:
            raise CheckpointError(f"{path} is damaged: {error}: start anew without it") from None
        self._best, self.kernels_before = best, before
        self._standing, self.history, self._state = standing, history, state
        return run


def _limit(name: str, value: float | None) -> float | None:
    return None if value is None else real("Learner", name, value, above=True)
