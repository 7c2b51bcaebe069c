"""A picture file from a server: its size read before it is decoded, then its pixels."""

from __future__ import annotations

import struct

import cv2
import numpy as np

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.pipeline.scenes.engine import SceneImage

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG's markers that begin a frame, with its size (ITU T.81, table B.1)."""


def pixels_of(file: bytes, size: tuple[int, int]) -> SceneImage:
    """Decode a PNG or JPEG of just this size (width, height). Raises SceneInvalid.

    Returns float32 RGB, (height, width, 3), 0 to 1. A file that claims another size is not
    decoded: a few kB may claim a picture of many GB.
    """
    claimed = _claimed_size(file)
    if claimed != size:
        raise SceneInvalid(
            f"the image server made {claimed[0]}x{claimed[1]} pixels where {size[0]}x{size[1]} "
            "were asked for. Ask for a size that its model makes"
        )
    pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None or pixels.shape != (size[1], size[0], 3):
        raise SceneInvalid("the picture in the server's answer cannot be decoded")
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return np.asarray(rgb, np.float32) / np.float32(255.0)


def _claimed_size(file: bytes) -> tuple[int, int]:
    """Read width and height from the head of a file. Raises SceneInvalid."""
    if file.startswith(_PNG) and len(file) >= 33 and file[12:16] == b"IHDR":
        width, height = struct.unpack(">II", file[16:24])
        return width, height
    if file.startswith(_JPEG):
        return _jpeg_size(file)
    raise SceneInvalid("the image server's answer holds something that is no PNG or JPEG picture")


def _jpeg_size(file: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 <= len(file) and file[at] == 0xFF:
        marker = file[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", file[at + 5 : at + 9])
            return width, height
        (length,) = struct.unpack(">H", file[at + 2 : at + 4])
        at += 2 + max(2, length)
    raise SceneInvalid("the picture in the server's answer is cut off or damaged")
