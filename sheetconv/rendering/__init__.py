"""Pictures of worksheets, drawn by LibreOffice: .png, .pdf and .html.

This module chooses what is drawn and where it is written; `pages.py` asks LibreOffice for
pages, `web_page.py` makes HTML of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from ..calculators.office import Office
from ..cells import Range, parse_range
from ..errors import WorkbookError
from ..files import check_target, written_together
from ..xlsx import sheet_states
from .pages import print_pages, save_pdf, save_picture, used_area

__all__ = ["render"]

_ENDINGS = (".png", ".pdf", ".html")
#: Cells that one picture may show; LibreOffice needs about a second for 100,000.
_MAX_CELLS = 2_000_000


def render(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    sheets: str | Sequence[str] = (),
    area: str | None = None,
    dpi: float | None = None,
    force: bool = False,
    timeout: float = 120.0,
) -> list[Path]:
    """Draw worksheets of a workbook as pictures, through LibreOffice.

    What is drawn is what LibreOffice shows after a recalculation: values, number formats,
    colour scales and other conditional formats, charts; without headers, footers and grid
    lines, and nothing is shrunk. A page is as large as the cells that are used.

    Args:
        path: the .xlsx file; it is not changed.
        target: the file to write. Its ending says what:
            ``.png``: a picture of one worksheet. If several are drawn, each has a file of its
            own, whose name ends in the worksheet's: ``out-conv1.png``.
            ``.pdf``: one page for each worksheet, or several, of at most 1000 rows and 5 m,
            for a long one.
            ``.html``: one page on its own, with a table of values and colours for each
            worksheet; without charts.
        sheets: names of worksheets, drawn in the workbook's order. Default: all that are not
            hidden. Very hidden ones, such as the one of sheetconv, are never drawn.
        area: the cells to draw, such as ``A1:Z40`` or ``'conv-example'!A1:Z40``, of one
            worksheet. Default: all that are used.
        dpi: pixels per inch of a .png; at 96 it is as large as on a screen. Default: 144, or
            less where the picture would have more than 50 million pixels.
        force: whether existing files are replaced.
        timeout: seconds that each step of LibreOffice may take.

    Returns:
        The files that were written.

    Raises:
        WorkbookError: the workbook cannot be read or has no such worksheet, there is nothing
            to draw or too much, or the target cannot be written.
        LayoutError: `area` is no range.
        CalculatorError: LibreOffice is missing, failed, or ran over its time.

    Example:
        >>> render("no-such-file.xlsx", "out.png")
        Traceback (most recent call last):
        sheetconv.errors.WorkbookError: no-such-file.xlsx: no such file: check its name and folder
        >>> render("conv-example.xlsx", "out.gif")
        Traceback (most recent call last):
        sheetconv.errors.WorkbookError: out.gif: pictures end in .png, .pdf, .html: choose one
    """
    path, target = Path(path), Path(target)
    kind = target.suffix.lower()
    if kind not in _ENDINGS:
        raise WorkbookError(f"{target}: pictures end in {', '.join(_ENDINGS)}: choose one")
    if dpi is not None and (kind != ".png" or not 0 < dpi < float("inf")):
        raise WorkbookError(
            f"{dpi:g} dpi for {target}: a .png has a positive number of pixels per inch, "
            "other pictures none"
        )
    names = [sheets] if isinstance(sheets, str) else list(sheets)
    chosen, wanted = _choose(path, names, area)
    several = kind == ".png" and len(chosen) > 1
    targets = [_beside(target, name) for name in chosen] if several else [target]
    for file in targets:
        check_target(file, force=force)
    with Office(path, timeout) as office:
        # Random numbers are new as soon as a file is open; what depends on them has to follow.
        office.call(f"recalculate {path}", "page", "calculate")
        areas = [wanted] if wanted else _used_areas(path, office, chosen, names)
        if kind == ".html":
            from .web_page import web_page

            text = web_page(office, areas, title=path.stem)
            with written_together([target], force=force) as (temporary,):
                temporary.write_text(text, encoding="utf-8")
            return [target]
        pages = print_pages(office, areas)
        if kind == ".pdf":
            with written_together([target], force=force) as (temporary,):
                save_pdf(pages, temporary)
            return [target]
        if several:
            targets = [_beside(target, item.sheet) for item in areas]
        with written_together(targets, force=force) as temporaries:
            for page, temporary, item in zip(pages, temporaries, areas, strict=True):
                save_picture(page, temporary, dpi, item.sheet)
        return targets


def _choose(path: Path, names: list[str], area: str | None) -> tuple[list[str], Range | None]:
    """The worksheets to draw, in the workbook's order, and the range, if one was given."""
    states = sheet_states(path)
    shown = [name for name, state in states.items() if state != "veryHidden"]
    wanted = parse_range(area) if area is not None else None
    if wanted is not None and wanted.sheet:
        names = [*names, wanted.sheet]
    for name in names:
        if name not in shown:
            close = get_close_matches(name, shown, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(shown)}"
            kind = "worksheet that can be shown" if name in states else "worksheet"
            raise WorkbookError(f"{path}: no {kind} {name!r}: {hint}")
    chosen = [name for name in shown if (name in names if names else states[name] == "visible")]
    if not chosen:
        raise WorkbookError(f"{path}: every worksheet is hidden: name one, for example {shown[:1]}")
    if wanted is None:
        return chosen, None
    if len(chosen) > 1:
        raise WorkbookError(
            f"the range {area} is for one worksheet, and {path} has {', '.join(chosen)}: name one"
        )
    wanted = replace(wanted, sheet=chosen[0])
    _check_size(wanted)
    return chosen, wanted


def _used_areas(
    path: Path, office: Office, chosen: Sequence[str], names: Sequence[str]
) -> list[Range]:
    """What each worksheet shows; those that are empty are left out unless they were named."""
    areas = []
    for name in chosen:
        area = used_area(office, name)
        if area is not None:
            _check_size(area)
            areas.append(area)
        elif names:
            raise WorkbookError(f"{path}: the worksheet {name!r} is empty: name another")
    if not areas:
        raise WorkbookError(f"{path}: every worksheet is empty: there is nothing to draw")
    return areas


def _check_size(area: Range) -> None:
    if (cells := area.height * area.width) > _MAX_CELLS:
        raise WorkbookError(
            f"{area} has {cells:,} cells, and a picture shows at most {_MAX_CELLS:,}: "
            "give a smaller range"
        )


def _beside(target: Path, sheet: str) -> Path:
    """The file of one worksheet of several: out.png is out-conv1.png for conv1."""
    # What file systems refuse, and the sign itself so that no two names become one.
    safe = "".join(f"%{ord(c):02X}" if c in '%"<>|' else c for c in sheet)
    return target.with_name(f"{target.stem}-{safe}{target.suffix}")
