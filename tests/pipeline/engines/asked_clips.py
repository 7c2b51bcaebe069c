"""Clips to ask about."""

from __future__ import annotations

import numpy as np

from edgewatch.pipeline.engines.model import AskedClip

PROMPT = "Watch the street. An anomaly is a crash, a fight, or smoke."


def asked(
    seed: int = 0,
    *,
    frames: int = 4,
    height: int = 112,
    width: int = 112,
    fps: float = 4.0,
    prompt: str = PROMPT,
) -> AskedClip:
    """Random blocks of 8 pixels: every clip looks another way."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (frames, height // 4, width // 4, 3), np.uint8)
    return AskedClip(blocks.repeat(4, axis=1).repeat(4, axis=2), fps, prompt)
