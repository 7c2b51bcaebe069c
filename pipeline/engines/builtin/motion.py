"""Motion between sampled frames: what moved once the camera's own motion is taken out.

Works on grey pictures of about 7000 pixels. Lengths are in *sides*: the square root of the
picture's area, so that figures hold for any size and aspect; speeds in sides per second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.types import Pixels

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

STILL_SHARE = 0.45
"""With more of the texture unmoved than this the camera stood still between two frames."""

MOVING_SPEED = 0.05
"""Sides per second from which a pixel counts as moving."""

_AREA = 112 * 64
_TEXTURE_GRADIENT = 6.0
_UNCHANGED_LEVELS = 4.0
_FIT_ROUNDS = 6
_FIT_GRID = 4
_LEAST_FITTED = 8
_RIDGE = 1e-6 * np.eye(3)
_TRUSTED_LEVELS = 12.0
_PEAK_SHARE = 0.05
_WHOLLY = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What happened between two neighbouring frames."""

    seconds: float
    still_share: float
    """Share of the textured pixels whose brightness stayed as it was, 0 to 1."""
    own: Doubles
    """The camera's own motion: affine, (3, 2), rows constant, x and y; per second."""
    velocity: npt.NDArray[np.float16]
    """Motion left over, smoothed, sides per second, (height, width, 2)."""
    trust: npt.NDArray[np.float16]
    """How well the flow explains each pixel, 0 to 1, (height, width)."""
    error: npt.NDArray[np.float16]
    """Brightness change that motion does not explain, in units of contrast, (height, width)."""
    light: float
    """Change of the mean brightness in units of contrast."""
    seen: Booleans | None = None
    """Which pixels are judged, (height, width); None: all. In the others nothing moved."""

    @property
    def seen_share(self) -> float:
        """How much of the picture is judged."""
        return 1.0 if self.seen is None else float(self.seen.mean())


@dataclass(frozen=True, slots=True)
class Peak:
    """A clip's figure for one kind of evidence, and where and when it was strongest."""

    value: float
    x: float | None = None
    """0 (left) to 1 (right); None: the whole picture."""
    y: float | None = None
    """0 (top) to 1 (bottom)."""
    frame: int | None = None
    """Position in the clip of the frame that showed it; None: the whole clip."""


def scaled_size(width: int, height: int, area: int, multiple: int) -> tuple[int, int]:
    """Return (width, height) near `area` with nearly the same aspect, multiples of `multiple`."""
    scale = math.sqrt(area / (width * height))
    across = max(1, round(width * scale / multiple))
    down = max(1, round(height * scale / multiple))
    return across * multiple, down * multiple


