"""Wishes: the threshold for so many false alarms a day or so much recall, and what is promised.

Alarms are those of the camera's event rules: how many clips in a row open an event, how it closes,
how long it keeps quiet afterwards. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.calibration import ChosenThreshold, WishKind
from edgewatch.pipeline.events import EventRules
from edgewatch.pipeline.tuning import DAY_SECONDS, MOST_BUSY_SHARE, replayed
from edgewatch.tools.calibrating.labelled import Series
from edgewatch.tools.calibrating.promises import (
    alarm_warnings,
    least_promise_per_day,
    most_recall_promised,
    recall_warnings,
)
from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.evaluation.statistics.intervals import poisson_rate, share

Floats = npt.NDArray[np.float64]

MOST_CANDIDATES = 600
NO_FOOTAGE = "no footage without incident"
TOO_BUSY = (
    f"a lower threshold would have no more alarms, but an event going on for more than "
    f"{MOST_BUSY_SHARE:.0%} of the time: they are few because they hardly end."
)
NO_INCIDENT = "no incident long enough for the clips that an event needs"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a threshold."""

    kind: WishKind
    value: float


@dataclass(frozen=True, slots=True)
class Effect:
    """What a threshold would have meant on the labelled recordings."""

    threshold: float
    false_alarms: int
    normal_days: float
    false_alarms_per_day: Estimate
    """Of one camera, in a day of watching."""
    busy_share: float
    """Of the footage without incident: within events."""
    found: int
    incidents: int
    recall: Estimate
    """Share of incidents in which an event opened."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The threshold chosen for a wish."""

    effect: Effect
    chosen: ChosenThreshold
    warnings: tuple[str, ...]
    """What the recordings cannot promise, in plain words."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Calibrated recordings, as far as they tell alarms and misses apart."""

    normal: tuple[Series, ...]
    incidents: tuple[tuple[Series, ...], ...]
    """The views of each; those too short for an event are left out."""
    too_short: int
    """Incidents left out because no threshold could open an event in them."""

    @property
    def normal_days(self) -> float:
        """Footage without incident."""
        return sum(one.scores.watched_seconds for one in self.normal) / DAY_SECONDS

    @property
    def scores(self) -> Floats:
        """All different scores, growing."""
        every = [one.scores.score for one in (*self.normal, *_flat(self.incidents))]
        return np.unique(np.concatenate(every)) if every else np.empty(0)


def ground_of(series: Iterable[Series], rules: EventRules) -> Ground:
    """Sort recordings by what they can tell; series of unknown truth tell nothing here."""
    normal, groups = [], dict[str, list[Series]]()
    for one in series:
        if one.kind == "normal":
            normal.append(one)
        elif one.kind == "incident":
            groups.setdefault(one.group, []).append(one)
    able = [tuple(view for view in views if _could_open(view, rules)) for views in groups.values()]
    found = tuple(views for views in able if views)
    return Ground(tuple(normal), found, len(able) - len(found))


def grant(wish: Wish, ground: Ground, rules: EventRules) -> Granted | str:
    """Choose the threshold for a wish; or say why nothing can be chosen."""
    if wish.kind == "recall":
        if not ground.incidents:
            return NO_INCIDENT
        threshold, is_busy = _for_recall(wish.value, ground, rules), False
    else:
        if not ground.normal_days:
            return NO_FOOTAGE
        threshold, is_busy = _for_alarms(wish.value, ground, rules)
    effect = effect_of(threshold, ground, rules)
    reached = effect.recall if wish.kind == "recall" else effect.false_alarms_per_day
    value = reached.value or 0.0
    chosen = ChosenThreshold(
        threshold=threshold,
        wish=wish.kind,
        wished=wish.value,
        reached=value,
        low=value if reached.low is None else reached.low,
        high=value if reached.high is None else reached.high,
        supported=_supported(wish, ground),
    )
    warnings = [*_warnings(wish, ground, effect, chosen), *([TOO_BUSY] if is_busy else [])]
    return Granted(effect, chosen, tuple(warnings))


def effect_of(threshold: float, ground: Ground, rules: EventRules) -> Effect:
    """Return what a threshold would have meant."""
    alarms, busy_seconds = _alarms(ground.normal, rules, threshold)
    days = ground.normal_days
    by_hour = poisson_rate(alarms, days * 24.0)
    found = sum(_is_found(views, rules, threshold) for views in ground.incidents)
    return Effect(
        threshold,
        alarms,
        days,
        Estimate(_daily(by_hour.value), _daily(by_hour.low), _daily(by_hour.high), by_hour.reason),
        min(1.0, busy_seconds / (days * DAY_SECONDS)) if days else 0.0,
        found,
        len(ground.incidents),
        share(found, len(ground.incidents), NO_INCIDENT),
    )


