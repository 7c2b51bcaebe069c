"""What flows through the pipeline: frozen values without I/O, one type a stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NewType

import numpy as np
import numpy.typing as npt

CameraName = NewType("CameraName", str)
"""A camera's name: `[a-z0-9_-]+`, unique in one configuration."""

Label = Literal["Normal", "Anomaly"]

Pixels = npt.NDArray[np.uint8]
"""uint8 RGB, shape (height, width, 3), C-contiguous, read-only."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One sampled picture of one camera, already scaled to the model's size.

    `index` counts the sampled frames of this camera since its thread started and never repeats,
    so (camera, index) names a frame: what an engine computed for it may be kept under that key.
    """

    camera: CameraName
    index: int
    slot: int
    """Position on the camera's sampling grid: `slot / fps` seconds after the stream's first
    picture. Grows within one connection; a source slower than the grid leaves slots empty."""
    pixels: Pixels
    media_seconds: float
    """Time in the stream since its first picture (0.0 for the first one of a connection)."""
    time_seconds: float
    """The camera's own time, Unix epoch: media time anchored to the wall clock (live) or to the
    recording's own start (file)."""
    captured_seconds: float
    """Host monotonic clock when decoding of the picture ended; every latency counts from here."""
    ignored: npt.NDArray[np.bool_] | None = None
    """Pixels that were made grey because they are not to be judged, shape (height, width),
    read-only; None if there are none."""


FramePair = tuple[Frame, Frame]
"""Two frames that follow each other: what the models' vision takes in at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A window of one camera's time: an even number of frames of equal size, times growing."""

    clip_id: str
    camera: CameraName
    frames: tuple[Frame, ...]
    fps: float
    """The sampling grid's rate; where the source is slower, the frames' own times are further
    apart than 1 / fps."""
    start_seconds: float
    """Unix time of the first frame."""
    end_seconds: float
    """Unix time of the last frame plus one grid step: the end of the footage judged."""
    replay: bool = False

    @property
    def captured_seconds(self) -> float:
        """Monotonic time at which the last frame of the footage was decoded."""
        return self.frames[-1].captured_seconds

    @property
    def media_start_seconds(self) -> float:
        """Start of the window counted from the stream's first picture."""
        return self.frames[0].media_seconds

    @property
    def media_end_seconds(self) -> float:
        """End of the window counted from the stream's first picture."""
        return self.frames[-1].media_seconds + 1.0 / self.fps

    @property
    def duration_seconds(self) -> float:
        """Length of the footage judged."""
        return self.end_seconds - self.start_seconds

    def stacked(self) -> npt.NDArray[np.uint8]:
        """Copy the pixels into one array, uint8 RGB, shape (frames, height, width, 3)."""
        return np.stack([frame.pixels for frame in self.frames])


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason behind a score, in the engine's own terms."""

    kind: str
    """Fixed short name: "impact", "against_flow", "appearance_change", ..."""
    strength: float
    """0 (nothing) to 1 (as strong as this engine can see)."""
    where: str = ""
    """Place in the picture in words ("lower left"), empty when it is the whole picture."""
    detail: str = ""
    """A figure a person can use, with its unit: "3.1 times this camera's usual motion"."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine says of one clip, before any threshold."""

    score: float
    """P(anomaly), 0 to 1."""
    evidence: tuple[Evidence, ...] = ()
    warming_up: bool = False
    """The engine has not yet learnt what is normal here; the score rests on general priors."""
    uncertain: bool = False
    """The engine's answer hardly was one (too little probability on any known label)."""
    prompt_hash: str = ""
    """What the engine was asked; with its name, all that a score can be derived from again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer held against a camera's threshold: what is published for each clip."""

    clip_id: str
    camera: CameraName
    label: Label
    score: float
    threshold: float
    start_seconds: float
    end_seconds: float
    media_start_seconds: float
    media_end_seconds: float
    engine: str
    latency_ms: float
    """From the end of the footage (decoded) to the verdict, on the monotonic clock."""
    evidence: tuple[Evidence, ...] = ()
    warming_up: bool = False
    uncertain: bool = False
    prompt_hash: str = ""
    replay: bool = False

    @property
    def anomalous(self) -> bool:
        """Whether the score reached the threshold."""
        return self.label == "Anomaly"


@dataclass(frozen=True, slots=True)
class DrillMark:
    """What tells a fire drill's event from a real one, and from that of any other drill."""

    drill_id: str
    nonce: str
    """Made for this drill: whoever hears it again has heard this drill."""
    kind: str
    """The incident that is rehearsed."""


