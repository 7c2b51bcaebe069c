"""SDXL: noise levels, guidance, Euler's steps and the way back to a picture.

Source: diffusers 0.42 `pipelines/stable_diffusion_xl/pipeline_stable_diffusion_xl.py`,
`schedulers/scheduling_euler_discrete.py`. Podell et al., "SDXL", 2023; Karras et al., "Elucidating
the design space of diffusion-based generative models", NeurIPS 2022, algorithm 2 without churn;
Ho and Salimans, "Classifier-free diffusion guidance", 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgewatch.pipeline.scenes.diffusion.run import Array, Floats, OnStep, Run, no_report


@dataclass(frozen=True, slots=True)
class SdxlSchedule:
    """How the noise levels are spread; the fields are scheduler_config.json's.

    Beta grows as a square between its ends ("scaled_linear"); steps are spaced "leading".
    """

    beta_start: float = 0.00085
    beta_end: float = 0.012
    train_steps: int = 1000
    offset: int = 1

    def levels(self, steps: int) -> tuple[Floats, Floats]:
        """Return the times (steps) and the noise levels (steps + 1, ending with 0), float32."""
        # In float32, as the model was trained: the last digits of the product matter.
        roots = np.linspace(
            self.beta_start**0.5, self.beta_end**0.5, self.train_steps, dtype=np.float32
        )
        kept = np.cumprod(1.0 - roots**2, dtype=np.float32)
        trained = np.sqrt((1.0 - kept) / kept)
        times = (np.arange(steps) * (self.train_steps // steps))[::-1].astype(np.float32)
        times = times + np.float32(self.offset)
        sigmas = np.interp(times, np.arange(self.train_steps), trained)
        return times, np.append(sigmas, 0.0).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class SdxlText:
    """A prompt, encoded."""

    embeddings: Floats
    """(batch, 77, 768 + 1280): the last layers but one of both encoders, side by side."""
    pooled: Floats
    """(batch, 1280), of the second."""

    def zeros(self) -> SdxlText:
        """Return what stands for no prompt: zeros (diffusers; NVIDIA's demo encodes "")."""
        return SdxlText(np.zeros_like(self.embeddings), np.zeros_like(self.pooled))


def encode(run: Run, first_ids: Array, second_ids: Array) -> SdxlText:
    """Encode a prompt of which the ids are given, int32 (B, 77) each."""
    first = run("clip", input_ids=first_ids)["hidden_states"]
    second = run("clip2", input_ids=second_ids)
    both = np.concatenate([first, second["hidden_states"]], axis=-1)
    return SdxlText(both, second["text_embeddings"])


def time_ids(size: tuple[int, int], batch: int) -> Floats:
    """Return original size, crop and target size for each picture: (batch, 6). `size`: W, H."""
    width, height = size
    row = np.array([height, width, 0, 0, height, width], np.float32)
    return np.tile(row, (batch, 1))


def denoise(
    run: Run,
    noise: Floats,
    text: SdxlText,
    *,
    size: tuple[int, int],
    steps: int,
    schedule: SdxlSchedule,
    guidance: float = 5.0,
    negative: SdxlText | None = None,
    on_step: OnStep = no_report,
) -> Floats:
    """Turn noise (B, 4, h, w) into latents of a picture, of the same shape.

    `guidance` above 1 runs each step for the prompt and its opposite together, 2 B at a time, the
    opposite first; `negative` None stands for zeros.
    """
    batch = len(noise)
    guided = guidance > 1.0
    if guided:
        text = _beside(negative or text.zeros(), text)
    facts = time_ids(size, len(text.pooled))
    times, sigmas = schedule.levels(steps)
    latents: Floats = noise * np.sqrt(sigmas.max() ** 2 + 1.0)
    for index in range(steps):
        scaled = latents / np.sqrt(sigmas[index] ** 2 + 1.0)
        epsilon = run(
            "unetxl",
            sample=np.concatenate([scaled, scaled]) if guided else scaled,
            timestep=times[index : index + 1],
            encoder_hidden_states=text.embeddings,
            text_embeds=text.pooled,
            time_ids=facts,
        )["latent"]
        if guided:
            without, wanted = epsilon[:batch], epsilon[batch:]
            epsilon = without + np.float32(guidance) * (wanted - without)
        latents = latents + (sigmas[index + 1] - sigmas[index]) * epsilon
        on_step(index + 1, steps)
    return latents


def decode(run: Run, latents: Floats, *, scale: float) -> Floats:
    """Turn latents (B, 4, h, w) into pictures (B, H, W, 3), about 0 to 1, not clipped.

    `scale`: the VAE's scaling_factor (0.13025). The VAE must run in float32: in float16 it gives
    black pictures (microsoft/onnxruntime pull request 17536).
    """
    images = run("vae", latent=latents / np.float32(scale))["images"]
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1) * 0.5 + 0.5, np.float32)


def _beside(first: SdxlText, second: SdxlText) -> SdxlText:
    return SdxlText(
        np.concatenate([first.embeddings, second.embeddings]),
        np.concatenate([first.pooled, second.pooled]),
    )
