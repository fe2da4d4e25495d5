"""Traces: what every unit reaches, against NumPy, the summary and LibreOffice.

A pixel that is no number makes every unit that depends on it no number: what NumPy's layers
read is seen from outside, and nothing of it is known to the trace, which reads formulas.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from numpy.typing import NDArray

from sheetconv import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Drawing,
    Dropout,
    Flatten,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Softmax,
    build,
)
from sheetconv.calculators import Engine, office
from sheetconv.cells import Cell, parse_cell
from sheetconv.description import Described
from sheetconv.layers import Layer
from sheetconv.layout import Stage
from sheetconv.network_sheet import NetworkSheet
from sheetconv.summary import summarize
from sheetconv.template import load_template
from sheetconv.tensor_cells import read_descriptions
from sheetconv.tracing import Tracer
from sheetconv.workbook import build_workbook

Mask = NDArray[np.bool_]
Unit = tuple[str, str, int]

#: Templates, and how many units their layers draw.
TEMPLATES = {"edges": 2704, "two-strides": 490, "digits": 724, "rgb": 392, "conv-example": 6930}

NETWORKS: dict[str, tuple[tuple[int, ...], list[Layer]]] = {
    "mirrored padding": (
        (1, 6, 7),
        [Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), ReLU(), MaxPool2d(2)],
    ),
    "wrapped and repeated padding": (
        (1, 5, 6),
        [
            Conv2d(1, 1, 3, padding=2, padding_mode="circular"),
            Conv2d(1, 1, (2, 3), stride=2, padding=1, padding_mode="replicate"),
        ],
    ),
    "two images with live normalisation": (
        (2, 1, 5, 5),
        [Conv2d(1, 2, 2), BatchNorm2d(2, track_running_stats=False), ReLU()],
    ),
    "two images normalised by themselves": (
        (2, 2, 4, 5),
        [InstanceNorm2d(2), LeakyReLU(0.1), AdaptiveAvgPool2d(1)],
    ),
    "groups and what windows read past the edge": (
        (2, 7, 7),
        [
            Conv2d(2, 4, 3, padding=(2, 1, 0, 1), groups=2),
            AvgPool2d(3, 2, padding=1, ceil_mode=True),
            Conv2d(4, 1, 1),
        ],
    ),
    "random dropout and a dense end": (
        (1, 6, 6),
        [Conv2d(1, 2, 3, stride=2), Dropout(0.5), Flatten(), Linear(8, 3), Softmax()],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traced")


def template_book(name: str, folder: Path) -> Path:
    path = folder / f"{name}.xlsx"
    if not path.exists():
        loaded = load_template(name)
        sheets = [NetworkSheet(item.network, item.image, item.drawing) for item in loaded.networks]
        build_workbook(sheets, path, title=loaded.title)
    return path


# --- What NumPy sees


def stages(described: Described) -> Iterator[tuple[Stage, Sequential]]:
    """Every drawn stage, and the layers up to it, without dropout: its mask would hide pixels."""
    names = [name for name, _ in described.network]
    for stage in described.layout.stages:
        upto = names[: names.index((stage.name, *stage.fused)[-1]) + 1]
        layers = [(name, described.network.layers[name]) for name in upto]
        yield (
            stage,
            Sequential(*[item for item in layers if not isinstance(item[1], Dropout)]),
        )


def seen(network: Sequential, shape: tuple[int, ...]) -> Mask:
    """Whether each unit depends on each pixel of a batch: (units, *shape)."""
    size = int(np.prod(shape))
    spoilt = np.full((size, *shape), 0.5)
    spoilt.reshape(size, size)[np.arange(size), np.arange(size)] = np.nan
    if any(isinstance(layer, BatchNorm2d) for _, layer in network):
        out = np.array([network(batch) for batch in spoilt])
    else:
        out = network(spoilt.reshape(-1, *shape[1:]))
    return np.isnan(out).reshape(size, -1).T.reshape(-1, *shape)


@cache
def traced(path: Path) -> dict[Unit, Mask]:
    """The traced pixels of every unit of every layer: worksheet, tensor, flat index."""
    tracer = Tracer(path)
    found: dict[Unit, Mask] = {}
    for described in read_descriptions(path):
        for stage in described.layout.stages:
            grids = described.layout.placed[stage.out].grids
            cells = [cell for grid in grids for cell in grid.cells()]
            for number, cell in enumerate(cells):
                pixels = tracer.pixels(cell)
                assert pixels is not None
                found[described.worksheet, stage.out, number] = pixels
    return found


@cache
def expected(path: Path) -> dict[Unit, Mask]:
    found: dict[Unit, Mask] = {}
    for described in read_descriptions(path):
        shape = (described.layout.batch, *described.layout.input_shape)
        for stage, network in stages(described):
            for number, pixels in enumerate(seen(network, shape)):
                found[described.worksheet, stage.out, number] = pixels
    return found


def differing(one: dict[Unit, Mask], other: dict[Unit, Mask]) -> set[Unit]:
    assert one.keys() == other.keys()
    return {unit for unit in one if not np.array_equal(one[unit], other[unit])}


# --- Every unit


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_unit_of_a_template_reaches_the_pixels_that_numpy_sees(
    folder: Path, name: str
) -> None:
    path = template_book(name, folder)
    found = traced(path)
    assert len(found) == TEMPLATES[name]
    assert differing(found, expected(path)) == set()


@pytest.mark.parametrize("layout", ["one-sheet", "per-layer"])
@pytest.mark.parametrize("formulas", ["sumproduct", "array"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_unit_of_every_kind_of_layer_reaches_the_pixels_that_numpy_sees(
    tmp_path: Path, name: str, formulas: str, layout: str
) -> None:
    shape, layers = NETWORKS[name]
    network = Sequential(*layers)
    drawing = Drawing(formulas=formulas, layout=layout)  # type: ignore[arg-type]
    image = np.random.default_rng(0).random(shape)
    path = build(network, tmp_path / "a.xlsx", image=image, drawing=drawing).path
    assert differing(traced(path), expected(path)) == set()


def test_aligned_pools_and_separate_rectifiers_reach_the_same_pixels(tmp_path: Path) -> None:
    network = Sequential(Conv2d(1, 2, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(2, 1, 2))
    drawing = Drawing(aligned=frozenset({"maxpool1"}), fuse=False, border="blank")
    path = build(network, tmp_path / "a.xlsx", image=np.eye(8), drawing=drawing).path
    assert differing(traced(path), expected(path)) == set()


def test_a_dilated_window_counts_with_what_it_leaves_out(tmp_path: Path) -> None:
    """Its formula names one range, and multiplies what is left out by blank cells."""
    network = Sequential(Conv2d(1, 1, 3, dilation=2))
    path = build(network, tmp_path / "a.xlsx", image=np.eye(8)).path
    found, exact = traced(path), expected(path)
    for unit, pixels in found.items():
        rows, columns = (
            np.flatnonzero(exact[unit].any(axis=axis)) for axis in ((0, 1, 3), (0, 1, 2))
        )
        box = np.zeros_like(pixels)
        box[..., rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        assert np.array_equal(pixels, box)
        assert (pixels.sum(), exact[unit].sum()) == (25, 9)


@pytest.mark.parametrize("name", ["edges", "two-strides", "rgb", "conv-example"])
def test_traced_fields_are_the_summarys_receptive_fields(folder: Path, name: str) -> None:
    """Wholly inside the image the field itself; at the edges what of it lies inside."""
    path = template_book(name, folder)
    found = traced(path)
    inside = 0
    for described in read_descriptions(path):
        shape = described.layout.input_shape
        fields = {layer.name: layer.field for layer in summarize(described.network, shape).layers}
        for stage in described.layout.stages:
            placed = described.layout.placed[stage.out]
            for number in range(placed.size):
                pixels = found[described.worksheet, stage.out, number].any(axis=(0, 1))
                unit = np.unravel_index(number, placed.shape)
                place = (int(unit[2]), int(unit[3])) if len(unit) == 4 else (0, 0)
                field = fields[(stage.name, *stage.fused)[-1]].of(*place)
                for axis, part, length in zip((1, 0), field, shape[1:], strict=True):
                    got = np.flatnonzero(pixels.any(axis=axis)).tolist()
                    assert set(got) <= set(part)
                    if part.start >= 0 and part.stop <= length:
                        inside += 1
                        assert (got[0], got[-1]) == (part.start, part.stop - 1)
    assert inside


# --- Negative controls: formulas as edited, and nothing but them


def edited(path: Path, cell: Cell, formula: str, folder: Path) -> Path:
    """A copy with another formula in one cell, saved by openpyxl, which writes no values."""
    book = openpyxl.load_workbook(path)
    book[cell.sheet][cell.a1] = formula
    copy = folder / "edited.xlsx"
    book.save(copy)
    return copy


@pytest.mark.parametrize(
    ("name", "cell", "formula", "changed"),
    [
        # A unit in the middle of a shared formula; nothing reads it.
        ("edges", "edges!AS10", "=SUMPRODUCT(G8:H9,$AF$5:$AG$6)", 1),
        # One unit of the first layer: it, and the units of the second that read it.
        ("two-strides", "two-strides!AS10", "=MAX(0,SUMPRODUCT(L14:N16,$AH$6:$AJ$8)+A1+Z9)", None),
        # Nearly everything reads the first unit of the first layer.
        ("digits", "digits!S4", "=MAX(0,J12)", None),
    ],
)
def test_an_edited_window_changes_the_traced_field_and_only_that(
    folder: Path, tmp_path: Path, name: str, cell: str, formula: str, changed: int | None
) -> None:
    path = template_book(name, folder)
    where = parse_cell(cell)
    copy = edited(path, where, formula, tmp_path)
    tracer, before = Tracer(path), traced(path)
    readers = set()
    position = tracer.cells.find(where)
    for described in read_descriptions(path):
        for stage in described.layout.stages:
            grids = described.layout.placed[stage.out].grids
            for number, own in enumerate(c for grid in grids for c in grid.cells()):
                if tracer.reach(own)[1].steps[position] >= 0:
                    readers.add((described.worksheet, stage.out, number))
    different = differing(before, traced(copy))
    assert different
    assert different <= readers
    assert changed is None or len(different) == changed


def test_the_edited_window_is_what_is_traced(folder: Path, tmp_path: Path) -> None:
    path = template_book("edges", folder)
    cell = Cell("edges", 9, 44)
    before = Tracer(path).pixels(cell)
    after = Tracer(edited(path, cell, "=SUM(C4:D4)*E6", tmp_path)).pixels(cell)
    assert before is not None
    assert after is not None
    assert before.sum() == 9
    described = read_descriptions(path)[0]
    pixels = [c.a1 for c in described.layout.placed["input"].grids[0].cells()]
    assert [pixels[i] for i in np.flatnonzero(after)] == ["C4", "D4", "E6"]


def test_a_wrong_window_would_be_noticed(folder: Path, tmp_path: Path) -> None:
    path = template_book("two-strides", folder)
    copy = edited(path, Cell("two-strides", 9, 44), "=MAX(0,SUM(L14:N17))", tmp_path)
    assert differing(traced(copy), expected(path)) != set()


# --- LibreOffice's own precedents


@pytest.mark.parametrize("name", ["conv-example", "two-strides", "digits", "rgb", "norms"])
def test_traces_are_libreoffices_precedents(
    folder: Path, name: str, libreoffice: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of cells all over the worksheets, cell by cell; blank ones are known to it alone."""
    path = template_book(name, folder)
    tracer = Tracer(path)
    server = Path(__file__).with_name("uno_precedents.py")
    monkeypatch.setattr(office, "_SERVER", server)
    formulas = np.flatnonzero(tracer.cells.is_formula)
    sample = np.random.default_rng(0).choice(formulas, 60, replace=False).tolist()
    holds_something = ~np.isnan(tracer.cells.numbers)
    compared = 0
    with libreoffice.open(path) as book:
        for position in [*sample, int(formulas[-1])]:
            cell = tracer.cells.cell(position)
            ranges = book._call("ask", "precedents", cell.sheet, cell.column, cell.row)  # type: ignore[attr-defined]
            sheets, rows, columns = tracer.cells.places(np.arange(tracer.cells.keys.size))
            theirs = np.zeros(rows.size, dtype=np.bool_)
            for top, bottom, left, right in ranges:
                theirs |= (
                    (sheets == tracer.cells.sheets.index(cell.sheet))
                    & ((rows >= top) & (rows <= bottom))
                    & ((columns >= left) & (columns <= right))
                )
            ours = tracer.reach(cell)[1].steps > 0
            # LibreOffice counts the cell itself among them.
            theirs[position] = False
            assert np.array_equal(ours & holds_something, theirs & holds_something), str(cell)
            compared += int(ours.sum())
    assert compared
