"""A clip in words: begun where its score was read, paused when clips come, taken up again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.network import Network
from edgewatch.pipeline.engines.native.packing import pack
from edgewatch.pipeline.engines.native.passages import (
    Look,
    alike,
    behind,
    look_of,
    passage_of,
)
from edgewatch.pipeline.engines.native.prefixes import Prefixes
from edgewatch.pipeline.engines.native.words.decoding import Decoder
from edgewatch.pipeline.engines.native.words.pace import Pace
from edgewatch.pipeline.engines.native.words.recent import RecentReadings
from edgewatch.pipeline.engines.native.words.sampling import Sampling, before_stop
from edgewatch.pipeline.engines.question import Form, Question, free_question, words_question
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.setup import EngineSetup

if TYPE_CHECKING:
    import torch

MOST_TOKENS = 2048
"""Of one text, whatever is set: the most that settings allow."""
AHEAD = 2
"""Tokens that the device may be ahead of the host, so that it does not wait for it; clips that
come wait for no more."""
PATIENCE_SECONDS = 45.0
"""A text that would take longer, at the rate at which clips let it be written, is given up."""
PAUSES = 32
"""Before so many, the rate is not known."""
LOOK_SECONDS = 0.0002
"""Between two looks for a token that the device is not done with."""


@dataclass(slots=True, eq=False)
class Writing:
    """A text under way."""

    look: Look | None
    question: Question
    tokens: list[int] = field(default_factory=list)
    text: str | None = None
    """None: it goes on."""
    begun_seconds: float = field(default_factory=time.monotonic)
    pauses: int = 0


@dataclass(frozen=True, slots=True)
class Style:
    """How texts are written and where they end."""

    sampling: Sampling = field(default_factory=Sampling)
    stops: tuple[str, ...] = ()
    """Texts that end a description; they are left out of it."""
    graphs: bool = True
    """Whether a GPU holds its steps in CUDA graphs."""


def style_of(setup: EngineSetup) -> Style:
    """Return what a set-up says of words."""
    return Style(Sampling(setup.words_temperature, setup.words_top_p), setup.words_stop)


class Describer:
    """Describes one clip at a time. One thread only."""

    def __init__(
        self,
        network: Network,
        checkpoint: Checkpoint,
        scripts: ScriptReader,
        form: Form,
        *,
        features: Callable[[Sequence[AskedClip]], torch.Tensor],
        prefixes: Prefixes,
        recent: RecentReadings,
        style: Style,
    ) -> None:
        """`features`: shows clips to the tower; see `Seer.features`."""
        self.written = 0
        """Tokens, of all texts."""
        self.continued = 0
        """Texts that went on from what their clip's score was read from."""
        self._network = network
        self._checkpoint = checkpoint
        self._scripts = scripts
        self._form = form
        self._features = features
        self._prefixes = prefixes
        self._recent = recent
        self._style = style
        self._budget = min(form.words_tokens, MOST_TOKENS)
        self._pace = Pace()
        self._writing: Writing | None = None
        self._decoder: Decoder | None = None

    @property
    def held_bytes(self) -> int:
        """Of the room in which texts are written."""
        return self._decoder.held_bytes if self._decoder else 0

    def question(self, clip: AskedClip) -> Question:
        """Return what is asked for a clip's words."""
        if clip.question:
            return free_question(clip.question)
        return words_question(clip.prompt, self._form)

    def words(
        self, clip: AskedClip, give_way: Callable[[], None], load: Callable[[], tuple[int, bool]]
    ) -> str:
        """Return a clip's words; see `Scorer.words`.

        Whatever `give_way` raises leaves the text as it is, to be taken up by the next call for
        this clip. `load`: how many batches were launched so far, and whether the device is at one.
        """
        if not self._budget:
            return ""
        give_way()
        look = look_of(clip)
        writing = self._resumed(clip, look) or self._begun(clip, look)
        while writing.text is None:
            try:
                give_way()
            except Exception:
                writing.pauses += 1
                raise
            batches, busy = load()
            asked = self._ask(batches, busy)
            if not self._take(writing, batches) and not asked:
                time.sleep(LOOK_SECONDS)
        self._writing = None
        return writing.text

    def words_in_lockstep(self, clip: AskedClip, give_way: Callable[[], None]) -> str:
        """Return a clip's words, by steps that rest on no clock and on nothing but this call.

        For processes that share a model: each calls `give_way` as often as the others.
        """
        if not self._budget:
            return ""
        give_way()
        writing = self._begun(clip, None)
        assert self._decoder is not None
        while writing.text is None:
            give_way()
            if not self._decoder.waiting:
                self._decoder.ask()
            self._decoder.wait()
            self._take(writing, 0)
        self._writing = None
        return writing.text

    @property
    def goes_on(self) -> bool:
        """Whether the text that was paused is worth going on with: it will be done in time."""
        writing = self._writing
        if writing is None or writing.pauses < PAUSES:
            return True
        spent_seconds = time.monotonic() - writing.begun_seconds
        done = len(writing.tokens)
        left = self._form.words_tokens - done
        return done > 0 and spent_seconds / done * left <= PATIENCE_SECONDS

    def drop(self) -> None:
        """Forget the text under way and free its room."""
        self._writing = self._decoder = None

    def _resumed(self, clip: AskedClip, look: Look) -> Writing | None:
        """Return the text under way, if it is this clip's."""
        writing = self._writing
        if writing is None or (writing.look, writing.question) != (look, self.question(clip)):
            return None
        return writing

    def _begun(self, clip: AskedClip, look: Look | None) -> Writing:
        """Read a clip: all of it, or what its score was not read from."""
        import torch

        self._writing = None
        question = self.question(clip)
        script = self._scripts.script(question)
        passage = passage_of(clip, script, self._checkpoint.pixels)
        rate = self._checkpoint.tokens_per_second
        decoder = self._decoder = self._decoder or Decoder(
            self._network.language,
            self._network.device,
            self._style.sampling,
            most_tokens=self._budget,
            graphs=self._style.graphs,
        )
        seed = look[0] if look else 0
        reading = self._recent.take(look) if look else None
        known = min(alike(reading.passage, passage), passage.tokens - 1) if reading else 0
        if reading is not None and known >= len(script.before) + passage.grid.tokens:
            packed = behind(pack([passage], tokens_per_second=rate), known)
            decoder.begin(packed, None, reading.memory, seed=seed)
            self.continued += 1
        else:
            known = self._prefixes.known_tokens(script)
            packed = pack([replace(passage, known=known)], tokens_per_second=rate)
            with torch.inference_mode():
                decoder.begin(
                    packed,
                    self._features([clip]),
                    self._prefixes.of(script.before[:known]),
                    seed=seed,
                )
        self._writing = Writing(look, question)
        return self._writing

    def _ask(self, batches: int, busy: bool) -> bool:
        decoder, now_seconds = self._decoder, time.monotonic()
        assert decoder is not None
        if decoder.waiting >= AHEAD or not decoder.can_ask:
            return False
        if not self._pace.allows(now_seconds, batches=batches, busy=busy):
            return False
        self._pace.asked(now_seconds, batches=batches)
        decoder.ask()
        return True

    def _take(self, writing: Writing, batches: int) -> bool:
        assert self._decoder is not None
        token = self._decoder.take()
        if token is None:
            return False
        self._pace.came(time.monotonic(), batches=batches)
        self.written += 1
        if token in self._checkpoint.stop_tokens:
            writing.text = self._scripts.decode(writing.tokens)
            return True
        writing.tokens.append(token)
        if self._style.stops:
            writing.text = before_stop(self._scripts.decode(writing.tokens), self._style.stops)
        if writing.text is None and len(writing.tokens) >= self._budget:
            writing.text = self._scripts.decode(writing.tokens)
        return True
