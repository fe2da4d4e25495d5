"""The NumPy side of a drawn network: what every cell of a stage should hold, and how exactly.

A stage is computed for a whole batch, from tensors by their full names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .layers.base import Array
from .layout import Layout, Stage
from .network import Sequential


def stage_params(stage: Stage, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """What the stage's layer reads besides its input, by the names that it uses itself."""
    prefix = f"{stage.name}."
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def stage_activations(
    network: Sequential, stage: Stage, x: Array, params: Mapping[str, Array]
) -> dict[str, Array]:
    """The value of every computed tensor of a stage, by its full name.

    Args:
        network: the layers.
        stage: which of them.
        x: the tensor that the stage reads, in any shape of the right size.
        params: from `stage_params`.
    """
    batch = x.reshape(-1, *stage.input_shape)
    values = network.layers[stage.name].activations(batch, params)
    for name in stage.fused:
        values["out"] = network.layers[name].forward(values["out"], {})[0]
    return {f"{stage.name}.{name}": value for name, value in values.items()}


def stage_error_bounds(
    network: Sequential, stage: Stage, x: Array, error: Array, params: Mapping[str, Array]
) -> dict[str, Array]:
    """How far each value of `stage_activations` may lie from a spreadsheet's.

    Args:
        network: the layers.
        stage: which of them.
        x: the tensor that the stage reads.
        error: how far each of its units may lie off; zeros where they are the
            spreadsheet's own.
        params: from `stage_params`.
    """
    batch, errors = x.reshape(-1, *stage.input_shape), error.reshape(-1, *stage.input_shape)
    layer = network.layers[stage.name]
    bounds = layer.error_bounds(batch, errors, params)
    out = layer.activations(batch, params)["out"] if stage.fused else np.zeros(())
    for name in stage.fused:
        fused = network.layers[name]
        bounds["out"] = fused.error_bounds(out, bounds["out"], {})["out"]
        out = fused.forward(out, {})[0]
    return {f"{stage.name}.{name}": value for name, value in bounds.items()}


def known_tensors(
    network: Sequential, layout: Layout, images: Array, seed: int
) -> dict[str, Array]:
    """The tensors that are given and not computed, by their full names.

    Args:
        network: the layers.
        layout: how they are drawn.
        images: with the batch first.
        seed: of the random ones.
    """
    tensors = {"input": images, **network.state_dict()}
    for name, noise in network.draw_noise(images.shape[1:], seed, len(images)).items():
        for key, value in noise.items():
            full = f"{name}.{key}"
            # Behind Flatten it stands on planes, as what it meets.
            tensors[full] = value.reshape(layout.placed[full].shape)
    for name, layer in network:
        tensors |= {f"{name}.{key}": value for key, value in layer.settings().items()}
    return tensors


def evaluate(network: Sequential, layout: Layout, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Every computed tensor of a network, from end to end.

    Args:
        network: the layers.
        layout: how they are drawn.
        tensors: full name -> array for the input, parameters, settings and noise.
    """
    values: dict[str, Array] = {}
    for stage in layout.stages:
        source = tensors["input"] if stage.source == "input" else values[stage.source]
        params = stage_params(stage, tensors)
        values |= stage_activations(network, stage, source, params)
    return values
