"""Fuyu: a picture's patches in lines, then a question, then the token that begins an answer.

Source: transformers, models/fuyu/processing_fuyu.py: |SPEAKER| for each patch, |NEWLINE| after each
line, <s>, text, <0x04>.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question
from edgewatch.pipeline.engines.transformers.general.files import calmly
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.transformers.general.fuyu_pixels import FuyuPixels
from edgewatch.pipeline.engines.transformers.general.picture_rules import picture_rules
from edgewatch.pipeline.engines.transformers.general.spelt_out import SpeltOut, row
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

ANSWER_BEGINS = "<0x04>"


class FuyuForm(SpeltOut):
    """See `FamilyForm`."""

    def __init__(self, source: Source) -> None:
        """Read the checkpoint's files. Raises EngineFailed."""
        super().__init__(source)
        _refuse_older_library()
        with calmly(source.directory, "image processor"):
            self._pixels = FuyuPixels.of(picture_rules(source.directory))
        self._patch, self._line_end, self._begin, self._answer = map(
            self.text.token, ("|SPEAKER|", "|NEWLINE|", "<s>", ANSWER_BEGINS)
        )

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        """Return patches and tokens."""
        import torch

        self.plain(question.system, question.user, question.answer_prefix)
        patches, lines, columns = self._pixels.patches(self.picture(clip))
        picture = [*[self._patch] * columns, self._line_end] * lines
        asked = self.encode(f"{question.system}\n{question.user}\n".lstrip())
        prefix = self.encode(question.answer_prefix) if question.answer_prefix else []
        tokens = row([*picture, self._begin, *asked, self._answer, *prefix])
        return {
            "pixel_values": patches[None],
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
        }


def make_form(source: Source) -> FuyuForm:
    """Make the form of a checkpoint. Raises EngineFailed."""
    return FuyuForm(source)


def _refuse_older_library() -> None:
    """Before transformers 5 the model takes its patches in another way."""
    import inspect

    from transformers import FuyuForCausalLM, __version__

    if "pixel_values" not in inspect.signature(FuyuForCausalLM.forward).parameters:
        raise EngineFailed(
            f"Fuyu does not run with transformers {__version__}",
            "pip install 'transformers>=5.23,<6'",
        )
