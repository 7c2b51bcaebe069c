"""Comparison: what the same recordings came to under two settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.pipeline.messages import SCHEMA
from edgewatch.tools.report import Json, rounded, summary
from edgewatch.tools.results import RecordingResult, Replay

How = Literal["once", "decoded_once", "loaded_once", "twice"]
WORDS: Mapping[How, str] = {
    "once": "judged once: only thresholds and event rules differ, and were applied to the same "
    "scores",
    "decoded_once": "decoded once, and judged twice",
    "loaded_once": "decoded and judged twice, by an engine that was loaded once: clips or ignored "
    "regions differ",
    "twice": "replayed twice, one after the other: the engines differ",
}
"""How it was done, for people."""

Change = Literal["event gone", "new event", "more events", "fewer events", "other times", "failed"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One recording under both settings."""

    first: RecordingResult
    second: RecordingResult

    @property
    def change(self) -> Change | None:
        """What the second settings make different; None if a user is told the same."""
        if self.first.error or self.second.error:
            return "failed"
        before, after = self.first.spans, self.second.spans
        if len(before) != len(after):
            if not before or not after:
                return "new event" if after else "event gone"
            return "more events" if len(after) > len(before) else "fewer events"
        apart = any(
            one.start_seconds >= other.end_seconds or other.start_seconds >= one.end_seconds
            for one, other in zip(before, after, strict=True)
        )
        return "other times" if apart else None

    @property
    def verdict(self) -> Literal["better", "worse"] | None:
        """Whether the answer by event fits the label now, or no longer; None if neither."""
        before, after = self.first.outcome, self.second.outcome
        if before is None or after is None or before.by_event == after.by_event:
            return None
        return "better" if after.by_event == after.label else "worse"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two replays of the same recordings, in the same order."""

    first: Replay
    second: Replay
    first_name: str
    """Where the settings are from."""
    second_name: str
    how: How
    differing: Mapping[str, tuple[object, object]]
    """Settings by dotted name, where they differ: of the first, of the second."""
    wall_seconds: float

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Each recording, in order."""
        return tuple(
            Pair(one, other)
            for one, other in zip(self.first.results, self.second.results, strict=True)
        )

    @property
    def judged(self) -> int:
        """Recordings judged to their end under both."""
        return sum(1 for one in self.pairs if one.change != "failed")

    @property
    def agreeing(self) -> int:
        """Of them, those with the same answer by event: an event, or none."""
        return sum(
            1
            for one in self.pairs
            if one.change != "failed" and one.first.by_event == one.second.by_event
        )

    @property
    def agreement(self) -> float | None:
        """Share of the recordings with the same answer; None without any."""
        return self.agreeing / self.judged if self.judged else None

    @property
    def changed(self) -> tuple[Pair, ...]:
        """The recordings of which a user would be told otherwise."""
        return tuple(one for one in self.pairs if one.change)


def alerts(replay: Replay) -> int:
    """Count the events that were sent, and not suppressed from first to last."""
    return sum(alerts_of(one) for one in replay.results)


def alerts_of(result: RecordingResult) -> int:
    """Count the events of one recording that were sent."""
    return len({event.event_id for event in result.events if event.suppressed_by is None})


def differing(
    first: tuple[Settings, CameraPlan], second: tuple[Settings, CameraPlan]
) -> dict[str, tuple[object, object]]:
    """Return what differs in how recordings are judged, without secrets."""
    one, other = (_flat(*side) for side in (first, second))
    return {key: (one[key], other[key]) for key in one if one[key] != other[key]}


def document(comparison: Comparison) -> Json:
    """Return what comparison.json holds, and what `--json` prints."""
    whole: Json = {
        "schema": SCHEMA,
        "how": comparison.how,
        "wall_seconds": comparison.wall_seconds,
        "settings": {"a": comparison.first_name, "b": comparison.second_name},
        "differing": {
            key: {"a": one, "b": other} for key, (one, other) in comparison.differing.items()
        },
        "recordings": len(comparison.pairs),
        "judged": comparison.judged,
        "agreeing": comparison.agreeing,
        "agreement": comparison.agreement,
        "changed": len(comparison.changed),
        "a": _side(comparison.first),
        "b": _side(comparison.second),
        "results": [_pair(one) for one in comparison.pairs],
    }
    plain: Json = rounded(whole)
    return plain


def _side(replay: Replay) -> Json:
    whole = summary(replay)
    kept = ("engine", "settings", "clips", "events", "failed", "statistics", "notes")
    return {"alerts": alerts(replay), **{key: whole[key] for key in kept}}


def _pair(pair: Pair) -> Json:
    label = pair.first.label
    return {
        "file": pair.first.recording.name,
        "label": label.label if label else None,
        "change": pair.change,
        "verdict": pair.verdict,
        "a": _answer(pair.first),
        "b": _answer(pair.second),
    }


def _answer(result: RecordingResult) -> Json:
    peak = result.peak
    return {
        "by_event": result.by_event if result.verdicts else None,
        "by_clip": result.by_clip if result.verdicts else None,
        "peak_score": peak.score if peak else None,
        "clips": len(result.verdicts),
        "events": [[one.start_seconds, one.end_seconds] for one in result.spans],
        "alerts": alerts_of(result),
        "error": result.error,
    }


def _flat(settings: Settings, plan: CameraPlan) -> dict[str, object]:
    """Lay out everything that decides a verdict or an event."""
    engine = settings.engine.model_dump(mode="json", exclude={"threshold", "scene", "prompt"})
    sections = {
        "engine": engine,
        "clips": plan.clips.model_dump(mode="json"),
        "events": plan.events.model_dump(mode="json"),
    }
    flat = {f"{name}.{key}": one for name, table in sections.items() for key, one in table.items()}
    return flat | {
        "engine.threshold": plan.threshold,
        "engine.prompt": plan.prompt,
        "ignore": _plain(plan.ignore),
    }


def _plain(value: object) -> object:
    """Make lists of tuples, as JSON has them."""
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
