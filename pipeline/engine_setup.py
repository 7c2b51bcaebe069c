"""Settings to what an engine is made of."""

from __future__ import annotations

from pathlib import Path

from edgewatch.config.settings import Settings
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip


def engine_setup(settings: Settings, *, baseline_dir: Path | None) -> EngineSetup:
    """Return what the settings say of the engine, with the largest clip that any camera makes.

    `baseline_dir`: where an engine that learns keeps each camera's normal; None keeps nothing.
    """
    engine = settings.engine
    clips = [settings.clips, *(plan.clips for plan in settings.plans())]
    return EngineSetup(
        kind=engine.kind,
        max_batch=engine.max_batch,
        form=Form(
            *engine.answers,
            answer_prefix=engine.answer_prefix,
            least_mass=engine.least_mass,
            words_tokens=engine.explain_tokens,
        ),
        largest_clip=LargestClip(
            frames=max(round(one.fps * one.seconds) for one in clips),
            pixels=max(one.pixels for one in clips),
            fps=max(one.fps for one in clips),
        ),
        baseline_dir=baseline_dir,
        model=engine.model,
        device=engine.device,
        gpus=engine.gpus,
        tensor_parallel=engine.tensor_parallel,
        quantize=engine.quantize,
        servers=engine.servers,
        served_model=engine.served_model,
        token=settings.engine_token,
        ca_file=engine.ca_file,
        send=engine.send,
        request_seconds=engine.request_seconds,
    )
