"""Messages: the topics edgewatch publishes on, and the JSON form of what is sent there. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args

from edgewatch.pipeline.drill.names import camera_of
from edgewatch.pipeline.types import (
    CameraState,
    Coverage,
    DrillMark,
    Event,
    Evidence,
    Health,
    Verdict,
)

SCHEMA: Final = 1
"""Version of every payload; it changes when a consumer that follows the old one would break."""

ONLINE: Final = b"online"
OFFLINE: Final = b"offline"
"""The only payloads that are not JSON: plain text on the status topic."""

Payload = dict[str, Any]
"""A JSON object: str, bool, int, finite float, None, lists and objects of these."""

RESERVED_CAMERA_NAMES: Final = frozenset({"drill", "replay"})
"""First topic levels with a meaning of their own: a camera of that name would collide with it."""

MAX_SNOOZE_SECONDS: Final = 86_400.0

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_JUDGED: Final = tuple(name for name in get_args(Coverage) if name != "judged")
_COMMAND_TOPIC = re.compile(r"(?P<camera>[a-z0-9_-]+)/set/(?P<key>[a-z][a-z0-9_]{0,63})")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics below one base; with `replay` the camera topics move below `<base>/replay`.

    With `drill` they move below `<base>/drill`. Raises ValueError if `base` cannot begin a topic.
    """

    base: str = "edgewatch"
    replay: bool = False
    drill: bool = False
    _root: str = field(init=False, repr=False)
    """What stands before the camera's name."""

    def __post_init__(self) -> None:
        if not self.base or self.base != self.base.strip("/") or set(self.base) & set("+#\0"):
            raise ValueError(
                f"base topic {self.base!r} must not be empty, begin or end with /, or hold + or #"
            )
        if self.base.startswith("$"):
            raise ValueError(f"base topic {self.base!r} must not begin with $: brokers keep those")
        root = f"{self.base}/replay" if self.replay else self.base
        object.__setattr__(self, "_root", f"{self.base}/drill" if self.drill else root)

    @property
    def status(self) -> str:
        """Whether the service is there, in plain text; also the last will."""
        return f"{self.base}/status"

    @property
    def stats(self) -> str:
        """Figures of the whole service."""
        return f"{self._root}/stats"

    def state(self, camera: str) -> str:
        """Whether a camera sees something abnormal now."""
        return f"{self._root}/{camera}/state"

    def health(self, camera: str) -> str:
        """Whether a camera is being watched."""
        return f"{self._root}/{camera}/health"

    def verdict(self, camera: str) -> str:
        """What the engine said of each clip."""
        return f"{self._root}/{camera}/verdict"

    def events(self, camera: str) -> str:
        """The steps of a camera's events."""
        return f"{self._root}/{camera}/events"

    def coverage(self, camera: str) -> str:
        """How much of the last 24 hours was judged."""
        return f"{self._root}/{camera}/coverage"

    def settings(self, camera: str) -> str:
        """The answer to a command, and what holds now."""
        return f"{self._root}/{camera}/settings"

    def thumbnail(self, camera: str) -> str:
        """The picture of the last event, as JPEG."""
        return f"{self._root}/{camera}/thumbnail"

    def drill_result(self, camera: str) -> str:
        """What came of a camera's last fire drill."""
        return f"{self.base}/drill/{camera}/result"

    def retained_of(self, camera: str) -> tuple[str, ...]:
        """Every topic on which the broker may keep something of a camera."""
        live = not (self.replay or self.drill)
        return (
            self.state(camera),
            self.health(camera),
            self.coverage(camera),
            self.settings(camera),
            self.thumbnail(camera),
            *((self.drill_result(camera),) if live else ()),
        )

    def kind_of(self, topic: str) -> tuple[str, str]:
        """Return (kind, camera) of one of these topics: ("stats", ""), ("verdict", "front").

        The kind is the topic's last level; empty for a topic that is none of these.
        """
        if topic == self.status:
            return "status", ""
        if not topic.startswith(f"{self._root}/"):
            return "", ""
        camera, _, kind = topic.removeprefix(f"{self._root}/").rpartition("/")
        return kind, camera

    @property
    def commands(self) -> str:
        """The filter to subscribe to for commands to any camera."""
        return f"{self.base}/+/set/+"

    def command(self, camera: str, key: str) -> str:
        """Where a camera takes a command."""
        return f"{self.base}/{camera}/set/{key}"

    def command_of(self, topic: str) -> tuple[str, str] | None:
        """Return (camera, key) of a topic commands come in on; None if it is no such topic."""
        prefix = f"{self.base}/"
        if not topic.startswith(prefix):
            return None
        if (match := _COMMAND_TOPIC.fullmatch(topic, len(prefix))) is None:
            return None
        return match["camera"], match["key"]


