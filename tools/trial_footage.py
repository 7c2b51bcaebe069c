"""Drawn footage to try an engine with: cut into clips as live video is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from edgewatch.config.sections import Clips
from edgewatch.pipeline.clips import ClipAssembler
from edgewatch.pipeline.frames import target_size
from edgewatch.pipeline.types import CameraName, Clip, Frame, Pixels

Scene = Literal["black", "still", "moving"]

SOURCE_SIZE = (1920, 1080)
_PICTURES = 8
_STEP_PIXELS = 6


def footage(kind: Clips, scene: Scene, camera: CameraName) -> Iterator[Clip]:
    """Yield the clips of an endless scene.

    Memory is bounded by the number of different pictures, whatever the length of a clip.
    """
    assembler = ClipAssembler(
        camera,
        fps=kind.fps,
        seconds=kind.seconds,
        stride_seconds=kind.stride_seconds,
        replay=True,
    )
    pictures = _pictures(*target_size(*SOURCE_SIZE, kind.pixels), scene)
    index = 0
    while True:
        media_seconds = index / kind.fps
        frame = Frame(
            camera=camera,
            index=index,
            slot=index,
            pixels=pictures[index % len(pictures)],
            media_seconds=media_seconds,
            time_seconds=media_seconds,
            captured_seconds=media_seconds,
        )
        if clip := assembler.add(frame):
            yield clip
        index += 1


def _pictures(width: int, height: int, scene: Scene) -> list[Pixels]:
    """Draw a street of grey blocks; in front of it a bright one that goes to and fro, or stays."""
    if scene == "black":
        black = np.zeros((height, width, 3), np.uint8)
        black.flags.writeable = False
        return [black]
    random = np.random.default_rng(7)
    blocks = random.integers(60, 190, (height // 14, width // 14, 1), np.uint8)
    street = np.repeat(blocks.repeat(14, 0).repeat(14, 1), 3, axis=2)
    pictures = []
    for number in range(_PICTURES):
        picture = street.copy()
        turned = min(number, _PICTURES - number) if scene == "moving" else 0
        left = width // 4 + turned * _STEP_PIXELS
        picture[height // 3 : height // 2, left : left + width // 8] = 230
        picture.flags.writeable = False
        pictures.append(picture)
    return pictures
