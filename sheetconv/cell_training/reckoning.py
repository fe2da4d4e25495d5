"""The NumPy side of a training step: what every cell should hold.

Where numbers are given that cells show, what follows from them is computed from these: so a wrong
cell is told from those that read it, and rounding does not add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ..errors import TrainingError
from ..evaluate import stage_activations, stage_error_bounds, stage_params
from ..layers.base import Array
from .program import CellTraining

#: Numbers by the full names of their tensors.
Values = Mapping[str, Array]
_NOTHING: Values = MappingProxyType({})
#: How far the result of a few operations may lie off, of the largest number among them.
ROUNDING = 1e-12
_LEAST = 1e-3


def step_values(
    training: CellTraining,
    number: int,
    weights: Values,
    kept: Values,
    settings: Mapping[str, float],
    pixels: Array,
    targets: Array,
    shown: Values = _NOTHING,
) -> dict[str, Array]:
    """Every number of a step, by the full names of its tensors.

    Args:
        training: what is trained.
        number: of the step, from 0.
        weights: `conv1.weight` -> array, before the step; and the other numbers of layers.
        kept: `conv1.weight.momentum_buffer` -> array, before the step.
        settings: the optimiser's numbers, `total` and `batches`.
        pixels: (N, pixels), the data.
        targets: (N, numbers), likewise.
        shown: what the step's cells show. Default: nothing is known of them.
    """
    batches = int(settings["batches"])
    batch, epoch = number % batches, number // batches
    rows = np.arange(batch * training.batch, (batch + 1) * training.batch)
    chosen = targets[rows]
    if training.targets.ndim == 1:
        chosen = chosen[:, 0]
    hyper = training.schedule.at(number, int(settings["total"]), epoch, settings["lr"])
    momentum = settings.get(training.momentum, 0.0) if hyper.momentum is None else hyper.momentum
    values: dict[str, Array] = {
        "number": np.array(float(number)),
        "batch": np.array(float(batch)),
        "epoch": np.array(float(epoch)),
        "lr": np.array(hyper.lr),
        "momentum": np.array(float(momentum)),
        "picture": np.array(rows + 1, dtype=np.float64),
        "target": np.array(chosen, dtype=np.float64),
        "input": pixels[rows].reshape(-1, *training.input_shape),
        **weights,
        **{f"{name}.was": value for name, value in kept.items()},
    }
    values |= forward_values(training, {**values, **shown})
    values |= _back(training, {**values, **shown})
    known = {**values, **shown}
    if not 0 <= float(known["momentum"]) < 1:
        # What a cell shows instead of a momentum is no start for what follows.
        known["momentum"] = values["momentum"]
    for layer, key in training.learned:
        full = f"{layer}.{key}"
        flat, gradient = _flat(known[full]), _flat(known[f"{full}.grad"])
        state = {name: _flat(known[f"{full}.{name}.was"]) for name in training.optimiser.kept}
        training.optimiser.step(
            flat,
            gradient,
            state,
            lr=float(known["lr"]),
            momentum=float(known["momentum"]),
            number=number + 1,
            weight_decay=settings["weight_decay"],
        )
        shape = weights[full].shape
        values[f"{full}.new"] = flat.reshape(shape)
        values |= {f"{full}.{name}": vector.reshape(shape) for name, vector in state.items()}
    return values


def _flat(array: Array) -> Array:
    return array.reshape(-1).copy()


def forward_values(training: CellTraining, known: Values) -> dict[str, Array]:
    """The forward pass and the losses.

    Args:
        training: what is trained.
        known: the weights, `input` and `target`, by full name; and what is shown.
    """
    found: dict[str, Array] = {}
    known = {**training.fixed, **known}
    for stage in training.stages:
        source = _known(stage.source, known, found)
        params = {**stage_params(stage, found), **stage_params(stage, known)}
        found |= stage_activations(training.network, stage, source, params)
    scores = _known(training.stages[-1].out, known, found).reshape(training.batch, -1)
    targets = known["target"]
    if targets.ndim == 1:
        # A cell may show anything; there is no class for it, and no loss.
        targets = np.clip(np.nan_to_num(targets), 0, training.outputs - 1)
    expected = training.loss.expected(scores, targets, training.batch)
    found |= {f"loss.{name}": value for name, value in expected.items()}
    return found | {"loss": np.array(_known("loss.loss", known, found).mean())}


def _known(name: str, known: Values, found: Values) -> Array:
    return known[name] if name in known else found[name]


def _back(training: CellTraining, known: Values) -> dict[str, Array]:
    """The gradients, by backpropagation."""
    network, grad = training.network, known["loss.grad"]
    found: dict[str, Array] = {}
    known = {**training.fixed, **known}
    for stage in reversed(training.stages):
        layer, full = network.layers[stage.name], f"{stage.out}.grad"
        source = known[stage.source].reshape(-1, *stage.input_shape)
        params = stage_params(stage, known)
        out, cache = layer.forward(source, params)
        found[full] = grad.reshape(out.shape)
        grad = known.get(full, found[full]).reshape(out.shape)
        found |= {
            f"{stage.name}.{name}": value
            for name, value in layer.gradient_values(source, params, grad).items()
        }
        # NumPy gives zeros where a spreadsheet multiplies an error by zero.
        known_all = all(np.isfinite(array).all() for array in (source, out, grad))
        grad, grads = layer.backward(grad, cache, params)
        if not known_all:
            grad = np.full(grad.shape, np.nan)
            grads = {name: np.full(value.shape, np.nan) for name, value in grads.items()}
        own = network.params[stage.name]
        found |= {f"{stage.name}.{name}.grad": grads[name] for name in own}
    return found


def roughness(training: CellTraining, shown: Values) -> dict[str, Array]:
    """How far tensors may lie off beyond the rounding of numbers of their own size.

    Where large numbers cancel each other, and where a program's function is not exact.

    Args:
        training: what is trained.
        shown: what the cells of a step, or of a forward pass alone, show.
    """
    found: dict[str, Array] = {}
    network, known = training.network, {**training.fixed, **shown}
    for stage in training.stages:
        layer = network.layers[stage.name]
        source, params = known[stage.source], stage_params(stage, known)
        source = source.reshape(-1, *stage.input_shape)
        found |= stage_error_bounds(network, stage, source, np.zeros(source.shape), params)
        grad = known.get(f"{stage.out}.grad")
        if grad is None:
            continue
        sizes = {name: float(np.abs(grad).sum()) for name in network.params[stage.name]}
        back = f"{stage.source}.grad"
        if layer.multiplications(stage.input_shape):
            # The sums of the products' sizes.
            out, cache = layer.forward(np.abs(source), {k: np.abs(v) for k, v in params.items()})
            sums, grads = layer.backward(
                np.abs(grad).reshape(out.shape), cache, {k: np.abs(v) for k, v in params.items()}
            )
            sizes = {name: float(grads[name].max()) for name in sizes}
            found[back] = np.array(ROUNDING * float(sums.max()))
        elif layer.is_unitwise:
            # What a unit is multiplied by is as far off as the unit is, for its size; where that
            # is nearly nothing, it says nothing.
            off = found[stage.out].reshape(-1) / np.maximum(np.abs(source.reshape(-1)), _LEAST)
            found[back] = np.array(float(off.max()) * float(np.abs(grad).max()))
        found |= {
            f"{stage.name}.{name}.grad": np.array(ROUNDING * size) for name, size in sizes.items()
        }
    return found


def kept_before(training: CellTraining) -> dict[str, Array]:
    """What the optimiser keeps before the first step: zeros.

    Args:
        training: what is trained.
    """
    return {
        f"{layer}.{key}.{name}": np.zeros(training.network.params[layer][key].shape)
        for layer, key in training.learned
        for name in training.optimiser.kept
    }


def first_weights(training: CellTraining) -> dict[str, Array]:
    """The weights before the first step, and the other numbers of layers, by full name.

    Args:
        training: what is trained.
    """
    learned = {
        f"{layer}.{key}": training.network.params[layer][key] for layer, key in training.learned
    }
    return learned | training.fixed


def weights_after(training: CellTraining, values: Values) -> dict[str, Array]:
    """The weights with which the next step begins, and the other numbers of layers.

    Args:
        training: what is trained.
        values: of the step before.
    """
    learned = [f"{layer}.{key}" for layer, key in training.learned]
    fixed = {name: values[name] for name in training.fixed}
    return {name: values[f"{name}.new"] for name in learned} | fixed


def all_steps(training: CellTraining, settings: Mapping[str, float]) -> list[dict[str, Array]]:
    """Every number of every step, each following from the one before.

    Args:
        training: what is trained.
        settings: as for `step_values`.

    Raises:
        TrainingError: training diverges.
    """
    weights, kept = first_weights(training), kept_before(training)
    pixels = training.images.reshape(len(training.images), -1)
    targets = training.targets.reshape(len(training.targets), -1).astype(np.float64)
    found = []
    for number in range(training.steps):
        with np.errstate(all="ignore"):
            values = step_values(training, number, weights, kept, settings, pixels, targets)
        if not all(np.isfinite(value).all() for value in values.values()):
            raise TrainingError(
                f"training in cells: step {number} comes to no finite numbers, the loss being "
                f"{float(values['loss']):g}: use a smaller learning rate than {settings['lr']:g}"
            )
        weights = weights_after(training, values)
        kept = {name: values[name] for name in kept}
        found.append(values)
    return found
