"""BLIP-2: a picture in a few query tokens, then a question; OPT goes on with it, T5 answers it.

Source: transformers, models/blip_2/processing_blip_2.py: the picture's tokens stand before the
token that begins a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.transformers.general.spelt_out import SpeltOut, row, said
from edgewatch.pipeline.engines.transformers.general.stills import load_image_processor

if TYPE_CHECKING:
    import torch


class Blip2Form(SpeltOut):
    """See `FamilyForm`."""

    def __init__(self, source: Source) -> None:
        """Read the checkpoint's files. Raises EngineFailed."""
        super().__init__(source)
        self._processor = load_image_processor(source.directory)
        self._picture = [self.number("image_token_index")] * self.number("num_query_tokens")
        text = source.config.get("text_config")
        self._answers_apart = isinstance(text, dict) and text.get("model_type") == "t5"

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        """Return pixels and tokens; T5 reads the question and begins its answer apart."""
        import torch

        self.plain(question.system, question.user, question.answer_prefix)
        pixels = self._processor(images=self.picture(clip), return_tensors="pt")["pixel_values"]
        if self._answers_apart:
            bare = Question(question.system, question.user, "")
            ids = [*self._picture, *self.encode(said(bare)), self._end()]
            begun = [self.start_token(), *self.encode(question.answer_prefix)]
            apart = {"decoder_input_ids": row(begun)}
        else:
            ids = [*self._picture, self._begin(), *self.encode(said(question))]
            apart = {}
        tokens = row(ids)
        return {
            "pixel_values": pixels,
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            **apart,
        }

    def _begin(self) -> int:
        return int(self.text.tokenizer.bos_token_id)

    def _end(self) -> int:
        return int(self.text.tokenizer.eos_token_id)


def make_form(source: Source) -> Blip2Form:
    """Make the form of a checkpoint. Raises EngineFailed."""
    return Blip2Form(source)
