"""Clips to answers and to words: batches of equal shape, cut smaller where memory does not do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.answers import AnswerTokens, answer_of_logs
from edgewatch.pipeline.engines.device_memory import (
    clip_too_large,
    free_unused,
    is_out_of_memory,
)
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import (
    Form,
    Question,
    free_question,
    verdict_question,
    words_question,
)
from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules
from edgewatch.pipeline.engines.qwen.pixels import Patcher, grid_of, upload
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.engines.qwen.script import Script
from edgewatch.pipeline.engines.transformers.network import Reading
from edgewatch.pipeline.engines.transformers.rows import Row, Rows, lay_out
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Answer

if TYPE_CHECKING:
    import torch


class Forward(Protocol):
    """The steps of a network's forward; see `network.Network`."""

    patcher: Patcher
    device: torch.device

    def see(self, patches: torch.Tensor, grid: Grid, clips: int) -> torch.Tensor:
        """Return the videos' features."""

    def read(self, rows: Rows, features: torch.Tensor) -> torch.Tensor:
        """Return each row's state at its end."""

    def log_probabilities(
        self, states: torch.Tensor, tokens: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Return tokens' log-probabilities to come next."""

    def begin(self, rows: Rows, features: torch.Tensor) -> Reading:
        """Read one prompt, to write after it."""

    def write(self, reading: Reading) -> int:
        """Take, read and return the most probable next token."""


class Scripts(Protocol):
    """Questions to tokens, and tokens to text; see `script.ScriptReader`."""

    def script(self, question: Question) -> Script:
        """Return a question's tokens."""

    def decode(self, tokens: list[int]) -> str:
        """Return tokens' text."""


class Scorer:
    """Asks a network about clips. Belongs to the network's thread."""

    def __init__(
        self,
        network: Forward,
        scripts: Scripts,
        answers: AnswerTokens,
        form: Form,
        *,
        rules: PixelRules,
        tokens_per_second: float,
        video_token: int,
        stop_tokens: tuple[int, ...] = (),
        most_clips: int = 8,
    ) -> None:
        """`most_clips`: the largest batch; becomes smaller when memory turns out to be short."""
        self.most_clips = most_clips
        self._network = network
        self._scripts = scripts
        self._answers = answers
        self._form = form
        self._rules = rules
        self._tokens_per_second = tokens_per_second
        self._video_token = video_token
        self._stop_tokens = stop_tokens

    def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips, in order. Raises EngineFailed if a single one does not fit into memory."""
        answers: dict[int, Answer] = {}
        for group in _of_one_shape(clips):
            waiting = list(group)
            while waiting:
                part = waiting[: self.most_clips]
                found = self._within_memory([clips[index] for index in part])
                if found is not None:
                    answers.update(zip(part, found, strict=True))
                    waiting = waiting[len(part) :]
        return [answers[index] for index in range(len(clips))]

    def words(self, clip: AskedClip, give_way: Callable[[], None]) -> str:
        """Describe a clip, or answer its own question, greedily, up to the form's budget.

        A still, which is its picture twice, is read just as an image is: the official image
        processor repeats a picture as well, and a single pair of frames has no time.
        `give_way` is called before each token and may raise to end it. Raises EngineFailed if the
        clip does not fit into memory.
        """
        question = (
            free_question(clip.question)
            if clip.question
            else words_question(clip.prompt, self._form)
        )
        tokens: list[int] = []
        try:
            give_way()
            grid, features = self._see([clip])
            rows = self._rows([Row(self._scripts.script(question), clip.fps)], grid)
            reading = self._network.begin(rows, features)
            while len(tokens) < self._form.words_tokens:
                give_way()
                token = self._network.write(reading)
                if token in self._stop_tokens:
                    break
                tokens.append(token)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise self._too_large(clip) from error
        return self._scripts.decode(tokens)

    def _within_memory(self, clips: list[AskedClip]) -> list[Answer] | None:
        """Score clips of one shape; None: they did not fit, and the largest batch was halved."""
        try:
            return self._score(clips)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(clips) == 1:
                raise self._too_large(clips[0]) from error
        # Only now, outside the handler, are the failed step's tensors let go of.
        free_unused(self._network.device)
        self.most_clips = (len(clips) + 1) // 2
        return None

    def _score(self, clips: list[AskedClip]) -> list[Answer]:
        questions = [verdict_question(clip.prompt, self._form) for clip in clips]
        scripts = [self._scripts.script(question) for question in questions]
        grid, features = self._see(clips)
        pairs = zip(scripts, clips, strict=True)
        rows = self._rows([Row(script, clip.fps) for script, clip in pairs], grid)
        states = self._network.read(rows, features)
        logs = self._network.log_probabilities(states, self._answers.all)
        return [
            answer_of_logs(each, self._answers, self._form, question.hash)
            for each, question in zip(logs, questions, strict=True)
        ]

    def _see(self, clips: Sequence[AskedClip]) -> tuple[Grid, torch.Tensor]:
        grid = grid_of(clips[0].frames.shape, self._rules)
        pixels = upload([clip.frames for clip in clips], self._network.device)
        patches = self._network.patcher.patches(pixels)
        return grid, self._network.see(patches, grid, len(clips))

    def _rows(self, rows: Sequence[Row], grid: Grid) -> Rows:
        return lay_out(
            rows,
            grid,
            video_token=self._video_token,
            temporal_patch=self._rules.temporal_patch,
            tokens_per_second=self._tokens_per_second,
        )

    def _too_large(self, clip: AskedClip) -> EngineFailed:
        grid = grid_of(clip.frames.shape, self._rules)
        return clip_too_large(clip.frames.shape, grid.tokens, self._network.device)


def _of_one_shape(clips: Sequence[AskedClip]) -> Iterator[list[int]]:
    """Yield the places of clips that can share a batch."""
    shapes: dict[tuple[int, ...], list[int]] = {}
    for index, clip in enumerate(clips):
        shapes.setdefault(clip.frames.shape, []).append(index)
    yield from shapes.values()
