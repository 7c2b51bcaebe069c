"""The stages of one picture: encode the text, denoise, decode; each loads what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.diffusers.device import empty_cache, give_back
from edgewatch.pipeline.scenes.diffusers.embeddings import Embedding
from edgewatch.pipeline.scenes.diffusers.parts import (
    PIPELINES,
    Family,
    PartFacts,
    PartSource,
)
from edgewatch.pipeline.scenes.diffusion.flux import pack
from edgewatch.pipeline.scenes.diffusion.prompts import refuse_long
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.scenes.memory_shapes import TILE

Floats = npt.NDArray[np.float32]


class Stages:
    """The parts of one pipeline that are loaded, and the three stages that use them."""

    def __init__(
        self,
        source: PartSource,
        family: Family,
        facts: PartFacts,
        device: Any,
        on_part: Callable[[str, int, int], None],
    ) -> None:
        self._source, self._family, self._on_part = source, family, on_part
        self.facts, self.device = facts, device
        self._parts: dict[str, Any] = {}

    @property
    def core(self) -> str:
        """Name of the large network."""
        return "transformer" if self._family == "flux" else "unet"

    @property
    def loaded(self) -> Mapping[str, Any]:
        """What is in memory now."""
        return dict(self._parts)

    @property
    def held_bytes(self) -> int:
        """What the loaded networks' weights take."""
        return sum(
            tensor.numel() * tensor.element_size()
            for part in self._parts.values()
            if hasattr(part, "parameters")
            for tensor in part.parameters()
        )

    def load(self, *names: str) -> None:
        """Load parts before a stage asks for them."""
        for name in names:
            self._part(name)

    def free(self, *names: str) -> None:
        """Let go of parts; returns when their memory was given back."""
        gone = [self._parts.pop(name, None) for name in names]
        if any(part is not None for part in gone):
            del gone
            give_back(self.device)

    def encode(self, prompt: str, length: int) -> Embedding:
        """Encode a prompt with both text encoders; `length` is the longer one's, in tokens.

        Raises SceneRefused for a prompt that would be cut.
        """
        import torch

        refuse_long(self._part("tokenizer_2"), prompt, self._family, length)
        texts = ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2")
        pipeline = self._pipeline(*texts)
        with torch.inference_mode():
            if self._family == "flux":
                tokens, pooled, _ = pipeline.encode_prompt(
                    prompt=prompt, prompt_2=None, max_sequence_length=length, device=self.device
                )
            else:
                tokens, _, pooled, _ = pipeline.encode_prompt(
                    prompt=prompt, do_classifier_free_guidance=False, device=self.device
                )
            return Embedding(_array(tokens), _array(pooled))

    def denoise(
        self,
        words: Embedding,
        latents: Floats,
        size: tuple[int, int],
        *,
        steps: int,
        guidance: float,
        on_step: Callable[[int, int], None],
    ) -> Floats:
        """Denoise latents (1, channels, rows, columns); returns them in the same shape.

        `on_step` is told steps done and of all after each, and ends the work by raising.
        """
        import torch

        pipeline = self._pipeline("scheduler", self.core)
        dtype = self._parts[self.core].dtype
        pipeline.vae_scale_factor = self.facts.factor
        pipeline.set_progress_bar_config(disable=True)

        def told(_pipeline: Any, step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            on_step(step + 1, steps)
            return tensors

        flux = self._family == "flux"
        begin = pack(latents) if flux else latents
        with torch.inference_mode():
            end = pipeline(
                prompt_embeds=_tensor(words.tokens, self.device, dtype),
                pooled_prompt_embeds=_tensor(words.pooled, self.device, dtype),
                width=size[0],
                height=size[1],
                num_inference_steps=steps,
                guidance_scale=guidance,
                latents=_tensor(begin, self.device, dtype),
                output_type="latent",
                callback_on_step_end=told,
                return_dict=False,
            )[0]
            if flux:
                end = pipeline._unpack_latents(end, size[1], size[0], self.facts.factor)
            return _array(end)

    def decode(self, latents: Floats, size: tuple[int, int], *, tiled: bool) -> SceneImage:
        """Turn latents into a picture, float32 (height, width, 3), about 0 to 1, not clipped."""
        import torch

        vae = self._part("vae")
        if tiled:
            vae.tile_sample_min_size = TILE
            vae.tile_latent_min_size = TILE // self.facts.factor
            vae.enable_tiling()
        else:
            vae.disable_tiling()
        empty_cache(self.device)  # what denoising left in the allocator is of other shapes
        config = vae.config
        shift = getattr(config, "shift_factor", None) or 0.0
        with torch.inference_mode():
            scaled = latents / np.float32(config.scaling_factor) + np.float32(shift)
            image = vae.decode(
                _tensor(scaled, self.device, next(vae.parameters()).dtype), return_dict=False
            )[0]
            picture = _array(image[0].permute(1, 2, 0))
        self._on_part("decode", 1, 1)
        return np.ascontiguousarray(picture * np.float32(0.5) + np.float32(0.5))

    def _part(self, name: str) -> Any:
        if name not in self._parts:
            self._on_part(name, 0, 1)
            part = self._source.load(name)
            if getattr(part, "training", False):
                raise SceneUnavailable(f"{name} is in training mode, in which it draws lots")
            self._parts[name] = part
            self._on_part(name, 1, 1)
        return self._parts[name]

    def _pipeline(self, *names: str) -> Any:
        """Return a pipeline of these parts and no others."""
        import diffusers

        every = dict.fromkeys(
            ("vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", self.core)
        )
        parts: dict[str, Any] = every | {name: self._part(name) for name in names}
        parts.setdefault("scheduler", None)
        more = {} if self._family == "flux" else {"add_watermarker": False}
        return getattr(diffusers, PIPELINES[self._family])(**parts, **more)


def _tensor(array: Floats, device: Any, dtype: Any) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(array)).to(device=device, dtype=dtype)


def _array(tensor: Any) -> Floats:
    import torch

    found: Floats = tensor.to(device="cpu", dtype=torch.float32).numpy()
    return found