EventType = Literal["new", "update", "end"]
EndedBy = Literal["quiet", "camera_lost", "not_judged", "stream_ended", "disabled", "restart"]
"""Why an event ended: judged quiet long enough; the camera went away; clips of a connected
camera were no longer judged; the recording or the service ended; the operator switched the
camera off; the service died and found the event open when it came back."""


@dataclass(frozen=True, slots=True)
class Event:
    """A snapshot of one event at one step of its life; `revision` counts the steps from 1."""

    event_id: str
    """UUIDv7, the same from `new` to `end`."""
    type: EventType
    revision: int
    camera: CameraName
    score: float
    """Score of the clip that caused this step."""
    peak_score: float
    peak_clip_id: str
    threshold: float
    start_seconds: float
    """Unix time at which the first anomalous clip counted for this event starts."""
    end_seconds: float | None
    """Unix time at which the last anomalous clip ends; None until the event ended."""
    clips: int
    """Anomalous clips so far."""
    engine: str
    description: str = ""
    ended_by: EndedBy | None = None
    suppressed_by: Literal["cooldown", "snooze"] | None = None
    """Set while the event is recorded but not sent. An event that outlives the suppression is
    sent then, under the same id."""
    replay: bool = False
    video: str | None = None
    """Where its video is, below the folder of evidence: "front/2026-11-21/<event_id>.mp4"; None
    while there is none, and where none could be kept."""
    thumbnail: str | None = None
    drill: DrillMark | None = None
    """Set on the event of a fire drill, whose `camera` is the drill's shadow of the real one."""


HealthState = Literal["online", "connecting", "offline", "frozen", "dark", "covered", "off"]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a camera is being watched, and if not, why."""

    camera: CameraName
    state: HealthState
    since_seconds: float
    """Unix time since which the state holds."""
    reason: str = ""
    """Fixed short name: "authentication", "not_found", "timed_out", "unreachable", ..."""
    detail: str = ""
    """One sentence with the cure; never holds a secret."""


@dataclass(frozen=True, slots=True)
class CameraState:
    """A camera's condition as its verdicts tell it; `unknown` is never reported as normal."""

    camera: CameraName
    state: Literal["normal", "anomaly", "unknown"]
    since_seconds: float
    score: float | None = None
    event_id: str | None = None


Coverage = Literal[
    "judged",
    "offline",
    "connecting",
    "frozen",
    "overload",
    "engine_down",
    "scheduled_off",
    "disabled",
    "too_short",
    "corrupt",
    "not_running",
]
"""Every second of a camera is exactly one of these; all but the first say why it was not judged."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of one camera's time with one coverage; start included, end excluded."""

    camera: CameraName
    start_ms: int
    """Unix time in whole milliseconds, so that sums are exact."""
    end_ms: int
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person said of an event."""

    event_id: str
    camera: CameraName
    correct: bool
    """True: rightly an event. False: a false alarm."""
    note: str
    """The person's words, often empty."""
    given_by: Literal["page", "mqtt", "cli"]
    given_seconds: float
    """Unix time."""


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """What is on disk of one event."""

    event_id: str
    camera: CameraName
    state: Literal["recording", "ready", "failed"]
    detail: str
    """Why it failed, with the cure; else empty."""
    folder: str
    """Where the files lie, below the folder of evidence: "front/2026-11-21"."""
    size_bytes: int
    """Of all its files together."""
    created_seconds: float
    """Unix time."""
    protected: bool = False
    """A person keeps it: neither quota nor age takes it away."""


@dataclass(frozen=True, slots=True)
class ScoreBucket:
    """The scores of the clips that end within one stretch of a camera's time; at least one."""

    start_seconds: float
    """Unix time, included."""
    end_seconds: float
    """Unix time, excluded."""
    highest: float
    lowest: float
    mean: float
    threshold: float
    """The highest in force meanwhile."""
    clips: int


@dataclass(frozen=True, slots=True)
class SettingChange:
    """From when on a camera was judged by another value of one of its settings."""

    camera: CameraName
    key: str
    """"enabled", "threshold", "snooze_seconds", or a key of `[events]`."""
    value: str
    """As it is written in commands and settings: "true", "0.5", "600"."""
    at_seconds: float
    """Unix time."""
    by: Literal["settings", "mqtt", "page", "cli"]
    """`settings`: what the file says, when the service starts or reads it anew."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source turned out to be when it was opened."""

    codec: str
    width: int
    """Displayed width in pixels: after rotation, before scaling."""
    height: int
    fps: float | None
    """As the container declares it; None if it does not."""
    duration_seconds: float | None = None
    started_seconds: float | None = None
    """Unix time of a recording's first picture, as far as the file tells."""
    decoding: str = ""
    """What is decoded of it: only what the sampled pictures need, or all, and then why."""
