"""A recipe: what makes a tiny checkpoint of a family, and the parts that several share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

VOCABULARY = 384
"""More than any of the tokenizers has."""
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
HALF = [0.5, 0.5, 0.5]

Ids = Mapping[str, int]


@dataclass(frozen=True)
class TinyFamily:
    """What makes a family's tiny checkpoint."""

    model_class: str
    config: Callable[[Ids], dict[str, Any]]
    """config.json, of its special tokens' ids."""
    specials: tuple[str, ...]
    roles: Mapping[str, str]
    """Special tokens by their role: bos_token, eos_token, and those that a processor asks for."""
    preprocessor: Mapping[str, Any]
    processor: Mapping[str, Any]
    template: str
    template_file: str = "chat_template.jinja"
    video: Mapping[str, Any] = field(default_factory=dict)
    """video_preprocessor_config.json, where a family has one."""


def llama(**more: Any) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": False,
        **more,
    }


def qwen2(**more: Any) -> dict[str, Any]:
    return llama(model_type="qwen2", use_sliding_window=False, **more)


def tower(model_type: str, image: int, patch: int) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": image,
        "patch_size": patch,
    }
