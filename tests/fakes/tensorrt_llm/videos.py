"""Videos as they are given to the library, and what its processor would make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.fakes.tensorrt_llm.record import broken
from tests.fakes.tensorrt_llm.tokens import VIDEO_PAD

FACTOR = 28
RED_FIRST = (233, 22, 11)
"""A frame whose upper left pixel has these values the wrong way round came as BGR."""


@dataclass
class VideoData:
    """As `tensorrt_llm.inputs.utils.VideoData` of 1.2."""

    frames: Any
    metadata: Any = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.frames:
            raise ValueError("frames list cannot be empty")
        if not isinstance(self.metadata, dict):
            raise TypeError("metadata must be a dictionary")


@dataclass
class Tensor:
    """Stands for a torch tensor, channels first; the stand-in does without torch."""

    values: npt.NDArray[Any]
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the model sees of a video."""

    frames: int
    tokens: int
    brightness: float
    """Mean, 0 to 1."""
    content: int
    """Stands for the hash of its frames."""
    second_per_grid: float
    pad: str = VIDEO_PAD
    """The placeholder that stands for it in the prompt."""


def processed(value: Any, processor_arguments: Any) -> Seen:
    """Take the "video" of `multi_modal_data` in; raises as the library does, or ContractBroken."""
    # The library asks each item of the list for its frames: other forms fail by themselves.
    if isinstance(value, VideoData):
        raise TypeError("'VideoData' object is not iterable")
    videos = list(value)
    frames = [video.frames for video in videos]
    if len(videos) != 1:
        raise broken(f"{len(videos)} videos in one request")
    fps = _fps(processor_arguments, len(videos))
    metadata = videos[0].metadata
    if "fps" in metadata and abs(float(metadata["fps"]) - fps) > 1e-6:
        raise broken(f"the model is told {fps} fps, the metadata {metadata['fps']}")
    pixels = _pixels(frames[0])
    count, height, width, _ = pixels.shape
    if height % FACTOR or width % FACTOR:
        raise broken(f"frames of {width} x {height} are resized once more")
    return Seen(
        frames=count,
        tokens=(count + 1) // 2 * (height // FACTOR) * (width // FACTOR),
        brightness=float(pixels.mean(dtype=np.float64)),
        content=hash(pixels.tobytes()),
        second_per_grid=2.0 / fps,
    )


def _fps(arguments: Any, videos: int) -> float:
    if arguments is None or "fps" not in arguments:
        raise broken("without fps the model believes in 2 frames a second")
    if set(arguments) != {"fps"}:
        raise broken(f"mm_processor_kwargs {sorted(set(arguments) - {'fps'})} break token counts")
    fps = arguments["fps"]
    if isinstance(fps, list):
        if len(fps) != videos:
            raise ValueError(
                f"The length of fps ({len(fps)}) must be equal to the length of video_grid_thw "
                f"({videos}) or fps should be a single number."
            )
        fps = fps[0]
    if isinstance(fps, str):
        raise TypeError("unsupported operand type(s) for /: 'int' and 'str'")
    if fps == 0:
        raise ZeroDivisionError("float division by zero")
    return float(fps)


def _pixels(frames: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Return what reaches the model before its mean and deviation: float, 0 to 1."""
    if all(isinstance(frame, Image.Image) for frame in frames):
        pixels = _of_images(frames)
    elif all(isinstance(frame, Tensor) for frame in frames):
        pixels = _of_tensors(frames)
    elif all(isinstance(frame, np.ndarray) for frame in frames):
        raise broken("arrays have no width: hashing is switched off for the whole process")
    else:
        raise broken(f"frames of {type(frames[0]).__name__}")
    if 0.0 < pixels.max() < 1.0 / 255.0:
        raise broken("nearly black: the frames were scaled twice")
    first = tuple(round(float(value) * 255) for value in pixels[0, 0, 0])
    if first == RED_FIRST[::-1]:
        raise broken("the frames are BGR")
    return pixels


def _of_images(frames: Sequence[Any]) -> npt.NDArray[np.float64]:
    if any(frame.mode != "RGB" for frame in frames):
        raise ValueError("Unable to infer channel dimension format")
    if len({frame.size for frame in frames}) > 1:
        raise ValueError("all input arrays must have the same shape")
    return np.stack([np.asarray(frame, np.float64) for frame in frames]) / 255.0


def _of_tensors(frames: Sequence[Any]) -> npt.NDArray[np.float64]:
    values = [frame.values for frame in frames]
    if any(frame.device != "cpu" for frame in frames):
        raise broken("frames on the GPU")
    if any(not np.issubdtype(value.dtype, np.floating) for value in values):
        raise broken("tensors of whole numbers come 255 times too bright")
    if any(value.shape != values[0].shape for value in values):
        raise ValueError("all input arrays must have the same shape")
    pixels = np.stack(values).transpose(0, 2, 3, 1).astype(np.float64)
    if pixels.max() > 1.0 or pixels.min() < 0.0:
        raise broken("tensors from 0 to 255 come 255 times too bright")
    return pixels
