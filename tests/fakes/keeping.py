"""A model that keeps what it saw, as far as it says so."""

from __future__ import annotations

from collections.abc import Sequence

from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.types import Answer


class FakeKeeping:
    """Keeps the contract of `KeepingModel`; remembers all that it was asked and told."""

    name = "keeping"
    max_batch = 4
    foresees = True

    def __init__(self) -> None:
        self.asked: list[AskedClip] = []
        self.pairs: list[AskedClip] = []
        self.forgotten: list[str] = []

    @property
    def figures(self) -> EngineFigures:
        return EngineFigures(sight_foreseen=len(self.pairs), sight_misses=len(self.asked))

    def foresee(self, pairs: Sequence[AskedClip]) -> None:
        self.pairs.extend(pairs)

    def forget(self, camera: str) -> None:
        self.forgotten.append(camera)

    async def start(self) -> None:
        pass

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        assert len(clips) <= self.max_batch
        self.asked.extend(clips)
        return [Answer(0.5)] * len(clips)

    async def words(self, clip: AskedClip) -> str:
        return ""

    async def close(self) -> None:
        pass
