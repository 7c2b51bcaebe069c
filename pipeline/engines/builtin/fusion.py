"""From figures to a probability: how far each lies above its normal, and what that makes together.

A figure is judged on a log scale. What is normal for it is known from cameras in general (a mean
and how much cameras differ) and, more and more, from this camera's own past: a hierarchical
normal model, so that there is no jump from "general priors" to "this camera's own statistics".
Nothing here is trained: the usual values are rounded medians over normal footage, the weights
are all 1 or 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.builtin.motion import Peak

BASELINE_CLIPS = 24
"""Clips learnt before a camera's own statistics count as its baseline: a minute."""

ALARM = 0.5
"""Score from which a clip is not learnt from as if it were normal."""

TOTAL = "total"
"""Name of the fused deviation among a camera's remembered figures."""

STILL = "still"
"""Name of the share of unmoved texture among them: tells a fixed camera from a moving one."""

_BETWEEN_CAMERAS = 0.7
_WITHIN_CAMERA = 0.45
_LEAST_SPREAD = 0.3
_SPREAD_TRUST = 4.0
_CLIP_WORTH = 0.25
_QUIET_WORTH = 0.25
_DISORDER_WEIGHT = 0.5
_DISORDER_LIMIT = 1.5
_HALF_TOTAL = 3.0
_STEEPNESS = 1.6
_CAP_DEVIATIONS = 2.0
_TAILS = ((0.75, 0.674, 1), (0.95, 1.645, 20), (0.99, 2.326, 100))
"""Quantiles, how many spreads above the median a normal distribution has them, clips needed."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of a figure before its camera is."""

    fixed: float
    """Usual value on fixed cameras."""
    moving: float
    """Usual value on cameras that move."""
    floor: float
    """Added before taking the logarithm: differences far below it mean nothing."""
    weight: float = 1.0
    needs_baseline: bool = False
    """Says nothing without knowing the camera (a busy road is fast and crowded every day)."""
    fixed_only: bool = False
    moving_only: bool = False


EVIDENCE: dict[str, Prior] = {
    "sudden_change": Prior(0.012, 0.02, 0.005),
    "scene_change": Prior(0.05, 0.09, 0.005),
    "erratic_motion": Prior(0.012, 0.04, 0.01),
    "jolt": Prior(0.003, 0.04, 0.01, moving_only=True),
    "shock": Prior(0.04, 0.1, 0.005, weight=0.5),
    "light_change": Prior(0.02, 0.05, 0.01, weight=0.5, needs_baseline=True),
    "local_change": Prior(0.2, 0.3, 0.02, weight=0.5, needs_baseline=True, fixed_only=True),
    "fast_motion": Prior(0.2, 0.3, 0.05, weight=0.5, needs_baseline=True),
    "crowding": Prior(0.05, 0.25, 0.02, weight=0.5, needs_baseline=True),
    "unfamiliar": Prior(0.1, 0.1, 0.05, needs_baseline=True, fixed_only=True),
    "against_flow": Prior(0.002, 0.002, 0.01, needs_baseline=True, fixed_only=True),
}
"""Each kind of evidence that can raise a score."""

DISORDER: dict[str, Prior] = {
    "disorder": Prior(0.19, 0.26, 0.05),
    "swerving": Prior(0.28, 0.5, 0.05),
}
"""What tells incidents from traffic: motion that cancels out or breaks off against motion that
travels through. It raises or lowers the sum of the evidence on fixed cameras."""

REMEMBERED = (*EVIDENCE, *DISORDER, STILL, TOTAL)
"""The figures that a camera's memory keeps of each clip, in this order."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is normal for one figure of one camera, on the log scale."""

    mean: float
    spread: float
    floor: float

    def deviation(self, value: float) -> float:
        """Return how many spreads a value lies above the mean."""
        return (math.log(value + self.floor) - self.mean) / self.spread

    def ratio(self, value: float) -> float:
        """Return how many times the usual value this is."""
        return (value + self.floor) / math.exp(self.mean)

    def capped(self, value: float) -> float:
        """Return the value, or the edge of what is normal if it lies beyond."""
        return min(value, math.exp(self.mean + _CAP_DEVIATIONS * self.spread) - self.floor)


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure that lies above normal."""

    kind: str
    peak: Peak
    deviation: float
    """Weighted; in spreads."""
    ratio: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a clip's figures amount to."""

    score: float
    total: float
    """The fused deviation that the score comes from."""
    findings: tuple[Finding, ...]
    """Strongest first; only what lies above normal."""
    expectations: Mapping[str, Expectation]


