"""The weight files of a model's folder: how many numbers they hold, and which to read."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path

from edgewatch.pipeline.errors import SceneUnavailable

MOST_HEADER_BYTES = 100 * 1024 * 1024
"""safetensors allows no longer header."""


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return a network's safetensors, those without a variant where there are both.

    Raises SceneUnavailable if there are none: nothing else is loaded (a pickle runs code).
    """
    found = sorted(folder.glob("*.safetensors"))
    plain = tuple(file for file in found if not file.stem.split("-")[0].endswith(".fp16"))
    chosen = plain or tuple(found)
    if not chosen:
        raise SceneUnavailable(
            f"{folder} holds no *.safetensors: edgewatch scenes fetch the model first"
        )
    return chosen


def variant_of(files: Iterable[Path]) -> str | None:
    """Return "fp16" where only that variant's files are there."""
    return "fp16" if all(".fp16" in file.name for file in files) else None


def parameters_in(files: Iterable[Path]) -> int:
    """Count the numbers in safetensors files by their headers alone.

    Raises SceneUnavailable for a damaged file. Source: the safetensors format (8 bytes length,
    little-endian, then JSON of name to dtype, shape and offsets, then the data).
    """
    return sum(_parameters(file) for file in files)


def fingerprint(files: Iterable[Path]) -> str:
    """Return what tells these weights from other ones, without reading them all.

    Names, sizes, times of change and headers: who changes the data alone must give the file
    another time.
    """
    found = hashlib.sha256()
    for file in sorted(files):
        status = file.stat()
        found.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
        found.update(_header(file))
    return found.hexdigest()


def forget_pages(files: Iterable[Path]) -> None:
    """Tell the kernel that files will not be read again, so that it keeps no copy of them.

    On memory that host and GPU share, a model's file would stay beside the model otherwise.
    """
    for file in files:
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError:
            continue
        finally:
            os.close(descriptor)


def _parameters(file: Path) -> int:
    try:
        header = json.loads(_header(file))
        return sum(
            math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SceneUnavailable(f"{file} is damaged: fetch the model again") from error


def _header(file: Path) -> bytes:
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 0 < length <= MOST_HEADER_BYTES:
            raise SceneUnavailable(f"{file} is damaged: fetch the model again")
        return opened.read(length)
