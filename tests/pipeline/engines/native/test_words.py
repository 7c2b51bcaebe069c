"""Words: the library's text, whatever was kept, paused, stopped or drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgewatch.pipeline.engines.answers import answer_tokens
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.network import Network, load_network
from edgewatch.pipeline.engines.native.passages import look_of
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.native.words.decoding import BLOCK
from edgewatch.pipeline.engines.native.words.describing import PAUSES, Style
from edgewatch.pipeline.engines.native.words.sampling import Sampling
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint, read_checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.transformers.network import load_network as load_library
from edgewatch.pipeline.engines.transformers.scoring import Scorer as LibrarysScorer
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from tests.fakes.tiny_qwen import VOCABULARY
from tests.pipeline.engines.asked_clips import asked

if TYPE_CHECKING:
    import torch

TOKENS = 24
FORM = Form(words_tokens=TOKENS)
QUESTION = replace(asked(5), question="What colour is it?")
STILL = AskedClip(asked(6, frames=2).frames[[0, 0]].copy(), 4.0, "Look.", still=True)
CLIPS = (
    asked(1),
    asked(2, frames=6, height=84, width=196, fps=2.0, prompt="Smoke."),
    asked(3, frames=20, height=112, width=112, prompt="A longer prompt, of other length. " * 4),
    QUESTION,
    STILL,
)


def go_on() -> None:
    """Nobody waits."""


@pytest.fixture(scope="module")
def checkpoint(tiny: Path) -> Checkpoint:
    """Without stop tokens: random weights would end most texts at once."""
    return replace(read_checkpoint(tiny), stop_tokens=())


@pytest.fixture(scope="module")
def network(checkpoint: Checkpoint) -> Network:
    import torch

    made = load_network(checkpoint.directory, checkpoint.pixels, torch.device("cpu"))
    with torch.inference_mode():
        made.language._weights.head.weight.copy_(talkative_head())  # type: ignore[attr-defined]
    return made


def talkative_head() -> torch.Tensor:
    """A head under which texts differ from clip to clip: the tiny model's knows Yes and No."""
    import torch

    return torch.randn((VOCABULARY, 64), generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def scripts(checkpoint: Checkpoint) -> ScriptReader:
    return ScriptReader(checkpoint.directory, checkpoint.video_token)


Make = Callable[..., Scorer]


@pytest.fixture
def make(network: Network, checkpoint: Checkpoint, scripts: ScriptReader) -> Make:
    def made(
        style: Style | None = None,
        form: Form = FORM,
        recent_bytes: int = 10**9,
        stop_tokens: tuple[int, ...] = (),
        lockstep: bool = False,
    ) -> Scorer:
        return Scorer(
            network,
            replace(checkpoint, stop_tokens=stop_tokens),
            scripts,
            answer_tokens(scripts.encode, form),
            form,
            recent_bytes=recent_bytes,
            style=style,
            lockstep=lockstep,
        )

    return made


@pytest.fixture(scope="module")
def librarys(checkpoint: Checkpoint, scripts: ScriptReader) -> list[str]:
    """What transformers writes about the clips."""
    import torch

    library = load_library(checkpoint, torch.device("cpu"))
    with torch.no_grad():
        library.model.lm_head.weight.copy_(talkative_head())
    scorer = LibrarysScorer(
        library,
        scripts,
        answer_tokens(scripts.encode, FORM),
        FORM,
        rules=checkpoint.pixels,
        tokens_per_second=checkpoint.tokens_per_second,
        video_token=checkpoint.video_token,
    )
    return [scorer.words(clip, go_on) for clip in CLIPS]


def test_words_are_the_librarys(make: Make, librarys: list[str]) -> None:
    """Of several sizes, a question of its own and a still; one room serves them all."""
    scorer = make()
    ours = [scorer.words(clip, go_on) for clip in CLIPS]
    assert ours == librarys
    assert len(set(ours)) == len(CLIPS), "the clips do not differ: nothing was tested"
    assert make(lockstep=True).words(CLIPS[0], go_on) == librarys[0]


def test_words_go_on_from_what_the_score_was_read_from(make: Make, librarys: list[str]) -> None:
    """Of all clips of one batch, packed in an order of their own."""
    scorer = make()
    scorer.score(CLIPS)
    offered = {reading.look for reading in scorer._recent._offered} - {look_of(QUESTION)}
    assert len(offered) > 1, "too few suspects: nothing was tested"
    words = [scorer.words(clip, go_on) for clip in CLIPS]
    assert words == librarys
    assert scorer.figures.words_continued == len(offered)


def test_words_behind_known_prefixes_are_the_same(make: Make, librarys: list[str]) -> None:
    from edgewatch.pipeline.engines.native.prefixes import Prefixes

    scorer = make(recent_bytes=0)
    known = Prefixes(scorer.network.language, least_tokens=1)
    scorer._prefixes = scorer._describer._prefixes = known
    assert [scorer.words(clip, go_on) for clip in CLIPS] == librarys
    assert known.held_bytes > 0


def test_suspects_hold_no_more_memory_than_they_may(make: Make) -> None:
    first = make()
    first.score(CLIPS)
    first._recent.settle()
    whole = first._recent.held_bytes
    assert whole > 0
    most_bytes = whole * 3 // 4
    scorer = make(recent_bytes=most_bytes)
    scorer.score(CLIPS)
    scorer._recent.settle()
    assert 0 < scorer._recent.held_bytes <= most_bytes
    scorer._recent.clear()
    assert scorer._recent.held_bytes == 0
    unkept = make(recent_bytes=0)
    [launched] = unkept.launch(CLIPS)
    assert launched.readings == ()


def test_a_batch_is_held_no_longer_than_until_the_next(make: Make) -> None:
    scorer = make()
    [launched] = scorer.launch(CLIPS)
    suspect = launched.readings[1]
    scorer._recent.offer(suspect)
    assert scorer.figures.words_bytes == suspect.memory.held_bytes
    scorer.launch([asked(9)])
    own_bytes = suspect.passage.tokens * suspect.memory.token_bytes
    assert scorer.figures.words_bytes == own_bytes < suspect.memory.held_bytes


def test_description_is_paused_for_clips_and_goes_on(make: Make, librarys: list[str]) -> None:
    scorer = make()
    scorer.words(CLIPS[0], go_on)  # what a token costs is known from it
    calls = count()

    def give_way() -> None:
        if next(calls) in (3, 4, 9, 14, 15):
            raise EngineBusy("clips wait")

    pauses = 0
    while True:
        try:
            words = scorer.words(CLIPS[1], give_way)
            break
        except EngineBusy:
            pauses += 1
            assert scorer.words_go_on
            scorer.score(CLIPS[:2])
    assert words == librarys[1]
    assert pauses == 5
    assert scorer.figures.words_tokens == 2 * TOKENS, "a token was written twice"


def test_description_that_would_take_too_long_is_given_up(make: Make) -> None:
    scorer = make(form=replace(FORM, words_tokens=10**6))
    for number in range(PAUSES):
        assert scorer.words_go_on, number
        seen = iter((None, None))

        def give_way(seen: Iterator[None] = seen) -> None:
            if next(seen, give_way) is give_way:
                raise EngineBusy("clips wait")

        with pytest.raises(EngineBusy):
            scorer.words(CLIPS[0], give_way)
        scorer.launch([asked(9, frames=2, height=28, width=28)])
    assert not scorer.words_go_on


def test_another_clip_takes_the_place_of_a_paused_one(make: Make, librarys: list[str]) -> None:
    scorer = make()
    seen = iter(range(6))

    def give_way() -> None:
        if next(seen, None) is None:
            raise EngineBusy("clips wait")

    with pytest.raises(EngineBusy):
        scorer.words(CLIPS[0], give_way)
    assert scorer.words(CLIPS[2], go_on) == librarys[2]
    assert scorer.words(CLIPS[0], go_on) == librarys[0]


def test_budget_stop_tokens_and_stop_texts_end_words(
    make: Make, scripts: ScriptReader, librarys: list[str]
) -> None:
    text = librarys[0]
    short = make(form=replace(FORM, words_tokens=7))
    cut = short.words(CLIPS[0], go_on)
    assert text.startswith(cut.rstrip("�"))
    assert short.figures.words_tokens == 7
    assert make(form=replace(FORM, words_tokens=0)).words(CLIPS[0], go_on) == ""
    assert len(make(form=replace(FORM, words_tokens=1)).words(CLIPS[0], go_on)) <= len(cut)
    pairs = (text[place : place + 2] for place in range(2, len(text)))
    stop = next(pair for pair in pairs if "�" not in pair)
    assert len(scripts.encode(stop)) > 1, "no border between tokens is in it"
    stopped = make(style=Style(stops=("never there", stop)))
    assert stopped.words(CLIPS[0], go_on) == text[: text.index(stop)]
    assert stopped.figures.words_tokens < TOKENS


def test_drawn_words_are_the_same_for_the_same_clip(make: Make, librarys: list[str]) -> None:
    warm = Style(sampling=Sampling(temperature=0.8, top_p=0.9))
    scorer = make(style=warm)
    drawn = [scorer.words(clip, go_on) for clip in CLIPS[:2]]
    assert drawn != librarys[:2]
    assert [make(style=warm).words(clip, go_on) for clip in CLIPS[:2]] == drawn
    narrow = Style(sampling=Sampling(temperature=1.0, top_p=1e-6))
    assert make(style=narrow).words(CLIPS[0], go_on) == librarys[0]


def test_room_grows_with_clips_and_is_counted(make: Make) -> None:
    scorer = make(form=replace(FORM, words_tokens=2))
    scorer.words(asked(0), go_on)
    small = scorer._describer.held_bytes
    scorer.words(asked(0, prompt="Smoke. " * 60), go_on)
    large = scorer._describer.held_bytes
    assert large > small > 0
    assert (large // scorer.network.language.room(1).held_bytes) % BLOCK == 0
    scorer._describer.drop()
    assert scorer._describer.held_bytes == 0


def test_clip_that_does_not_fit_is_refused_and_leaves_nothing_behind(make: Make) -> None:
    scorer = make()

    def full() -> None:
        raise MemoryError

    with pytest.raises(EngineFailed, match=r"4 frames of 112x112 \(32 tokens\).*fewer \[clips\]"):
        scorer.words(asked(0), full)
    assert scorer._describer.held_bytes == 0
    assert scorer.words(asked(0), go_on)


def test_short_memory_stops_the_keeping_of_suspects_first(make: Make) -> None:
    scorer = make()
    features = scorer._seer.features
    tried: list[int] = []

    class Small:
        """A tower on a device that holds two clips."""

        def features(self, clips: list[AskedClip]) -> object:
            tried.append(len(clips))
            if len(clips) > 2:
                raise MemoryError
            return features(clips)

    scorer._seer = Small()  # type: ignore[assignment]
    launched = scorer.launch([asked(seed) for seed in range(4)])
    assert tried == [4, 2, 2]
    assert all(one.readings == () for one in launched)
    assert not np.isnan([answer.score for answer in scorer.collect(launched)]).any()
