"""Holds one workbook open in LibreOffice, on behalf of `office.py`.

LibreOffice can be driven only by a Python that has its `uno` module, which is rarely the
Python that runs sheetconv. So this file is run by that other Python, on its own: it may
import nothing but the standard library and `uno`, and must run on Python 3.8. It reads
one JSON request a line and writes one JSON answer a line; JSON carries doubles exactly.

Usage: _uno_server.py SOFFICE FOLDER PIPE [show]
"""

from __future__ import annotations

import json
import os
import queue
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

# LibreOffice shows these codes by name; all others as Err: and the code. The names that it
# shows itself are translated into the language of its user interface.
ERROR_NAMES = {
    503: "#NUM!",
    519: "#VALUE!",
    521: "#NULL!",
    524: "#REF!",
    525: "#NAME?",
    532: "#DIV/0!",
    32767: "#N/A",
}
GRACE = 5.0  # seconds in which LibreOffice may end by itself
LOGICAL = 1024  # com.sun.star.util.NumberFormat.LOGICAL
STANDARD_FORMAT = 0


class RefusedError(Exception):
    """LibreOffice cannot do what was asked; the text says why."""


class Server:
    """The connection to one running LibreOffice, and the workbook that it has open."""

    def __init__(self, office: subprocess.Popen[bytes], pipe: str, show: bool) -> None:
        self.office = office
        self.show = show
        self.desktop = self.connect(pipe)
        self.document: Any = None
        self.areas: dict[tuple[Any, ...], Any] = {}

    def connect(self, pipe: str) -> Any:
        """LibreOffice's desktop, as soon as it answers."""
        import uno

        local = uno.getComponentContext()
        resolver = local.ServiceManager.createInstanceWithContext(
            "com.sun.star.bridge.UnoUrlResolver", local
        )
        while True:
            try:
                context = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
            except Exception as error:
                if self.office.poll() is not None:
                    reason = f"it ended with exit code {self.office.returncode} while starting"
                    raise RefusedError(reason) from error
                time.sleep(0.03)
            else:
                return context.ServiceManager.createInstanceWithContext(
                    "com.sun.star.frame.Desktop", context
                )

    def open(self, path: str) -> list[str]:
        """Load a workbook without dialogs, macros or links; the names of its worksheets."""
        import uno

        self.document = self.desktop.loadComponentFromURL(
            uno.systemPathToFileUrl(path),
            "_blank",
            0,
            properties(
                Hidden=not self.show,
                FilterName="Calc MS Excel 2007 XML",
                MacroExecutionMode=0,
                UpdateDocMode=0,
            ),
        )
        if self.document is None:
            raise RefusedError("it cannot load the file")
        self.document.enableAutomaticCalculation(False)
        if self.show:
            # Whoever closes the window is not asked whether to save this copy.
            self.document.setModified(False)
            self.document.disableSetModified()
        return list(self.document.Sheets.ElementNames)

    def calculate(self) -> None:
        """Recalculate every formula, dirty or not."""
        self.document.calculateAll()

    def get(self, sheet: str, left: int, top: int, right: int, bottom: int) -> list[list[Any]]:
        """The values of a range; an error as {"error": its name}."""
        area = self.area(sheet, left, top, right, bottom)
        rows = [list(row) for row in area.getDataArray()]
        seen = {value for row in rows for value in row}
        if "" in seen:
            # A formula may give an empty text, which is not a blank cell.
            for i, j in offsets(area.queryEmptyCells(), left, top):
                rows[i][j] = None
        if seen & {0.0, 1.0}:
            for i, j in offsets(self.logical(sheet, area), left, top):
                if isinstance(rows[i][j], float):
                    rows[i][j] = bool(rows[i][j])
        if None in seen:
            for i, j in offsets(area.queryFormulaCells(4), left, top):  # FormulaResult.ERROR
                code = area.getCellByPosition(j, i).getError()
                rows[i][j] = {"error": ERROR_NAMES.get(code, f"Err:{code}")}
        return rows

    def set(
        self, sheet: str, left: int, top: int, right: int, bottom: int, rows: list[list[Any]]
    ) -> None:
        """Write values over a range; an error is given as {"error": its name}."""
        area = self.area(sheet, left, top, right, bottom)
        try:
            area.setDataArray(tuple(tuple(map(plain, row)) for row in rows))
        except Exception as error:
            if type(error).__name__.endswith("DisposedException"):
                raise
            reason = "is the worksheet protected, or the range a part of an array formula?"
            raise RefusedError(reason) from error
        if any(value in (0.0, 1.0) for row in rows for value in row if isinstance(value, float)):
            # A cell that held a truth value keeps its format, and would show 1 as TRUE.
            for i, j in offsets(self.logical(sheet, area), left, top):
                area.getCellByPosition(j, i).NumberFormat = STANDARD_FORMAT
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                if isinstance(value, bool):
                    area.getCellByPosition(j, i).NumberFormat = self.logical_format()
                elif isinstance(value, dict):
                    area.getCellByPosition(j, i).setFormula("=" + value["error"])

    def get_many(self, corners: list[list[Any]]) -> list[list[list[Any]]]:
        """The numbers of several ranges; where there is none, anything that is none.

        Finding a range takes longer than reading it, so that they are kept.
        """
        return [self.kept_area(item).getDataArray() for item in corners]

    def set_many(self, pairs: list[Any]) -> None:
        """Write numbers over several ranges, each with its rows; None clears a cell."""
        for item, rows in pairs:
            try:
                self.kept_area(item).setDataArray(tuple(tuple(map(plain, row)) for row in rows))
            except Exception as error:
                if type(error).__name__.endswith("DisposedException") or not self.is_open():
                    raise
                raise RefusedError(f"is the worksheet {item[0]!r} protected?") from error

    def kept_area(self, corners: list[Any]) -> Any:
        key = tuple(corners)
        if key not in self.areas:
            self.areas[key] = self.area(*corners)
        return self.areas[key]

    def is_open(self) -> bool:
        """Whether nobody has closed the workbook."""
        try:
            self.document.getURL()
        except Exception:
            return False
        return True

    def page(self, do: str, *arguments: Any) -> Any:
        """Call a function of `_uno_pages.py`."""
        functions = runpy.run_path(str(Path(__file__).with_name("_uno_pages.py")))
        return functions[do](self, *arguments)

    def store(self, path: str, **settings: Any) -> None:
        """Write what is open into a file of another kind."""
        import uno

        self.document.storeToURL(uno.systemPathToFileUrl(path), properties(**settings))

    def quit(self) -> None:
        """Let LibreOffice end by itself, so that it removes its sockets and locks."""
        if self.document is not None:
            self.document.close(True)
        self.desktop.terminate()
        self.office.wait(GRACE)

    def area(self, sheet: str, left: int, top: int, right: int, bottom: int) -> Any:
        try:
            return self.document.Sheets.getByName(sheet).getCellRangeByPosition(
                left, top, right, bottom
            )
        except Exception as error:
            if type(error).__name__.endswith("IndexOutOfBoundsException"):
                raise RefusedError("the range ends outside its worksheets") from error
            raise

    def logical(self, sheet: str, area: Any) -> Any:
        """The cells of a range that show TRUE or FALSE.

        Truth values are numbers with a format here, and asking each cell for its format
        takes milliseconds a cell; a search takes the same for the whole range.
        """
        search = self.document.Sheets.getByName(sheet).createSearchDescriptor()
        search.SearchString = "^(TRUE|FALSE)$"
        search.SearchRegularExpression = True
        search.SearchType = 1  # what cells show, not their formulas
        return area.findAll(search)

    def logical_format(self) -> int:
        import uno

        locale = uno.createUnoStruct("com.sun.star.lang.Locale")
        return int(self.document.NumberFormats.getStandardFormat(LOGICAL, locale))


