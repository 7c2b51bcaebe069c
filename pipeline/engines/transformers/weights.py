"""A checkpoint's files of weights: whole, of a format that runs no code, and told apart cheaply."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgewatch.pipeline.engines.checkpoint import tensors_of, weight_files
from edgewatch.pipeline.errors import EngineFailed

_POINTER = b"version https://git-lfs"
_SAMPLES = 16
_SAMPLE_BYTES = 4096


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


def weight_signs(directory: Path) -> Iterator[bytes]:
    """Yield what tells one checkpoint's files from another's.

    For each file: name, size, header, and 16 samples of 4 KiB spread over the weights.
    """
    for file in weight_files(directory):
        size_bytes = file.stat().st_size
        yield f"{file.name} {size_bytes}\n".encode()
        with file.open("rb") as stream:
            header_bytes = int.from_bytes(stream.read(8), "little")
            yield stream.read(header_bytes)
            start = stream.tell()
            for number in range(_SAMPLES):
                stream.seek(start + (size_bytes - start) * number // _SAMPLES)
                yield stream.read(_SAMPLE_BYTES)
