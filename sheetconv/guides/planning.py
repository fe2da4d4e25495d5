"""Which guides a network gets, on which worksheets; and the same from a workbook's description."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ..cells import MAX_COLUMNS, MAX_ROWS, MAX_SHEET_NAME, OWN_SHEET, text_length
from ..errors import LayoutError, ShapeError
from ..formulas import Placed, Shape
from ..layers.base import Array
from ..layers.validation import numbers
from ..layout import Layout, SheetText
from ..network import Sequential
from ..spelling import suggestion
from .answer import Answer
from .base import HEAD_ROWS, Guide
from .gallery import Gallery
from .head import Head
from .kernels import Kernels
from .matrix_product import MatrixProduct
from .pictures import MOST_PICTURES, Pictures, bank_names, bank_size
from .receptive_field import MOST_PLANES, ReceptiveFieldGuide
from .sizes import Sizes

#: The guides that can be left out, in the order of their worksheets.
KINDS = (
    Pictures.kind,
    Kernels.kind,
    ReceptiveFieldGuide.kind,
    Gallery.kind,
    MatrixProduct.kind,
    Sizes.kind,
)
_YOURS = "draw your own"
#: More would take minutes to open.
MOST_PIXELS = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Guides:
    """What a workbook shows besides the network itself.

    A cover, a head above the network with its answer in words, and worksheets: `pictures` and
    `kernels`, to choose from; `field`, what a chosen unit sees; `gallery`, the first kernels as
    small pictures; `matrix`, a convolution as a matrix product; `summary`, sizes as formulas.
    What does not fit a network is left out.

    Attributes:
        pictures: (count, channels, height, width) or (count, features), to choose from. Default:
            none, and no list.
        labels: what each of them shows, as classes are named; empty where that is not known.
            Default: not known.
        names: what each is called in the list. Default: its label.
        image_name: what the network's own image is called, which is added where it is not among
            them. Default: nothing.
        kernels: whether the first layer's kernels are chosen by name. Default False.
        matrix: the layer of the matrix product. Default: the first convolution with a matrix
            small enough.
        leave_out: kinds of worksheets to leave out. Default: none.

    Raises:
        ShapeError: the pictures are no array of numbers, or the labels do not fit them.
        LayoutError: a field is of another type.

    Example:
        >>> Guides(leave_out=("galery",))
        Traceback (most recent call last):
        sheetconv.errors.LayoutError: Guides: leave_out has 'galery': did you mean gallery? Known
        are pictures, kernels, field, gallery, matrix, summary
    """

    pictures: Array | None = None
    labels: Sequence[str] = ()
    names: Sequence[str] = ()
    image_name: str = ""
    kernels: bool = False
    matrix: str | None = None
    leave_out: Collection[str] = ()

    def __post_init__(self) -> None:
        if unknown := [kind for kind in self.leave_out if kind not in KINDS]:
            guess = suggestion(str(unknown[0]), list(KINDS))
            raise LayoutError(f"Guides: leave_out has {unknown[0]!r}{guess}")
        for field in ("labels", "names"):
            if not all(isinstance(text, str) for text in getattr(self, field)):
                raise LayoutError(f"Guides: {field} are no texts: expected one for each picture")
        if self.pictures is None:
            if self.labels or self.names:
                raise ShapeError("Guides: labels or names without pictures: give these, too")
            return
        try:
            pictures = numbers(self.pictures)
        except ValueError:
            raise ShapeError("Guides: pictures is no array of numbers") from None
        object.__setattr__(self, "pictures", pictures)
        if not np.isfinite(pictures).all():
            raise ShapeError("Guides: pictures holds NaN or infinity, which no cell can hold")
        if pictures.ndim not in (2, 4) or not len(pictures):
            raise ShapeError(
                f"Guides: pictures has shape {pictures.shape}: expected (count, channels, height, "
                "width) or (count, features)"
            )
        for field in ("labels", "names"):
            if (count := len(getattr(self, field))) not in (0, len(pictures)):
                raise ShapeError(
                    f"Guides: {count} {field} for {len(pictures)} pictures: give one for each"
                )
        if len(pictures) > MOST_PICTURES:
            raise ShapeError(
                f"Guides: {len(pictures):,} pictures: at most {MOST_PICTURES} fit into a list"
            )


def with_head(layout: Layout) -> Layout:
    """The same layout with room for a head above everything on its first worksheet."""
    home = layout.drawing.worksheet

    def down(place: Any) -> Any:
        return replace(place, row=place.row + HEAD_ROWS) if place.sheet == home else place

    def moved(placed: Placed) -> Placed:
        return replace(placed, grids=tuple(map(down, placed.grids)))

    def text(item: SheetText) -> SheetText:
        # Links of other worksheets lead to their first cell, as before.
        return replace(item, cell=down(item.cell))

    sheets = []
    for looks in layout.sheets:
        head = HEAD_ROWS if looks.name == home else 0
        sheets.append(replace(looks, texts=tuple(map(text, looks.texts)), head=head))
    return replace(
        layout,
        placed={name: moved(placed) for name, placed in layout.placed.items()},
        borders=tuple(replace(item, area=down(item.area)) for item in layout.borders),
        colour_scales=tuple(
            replace(scale, ranges=tuple(map(down, scale.ranges))) for scale in layout.colour_scales
        ),
        sheets=tuple(sheets),
    )


def plan(
    network: Sequential,
    layout: Layout,
    values: Mapping[str, Array],
    wanted: Guides,
    *,
    taken: Collection[str],
    title: str = "",
    cover: str = "",
    prefix: str = "",
) -> tuple[list[Guide], Layout]:
    """The guides of a network, and its layout without the labels that they replace.

    Args:
        network: the layers and their parameters.
        layout: with room for the head.
        values: of every tensor, by full name; `input` has the batch first.
        wanted: what is wanted.
        taken: names of worksheets that are not free.
        title: for people. Default: the worksheet's name.
        cover: name of the cover's worksheet.
        prefix: of the guides' worksheets, where a workbook has several networks.

    Raises:
        ShapeError: the pictures do not fit the network.
        LayoutError: `matrix` is no convolution that has one; kernels by name do not fit.
    """
    names, images = sheet_names(taken, prefix), values["input"]
    for text in (*wanted.labels, *layout.drawing.classes):
        if not text.isprintable():
            raise LayoutError(
                f"the label or class {ascii(text)[:60]} has a control character, which the "
                "network's answer cannot show: take it out"
            )
    guides: list[Guide] = []
    kinds = [kind for kind in KINDS if kind not in wanted.leave_out]
    bank = None
    if Pictures.kind in kinds and wanted.pictures is not None and len(images) == 1:
        bank = _bank(network, layout, names["pictures"], images[0], wanted)
        guides.append(bank)
    if wanted.kernels and Kernels.kind in kinds:
        if not Kernels.fits(network, layout):
            raise LayoutError(
                "kernels by name: expected a first layer that is a convolution of one channel "
                "with kernels of 3 x 3"
            )
        weight = network.params[layout.stages[0].name]["weight"]
        kernels = Kernels(network, layout, names["kernels"], weight)
        guides.append(kernels)
        layout = _without_labels(layout, kernels)
    if ReceptiveFieldGuide.kind in kinds and _plane_count(layout) <= MOST_PLANES:
        guides.append(ReceptiveFieldGuide(network, layout, names["field"], values))
    if Gallery.kind in kinds and Gallery.fits(network, layout):
        guides.append(Gallery(network, layout, names["gallery"]))
    if MatrixProduct.kind in kinds and MatrixProduct.fits(network, layout, wanted.matrix):
        guides.append(MatrixProduct(network, layout, names["matrix"], wanted.matrix))
    elif wanted.matrix is not None and MatrixProduct.kind not in kinds:
        raise LayoutError(
            f"matrix is {wanted.matrix!r}, and leave_out has 'matrix': leave out one of them"
        )
    elif wanted.matrix is not None:
        raise LayoutError(
            f"matrix is {wanted.matrix!r}: expected a convolution of this network without "
            "mirrored padding, of not too many channels; its layers are "
            f"{', '.join(network.layers)}"
        )
    if Sizes.kind in kinds:
        guides.append(Sizes(network, layout, names["summary"]))
    if Answer.fits(network, layout):
        guides.append(Answer(network, layout, tuple(layout.drawing.classes), bank))
    guides.append(Head(network, layout, guides, title, cover))
    return guides, layout


def _plane_count(layout: Layout) -> int:
    shown = ("input", *(stage.out for stage in layout.stages))
    return sum(len(layout.placed[name].grids) for name in shown)


def _bank(
    network: Sequential, layout: Layout, sheet: str, image: Array, wanted: Guides
) -> Pictures:
    assert wanted.pictures is not None
    pictures = wanted.pictures
    check_pictures(pictures, image.shape)
    labels = list(wanted.labels) or [""] * len(pictures)
    named = list(wanted.names) or labels
    same = [k for k, picture in enumerate(pictures) if np.array_equal(picture, image)]
    chosen = same[0] if same else 0
    if not same:
        pictures = np.concatenate([image[np.newaxis], pictures])
        labels, named = ["", *labels], [wanted.image_name, *named]
    names = [*bank_names(named), _YOURS]
    pictures = np.concatenate([pictures, np.zeros_like(pictures[:1])])
    return Pictures(network, layout, sheet, pictures, names, [*labels, ""], chosen)


def check_pictures(pictures: Array, shape: Shape) -> None:
    """Raise `ShapeError` unless pictures fit a network, and a worksheet.

    Args:
        pictures: (count, channels, height, width) or (count, features).
        shape: of one image that the network takes.
    """
    if pictures.shape[1:] != shape:
        raise ShapeError(
            f"'pictures' has shape {pictures.shape}: expected (count, {', '.join(map(str, shape))})"
        )
    if (cells := prod(pictures.shape)) > MOST_PIXELS:
        raise ShapeError(
            f"{len(pictures):,} pictures have {cells:,} pixels: a list of at most {MOST_PIXELS:,} "
            "opens in a program; give fewer, or smaller ones"
        )
    # The image itself, and an empty one, are added.
    rows, columns = bank_size(len(pictures) + 2, shape)
    if rows > MAX_ROWS or columns > MAX_COLUMNS:
        raise ShapeError(
            f"{len(pictures):,} pictures need {rows:,} rows and {columns:,} columns, and a "
            f"worksheet has {MAX_ROWS:,} and {MAX_COLUMNS:,}: give fewer"
        )


def _without_labels(layout: Layout, kernels: Kernels) -> Layout:
    """Without the texts in whose place a filter's list stands."""
    weight = layout.placed[f"{layout.stages[0].name}.weight"]
    places = {kernels.choice(number) for number in range(len(weight.grids))}
    sheets = [
        replace(looks, texts=tuple(text for text in looks.texts if text.cell not in places))
        for looks in layout.sheets
    ]
    return replace(layout, sheets=tuple(sheets))


