"""Which files of a repository are wanted: repositories hold the same weights several times. Pure.

`black-forest-labs/FLUX.1-schnell` has its transformer in diffusers' layout and once more as one
file; `stabilityai/stable-diffusion-xl-base-1.0` adds halves, Flax, ONNX and OpenVINO.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.models.catalogue import Precision, SceneModel
from edgewatch.pipeline.scenes.models.folder import is_inside

SIDE_SUFFIXES = (".json", ".txt", ".model")
ROOT_FILES = ("model_index.json",)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the hub lists it."""

    path: str
    size_bytes: int
    sha256: str | None
    """Of large files; None: `blob_sha1` is known instead."""
    blob_sha1: str
    """Git's name of a small file: sha1 of "blob <size>\\0" and the content."""


def wanted_weights(model: SceneModel, listed: Iterable[RemoteFile]) -> tuple[RemoteFile, ...]:
    """Return what diffusers needs. Raises SceneUnavailable if the repository lacks a part."""
    files = [file for file in listed if _is_safe(file)]
    chosen = [file for file in files if file.path in ROOT_FILES or _is_licence(file.path)]
    for folder in model.side_folders:
        chosen += _side_files(files, folder, model.repo)
    for component in model.components:
        inside = _in_folder(files, component.name)
        weights = [file for file in inside if file.path.endswith(".safetensors")]
        full = [file for file in weights if not _variant(file.path)]
        halves = [file for file in weights if _variant(file.path) == model.variant]
        picked = full if component.least == "fp32" or not (model.variant and halves) else halves
        if not picked:
            raise _lacks(model.repo, f"{component.name}/*.safetensors")
        variant = _variant(picked[0].path)
        chosen += picked
        chosen += [
            file
            for file in inside
            if file.path.endswith(".json") and _variant(file.path) in (None, variant)
        ]
    if not any(file.path == "model_index.json" for file in chosen):
        raise _lacks(model.repo, "model_index.json")
    return _sorted(chosen)


def wanted_onnx(
    model: SceneModel, precision: Precision, listed: Iterable[RemoteFile]
) -> tuple[RemoteFile, ...]:
    """Return whole folders of ready exports, as data files may have any name.

    Raises SceneUnavailable if the repository lacks one.
    """
    repo = model.onnx_repo or model.repo
    files = [file for file in listed if _is_safe(file)]
    chosen = [file for file in files if _is_licence(file.path)]
    folders = ("clip.opt", "t5.opt", f"transformer.opt/{precision}", "vae.opt")
    for folder in folders:
        inside = [file for file in files if file.path.startswith(f"{folder}/")]
        if not any(file.path == f"{folder}/model.onnx" for file in inside):
            raise _lacks(repo, f"{folder}/model.onnx")
        chosen += inside
    return _sorted(chosen)


def wanted_side_files(model: SceneModel, listed: Iterable[RemoteFile]) -> tuple[RemoteFile, ...]:
    """Return what ready exports lack: index, tokenizers, scheduler, each part's configuration.

    Raises SceneUnavailable if the repository lacks one.
    """
    files = [file for file in listed if _is_safe(file)]
    configs = {*ROOT_FILES, *(f"{one.name}/config.json" for one in model.components)}
    chosen = [file for file in files if file.path in configs]
    for path in sorted(configs - {file.path for file in chosen}):
        raise _lacks(model.repo, path)
    for folder in model.side_folders:
        chosen += _side_files(files, folder, model.repo)
    return _sorted(chosen)


def _side_files(files: Sequence[RemoteFile], folder: str, repo: str) -> list[RemoteFile]:
    inside = [file for file in _in_folder(files, folder) if file.path.endswith(SIDE_SUFFIXES)]
    if not inside:
        raise _lacks(repo, f"{folder}/")
    return inside


def _in_folder(files: Iterable[RemoteFile], folder: str) -> list[RemoteFile]:
    return [file for file in files if file.path.rpartition("/")[0] == folder]


def _is_licence(path: str) -> bool:
    return "/" not in path and path.upper().startswith(("LICENSE", "LICENCE", "NOTICE"))


def _variant(path: str) -> str | None:
    """Return the variant that stands in a name: model.fp16.safetensors, x.fp16-00001-of-2."""
    parts = PurePosixPath(path).name.split(".")
    middle = [part.split("-")[0] for part in parts[1:-1] if part not in ("safetensors", "index")]
    return middle[0] if middle else None


def _is_safe(file: RemoteFile) -> bool:
    return is_inside(file.path) and not file.path.endswith((".part", ".part.json"))


def _sorted(files: Iterable[RemoteFile]) -> tuple[RemoteFile, ...]:
    return tuple(sorted(set(files), key=lambda file: (file.size_bytes, file.path)))


def _lacks(repo: str, what: str) -> SceneUnavailable:
    return SceneUnavailable(
        f"{repo} holds no {what}: it is not laid out as this version of edgewatch knows it. "
        "Update edgewatch"
    )
