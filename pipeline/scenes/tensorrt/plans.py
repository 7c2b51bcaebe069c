"""Plans: which plan each part of a model needs for a size, how it is found and how it is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.diffusion.facts import DiffusionFacts
from edgewatch.pipeline.scenes.models.catalogue import Precision, SceneModel
from edgewatch.pipeline.scenes.models.claims import Claims
from edgewatch.pipeline.scenes.tensorrt.builder import OnPhase, build_plan
from edgewatch.pipeline.scenes.tensorrt.export_folder import ExportFolder
from edgewatch.pipeline.scenes.tensorrt.networks import part_precision
from edgewatch.pipeline.scenes.tensorrt.plan_key import PlanIdentity, PlanMachine, PlanRecipe
from edgewatch.pipeline.scenes.tensorrt.plan_store import PlanStore, StoredPlan
from edgewatch.pipeline.scenes.tensorrt.profiles import profile_of
from edgewatch.pipeline.scenes.tensorrt.resize_patch import (
    PATCH_VERSION,
    patched_graph,
    patched_places,
)

WORKSPACE_BYTES = 4 * 2**30
"""What a kernel may take beside its inputs while it is chosen and when it runs."""
LEVEL = 3

COMPONENTS = {
    "clip": "text_encoder",
    "clip2": "text_encoder_2",
    "t5": "text_encoder_2",
    "transformer": "transformer",
    "unetxl": "unet",
    "vae": "vae",
}
"""The catalogue's name of each part."""


@dataclass(frozen=True, slots=True)
class ModelPlans:
    """The plans of one model and precision on one machine."""

    model: SceneModel
    precision: Precision
    facts: DiffusionFacts
    exports: ExportFolder
    store: PlanStore
    machine: PlanMachine
    level: int = LEVEL
    workspace_bytes: int = WORKSPACE_BYTES

    def identity(self, part: str, size: tuple[int, int]) -> PlanIdentity:
        """Return what names the plan of a part for pictures of `size` (width, height).

        Raises SceneUnavailable where the part was never exported.
        """
        exported = self.exports.part(part)
        if exported is None:
            raise SceneUnavailable(
                f"{part} of {self.model.name} in {self.precision} is not exported: edgewatch "
                f"scenes build --model {self.model.name} --precision {self.precision}"
            )
        exact = part_precision(self.facts.family, part, self.precision) == "fp32"
        recipe = PlanRecipe(
            model=self.model.name,
            part=part,
            precision=self.precision,
            files=exported.files,
            patch_version=PATCH_VERSION,
            text_length=self.facts.text_length,
            profile=profile_of(self.facts, exported.inputs, size),
            level=self.level,
            # Float32 within a plan is the VAE's, or asked for: TF32 is what torch has there, too.
            flags=("TF32",) if exact else (),
            workspace_bytes=self.workspace_bytes,
        )
        return PlanIdentity(recipe, self.machine)

    def require(self, part: str, size: tuple[int, int]) -> StoredPlan:
        """Return a plan that is there. Raises SceneUnavailable, which says how to build it."""
        return self.store.require(self.identity(part, size))

    def verified(self, part: str, size: tuple[int, int]) -> Path:
        """Return the file of a plan after reading all of it. Raises SceneUnavailable."""
        identity = self.identity(part, size)
        plan = self.store.require(identity)
        self.store.verify(identity, plan)
        return plan.path

    def build(
        self,
        part: str,
        size: tuple[int, int],
        claims: Claims,
        on_phase: OnPhase = lambda *_: True,
    ) -> StoredPlan:
        """Return a plan, built unless it is there and whole; `claims` lists what is written.

        Raises SceneUnavailable, OSError.
        """
        identity = self.identity(part, size)
        exported = self.exports.part(part)
        assert exported is not None  # identity has asked

        def write(target: Path) -> dict[str, object]:
            self.exports.verify(exported)
            with claims.writing("onnx", patched_places(exported.graph)):
                graph = patched_graph(exported.graph)
            return build_plan(graph, identity.recipe, target, on_phase).as_json()

        with claims.writing("plan", self.store.places(identity)):
            return self.store.build(identity, write)
