"""Agreement: two engines held side by side on the same recordings and clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgewatch.pipeline.types import Label
from edgewatch.tools.evaluation.evaluation import EngineRun, JudgedClip
from edgewatch.tools.evaluation.statistics.delong import delong_test
from edgewatch.tools.evaluation.statistics.figures import (
    Agreement,
    DifferingClip,
    Estimate,
    Level,
    PairComparison,
)
from edgewatch.tools.evaluation.statistics.intervals import clustered_share, share
from edgewatch.tools.evaluation.statistics.levels import unit_level
from edgewatch.tools.evaluation.statistics.libraries import sklearn_metrics
from edgewatch.tools.evaluation.statistics.mcnemar import mcnemar_test
from edgewatch.tools.evaluation.statistics.sample import (
    Booleans,
    Integers,
    Unit,
    unit_sample,
    units_of,
)
from edgewatch.tools.results import SMALL_SAMPLE


def compare_runs(first: EngineRun, second: EngineRun) -> PairComparison:
    """Hold two engines side by side.

    Raises ValueError if they did not judge the same recordings and clips in the same order.
    """
    _check_same(first, second)
    first_units, second_units = units_of(first.recordings), units_of(second.recordings)
    ours, theirs = unit_sample(first_units), unit_sample(second_units)
    clips = np.array([c.score for unit in first_units for c in unit.clips], dtype=np.float64)
    others = np.array([c.score for unit in second_units for c in unit.clips], dtype=np.float64)
    gaps = np.abs(clips - others)
    return PairComparison(
        first=first.asked,
        second=second.asked,
        recordings=_agreement(
            unit_level(first_units),
            ours.scores >= first.threshold,
            theirs.scores >= second.threshold,
            positive=ours.positive,
            known=np.ones(len(first_units), dtype=np.bool_),
            unit=ours.unit,
        ),
        clips=_clip_agreement(first_units, clips >= first.threshold, others >= second.threshold),
        delong=delong_test(ours.positive, ours.scores, theirs.scores),
        mean_score_difference=float(gaps.mean()) if len(gaps) else 0.0,
        largest_score_difference=float(gaps.max()) if len(gaps) else 0.0,
        differing=_differing(first, second),
        notes=_notes(first_units),
    )


def _clip_agreement(units: Sequence[Unit], first: Booleans, second: Booleans) -> Agreement:
    truths = [clip.truth for unit in units for clip in unit.clips]
    return _agreement(
        "clip",
        first,
        second,
        positive=np.array([one == "incident" for one in truths], dtype=np.bool_),
        known=np.array([one != "unmarked" for one in truths], dtype=np.bool_),
        unit=np.repeat(np.arange(len(units)), [len(unit.clips) for unit in units]),
    )


def _agreement(
    level: Level,
    first: Booleans,
    second: Booleans,
    *,
    positive: Booleans,
    known: Booleans,
    unit: Integers,
) -> Agreement:
    alike = first == second
    if level == "clip":
        same = np.bincount(unit, weights=alike).astype(np.float64)
        whole = np.bincount(unit).astype(np.float64)
        agreed = clustered_share(same, whole, "nothing was judged")
    else:
        agreed = share(int(np.count_nonzero(alike)), len(alike), "nothing was judged")
    return Agreement(
        level=level,
        items=len(alike),
        same=int(np.count_nonzero(alike)),
        share=agreed,
        kappa=_kappa(first, second, agreed),
        both_anomaly=int(np.count_nonzero(first & second)),
        first_anomaly=int(np.count_nonzero(first & ~second)),
        second_anomaly=int(np.count_nonzero(~first & second)),
        both_normal=int(np.count_nonzero(~first & ~second)),
        mcnemar=mcnemar_test((first == positive)[known], (second == positive)[known], unit[known]),
    )


def _kappa(first: Booleans, second: Booleans, agreed: Estimate) -> Estimate:
    """Return Cohen's kappa; its interval is that of agreement, with chance agreement as known.

    J. Cohen, Educational and Psychological Measurement 20 (1960) 37 takes it so.
    """
    if not len(first):
        return Estimate(None, reason=agreed.reason)
    if np.all(first == first[0]) and np.all(second == first[0]):
        answer = "Anomaly" if first[0] else "Normal"
        return Estimate(None, reason=f"both always answered {answer}: nothing beyond chance to see")
    value = float(sklearn_metrics().cohen_kappa_score(first, second))
    ours, theirs = float(first.mean()), float(second.mean())
    chance = ours * theirs + (1 - ours) * (1 - theirs)
    if agreed.low is None or agreed.high is None:
        return Estimate(value, reason=agreed.reason)
    return Estimate(
        value, (agreed.low - chance) / (1 - chance), (agreed.high - chance) / (1 - chance)
    )


def _differing(first: EngineRun, second: EngineRun) -> tuple[DifferingClip, ...]:
    found = []
    for ours, theirs in zip(first.recordings, second.recordings, strict=True):
        for one, other in zip(ours.clips, theirs.clips, strict=True):
            mine, yours = _answer(one, first.threshold), _answer(other, second.threshold)
            if mine != yours:
                found.append(
                    DifferingClip(
                        recording=ours.name,
                        clip_id=one.clip_id,
                        start_seconds=one.start_seconds,
                        end_seconds=one.end_seconds,
                        truth=one.truth,
                        first_score=one.score,
                        second_score=other.score,
                        first_answer=mine,
                        second_answer=yours,
                    )
                )
    found.sort(key=lambda one: -abs(one.first_score - one.second_score))
    return tuple(found)


def _answer(clip: JudgedClip, threshold: float) -> Label:
    return "Anomaly" if clip.score >= threshold else "Normal"


def _check_same(first: EngineRun, second: EngineRun) -> None:
    ours, theirs = (
        [(one.name, [clip.clip_id for clip in one.clips]) for one in run.recordings]
        for run in (first, second)
    )
    if ours != theirs:
        raise ValueError(f"{first.asked} and {second.asked} did not judge the same clips")


def _notes(units: Sequence[Unit]) -> tuple[str, ...]:
    anomalous = sum(1 for one in units if one.label == "Anomaly")
    fewest = min(anomalous, len(units) - anomalous)
    if fewest >= SMALL_SAMPLE:
        return ()
    return (
        f"{anomalous} anomalous and {len(units) - anomalous} normal: so few cannot show but a "
        "large difference between two engines; a large p value does not mean that they are equal.",
    )
