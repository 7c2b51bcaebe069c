"""Features: a clip's change over time in numbers, as a combiner takes them.

Nothing here says how a scene looks: each is a change within the clip, or how far such a change
lies from what is usual (for cameras in general: `raw_`; for this camera: `own_`). All are on a log
scale or bounded, and cut where more would say no more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.builtin.appearance import Look
from edgewatch.pipeline.engines.builtin.engine import Measured
from edgewatch.pipeline.engines.builtin.fusion import (
    BASELINE_CLIPS,
    DISORDER,
    EVIDENCE,
    TOTAL,
    Prior,
    is_moving,
)
from edgewatch.pipeline.engines.builtin.motion import Step, length

Floats = npt.NDArray[np.float64]

_JUDGED = EVIDENCE | DISORDER
_PLACES = frozenset({"unfamiliar", "against_flow"})
_REACH = 6.0
_TOP_SHARE = 0.05

SERIES: Mapping[str, float] = {
    "speed": 0.01,
    "fastest": 0.05,
    "moving": 0.02,
    "own": 0.02,
    "error": 0.01,
    "worst_error": 0.05,
    "light": 0.01,
    "look": 0.005,
    "patches": 0.02,
}
"""What is measured between neighbouring frames, and the floor below which it means nothing."""

SHAPES = ("jump", "leap", "trend")
"""Of each series: largest over median; largest change from one step to the next; end over start."""

DRIFTS = ("drift", "patch_drift")

NAMES: tuple[str, ...] = (
    *(f"raw_{kind}" for kind in _JUDGED),
    *(f"own_{kind}" for kind in _JUDGED),
    *(f"{shape}_{series}" for series in SERIES for shape in SHAPES),
    *DRIFTS,
)
"""Of the features, in their order."""


def features(measured: Measured) -> Floats:
    """Return a clip's features, (len(NAMES),), finite, in the order of `NAMES`."""
    series = _series(measured.steps, measured.looks)
    shaped = [
        value for name, floor in SERIES.items() for value in _shapes(series.get(name, ()), floor)
    ]
    values = [*_raw(measured), *_own(measured), *shaped, *_drifts(measured.looks)]
    return np.clip(np.nan_to_num(np.array(values, np.float64)), -_REACH, _REACH)


def _raw(measured: Measured) -> list[float]:
    """Return each figure over what is usual for cameras of this kind, as logarithms.

    What needs to know the camera's places says nothing of a camera that is not known.
    """
    moving = is_moving(measured.peaks, measured.past)
    known = measured.past[TOTAL].size >= BASELINE_CLIPS
    values = []
    for kind, prior in _JUDGED.items():
        value = measured.peaks[kind].value if kind in measured.peaks else None
        usual = prior.moving if moving else prior.fixed
        if value is None or _is_silent(prior, moving) or (kind in _PLACES and not known):
            values.append(0.0)
        else:
            values.append(math.log((max(value, 0.0) + prior.floor) / (usual + prior.floor)))
    return values


def _own(measured: Measured) -> list[float]:
    """Return each figure's deviation from this camera's normal; 0 while that is not known."""
    if measured.past[TOTAL].size < BASELINE_CLIPS:
        return [0.0] * len(_JUDGED)
    expected = measured.assessment.expectations
    moving = is_moving(measured.peaks, measured.past)
    return [
        expected[kind].deviation(max(measured.peaks[kind].value, 0.0))
        if kind in measured.peaks and not _is_silent(prior, moving)
        else 0.0
        for kind, prior in _JUDGED.items()
    ]


def _is_silent(prior: Prior, moving: bool) -> bool:
    """Whether a figure says nothing of this kind of camera; as in the fusion."""
    return prior.fixed_only if moving else prior.moving_only


def _series(steps: Sequence[Step], looks: Sequence[Look]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in SERIES}
    for step in steps:
        speed = length(step.velocity.astype(np.float32))
        error = step.error.astype(np.float32)
        share = step.seen_share
        found["speed"].append(float(speed.mean()) / share)
        found["fastest"].append(_top(speed, share))
        found["moving"].append(float((speed > 0.05).mean()) / share)
        found["own"].append(float(np.linalg.norm(step.own * [[1.0], [0.3], [0.3]])))
        found["error"].append(float(error.mean()) / share)
        found["worst_error"].append(_top(error, share))
        found["light"].append(step.light)
    for before, after in pairwise(looks):
        found["look"].append(max(0.0, 1.0 - float(before.whole @ after.whole)))
        alike = (before.patches.astype(np.float32) * after.patches.astype(np.float32)).sum(axis=2)
        found["patches"].append(_top(1.0 - alike, 1.0))
    return found


def _shapes(series: Sequence[float], floor: float) -> tuple[float, float, float]:
    """Return the shapes of a series, as logarithms; 0 where it is too short."""
    if len(series) < 3:
        return 0.0, 0.0, 0.0
    values = np.array(series, np.float64) + floor
    third = len(values) // 3
    jump = math.log(float(values.max() / np.median(values)))
    leap = float(np.abs(np.diff(np.log(values))).max())
    trend = math.log(float(values[-third:].mean() / values[:third].mean()))
    return jump, leap, trend


def _drifts(looks: Sequence[Look]) -> tuple[float, float]:
    """Return how far the clip's last third looks from its first, beyond what it does anyway.

    Of the whole picture, and of the patches that changed most: logarithms over the middle step.
    """
    if len(looks) < 4:
        return 0.0, 0.0
    third = len(looks) // 3
    wholes = np.stack([look.whole for look in looks]).astype(np.float64)
    patches = np.stack([look.patches for look in looks]).astype(np.float32)
    usual = float(np.median(1.0 - (wholes[1:] * wholes[:-1]).sum(axis=1)))
    usual_patch = float(np.median(1.0 - (patches[1:] * patches[:-1]).sum(axis=3)))
    whole = 1.0 - _alike(wholes[:third].mean(axis=0), wholes[-third:].mean(axis=0))
    fields = 1.0 - _alike(np.median(patches[:third], axis=0), np.median(patches[-third:], axis=0))
    most = float(np.sort(np.asarray(fields).ravel())[-2:].mean())
    return (
        math.log((max(float(whole), 0.0) + 0.005) / (max(usual, 0.0) + 0.005)),
        math.log((max(most, 0.0) + 0.02) / (max(usual_patch, 0.0) + 0.02)),
    )


def _alike(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> Floats:
    scale = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return np.asarray((one * other).sum(axis=-1) / (scale + 1e-6), np.float64)


def _top(field: npt.NDArray[np.floating], share: float) -> float:
    flat = field.ravel()
    count = max(1, int(flat.size * _TOP_SHARE * share))
    return float(np.partition(flat, flat.size - count)[-count:].mean())
