"""Outcome: what would be seen on a camera and what not, at which threshold. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edgewatch.pipeline.events import EventRules
from edgewatch.pipeline.scenes.truth import IncidentKind
from edgewatch.pipeline.tuning import Scores
from edgewatch.tools.calibrating.labelled import Series
from edgewatch.tools.calibrating.promises import least_promise_per_day, span
from edgewatch.tools.calibrating.wishes import Effect, Ground, effect_of, ground_of, plain_between
from edgewatch.tools.commissioning.trial import Size, Trial
from edgewatch.tools.commissioning.trying import Judged, Tried
from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.evaluation.statistics.intervals import share

NOTHING_TRIED = "none was tried"
WORTH = 0.02
"""A threshold is kept unless another is better by more than this."""
MOST_CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class Row:
    """How many trials of one sort were seen."""

    kind: IncidentKind | None
    """None: all kinds."""
    size: Size | None
    """None: all sizes."""
    tried: int
    seen: int
    recall: Estimate


@dataclass(frozen=True, slots=True)
class At:
    """What one threshold means on this camera."""

    threshold: float
    rows: tuple[Row, ...]
    """Incidents by kind and size, then by kind, then all of them."""
    harmless: Row
    """Harmless twins that alarmed."""
    normal: Effect
    """Of the normal footage: false alarms a day."""
    seen: frozenset[int]
    """Numbers of the trials in which an event opened."""

    @property
    def worth(self) -> float:
        """Share of incidents seen, less the share of harmless twins that alarmed.

        Source: W. J. Youden, "Index for rating diagnostic tests", Cancer 3 (1950) 32.
        """
        all_kinds = self.rows[-1]
        found = all_kinds.seen / all_kinds.tried if all_kinds.tried else 0.0
        return found - (self.harmless.seen / self.harmless.tried if self.harmless.tried else 0.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole of it."""

    current: At
    proposed: At | None
    """None: the current threshold is kept."""
    why: str
    """Of the proposal, in words."""
    faults: tuple[Row, ...]
    """Faults of the camera itself, by kind: told by its health."""
    harmless_faults: Row
    warnings: tuple[str, ...]


def outcome_of(
    judged: Judged, rules: EventRules, *, threshold: float, most_per_day: float
) -> Outcome:
    """Find out what the camera's threshold means, and whether another would be better."""
    tried = [one for one in judged.tried if not one.trial.is_fault]
    faults = [one for one in judged.tried if one.trial.is_fault]
    current = at(threshold, judged.normal, tried, rules)
    best, why = _proposal(current, judged.normal, tried, rules, most_per_day)
    return Outcome(
        current,
        best,
        why,
        _fault_rows(faults),
        _told(faults, harmless=True, kind=None),
        tuple(_warnings(judged, best or current, most_per_day)),
    )


def at(threshold: float, normal: Sequence[Scores], tried: Sequence[Tried], rules: EventRules) -> At:
    """Return what a threshold means."""
    seen = frozenset(one.trial.number for one in tried if _is_seen(one, rules, threshold))
    incidents = [one.trial for one in tried if not one.trial.harmless]
    harmless = [one.trial for one in tried if one.trial.harmless]
    return At(
        threshold,
        tuple(_rows(incidents, seen)),
        _row(harmless, seen, None, None),
        effect_of(threshold, _normal_ground(normal, rules), rules),
        seen,
    )


