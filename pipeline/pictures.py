"""Decoded pictures, and how they are brought to the model's size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from edgewatch.pipeline.frames import target_size
from edgewatch.pipeline.types import Pixels

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded picture, not yet scaled."""

    frame: VideoFrame

    @property
    def is_upright(self) -> bool:
        """Whether width and height are displayed as they are coded."""
        return self.frame.rotation % 180 == 0

    def displayed_size(self, sample_aspect_ratio: float) -> tuple[int, int]:
        """Return (width, height) in square pixels, upright."""
        size = (round(self.frame.width * sample_aspect_ratio), self.frame.height)
        return size if self.is_upright else (size[1], size[0])


@dataclass(frozen=True, slots=True, eq=False)
class Sampled(Generic[T]):
    """A wanted picture, scaled."""

    ticket: T
    """What it was chosen as."""
    pixels: Pixels
    source_size: tuple[int, int]
    """(width, height) of the picture as displayed, before scaling."""


class Scaler:
    """Brings pictures to the model's size: upright RGB, one pass over the full-size picture."""

    def __init__(self) -> None:
        self._shrink = VideoReformatter()
        self._recolour = VideoReformatter()

    def pixels(self, picture: Picture, size: tuple[int, int]) -> Pixels:
        """Return the picture as uint8 RGB, shape (height, width, 3), read-only; `size` upright."""
        width, height = size if picture.is_upright else (size[1], size[0])
        # Colours are converted after shrinking, with the matrix and range the picture declares
        small = self._shrink.reformat(
            picture.frame, width, height, "yuv444p", interpolation="AREA", threads=1
        )
        rgb = self._recolour.reformat(small, format="rgb24", threads=1).to_ndarray()
        turned = np.rot90(rgb, k=picture.frame.rotation // 90 % 4)
        pixels: Pixels = np.ascontiguousarray(turned, dtype=np.uint8)
        pixels.flags.writeable = False
        return pixels

    def sampled(
        self, picture: Picture, ticket: T, *, area_pixels: int, sample_aspect_ratio: float
    ) -> Sampled[T]:
        """Return a wanted picture at the size that `area_pixels` asks for (see `target_size`)."""
        source_size = picture.displayed_size(sample_aspect_ratio)
        pixels = self.pixels(picture, target_size(*source_size, area_pixels))
        return Sampled(ticket, pixels, source_size)
