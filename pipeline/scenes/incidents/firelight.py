"""Firelight: what a fire does to the ground around it."""

from __future__ import annotations

import numpy as np

from edgewatch.pipeline.scenes.incidents.grain import Light


def bell(
    shape: tuple[int, ...], foot: tuple[float, float], radius: float, flat: float = 0.55
) -> Light:
    """Draw a bell, 1 at the foot, `flat` times as high as wide: on the ground by default.

    Shape (height, width, 1).
    """
    down = (np.arange(shape[0], dtype=np.float32) - foot[1]) / (flat * radius)
    across = (np.arange(shape[1], dtype=np.float32) - foot[0]) / radius
    return np.asarray(np.outer(np.exp(-(down**2)), np.exp(-(across**2))), np.float32)[..., None]


def lit(before: Light, foot: tuple[float, float], tall: float, amount: float) -> Light:
    """Throw firelight on the ground: it multiplies what is there, warm."""
    warm = np.array((0.75, 0.36, 0.08), np.float32) * np.float32(amount)
    return before * (1.0 + warm * bell(before.shape, foot, 1.3 * tall))


def charred(picture: Light, foot: tuple[float, float], tall: float, amount: float) -> Light:
    """Blacken the ground where it burns."""
    spot = np.clip(1.6 * bell(picture.shape, foot, 0.42 * tall) - 0.3, 0, 1)
    return np.asarray(picture * (1.0 - np.float32(0.85 * amount) * spot), np.float32)
