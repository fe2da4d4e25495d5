"""What a workbook says of the training in its cells, so that it can be checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .. import description
from ..cells import MAX_COLUMNS, MOST_CELLS, check_sheet_name
from ..errors import CheckError, LayoutError, SheetconvError
from ..formulas import Shape
from ..layers import Layer, layer_from_config
from ..network import Sequential
from ..training.losses import loss_named
from ..training.optimisers import optimiser_named
from ..training.schedules import schedule_named
from ..xlsx.archive import open_package, sheet_parts
from .places import Places, SheetNames
from .program import CellTraining

# Of a description that may come from anybody: so many images and steps at most.
_MOST = 10**6
# A cell takes so many bytes at least.
_LEAST_BYTES = 12


def to_config(places: Places) -> dict[str, Any]:
    """The training as JSON has it; its numbers stand in cells."""
    training = places.training

    def named(item: Any) -> dict[str, Any]:
        return {"name": item.name, **asdict(item)}

    return {
        "layers": [{"name": name, **layer.config()} for name, layer in training.network],
        "input_shape": list(training.input_shape),
        "loss": named(training.loss),
        "optimiser": named(training.optimiser),
        "schedule": named(training.schedule),
        "batch": training.batch,
        "steps": training.steps,
        "total": training.total,
        "iterate": training.iterate,
        "images": len(training.images),
        "targets": list(training.targets.shape[1:]),
        "sheets": asdict(places.names),
    }


def from_config(config: dict[str, Any]) -> Places:
    """The inverse of `to_config`; images and weights are not known yet.

    Args:
        config: from anybody.

    Raises:
        SheetconvError: it describes no training that a workbook could hold.
        ValueError, KeyError, TypeError, AttributeError: it is none of our own.
    """
    layers = [
        (item["name"], layer_from_config({k: v for k, v in item.items() if k != "name"}))
        for item in config["layers"]
    ]

    def parts(item: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return item["name"], {k: v for k, v in item.items() if k != "name"}

    shape, images = tuple(config["input_shape"]), config["images"]
    counts = [*shape, images, config["batch"], config["steps"], config["total"]]
    counts += config["targets"]
    if not all(type(n) is int and 0 < n <= _MOST for n in counts) or len(config["targets"]) > 1:
        raise ValueError
    _check_size(layers, shape, config["batch"] * config["steps"])
    if (width := prod(shape) + prod(config["targets"])) > MAX_COLUMNS:
        raise LayoutError(f"an image of {width:,} numbers has no room on a worksheet")
    if images * width > MOST_CELLS:
        raise LayoutError(f"{images:,} images have no room on a worksheet")
    name, fields = parts(config["loss"])
    loss = loss_named(name, **fields)
    name, fields = parts(config["optimiser"])
    optimiser = optimiser_named(name, **fields)
    name, fields = parts(config["schedule"])
    schedule = schedule_named(name, **fields)
    training = CellTraining(
        Sequential(*layers),
        shape,
        loss,
        optimiser,
        schedule,
        np.broadcast_to(0.0, (images, *shape)),
        np.zeros((images, *config["targets"]), np.int64),
        (),
        config["batch"],
        config["steps"],
        config["total"],
        config.get("iterate", False) is True,
    )
    names = SheetNames(**config["sheets"])
    for sheet in asdict(names).values():
        check_sheet_name(sheet)
    if len(set(asdict(names).values())) < len(asdict(names)):
        raise LayoutError("two worksheets have one name")
    return Places(training, names)


def _check_size(layers: Iterable[tuple[str, Layer]], shape: Shape, images: int) -> None:
    """Refuse what no workbook can hold, before arrays of such sizes are made."""
    units = images * prod(shape)
    for _, layer in layers:
        out = layer.output_shape(shape)
        units += images * prod(out) + sum(prod(tensor.shape) for tensor in layer.tensors(shape))
        if units > MOST_CELLS:
            raise LayoutError(f"its layers have more than {MOST_CELLS:,} units")
        shape = out


def check_file(places: Places, path: Path) -> None:
    """Refuse a training whose worksheets are not there, or cannot hold it.

    A few words of a description could ask for hours of work.

    Args:
        places: the training, as the workbook describes it.
        path: the workbook.

    Raises:
        CheckError: it is one.
    """
    parts, names = sheet_parts(path), places.names
    if gone := [name for name in (names.home, names.steps, names.data) if name not in parts]:
        raise CheckError(
            f"{path} has no worksheet {gone[0]!r}, on which its training stood: it has "
            f"{', '.join(name for name in parts if name != description.SHEET)}; give it its old "
            "name again"
        )
    training = places.training
    cells = training.steps * sum(
        training.batch * prod(training.network.layers[stage.name].output_shape(stage.input_shape))
        + sum(array.size for array in training.network.params[stage.name].values())
        for stage in training.stages
    )
    needed = {names.steps: cells, names.data: training.images.size}
    try:
        with open_package(path) as package:
            for name, count in needed.items():
                if count * _LEAST_BYTES > package.getinfo(parts[name]).file_size:
                    raise LayoutError(f"the worksheet {name!r} has not {count:,} cells")
        places.check()
    except SheetconvError as error:
        raise CheckError(
            f"{path}: the description on the hidden worksheet {description.SHEET!r} is damaged: "
            f"{error}; build the workbook again"
        ) from None


def trainings_of(rows: Sequence[str], where: str) -> list[Places]:
    """The trainings that a workbook describes.

    Args:
        rows: the texts of column A of its hidden worksheet.
        where: the file, for errors.

    Raises:
        CheckError: the description is damaged.
    """

    def read(content: dict[str, Any]) -> list[Places]:
        return [from_config(item) for item in content.get("trainings", [])]

    try:
        return description.parsed(rows, where, read)
    except MemoryError:
        raise CheckError(f"{where}: its description is too large: build it again") from None
