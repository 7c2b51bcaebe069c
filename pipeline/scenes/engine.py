"""The scene engine protocol: what makes a still picture of a text, whatever is behind it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

SceneImage = npt.NDArray[np.float32]
"""float32 RGB, shape (height, width, 3), 0 to 1 where all is well. Not yet clipped or rounded: NaN
would become black, and what lies outside would look like a picture (see `validation`)."""


class SceneEngine(Protocol):
    """Makes stills. One at a time is loaded, by one caller, in one thread.

    The same prompt, seed and size give the same pixels on the same machine with the same
    libraries; the noise that local backends begin with is the same on all of them.
    """

    @property
    def name(self) -> str:
        """Backend, model and precision, for sidecars: "diffusers:flux.1-schnell:bf16"."""

    def start(self) -> None:
        """Check that it fits, then load. Raises SceneRefused (what would fit), SceneUnavailable."""

    def generate(self, prompt: str, seed: int, size: tuple[int, int]) -> SceneImage:
        """Make one picture of `size` (width, height), in pixels.

        Raises SceneRefused for a size that the model cannot make exactly (nothing is shrunk in
        silence), SceneInvalid, SceneUnavailable.
        """

    def close(self) -> None:
        """Give everything back; idempotent."""
