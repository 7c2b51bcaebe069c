"""What a scene engine is made of, taken from the settings and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.models.catalogue import (
    Precision,
    SceneModel,
    model_named,
    precision_of,
)
from edgewatch.pipeline.scenes.models.folder import ModelFolder

Backend = Literal["procedural", "diffusers", "tensorrt", "http"]
Dialect = Literal["nim", "openai"]


@dataclass(frozen=True, slots=True)
class SceneSetup:
    """All that the settings say of making pictures; holds no secret, only where one lies."""

    root: Path
    """What `folder` is below."""
    backend: Backend = "procedural"
    model: str = "flux.1-schnell"
    precision: str = "auto"
    """"auto" or one of `catalogue.PRECISIONS`; see `chosen_precision`."""
    steps: int | None = None
    """None: the model's own."""
    device: str = "auto"
    """Where local backends compute: "auto", "cpu", "cuda", "cuda:1"."""
    resident_bytes: int = 0
    """Memory that must stay free beside: for what the judge still takes when it is busy."""
    dev_licence: str | None = None
    """`bfl-commercial:<contract id>`: asserts a written commercial licence for FLUX.1-dev."""
    url: str | None = None
    """The image server, for `http`."""
    dialect: Dialect = "openai"
    token_file: Path | None = None
    """With the image server's token."""
    ca_file: Path | None = None
    """Who must have signed the image server's certificate; None: the system's."""
    request_seconds: float = 300.0
    """Longest wait for the image server's picture."""

    @property
    def folder(self) -> ModelFolder:
        """Where models, exports and plans lie."""
        return ModelFolder(self.root)

    @property
    def chosen_model(self) -> SceneModel:
        """The model by its name. Raises SceneRefused."""
        return model_named(self.model)

    @property
    def chosen_precision(self) -> Precision:
        """The precision, "auto" resolved. Raises SceneRefused if the model does not have it."""
        return precision_of(self.chosen_model, self.precision)

    @property
    def chosen_steps(self) -> int:
        """How many steps a picture takes. Raises SceneRefused."""
        model = self.chosen_model
        steps = model.steps if self.steps is None else self.steps
        if not 1 <= steps <= model.most_steps:
            raise SceneRefused(f"{model.name} takes 1 to {model.most_steps} steps, not {steps}")
        return steps
