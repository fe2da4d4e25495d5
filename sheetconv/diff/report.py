"""What a comparison of two workbooks found, and its text for the terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..cells import quote_sheet

#: What is compared.
Aspect = Literal[
    "sheet",
    "formula",
    "constant",
    "value",
    "number format",
    "font",
    "colour scale",
    "column",
    "merged range",
]

#: Texts longer than this are cut around the place where they part.
_EXCERPT = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between workbooks a and b.

    Attributes:
        sheet: the worksheet; empty for the workbook as a whole.
        cell: A1 text of the cell, range or columns; empty for the worksheet as a whole.
        aspect: what differs.
        a: what workbook a has, in full.
        b: what workbook b has, in full.

    Example:
        >>> print(Difference("conv-example", "AK7", "formula", "=MAX(A1)", "=MAX(A2)"))
        'conv-example'!AK7: formula =MAX(A1) | =MAX(A2)
    """

    sheet: str
    cell: str
    aspect: Aspect
    a: str
    b: str

    @property
    def where(self) -> str:
        """The worksheet and cell as a formula spells them."""
        if not self.sheet:
            return "workbook"
        return f"{quote_sheet(self.sheet)}!{self.cell}" if self.cell else quote_sheet(self.sheet)

    def __str__(self) -> str:
        a, b = _excerpts(self.a, self.b)
        return f"{self.where}: {self.aspect} {a} | {b}"


@dataclass(frozen=True, slots=True)
class WorkbookDiff:
    """How two workbooks differ.

    Attributes:
        a: the first file.
        b: the second file.
        differences: every difference, worksheet by worksheet, aspect by aspect, row by row.
        compared: how many things were compared, by worksheet and aspect.
        volatile: cells whose values were not compared, by worksheet, where there are any.
        volatile_functions: the functions on which those cells depend.
        very_hidden: worksheets that were not compared.
    """

    a: Path
    b: Path
    differences: tuple[Difference, ...]
    compared: dict[str, dict[Aspect, int]] = field(default_factory=dict)
    volatile: dict[str, int] = field(default_factory=dict)
    volatile_functions: tuple[str, ...] = ()
    very_hidden: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether no difference was found."""
        return not self.differences

    @property
    def counts(self) -> dict[str, dict[Aspect, int]]:
        """How many differences there are, by worksheet ("" is the workbook) and aspect."""
        found: dict[str, dict[Aspect, int]] = {}
        for difference in self.differences:
            by_aspect = found.setdefault(difference.sheet, {})
            by_aspect[difference.aspect] = by_aspect.get(difference.aspect, 0) + 1
        return found

    def summary(self) -> str:
        """What was compared, what was not, and the verdict, for the terminal."""
        lines = [f"a: {self.a}", f"b: {self.b}"]
        for sheet, by_aspect in self.compared.items():
            what = ", ".join(_count(count, aspect) for aspect, count in by_aspect.items() if count)
            lines.append(f"{quote_sheet(sheet)}: compared {what or 'nothing: it is blank'}")
            if sheet in self.volatile:
                verb = "depends" if self.volatile[sheet] == 1 else "depend"
                lines.append(
                    f"  {_count(self.volatile[sheet], 'cell')} {verb} on "
                    f"{', '.join(self.volatile_functions)}: values not compared"
                )
        if self.very_hidden:
            number = _count(len(self.very_hidden), "very hidden worksheet")
            lines.append(f"{number} not compared: {', '.join(self.very_hidden)}")
        for sheet, by_aspect in self.counts.items():
            what = ", ".join(_count(count, aspect) for aspect, count in by_aspect.items())
            lines.append(f"{quote_sheet(sheet) if sheet else 'workbook'}: differs in {what}")
        lines.append(
            "equal" if self.equal else f"different: {_count(len(self.differences), 'difference')}"
        )
        return "\n".join(lines)

    def lines(self, limit: int | None = 20) -> list[str]:
        """One line for each of the first `limit` differences (None: all), and how many more."""
        shown = self.differences[:limit]
        more = len(self.differences) - len(shown)
        return [str(difference) for difference in shown] + ([f"... and {more:,} more"] * (more > 0))


def _count(number: int, what: str) -> str:
    plural = what if number == 1 or what.endswith("s") else what + "s"
    return f"{number:,} {plural}"


def _excerpts(a: str, b: str) -> tuple[str, str]:
    """Both texts, cut alike around the first place where they part."""
    if max(len(a), len(b)) <= _EXCERPT:
        return a, b
    pairs = enumerate(zip(a, b, strict=False))
    parting = next((index for index, (x, y) in pairs if x != y), min(len(a), len(b)))
    start = max(0, min(parting - _EXCERPT // 4, max(len(a), len(b)) - _EXCERPT))
    return _cut(a, start), _cut(b, start)


def _cut(text: str, start: int) -> str:
    end = start + _EXCERPT
    return f"{'...' * (start > 0)}{text[start:end]}{'...' * (len(text) > end)}"
