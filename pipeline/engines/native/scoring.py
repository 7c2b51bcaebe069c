"""Clips to answers: one packed batch, cut smaller where memory does not do.

A batch is launched and collected apart: a GPU computes one while the next is laid out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.answers import AnswerTokens, answer_of, unreadable
from edgewatch.pipeline.engines.device_memory import (
    free_sentence,
    free_unused,
    is_out_of_memory,
)
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.attention import fast_attention
from edgewatch.pipeline.engines.native.network import Network
from edgewatch.pipeline.engines.native.packing import Packed, Passage, pack
from edgewatch.pipeline.engines.native.prefixes import Prefixes
from edgewatch.pipeline.engines.native.seeing import Seer
from edgewatch.pipeline.engines.question import Form, Question, verdict_question
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint
from edgewatch.pipeline.engines.qwen.pixels import grid_of
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.errors import AnswerUnreadable, EngineFailed
from edgewatch.pipeline.types import Answer

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, eq=False)
class Launched:
    """Clips that the device is at work on; `clips` are the places of a call's clips."""

    clips: tuple[int, ...]
    questions: tuple[Question, ...]
    log_probabilities: torch.Tensor
    """float64 on the host, (clips, answer tokens): whole when `done` is."""
    done: torch.cuda.Event | None
    """None: it is done."""


class Scorer:
    """Asks a network about clips. `launch` belongs to the network's thread; `collect` to any."""

    def __init__(
        self,
        network: Network,
        checkpoint: Checkpoint,
        scripts: ScriptReader,
        answers: AnswerTokens,
        form: Form,
        *,
        most_clips: int = 8,
    ) -> None:
        """`most_clips`: the largest batch; becomes smaller when memory turns out to be short."""
        self.most_clips = most_clips
        self.network = network
        self._checkpoint = checkpoint
        self._scripts = scripts
        self._answers = answers
        self._form = form
        self._seer = Seer(network.vision, network.device)
        self._prefixes = Prefixes(network.language)

    def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips, in order. Raises EngineFailed if a single one does not fit into memory."""
        return self.collect(self.launch(clips))

    def launch(self, clips: Sequence[AskedClip]) -> list[Launched]:
        """Set the device to work on clips. Raises EngineFailed if one does not fit into memory."""
        launched: list[Launched] = []
        waiting = list(range(len(clips)))
        while waiting:
            part = waiting[: self.most_clips]
            one = self._within_memory(clips, part)
            if one is not None:
                launched.append(one)
                waiting = waiting[len(part) :]
        return launched

    def collect(self, launched: Sequence[Launched]) -> list[Answer]:
        """Wait for the device and return the answers, in the order of the clips."""
        answers: dict[int, Answer] = {}
        for one in launched:
            if one.done is not None:
                one.done.synchronize()
            for place, question, logs in zip(
                one.clips, one.questions, one.log_probabilities.numpy(), strict=True
            ):
                answers[place] = self._answer(logs, question.hash)
        return [answers[place] for place in range(len(answers))]

    def words(self, clip: AskedClip, give_way: Callable[[], None]) -> str:
        """Describe a clip, or answer its own question, up to the form's budget.

        `give_way` is called before each token and may raise to end it. Raises EngineFailed if the
        clip does not fit into memory.
        """
        raise NotImplementedError(clip, give_way)

    def logits(self, clips: Sequence[AskedClip]) -> torch.Tensor:
        """Return the logits of the next token, (clips, vocabulary), in order: to be compared."""
        import torch

        with torch.inference_mode(), fast_attention(self.network.device):
            packed, states = self._read(clips, [self._question(clip) for clip in clips])
            logits = self.network.language.logits(states)
            ordered = torch.empty_like(logits)
            ordered[list(packed.order)] = logits
            return ordered

    def _within_memory(self, clips: Sequence[AskedClip], part: list[int]) -> Launched | None:
        """Launch some clips; None: they did not fit, and the largest batch was halved."""
        try:
            return self._launch(clips, part)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(part) == 1:
                raise self._too_large(clips[part[0]]) from error
        # Only now, outside the handler, are the failed step's tensors let go of.
        free_unused(self.network.device)
        self.most_clips = (len(part) + 1) // 2
        return None

    def _launch(self, clips: Sequence[AskedClip], part: Sequence[int]) -> Launched:
        import torch

        asked = [clips[place] for place in part]
        questions = [self._question(clip) for clip in asked]
        with torch.inference_mode(), fast_attention(self.network.device):
            packed, states = self._read(asked, questions)
            logits = self.network.language.logits(states).float()
            tokens = torch.tensor(self._answers.all, device=logits.device)
            logs = logits.index_select(1, tokens) - logits.logsumexp(-1, keepdim=True)
            gpu = logs.device.type == "cuda"
            host = torch.empty(logs.shape, dtype=torch.float32, pin_memory=gpu)
            host.copy_(logs, non_blocking=gpu)
            done = torch.cuda.current_stream(logs.device).record_event() if gpu else None
        return Launched(
            clips=tuple(part[index] for index in packed.order),
            questions=tuple(questions[index] for index in packed.order),
            log_probabilities=host,
            done=done,
        )

    def _read(
        self, clips: Sequence[AskedClip], questions: Sequence[Question]
    ) -> tuple[Packed, torch.Tensor]:
        """Return the batch as it was laid out and the state at each clip's end, in that order."""
        rules = self._checkpoint.pixels
        scripts = [self._scripts.script(question) for question in questions]
        packed = pack(
            [
                Passage(
                    script,
                    grid_of(clip.frames.shape, rules),
                    rules.temporal_patch / clip.fps,
                    known=self._prefixes.known_tokens(script),
                )
                for clip, script in zip(clips, scripts, strict=True)
            ],
            tokens_per_second=self._checkpoint.tokens_per_second,
        )
        known = [
            self._prefixes.of(scripts[packed.order[group.first]].before[: group.known])
            for group in packed.groups
        ]
        features = self._seer.features([clips[index] for index in packed.order])
        return packed, self.network.language.read(packed, features, known=known)

    def _question(self, clip: AskedClip) -> Question:
        return verdict_question(clip.prompt, self._form)

    def _answer(self, logs: npt.NDArray[np.float32], prompt_hash: str) -> Answer:
        both = np.exp(logs.astype(np.float64))
        sides = len(self._answers.anomaly)
        try:
            return answer_of(
                float(both[:sides].sum()), float(both[sides:].sum()), self._form, prompt_hash
            )
        except AnswerUnreadable:
            return unreadable(prompt_hash)

    def _too_large(self, clip: AskedClip) -> EngineFailed:
        frames, height, width, _ = clip.frames.shape
        grid = grid_of(clip.frames.shape, self._checkpoint.pixels)
        return EngineFailed(
            f"one clip of {frames} frames of {width}x{height} ({grid.tokens} tokens) does not fit "
            f"into the memory of {free_sentence(self.network.device)}",
            "set fewer [clips] pixels or seconds, end other programs that hold memory, or take a "
            "quantised checkpoint",
        )
