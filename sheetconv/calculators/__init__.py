"""The spreadsheet engines, and how to find one by name.

Importing this imports no engine's own package and starts nothing.
"""

from __future__ import annotations

from difflib import get_close_matches

from ..errors import CalculatorError
from ..values import CellError, Value
from .base import Engine, EngineStatus, OpenBook
from .excel import Excel
from .ironcalc import IronCalc
from .libreoffice import LibreOffice

__all__ = [
    "ENGINES",
    "CellError",
    "Engine",
    "EngineStatus",
    "OpenBook",
    "Value",
    "find_engine",
    "found_engines",
    "statuses",
]

#: Every engine by its name; the first is the default.
ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (IronCalc(), LibreOffice(), Excel())
}


def find_engine(name: str) -> Engine:
    """The engine of that name, which can be used on this machine.

    Raises:
        CalculatorError: there is none of that name, or its program is not found here.

    Example:
        >>> find_engine("ironcalc").name
        'ironcalc'
        >>> find_engine("iron")
        Traceback (most recent call last):
        sheetconv.errors.CalculatorError: there is no engine 'iron', did you mean 'ironcalc'? The
        engines are ironcalc, libreoffice, excel
    """
    if name not in ENGINES:
        close = get_close_matches(name.lower(), ENGINES, 1, cutoff=0.5)
        hint = f", did you mean {close[0]!r}?" if close else ":"
        known = ", ".join(ENGINES)
        raise CalculatorError(f"there is no engine {name!r}{hint} The engines are {known}")
    status = ENGINES[name].status()
    if not status.found:
        raise CalculatorError(f"the engine {name} cannot be used here: {status.hint}")
    return ENGINES[name]


def found_engines() -> list[Engine]:
    """The engines that can be used on this machine, the default first."""
    return [ENGINES[status.name] for status in statuses() if status.found]


def statuses() -> list[EngineStatus]:
    """What is known of every engine, found or not, the default first."""
    return [engine.status() for engine in ENGINES.values()]
