"""Children for tests: started with the checkout on their path, closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.pipeline.engines.child import ChildModel
from edgewatch.pipeline.engines.child.limits import Limits
from edgewatch.pipeline.engines.model import Model
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from tests.pipeline.engines.child.hosted import Obedient

ROOT = Path(__file__).parents[4]
SETUP = EngineSetup(kind="obedient", max_batch=3, largest_clip=LargestClip(4, 12_544, 4.0))
QUICK = Limits(beat_seconds=0.1, silence_seconds=1.0)
"""A stuck child is found out within a second."""

MakeChild = Callable[..., ChildModel]


@pytest.fixture
async def make_child() -> AsyncIterator[MakeChild]:
    made: list[ChildModel] = []

    def make(
        create: Callable[[EngineSetup], Model] = Obedient,
        limits: Limits = QUICK,
        environment: dict[str, str] | None = None,
        **changes: object,
    ) -> ChildModel:
        setup = replace(SETUP, **changes)  # type: ignore[arg-type]
        variables = {"PYTHONPATH": str(ROOT), **(environment or {})}
        made.append(ChildModel(setup, limits=limits, environment=variables, create=create))
        return made[-1]

    yield make
    for child in made:
        await child.close()
