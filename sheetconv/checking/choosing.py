"""Every picture, kernel, unit and patch chosen in turn, and all that follows held against NumPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..calculators import Engine, OpenBook
from ..guides import Shown
from ..layers.base import Array
from ..tensor_cells import calculated
from ..values import Value
from .books import NetworkBook, all_arrays, given_numbers, is_given, read_formulas, read_given
from .comparing import Got, compare
from .guides import calculated_guides, choices, choose, compare_guides, texts
from .results import CheckResult, LayerResult

#: Where a recalculation is slow, not all are made unless asked for: cells of all of them.
MOST_PROBED_CELLS = 2_000_000
_FEWEST_CHOICES = 4


def check_choices(
    result: CheckResult,
    engine: Engine,
    book: OpenBook,
    item: NetworkBook,
    held: Mapping[str, tuple[Value, ...]],
    excused: Mapping[str, NDArray[np.bool_]],
) -> None:
    """Choose each picture, unit and kernel in turn, and hold everything against NumPy."""
    described = item.described
    most = max(_FEWEST_CHOICES, MOST_PROBED_CELLS // max(1, result.formula_cells))
    turns, all_of_them = choices(described, held, most)
    if len(turns) < all_of_them:
        note = (
            f"{len(turns)} choices of {all_of_them} were made on {described.worksheet}, as all "
            "would take minutes"
        )
        result.notes += [note] if note not in result.notes else []
    with_text = texts(described, held)
    for number, chosen in enumerate([*turns, *with_text], 1):
        choose(book, item.guides, chosen)
        book.recalculate()
        source, now = f"{engine.name}, choice {number}", {**held, **chosen}
        if number > len(turns):
            result.layers += _guides_with_text(book, item, now, source)
        else:
            compare_all(result, engine, book, item, now, source, excused)
        choose(book, item.guides, {name: held[name] for name in chosen})


def compare_all(
    result: CheckResult,
    engine: Engine,
    book: OpenBook,
    item: NetworkBook,
    held: Mapping[str, tuple[Value, ...]],
    source: str,
    excused: Mapping[str, NDArray[np.bool_]],
) -> Got:
    """Hold a network and its guides against NumPy, as an engine now shows them.

    Args:
        result: takes what is found.
        engine, book: the engine, and the workbook open in it.
        item: the network.
        held: what a person's cells hold now, by name.
        source: for the results.
        excused: as for `compare`.
    """
    described = item.described
    given = read_given(result, engine, book, item)
    got = read_formulas(book, described, described.layout.stages)
    result.layers += compare(described, given, got, source, excused=excused)
    if described.guides:
        values = calculated_guides(book, item.guides)
        shown = Shown(all_arrays(described, given, got), held)
        result.layers += compare_guides(described, shown, values, source, fed=item.tensors)
    return got


def probed_guides(
    book: OpenBook, item: NetworkBook, numbers: Mapping[str, Array], source: str
) -> list[LayerResult]:
    """The guides of a network whose tensors were overwritten with random numbers."""
    described = item.described
    got = read_formulas(book, described, described.layout.stages)
    values = calculated_guides(book, item.guides)
    shown = Shown(all_arrays(described, numbers, got), item.guides.held, overwritten=True)
    return compare_guides(described, shown, values, source)


def _guides_with_text(
    book: OpenBook, item: NetworkBook, held: Mapping[str, tuple[Value, ...]], source: str
) -> list[LayerResult]:
    """The guides of a network that has a text where a number is expected."""
    described = item.described
    got = read_formulas(book, described, described.layout.stages)
    fed: Got = {
        name: calculated(book, tensor.placed)
        for name, tensor in item.tensors.items()
        if is_given(tensor) and tensor.is_formula.any()
    }
    tensors = all_arrays(described, given_numbers(item.tensors), {**fed, **got})
    values = calculated_guides(book, item.guides)
    return compare_guides(described, Shown(tensors, held), values, source, fed=item.tensors)
