"""What `bench.native` holds the engine against: transformers' own forward with the same weights."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bench.native_subjects import RULES, RandomWeights, Shape
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.weights.assembly import expected_shapes
from edgewatch.pipeline.engines.native.weights.stored import canonical
from edgewatch.pipeline.engines.question import Form, Question, verdict_question
from edgewatch.pipeline.engines.qwen.pixels import Patcher, grid_of, upload
from edgewatch.pipeline.engines.qwen.script import Script
from edgewatch.pipeline.engines.transformers.rows import Row, lay_out

if TYPE_CHECKING:
    import torch


class Scripts(Protocol):
    """Gives a question's tokens."""

    def script(self, question: Question) -> Script:
        """Return a question's tokens around the video."""


class Library:
    """transformers' Qwen2.5-VL, attention by torch, asked for the last position alone.

    Pixels become patches by our own code on the device and places are handed over, both of which
    only saves it time.
    """

    def __init__(self, model: Any, shape: Shape, scripts: Scripts) -> None:
        self._model = model.eval()
        self._shape = shape
        self._scripts = scripts
        weight = model.lm_head.weight
        self.device: torch.device = weight.device
        self._patcher = Patcher(RULES, weight.device, weight.dtype)
        self._typed = "mm_token_type_ids" in inspect.signature(model.forward).parameters

    def logits(self, clips: Sequence[AskedClip]) -> torch.Tensor:
        """Return the logits of the next token, (clips, vocabulary); clips of one shape."""
        import torch

        with torch.inference_mode():
            inputs = self._inputs(clips)
            out = self._model(**inputs, use_cache=False, logits_to_keep=1)
            logits: torch.Tensor = out.logits[:, -1]
            return logits

    def scores(self, clips: Sequence[AskedClip]) -> list[float]:
        """Return P(anomaly) of clips, on the host."""
        return anomaly_of(self.logits(clips), self._shape)

    def _inputs(self, clips: Sequence[AskedClip]) -> dict[str, Any]:
        import torch

        shape, form = self._shape, Form()
        grid = grid_of(clips[0].frames.shape, RULES)
        scripts = [self._scripts.script(verdict_question(clip.prompt, form)) for clip in clips]
        rows = lay_out(
            [Row(script, clip.fps) for script, clip in zip(scripts, clips, strict=True)],
            grid,
            video_token=shape.video_token,
            temporal_patch=RULES.temporal_patch,
            tokens_per_second=float(shape.config["vision_config"]["tokens_per_second"]),
        )
        ids = torch.from_numpy(rows.tokens).to(self.device)
        grids = [[grid.pairs, grid.rows * RULES.merge, grid.columns * RULES.merge]] * len(clips)
        pixels = upload([np.require(clip.frames, requirements="W") for clip in clips], self.device)
        inputs = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "position_ids": torch.from_numpy(rows.places).to(self.device),
            "pixel_values_videos": self._patcher.patches(pixels),
            "video_grid_thw": torch.tensor(grids, device=self.device),
        }
        if self._typed:
            inputs["mm_token_type_ids"] = (ids == shape.video_token).int() * 2
        return inputs


def library_of(shape: Shape, device: torch.device, dtype: torch.dtype, scripts: Scripts) -> Library:
    """Build transformers' model on the device, with the weights that `random_source` draws."""
    import json

    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    config = Qwen2_5_VLConfig(**json.loads(json.dumps(dict(shape.config))))
    config._attn_implementation = "sdpa"
    weights = RandomWeights(expected_shapes(shape.sizes), device)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = Qwen2_5_VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(usual)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Not model.to(dtype): that would round the tables of places too.
            weight.data = weights.read(canonical(name)).to(dtype)
    return Library(model, shape, scripts)


def anomaly_of(logits: torch.Tensor, shape: Shape) -> list[float]:
    """Return P(anomaly) of logits (clips, vocabulary), on the host."""
    answers = shape.answers
    odds = logits[:, list(answers.all)].double().softmax(-1)
    found: list[float] = odds[:, : len(answers.anomaly)].sum(-1).tolist()
    return found
