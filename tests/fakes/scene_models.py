"""A folder of tiny models as `scenes fetch` leaves it: licence accepted, files in their place."""

from __future__ import annotations

from pathlib import Path

from edgewatch.pipeline.scenes.models.catalogue import model_named
from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.lock import ModelsLock
from tests.fakes.tiny_diffusion import tiny_flux, tiny_flux_dev, tiny_sdxl

TINY = {"flux.1-schnell": tiny_flux, "flux.1-dev": tiny_flux_dev, "sdxl": tiny_sdxl}


def scene_root(root: Path, *models: str) -> Path:
    """Make a folder that holds the tiny forms of these models; they are links: read them only."""
    folder = ModelFolder(root)
    for name in models:
        model = model_named(name)
        place = folder.model_dir(model)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(TINY[name]())
        ModelsLock(folder.lock_file).accept(name, model.licence, how="option", repo=model.repo)
    return root
