"""The table of scene engines; what one needs is imported when it is asked for.

Engines import `SceneSetup` from `setup`, not from here: this module knows them.
"""

from __future__ import annotations

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.engine import SceneEngine
from edgewatch.pipeline.scenes.setup import SceneSetup

__all__ = ["BACKENDS", "SceneSetup", "create_scene_engine"]

BACKENDS = ("procedural", "diffusers", "tensorrt", "http")


def create_scene_engine(setup: SceneSetup) -> SceneEngine:
    """Return the engine that a setup names; nothing is loaded before its `start`.

    Raises SceneRefused if there is none of the name.
    """
    match setup.backend:
        case "procedural":
            from edgewatch.pipeline.scenes.procedural.engine import ProceduralEngine

            return ProceduralEngine()
        case "diffusers":
            from edgewatch.pipeline.scenes.diffusers.engine import DiffusersEngine

            return DiffusersEngine(setup)
        case "tensorrt":
            from edgewatch.pipeline.scenes.tensorrt.engine import TensorRTEngine

            return TensorRTEngine(setup)
        case "http":
            from edgewatch.pipeline.scenes.http.engine import HttpEngine

            return HttpEngine(setup)
    raise SceneRefused(
        f'there is no scene backend "{setup.backend}"; there are {", ".join(BACKENDS)}'
    )
