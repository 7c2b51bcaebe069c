"""What an engine is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgewatch.pipeline.engines.question import Form


@dataclass(frozen=True, slots=True)
class LargestClip:
    """The most that a clip of any camera can be: what memory is planned and warmed up for."""

    frames: int = 20
    pixels: int = 63_504
    """Area of a frame."""
    fps: float = 4.0


@dataclass(frozen=True, slots=True)
class EngineSetup:
    """What an engine is made of; each kind takes from it what it needs."""

    kind: str = "builtin"
    max_batch: int = 8
    form: Form = field(default_factory=Form)
    largest_clip: LargestClip = field(default_factory=LargestClip)
    judges: bool = True
    """Whether clips are to be scored; False: it is asked for words alone, which families that only
    read pages can be too."""

    calibration: Path | None = None
    """File of the calibration; None: scores stay as the engine gives them."""
    calibration_named: bool = False
    """Whether the settings name it: then the engine does not start without it."""
    asked: tuple[str, ...] = ()
    """`calibration.question_hash` of what cameras ask; empty for an engine that does not read."""

    baseline_dir: Path | None = None
    """Where an engine that learns keeps each camera's normal; None keeps nothing."""

    model: Path | None = None
    device: str = "auto"
    gpus: tuple[int, ...] = ()
    tensor_parallel: int = 1
    quantize: Literal["none", "int8"] = "none"

    precision: Literal["auto", "bf16", "fp8"] = "auto"
    """What `native` multiplies in; "auto": what the checkpoint holds and the device has."""
    incremental: bool = True
    """Whether `native` keeps what it saw of a pair of frames for the clips that overlap it."""
    vision_cache_bytes: int = 512_000_000
    """Most that it keeps so, on the device."""
    compare_clips: int = 0
    """So many clips are held against transformers at the start of `native`."""
    most_drift: float = 0.1
    """Mean change of P(anomaly) by weights quantised at load that `native` starts with; 1: any."""
    words_temperature: float = 0.0
    """0: the most probable word each time."""
    words_top_p: float = 1.0
    words_stop: tuple[str, ...] = ()
    """Texts that end a description; they are left out of it."""

    servers: tuple[str, ...] = ()
    served_model: str | None = None
    token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    send: Literal["video", "images", "image"] = "video"
    request_seconds: float = 30.0
