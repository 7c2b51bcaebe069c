"""The summary: whether everything is being watched, and if not, what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgewatch.daemon.web.tiles import Tile, is_watched
from edgewatch.pipeline.judging import EngineState
from edgewatch.pipeline.mqtt import PublisherStatus
from edgewatch.pipeline.notify.drain import WayStatus
from edgewatch.pipeline.store import StoreHealth

MOST_PROBLEMS = 6


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, and what cures it."""

    what: str
    detail: str
    camera: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands at the top of every page."""

    mood: Literal["good", "warn", "bad"]
    headline: str
    problems: tuple[Problem, ...]
    more: int
    """Problems beyond those listed."""
    open_events: tuple[tuple[str, str], ...]
    """(camera, event id) of each that is going on."""


def summary_of(
    tiles: Sequence[Tile],
    *,
    engine: EngineState,
    publisher: PublisherStatus | None,
    store: StoreHealth,
    evidence_trouble: str | None = None,
    ways: Sequence[WayStatus] = (),
) -> Summary:
    """Sum up the cameras and what all of them need."""
    wanted = [tile for tile in tiles if tile.mood != "off"]
    blind = [tile for tile in wanted if not is_watched(tile)]
    service = [
        *_service_problems(engine, publisher, store, evidence_trouble),
        *(Problem(f"No notice gets out by {way.name}", way.trouble) for way in ways if way.trouble),
    ]
    cameras = [
        Problem(f"{tile.camera}: {tile.headline.lower()}", tile.reason, tile.camera)
        for tile in sorted(blind, key=lambda one: one.mood)
    ]
    drills = [
        Problem(f"{tile.camera}: its last fire drill failed", tile.drill_failed, tile.camera)
        for tile in wanted
        if tile.drill_failed
    ]
    problems = (*service, *cameras, *drills)
    starting = all(tile.mood == "wait" for tile in blind) and engine.state != "down"
    mood: Literal["good", "warn", "bad"] = "good"
    if blind and not starting:
        mood = "bad"
    elif problems or not wanted:
        mood = "warn"
    return Summary(
        mood=mood,
        headline=_headline(len(tiles), len(wanted), len(blind)),
        problems=problems[:MOST_PROBLEMS],
        more=max(0, len(problems) - MOST_PROBLEMS),
        open_events=tuple(
            (tile.camera, tile.event.event_id) for tile in tiles if tile.event is not None
        ),
    )


def _headline(total: int, wanted: int, blind: int) -> str:
    off = f", {total - wanted} off" if total > wanted else ""
    if not total:
        return "No camera is configured"
    if not wanted:
        return "No camera is watched: all are off"
    if blind:
        return f"{blind} of {_cameras(wanted)} not watched{off}"
    if wanted == 1:
        return f"The camera is watched{off}"
    return f"All {wanted} cameras watched{off}"


def _cameras(count: int) -> str:
    return "1 camera" if count == 1 else f"{count} cameras"


def _service_problems(
    engine: EngineState,
    publisher: PublisherStatus | None,
    store: StoreHealth,
    evidence_trouble: str | None,
) -> list[Problem]:
    problems = []
    if engine.state != "ready":
        problems.append(Problem(f"Engine {engine.state}", engine.detail))
    if publisher is not None and not publisher.connected:
        problems.append(
            Problem(
                "No connection to the broker: alerts wait and go out when it is back",
                publisher.detail,
            )
        )
    if store.trouble:
        problems.append(Problem("Nothing can be written down", store.trouble))
    if evidence_trouble:
        problems.append(Problem("No evidence is kept", evidence_trouble))
    return problems
