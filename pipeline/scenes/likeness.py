"""How alike two pictures are: PSNR and SSIM, and whether a lower precision drifted too far."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.pipeline.scenes.engine import SceneImage

Plane = npt.NDArray[np.float64]

MOST_PSNR_DB = 100.0
"""Said of pictures that are the same: their ratio is without end."""
WINDOW, SIGMA = 11, 1.5
"""Side and deviation, in pixels, of the Gaussian that SSIM is measured under."""
K1, K2 = 0.01, 0.03
LUMA = np.array((0.299, 0.587, 0.114))
"""Of red, green and blue. Source: ITU-R BT.601."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a lower precision's picture may lie from its bf16 twin: both limits must be met.

    The same composition in other grain passes; another composition, a veil or a smear does not.
    Noise of 3 of 255 levels gives an SSIM of 0.94, of 10 levels 0.60; a picture of another seed
    of the same drawing 0.46.
    """

    least_psnr_db: float = 14.0
    least_ssim: float = 0.5


DRIFT = Drift()


def compare(image: SceneImage, reference: SceneImage) -> tuple[float, float]:
    """Return (PSNR in dB of all colours, mean SSIM of grey) of two pictures of one size.

    Both are clipped to 0 to 1 first. PSNR is at most 100. Raises ValueError for pictures of
    different sizes or smaller than SSIM's window, or that hold NaN.
    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE TIP 13(4), 2004, with its window (Gaussian, 11 x 11, sigma 1.5)
    and constants; windows that reach over the border are left out.
    """
    if image.shape != reference.shape:
        raise ValueError(f"pictures of {image.shape} and {reference.shape} cannot be compared")
    if min(image.shape[:2]) < WINDOW:
        raise ValueError(f"pictures smaller than {WINDOW} x {WINDOW} cannot be compared")
    if not (np.isfinite(image).all() and np.isfinite(reference).all()):
        raise ValueError("pictures with NaN cannot be compared")
    a = np.clip(image.astype(np.float64), 0.0, 1.0)
    b = np.clip(reference.astype(np.float64), 0.0, 1.0)
    return _psnr_db(a, b), _ssim(a @ LUMA, b @ LUMA)


def refuse_drift(
    image: SceneImage, reference: SceneImage, limit: Drift = DRIFT, what: str = "the picture"
) -> tuple[float, float]:
    """Return `compare` of a picture near enough its bf16 twin (same prompt, seed, size, steps).

    Raises SceneInvalid beyond the limit: the precision is not usable on this machine.
    """
    try:
        psnr_db, ssim = compare(image, reference)
    except ValueError as error:
        raise SceneInvalid(f"{what} is unlike its bf16 twin: {error}") from error
    if psnr_db < limit.least_psnr_db or ssim < limit.least_ssim:
        raise SceneInvalid(
            f"{what} is too far from its bf16 twin: PSNR {psnr_db:.1f} dB and SSIM {ssim:.2f}, "
            f"least {limit.least_psnr_db:g} dB and {limit.least_ssim:g}; use another precision"
        )
    return psnr_db, ssim


def _psnr_db(a: Plane, b: Plane) -> float:
    error = float(((a - b) ** 2).mean())
    if error <= 10 ** (-MOST_PSNR_DB / 10):
        return MOST_PSNR_DB
    return -10.0 * math.log10(error)


def _ssim(a: Plane, b: Plane) -> float:
    c1, c2 = K1**2, K2**2
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a = _blurred(a * a) - mean_a**2
    var_b = _blurred(b * b) - mean_b**2
    both = _blurred(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    bottom = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return float((top / bottom).mean())


def _blurred(plane: Plane) -> Plane:
    """Return the Gaussian mean around each pixel whose whole window lies in the picture."""
    steps = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(steps**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    rows = plane.shape[0] - WINDOW + 1
    columns = plane.shape[1] - WINDOW + 1
    down = np.zeros((rows, plane.shape[1]))
    for shift, weight in enumerate(weights):
        down += weight * plane[shift : shift + rows]
    across = np.zeros((rows, columns))
    for shift, weight in enumerate(weights):
        across += weight * down[:, shift : shift + columns]
    return across
