"""An experiment as a workbook: the page `comparison`, and its networks as live worksheets."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from ..arranging import MOST_ON_ONE_SHEET, lay_out
from ..batches import batch_of
from ..drawing import Drawing
from ..errors import LayoutError
from ..guides import KINDS
from ..guides.planning import MOST_PIXELS
from ..layout import count_cells
from ..network_sheet import NetworkSheet
from ..template import Template
from ..workbook import BuiltWorkbook, build_workbook
from .experiment_pages import comparison_pages
from .experiments import ExperimentResult, VariantRun
from .reporting import picture_guides

#: Pictures to choose from.
MOST_PICTURES = 12


def require_drawable(template: Template) -> None:
    """Refuse a network that no workbook can hold, before it is trained twice.

    Args:
        template: of one network.

    Raises:
        LayoutError: it is one.
    """
    for item in template.networks:
        _, shape = batch_of(item.network, item.image.shape)
        lay_out(item.network, shape, item.drawing)


def write_experiment(result: ExperimentResult, path: Path, *, force: bool = False) -> BuiltWorkbook:
    """Write the workbook of an experiment.

    It has the networks of the first seed, as far as they are not too large, with pictures that
    tell them apart to choose from.

    Args:
        result: of the experiment.
        path: the .xlsx file.
        force: replace an existing file. Default False.

    Raises:
        LayoutError: no network can be drawn.
        WorkbookError: the file cannot be written.
    """
    trained = [run for run in result.first if not run.trouble]
    if not trained:
        raise LayoutError(
            f"with seed {result.seeds[0]} every variant diverged, and a workbook shows the "
            "networks of the first seed: give another --seed, or a smaller learning rate"
        )
    chosen = telling_pictures(result)
    sheets: list[NetworkSheet] = []
    left_out, cells = [], 0
    for run in trained:
        sheet = _network_sheet(result, run, chosen)
        own = sum(count_cells(sheet.network, sheet.image.shape, sheet.drawing, 1))
        if sheets and cells + own > MOST_ON_ONE_SHEET:
            left_out.append(
                f"The worksheet of {run.variant.name} is left out: it would have {own:,} cells."
            )
            continue
        sheets.append(sheet)
        cells += own
    return build_workbook(
        sheets,
        path,
        title=result.experiment.title,
        about=result.sentence,
        pages=comparison_pages(result, left_out),
        force=force,
        seed=result.seeds[0],
    )


def telling_pictures(result: ExperimentResult) -> np.ndarray:
    """Which validation images a workbook offers.

    In turn one that only the first variant gets right, one that only the second does, and one
    that both do, as long as there are any.

    Args:
        result: of an experiment.

    Returns:
        Their numbers, at least one.
    """
    most = max(1, min(MOST_PICTURES, MOST_PIXELS // prod(result.valid.image_shape)))
    judged = [run.judged.right for run in result.first if run.judged is not None]
    one, other = judged[0], judged[-1]
    kinds = [np.flatnonzero(kind) for kind in (one & ~other, other & ~one, one & other)]
    turns = [int(kind[turn]) for turn in range(most) for kind in kinds if turn < len(kind)]
    return np.array(turns[:most] or [0])


def _network_sheet(result: ExperimentResult, run: VariantRun, chosen: np.ndarray) -> NetworkSheet:
    network, valid, item = run.variant.network, result.valid, result.item
    drawing = Drawing() if item.drawing.is_pinned else item.drawing

    def known(tensor: str) -> bool:
        return tensor.rpartition(".")[0] in ("", *network.layers)

    drawing = replace(
        drawing,
        worksheet=run.variant.name,
        classes=valid.classes,
        aligned=frozenset(name for name in drawing.aligned if name in network.layers),
        number_formats={k: v for k, v in drawing.number_formats.items() if known(k)},
        styles={k: v for k, v in drawing.styles.items() if known(k)},
    )
    guides = replace(
        picture_guides(item.guides, valid, chosen),
        kernels=False,
        matrix=None,
        leave_out=tuple(kind for kind in KINDS if kind != "pictures"),
    )
    return NetworkSheet(network, valid.numbers(chosen[:1])[0], drawing, guides)
