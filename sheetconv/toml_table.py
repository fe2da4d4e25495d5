"""A TOML table that says what is wrong with it: the file, the key, what it got, what it takes."""

from __future__ import annotations

from typing import Any, TypeVar

from .errors import TemplateError
from .layers import suggestion

_T = TypeVar("_T")


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
        return TemplateError(f"{self.file}: {place} is {_shown(got)}: expected {expected}")

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
                raise TemplateError(f"{self.file}: {key!r} is missing{place}: expected {expected}")
            return default
        value = self.content[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(key, value, expected)
        return value

    def need(self, key: str, kind: type[_T], expected: str) -> _T:
        value = self.get(key, kind, expected, need=True)
        assert value is not None
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.get(key, str, " or ".join(allowed), default)
        if value not in allowed:
            raise self.error(key, value, " or ".join(allowed))
        return value

    def tables(self, key: str, *, need: bool = False) -> list[Table]:
        found = self.get(key, list, "a list of tables", [], need=need) or []
        place = ".".join(part for part in (self.where, key) if part)
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


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
