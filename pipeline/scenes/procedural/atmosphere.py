"""Atmosphere: time of day and weather, laid over a drawn picture by the distance of what it shows.

What the air takes follows Koschmieder (1924): of a thing's own colour exp(-distance / length) is
left, the rest is the air's.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.drawn.perspective import FixedCamera
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.scenes.procedural.wish import Light, Weather

Distance = npt.NDArray[np.float32]
"""float32, shape (height, width), in metres."""

_LENGTH_METRES: Final = {"fog": 22.0, "rain": 110.0, "snow": 60.0}


def distance_of(camera: FixedCamera, size: tuple[int, int], farthest_metres: float) -> Distance:
    """Give each pixel's distance as if all were ground up to what stands `farthest_metres` away."""
    width, height = size
    view = camera.view(size)
    below = np.arange(height, dtype=np.float32) + 0.5 - view.horizon_y
    ahead = view.focal_pixels * view.height_metres / np.maximum(below, 1e-3)
    row = np.minimum(np.where(below > 0, ahead, farthest_metres), farthest_metres)
    return np.repeat(row.astype(np.float32)[:, None], width, axis=1)


def weathered(
    image: SceneImage, distance: Distance, weather: Weather, rng: np.random.Generator
) -> SceneImage:
    """Give the picture in a weather; float32 RGB, 0 to 1."""
    if weather == "clear":
        return image
    if weather == "snow":
        image = _snowed(image, distance)
    if weather == "rain":
        grey = image.mean(axis=2, keepdims=True)
        image = 0.72 * (image + 0.35 * (grey - image))
    air = np.array({"fog": (0.78, 0.80, 0.82)}.get(weather, (0.66, 0.69, 0.73)), np.float32)
    left = np.exp(-distance / _LENGTH_METRES[weather])[..., None]
    image = air + (image - air) * left
    if weather == "rain":
        image = image + 0.16 * _streaks(rng, image.shape[:2])[..., None]
    if weather == "snow":
        flakes = _flakes(rng, image.shape[:2])[..., None]
        image = image + (0.96 - image) * flakes
    return np.clip(image, 0.0, 1.0).astype(np.float32)


def lit(
    image: SceneImage, camera: FixedCamera, light: Light, *, driving: bool, indoor: bool
) -> SceneImage:
    """Give the picture at a time of day; float32 RGB, 0 to 1."""
    if light == "day":
        return image
    height, width = image.shape[:2]
    down = (np.arange(height, dtype=np.float32) / height)[:, None, None]
    if light == "dusk":
        glow = np.exp(-(((down - camera.horizon) / 0.16) ** 2)) * (0.0 if indoor else 1.0)
        tint = np.array((0.80, 0.60, 0.52), np.float32)
        warm = np.array((0.42, 0.20, 0.06), np.float32)
        return np.asarray(np.clip(image * (tint + warm * glow), 0.0, 1.0), np.float32)
    dark = np.array((0.13, 0.15, 0.20), np.float32)
    if indoor:
        # Every lamp but one is off.
        dark = dark * 1.8
    pool = _lamplight(camera, (width, height), driving=driving)[..., None]
    warm = np.array((0.95, 0.86, 0.68), np.float32)
    lights = np.clip((image - 0.9) * 6.0, 0.0, 1.0) if driving else np.float32(0.0)
    return np.clip(image * (dark + warm * pool) + 0.3 * lights, 0.0, 1.0).astype(np.float32)


def _lamplight(
    camera: FixedCamera, size: tuple[int, int], *, driving: bool
) -> npt.NDArray[np.float32]:
    """How much artificial light falls on each pixel: headlights, or one lamp over the scene."""
    width, height = size
    across = (np.arange(width, dtype=np.float32) / width)[None, :]
    down = (np.arange(height, dtype=np.float32) / height)[:, None]
    if driving:
        middle, wide, deep = (0.5, camera.horizon + 0.2), 0.26, 0.2
    else:
        middle, wide, deep = (0.58, camera.horizon + 0.3), 0.3, 0.3
    spread = ((across - middle[0]) / wide) ** 2 + ((down - middle[1]) / deep) ** 2
    return np.asarray(0.85 * np.exp(-spread), np.float32)


def _snowed(image: SceneImage, distance: Distance) -> SceneImage:
    """Snow lies on the ground, thinner where people walk and drive (dark asphalt shows)."""
    ground = (distance < 0.85 * distance.max()).astype(np.float32)
    rough = image.mean(axis=2)
    lies = ground * np.clip(0.35 + 1.3 * (rough - 0.25), 0.15, 0.8)
    snow = np.array((0.90, 0.92, 0.96), np.float32)
    return np.asarray(image + (snow - image) * lies[..., None], np.float32)


def _streaks(rng: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Drops smeared by the exposure, slanted by the wind; 0 to 1."""
    height, width = shape
    sheet = np.zeros(shape, np.uint8)
    slant = float(rng.uniform(-0.25, 0.25))
    for _ in range(max(20, height * width // 700)):
        x, y = float(rng.uniform(0, width)), float(rng.uniform(-0.1, 1.0)) * height
        length = float(rng.uniform(0.02, 0.08)) * height
        start = (round(x * 16), round(y * 16))
        end = (round((x + slant * length) * 16), round((y + length) * 16))
        cv2.line(sheet, start, end, int(rng.integers(70, 230)), 1, cv2.LINE_AA, 4)
    return np.asarray(sheet / np.float32(255), np.float32)


def _flakes(rng: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Flakes, few of them near and large; 0 to 1."""
    height, width = shape
    sheet = np.zeros(shape, np.uint8)
    for _ in range(max(20, height * width // 900)):
        place = (
            round(float(rng.uniform(0, width)) * 16),
            round(float(rng.uniform(0, height)) * 16),
        )
        radius = height * 0.0022 * float(rng.pareto(3.0) + 0.6)
        radius = min(radius, 0.012 * height)
        cv2.circle(sheet, place, max(6, round(radius * 16)), 235, -1, cv2.LINE_AA, 4)
    return np.asarray(cv2.blur(sheet, (2, 3)) / np.float32(255), np.float32)
