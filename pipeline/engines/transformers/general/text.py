"""A checkpoint's tokenizer and chat template, whatever its kind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgewatch.pipeline.engines.question import Question
from edgewatch.pipeline.engines.transformers.general.files import broken, calmly
from edgewatch.pipeline.errors import EngineFailed

_TEMPLATES = ("chat_template.jinja", "chat_template.json", "processor_config.json")
"""Where a processor's template stands, newest layout first; the tokenizer's own comes last."""


class Text:
    """Turns text into tokens and back. Belongs to the model's thread."""

    def __init__(
        self, directory: Path, *, tokenizer: Any = None, template: str | None = None
    ) -> None:
        """Read the tokenizer's files. Raises EngineFailed with the cure.

        `tokenizer`: the library's, where it was read already. `template`: a chat template for
        checkpoints that come without any.
        """
        self._directory = directory
        self.tokenizer: Any = tokenizer or _tokenizer_of(directory)
        self._controls = frozenset(
            str(token)
            for token in self.tokenizer.added_tokens_decoder.values()
            if getattr(token, "special", False)
        ) | frozenset(self.tokenizer.all_special_tokens)
        self._template = _template_of(directory) or self.tokenizer.chat_template or template

    def encode(self, text: str) -> list[int]:
        """Return a text's tokens, with none added."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def whole(self, text: str) -> list[int]:
        """Return a whole prompt's tokens, begun as this tokenizer begins every text, and once.

        Source: `ProcessorMixin.apply_chat_template` of transformers.
        """
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=not self.begins(text))
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        """Return tokens' text, without those that control the model."""
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text.strip()

    def token(self, text: str) -> int:
        """Return the id of one token that the model needs. Raises EngineFailed if it lacks it."""
        token = self.tokenizer.get_vocab().get(text)
        if token is None:
            raise broken(self._directory, "tokenizer", f"it lacks {text}")
        return int(token)

    def chat(self, question: Question, media: Sequence[dict[str, Any]]) -> str:
        """Return the text of a conversation by the checkpoint's own template, up to the answer.

        `media`: what the user shows, as the template's parts ({"type": "image"}, or text between).
        Where a template takes no system text (Llama 3.2 with a picture) or leaves it out, it stands
        before the question. Raises EngineFailed if there is no template, or it drops the question.
        """
        self.refuse_controls((question.system, question.user, question.answer_prefix))
        if not self._template:
            raise broken(self._directory, "chat template", "there is none")
        apart = [_turn("system", [_said(question.system)]), _user(media, question.user)]
        text = self._rendered(apart)
        if text is None or not _holds(text, question):
            text = self._rendered([_user(media, f"{question.system}\n\n{question.user}")])
        if text is None or not _holds(text, question):
            raise broken(self._directory, "chat template", "it does not take a picture and a text")
        return text + question.answer_prefix

    def refuse_controls(self, texts: Iterable[str]) -> None:
        """Let texts pass that hold no control token. Raises EngineFailed."""
        if any(control in text for text in texts for control in self._controls):
            raise EngineFailed(
                "a prompt holds a control token of the model", "write it in plain words"
            )

    def begins(self, text: str) -> bool:
        """Whether a text already begins as every text must, so that nothing is put before it."""
        first = self.tokenizer.bos_token
        return bool(first) and text.startswith(first)

    def _rendered(self, messages: list[dict[str, Any]]) -> str | None:
        from jinja2 import TemplateError

        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, chat_template=self._template, add_generation_prompt=True, tokenize=False
            )
        except (TemplateError, TypeError, ValueError):
            return None  # a template refuses what it does not know in its own way
        return text


def _tokenizer_of(directory: Path) -> Any:
    with calmly(directory, "tokenizer"):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(directory, local_files_only=True)


def _holds(text: str, question: Question) -> bool:
    """Whether a template left nothing out; some strip what they are given."""
    return question.system.strip() in text and question.user.strip() in text


def _said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _turn(role: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"role": role, "content": parts}


def _user(media: Sequence[dict[str, Any]], text: str) -> dict[str, Any]:
    return _turn("user", [*media, _said(text)])


def _template_of(directory: Path) -> str | None:
    for name in _TEMPLATES:
        file = directory / name
        if not file.is_file():
            continue
        try:
            text = file.read_text("utf-8")
            found = text if file.suffix == ".jinja" else json.loads(text).get("chat_template")
        except (OSError, ValueError, AttributeError) as error:
            raise EngineFailed(f"{file} cannot be read ({error})", "download it again") from error
        if found:
            return str(found)
    return None