def sheet_names(taken: Collection[str], prefix: str = "") -> dict[str, str]:
    """A free name for each guide's worksheet.

    Args:
        taken: names that are not free.
        prefix: what each begins with, cut where it is too long.

    Example:
        >>> sheet_names(["digits"])["field"], sheet_names(["field", "a"], "a")["field"]
        ('field', 'a field')
    """
    used = {OWN_SHEET, *(name.lower() for name in taken)}
    return {kind: free_name(f"{prefix} {kind}".strip(), used) for kind in KINDS}


def free_name(name: str, used: set[str]) -> str:
    """The name, or one like it, that no worksheet has; it is added to `used`."""
    room = MAX_SHEET_NAME - 3
    words = name.split(" ")
    kind = words[-1]
    while text_length(name) > room:
        cut = name[: -len(kind) - 1]
        name = f"{cut[:-1].rstrip()} {kind}"
    found, number = name, 2
    while found.lower() in used:
        found, number = f"{name} {number}", number + 1
    used.add(found.lower())
    return found


def guide_sheets(guides: Iterable[Guide]) -> list[str]:
    """The names of the worksheets that are the guides' own, the cover's first."""
    guides = list(guides)
    covers = [guide.cover for guide in guides if isinstance(guide, Head) and guide.cover]
    return [*covers, *(guide.sheet for guide in guides if guide.sheet)]


