from __future__ import annotations

import numpy as np
import pytest

from edgewatch.tools.evaluation.evaluation import JudgedRecording
from edgewatch.tools.evaluation.statistics.controls import (
    pre_incident_control,
    quiet_control,
    ranking_control,
)
from edgewatch.tools.evaluation.statistics.sample import units_of
from tests.tools.evaluation.statistics.made_runs import recording

WINDOW = [(20.0, 30.0)]
"""Clips 0 to 3 lie before it, 4 and 5 in it, 6 and later behind it."""


def _recordings(
    quiet: float, incident: float, normal: float, *, seed: int = 0, count: int = 10
) -> list[JudgedRecording]:
    """As many of each label, their scores around the given ones."""
    random = np.random.default_rng(seed)

    def near(middle: float, clips: int) -> list[float]:
        return [float(one) for one in np.clip(random.normal(middle, 0.1, clips), 0, 1)]

    anomalous = [
        recording(
            f"a{i}", "Anomaly", near(quiet, 4) + near(incident, 2) + near(quiet, 2), windows=WINDOW
        )
        for i in range(count)
    ]
    return anomalous + [recording(f"n{i}", "Normal", near(normal, 8)) for i in range(count)]


def test_an_engine_that_sees_the_incident_passes_all_controls() -> None:
    units = units_of(_recordings(0.3, 0.7, 0.3))
    for control in (pre_incident_control, quiet_control):
        found = control(units, seed=0, resamples=300)
        assert found.probability.value == pytest.approx(0.5, abs=0.12)
        assert "no sign that the engine recognises the recording" in found.meaning
    assert pre_incident_control(units, seed=0, resamples=0).clips == 40
    assert quiet_control(units, seed=0, resamples=0).clips == 60
    ranking = ranking_control(units)
    assert (ranking.clips, ranking.against, ranking.units) == (20, 60, 10)
    assert ranking.probability.value == pytest.approx(1.0, abs=0.02)
    assert "reacts to the incident itself" in ranking.meaning


def test_an_engine_that_recognises_the_recorder_is_found_out() -> None:
    """Anomalous recordings score high throughout: fine AUC, nothing seen."""
    units = units_of(_recordings(0.7, 0.7, 0.3))
    found = pre_incident_control(units, seed=0, resamples=300)
    assert found.probability.low is not None
    assert found.probability.low > 0.5
    assert "not the incident" in found.meaning
    ranking = ranking_control(units)
    assert ranking.probability.value == pytest.approx(0.5, abs=0.15)
    assert "not shown" in ranking.meaning


def test_an_aftermath_is_no_sign_of_recognising_the_recorder() -> None:
    aftermath = [
        recording(f"a{i}", "Anomaly", [0.2, 0.3, 0.2, 0.3, 0.9, 0.9, 0.8, 0.8], windows=WINDOW)
        for i in range(6)
    ]
    normal = [recording(f"n{i}", "Normal", [0.2, 0.3]) for i in range(6)]
    units = units_of(aftermath + normal)
    assert pre_incident_control(units, seed=0, resamples=200).probability.value == 0.5
    after = quiet_control(units, seed=0, resamples=200).probability.value
    assert after == pytest.approx((4 * 0.5 + 2 * 1.0) / 6)


def test_below_half_is_said_too() -> None:
    units = units_of(_recordings(0.1, 0.05, 0.6))
    assert "not in the engine's favour" in quiet_control(units, seed=0, resamples=200).meaning
    upside_down = units_of(_recordings(0.6, 0.1, 0.6))
    assert "something else" in ranking_control(upside_down).meaning


def test_what_cannot_be_told_says_why() -> None:
    normal = [recording("n", "Normal", [0.1, 0.2])]
    unmarked = [recording("a", "Anomaly", [0.1, 0.9])]
    found = pre_incident_control(units_of(unmarked + normal), seed=0, resamples=100)
    assert found.probability.value is None
    assert found.meaning == "Cannot be told: no clip lies before a labelled window."
    assert "both incident and quiet" in ranking_control(units_of(unmarked)).meaning
    marked = [recording("a", "Anomaly", [0.1] * 6, windows=WINDOW)]
    alone = quiet_control(units_of(marked), seed=0, resamples=100)
    assert "labelled Normal" in alone.meaning
    one = quiet_control(units_of(marked + normal), seed=0, resamples=100)
    assert (one.probability.value is not None, one.probability.low) == (True, None)
    assert "too few recordings" in one.meaning
    assert ranking_control(units_of(marked)).probability.low is None


def test_a_quiet_view_of_a_drive_is_no_normal_recording() -> None:
    """What the rear camera saw while the front saw a crash does not count as normal footage."""
    drive = [
        recording("front", "Anomaly", [0.5] * 8, windows=WINDOW, drive="d"),
        recording("rear", "Normal", [0.9] * 8, drive="d"),
    ]
    units = units_of([*drive, recording("n", "Normal", [0.1] * 3)])
    assert quiet_control(units, seed=0, resamples=0).against == 3
