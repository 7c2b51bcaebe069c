"""The facts: how the links stand at one moment of a drill, told apart from what they mean. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from edgewatch.pipeline.types import Health


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the service besides what the drill itself has seen."""

    health: Health
    """Of the camera."""
    engine_state: str = "ready"
    engine_detail: str = ""
    stuck_seconds: float = 0.0
    """How long clips have waited without any being judged."""
    live_waiting: int = 0
    """Real clips that wait, and go first."""
    store_trouble: str = ""
    publisher_connected: bool = True
    publisher_detail: str = ""
    witness_trouble: str = ""
    """Why the witness cannot listen; empty while it can, or still tries."""
    copying: bool = True
    """A real clip was judged since the drill began, and copies are being made."""
    composing_trouble: str = ""
    leaks: int = 0
    """Messages of drills that were stopped, or heard where they must not be, since its start."""
    interrupted_by: str = ""
    """What real thing came in between: a sentence. Empty: nothing."""
