"""Flux: packing, positions, the schedule, Euler's steps and the way back to a picture.

Source: Black Forest Labs, flux `src/flux/{sampling,util}.py`; diffusers 0.42
`pipelines/flux/pipeline_flux.py`, `schedulers/scheduling_flow_match_euler_discrete.py`. Flow
matching: Lipman et al., "Flow matching for generative modeling", ICLR 2023; the shift by size:
Esser et al., "Scaling rectified flow transformers", ICML 2024, section 5.3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgewatch.pipeline.scenes.diffusion.run import Array, Floats, OnStep, Run, no_report


@dataclass(frozen=True, slots=True)
class FluxSchedule:
    """How the noise levels are spread; the fields are scheduler_config.json's.

    schnell has no shift; dev shifts towards noise, the more the larger the picture.
    """

    by_size: bool = False
    """Shift by the number of image tokens; otherwise by `shift`."""
    shift: float = 1.0
    base_shift: float = 0.5
    max_shift: float = 1.15
    base_tokens: int = 256
    max_tokens: int = 4096

    def sigmas(self, steps: int, tokens: int) -> Floats:
        """Return steps + 1 noise levels, float32, from 1 down to 0.

        `tokens`: image tokens, (H / 16) (W / 16) with a VAE of factor 8.
        """
        even = np.linspace(1.0, 1.0 / steps, steps).astype(np.float32)
        if self.by_size:
            slope = (self.max_shift - self.base_shift) / (self.max_tokens - self.base_tokens)
            mu = tokens * slope + self.base_shift - slope * self.base_tokens
            shifted = math.exp(mu) / (math.exp(mu) + (1.0 / even - 1.0))
        else:
            shifted = self.shift * even / (1.0 + (self.shift - 1.0) * even)
        return np.append(shifted, 0.0).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FluxText:
    """A prompt, encoded."""

    embeddings: Floats
    """(batch, tokens, width), of T5."""
    pooled: Floats
    """(batch, width), of CLIP."""


def pack(latents: Floats) -> Floats:
    """Make tokens of 2x2 latents: (B, C, h, w) to (B, h w / 4, 4 C). `h` and `w` are even."""
    batch, channels, rows, columns = latents.shape
    blocks = latents.reshape(batch, channels, rows // 2, 2, columns // 2, 2)
    tokens = blocks.transpose(0, 2, 4, 1, 3, 5)
    return tokens.reshape(batch, rows * columns // 4, channels * 4)


def unpack(tokens: Floats, rows: int, columns: int) -> Floats:
    """Undo `pack`: (B, rows columns / 4, 4 C) to (B, C, rows, columns)."""
    batch, _, width = tokens.shape
    blocks = tokens.reshape(batch, rows // 2, columns // 2, width // 4, 2, 2)
    return blocks.transpose(0, 3, 1, 4, 2, 5).reshape(batch, width // 4, rows, columns)


def image_ids(rows: int, columns: int) -> Floats:
    """Return each image token's place, float32 (rows columns / 4, 3): 0, row, column."""
    ids = np.zeros((rows // 2, columns // 2, 3), np.float32)
    ids[..., 1] = np.arange(rows // 2, dtype=np.float32)[:, None]
    ids[..., 2] = np.arange(columns // 2, dtype=np.float32)
    return ids.reshape(-1, 3)


def text_ids(tokens: int) -> Floats:
    """Return the places of text tokens, float32 (tokens, 3): nowhere."""
    return np.zeros((tokens, 3), np.float32)


def encode(run: Run, clip_ids: Array, t5_ids: Array) -> FluxText:
    """Encode a prompt of which the ids are given, int32 (B, 77) and (B, L)."""
    pooled = run("clip", input_ids=clip_ids)["pooled_embeddings"]
    embeddings = run("t5", input_ids=t5_ids)["text_embeddings"]
    return FluxText(embeddings, pooled)


def denoise(
    run: Run,
    noise: Floats,
    text: FluxText,
    *,
    steps: int,
    schedule: FluxSchedule,
    guidance: float | None = None,
    on_step: OnStep = no_report,
) -> Floats:
    """Turn noise (B, C, h, w) into latents of a picture, of the same shape.

    `guidance`: dev's strength of the prompt; None for schnell, whose network has no such input.
    """
    batch, _, rows, columns = noise.shape
    tokens = pack(noise)
    places, no_places = image_ids(rows, columns), text_ids(text.embeddings.shape[1])
    told = {} if guidance is None else {"guidance": np.full(batch, guidance, np.float32)}
    sigmas = schedule.sigmas(steps, tokens.shape[1])
    for index in range(steps):
        # The network multiplies the time by 1000 itself.
        velocity = run(
            "transformer",
            hidden_states=tokens,
            encoder_hidden_states=text.embeddings,
            pooled_projections=text.pooled,
            timestep=np.full(batch, sigmas[index], np.float32),
            img_ids=places,
            txt_ids=no_places,
            **told,
        )["latent"]
        tokens = tokens + (sigmas[index + 1] - sigmas[index]) * velocity
        on_step(index + 1, steps)
    return unpack(tokens, rows, columns)


def decode(run: Run, latents: Floats, *, scale: float, shift: float) -> Floats:
    """Turn latents (B, C, h, w) into pictures (B, H, W, 3), about 0 to 1, not clipped.

    `scale` and `shift`: the VAE's scaling_factor and shift_factor (0.3611, 0.1159).
    """
    images = run("vae", latent=latents / np.float32(scale) + np.float32(shift))["images"]
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1) * 0.5 + 0.5, np.float32)
