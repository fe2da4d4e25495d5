"""Fixtures that several test files share."""

from __future__ import annotations

import os

import pytest

from sheetconv.calculators import ENGINES, Engine


@pytest.fixture(scope="session")
def libreoffice() -> Engine:
    """LibreOffice; without it the test is skipped, or fails if it is required."""
    engine = ENGINES["libreoffice"]
    status = engine.status()
    if not status.found:
        if os.environ.get("SHEETCONV_REQUIRE_LIBREOFFICE") == "1":
            pytest.fail(f"SHEETCONV_REQUIRE_LIBREOFFICE=1, but {status.hint}")
        pytest.skip(status.hint)
    return engine
