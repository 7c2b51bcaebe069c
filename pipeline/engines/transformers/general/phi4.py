"""Phi-4-multimodal: a chat of its own tokens, with several pictures.

Source: the checkpoint's chat format, <|system|>…<|end|><|user|>…<|end|><|assistant|>, and
transformers, models/phi4_multimodal/processing_phi4_multimodal.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question
from edgewatch.pipeline.engines.transformers.general.files import calmly
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.transformers.general.phi4_pixels import Phi4Pixels, stacked
from edgewatch.pipeline.engines.transformers.general.picture_rules import picture_rules
from edgewatch.pipeline.engines.transformers.general.spelt_out import SpeltOut, row
from edgewatch.pipeline.engines.transformers.general.stills import shown

if TYPE_CHECKING:
    import torch


class Phi4Form(SpeltOut):
    """See `FamilyForm`."""

    def __init__(self, source: Source) -> None:
        """Read the checkpoint's files. Raises EngineFailed."""
        super().__init__(source)
        with calmly(source.directory, "image processor"):
            self._pixels = Phi4Pixels.of(picture_rules(source.directory))
        self._picture = self.number("vision_config", "image_token_id")
        for name in ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"):
            self.text.token(name)

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        """Return crops and tokens."""
        import torch

        self.plain(question.system, question.user, question.answer_prefix)
        pictures = [self._pixels.cropped(clip.frames[at]) for at in shown(clip, self.source.family)]
        before = f"<|system|>{question.system}<|end|><|user|>" if question.system else "<|user|>"
        after = f"{question.user}<|end|><|assistant|>{question.answer_prefix}"
        tokens = row(
            [
                *self.encode(before),
                *(self._picture for one in pictures for _ in range(one.tokens)),
                *self.encode(after),
            ]
        )
        return {
            **stacked(pictures),
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
        }


def make_form(source: Source) -> Phi4Form:
    """Make the form of a checkpoint. Raises EngineFailed."""
    return Phi4Form(source)
