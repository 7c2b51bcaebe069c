"""InternVL: a clip as numbered frames, each one tile of the model's own size.

Source: `InternVLProcessor.replace_video_token` and `InternVLVideoProcessor` of transformers: each
frame is resized to the size of a tile and stands in the text as "Frame1: <img>…</img>".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question
from edgewatch.pipeline.engines.transformers.general.files import broken, calmly, read_object
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.transformers.general.stills import (
    load_image_processor,
    pictures,
    shown,
)
from edgewatch.pipeline.engines.transformers.general.text import Text

if TYPE_CHECKING:
    import torch

START, TOKEN, END, VIDEO = "<img>", "<IMG_CONTEXT>", "</img>", "<video>"


class InternVlForm:
    """Asks about a video of numbered frames, or about a picture where the clip is a still."""

    def __init__(self, source: Source) -> None:
        """Raises EngineFailed if the tokenizer or the image processor cannot be read."""
        self._family = source.family
        self._directory = source.directory
        self._text = Text(source.directory)
        for token in (START, TOKEN, END):
            self._text.token(token)
        self._pixels = load_image_processor(source.directory, crop_to_patches=False)
        settings = read_object(source.directory / "processor_config.json")
        tokens = settings.get("image_seq_length", source.config.get("image_seq_length", 256))
        self._a_frame = f"{START}{TOKEN * int(tokens)}{END}"

    def asked(self, question: Question, clip: AskedClip) -> Question:
        """Return the question as it is: the frames are numbered beside it."""
        return question

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        """Return tokens and one tile for each frame shown. Raises EngineFailed."""
        import torch

        indexes = shown(clip, self._family)
        kind, place = ("image", TOKEN) if clip.still else ("video", VIDEO)
        text = self._text.chat(question, [{"type": kind}])
        if text.count(place) != 1:
            raise broken(self._directory, "chat template", f"it has no place {place}")
        numbered = (f"Frame{number}: {self._a_frame}" for number in range(1, len(indexes) + 1))
        text = text.replace(place, self._a_frame if clip.still else "\n".join(numbered))
        with calmly(self._directory, "image processor"):
            tiles = self._pixels(images=pictures(clip, indexes), return_tensors="pt")
        tokens = torch.tensor([self._text.whole(text)])
        return {
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            "pixel_values": tiles["pixel_values"],
        }

    def encode(self, text: str) -> Sequence[int]:
        """Return a text's tokens, with none added."""
        return self._text.encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return tokens' text, without those that control the model."""
        return self._text.decode(tokens)


def make_form(source: Source) -> InternVlForm:
    """Make the form of a checkpoint. Raises EngineFailed."""
    return InternVlForm(source)