def expect(prior: Prior, *, moving: bool, past: npt.NDArray[np.floating]) -> Expectation:
    """Combine what cameras are like with this camera's remembered figures, (clips,).

    Neighbouring clips are alike, so a clip counts for a quarter of an independent observation;
    and a quarter of that while the camera looks quieter than cameras in general: that nothing
    happened for a minute says little about what is normal here, that much happened says a lot.
    """
    general = math.log((prior.moving if moving else prior.fixed) + prior.floor)
    if past.size == 0:
        return Expectation(general, math.hypot(_BETWEEN_CAMERAS, _WITHIN_CAMERA), prior.floor)
    logs = np.log(past.astype(np.float64) + prior.floor)
    median = float(np.median(logs))
    # The upper tail counts as much as the middle, as soon as there is one: a street that is empty
    # nine clips in ten has no spread by its quartiles, and yet its cars are normal.
    seen = max(
        (float(np.quantile(logs, quantile)) - median) / reach
        for quantile, reach, least in _TAILS
        if past.size >= least
    )
    worth = _CLIP_WORTH * past.size * (_QUIET_WORTH if median < general else 1.0)
    within = (_SPREAD_TRUST * _WITHIN_CAMERA**2 + worth * seen**2) / (_SPREAD_TRUST + worth)
    within = max(within, _LEAST_SPREAD**2)
    precision = 1.0 / _BETWEEN_CAMERAS**2 + worth / within
    mean = (general / _BETWEEN_CAMERAS**2 + worth * median / within) / precision
    return Expectation(mean, math.sqrt(1.0 / precision + within), prior.floor)


def assess(peaks: Mapping[str, Peak], past: Mapping[str, npt.NDArray[np.floating]]) -> Assessment:
    """Judge a clip's figures against a camera's remembered ones (`REMEMBERED`, each (clips,))."""
    has_baseline = past[TOTAL].size >= BASELINE_CLIPS
    moving = is_moving(peaks, past)
    expectations = {
        kind: expect(prior, moving=moving, past=past[kind])
        for kind, prior in (EVIDENCE | DISORDER).items()
    }
    findings = []
    for kind, prior in EVIDENCE.items():
        if kind not in peaks or (prior.needs_baseline and not has_baseline):
            continue
        if prior.fixed_only if moving else prior.moving_only:
            continue
        deviation = prior.weight * expectations[kind].deviation(peaks[kind].value)
        if deviation > 0:
            ratio = expectations[kind].ratio(peaks[kind].value)
            findings.append(Finding(kind, peaks[kind], deviation, ratio))
    findings.sort(key=lambda finding: -finding.deviation)
    total = math.sqrt(sum(finding.deviation**2 for finding in findings))
    if not moving:
        total += _DISORDER_WEIGHT * _disorder(peaks, expectations)
    total = max(total, 0.0)
    score = 1.0 / (1.0 + math.exp(-_STEEPNESS * (total - half_total(past[TOTAL]))))
    return Assessment(score, total, tuple(findings), expectations)


def is_moving(peaks: Mapping[str, Peak], past: Mapping[str, npt.NDArray[np.floating]]) -> bool:
    """Say whether this is a camera that moves, by most of its clips."""
    now = [peaks[STILL].value] if STILL in peaks else []
    shares = np.concatenate([past[STILL], now])
    return bool(shares.size and np.median(shares) < 0.5)


def half_total(past_totals: npt.NDArray[np.floating]) -> float:
    """Return the fused deviation at which the score is 0.5.

    A camera whose normal clips reach far gets a higher one. Clips that alarmed are remembered
    with what would just not have been an alarm, so this cannot run away.
    """
    if past_totals.size < BASELINE_CLIPS:
        return _HALF_TOTAL
    return max(_HALF_TOTAL, 1.2 * float(np.quantile(past_totals, 0.98)))


def remembered(peaks: Mapping[str, Peak], assessment: Assessment) -> dict[str, float]:
    """Return the figures to be learnt from a clip; those of an anomalous one are cut to normal."""
    anomalous = assessment.score >= ALARM
    figures = {}
    for kind in REMEMBERED:
        value = peaks[kind].value if kind in peaks else 0.0
        if anomalous and kind in assessment.expectations:
            value = assessment.expectations[kind].capped(value)
        figures[kind] = value
    figures[TOTAL] = min(assessment.total, _HALF_TOTAL) if anomalous else assessment.total
    return figures


def _disorder(peaks: Mapping[str, Peak], expectations: Mapping[str, Expectation]) -> float:
    deviations = [
        expectations[kind].deviation(peaks[kind].value) for kind in DISORDER if kind in peaks
    ]
    if not deviations:
        return 0.0
    mean = sum(deviations) / len(deviations)
    return min(max(mean, -_DISORDER_LIMIT), _DISORDER_LIMIT)
