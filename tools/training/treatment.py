"""Treatment: what lens, sensor and encoding make of a camera's pictures; one for each camera.

It never changes within a camera's footage: were the treatment to differ between an incident and
its twin, the combiner would learn the treatment.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import av
import cv2
import numpy as np

from edgewatch.pipeline.types import Pixels

Codec = Literal["none", "jpeg", "h264"]


@dataclass(frozen=True, slots=True)
class Treatment:
    """How one camera shows the world."""

    mirrored: bool = False
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """Left, top, right, bottom in parts of the drawn picture."""
    gamma: float = 1.0
    noise: float = 0.0
    """Standard deviation in 8-bit steps, at the size that is judged."""
    blur: float = 0.0
    """Standard deviation in pixels, at the size that is judged."""
    speed: float = 1.0
    """How fast footage is played."""
    codec: Codec = "none"
    quality: int = 0
    """Of JPEG, 0 to 100; of H.264 the constant rate factor, 0 (best) to 51."""

    @classmethod
    def drawn_from(cls, rng: np.random.Generator) -> Self:
        """Choose one at random."""
        side = float(rng.uniform(0.82, 1.0))
        left, top = rng.uniform(0.0, 1.0 - side, 2)
        codec: Codec = ("none", "jpeg", "h264", "h264")[int(rng.integers(4))]
        return cls(
            mirrored=bool(rng.integers(2)),
            crop=(float(left), float(top), float(left) + side, float(top) + side),
            gamma=float(np.exp(rng.uniform(np.log(0.7), np.log(1.45)))),
            noise=float(rng.choice((0.0, 1.5, 4.0))),
            blur=float(rng.choice((0.0, 0.0, 0.8, 1.4))),
            speed=float(rng.choice((0.7, 1.0, 1.0, 1.4))),
            codec=codec,
            quality=int(rng.integers(30, 80) if codec == "jpeg" else rng.integers(24, 38)),
        )

    def applied(
        self, pictures: Sequence[Pixels], size: tuple[int, int], rng: np.random.Generator
    ) -> list[Pixels]:
        """Return what the camera delivers, uint8 RGB of `size` (width, height), read-only."""
        table = np.rint(255.0 * (np.arange(256) / 255.0) ** self.gamma).astype(np.uint8)
        seen = [self._seen(picture, size, table, rng) for picture in pictures]
        coded = self._coded(seen)
        for picture in coded:
            picture.setflags(write=False)
        return coded

    def _seen(
        self, picture: Pixels, size: tuple[int, int], table: Pixels, rng: np.random.Generator
    ) -> Pixels:
        height, width = picture.shape[:2]
        left, top, right, bottom = self.crop
        cut = picture[
            round(top * height) : round(bottom * height), round(left * width) : round(right * width)
        ]
        small = cv2.resize(
            cut[:, ::-1] if self.mirrored else cut, size, interpolation=cv2.INTER_AREA
        )
        if self.blur:
            small = cv2.GaussianBlur(small, (0, 0), self.blur)
        lit = cv2.LUT(small, table)
        if self.noise:
            grain = rng.standard_normal((*lit.shape[:2], 1), np.float32) * self.noise
            lit = np.clip(np.rint(lit + grain), 0, 255)
        return np.ascontiguousarray(lit, np.uint8)

    def _coded(self, pictures: list[Pixels]) -> list[Pixels]:
        if self.codec == "jpeg":
            return [_jpeg(picture, self.quality) for picture in pictures]
        return _h264(pictures, self.quality) if self.codec == "h264" else pictures


def _jpeg(picture: Pixels, quality: int) -> Pixels:
    written = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )[1]
    read = np.asarray(cv2.imdecode(written, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)


def _h264(pictures: list[Pixels], rate_factor: int) -> list[Pixels]:
    """Encode and decode; one thread, so that the same pictures come back each time."""
    file = io.BytesIO()
    height, width = pictures[0].shape[:2]
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=4)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {
            "crf": str(rate_factor), "preset": "veryfast", "threads": "1", "g": "12",
        }  # fmt: skip
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as container:
        container.streams.video[0].thread_count = 1
        return [
            np.ascontiguousarray(frame.to_ndarray(format="rgb24"), np.uint8)
            for frame in container.decode(video=0)
        ]
