"""Progress: from what a drill saw happen, and when, to what came of it. Pure.

Each link has its time, counted from when the one before it was reached. When it is over, the facts
say which link it is that broke: an event that never came may be the camera's fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgewatch.pipeline.drill.facts import Facts
from edgewatch.pipeline.drill.limits import Limits
from edgewatch.pipeline.drill.result import STAGES, Link, Outcome
from edgewatch.pipeline.events import EventRules

_AWAY: Final = {
    "frozen": "its picture does not change",
    "dark": "its picture is black",
    "covered": "something covers its lens",
    "offline": "it is offline",
    "connecting": "it is still connecting",
    "off": "it is switched off",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a drill."""

    outcome: Outcome
    link: Link | None = None
    sentence: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """What the engine said of one copy."""

    score: float
    anomalous: bool
    shown: bool
    """It shows the incident; else it is untouched."""


class Progress:
    """One drill's; all times on one monotonic clock."""

    def __init__(
        self, limits: Limits, rules: EventRules, *, threshold: float, started_seconds: float
    ) -> None:
        self._limits = limits
        self._rules = rules
        self._started_seconds = started_seconds
        self.threshold = threshold
        self.scores: list[Score] = []
        self._reached: dict[str, float] = {}

    @property
    def stages(self) -> dict[str, float]:
        """Seconds from the start at which each stage was reached, in their order."""
        return {
            stage: self._reached[stage] - self._started_seconds
            for stage in STAGES
            if stage in self._reached
        }

    @property
    def best(self) -> float | None:
        """The highest score of the copies that show the incident."""
        return max((one.score for one in self.scores if one.shown), default=None)

    @property
    def control(self) -> Score | None:
        """What was said of the untouched copy."""
        return next((one for one in self.scores if not one.shown), None)

    def reach(self, stage: str, now_seconds: float) -> bool:
        """Note that a stage was reached; False if it had been before."""
        if stage in self._reached:
            return False
        self._reached[stage] = now_seconds
        return True

    def judged(self, score: Score) -> None:
        """Note what was said of a copy."""
        self.scores.append(score)

    def due_seconds(self) -> float:
        """Return when the link that is waited for has had its time."""
        limits = self._limits
        for before, awaited, allowed_seconds in (
            ("", ("subscribed",), limits.subscribe),
            ("subscribed", ("camera",), limits.camera),
            ("camera", ("composed", "engine"), limits.engine),
            ("engine", ("policy",), limits.event),
        ):
            if any(stage not in self._reached for stage in awaited):
                return self._since(before) + allowed_seconds
        return self._since("policy") + limits.delivery

    def decide(self, facts: Facts, now_seconds: float) -> Verdict | None:
        """Return what came of it, None while it goes on."""
        if facts.leaks:
            return Verdict(
                "failed",
                "leak",
                f"{facts.leaks} messages of a drill were about to go where real alerts go, "
                "or did; those that could be were stopped",
                "Report this as a fault of edgewatch, with its log",
            )
        if all(stage in self._reached for stage in STAGES):
            return Verdict("passed")
        if facts.interrupted_by:
            return Verdict("broken_off", None, facts.interrupted_by, "Drill again when it is over")
        at_once = facts.witness_trouble and "subscribed" not in self._reached
        if at_once or facts.composing_trouble or now_seconds >= self.due_seconds():
            return self.broken(facts)
        return None

    def _since(self, stage: str) -> float:
        return self._reached.get(stage, self._started_seconds)

    def broken(self, facts: Facts) -> Verdict:
        """Say which link it is that broke."""
        if "subscribed" not in self._reached:
            return _deaf(facts)
        if "policy" not in self._reached:
            if (away := _away(facts)) is not None:
                return away
            if "camera" not in self._reached:
                return _no_clip(self._limits.camera)
        if "engine" not in self._reached or not any(one.shown for one in self.scores):
            return self._not_judged(facts)
        if "policy" not in self._reached:
            return self._not_judged(facts) if _is_down(facts) else self._no_event()
        return self._not_delivered(facts)

    def _not_judged(self, facts: Facts) -> Verdict:
        late = facts.copying and "composed" not in self._reached
        if facts.composing_trouble or late:
            return Verdict(
                "failed",
                "composing",
                "the incident could not be put into the clips: "
                + (facts.composing_trouble or "it took too long"),
                "Drill with another --kind; if this one should work, report it",
            )
        if _is_down(facts):
            why = f"the engine is {facts.engine_state}"
            if facts.engine_detail:
                why += f": {facts.engine_detail}"
            return Verdict("failed", "engine", why, "See its log, and `edgewatch check`")
        if facts.copying and facts.live_waiting:
            return Verdict(
                "failed",
                "engine",
                "the engine did not judge the drill's clips in time: real ones waited, and go "
                "first",
                "The engine has too much to do: lower fps, lengthen stride_seconds, or use fewer "
                "cameras",
            )
        waited = f" for {facts.stuck_seconds:.0f} s" if facts.stuck_seconds >= 1 else ""
        return Verdict(
            "failed",
            "engine",
            f"the engine is stuck: it has judged no clip{waited}",
            "See its log, and `edgewatch check`; a restart of the service frees it",
        )

    def _no_event(self) -> Verdict:
        shown = [one for one in self.scores if one.shown]
        anomalous = sum(one.anomalous for one in shown)
        if not anomalous:
            return Verdict(
                "failed",
                "threshold",
                f"the best of {len(shown)} clips with the incident scored {self.best or 0.0:.3f}, "
                f"below the camera's threshold of {self.threshold:.3f}",
                "Lower the threshold (`edgewatch commission --camera` and `edgewatch tune` show "
                "what that means), or drill with a --kind that this engine can see",
            )
        rules = self._rules
        return Verdict(
            "failed",
            "policy",
            f"{anomalous} of {len(shown)} clips with the incident were anomalous, and no event "
            f"opened: it takes {rules.open_after} among {rules.open_within}",
            "Lower open_after, or the threshold, in the camera's settings",
        )

    def _not_delivered(self, facts: Facts) -> Verdict:
        if "store" not in self._reached:
            return Verdict(
                "failed",
                "store",
                "the event was not saved"
                + (f": {facts.store_trouble}" if facts.store_trouble else " in time"),
                "Look at the disk of service.data_dir: its space, its health, its mount",
            )
        if not facts.publisher_connected:
            return _no_broker(facts)
        if "outbox" not in self._reached:
            return Verdict(
                "failed",
                "outbox",
                "the event waits in the outbox: the broker has not acknowledged it, though "
                "edgewatch is connected",
                "Look at the broker's log and load; a restart of the service sends what waits",
            )
        return Verdict(
            "failed",
            "witness",
            "the broker has the event, and did not pass it on to the subscriber"
            + (f": {facts.witness_trouble}" if facts.witness_trouble else ""),
            "Let the user of [mqtt] read <base>/drill/#; look at the broker's access list and "
            "bridges",
        )


