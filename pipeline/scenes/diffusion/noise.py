"""Noise: the latents that a picture begins with, the same on every local backend.

Drawn by NumPy's Philox counter generator on the CPU and cast later, so that the seed means the
same picture whatever runs the networks. (Torch draws differently on each device.)
Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.errors import SceneRefused

Latents = npt.NDArray[np.float32]
"""float32, shape (batch, channels, rows, columns)."""

MAX_SEED = 2**64 - 1


def latent_noise(seed: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Draw standard normal float32 of `shape`; the same seed and shape give the same bytes.

    A larger batch begins with the smaller one. Raises SceneRefused for a seed below 0 or above
    2**64 - 1.
    """
    if not 0 <= seed <= MAX_SEED:
        raise SceneRefused(f"seed {seed} is outside 0 to 2**64 - 1: choose another")
    rng = np.random.Generator(np.random.Philox(key=seed))
    return rng.standard_normal(shape, dtype=np.float32)


def flux_noise(
    seed: int, size: tuple[int, int], *, batch: int = 1, channels: int = 16, factor: int = 8
) -> Latents:
    """Draw Flux's latents, not yet packed: (batch, channels, 2 (H / 2 factor), 2 (W / 2 factor)).

    `size`: width and height in pixels; `factor`: how many pixels of a side the VAE makes of one
    latent. Raises SceneRefused unless both sides are multiples of twice `factor`.
    """
    check_size(size, 2 * factor)
    width, height = size
    rows, columns = 2 * (height // (2 * factor)), 2 * (width // (2 * factor))
    return latent_noise(seed, (batch, channels, rows, columns))


def sdxl_noise(
    seed: int, size: tuple[int, int], *, batch: int = 1, channels: int = 4, factor: int = 8
) -> Latents:
    """Draw SDXL's latents, not yet scaled: (batch, channels, H / factor, W / factor).

    `size`: width and height in pixels. Raises SceneRefused unless both sides are multiples of
    twice `factor`: the UNet halves its latents, and an odd row would be cut.
    """
    check_size(size, 2 * factor)
    width, height = size
    return latent_noise(seed, (batch, channels, height // factor, width // factor))


def check_size(size: tuple[int, int], multiple: int) -> None:
    """Raise SceneRefused unless both sides are positive multiples of `multiple` pixels."""
    width, height = size
    if width < multiple or height < multiple or width % multiple or height % multiple:
        near = tuple(max(multiple, round(side / multiple) * multiple) for side in size)
        raise SceneRefused(
            f"a picture of {width}x{height} cannot be made: both sides must be multiples of "
            f"{multiple} pixels, as in {near[0]}x{near[1]}"
        )
