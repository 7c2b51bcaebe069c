"""Judgements put together: truth, labels, events, costs, pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewatch.pipeline.events import EventRules
from edgewatch.pipeline.types import CameraName
from edgewatch.tools.evaluation.assembly import Rules, run_of, truth_of
from edgewatch.tools.evaluation.costs import costs_of
from edgewatch.tools.evaluation.dataset import LabelledRecording
from edgewatch.tools.evaluation.judgement import ClipAnswer, Judgement, Seen, Signature
from edgewatch.tools.evaluation.pictures import pictures_of, wanted_clips
from edgewatch.tools.labels import RecordingLabel, Window
from edgewatch.tools.recordings import Recording

SCORES = (0.1, 0.7, 0.8, 0.2, 0.1)
STRIDE_SECONDS, CLIP_SECONDS = 2.0, 4.0
ACCIDENT = RecordingLabel("Anomaly", "drive", (Window(3.0, 5.0),), "monday", "front")
SEEN = Seen(
    clips=len(SCORES),
    duration_seconds=14.0,
    decode_seconds=0.5,
    pictures_decoded=350,
    signature=Signature(np.empty((0, 16, 16), np.uint8)),
)


def labelled(name: str, label: RecordingLabel) -> LabelledRecording:
    return LabelledRecording(Recording(Path(name), CameraName(Path(name).stem), name), label)


def said(scores: tuple[float, ...] = SCORES) -> Judgement:
    return Judgement(
        engine="fake-1",
        answers=tuple(
            ClipAnswer(number * STRIDE_SECONDS, number * STRIDE_SECONDS + CLIP_SECONDS, score)
            for number, score in enumerate(scores)
        ),
        engine_ms=(20.0,) * len(scores),
        batch_ms=(40.0,) * len(scores),
        judging_seconds=0.2,
        load_seconds=3.0,
    )


def rules(threshold: float) -> Rules:
    return Rules("fake", threshold, EventRules(close_after_seconds=1.0))


def test_recording_is_told_in_its_own_time_with_the_truth_of_each_clip() -> None:
    run = run_of(rules(0.5), [(labelled("crash.mp4", ACCIDENT), SEEN, said())])
    assert (run.asked, run.engine, run.threshold, run.open_after) == ("fake", "fake-1", 0.5, 2)
    (one,) = run.recordings
    assert (one.name, one.label, one.drive, one.view, one.group) == (
        ("crash.mp4", "Anomaly", "monday", "front", "drive")
    )
    assert one.duration_seconds == 14.0
    assert one.engine_seconds == pytest.approx(0.1)
    assert [clip.score for clip in one.clips] == list(SCORES)
    assert [clip.truth for clip in one.clips] == [
        "incident",
        "incident",
        "incident",
        "quiet",
        "quiet",
    ]
    assert one.clips[1].clip_id == "crash@2.000"
    (event,) = one.events
    assert (event.start_seconds, event.end_seconds, event.clips) == (2.0, 8.0, 2)


def test_threshold_decides_over_events_after_the_judging() -> None:
    account = (labelled("crash.mp4", ACCIDENT), SEEN, said())
    assert run_of(rules(0.75), [account]).recordings[0].events == ()


def test_truth_touches_windows_by_more_than_their_edge() -> None:
    assert truth_of(ACCIDENT, 5.0, 9.0) == "quiet"
    assert truth_of(ACCIDENT, 4.9, 9.0) == "incident"
    assert truth_of(ACCIDENT, 0.0, 3.0) == "quiet"
    assert truth_of(RecordingLabel("Anomaly"), 0.0, 3.0) == "unmarked"
    assert truth_of(RecordingLabel("Normal"), 0.0, 3.0) == "normal"


def test_costs_are_sums_and_energy_only_where_all_of_it_was_measured() -> None:
    first = replace(said(), energy_joules=2.0, energy_source="NVML", peak_memory_bytes=5)
    costs = costs_of([(SEEN, first), (SEEN, replace(first, load_seconds=4.0))])
    assert costs.load_seconds == 4.0
    assert costs.decode_ms == (100.0,) * 10
    assert costs.engine_ms == (20.0,) * 10
    assert costs.total_ms == (140.0,) * 10
    assert costs.judging_seconds == pytest.approx(0.4)
    assert (costs.energy_joules, costs.energy_source) == (4.0, "NVML")
    assert (costs.peak_memory_bytes, costs.peak_gpu_bytes) == (5, None)
    lacking = replace(first, energy_joules=None, energy_source="the meter broke")
    costs = costs_of([(SEEN, first), (SEEN, lacking)])
    assert (costs.energy_joules, costs.energy_source) == (None, "the meter broke")


def test_pictures_are_of_the_worst_clips_and_of_those_on_which_engines_differ() -> None:
    assert wanted_clips([SCORES], [0.5]) == [2]
    other = (0.9, 0.6, 0.1, 0.1, 0.6)
    assert wanted_clips([SCORES, other], [0.5, 0.5]) == [0, 2, 4]
    account = labelled("crash.mp4", ACCIDENT)
    runs = [run_of(rules(0.5), [(account, SEEN, said(scores))]) for scores in (SCORES, other)]
    kept = pictures_of(runs, {"crash.mp4": {0: b"0", 2: b"2"}})
    assert [(one.recording, one.clip_id, one.jpeg) for one in kept] == [
        ("crash.mp4", "crash@0.000", b"0"),
        ("crash.mp4", "crash@4.000", b"2"),
    ]
