"""The address of a cell, as a person types it, taken apart by formulas of text.

Plain functions of Excel 2007, one step a cell, so that nonsense gives zeros and no error;
INDIRECT would be calculated anew at every edit, and shows #REF! for what is no address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..cells import Cell, column_index
from ..values import Value
from .base import NOTE, GuideCell, quoted_text

#: How many steps there are, one below the other; which of them are the results.
STEPS = 12
SHEET_STEP, ROW_STEP, COLUMN_STEP = 3, 10, 11

# Capital and small ones: what UPPER makes of an i depends on the program's language.
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BOTH = _ALPHABET + _ALPHABET.lower()
_DIGITS = re.compile("[1-9][0-9]{0,6}")
_MOST_LETTERS = 3


def plain_sheet(name: str) -> str:
    """A worksheet's name as it is compared: without quotes, dollars, and blanks around it.

    Example:
        >>> plain_sheet(" 'it''s'")
        'its'
    """
    return name.replace("$", "").replace("'", "").strip()


def is_same_sheet(one: str, other: str) -> bool:
    """Whether two names are one worksheet's: programs tell no capital letters from small ones."""
    return plain_sheet(one).lower() == plain_sheet(other).lower()


def taken_apart(typed: str, home: str) -> tuple[str, int, int]:
    """Worksheet, and row and column from 1 of an address; 0 where it is none.

    Args:
        typed: what a person typed.
        home: the worksheet that is meant where none is named.

    Example:
        >>> taken_apart("'my net'!$aa7", "net"), taken_apart("seven", "net")
        (('my net', 7, 27), ('net', 0, 0))
    """
    sheet, cell = _sheet_and_cell(typed, home)
    for letters in range(1, _MOST_LETTERS + 1):
        name, digits = cell[:letters], _DIGITS.fullmatch(cell[letters:])
        if len(name) == letters and set(name) <= set(_BOTH) and digits:
            return sheet, int(digits[0]), column_index(name) + 1
    return sheet, 0, 0


def _sheet_and_cell(typed: str, home: str) -> tuple[str, str]:
    before, bang, cell = plain_sheet(typed).partition("!")
    if not bang:
        before, cell = "", before
    return before.strip() or plain_sheet(home), cell.replace(" ", "")


def steps(typed: str, home: str, source: str, first: Cell) -> Iterator[GuideCell]:
    """The steps, each with its label on the left.

    Args:
        typed: what stands in `source`, for the expectation.
        home: as for `taken_apart`.
        source: a reference to the cell that holds the address.
        first: where the first step stands.
    """
    clean = plain_sheet(typed)
    bang = clean.find("!") + 1
    cell = clean[bang:].replace(" ", "")
    sheet, row, column = taken_apart(typed, home)
    a1 = [Cell(first.sheet, first.row + k, first.column).a1 for k in range(STEPS)]
    text, position, own = a1[:3]
    letters, numbers = a1[4:7], a1[7:10]
    named = f"TRIM(LEFT({text},{position}-1))"
    parsed: list[tuple[str, str, Value]] = [
        (
            "what is typed",
            f'TRIM(SUBSTITUTE(SUBSTITUTE({source},"$",""),"\'",""))',
            _trimmed(clean),
        ),
        ("the ! in it is at", f'IFERROR(FIND("!",{text}),0)', float(_trimmed(clean).find("!") + 1)),
        ("the cell", f'MID(SUBSTITUTE(MID({text},{position}+1,99)," ",""),1,20)', cell[:20]),
        (
            "the worksheet",
            f"IF({position}>1,{named},{quoted_text(plain_sheet(home))})",
            _trimmed(sheet),
        ),
        *_letters(own, cell),
        *_numbers(own, cell),
        ("row", _first_that_fits(letters, numbers, numbers), float(row)),
        ("column", _first_that_fits(letters, numbers, _columns(letters)), float(column)),
    ]
    for k, (label, formula, value) in enumerate(parsed):
        place = Cell(first.sheet, first.row + k, first.column)
        yield GuideCell(Cell(place.sheet, place.row, place.column - 1), label, style=NOTE)
        yield GuideCell(place, value, formula)


def _trimmed(text: str) -> str:
    """What TRIM leaves: no blanks around a text, and single ones in it."""
    return " ".join(part for part in text.split(" ") if part)


def _letters(own: str, cell: str) -> Iterator[tuple[str, str, Value]]:
    """The first three letters by their places in the alphabet; 0 for what is none."""
    for k in range(1, _MOST_LETTERS + 1):
        place = f'FIND(MID({own},{k},1),"{_BOTH}")'
        formula = f"IF(LEN({own})>={k},IFERROR(MOD({place}-1,{len(_ALPHABET)})+1,0),0)"
        letter = cell[k - 1 : k]
        found = _BOTH.find(letter) % len(_ALPHABET) + 1 if letter and letter in _BOTH else 0
        yield f"letter {k}", formula, float(found)


def _numbers(own: str, cell: str) -> Iterator[tuple[str, str, Value]]:
    """The whole numbers behind one, two or three letters; 0 for what is none."""
    for k in range(1, _MOST_LETTERS + 1):
        digits = f"MID({own},{k + 1},8)"
        # VALUE takes dates and powers of ten, too: only what looks the same again is a number.
        whole = f'AND(VALUE({digits})&""={digits},VALUE({digits})=INT(VALUE({digits})))'
        formula = (
            f"IFERROR(IF({whole},IF(AND(VALUE({digits})>0,LEN({digits})<8),VALUE({digits}),0),0),0)"
        )
        found = _DIGITS.fullmatch(cell[k : k + 8])
        yield (
            f"number behind {k} letter{'s' if k > 1 else ''}",
            formula,
            float(found[0] if found else 0),
        )


def _columns(letters: list[str]) -> list[str]:
    """The column of one, two or three letters."""
    one, two, three = letters
    return [one, f"26*{one}+{two}", f"676*{one}+26*{two}+{three}"]


def _first_that_fits(letters: list[str], numbers: list[str], choices: list[str]) -> str:
    """The choice for the least letters of which all are some, with a number behind them."""
    formula = "0"
    for k in reversed(range(_MOST_LETTERS)):
        tests = ",".join(f"{cell}>0" for cell in (*letters[: k + 1], numbers[k]))
        formula = f"IF(AND({tests}),{choices[k]},{formula})"
    return formula
