"""Guides: what a workbook shows around a network, so that it explains itself.

Each is one file: `sizes`, `receptive_field`, `pictures`, `kernels`, `gallery`,
`matrix_product`; `answer` and `head` stand above the network, `cover` before it.
"""

from .base import (
    HEAD_ROWS,
    TITLE_HEIGHT,
    TITLE_ROW,
    Given,
    Guide,
    GuideCell,
    GuidePage,
    Highlight,
    Shown,
    Validation,
)
from .pictures import MOST_PICTURES
from .planning import (
    KINDS,
    Guides,
    check_pictures,
    free_name,
    from_config,
    guide_sheets,
    plan,
    to_config,
    with_head,
)

__all__ = [
    "HEAD_ROWS",
    "KINDS",
    "MOST_PICTURES",
    "TITLE_HEIGHT",
    "TITLE_ROW",
    "Given",
    "Guide",
    "GuideCell",
    "GuidePage",
    "Guides",
    "Highlight",
    "Shown",
    "Validation",
    "check_pictures",
    "free_name",
    "from_config",
    "guide_sheets",
    "plan",
    "to_config",
    "with_head",
]
