"""What a network is made of, layer by layer: shapes, parameters, multiplications, fields.

Computed from the layers and the shape of the input alone, without any number of theirs.

Multiplications are products with a weight that a forward pass of one image computes: a
convolution multiplies each of its weights once for each window, `out_height * out_width *
weights`; a dense layer each weight once. Biases are added; what other layers compute, the
scaling of a normalisation included, is not counted.
(The fast.ai book counts `7*7*(1168-16)` for a stride-2 convolution over a 7 x 7 grid: one
window for each unit of its *input*. With stride 2 it has 4 x 4 windows, and so a worksheet
computes `4*4*(1168-16)`.)

The receptive field follows from the layers' own windows by the usual recursion, from the
input to the output: a window of size k and padding p over units that lie `step` pixels apart
begins `p * step` pixels earlier and is `(k - 1) * step` pixels larger than what one unit sees.
See A. Araujo, W. Norris and J. Sim, "Computing Receptive Fields of Convolutional Neural
Networks", Distill 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import TYPE_CHECKING

from .batches import batch_of
from .formulas import Shape
from .layers.base import Reach
from .network import Sequential

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The pixels of the input that a unit can depend on, each as (height, width).

    Units at an edge see what of it lies within the image, and with a `padding_mode` other
    than zeros the pixels that stand in the padding. What strides and dilations leave out
    between the first and the last pixel is included.

    Attributes:
        size: in pixels.
        step: pixels from the field of one unit to that of the next; (0, 0) where all units
            see the same, the whole input.
        start: row and column of the first unit's first pixel; negative in the padding.
    """

    size: tuple[int, int] = (1, 1)
    step: tuple[int, int] = (1, 1)
    start: tuple[int, int] = (0, 0)

    def of(self, row: int, column: int) -> tuple[range, range]:
        """The rows and columns of pixels of one unit, those outside the image included.

        Example:
            >>> ReceptiveField((7, 7), (4, 4), (-3, -3)).of(0, 1)
            (range(-3, 4), range(1, 8))
        """
        first = [s + i * n for s, i, n in zip(self.start, (row, column), self.step, strict=True)]
        rows, columns = (range(f, f + n) for f, n in zip(first, self.size, strict=True))
        return rows, columns

    def through(self, reach: Reach | None, extent: tuple[int, int]) -> ReceptiveField:
        """The field behind a layer.

        Args:
            reach: the layer's; None where each unit reads everything.
            extent: height and width of the planes that the layer reads.
        """
        if reach is None:
            reach = Reach(extent, (0, 0))
        (height, width), (down, right) = self.size, self.step
        return ReceptiveField(
            (height + (reach.size[0] - 1) * down, width + (reach.size[1] - 1) * right),
            (down * reach.stride[0], right * reach.stride[1]),
            (self.start[0] - reach.padding[0] * down, self.start[1] - reach.padding[1] * right),
        )


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One layer.

    Attributes:
        name: in the network: `conv1`.
        type: of the layer: `Conv2d`.
        output_shape: with the batch: NCHW, or (N, features).
        parameters: numbers that are learned.
        buffers: numbers that are kept but not learned, such as running means.
        multiplications: products with weights, for one image.
        activations: units that the layer computes, for one image; none where it only looks
            at those before it in another shape, as Flatten does.
        field: the receptive field of its units.
    """

    name: str
    type: str
    output_shape: Shape
    parameters: int
    buffers: int
    multiplications: int
    activations: int
    field: ReceptiveField

    def reaches_over(self, input_shape: Shape) -> bool:
        """Whether the field of its first or last unit is not wholly within the image."""
        if len(input_shape) != 4:
            return False
        last = self.output_shape[2:] if len(self.output_shape) == 4 else (1, 1)
        first, ends = self.field.of(0, 0), self.field.of(last[0] - 1, last[1] - 1)
        return any(f.start < 0 for f in first) or any(
            f.stop > length for f, length in zip(ends, input_shape[2:], strict=True)
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """A network, layer by layer.

    Attributes:
        input_shape: with the batch: NCHW, or (N, features).
        layers: in order.
    """

    input_shape: Shape
    layers: tuple[LayerSummary, ...]

    @property
    def parameters(self) -> int:
        """Numbers that are learned, in all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def buffers(self) -> int:
        """Numbers that are kept but not learned, in all layers."""
        return sum(layer.buffers for layer in self.layers)

    @property
    def multiplications(self) -> int:
        """Products with weights, for one image, in all layers."""
        return sum(layer.multiplications for layer in self.layers)

    @property
    def activations(self) -> int:
        """Units that are computed for one image, in all layers."""
        return sum(layer.activations for layer in self.layers)

    def frame(self) -> pd.DataFrame:
        """One row a layer, indexed by name, for pandas.

        Example:
            >>> from sheetconv import Conv2d, Sequential
            >>> frame = summarize(Sequential(Conv2d(1, 4, 3, 2, 1)), (1, 28, 28)).frame()
            >>> frame.loc["conv1", "output_shape"]
            (1, 4, 14, 14)
        """
        import pandas as pd

        rows = [
            {key: value for key, value in asdict(layer).items() if key != "field"}
            | {f"field_{key}": value for key, value in asdict(layer.field).items()}
            for layer in self.layers
        ]
        return pd.DataFrame(rows).set_index("name")

    def lines(self) -> list[str]:
        """A table for the terminal, with a row of totals.

        Example:
            >>> from sheetconv import Conv2d, Sequential
            >>> print(summarize(Sequential(Conv2d(1, 4, 3, 2, 1)), (1, 28, 28)).lines()[2])
            conv1  Conv2d  (1, 4, 14, 14)  40  7,056  784  3 x 3  2 x 2  (-1, -1)
        """
        heads = ["layer", "type", "output shape", "parameters"]
        heads += ["buffers"] if self.buffers else []
        heads += ["multiplications", "activations", "receptive field", "step", "first at"]
        rows = [heads, ["input", "", _tuple(self.input_shape)]]
        rows += [self._row(layer) for layer in self.layers]
        totals = ["total", "", "", f"{self.parameters:,}"]
        totals += [f"{self.buffers:,}"] if self.buffers else []
        rows.append([*totals, f"{self.multiplications:,}", f"{self.activations:,}"])
        lines = table_lines(rows, set(range(3, len(heads) - 3)))
        if any(layer.reaches_over(self.input_shape) for layer in self.layers):
            lines.append("Receptive fields reach over the edge of the image, into padding.")
        return lines

    def _row(self, layer: LayerSummary) -> list[str]:
        row = [layer.name, layer.type, _tuple(layer.output_shape), f"{layer.parameters:,}"]
        row += [f"{layer.buffers:,}"] if self.buffers else []
        row += [f"{layer.multiplications:,}", f"{layer.activations:,}", _by(layer.field.size)]
        step = _by(layer.field.step) if layer.field.step != (0, 0) else "-"
        return [*row, step, _tuple(layer.field.start)]


