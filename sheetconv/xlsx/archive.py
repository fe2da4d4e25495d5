"""Safe opening of .xlsx files: what a file must be before any reader sees it.

An .xlsx file is a zip of XML parts, and may come from anywhere. This module owns
the checks (is it a workbook at all, is it whole, is it a zip or XML bomb), the
one-line messages for those that fail, the XML parser that forbids DTDs, and the way
from the zip to the parts of the worksheets.
"""

from __future__ import annotations

import os
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from ..errors import WorkbookError

#: Bytes that all parts together may fill when uncompressed.
MAX_UNCOMPRESSED = 2 * 1024**3
#: How many times an entry may grow; a worksheet grows 5 to 60 times, a bomb about 1,000 times.
MAX_RATIO = 300
#: Entries that are smaller than this when uncompressed may grow by any ratio.
RATIO_FROM = 1024**2

_CHUNK = 65_536
_OLE = bytes.fromhex("D0CF11E0A1B11AE1")
_MAIN_PART = "/officeDocument"
_ENCRYPTED = 0x1


def check_package(path: str | os.PathLike[str]) -> None:
    """Raise one clear error unless `path` is an .xlsx (or .xlsm) workbook that is safe to open.

    Raises:
        WorkbookError: the file is missing, a folder, unreadable, empty, no zip, damaged,
            encrypted, no workbook, too large when uncompressed, holds a name twice, or one of
            its XML parts has a DOCTYPE.

    Example:
        >>> check_package("no-such-file.xlsx")
        Traceback (most recent call last):
        sheetconv.errors.WorkbookError: no-such-file.xlsx: no such file: check its name and folder
    """
    with open_package(path) as package:
        main_part(package)
        for entry in package.infolist():
            if entry.filename.endswith((".xml", ".rels")):
                _check_prologue(package, entry)


def check_parts(path: str | os.PathLike[str]) -> None:
    """Raise one clear error unless every part of the workbook is whole and well-formed.

    For programs that load as much of a damaged worksheet as they can, and say nothing.

    Raises:
        WorkbookError: as `check_package`, or a part is damaged.
    """
    with open_package(path) as package:
        main_part(package)
        for entry in package.infolist():
            if entry.filename.endswith((".xml", ".rels")):
                parser = new_parser(package, entry.filename)
                for chunk in chunks(package, entry.filename):
                    parser.Parse(chunk, False)
                parser.Parse(b"", True)


