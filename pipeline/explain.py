"""Explain: for one moment of one camera, whether it was watched and what came of it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal

from edgewatch.pipeline.engines.calibration import split_name
from edgewatch.pipeline.hysteresis import most_anomalous
from edgewatch.pipeline.ids import time_of
from edgewatch.pipeline.inquiry import Inquiry
from edgewatch.pipeline.types import Coverage, Event, Interval, Verdict
from edgewatch.pipeline.unwatched import BY, CURES, ENDINGS, HEADLINES

LEAST_THRESHOLD = 0.1
"""A threshold below this one would make an event of almost everything."""

Kind = Literal[
    "future",
    "before_records",
    "unsettled",
    "not_watched",
    "alert",
    "suppressed",
    "below_threshold",
    "hysteresis",
    "no_event",
    "not_stored",
]
"""What became of the moment: no answer yet or ever; nobody looked; an event that was sent, or held
back; a score too low; too few anomalous clips; enough of them, and yet no event; judged, but the
verdict is gone."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer for one moment."""

    kind: Kind
    watched: Coverage | None
    """None: not known, or not yet."""
    headline: str
    sentences: tuple[str, ...]
    """The facts, the most telling first."""
    advice: tuple[str, ...]
    """What to do about it."""
    verdicts: tuple[Verdict, ...]
    """Of the clips that hold the moment."""
    around: tuple[Verdict, ...]
    """Of the clips around it, those included."""
    event_id: str | None = None

    @property
    def known(self) -> bool:
        """Whether there is anything to know about that time at all."""
        return self.kind not in ("future", "before_records")


def explain(inquiry: Inquiry, zone: tzinfo | None = None) -> Explanation:
    """Answer an inquiry; times are written in `zone`, None: this machine's."""
    return _Answer(inquiry, zone).explanation()


