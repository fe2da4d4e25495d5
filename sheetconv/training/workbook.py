"""A trained network as a workbook: live formulas, pictures to choose from, how it was trained."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..drawing import Drawing
from ..guides import Guides
from ..network_sheet import NetworkSheet
from ..version import __version__
from ..workbook import BuiltWorkbook, build_workbook
from .evaluation import Evaluation
from .learner import Learner
from .pages import training_pages
from .reporting import chosen_pictures, picture_guides, training_report


def build_trained(
    learner: Learner,
    path: str | Path,
    *,
    drawing: Drawing | None = None,
    guides: Guides | bool = True,
    title: str = "",
    about: str = "",
    settings: Mapping[str, object] | None = None,
    judged: Evaluation | None = None,
    force: bool = False,
) -> BuiltWorkbook:
    """Write a learner's network as a workbook that also shows how it was trained.

    Args:
        learner: after its fits.
        path: the .xlsx file.
        drawing: how the network is drawn; the classes are those of the data. Default:
            `Drawing()`.
        guides: what explains it; False for nothing. The pictures to choose from are validation
            images, right and wrong ones. Default True.
        title: of the document. Default: none.
        about: one sentence for the cover. Default: none.
        settings: for the table of settings. Default: those of the learner.
        judged: what the network says of the validation images, if that is known already.
        force: replace an existing file. Default False.

    Raises:
        LayoutError, WorkbookError: as for `sheetconv.build`.

    Example:
        >>> import tempfile
        >>> from sheetconv import Flatten, Linear, Sequential, Softmax
        >>> from sheetconv.training import Data
        >>> images = np.random.default_rng(0).random((40, 1, 2, 2))
        >>> data = Data.from_arrays(images, (images.sum((1, 2, 3)) > 2).astype(int))
        >>> learner = Learner(Sequential(Flatten(), Linear(4, 2), Softmax()), data)
        >>> learner.fit(2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     build_trained(learner, f"{folder}/small.xlsx").worksheets[-4:]
        ('training', 'batches', 'confusion', 'worst')
    """
    valid = learner.data.valid
    judged = learner.evaluate() if judged is None else judged
    chosen = chosen_pictures(valid, judged)
    wanted = (Guides() if guides else None) if isinstance(guides, bool) else guides
    sheet = NetworkSheet(
        learner.network,
        valid.numbers(chosen[:1])[0],
        replace(drawing or Drawing(), classes=valid.classes),
        None if wanted is None else picture_guides(wanted, valid, chosen),
    )
    listed = {**(learner_settings(learner) if settings is None else settings), **versions()}
    report = training_report(learner, judged, listed)
    return build_workbook(
        [sheet], path, title=title, about=about, pages=training_pages(report), force=force
    )


def learner_settings(learner: Learner) -> dict[str, object]:
    """What a learner is made of, for the table of settings.

    Args:
        learner: the learner.
    """
    data = learner.data
    listed: dict[str, object] = {
        "data": data.name,
        "training images": len(data.train),
        "validation images": len(data.valid),
        "loss": learner.loss.title,
        "optimiser": learner.optimiser.title,
        **learner.optimiser.settings(),
        "batch": learner.batch,
        "dtype": learner.dtype,
        "seed": learner.seed,
    }
    for name in ("frozen", "lr_factors", "clip_norm", "clip_value"):
        if getattr(learner, name):
            listed[name] = getattr(learner, name)
    return listed


def versions() -> dict[str, object]:
    """What a run may depend on besides its settings."""
    return {
        "sheetconv": __version__,
        "NumPy": np.__version__,
        "Python": platform.python_version(),
    }
