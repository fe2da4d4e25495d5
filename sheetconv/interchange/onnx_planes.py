"""ONNX operators on planes: convolutions, pools, paddings and norms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chain import Padding, Sides, added, plain_padding, plain_pair
from .onnx_step import Reader, Step
from .windows import Axis, as_symmetric, same_padding

_NO_SIDES = (0, 0, 0, 0)

#: ONNX's modes of Pad, as `padding_mode`.
_MODES = {
    "constant": "zeros",
    "reflect": "reflect",
    "edge": "replicate",
    "wrap": "circular",
}


def _axes(step: Step, kernel: tuple[int, int], outer: Sides) -> tuple[Axis, Axis]:
    """The windows along height and width of the padded input, with the node's own padding."""
    _, height, width = step.need_planes()
    left, right, top, bottom = outer
    strides = step.pair("strides", (1, 1))
    dilations = step.pair("dilations", (1, 1))
    if min(*kernel, *strides, *dilations) < 1:
        raise step.error(
            f"kernel {kernel}, strides {strides}, dilations {dilations}: expected at least 1"
        )
    ceil_mode = bool(step.whole("ceil_mode", 0))
    rows, columns = (
        Axis(length, kernel[i], strides[i], dilations[i], ceil_mode=ceil_mode)
        for i, length in enumerate((height + top + bottom, width + left + right))
    )
    auto_pad = step.text("auto_pad", "NOTSET") or "NOTSET"
    if auto_pad == "NOTSET":
        pads = step.wholes("pads", _NO_SIDES)
        if len(pads) != 4 or min(pads) < 0:
            raise step.error(f"pads is {list(pads)}: expected four numbers of at least 0")
        before, after = pads[:2], pads[2:]
    elif auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        upper = auto_pad == "SAME_UPPER"
        both = [same_padding(axis, upper=upper) for axis in (rows, columns)]
        before, after = (both[0][0], both[1][0]), (both[0][1], both[1][1])
    elif auto_pad == "VALID":
        before, after = (0, 0), (0, 0)
    else:
        raise step.error(
            f"auto_pad is {auto_pad!r}: expected NOTSET, SAME_UPPER, SAME_LOWER or VALID"
        )
    rows = replace(rows, before=before[0], after=after[0])
    columns = replace(columns, before=before[1], after=after[1])
    if auto_pad != "NOTSET" and ceil_mode:
        # ONNX's text gives the count of windows, however it is rounded; onnxruntime rounds.
        for axis in (rows, columns):
            if axis.count != replace(axis, ceil_mode=False).count:
                raise step.error(f"ceil_mode with auto_pad {auto_pad} is ambiguous: give pads")
    return (rows, columns)


def _sides(axes: tuple[Axis, Axis]) -> Sides:
    rows, columns = axes
    return (columns.before, columns.after, rows.before, rows.after)


def conv(step: Step) -> None:
    """Conv, with the padding before it."""
    step.need_planes()
    weight = step.numbers(1, "weight")
    if weight.ndim != 4:
        raise step.error(
            f"its weight has the shape {weight.shape}: expected (out, in, height, width)"
        )
    kernel = (weight.shape[2], weight.shape[3])
    if step.wholes("kernel_shape", kernel) != kernel:
        raise step.error(
            f"kernel_shape is {list(step.wholes('kernel_shape'))}: its weight has the shape "
            f"{weight.shape}"
        )
    params = {"weight": weight}
    if step.has(2):
        params["bias"] = step.numbers(2, "bias")
    before = step.chain.take_padding()
    axes = _axes(step, kernel, before.sides)
    sides = _sides(axes)
    config = {}
    if before.mode == "zeros":
        sides = added(before.sides, sides)
    elif any(sides):
        raise step.error(
            f"{before.where} pads before it, and it pads with zeros: expected one of them"
        )
    else:
        sides, config["padding_mode"] = before.sides, before.mode
    groups = step.whole("group", 1)
    step.add(
        "Conv2d",
        params,
        in_channels=weight.shape[1] * groups,
        out_channels=weight.shape[0],
        kernel_size=plain_pair(kernel),
        stride=plain_pair((axes[0].stride, axes[1].stride)),
        padding=plain_padding(sides),
        dilation=plain_pair((axes[0].dilation, axes[1].dilation)),
        groups=groups,
        bias=step.has(2),
        **config,
    )


