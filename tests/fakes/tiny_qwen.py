"""A tiny Qwen2.5-VL checkpoint, made offline: the real classes and files, random weights.

Its directory looks like a published one (flat config.json, tokenizer.json with Qwen's special
tokens, preprocessor_config.json, sharded safetensors with an index). The weights are drawn so
that answers differ from clip to clip: each layer keeps its input's size, and the head's rows for
"Yes" and "No" are large and opposed. It knows nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WORDS = ("Yes", "No", "yes", "no", "YES", "NO")
SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
VOCABULARY = 384
"""More than the tokenizer has, as in the published checkpoints."""
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen2's rule for cutting a text before merging."""
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'video' %}"
    "<|vision_start|><|video_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

PIXEL_RULES: Mapping[str, Any] = {
    "min_pixels": 3136,
    "max_pixels": 12845056,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2_5_VLProcessor",
}


def make_tiny_qwen(
    directory: Path, *, seed: int = 0, shard_size: str = "200KB", words: tuple[str, ...] = WORDS
) -> Path:
    """Write a checkpoint into a directory and return it. `words` become single tokens."""
    directory.mkdir(parents=True, exist_ok=True)
    specials = _write_tokenizer(directory, words)
    config = tiny_config(specials)
    model = tiny_model(config, _answer_tokens(directory), seed=seed)
    model.save_pretrained(directory, max_shard_size=shard_size)
    _write_json(directory / "config.json", config)
    _write_json(directory / "preprocessor_config.json", PIXEL_RULES)
    _write_json(
        directory / "generation_config.json",
        {
            "bos_token_id": specials["<|endoftext|>"],
            "pad_token_id": specials["<|endoftext|>"],
            "do_sample": False,
            "eos_token_id": [specials["<|im_end|>"], specials["<|endoftext|>"]],
        },
    )
    return directory


def tiny_config(specials: Mapping[str, int]) -> dict[str, Any]:
    """Return config.json in the flat layout of Qwen2.5-VL-7B-Instruct."""
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "attention_dropout": 0.0,
        "bos_token_id": specials["<|endoftext|>"],
        "eos_token_id": specials["<|im_end|>"],
        "vision_start_token_id": specials["<|vision_start|>"],
        "vision_end_token_id": specials["<|vision_end|>"],
        "vision_token_id": specials["<|vision_pad|>"],
        "image_token_id": specials["<|image_pad|>"],
        "video_token_id": specials["<|video_pad|>"],
        "hidden_act": "silu",
        "hidden_size": 64,
        "initializer_range": 0.02,
        "intermediate_size": 96,
        "max_position_embeddings": 32768,
        "max_window_layers": 2,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "sliding_window": 32768,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": {
            "model_type": "qwen2_5_vl",
            "depth": 4,
            "hidden_act": "silu",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "in_chans": 3,
            "in_channels": 3,
            "out_hidden_size": 64,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [1, 3],
            "tokens_per_second": 2,
        },
        "vocab_size": VOCABULARY,
    }


def tiny_model(
    config: Mapping[str, Any], answers: tuple[list[int], list[int]], *, seed: int
) -> Any:
    """Return the model with weights drawn for answers that differ from clip to clip."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    settings = json.loads(json.dumps(config))  # the class keeps and changes what it is given
    model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**settings)).float().eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
            else:
                deviation = 1.0 if "embed_tokens" in name else 1 / math.sqrt(weight[0].numel())
                weight.copy_(torch.randn(weight.shape, generator=random) * deviation)
        direction = torch.randn(weight.shape[1], generator=random)
        for tokens, sign in zip(answers, (1.0, -1.0), strict=True):
            model.lm_head.weight[tokens] = sign * direction * 0.5
    return model


def _answer_tokens(directory: Path) -> tuple[list[int], list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    sides = []
    for word in ("yes", "no"):
        spellings = [
            space + form for form in (word, word.title(), word.upper()) for space in ("", " ")
        ]
        ids = [tokenizer.encode(each, add_special_tokens=False).ids for each in spellings]
        sides.append([one[0] for one in ids if len(one) == 1])
    return sides[0], sides[1]


def _write_tokenizer(directory: Path, words: tuple[str, ...]) -> dict[str, int]:
    """Write a byte-level BPE tokenizer and return the special tokens' ids."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    vocabulary = {sign: index for index, sign in enumerate(sorted(ByteLevel.alphabet()))}
    merges: list[tuple[str, str]] = []
    for word in (*words, *(f"Ġ{word}" for word in words)):
        left = word[0]
        for sign in word[1:]:
            if left + sign not in vocabulary:
                merges.append((left, sign))
                vocabulary[left + sign] = len(vocabulary)
            left += sign
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = Sequence(
        [
            Split(Regex(PATTERN), behavior="isolated"),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL])
    tokenizer.save(str(directory / "tokenizer.json"))
    _write_json(directory / "vocab.json", vocabulary)
    (directory / "merges.txt").write_text(
        "\n".join(("#version: 0.2", *(" ".join(pair) for pair in merges), "")), "utf-8"
    )
    _write_json(
        directory / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "model_max_length": 32768,
            "chat_template": TEMPLATE,
        },
    )
    return {text: tokenizer.token_to_id(text) for text in SPECIAL}


def _write_json(file: Path, table: Any) -> None:
    file.write_text(json.dumps(table, indent=2) + "\n", "utf-8")
