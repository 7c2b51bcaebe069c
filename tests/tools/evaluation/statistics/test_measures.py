from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.config.errors import ConfigError
from edgewatch.tools.evaluation.evaluation import EngineRun, JudgedRecording
from edgewatch.tools.evaluation.statistics import libraries
from edgewatch.tools.evaluation.statistics.measures import compare_runs, measure_run
from edgewatch.tools.metrics import Confusion
from tests.tools.evaluation.statistics.made_runs import event, recording, run


def _seventeen() -> EngineRun:
    random = np.random.default_rng(4)
    found = []
    for i in range(17):
        anomalous = i < 8
        scores = np.clip(random.normal(0.35, 0.15, 12), 0, 1)
        if anomalous:
            scores[6:9] += 0.3
        found.append(
            recording(
                f"r{i}",
                "Anomaly" if anomalous else "Normal",
                [float(min(1.0, one)) for one in scores],
                windows=[(30, 45)] if anomalous else [],
                events=[event(30, 45)] if scores[6] > 0.5 and scores[7] > 0.5 else [],
                group="drive" if i % 2 else "fixed",
            )
        )
    return run(found)


def test_all_figures_of_a_small_run() -> None:
    found = measure_run(_seventeen(), resamples=300)
    assert [one.group for one in found.groups] == ["", "drive", "fixed"]
    overall = found.overall
    assert (overall.recordings.anomalous, overall.recordings.normal) == (8, 9)
    assert (overall.clips.anomalous, overall.clips.normal) == (24, 180)
    assert (overall.recordings.level, overall.recordings.units) == ("recording", 17)
    assert overall.clips.units == 17
    assert overall.clips.by_event is None
    assert overall.recordings.by_event is not None
    assert overall.false_alarms.normal_hours == pytest.approx(9 * 60 / 3600)
    assert any("Few recordings: 8 anomalous, 9 normal" in one for one in found.notes)
    groups = found.groups[1:]
    assert sum(one.recordings.units for one in groups) == 17


def test_the_same_seed_gives_the_same_figures() -> None:
    first, again = (measure_run(_seventeen(), seed=3, resamples=250) for _ in range(2))
    other = measure_run(_seventeen(), seed=4, resamples=250)
    assert first == again
    assert first.overall.clips.roc_auc.low != other.overall.clips.roc_auc.low
    assert first.overall.clips.roc_auc.value == other.overall.clips.roc_auc.value


def test_views_of_a_drive_count_once() -> None:
    found = measure_run(
        run(
            [
                recording("1/front", "Anomaly", [0.1, 0.9], drive="1", view="front"),
                recording("1/rear", "Anomaly", [0.1, 0.1], drive="1", view="rear"),
                recording("2/front", "Normal", [0.1, 0.2], drive="2", view="front"),
                recording("2/rear", "Normal", [0.1, 0.7], drive="2", view="rear"),
                recording("alone", "Normal", [0.1]),
            ]
        ),
        resamples=50,
    )
    level = found.overall.recordings
    assert (level.level, level.units) == ("drive", 3)
    assert level.answers.confusion == Confusion(
        true_anomaly=1, false_anomaly=1, true_normal=1, false_normal=0
    )
    assert found.overall.clips.left_out == 4
    assert any("4 clips of anomalous recordings" in one for one in found.notes)
    assert any("label windows" in one for one in found.notes)


def test_no_better_than_always_anomaly_is_said() -> None:
    found = measure_run(
        run(
            [recording(f"a{i}", "Anomaly", [0.9 if i else 0.1]) for i in range(3)]
            + [recording(f"n{i}", "Normal", [0.9]) for i in range(2)]
        ),
        resamples=50,
    )
    assert any("no better than that of always answering Anomaly" in one for one in found.notes)
    assert any("fewer clips than an event needs" in one for one in found.notes)


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _numbers(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(one)


def test_without_resamples_figures_say_so() -> None:
    found = measure_run(_seventeen(), resamples=0).overall
    assert found.recordings.roc_auc.low is not None
    assert found.clips.answers.recall.low is not None
    for one in (found.recordings.brier, found.clips.roc_auc, found.clips.average_precision):
        assert (one.low, one.reason) == (None, "no resamples were asked for: no interval")


@st.composite
def _recordings(draw: st.DrawFn) -> list[JudgedRecording]:
    scores = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.500001, 0.9, 1.0]), min_size=1, max_size=5)
    found = []
    for index in range(draw(st.integers(1, 7))):
        anomalous = draw(st.booleans())
        marked = anomalous and draw(st.booleans())
        found.append(
            recording(
                f"r{index}",
                "Anomaly" if anomalous else "Normal",
                draw(scores),
                windows=[(5, 10)] if marked else [],
                events=[event(0, 10)] if draw(st.booleans()) else [],
                drive=draw(st.sampled_from(["", "", "d"])),
                group=draw(st.sampled_from(["", "g"])),
            )
        )
    return found


@given(_recordings())
@settings(max_examples=15, deadline=None)
def test_whatever_was_judged_no_figure_is_nan_and_what_is_missing_says_why(
    recordings: list[JudgedRecording],
) -> None:
    measured = run(recordings)
    found = dataclasses.asdict(measure_run(measured, resamples=30))
    pair = dataclasses.asdict(
        compare_runs(measured, dataclasses.replace(measured, asked="b", threshold=0.9))
    )
    for one in (found, pair):
        assert all(math.isfinite(number) for number in _numbers(one))
        json.dumps(one, allow_nan=False)
        for estimate in _estimates(one):
            value, low, high = estimate["value"], estimate["low"], estimate["high"]
            assert (low is None) == (high is None)
            if value is None or low is None:
                assert estimate["reason"]
            else:
                assert low <= value + 1e-9
                assert value <= high + 1e-9


def _estimates(value: object) -> Iterator[dict[str, float]]:
    if isinstance(value, dict):
        if value.keys() == {"value", "low", "high", "reason"}:
            yield value
        for one in value.values():
            yield from _estimates(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _estimates(one)


def test_a_missing_library_names_the_extra() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'edgewatch\[evaluate\]'"):
        libraries._library("scipy_is_not_here.stats")


@pytest.mark.long
def test_a_thousand_recordings_of_a_hundred_clips_take_seconds() -> None:
    random = np.random.default_rng(0)
    scores = random.beta(2, 3, size=(1000, 100))
    big = run(
        [
            recording(
                f"r{i}",
                "Anomaly" if i % 2 else "Normal",
                [float(one) for one in scores[i]],
                windows=[(100, 140)] if i % 2 else [],
            )
            for i in range(1000)
        ]
    )
    began = time.process_time()
    found = measure_run(big)
    assert time.process_time() - began < 10
    assert found.overall.clips.resamples == 2000