def _is_down(facts: Facts) -> bool:
    return facts.engine_state != "ready"


def _away(facts: Facts) -> Verdict | None:
    health = facts.health
    if health.state == "online":
        return None
    why = _AWAY.get(health.state, health.state)
    return Verdict(
        "failed",
        "camera",
        f"nothing of the camera can be judged: {why}"
        + (f" ({health.reason})" * bool(health.reason)),
        health.detail or "Look at the camera's page, and `edgewatch check`",
    )


def _no_clip(waited_seconds: float) -> Verdict:
    return Verdict(
        "failed",
        "camera",
        f"the camera is online, and no clip of it came within {waited_seconds:.0f} s",
        "Look at its timeline for why its footage is not judged (`edgewatch coverage`)",
    )


def _deaf(facts: Facts) -> Verdict:
    if not facts.publisher_connected:
        return _no_broker(facts)
    return Verdict(
        "failed",
        "witness",
        "the drill's own subscriber could not listen"
        + (f": {facts.witness_trouble}" if facts.witness_trouble else " in time"),
        "Let the user of [mqtt] connect a second time, and read <base>/drill/#",
    )


def _no_broker(facts: Facts) -> Verdict:
    return Verdict(
        "failed",
        "broker",
        "there is no connection to the broker"
        + (f": {facts.publisher_detail}" if facts.publisher_detail else ""),
        "Bring the broker back; what waits in the outbox goes out then",
    )