def max_pool(step: Step) -> None:
    """MaxPool; its indices are not taken over."""
    axes = _axes(step, step.pair("kernel_shape"), _NO_SIDES)
    padding, ceil_mode = _symmetric(step, axes, padding_counts=False)
    step.add(
        "MaxPool2d",
        kernel_size=plain_pair((axes[0].kernel, axes[1].kernel)),
        stride=plain_pair((axes[0].stride, axes[1].stride)),
        padding=plain_pair(padding),
        dilation=plain_pair((axes[0].dilation, axes[1].dilation)),
        ceil_mode=ceil_mode,
    )


def average_pool(step: Step) -> None:
    """AveragePool; zeros that Pad puts before it are padding that counts."""
    before = step.chain.take_padding()
    counts = bool(step.whole("count_include_pad", 0))
    axes = _axes(step, step.pair("kernel_shape"), before.sides)
    if any(axis.dilation > 1 and axis.kernel > 1 for axis in axes):
        raise step.error("dilations of an AveragePool are not supported: expected 1")
    if any(before.sides):
        if before.mode != "zeros" or any(_sides(axes)):
            raise step.error(
                f"{before.where} stands before it: an AveragePool carries zeros only, and only "
                "where it does not pad itself"
            )
        counts, axes = True, _joined(step, axes, before)
    padding, ceil_mode = _symmetric(step, axes, padding_counts=counts)
    step.add(
        "AvgPool2d",
        kernel_size=plain_pair((axes[0].kernel, axes[1].kernel)),
        stride=plain_pair((axes[0].stride, axes[1].stride)),
        padding=plain_pair(padding),
        ceil_mode=ceil_mode,
        count_include_pad=counts,
    )


def _joined(step: Step, axes: tuple[Axis, Axis], before: Padding) -> tuple[Axis, Axis]:
    """The windows with the padding before the node as their own."""
    left, right, top, bottom = before.sides
    rows = replace(axes[0], length=axes[0].length - top - bottom, before=top, after=bottom)
    columns = replace(axes[1], length=axes[1].length - left - right, before=left, after=right)
    # With ceil_mode a window may begin in padding that is not the pool's own.
    if (rows.count, columns.count) != (axes[0].count, axes[1].count):
        raise step.error(f"its last windows lie in the padding of {before.where} alone")
    return (rows, columns)


def _symmetric(
    step: Step, axes: tuple[Axis, Axis], *, padding_counts: bool
) -> tuple[tuple[int, int], bool]:
    found = as_symmetric(axes, padding_counts=padding_counts)
    if found is None:
        left, right, top, bottom = _sides(axes)
        raise step.error(
            f"it pads left {left}, right {right}, top {top}, bottom {bottom}: expected the same "
            "on both sides, or sides that read the same units"
        )
    return found


def global_average_pool(step: Step) -> None:
    """GlobalAveragePool."""
    step.add("AdaptiveAvgPool2d", output_size=1)


def global_max_pool(step: Step) -> None:
    """GlobalMaxPool."""
    step.add("AdaptiveMaxPool2d", output_size=1)


def _reduce(step: Step, kind: str) -> None:
    step.need_planes()
    if step.axes(1) != (2, 3):
        raise step.error(f"its axes are {step.axes(1)}: expected (2, 3), height and width")
    step.add(kind, output_size=1)
    if not step.whole("keepdims", 1):
        step.chain.add_flatten(step.where)


def reduce_mean(step: Step) -> None:
    """ReduceMean over height and width."""
    _reduce(step, "AdaptiveAvgPool2d")


def reduce_max(step: Step) -> None:
    """ReduceMax over height and width."""
    _reduce(step, "AdaptiveMaxPool2d")


