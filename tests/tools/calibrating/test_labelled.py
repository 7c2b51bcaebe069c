from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.tools.calibrating.earlier import read_run
from edgewatch.tools.calibrating.labelled import Labelled, labelled_run
from edgewatch.tools.evaluation.evaluation import EngineRun, Evaluation, NearDuplicate
from edgewatch.tools.evaluation.reporting.spreadsheets import clips_csv
from edgewatch.tools.evaluation.reporting.summary import summary
from tests.fakes.evaluations import FIRST, an_evaluation, made_measures


def labelled(run: EngineRun, *duplicates: NearDuplicate) -> Labelled:
    return labelled_run(run, duplicates, source="rides")


def test_quiet_clips_of_an_anomalous_recording_are_no_incident() -> None:
    run = an_evaluation().runs[0]
    found = labelled(run)
    for series, one in zip(found.series, run.recordings, strict=True):
        truths = {"normal": 0.0, "quiet": 0.0, "incident": 1.0}
        known = [truths.get(clip.truth, np.nan) for clip in one.clips]
        if "unmarked" not in one.name:
            assert series.truth.tolist() == known
        assert series.scores.score.tolist() == [clip.score for clip in one.clips]
        assert series.windows == tuple((w.start_seconds, w.end_seconds) for w in one.windows)


def test_an_incident_that_nobody_marked_is_its_recordings_worst_clip() -> None:
    found = labelled(an_evaluation().runs[0])
    (unmarked,) = (one for one in found.series if one.name == "unmarked.mp4")
    assert unmarked.truth[1] == 1.0
    assert np.isnan(unmarked.truth[[0, 2]]).all()
    assert found.notes[0].startswith("1 anomalous recording without a marked time")


def test_views_of_a_drive_and_near_duplicates_are_one_witness() -> None:
    run = an_evaluation().runs[0]
    alone = {one.name: one.group for one in labelled(run).series}
    assert alone["night/front.mp4"] == alone["night/left.mp4"] != alone["quiet.mp4"]
    joined = labelled(run, NearDuplicate("quiet.mp4", "night/left.mp4", 0.99))
    groups = {one.name: one.group for one in joined.series}
    assert groups["night/front.mp4"] == groups["quiet.mp4"]
    assert len({*joined.clips.group.tolist()}) == len({*groups.values()})


def test_a_clip_without_an_answer_tells_nothing() -> None:
    run = an_evaluation().runs[0]
    first = run.recordings[0]
    torn = replace(first, clips=(replace(first.clips[0], score=np.nan), *first.clips[1:]))
    found = labelled(replace(run, recordings=(torn, *run.recordings[1:])))
    assert len(found.series[0].scores) == len(first.clips) - 1
    assert np.isfinite(found.clips.score).all()


def written(evaluation: Evaluation, folder: Path) -> Path:
    (folder / "clips.csv").write_text("".join(clips_csv(evaluation)))
    (folder / "summary.json").write_text(json.dumps(summary(evaluation, made_measures(), ())))
    return folder


def test_an_evaluation_is_read_again_as_it_was(tmp_path: Path) -> None:
    evaluation = an_evaluation(settings={f"{FIRST}.prompt": "Fire?"})
    found = read_run(written(evaluation, tmp_path), FIRST)
    assert found.prompt == "Fire?"
    assert found.run.engine == evaluation.runs[0].engine
    assert found.duplicates == evaluation.duplicates
    fresh = labelled(evaluation.runs[0], *evaluation.duplicates)
    again = labelled(found.run, *found.duplicates)
    for one, other in zip(fresh.series, again.series, strict=True):
        assert (one.name, one.group, one.kind, one.windows) == (
            other.name, other.group, other.kind, other.windows,
        )  # fmt: skip
        assert np.array_equal(one.truth, other.truth, equal_nan=True)
        assert np.allclose(one.scores.score, other.scores.score)


def test_of_several_engines_one_must_be_named(tmp_path: Path) -> None:
    folder = written(an_evaluation(), tmp_path)
    with pytest.raises(ConfigError, match="name one of its engines with --engine: builtin, fp4"):
        read_run(folder, None)
    alone = an_evaluation()
    written(replace(alone, runs=alone.runs[:1]), tmp_path)
    assert read_run(folder, None).run.asked == FIRST


def test_a_folder_without_a_report_is_told_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no report of edgewatch evaluate"):
        read_run(tmp_path, None)
    (tmp_path / "clips.csv").write_text("a,b\n")
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(ConfigError, match="evaluate again"):
        read_run(tmp_path, None)
