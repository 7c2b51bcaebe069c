from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.engines.calibration import (
    Calibration,
    ChosenThreshold,
    Counts,
    calibration_from,
    logit,
    misfit,
    question_hash,
    split_name,
)
from edgewatch.pipeline.engines.calibration_file import (
    default_file,
    kept_file,
    read_calibration,
    write_calibration,
)
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.errors import EngineFailed

PLATT = Calibration("platt", "fake-1", slope=0.7, offset=-1.5)
STEPS = Calibration(
    "isotonic", "fake-1", knots=((0.0, 0.01), (0.4, 0.0101), (0.5, 0.6), (1.0, 0.9))
)
EVERY = [
    Calibration("none", "fake-1"),
    Calibration("temperature", "fake-1", slope=0.4),
    Calibration("temperature", "fake-1", slope=2.5),
    PLATT,
    STEPS,
]
CHOSEN = ChosenThreshold(0.3, "recall", 0.9, 0.92, 0.8, 0.99, supported=False)


class TestMap:
    @pytest.mark.parametrize("calibration", EVERY, ids=lambda one: one.method)
    @given(one=st.floats(0.0, 1.0), other=st.floats(0.0, 1.0))
    @settings(max_examples=40, deadline=None)
    def test_a_higher_score_never_gets_the_lower_probability(
        self, calibration: Calibration, one: float, other: float
    ) -> None:
        low, high = sorted((one, other))
        assert 0.0 <= calibration.apply(low) <= calibration.apply(high) <= 1.0
        if high - low > 1e-4:  # closer ones may be one number at the ends, to float64
            assert calibration.apply(low) < calibration.apply(high)

    @pytest.mark.parametrize("calibration", EVERY, ids=lambda one: one.method)
    def test_scores_of_exactly_0_and_1_get_a_finite_probability_of_their_own(
        self, calibration: Calibration
    ) -> None:
        ends = calibration.apply_all([0.0, 1e-7, 1.0 - 1e-7, 1.0])
        assert np.isfinite(ends).all()
        assert (np.diff(ends) > 0.0).all()
        assert np.isfinite(logit(np.array([0.0, 1.0]))).all()

    @pytest.mark.parametrize("calibration", EVERY, ids=lambda one: one.method)
    @given(score=st.floats(0.0, 1.0))
    @settings(max_examples=30, deadline=None)
    def test_a_probability_leads_back_to_its_score(
        self, calibration: Calibration, score: float
    ) -> None:
        (again,) = calibration.undo_all(calibration.apply_all([score]))
        assert again == pytest.approx(score, abs=1e-6)

    @pytest.mark.parametrize("calibration", EVERY, ids=lambda one: one.method)
    def test_what_is_no_score_is_handed_on_to_be_refused_as_it_is(
        self, calibration: Calibration
    ) -> None:
        assert math.isnan(calibration.apply(math.nan))
        assert calibration.apply(1.5) == 1.5
        assert calibration.apply(-0.5) == -0.5

    def test_platt_is_the_line_on_the_logit(self) -> None:
        line = 0.7 * math.log(0.8 / 0.2) - 1.5
        assert PLATT.apply(0.8) == pytest.approx(1.0 / (1.0 + math.exp(-line)), abs=1e-5)


class TestNames:
    def test_a_calibrated_engine_is_named_so_and_taken_apart_again(self) -> None:
        assert split_name(PLATT.name) == ("fake-1", PLATT.hash)
        assert split_name("transformers:m@1a2b3c4d") == ("transformers:m@1a2b3c4d", "")
        assert replace(PLATT, method="none").name == "fake-1"

    def test_the_hash_tells_what_changes_a_score_and_nothing_else(self) -> None:
        assert replace(PLATT, offset=-1.4).hash != PLATT.hash
        assert replace(PLATT, questions=("a",)).hash != PLATT.hash
        later = replace(PLATT, fitted_seconds=9.0, chosen=CHOSEN, counts=Counts(clips=3))
        assert later.hash == PLATT.hash

    def test_the_question_is_prompt_and_answers(self) -> None:
        form = Form()
        assert question_hash("Fire?", form) != question_hash("Smoke?", form)
        assert question_hash("Fire?", form) != question_hash("Fire?", Form(anomaly_answer="Ja"))
        assert question_hash("Fire?", form) == question_hash("Fire?", Form(least_mass=0.1))


