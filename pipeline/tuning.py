"""Tuning: what each threshold would have made of the scores on record. Pure.

The rules are EventPolicy's, applied to whole arrays: an event opens at the K-th anomalous clip of
a window, and ends at the first clip that is quiet long enough. Held against the policy itself by
a test for any scores and rules.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.events import HOLD_TIMES, EventRules

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

DAY_SECONDS = 86_400.0
NEAR_SECONDS = 60.0
"""An event that began this much before a confirmed one is no alert of it: at a very low threshold
one event goes on for hours, and would pass for the best of all."""


USUAL_ALERTS_A_DAY = 2.0
"""What is aimed at while no event is confirmed and nothing else is wished for."""
MOST_BUSY_SHARE = 0.05
"""A threshold that has an event going on for more of the time than this is none to propose: few
alerts a day then mean that they never end."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Clips of one camera in order of their ends; three float64 arrays of shape (clips,)."""

    start_seconds: Floats
    end_seconds: Floats
    score: Floats

    @classmethod
    def of(cls, spans: Sequence[tuple[float, float, float, float]]) -> Scores:
        """Take (start, end, score, threshold) of each clip; see `Records.score_spans`."""
        table = np.array(spans, dtype=np.float64).reshape(-1, 4)
        table = table[np.isfinite(table[:, 2])]
        return cls(*(np.ascontiguousarray(table[:, column]) for column in range(3)))

    def __len__(self) -> int:
        return len(self.score)

    @property
    def watched_seconds(self) -> float:
        """Time that the clips cover; overlaps count once."""
        if not len(self):
            return 0.0
        lengths = self.end_seconds - self.start_seconds
        gained = np.minimum(np.diff(self.end_seconds), lengths[1:])
        return float(lengths[0] + gained.sum())


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as a threshold would have made it; Unix times."""

    start_seconds: float
    """Start of its first anomalous clip."""
    opened_seconds: float
    end_seconds: float
    """End of its last anomalous clip."""
    clips: int
    sent_seconds: float | None
    """When its alert goes out; None: the cooldown held it back to its end."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event that a person said something of; Unix times."""

    start_seconds: float
    end_seconds: float
    correct: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one threshold would have meant."""

    threshold: float
    events: int
    alerts: int
    """Events that would have been sent."""
    alerts_a_day: float
    """In a day of watching."""
    busy_share: float
    """Of the time watched: within events."""
    hits: int
    """Events confirmed that would be events still."""
    missed: int
    false_left: int
    """False alarms that would be events still."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The threshold to set, and how it was chosen."""

    outcome: Outcome
    reason: Literal["feedback", "alerts_a_day", "keep"]
    why: str


def thresholds(current: float) -> list[float]:
    """Return the grid: 0.025 to 0.975, and what is set now."""
    return sorted({*(round(number * 0.025, 3) for number in range(1, 40)), current})


def outcomes(
    scores: Scores, rules: EventRules, grid: Sequence[float], told: Sequence[Told]
) -> list[Outcome]:
    """Return what each threshold of the grid would have meant."""
    seconds = scores.watched_seconds
    found = []
    for threshold in grid:
        happenings = replayed(scores, rules, threshold)
        alerts = sum(one.sent_seconds is not None for one in happenings)
        again = [(one, event) for one in told if (event := _overlap(one, happenings))]
        hits = sum(
            one.correct and event.start_seconds >= one.start_seconds - NEAR_SECONDS
            for one, event in again
        )
        busy_seconds = sum(one.end_seconds - one.start_seconds for one in happenings)
        found.append(
            Outcome(
                threshold=threshold,
                events=len(happenings),
                alerts=alerts,
                alerts_a_day=alerts / seconds * DAY_SECONDS if seconds else 0.0,
                busy_share=min(1.0, busy_seconds / seconds) if seconds else 0.0,
                hits=hits,
                missed=sum(one.correct for one in told) - hits,
                false_left=sum(not one.correct for one, _ in again),
            )
        )
    return found


