"""What `bench.engine` measures: a tiny model, a checkpoint, or 7B's real shape at random."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewatch.pipeline.engines.answers import AnswerTokens, answer_tokens
from edgewatch.pipeline.engines.question import Form, Question
from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules, read_checkpoint
from edgewatch.pipeline.engines.qwen.script import Script, ScriptReader
from edgewatch.pipeline.engines.transformers.network import Network, load_network
from edgewatch.pipeline.engines.transformers.scoring import Scorer, Scripts
from tests.fakes.tiny_qwen import PIXEL_RULES, make_tiny_qwen

VIDEO_TOKEN = 151656
TEXT_BEFORE, TEXT_AFTER = 30, 222
"""Tokens around the video: with the 810 of 20 frames of 252 x 252 they make 1,062."""

CONFIG_7B: dict[str, Any] = {
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "vision_start_token_id": 151652,
    "vision_end_token_id": 151653,
    "image_token_id": 151655,
    "video_token_id": VIDEO_TOKEN,
    "hidden_act": "silu",
    "hidden_size": 3584,
    "initializer_range": 0.02,
    "intermediate_size": 18944,
    "max_position_embeddings": 128000,
    "max_window_layers": 28,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "sliding_window": 32768,
    "tie_word_embeddings": False,
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 152064,
    "vision_config": {
        "depth": 32,
        "hidden_act": "silu",
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "in_channels": 3,
        "out_hidden_size": 3584,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
    },
}
"""Source: config.json of Qwen/Qwen2.5-VL-7B-Instruct, which Cosmos-Reason1-7B shares."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A loaded model with all that asks it."""

    name: str
    network: Network
    scorer: Scorer
    scripts: Scripts
    answers: AnswerTokens
    rules: PixelRules
    tokens_per_second: float
    video_token: int


class FixedScripts:
    """Text of the real length without a tokenizer: random tokens, the same for each question."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        text = random.integers(0, 150_000, TEXT_BEFORE + TEXT_AFTER).tolist()
        self._script = Script(tuple(text[:TEXT_BEFORE]), tuple(text[TEXT_BEFORE:]))

    def script(self, question: Question) -> Script:
        """Return the one script."""
        return self._script

    def decode(self, tokens: list[int]) -> str:
        """Return the tokens' numbers."""
        return " ".join(str(token) for token in tokens)


def from_checkpoint(directory: Path, device: Any, most_clips: int) -> Subject:
    """Load a checkpoint as the engine does."""
    checkpoint = read_checkpoint(directory)
    scripts = ScriptReader(directory, checkpoint.video_token)
    return _subject(
        checkpoint.name,
        load_network(checkpoint, device),
        scripts,
        answer_tokens(scripts.encode, Form()),
        rules=checkpoint.pixels,
        tokens_per_second=checkpoint.tokens_per_second,
        video_token=checkpoint.video_token,
        most_clips=most_clips,
    )


def tiny(device: Any, most_clips: int) -> Subject:
    """Make the tiny checkpoint of the tests and load it."""
    with tempfile.TemporaryDirectory() as folder:
        return from_checkpoint(make_tiny_qwen(Path(folder) / "tiny-qwen"), device, most_clips)


def shape_7b(device: Any, most_clips: int) -> Subject:
    """Build Qwen2.5-VL-7B's shape on the device itself, bf16 (float32 on a CPU), random weights."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    config = Qwen2_5_VLConfig(**CONFIG_7B)
    config._attn_implementation = "sdpa"
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if device.type == "cpu" else torch.bfloat16)
    try:
        with torch.device(device):
            model = Qwen2_5_VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(usual)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0.0, 0.02)
            else:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
    rules = PixelRules(
        mean=tuple(PIXEL_RULES["image_mean"]),
        std=tuple(PIXEL_RULES["image_std"]),
        rescale_factor=1 / 255,
    )
    return _subject(
        "Qwen2.5-VL-7B's shape, random weights",
        Network(model, rules),
        FixedScripts(),
        AnswerTokens((9454, 7414, 9693, 9834), (2753, 2308, 902, 5664)),
        rules=rules,
        tokens_per_second=2.0,
        video_token=VIDEO_TOKEN,
        most_clips=most_clips,
    )


def _subject(
    name: str,
    network: Network,
    scripts: Scripts,
    answers: AnswerTokens,
    *,
    rules: PixelRules,
    tokens_per_second: float,
    video_token: int,
    most_clips: int,
) -> Subject:
    scorer = Scorer(
        network,
        scripts,
        answers,
        Form(),
        rules=rules,
        tokens_per_second=tokens_per_second,
        video_token=video_token,
        most_clips=most_clips,
    )
    return Subject(name, network, scorer, scripts, answers, rules, tokens_per_second, video_token)
