"""Laws of the fusion: what raises a score, what lowers it, and what can't."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.engines.builtin import fusion
from edgewatch.pipeline.engines.builtin.fusion import DISORDER, EVIDENCE, REMEMBERED, STILL
from edgewatch.pipeline.engines.builtin.motion import Peak

USUAL = {kind: Peak(prior.fixed) for kind, prior in (EVIDENCE | DISORDER).items()} | {
    STILL: Peak(0.9)
}
values = st.floats(0, 10)


def past(count: int, **changed: float) -> dict[str, npt.NDArray[np.float64]]:
    usual = {name: USUAL[name].value if name in USUAL else 0.5 for name in REMEMBERED}
    return {name: np.full(count, value) for name, value in (usual | changed).items()}


def test_usual_figures_score_low() -> None:
    assert fusion.assess(USUAL, past(0)).score < 0.05
    assert fusion.assess(USUAL, past(100)).score < 0.05


@given(kind=st.sampled_from(sorted(EVIDENCE)), low=values, high=values, clips=st.integers(0, 60))
def test_more_of_any_evidence_never_lowers_the_score(
    kind: str, low: float, high: float, clips: int
) -> None:
    low, high = sorted((low, high))
    scores = [
        fusion.assess(USUAL | {kind: Peak(value)}, past(clips)).score for value in (low, high)
    ]
    assert 0 <= scores[0] <= scores[1] <= 1


def test_traffic_that_flows_scores_below_motion_that_breaks_off() -> None:
    change = {"sudden_change": Peak(0.1), "scene_change": Peak(0.15)}
    flowing = change | {"disorder": Peak(0.05), "swerving": Peak(0.1)}
    broken = change | {"disorder": Peak(0.7), "swerving": Peak(0.8)}
    assert (
        fusion.assess(USUAL | flowing, past(0)).score
        < fusion.assess(USUAL | broken, past(0)).score - 0.2
    )


def test_what_needs_a_baseline_is_silent_without_one() -> None:
    crowd = USUAL | {"crowding": Peak(0.9)}
    early = fusion.assess(crowd, past(fusion.BASELINE_CLIPS - 1))
    late = fusion.assess(crowd, past(fusion.BASELINE_CLIPS))
    assert "crowding" not in {finding.kind for finding in early.findings}
    assert "crowding" in {finding.kind for finding in late.findings}


def test_jolts_count_on_moving_cameras_only() -> None:
    jolt = USUAL | {"jolt": Peak(2.0)}
    moving = jolt | {STILL: Peak(0.1)}
    assert not any(finding.kind == "jolt" for finding in fusion.assess(jolt, past(0)).findings)
    assert any(finding.kind == "jolt" for finding in fusion.assess(moving, past(0)).findings)


def test_a_habit_raises_what_is_expected() -> None:
    busy = USUAL | {"sudden_change": Peak(0.3)}
    assert (
        fusion.assess(busy, past(60, sudden_change=0.3)).score
        < fusion.assess(busy, past(0)).score - 0.3
    )


def test_a_quiet_minute_says_less_than_a_busy_one() -> None:
    prior = EVIDENCE["sudden_change"]
    nothing = fusion.expect(prior, moving=False, past=np.array([]))
    quiet = fusion.expect(prior, moving=False, past=np.full(4, prior.fixed / 8))
    busy = fusion.expect(prior, moving=False, past=np.full(4, prior.fixed * 8))
    assert quiet.mean < nothing.mean < busy.mean
    assert nothing.mean - quiet.mean < busy.mean - nothing.mean


def test_rare_cars_of_an_empty_street_are_normal() -> None:
    prior = EVIDENCE["sudden_change"]
    cars = np.where(np.arange(100) % 12 == 0, 0.2, 0.005)
    known = fusion.expect(prior, moving=False, past=cars)
    empty = fusion.expect(prior, moving=False, past=np.full(100, 0.005))
    assert known.deviation(0.2) < 2.5 < empty.deviation(0.2)


@given(value=st.floats(0, 5))
def test_what_is_learnt_of_an_anomaly_is_cut_to_normal(value: float) -> None:
    peaks = USUAL | {"sudden_change": Peak(value)}
    assessment = fusion.assess(peaks, past(0))
    learnt = fusion.remembered(peaks, assessment)["sudden_change"]
    assert learnt <= value + 1e-9
    if assessment.score >= fusion.ALARM:
        assert assessment.expectations["sudden_change"].deviation(learnt) <= 2.0 + 1e-6
    else:
        assert learnt == value


def test_half_way_point_follows_a_lively_camera_but_not_far() -> None:
    assert fusion.half_total(np.zeros(100)) == 3.0
    assert fusion.half_total(np.full(100, 3.0)) == pytest.approx(3.6)
    assert fusion.half_total(np.full(5, 3.0)) == 3.0


def test_findings_come_strongest_first() -> None:
    peaks = USUAL | {"sudden_change": Peak(0.05), "erratic_motion": Peak(0.9)}
    findings = fusion.assess(peaks, past(0)).findings
    assert [finding.deviation for finding in findings] == sorted(
        (finding.deviation for finding in findings), reverse=True
    )
    assert findings[0].kind == "erratic_motion"