def propose(
    found: Sequence[Outcome],
    current: float,
    alerts_a_day: float | None = None,
    *,
    any_told: bool,
    enough: bool = True,
) -> Proposal:
    """Choose a threshold: by what people said of events, else by the alerts a day wished for.

    Confirmed events come first, false alarms second, alerts third; among equals the one that is
    set stays, else the middle is taken, the furthest from both mistakes. `alerts_a_day`: the most
    that are wished for; None: as many as confirmed events need, or USUAL_ALERTS_A_DAY while there
    are none. `enough`: whether the scores are of enough time to tell alerts a day.
    """
    calm = [one for one in found if one.busy_share <= MOST_BUSY_SHARE] or list(found[-1:])
    few = [one for one in calm if alerts_a_day is None or one.alerts_a_day <= alerts_a_day]
    if any_told and any(one.hits for one in few):
        best = min((one.missed, one.false_left, one.alerts) for one in few)
        equal = [one for one in few if (one.missed, one.false_left, one.alerts) == best]
        chosen = _kept(equal, current) or equal[len(equal) // 2]
        why = (
            f"of the thresholds that miss the fewest confirmed events ({best[0]}), it leaves the "
            f"fewest false alarms ({best[1]})"
        )
        return Proposal(chosen, "feedback", why)
    now = next(one for one in found if one.threshold == current)
    if not enough:
        return Proposal(now, "keep", "too little was watched to propose another")
    # From the top: far below, events grow together and their number falls again.
    most = USUAL_ALERTS_A_DAY if alerts_a_day is None else alerts_a_day
    fitting = list(takewhile(lambda one: one.alerts_a_day <= most, reversed(calm)))
    chosen = fitting[-1] if fitting else calm[-1]
    if (chosen.events, chosen.alerts) == (now.events, now.alerts):
        return Proposal(now, "keep", "a change would change nothing in these scores")
    limit = f"{most:g} alerts a day"
    why = (
        f"the lowest that stays within {limit}"
        if fitting
        else f"none stays within {limit}; this one comes closest"
    )
    return Proposal(chosen, "alerts_a_day", why)


def replayed(scores: Scores, rules: EventRules, threshold: float) -> list[Happening]:
    """Return the events that a threshold would have made of the scores, in order.

    A silence of more than `stale_seconds` from one clip's end to the next one's ends what is open,
    as the policy's tick does. Snoozes of that time are not repeated. An event still open at the
    end of the scores counts as ended there.
    """
    anomalous = scores.score >= threshold
    found = np.flatnonzero(anomalous)
    opens = _openings(found, _segments(scores, rules), rules)
    if not len(opens):
        return []
    after = np.searchsorted(found, _ends(scores, rules, threshold, anomalous, found[opens]))
    # What comes after an event needs its own K anomalous clips.
    following = np.searchsorted(opens, after + rules.open_after - 1).tolist()
    chain, at = [], 0
    while at < len(following):
        chain.append(at)
        at = following[at]
    return _happenings(scores, rules, found, opens[chain], after[chain])


def _segments(scores: Scores, rules: EventRules) -> Indices:
    """Return for each clip the number of the stretch without silence that it is in."""
    silent = np.diff(scores.end_seconds, prepend=scores.end_seconds[:1]) > rules.stale_seconds
    return np.cumsum(silent)


def _openings(found: Indices, segments: Indices, rules: EventRules) -> Indices:
    """Return which of the anomalous clips, by their number, complete a window."""
    needed = rules.open_after
    if len(found) < needed:
        return np.empty(0, np.intp)
    first, last = found[: len(found) - needed + 1], found[needed - 1 :]
    full = (last - first < rules.open_within) & (segments[first] == segments[last])
    return np.flatnonzero(full) + needed - 1


def _ends(
    scores: Scores,
    rules: EventRules,
    threshold: float,
    anomalous: npt.NDArray[np.bool_],
    opened_at: Indices,
) -> Indices:
    """Return for each opening clip the place of the clip with which its event is over."""
    end = scores.end_seconds
    quiet_below = threshold if rules.close_below is None else min(threshold, rules.close_below)
    since_lively = end - end[_latest(scores.score >= quiet_below)]
    since_anomalous = end - end[_latest(anomalous)]
    over = since_lively >= rules.close_after_seconds
    over |= since_anomalous >= HOLD_TIMES * rules.close_after_seconds
    over &= ~anomalous
    quiet = np.append(np.flatnonzero(over), len(end))
    silent = np.append(np.flatnonzero(np.diff(end) > rules.stale_seconds) + 1, len(end))
    ends: Indices = np.minimum(
        quiet[np.searchsorted(quiet, opened_at)],
        silent[np.searchsorted(silent, opened_at, side="right")],
    )
    return ends


def _latest(marked: npt.NDArray[np.bool_]) -> Indices:
    """Return for each place the latest marked one up to it; 0 before the first."""
    places: Indices = np.where(marked, np.arange(len(marked)), 0)
    return np.maximum.accumulate(places)


def _happenings(
    scores: Scores, rules: EventRules, found: Indices, opens: Indices, after: Indices
) -> list[Happening]:
    """Make the events; `after`: number of the first anomalous clip beyond each."""
    ends = scores.end_seconds[found].tolist()
    starts = scores.start_seconds[found[opens - rules.open_after + 1]].tolist()
    happenings = []
    last_alert_seconds: float | None = None
    for start_seconds, opened, beyond in zip(starts, opens.tolist(), after.tolist(), strict=True):
        sent_seconds = _sent(ends, opened, beyond, last_alert_seconds, rules.cooldown_seconds)
        if sent_seconds is not None:
            last_alert_seconds = sent_seconds
        clips = beyond - opened + rules.open_after - 1
        happenings.append(
            Happening(start_seconds, ends[opened], ends[beyond - 1], clips, sent_seconds)
        )
    return happenings


def _sent(
    ends: Sequence[float],
    opened: int,
    beyond: int,
    last_alert_seconds: float | None,
    cooldown_seconds: float,
) -> float | None:
    """Say at the end of which anomalous clip of the event the cooldown has passed."""
    if last_alert_seconds is None:
        return ends[opened]
    at = bisect_left(ends, last_alert_seconds + cooldown_seconds, opened, beyond)
    # The policy subtracts, and floats may round differently by one clip.
    at = max(opened, at - 1)
    while at < beyond and ends[at] - last_alert_seconds < cooldown_seconds:
        at += 1
    return ends[at] if at < beyond else None


def _overlap(told: Told, happenings: Sequence[Happening]) -> Happening | None:
    """Return the last event that overlaps the one that was spoken of."""
    # Events follow each other, so the last that starts before its end decides.
    at = bisect_right(happenings, told.end_seconds, key=lambda one: one.start_seconds) - 1
    return happenings[at] if at >= 0 and happenings[at].end_seconds >= told.start_seconds else None


def _kept(equal: Sequence[Outcome], current: float) -> Outcome | None:
    return next((one for one in equal if one.threshold == current), None)
