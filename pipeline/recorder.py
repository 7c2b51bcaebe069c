"""The recorder: everything that was found in one replayed recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from edgewatch.pipeline.errors import CameraError, EdgewatchError
from edgewatch.pipeline.thumbnail import Thumbnail
from edgewatch.pipeline.thumbnails import WorstClips
from edgewatch.pipeline.types import CameraName, Clip, Event, SourceInfo, Verdict
from edgewatch.pipeline.watch import Observer


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was found in one recording."""

    # Pictures are bytes, which JSON does not have.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        ser_json_bytes="base64", val_json_bytes="base64"
    )

    camera: CameraName
    info: SourceInfo | None
    """None if it could not be opened."""
    verdicts: tuple[Verdict, ...]
    """In order of time."""
    events: tuple[Event, ...]
    """Every step, in order."""
    worst: tuple[Thumbnail, ...]
    """Of the worst clips, the worst first."""
    error: str | None
    """Why it was not read, or not to its end; what comes before stands all the same."""
    engine_failed: bool = False
    """The error is the engine's and not the recording's."""


RECORDED = TypeAdapter(Recorded)
"""To and from JSON."""


@dataclass(slots=True)
class _Tape:
    """What is known of a recording so far."""

    info: SourceInfo | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    worst: WorstClips = field(default_factory=WorstClips)


class Recorder(Observer):
    """Collects what is found, one recording each; hands it over when the recording is through."""

    def __init__(self, on_recorded: Callable[[Recorded], None]) -> None:
        self._on_recorded = on_recorded
        self._tapes: dict[CameraName, _Tape] = {}

    def on_info(self, camera: CameraName, info: SourceInfo) -> None:
        """Keep what the recording is."""
        self._tape(camera).info = info

    def on_verdict(self, clip: Clip, verdict: Verdict) -> None:
        """Keep the verdict, and a picture if it is among the worst so far."""
        tape = self._tape(verdict.camera)
        tape.verdicts.append(verdict)
        tape.worst.offer(clip, verdict)

    def on_event(self, event: Event) -> None:
        """Keep the step of an event."""
        self._tape(event.camera).events.append(event)

    def on_end(self, camera: CameraName, error: EdgewatchError | None) -> None:
        """Hand over what was found."""
        tape = self._tapes.pop(camera, _Tape())
        self._on_recorded(
            Recorded(
                camera=camera,
                info=tape.info,
                verdicts=tuple(tape.verdicts),
                events=tuple(tape.events),
                worst=tape.worst.thumbnails,
                error=str(error) if error else None,
                engine_failed=error is not None and not isinstance(error, CameraError),
            )
        )

    def _tape(self, camera: CameraName) -> _Tape:
        return self._tapes.setdefault(camera, _Tape())
