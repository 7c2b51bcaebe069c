"""Clips to answers and to words, through a family's form: one clip, one forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.answers import AnswerTokens, answer_of, unreadable
from edgewatch.pipeline.engines.device_memory import is_out_of_memory
from edgewatch.pipeline.engines.families.family import Family
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import (
    Form,
    Question,
    free_question,
    verdict_question,
    words_question,
)
from edgewatch.pipeline.engines.transformers.general.form import FamilyForm
from edgewatch.pipeline.errors import AnswerUnreadable, EngineFailed
from edgewatch.pipeline.types import Answer

if TYPE_CHECKING:
    import torch


class Asked(Protocol):
    """What a network does; see `network.GeneralNetwork`."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    def log_probabilities(
        self, inputs: Mapping[str, torch.Tensor], tokens: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Return tokens' log-probabilities to come next."""

    def write(
        self, inputs: Mapping[str, torch.Tensor], most_tokens: int, give_way: Callable[[], None]
    ) -> list[int]:
        """Return the most probable tokens that follow."""


class GeneralScorer:
    """Asks a model of any family about clips. Belongs to the network's thread."""

    most_clips = 1
    """Clips are read one by one: their texts and pictures differ in length."""

    def __init__(
        self,
        network: Asked,
        family: Family,
        family_form: FamilyForm,
        answers: AnswerTokens | None,
        form: Form,
    ) -> None:
        """`answers`: None for a family that answers no question with a word."""
        self._network = network
        self._family = family
        self._family_form = family_form
        self._answers = answers
        self._form = form

    def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips, in order. Raises EngineFailed if a single one does not fit into memory.

        A family that only describes gives no score: its clips count as not judged.
        """
        return [self._score(clip) for clip in clips]

    def words(self, clip: AskedClip, give_way: Callable[[], None]) -> str:
        """Describe a clip, or answer its own question, greedily, up to the form's budget.

        `give_way` is called before each token and may raise to end it. Raises EngineFailed if the
        clip does not fit into memory.
        """
        give_way()
        question = self._family_form.asked(_free_question(clip, self._form), clip)
        inputs = self._family_form.inputs(clip, question)
        try:
            tokens = self._network.write(inputs, self._form.words_tokens, give_way)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise self._too_large(clip) from error
        return self._family_form.decode(tokens)

    def _score(self, clip: AskedClip) -> Answer:
        question = self._family_form.asked(verdict_question(clip.prompt, self._form), clip)
        if self._answers is None:
            return unreadable(question.hash)
        inputs = self._family_form.inputs(clip, question)
        try:
            logs = self._network.log_probabilities(inputs, self._answers.all)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise self._too_large(clip) from error
        sides, both = len(self._answers.anomaly), np.exp(logs)
        anomaly, normal = float(both[:sides].sum()), float(both[sides:].sum())
        try:
            return answer_of(anomaly, normal, self._form, question.hash)
        except AnswerUnreadable:
            return unreadable(question.hash)

    def _too_large(self, clip: AskedClip) -> EngineFailed:
        frames, height, width, _ = clip.frames.shape
        return EngineFailed(
            f"one clip of {frames} frames of {width}x{height} does not fit into the memory of "
            f"{self._network.device} with this {self._family.name}",
            "set fewer [clips] pixels or seconds, end other programs that hold memory, or take a "
            "smaller or quantised checkpoint",
        )


def _free_question(clip: AskedClip, form: Form) -> Question:
    """Return what asks for words: the clip's own question, else what is wrong in it."""
    if clip.question:
        return free_question(clip.question)
    return words_question(clip.prompt, form)
