"""Small recipes for tests: a still without scenery, few pictures."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from edgewatch.pipeline.scenes.clips.placing import Ground, place_incident
from edgewatch.pipeline.scenes.clips.recipe import Recipe
from edgewatch.pipeline.scenes.moving.path import Motion
from edgewatch.pipeline.scenes.still_file import pixels_sha256
from edgewatch.pipeline.scenes.truth import IncidentKind
from edgewatch.pipeline.types import Pixels

SIZE = (160, 96)
FPS = 8.0
SECONDS = 2.0


def _street() -> Pixels:
    """Sky, ground and some things: edges that tell one view from the next."""
    rng = np.random.default_rng(4)
    coarse = rng.integers(60, 190, (12, 20, 3), np.uint8)
    still = np.asarray(cv2.resize(coarse, (320, 192), interpolation=cv2.INTER_CUBIC), np.uint8)
    still[:80] = 200 - still[:80] // 8
    for left in range(10, 310, 45):
        still[60:110, left : left + 12] = rng.integers(20, 230, 3, np.uint8)
    return still


STILL = _street()


def still_recipe(
    incident: IncidentKind | None = None,
    *,
    seed: int = 7,
    motion: Motion = "handheld",
    begins_seconds: float = 1.0,
) -> Recipe:
    """A clip of the still, 16 pictures."""
    bare = Recipe(
        seed, "", pixels_sha256(STILL), size=SIZE, fps=FPS, seconds=SECONDS, motion=motion
    )
    if incident is None:
        return bare
    placement = place_incident(
        incident,
        Ground(bare.camera, bare.still_horizon),
        seed,
        SECONDS,
        begins_seconds=begins_seconds,
        height=0.4,
    )
    return replace(bare, incident=incident, placement=placement)
