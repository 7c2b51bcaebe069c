"""A family's form: how a clip and a question become what the family's own model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edgewatch.pipeline.engines.families.family import Family
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Source:
    """What a form is made of: a checkpoint's directory, which is all that it may read."""

    family: Family
    directory: Path
    config: Mapping[str, Any]
    """config.json."""


class FamilyForm(Protocol):
    """Makes model inputs of clips. Belongs to the model's thread; nothing is fetched.

    A family's module offers `make_form(source: Source) -> FamilyForm`, which raises EngineFailed
    with a cure if the processor's files are missing or cannot be read; `forms.MAKERS` names the
    modules. torch and transformers are imported within functions.
    """

    def asked(self, question: Question, clip: AskedClip) -> Question:
        """Return the question as this family is asked it: how many pictures it sees, and so on.

        Pure and cheap; its hash is the answer's `prompt_hash`.
        """

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        """Return the keyword arguments of the model's `forward` for one clip, on the CPU.

        `question`: as `asked` returned it. The model reads all of it in one forward, and the
        probabilities of the next token are those of its last position. An encoder-decoder's
        inputs hold `decoder_input_ids`, the start token and what is put before the answer.
        Floating-point tensors are given the model's type when they are moved to its device.
        Raises EngineFailed if the question's text holds a control token of the model.
        """

    def encode(self, text: str) -> Sequence[int]:
        """Return a text's tokens, with none added: what `answers.answer_tokens` counts with."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Return tokens' text, without those that control the model."""
