"""Gates let right engines pass and refuse others with figures and a cure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from edgewatch.pipeline.engines.answers import AnswerTokens
from edgewatch.pipeline.engines.native.accuracy.comparison import Apart, apart, hold, trial_clips
from edgewatch.pipeline.engines.native.accuracy.drift import refuse_drift
from edgewatch.pipeline.engines.native.accuracy.gates import Passed, check, prepare
from edgewatch.pipeline.engines.native.loading import Loaded, load
from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.errors import EngineFailed
from tests.fakes.tiny_qwen import make_tiny_qwen
from tests.pipeline.engines.native.stored_models import modelopt

if TYPE_CHECKING:
    import torch

SMALL = LargestClip(frames=6, pixels=84 * 84)
ANSWERS = AnswerTokens((0,), (1,))


def check_again(
    loaded: Loaded, setup: EngineSetup, reference: torch.Tensor | None = None
) -> Passed:
    return check(loaded.scorer.network, loaded.scorer, setup, loaded.checkpoint, reference)


@pytest.fixture(scope="module")
def rounded(setup: EngineSetup) -> Loaded:
    """Weights rounded to E4M3 at load."""
    return load(replace(setup, precision="fp8", most_drift=1.0), lambda: True)


@pytest.fixture(scope="module")
def setup(tiny: Path) -> EngineSetup:
    return EngineSetup(kind="native", model=tiny, device="cpu", largest_clip=SMALL, max_batch=2)


class TestLoad:
    def test_plain_weights_equal_transformers(self, setup: EngineSetup) -> None:
        """Exactly, on a CPU; and the log says so in one line."""
        with capture_logs() as logs:
            passed = load(replace(setup, compare_clips=4), lambda: True).passed
        assert passed.comparison is not None
        assert passed.comparison.clips == 4
        assert passed.comparison.logits < 1e-5
        assert passed.drift is None
        lines = [one for one in logs if one["event"] == "accuracy checked"]
        assert len(lines) == 1
        assert set(lines[0]["self_test"]) == {"none"}
        assert lines[0]["drift"] == "none added here"

    def test_weights_rounded_at_load_are_held_against_the_plain_ones(
        self, rounded: Loaded, setup: EngineSetup
    ) -> None:
        """Which in turn are held against transformers; any drift is let pass unmeasured."""
        assert rounded.passed.drift is None
        asked = replace(setup, most_drift=0.99, compare_clips=2)
        reference = prepare(asked, rounded.checkpoint, rounded.device)
        passed = check_again(rounded, asked, reference)
        assert set(passed.self_test.differences) == {"none", "rows"}
        assert passed.comparison is not None
        assert passed.comparison.logits < 1e-5
        assert passed.drift is not None
        assert 1e-3 < passed.drift.logits < 1

    def test_too_much_drift_is_refused(self, rounded: Loaded, setup: EngineSetup) -> None:
        """With what to do about it."""
        with pytest.raises(EngineFailed, match=r"move P\(anomaly\) by .* on 6 clips") as refused:
            check_again(rounded, replace(setup, most_drift=1e-6))
        assert 'precision = "bf16"' in refused.value.cure

    def test_four_bits_rounded_to_eight_are_held_against_four(
        self, setup: EngineSetup, tmp_path: Path
    ) -> None:
        """Weights are unpacked for that; what the four bits themselves cost is not known here."""
        directory = modelopt(setup.model or tmp_path, tmp_path / "nvfp4", "NVFP4")
        asked = replace(setup, model=directory, precision="fp8", most_drift=0.99)
        with capture_logs() as logs:
            passed = load(asked, lambda: True).passed
        assert passed.drift is not None
        assert 1e-3 < passed.drift.logits < 1
        said = next(one["drift"] for one in logs if one["event"] == "accuracy checked")
        assert "came quantised: edgewatch evaluate" in said

    def test_misread_weights_are_refused(self, setup: EngineSetup, tmp_path: Path) -> None:
        """Here: transformers read other weights than this engine."""
        import torch

        other = read_checkpoint(make_tiny_qwen(tmp_path / "other", seed=1))
        asked = replace(setup, compare_clips=2)
        reference = prepare(asked, other, torch.device("cpu"))
        with pytest.raises(EngineFailed, match="differ with the same weights"):
            check_again(load(setup, lambda: True), asked, reference)


class TestFigures:
    def test_distances_are_of_the_share_of_both_answers(self) -> None:
        """Other tokens of the vocabulary do not count for P(anomaly)."""
        import torch

        ours = torch.tensor([[0.0, 0.0, 5.0], [2.0, 0.0, 1.0]])
        theirs = torch.tensor([[0.0, 0.0, -3.0], [0.0, 2.0, 1.0]])
        found = apart(ours, theirs, ANSWERS)
        shift = 1 / (1 + np.exp(-2.0)) - 1 / (1 + np.exp(2.0))
        assert found.largest_score == pytest.approx(shift)
        assert found.mean_score == pytest.approx(shift / 2)
        assert found.logits == pytest.approx(8 / 3)

    @pytest.mark.parametrize(
        ("found", "exact", "quantised", "passes"),
        [
            (Apart(1e-5, 1e-6, 1e-5, 2), True, False, True),
            (Apart(0.01, 1e-6, 1e-5, 2), True, False, False),
            (Apart(0.06, 0.01, 0.03, 2), False, False, True),
            (Apart(0.06, 0.01, 0.07, 2), False, False, False),
            (Apart(0.5, 0.05, 0.2, 2), False, True, True),
            (Apart(0.5, 0.15, 0.2, 2), False, True, False),
            (Apart(float("nan"), float("nan"), float("nan"), 2), False, False, False),
            (Apart(float("nan"), float("nan"), float("nan"), 2), False, True, False),
        ],
    )
    def test_what_rounding_explains_passes(
        self, found: Apart, exact: bool, quantised: bool, passes: bool
    ) -> None:
        """And what is no number never does."""
        if passes:
            hold(found, exact=exact, quantised=quantised, most_drift=0.1)
            return
        with pytest.raises(EngineFailed, match="differ with the same weights"):
            hold(found, exact=exact, quantised=quantised, most_drift=0.1)

    def test_drift_that_is_no_number_is_refused(self) -> None:
        with pytest.raises(EngineFailed):
            refuse_drift(Apart(0.1, float("nan"), float("nan"), 6), 0.99)


class TestTrialClips:
    @pytest.mark.parametrize("pixels", [28 * 28, 63_504, 200_000])
    def test_none_is_larger_than_a_cameras_clips(self, pixels: int) -> None:
        """Of several sizes, in whole tokens and pairs, and the same each time."""
        largest = LargestClip(frames=20, pixels=pixels)
        clips, again = trial_clips(largest, 12), trial_clips(largest, 12)
        for one, other in zip(clips, again, strict=True):
            frames, height, width, _ = one.frames.shape
            assert frames % 2 == 0
            assert 2 <= frames <= 8
            assert height % 28 == width % 28 == 0
            assert height * width <= pixels
            assert np.array_equal(one.frames, other.frames)
        if pixels > 28 * 28:
            assert len({one.frames.shape for one in clips}) == 3
        assert len({one.prompt for one in clips}) == 2
