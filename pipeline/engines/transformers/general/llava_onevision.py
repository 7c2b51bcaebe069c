"""LLaVA-OneVision: a clip as one video, each frame pooled to a quarter of a picture's tokens.

Source: `LlavaOnevisionProcessor.replace_video_token` and `LlavaOnevisionVideoProcessor` of
transformers: frames are resized to the tower's square, and their tokens, pooled 2 x 2, stand in
one row with one token for a line break at its end. A still is shown as a video of one frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question
from edgewatch.pipeline.engines.transformers.general.files import broken, calmly, read_object
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.transformers.general.stills import pictures, shown
from edgewatch.pipeline.engines.transformers.general.text import Text
from edgewatch.pipeline.engines.transformers.general.video_rules import video_settings

if TYPE_CHECKING:
    import torch

VIDEO = "<video>"
_KEPT = (
    *("do_resize", "size", "resample", "do_rescale", "rescale_factor"),
    *("do_normalize", "image_mean", "image_std", "do_convert_rgb"),
)
"""Settings of the video processor that one for pictures knows as well."""


class LlavaOnevisionForm:
    """Asks about a video."""

    def __init__(self, source: Source) -> None:
        """Raises EngineFailed if the tokenizer or the pixels' rules cannot be read."""
        self._family = source.family
        self._directory = source.directory
        self._text = Text(source.directory)
        self._text.token(VIDEO)
        self._pixels = self._pixels_of(source)
        self._a_frame = pooled_tokens(self._whole_tokens(source))

    def asked(self, question: Question, clip: AskedClip) -> Question:
        """Return the question as it is: this model knows videos."""
        return question

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        """Return tokens and the frames' pixels. Raises EngineFailed."""
        import torch

        indexes = shown(clip, self._family)
        text = self._text.chat(question, [{"type": "video"}])
        if text.count(VIDEO) != 1:
            raise broken(self._directory, "chat template", f"it has no place {VIDEO}")
        text = text.replace(VIDEO, VIDEO * (len(indexes) * self._a_frame + 1))
        tokens = torch.tensor([self._text.whole(text)])
        with calmly(self._directory, "video_preprocessor_config.json"):
            made = self._pixels(images=pictures(clip, indexes), return_tensors="pt")
        return {
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            "pixel_values_videos": made["pixel_values"][None],
        }

    def encode(self, text: str) -> Sequence[int]:
        """Return a text's tokens, with none added."""
        return self._text.encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return tokens' text, without those that control the model."""
        return self._text.decode(tokens)

    def _pixels_of(self, source: Source) -> Any:
        """Make the plain resizing and normalising of the video processor, picture by picture."""
        settings = video_settings(source.directory)
        with calmly(source.directory, "video_preprocessor_config.json"):
            import transformers

            # From 5.0 on the plain name is the one that needs torchvision.
            on_pil = getattr(transformers, "SiglipImageProcessorPil", None)
            kind = on_pil or transformers.SiglipImageProcessor
            return kind(**{key: settings[key] for key in _KEPT if settings.get(key) is not None})

    def _whole_tokens(self, source: Source) -> int:
        """Return the tokens of a whole picture: 27 x 27 for the published models."""
        settings = read_object(source.directory / "processor_config.json")
        vision = source.config.get("vision_config") or {}
        try:
            side = int(vision["image_size"]) // int(vision["patch_size"])
            return int(settings.get("num_image_tokens") or side**2)
        except (KeyError, TypeError, ValueError) as error:
            raise broken(source.directory, "config.json", repr(error)) from error


def pooled_tokens(whole: int) -> int:
    """Return a frame's tokens where a picture of the tower takes `whole`: 196 for 729."""
    return math.ceil(math.isqrt(whole) / 2) ** 2


def make_form(source: Source) -> LlavaOnevisionForm:
    """Make the form of a checkpoint. Raises EngineFailed."""
    return LlavaOnevisionForm(source)
