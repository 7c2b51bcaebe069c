"""What the forms share that put a prompt together token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.families.pictures import about_pictures, seconds_apart
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question
from edgewatch.pipeline.engines.transformers.general.files import broken, read_object
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.transformers.general.stills import shown
from edgewatch.pipeline.engines.transformers.general.text import Text
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

_MARKS = frozenset("<|")


class SpeltOut:
    """A form whose family has no chat: it reads tokens, sees one picture, and goes on."""

    def __init__(self, source: Source) -> None:
        """Read the tokenizer. Raises EngineFailed."""
        self.source = source
        self.text = Text(source.directory)
        # These families' controls are not all marked as special: Kosmos-2's <image> is not.
        added = self.text.tokenizer.added_tokens_decoder.items()
        found = {number: str(name) for number, name in added if _MARKS & set(str(name))}
        self._control_tokens, self._controls = frozenset(found), tuple(found.values())

    def asked(self, question: Question, clip: AskedClip) -> Question:
        """Return the question with what is said about the pictures; a still needs no words."""
        if clip.still:
            return question
        indexes = shown(clip, self.source.family)
        return about_pictures(question, len(indexes), seconds_apart(indexes, clip.fps))

    def picture(self, clip: AskedClip) -> npt.NDArray[np.uint8]:
        """Return the one frame that stands for a clip, RGB of shape (height, width, 3)."""
        chosen: npt.NDArray[np.uint8] = clip.frames[shown(clip, self.source.family)[0]]
        return chosen

    def encode(self, text: str) -> Sequence[int]:
        """Return a text's tokens, with none added."""
        return self.text.encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return tokens' text, without those that control the model."""
        return self.text.decode([token for token in tokens if token not in self._control_tokens])

    def plain(self, *texts: str) -> None:
        """Let texts pass that hold no control token. Raises EngineFailed."""
        self.text.refuse_controls(texts)
        if any(control in text for text in texts for control in self._controls):
            raise EngineFailed(
                "a prompt holds a control token of the model", "write it in plain words"
            )

    def number(self, *path: str) -> int:
        """Return a token's number that config.json must hold. Raises EngineFailed."""
        value: Any = self.source.config
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise broken(self.source.directory, "config.json", f"it lacks {'.'.join(path)}")
        return value

    def start_token(self) -> int:
        """Return the token with which an encoder-decoder begins to write. Raises EngineFailed.

        Looked for where published checkpoints keep it: at the top, with the decoder, or in
        generation_config.json.
        """
        config = self.source.config
        tables = (
            config,
            config.get("text_config"),
            config.get("decoder"),
            read_object(self.source.directory / "generation_config.json"),
        )
        for key in ("decoder_start_token_id", "bos_token_id", "pad_token_id"):
            for table in tables:
                if isinstance(table, dict) and isinstance(table.get(key), int):
                    return int(table[key])
        raise broken(self.source.directory, "config.json", "it lacks decoder_start_token_id")


def said(question: Question) -> str:
    """Return a question as families are asked it that know no roles: "Question: … Answer:"."""
    asked = " ".join(part for part in (question.system, question.user) if part)
    return f"Question: {asked} Answer:" + (f" {question.answer_prefix}".rstrip() or "")


def row(tokens: Sequence[int]) -> torch.Tensor:
    """Return tokens as the one row of a batch, int64 of shape (1, tokens)."""
    import torch

    return torch.tensor([list(tokens)], dtype=torch.long)
