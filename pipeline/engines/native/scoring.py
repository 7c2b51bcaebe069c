"""Clips to answers: one packed batch, cut smaller where memory does not do.

A batch is launched and collected apart: a GPU computes one while the next is laid out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.answers import AnswerTokens, answer_of_logs
from edgewatch.pipeline.engines.device_memory import (
    HostMemory,
    clip_too_large,
    free_unused,
    is_out_of_memory,
)
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.attention import fast_attention
from edgewatch.pipeline.engines.native.language import KeysValues
from edgewatch.pipeline.engines.native.network import Network
from edgewatch.pipeline.engines.native.packing import Packed, Passage, order_of, pack
from edgewatch.pipeline.engines.native.passages import look_of, passage_of
from edgewatch.pipeline.engines.native.prefixes import Prefixes
from edgewatch.pipeline.engines.native.seeing import Seer
from edgewatch.pipeline.engines.native.sights import sights_of
from edgewatch.pipeline.engines.native.words.describing import Describer, Style
from edgewatch.pipeline.engines.native.words.recent import (
    MOST_BYTES,
    SUSPECT_SCORE,
    Reading,
    RecentReadings,
    readings_of,
)
from edgewatch.pipeline.engines.question import (
    Form,
    Question,
    verdict_question,
    words_question,
)
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint
from edgewatch.pipeline.engines.qwen.pixels import grid_of
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.errors import EngineFailed
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
    readings: tuple[Reading, ...] = ()
    """Of the clips, where keys and values were held for words."""


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A batch that was read, in the order in which it was packed."""

    packed: Packed
    states: torch.Tensor
    """Behind each clip's end, (clips, width)."""
    passages: tuple[Passage, ...]
    memory: KeysValues | None
    """All keys and values, where they were held."""


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
        sight_bytes: int = 0,
        recent_bytes: int = MOST_BYTES,
        style: Style | None = None,
        lockstep: bool = False,
    ) -> None:
        """`most_clips`: the largest batch; becomes smaller when memory turns out to be short.

        `sight_bytes`: room on the device for what was seen of pairs of frames; 0 keeps nothing.
        `recent_bytes`: likewise for how suspects were read, for their words. `style`: of the words.
        `lockstep`: other processes do the same at the same time, so that nothing may rest on a
        clock or on pixels.
        """
        import torch

        self.most_clips = most_clips
        self.network = network
        self._checkpoint = checkpoint
        self._scripts = scripts
        self._answers = answers
        self._answer_ids = torch.tensor(answers.all, device=network.device)
        self._form = form
        self._seer = Seer(network.vision, network.device, sights_of(network, sight_bytes))
        self._prefixes = Prefixes(network.language)
        self._lockstep = lockstep
        self._host_memory = HostMemory() if network.device.type == "cpu" else None
        self._batches = 0
        self._last: torch.cuda.Event | None = None
        wanted = form.words_tokens and not lockstep
        self._recent = RecentReadings(recent_bytes if wanted else 0)
        self._describer = Describer(
            network,
            checkpoint,
            scripts,
            form,
            features=self._features,
            prefixes=self._prefixes,
            recent=self._recent,
            style=style or Style(),
        )

    def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips, in order. Raises EngineFailed if a single one does not fit into memory."""
        return self.collect(self.launch(clips))

    def launch(self, clips: Sequence[AskedClip]) -> list[Launched]:
        """Set the device to work on clips. Raises EngineFailed if one does not fit into memory."""
        self._recent.settle()
        if self._host_memory is not None:
            self._host_memory.settle()
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
                answers[place] = answer_of_logs(logs, self._answers, self._form, question.hash)
            for place, reading in zip(one.clips, one.readings, strict=False):
                if answers[place].score >= SUSPECT_SCORE:
                    self._recent.offer(reading)
        return [answers[place] for place in range(len(answers))]

    def words(self, clip: AskedClip, give_way: Callable[[], None]) -> str:
        """Describe a clip, or answer its own question, up to the form's budget.

        A still, which is its picture twice, is read as any clip: the official image processor
        repeats a picture as well. `give_way` is called before each token and may raise to end it
        for now: the next call for the same clip goes on where this one stopped. Raises
        EngineFailed if the clip does not fit into memory.
        """
        try:
            if self._lockstep:
                return self._describer.words_in_lockstep(clip, give_way)
            return self._describer.words(clip, give_way, self._load)
        except (RuntimeError, MemoryError) as error:
            self._describer.drop()
            if not is_out_of_memory(error):
                raise
            self._recent.clear()
            raise self._too_large(clip) from error

    @property
    def words_go_on(self) -> bool:
        """Whether words that were ended by `give_way` are worth asking for again."""
        return not self._lockstep and self._describer.goes_on

    def foresee(self, pairs: Sequence[AskedClip]) -> torch.cuda.Event | None:
        """See pairs of frames before their clips are asked about.

        Returns what says that the device is through with it; None: it is. Of too many for the
        memory, none is seen.
        """
        import torch

        short = False
        try:
            with torch.inference_mode():
                self._seer.foresee(pairs)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            short = True
        if short:
            free_unused(self.network.device)
        if self.network.device.type != "cuda":
            return None
        return torch.cuda.current_stream(self.network.device).record_event()

    def forget(self, camera: str) -> None:
        """Free what is kept of a camera that is gone."""
        self._seer.forget(camera)

    @property
    def figures(self) -> EngineFigures:
        """What was counted so far; any thread may ask."""
        return replace(
            self._seer.figures,
            words_tokens=self._describer.written,
            words_continued=self._describer.continued,
            words_bytes=self._recent.held_bytes + self._describer.held_bytes,
        )

    def logits(self, clips: Sequence[AskedClip]) -> torch.Tensor:
        """Return the logits of the next token, (clips, vocabulary), in order: to be compared."""
        import torch

        with torch.inference_mode(), fast_attention(self.network.device):
            read = self._read(clips, [self._question(clip) for clip in clips])
            logits = self.network.language.logits(read.states)
            ordered = torch.empty_like(logits)
            ordered[list(read.packed.order)] = logits
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
        self._recent.most_bytes = 0  # what makes words a little faster goes first
        self._recent.clear()
        self.network.replays.clear()
        free_unused(self.network.device)
        self.most_clips = (len(part) + 1) // 2
        return None

    def _launch(self, clips: Sequence[AskedClip], part: Sequence[int]) -> Launched:
        import torch

        asked = [clips[place] for place in part]
        questions = [self._question(clip) for clip in asked]
        with torch.inference_mode(), fast_attention(self.network.device):
            read = self._read(asked, questions, hold=self._continues(asked, questions))
            logits = self.network.language.logits(read.states).float()
            logs = logits.index_select(1, self._answer_ids) - logits.logsumexp(-1, keepdim=True)
            gpu = logs.device.type == "cuda"
            host = torch.empty(logs.shape, dtype=torch.float32, pin_memory=gpu)
            host.copy_(logs, non_blocking=gpu)
            done = torch.cuda.current_stream(logs.device).record_event() if gpu else None
        self._batches, self._last = self._batches + 1, done
        order = read.packed.order
        readings: tuple[Reading, ...] = ()
        if read.memory is not None:
            # The device is at work by now: this takes none of its time.
            looks = [look_of(asked[index]) for index in order]
            readings = readings_of(looks, read.passages, read.packed, read.memory)
        return Launched(
            clips=tuple(part[index] for index in order),
            questions=tuple(questions[index] for index in order),
            log_probabilities=host,
            done=done,
            readings=readings,
        )

    def _load(self) -> tuple[int, bool]:
        """Return how many batches were launched, and whether the device is at one of them."""
        return self._batches, self._last is not None and not self._last.query()

    def _continues(self, clips: Sequence[AskedClip], questions: Sequence[Question]) -> bool:
        """Whether words could go on from what is read for these scores."""
        if not self._recent.most_bytes:
            return False
        asked = [words_question(clip.prompt, self._form) for clip in clips]
        begins, goes_on = (
            [self._scripts.script(question).before for question in each]
            for each in (questions, asked)
        )
        return begins == goes_on

    def _read(
        self, clips: Sequence[AskedClip], questions: Sequence[Question], *, hold: bool = False
    ) -> _Read:
        """Read a batch; `hold` all of its keys and values."""
        rules = self._checkpoint.pixels
        scripts = [self._scripts.script(question) for question in questions]
        passages = [
            passage_of(clip, script, rules, known=self._prefixes.known_tokens(script))
            for clip, script in zip(clips, scripts, strict=True)
        ]
        # First what the device can begin with: it sees while the rest is laid out.
        features = self._features([clips[index] for index in order_of(passages)])
        packed = pack(passages, tokens_per_second=self._checkpoint.tokens_per_second)
        known = [
            self._prefixes.of(scripts[packed.order[group.first]].before[: group.known])
            for group in packed.groups
        ]
        language = self.network.language
        memory = language.room(packed.slot_count) if hold else None
        states = language.read(packed, features, known=known, keep=memory)
        return _Read(packed, states, tuple(passages[index] for index in packed.order), memory)

    def _features(self, clips: Sequence[AskedClip]) -> torch.Tensor:
        """Return all clips' tokens, clip after clip: (tokens, width of the language model)."""
        return self._seer.features(clips)

    def _question(self, clip: AskedClip) -> Question:
        return verdict_question(clip.prompt, self._form)

    def _too_large(self, clip: AskedClip) -> EngineFailed:
        grid = grid_of(clip.frames.shape, self._checkpoint.pixels)
        return clip_too_large(clip.frames.shape, grid.tokens, self.network.device)
