from __future__ import annotations

import pytest
from sklearn.metrics import cohen_kappa_score

from edgewatch.tools.evaluation.statistics.measures import compare_runs
from tests.tools.evaluation.statistics.made_runs import recording, run


def test_two_engines_side_by_side() -> None:
    first = run(
        [
            recording("a", "Anomaly", [0.1, 0.9, 0.8], windows=[(5, 15)]),
            recording("b", "Anomaly", [0.2, 0.7, 0.1]),
            recording("n", "Normal", [0.6, 0.1]),
            recording("m", "Normal", [0.2, 0.3]),
        ],
        asked="first",
    )
    second = run(
        [
            recording("a", "Anomaly", [0.1, 0.4, 0.2], windows=[(5, 15)]),
            recording("b", "Anomaly", [0.2, 0.75, 0.1]),
            recording("n", "Normal", [0.2, 0.1]),
            recording("m", "Normal", [0.2, 0.3]),
        ],
        asked="second",
        threshold=0.4,
    )
    found = compare_runs(first, second)
    assert (found.first, found.second) == ("first", "second")
    recordings, clips = found.recordings, found.clips
    # Recordings: first says A A A N, second (worst 0.4, at its threshold) A A N N.
    assert (recordings.items, recordings.same) == (4, 3)
    assert recordings.share.value == 0.75
    assert recordings.kappa.value == pytest.approx(cohen_kappa_score([1, 1, 1, 0], [1, 1, 0, 0]))
    assert recordings.kappa.low is not None
    assert recordings.kappa.high is not None
    assert recordings.kappa.low < (recordings.kappa.value or 0.0) < recordings.kappa.high <= 1.0
    assert (recordings.mcnemar.first_only, recordings.mcnemar.second_only) == (0, 1)
    # Clips: they differ in a's third and n's first; b's are not known, so in no test.
    assert (clips.items, clips.same) == (10, 8)
    assert (clips.both_anomaly, clips.first_anomaly, clips.second_anomaly) == (2, 2, 0)
    assert clips.both_normal == 6
    table = clips.mcnemar
    assert table.both_right + table.first_only + table.second_only + table.both_wrong == 7
    assert (table.first_only, table.second_only) == (1, 1)
    assert [(one.recording, one.clip_id) for one in found.differing] == [("a", "a-2"), ("n", "n-0")]
    assert (found.differing[0].first_answer, found.differing[0].second_answer) == (
        "Anomaly",
        "Normal",
    )
    assert found.largest_score_difference == pytest.approx(0.6)
    assert found.mean_score_difference == pytest.approx((0.5 + 0.6 + 0.05 + 0.4) / 10)
    assert found.delong.first_auc == 1.0
    assert any("2 anomalous and 2 normal" in one for one in found.notes)


def test_engines_of_one_mind_have_no_kappa_and_no_test() -> None:
    quiet = run([recording(f"n{i}", "Normal", [0.1, 0.2]) for i in range(4)])
    found = compare_runs(quiet, quiet)
    assert found.recordings.kappa.value is None
    assert "always answered Normal" in found.recordings.kappa.reason
    assert found.recordings.mcnemar.p_value is None
    assert found.delong.p_value is None
    assert found.differing == ()
    # All alike on four recordings is still not known to be always alike.
    assert found.recordings.share.low is not None
    assert found.recordings.share.low < 0.6


def test_views_of_a_drive_are_one_recording() -> None:
    views = [
        recording("front", "Anomaly", [0.9], drive="d", view="front"),
        recording("rear", "Normal", [0.1], drive="d", view="rear"),
        recording("n", "Normal", [0.2]),
    ]
    found = compare_runs(run(views), run(views))
    assert (found.recordings.level, found.recordings.items) == ("drive", 2)
    assert found.clips.items == 3


def test_runs_of_other_clips_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="did not judge the same clips"):
        compare_runs(
            run([recording("a", "Normal", [0.1, 0.2])]), run([recording("a", "Normal", [0.1])])
        )