def to_config(guides: Iterable[Guide]) -> list[dict[str, Any]]:
    """What a description holds of some guides."""
    return [{"kind": guide.kind, "sheet": guide.sheet, **guide.config()} for guide in guides]


def from_config(
    network: Sequential, layout: Layout, entries: Sequence[Mapping[str, Any]]
) -> list[Guide]:
    """The guides that a description names.

    Raises:
        LayoutError: they do not fit the network.
        ValueError, KeyError, TypeError: the entries are damaged.
    """
    guides: list[Guide] = []
    bank = None
    seen = {name.lower() for name in layout.worksheets}
    for entry in entries:
        kind, sheet = entry["kind"], entry["sheet"]
        if not isinstance(sheet, str) or (sheet and sheet.lower() in seen):
            raise ValueError
        seen.add(sheet.lower())
        if (kind in KINDS) != bool(sheet):
            raise ValueError
        if kind == ReceptiveFieldGuide.kind and _plane_count(layout) <= MOST_PLANES:
            guides.append(ReceptiveFieldGuide(network, layout, sheet))
        elif kind == Sizes.kind:
            guides.append(Sizes(network, layout, sheet))
        elif kind == Gallery.kind and Gallery.fits(network, layout):
            guides.append(Gallery(network, layout, sheet))
        elif kind == MatrixProduct.kind and MatrixProduct.fits(network, layout, entry["layer"]):
            guides.append(MatrixProduct(network, layout, sheet, entry["layer"]))
        elif kind == Pictures.kind and layout.batch == 1:
            _check_bank(_count(entry["count"]), layout.input_shape)
            bank = Pictures.restored(
                network, layout, sheet, _count(entry["count"]), labelled=bool(entry["labelled"])
            )
            guides.append(bank)
        elif kind == Kernels.kind and Kernels.fits(network, layout):
            guides.append(Kernels(network, layout, sheet))
        elif kind == Answer.kind and Answer.fits(network, layout):
            classes = layout.placed[layout.stages[-1].out].size if entry["classes"] else 0
            guides.append(Answer(network, layout, ("",) * classes, bank))
        elif kind == Head.kind:
            if not isinstance(entry["cover"], str):
                raise ValueError
            guides.append(Head(network, layout, guides, cover=entry["cover"]))
        else:
            raise LayoutError(f"the guide {str(kind)[:20]!r} does not fit its network")
    if len({guide.kind for guide in guides}) < len(guides):
        raise ValueError
    return guides


def _check_bank(count: int, shape: Shape) -> None:
    rows, columns = bank_size(count, shape)
    if (count - 2) * prod(shape) > MOST_PIXELS or rows > MAX_ROWS or columns > MAX_COLUMNS:
        raise LayoutError(f"{count} pictures of shape {shape} fit no worksheet")


def _count(value: Any) -> int:
    # The image itself, and an empty one, are added.
    if type(value) is not int or not 0 < value <= MOST_PICTURES + 2:
        raise ValueError
    return value
