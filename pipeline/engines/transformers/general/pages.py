"""Families that read a picture as a page: Pix2Struct (DePlot) and Nougat. They answer nothing.

Sources: transformers, models/pix2struct/processing_pix2struct.py and the model card of
google/deplot; models/nougat/processing_nougat.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question
from edgewatch.pipeline.engines.transformers.general.files import broken
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.transformers.general.page_header import under_header
from edgewatch.pipeline.engines.transformers.general.picture_rules import picture_rules
from edgewatch.pipeline.engines.transformers.general.spelt_out import SpeltOut, row
from edgewatch.pipeline.engines.transformers.general.stills import load_image_processor

if TYPE_CHECKING:
    import torch

DEPLOT_ASKS = "Generate underlying data table of the figure below:"
"""The one question that DePlot learnt."""


class Pix2StructForm(SpeltOut):
    """Reads what is asked in the picture's header, where the checkpoint learnt that."""

    def __init__(self, source: Source) -> None:
        """Read the checkpoint's files. Raises EngineFailed."""
        super().__init__(source)
        self._processor = load_image_processor(source.directory)
        self._reads_header = bool(picture_rules(source.directory).get("is_vqa"))
        # The library would fetch a font for the header; ours is drawn before.
        self._processor.is_vqa = False

    def asked(self, question: Question, clip: AskedClip) -> Question:
        """Return a clip's own question, or DePlot's; what an anomaly is means nothing here."""
        return replace(question, system="", user=clip.question or DEPLOT_ASKS)

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        """Return patches and where writing begins."""
        picture = self.picture(clip)
        if self._reads_header:
            picture = under_header(picture, question.user, self.source.directory)
        found = self._processor(images=picture, return_tensors="pt")
        return {
            "flattened_patches": found["flattened_patches"],
            "attention_mask": found["attention_mask"],
            "decoder_input_ids": row([self.start_token()]),
        }

    def decode(self, tokens: Sequence[int]) -> str:
        """Return tokens' text; its vocabulary writes a line break as a byte."""
        return super().decode(tokens).replace("<0x0A>", "\n")


class NougatForm(SpeltOut):
    """Reads a page; it is asked nothing."""

    def __init__(self, source: Source) -> None:
        """Read the checkpoint's files. Raises EngineFailed if it is another encoder-decoder."""
        super().__init__(source)
        kind = str(picture_rules(source.directory)["image_processor_type"])
        if not kind.startswith("Nougat"):
            raise broken(
                source.directory,
                "image processor",
                f"it is {kind}: of encoder-decoders for pages only Nougat is known",
            )
        self._processor = load_image_processor(source.directory)

    def asked(self, question: Question, clip: AskedClip) -> Question:
        """Return an empty question: the model takes none."""
        return Question("", "", "")

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        """Return pixels and where writing begins."""
        found = self._processor(images=self.picture(clip), return_tensors="pt")
        return {
            "pixel_values": found["pixel_values"],
            "decoder_input_ids": row([self.start_token()]),
        }


def make_form(source: Source) -> Pix2StructForm | NougatForm:
    """Make the form of a checkpoint. Raises EngineFailed."""
    if source.config.get("model_type") == "pix2struct":
        return Pix2StructForm(source)
    return NougatForm(source)
