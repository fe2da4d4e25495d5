"""Checkpoints: all that a run needs to go on bit for bit, in one .npz file.

::

    format      1
    about       JSON: the network, the data, every setting, where the run stands
    arrays      engine.*, optimiser.*, best.*, history.*, kernels_before

A file is written beside its place and moved there, so that whatever kills the program leaves
the last whole one. Nothing in it is pickled.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data_files import reading, require_file
from ..errors import CheckpointError, TrainingError
from ..files import written_whole
from .datasets import Data

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        about: what the run is, as JSON has it.
        arrays: its numbers.
    """

    about: dict[str, Any]
    arrays: dict[str, NDArray[Any]]

    def part(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays whose names begin with `name` and a dot, without that."""
        start = f"{name}."
        return {
            key.removeprefix(start): value
            for key, value in self.arrays.items()
            if key.startswith(start)
        }


def write_checkpoint(
    path: Path, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a checkpoint in the place of an older one.

    Args:
        path: the .npz file.
        about: what JSON can hold.
        arrays: by name.

    Raises:
        WorkbookError: the file cannot be written; an older one stays.
    """
    with written_whole(path, force=True) as temporary, temporary.open("wb") as file:
        text = np.array(json.dumps(about, allow_nan=True))
        whole: dict[str, Any] = {"format": np.array(FORMAT), "about": text, **arrays}
        np.savez(file, **whole)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: the .npz file.

    Raises:
        CheckpointError: there is none, it is damaged, or another version of sheetconv wrote it.
    """
    require_file(path, CheckpointError)
    with reading(path, "a checkpoint of sheetconv train", CheckpointError):
        if not zipfile.is_zipfile(path):
            raise CheckpointError(
                f"{path} is damaged, or no checkpoint of sheetconv train: start anew without it"
            )
        # Of a path that is damaged NumPy leaves the file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if "format" not in file.files or "about" not in file.files:
                raise CheckpointError(
                    f"{path} holds arrays, but is no checkpoint: to start from weights, give them "
                    "with --weights"
                )
            version = file["format"].item()
            if version != FORMAT:
                raise CheckpointError(
                    f"{path} has format {str(version)[:20]}, and this version of sheetconv reads "
                    f"{FORMAT}: use the version that wrote it, or start anew"
                )
            about = json.loads(str(file["about"]))
            arrays = {name: file[name] for name in file.files if name not in ("format", "about")}
    if not isinstance(about, dict):
        raise CheckpointError(f"{path} is damaged: it does not say what it is of")
    return Checkpoint(about, arrays)


def require_same(path: Path, about: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse the checkpoint of another run.

    Args:
        path: the file, for the error.
        about: what it says of itself.
        own: what this run is, under the same keys.

    Raises:
        CheckpointError: something differs; it is named.

    Example:
        >>> require_same(Path("a.npz"), {"batch": 64}, {"batch": 32})
        Traceback (most recent call last):
        sheetconv.errors.CheckpointError: a.npz is of another run: its batch is 64, this run's is
        32: give the same settings, or start anew without it
    """
    for key, value in own.items():
        theirs, ours = about.get(key), json.loads(json.dumps(value))
        if theirs != ours:
            if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
                # Of many layers only one may be another.
                pairs = zip(theirs, ours, strict=True)
                theirs, ours = next(pair for pair in pairs if pair[0] != pair[1])
            raise CheckpointError(
                f"{path} is of another run: its {key} is {_short(theirs)}, this run's is "
                f"{_short(ours)}: give the same settings, or start anew without it"
            )


def fingerprint(data: Data) -> dict[str, Any]:
    """What tells one data set from another, as JSON has it.

    Args:
        data: the data.
    """
    checks = [
        zlib.crc32(np.ascontiguousarray(part).tobytes())
        for one in (data.train, data.valid)
        for part in (one.labels, one.images[:64], one.images[-64:])
    ]
    return {
        "name": data.name,
        "images": [len(data.train), len(data.valid)],
        "shape": list(data.train.image_shape),
        "classes": list(data.train.classes),
        "check": checks,
    }


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def require_alike(
    whose: str, arrays: Mapping[str, NDArray[Any] | None], own: Mapping[str, NDArray[Any]]
) -> None:
    """Refuse arrays that are not named, shaped and typed as others.

    Args:
        whose: for the error.
        arrays: what a file holds, by name.
        own: what is expected.

    Raises:
        TrainingError: they are not.
    """
    for name, array in own.items():
        other = arrays.get(name)
        if other is None or other.shape != array.shape or other.dtype != array.dtype:
            raise TrainingError(f"the {name} of {whose} are not as this network has them")
