"""A network: layers in a row, with their parameters. It knows nothing of spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from os import PathLike
from typing import Any, Literal

import numpy as np

from .errors import ShapeError
from .formulas import Shape
from .layers import Layer
from .layers.base import Array, Cache
from .layers.validation import numbers, shown, whole

#: What NumPy raises when an array does not fit into memory, or cannot exist at all.
TOO_LARGE = (MemoryError, OverflowError, ValueError)


class Sequential:
    """Layers, each fed by the one before, as PyTorch's `nn.Sequential`.

    Args:
        layers: the layers in order; a pair (name, layer) names one. Others are named
            after their kind: conv1, relu1, conv2, maxpool1, flatten1, dense1.
        seed: of the initial parameters, which are drawn as PyTorch draws them. Default 0.

    Attributes:
        layers: name -> layer, in order.
        params: layer name -> parameter name -> float64 array; edit them freely, or set
            them with `load_state_dict`.
        buffers: likewise, for what is kept but not learned, such as running means.

    Raises:
        ShapeError: two layers share a name, or an argument is no layer.

    Example:
        >>> from sheetconv import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
        >>> net = Sequential(Conv2d(1, 2, 3), ReLU(), MaxPool2d(2), Flatten(), Linear(18, 1))
        >>> list(net.layers)
        ['conv1', 'relu1', 'maxpool1', 'flatten1', 'dense1']
        >>> net(np.ones((5, 1, 8, 8))).shape
        (5, 1)
    """

    def __init__(self, *layers: Layer | tuple[str, Layer], seed: int = 0) -> None:
        self.layers: dict[str, Layer] = {}
        counts: dict[str, int] = {}
        for item in layers:
            name, layer = item if isinstance(item, tuple) and len(item) == 2 else ("", item)
            if not isinstance(layer, Layer) or not isinstance(name, str):
                raise ShapeError(
                    f"Sequential got {shown(item)}: expected layers such as Conv2d(1, 2, 3) "
                    "or pairs (name, layer)"
                )
            counts[layer.stem] = counts.get(layer.stem, 0) + 1
            name = name or f"{layer.stem}{counts[layer.stem]}"
            if not name.isidentifier():
                raise ShapeError(
                    f"layer name {shown(name)}: use letters, digits and underscores, as in conv1"
                )
            if name in self.layers:
                raise ShapeError(f"two layers are named {name!r}: give each a name of its own")
            self.layers[name] = layer
        if not self.layers:
            raise ShapeError("Sequential got no layers: expected at least one")
        rng = np.random.default_rng(whole("Sequential", "seed", seed, 0))
        try:
            self.params: dict[str, dict[str, Array]] = {
                name: layer.init_params(rng) for name, layer in self.layers.items()
            }
            self.buffers: dict[str, dict[str, Array]] = {
                name: layer.init_buffers() for name, layer in self.layers.items()
            }
        except TOO_LARGE:
            raise ShapeError(
                "the network has more parameters than fit into memory: use smaller layers"
            ) from None

    def __iter__(self) -> Iterator[tuple[str, Layer]]:
        return iter(self.layers.items())

    def __repr__(self) -> str:
        return "Sequential(" + ", ".join(repr(layer) for layer in self.layers.values()) + ")"

    def shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """The shape after each layer, without the batch, by layer name.

        Args:
            input_shape: (channels, height, width), or (features,).

        Raises:
            ShapeError: a layer cannot take what the one before it gives; it is named.

        Example:
            >>> from sheetconv import Conv2d, Sequential
            >>> Sequential(Conv2d(1, 2, 3), Conv2d(2, 2, 3)).shapes((1, 28, 28))
            {'conv1': (2, 26, 26), 'conv2': (2, 24, 24)}
        """
        shapes: dict[str, Shape] = {}
        shape: Shape = ()
        with suppress(TypeError):
            shape = tuple(input_shape)
        if not shape or not all(_is_length(length) for length in shape):
            raise ShapeError(
                f"the input's shape is {shown(input_shape)}: every length must be at least 1, "
                "a whole number"
            )
        shape = tuple(int(length) for length in shape)
        for name, layer in self:
            try:
                shape = layer.output_shape(shape)
            except ShapeError as error:
                raise ShapeError(f"layer {name}: {error}") from None
            shapes[name] = shape
        return shapes

    def __call__(self, x: Array, noise: Mapping[str, Mapping[str, Array]] | None = None) -> Array:
        """The output of a batch; see `forward`."""
        return self.forward(x, noise)[0]

    def forward(
        self, x: Array, noise: Mapping[str, Mapping[str, Array]] | None = None
    ) -> tuple[Array, dict[str, Cache]]:
        """The output of a batch, and the caches that `backward` needs.

        Args:
            x: NCHW, float64.
            noise: layer name -> tensor name -> random numbers, for dropout. Without it
                dropout is the identity.

        Raises:
            ShapeError: the batch does not fit the first layer, or one layer the next.
        """
        try:
            x = numbers(x)
        except ValueError as error:
            raise ShapeError(f"the batch is {error}") from None
        if not len(x.shape) or not len(x):
            raise ShapeError(f"the batch has shape {x.shape}: expected at least one image")
        try:
            self.shapes(x.shape[1:])
        except ShapeError as error:
            raise ShapeError(self._as_one_image(x.shape) or str(error)) from None
        caches: dict[str, Cache] = {}
        for name, layer in self:
            params = {**self.params[name], **self.buffers[name], **(noise or {}).get(name, {})}
            x, caches[name] = layer.forward(x, params)
        return x, caches

    def _as_one_image(self, shape: Shape) -> str:
        """What to say of a batch that is an image without a batch; empty if it is none."""
        try:
            self.shapes(shape)
        except ShapeError:
            return ""
        lengths = ", ".join(map(str, shape))
        if len(shape) == 3:
            lengths = f"{shape[0]}, height, width"
        return (
            f"the batch has shape {shape}, as one image: the batch comes first, expected "
            f"(images, {lengths}); for one image that is x[None]"
        )

    def backward(
        self, grad_output: Array, caches: Mapping[str, Cache]
    ) -> tuple[Array, dict[str, dict[str, Array]]]:
        """The gradients of the input and, by layer and name, of every parameter.

        Nothing is updated.

        Args:
            grad_output: the gradient of the loss with respect to the output.
            caches: from `forward`.
        """
        grads: dict[str, dict[str, Array]] = {}
        for name, layer in reversed(self.layers.items()):
            params = {**self.params[name], **self.buffers[name]}
            grad_output, grads[name] = layer.backward(grad_output, caches[name], params)
        return grad_output, {name: grads[name] for name in self.layers}

    def draw_noise(
        self, input_shape: Shape, seed: int = 0, batch: int = 1
    ) -> dict[str, dict[str, Array]]:
        """Random numbers for every layer that needs them, the batch first."""
        rng = np.random.default_rng(seed)
        before = [input_shape, *self.shapes(input_shape).values()]
        return {
            name: layer.draw_noise(shape, rng, batch)
            for (name, layer), shape in zip(self, before, strict=False)
        }

    def state_dict(self) -> dict[str, Array]:
        """Every parameter and buffer by its full name: `conv1.weight`, `conv1.bias`, ..."""
        return {
            f"{name}.{key}": value
            for name in self.layers
            for key, value in {**self.params[name], **self.buffers[name]}.items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set every parameter and buffer.

        Args:
            state: full name -> array, as `state_dict` gives them.

        Raises:
            ShapeError: a name is missing or unknown, or a shape differs; all are listed,
                and nothing is set.

        Example:
            >>> from sheetconv import Conv2d, Sequential
            >>> net = Sequential(Conv2d(1, 1, 1))
            >>> net.load_state_dict({"conv1.weight": [[[[2.0]]]], "conv1.bias": [0.5]})
            >>> net.params["conv1"]["bias"]
            array([0.5])
        """
        if not isinstance(state, Mapping):
            raise ShapeError(
                f"the parameters are {shown(state)}: expected arrays by name, as state_dict gives"
            )
        own = self.state_dict()
        arrays: dict[str, Array] = {}
        problems = [f"{name} is missing" for name in own if name not in state]
        problems += [f"{_plain(name)} is unknown" for name in state if name not in own]
        for name in own.keys() & state.keys():
            try:
                arrays[name] = numbers(state[name]).copy()
            except ValueError:
                problems.append(f"{name} is not an array of numbers")
                continue
            if arrays[name].shape != own[name].shape:
                problems.append(
                    f"{name} has shape {arrays[name].shape}, expected {own[name].shape}"
                )
            elif not np.isfinite(arrays[name]).all():
                problems.append(f"{name} holds NaN or infinity")
        if problems:
            hint = ""
            if not own.keys() & state.keys() and len(own) == len(state):
                hint = "; to go by order: dict(zip(net.state_dict(), state.values()))"
            listed = "; ".join(sorted(problems))
            raise ShapeError(f"parameters do not fit the network: {listed}{hint}")
        for name, array in arrays.items():
            layer, _, key = name.rpartition(".")
            owner = self.params if key in self.params[layer] else self.buffers
            owner[layer][key] = array

    def to_onnx(
        self,
        path: str | PathLike[str],
        input_shape: Shape | None = None,
        *,
        force: bool = False,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> None:
        """Write the network as an ONNX model, for onnxruntime, PyTorch and other programs.

        Each layer becomes a node of its name. The batch may have any size. Dropout is
        written as what it is when a network is used, the identity; `from_onnx` leaves it out.

        Args:
            path: the file to write.
            input_shape: (channels, height, width) or (features,), without the batch.
                Default: what the layers say; height and width are left open.
            force: replace an existing file. Default False.
            dtype: the type of weights and activations. onnxruntime computes every layer in
                float32 only. Default float32.

        Raises:
            ModelError: the package onnx is missing, a layer has no counterpart, or a
                number is too large for `dtype`.
            ShapeError: the layers do not take `input_shape`, or do not say what they take.
            WorkbookError: the file cannot be written; nothing is left half-written.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> from sheetconv import Conv2d, Sequential
            >>> with TemporaryDirectory() as folder:
            ...     Sequential(Conv2d(1, 2, 3)).to_onnx(Path(folder) / "small.onnx")
        """
        # A later room: whoever writes no ONNX does not need it.
        from .interchange.onnx_writing import to_onnx

        to_onnx(self, path, input_shape, force=force, dtype=dtype)


def _plain(name: Any) -> str:
    """A name that somebody else gave, for an error of one line."""
    return name if isinstance(name, str) and name.isprintable() else shown(name)


def _is_length(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) > 0
