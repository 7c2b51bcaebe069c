"""`edgewatch calibrate` from an evaluation's folder and from feedback, to the file and its use."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from edgewatch.pipeline.engines.calibration import Calibration
from edgewatch.pipeline.engines.calibration_file import read_calibration, write_calibration
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import Feedback, Verdict
from edgewatch.tools.calibrate import main
from edgewatch.tools.evaluation.evaluation import (
    EngineRun,
    Evaluation,
    JudgedClip,
    JudgedRecording,
)
from edgewatch.tools.evaluation.reporting.spreadsheets import clips_csv
from edgewatch.tools.evaluation.reporting.summary import summary
from edgewatch.tools.labels import Window
from edgewatch.tools.tune import main as tune
from tests.fakes.clips import FRONT, make_verdict
from tests.fakes.evaluations import made_measures
from tests.fakes.events import make_event
from tests.fakes.videos import drifting_bar, noisy_scene, write_video
from tests.tools.calibrating.made import chance

SETTINGS = """
[service]
data_dir = "data"
[[cameras]]
name = "front"
url = "rtsp://127.0.0.1/front"
[[cameras]]
name = "yard"
url = "rtsp://127.0.0.1/yard"
threshold = 0.8
"""
HOUR = 3600.0


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "edgewatch.toml"
    file.write_text(SETTINGS)
    return f"--config={file}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "edgewatch-calibration.json"


def evaluated(folder: Path, *, recordings: int = 60, engine: str = "builtin-1") -> str:
    """The folder of an evaluation of an engine that is far too sure; incidents in every other."""
    made = []
    for one in chance(recordings, 20, slope=0.35, offset=-1.0).series:
        clips = tuple(
            JudgedClip(
                f"{one.name}-{number}",
                5.0 * number,
                5.0 * number + 5.0,
                float(score),
                "incident" if truth else "normal" if one.kind == "normal" else "quiet",
            )
            for number, (score, truth) in enumerate(zip(one.scores.score, one.truth, strict=True))
        )
        windows = tuple(
            Window(clip.start_seconds, clip.end_seconds)
            for clip in clips
            if clip.truth == "incident"
        )
        label = "Normal" if one.kind == "normal" else "Anomaly"
        made.append(JudgedRecording(one.name, label, windows=windows, clips=clips))  # type: ignore[arg-type]  # a Label
    run = EngineRun("builtin", engine, 0.5, 2, tuple(made))
    evaluation = Evaluation("rides", (run,))
    folder.mkdir()
    (folder / "clips.csv").write_text("".join(clips_csv(evaluation)))
    (folder / "summary.json").write_text(json.dumps(summary(evaluation, made_measures(), ())))
    return f"--evaluation={folder}"


class TestEvaluation:
    def test_the_file_is_written_where_the_engine_looks_and_everything_is_told(
        self, tmp_path: Path, config: str, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = evaluated(tmp_path / "out")
        wish = "--false-alarms-per-day=1"
        assert main([source, config, wish, f"--report={tmp_path / 'cal'}"]) == 0
        calibration = read_calibration(file)
        assert calibration.engine == "builtin-1"
        assert calibration.method == "platt"
        assert calibration.counts.recordings == 60
        assert calibration.chosen is not None
        assert calibration.chosen.wish == "false_alarms_per_day"
        told = " ".join(capsys.readouterr().out.split())
        assert "60 recordings (30 with an incident)" in told
        assert "As the engine scores" in told
        assert "Calibrated, on recordings left out" in told
        assert "1 false alarms a day cannot be promised from" in told
        assert "threshold 0.8 (camera yard) is" in told
        assert f"verdicts name {calibration.name}" in told
        assert f"[engine] threshold = {calibration.chosen.threshold!r}" in told
        assert f"camera yard: threshold = {calibration.apply(0.8):.4g}" in told
        assert '[engine] calibration = "none"' in told

    def test_the_report_needs_nothing_else(
        self, tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        report = tmp_path / "cal"
        source = evaluated(tmp_path / "out", engine="builtin-1<b>")
        assert main([source, config, "--dry-run", f"--report={report}"]) == 0
        assert f"report: {report / 'report.html'}" in capsys.readouterr().out.replace("\n", "")
        page = (report / "report.html").read_text()
        assert page.count("<svg") == 1
        assert "builtin-1&lt;b&gt;" in page
        assert "builtin-1<b>" not in page
        assert re.findall(r"https?://[^\"<\s]+", page) == ["http://www.w3.org/2000/svg"]
        assert "<script" not in page
        assert ">nan" not in page
        drawing = ElementTree.fromstring((report / "reliability.svg").read_text())
        circles = drawing.findall("{http://www.w3.org/2000/svg}circle")
        found = json.loads((report / "summary.json").read_text())
        both = found["reliability"]["before"]["bins"], found["reliability"]["after"]["bins"]
        assert len(circles) == sum(map(len, both)) == 20
        assert found["reliability"]["after"]["error"] < found["reliability"]["before"]["error"]

    def test_a_dry_run_writes_nothing(self, tmp_path: Path, config: str, file: Path) -> None:
        assert main([evaluated(tmp_path / "out"), config, "--dry-run", "--recall=0.9"]) == 0
        assert not file.exists()

    def test_json_is_one_document(
        self, tmp_path: Path, config: str, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([evaluated(tmp_path / "out"), config, "--recall=0.5", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["file"] == str(file)
        assert found["calibration"] == json.loads(file.read_text())
        assert [one["method"] for one in found["methods"]] == [
            "none", "temperature", "platt", "isotonic",
        ]  # fmt: skip
        assert found["threshold"]["recall"]["value"] >= 0.5

    def test_too_little_is_refused_and_nothing_is_written(
        self, tmp_path: Path, config: str, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([evaluated(tmp_path / "out", recordings=10), config]) == 1
        assert "5 recordings with an incident, 8 are needed (3 more)" in capsys.readouterr().err
        assert not file.exists()

    def test_a_threshold_alone_needs_no_fit(
        self, tmp_path: Path, config: str, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = evaluated(tmp_path / "out", recordings=4)
        assert main([source, config, "--method=none", "--false-alarms-per-day=50"]) == 0
        calibration = read_calibration(file)
        assert (calibration.method, calibration.name) == ("none", "builtin-1")
        assert calibration.chosen is not None
        assert "+cal@" not in capsys.readouterr().out

    def test_scores_that_are_calibrated_already_are_refused(
        self, tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = evaluated(tmp_path / "out", engine="builtin-1+cal@0123abcd")
        assert main([source, config]) == 78
        assert "calibrated already" in capsys.readouterr().err

    def test_scores_of_another_kind_of_engine_need_a_file_of_their_own(
        self, tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = evaluated(tmp_path / "out", engine="remote:m@1a2b3c4d")
        assert main([source, config]) == 78
        assert 'the settings run "builtin"' in capsys.readouterr().err
        output = tmp_path / "mine.json"
        assert main([source, config, f"--output={output}"]) == 0
        assert read_calibration(output).engine == "remote:m@1a2b3c4d"
        assert f'[engine] calibration = "{output}"' in capsys.readouterr().out.replace("\n", "")

    def test_the_thresholds_in_force_are_taken_back_through_the_calibration_in_force(
        self, tmp_path: Path, config: str, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = Calibration("platt", "builtin-1", slope=0.5, offset=-2.0)
        write_calibration(before, file)
        assert main([evaluated(tmp_path / "out"), config, "--json"]) == 0
        moved = json.loads(capsys.readouterr().out)["thresholds_in_force"]
        now = read_calibration(file)
        (raw,) = before.undo_all([0.5])
        assert moved[0]["same"] == pytest.approx(now.apply(raw), abs=1e-5)
        kept = file.with_name(f"edgewatch-calibration.{before.hash}.json")
        assert read_calibration(kept) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name one source of scores"),
        (["rides", "--feedback"], "name one source of scores"),
        (["--feedback", "--engine=builtin"], "leave out --engine"),
        (["--feedback", "--labels=x.csv"], "go with a DATASET"),
        (["rides", "--recall=1.5"], "is no number from"),
        (["rides", "--method=magic"], "none of auto, none, temperature, platt, isotonic"),
        (["rides", "--recall=0.9", "--false-alarms-per-day=1"], "not allowed with"),
    ],
)
def test_what_does_not_go_together_is_told(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert told in capsys.readouterr().err


class TestDataset:
    def test_recordings_are_judged_without_the_calibration_in_force(
        self, tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Two short videos by the real engine: its plain scores choose the threshold."""
        settings = tmp_path / "edgewatch.toml"
        settings.write_text(SETTINGS + "[clips]\nseconds = 1.0\nstride_seconds = 0.5\n")
        write_calibration(Calibration("platt", "builtin-1", slope=0.5, offset=-2.0), file)
        rides = tmp_path / "rides"
        rides.mkdir()
        for name, draw in (("Norm_bar.mp4", drifting_bar), ("Anom_noise.mp4", noisy_scene)):
            write_video(rides / name, width=64, frames=30, draw=draw, created=None)
        arguments = [str(rides), f"--config={settings}", "--method=none", "--recall=1"]
        assert main([*arguments, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["calibration"]["engine"] == "builtin-1"
        assert found["calibration"]["method"] == "none"
        assert found["threshold"]["incidents"] == 1
        assert found["notes"][0].startswith("1 anomalous recording without a marked time")
        assert read_calibration(file).method == "none"

    def test_a_folder_that_is_not_there_is_told(
        self, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([str(tmp_path / "absent"), config]) == 78
        assert "does not exist" in capsys.readouterr().err


class TestFeedback:
    @pytest.fixture
    def now(self) -> float:
        return float(time.time() // HOUR * HOUR)  # never in the future, which no command reads

    @pytest.fixture
    def store(self, tmp_path: Path, now: float) -> Iterator[Store]:
        """Thirty hours, an event in each: by turns confirmed, a false alarm, unspoken of."""
        rng = np.random.default_rng(2)
        start = now - 30 * HOUR
        ends = np.arange(start + 30.0, now, 30.0)
        calm = 1 / (1 + np.exp(-rng.normal(-3.0, 0.8, len(ends))))
        with Store(tmp_path / "data" / "edgewatch.db") as store:
            for number in range(30):
                at = start + HOUR * number + 600.0
                store.save_event(make_event(f"event-{number}", at, end_seconds=at + 90.0))
                within = (ends > at) & (ends - 30.0 < at + 90.0)
                calm[within] = rng.uniform(0.6, 0.99 if number % 3 == 0 else 0.8, within.sum())
                if number % 3 < 2:
                    store.set_feedback(
                        Feedback(f"event-{number}", FRONT, number % 3 == 0, "", "cli", at)
                    )
            verdicts = [
                make_verdict(float(end), float(score), seconds=30.0)
                for end, score in zip(ends, calm, strict=True)
            ]
            store.save_verdicts(verdicts)
            yield store

    def test_what_people_said_is_fitted_on(
        self, store: Store, config: str, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--feedback", config, "--since=-3d", "--method=platt"]) == 0
        calibration = read_calibration(file)
        assert calibration.engine == make_verdict(1.0, 0.5).engine
        assert calibration.counts.incident_recordings == 10
        told = " ".join(capsys.readouterr().out.split())
        assert "time without an event counts as normal" in told
        assert "10 events of which nobody said anything are left out" in told
        assert calibration.apply(0.1) < 0.05 < calibration.apply(0.9)

    def test_scores_that_were_calibrated_lead_back_to_the_same_fit(
        self, store: Store, config: str, file: Path, tmp_path: Path, now: float
    ) -> None:
        arguments = ["--feedback", config, "--since=-3d", "--method=platt"]
        assert main(arguments) == 0
        first = read_calibration(file)
        rows = store.verdicts(FRONT, now - 31 * HOUR, now)
        half = rows[len(rows) // 2 :]
        store.save_verdicts([calibrated(one, first) for one in half])
        assert main(arguments) == 0
        again = read_calibration(file)
        assert again.slope == pytest.approx(first.slope, rel=1e-3)
        assert again.offset == pytest.approx(first.offset, abs=1e-2)

    def test_tune_takes_the_scores_of_one_scale_alone(
        self, store: Store, config: str, now: float, capsys: pytest.CaptureFixture[str]
    ) -> None:
        platt = Calibration("platt", make_verdict(1.0, 0.5).engine, slope=0.5)
        rows = store.verdicts(FRONT, now - 31 * HOUR, now)
        half = rows[len(rows) // 2 :]
        store.save_verdicts([calibrated(one, platt) for one in half])
        assert tune(["--camera", "front", "--since=-3d", config]) == 0
        told = " ".join(capsys.readouterr().out.split())
        assert f"front: {len(half)} clips" in told
        assert f"calibrated otherwise, and left out: these are of {platt.name}." in told

    def test_an_empty_book_is_told(
        self, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with Store(tmp_path / "data" / "edgewatch.db"):
            pass
        assert main(["--feedback", config]) == 1
        assert "no score of any camera is on record" in capsys.readouterr().err


def calibrated(verdict: Verdict, calibration: Calibration) -> Verdict:
    """The same clip as a calibrated engine would have judged it."""
    return replace(verdict, score=calibration.apply(verdict.score), engine=calibration.name)