def shrink(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Make the small grey picture that flow is computed on."""
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, small_size(width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def small_size(width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) of the picture that `shrink` makes of one of this size."""
    return scaled_size(width, height, _AREA, 8)


class FlowMeter:
    """Measures steps between pictures of one size: one for each camera and size.

    OpenCV's DIS keeps buffers, and keeps the finest level of its pyramid that it chose for the
    first size it met; so that level is set, and a meter never meets two sizes.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._flow.setFinestScale(0)

    def step(
        self,
        before: npt.NDArray[np.uint8],
        after: npt.NDArray[np.uint8],
        seconds: float,
        seen: Booleans | None = None,
    ) -> Step:
        """Compare two small grey pictures of equal size, `seconds` apart.

        `seen`: which of their pixels are judged; None: all.
        """
        earlier, later = before.astype(np.float32), after.astype(np.float32)
        flow = np.asarray(self._flow.calc(before, after, np.empty(0)), np.float32)
        still_share = _still_share(earlier, later, seen)
        own = np.zeros((3, 2))
        rest = flow
        if still_share <= STILL_SHARE:
            own = fit_affine(flow, seen)
            rest = flow - affine_flow(own, flow.shape[0], flow.shape[1])
        unexplained = np.abs(later - warp(earlier, flow))
        if seen is not None:
            unexplained[~came_from(seen, flow)] = 0  # what comes from behind the edge is no shock
            rest = rest * seen[..., None]
            earlier, later = earlier[seen], later[seen]
        contrast = float(later.std()) + 10.0
        per_second = 1.0 / (side(flow) * max(seconds, 0.02))
        velocity = cv2.blur(rest, (5, 5)) * per_second
        error = cv2.GaussianBlur(unexplained, (5, 5), 0) / contrast
        if seen is not None:
            velocity, error = velocity * seen[..., None], error * seen
        return Step(
            seconds=seconds,
            still_share=still_share,
            own=own * per_second,
            velocity=velocity.astype(np.float16),
            trust=np.exp(-((cv2.blur(unexplained, (5, 5)) / _TRUSTED_LEVELS) ** 2)).astype(
                np.float16
            ),
            error=error.astype(np.float16),
            light=abs(float(later.mean() - earlier.mean())) / contrast,
            seen=seen,
        )


def side(picture: npt.NDArray[np.generic]) -> float:
    """Return the unit of length of a picture: the square root of its area, in pixels."""
    return math.sqrt(picture.shape[0] * picture.shape[1])


def length(field: Floats) -> Floats:
    """Return the length of each vector of a field, (..., 2)."""
    return np.asarray(np.sqrt(field[..., 0] ** 2 + field[..., 1] ** 2), np.float32)


def fit_affine(flow: Floats, seen: Booleans | None = None) -> Doubles:
    """Fit the motion that most of the picture shares, (3, 2); outliers lose their weight."""
    height, width = flow.shape[:2]
    places = _affine_terms(height, width, 2, _FIT_GRID)
    moved = flow[2 : height - 2 : _FIT_GRID, 2 : width - 2 : _FIT_GRID].reshape(-1, 2)
    moved = moved.astype(np.float64)
    if seen is not None:
        counts = seen[2 : height - 2 : _FIT_GRID, 2 : width - 2 : _FIT_GRID].ravel()
        if counts.sum() < _LEAST_FITTED:
            return np.zeros((3, 2))
        places, moved = places[counts], moved[counts]
    weights = np.ones(len(places))
    fit = np.zeros((3, 2))
    for _ in range(_FIT_ROUNDS):
        weighted = (places * weights[:, None]).T
        fit[:] = np.linalg.solve(weighted @ places + _RIDGE, weighted @ moved)
        missed = moved - places @ fit
        misfit = np.sqrt(missed[:, 0] ** 2 + missed[:, 1] ** 2)
        spread = max(1.4826 * float(np.median(misfit)), 0.02)
        weights = 1.0 / (1.0 + (misfit / (1.5 * spread)) ** 2) ** 2
    return fit


def affine_flow(fit: Doubles, height: int, width: int) -> Floats:
    """Lay an affine motion out as a flow field, (height, width, 2), in pixels."""
    terms = _affine_terms(height, width, 0, 1)
    return (terms @ fit).reshape(height, width, 2).astype(np.float32)


def warp(picture: Floats, flow: Floats) -> Floats:
    """Move a picture (or a field of two channels) along a flow given in pixels."""
    height, width = flow.shape[:2]
    rows, columns = _pixel_places(height, width)
    moved = cv2.remap(
        picture,
        columns - flow[..., 0],
        rows - flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.float32)


def came_from(seen: Booleans, flow: Floats) -> Booleans:
    """Return the judged pixels whose content was in judged ones before it moved along a flow."""
    return seen & (warp(seen.astype(np.float32), flow) > _WHOLLY)


def measure(steps: Sequence[Step]) -> dict[str, Peak]:
    """Turn the steps of one clip, in order, into its motion figures by name."""
    if not steps:
        return {}
    velocity = np.stack([step.velocity for step in steps]).astype(np.float32)
    speed = length(velocity)
    path = speed.mean(axis=0)
    wasted = path - length(velocity.mean(axis=0))
    share = steps[0].seen_share
    moving = np.array([float((field > MOVING_SPEED).mean()) / share for field in speed])
    return {
        "erratic_motion": _peak(_top(wasted, share), wasted),
        "disorder": Peak(float(wasted.mean()) / share / (float(path.mean()) / share + 0.003)),
        "swerving": Peak(_swerving(steps, velocity)),
        "shock": _strongest([step.error.astype(np.float32) for step in steps], share, whole=True),
        "fast_motion": _strongest(list(speed), share, whole=False),
        "crowding": _peak(float(moving.mean()), path),
        "light_change": _largest([step.light for step in steps]),
        "jolt": _largest(_jolts(steps)),
        "still": Peak(float(np.median([step.still_share for step in steps]))),
    }


@lru_cache(maxsize=8)
def _pixel_places(height: int, width: int) -> tuple[Floats, Floats]:
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return rows, columns


@lru_cache(maxsize=16)
def _affine_terms(height: int, width: int, margin: int, every: int) -> Doubles:
    """Return the terms 1, x, y of a grid of places, in sides from the centre: (places, 3).

    The grid begins `margin` pixels inside the picture and takes every `every`-th pixel.
    """
    rows, columns = np.mgrid[margin : height - margin : every, margin : width - margin : every]
    unit = math.sqrt(height * width)
    x = (columns.ravel().astype(np.float64) - width / 2) / unit
    y = (rows.ravel().astype(np.float64) - height / 2) / unit
    return np.stack([np.ones_like(x), x, y], axis=1)


def _still_share(earlier: Floats, later: Floats, seen: Booleans | None) -> float:
    across = cv2.Sobel(earlier, cv2.CV_32F, 1, 0) / 8
    down = cv2.Sobel(earlier, cv2.CV_32F, 0, 1) / 8
    textured = np.hypot(across, down) > _TEXTURE_GRADIENT
    if seen is not None:
        textured &= seen
    if int(textured.sum()) < 50:
        return 1.0
    change = later - earlier
    change = np.abs(change - np.median(change if seen is None else change[seen]))
    return float((change[textured] < _UNCHANGED_LEVELS).mean())


def _swerving(steps: Sequence[Step], velocity: Floats) -> float:
    """Say how much what moves changes its velocity along its own way, relative to its speed.

    Near 0: everything glides on as before (cars, walkers); near 1: nothing does.
    """
    ratios = []
    for position in range(1, len(steps)):
        now, trust = velocity[position], steps[position].trust.astype(np.float32)
        travelled = now * (side(now) * max(steps[position].seconds, 0.02))
        before = warp(velocity[position - 1], travelled)
        swerve = length(now - before)
        fastest = np.maximum(length(now), length(before))
        seen, share = steps[position].seen, steps[position].seen_share
        if seen is not None:
            trust = trust * came_from(seen, travelled)
        ratios.append(
            float((swerve * trust).mean() / share / ((fastest * trust).mean() / share + 0.01))
        )
    return float(np.mean(ratios)) if ratios else 0.0


def _jolts(steps: Sequence[Step]) -> list[float]:
    """Return the changes of the camera's own motion; turning and zooming count less."""
    weights = np.array([[1.0], [0.3], [0.3]])
    changes = [0.0]
    for before, after in pairwise(steps):
        changes.append(float(np.linalg.norm((after.own - before.own) * weights)))
    return changes


def _strongest(fields: Sequence[Floats], share: float, *, whole: bool) -> Peak:
    """Find the step with the largest figure: mean of the field, or of its largest twentieth.

    `share`: how much of the field is judged; the rest of it is zero, and counts for nothing.
    """
    figures = [float(field.mean()) / share if whole else _top(field, share) for field in fields]
    best = int(np.argmax(figures))
    return _peak(figures[best], fields[best], frame=best + 1)


def _largest(figures: Sequence[float]) -> Peak:
    best = int(np.argmax(figures))
    return Peak(figures[best], frame=best + 1)


def _top(field: Floats, share: float) -> float:
    flat = field.ravel()
    count = max(1, int(flat.size * _PEAK_SHARE * share))
    return float(np.partition(flat, flat.size - count)[-count:].mean())


def _peak(value: float, field: Floats, frame: int | None = None) -> Peak:
    """Place a figure where its field is concentrated; nowhere, if it is spread out."""
    height, width = field.shape
    smooth = cv2.blur(field, (width // 8 * 2 + 1, height // 8 * 2 + 1))
    if float(smooth.max()) < 1.5 * float(smooth.mean()):
        return Peak(value, frame=frame)
    row, column = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    return Peak(value, (float(column) + 0.5) / width, (float(row) + 0.5) / height, frame)
