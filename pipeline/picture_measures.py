"""A picture in a few figures: how bright, how detailed, how laid out. Arithmetic only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from numpy import fft

from edgewatch.pipeline.types import Pixels

Grey = npt.NDArray[np.uint8]
"""uint8 luma, shape (height, width)."""

Layout = npt.NDArray[np.complex64]
"""Which way the edges run, shape (height / 8, width / 8); see `layout_of`."""

MOST_GREY_PIXELS = 67_000
"""Larger pictures are shrunk to this area: it is what one camera keeps in memory. A frame of the
default size (63,504 pixels, up to 5 % more by `frames.target_size`) stays as it is, because
shrinking would average away the noise that tells a live picture from a frozen one."""

_LEAST_SIDE = 32
_CAPTION_SHARE = 8
"""Top and bottom eighth of the picture: burnt-in clocks and names stand there. They are sharp and
bright whatever the lens sees, so brightness and detail are taken from the rest."""
_BRIGHT_PERCENT = 99
_GRADIENT_NOISE = 3.0
"""Levels of difference between neighbours that sensor noise and coding make; not counted as
detail. Scaled down to this size, the noise of a night picture has a deviation of 1 to 2."""
_SOBEL = 8
"""What a Sobel filter multiplies a gradient by."""
_FAINT_GRADIENT = 2.0
"""Gradient, in levels a pixel of the small picture, at which an edge counts half in a layout."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one picture looks like."""

    grey: Grey
    small: Grey
    """The same, each side divided by four (area average)."""
    mean: float
    """Mean luma, 0 to 255."""
    bright: float
    """Luma that 1 % of the small picture (without its captions) is brighter than."""
    fine: float
    """Detail at full size: mean difference of neighbours above noise, levels; 0.4 (a dim yard) to
    20 (a street in the sun) on real cameras. Halved or more by a slight blur."""
    coarse: float
    """The same at half size: less sensitive to noise and to blur. Near 0 only if there is nothing
    to see at all."""


def look_at(pixels: Pixels) -> Look:
    """Measure a picture: uint8 RGB, shape (height, width, 3), sides of 32 pixels or more."""
    grey = _grey(pixels)
    half = halved(grey)
    small = halved(half)
    lights = _without_captions(small).ravel()
    rank = (lights.size - 1) * _BRIGHT_PERCENT // 100
    return Look(
        grey=grey,
        small=small,
        mean=float(cv2.mean(small)[0]),
        bright=float(np.partition(lights, rank)[rank]),
        fine=_detail(_without_captions(grey)),
        coarse=_detail(_without_captions(half)),
    )


def halved(grey: Grey) -> Grey:
    """Return the picture with each side halved, rounded down; each value the mean of four."""
    size = (grey.shape[1] // 2, grey.shape[0] // 2)  # the one factor OpenCV does fast
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def layout_of(small: Grey) -> Layout:
    """Return the direction of the edges at every second pixel of a small picture.

    Each value is a gradient as a complex number, squared and divided by its squared size (plus
    that of a faint edge): strong edges have size 1 whatever the contrast, and the doubled angle
    makes light-on-dark equal to dark-on-light. So a layout hardly depends on the light, but very
    much on where things are. Source: orientation correlation (Fitch et al., BMVC 2002), with the
    doubled angle of structure tensors.
    """
    smooth = cv2.GaussianBlur(small, (5, 5), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_16S, 1, 0)[::2, ::2]
    down = cv2.Sobel(smooth, cv2.CV_16S, 0, 1)[::2, ::2]
    gradient = np.empty(across.shape, np.complex64)
    gradient.real, gradient.imag = across, down
    squared = gradient * gradient
    squared /= np.abs(squared) + np.float32((_SOBEL * _FAINT_GRADIENT) ** 2)
    return squared


def middle(values: npt.NDArray[np.int16]) -> int:
    """Return the (upper) median; a fraction of what numpy's own costs."""
    flat = values.ravel()
    return int(np.partition(flat, flat.size // 2)[flat.size // 2])


def likeness(one: Layout, other: Layout) -> float:
    """Return how alike two layouts are: 1 the same, about 0 for two unrelated views."""
    energies = np.vdot(one, one).real * np.vdot(other, other).real
    if energies <= 0:
        return 0.0
    return float(np.vdot(one, other).real / math.sqrt(energies))


def shift_between(before: Layout, after: Layout) -> tuple[float, float] | None:
    """Return how far the view's content moved, as shares of (width, height); None if unclear.

    Right and down are positive. Searches up to half the picture each way.
    """
    spectrum = np.conj(fft.fft2(before)) * fft.fft2(after)
    match = fft.ifft2(spectrum).real
    row, column = np.unravel_index(int(match.argmax()), match.shape)
    energy = math.sqrt(float((np.abs(before) ** 2).sum() * (np.abs(after) ** 2).sum()))
    if energy <= 0 or match[row, column] < _CLEAR_SHIFT_LIKENESS * energy:
        return None
    height, width = match.shape
    return (
        float((column + width // 2) % width - width // 2) / width,
        float((row + height // 2) % height - height // 2) / height,
    )


_CLEAR_SHIFT_LIKENESS = 0.45
"""Best likeness under any shift from which on it is the old view that was shifted."""


def _grey(pixels: Pixels) -> Grey:
    height, width = pixels.shape[:2]
    scale = min(1.0, math.sqrt(MOST_GREY_PIXELS / (width * height)))
    size = (max(_LEAST_SIDE, round(width * scale)), max(_LEAST_SIDE, round(height * scale)))
    if size != (width, height):
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def _without_captions(grey: Grey) -> Grey:
    margin = grey.shape[0] // _CAPTION_SHARE
    return grey[margin : grey.shape[0] - margin]


def _detail(grey: Grey) -> float:
    # Every second row is enough
    height = grey.shape[0] // 2 * 2
    upper, lower = grey[0:height:2], grey[1:height:2]
    return _mean_step(upper[:, 1:], upper[:, :-1]) + _mean_step(lower, upper)


def _mean_step(one: Grey, other: Grey) -> float:
    step = cv2.absdiff(one, other)
    _, above = cv2.threshold(step, _GRADIENT_NOISE, 0, cv2.THRESH_TOZERO)
    return float(cv2.mean(above)[0] - _GRADIENT_NOISE * cv2.countNonZero(above) / above.size)
