"""A question drawn above a picture, as Pix2Struct's models are asked.

Source: transformers, models/pix2struct/image_processing_pix2struct.py, `render_text` and
`render_header`. They fetch Arial; here it is taken from the checkpoint's directory if it lies
there (Arial.TTF), else Pillow's own letters stand in.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FONT = "Arial.TTF"
_SIGNS_OF_A_LINE = 80
_LETTER_PIXELS = 36
_MARGIN_PIXELS = 5


def under_header(
    picture: npt.NDArray[np.uint8], question: str, directory: Path
) -> npt.NDArray[np.uint8]:
    """Return a picture under a question, RGB of shape (height, width, 3)."""
    from PIL import Image

    header = _drawn(question, directory)
    below = Image.fromarray(picture)
    width = max(header.width, below.width)
    below = below.resize((width, int(below.height * width / below.width)))
    header = header.resize((width, int(header.height * width / header.width)))
    whole = Image.new("RGB", (width, header.height + below.height), "white")
    whole.paste(header, (0, 0))
    whole.paste(below, (0, header.height))
    return np.asarray(whole)


def _drawn(text: str, directory: Path) -> Any:
    from PIL import Image, ImageDraw

    font = _font(directory)
    lines = "\n".join(textwrap.wrap(text, _SIGNS_OF_A_LINE))
    trial = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    _, _, width, height = trial.textbbox((0, 0), lines, font=font)
    size = int(width) + 2 * _MARGIN_PIXELS, int(height) + 2 * _MARGIN_PIXELS
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((_MARGIN_PIXELS,) * 2, lines, fill="black", font=font)
    return image


def _font(directory: Path) -> Any:
    from PIL import ImageFont

    if (directory / FONT).is_file():
        return ImageFont.truetype(str(directory / FONT), size=_LETTER_PIXELS)
    return ImageFont.load_default(_LETTER_PIXELS)
