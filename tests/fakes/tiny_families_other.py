"""Tiny checkpoints of families that are not of chat form, made offline: real classes, real files.

Each has its library's own model and processor, saved as they save themselves, with random weights
that make answers differ from clip to clip. They know nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.fakes.tiny_tokenizers import (
    PHI_SPECIAL,
    answer_ids,
    fuyu_tokenizer,
    nougat_tokenizer,
    opt_tokenizer,
    phi_tokenizer,
    t5_tokenizer,
    xlm_tokenizer,
)

WIDTH = 32
"""Of every hidden state."""
ANSWERS_SIZE = 0.15
"""Of the answers' rows in the head: scores then stay away from 0 and 1."""
PATCHES_OF_KOSMOS = 4
"""Names of places that Kosmos-2's tokenizer is given; the published one has 1024."""


def make_tiny_blip2(directory: Path, *, language: str = "opt", seed: int = 0) -> Path:
    """Write a BLIP-2 whose language model is "opt" (a decoder) or "t5" (with an encoder)."""
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        OPTConfig,
        T5Config,
    )

    tokenizer = opt_tokenizer() if language == "opt" else t5_tokenizer()
    processor = Blip2Processor(
        _processor_class("blip", "Blip")(size={"height": 56, "width": 56}),
        tokenizer,
        num_query_tokens=4,
    )
    sizes: dict[str, Any] = {"vocab_size": 384, "pad_token_id": tokenizer.pad_token_id}
    text = (
        OPTConfig(
            hidden_size=WIDTH,
            ffn_dim=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            word_embed_proj_dim=WIDTH,
            max_position_embeddings=1024,
            **sizes,
        )
        if language == "opt"
        else T5Config(
            d_model=WIDTH,
            d_kv=16,
            d_ff=48,
            num_layers=2,
            num_heads=2,
            decoder_start_token_id=0,
            **sizes,
        )
    )
    config = Blip2Config(
        vision_config=_vision(image_size=56),
        qformer_config=_vision(vocab_size=64, encoder_hidden_size=WIDTH),
        text_config=text.to_dict(),
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    model = Blip2ForConditionalGeneration(config)
    head = model.language_model.lm_head
    return _saved(directory, model, head, processor, seed)


def make_tiny_fuyu(directory: Path, *, seed: int = 0) -> Path:
    """Write a Fuyu (Persimmon), whose patches go into the language model as they are."""
    from transformers import FuyuConfig, FuyuForCausalLM, FuyuProcessor

    tokenizer = fuyu_tokenizer()
    processor = FuyuProcessor(
        _processor_class("fuyu", "Fuyu")(size={"height": 120, "width": 120}), tokenizer
    )
    text = {
        "model_type": "persimmon",
        "vocab_size": 384,
        "max_position_embeddings": 2048,
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_act": "relu2",
        "qk_layernorm": True,
        "partial_rotary_factor": 0.5,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    image_token = tokenizer.convert_tokens_to_ids("|SPEAKER|")
    model = FuyuForCausalLM(FuyuConfig(text_config=text, image_token_id=image_token))
    return _saved(directory, model, model.lm_head, processor, seed)


def make_tiny_kosmos2(directory: Path, *, seed: int = 0) -> Path:
    """Write a Kosmos-2."""
    from transformers import Kosmos2Config, Kosmos2ForConditionalGeneration, Kosmos2Processor

    places = [(f"<reserved{n}>", 0.0) for n in range(8)]
    tokenizer = xlm_tokenizer(places)
    processor = Kosmos2Processor(
        _processor_class("clip", "CLIP")(
            size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}
        ),
        tokenizer,
        num_patch_index_tokens=PATCHES_OF_KOSMOS,
    )
    config = Kosmos2Config(
        text_config={
            "vocab_size": len(tokenizer) + 8,
            "max_position_embeddings": 1024,
            "embed_dim": WIDTH,
            "layers": 2,
            "ffn_dim": 48,
            "attention_heads": 2,
            "dropout": 0.0,
            "attention_dropout": 0.0,
            "tie_word_embeddings": False,
        },
        vision_config=_vision(image_size=56),
        latent_query_num=8,
        tie_word_embeddings=False,
    )
    model = Kosmos2ForConditionalGeneration(config)
    return _saved(directory, model, model.text_model.lm_head, processor, seed)


def make_tiny_pix2struct(directory: Path, *, is_vqa: bool = True, seed: int = 0) -> Path:
    """Write a Pix2Struct; `is_vqa`: as Deplot, it reads the question in the picture's header."""
    from transformers import (
        Pix2StructConfig,
        Pix2StructForConditionalGeneration,
        Pix2StructProcessor,
    )

    tokenizer = t5_tokenizer()
    processor = Pix2StructProcessor(
        _processor_class("pix2struct", "Pix2Struct")(is_vqa=is_vqa, max_patches=64), tokenizer
    )
    shape = {"hidden_size": WIDTH, "d_kv": 16, "d_ff": 48}
    config = Pix2StructConfig(
        text_config={**shape, "vocab_size": 384, "num_layers": 2, "num_heads": 2},
        vision_config={
            **shape,
            "patch_embed_hidden_size": 3 * 16 * 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "seq_len": 128,
        },
        is_vqa=is_vqa,
    )
    model = Pix2StructForConditionalGeneration(config)
    return _saved(directory, model, model.decoder.lm_head, processor, seed)


def make_tiny_nougat(directory: Path, *, seed: int = 0) -> Path:
    """Write a Nougat: Donut's Swin encoder and mBART's decoder."""
    from transformers import (
        DonutSwinConfig,
        MBartConfig,
        NougatProcessor,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
    )

    tokenizer = nougat_tokenizer()
    processor = NougatProcessor(
        _processor_class("nougat", "Nougat")(size={"height": 96, "width": 64}), tokenizer
    )
    encoder = DonutSwinConfig(
        image_size=[96, 64],
        embed_dim=16,
        depths=[1, 1],
        num_heads=[2, 2],
        window_size=4,
        drop_path_rate=0.0,
    )
    decoder = MBartConfig(
        vocab_size=384,
        d_model=WIDTH,
        decoder_layers=2,
        decoder_ffn_dim=48,
        decoder_attention_heads=2,
        encoder_layers=0,
        encoder_attention_heads=2,
        max_position_embeddings=128,
        scale_embedding=True,
        add_final_layer_norm=True,
        is_decoder=True,
        add_cross_attention=True,
        dropout=0.0,
        tie_word_embeddings=False,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id = tokenizer.bos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    config.eos_token_id = tokenizer.eos_token_id
    config.tie_word_embeddings = False
    model = VisionEncoderDecoderModel(config=config)
    return _saved(directory, model, model.decoder.lm_head, processor, seed)


def make_tiny_phi4(directory: Path, *, seed: int = 0) -> Path:
    """Write a Phi-4-multimodal; the library's own processor needs torchvision, its rules do not."""
    from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

    tokenizer = phi_tokenizer()
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in PHI_SPECIAL}
    config = Phi4MultimodalConfig(
        vocab_size=384,
        hidden_size=WIDTH,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=8192,
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=[ids["<|endoftext|>"], ids["<|end|>"]],
        pad_token_id=ids["<|endoftext|>"],
        vision_config={
            **_vision(image_size=112),
            "crop_size": 112,
            "image_token_id": ids["<|endoftext10|>"],
        },
        audio_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_blocks": 1,
            "num_attention_heads": 2,
            "ext_pw_out_channel": 16,
            "depthwise_separable_out_channel": 16,
            "nemo_conv_channels": 16,
            "audio_token_id": ids["<|endoftext11|>"],
        },
    )
    model = Phi4MultimodalForCausalLM(config)
    _saved(directory, model, model.lm_head, tokenizer, seed)
    rules = {
        "image_processor_type": "Phi4MultimodalImageProcessor",
        "processor_class": "Phi4MultimodalProcessor",
        "size": {"height": 112, "width": 112},
        "patch_size": 14,
        "dynamic_hd": 4,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    _write_json(directory / "preprocessor_config.json", rules)
    return directory


OTHER_TINY: Mapping[str, Callable[[Path], Path]] = {
    "blip-2": make_tiny_blip2,
    "blip-2 with T5": lambda directory: make_tiny_blip2(directory, language="t5"),
    "fuyu": make_tiny_fuyu,
    "kosmos-2": make_tiny_kosmos2,
    "phi4_multimodal": make_tiny_phi4,
    "pix2struct": make_tiny_pix2struct,
    "vision-encoder-decoder": make_tiny_nougat,
}
"""Every checkpoint here, by its model type."""


def _vision(**sizes: Any) -> dict[str, Any]:
    """Return sizes that most towers share."""
    return {
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        **sizes,
    }


def _processor_class(module: str, name: str) -> Any:
    """Return an image processor that needs PIL alone: its name differs between releases."""
    import importlib

    for file, suffix in (("image_processing_pil_", "Pil"), ("image_processing_", "")):
        try:
            found = importlib.import_module(f"transformers.models.{module}.{file}{module}")
        except ImportError:
            continue
        return getattr(found, f"{name}ImageProcessor{suffix}")
    raise ImportError(f"transformers has no image processor of {name}")


def _saved(directory: Path, model: Any, head: Any, processor: Any, seed: int) -> Path:
    """Draw the weights and write the checkpoint; return its directory."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = getattr(processor, "tokenizer", processor)
    draw_weights(model.float().eval(), head, answer_ids(tokenizer), seed=seed)
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    return directory


def draw_weights(
    model: Any, head: Any, answers: tuple[Sequence[int], Sequence[int]], *, seed: int
) -> None:
    """Draw weights so that each layer keeps its input's size and answers are probable."""
    import torch

    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
            else:
                few = "embed" in name and weight.shape[0] > 100
                deviation = 1.0 if few else 1 / math.sqrt(weight[0].numel())
                weight.copy_(torch.randn(weight.shape, generator=random) * deviation)
        direction = torch.randn(head.weight.shape[1], generator=random)
        for tokens, sign in zip(answers, (1.0, -1.0), strict=True):
            head.weight[list(tokens)] = sign * direction * ANSWERS_SIZE


def _write_json(file: Path, table: Any) -> None:
    file.write_text(json.dumps(table, indent=2) + "\n", "utf-8")
