"""A still on disk: a PNG marked as synthetic, and a JSON sidecar that says how it was made."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.types import Pixels

SCHEMA = 1
_SIGNATURE_AND_HEADER = 8 + 25
"""Bytes before the first chunk that may follow: PNG's signature, and IHDR with its frame."""
_TEXTS = {"synthetic": "true", "Software": "edgewatch scenes"}


@dataclass(frozen=True, slots=True)
class WrittenStill:
    """What was written."""

    picture: Path
    sidecar: Path
    record: Mapping[str, Any]


def rounded(image: SceneImage) -> Pixels:
    """Return uint8 RGB. Raises SceneInvalid for NaN, which would become black without a word."""
    if not np.isfinite(image).all():
        raise SceneInvalid("the picture holds NaN: it is not written")
    pixels: Pixels = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    return pixels


def png_bytes(pixels: Pixels, texts: Mapping[str, str] = _TEXTS) -> bytes:
    """Encode uint8 RGB as PNG with tEXt chunks (Latin-1). Raises SceneInvalid.

    Source: PNG (third edition), 11.3.3.3 tEXt.
    """
    done, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    if not done:
        raise SceneInvalid(f"a picture of shape {pixels.shape} cannot be written as PNG")
    png = data.tobytes()
    chunks = b"".join(_text_chunk(key, value) for key, value in texts.items())
    return png[:_SIGNATURE_AND_HEADER] + chunks + png[_SIGNATURE_AND_HEADER:]


def png_texts(png: bytes) -> dict[str, str]:
    """Return the tEXt chunks of a PNG; {} if it is none."""
    found: dict[str, str] = {}
    place = 8
    while place + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, place)
        kind = png[place + 4 : place + 8]
        if kind == b"tEXt":
            key, _, value = png[place + 8 : place + 8 + length].partition(b"\0")
            found[key.decode("latin-1")] = value.decode("latin-1")
        place += 12 + length
    return found


def pixels_sha256(pixels: Pixels) -> str:
    """Name a picture by its size and pixels, whatever file it is in."""
    height, width = pixels.shape[:2]
    return hashlib.sha256(f"{width}x{height}:".encode() + pixels.tobytes()).hexdigest()


def write_still(image: SceneImage, folder: Path, record: Mapping[str, Any]) -> WrittenStill:
    """Write a picture and its sidecar; a crash leaves neither half of a file.

    The name is made of the pixels' hash and says nothing of what they show. `record` is the
    sidecar's, to which schema, marks, size and hashes are added. Raises SceneInvalid, OSError.
    """
    pixels = rounded(image)
    png = png_bytes(pixels)
    digest = pixels_sha256(pixels)
    picture = folder / f"still-{digest[:20]}.png"
    sidecar = picture.with_suffix(".json")
    whole = {
        "schema": SCHEMA,
        "synthetic": True,
        "file": picture.name,
        "sha256": hashlib.sha256(png).hexdigest(),
        "pixels_sha256": digest,
        "size": [pixels.shape[1], pixels.shape[0]],
        # What the model painted is known to nobody: truth comes from what is composited.
        "usable_for": ["drill"],
        **record,
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write(picture, png)
    try:
        _write(sidecar, (json.dumps(whole, indent=1, sort_keys=True) + "\n").encode())
    except BaseException:
        picture.unlink(missing_ok=True)
        raise
    return WrittenStill(picture, sidecar, whole)


def _text_chunk(key: str, value: str) -> bytes:
    body = b"tEXt" + key.encode("latin-1") + b"\0" + value.encode("latin-1")
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _write(path: Path, data: bytes) -> None:
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
