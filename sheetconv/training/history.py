"""What a training run was like, batch by batch, epoch by epoch and layer by layer.

The loop records, people read: pandas frames, and the pictures that `plots.py` draws of
them. A run is long and is recorded at every step, so that recording only appends numbers;
frames are made when somebody asks. The same recorder serves the learning rate finder.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from ..layers.validation import LARGEST, shown
from ..spelling import suggestion
from .activation_sums import LIMITS

if TYPE_CHECKING:
    import pandas as pd

#: The weight of what came before in the smoothed loss, as in fast.ai.
BETA = 0.98

#: The arrays of a state.
_STATE = {
    "epoch", "loss", "hyper_names", "hyper", "epochs", "epoch_ends", "epoch_values",
    "metric_names", "metrics", "layers", "layer_records", "activation_batches", "activations",
    "histogram_rows", "histograms", "limits",
}  # fmt: skip

Integers = NDArray[np.int64]


@dataclass(slots=True)
class _Layer:
    """The records of one layer, in order."""

    batches: array[int] = field(default_factory=lambda: array("q"))
    # Mean, standard deviation and share near zero of each, one after the other.
    values: array[float] = field(default_factory=lambda: array("d"))
    histograms: list[Integers | None] = field(default_factory=list)

    def counted(self) -> tuple[list[int], list[Integers]]:
        """The numbers of the batches that have histograms, and these."""
        pairs = zip(self.batches, self.histograms, strict=True)
        found = [(batch, counts) for batch, counts in pairs if counts is not None]
        return [batch for batch, _ in found], [counts for _, counts in found]


class History:
    """The record of a training run, as fast.ai's Recorder and ActivationStats.

    Args:
        limits: where the histograms of activations begin and end. Default (-10, 10), as
            `ActivationSums` counts.

    Example:
        >>> history = History()
        >>> history.record_batch(1, 2.0, lr=0.1, momentum=0.9)
        >>> history.record_batch(1, 1.0, lr=0.2, momentum=0.8)
        >>> history.record_epoch(1, 1.5, 1.25, {"accuracy": 0.75}, 3.0)
        >>> history.batches.round(3)
               epoch  loss  smooth_loss   lr  momentum
        batch
        0          1   2.0        2.000  0.1       0.9
        1          1   1.0        1.495  0.2       0.8
        >>> history.epochs
               train_loss  valid_loss  accuracy  seconds
        epoch
        1             1.5        1.25      0.75      3.0
    """

    def __init__(self, limits: tuple[float, float] = LIMITS) -> None:
        self.limits = (float(limits[0]), float(limits[1]))
        self._epoch, self._loss, self._smooth = array("q"), array("d"), array("d")
        self._hyper: dict[str, array[float]] = {}
        self._average, self._weight = 0.0, 1.0
        # Of each epoch its number, how many batches there were when it ended, and train_loss,
        # valid_loss and seconds.
        self._epochs, self._ends, self._epoch_values = array("q"), array("q"), array("d")
        self._metrics: dict[str, array[float]] = {}
        self._layers: dict[str, _Layer] = {}
        self._bins = 0

    def __len__(self) -> int:
        """How many batches there are."""
        return len(self._loss)

    # --- Recording

    def record_batch(self, epoch: int, loss: float, **hyper: float | None) -> None:
        """Add a training batch.

        Args:
            epoch: its number, from 1.
            loss: the mean over the batch; NaN and infinity are kept.
            **hyper: what the step was taken with, such as `lr`, `momentum` or
                `weight_decay`. None is kept as NaN. A name may come later than the first
                batch, or be left out.

        Raises:
            TrainingError: an argument is no number, `epoch` is less than 1, or a name is
                smooth_loss. Nothing is recorded then.
        """
        try:
            loss = float(loss)
            values = {key: math.nan if v is None else float(v) for key, v in hyper.items()}
            counted = 1 <= epoch <= LARGEST and "smooth_loss" not in hyper
        except (TypeError, ValueError, OverflowError):
            counted = False
        if not counted or not isinstance(epoch, int | np.integer):
            raise TrainingError(
                f"cannot record epoch {shown(epoch)}, loss {shown(loss)}, {shown(hyper)}: expected "
                "an epoch from 1 on, and numbers by names other than smooth_loss"
            )
        _append(self._hyper, values, len(self._loss))
        self._epoch.append(epoch)
        self._loss.append(loss)
        # What the first losses lack in weight is made up for.
        self._average = loss + BETA * (self._average - loss)
        self._weight *= BETA
        self._smooth.append(self._average / (1.0 - self._weight))

    def record_epoch(
        self,
        epoch: int,
        train_loss: float,
        valid_loss: float,
        metrics: Mapping[str, float],
        seconds: float,
    ) -> None:
        """Add an epoch, after its last batch.

        Args:
            epoch: its number, from 1, above those before.
            train_loss: the mean over its batches.
            valid_loss: the mean over the validation set; NaN if there is none.
            metrics: name -> value.
            seconds: how long it took.

        Raises:
            TrainingError: an argument is no number, `epoch` does not follow, or a metric is
                named as another column. Nothing is recorded then.
        """
        last = self._epochs[-1] if self._epochs else 0
        if isinstance(epoch, bool) or not isinstance(epoch, int | np.integer) or epoch <= last:
            raise TrainingError(f"epoch is {shown(epoch)}: expected a whole number above {last}")
        for name in ("train_loss", "valid_loss", "seconds"):
            if name in metrics:
                raise TrainingError(f"a metric is named {name!r}, as a column: choose another name")
        try:
            own = [float(train_loss), float(valid_loss), float(seconds)]
            values = {name: float(value) for name, value in metrics.items()}
        except (TypeError, ValueError, OverflowError):
            given = f"{shown((train_loss, valid_loss, seconds))} and {shown(metrics)}"
            raise TrainingError(f"epoch {epoch}: got {given}: expected numbers") from None
        _append(self._metrics, values, len(self._epochs))
        self._epochs.append(epoch)
        self._ends.append(len(self._loss))
        self._epoch_values.extend(own)

    def record_activations(
        self,
        layer: str,
        batch: int,
        mean: float,
        std: float,
        near_zero: float,
        histogram: NDArray[Any] | None = None,
    ) -> None:
        """Add the statistics of a layer's activations, as `activation_statistics` gives them.

        Args:
            layer: its name.
            batch: the number of the batch, from 0.
            mean: of the activations.
            std: their standard deviation.
            near_zero: the share of them that is near zero.
            histogram: (bins,), the counts; as many bins every time. Default: none.

        Raises:
            TrainingError: an argument is no number, or the histogram is no row of counts or
                has another number of bins than the one before.
        """
        try:
            values, number = [float(mean), float(std), float(near_zero)], index(batch)
            counts = None if histogram is None else np.array(histogram, np.int64)
        except (TypeError, ValueError, OverflowError):
            given = f"batch {shown(batch)}, {shown((mean, std, near_zero))}, {shown(histogram)}"
            raise TrainingError(f"layer {layer}: got {given}: expected numbers") from None
        if counts is not None:
            if counts.ndim != 1 or len(counts) != (self._bins or len(counts)) or not len(counts):
                expected = f"({self._bins},)" if self._bins else "(bins,)"
                raise TrainingError(
                    f"layer {layer}: the histogram has shape {counts.shape}: expected {expected}"
                )
            self._bins = len(counts)
        record = self._layers.get(layer)
        if record is None:
            record = self._layers[layer] = _Layer()
        record.batches.append(number)
        record.values.extend(values)
        record.histograms.append(counts)

    # --- Reading

    @property
    def smooth_loss(self) -> float:
        """The smoothed loss after the last batch; NaN before the first."""
        return self._smooth[-1] if self._smooth else math.nan

    @property
    def batches(self) -> pd.DataFrame:
        """One row a batch, from 0: epoch, loss, smooth_loss, and the hyperparameters.

        `smooth_loss` is the exponentially weighted average of the losses so far, each
        weighing 0.98 of the next, with the missing weight of the first ones made up for.
        """
        import pandas as pd

        columns = {"loss": np.array(self._loss), "smooth_loss": np.array(self._smooth)}
        columns |= _columns(self._hyper, len(self._loss))
        return pd.DataFrame({"epoch": _integers(self._epoch), **columns}).rename_axis("batch")

    @property
    def epochs(self) -> pd.DataFrame:
        """One row an epoch, from 1: train_loss, valid_loss, the metrics, and seconds."""
        import pandas as pd

        train, valid, seconds = np.array(self._epoch_values).reshape(-1, 3).T
        columns = {"train_loss": train, "valid_loss": valid}
        columns |= _columns(self._metrics, len(self._epochs)) | {"seconds": seconds}
        return pd.DataFrame(columns, index=pd.Index(_integers(self._epochs), name="epoch"))

    @property
    def epoch_ends(self) -> Integers:
        """How many batches there were when each of the `epochs` ended."""
        return _integers(self._ends)

    @property
    def layers(self) -> list[str]:
        """The layers whose activations were recorded, in the order of their first record."""
        return list(self._layers)

    @property
    def counted_layers(self) -> list[str]:
        """Those of `layers` that have histograms."""
        return [name for name, layer in self._layers.items() if any(layer.counted())]

    @property
    def metric_names(self) -> list[str]:
        """The metrics of `epochs`, in the order of their first record."""
        return list(self._metrics)

    @property
    def activations(self) -> pd.DataFrame:
        """One row for each layer and batch: mean, std and near_zero.

        Example:
            >>> history = History()
            >>> history.record_activations("conv1", 0, 0.5, 1.0, 0.25)
            >>> history.activations.loc[("conv1", 0), "near_zero"].item()
            0.25
        """
        import pandas as pd

        layers = np.repeat(np.array(self.layers, dtype=object), self._lengths())
        batches = np.concatenate([_integers(()), *(item.batches for item in self._layers.values())])
        values = np.concatenate([np.empty(0), *(item.values for item in self._layers.values())])
        return pd.DataFrame(
            values.reshape(-1, 3),
            index=pd.MultiIndex.from_arrays([layers, batches], names=["layer", "batch"]),
            columns=["mean", "std", "near_zero"],
        )

    def _lengths(self) -> list[int]:
        """How many records each layer has."""
        return [len(layer.batches) for layer in self._layers.values()]

    def histogram(self, layer: str) -> pd.DataFrame:
        """How many activations of a layer were in each bin: a row a bin, a column a batch.

        The index has the lower edge of each bin; the last one ends at the upper limit.

        Raises:
            TrainingError: the layer is unknown, or has no histograms.

        Example:
            >>> history = History(limits=(0, 4))
            >>> history.record_activations("relu1", 0, 0.5, 1.0, 0.5, np.array([3, 1]))
            >>> history.histogram("relu1")
            batch  0
            from
            0.0    3
            2.0    1
        """
        import pandas as pd

        batches, histograms = self._layers.get(layer, _Layer()).counted()
        if not histograms:
            known = self.counted_layers
            hint = suggestion(str(layer), known) if known else ": none were recorded"
            raise TrainingError(f"layer {shown(layer)} has no histograms{hint}")
        return pd.DataFrame(
            np.stack(histograms, axis=1),
            index=pd.Index(np.linspace(*self.limits, self._bins + 1)[:-1], name="from"),
            columns=pd.Index(_integers(batches), name="batch"),
        )

    def colour_dimension(self, layer: str) -> pd.DataFrame:
        """The histograms of a layer ready to draw, as fast.ai's `color_dim`.

        The logarithm of one more than each count, so that few activations are seen beside
        many, as part of the largest: from 0 to 1. The highest bin is the first row.

        Raises:
            TrainingError: as for `histogram`.

        Example:
            >>> history = History(limits=(0, 4))
            >>> history.record_activations("relu1", 0, 0.5, 1.0, 0.5, np.array([15, 3]))
            >>> history.colour_dimension("relu1")[0].round(3).tolist()
            [0.5, 1.0]
        """
        counts = self.histogram(layer).iloc[::-1]
        # At least one, so that a layer without any activation within the limits is zero.
        largest = max(int(counts.to_numpy().max()), 1)
        return counts.apply(np.log1p) / math.log1p(largest)

    # --- Keeping

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays of numbers and of text, for an .npz file; see `from_state`."""
        batches, epochs, activations = self.batches, self.epochs, self.activations
        rows = [row for layer in self._layers.values() for row in layer.histograms]
        counted = [number for number, row in enumerate(rows) if row is not None]
        histograms = np.array([rows[number] for number in counted], dtype=np.int64)
        return {
            "epoch": batches["epoch"].to_numpy(),
            "loss": batches["loss"].to_numpy(),
            "hyper_names": np.array(list(self._hyper), dtype=np.str_),
            "hyper": batches[list(self._hyper)].to_numpy(np.float64),
            "epochs": _integers(self._epochs),
            "epoch_ends": self.epoch_ends,
            "epoch_values": np.array(self._epoch_values).reshape(-1, 3),
            "metric_names": np.array(list(self._metrics), dtype=np.str_),
            "metrics": epochs[list(self._metrics)].to_numpy(np.float64),
            "layers": np.array(self.layers, dtype=np.str_),
            "layer_records": _integers(self._lengths()),
            "activation_batches": activations.index.get_level_values("batch").to_numpy(),
            "activations": activations.to_numpy(),
            "histogram_rows": _integers(counted),
            "histograms": histograms.reshape(len(counted), self._bins),
            "limits": np.array(self.limits),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> History:
        """The history whose `state` this is, to go on with.

        Raises:
            TrainingError: an array is missing, or they do not fit together.

        Example:
            >>> history = History()
            >>> history.record_batch(1, 2.0, lr=0.1)
            >>> History.from_state(history.state()).batches.equals(history.batches)
            True
        """
        missing = _STATE - set(state)
        if missing:
            raise TrainingError(
                f"a history without {', '.join(sorted(missing))} cannot be taken up: expected the "
                "arrays that History.state gave"
            )
        try:
            return cls._replayed({name: np.asarray(state[name]).tolist() for name in _STATE})
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise TrainingError(
                f"a history's arrays do not fit together: {error}: expected those that "
                "History.state gave"
            ) from None

    @classmethod
    def _replayed(cls, state: Mapping[str, Any]) -> History:
        low, high = state["limits"]
        history = cls((low, high))
        names = state["hyper_names"]
        for epoch, loss, hyper in zip(state["epoch"], state["loss"], state["hyper"], strict=True):
            history.record_batch(epoch, loss, **dict(zip(names, hyper, strict=True)))
        names = state["metric_names"]
        for epoch, (train, valid, seconds), values in zip(
            state["epochs"], state["epoch_values"], state["metrics"], strict=True
        ):
            metrics = dict(zip(names, values, strict=True))
            history.record_epoch(epoch, train, valid, metrics, seconds)
        history._ends = array("q", state["epoch_ends"])
        if len(history._ends) != len(history._epochs):
            raise ValueError("other ends than epochs")
        histograms = dict(zip(state["histogram_rows"], state["histograms"], strict=True))
        batches, activations = state["activation_batches"], state["activations"]
        end = 0
        for layer, records in zip(state["layers"], state["layer_records"], strict=True):
            start, end = end, end + records
            for row in range(start, end):
                mean, std, near_zero = activations[row]
                counts = histograms.get(row)
                history.record_activations(layer, batches[row], mean, std, near_zero, counts)
        if not end == len(batches) == len(activations):
            raise ValueError("other lengths of activations than the layers say")
        return history


def _append(columns: dict[str, array[float]], values: Mapping[str, float], before: int) -> None:
    """Add a row; a column that was not given in all the rows before has NaN there."""
    for name, value in values.items():
        column = columns.get(name)
        if column is None:
            column = columns[name] = array("d")
        if len(column) < before:
            column.extend([math.nan] * (before - len(column)))
        column.append(value)


def _columns(columns: Mapping[str, array[float]], length: int) -> dict[str, NDArray[np.float64]]:
    """Columns of one length, those that end early with NaN."""
    return {
        name: np.concatenate([column, np.full(length - len(column), math.nan)])
        for name, column in columns.items()
    }


def _integers(numbers: Sequence[int]) -> Integers:
    return np.array(numbers, dtype=np.int64)
