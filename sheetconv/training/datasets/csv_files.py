"""A table of pixels: one image a row, one column for its label."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...data_files import reading
from ...errors import DataError
from ...formulas import Shape
from ...layers.validation import shown
from ...spelling import suggestion, these
from .arrays import Examples, datasets_of
from .data import Data
from .memory import require_memory
from .options import Options

if TYPE_CHECKING:
    import pandas as pd

#: What the column of the label may be called where nobody says it.
_LABELS = ("label", "class", "target", "digit", "y")
# So many cells at a time are read, and so many bytes.
_CELLS, _BYTES = 2**22, 2**20
# Four or nine measurements are no picture.
_SMALLEST_SQUARE = 4
# An array of texts gives each as much room as the longest.
_LONGEST_LABEL = 200
# Errors list no more columns than these.
_MOST_LISTED = 8


def load_csv(path: Path, options: Options) -> Data:
    r"""The rows of a .csv file, of which a share is kept back for validation.

    The first row names the columns; between them stands a comma, or a semicolon or tab: then
    decimals may have a comma. All but the label are pixels, in their order. Whole numbers from 0
    to 255 become bytes, anything else float64.

    Args:
        path: the file.
        options: `label` is the column of the label. Without `image_shape`, a square number of
            columns from 4 x 4 on is a picture of one channel, any other number are features.

    Raises:
        DataError: the file is damaged or too large; no column is the label's, or several may
            be; a cell is empty or no number; or the columns do not fit `image_shape`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.csv")
        ...     _ = path.write_text("label,a,b\n" + "cat,0,255\n" * 2 + "dog,51,0\n" * 2)
        ...     data = load_csv(path, Options(valid=0.5))
        >>> data.train.classes, data.train.numbers([0, 1])
        (('cat', 'dog'), array([[0. , 1. ], [0.2, 0. ]]))
    """
    with reading(path, "a .csv file of pixels", DataError):
        table = _Table.opened(path, options.label)
        images, labels = table.read()
    parts = datasets_of(
        Examples(images, labels, f"{path}: the pixels", f"{path}: column {table.label!r}"),
        options.share,
        seed=options.seed,
        image_shape=options.image_shape or _square(images.shape[1]),
    )
    return Data(*parts, str(path))


def _square(count: int) -> Shape | None:
    side = isqrt(count)
    return (1, side, side) if side**2 == count and side >= _SMALLEST_SQUARE else None


@dataclass(frozen=True, slots=True)
class _Table:
    """A .csv file whose columns are known."""

    path: Path
    delimiter: str
    columns: list[str]
    label: str

    @classmethod
    def opened(cls, path: Path, label: str) -> _Table:
        import pandas as pd

        with path.open(encoding="utf-8-sig", errors="replace") as file:
            first = file.readline()
        delimiter = next((mark for mark in (";", "\t") if mark in first), ",")
        columns = list(
            pd.read_csv(path, sep=delimiter, nrows=0, index_col=False, encoding="utf-8-sig").columns
        )
        for number, name in enumerate(columns, 1):
            if name.startswith("Unnamed: "):
                raise DataError(
                    f"{path}: column {number} has no name: name it, or take it out if it only "
                    "numbers the rows"
                )
        own = _label_column(columns, label, path)
        if len(columns) < 2:
            raise DataError(f"{path} has the column {own!r} only: expected columns of pixels")
        return cls(path, delimiter, columns, own)

    def read(self) -> tuple[NDArray[Any], NDArray[np.str_] | NDArray[np.int64]]:
        """The pixels (N, columns), as bytes where all are, and the labels."""
        rows, width = _lines(self.path), len(self.columns) - 1
        out: NDArray[Any] = np.empty((0, width), dtype=np.uint8)
        labels: list[NDArray[Any]] = []
        count = 0
        for chunk in self._chunks():
            # A table of nothing but names is one piece without rows.
            if not len(chunk):
                break
            pixels = self._pixels(chunk, count)
            labels.append(self._words(chunk, count))
            kind = np.uint8 if out.dtype == np.uint8 and _are_bytes(pixels) else np.float64
            if len(out) == 0 or kind != out.dtype:
                require_memory(rows * width * np.dtype(kind).itemsize, f"{self.path}: its pixels")
                before, out = out, np.empty((rows, width), dtype=kind)
                out[:count] = before[:count]
            out[count : count + len(pixels)] = pixels
            count += len(pixels)
        if not count:
            raise DataError(f"{self.path} has no rows below the names of its columns")
        return out[:count], self._numbers(np.concatenate(labels))

    def _chunks(self) -> Iterator[pd.DataFrame]:
        import pandas as pd

        # A row with more cells than names is refused, not cut.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        with pd.read_csv(
            self.path,
            sep=self.delimiter,
            decimal="." if self.delimiter == "," else ",",
            dtype={self.label: str},
            index_col=False,
            keep_default_na=False,
            low_memory=False,
            encoding="utf-8-sig",
            encoding_errors="replace",
            chunksize=max(1, _CELLS // len(self.columns)),
        ) as chunks:
            yield from chunks

    def _pixels(self, chunk: pd.DataFrame, before: int) -> NDArray[Any]:
        """The pixels of some rows, each a finite number."""
        table = chunk.drop(columns=self.label)
        for name, own in table.dtypes.items():
            if own.kind not in "iuf":
                self._refuse_text(table[name], before)
        values = table.to_numpy()
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row, column = (int(n) for n in np.argwhere(~np.isfinite(values))[0])
            self._refuse(before + row, table.columns[column], values[row, column])
        return values

    def _refuse_text(self, column: pd.Series[Any], before: int) -> None:
        import pandas as pd

        wrong = pd.to_numeric(column, errors="coerce").isna().to_numpy()
        row = int(np.argmax(wrong))
        self._refuse(before + row, str(column.name), column.iloc[row])

    def _refuse(self, row: int, column: str, value: Any) -> None:
        # As spreadsheets count, whose first row has the names.
        found = "empty" if isinstance(value, str) and not value.strip() else shown(value)
        raise DataError(
            f"{self.path}: row {row + 2}, column {column!r} is {found}: expected a finite number"
        )

    def _words(self, chunk: pd.DataFrame, before: int) -> NDArray[np.str_]:
        """The labels of some rows as they are written."""
        words = [str(word).strip() for word in chunk[self.label]]
        for row, word in enumerate(words, before + 2):
            if word.lower() in ("", "nan") or len(word) > _LONGEST_LABEL:
                found = f"{len(word):,} characters long" if len(word) > 3 else "empty or NaN"
                raise DataError(
                    f"{self.path}: row {row}, column {self.label!r} is {found}: expected a label "
                    f"of at most {_LONGEST_LABEL} characters"
                )
        return np.array(words, dtype=np.str_)

    def _numbers(self, words: NDArray[np.str_]) -> NDArray[np.str_] | NDArray[np.int64]:
        """The labels as numbers, if all of them are."""
        try:
            numbers = words.astype(np.float64)
        except ValueError:
            return words
        good = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53)
        if not good.all():
            row = int(np.argmin(good))
            raise DataError(
                f"{self.path}: row {row + 2}, column {self.label!r} is {shown(str(words[row]))}: "
                "expected a whole number or a word"
            )
        return numbers.astype(np.int64)


def _label_column(columns: Sequence[str], label: str, path: Path) -> str:
    if label in columns:
        return label
    listed = list(columns[:_MOST_LISTED])
    if label != _LABELS[0]:
        raise DataError(f"{path} has no column {label!r}{suggestion(label, listed)}")
    found = [name for name in columns if name.strip().lower() in _LABELS]
    if len(found) == 1:
        return found[0]
    how = "say which one is with --label (in Python label=...)"
    if found:
        raise DataError(f"{path}: {' and '.join(found)} may both be the label: {how}")
    more = ", ..." if len(columns) > len(listed) else ""
    raise DataError(
        f"{path} has no column {these(_LABELS)} for the label: {how}; its first row names "
        f"{', '.join(listed)}{more}"
    )


def _are_bytes(values: NDArray[Any]) -> bool:
    if values.min() < 0 or values.max() > 255:
        return False
    return values.dtype.kind in "iu" or bool((values == np.floor(values)).all())


def _lines(path: Path) -> int:
    """As many lines as a file has: no fewer than there are rows."""
    feeds = returns = 0
    with path.open("rb") as file:
        while block := file.read(_BYTES):
            feeds += block.count(b"\n")
            returns += block.count(b"\r")
    return 1 + max(feeds, returns)
