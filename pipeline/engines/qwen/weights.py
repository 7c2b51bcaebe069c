"""A checkpoint's files of weights: whole, and of a format that runs no code."""

from __future__ import annotations

from pathlib import Path

from edgewatch.pipeline.engines.checkpoint import tensors_of, weight_files
from edgewatch.pipeline.errors import EngineFailed

_POINTER = b"version https://git-lfs"


def check_weights(directory: Path) -> None:
    """Hold every file against its header. Raises EngineFailed naming the file and the cure."""
    if not any(directory.glob("*.safetensors*")) and any(directory.glob("*.bin")):
        raise EngineFailed(
            f"{directory} holds its weights as *.bin, which can run code when they are read",
            "take the *.safetensors of the same checkpoint",
        )
    for file in weight_files(directory):
        with file.open("rb") as stream:
            if stream.read(len(_POINTER)) == _POINTER:
                raise EngineFailed(f"{file} is a Git LFS pointer, no weights", "run git lfs pull")
    for _ in tensors_of(directory):
        pass
