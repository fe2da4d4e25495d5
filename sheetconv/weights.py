"""The user's own trained weights: files of them, and which array belongs to which layer."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from itertools import zip_longest
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import data_files
from .data_files import load_arrays, reading, require_file
from .errors import ShapeError, WeightsError
from .formulas import Shape
from .layers.base import Array
from .layers.validation import shown
from .network import Sequential

# More than this of a list tells nobody more.
_LISTED = 10
# How many ways of bringing layers in order are looked at.
_MAX_ORDERS = 100_000

#: The name of an array in the file, and in the network; either may be missing.
# What a template's data hold besides weights.
_PICTURES = ("input", "pictures", "labels")
_Pair = tuple[str | None, str | None]


def load_weights(path: str | Path, network: Sequential | None = None) -> dict[str, Array]:
    """Trained weights from a file.

    - `.npz`: arrays by name, from `numpy.savez`; an array `input`, a template's image, is
      left out when weights are matched.
    - `.safetensors`, which needs `pip install safetensors`.
    - `.pt`, `.pth`: a `state_dict` that PyTorch saved, or a dictionary that holds one, as
      `state_dict` or `model_state_dict`, or just one under any name; needs PyTorch. Other
      objects in such a file are never loaded.

    Args:
        path: the file.
        network: the network that the weights are for. Default: none, and the names are the
            file's.

    Returns:
        Float64 arrays by name. With a `network`, under its names and in its shapes, as
        `Sequential.load_state_dict` takes them; see `match_state_dict` for how names are
        matched.

    Raises:
        WeightsError: the file is missing, damaged, too large, or holds anything but numbers;
            or the library that reads it is missing.
        ShapeError: the weights do not fit the network; all that does not fit is listed.

    Example:
        >>> import tempfile
        >>> from sheetconv import Conv2d, Sequential
        >>> net = Sequential(Conv2d(1, 1, 1, bias=False))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/w.npz", **{"0.weight": [[[[2.0]]]]})
        ...     load_weights(f"{folder}/w.npz", net)
        {'conv1.weight': array([[[[2.]]]])}
    """
    file = Path(path)
    loaders: dict[str, Callable[[Path], dict[str, Array]]] = {
        ".npz": lambda file: load_arrays(file, WeightsError),
        ".safetensors": _load_safetensors,
        ".pt": _load_pytorch,
        ".pth": _load_pytorch,
    }
    suffix = file.suffix.lower()
    if suffix not in loaders and not file.is_dir():
        raise WeightsError(f"{file}: files of weights end in {', '.join(loaders)}")
    require_file(file, WeightsError)
    arrays = loaders[suffix](file)
    if network is None:
        return arrays
    try:
        # Tensors stand in a .safetensors file in the order of their names.
        return match_state_dict(network, arrays, ordered=suffix != ".safetensors")
    except ShapeError as error:
        raise ShapeError(f"{file}: {error}") from None


def match_state_dict(
    network: Sequential, arrays: Mapping[str, Any], *, ordered: bool = True
) -> dict[str, Array]:
    """Weights under the names of a network; nothing is set.

    If all names are the network's own, or all of the network's are there, arrays go by name.
    Otherwise they go by order: the first module in `arrays` that has weights is the first
    layer that has, and so on, `0.weight` and `features.0.weight` alike; within a module and
    its layer arrays go by name, `weight`, `bias`. Names without a dot, such as `arr_0`, go
    by order one by one. Shapes have to fit throughout. PyTorch's `num_batches_tracked` and
    an array `input` are left out.

    Args:
        network: the network that the weights are for.
        arrays: name -> array.
        ordered: whether the arrays stand in the order of the layers. Otherwise modules
            whose names differ in numbers only are taken in the order of these, and there
            must be one way only in which such rows of modules fit the network.

    Returns:
        Name in the network -> float64 array.

    Raises:
        ShapeError: an array is missing, left over, of another shape, not of numbers or not
            finite; all are listed by name and shape.

    Example:
        >>> from sheetconv import Linear, Sequential
        >>> net = Sequential(Linear(2, 1))
        >>> match_state_dict(net, {"fc.weight": [[1, 2]], "fc.bias": [3]})
        {'dense1.weight': array([[1., 2.]]), 'dense1.bias': array([3.])}
    """
    own = {name: array.shape for name, array in network.state_dict().items()}
    given = {
        name: _as_numbers(name, value)
        for name, value in arrays.items()
        if name.rpartition(".")[2] != "num_batches_tracked"
        and (name not in _PICTURES or name in own)
    }
    shapes = {name: array.shape for name, array in given.items()}
    pairs = _pairs(shapes, own, ordered)
    problems = [
        problem for theirs, ours in pairs if (problem := _problem(theirs, ours, given, own))
    ]
    if problems:
        more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise ShapeError(
            f"the weights do not fit the network: {'; '.join(problems[:_LISTED])}{more}"
        )
    return {ours: given[theirs] for theirs, ours in pairs if theirs is not None and ours}


def _as_numbers(name: str, value: Any) -> Array:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ShapeError(f"{name} is not an array of numbers") from None


def _problem(
    theirs: str | None, ours: str | None, given: Mapping[str, Array], own: Mapping[str, Shape]
) -> str | None:
    """What is wrong with a pair, if anything."""
    if theirs is None:
        return f"{ours} {own[ours or '']} is missing"
    got = given[theirs].shape
    if ours is None:
        return f"{theirs} {got} is unexpected"
    if got != own[ours]:
        expected = "expected" if theirs == ours else f"{ours} expects"
        return f"{theirs} {got} -> {expected} {own[ours]}"
    if theirs != ours and theirs in own:
        return f"{theirs} stands where the network has {ours}"
    if not np.isfinite(given[theirs]).all():
        return f"{theirs} holds NaN or infinity"
    return None


# --- Which array is which


def _pairs(given: Mapping[str, Shape], own: Mapping[str, Shape], ordered: bool) -> list[_Pair]:
    if given.keys() <= own.keys() or own.keys() <= given.keys():
        return [(name if name in given else None, name) for name in own] + [
            (name, None) for name in given if name not in own
        ]
    if ordered and not any("." in name for name in given):
        return list(zip_longest(given, own))
    theirs, ours = _modules(given), _modules(own)
    names = list(theirs) if ordered else _in_order(theirs, list(ours.values()))
    pairs: list[_Pair] = []
    for module, layer in zip_longest(names, ours):
        left, right = theirs.get(module, {}), ours.get(layer, {})
        for leaf in {**right, **left}:
            pairs.append(
                (
                    f"{module}.{leaf}".lstrip(".") if leaf in left else None,
                    f"{layer}.{leaf}" if leaf in right else None,
                )
            )
    return pairs


def _modules(shapes: Mapping[str, Shape]) -> dict[str, dict[str, Shape]]:
    """Module name -> parameter name -> shape."""
    modules: dict[str, dict[str, Shape]] = {}
    for name, shape in shapes.items():
        module, _, leaf = name.rpartition(".")
        modules.setdefault(module, {})[leaf] = shape
    return modules


def _in_order(theirs: Mapping[str, dict[str, Shape]], ours: list[dict[str, Shape]]) -> list[str]:
    """The modules in the one order in which they fit the layers; else by number.

    Raises:
        ShapeError: there are several.
    """
    rows: dict[str, list[str]] = {}
    for module in theirs:
        rows.setdefault(re.sub("[0-9]+", "#", module), []).append(module)
    for row in rows.values():
        row.sort(key=lambda name: [int(digits) for digits in re.findall("[0-9]{1,18}", name)])
    by_number = [module for row in rows.values() for module in row]
    if len(rows) == 1 or len(theirs) != len(ours):
        return by_number
    several = ShapeError(
        "the file does not keep the order of the layers, and names and shapes fit in more than "
        f"one: name the arrays as in the network ({', '.join(theirs)} are the file's), or save "
        "them as .pt or .npz"
    )
    if prod(len(row) + 1 for row in rows.values()) > _MAX_ORDERS:
        raise several
    # How many of each row are taken -> the first two orders in which the layers so far fit.
    reached: dict[tuple[int, ...], list[list[str]]] = {(0,) * len(rows): [[]]}
    for layer in ours:
        after: dict[tuple[int, ...], list[list[str]]] = {}
        for taken, orders in reached.items():
            for number, row in enumerate(rows.values()):
                if taken[number] < len(row) and theirs[row[taken[number]]] == layer:
                    now = tuple(n + (at == number) for at, n in enumerate(taken))
                    longer = [[*order, row[taken[number]]] for order in orders]
                    after[now] = (after.get(now, []) + longer)[:2]
        reached = after
    found = [order for orders in reached.values() for order in orders]
    if len(found) > 1:
        raise several
    return found[0] if found else by_number


# --- Files


def _library(name: str, path: Path) -> ModuleType:
    """An optional library.

    Raises:
        WeightsError: it is missing.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise WeightsError(
            f"to read {path}, {name} is needed: python -m pip install {name}; or save the "
            "weights as .npz"
        ) from None


