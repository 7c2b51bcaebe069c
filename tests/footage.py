"""Real clips to test on, where they are at hand: beside the project, never in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOOTAGE = Path(
    os.environ.get("EDGEWATCH_FOOTAGE", Path(__file__).parents[2] / "shared" / "footage")
)
"""A folder of recordings with an INDEX.csv."""

needs_footage = pytest.mark.skipif(
    not FOOTAGE.is_dir(), reason="the real clips are not here: set EDGEWATCH_FOOTAGE to a folder"
)
