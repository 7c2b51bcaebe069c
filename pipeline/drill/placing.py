"""Placing: where in a camera's picture a drill's incident is put, so that it can be seen. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.incidents.incident import CameraKind, Placement

HEIGHT: Final = 0.4
"""Of the picture's height: a drill asks whether the alarm works, not how small a thing is seen."""
MOST_HIDDEN: Final = 0.5

_FEET: Final = ((0.5, 0.8), (0.35, 0.8), (0.65, 0.8), (0.2, 0.85), (0.8, 0.85), (0.5, 0.95))


def placed(
    begins_seconds: float,
    lasts_seconds: float,
    camera: CameraKind,
    ignored: npt.NDArray[np.bool_] | None,
    *,
    number: int = 0,
) -> Placement | None:
    """Return where an incident goes; None if nearly all of the picture is ignored.

    `ignored`: pixels that are not judged, shape (height, width); None: there are none. `number`:
    of several incidents each has another place, as far as there are such.
    """
    visible = [one for one in _FEET if _hidden(one, ignored) <= MOST_HIDDEN]
    if not visible:
        return None
    visible.sort(key=lambda one: _hidden(one, ignored))  # stable: of equal ones the first
    return Placement(
        begins_seconds=begins_seconds,
        lasts_seconds=lasts_seconds,
        foot=visible[number % len(visible)],
        height=HEIGHT,
        camera=camera,
    )


def _hidden(foot: tuple[float, float], ignored: npt.NDArray[np.bool_] | None) -> float:
    """Return how much of a box over a foot is ignored, 0 to 1."""
    if ignored is None:
        return 0.0
    height, width = ignored.shape
    half = 0.5 * HEIGHT * height
    left, right = round(foot[0] * width - half), round(foot[0] * width + half)
    bottom = round(foot[1] * height)
    box = ignored[max(0, round(bottom - 2 * half)) : bottom, max(0, left) : max(1, right)]
    return float(box.mean()) if box.size else 1.0
