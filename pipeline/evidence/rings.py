"""The rings: of each camera the packets that a video can still be cut from."""

from __future__ import annotations

from edgewatch.config.sections import Evidence
from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.preroll import PreRoll
from edgewatch.pipeline.types import CameraName


class Rings:
    """One ring a camera, for as long as there is such a camera."""

    def __init__(self, settings: Evidence) -> None:
        self._settings = settings
        self._rings: dict[CameraName, PreRoll] = {}

    def of(self, plan: CameraPlan) -> PreRoll:
        """Return where a camera's packets are kept: the same one for good."""
        camera = CameraName(plan.name)
        if camera not in self._rings:
            self._rings[camera] = PreRoll(
                seconds=self._reach_seconds(plan), most_bytes=self._settings.camera_memory_bytes
            )
        return self._rings[camera]

    def replan(self, plan: CameraPlan) -> None:
        """Let a camera's ring reach as far back as its new settings need."""
        ring = self._rings.get(CameraName(plan.name))
        if ring is not None:
            ring.reach(self._reach_seconds(plan))

    def forget(self, camera: CameraName) -> None:
        """Let go of the ring of a camera that is gone for good."""
        self._rings.pop(camera, None)

    def _reach_seconds(self, plan: CameraPlan) -> float:
        # An event is known only some windows after it began
        return (
            self._settings.pre_seconds
            + plan.clips.seconds
            + (plan.events.open_within + 1) * plan.clips.stride_seconds
        )
