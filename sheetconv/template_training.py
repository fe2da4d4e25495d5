"""The part of a template that says how its network is trained: `[networks.training]`."""

from __future__ import annotations

from typing import Any

from .toml_table import Table

# Key -> the type of its value, and what the error says.
_KEYS: dict[str, tuple[type, str]] = {
    "data": (str, "the name of a data set, or a path"),
    "epochs": (int, "a whole number above 0"),
    "batch": (int, "a whole number above 0"),
    "lr": (float, "a number above 0"),
    "optimiser": (str, "the name of an optimiser"),
    "momentum": (float, "a number from 0 to below 1"),
    "nesterov": (bool, "true or false"),
    "weight_decay": (float, "a number of at least 0"),
    "schedule": (str, "the name of a schedule"),
    "step_size": (int, "a whole number above 0"),
    "gamma": (float, "a number from 0 to 1"),
    "loss": (str, "the name of a loss"),
    "label_smoothing": (float, "a number from 0 to below 1"),
    "init": (str, "the name of an initialisation"),
    "metrics": (list, "a list of names"),
    "frozen": (list, "a list of layers"),
    "lr_factors": (dict, "layers and factors"),
    "clip_norm": (float, "a number above 0"),
    "clip_value": (float, "a number above 0"),
    "patience": (int, "a whole number above 0"),
    "valid": (float, "a number between 0 and 1"),
    "activations": (int, "a whole number"),
    "dtype": (str, "float32 or float64"),
    "seed": (int, "a whole number"),
}


def read_training(table: Table) -> dict[str, Any]:
    """The options that a table gives, by the names of `training.options.TrainingOptions`.

    What values mean is judged where a network is trained: who builds a workbook needs none of
    it.

    Raises:
        TemplateError: a key is unknown, or a value is of another type.
    """
    given: dict[str, Any] = {}
    for key, (kind, expected) in _KEYS.items():
        value: Any = table.get(key, kind, expected)
        if isinstance(value, list):
            if not all(isinstance(item, str) for item in value):
                raise table.error(key, value, expected)
            value = tuple(value)
        if value is not None:
            given[key] = value
    table.finish()
    return given
