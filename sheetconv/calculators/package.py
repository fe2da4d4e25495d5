"""Whether a file is an .xlsx workbook at all, found out before a program is started for it.

Spreadsheet programs meet bad files in bad ways: one opens a password-protected file
with a dialog that nobody sees, another an empty file as a new workbook, and a damaged
worksheet as far as it can be read. Looking first gives every engine the same answer.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from xml.parsers import expat

from ..errors import CalculatorError

_OLE_HEADER = bytes.fromhex("D0CF11E0A1B11AE1")
_AGAIN = "open it in a spreadsheet program and save it again as .xlsx"


def check_file(path: Path) -> None:
    """Raise `CalculatorError` unless `path` is a zip archive with a workbook's table of contents.

    Reads no more than the archive's directory.
    """
    try:
        with path.open("rb") as file:
            header = file.read(len(_OLE_HEADER))
    except FileNotFoundError:
        raise CalculatorError(f"there is no file {path}: check the path") from None
    except OSError as error:
        raise CalculatorError(f"{path} cannot be read: {error.strerror}") from error
    if not header:
        raise CalculatorError(f"{path} is empty: a workbook (.xlsx) is expected")
    if header == _OLE_HEADER:
        raise CalculatorError(
            f"{path} is password-protected, or an old .xls: save it as .xlsx without a password"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            complete = "[Content_Types].xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise CalculatorError(f"{path} is not a workbook (.xlsx), or damaged: {_AGAIN}") from error
    if not complete:
        raise CalculatorError(f"{path} is a zip archive but not a workbook (.xlsx): {_AGAIN}")


def check_parts(path: Path) -> None:
    """Raise `CalculatorError` unless every part of the workbook is whole and well-formed.

    For programs that load as much of a damaged worksheet as they can, and say nothing.
    """
    with zipfile.ZipFile(path) as archive:
        for part in archive.namelist():
            if not part.endswith((".xml", ".rels")):
                continue
            try:
                with archive.open(part) as file:
                    expat.ParserCreate().ParseFile(file)
            except (
                zipfile.BadZipFile,
                zlib.error,
                expat.ExpatError,
                EOFError,
                OSError,
                RuntimeError,
                ValueError,
            ) as error:
                raise CalculatorError(f"{path} is damaged in {part} ({error}): {_AGAIN}") from error
