"""Controls that keep from fooling oneself: does the engine see the incident, or the recording?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgewatch.tools.evaluation.evaluation import JudgedClip, JudgedRecording
from edgewatch.tools.evaluation.statistics.figures import Control, Estimate
from edgewatch.tools.evaluation.statistics.intervals import MINIMUM_UNITS, bounded
from edgewatch.tools.evaluation.statistics.ranking import few_units, roc_area
from edgewatch.tools.evaluation.statistics.resampling import Resampling
from edgewatch.tools.evaluation.statistics.sample import Unit, sample_of
from edgewatch.tools.metrics import roc_auc

HONEST = 0.5
_Kept = Callable[[JudgedRecording, JudgedClip], bool]


def pre_incident_control(units: Sequence[Unit], *, seed: int, resamples: int) -> Control:
    """Hold clips before the first window of anomalous recordings against clips of normal ones."""
    return _against_normal(
        units,
        _is_before,
        "before anything happens, clips of anomalous recordings",
        "no clip lies before a labelled window",
        seed=seed,
        resamples=resamples,
    )


def quiet_control(units: Sequence[Unit], *, seed: int, resamples: int) -> Control:
    """Hold all quiet clips of anomalous recordings against clips of normal recordings."""
    return _against_normal(
        units,
        lambda _, clip: clip.truth == "quiet",
        "outside the incident, clips of anomalous recordings",
        "no clip of an anomalous recording lies outside the labelled windows",
        seed=seed,
        resamples=resamples,
    )


def ranking_control(units: Sequence[Unit]) -> Control:
    """Hold incident clips against quiet ones of the same recording; mean over units.

    The recording itself (camera, place, weather) is the same on both sides, so it cannot help.
    """
    shares: list[float] = []
    incidents = quiets = 0
    for unit in units:
        ranked = [one for one in map(_ranked, unit.recordings) if one is not None]
        if ranked:
            shares.append(sum(one[0] for one in ranked) / len(ranked))
            incidents += sum(one[1] for one in ranked)
            quiets += sum(one[2] for one in ranked)
    if not shares:
        reason = "no recording has both incident and quiet clips"
        return Control(Estimate(None, reason=reason), 0, 0, 0, f"Cannot be told: {reason}.")
    values = np.array(shares)
    value = float(values.mean())
    if len(values) < MINIMUM_UNITS:
        estimate = Estimate(value, reason="rests on one recording: no interval")
    else:
        estimate = bounded(value, float(values.var(ddof=1)) / len(values), len(values))
    return Control(estimate, incidents, quiets, len(shares), _meaning_of_ranking(estimate))


def _against_normal(
    units: Sequence[Unit],
    kept: _Kept,
    subject: str,
    absent: str,
    *,
    seed: int,
    resamples: int,
) -> Control:
    rows = []
    for index, unit in enumerate(units):
        for one in unit.recordings:
            for clip in one.clips:
                if clip.truth == "normal" and unit.label == "Normal":
                    rows.append((clip.score, False, index))
                elif kept(one, clip):
                    rows.append((clip.score, True, index))
    sample = sample_of(rows)
    if not (sample.positives and sample.negatives):
        reason = "no recording is labelled Normal" if sample.positives else absent
        estimate = Estimate(None, reason=reason)
        meaning = f"Cannot be told: {reason}."
    else:
        resampling = areas = None
        if resamples and not few_units(sample):
            resampling = Resampling(sample, seed=seed, resamples=resamples)
            areas = resampling.areas()
        estimate = roc_area(sample, resampling, areas)
        meaning = _meaning(estimate, subject)
    return Control(
        probability=estimate,
        clips=sample.positives,
        against=sample.negatives,
        units=sample.units_of(sample.positive),
        meaning=meaning,
    )


def _is_before(one: JudgedRecording, clip: JudgedClip) -> bool:
    first = min((window.start_seconds for window in one.windows), default=None)
    return clip.truth == "quiet" and first is not None and clip.end_seconds <= first


def _ranked(one: JudgedRecording) -> tuple[float, int, int] | None:
    """Return P(incident outscores quiet) of one recording and how many clips of each it has."""
    incident = [clip.score for clip in one.clips if clip.truth == "incident"]
    quiet = [clip.score for clip in one.clips if clip.truth == "quiet"]
    value = roc_auc(incident, quiet).value
    return None if value is None else (value, len(incident), len(quiet))


def _meaning(estimate: Estimate, subject: str) -> str:
    value, low, high = estimate.value, estimate.low, estimate.high
    assert value is not None
    start = f"In {value:.0%} of pairs {subject} score above clips of normal recordings"
    if low is None or high is None:
        return f"{start}; too few recordings to say what that means (50% is honest)."
    if low > HONEST:
        return (
            f"{start}: part of what the engine recognises is the recording (camera, place, "
            "weather), not the incident, and the figures of recordings are better than it is."
        )
    if high < HONEST:
        return (
            f"{start}, fewer than half: the kinds of recording differ, but not in the engine's "
            "favour."
        )
    return (
        f"{start}: no sign that the engine recognises the recording and not the incident, though "
        f"so few recordings leave room from {low:.0%} to {high:.0%} (50% is honest)."
    )


def _meaning_of_ranking(estimate: Estimate) -> str:
    value, low, high = estimate.value, estimate.low, estimate.high
    assert value is not None
    start = f"Inside one recording, incident clips outscore quiet ones in {value:.0%} of pairs"
    if low is None or high is None:
        return f"{start}; one recording says little (50% is chance)."
    if low > HONEST:
        return f"{start}: the engine reacts to the incident itself."
    if high < HONEST:
        return f"{start}, fewer than half: the engine reacts to something else than the incident."
    return (
        f"{start}: not shown that the engine reacts to the incident itself; from {low:.0%} to "
        f"{high:.0%} is possible (50% is chance)."
    )
