"""Pictures: read from files, written over where a question wants it, brought to a model's sides."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgewatch.config.errors import ConfigError
from edgewatch.tools.vqa.questions import Mark, PictureSource

if TYPE_CHECKING:
    from PIL import Image

SIDE = 28
"""Pixels of a token's side."""
MOST_ASPECT = 200
"""The official image processor refuses a picture that is longer than so many times its width."""


class PictureUnreadable(Exception):
    """A picture cannot be shown; the message says why."""


@dataclass(frozen=True, slots=True)
class FilePicture:
    """A picture that is a file."""

    path: Path
    name: str
    """Its path within the data set."""
    marks: tuple[Mark, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Name, size and time of change. Raises OSError."""
        about = os.stat(self.path)
        return f"{self.name} {about.st_size} {about.st_mtime_ns} {len(self.marks)}"

    def content(self) -> bytes:
        """Read the file. Raises OSError."""
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class Sides:
    """Which sizes pictures are brought to."""

    least_pixels: int
    most_pixels: int
    whose: str
    """For people: whose limit `most_pixels` is."""

    @property
    def said(self) -> str:
        """For people."""
        return (
            f"sides are multiples of {SIDE}, area {self.least_pixels} to {self.most_pixels} "
            f"pixels ({self.whose})"
        )


def need_pillow() -> None:
    """Raise ConfigError if pictures cannot be read here."""
    import importlib.util

    if importlib.util.find_spec("PIL") is None:
        raise ConfigError("--task needs Pillow to read pictures: pip install pillow")


def still_of(source: PictureSource, sides: Sides) -> npt.NDArray[np.uint8]:
    """Return a picture twice, RGB of shape (2, height, width, 3), as models are shown it.

    Raises PictureUnreadable.
    """
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(source.content())).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureUnreadable(f"{source.name} cannot be read ({error})") from error
    marked = written_over(picture, source.marks) if source.marks else picture
    return np.stack([scaled(marked, sides)] * 2)


def scaled(picture: Image.Image, sides: Sides) -> npt.NDArray[np.uint8]:
    """Return a picture at the size that a model is shown it, as the official processor scales it.

    Raises PictureUnreadable.
    """
    from PIL import Image

    width, height = picture.size
    wanted_height, wanted_width = fitting(height, width, sides)
    if (wanted_height, wanted_width) != (height, width):
        picture = picture.resize((wanted_width, wanted_height), Image.Resampling.BICUBIC)
    return np.asarray(picture)


def fitting(height: int, width: int, sides: Sides) -> tuple[int, int]:
    """Return (height, width) in multiples of 28 within limits of area, at nearly the same shape.

    Source: `smart_resize` of Qwen2-VL's image processor. Raises PictureUnreadable.
    """
    if max(height, width) > MOST_ASPECT * min(height, width):
        raise PictureUnreadable(f"a picture of {width} x {height} is too long and narrow")
    high, wide = (round(side / SIDE) * SIDE for side in (height, width))
    if high * wide > sides.most_pixels:
        shrink = math.sqrt(height * width / sides.most_pixels)
        high, wide = (
            max(SIDE, math.floor(side / shrink / SIDE) * SIDE) for side in (height, width)
        )
    elif high * wide < sides.least_pixels:
        grow = math.sqrt(sides.least_pixels / (height * width))
        high, wide = (math.ceil(side * grow / SIDE) * SIDE for side in (height, width))
    return max(SIDE, high), max(SIDE, wide)


def written_over(picture: Image.Image, marks: Sequence[Mark]) -> Image.Image:
    """Return a diagram with letters in white boxes, each as large as its box allows."""
    from PIL import ImageDraw, ImageFont

    made = picture.copy()
    draw = ImageDraw.Draw(made)
    for mark in marks:
        left, right = sorted((mark.left, mark.right))
        top, bottom = sorted((mark.top, mark.bottom))
        draw.rectangle((left, top, right, bottom), fill="white")
        size = max(8, min(bottom - top, right - left))
        draw.text(
            ((left + right) / 2, (top + bottom) / 2),
            mark.letter,
            fill="black",
            font=ImageFont.load_default(size),
            anchor="mm",
        )
    return made