def properties(**settings: Any) -> tuple[Any, ...]:
    from com.sun.star.beans import PropertyValue  # type: ignore[import-not-found]

    items = []
    for name, value in settings.items():
        item = PropertyValue()
        item.Name, item.Value = name, value
        items.append(item)
    return tuple(items)


def offsets(ranges: Any, left: int, top: int) -> Any:
    """Row and column of every cell of some ranges (or None), counted from (top, left)."""
    for address in ranges.RangeAddresses if ranges is not None else ():
        for row in range(address.StartRow, address.EndRow + 1):
            for column in range(address.StartColumn, address.EndColumn + 1):
                yield row - top, column - left


def plain(value: Any) -> Any:
    """What `setDataArray` takes: it refuses truth values, and None is an error to it."""
    if value is None or isinstance(value, dict):
        return ""
    return float(value) if isinstance(value, bool) else value


def read_requests(requests: queue.Queue[Any], office: subprocess.Popen[bytes], folder: str) -> None:
    """Pass requests on; when there will be no more, because sheetconv died, end everything."""
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    requests.put({"do": "quit", "with": []})
    with suppress(subprocess.TimeoutExpired):
        office.wait(GRACE)
    shutil.rmtree(folder, ignore_errors=True)
    if sys.platform == "win32":
        subprocess.call(["taskkill", "/F", "/T", "/PID", str(office.pid)])
    elif os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    office.kill()
    os._exit(1)


def main() -> None:
    soffice, folder, pipe, *show = sys.argv[1:]
    # Modules beside this file, such as one that is named like a package, must not be found.
    sys.path.pop(0)
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr
    office = subprocess.Popen(
        [
            soffice,
            "-env:UserInstallation=" + Path(folder, "profile").as_uri(),
            f"--accept=pipe,name={pipe};urp;StarOffice.ComponentContext",
            *(() if show else ("--headless", "--invisible")),
            *("--nologo", "--nodefault", "--norestore", "--nofirststartwizard", "--nolockcheck"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
    )
    requests: queue.Queue[Any] = queue.Queue()
    reader = threading.Thread(target=read_requests, args=(requests, office, folder), daemon=True)
    reader.start()
    server = None
    while True:
        request = requests.get()
        try:
            if request["do"] == "start":
                server = Server(office, pipe, bool(show))
                result = None
            else:
                result = getattr(server, request["do"])(*request["with"])
            answer = {"result": result}
        except Exception as error:
            kind = type(error).__name__.split(".")[-1]
            # The last window takes the program with it.
            if server and server.show and server.document and not server.is_open():
                error = RefusedError("it was closed")
            elif kind == "DisposedException" and request["do"] != "quit":
                print("the connection to LibreOffice broke", file=sys.stderr, flush=True)
                os._exit(1)
            text = str(error) if isinstance(error, RefusedError) else f"{kind} {error}"
            answer = {"error": " ".join(text.split())}
        try:
            answers.write(json.dumps(answer).encode("ascii") + b"\n")
            answers.flush()
        except OSError:
            reader.join()  # nobody is left to listen, and the reader ends everything


if __name__ == "__main__":
    main()
