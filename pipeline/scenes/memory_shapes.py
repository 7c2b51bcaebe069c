"""What networks take: their weights, and beside them what computing takes, by a picture's shape.

Weights are parameters times bytes. What computing takes beside them ("activations") is the most
that is alive at once, found by running the real networks' code on shapes without data (torch's
meta device, every allocation counted, attention as one kernel that keeps no scores):

- FLUX transformer, per image-and-text token and each of its 3072 channels: 13.1 numbers of the
  working precision and 8.3 bytes of float32 (rotation of queries and keys);
- SDXL's UNet, two pictures a step (with the prompt and without): 15.8 numbers per latent and each
  of its first 320 channels;
- the VAE's last block, per pixel: 6 tensors of 128 channels, and while it convolves about 4 more,
  which cuDNN lays out anew for its kernels (the 4 were measured on an H200). In tiles, the same of
  a tile, and the whole picture thrice (blended rows, result, float32 copy);
- the text encoders run on at most 512 tokens: less than 128 MB.

FP8 by layerwise casting keeps norms and modulation at 16 bits (27 % of FLUX's weights) and works
on one layer at a time in 16 bits.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgewatch.pipeline.scenes.models.catalogue import Component, Precision, SceneModel

TEXT_BYTES = 128 * 10**6

TILE = 512
"""Side in pixels of a piece that the VAE decodes when it decodes in pieces."""

_FLUX_WIDTH, _FLUX_NUMBERS, _FLUX_FLOAT32_BYTES = 3072, 13.1, 8.3
_UNET_WIDTH, _UNET_NUMBERS, _UNET_BATCH = 320, 15.8, 2
_VAE_WIDTH, _VAE_TENSORS, _VAE_COPIES = 128, 6, 4
_FLUX_KEPT = 3_247_664_192
KEPT_PARAMETERS: Mapping[str, int] = {
    "flux.1-schnell": _FLUX_KEPT,
    "flux.1-dev": _FLUX_KEPT,
    "sdxl": 588_160,
}
"""Of the large network's parameters, those that layerwise casting leaves at 16 bits."""
LARGEST_LAYER: Mapping[str, int] = {
    "flux.1-schnell": 47_188_992,
    "flux.1-dev": 47_188_992,
    "sdxl": 29_492_480,
}
"""Parameters of the largest layer that is cast, which are in 16 bits while it computes."""


def weight_bytes(model: SceneModel, component: Component, precision: Precision) -> int:
    """Return what a network's weights take as diffusers holds them."""
    if component.quantised and precision == "fp8":
        kept = KEPT_PARAMETERS.get(model.name, 0)
        return component.parameters + kept
    return component.size_bytes(precision)


def denoise_bytes(
    model: SceneModel, precision: Precision, size: tuple[int, int], core_bytes: int | None
) -> int:
    """Return the large network's activations in one step.

    `core_bytes`: its weights as counted in its files; None: the catalogue's. A smaller network of
    the same kind has fewer channels, about by the root of its weights.
    """
    width, height = size
    item = 4 if precision == "fp32" else 2
    large = model.component("transformer" if model.name.startswith("flux") else "unet")
    if large.name == "transformer":
        tokens = (width // 16) * (height // 16) + model.max_text_tokens
        numbers = tokens * _FLUX_WIDTH
        activations = numbers * (_FLUX_NUMBERS * item + _FLUX_FLOAT32_BYTES)
    else:
        numbers = _UNET_BATCH * (width // 8) * (height // 8) * _UNET_WIDTH
        activations = numbers * _UNET_NUMBERS * item
    if precision in ("fp8", "fp4"):
        activations += LARGEST_LAYER.get(model.name, 0) * item
    if core_bytes is not None:
        full = weight_bytes(model, large, precision)
        activations *= min(1.0, (core_bytes / full) ** 0.5)
    return round(activations)


def decode_bytes(
    model: SceneModel, precision: Precision, size: tuple[int, int], tiled: bool
) -> int:
    """Return the VAE's activations while it decodes a picture, whole or in tiles."""
    item = 4 if model.component("vae").precision(precision) == "fp32" else 2
    width, height = size
    whole = width * height
    pixels = min(whole, TILE * TILE) if tiled else whole
    block = pixels * _VAE_WIDTH * (_VAE_TENSORS + _VAE_COPIES) * item
    return block + (whole * 3 * 3 * item if tiled else 0)
