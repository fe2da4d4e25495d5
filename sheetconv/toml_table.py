"""A TOML table that says what is wrong with it: the file, the key, what it got, what it takes."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from .cells import parse_cell, parse_range
from .errors import LayoutError, TemplateError
from .layers.validation import shown
from .spelling import meant, misspelt, suggestion, these

_T = TypeVar("_T")
# Of a table in a list: TOML's headers have none.
_NUMBERS = re.compile(r"\[[0-9]+\]")


class Table:
    """A TOML table that knows where it stands and which of its keys were asked for."""

    def __init__(self, content: Any, file: str, where: str) -> None:
        self.file = file
        self.where = where
        if not isinstance(content, dict):
            raise self.error("", content, "a table")
        self.content: dict[str, Any] = content
        self.asked: list[str] = []

    def error(self, key: str, got: Any, expected: str) -> TemplateError:
        place = ".".join(part for part in (self.where, key) if part) or "the file"
        return TemplateError(f"{self.file}: {place} is {shown(got)}: expected {expected}")

    def get(
        self,
        key: str,
        kind: type[_T],
        expected: str,
        default: _T | None = None,
        *,
        need: bool = False,
    ) -> _T | None:
        self.asked.append(key)
        if key not in self.content:
            if need:
                place = f" in {self.where}" if self.where else ""
                raise TemplateError(
                    f"{self.file}: {key!r} is missing{place}: expected {expected}{self._near(key)}"
                )
            return default
        value = self.content[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(key, value, expected + self._near(key))
        return value

    def _near(self, key: str) -> str:
        return misspelt(key, [name for name in self.content if name not in self.asked])

    def need(self, key: str, kind: type[_T], expected: str) -> _T:
        value = self.get(key, kind, expected, need=True)
        assert value is not None
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        """One of several words, of which the error names the likeliest."""
        value = self.get(key, str, these(allowed), default)
        if value not in allowed:
            raise self.error(key, value, these(allowed) + meant(value, allowed))
        return value

    def cells(self, key: str, text: str, *, many: bool = False) -> str:
        """A text that names one cell, or with `many` ranges separated by blanks, checked.

        Raises:
            TemplateError: it does not.
        """
        try:
            for part in text.split() if many else [text]:
                parse_range(part) if many else parse_cell(part)
        except LayoutError as error:
            place = ".".join(item for item in (self.where, key) if item)
            raise TemplateError(f"{self.file}: {place}: {error}") from None
        return text

    def tables(self, key: str, *, need: bool = False) -> list[Table]:
        place = ".".join(part for part in (self.where, key) if part)
        expected = "a list of tables"
        others = [name for name in self.content if name != key and name not in self.asked]
        if isinstance(self.content.get(key), dict) and not misspelt(key, others):
            expected += f": write [[{_NUMBERS.sub('', place)}]]"
        found = self.get(key, list, expected, [], need=need) or []
        return [Table(item, self.file, f"{place}[{n}]") for n, item in enumerate(found)]

    def table(self, key: str) -> Table:
        place = ".".join(part for part in (self.where, key) if part)
        return Table(self.get(key, dict, "a table", {}), self.file, place)

    def finish(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self.content:
            if key not in self.asked:
                place = f" in {self.where}" if self.where else ""
                raise TemplateError(
                    f"{self.file}: unknown key {key!r}{place}{suggestion(key, self.asked)}"
                )
