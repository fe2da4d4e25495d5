"""One running LibreOffice with one workbook open, apart from the user's own.

Each has a private profile and a private copy of the file in a temporary folder. It is driven
through a second Python, which has LibreOffice's `uno` module and runs `_uno_server.py`. All
of it ends with the `Office`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import weakref
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import CalculatorError
from ..xlsx import check_parts
from . import processes

#: The environment variable that names the program, where it stands in an unusual place.
VARIABLE = "SHEETCONV_SOFFICE"

#: Where installers put the program without adding it to PATH.
PLACES = (
    "/usr/lib/libreoffice/program/soffice",
    "/usr/lib64/libreoffice/program/soffice",
    "/usr/local/bin/soffice",
    "/opt/libreoffice/program/soffice",
    "/Applications/LibreOffice.app/Contents/MacOS/soffice",
    "~/Applications/LibreOffice.app/Contents/MacOS/soffice",
    r"C:\Program Files\LibreOffice\program\soffice.com",
    r"C:\Program Files (x86)\LibreOffice\program\soffice.com",
)

#: How to get LibreOffice.
HINT = (
    "install LibreOffice (on Debian and Ubuntu: apt install libreoffice-calc python3-uno; "
    f"elsewhere: libreoffice.org), or set {VARIABLE} to its soffice"
)
_SERVER = Path(__file__).with_name("_uno_server.py")
_GRACE = 10.0

# A fixed language, since truth values are recognised by their text; no Java, which it would
# look for in vain; no OpenCL, whose results may depend on the graphics card.
_SETTINGS = """\
<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Setup/L10N"><prop oor:name="ooSetupSystemLocale" oor:op="fuse">
<value>en-US</value></prop></item>
<item oor:path="/org.openoffice.Office.Java/VirtualMachine"><prop oor:name="Enable" oor:op="fuse">
<value>false</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Misc"><prop oor:name="UseOpenCL" oor:op="fuse">
<value>false</value></prop></item>
</oor:items>
"""


class Office:
    """A LibreOffice of its own in which a private copy of one workbook is open.

    Args:
        path: the .xlsx file.
        timeout: seconds that each call may take, and starting the program, too. When they
            are over the program is killed.
        show: in a window. Default False.

    Attributes:
        timeout: as given; it may be changed between calls.
        folder: its temporary folder, for files that are handed over; gone after `end`.
        sheets: the names of the worksheets, hidden ones, too.

    Raises:
        WorkbookError: the file is no whole workbook.
        CalculatorError: the program is missing, refused the file, or timed out.
    """

    def __init__(self, path: Path, timeout: float, *, show: bool = False) -> None:
        soffice = find_soffice()
        python = python_with_uno(soffice)
        check_parts(path)
        self.timeout = timeout
        temporary = tempfile.TemporaryDirectory(prefix="sheetconv-", ignore_cleanup_errors=True)
        self.folder = Path(temporary.name)
        self._log = self.folder / "log.txt"
        pipe = f"sheetconv{secrets.token_hex(8)}"
        try:
            # The copy's name is plain, whatever the file's is.
            copy = self.folder / "book.xlsx"
            shutil.copyfile(path, copy)
            settings = self.folder / "profile" / "user" / "registrymodifications.xcu"
            settings.parent.mkdir(parents=True)
            settings.write_text(_SETTINGS, encoding="utf-8")
            with self._log.open("wb") as log:
                self._process = processes.start(
                    [python, _SERVER, soffice, self.folder, pipe, *(["show"] if show else [])],
                    env=_environment() | dict.fromkeys(("TMPDIR", "TMP", "TEMP"), temporary.name),
                    stdin=subprocess.PIPE,
                    stderr=log,
                )
        except OSError as error:
            temporary.cleanup()
            raise CalculatorError(f"LibreOffice could not be started: {error}") from error
        except BaseException:
            temporary.cleanup()
            raise
        # Runs at the latest when Python ends, so that nothing is left of a forgotten one.
        self.end = weakref.finalize(self, _end, self._process, temporary, pipe)
        try:
            self.call("start", "start")
            self.sheets: list[str] = self.call(f"open {path}", "open", str(copy))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the program end by itself, or kill it; safe to call twice."""
        try:
            if self.end.alive:
                self.timeout = min(self.timeout, _GRACE)
                with suppress(CalculatorError):
                    self.call("end", "quit")
        finally:
            self.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def call(self, doing: str, do: str, *arguments: Any) -> Any:
        """One request and its answer; afterwards either both sides are in step, or all is over.

        Args:
            doing: what is done, for errors: "LibreOffice could not ...".
            do: the method of the server.
            arguments: what it takes, as JSON can carry it.

        Raises:
            CalculatorError: it cannot be done, or the program failed or timed out.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        request = json.dumps({"do": do, "with": arguments}).encode() + b"\n"
        line = b""
        kill = partial(processes.kill, self._process)
        try:
            # A dead program takes no request; the empty answer then says so.
            with processes.time_limit(self.timeout, kill) as expired, suppress(OSError):
                stdin.write(request)
                stdin.flush()
                line = stdout.readline()
        except BaseException:
            self.end()
            raise
        if expired.is_set():
            self.end()
            raise CalculatorError(
                f"LibreOffice did not {doing} within {self.timeout:g} s and was stopped: "
                "allow more time, or try another engine"
            )
        if not line.endswith(b"\n"):
            reason = self._last_words()
            self.end()
            raise CalculatorError(f"LibreOffice stopped when it was to {doing}: {reason}")
        answer = json.loads(line)
        if "error" in answer:
            raise CalculatorError(f"LibreOffice could not {doing}: {answer['error']}")
        return answer["result"]

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            return next(
                (line.strip() for line in reversed(lines) if line.strip()), "it says nothing"
            )
        return "it says nothing"


def find_soffice() -> Path:
    """LibreOffice's program: what SHEETCONV_SOFFICE names, or on PATH, or in a usual place.

    Raises:
        CalculatorError: there is none.
    """
    named = os.environ.get(VARIABLE)
    if named:
        program = shutil.which(named)
        if program is None:
            raise CalculatorError(
                f"{VARIABLE} is {named!r}, which is not a program: "
                "set it to the path of LibreOffice's soffice, or unset it"
            )
        return Path(program)
    for candidate in ("soffice", "libreoffice", *map(os.path.expanduser, PLACES)):
        program = shutil.which(candidate)
        if program is not None:
            return Path(program)
    raise CalculatorError(f"LibreOffice is not found: {HINT}")


@cache
def soffice_version(soffice: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="sheetconv-", ignore_cleanup_errors=True) as profile:
        private = f"-env:UserInstallation={Path(profile).as_uri()}"
        try:
            code, output = processes.run(
                [soffice, private, "--version"], env=_environment(), seconds=_GRACE
            )
        except OSError as error:  # TimeoutError is one, too
            raise CalculatorError(f"{soffice} does not run: {error}") from error
    words = output.split()
    if code != 0 or len(words) < 2:
        raise CalculatorError(f"{soffice} --version failed with exit code {code}: reinstall it")
    return words[1]


@cache
def python_with_uno(soffice: Path) -> Path:
    """LibreOffice's own Python, or one of the system's that can import `uno`."""
    program = soffice.resolve().parent
    candidates = [
        program / "python.exe",
        program / "python",
        program.parent / "Resources" / "python",
        Path("/usr/bin/python3"),
        Path(sys.executable),
        Path(shutil.which("python3") or sys.executable),
    ]
    for python in dict.fromkeys(candidates):
        with suppress(OSError):
            code, _ = processes.run(
                [python, "-c", "import uno"], env=_environment(), seconds=_GRACE
            )
            if code == 0:
                return python
    raise CalculatorError(
        f"LibreOffice ({soffice}) is found, but no Python that can import its uno module: "
        "on Debian and Ubuntu, apt install python3-uno; elsewhere, reinstall it with Python support"
    )


def _environment() -> dict[str, str]:
    """The environment without what it tells Python, since the other Python is another."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    if sys.platform == "linux":
        # In a locale without UTF-8, or one that is not installed, LibreOffice hangs on a
        # temporary folder whose name is not ASCII.
        kept["LC_ALL"] = "C.UTF-8"
    return kept


def _end(
    process: subprocess.Popen[bytes], temporary: tempfile.TemporaryDirectory[str], pipe: str
) -> None:
    processes.end(process)
    if sys.platform != "win32":
        # A LibreOffice that was killed leaves two sockets behind. The second is named by the
        # MD5 of the profile's address, as UTF-16, in hexadecimal digits without padding.
        profile = Path(temporary.name, "profile").as_uri().encode("utf-16-le")
        digest = hashlib.md5(profile, usedforsecurity=False).digest()
        for name in (pipe, "SingleOfficeIPC_" + "".join(f"{byte:x}" for byte in digest)):
            Path(f"/tmp/OSL_PIPE_{os.getuid()}_{name}").unlink(missing_ok=True)
    temporary.cleanup()
