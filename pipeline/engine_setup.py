"""Settings to what an engine is made of."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from edgewatch.config.settings import Settings
from edgewatch.pipeline.engines.calibration import question_hash
from edgewatch.pipeline.engines.calibration_file import default_file
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
        form=form_of(settings),
        largest_clip=LargestClip(
            frames=max(round(one.fps * one.seconds) for one in clips),
            pixels=max(one.pixels for one in clips),
            fps=max(one.fps for one in clips),
        ),
        calibration=_calibration(settings),
        calibration_named=isinstance(engine.calibration, Path),
        asked=questions_of(settings, [plan.prompt for plan in settings.plans()]),
        baseline_dir=baseline_dir,
        model=engine.model,
        device=engine.device,
        gpus=engine.gpus,
        tensor_parallel=engine.tensor_parallel,
        quantize=engine.quantize,
        precision=engine.precision,
        incremental=engine.incremental,
        vision_cache_bytes=engine.vision_cache_bytes,
        compare_clips=engine.compare_clips,
        most_drift=engine.most_drift,
        words_temperature=engine.words_temperature,
        words_top_p=engine.words_top_p,
        words_stop=engine.words_stop,
        servers=engine.servers,
        served_model=engine.served_model,
        token=settings.engine_token,
        ca_file=engine.ca_file,
        send=engine.send,
        request_seconds=engine.request_seconds,
    )


def form_of(settings: Settings) -> Form:
    """Return how a model is asked."""
    engine = settings.engine
    return Form(
        *engine.answers,
        answer_prefix=engine.answer_prefix,
        least_mass=engine.least_mass,
        words_tokens=engine.explain_tokens,
        question_first=engine.question_first,
    )


def questions_of(settings: Settings, prompts: Iterable[str]) -> tuple[str, ...]:
    """Return what stands for each of these prompts as the settings ask it; sorted.

    Empty for an engine that does not read.
    """
    if settings.engine.kind == "builtin":
        return ()
    form = form_of(settings)
    return tuple(sorted({question_hash(prompt, form) for prompt in prompts}))


def calibration_file(settings: Settings) -> Path:
    """Return where this engine's calibration lies, or would be written."""
    engine = settings.engine
    if isinstance(engine.calibration, Path):
        return engine.calibration
    has_folder = engine.kind in ("transformers", "tensorrt", "native")
    return default_file(engine.model if has_folder else None, settings.service.data_dir)


def _calibration(settings: Settings) -> Path | None:
    """Return the file to load: one that is named even if it is not there, for that is told."""
    file = calibration_file(settings)
    match settings.engine.calibration:
        case "none":
            return None
        case "auto":
            return file if os.path.isfile(file) else None
    return file
