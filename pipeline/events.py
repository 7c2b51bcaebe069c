"""Verdicts to events: hysteresis, cooldown, snooze, loss of the camera. Pure; time is in clips."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from edgewatch.pipeline.ids import uuid7
from edgewatch.pipeline.types import (
    CameraName,
    CameraState,
    DrillMark,
    EndedBy,
    Event,
    EventType,
    Verdict,
)

PEAK_STEP = 0.05
"""An open event is sent again when its peak score has risen by this much."""

HOLD_TIMES = 4
"""Scores between `close_below` and the threshold hold an event open for at most this many times
`close_after_seconds` after its last anomalous clip: a camera whose usual score lies there would
otherwise have one event for ever, and nobody would be told of the next."""

NewId = Callable[[float], str]
"""Makes an event id from the Unix time at which the event opens."""


@dataclass(frozen=True, slots=True)
class EventRules:
    """When events open and close; the numbers of settings `[events]`."""

    open_after: int = 2
    open_within: int = 3
    close_after_seconds: float = 15.0
    close_below: float | None = None
    """Score below which an open event is quiet; None, or above the threshold: the threshold."""
    cooldown_seconds: float = 60.0
    stale_seconds: float = 30.0
    """Without a verdict for this long, nothing is known of the camera any more."""


@dataclass(frozen=True, slots=True)
class _Incident:
    """The event that is open now, and what only the policy needs to know of it."""

    event: Event
    last_anomalous_seconds: float
    last_lively_seconds: float
    """End of the last clip that was not quiet: anomalous, or not below `close_below`."""
    sent_peak: float


class EventPolicy:
    """One camera's events; at most one is open.

    Every method returns the event snapshots that follow, oldest first: `new`, any `update`s,
    `end`, with `revision` counting up. A snapshot with `suppressed_by` set is recorded and not
    sent; an event still going on when the suppression has passed is sent then, as `new`.
    """

    def __init__(
        self,
        camera: CameraName,
        rules: EventRules,
        *,
        now_seconds: float,
        new_id: NewId = uuid7,
        replay: bool = False,
        drill: DrillMark | None = None,
    ) -> None:
        self._camera = camera
        self._rules = rules
        self._new_id = new_id
        self._replay = replay
        self._drill = drill
        self._recent: deque[Verdict] = deque(maxlen=rules.open_within)
        self._open: _Incident | None = None
        self._last_verdict_seconds: float | None = None
        self._last_alert_seconds: float | None = None
        self._snoozed_until_seconds: float | None = None
        self._state = CameraState(camera, "unknown", now_seconds)

    @property
    def state(self) -> CameraState:
        """What the camera's verdicts say now; changes only on a change of state or event."""
        return self._state

    @property
    def open_event(self) -> Event | None:
        """Newest snapshot of the open event."""
        return self._open.event if self._open else None

    @property
    def rules(self) -> EventRules:
        """The rules in force."""
        return self._rules

    def change_rules(self, rules: EventRules) -> None:
        """Judge by other rules from now on; an open event stays open."""
        self._rules = rules
        self._recent = deque(self._recent, maxlen=rules.open_within)

    def snooze(self, until_seconds: float | None) -> None:
        """Send no new event before this Unix time; what happens is recorded all the same."""
        self._snoozed_until_seconds = until_seconds

    def judge(self, verdict: Verdict) -> list[Event]:
        """Take the next verdict of the camera."""
        now_seconds = verdict.end_seconds
        self._follow_clock(now_seconds)
        events = self._end_if_unwatched(verdict.start_seconds)
        self._last_verdict_seconds = now_seconds
        if self._open is None:
            self._recent.append(verdict)
            events += self._open_if_due(verdict)
        elif verdict.anomalous:
            events += self._continue(verdict)
        elif self._is_over(self._open, verdict):
            events += self._end("quiet", verdict.score)
        self._change_state(now_seconds, verdict.score)
        return events

    def describe(self, event_id: str, words: str) -> list[Event]:
        """Attach words to the open event; nothing if that event has ended meanwhile."""
        if self._open is None or self._open.event.event_id != event_id or not words:
            return []
        return [self._step("update", description=words)]

    def tick(self, now_seconds: float) -> list[Event]:
        """Notice silence: without verdicts the state is unknown and an event cannot go on."""
        if self._last_verdict_seconds is None:
            return []
        events = self._end_if_unwatched(now_seconds)
        if now_seconds - self._last_verdict_seconds > self._rules.stale_seconds:
            self._forget(now_seconds)
        return events

    def pause(self, now_seconds: float) -> None:
        """Say that nobody watches right now (camera down): the state is unknown at once."""
        self._recent.clear()
        self._set_state(CameraState(self._camera, "unknown", now_seconds, None, self._event_id))

    def lose(self, now_seconds: float, ended_by: EndedBy) -> list[Event]:
        """End what is open because watching ended for good (camera lost, disabled, stopped)."""
        events = self._end(ended_by, self._open.event.score) if self._open else []
        self._forget(now_seconds)
        return events

    @property
    def _event_id(self) -> str | None:
        return self._open.event.event_id if self._open else None

    def _open_if_due(self, verdict: Verdict) -> list[Event]:
        anomalous = [one for one in self._recent if one.anomalous]
        if not verdict.anomalous or len(anomalous) < self._rules.open_after:
            return []
        peak = max(anomalous, key=lambda one: one.score)
        event = Event(
            event_id=self._new_id(verdict.end_seconds),
            type="new",
            revision=1,
            camera=self._camera,
            score=verdict.score,
            peak_score=peak.score,
            peak_clip_id=peak.clip_id,
            threshold=verdict.threshold,
            start_seconds=anomalous[0].start_seconds,
            end_seconds=None,
            clips=len(anomalous),
            engine=verdict.engine,
            suppressed_by=self._suppression(verdict.end_seconds),
            replay=self._replay,
            drill=self._drill,
        )
        self._recent.clear()
        end_seconds = verdict.end_seconds
        self._open = _Incident(event, end_seconds, end_seconds, event.peak_score)
        self._note_alert(event, verdict.end_seconds)
        return [event]

    def _continue(self, verdict: Verdict) -> list[Event]:
        """Count one more anomalous clip; speak only if there is something to say."""
        incident = self._open
        assert incident is not None
        event = replace(
            incident.event,
            score=verdict.score,
            clips=incident.event.clips + 1,
            threshold=verdict.threshold,
        )
        if verdict.score > event.peak_score:
            event = replace(event, peak_score=verdict.score, peak_clip_id=verdict.clip_id)
        end_seconds = verdict.end_seconds
        if event.suppressed_by:
            # A snooze may end within the cooldown, or begin: what holds now is what is on record
            event = replace(event, suppressed_by=self._suppression(end_seconds))
        self._open = replace(
            incident,
            event=event,
            last_anomalous_seconds=end_seconds,
            last_lively_seconds=end_seconds,
        )
        if incident.event.suppressed_by and not event.suppressed_by:
            promoted = self._step("new")
            self._note_alert(promoted, end_seconds)
            return [promoted]
        if event.peak_score - incident.sent_peak >= PEAK_STEP:
            return [self._step("update")]
        return []

    def _is_over(self, incident: _Incident, verdict: Verdict) -> bool:
        """Take a clip that is not anomalous; True if the event ends with it."""
        now_seconds, rules = verdict.end_seconds, self._rules
        quiet_below = verdict.threshold if rules.close_below is None else rules.close_below
        if verdict.score >= quiet_below:
            self._open = incident = replace(incident, last_lively_seconds=now_seconds)
        quiet_seconds = now_seconds - incident.last_lively_seconds
        held_seconds = now_seconds - incident.last_anomalous_seconds
        return (
            quiet_seconds >= rules.close_after_seconds
            or held_seconds >= HOLD_TIMES * rules.close_after_seconds
        )

    def _end(self, ended_by: EndedBy, score: float) -> list[Event]:
        incident = self._open
        if incident is None:
            return []
        event = self._step(
            "end", score=score, end_seconds=incident.last_anomalous_seconds, ended_by=ended_by
        )
        self._open = None
        self._recent.clear()
        return [event]

    def _step(self, type_: EventType, **changes: object) -> Event:
        """Advance the open event by one revision."""
        incident = self._open
        assert incident is not None
        event = replace(
            incident.event,
            type=type_,
            revision=incident.event.revision + 1,
            **changes,  # type: ignore[arg-type]  # named fields of Event, checked by replace
        )
        self._open = replace(incident, event=event, sent_peak=event.peak_score)
        return event

    def _suppression(self, now_seconds: float) -> Literal["cooldown", "snooze"] | None:
        snoozed_until = self._snoozed_until_seconds
        if snoozed_until is not None and now_seconds < snoozed_until:
            return "snooze"
        last = self._last_alert_seconds
        if last is not None and now_seconds - last < self._rules.cooldown_seconds:
            return "cooldown"
        return None

    def _note_alert(self, event: Event, now_seconds: float) -> None:
        if event.suppressed_by is None:
            self._last_alert_seconds = now_seconds

    def _end_if_unwatched(self, now_seconds: float) -> list[Event]:
        last = self._last_verdict_seconds
        if self._open is None or last is None or now_seconds - last <= self._rules.stale_seconds:
            return []
        return self._end("not_judged", self._open.event.score)

    def _follow_clock(self, now_seconds: float) -> None:
        """Follow a clock that was set back, or nothing would elapse until it caught up."""
        last = self._last_verdict_seconds
        if last is None or now_seconds >= last:
            return
        back_seconds = last - now_seconds
        self._recent.clear()
        if self._last_alert_seconds is not None:
            self._last_alert_seconds -= back_seconds
        if self._open is not None:
            self._open = replace(
                self._open,
                last_anomalous_seconds=self._open.last_anomalous_seconds - back_seconds,
                last_lively_seconds=self._open.last_lively_seconds - back_seconds,
            )

    def _forget(self, now_seconds: float) -> None:
        self._recent.clear()
        self._last_verdict_seconds = None
        self._set_state(CameraState(self._camera, "unknown", now_seconds))

    def _change_state(self, now_seconds: float, score: float) -> None:
        word: Literal["normal", "anomaly"] = "anomaly" if self._open else "normal"
        self._set_state(CameraState(self._camera, word, now_seconds, score, self._event_id))

    def _set_state(self, state: CameraState) -> None:
        """Keep the older state if nothing but its time and score would change."""
        old = self._state
        if (state.state, state.event_id) != (old.state, old.event_id):
            self._state = state


def interrupted(event: Event, last_anomalous_seconds: float | None) -> Event:
    """Return the end of an event that was open when the service died.

    `last_anomalous_seconds`: end of the last anomalous clip on record, None if there is none.
    """
    return replace(
        event,
        type="end",
        revision=event.revision + 1,
        end_seconds=max(event.start_seconds, last_anomalous_seconds or event.start_seconds),
        ended_by="restart",
    )
