"""The engine `procedural`: draws what a prompt's words ask for. Always there, needs no model."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.drawn.table import camera_of, draw_scene
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.scenes.procedural.atmosphere import distance_of, lit, weathered
from edgewatch.pipeline.scenes.procedural.wish import wish_of

SMALLEST_PIXELS: Final = 64
LARGEST_PIXELS: Final = 4096

_FARTHEST_METRES: Final = MappingProxyType({"drive": 220.0, "yard": 42.0})
_MOMENTS: Final = 240
"""A scene's pictures to choose one of."""
_FPS: Final = 4.0


class ProceduralEngine:
    """A `SceneEngine`. The same prompt, seed and size give the same pixels, on every machine with
    the same versions of numpy and OpenCV."""

    @property
    def name(self) -> str:
        """Changes when the pictures do."""
        return "procedural-1"

    def start(self) -> None:
        """Be there: nothing is loaded."""

    def generate(self, prompt: str, seed: int, size: tuple[int, int]) -> SceneImage:
        """Draw a picture of `size` (width, height): float32 RGB, 0 to 1.

        The prompt's words choose scene (road, yard or corridor), time of day and weather; see
        `wish.wish_of`. Indoors there is no weather. Raises SceneRefused for a side below 64 or
        above 4096 pixels.
        """
        if not all(SMALLEST_PIXELS <= side <= LARGEST_PIXELS for side in size):
            raise SceneRefused(
                f"a drawn scene of {size[0]}x{size[1]} pixels is not made: each side must be "
                f"{SMALLEST_PIXELS} to {LARGEST_PIXELS}"
            )
        wish = wish_of(prompt, seed)
        seed = abs(seed)
        rng = np.random.default_rng([seed, 22])
        scene = draw_scene(wish.scene, seed, size, _FPS, _MOMENTS / _FPS)
        image = scene.frame(int(rng.integers(_MOMENTS))).astype(np.float32)
        image /= np.float32(255.0)
        camera, indoor = camera_of(wish.scene), wish.scene == "corridor"
        if not indoor:
            distance = distance_of(camera, size, _FARTHEST_METRES[wish.scene])
            image = weathered(image, distance, wish.weather, rng)
        return lit(image, camera, wish.light, driving=wish.scene == "drive", indoor=indoor)

    def close(self) -> None:
        """Nothing is held."""
