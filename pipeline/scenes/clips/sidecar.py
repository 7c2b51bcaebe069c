"""The sidecar: what is known of a clip, in `ID.clip.json` beside `ID.mp4` and `ID.truth.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np

import edgewatch
from edgewatch.pipeline.errors import SceneInvalid, SceneRefused
from edgewatch.pipeline.scenes.clips.recipe import SCHEMA, Recipe
from edgewatch.pipeline.scenes.truth import IncidentKind

Use = Literal["drill", "accuracy"]

SUFFIX: Final = ".clip.json"
PHOTOGRAPH: Final = "file"
"""Backend of a still that was not made here."""
MOST_BYTES: Final = 1_000_000
"""No sidecar is larger."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a clip's scene came from before anything was put in."""

    backend: str = "procedural"
    """Who drew or painted the scene or the still; PHOTOGRAPH for a picture from elsewhere."""
    model: str = ""
    licence: str = ""
    precision: str = ""
    seed: int | None = None
    """Of the painted still; None: it was not painted."""
    prompt_sha256: str = ""


DRAWN: Final = Origin()


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """One clip as its sidecar tells."""

    recipe: Recipe
    sha256: str
    """Of the video file."""
    pixels_sha256: str
    """Of all pictures before encoding, uint8 RGB, one after the other."""
    truth_sha256: str
    """Of the truth file."""
    frames: int
    t0_frame: int | None
    """First picture with the incident; None: there is none in it."""
    t_end_frame: int | None
    """First picture after it (may be `frames`)."""
    origin: Origin
    made_with: Mapping[str, str]
    """Versions of what the pixels depend on."""

    @property
    def clip_id(self) -> str:
        """The clip's name."""
        return self.recipe.clip_id

    @property
    def kind(self) -> IncidentKind | None:
        """What is shown; None for normal clips, twins among them."""
        return None if self.t0_frame is None else self.recipe.incident

    @property
    def label(self) -> Literal["Normal", "Anomaly"]:
        """As `edgewatch evaluate` reads it."""
        return "Normal" if self.t0_frame is None else "Anomaly"

    @property
    def usable_for(self) -> tuple[Use, ...]:
        """What may be concluded from the clip.

        What a model painted, or a photograph shows, is not known here: only where all was drawn
        may "normal" be counted as such.
        """
        return ("drill",) if self.recipe.still_sha256 else ("drill", "accuracy")

    def document(self) -> dict[str, Any]:
        """The sidecar as JSON values."""
        recipe, origin = self.recipe, self.origin
        counterpart = recipe.counterpart()
        return {
            "schema": SCHEMA,
            "id": self.clip_id,
            "synthetic": True,
            "sha256": self.sha256,
            "pixels_sha256": self.pixels_sha256,
            "truth_sha256": self.truth_sha256,
            "codec": "h264",
            "fps": recipe.fps,
            "size": list(recipe.size),
            "frames": self.frames,
            "t0_frame": self.t0_frame,
            "t_end_frame": self.t_end_frame,
            "label": self.label,
            "kind": self.kind,
            "twin_of": recipe.incident if recipe.twin else None,
            "twin_id": counterpart.clip_id if counterpart else None,
            "camera": recipe.camera,
            "split": recipe.split,
            "backend": origin.backend,
            "model": origin.model or None,
            "licence": origin.licence or None,
            "precision": origin.precision or None,
            "seed": recipe.seed,
            "still_seed": origin.seed,
            "prompt_sha256": origin.prompt_sha256 or None,
            "source_still_sha256": recipe.still_sha256 or None,
            "usable_for": list(self.usable_for),
            "generator_version": edgewatch.__version__,
            "made_with": dict(self.made_with),
            "recipe": recipe.as_dict(),
        }


def versions() -> dict[str, str]:
    """Name the libraries that pixels depend on."""
    return {"numpy": np.__version__, "opencv": cv2.__version__}


def sidecar_of(video: Path) -> Path:
    """Where the sidecar of a video lies; of a sidecar itself, the same."""
    if video.name.endswith(SUFFIX):
        return video
    return video.with_name(video.stem + SUFFIX)


def read_sidecar(path: Path) -> ClipRecord:
    """Read a sidecar, named itself or by its video. Raises SceneInvalid, OSError; SceneRefused
    if there is none."""
    sidecar = sidecar_of(path)
    if not sidecar.exists():
        raise SceneRefused(f"{path}: is no clip made here: {sidecar.name} is not beside it")
    if sidecar.stat().st_size > MOST_BYTES:
        raise SceneInvalid(f"{sidecar}: is larger than any sidecar")
    try:
        said = json.loads(sidecar.read_text(encoding="utf-8"))
        record = _record(said)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SceneInvalid(f"{sidecar}: is no sidecar of a clip: {error!r}") from error
    except (SceneInvalid, SceneRefused) as error:
        raise SceneInvalid(f"{sidecar}: {error}") from error
    if said["id"] != record.clip_id:
        raise SceneInvalid(f"{sidecar}: id {said['id']!r} is not that of its recipe: altered")
    return record


def _record(said: Mapping[str, Any]) -> ClipRecord:
    if said.get("schema") != SCHEMA:
        raise SceneInvalid(f"schema {said.get('schema')!r} is not {SCHEMA}")
    origin = Origin(
        backend=str(said["backend"]),
        model=str(said["model"] or ""),
        licence=str(said["licence"] or ""),
        precision=str(said["precision"] or ""),
        seed=_whole(said["still_seed"]),
        prompt_sha256=str(said["prompt_sha256"] or ""),
    )
    return ClipRecord(
        recipe=Recipe.from_dict(said["recipe"]),
        sha256=str(said["sha256"]),
        pixels_sha256=str(said["pixels_sha256"]),
        truth_sha256=str(said["truth_sha256"]),
        frames=int(said["frames"]),
        t0_frame=_whole(said["t0_frame"]),
        t_end_frame=_whole(said["t_end_frame"]),
        origin=origin,
        made_with={str(key): str(value) for key, value in said["made_with"].items()},
    )


def _whole(said: Any) -> int | None:
    return None if said is None else int(said)
