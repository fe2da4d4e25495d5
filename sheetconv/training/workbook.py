"""A trained network as a workbook: live formulas, pictures to choose from, how it was trained."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..cells import OWN_SHEET
from ..drawing import Drawing
from ..errors import LayoutError
from ..guides import Guides
from ..layers.dropout import Dropout
from ..layout import stages_of
from ..network import Sequential
from ..network_sheet import NetworkSheet
from ..version import __version__
from ..workbook import BuiltWorkbook, build_workbook
from .datasets import Dataset
from .evaluation import Evaluation
from .learner import Learner
from .pages import PAGE_NAMES, training_pages
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
    network = without_dropout(learner.network)
    sheet = NetworkSheet(
        network,
        valid.numbers(chosen[:1])[0],
        _drawn(drawing or Drawing(), network, valid),
        None if wanted is None else picture_guides(wanted, valid, chosen),
    )
    listed = {**(learner_settings(learner) if settings is None else settings), **versions()}
    report = training_report(learner, judged, listed)
    return build_workbook(
        [sheet], path, title=title, about=about, pages=training_pages(report), force=force
    )


def without_dropout(network: Sequential) -> Sequential:
    """The network as it answers: without dropout, which only training has.

    Args:
        network: the layers and their parameters.

    Example:
        >>> from sheetconv import Dropout, Linear
        >>> list(without_dropout(Sequential(Linear(2, 2), Dropout(0.5))).layers)
        ['dense1']
    """
    kept = [(name, layer) for name, layer in network if not isinstance(layer, Dropout)]
    if not kept or len(kept) == len(network.layers):
        return network
    answering = Sequential(*kept)
    own = answering.state_dict()
    answering.load_state_dict({k: v for k, v in network.state_dict().items() if k in own})
    return answering


def _drawn(drawing: Drawing, network: Sequential, valid: Dataset) -> Drawing:
    """The drawing with the classes of the data, where the outputs are such as have names.

    And without what it says of layers that are not drawn.
    """
    stages = stages_of(network, valid.image_shape, drawing.fuse)
    last = network.layers[stages[-1].name].output_shape(stages[-1].input_shape)
    classes = valid.classes if last == (len(valid.classes),) else ()
    drawn = {"input", *network.layers}

    def known(named: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in named.items() if name.split(".")[0] in drawn}

    return replace(
        drawing,
        classes=classes,
        number_formats=known(drawing.number_formats),
        styles=known(drawing.styles),
        aligned=frozenset(drawing.aligned & drawn),
    )


def check_names(worksheet: str, classes: Sequence[str]) -> None:
    """Refuse, before anything is trained, what could not be written afterwards.

    Args:
        worksheet: the network's.
        classes: names of the classes.

    Raises:
        LayoutError: the worksheet is called as one of those about the training, or a class has
            a control character.
    """
    if worksheet.lower() in (*PAGE_NAMES, OWN_SHEET):
        raise LayoutError(
            f"the network's worksheet is called {worksheet!r}, as one about its training or "
            "sheetconv's own: give it another name in the template"
        )
    for name in classes:
        if not name.isprintable():
            raise LayoutError(
                f"the class {ascii(name)[:60]} has a control character, which a cell cannot show: "
                "rename it in the data"
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
