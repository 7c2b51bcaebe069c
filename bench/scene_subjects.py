"""What `bench.scene_images` runs: Flux and SDXL at their real size, drawn at random on the device.

The configurations are the published ones (FLUX.1-schnell, SDXL base 1.0); the tokenizers know
single characters only, which changes what is encoded and not how long it takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from edgewatch.pipeline.scenes.diffusers.parts import PartFacts, family_of, part_class
from edgewatch.pipeline.scenes.diffusers.precision import numbers_of, place, torch_dtype
from edgewatch.pipeline.scenes.models.catalogue import Precision, SceneModel
from tests.fakes.tiny_diffusion import clip_tokenizer, t5_tokenizer

_CLIP_L = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
}
_CLIP_G = _CLIP_L | {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
}
_T5_XXL = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
_VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "sample_size": 1024,
}
_UNET = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "transformer_layers_per_block": (1, 2, 10),
    "projection_class_embeddings_input_dim": 2816,
    "cross_attention_dim": 2048,
}
SHAPES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "flux": {
        "text_encoder": _CLIP_L,
        "text_encoder_2": _T5_XXL,
        "transformer": {
            "in_channels": 64,
            "num_layers": 19,
            "num_single_layers": 38,
            "attention_head_dim": 128,
            "num_attention_heads": 24,
            "joint_attention_dim": 4096,
            "pooled_projection_dim": 768,
            "axes_dims_rope": (16, 56, 56),
        },
        "vae": _VAE
        | {
            "latent_channels": 16,
            "use_quant_conv": False,
            "use_post_quant_conv": False,
            "scaling_factor": 0.3611,
            "shift_factor": 0.1159,
        },
    },
    "sdxl": {
        "text_encoder": _CLIP_L,
        "text_encoder_2": _CLIP_G,
        "unet": _UNET,
        "vae": _VAE | {"latent_channels": 4, "scaling_factor": 0.13025, "force_upcast": True},
    },
}


class RandomParts:
    """A source of parts with random weights, built on the device itself."""

    def __init__(self, model: SceneModel, precision: Precision, device: Any) -> None:
        self._model, self._precision, self._device = model, precision, device
        self._family = family_of(model)
        self.parameters: dict[str, int] = {}
        """Of each network built so far."""

    def facts(self) -> PartFacts:
        """Return the real models' facts; the weights are the catalogue's."""
        return PartFacts(None, 8, self._model.latent_channels, "random")

    def load(self, name: str) -> Any:
        """Build one part."""
        if name.startswith("tokenizer"):
            if name == "tokenizer_2" and self._family == "flux":
                return t5_tokenizer()
            return clip_tokenizer(pad="!" if name == "tokenizer_2" else None)
        kind = part_class(self._family, name)
        if name == "scheduler":
            return self._scheduler(kind)
        numbers = numbers_of(self._model.component(name), self._precision)
        with _default_dtype(torch_dtype(numbers)):
            network = self._empty(kind, SHAPES[self._family][name])
        self.parameters[name] = sum(one.numel() for one in network.parameters())
        _draw(network)
        return place(network, numbers, self._device)

    def forget(self) -> None:
        """Nothing is kept."""

    def _empty(self, kind: Any, shape: Mapping[str, Any]) -> Any:
        import torch
        import transformers

        with torch.device("meta"):
            if kind.__module__.startswith("diffusers"):
                network = kind(**shape)
            else:
                of_t5 = kind.__name__.startswith("T5")
                config = transformers.T5Config if of_t5 else transformers.CLIPTextConfig
                network = kind(config(**shape))
        return network.to_empty(device=self._device)

    def _scheduler(self, kind: Any) -> Any:
        if self._family == "flux":
            return kind(shift=1.0, use_dynamic_shifting=False)
        return kind(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing="leading",
        )


def _draw(network: Any) -> None:
    """Draw matrices that keep their input's size; nothing that was allocated stays unwritten."""
    import torch

    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0.0, 1.0 / math.sqrt(weight[0].numel()))
            else:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
        for name, buffer in network.named_buffers():
            if name.endswith("position_ids"):
                buffer.copy_(torch.arange(buffer.shape[-1], device=buffer.device).expand_as(buffer))
            else:
                buffer.zero_()


@contextmanager
def _default_dtype(dtype: Any) -> Iterator[None]:
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
