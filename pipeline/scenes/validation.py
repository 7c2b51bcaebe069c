"""Is it a picture? What can be told from the numbers alone, and how far two pictures differ.

A broken network paints black, NaN, one flat colour, or noise, and a library that rounds NaN to
bytes makes black of it without a word: so floats are examined before they are rounded. Dark and
foggy scenes are legal: nothing here looks at how bright a picture is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.scenes.likeness import LUMA, Plane, compare, refuse_drift

__all__ = ["ImageFindings", "compare", "inspect", "refuse_alike", "refuse_drift", "refuse_unusable"]

LEAST_SIDE = 16
"""Pixels; below it the measures mean nothing."""

RANGE = (-0.5, 1.5)
"""A decoder overshoots 0 to 1 a little, at edges; farther out its numbers are no colours."""
LEAST_STD = 3.0
"""Grey levels of 255."""
LEAST_ENTROPY_BITS = 2.0
MOST_CLIPPED = 0.6
LEAST_LAG_1 = 0.6
LEAST_LAG_8 = 0.3
"""Catches blocks of noise as a failed decode paints them: neighbours agree, 8 pixels on none."""
MOST_HIGH = 0.4
LEAST_DIFFERENCE = 1.0
"""Mean absolute difference in grey levels of 255 of two pictures that must not be the same."""

Measured = Literal[
    "shape", "finite", "range", "std", "entropy", "clipped", "lag_1", "lag_8", "high"
]


@dataclass(frozen=True, slots=True)
class ImageFindings:
    """What a picture's numbers say. All of grey (BT.601), in levels 0 to 255, where not said."""

    width: int
    height: int
    finite: bool
    low: float
    high: float
    """Least and largest number of all colours, 1.0 being full; 0 where nothing is finite."""
    std: float
    entropy_bits: float
    """Of the histogram of 256 levels."""
    clipped: float
    """Share of pixels at or beyond black or white."""
    lag_1: float
    lag_8: float
    """Autocorrelation with the picture moved 1 and 8 pixels aside, the smaller of both ways."""
    high_frequencies: float
    """Share of the power above 0.25 cycles a pixel, the mean left out."""
    faults: tuple[tuple[Measured, str], ...]
    """What is wrong and by how much, for people; empty for a usable picture."""

    @property
    def usable(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.faults


def inspect(image: SceneImage) -> ImageFindings:
    """Measure a picture; never raises, and none of its figures is NaN."""
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or min(pixels.shape[:2]) < LEAST_SIDE:
        shape = "x".join(map(str, pixels.shape)) or "a single number"
        return _nothing(pixels, ("shape", f"{shape} is no picture of RGB, 16 x 16 and larger"))
    finite = np.isfinite(pixels)
    if not finite.all():
        share = 1.0 - float(finite.mean())
        return _nothing(pixels, ("finite", f"{share:.1%} of its numbers are NaN or infinite"))
    low, high = float(pixels.min()), float(pixels.max())
    grey = np.clip(pixels.astype(np.float64) @ LUMA, 0.0, 1.0) * 255.0
    std = float(grey.std())
    entropy = _entropy_bits(grey)
    # By the rounded levels, as they will stand in a file: 254.6 is white.
    levels = np.rint(grey)
    clipped = float(((levels <= 0) | (levels >= 255)).mean())
    lag_1, lag_8 = _correlation(grey, 1), _correlation(grey, 8)
    share = _high_frequencies(grey)
    faults: list[tuple[Measured, str]] = []
    if low < RANGE[0] or high > RANGE[1]:
        faults.append(("range", f"its numbers run from {low:.2f} to {high:.2f}, not from 0 to 1"))
    if std < LEAST_STD:
        faults.append(("std", f"it is flat: deviation {std:.1f} of 255, {LEAST_STD:g} least"))
    if entropy < LEAST_ENTROPY_BITS:
        faults.append(("entropy", f"{entropy:.1f} bits a pixel, {LEAST_ENTROPY_BITS:g} least"))
    if clipped > MOST_CLIPPED:
        faults.append(("clipped", f"{clipped:.0%} of it is black or white"))
    if lag_1 < LEAST_LAG_1:
        faults.append(("lag_1", f"it is noise: neighbouring pixels agree by {lag_1:.2f} only"))
    if lag_8 < LEAST_LAG_8:
        faults.append(("lag_8", f"it has no shapes: pixels 8 apart agree by {lag_8:.2f} only"))
    if share > MOST_HIGH:
        faults.append(("high", f"{share:.0%} of its power is finer than 4 pixels"))
    return ImageFindings(
        pixels.shape[1],
        pixels.shape[0],
        True,
        low,
        high,
        std,
        entropy,
        clipped,
        lag_1,
        lag_8,
        share,
        tuple(faults),
    )


def refuse_unusable(image: SceneImage, what: str = "the picture") -> ImageFindings:
    """Return the findings of a usable picture. Raises SceneInvalid with all that is wrong."""
    findings = inspect(image)
    if not findings.usable:
        faults = "; ".join(words for _, words in findings.faults)
        raise SceneInvalid(f"{what} cannot be used: {faults}; try another seed or precision")
    return findings


def refuse_alike(images: Sequence[SceneImage], what: str) -> None:
    """Let a set pass whose pictures differ. Raises SceneInvalid: seeds or prompts have no effect.

    `what` names what should have made them differ: "seeds", "prompts".
    """
    for (first, a), (second, b) in combinations(enumerate(images), 2):
        if a.shape != b.shape:
            continue
        difference = float(np.abs(a.astype(np.float64) - b).mean()) * 255.0
        if not difference >= LEAST_DIFFERENCE:
            raise SceneInvalid(
                f"pictures {first + 1} and {second + 1} are the same within {difference:.2f} of "
                f"255 levels although their {what} differ: the model does not listen to them"
            )


def _nothing(pixels: npt.NDArray[np.float32], fault: tuple[Measured, str]) -> ImageFindings:
    height, width = pixels.shape[:2] if pixels.ndim >= 2 else (0, 0)
    good = pixels[np.isfinite(pixels)] if pixels.size else pixels.ravel()
    low, high = (float(good.min()), float(good.max())) if good.size else (0.0, 0.0)
    finite = fault[0] != "finite"
    return ImageFindings(width, height, finite, low, high, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (fault,))


def _entropy_bits(grey: Plane) -> float:
    counts = np.bincount(np.rint(grey).astype(np.int64).ravel(), minlength=256)
    shares = counts[counts > 0] / grey.size
    return float(abs((shares * np.log2(shares)).sum()))


def _correlation(grey: Plane, lag: int) -> float:
    """Return how far the picture agrees with itself moved aside or up; 0 for a flat one."""
    return min(
        _agreement(grey[:, :-lag], grey[:, lag:]),
        _agreement(grey[:-lag], grey[lag:]),
    )


def _agreement(first: Plane, second: Plane) -> float:
    a, b = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 1e-6 * first.size else 0.0


def _high_frequencies(grey: Plane) -> float:
    """Return the share of the power above 0.25 cycles a pixel; 0 for a flat picture.

    The picture fades out to its borders (Hann), whose jump would count as fine detail.
    """
    height, width = grey.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    # rfft2 keeps one half of the plane: all its columns but the first and, if even, the last
    # stand for two.
    twice = np.full(power.shape[1], 2.0)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    power *= twice
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    total = float(power.sum())
    return float(power[frequency > 0.25].sum()) / total if total > 1e-6 * grey.size else 0.0
