"""Kosmos-2: a picture in 64 places of its own, then a question that it goes on with.

Source: transformers, models/kosmos2/processing_kosmos2.py: <s>, <image>, the places (the ids after
<unk>), </image>, text. Without <grounding>, which would make it name places in the picture.
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


class Kosmos2Form(SpeltOut):
    """See `FamilyForm`."""

    def __init__(self, source: Source) -> None:
        """Read the checkpoint's files. Raises EngineFailed."""
        super().__init__(source)
        self._processor = load_image_processor(source.directory)
        self._places = self.number("latent_query_num")
        first = self.text.token("<unk>") + 1
        self._before = [self.text.token("<s>"), self.text.token("<image>")]
        self._picture = [*range(first, first + self._places)]
        self._after = self.text.token("</image>")

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        """Return pixels, tokens, and where among them the picture stands."""
        import torch

        self.plain(question.system, question.user, question.answer_prefix)
        pixels = self._processor(images=self.picture(clip), return_tensors="pt")["pixel_values"]
        asked = self.encode(said(question))
        tokens = row([*self._before, *self._picture, self._after, *asked])
        seen = torch.zeros_like(tokens)
        seen[:, len(self._before) : len(self._before) + self._places] = 1
        return {
            "pixel_values": pixels,
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            "image_embeds_position_mask": seen,
        }


def make_form(source: Source) -> Kosmos2Form:
    """Make the form of a checkpoint. Raises EngineFailed."""
    return Kosmos2Form(source)
