"""What every test starts from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _unconfigured_logs() -> Iterator[None]:
    """Undo what a command configured: its output stream may be gone by the next test."""
    yield
    structlog.reset_defaults()
