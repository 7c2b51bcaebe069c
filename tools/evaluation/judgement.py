"""Judgements: what one engine said of one recording, and what was seen of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class ClipAnswer:
    """An engine's answer to one clip."""

    start_seconds: float
    """In the recording's own time, as `end_seconds`."""
    end_seconds: float
    score: float
    """P(anomaly), 0 to 1."""
    uncertain: bool = False
    warming_up: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an engine said of all clips of one recording, and what that took."""

    engine: str
    """As its verdicts name it."""
    answers: tuple[ClipAnswer, ...]
    """In order of time."""
    simulated: str = ""
    engine_ms: tuple[float, ...] = ()
    """A clip's share of its batch in the engine, one figure a clip."""
    batch_ms: tuple[float, ...] = ()
    """All of a clip's batch in the engine, one figure a clip: so long it waits for its answer."""
    judging_seconds: float = 0.0
    """From the first clip handed in to the last answer."""
    load_seconds: float = 0.0
    """Of the engine that said this: the same for all its recordings in one sitting."""
    peak_memory_bytes: int | None = None
    peak_gpu_bytes: int | None = None
    shared_memory: bool = False
    """Other engines were at work in the same processes."""
    energy_joules: float | None = None
    """Since the recording before."""
    energy_source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """What a recording's pictures look like, small enough to be kept and held against others."""

    pictures: npt.NDArray[np.uint8]
    """Grey, shape (pictures, side, side), evenly apart in time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What reading a recording gave, whoever judged it."""

    clips: int
    duration_seconds: float | None
    """As the file says; None if it does not."""
    decode_seconds: float
    """Of the wall clock, without waiting for an engine."""
    pictures_decoded: int
    signature: Signature
    thumbnails: Mapping[int, bytes] = field(default_factory=dict)
    """JPEG of a clip's middle frame, by the clip's number."""
    error: str = ""
    """Why it was not read to its end: it then counts nowhere."""
