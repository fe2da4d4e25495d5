"""An .xlsx file that is written whole or not at all.

The only module that makes XlsxWriter workbooks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.exceptions import XlsxWriterException

from . import description
from .errors import WorkbookError
from .files import written_whole


@contextmanager
def new_workbook(target: Path, *, title: str = "", force: bool = False) -> Iterator[Any]:
    """An XlsxWriter workbook that is saved when the block succeeds.

    If the block fails, whatever stood at `target` stays as it was.

    Args:
        target: the .xlsx file.
        title: the document's. Default: none.
        force: replace an existing file. Default False.

    Raises:
        WorkbookError: the file cannot be written.
    """
    # XlsxWriter's own temporary files go away with this folder, however the build ends.
    with (
        written_whole(target, force=force) as temporary,
        tempfile.TemporaryDirectory(prefix="sheetconv-") as folder,
    ):
        # Of a build that failed XlsxWriter leaves its files open, which Windows cannot remove
        # and a full disk makes noisy: the archive, which is small, is made in memory, and the
        # worksheets are closed below.
        archive = BytesIO()
        book = xlsxwriter.Workbook(archive, {"tmpdir": folder})
        # A fixed date: the same network gives the same bytes.
        book.set_properties(
            {"title": title, "comments": "made by sheetconv", "created": datetime(2000, 1, 1)}
        )
        try:
            yield book
            book.close()
        except XlsxWriterException as error:
            raise WorkbookError(f"cannot write {target}: {error}") from None
        finally:
            for written in book.worksheets():
                if written.fh is not None:
                    written.fh.close()
        temporary.write_bytes(archive.getbuffer())


def add_description(book: Any, rows: Sequence[str]) -> None:
    """Add the very hidden worksheet on which a workbook says what it holds.

    Args:
        book: an XlsxWriter workbook.
        rows: the texts of its column A.
    """
    hidden = book.add_worksheet(description.SHEET)
    hidden.very_hidden()
    for number, text in enumerate(rows):
        hidden.write_string(number, 0, text)


def calculate_circles(book: Any, largest_change: float) -> None:
    """Let programs calculate circular references: each recalculation goes round once.

    Args:
        book: an XlsxWriter workbook.
        largest_change: of a number in one round, beyond which a program may give up.
    """

    def write() -> None:
        attributes: list[tuple[str, Any]] = [("calcId", book.calc_id), ("iterate", 1)]
        attributes += [("iterateCount", 1), ("iterateDelta", f"{largest_change:.0f}")]
        book._xml_empty_tag("calcPr", [*attributes, ("fullCalcOnLoad", 1)])

    book._write_calc_pr = write
