"""What can be said about a source of data, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...formulas import Shape


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of `load_data` but the source itself; each source takes what is for it."""

    data_dir: Path | None = None
    valid: float | None = None
    seed: int = 0
    image_shape: Shape | None = None
    label: str = "label"
    download: bool = True

    @property
    def share(self) -> float:
        """The share for validation, where a source has no part of its own for it."""
        return 0.2 if self.valid is None else self.valid
