"""Mixing: one light laid over another, as much as a cover says."""

from __future__ import annotations

import cv2
import numpy as np

from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.noise import Field


def tripled(field: Field) -> Light:
    """Give a field (height, width) to each of three channels: NumPy is slow to spread them."""
    return np.asarray(cv2.merge([field, field, field]), np.float32)


def mixed(under: Light, over: Light, cover: Field) -> Light:
    """Lay `over` on `under` where `cover` (height, width) is above 0; 1 hides it."""
    weight = tripled(cover)
    weight *= over - under
    weight += under
    return weight
