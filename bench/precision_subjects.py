"""Models for `bench.precision`: drawn at random in a real shape, and what asks them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine_subjects import CONFIG_7B, FixedScripts
from edgewatch.pipeline.engines.answers import AnswerTokens, answer_tokens
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.pipeline.engines.transformers.network import Network
from edgewatch.pipeline.engines.transformers.scoring import Scorer, Scripts
from tests.fakes.tiny_qwen import make_tiny_qwen

ANSWERS_7B = AnswerTokens((9454, 7414, 9693, 9834), (2753, 2308, 902, 5664))
DRAWN = "drawn at random"
"""What a checkpoint of a drawn 7B says of itself: its tokenizer is not that of its tokens."""


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """A checkpoint's questions, ready for any network that was loaded of its weights."""

    checkpoint: Checkpoint
    scripts: Scripts
    answers: AnswerTokens

    def scorer(self, network: Network, most_clips: int) -> Scorer:
        """Return what scores clips with a network."""
        return Scorer(
            network,
            self.scripts,
            self.answers,
            Form(),
            rules=self.checkpoint.pixels,
            tokens_per_second=self.checkpoint.tokens_per_second,
            video_token=self.checkpoint.video_token,
            stop_tokens=self.checkpoint.stop_tokens,
            most_clips=most_clips,
        )


def asker_of(checkpoint: Checkpoint) -> Asker:
    """Return a checkpoint's questions; a drawn 7B gets text of the real length instead."""
    config = json.loads((checkpoint.directory / "config.json").read_text("utf-8"))
    if config.get("edgewatch") == DRAWN:
        return Asker(checkpoint, FixedScripts(), ANSWERS_7B)
    scripts = ScriptReader(checkpoint.directory, checkpoint.video_token)
    return Asker(checkpoint, scripts, answer_tokens(scripts.encode, Form()))


def draw(
    shape: str, directory: Path, device: Any, write: Callable[[Any, Path, Path], Path]
) -> Path:
    """Draw a model of a shape and write it as a checkpoint in bfloat16."""
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

    source = make_tiny_qwen(directory.parent / "source")
    if shape == "tiny":
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(source, dtype=torch.bfloat16)
        return write(model, source, directory)
    config = {
        **CONFIG_7B,
        "vision_config": {**CONFIG_7B["vision_config"], "tokens_per_second": 2},
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "edgewatch": DRAWN,
    }
    (source / "config.json").write_text(json.dumps(config), "utf-8")
    return write(_drawn_7b(config, device), source, directory)


def random_clips(count: int, largest: LargestClip, *, seed: int = 0) -> list[AskedClip]:
    """Return clips of random blocks of 28 pixels: each looks another way."""
    side = math.isqrt(largest.pixels) // 28
    clips = []
    for number in range(count):
        random = np.random.default_rng(seed + number)
        blocks = random.integers(0, 256, (largest.frames, side, side, 3), np.uint8)
        frames = blocks.repeat(28, axis=1).repeat(28, axis=2)
        clips.append(AskedClip(frames, largest.fps, "Report anything."))
    return clips


def _drawn_7b(config: dict[str, Any], device: Any) -> Any:
    """Draw weights that keep their inputs' size, and a head that tells clips apart.

    As those of the tests' tiny model: the rows of "Yes" and "No" are opposed.
    """
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    settings = json.loads(json.dumps(config))  # the class keeps and changes what it is given
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**settings)).eval()
    finally:
        torch.set_default_dtype(usual)
    random = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
            else:
                deviation = 1.0 if "embed_tokens" in name else 1 / math.sqrt(weight[0].numel())
                weight.normal_(0.0, deviation, generator=random)
        head = model.lm_head.weight
        direction = torch.empty_like(head[0]).normal_(0.0, 1.0, generator=random)
        direction /= math.sqrt(len(direction))
        for tokens, sign in ((ANSWERS_7B.anomaly, 2.0), (ANSWERS_7B.normal, -2.0)):
            head[list(tokens)] = sign * direction
    return model
