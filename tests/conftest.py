"""Fixtures that several test files share."""

from __future__ import annotations

import os
import signal

import pytest

from sheetconv.calculators import ENGINES, Engine


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start.

    Workers of pytest-xdist, and shells that start something in the background, ignore it, and
    so would every program that they start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