class TestMisfit:
    def test_another_engine_is_refused_with_both_names(self) -> None:
        trouble = misfit(PLATT, "fake-2", ())
        assert trouble is not None
        assert "fitted on scores of fake-1, and fake-2 judges" in str(trouble)
        assert 'edgewatch calibrate), or set [engine] calibration = "none"' in trouble.cure

    def test_another_question_is_refused(self) -> None:
        asked = replace(PLATT, questions=("0123456789ab",))
        assert misfit(asked, "fake-1", ("0123456789ab",)) is None
        trouble = misfit(asked, "fake-1", ("0123456789ab", "other"))
        assert trouble is not None
        assert "another question than a camera's prompt" in trouble.what
        assert misfit(PLATT, "fake-1", ()) is None


class TestFile:
    @pytest.mark.parametrize("calibration", EVERY, ids=lambda one: one.method)
    def test_what_is_written_is_read_again_to_the_last_digit(
        self, calibration: Calibration, tmp_path: Path
    ) -> None:
        whole = replace(
            calibration, chosen=CHOSEN, counts=Counts(9, 4, 80, 20, 55.5), fitted_seconds=1.5
        )
        file = tmp_path / "new" / "cal.json"
        assert write_calibration(whole, file) is None
        assert read_calibration(file) == whole
        assert read_calibration(file).hash == calibration.hash

    def test_the_one_before_is_kept_under_its_hash(self, tmp_path: Path) -> None:
        file = default_file(None, tmp_path)
        write_calibration(PLATT, file)
        assert write_calibration(PLATT, file) is None
        kept = write_calibration(STEPS, file)
        assert kept == kept_file(file, PLATT.hash)
        assert read_calibration(kept) == PLATT
        assert read_calibration(file) == STEPS
        assert sorted(tmp_path.iterdir()) == sorted([file, kept])

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"format": "other"}, "it is no calibration of edgewatch"),
            ({"version": 2}, "its version is 2"),
            ({"method": "magic"}, "'magic' is not known"),
            ({"numbers": {"slope": 0.0, "offset": 0.0}}, "0.0 is no number from 1e-09"),
            ({"numbers": {"slope": 1.0}}, "'offset' is missing"),
            ({"numbers": {"slope": math.nan, "offset": 0.0}}, "nan is no number"),
            ({"method": "isotonic", "numbers": {"knots": [[0, 0.5], [1, 0.4]]}}, "grows"),
            ({"method": "isotonic", "numbers": {"knots": [[0.1, 0.1], [1, 0.4]]}}, "grows"),
            ({"engine": 7}, "are no text"),
            ({"counts": {}}, "is missing"),
        ],
    )
    def test_a_damaged_file_is_refused_with_place_and_cure(
        self, change: dict[str, object], told: str
    ) -> None:
        text = json.dumps({**PLATT.document(), **change})
        with pytest.raises(EngineFailed, match=r"/x/cal\.json cannot be used") as caught:
            calibration_from(text, "/x/cal.json")
        assert told in str(caught.value)
        assert caught.value.cure.startswith("fit it again")

    @pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"format": "edgewatch-calibration"}'])
    def test_what_is_no_calibration_is_refused(self, text: str) -> None:
        with pytest.raises(EngineFailed, match="cannot be used"):
            calibration_from(text, "cal.json")

    def test_a_file_that_is_not_there_is_told_with_its_cure(self, tmp_path: Path) -> None:
        with pytest.raises(EngineFailed, match=r"absent\.json cannot be read: No") as error:
            read_calibration(tmp_path / "absent.json")
        assert "edgewatch calibrate" in error.value.cure
