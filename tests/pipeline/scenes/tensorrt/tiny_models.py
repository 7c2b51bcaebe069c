"""A folder of tiny models with their exports, made as `edgewatch scenes build` makes them."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgewatch.pipeline.scenes.diffusers.libraries import quiet_libraries
from edgewatch.pipeline.scenes.diffusion.flux import pack
from edgewatch.pipeline.scenes.diffusion.noise import flux_noise, sdxl_noise
from edgewatch.pipeline.scenes.models.catalogue import Precision, model_named
from edgewatch.pipeline.scenes.models.claims import Claims
from edgewatch.pipeline.scenes.models.lock import ModelsLock
from edgewatch.pipeline.scenes.setup import SceneSetup
from edgewatch.pipeline.scenes.tensorrt.export import INLINE_BYTES, export_model
from edgewatch.pipeline.scenes.tensorrt.export_folder import ExportFolder
from edgewatch.tools.scene_commands.build import PartRow, Progress, build
from tests.fakes.tiny_diffusion import VAE_FACTOR

STEPS = 3
PROMPT = "a red van on its side"
CONTRACT = "bfl-commercial:test 1"


@dataclass(frozen=True, slots=True)
class TinyModel:
    """One model in a folder of its own."""

    setup: SceneSetup
    source: Path

    def with_device(self, device: str) -> SceneSetup:
        """Return the setup for another device."""
        return dataclasses.replace(self.setup, device=device)

    def reference(self, seed: int, size: tuple[int, int]) -> np.ndarray:
        """Return what diffusers makes of the same noise: float32 (H, W, 3)."""
        import torch

        pipe = _pipeline(self.source)
        model = self.setup.chosen_model
        more: dict[str, Any] = {}
        if model.name == "sdxl":
            latents = sdxl_noise(seed, size, factor=VAE_FACTOR)
        else:
            latents = pack(flux_noise(seed, size, channels=4, factor=VAE_FACTOR))
            more = {"max_sequence_length": model.max_text_tokens}
        with quiet_libraries():
            found = pipe(
                PROMPT,
                width=size[0],
                height=size[1],
                num_inference_steps=STEPS,
                guidance_scale=model.guidance,
                latents=torch.from_numpy(latents),
                output_type="np",
                **more,
            )
        return np.asarray(found.images[0])


@cache
def _pipeline(source: Path) -> Any:
    import diffusers

    with quiet_libraries():
        pipe = diffusers.DiffusionPipeline.from_pretrained(source, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def tiny_model(
    root: Path,
    name: str,
    source: Path,
    precision: Precision = "fp32",
    inline_bytes: int = INLINE_BYTES,
) -> TinyModel:
    """Put a tiny model where a fetched one lies, accept its licence, export it."""
    setup = SceneSetup(
        root,
        backend="tensorrt",
        model=name,
        precision=precision,
        steps=STEPS,
        device="cpu",
        dev_licence=CONTRACT,
    )
    model = model_named(name)
    claims = Claims(setup.folder, name)
    shutil.copytree(source, setup.folder.model_dir(model))
    fetched = setup.folder.model_dir(model).rglob("*")
    claims.note("weights", [path for path in fetched if path.is_file()])
    ModelsLock(setup.folder.lock_file).accept(
        name, model.licence, how="test", repo=model.repo, contract=CONTRACT
    )
    export_model(
        setup.folder.model_dir(model),
        ExportFolder(setup.folder.onnx_dir(model, precision), precision),
        precision,
        text_length=model.max_text_tokens,
        claims=claims,
        inline_bytes=inline_bytes,
    )
    return TinyModel(setup, source)


def build_tiny(setup: SceneSetup, size: tuple[int, int], *, tensorrt: bool = True) -> list[PartRow]:
    """Build as the command does, as if memory and disk were large."""
    return build(
        setup,
        size,
        tensorrt=tensorrt,
        progress=Progress(terminal=False),
        available_bytes=lambda: 10**12,
        free_disk_bytes=lambda _root: 10**12,
    )
