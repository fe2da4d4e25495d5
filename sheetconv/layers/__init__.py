"""The layers. Every module of this folder is found here; nothing else lists them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from ..errors import TemplateError
from .base import Example, Layer


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
    kind = config.get("type")
    if kind is None:
        hint = misspelt("type", config)
        raise TemplateError(f"'type' is missing: expected a layer, such as Conv2d{hint}")
    if not isinstance(kind, str) or kind not in LAYERS:
        # What people read, as Dense for Linear, is not far from a name.
        titles = {layer.title: name for name, layer in LAYERS.items()}
        raise TemplateError(
            f"layer type {kind!r} is unknown{suggestion(str(kind), list(LAYERS), titles)}"
        )
    known = {field.name: field for field in fields(LAYERS[kind])}
    given = {key: value for key, value in config.items() if key != "type"}
    for key in given:
        if key not in known:
            raise TemplateError(f"{kind} has no field {key!r}{suggestion(key, list(known))}")
    for key, field in known.items():
        if field.default is MISSING and key not in given:
            raise TemplateError(f"{kind} needs the field {key!r}")
    return LAYERS[kind](
        **{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    )


def suggestion(word: str, known: list[str], others: Mapping[str, str] | None = None) -> str:
    """The end of an error about an unknown word: the likeliest one, and all there are.

    Args:
        word: what was given.
        known: what could be.
        others: other words -> those of `known` that they mean.

    Example:
        >>> suggestion("conv2D", ["Conv2d", "ReLU"])
        ': did you mean Conv2d? Known are Conv2d, ReLU'
        >>> suggestion("dense", ["Conv2d", "Linear"], {"Dense": "Linear"})
        ': did you mean Linear? Known are Conv2d, Linear'
    """
    by_lower = {name.lower(): meant for name, meant in (others or {}).items()}
    by_lower |= {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), by_lower, n=1)
    guess = f"did you mean {by_lower[close[0]]}? Known" if close else "known"
    return f": {guess} are {', '.join(dict.fromkeys(known))}"


def misspelt(word: str, given: Iterable[str]) -> str:
    """The end of an error about a missing word: which of those given may be meant for it.

    Example:
        >>> misspelt("format", ["fromat", "title"]), misspelt("format", ["title"])
        ("; 'fromat' is there: misspelt?", '')
    """
    close = get_close_matches(word.lower(), given, n=1, cutoff=0.7)
    return f"; {close[0]!r} is there: misspelt?" if close else ""


__all__ = ["LAYERS", "Example", "Layer", "layer_from_config", "misspelt", "suggestion"]
