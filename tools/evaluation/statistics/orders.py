"""Orders: is a model as good with the question before the video as with it behind? Pure.

Both orders judged the same clips, so their figures are held together clip by clip: what makes one
recording hard makes it hard in both orders, and leaves the difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgewatch.tools.evaluation.evaluation import EngineRun
from edgewatch.tools.evaluation.statistics.figures import Estimate, Level
from edgewatch.tools.evaluation.statistics.intervals import t_quantile
from edgewatch.tools.evaluation.statistics.levels import unit_level
from edgewatch.tools.evaluation.statistics.libraries import sklearn_metrics
from edgewatch.tools.evaluation.statistics.ranking import few_units, missing_class
from edgewatch.tools.evaluation.statistics.resampling import Resampling
from edgewatch.tools.evaluation.statistics.sample import (
    Floats,
    Sample,
    clip_sample,
    unit_sample,
    units_of,
)
from edgewatch.tools.results import counted

MOST_LOSS = 0.03
"""So much area under the ROC curve may be lost, at the worst end of the interval."""
RESAMPLES = 2000

Decision = Literal["question first", "question behind", "not known"]


@dataclass(frozen=True, slots=True)
class TwoOrders:
    """One figure in both orders. Intervals are of the difference alone: it is paired."""

    behind: float | None
    first: float | None
    difference: Estimate
    """First minus behind: above 0, the question had better stand first."""


@dataclass(frozen=True, slots=True)
class OrderComparison:
    """One model asked in both orders about the same clips."""

    engine: str
    """As it was asked for, with the question behind the video."""
    level: Level
    """What was counted: clips, or recordings where no window is labelled."""
    items: int
    units: int
    roc_auc: TwoOrders
    balanced_accuracy: TwoOrders
    """Mean of recall and specificity at the threshold in force."""
    decision: Decision

    @property
    def question_first(self) -> bool:
        """What to set."""
        return self.decision == "question first"


def compare_orders(
    behind: EngineRun, first: EngineRun, *, seed: int = 0, resamples: int = RESAMPLES
) -> OrderComparison:
    """Hold both orders of one model side by side; both judged the same clips in the same order.

    The area decides: a threshold can be set anew, ranking cannot. The question may stand first only
    where at the worst end of the 95 % interval no more than MOST_LOSS is lost.
    """
    level, samples = _samples(behind, first)
    missing = missing_class(samples[0]) or few_units(samples[0])
    if missing:
        nothing = TwoOrders(None, None, Estimate(None, reason=missing))
        area = balanced = nothing
    else:
        draws = _draws(samples, seed, resamples)
        area = _two_orders(
            samples[0], draws, _areas(samples[0], draws[0]), _areas(samples[1], draws[1])
        )
        balanced = _two_orders(
            samples[0],
            draws,
            _balanced(samples[0], draws[0], behind.threshold),
            _balanced(samples[1], draws[1], first.threshold),
        )
    return OrderComparison(
        engine=behind.asked,
        level=level,
        items=len(samples[0].scores),
        units=samples[0].units,
        roc_auc=area,
        balanced_accuracy=balanced,
        decision=_decision(area.difference),
    )


def sentences(one: OrderComparison) -> list[str]:
    """Return what was found, for people, and what to set."""
    seen = counted(one.items, one.level)
    if one.level == "clip":
        seen += f" of {one.units} recordings or drives"
    found = [f"{one.engine}, question behind or before the video, on {seen}:"]
    for name, both in (("ROC-AUC", one.roc_auc), ("balanced accuracy", one.balanced_accuracy)):
        if both.behind is None or both.first is None:
            found.append(f"{name}: n/a ({both.difference.reason})")
            continue
        gap = both.difference
        found.append(
            f"{name}: {both.behind:.3f} behind, {both.first:.3f} before; difference "
            f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"
        )
    found.append(_ADVICE[one.decision])
    if one.question_first and (one.balanced_accuracy.difference.high or 0.0) < 0.0:
        found.append(
            "Its scores lie elsewhere: fit calibration or threshold anew (edgewatch calibrate)."
        )
    return found


_ADVICE = {
    "question first": "Set [engine] question_first = true: it ranks no worse, and native is faster "
    "by it.",
    "question behind": "Leave question_first = false: the question before the video makes it "
    "worse, beyond noise.",
    "not known": f"Leave question_first = false: these recordings are too few to exclude a loss of "
    f"{MOST_LOSS:g} in ROC-AUC.",
}


def _samples(behind: EngineRun, first: EngineRun) -> tuple[Level, list[Sample]]:
    """Return clips of both, or recordings where clips of a class are not known."""
    units = [units_of(run.recordings) for run in (behind, first)]
    level: Level = "clip"
    clips = [clip_sample(one, ("incident",), ("normal", "quiet")) for one in units]
    if missing_class(clips[0]):
        level, clips = unit_level(units[0]), [unit_sample(one) for one in units]
    ours, theirs = clips
    if not (
        np.array_equal(ours.unit, theirs.unit) and np.array_equal(ours.positive, theirs.positive)
    ):
        raise ValueError(f"{behind.asked} and {first.asked} did not judge the same clips")
    return level, clips


def _draws(samples: list[Sample], seed: int, resamples: int) -> list[Resampling]:
    """Return the same draws of units for both."""
    draws = [Resampling(one, seed=seed, resamples=resamples) for one in samples]
    fewest = min(one.resamples for one in draws)
    if all(one.resamples == fewest for one in draws):
        return draws
    return [Resampling(one, seed=seed, resamples=fewest) for one in samples]


def _areas(sample: Sample, draw: Resampling) -> tuple[float, Floats]:
    """Return the area under the ROC curve: of all, and of each resample."""
    whole = float(sklearn_metrics().roc_auc_score(sample.positive, sample.scores))
    return whole, draw.areas().roc


def _balanced(sample: Sample, draw: Resampling, threshold: float) -> tuple[float, Floats]:
    """Return balanced accuracy at a threshold: of all, and of each resample."""
    right = (sample.scores >= threshold) == sample.positive
    columns = [
        sample.sums(chosen & answered)
        for chosen in (sample.positive, ~sample.positive)
        for answered in (right, np.ones_like(right))
    ]
    by_unit = np.stack(columns, axis=1)

    def balanced(sums: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((sums[..., 0] / sums[..., 1] + sums[..., 2] / sums[..., 3]) / 2)

    return float(balanced(by_unit.sum(axis=0))), balanced(draw.sums(by_unit))


def _two_orders(
    sample: Sample,
    draws: list[Resampling],
    behind: tuple[float, Floats],
    first: tuple[float, Floats],
) -> TwoOrders:
    value = first[0] - behind[0]
    # As if half a witness had changed sides: what so few happen not to show.
    variance = draws[0].variance(first[1] - behind[1]) + (0.5 / sample.units) ** 2
    reach = t_quantile(sample.units - 1) * math.sqrt(variance)
    interval = Estimate(value, max(-1.0, value - reach), min(1.0, value + reach))
    return TwoOrders(behind[0], first[0], interval)


def _decision(difference: Estimate) -> Decision:
    if difference.low is None or difference.high is None:
        return "not known"
    if difference.high < 0.0:
        return "question behind"
    return "question first" if difference.low >= -MOST_LOSS else "not known"
