"""An evaluation: what engines said of labelled recordings, before any statistics. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgewatch.pipeline.types import Label
from edgewatch.tools.labels import Window
from edgewatch.tools.recordings import NotFound
from edgewatch.tools.spans import EventSpan

ClipTruth = Literal["normal", "incident", "quiet", "unmarked"]
"""What is known of a clip: of a Normal recording; touching a labelled window; of an anomalous
recording but touching none of its windows; of an anomalous recording without any window."""


@dataclass(frozen=True, slots=True)
class JudgedClip:
    """One clip's score. Clips of one recording are the same, in the same order, for each engine."""

    clip_id: str
    start_seconds: float
    """In the recording's own time, as `end_seconds`."""
    end_seconds: float
    score: float
    """P(anomaly), 0 to 1."""
    truth: ClipTruth
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class JudgedRecording:
    """One labelled recording and what an engine said of it."""

    name: str
    """For people: the path below the folder that all recordings share; unique."""
    label: Label
    drive: str = ""
    """Recordings of one drive are views of the same incident and are judged together; empty:
    alone."""
    view: str = ""
    """Which camera of the drive: "front", "left", ..."""
    group: str = ""
    """Kind of camera ("drive", "fixed", ...)."""
    windows: tuple[Window, ...] = ()
    duration_seconds: float = 0.0
    clips: tuple[JudgedClip, ...] = ()
    events: tuple[EventSpan, ...] = ()
    """What would have been reported, under the threshold and the event rules in force."""
    engine_seconds: float | None = field(default=None, compare=False)
    """What the engine took for its clips; None: not measured. Two judgements that differ in
    nothing else are equal."""

    @property
    def peak_score(self) -> float:
        """Score of the worst clip; there is at least one."""
        return max(one.score for one in self.clips)


@dataclass(frozen=True, slots=True)
class Costs:
    """What judging took. Times are of the wall clock; an empty series was not measured."""

    load_seconds: float = 0.0
    decode_ms: tuple[float, ...] = ()
    """A clip's share of its recording's decoding, one figure a clip."""
    engine_ms: tuple[float, ...] = ()
    """A clip's share of its batch in the engine, one figure a clip."""
    total_ms: tuple[float, ...] = ()
    """Decoding and judging, one figure a clip: its share of decoding, and all of its batch's time
    in the engine, for which it waits. Queues are left out: a live camera has none."""
    judging_seconds: float = 0.0
    """From the first clip handed in to the last answer, without loading."""
    peak_memory_bytes: int | None = None
    """Of this process and its children, resident."""
    peak_gpu_bytes: int | None = None
    memory_is_shared: bool = False
    """Other engines were in the same processes at that time: the peaks are of all together."""
    energy_joules: float | None = None
    """None where the device does not tell."""
    energy_source: str = ""
    """Who measured it, or why nobody did."""


@dataclass(frozen=True, slots=True)
class EngineRun:
    """One engine over all recordings."""

    asked: str
    """As it was named on the command line, and unique there; what tables show."""
    engine: str
    """As its verdicts name it: kind, model, hash of the weights."""
    threshold: float
    open_after: int
    """Anomalous clips in a row that open an event."""
    recordings: tuple[JudgedRecording, ...]
    """In the same order for each engine; those without a clip are left out for all."""
    costs: Costs = field(default_factory=Costs)
    simulated: str = ""
    """Not empty: what of the engine's arithmetic was imitated here, so that its times say nothing
    of the device it is made for."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The middle frame of a clip, for reports."""

    recording: str
    clip_id: str
    start_seconds: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two recordings that show nearly the same pictures: they are no two witnesses."""

    first: str
    second: str
    similarity: float
    """0 to 1; 1: the same pictures."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was seen; what statistics and reports are made of."""

    dataset: str
    """As it was named."""
    runs: tuple[EngineRun, ...]
    """At least one; the first is what the others are held against."""
    failed: tuple[NotFound, ...] = ()
    """Recordings that could not be read, had no label or gave no clip, and why."""
    duplicates: tuple[NearDuplicate, ...] = ()
    pictures: tuple[Picture, ...] = ()
    """Of the clips that a report shows: each engine's worst, and those on which they differ."""
    wall_seconds: float = 0.0
    finished_seconds: float = 0.0
    """Unix time."""
    pictures_decoded: int = 0
    """By all decoders, for all engines together: each recording is decoded once."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings in force, by dotted name, without secrets."""
