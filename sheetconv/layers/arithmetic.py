"""How the sizes of layers follow from each other, as formulas for a worksheet of sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How a layer's sizes follow from its input's: numbers, and formulas that name them.

    A formula names in braces `{channels_in}`, `{height_in}`, `{width_in}`, `{channels}`,
    `{height}`, `{width}`, `{parameters}` and the settings; of a vector, its features are the
    channels. No formula is derived from `output_shape` or `multiplications`: a check holds
    them against each other.

    Attributes:
        settings: numbers of the layer's configuration, by names of `SETTINGS`.
        channels, height, width: of the output.
        parameters: numbers that are learned.
        buffers: numbers that are kept but not learned.
        multiplications: products with weights, for one image.
    """

    settings: Mapping[str, int] = field(default_factory=dict)
    channels: str = "{channels_in}"
    height: str = "{height_in}"
    width: str = "{width_in}"
    parameters: str = "0"
    buffers: str = "0"
    multiplications: str = "0"


#: The names of settings, in the order in which people read them.
SETTINGS = (
    "kernel_height", "kernel_width", "stride_height", "stride_width",
    "top", "bottom", "left", "right", "dilation_height", "dilation_width",
    "outputs", "groups", "bias",
)  # fmt: skip


def window_settings(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
) -> dict[str, int]:
    """The settings of a window that slides.

    Args:
        kernel, stride, dilation: (height, width).
        padding: (left, right, top, bottom).
    """
    left, right, top, bottom = padding
    numbers = (*kernel, *stride, top, bottom, left, right, *dilation)
    return dict(zip(SETTINGS, numbers, strict=False))


def windows_along(axis: str, before: str, after: str, *, ceil: bool = False) -> str:
    """The formula for how many windows fit: (n + padding - dilation*(kernel-1) - 1)/stride + 1.

    Args:
        axis: `height` or `width`.
        before, after: the settings that hold the padding.
        ceil: whether a last window may reach beyond the padding, unless it begins there.
    """
    room = f"{{{axis}_in}}+{{{before}}}+{{{after}}}-{{dilation_{axis}}}*({{kernel_{axis}}}-1)-1"
    steps = f"({room})/{{stride_{axis}}}"
    if not ceil:
        return f"INT({steps})+1"
    # ROUNDUP rounds away from zero, and room may be negative.
    last = f"-INT(-({steps}))"
    return f"{last}+IF({last}*{{stride_{axis}}}<{{{axis}_in}}+{{{before}}},1,0)"
