"""The result of a fire drill: how far the alarm came, and where it broke. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgewatch.pipeline.messages import SCHEMA, iso_utc

Outcome = Literal["passed", "failed", "broken_off"]
"""Broken off: something real came in between, which says nothing about the alarm."""
Link = Literal[
    "camera",
    "composing",
    "engine",
    "threshold",
    "policy",
    "store",
    "outbox",
    "broker",
    "witness",
    "leak",
]
"""What an alarm hangs on, in its order. `leak` is none: a drill's message was about to get out."""

STAGES = ("subscribed", "camera", "composed", "engine", "policy", "store", "outbox", "witness")
"""What a drill sees happen, in its order: the witness listens; a live clip came; its copy was made;
the copy was judged; an event opened; it was saved; the broker had it; the witness had it."""


@dataclass(frozen=True, slots=True)
class DrillResult:
    """All that came of one drill."""

    drill_id: str
    camera: str
    kind: str
    """The incident that was put into the clips."""
    outcome: Outcome
    started_seconds: float
    """Unix time."""
    took_seconds: float
    limit_seconds: float
    terms: dict[str, float]
    """What the limit is made of, by name, in seconds."""
    stages: dict[str, float]
    """Seconds from the start at which each stage was reached, in the order of STAGES."""
    engine: str
    threshold: float
    score: float | None
    """The highest of the clips with the incident; None if none was judged."""
    control_score: float | None
    """Of the untouched copy that was judged first; None if none was."""
    real_score: float | None
    """Of the real clip that it is a copy of."""
    clips: int
    """Copies that were judged: the engine's extra work."""
    link: Link | None = None
    """Where it broke; None unless it failed."""
    sentence: str = ""
    """What is wrong, or what came in between."""
    cure: str = ""
    findings: tuple[str, ...] = ()
    """What else was seen, a sentence each."""
    latency_seconds: float | None = None
    """From the first clip that shows the incident to the message at the witness."""
    by: str = "cli"
    """Who wanted it: "cli" or "schedule"."""

    @property
    def passed(self) -> bool:
        """Whether the alarm came through."""
        return self.outcome == "passed"

    @property
    def headline(self) -> str:
        """Say in a few words what came of it."""
        match self.outcome:
            case "passed":
                return f"drill passed on {self.camera}"
            case "failed":
                return f"drill failed on {self.camera}: {self.link}"
        return f"drill broken off on {self.camera}"


def encode_result(result: DrillResult) -> dict[str, Any]:
    """Return a result as JSON holds it."""
    return asdict(result)


def decode_result(values: dict[str, Any]) -> DrillResult:
    """Return the result that `encode_result` wrote. Raises TypeError for any other."""
    return DrillResult(**{**values, "findings": tuple(values["findings"])})


def result_payload(result: DrillResult, next_seconds: float | None) -> dict[str, Any]:
    """Return the payload of `<base>/drill/<camera>/result`.

    `next_seconds`: Unix time of the camera's next scheduled drill; None: none is scheduled.
    """
    return {
        "schema": SCHEMA,
        "drill": True,
        "drill_id": result.drill_id,
        "camera": result.camera,
        "kind": result.kind,
        "outcome": result.outcome,
        "passed": result.passed,
        "link": result.link,
        "reason": result.sentence,
        "cure": result.cure,
        "findings": list(result.findings),
        "time": iso_utc(result.started_seconds),
        "seconds": round(result.took_seconds, 3),
        "limit_seconds": round(result.limit_seconds, 3),
        "latency_seconds": _rounded(result.latency_seconds),
        "stages": {name: round(at, 3) for name, at in result.stages.items()},
        "engine": result.engine,
        "score": result.score,
        "threshold": result.threshold,
        "clips": result.clips,
        "next": None if next_seconds is None else iso_utc(next_seconds),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
