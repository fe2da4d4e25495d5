"""The exceptions that sheetconv raises for what a user can mend.

Every message is one line that says what was got, what was expected, where, and
what to do next. Anything else that escapes the package is a bug.
"""

from __future__ import annotations


class SheetconvError(Exception):
    """The root of every error that sheetconv raises on purpose.

    The command line prints its message on one line and exits with code 2.

    Example:
        >>> issubclass(ShapeError, SheetconvError)
        True
    """


class TemplateError(SheetconvError):
    """A template, or a data file that it names, cannot be used."""


class ImageError(SheetconvError):
    """An image cannot be used: no picture or numbers, damaged, too large, or of another shape."""


class DataError(SheetconvError):
    """A data set cannot be used."""


class WeightsError(SheetconvError):
    """A file of weights cannot be read."""


class ModelError(SheetconvError):
    """A model of another program, from ONNX or PyTorch, cannot be taken over or written."""


class ShapeError(SheetconvError):
    """Shapes of layers, parameters or images do not fit together."""


class LayoutError(SheetconvError):
    """A network cannot be drawn: it exceeds a worksheet or a formula, or planes collide."""


class WorkbookError(SheetconvError):
    """A workbook cannot be read or written."""


class CalculatorError(SheetconvError):
    """A spreadsheet program is missing, failed, or did not answer in time."""


class TraceError(SheetconvError):
    """A cell cannot be traced: it holds no formula, or depends on itself."""


class CheckError(SheetconvError):
    """A workbook cannot be checked or read back.

    It is not one of sheetconv's, or its description is damaged.
    """


class TrainingError(SheetconvError):
    """Training cannot start, or cannot go on."""


class CheckpointError(SheetconvError):
    """A checkpoint cannot be used: it is missing, damaged, of another run or another version."""
