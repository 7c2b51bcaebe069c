"""What trials and normal footage come to."""

from __future__ import annotations

import numpy as np
import pytest

from edgewatch.pipeline.events import EventRules
from edgewatch.pipeline.scenes.truth import IncidentKind
from edgewatch.pipeline.tuning import Scores
from edgewatch.tools.commissioning.outcome import Outcome, Row, outcome_of
from edgewatch.tools.commissioning.trial import Size, Trial
from edgewatch.tools.commissioning.trying import Judged, Tried

RULES = EventRules(open_after=2, open_within=3, close_after_seconds=15.0, cooldown_seconds=0.0)


def scored(*scores: float) -> Scores:
    """Clips of 5 s, one every 2.5 s."""
    return Scores.of([(2.5 * n, 2.5 * n + 5.0, score, 0.0) for n, score in enumerate(scores)])


def tried(
    number: int,
    *scores: float,
    kind: IncidentKind = "smoke",
    size: Size | None = "medium",
    harmless: bool = False,
    told_seconds: float | None = None,
) -> Tried:
    trial = Trial(number, kind, harmless, size, "near left", (0.25, 0.88), 0.2, number)
    return Tried(trial, scored(*scores), 3.0, 11.0, 0.1, b"", told_seconds)


def found(
    *trials: Tried, normal: tuple[float, ...] = (0.1,) * 8, threshold: float = 0.5
) -> Outcome:
    judged = Judged((scored(*normal),), trials, "fake-1", 0)
    return outcome_of(judged, RULES, threshold=threshold, most_per_day=1.0)


def row(outcome: Outcome, kind: str | None, size: str | None = None) -> Row:
    rows = outcome.current.rows
    return next(one for one in rows if (one.kind, one.size) == (kind, size))


def test_seen_is_what_opens_an_event_by_the_cameras_rules() -> None:
    outcome = found(
        tried(0, 0.1, 0.9, 0.9, 0.1),
        tried(1, 0.1, 0.9, 0.1, 0.1),  # one anomalous clip opens nothing
        tried(2, 0.1, 0.1, 0.1, 0.1),
        tried(3, 0.9, 0.9, 0.9, 0.9, size="large"),
    )
    assert (row(outcome, "smoke", "medium").seen, row(outcome, "smoke", "medium").tried) == (1, 3)
    assert (row(outcome, "smoke").seen, row(outcome, None).tried) == (2, 4)
    assert outcome.current.seen == {0, 3}


def test_shares_have_intervals_that_hold_them() -> None:
    recall = row(found(*(tried(n, 0.9, 0.9, 0.9) for n in range(9))), None).recall
    assert recall.value == 1.0
    assert recall.low is not None
    assert recall.low == pytest.approx(0.70, abs=0.01)  # Wilson, 9 of 9


def test_a_threshold_below_which_more_is_seen_is_proposed() -> None:
    outcome = found(
        *(tried(n, 0.1, 0.4, 0.4, 0.4) for n in range(6)),
        *(tried(n, 0.1, 0.2, 0.2, 0.2, harmless=True) for n in range(6, 9)),
    )
    assert outcome.current.rows[-1].seen == 0
    assert outcome.proposed is not None
    assert 0.2 < outcome.proposed.threshold <= 0.4
    assert outcome.proposed.rows[-1].seen == 6
    assert outcome.proposed.harmless.seen == 0


def test_a_threshold_that_does_as_well_is_kept() -> None:
    outcome = found(
        tried(0, 0.1, 0.9, 0.9, 0.9),
        tried(1, 0.1, 0.9, 0.9, 0.9),
        tried(2, 0.2, 0.2, harmless=True),
    )
    assert outcome.proposed is None
    assert "no other threshold" in outcome.why


def test_no_threshold_is_proposed_that_alarms_on_normal_footage() -> None:
    outcome = found(tried(0, 0.1, 0.4, 0.4, 0.4), normal=(0.1, 0.6, 0.6, 0.6, 0.1, 0.1))
    chosen = outcome.proposed or outcome.current
    assert outcome.current.normal.false_alarms == 1
    assert chosen.threshold > 0.6
    assert chosen.normal.false_alarms == 0


def test_faults_of_the_camera_are_told_by_its_health() -> None:
    outcome = found(
        tried(0, kind="frozen", size=None, told_seconds=20.0),
        tried(1, kind="frozen", size=None),
        tried(2, kind="frozen", size=None, harmless=True),
        tried(3, 0.9, 0.9, 0.9),
    )
    assert [(one.kind, one.seen, one.tried) for one in outcome.faults] == [("frozen", 1, 2)]
    assert (outcome.harmless_faults.seen, outcome.harmless_faults.tried) == (0, 1)
    assert row(outcome, None).tried == 1


def test_little_footage_promises_little_and_says_so() -> None:
    assert any("cannot be promised" in line for line in found(tried(0, 0.9, 0.9)).warnings)


def test_no_figure_is_nan() -> None:
    for one in found(tried(0, 0.9, 0.9)).current.rows:
        assert one.recall.value is not None
        assert np.isfinite(one.recall.value)
