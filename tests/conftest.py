"""What every test starts from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# The same cases each time, and a slow machine fails no law: nothing here is a timing.
settings.register_profile("edgewatch", deadline=None, derandomize=True)
settings.load_profile("edgewatch")


@pytest.fixture(autouse=True)
def _unconfigured_logs() -> Iterator[None]:
    """Undo what a command configured: its output stream may be gone by the next test."""
    yield
    structlog.reset_defaults()
