"""The limits of a drill: how long each of its links may take, and what that is made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgewatch.pipeline.errors import DrillRefused

SUBSCRIBE_SECONDS: Final = 12.0
"""What the witness gets to connect and subscribe: a broker that hangs is given up in 10 s."""
LONGEST_SECONDS: Final = 1800.0
"""No drill takes longer, whatever the settings."""
STRIDES_TO_A_CLIP: Final = 2
"""A camera that is watched hands over a clip within its length and this many strides."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that the links may take, each counted from when the one before was reached."""

    subscribe: float
    camera: float
    """Until a live clip comes."""
    engine: float
    """Until its copy is judged."""
    event: float
    """Until the incident has opened an event."""
    delivery: float
    """Until the event is saved, the broker has it, and the witness."""

    @property
    def total(self) -> float:
        """The longest that a drill takes."""
        return self.subscribe + self.camera + self.engine + self.event + self.delivery

    @property
    def terms(self) -> dict[str, float]:
        """Each by its name, for people."""
        return {
            "subscribe": self.subscribe,
            "camera": self.camera,
            "engine": self.engine,
            "event": self.event,
            "delivery": self.delivery,
        }


def limits_of(
    *,
    clip_seconds: float,
    stride_seconds: float,
    open_within: int,
    p95_seconds: float,
    margin_seconds: float,
) -> Limits:
    """Return what a camera's drill may take. Raises DrillRefused if that is too long.

    `p95_seconds`: from the end of a clip's footage to its verdict, as it is now. The incident is in
    whole clips one clip's length after it began; from then on as many clips come as the camera's
    rules look at. A copy waits for real ones: it gets twice their latency.
    """
    limits = Limits(
        subscribe=SUBSCRIBE_SECONDS,
        camera=clip_seconds + STRIDES_TO_A_CLIP * stride_seconds + margin_seconds,
        engine=2 * p95_seconds + margin_seconds,
        event=clip_seconds + open_within * stride_seconds + 2 * p95_seconds + margin_seconds,
        delivery=margin_seconds,
    )
    if limits.total > LONGEST_SECONDS:
        raise DrillRefused(
            f"with this camera's settings a drill could take {limits.total:.0f} s, and none may "
            f"take more than {LONGEST_SECONDS:.0f} s: lower open_within or stride_seconds"
        )
    return limits


def clips_wanted(limits: Limits, stride_seconds: float) -> int:
    """Return how many copies are made at most: what fits into the time until the event."""
    return 2 + round((limits.event + limits.engine) / stride_seconds)