@contextmanager
def open_package(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """The zip at `path`, open for reading, its entries checked; closed afterwards.

    Errors of the zip, of decompression and of XML inside the `with` block become
    `WorkbookError` too, so that a damaged part is reported wherever it is met.

    Raises:
        WorkbookError: as `check_package`, except that no part has been read yet.
    """
    file = Path(path)
    _check_file(file)
    try:
        with zipfile.ZipFile(file) as package:
            _check_entries(file, package)
            yield package
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise WorkbookError(
            f"{file}: truncated or damaged zip ({error}): copy or download the file again"
        ) from error
    except expat.ExpatError as error:
        raise WorkbookError(
            f"{file}: a part of the workbook is no well-formed XML ({error}): "
            "open it in a spreadsheet program and save it again"
        ) from error
    except OSError as error:
        _unreadable(file, error)


def main_part(package: zipfile.ZipFile) -> str:
    """The name of the workbook's main part, usually ``xl/workbook.xml``.

    Raises:
        WorkbookError: the zip is no workbook of the .xlsx family.
    """
    names = set(package.namelist())
    if not {"[Content_Types].xml", "_rels/.rels"} <= names:
        kind = "an OpenDocument file" if "mimetype" in names else "a zip of something else"
        _no_workbook(package, f"seems to be {kind}, without [Content_Types].xml or _rels/.rels")
    targets = [
        target
        for kind, target in relationships(package, "").values()
        if kind.endswith(_MAIN_PART) and target in names
    ]
    if not targets:
        _no_workbook(package, "names no main document in _rels/.rels")
    content_types = {
        attributes.get("PartName", "").lstrip("/"): attributes.get("ContentType", "")
        for name, attributes in elements(package, "[Content_Types].xml")
        if name == "Override"
    }
    content_type = content_types.get(targets[0], "")
    if not content_type.endswith("main+xml") or not (
        "spreadsheetml" in content_type or "ms-excel" in content_type
    ):
        _no_workbook(package, f"its main document {targets[0]} is {content_type or 'undeclared'}")
    return targets[0]


def sheet_parts(path: str | os.PathLike[str]) -> dict[str, str]:
    """The part of every worksheet, in the workbook's order: name -> part name.

    Chart sheets are left out.

    Raises:
        WorkbookError: the file is no workbook that can be read.
    """
    return {name: part for name, part, _ in _sheets(path)}


def sheet_states(path: str | os.PathLike[str]) -> dict[str, str]:
    """The visibility of every worksheet: name -> ``visible``, ``hidden`` or ``veryHidden``.

    Raises:
        WorkbookError: the file is no workbook that can be read.
    """
    return {name: state for name, _, state in _sheets(path)}


def defined_names(path: str | os.PathLike[str]) -> dict[str, str]:
    """What every defined name stands for, as the text of a formula: name in lower case -> text.

    A name that several worksheets define for themselves stands for all of it, by commas.

    Raises:
        WorkbookError: the file is no workbook that can be read.
    """
    found: dict[str, str] = {}
    name: str | None = None
    text: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal name
        if tag.rpartition(":")[2] == "definedName":
            name = attributes.get("name", "").lower()
            text.clear()

    def end(tag: str) -> None:
        nonlocal name
        if name is not None and tag.rpartition(":")[2] == "definedName":
            meaning = "".join(text)
            found[name] = f"{found[name]},{meaning}" if name in found else meaning
            name = None

    with open_package(path) as package:
        part = main_part(package)
        parser = new_parser(package, part)
        parser.StartElementHandler, parser.EndElementHandler = start, end
        parser.CharacterDataHandler = text.append
        for chunk in chunks(package, part):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    return found


def relationships(package: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """The relationships of a part ("" is the package): id -> (type, target part).

    Targets outside the package are left out.
    """
    folder, _, name = part.rpartition("/")
    rels = f"{folder}/_rels/{name}.rels".lstrip("/")
    found: dict[str, tuple[str, str]] = {}
    if rels not in package.namelist():
        return found
    for element, attributes in elements(package, rels):
        if element == "Relationship" and attributes.get("TargetMode") != "External":
            target = posixpath.join("/", folder, attributes.get("Target", ""))
            found[attributes.get("Id", "")] = (
                attributes.get("Type", ""),
                posixpath.normpath(target).lstrip("/"),
            )
    return found


def elements(package: zipfile.ZipFile, part: str) -> list[tuple[str, dict[str, str]]]:
    """The start tags of a small part, in order: (local name, attributes by local name)."""
    found: list[tuple[str, dict[str, str]]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        local = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        found.append((name.rpartition(" ")[2], local))

    parser = new_parser(package, part, namespace_separator=" ")
    parser.StartElementHandler = start
    for chunk in chunks(package, part):
        parser.Parse(chunk, False)
    parser.Parse(b"", True)
    return found


def new_parser(
    package: zipfile.ZipFile, part: str, *, namespace_separator: str | None = None
) -> expat.XMLParserType:
    """An expat parser that raises `WorkbookError` at a DOCTYPE, which no workbook needs."""

    def forbid(*_: object) -> NoReturn:
        raise WorkbookError(
            f"{package.filename}: part {part} has a DOCTYPE, which no spreadsheet program "
            "writes: do not open this file unless you know where it comes from"
        )

    parser = expat.ParserCreate(namespace_separator=namespace_separator)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = forbid
    return parser


def chunks(package: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """The uncompressed bytes of a part, piece by piece.

    Raises:
        WorkbookError: the package has no such part.
    """
    if part not in package.namelist():
        raise WorkbookError(
            f"{package.filename}: part {part} is missing: "
            "open the file in a spreadsheet program and save it again"
        )
    with package.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _sheets(path: str | os.PathLike[str]) -> list[tuple[str, str, str]]:
    with open_package(path) as package:
        workbook = main_part(package)
        targets = relationships(package, workbook)
        found = []
        for element, attributes in elements(package, workbook):
            if element == "sheet":
                kind, part = targets.get(attributes.get("id", ""), ("", ""))
                if kind.endswith("/worksheet"):
                    state = attributes.get("state", "visible")
                    found.append((attributes.get("name", ""), part, state))
        return found


def _check_file(file: Path) -> None:
    if file.is_dir():
        raise WorkbookError(f"{file}: a folder: name an .xlsx file in it")
    try:
        with file.open("rb") as stream:
            head = stream.read(512)
    except FileNotFoundError as error:
        raise WorkbookError(f"{file}: no such file: check its name and folder") from error
    except OSError as error:
        _unreadable(file, error)
    if not head:
        raise WorkbookError(f"{file}: an empty file (0 bytes): copy or download it again")
    if head.startswith(_OLE):
        raise WorkbookError(
            f"{file}: a password-protected workbook, or an old .xls: "
            "remove the password, or save it as .xlsx"
        )
    if not head.startswith(b"PK"):
        raise WorkbookError(f"{file}: {_guess(head)}, not an .xlsx workbook: save it as .xlsx")


def _guess(head: bytes) -> str:
    if head.startswith(b"%PDF"):
        return "seems to be a PDF"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return "seems to be HTML or XML"
    if b"\0" not in head and any(mark in text for mark in (b",", b";", b"\t")):
        return "seems to be CSV or other text"
    return "a file of another kind"


def _check_entries(file: Path, package: zipfile.ZipFile) -> None:
    entries = package.infolist()
    total = sum(entry.file_size for entry in entries)
    if total > MAX_UNCOMPRESSED:
        raise WorkbookError(
            f"{file}: {total:,} bytes when uncompressed, {MAX_UNCOMPRESSED:,} are allowed: "
            "split the workbook"
        )
    seen: set[str] = set()
    for entry in entries:
        # Part names differ in more than case: OPC holds `A.xml` and `a.xml` for the same.
        name = entry.filename.lower()
        if name in seen:
            raise WorkbookError(
                f"{file}: holds {entry.filename} twice, so that programs disagree about what "
                "it says: save it again"
            )
        seen.add(name)
        if entry.flag_bits & _ENCRYPTED:
            raise WorkbookError(
                f"{file}: the zip entry {entry.filename} is encrypted: "
                "remove the password and save it again"
            )
        ratio = entry.file_size / max(entry.compress_size, 1)
        if entry.file_size > RATIO_FROM and ratio > MAX_RATIO:
            raise WorkbookError(
                f"{file}: {entry.filename} grows {ratio:,.0f} times when uncompressed, at most "
                f"{MAX_RATIO} is expected: a zip bomb? Do not open it"
            )


def _check_prologue(package: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Parse as far as the first element: a DOCTYPE can only stand before it."""
    started = False

    def start(*_: object) -> None:
        nonlocal started
        started = True

    parser = new_parser(package, entry.filename)
    parser.StartElementHandler = start
    with package.open(entry) as stream:
        while not started and (chunk := stream.read(1024)):
            parser.Parse(chunk, False)


def _no_workbook(package: zipfile.ZipFile, why: str) -> NoReturn:
    raise WorkbookError(f"{package.filename}: a zip, but no .xlsx workbook ({why}): save as .xlsx")


def _unreadable(file: Path, error: OSError) -> NoReturn:
    raise WorkbookError(
        f"{file}: cannot be read ({error.strerror or error}): check permissions and disk"
    ) from error
