"""Scores of a checkpoint as the engine gives them: loaded by the ordinary way, and let go of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewatch.pipeline.engines.model import Model
from edgewatch.pipeline.engines.models import create_model_here
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.tools.quantising.clips import KeptClip, batches
from edgewatch.tools.quantising.modelopt import silence
from edgewatch.tools.quantising.steps import Steps


@dataclass(frozen=True, slots=True)
class Scored:
    """What a checkpoint says of clips."""

    scores: tuple[float, ...]
    """In order; NaN for an answer that was none."""
    engine: str
    simulated: str
    """How the device imitates the checkpoint's arithmetic; empty where it has it."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How checkpoints are asked: the same for the original and what was made of it."""

    form: Form
    largest: LargestClip
    device: str
    batch: int


def score(
    checkpoint: Path, clips: Sequence[KeptClip], asking: Asking, steps: Steps, what: str
) -> Scored:
    """Load a checkpoint with the engine `transformers` and score clips. Raises EngineFailed.

    `what`: how the steps call it.
    """
    setup = EngineSetup(
        kind="transformers",
        max_batch=asking.batch,
        form=asking.form,
        largest_clip=asking.largest,
        model=checkpoint,
        device=asking.device,
    )
    with silence():
        return asyncio.run(_score(create_model_here(setup), clips, steps, what))


async def _score(model: Model, clips: Sequence[KeptClip], steps: Steps, what: str) -> Scored:
    try:
        with steps.step(f"loading the {what}"):
            await model.start()
        found: list[float] = []
        with steps.step(f"scoring by the {what}", len(clips)) as advance:
            for part in batches(clips, model.max_batch):
                found += [answer.score for answer in await model.score(part)]
                advance(len(part))
        return Scored(tuple(found), model.name, str(getattr(model, "simulated", "")))
    finally:
        await model.close()
