"""A made street seen by a fixed camera: quiet, walked through, or with an incident."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.types import CameraName, Clip, Frame

Picture = npt.NDArray[np.uint8]
Drawing = Callable[[int], Picture]
"""Sampled frame's index -> picture."""

FPS = 4.0
FRAMES = 20
HOP = 10
HEIGHT, WIDTH = 168, 308


def texture(height: int, width: int, seed: int, cell: int = 14) -> Picture:
    coarse = np.random.default_rng(seed).integers(
        30, 200, (height // cell + 1, width // cell + 1, 3), np.uint8
    )
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


STREET = texture(HEIGHT, WIDTH, 1)
WALKER = texture(44, 20, 2, cell=6)
STRANGER = texture(80, 56, 3, cell=8)


def quiet(index: int) -> Picture:
    """Nothing but the sensor's noise."""
    noise = np.random.default_rng(index).normal(0, 1.5, STREET.shape)
    return np.clip(STREET + noise, 0, 255).astype(np.uint8)


def walked(index: int) -> Picture:
    """Somebody walks to the right, again and again."""
    picture = quiet(index)
    left = 5 * index % (WIDTH - 20)
    picture[90:134, left : left + 20] = WALKER
    return picture


def paste(picture: Picture, patch: Picture, top: int, left: int) -> Picture:
    height, width = patch.shape[:2]
    picture[top : top + height, left : left + width] = patch
    return picture


def burst(index: int, since: int) -> Picture:
    """From frame `since` on a bright, flickering thing grows in the lower left."""
    picture = walked(index)
    if index < since:
        return picture
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    radius = min(14 + 8 * (index - since), 46) + 8 * (index % 2)
    cv2.circle(mask, (60, 125), radius, 1.0, -1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 4), np.float32)[..., None]
    fire = np.array([255, 190, 60], np.float32)
    return (picture * (1 - mask) + fire * mask).astype(np.uint8)


def clip(
    drawing: Drawing, first: int, *, frames: int = FRAMES, camera: str = "street", start: float = 0
) -> Clip:
    """A clip of the sampled frames from index `first` on."""
    name = CameraName(camera)
    shown = tuple(
        Frame(
            camera=name,
            index=index,
            slot=index,
            pixels=drawing(index),
            media_seconds=index / FPS,
            time_seconds=start + index / FPS,
            captured_seconds=0.0,
        )
        for index in range(first, first + frames)
    )
    return Clip(
        clip_id=f"{camera}-{first}",
        camera=name,
        frames=shown,
        fps=FPS,
        start_seconds=start + first / FPS,
        end_seconds=start + (first + frames) / FPS,
    )


def clips(drawing: Drawing, count: int, *, camera: str = "street", first: int = 0) -> list[Clip]:
    """Overlapping clips, one every 2.5 s; neighbours show the same pictures where they overlap."""
    kept: dict[int, Picture] = {}

    def drawn(index: int) -> Picture:
        if index not in kept:
            kept[index] = drawing(index)
        return kept[index]

    return [clip(drawn, first + HOP * number, camera=camera) for number in range(count)]
