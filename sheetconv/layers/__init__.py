"""The layers. Every module of this folder is found here; nothing else lists them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from ..errors import TemplateError
from ..spelling import misspelt, suggestion
from .base import Example, Layer
from .validation import shown


def _find() -> dict[str, type[Layer]]:
    found: dict[str, type[Layer]] = {}
    for module_info in sorted(iter_modules(__path__), key=lambda info: info.name):
        module = import_module(f"{__name__}.{module_info.name}")
        for name, value in vars(module).items():
            if (
                inspect.isclass(value)
                and issubclass(value, Layer)
                and value.__module__ == module.__name__
                and not inspect.isabstract(value)
            ):
                found[name] = value
    return found


#: Every layer class by its name, which is PyTorch's.
LAYERS: dict[str, type[Layer]] = _find()


def layer_from_config(config: Mapping[str, Any]) -> Layer:
    """A layer from its configuration, as templates and workbooks hold it.

    Args:
        config: `type`, the name of the class, and its fields; the inverse of
            `Layer.config`.

    Raises:
        TemplateError: the type or a field is unknown, or a field is missing.
        ShapeError: a field has a value that the layer refuses.

    Example:
        >>> layer_from_config({"type": "Conv2d", "in_channels": 1, "out_channels": 2,
        ...                    "kernel_size": 3})
        Conv2d(in_channels=1, out_channels=2, kernel_size=3, stride=1, padding=0, dilation=1,
        groups=1, bias=True, padding_mode='zeros')
    """
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise TemplateError(
            f"a layer is {shown(config)}: expected its type and fields by name, as in "
            '{"type": "ReLU"}'
        )
    kind = config.get("type")
    if kind is None:
        hint = misspelt("type", config)
        raise TemplateError(f"'type' is missing: expected a layer, such as Conv2d{hint}")
    if not isinstance(kind, str) or kind not in LAYERS:
        # What people read, as Dense for Linear, is not far from a name.
        titles = {layer.title: name for name, layer in LAYERS.items()}
        raise TemplateError(
            f"layer type {shown(kind)} is unknown{suggestion(shown(kind), list(LAYERS), titles)}"
        )
    known = {field.name: field for field in fields(LAYERS[kind])}
    given = {key: value for key, value in config.items() if key != "type"}
    for key in given:
        if key not in known:
            those = suggestion(key, list(known)) if known else ": it has no fields, leave it out"
            raise TemplateError(f"{kind} has no field {shown(key)}{those}")
    for key, field in known.items():
        if field.default is MISSING and key not in given:
            raise TemplateError(f"{kind} needs the field {key!r}")
    return LAYERS[kind](
        **{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    )


__all__ = ["LAYERS", "Example", "Layer", "layer_from_config"]