def _daily(hourly: float | None) -> float | None:
    return None if hourly is None else hourly * 24.0


def plain_between(low: float, high: float) -> float:
    """Return the number of fewest decimals above `low` and at most `high`, near their middle."""
    middle = (low + high) / 2.0
    for decimals in range(1, 16):
        number = round(middle, decimals)
        if low < number <= high:
            return number
    return high


def _for_alarms(most_per_day: float, ground: Ground, rules: EventRules) -> tuple[float, bool]:
    """Return the lowest threshold from the top down that stays within the wish.

    From the top, as far below events grow together and their number falls again. And whether a
    lower one was refused only because events then hardly end.
    """
    scores = ground.scores
    days = ground.normal_days
    most_busy_seconds = MOST_BUSY_SHARE * days * DAY_SECONDS
    kept = max(float(scores[-1]), 1.0)
    for score in _candidates(scores):
        alarms, busy_seconds = _alarms(ground.normal, rules, score)
        if alarms / days > most_per_day or busy_seconds > most_busy_seconds:
            # Of very many scores not all were tried: those between are taken for refused.
            refused = scores[scores < kept][-1]
            return plain_between(float(refused), kept), alarms / days <= most_per_day
        kept = score
    return max(kept, 1e-6), False


def _for_recall(least: float, ground: Ground, rules: EventRules) -> float:
    """Return the highest threshold that finds so large a share of the incidents."""
    tops = sorted((_highest(views, rules) for views in ground.incidents), reverse=True)
    needed = max(1, math.ceil(least * len(tops) - 1e-9))
    top = tops[needed - 1]
    scores = ground.scores
    below = scores[scores < top]
    return plain_between(float(below[-1]) if len(below) else 0.0, max(top, 1e-6))


def _highest(views: Sequence[Series], rules: EventRules) -> float:
    """Return the highest score at which, as a threshold, an incident is found; 0: at none."""
    scores = np.unique(np.concatenate([one.scores.score for one in views]))
    low, high = 0, len(scores)
    # A lower threshold only adds anomalous clips, so halving finds the border.
    while low < high:
        middle = (low + high) // 2
        if _is_found(views, rules, float(scores[middle])):
            low = middle + 1
        else:
            high = middle
    return float(scores[low - 1]) if low else 0.0


def _candidates(scores: Floats) -> Iterable[float]:
    """Yield scores from the top; of very many, all of the first and ever fewer further down."""
    falling = scores[::-1]
    if len(falling) <= MOST_CANDIDATES:
        places = np.arange(len(falling))
    else:
        half = MOST_CANDIDATES // 2
        places = np.concatenate([np.arange(half), np.geomspace(half, len(falling) - 1, half)])
    yield from falling[np.unique(places.astype(np.intp))].tolist()


def _alarms(normal: Iterable[Series], rules: EventRules, threshold: float) -> tuple[int, float]:
    """Count alarms that would have been sent, and the seconds within events."""
    alarms, busy_seconds = 0, 0.0
    for one in normal:
        if not len(one.scores) or one.scores.score.max() < threshold:
            continue
        for event in replayed(one.scores, rules, threshold):
            alarms += event.sent_seconds is not None
            busy_seconds += event.end_seconds - event.start_seconds
    return alarms, busy_seconds


def _is_found(views: Iterable[Series], rules: EventRules, threshold: float) -> bool:
    return any(
        any(_meets(one, event.start_seconds, event.end_seconds) for event in events)
        for one in views
        if (events := replayed(one.scores, rules, threshold))
    )


def _meets(series: Series, start_seconds: float, end_seconds: float) -> bool:
    return not series.windows or any(
        start < end_seconds and end > start_seconds for start, end in series.windows
    )


def _could_open(series: Series, rules: EventRules) -> bool:
    """Whether an event opens where every clip is an anomaly."""
    return _is_found([series], rules, -math.inf)


def _supported(wish: Wish, ground: Ground) -> bool:
    if wish.kind == "recall":
        return most_recall_promised(len(ground.incidents)) >= wish.value
    return least_promise_per_day(ground.normal_days) <= wish.value


def _warnings(wish: Wish, ground: Ground, effect: Effect, chosen: ChosenThreshold) -> Iterable[str]:
    if wish.kind == "recall":
        yield from recall_warnings(wish.value, effect.found, effect.incidents, chosen)
    else:
        yield from alarm_warnings(wish.value, ground.normal_days, effect.false_alarms, chosen)
    if ground.too_short:
        yield (
            f"{ground.too_short} of {ground.too_short + len(ground.incidents)} incidents are in "
            "recordings too short for the clips that an event needs: they are in no figure of "
            "recall here."
        )


def _flat(groups: Iterable[Sequence[Series]]) -> Iterable[Series]:
    for views in groups:
        yield from views
