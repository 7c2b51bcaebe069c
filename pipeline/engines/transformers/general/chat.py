"""Families that are shown pictures in a chat, through the library's own processor.

Gemma 3 and 3n, LLaVA 1.5 and NeXT, Llama 3.2 Vision. The processor puts as many tokens into the
text as each picture takes, and makes what else its model reads: sizes, tiles, masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.families.pictures import about_pictures, seconds_apart
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question
from edgewatch.pipeline.engines.transformers.general.files import calmly
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.transformers.general.stills import (
    load_processor,
    pictures,
    shown,
)
from edgewatch.pipeline.engines.transformers.general.text import Text

if TYPE_CHECKING:
    import torch

_TEMPLATES = {
    "llava": (
        "{% for message in messages %}{% if message['role'] == 'system' %}"
        "{{ message['content'][0]['text'] + ' ' }}{% else %}{{ message['role'].upper() + ': ' }}"
        "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\n' }}"
        "{% endfor %}{% for part in message['content'] if part['type'] == 'text' %}"
        "{{ part['text'] + ' ' }}{% endfor %}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
    ),
}
"""For checkpoints that come without a template. Source: model card of llava-hf/llava-1.5-7b-hf."""


class ChatForm:
    """Asks by the checkpoint's template; its pictures stand before the question."""

    def __init__(self, source: Source) -> None:
        """Raises EngineFailed if the tokenizer or the processor cannot be read."""
        self._family = source.family
        self._directory = source.directory
        self._processor = load_processor(source.directory)
        template = _TEMPLATES.get(str(source.config.get("model_type")))
        self._text = Text(source.directory, tokenizer=self._processor.tokenizer, template=template)

    def asked(self, question: Question, clip: AskedClip) -> Question:
        """Return the question with what is said about the pictures; a still needs no words."""
        if clip.still:
            return question
        indexes = shown(clip, self._family)
        return about_pictures(question, len(indexes), seconds_apart(indexes, clip.fps))

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        """Return what the processor makes of the pictures and the text. Raises EngineFailed."""
        images = pictures(clip, shown(clip, self._family))
        text = self._text.chat(question, [{"type": "image"}] * len(images))
        with calmly(self._directory, "processor"):
            made = self._processor(
                text=[text],
                images=[images],
                add_special_tokens=not self._text.begins(text),
                return_tensors="pt",
            )
        return dict(made)

    def encode(self, text: str) -> Sequence[int]:
        """Return a text's tokens, with none added."""
        return self._text.encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return tokens' text, without those that control the model."""
        return self._text.decode(tokens)


def make_form(source: Source) -> ChatForm:
    """Make the form of a checkpoint. Raises EngineFailed."""
    return ChatForm(source)
