"""What words are made of: draws, stops, passages that begin alike, the pace beside screening."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.engines.native.packing import Passage, pack
from edgewatch.pipeline.engines.native.passages import alike, behind, look_of
from edgewatch.pipeline.engines.native.words.pace import ENOUGH, SHARE, Pace
from edgewatch.pipeline.engines.native.words.sampling import Sampling, before_stop, chosen, draws
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.engines.qwen.script import Script
from tests.pipeline.engines.asked_clips import asked

# Sampling

PROBABILITIES = (0.1, 0.4, 0.05, 0.25, 0.2)


def tokens_of(sampling: Sampling, count: int = 4000) -> list[float]:
    """How often each token is chosen, over draws that lie evenly."""
    import torch

    logits = torch.tensor([PROBABILITIES]).log()
    found = np.zeros(len(PROBABILITIES))
    for draw in (np.arange(count) + 0.5) / count:
        found[int(chosen(logits, sampling, torch.tensor([draw], dtype=torch.float32)))] += 1
    shares: list[float] = (found / count).tolist()
    return shares


def test_without_temperature_the_most_probable_token_is_chosen() -> None:
    assert tokens_of(Sampling(), 3) == [0, 1, 0, 0, 0]


def test_tokens_are_drawn_as_probable_as_they_are() -> None:
    assert tokens_of(Sampling(1.0), 400) == pytest.approx(PROBABILITIES, abs=5e-3)
    sharp = np.array(PROBABILITIES) ** 2
    assert tokens_of(Sampling(0.5), 400) == pytest.approx(sharp / sharp.sum(), abs=5e-3)


def test_only_the_most_probable_that_reach_top_p_are_drawn() -> None:
    assert tokens_of(Sampling(1.0, 0.6), 200) == pytest.approx(
        [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0], abs=1e-2
    )
    assert tokens_of(Sampling(1.0, 1e-9), 5) == [0, 1, 0, 0, 0]


def test_draw_next_to_1_picks_a_token_that_counts() -> None:
    import torch

    logits = torch.tensor([[0.0, -1e9, -1e9]])
    almost = torch.tensor([np.nextafter(np.float32(1), np.float32(0))])
    assert int(chosen(logits, Sampling(1.0), almost)) == 0


def test_draws_are_of_the_seed_and_below_1() -> None:
    first = draws(7, 50)
    assert (first == draws(7, 50)).all()
    assert (first != draws(8, 50)).any()
    assert ((first >= 0) & (first < 1)).all()
    assert (draws(7, 10) == first[:10]).all()


@pytest.mark.parametrize(
    ("text", "stops", "left"),
    [
        ("A man. He falls.", (".",), "A man"),
        ("A man. He falls.", ("falls", "man"), "A "),
        ("A man", (".", "\n\n"), None),
        ("A man", (), None),
        (".", (".",), ""),
    ],
)
def test_what_stands_before_the_first_stop_is_left(
    text: str, stops: tuple[str, ...], left: str | None
) -> None:
    assert before_stop(text, stops) == left


# Passages

GRID = Grid(2, 2, 3)


def passage(before: tuple[int, ...], after: tuple[int, ...], known: int = 0) -> Passage:
    return Passage(Script(before, after), GRID, 0.5, known=known)


def test_passages_of_one_clip_agree_as_far_as_their_texts_do() -> None:
    one = passage((1, 2, 3), (4, 5, 6))
    assert alike(one, passage((1, 2, 3), (4, 5, 6, 7))) == 3 + 12 + 3
    assert alike(one, passage((1, 2, 3), (4, 9, 6))) == 3 + 12 + 1
    assert alike(one, passage((1, 2, 3), ())) == 3 + 12
    assert alike(one, passage((1, 9, 3), (4, 5, 6))) == 1
    assert alike(one, passage((1, 2), (3,))) == 2, "the video stands elsewhere"


def test_rest_behind_known_tokens_keeps_its_places() -> None:
    whole = pack([passage((1, 2, 3), (4, 5, 6))], tokens_per_second=2)
    rest = behind(whole, 16)
    assert rest.tokens.tolist() == [5, 6]
    assert rest.places.tolist() == whole.places[:, 16:].tolist()
    assert rest.slots.tolist() == [16, 17]
    assert (rest.ends.tolist(), rest.video_rows.tolist()) == ([1], [])
    assert rest.next_places.tolist() == whole.next_places.tolist()
    assert rest.slot_count == whole.slot_count
    middle = behind(whole, 5)
    assert middle.video_rows.tolist() == list(range(10))


@pytest.mark.parametrize("known", [-1, 18, 40])
def test_rest_is_refused_where_nothing_is_left(known: int) -> None:
    with pytest.raises(ValueError, match="cannot be known"):
        behind(pack([passage((1, 2, 3), (4, 5, 6))], tokens_per_second=2), known)


def test_rest_is_of_one_passage_alone() -> None:
    two = pack([passage((1,), (2,)), passage((1,), (3,))], tokens_per_second=2)
    known = pack([passage((1, 2), (3,), known=1)], tokens_per_second=2)
    for packed in (two, known):
        with pytest.raises(ValueError, match="one passage"):
            behind(packed, 1)


def test_look_tells_clips_apart_by_pixels_and_rate_not_by_prompts() -> None:
    clip = asked(1)
    other = asked(1)
    other.frames[-1, -1, -1, -1] ^= 1
    looks = [look_of(each) for each in (clip, asked(1, prompt="Else."), other, asked(1, fps=2.0))]
    assert looks[0] == looks[1]
    assert len(set(looks)) == 3


# Pace


def test_alone_nothing_waits() -> None:
    pace = Pace()
    pace.asked(0.0, batches=3)
    for step in range(1, 20):
        assert pace.allows(step * 0.005, batches=3, busy=False)
        pace.asked(step * 0.005, batches=3)
        pace.came(step * 0.005 + 0.004, batches=3)


@settings(max_examples=60, deadline=None)
@given(
    token_ms=st.integers(1, 40),
    batch_ms=st.integers(5, 300),
    step_ms=st.floats(0.3, 20.0),
)
def test_beside_screening_tokens_take_no_more_than_their_share(
    token_ms: int, batch_ms: int, step_ms: float
) -> None:
    pace = Pace()
    for number in range(ENOUGH + 1):  # what a token costs is known from a text at the start
        pace.came(number * token_ms / 1e3, batches=0)
    asked_at = list(asked_within(pace, 30.0, batch_ms / 1e3, step_ms / 1e3))
    assert len(asked_at) * token_ms / 1e3 <= 30.0 * SHARE + 2 * token_ms / 1e3
    assert asked_at, "never a token: words would starve"


def asked_within(pace: Pace, seconds: float, batch: float, step: float) -> Iterator[float]:
    """The device is always at a batch; a new one is launched every so often."""
    now = 1.0
    while now < 1.0 + seconds:
        batches = int(now / batch)
        if pace.allows(now, batches=batches, busy=True):
            pace.asked(now, batches=batches)
            yield now
        now += step


def test_after_a_batch_the_next_token_waits_and_then_all_go_on() -> None:
    pace = Pace()
    for number in range(ENOUGH + 1):
        pace.came(number * 0.01, batches=0)
    pace.came(0.02, batches=1)
    pace.came(0.02, batches=1)  # both were done: this tells nothing
    pace.asked(0.01, batches=0)
    assert pace.allows(0.02, batches=0, busy=False)
    assert not pace.allows(0.02, batches=1, busy=False)
    assert pace.allows(0.01 + 0.01 / SHARE, batches=1, busy=False)
    pace.asked(0.3, batches=1)
    assert pace.allows(0.301, batches=1, busy=False)
    assert not pace.allows(0.301, batches=1, busy=True)
