"""Settings in force in an evaluation, for the record; without secrets."""

from __future__ import annotations

from collections.abc import Sequence

from edgewatch.config.settings import CameraPlan
from edgewatch.tools.evaluation.choice import EngineChoice


def in_force(choices: Sequence[EngineChoice], plans: Sequence[CameraPlan]) -> dict[str, object]:
    """Return settings by dotted name: those that hold for all, and each engine's by its name."""
    plan = plans[0]
    engines: dict[str, object] = {}
    for choice, own in zip(choices, plans, strict=True):
        about = _of_the_engine(choice, own)
        engines |= {f"{choice.name}.{key}": one for key, one in about.items() if one is not None}
    return {
        **{f"clips.{key}": value for key, value in plan.clips.model_dump().items()},
        **{f"events.{key}": value for key, value in plan.events.model_dump().items()},
        **({"ignore": plan.ignore} if plan.ignore else {}),
        **engines,
    }


def _of_the_engine(choice: EngineChoice, plan: CameraPlan) -> dict[str, object]:
    engine = choice.settings.engine
    return {
        "kind": engine.kind,
        "model": None if engine.model is None else str(engine.model),
        "url": engine.url,
        "quantize": None if engine.quantize == "none" else engine.quantize,
        "max_batch": engine.max_batch,
        "threshold": plan.threshold,
        "prompt": None if engine.kind == "builtin" else plan.prompt,
    }