def pad(step: Step) -> None:
    """Pad of height and width, held back for the layer that follows."""
    step.need_planes()
    if step.opset < 11:
        pads, value = step.wholes("pads"), step.number("value", 0.0)
    else:
        pads = tuple(int(item) for item in step.constant(1, "pads").reshape(-1))
        value = step.scalar(2, "value") if step.has(2) else 0.0
    mode = step.text("mode", "constant")
    if mode not in _MODES:
        raise step.error(f"mode is {mode!r}: expected one of {', '.join(_MODES)}")
    if mode == "constant" and value != 0:
        raise step.error(f"it pads with {value}: expected 0")
    axes = step.axes(3) or (0, 1, 2, 3)
    named = step.constant(3, "axes").reshape(-1) if step.has(3) else np.arange(4)
    if len(pads) != 2 * len(named):
        raise step.error(f"pads is {list(pads)}: expected two numbers for each axis")
    sides = {int(axis) % 4: (pads[i], pads[i + len(named)]) for i, axis in enumerate(named)}
    if len(sides) != len(axes) or any(any(sides.get(axis, ())) for axis in (0, 1)):
        raise step.error(f"pads is {list(pads)}: expected padding of height and width only")
    (top, bottom), (left, right) = sides.get(2, (0, 0)), sides.get(3, (0, 0))
    step.chain.pad(Padding((left, right, top, bottom), _MODES[mode], step.where))


def batch_normalization(step: Step) -> None:
    """BatchNormalization with running statistics."""
    channels, _, _ = step.need_planes()
    if step.whole("training_mode", 0) or not step.whole("spatial", 1):
        raise step.error("it computes its own statistics: export the model in eval mode")
    # ONNX names the part that is kept, PyTorch that of a new batch.
    momentum = round(1.0 - step.number("momentum", 0.9), 6)
    step.add(
        "BatchNorm2d",
        {"running_mean": step.numbers(3, "mean"), "running_var": step.numbers(4, "variance")}
        | (params := _affine(step)),
        num_features=channels,
        eps=step.number("epsilon", 1e-5),
        momentum=momentum,
        affine=bool(params),
    )


def instance_normalization(step: Step) -> None:
    """InstanceNormalization."""
    channels, _, _ = step.need_planes()
    step.add(
        "InstanceNorm2d",
        (params := _affine(step)),
        num_features=channels,
        eps=step.number("epsilon", 1e-5),
        affine=bool(params),
    )


def _affine(step: Step) -> dict[str, Any]:
    """Weight and bias of a norm; none where they are ones and zeros."""
    weight, bias = step.numbers(1, "scale"), step.numbers(2, "bias")
    # A weight that is named as one was trained, even if it is what it was at first.
    named = step.node.inputs[1].endswith("weight")
    if named or np.any(weight != 1) or np.any(bias != 0):
        return {"weight": weight, "bias": bias}
    return {}


def sub(step: Step) -> None:
    """Sub of a constant: the mean of a Normalize, whose deviation is 1 unless Div follows."""
    mean = _of_channels(step)
    step.add("Normalize", {"mean": mean, "std": np.ones(mean.shape)}, num_features=len(mean))


def div(step: Step) -> None:
    """Div by a constant: the deviation of the Normalize before it, or of one without a mean."""
    std = _of_channels(step)
    if not std.all():
        raise step.error("it divides by 0: expected other numbers")
    if not step.chain.divide(std, step.name):
        step.add("Normalize", {"mean": np.zeros(std.shape), "std": std}, num_features=len(std))


def _of_channels(step: Step) -> NDArray[np.float64]:
    """What is taken off the planes, or what they are divided by: a number a channel."""
    channels, _, _ = step.need_planes()
    return step.each(1, (1, channels, 1, 1))


READERS: dict[str, Reader] = {
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Conv": conv,
    "Div": div,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "InstanceNormalization": instance_normalization,
    "MaxPool": max_pool,
    "Pad": pad,
    "ReduceMax": reduce_max,
    "ReduceMean": reduce_mean,
    "Sub": sub,
}
