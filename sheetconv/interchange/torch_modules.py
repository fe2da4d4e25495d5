"""From PyTorch: the modules of an `nn.Sequential` become a `Sequential`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError
from ..layers.base import Array
from ..network import Sequential
from .chain import Chain, Padding, added, plain_padding, plain_pair, read_shape

if TYPE_CHECKING:
    from torch import Tensor, nn


def from_torch(module: nn.Module, input_shape: Sequence[int]) -> Sequential:
    """The network of a PyTorch module.

    Nested `nn.Sequential`s become one chain; padding modules are taken into the convolution
    that follows. Weights are copied, as float64. Layers keep the names of their modules
    where these are identifiers. Normalisation becomes what it is in `eval` mode, with running
    statistics where the module has them. Dropout is taken over from a module in `train` mode,
    as PyTorch makes them, and left out in `eval` mode, where it is the identity.

    Args:
        module: an `nn.Sequential` of supported modules, or one of them.
        input_shape: (channels, height, width) or (features,), without the batch.

    Raises:
        ModelError: the package torch is missing, a module is not supported or does not
            fit its input; it is named.

    Example:
        >>> from torch import nn
        >>> from sheetconv import from_torch
        >>> module = nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(1, 2, 3), nn.ReLU())
        >>> from_torch(module, (1, 8, 8)).layers["conv1"].padding
        1
    """
    try:
        from torch import nn
    except ImportError:
        raise ModelError(
            "PyTorch modules need the package torch: python -m pip install 'sheetconv[torch]'"
        ) from None
    if not isinstance(module, nn.Module):
        raise ModelError(f"from_torch got {type(module).__name__}: expected a torch.nn.Module")
    chain = Chain(read_shape(input_shape))
    for path, part in _flat(module, ""):
        kind = type(part).__name__
        reader = _READERS.get(kind)
        # A class derived from one of PyTorch's may compute anything.
        if reader is None or type(part) is not getattr(nn, kind, None):
            raise ModelError(
                f"module {path or 'itself'!r} is a {kind}, which is not supported; supported are "
                f"nn.Sequential of {', '.join(_READERS)}; other modules may pass through "
                "torch.onnx.export and from_onnx"
            )
        reader(chain, f"module {path!r} ({kind})", path.rpartition(".")[2], part)
    return chain.network()


def _flat(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """The modules that compute, with their paths."""
    from torch import nn

    if type(module) is not nn.Sequential:
        yield path, module
        return
    for name, child in module.named_children():
        yield from _flat(child, f"{path}.{name}" if path else name)


def _numbers(where: str, **tensors: Tensor | None) -> dict[str, Array]:
    """Tensors as float64, without those that are None."""
    found = {}
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        if not tensor.dtype.is_floating_point or tensor.is_meta:
            raise ModelError(
                f"{where}: {name} holds {tensor.dtype} on {tensor.device}: expected real numbers"
            )
        found[name] = np.array(tensor.detach().cpu().double().numpy())
    return found


def _conv(chain: Chain, where: str, name: str, module: nn.Conv2d) -> None:
    before = chain.take_padding()
    kernel, stride, dilation = (
        (int(pair[0]), int(pair[1]))
        for pair in (module.kernel_size, module.stride, module.dilation)
    )
    if module.padding == "valid":
        height, width = (0, 0), (0, 0)
    elif module.padding == "same":
        totals = [step * (length - 1) for step, length in zip(dilation, kernel, strict=True)]
        height, width = ((total // 2, total - total // 2) for total in totals)
    else:
        height, width = ((int(side), int(side)) for side in module.padding)
    sides, mode = (*width, *height), str(module.padding_mode)
    if not any(sides):
        mode, sides = before.mode, before.sides
    elif mode == before.mode == "zeros":
        sides = added(before.sides, sides)
    elif any(before.sides):
        raise ModelError(f"{before.where} pads before {where}, which pads: expected one of them")
    config = {} if mode == "zeros" else {"padding_mode": mode}
    chain.add(
        where,
        "Conv2d",
        _numbers(where, weight=module.weight, bias=module.bias),
        name,
        in_channels=module.in_channels,
        out_channels=module.out_channels,
        kernel_size=plain_pair(kernel),
        stride=plain_pair(stride),
        padding=plain_padding(sides),
        dilation=plain_pair(dilation),
        groups=module.groups,
        bias=module.bias is not None,
        **config,
    )


def _max_pool(chain: Chain, where: str, name: str, module: nn.MaxPool2d) -> None:
    if module.return_indices:
        raise ModelError(f"{where}: return_indices is not supported: expected False")
    fields = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    chain.add(where, "MaxPool2d", None, name, **_fields(module, *fields))


def _avg_pool(chain: Chain, where: str, name: str, module: nn.AvgPool2d) -> None:
    if module.divisor_override is not None:
        raise ModelError(f"{where}: divisor_override is not supported: expected None")
    fields = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    chain.add(where, "AvgPool2d", None, name, **_fields(module, *fields))


def _fields(module: nn.Module, *names: str) -> dict[str, Any]:
    """Attributes of a module that are fields of the layer of the same name."""
    return {
        name: tuple(value) if isinstance(value := getattr(module, name), list) else value
        for name in names
    }


def _plain(*names: str) -> _Reader:
    """A module without parameters, whose layer has the same name and some of its fields."""

    def read(chain: Chain, where: str, name: str, module: nn.Module) -> None:
        chain.add(where, type(module).__name__, None, name, **_fields(module, *names))

    return read


def _linear(chain: Chain, where: str, name: str, module: nn.Linear) -> None:
    chain.add(
        where,
        "Linear",
        _numbers(where, weight=module.weight, bias=module.bias),
        name,
        **_fields(module, "in_features", "out_features"),
        bias=module.bias is not None,
    )


def _norm(chain: Chain, where: str, name: str, module: Any) -> None:
    tensors = ("weight", "bias", "running_mean", "running_var")
    chain.add(
        where,
        type(module).__name__,
        _numbers(where, **{tensor: getattr(module, tensor) for tensor in tensors}),
        name,
        **_fields(module, "num_features", "eps", "momentum", "affine", "track_running_stats"),
    )


def _flatten(chain: Chain, where: str, name: str, module: nn.Flatten) -> None:
    rank = len(chain.shape) + 1
    if (module.start_dim, module.end_dim % rank) != (1, rank - 1):
        raise ModelError(
            f"{where} flattens dimensions {module.start_dim} to {module.end_dim}: expected 1 to -1"
        )
    chain.add_flatten(where, name)


def _identity(chain: Chain, where: str, name: str, module: nn.Module) -> None:
    """Nothing."""


def _dropout(chain: Chain, where: str, name: str, module: nn.Dropout) -> None:
    if module.training:
        chain.add(where, "Dropout", None, name, p=module.p)


def _pad(mode: str) -> _Reader:
    def read(chain: Chain, where: str, name: str, module: Any) -> None:
        left, right, top, bottom = (int(side) for side in module.padding)
        chain.pad(Padding((left, right, top, bottom), mode, where))

    return read


_Reader = Callable[[Chain, str, str, Any], None]

_READERS: dict[str, _Reader] = {
    "AdaptiveAvgPool2d": _plain("output_size"),
    "AdaptiveMaxPool2d": _plain("output_size"),
    "AvgPool2d": _avg_pool,
    "BatchNorm2d": _norm,
    "CircularPad2d": _pad("circular"),
    "Conv2d": _conv,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "GELU": _plain("approximate"),
    "Identity": _identity,
    "InstanceNorm2d": _norm,
    "LeakyReLU": _plain("negative_slope"),
    "Linear": _linear,
    "MaxPool2d": _max_pool,
    "ReLU": _plain(),
    "ReflectionPad2d": _pad("reflect"),
    "ReplicationPad2d": _pad("replicate"),
    "Sigmoid": _plain(),
    "Softmax": _plain("dim"),
    "Tanh": _plain(),
    "ZeroPad2d": _pad("zeros"),
}
