"""Single pictures as they are given to the library, and what its processor would make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from tests.fakes.tensorrt_llm.record import broken
from tests.fakes.tensorrt_llm.tokens import IMAGE_PAD
from tests.fakes.tensorrt_llm.videos import FACTOR, RED_FIRST, Seen


def processed_picture(value: Any, processor_arguments: Any) -> Seen:
    """Take the "image" of `multi_modal_data` in; raises as the library does, or ContractBroken."""
    if isinstance(value, Image.Image):
        raise TypeError("'Image' object is not iterable")
    pictures = list(value)
    if len(pictures) != 1:
        raise broken(f"{len(pictures)} pictures in one request")
    if processor_arguments:
        raise broken(f"mm_processor_kwargs {sorted(processor_arguments)}: a picture has no rate")
    picture = pictures[0]
    if not isinstance(picture, Image.Image):
        raise broken(f"a picture of {type(picture).__name__}: hashing is switched off")
    if picture.mode != "RGB":
        raise ValueError("Unable to infer channel dimension format")
    if picture.width % FACTOR or picture.height % FACTOR:
        raise broken(f"a picture of {picture.width} x {picture.height} is resized once more")
    pixels = np.asarray(picture)
    if tuple(int(value) for value in pixels[0, 0]) == RED_FIRST[::-1]:
        raise broken("the picture is BGR")
    return Seen(
        frames=1,
        tokens=(picture.height // FACTOR) * (picture.width // FACTOR),
        brightness=float(pixels.mean(dtype=np.float64)) / 255.0,
        content=hash(pixels.tobytes()),
        second_per_grid=0.0,
        pad=IMAGE_PAD,
    )
