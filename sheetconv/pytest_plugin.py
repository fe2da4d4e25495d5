"""A pytest plugin: `pytest workbooks/` checks every workbook of sheetconv in a folder.

Each .xlsx file that sheetconv made becomes one test for its numbers and one for each
layer; other workbooks are passed over. Installed with the package, it loads nothing
until such a file is collected.

::

    pytest workbooks/                                     # the embedded engine
    pytest workbooks/ --sheetconv-engine libreoffice      # or: all
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .checking import CheckResult, WrongCell

_MOST_WRONG = 5


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--sheetconv-engine`."""
    parser.getgroup("sheetconv").addoption(
        "--sheetconv-engine",
        default="ironcalc",
        metavar="NAME",
        help="what recalculates the workbooks: ironcalc, libreoffice, excel or all "
        "(default: ironcalc)",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> WorkbookFile | None:
    """Collect an .xlsx file if sheetconv made it, or if it was asked for and cannot be read."""
    # Excel keeps a lock file named ~$book.xlsx beside an open book.
    if file_path.suffix.lower() != ".xlsx" or file_path.name.startswith("~$"):
        return None
    from .description import SHEET
    from .errors import WorkbookError
    from .xlsx import sheet_parts

    try:
        if SHEET not in sheet_parts(file_path):
            return None
    except WorkbookError:
        if not _asked_for(file_path, parent.config):
            return None
    return WorkbookFile.from_parent(parent, path=file_path)


def _asked_for(file_path: Path, config: pytest.Config) -> bool:
    """Whether the file, or its own folder, was named on the command line."""
    named = {
        (config.invocation_params.dir / argument.partition("::")[0]).resolve()
        for argument in config.args
    }
    return bool(named & {file_path.resolve(), file_path.parent.resolve()})


class WorkbookFile(pytest.File):
    """One workbook; it is recalculated once, when its first test runs."""

    _result: CheckResult | None = None

    def collect(self) -> Iterator[WorksheetTests | UnreadableItem]:
        """The networks by their first worksheets; one failing test if the file cannot be read.

        An error of collection would stop the tests of every other workbook.
        """
        from .errors import SheetconvError
        from .tensor_cells import read_descriptions

        try:
            networks = read_descriptions(self.path)
        except SheetconvError as error:
            yield UnreadableItem.from_parent(self, name="readable", error=error)
            return
        for network in networks:
            labels = [stage.label for stage in network.layout.stages]
            yield WorksheetTests.from_parent(
                self,
                name=network.worksheet,
                labels=labels,
                sheets=frozenset(network.layout.worksheets),
            )

    def result(self) -> CheckResult:
        """The check of the whole workbook."""
        if self._result is None:
            from .calculators import find_engine, found_engines
            from .checking import check

            name = self.config.getoption("--sheetconv-engine")
            engines = found_engines() if name == "all" else [find_engine(name)]
            self._result = check(self.path, engines)
        return self._result


class UnreadableItem(pytest.Item):
    """A workbook that cannot be read."""

    def __init__(self, *, error: Exception, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.error = error

    def runtest(self) -> None:
        """Fail with the reason."""
        raise self.error

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        """The reason instead of a traceback."""
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """What pytest prints above the failure."""
        return self.path, None, f"{self.path.name}::readable"


class WorksheetTests(pytest.Collector):
    """One network, on one worksheet or several."""

    def __init__(self, *, labels: list[str], sheets: frozenset[str], **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.labels = labels
        self.sheets = sheets

    def collect(self) -> Iterator[LayerItem]:
        """One test for the numbers, and one for each layer."""
        from .checking import NUMBERS

        for label in (NUMBERS, *self.labels):
            yield LayerItem.from_parent(self, name=label)


class LayerItem(pytest.Item):
    """One layer of a network, or, with the name `numbers`, its image and weights."""

    def runtest(self) -> None:
        """Fail with the wrong cells of the layer, if there are any."""
        file = self.getparent(WorkbookFile)
        sheet = self.getparent(WorksheetTests)
        assert file is not None
        assert sheet is not None
        result = file.result()
        wrong = [
            item
            for item in result.wrong
            if item.cell.sheet in sheet.sheets and item.layer == self.name
        ]
        follows = max(
            (
                layer.follows
                for layer in result.layers
                if layer.worksheet in sheet.sheets and layer.label == self.name
            ),
            default=0,
        )
        if wrong or follows:
            raise WrongCellsError(wrong, follows)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        """The worst cells instead of a traceback."""
        from .errors import SheetconvError

        if isinstance(excinfo.value, WrongCellsError | SheetconvError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """What pytest prints above a failure."""
        names = [node.name for node in self.listchain() if isinstance(node, WorksheetTests)]
        return self.path, None, "::".join((*names, self.name))


class WrongCellsError(Exception):
    """A layer of a workbook has wrong cells."""

    def __init__(self, wrong: list[WrongCell], follows: int) -> None:
        lines = [str(item) for item in wrong[:_MOST_WRONG]]
        if len(wrong) > _MOST_WRONG:
            lines.append(f"... and {len(wrong) - _MOST_WRONG:,} more")
        if follows:
            cells = "1 cell is" if follows == 1 else f"{follows:,} cells are"
            lines.append(f"{cells} off because of cells before")
        super().__init__("\n".join(lines))