class _Answer:
    """One inquiry being answered."""

    def __init__(self, inquiry: Inquiry, zone: tzinfo | None) -> None:
        self._it = inquiry
        self._zone = zone
        # Whole milliseconds, as all that is published has: an event's start is then part of it.
        self._at_ms = _ms(inquiry.moment_seconds)
        self._covering = tuple(
            one
            for one in inquiry.verdicts
            if _ms(one.start_seconds) <= self._at_ms < _ms(one.end_seconds)
        )
        self._facts: list[str] = []
        self._advice: list[str] = []

    def explanation(self) -> Explanation:
        it = self._it
        if it.moment_seconds > it.now_seconds:
            return self._say("future", None, "This moment is in the future")
        interval = self._interval()
        if interval is not None and interval.coverage != "judged" and not self._covering:
            return self._not_watched(interval.coverage, interval.start_ms, interval.end_ms)
        if interval is not None or self._covering:
            return self._judged()
        if it.known_since_seconds is None or it.moment_seconds < it.known_since_seconds:
            return self._before_records()
        if it.moment_seconds >= it.settled_until_seconds:
            return self._unsettled()
        return self._not_watched("not_running", *self._gap_ms())

    # -- nobody knows ------------------------------------------------------------------------

    def _before_records(self) -> Explanation:
        since = self._it.known_since_seconds
        if since is None:
            self._facts.append(f"Nothing is on record of camera {self._it.camera}.")
        else:
            self._facts.append(f"The records of this camera begin at {self._time(since, True)}.")
            days = self._it.kept_days
            self._facts.append(f"They are kept for {days} days (service.verdict_days).")
        return self._say("before_records", None, "This moment lies before the records begin")

    def _unsettled(self) -> Explanation:
        it = self._it
        settled = self._time(it.settled_until_seconds)
        self._facts.append(
            f"The ledger is settled up to {settled}; a clip of this moment may still be judged."
        )
        self._advice.append("Ask again in half a minute.")
        return self._say("unsettled", None, "Still to be settled: this moment is too fresh")

    # -- nobody looked -----------------------------------------------------------------------

    def _not_watched(self, coverage: Coverage, start_ms: int, end_ms: int) -> Explanation:
        length = (end_ms - start_ms) / 1000
        if start_ms < end_ms:
            self._facts.append(
                f"That lasted from {self._time(start_ms / 1000, True)} to "
                f"{self._time(end_ms / 1000, True)} ({length:.1f} s)."
            )
        change = self._it.past.get("enabled")
        if coverage == "disabled" and change is not None and change.value == "false":
            self._facts.append(
                f"It was switched off at {self._time(change.at_seconds, True)}, by {BY[change.by]}."
            )
        event = self._event()
        if event is not None:
            self._facts.append(f"{self._named(event)} was going on.")
            if event.ended_by in ENDINGS:
                self._facts.append(f"It ended there: {ENDINGS[event.ended_by]}.")
        self._advice.append(CURES[coverage])
        return self._say("not_watched", coverage, HEADLINES[coverage], event)

    def _gap_ms(self) -> tuple[int, int]:
        """Return the hole in the ledger that the moment lies in; (0, 0) if an edge is far."""
        at_ms = self._at_ms
        before = [one.end_ms for one in self._it.intervals if one.end_ms <= at_ms]
        after = [one.start_ms for one in self._it.intervals if one.start_ms > at_ms]
        return (before[-1], after[0]) if before and after else (0, 0)

    # -- somebody looked ---------------------------------------------------------------------

    def _judged(self) -> Explanation:
        event = self._event()
        top = max(self._covering, key=lambda one: one.score, default=None)
        if top is not None:
            self._tell_of(top)
        if event is not None:
            return self._of_event(event)
        if top is None:
            self._advice.append("Look for `database in trouble` in the log of that time.")
            headline = "Judged, but the verdict is not on record: the disk took none"
            return self._say("not_stored", "judged", headline)
        if not top.anomalous:
            return self._below(top)
        return self._too_few(top)

    def _tell_of(self, top: Verdict) -> None:
        it = self._it
        count = len(self._covering)
        clips = "one clip that holds" if count == 1 else f"{count} clips that hold"
        self._facts.append(
            f"{top.engine} judged {clips} this moment; the highest score is "
            f"{top.score:.3f}, the threshold was {top.threshold:g}."
        )
        reasons = sorted(top.evidence, key=lambda one: -one.strength)
        for one in reasons:
            place = f", {one.where}" if one.where else ""
            detail = f" ({one.detail})" if one.detail else ""
            kind = one.kind.replace("_", " ")
            self._facts.append(
                f"The engine's reason: {kind}{place}, strength {one.strength:.2f}{detail}."
            )
        if split_name(top.engine)[1]:
            self._facts.append(
                "The score is calibrated: how often such clips of labelled recordings were an "
                "incident, and not the engine's own figure."
            )
        if top.warming_up:
            self._facts.append("The engine was still learning what is normal here.")
        if top.uncertain:
            self._facts.append("The engine was uncertain: its answer was hardly one.")
        if it.threshold is not None and it.threshold != top.threshold:
            verb = "would" if top.score >= it.threshold else "would not"
            self._facts.append(
                f"The threshold is {it.threshold:g} now: with that the clip {verb} be an anomaly."
            )

    def _of_event(self, event: Event) -> Explanation:
        self._tell_of_event(event)
        if event.suppressed_by == "cooldown":
            self._tell_cooldown(event.start_seconds, event)
            self._advice.append("If each of these is to be an alert, lower cooldown_seconds.")
            headline = "An event, but no alert: the camera was in cooldown"
            return self._say("suppressed", "judged", headline, event)
        if event.suppressed_by == "snooze":
            self._tell_snooze()
            headline = "An event, but no alert: the camera was snoozed"
            return self._say("suppressed", "judged", headline, event)
        self._advice.append(
            f"If it was none: `edgewatch feedback {event.event_id} false`, then `edgewatch tune "
            f"--camera {self._it.camera}`."
        )
        return self._say("alert", "judged", "Part of an event, and the alert was sent", event)

    def _tell_of_event(self, event: Event) -> None:
        end = event.end_seconds
        until = "and goes on" if end is None else f"to {self._time(end)}"
        self._facts.append(
            f"{self._named(event)}: from {self._time(event.start_seconds, True)} {until}, "
            f"{event.clips} anomalous clips, peak {event.peak_score:.3f}."
        )
        if event.description:
            self._facts.append(f"In words: {' '.join(event.description.split())}")

    def _below(self, top: Verdict) -> Explanation:
        self._tell_holding_back()
        if top.score < LEAST_THRESHOLD:
            self._advice.append(
                "If this was an incident: the engine saw nothing of it, and no useful threshold "
                "would have counted it; look at the camera's picture, or try an engine that can be "
                "told in `prompt` what counts here."
            )
        else:
            self._advice.append(
                f"If this was an incident: a threshold of {math.floor(top.score * 100) / 100:g} or "
                f"lower would have counted it; `edgewatch tune --camera {self._it.camera}` shows "
                "what else that would mean."
            )
        headline = f"Judged normal: the score {top.score:.2f} stayed below the threshold"
        return self._say("below_threshold", "judged", f"{headline} {top.threshold:g}")

    def _too_few(self, top: Verdict) -> Explanation:
        rules = self._it.rules_then
        best = most_anomalous(self._it.verdicts, self._covering, rules)
        self._tell_holding_back()
        if not self._it.rules_are_known:
            self._facts.append("The event rules of that time are not on record; these are today's.")
        if best >= rules.open_after:
            self._facts.append(
                f"{best} of {rules.open_within} clips were anomalous and {rules.open_after} are "
                "enough; a break of the camera between them, or an event that had just ended, "
                "makes the count begin anew."
            )
            self._advice.append("See the scores around it, and `edgewatch coverage` of that time.")
            headline = "An anomalous clip, and yet no event"
            return self._say("no_event", "judged", headline)
        self._facts.append(
            f"An event opens at {rules.open_after} anomalous clips among {rules.open_within} "
            f"(open_after, open_within); here there were at most {best}."
        )
        self._advice.append("If such moments are to be alerts, lower open_after.")
        return self._say(
            "hysteresis",
            "judged",
            f"An anomalous clip, but no event: {best} of {rules.open_within} clips, "
            f"{rules.open_after} are needed",
        )

    # -- what holds alerts back --------------------------------------------------------------

    def _tell_holding_back(self) -> None:
        """Say what would have held an alert of this moment back."""
        self._tell_snooze()
        self._tell_cooldown(self._it.moment_seconds, None)

    def _tell_snooze(self) -> None:
        until = self._it.snoozed_until_seconds
        if until is not None:
            change = self._it.past["snooze_seconds"]
            self._facts.append(
                f"Alerts were snoozed until {self._time(until, True)}, by {BY[change.by]} at "
                f"{self._time(change.at_seconds)}."
            )

    def _tell_cooldown(self, at_seconds: float, held: Event | None) -> None:
        cooldown_seconds = self._it.rules_then.cooldown_seconds
        sent = [
            one
            for one in self._it.events
            if one.suppressed_by is None and one.start_seconds < at_seconds and one != held
        ]
        if not sent:
            return
        last = sent[-1]
        # It went out when the event opened; one that was held back at first, later than that.
        opened_seconds = time_of(last.event_id) or last.start_seconds
        if held is not None or at_seconds < opened_seconds + cooldown_seconds:
            self._facts.append(
                f"The alert before it: {self._named(last)}, which opened at "
                f"{self._time(opened_seconds, True)}; cooldown_seconds is {cooldown_seconds:g}, "
                "and counts from when that was sent."
            )

    # -- words -------------------------------------------------------------------------------

    def _interval(self) -> Interval | None:
        covering = (one for one in self._it.intervals if one.start_ms <= self._at_ms < one.end_ms)
        return next(covering, None)

    def _event(self) -> Event | None:
        """Return the event that the moment is part of; of several one that was sent."""
        found = [
            one
            for one in self._it.events
            if _ms(one.start_seconds) <= self._at_ms
            and (one.end_seconds is None or self._at_ms <= _ms(one.end_seconds))
        ]
        return min(found, key=lambda one: one.suppressed_by is not None, default=None)

    def _say(
        self,
        kind: Kind,
        watched: Coverage | None,
        headline: str,
        event: Event | None = None,
    ) -> Explanation:
        return Explanation(
            kind=kind,
            watched=watched,
            headline=f"{headline}.",
            sentences=tuple(self._facts),
            advice=tuple(self._advice),
            verdicts=self._covering,
            around=self._it.verdicts,
            event_id=event.event_id if event else None,
        )

    @staticmethod
    def _named(event: Event) -> str:
        return f"Event {event.event_id}"

    def _time(self, seconds: float, dated: bool = False) -> str:
        local = datetime.fromtimestamp(seconds, self._zone)
        return f"{local:%Y-%m-%d %H:%M:%S}" if dated else f"{local:%H:%M:%S}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
