"""Random networks that are legal: layers that fit each other, of every kind, drawn in every way.

Each layer is drawn for the shape that it gets, so that what does not fit is rare. `MAKERS`
has an entry for each kind of layer; a test holds it against the package's own list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from sheetconv import (
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Normalize,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from sheetconv.drawing import Drawing
from sheetconv.errors import ShapeError
from sheetconv.layers import Layer
from sheetconv.layout import stages_of

Shape = tuple[int, ...]
Maker = Callable[[st.DrawFn, Shape], Layer]

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
sizes = st.integers(1, 3) | pairs


@dataclass
class Case:
    """A network, an input that it takes, how it is drawn, and how many images."""

    network: Sequential
    input_shape: Shape
    drawing: Drawing
    batch: int = 1


def convolution(draw: st.DrawFn, shape: Shape) -> Layer:
    """Rectangular, strided, padded on any side, dilated, in groups."""
    channels = shape[0]
    groups = draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))
    sides = st.tuples(*[st.integers(0, 3)] * 4)
    return Conv2d(
        channels,
        groups * draw(st.integers(1, 2 if groups < 3 else 1)),
        kernel_size=draw(sizes),
        stride=draw(sizes),
        padding=draw(st.integers(0, 2) | st.tuples(st.integers(0, 2), st.integers(0, 2)) | sides),
        dilation=draw(sizes),
        groups=groups,
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    )


def pool(draw: st.DrawFn, **more: object) -> dict[str, object]:
    """The fields that pools share; the padding is half the kernel, or none."""
    kernel = draw(pairs)
    padding = tuple(side // 2 * draw(st.integers(0, 1)) for side in kernel)
    stride = draw(st.none() | sizes)
    ceil = draw(st.booleans())
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil} | more


def norm(draw: st.DrawFn, shape: Shape) -> dict[str, object]:
    """The fields that normalisations share."""
    return {
        "num_features": shape[0],
        # Of planes that are all but constant a small one leaves the noise.
        "eps": draw(st.sampled_from([0.1, 1.0])),
        "affine": draw(st.booleans()),
        "track_running_stats": draw(st.booleans()),
    }


def dropout(draw: st.DrawFn, shape: Shape) -> Layer:
    return Dropout(
        p=draw(st.sampled_from([0.0, 0.3, 1.0])),
        rescale=draw(st.booleans()),
        margin=draw(st.sampled_from([0.0, 0.001])),
        seed=draw(st.sampled_from([None, 5])),
    )


#: A random layer of each kind for an input of some shape. ShapeError: it does not fit.
MAKERS: dict[str, Maker] = {
    "Conv2d": convolution,
    "MaxPool2d": lambda draw, shape: MaxPool2d(**pool(draw, dilation=draw(sizes))),
    "AvgPool2d": lambda draw, shape: AvgPool2d(**pool(draw, count_include_pad=draw(st.booleans()))),
    "AdaptiveAvgPool2d": lambda draw, shape: AdaptiveAvgPool2d(draw(st.sampled_from([1, (1, 1)]))),
    "AdaptiveMaxPool2d": lambda draw, shape: AdaptiveMaxPool2d(1),
    "BatchNorm2d": lambda draw, shape: BatchNorm2d(**norm(draw, shape)),
    "InstanceNorm2d": lambda draw, shape: InstanceNorm2d(**norm(draw, shape)),
    "Normalize": lambda draw, shape: Normalize(shape[0]),
    "ReLU": lambda draw, shape: ReLU(),
    "LeakyReLU": lambda draw, shape: LeakyReLU(draw(st.sampled_from([0.01, 0.25, 0.0, 1.0]))),
    "Sigmoid": lambda draw, shape: Sigmoid(),
    "Tanh": lambda draw, shape: Tanh(),
    "GELU": lambda draw, shape: GELU(draw(st.sampled_from(["none", "tanh"]))),
    "Dropout": dropout,
    "Flatten": lambda draw, shape: Flatten(),
    "Linear": lambda draw, shape: Linear(
        shape[0], draw(st.integers(1, 3)), bias=draw(st.booleans())
    ),
    "Softmax": lambda draw, shape: Softmax(draw(st.sampled_from([1, -1]))),
}

ANYWHERE = ["ReLU", "LeakyReLU", "Sigmoid", "Tanh", "GELU", "Dropout"]
#: The kinds of layers that take planes, and those that take vectors.
OF_PLANES = [kind for kind in MAKERS if kind not in ("Linear", "Softmax")]
OF_VECTORS = [*ANYWHERE, "Linear", "Softmax"]


@st.composite
def cases(draw: st.DrawFn, kind: str | None = None, channels: tuple[int, ...] = (1, 2)) -> Case:
    """A random network.

    Args:
        draw: Hypothesis's.
        kind: a layer that it has to have, beyond the others. Default: none.
        channels: how many the image may have.
    """
    shape: Shape = (draw(st.sampled_from(channels)), *draw(st.tuples(*[st.integers(1, 7)] * 2)))
    if kind != "Flatten" and kind not in OF_PLANES[:8] and draw(st.integers(0, 9)) == 0:
        shape = (draw(st.integers(1, 6)),)
    input_shape, layers, missing = shape, list[Layer](), kind
    for left in range(draw(st.integers(1, 5)), -1, -1):
        flat = len(shape) == 1
        if missing and (left == 0 or (missing in (OF_VECTORS if flat else OF_PLANES))):
            if flat < (missing in ("Linear", "Softmax")):
                layers.append(Flatten())
                shape = layers[-1].output_shape(shape)
            wanted = missing
        elif left == 0 and layers:
            break
        else:
            wanted = draw(st.sampled_from(OF_VECTORS if flat else OF_PLANES))
        try:
            layer = MAKERS[wanted](draw, shape)
            after = layer.output_shape(shape)
        except ShapeError:
            continue
        missing = None if wanted == kind else missing
        layers.append(layer)
        shape = after
    assume(missing is None)
    if all(layer.is_view for layer in layers):
        layers.append(ReLU())
    seed = draw(st.integers(0, 9))
    network = Sequential(*layers, seed=seed)
    _train(network, seed)
    drawing = draw(drawings(network, input_shape))
    batch = draw(st.integers(1, 3)) if len(input_shape) == 3 else 1
    return Case(network, input_shape, drawing, batch)


def _train(network: Sequential, seed: int) -> None:
    """Give normalisations other numbers than fresh ones.

    Those would hide which number goes where, and centre planes on kinks.
    """
    rng = np.random.default_rng(seed)
    for name, layer in network:
        if isinstance(layer, BatchNorm2d | InstanceNorm2d | Normalize):
            for key, value in network.params[name].items():
                network.params[name][key] = rng.normal(size=value.shape)
            probed = layer.probe_settings(rng)
            network.buffers[name] = {key: probed[key] for key in network.buffers[name]}


@st.composite
def drawings(draw: st.DrawFn, network: Sequential, input_shape: Shape) -> Drawing:
    """A way of drawing a network that it can be drawn in."""
    fuse = draw(st.booleans())
    stages = stages_of(network, input_shape, fuse)
    # Zeros around a plane that is spread over rows and columns cannot be counted.
    followers = [*(network.layers[stage.name] for stage in stages[1:]), ReLU()]
    free = [
        stage.name
        for stage, follower in zip(stages, followers, strict=True)
        if not isinstance(follower, AvgPool2d)
    ]
    return Drawing(
        fuse=fuse,
        aligned=frozenset(name for name in free if draw(st.booleans())),
        border=draw(st.sampled_from(["drawn", "blank"])),
        formulas=draw(st.sampled_from(["sumproduct", "array"])),
        layout=draw(st.sampled_from(["auto", "one-sheet", "per-layer"])),
    )