def encode(payload: Mapping[str, Any]) -> bytes:
    """Return the payload as UTF-8 JSON without spaces.

    Raises ValueError for NaN and infinities, which JSON does not have, and TypeError for what is
    no JSON at all.
    """
    text = json.dumps(payload, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    # Words of a model may hold half a surrogate pair, which UTF-8 cannot: an alert with a
    # question mark in its description is better than none.
    return text.encode("utf-8", errors="replace")


def iso_utc(seconds: float) -> str:
    """Return Unix time as ISO 8601 in UTC, rounded to milliseconds: 2026-11-21T10:59:12.250Z.

    Raises OverflowError or ValueError outside the years 1 to 9999.
    """
    moment = _EPOCH + timedelta(milliseconds=round(seconds * 1000.0))
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def iso_to_seconds(text: str) -> float:
    """Return the Unix time of an ISO 8601 moment; the inverse of `iso_utc`.

    Raises ValueError if the text is none or has no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return (moment - _EPOCH).total_seconds()


def verdict_payload(verdict: Verdict) -> Payload:
    """Return the payload of a clip's verdict; `replay` only stands there for replayed footage."""
    return {
        "schema": SCHEMA,
        "clip_id": verdict.clip_id,
        "label": verdict.label,
        "score": verdict.score,
        "threshold": verdict.threshold,
        "start": iso_utc(verdict.start_seconds),
        "end": iso_utc(verdict.end_seconds),
        "engine": verdict.engine,
        "latency_ms": round(verdict.latency_ms, 1),
        "warming_up": verdict.warming_up,
        "uncertain": verdict.uncertain,
        **({"prompt": verdict.prompt_hash} if verdict.prompt_hash else {}),
        "evidence": [_reason(evidence) for evidence in verdict.evidence],
        **_replay(verdict.replay),
    }


def event_payload(event: Event) -> Payload:
    """Return the payload of one step of an event, marked if it is a fire drill's."""
    return {
        "schema": SCHEMA,
        "event_id": event.event_id,
        "type": event.type,
        "camera": camera_of(event.camera),
        "label": "Anomaly",
        "score": event.score,
        "peak_score": event.peak_score,
        "threshold": event.threshold,
        "start": iso_utc(event.start_seconds),
        "end": _iso_or_none(event.end_seconds),
        "description": event.description,
        "clips": event.clips,
        "engine": event.engine,
        "evidence": {"video": event.video, "thumbnail": event.thumbnail},
        "ended_by": event.ended_by,
        "replay": event.replay,
        "revision": event.revision,
        **_drill(event.drill),
    }


def state_payload(state: CameraState, *, replay: bool = False) -> Payload:
    """Return the payload of a camera's state."""
    return {
        "schema": SCHEMA,
        "state": state.state,
        "since": iso_utc(state.since_seconds),
        "score": state.score,
        "event_id": state.event_id,
        **_replay(replay),
    }


def health_payload(health: Health, *, replay: bool = False) -> Payload:
    """Return the payload of a camera's health."""
    return {
        "schema": SCHEMA,
        "state": health.state,
        "since": iso_utc(health.since_seconds),
        "reason": health.reason,
        "detail": health.detail,
        **_replay(replay),
    }


def coverage_payload(
    totals_ms: Mapping[Coverage, int], *, end_seconds: float, replay: bool = False
) -> Payload:
    """Return the payload of a camera's coverage: seconds judged and, by reason, not judged.

    `totals_ms`: whole milliseconds by coverage, of a window that ends at `end_seconds` (Unix);
    its length is their sum, so what is published adds up to the millisecond. Every reason is
    there, at 0 too, so that a consumer's template never meets a missing key.
    """
    window_ms = sum(totals_ms.values())
    return {
        "schema": SCHEMA,
        "start": iso_utc(end_seconds - window_ms / 1000.0),
        "end": iso_utc(end_seconds),
        "window_seconds": window_ms / 1000.0,
        "judged": totals_ms.get("judged", 0) / 1000.0,
        "not_judged": {reason: totals_ms.get(reason, 0) / 1000.0 for reason in _NOT_JUDGED},
        **_replay(replay),
    }


def stats_payload(figures: Mapping[str, Any], *, now_seconds: float) -> Payload:
    """Return the payload of the service's figures, stamped with their time (Unix)."""
    return {"schema": SCHEMA, "time": iso_utc(now_seconds), **figures}


def settings_payload(
    *,
    enabled: bool,
    threshold: float,
    snoozed_until_seconds: float | None,
    now_seconds: float,
    overridden: Sequence[str] = (),
    error: str | None = None,
) -> Payload:
    """Return the answer to a command: what holds now, and why the command changed nothing.

    `snoozed_until_seconds` and `now_seconds` are Unix times; a snooze that is over counts as none.
    `overridden`: the keys that an operator set to something else than the file says.
    """
    until = snoozed_until_seconds
    left_seconds = max(0.0, until - now_seconds) if until is not None else 0.0
    return {
        "schema": SCHEMA,
        "enabled": enabled,
        "threshold": threshold,
        "snooze_seconds": round(left_seconds, 3),
        "snoozed_until": _iso_or_none(until) if left_seconds else None,
        "overridden": list(overridden),
        "error": error,
    }


def command_value(key: str, payload: bytes) -> bool | float:
    """Return what a command asks for: a bool for `enabled`, else a number.

    Raises ValueError with a sentence fit for the answer's `error`: unknown key, no such value.
    """
    try:
        text = payload.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"{key}: the value is not UTF-8 text") from error
    match key:
        case "enabled":
            return _switch(text)
        case "threshold":
            return _number(key, text, most=1.0)
        case "snooze_seconds":
            return _number(key, text, most=MAX_SNOOZE_SECONDS)
    raise ValueError(
        f"{key}: no such setting; there are enabled, threshold, snooze_seconds, feedback"
    )


def _switch(text: str) -> bool:
    match text.lower():
        case "true" | "on":
            return True
        case "false" | "off":
            return False
    raise ValueError(f"enabled: {text[:40]!r} is neither true nor false")


def _number(key: str, text: str, *, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{key}: {text[:40]!r} is no number") from None
    if not (math.isfinite(number) and 0.0 <= number <= most):
        raise ValueError(f"{key}: {text[:40]} is not between 0 and {most:g}")
    return number


def _reason(evidence: Evidence) -> Payload:
    return {
        "kind": evidence.kind,
        "strength": evidence.strength,
        "where": evidence.where,
        "detail": evidence.detail,
    }


def _iso_or_none(seconds: float | None) -> str | None:
    return None if seconds is None else iso_utc(seconds)


def _drill(mark: DrillMark | None) -> Payload:
    if mark is None:
        return {}
    return {"drill": True, "drill_id": mark.drill_id, "nonce": mark.nonce, "kind": mark.kind}


def _replay(replay: bool) -> Payload:
    return {"replay": True} if replay else {}
