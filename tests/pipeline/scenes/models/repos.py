"""Repositories laid out as the real ones are, with a few bytes in each file."""

from __future__ import annotations

import random


def sdxl_files() -> dict[str, bytes]:
    """Return stabilityai/stable-diffusion-xl-base-1.0 in small, copies of the weights included."""
    files = {path: path.encode() for path in _SDXL_SIDE}
    for index, path in enumerate(_SDXL_WEIGHTS):
        files[path] = random.Random(index).randbytes(20_000)
    files["unet/diffusion_pytorch_model.fp16.safetensors"] = random.Random(99).randbytes(300_000)
    return files


SDXL_WANTED = {
    "LICENSE.md",
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.fp16.safetensors",
    "text_encoder_2/config.json",
    "text_encoder_2/model.fp16.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "tokenizer_2/merges.txt",
    "tokenizer_2/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
}

_SDXL_SIDE = (
    "LICENSE.md",
    "README.md",
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/flax_model.msgpack",
    "text_encoder_2/config.json",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "tokenizer_2/merges.txt",
    "tokenizer_2/vocab.json",
    "unet/config.json",
    "unet/openvino_model.xml",
    "vae/config.json",
    "vae_encoder/config.json",
)
_SDXL_WEIGHTS = (
    "sd_xl_base_1.0.safetensors",
    "sd_xl_base_1.0_0.9vae.safetensors",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/model.onnx",
    "text_encoder/model.safetensors",
    "text_encoder_2/model.fp16.safetensors",
    "text_encoder_2/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/model.onnx",
    "vae/diffusion_pytorch_model.fp16.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "vae_1_0/diffusion_pytorch_model.safetensors",
)

FLUX_WANTED = (
    "LICENSE.md",
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder_2/config.json",
    "text_encoder_2/model-00001-of-00002.safetensors",
    "text_encoder_2/model-00002-of-00002.safetensors",
    "text_encoder_2/model.safetensors.index.json",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "tokenizer_2/spiece.model",
    "tokenizer_2/tokenizer.json",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model-00001-of-00003.safetensors",
    "transformer/diffusion_pytorch_model-00002-of-00003.safetensors",
    "transformer/diffusion_pytorch_model-00003-of-00003.safetensors",
    "transformer/diffusion_pytorch_model.safetensors.index.json",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)
FLUX_BESIDES = ("README.md", "ae.safetensors", "flux1-schnell.safetensors", "schnell_grid.jpeg")


def flux_files() -> dict[str, bytes]:
    """Return black-forest-labs/FLUX.1-schnell in small."""
    return {path: path.encode() * 50 for path in (*FLUX_WANTED, *FLUX_BESIDES)}


def flux_onnx_files() -> dict[str, bytes]:
    """Return black-forest-labs/FLUX.1-schnell-onnx in small."""
    parts = ["clip.opt", "t5.opt", "t5-fp8.opt", "vae.opt", "vae_encoder.opt"]
    parts += [f"transformer.opt/{precision}" for precision in ("bf16", "fp8", "fp4")]
    files = {f"{part}/model.onnx": f"graph of {part}".encode() for part in parts}
    files |= {f"{part}/backbone.onnx_data": f"data of {part}".encode() * 99 for part in parts}
    return files | {"LICENSE.md": b"Apache"}
