"""Questions in the model's tokens: the text before the video, and the text after it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.question import Question
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_KEPT = 512
"""Scripts kept: two a camera with a prompt of its own."""
_CONTROLS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|video_pad|>")


@dataclass(frozen=True, slots=True)
class Script:
    """Token ids around one video; its own tokens stand between."""

    before: tuple[int, ...]
    after: tuple[int, ...]


class ScriptReader:
    """Turns questions into tokens with a checkpoint's own tokenizer, each once."""

    def __init__(self, directory: Path, video_token: int) -> None:
        """Read tokenizer.json. Raises EngineFailed if it is not of this model."""
        from tokenizers import Tokenizer

        file = directory / "tokenizer.json"
        try:
            self._tokenizer: Tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises nothing narrower
            raise EngineFailed(f"{file} cannot be read ({error})", "download it again") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._controls = {name: self._tokenizer.token_to_id(name) for name in _CONTROLS}
        absent = [name for name, token in self._controls.items() if token is None]
        if absent or self._controls["<|video_pad|>"] != video_token:
            raise EngineFailed(
                f"{file} does not fit config.json: "
                + (f"it lacks {', '.join(absent)}" if absent else "its <|video_pad|> is another"),
                "take both from one checkpoint",
            )
        self._video_token = video_token
        self._scripts: OrderedDict[Question, Script] = OrderedDict()

    def encode(self, text: str) -> list[int]:
        """Return a text's tokens, with none added."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, tokens: list[int]) -> str:
        """Return tokens' text, without those that control the model."""
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text

    def script(self, question: Question) -> Script:
        """Return a question's tokens. Raises EngineFailed if its text holds a control token."""
        script = self._scripts.get(question)
        if script is None:
            script = self._scripts[question] = self._read(question)
            if len(self._scripts) > _KEPT:
                self._scripts.popitem(last=False)
        self._scripts.move_to_end(question)
        return script

    def _read(self, question: Question) -> Script:
        parts = (question.system, question.user, question.answer_prefix)
        if any(control in part for part in parts for control in _CONTROLS):
            raise EngineFailed(
                "a prompt holds a control token of the model", "write it in plain words"
            )
        tokens = self.encode(question.chat())
        place = tokens.index(self._video_token)
        return Script(tuple(tokens[:place]), tuple(tokens[place + 1 :]))
