"""Pictures as evidence: which one to show, and what proves that two are the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import cv2
import numpy as np

from edgewatch.pipeline.types import Clip, Frame, Pixels

HASH_BYTES = 16
JPEG_QUALITY = 85
_EVERY_PIXEL = 4


def pixel_hash(pixels: Pixels) -> str:
    """Return the fingerprint of a picture's size and every byte of it, in hexadecimal."""
    height, width = pixels.shape[:2]
    digest = blake2b(f"{width}x{height}:".encode(), digest_size=HASH_BYTES)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def clip_hash(frame_hashes: Iterable[str]) -> str:
    """Return the fingerprint of a clip from those of its frames, in order."""
    return blake2b(" ".join(frame_hashes).encode(), digest_size=HASH_BYTES).hexdigest()


def telling_frame(clip: Clip) -> Frame:
    """Return the frame that differs most from the clip's usual picture: what happened shows there.

    Of equals the earliest of the second half: an event is noticed at the end of its first clips.
    """
    small = np.stack([one.pixels[::_EVERY_PIXEL, ::_EVERY_PIXEL, 1] for one in clip.frames])
    usual = np.median(small, axis=0)
    apart = np.abs(small - usual).mean(axis=(1, 2))
    half = len(clip.frames) // 2
    best = int(np.argmax(apart))
    return clip.frames[best if apart[best] > apart[half] else half]


def jpeg(pixels: Pixels) -> bytes:
    """Return a picture as JPEG."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not done:
        raise ValueError("the picture cannot be encoded as JPEG")
    return data.tobytes()
