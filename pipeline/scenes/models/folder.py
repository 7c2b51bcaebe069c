"""The folder that models, ONNX exports and plans lie in, and nothing else of anybody's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgewatch.pipeline.scenes.models.catalogue import Precision, SceneModel


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Where things lie below `root`; says paths, touches no disk.

    A model's folder is there only when all of it is: what is being fetched lies in `incoming`.
    The whole folder can be copied to a machine without network: licences' acceptance goes along.
    """

    root: Path

    def model_dir(self, model: SceneModel) -> Path:
        """Weights in diffusers' layout (`model_index.json` stands in it)."""
        return self.root / "models" / model.name

    def onnx_dir(self, model: SceneModel, precision: Precision) -> Path:
        """ONNX graphs with their data, fetched or exported by `build`."""
        return self.root / "onnx" / model.name / precision

    def plans_dir(self) -> Path:
        """TensorRT plans, a folder each, named by its key."""
        return self.root / "plans"

    def embeddings_dir(self, model: SceneModel) -> Path:
        """Prompts' embeddings, so that a repeated prompt loads no text encoder."""
        return self.root / "embeddings" / model.name

    @property
    def incoming(self) -> Path:
        """What is not complete yet; the next `fetch` goes on with it."""
        return self.root / "incoming"

    @property
    def lock_file(self) -> Path:
        """`models.lock`: which revision of what is here, and which licence was accepted when."""
        return self.root / "models.lock"

    @property
    def manifest_file(self) -> Path:
        """Every file that edgewatch put here; `purge` removes no other."""
        return self.root / "manifest.json"

    @property
    def fetch_lock(self) -> Path:
        """Held while a `fetch`, `build` or `purge` runs."""
        return self.root / "fetch.lock"


def is_inside(path: str) -> bool:
    """Whether a path stays below the folder it is relative to, as it is written."""
    pure = PurePosixPath(path)
    written_plainly = pure.as_posix() == path and path.isprintable() and "\\" not in path
    named = bool(pure.parts) and not {"..", "."} & set(pure.parts)
    return written_plainly and named and not pure.is_absolute()