def _proposal(
    current: At,
    normal: Sequence[Scores],
    tried: Sequence[Tried],
    rules: EventRules,
    most_per_day: float,
) -> tuple[At | None, str]:
    """Take the threshold of the most worth among those within the wished false alarms.

    Between equals the middle one of their range: scores of tomorrow are not exactly today's.
    """
    scores = np.unique(np.concatenate([*(one.score for one in normal), *_all(tried)]))
    edges = np.concatenate([scores, [1.0]])
    if len(edges) > MOST_CANDIDATES:
        edges = edges[np.unique(np.linspace(0, len(edges) - 1, MOST_CANDIDATES).astype(np.intp))]
    found = [
        at(_between(float(low), float(high)), normal, tried, rules)
        for low, high in pairwise(edges)
        if high > low
    ]
    allowed = [one for one in found if (one.normal.false_alarms_per_day.value or 0) <= most_per_day]
    if not allowed:
        return None, (
            f"no threshold keeps the normal footage within {most_per_day:g} false alarms a day: "
            "hide what moves there with `ignore`, or ask for less"
        )
    most = max(one.worth for one in allowed)
    equal = [one for one in allowed if one.worth >= most - 1e-9]
    best = equal[len(equal) // 2]
    within = (current.normal.false_alarms_per_day.value or 0.0) <= most_per_day
    if within and best.worth - current.worth <= WORTH:
        return None, "no other threshold is clearly better on what was tried"
    return best, (
        "the most incidents seen, less harmless happenings that alarm, within "
        f"{most_per_day:g} false alarms a day on the normal footage"
    )


def _between(low: float, high: float) -> float:
    return plain_between(low, high) if high < 1.0 or low < 0.99 else high


def _is_seen(tried: Tried, rules: EventRules, threshold: float) -> bool:
    return effect_of(threshold, ground_of([_series(tried)], rules), rules).found > 0


def _series(tried: Tried) -> Series:
    return Series(
        name=f"trial {tried.trial.number}",
        group=f"trial {tried.trial.number}",
        kind="incident",
        scores=tried.scores,
        truth=np.full(len(tried.scores), np.nan),
        windows=((tried.begins_seconds, tried.ends_seconds),),
    )


def _normal_ground(normal: Sequence[Scores], rules: EventRules) -> Ground:
    series = [
        Series(f"normal {number}", f"normal {number}", "normal", one, np.zeros(len(one)))
        for number, one in enumerate(normal)
    ]
    return ground_of(series, rules)


def _rows(trials: Sequence[Trial], seen: frozenset[int]) -> Iterable[Row]:
    kinds = list(dict.fromkeys(one.kind for one in trials))
    for kind in kinds:
        of_kind = [one for one in trials if one.kind == kind]
        for size in dict.fromkeys(one.size for one in of_kind):
            yield _row([one for one in of_kind if one.size == size], seen, kind, size)
    for kind in kinds:
        yield _row([one for one in trials if one.kind == kind], seen, kind, None)
    yield _row(trials, seen, None, None)


def _row(
    trials: Sequence[Trial], seen: frozenset[int], kind: IncidentKind | None, size: Size | None
) -> Row:
    count = sum(one.number in seen for one in trials)
    return Row(kind, size, len(trials), count, share(count, len(trials), NOTHING_TRIED))


def _fault_rows(faults: Sequence[Tried]) -> tuple[Row, ...]:
    kinds = dict.fromkeys(one.trial.kind for one in faults)
    return tuple(_told(faults, harmless=False, kind=kind) for kind in kinds)


def _told(faults: Sequence[Tried], *, harmless: bool, kind: IncidentKind | None) -> Row:
    chosen = [
        one for one in faults if one.trial.harmless is harmless and kind in (None, one.trial.kind)
    ]
    told = sum(one.told_seconds is not None for one in chosen)
    return Row(kind, None, len(chosen), told, share(told, len(chosen), NOTHING_TRIED))


def _all(tried: Sequence[Tried]) -> Iterable[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    return (one.scores.score for one in tried)


def _warnings(judged: Judged, at: At, most_per_day: float) -> Iterable[str]:
    days = at.normal.normal_days
    if days and least_promise_per_day(days) > most_per_day:
        yield (
            f"{most_per_day:g} false alarms a day cannot be promised from {span(days)} of normal "
            f"footage: even with none in it, up to {least_promise_per_day(days):.0f} a day are "
            f"possible; to promise it takes {span(least_promise_per_day(most_per_day))} of it"
            if most_per_day > 0
            else "no false alarms at all can be promised by no footage"
        )
    yield (
        "incidents here are drawn: what is missed here will most likely be missed, what is seen "
        "here will not surely be seen"
    )
    if judged.unjudged_clips:
        yield f"{judged.unjudged_clips} clips got no score from the engine and count for nothing"
