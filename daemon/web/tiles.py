"""Tiles: what the wall says of one camera in a word, a reason and a cure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from edgewatch.daemon.web.drawing import HEIGHT, Point, Spark, Window, spark, y
from edgewatch.pipeline.drill.standing import Standing
from edgewatch.pipeline.judging import EngineState
from edgewatch.pipeline.types import Coverage, Event, Health
from edgewatch.pipeline.watch import Watch

Mood = Literal["good", "alarm", "blind", "wait", "off"]
"""Watched and calm; watched, and something goes on; not watched; soon; not to be watched."""

SPARK_SECONDS = 600.0

_HEADLINES = {
    "offline": "Offline",
    "frozen": "Frozen picture",
    "dark": "Dark picture",
    "covered": "Covered",
    "connecting": "Connecting",
}
_OFF: dict[Coverage | str, str] = {
    "disabled": "Switched off: nobody watches until it is switched on again.",
    "scheduled_off": "Outside its schedule.",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """What is shown of a camera; equal tiles look the same."""

    camera: str
    mood: Mood
    headline: str
    reason: str
    """Why it is not watched and what cures it; empty while it is."""
    since_seconds: float | None
    score: float | None
    """Of the newest clip; None while nothing is judged."""
    threshold: float
    event: Event | None
    """The one that is open."""
    snoozed_until_seconds: float | None
    enabled: bool
    spark: Spark
    threshold_y: float
    drill: str = ""
    """What its last fire drill says, or that one is due; empty where there is nothing to say."""
    drill_failed: str = ""
    """Why its last fire drill failed, and the cure."""


def tile_of(
    watch: Watch,
    *,
    points: list[Point],
    engine: EngineState,
    now_seconds: float,
    local_now: datetime,
    drill: Standing | None = None,
) -> Tile:
    """Say how a camera fares. `points`: its newest verdicts, oldest first."""
    failed = drill.last if drill is not None and drill.failed else None
    mood, headline, reason, since = _condition(watch, engine, local_now)
    until = watch.snoozed_until_seconds
    # The curve moves on with each verdict, not with each look: equal tiles are not sent again.
    end = points[-1][0] if points else now_seconds
    window = Window(end - SPARK_SECONDS, end)
    drawn = spark(points, window, gap_seconds=_gap_seconds(watch)) if points else Spark("", "", "")
    return Tile(
        camera=watch.camera,
        mood=mood,
        headline=headline,
        reason=reason,
        since_seconds=since,
        score=points[-1][1] if points and mood in ("good", "alarm") else None,
        threshold=watch.threshold,
        event=watch.policy.open_event,
        snoozed_until_seconds=until if until is not None and until > now_seconds else None,
        enabled=watch.enabled,
        spark=drawn,
        threshold_y=min(HEIGHT, y(watch.threshold)),
        drill=drill.words if drill is not None else "",
        drill_failed=f"{failed.sentence}. {failed.cure}" if failed is not None else "",
    )


def is_watched(tile: Tile) -> bool:
    """Whether its clips are being judged."""
    return tile.mood in ("good", "alarm")


def _condition(
    watch: Watch, engine: EngineState, local_now: datetime
) -> tuple[Mood, str, str, float | None]:
    health, state = watch.health, watch.policy.state
    off = watch.off_reason(local_now)
    if off or health.state == "off":
        return "off", "Off", _OFF.get(off or health.reason, ""), health.since_seconds
    if health.state == "connecting":
        return "wait", "Connecting", _health_words(health), health.since_seconds
    if health.state != "online":
        headline = _HEADLINES.get(health.state, health.state)
        return "blind", headline, _health_words(health), health.since_seconds
    if engine.state != "ready":
        why = "The engine is down" if engine.state == "down" else "The engine is starting"
        detail = f"{why}: {engine.detail}" if engine.detail else f"{why}."
        return "blind", "Not judged", detail, engine.since_seconds
    if state.state == "unknown":
        return "wait", "Not judged yet", "No clip was judged lately.", state.since_seconds
    if state.state == "anomaly":
        return "alarm", "Anomaly", "", state.since_seconds
    return "good", "Normal", "", state.since_seconds


def _health_words(health: Health) -> str:
    reason = health.reason.replace("_", " ")
    return health.detail or (f"{reason[:1].upper()}{reason[1:]}." if reason else "")


def _gap_seconds(watch: Watch) -> float:
    """Return how far two verdicts may be apart without anything between them being missed."""
    clips = watch.feed.plan.clips
    return clips.seconds + clips.stride_seconds
