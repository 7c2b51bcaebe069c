"""Tiny Flux and SDXL pipelines, made offline: the real classes and files, random weights.

A folder looks like a published one (model_index.json, one folder a part, safetensors), with the
names and the wiring of the large models: Flux with CLIP and T5, SDXL with two CLIPs, both with
their schedulers, at a thousandth of the size. What they paint is smooth noise that depends on the
prompt, the seed and the size; they know nothing. The pictures' sides are multiples of 4: 2 pixels
a latent, and Flux packs 2x2 latents into a token.

Made once a session: `tiny_flux()` and the others write into a temporary folder of this process and
return the same folder again. Treat it as read-only; to change something, copy it.
"""

from __future__ import annotations

import atexit
import math
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from edgewatch.pipeline.scenes.diffusers.libraries import quiet_libraries

VAE_FACTOR = 2
"""Pixels a latent, each way: 8 in the large models."""
T5_LENGTH = 32
"""A short text length, enough for these: schnell's is 256, dev's 512."""


@cache
def tiny_flux() -> Path:
    """Return the folder of a tiny FLUX.1-schnell: no guidance, no shift."""
    return make_tiny_flux(_folder() / "flux-schnell")


@cache
def tiny_flux_dev() -> Path:
    """Return the folder of a tiny FLUX.1-dev: guidance embedded, shift by the picture's size."""
    return make_tiny_flux(_folder() / "flux-dev", guidance=True)


@cache
def tiny_sdxl() -> Path:
    """Return the folder of a tiny SDXL base."""
    return make_tiny_sdxl(_folder() / "sdxl")


def make_tiny_flux(directory: Path, *, guidance: bool = False, seed: int = 0) -> Path:
    """Write a Flux pipeline into a directory and return it."""
    with quiet_libraries():
        build_tiny_flux(guidance=guidance, seed=seed).save_pretrained(directory)
    return directory


def make_tiny_sdxl(directory: Path, *, seed: int = 0) -> Path:
    """Write an SDXL pipeline into a directory and return it."""
    with quiet_libraries():
        build_tiny_sdxl(seed=seed).save_pretrained(directory)
    return directory


def build_tiny_flux(*, guidance: bool = False, seed: int = 0) -> Any:
    """Return a diffusers FluxPipeline, every part in eval mode, float32."""
    import torch
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        FluxPipeline,
        FluxTransformer2DModel,
    )
    from transformers import CLIPTextModel, T5Config, T5EncoderModel

    torch.manual_seed(seed)
    clip_words, t5_words = clip_tokenizer(), t5_tokenizer()
    t5 = T5Config(
        vocab_size=len(t5_words),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        pad_token_id=0,
        eos_token_id=1,
    )
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,  # 4 latent channels, packed 2 x 2
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),  # sums to attention_head_dim
        guidance_embeds=guidance,
    )
    vae = _vae(
        use_quant_conv=False, use_post_quant_conv=False, scaling_factor=0.3611, shift_factor=0.1159
    )
    scheduler = (
        FlowMatchEulerDiscreteScheduler(
            shift=3.0,
            use_dynamic_shifting=True,
            base_shift=0.5,
            max_shift=1.15,
            base_image_seq_len=256,
            max_image_seq_len=4096,
        )
        if guidance
        else FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=False)
    )
    return FluxPipeline(
        tokenizer=clip_words,
        tokenizer_2=t5_words,
        scheduler=scheduler,
        text_encoder=_lively(CLIPTextModel(_clip(clip_words, layers=2))),
        text_encoder_2=_lively(T5EncoderModel(t5)),
        transformer=_lively(transformer),
        vae=_lively(vae),
    )


def build_tiny_sdxl(*, seed: int = 0) -> Any:
    """Return a diffusers StableDiffusionXLPipeline, every part in eval mode, float32."""
    import torch
    from diffusers import (
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(seed)
    first, second = clip_tokenizer(), clip_tokenizer(pad="!")
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=6 * 8 + 32,  # six numbers, then the pooled text
        cross_attention_dim=64,  # both encoders side by side
        norm_num_groups=4,
    )
    return StableDiffusionXLPipeline(
        tokenizer=first,
        tokenizer_2=second,
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing="leading",
        ),
        text_encoder=_lively(CLIPTextModel(_clip(first, layers=3, hidden_act="gelu"))),
        text_encoder_2=_lively(
            CLIPTextModelWithProjection(_clip(second, layers=3, hidden_act="gelu"))
        ),
        unet=_lively(unet),
        vae=_lively(_vae(scaling_factor=0.13025, force_upcast=True)),
        add_watermarker=False,
    )


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="edgewatch-tiny-diffusion-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _lively(part: Any) -> Any:
    """Draw matrices that keep their input's size, so that the text reaches the picture.

    The libraries' own initial weights are so small (0.02) that another prompt moves no pixel.
    """
    import torch

    with torch.no_grad():
        for weight in part.parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape) / math.sqrt(weight[0].numel()))
    return part.eval()


def _vae(**more: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        **more,
    )


def _clip(words: Any, *, layers: int, **more: Any) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_attention_heads=4,
        num_hidden_layers=layers,
        max_position_embeddings=77,
        projection_dim=32,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        **more,
    )


def clip_tokenizer(pad: str | None = None) -> Any:
    """Return a CLIP tokenizer of single characters; SDXL's second one pads with "!"."""
    from transformers import CLIPTokenizer

    signs = [chr(code) for code in range(33, 127)]
    pieces = [*signs, *(f"{sign}</w>" for sign in signs), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    more = {"pad_token": pad} if pad else {}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77, **more)


def t5_tokenizer() -> Any:
    """Return a T5 tokenizer of single characters."""
    from transformers import T5TokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(chr(code), -3.0) for code in range(33, 127)]
    return T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=512)