def summarize(network: Sequential, image_shape: Shape) -> Summary:
    """What a network is made of, for an image of a given shape.

    Args:
        network: the layers.
        image_shape: (channels, height, width), (height, width) or (features,); or that of
            several images, (images, channels, height, width) or (images, features). Without,
            N is 1.

    Raises:
        ShapeError: a layer cannot take what the one before it gives.

    Example:
        >>> from sheetconv import Conv2d, Sequential
        >>> net = Sequential(Conv2d(1, 4, 3, 2, 1), Conv2d(4, 8, 3, 2, 1))
        >>> summary = summarize(net, (64, 1, 28, 28))
        >>> summary.parameters, summary.layers[-1].output_shape, summary.layers[-1].field.size
        (336, (64, 8, 7, 7), (7, 7))
    """
    batch, shape = batch_of(network, image_shape)
    input_shape = (batch, *shape)
    shapes = network.shapes(shape)
    # A vector stands in one column.
    extent = shape[1:] if len(shape) == 3 else (prod(shape), 1)
    field = ReceptiveField()
    layers = []
    for name, layer in network:
        field = field.through(layer.reach(shape), (extent[0], extent[1]))
        multiplications = layer.multiplications(shape)
        shape = shapes[name]
        # Behind Flatten units still see what they saw on their planes.
        extent = shape[1:] if len(shape) == 3 else extent
        layers.append(
            LayerSummary(
                name,
                type(layer).__name__,
                (batch, *shape),
                sum(value.size for value in network.params[name].values()),
                sum(value.size for value in network.buffers[name].values()),
                multiplications,
                0 if layer.is_view else prod(shape),
                field,
            )
        )
    return Summary(input_shape, tuple(layers))


def table_lines(rows: Sequence[Sequence[str]], right: set[int]) -> list[str]:
    """Rows of texts as aligned lines; rows may end early.

    Args:
        rows: the first is the heading.
        right: which columns are aligned to the right, as numbers are.
    """
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(rows[0]))]
    return [
        "  ".join(
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    ]


def _tuple(numbers: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, numbers)) + ")"


def _by(lengths: tuple[int, int]) -> str:
    return " x ".join(map(str, lengths))
