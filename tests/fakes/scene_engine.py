"""A scene engine that keeps the protocol's contract and paints by a rule of the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgewatch.pipeline.errors import SceneError, SceneUnavailable
from edgewatch.pipeline.scenes.engine import SceneImage

Paint = Callable[[str, int, tuple[int, int]], SceneImage]


def landscape(prompt: str, seed: int, size: tuple[int, int]) -> SceneImage:
    """Paint a smooth picture that prompt and seed change, good enough to be usable."""
    width, height = size
    draw = np.random.default_rng([seed, *prompt.encode()])
    rows, columns = np.linspace(0, 6, height)[:, None], np.linspace(0, 6, width)[None, :]
    waves = [
        np.sin(rows * draw.uniform(0.5, 2) + draw.uniform(0, 6))
        + np.cos(columns * draw.uniform(0.5, 2) + draw.uniform(0, 6))
        for _ in range(3)
    ]
    return (0.5 + 0.2 * np.stack(waves, axis=2)).astype(np.float32)


class FakeSceneEngine:
    """Paints by `paint`; raises `fails_to_start` or, for a seed, what `fails` says."""

    def __init__(
        self,
        paint: Paint = landscape,
        *,
        name: str = "fake:flux.1-schnell:bf16",
        fails_to_start: SceneError | None = None,
        fails: dict[int, Exception] | None = None,
    ) -> None:
        self._paint, self._name = paint, name
        self._fails_to_start, self._fails = fails_to_start, fails or {}
        self._told: Callable[[str, int, int], None] = lambda _part, _done, _of: None
        self.started = self.closed = False
        self.asked: list[tuple[str, int, tuple[int, int]]] = []

    @property
    def name(self) -> str:
        return self._name

    @property
    def facts(self) -> dict[str, Any]:
        return {"arithmetic": "by hand"}

    def listen(self, on_part: Callable[[str, int, int], None]) -> None:
        self._told = on_part

    def start(self) -> None:
        if self._fails_to_start is not None:
            raise self._fails_to_start
        self.started = True

    def generate(self, prompt: str, seed: int, size: tuple[int, int]) -> SceneImage:
        if not self.started or self.closed:
            raise SceneUnavailable("not started, or closed")
        self.asked.append((prompt, seed, size))
        self._told("denoise", 1, 1)
        if seed in self._fails:
            raise self._fails[seed]
        return self._paint(prompt, seed, size)

    def close(self) -> None:
        self.closed = True
