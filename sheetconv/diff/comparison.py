"""Compare two workbooks by sheet and cell: the proof that one reproduces the other.

It owns what counts as a difference and where it is said to be. Reading the files is
`snapshot`'s work, and the text of the report `report`'s.

Compared are: worksheets, their order and visibility; formulas; constants; cached
values; number formats; bold and italic; colour scales; column widths; merged cells.
Not compared: fills, borders, other fonts, row heights, other rules, charts, comments,
defined names, and worksheets that are very hidden.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from ..cells import Range, column_name
from ..values import CellError, Value
from .report import Aspect, Difference, WorkbookDiff
from .snapshot import (
    ColourScale,
    ColumnFormat,
    Formula,
    Position,
    SheetFacts,
    WorkbookFacts,
    snapshot,
)

__all__ = ["Difference", "WorkbookDiff", "diff"]

_MISSING = "(none)"
# How far the cached values of two programs lie apart in long sums, relatively.
_ROUNDING = 1e-12


def diff(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    rtol: float | None = None,
    atol: float = 0.0,
) -> WorkbookDiff:
    """Compare two workbooks.

    Args:
        a: the first .xlsx file.
        b: the second .xlsx file.
        rtol: how far numbers may lie apart, relative to the larger one. Default: constants
            not at all, to the last bit; cached values, which programs round differently,
            1e-12.
        atol: how far they may lie apart in any case, for values near zero.

    Raises:
        WorkbookError: one of them is no workbook that can be read.
    """
    facts_a, facts_b = snapshot(a), snapshot(b)
    differences = list(_order(facts_a, facts_b))
    compared: dict[str, dict[Aspect, int]] = {}
    volatile: dict[str, int] = {}
    for name in {**facts_a.sheets, **facts_b.sheets}:
        if name in facts_a.sheets and name in facts_b.sheets:
            comparison = _Sheets(name, facts_a.sheets[name], facts_b.sheets[name], rtol, atol)
            differences += comparison.differences()
            compared[name] = comparison.compared
            if comparison.volatile:
                volatile[name] = comparison.volatile
        else:
            differences.append(
                Difference(name, "", "sheet", _presence(facts_a, name), _presence(facts_b, name))
            )
    return WorkbookDiff(
        Path(a),
        Path(b),
        tuple(differences),
        compared,
        volatile,
        tuple(sorted(facts_a.volatile_functions | facts_b.volatile_functions)),
        tuple(dict.fromkeys(facts_a.very_hidden + facts_b.very_hidden)),
    )


def _presence(facts: WorkbookFacts, name: str) -> str:
    if name in facts.very_hidden:
        return "very hidden"
    return "present" if name in facts.sheets else "missing"


def _order(a: WorkbookFacts, b: WorkbookFacts) -> Iterator[Difference]:
    in_a = [name for name in a.sheets if name in b.sheets]
    in_b = [name for name in b.sheets if name in a.sheets]
    if in_a != in_b:
        yield Difference("", "", "sheet", f"order {', '.join(in_a)}", f"order {', '.join(in_b)}")


class _Sheets:
    """The comparison of one worksheet of a with that of b."""

    def __init__(
        self, name: str, a: SheetFacts, b: SheetFacts, rtol: float | None, atol: float
    ) -> None:
        self.name, self.a, self.b, self.atol = name, a, b, atol
        self.rtol = _ROUNDING if rtol is None else rtol
        self.constants_exact = rtol is None
        self.compared: dict[Aspect, int] = {}
        self.volatile = 0

    def differences(self) -> Iterator[Difference]:
        """Every difference, aspect by aspect; fills in the counts on the way."""
        if self.a.state != self.b.state:
            yield Difference(self.name, "", "sheet", self.a.state, self.b.state)
        yield from self._formulas()
        yield from self._constants()
        yield from self._values()
        yield from self._styles()
        yield from self._colour_scales()
        yield from self._columns()
        yield from self._merged()

    def _at(self, position: Position, aspect: Aspect, a: str, b: str) -> Difference:
        return Difference(self.name, Range(self.name, *position).a1, aspect, a, b)

    def _formulas(self) -> Iterator[Difference]:
        positions = sorted(self.a.formulas.keys() | self.b.formulas.keys())
        self.compared["formula"] = len(positions)
        for position in positions:
            if self.a.formulas.get(position) != self.b.formulas.get(position):
                texts = [_content(facts, position) for facts in (self.a, self.b)]
                yield self._at(position, "formula", *texts)

    def _constants(self) -> Iterator[Difference]:
        computed = self.a.values.keys() | self.b.values.keys()
        positions = sorted((self.a.constants.keys() | self.b.constants.keys()) - computed)
        self.compared["constant"] = len(positions)
        for position in positions:
            a, b = self.a.constants.get(position), self.b.constants.get(position)
            if not (
                _identical(a, b) if self.constants_exact else _close(a, b, self.rtol, self.atol)
            ):
                yield self._at(position, "constant", _text(a), _text(b))

    def _values(self) -> Iterator[Difference]:
        both = self.a.values.keys() & self.b.values.keys()
        volatile = (self.a.volatile | self.b.volatile) & both
        self.volatile = len(volatile)
        positions = sorted(both - volatile)
        self.compared["value"] = len(positions)
        for position in positions:
            a, b = self.a.values[position], self.b.values[position]
            if not _close(a, b, self.rtol, self.atol):
                yield self._at(position, "value", _text(a), _text(b))

    def _styles(self) -> Iterator[Difference]:
        positions = sorted(self.a.styles.keys() | self.b.styles.keys())
        self.compared["number format"] = self.compared["font"] = len(positions)
        styles = [
            (position, self.a.style(position), self.b.style(position)) for position in positions
        ]
        for position, a, b in styles:
            if a.number_format != b.number_format:
                yield self._at(position, "number format", a.number_format, b.number_format)
        for position, a, b in styles:
            if (a.bold, a.italic) != (b.bold, b.italic):
                yield self._at(position, "font", _font(a.bold, a.italic), _font(b.bold, b.italic))

    def _colour_scales(self) -> Iterator[Difference]:
        scales_a, scales_b = _by_ranges(self.a.colour_scales), _by_ranges(self.b.colour_scales)
        self.compared["colour scale"] = len(self.a.colour_scales | self.b.colour_scales)
        for ranges in sorted(scales_a.keys() | scales_b.keys()):
            a, b = scales_a.get(ranges, _MISSING), scales_b.get(ranges, _MISSING)
            if a != b:
                yield Difference(self.name, ranges, "colour scale", a, b)

    def _columns(self) -> Iterator[Difference]:
        columns = sorted(self.a.columns.keys() | self.b.columns.keys())
        self.compared["column"] = len(columns)
        if self.a.default_width != self.b.default_width:
            widths = (f"default width {x.default_width:g}" for x in (self.a, self.b))
            yield Difference(self.name, "", "column", *widths)
        unlike = [
            (column, self.a.column(column), self.b.column(column))
            for column in columns
            if self.a.column(column) != self.b.column(column)
        ]
        # Neighbours with the same difference are one line: a block is widened as a whole.
        for (_, a, b), run in groupby(enumerate(unlike), lambda item: _run_key(*item)):
            group = [column for _, (column, _, _) in run]
            where = f"{column_name(group[0])}:{column_name(group[-1])}"
            yield Difference(self.name, where, "column", _column(a), _column(b))

    def _merged(self) -> Iterator[Difference]:
        self.compared["merged range"] = len(self.a.merged | self.b.merged)
        for area in sorted(self.a.merged ^ self.b.merged):
            texts = ("merged" if area in facts.merged else "apart" for facts in (self.a, self.b))
            yield Difference(self.name, area, "merged range", *texts)


def _run_key(
    index: int, item: tuple[int, ColumnFormat, ColumnFormat]
) -> tuple[int, ColumnFormat, ColumnFormat]:
    column, a, b = item
    return column - index, a, b


def _by_ranges(scales: Iterable[ColourScale]) -> dict[str, str]:
    """The rules of each set of ranges, as text."""
    found: dict[str, str] = {}
    for scale in sorted(scales):
        ranges = " ".join(scale.ranges)
        points = " to ".join(" ".join(part for part in point if part) for point in scale.points)
        found[ranges] = f"{found[ranges]}; {points}" if ranges in found else points
    return found


def _identical(a: Value, b: Value) -> bool:
    """Equal to the last bit, and of one type."""
    if type(a) is not type(b):
        return False
    # repr tells -0.0 from 0.0, and finds NaN equal to itself.
    return repr(a) == repr(b) if isinstance(a, float) else a == b


def _close(a: Value, b: Value, rtol: float, atol: float) -> bool:
    if isinstance(a, float) and isinstance(b, float) and not (math.isnan(a) and math.isnan(b)):
        return math.isclose(a, b, rel_tol=rtol, abs_tol=atol)
    return _identical(a, b)


def _content(facts: SheetFacts, position: Position) -> str:
    formula = facts.formulas.get(position)
    if formula is not None:
        return _formula(formula)
    if position in facts.values:
        return "(part of an array formula)"
    value = facts.constants.get(position)
    return _MISSING if value is None else f"constant {_text(value)}"


def _formula(formula: Formula) -> str:
    if not formula.array:
        return formula.text
    return (
        f"{{{formula.text}}} in {formula.array}" if ":" in formula.array else f"{{{formula.text}}}"
    )


def _text(value: Value) -> str:
    if value is None:
        return _MISSING
    if isinstance(value, bool):
        return str(value).upper()
    return str(value) if isinstance(value, CellError) else repr(value)


def _font(bold: bool, italic: bool) -> str:
    words = [word for word, holds in (("bold", bold), ("italic", italic)) if holds]
    return " ".join(words) or "upright"


def _column(form: ColumnFormat) -> str:
    level = f", outline level {form.outline_level}" if form.outline_level else ""
    return f"width {form.width!r}{', hidden' if form.hidden else ''}{level}"
