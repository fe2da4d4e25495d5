"""From layouts to an .xlsx file: formulas with their cached values, looks, and description."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import description
from .cells import MAX_SHEET_NAME, check_text
from .drawing import Drawing
from .errors import LayoutError, ShapeError, WorkbookError
from .files import check_target
from .guide_sheets import write_page
from .guides import Guides, free_name
from .guides.contents import GuideContent
from .guides.cover import Covered, cover_cells, cover_page
from .layers.validation import shown, whole
from .layout import Layout, cell_count
from .names import name_entries
from .network import Sequential
from .network_sheet import NetworkSheet
from .report_layout import place_pages
from .report_pages import ReportPage
from .report_sheets import write_report
from .version import __version__
from .workbook_file import add_description, new_workbook
from .worksheet import Looks, PreparedSheet, write_guides, write_sheets

# A progress bar is not worth loading for what is written within a second.
_CELLS_WORTH_A_BAR = 100_000


@dataclass(frozen=True, slots=True, repr=False)
class BuiltWorkbook:
    """What was written.

    Attributes:
        path: the file.
        layouts: one for each network, in order.
        formula_cells: cells that hold a formula.
        guide_cells: how many of them explain the networks.
        worksheets: the names of those that are not hidden, in order.
        number_cells: cells that hold an input, a parameter, a buffer or a setting.
        file_size: in bytes.
    """

    path: Path
    layouts: tuple[Layout, ...]
    formula_cells: int
    number_cells: int
    file_size: int
    guide_cells: int = 0
    worksheets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        cells = f"{self.formula_cells:,} formula cells"
        return f"<BuiltWorkbook {self.path}: {cells}, {self.file_size:,} bytes>"


def build(
    network: Sequential,
    path: str | Path,
    *,
    image: Any,
    drawing: Drawing | None = None,
    guides: Guides | bool = False,
    pages: Sequence[ReportPage] = (),
    force: bool = False,
    seed: int = 0,
) -> BuiltWorkbook:
    """Write a network as a workbook of live formulas.

    Args:
        network: the layers and their parameters.
        path: the .xlsx file to write.
        image: (height, width) for one channel, (channels, height, width), (features,), or
            several: (images, channels, height, width) or (images, features).
        drawing: how to draw it. Default: `Drawing()`.
        guides: what explains it: a cover, sizes, receptive fields, pictures to choose from;
            True for `Guides()`. Default False: the network alone.
        pages: worksheets that report something, such as how it was trained. Default: none.
        force: replace an existing file. Default False.
        seed: of the random numbers that dropout's RAND() cells show until a spreadsheet
            calculates them anew. Default 0.

    Raises:
        ShapeError: the image does not fit the network, or a value is not finite.
        LayoutError: the network cannot be drawn, or does not fit a workbook.
        WorkbookError: the file cannot be written.

    Example:
        >>> import tempfile, numpy as np, sheetconv as sc
        >>> net = sc.Sequential(sc.Conv2d(1, 2, 3), sc.ReLU(), sc.MaxPool2d(2),
        ...                     sc.Flatten(), sc.Linear(18, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     built = sc.build(net, f"{folder}/tiny.xlsx", image=np.eye(8))
        >>> built.formula_cells                       # 2*6*6 + 2*3*3 + 2
        92
    """
    wanted = (Guides() if guides else None) if isinstance(guides, bool) else guides
    sheet = NetworkSheet(network, image, Drawing() if drawing is None else drawing, wanted)
    return build_workbook([sheet], path, pages=pages, force=force, seed=seed)


def build_workbook(
    sheets: Sequence[NetworkSheet],
    path: str | Path,
    *,
    title: str = "",
    about: str = "",
    pages: Sequence[ReportPage] = (),
    force: bool = False,
    seed: int = 0,
) -> BuiltWorkbook:
    """Write several networks as one workbook.

    Args:
        sheets: the networks, in the order of their worksheets.
        path: the .xlsx file to write.
        title: the document's title. Default: none.
        about: one sentence for the cover, where there is one. Default: none.
        pages: worksheets that report something, after all others; the cover lists them.
            Default: none.
        force: replace an existing file. Default False.
        seed: as for `build`.

    Raises:
        ShapeError, LayoutError, WorkbookError: as for `build`; nothing is left half-written.
    """
    if not isinstance(path, str | os.PathLike):
        raise WorkbookError(f"build: path is {shown(path)}: expected the name of an .xlsx file")
    for sheet in sheets:
        if not isinstance(sheet.network, Sequential):
            raise ShapeError(f"build: network is {shown(sheet.network)}: expected a Sequential")
        if not isinstance(sheet.guides, Guides | None):
            raise LayoutError(f"build: guides is {shown(sheet.guides)}: expected Guides")
        if not isinstance(sheet.drawing, Drawing):
            raise LayoutError(f"build: drawing is {shown(sheet.drawing)}: expected a Drawing")
    for page in pages:
        if not isinstance(page, ReportPage):
            raise LayoutError(f"build: a page is {shown(page)}: expected a ReportPage")
    target = Path(path)
    if target.suffix.lower() != ".xlsx":
        raise WorkbookError(f"{target}: the name of a workbook ends in .xlsx")
    whole("build", "seed", seed, 0)
    check_text(title, "the title")
    check_target(target, force=force)
    if not sheets:
        raise LayoutError("a workbook without a network: give at least one NetworkSheet")
    prepared = [PreparedSheet(sheet, seed) for sheet in sheets]
    taken = [looks.name for item in prepared for looks in item.layout.sheets]
    _check_names(taken)
    named = [page.name for page in pages]
    _check_pages(named, taken)
    cover = _add_guides(prepared, [*taken, *named], title)
    reports = place_pages(pages, cover)
    with ExitStack() as stack:
        book = stack.enter_context(new_workbook(target, title=title, force=force))
        total = sum(cell_count(item.layout) for item in prepared)
        progress = _progress(stack, total)
        looks = Looks(book)
        if cover:
            said = [(page.name, page.about) for page in pages]
            cells = cover_cells(cover, title or target.stem, about, _covered(prepared), said)
            write_page(book, cover_page(cover), GuideContent(list(cells)), looks)
        for item in prepared:
            write_sheets(book, item, looks, progress)
        for item in prepared:
            write_guides(book, item, looks)
        for report in reports:
            write_report(book, report, looks, cover)
        for name, reference in name_entries([(item.layout, item.guides) for item in prepared]):
            book.define_name(name, reference)
        networks = [(item.sheet.network, item.layout, item.guides) for item in prepared]
        add_description(book, description.to_rows(networks, __version__))
    explaining = sum(own.formulas for item in prepared for own in item.guided.values())
    guides = [guide.sheet for item in prepared for guide in item.guides if guide.sheet]
    return BuiltWorkbook(
        target,
        tuple(item.layout for item in prepared),
        sum(item.count(formulas=True) for item in prepared) + explaining,
        sum(item.count(formulas=False) for item in prepared),
        target.stat().st_size,
        explaining,
        tuple(dict.fromkeys([*([cover] if cover else []), *taken, *guides, *named])),
    )


def _add_guides(prepared: Sequence[PreparedSheet], taken: list[str], title: str) -> str:
    """Choose the guides of every network; the name of the cover's worksheet, if there is one."""
    guided = [item for item in prepared if item.has_guides]
    if not guided:
        return ""
    used = {name.lower() for name in (*taken, description.SHEET)}
    cover = free_name("start", used)
    for item in guided:
        home = item.layout.drawing.worksheet
        alone = len(prepared) == 1
        item.add_guides(used, (title if alone else "") or home, cover, "" if alone else home)
        used |= {guide.sheet.lower() for guide in item.guides}
    return cover


def _covered(prepared: Sequence[PreparedSheet]) -> list[Covered]:
    return [Covered(item.sheet.network, item.layout, item.guides) for item in prepared]


def _check_names(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise LayoutError(
                f"two worksheets are named {name!r}: give each a name of its own; the network's is "
                f"cut where with a layer's it has more than {MAX_SHEET_NAME} characters"
            )
        if name.lower() == description.SHEET:
            raise LayoutError(f"a worksheet is named {name!r}: sheetconv keeps that name to itself")
        seen.add(name.lower())


def _check_pages(names: Sequence[str], taken: Sequence[str]) -> None:
    seen = {name.lower() for name in taken}
    for name in names:
        if name.lower() in seen:
            raise LayoutError(
                f"a page is named {name!r}, as another worksheet of the workbook is: give it "
                "another name"
            )
        if name.lower() == description.SHEET:
            raise LayoutError(f"a page is named {name!r}: sheetconv keeps that name to itself")
        seen.add(name.lower())


def _progress(stack: ExitStack, total: int) -> Any:
    if total < _CELLS_WORTH_A_BAR or not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    bar = stack.enter_context(
        tqdm(total=total, delay=1.0, unit=" cells", unit_scale=True, desc="writing", leave=False)
    )
    return bar.update
