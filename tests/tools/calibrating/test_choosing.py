from __future__ import annotations

import numpy as np
import pytest

from edgewatch.tools.calibrating.choosing import TooLittle, check_enough, choose, folds
from edgewatch.tools.calibrating.reliability import diagram
from tests.tools.calibrating.made import chance, clips_of


def test_clips_of_a_recording_never_stand_on_both_sides() -> None:
    clips = chance(37, 20).clips
    fold, count = folds(clips)
    assert count == 10
    for group in np.unique(clips.group):
        assert len(set(fold[clips.group == group].tolist())) == 1
    for number in range(count):
        assert {0.0, 1.0} <= set(clips.truth[fold == number].tolist())


def test_what_an_engine_says_too_surely_is_taken_back() -> None:
    """Its logits are three times too large: temperature mends that, nothing freer is needed."""
    clips = chance(80, 20, slope=1 / 3).clips
    choice = choose(clips)
    assert choice.method == "temperature"
    trial = choice.trial
    assert trial.probability is not None
    assert trial.log_loss is not None
    before = diagram(clips.score, clips, 0.0)
    after = diagram(trial.probability, clips, trial.log_loss)
    assert after.error < before.error / 2
    assert sum(one.clips for one in after.bins) == len(clips)


def test_a_shift_takes_platt() -> None:
    assert choose(chance(80, 20, slope=0.5, offset=-2.5).clips).method == "platt"


def test_an_honest_engine_is_left_as_it_is() -> None:
    """Whatever is a little better by chance."""
    labelled = [chance(40, 15, seed=seed).clips for seed in range(4)]
    assert [choose(clips).method for clips in labelled].count("none") >= 3


def test_recordings_are_the_witnesses_of_what_is_noise() -> None:
    """Many clips of few recordings that differ: clips alone would take the freest form."""
    clips = chance(40, 200, of_recording=1.5, seed=5).clips
    choice = choose(clips)
    trials = {one.method: one for one in choice.trials}
    assert trials["isotonic"].log_loss is not None
    assert choice.method in ("none", "temperature", "platt")
    simple = trials[choice.method].log_loss
    best = min(one.log_loss for one in choice.trials if one.log_loss is not None)
    assert simple is not None
    assert simple - best <= trials[choice.method].error + 1e-12


def test_a_method_that_was_asked_for_is_taken() -> None:
    assert choose(chance(40, 15).clips, only="platt").why == "it was asked for"
    with pytest.raises(TooLittle, match="too little for isotonic: 10 recordings with an incident"):
        choose(chance(20, 40).clips, only="isotonic")


def test_too_little_is_refused_with_how_many_more_are_needed() -> None:
    with pytest.raises(TooLittle) as caught:
        check_enough(chance(10, 5, offset=-1.0).clips)
    text = str(caught.value)
    assert "5 recordings with an incident, 8 are needed (3 more)" in text
    assert "5 recordings without one, 8 are needed (3 more)" in text
    assert "clips of an incident, 16 are needed" in text


def test_no_clip_at_all_is_refused() -> None:
    with pytest.raises(TooLittle, match=r"0 recordings with an incident, 8 are needed \(8 more\)"):
        choose(clips_of([], [], []))
