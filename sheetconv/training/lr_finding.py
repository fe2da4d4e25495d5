"""What a sweep over learning rates found."""

from __future__ import annotations

from dataclasses import dataclass

from .history import History


@dataclass(frozen=True, slots=True)
class LrFinding:
    """What a sweep over learning rates found.

    Attributes:
        history: its batches have lr, loss and smooth_loss.
        suggestion: a learning rate.
    """

    history: History
    suggestion: float