#: Names of types in .safetensors files -> NumPy's; bfloat16 is the upper half of a float32.
_SAFETENSORS_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?", "I64": "<i8",
    "U64": "<u8", "I32": "<i4", "U32": "<u4", "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1",
}  # fmt: skip


def _load_safetensors(path: Path) -> dict[str, Array]:
    library = _library("safetensors", path)
    arrays = {}
    with reading(path, "a .safetensors file", WeightsError):
        tensors = library.deserialize(path.read_bytes())
        _check_count(path, sum(prod(tensor["shape"]) for _, tensor in tensors))
        # Their order is the library's whim.
        for name, tensor in sorted(tensors, key=lambda item: item[0]):
            if tensor["dtype"] not in _SAFETENSORS_TYPES:
                raise WeightsError(
                    f"{path}: {name} holds {tensor['dtype']}: expected "
                    f"{', '.join(_SAFETENSORS_TYPES)}"
                )
            array = np.frombuffer(tensor["data"], _SAFETENSORS_TYPES[tensor["dtype"]])
            if tensor["dtype"] == "BF16":
                array = (array.astype(np.uint32) << 16).view(np.float32)
            arrays[name] = array.astype(np.float64).reshape(tensor["shape"])
    return arrays


def _load_pytorch(path: Path) -> dict[str, Array]:
    torch = _library("torch", path)
    advice = "save it with torch.save(model.state_dict(), path)"
    arrays = {}
    with reading(path, "a state_dict saved by PyTorch", WeightsError):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _check_count(path, sum(item.file_size for item in archive.infolist()) // 8)
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        # PyTorch's own messages advise to load the file whatever it holds.
        except Exception as error:
            if isinstance(error, OSError | MemoryError):
                raise
            raise WeightsError(
                f"{path} is damaged, or holds objects that are no tensors, which are never "
                f"loaded: {advice}"
            ) from None
        for wrapper in ("state_dict", "model_state_dict"):
            if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
                content = content[wrapper]
        content = _only_state(path, content, torch.Tensor)
        if not isinstance(content, Mapping):
            raise WeightsError(f"{path} holds no dictionary of tensors: {advice}")
        for name, tensor in content.items():
            if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
                raise WeightsError(f"{path}: the entry {str(name)[:60]!r} is no tensor: {advice}")
        _check_count(path, sum(tensor.numel() for tensor in content.values()))
        for name, tensor in content.items():
            if tensor.is_complex() or tensor.is_quantized:
                raise WeightsError(f"{path}: {name} holds {tensor.dtype}: expected plain numbers")
            arrays[name] = np.array(tensor.detach().to(torch.float64).numpy())
    return arrays


def _only_state(path: Path, content: Any, tensor: type) -> Any:
    """The one dictionary of tensors in a dictionary of other things, or the content itself."""
    if not isinstance(content, Mapping):
        return content
    inner = {
        name: value
        for name, value in content.items()
        if isinstance(value, Mapping)
        and value
        and all(isinstance(item, tensor) for item in value.values())
    }
    if len(inner) > 1:
        raise WeightsError(
            f"{path} holds several dictionaries of tensors: {', '.join(map(shown, inner))}: save "
            "the one that is meant with torch.save"
        )
    return next(iter(inner.values()), content)


def _check_count(path: Path, count: int) -> None:
    """Refuse more numbers than may be held as float64."""
    limit = data_files.MAX_BYTES // 8
    if count > limit:
        raise WeightsError(f"{path} holds {count:,} numbers: the limit is {limit:,}")
