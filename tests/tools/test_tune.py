from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgewatch.config.settings import load_settings
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import Feedback, SettingChange
from edgewatch.tools.tune import main
from tests.fakes.clips import FRONT, make_verdict
from tests.fakes.events import make_event

SETTINGS = """
[service]
data_dir = "data"
[[cameras]]
name = "front"
url = "rtsp://127.0.0.1/front"
[[cameras]]
name = "yard"
url = "rtsp://127.0.0.1/yard"
"""
DAY = 86_400.0
BURSTS = {100: 0.9, 101: 0.85, 300: 0.6, 301: 0.62, 500: 0.58, 501: 0.61, 700: 0.88, 701: 0.93}


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "edgewatch.toml"
    file.write_text(SETTINGS)
    return f"--config={file}"


@pytest.fixture
def now() -> float:
    return float(round(time.time()))


@pytest.fixture
def store(tmp_path: Path, now: float) -> Iterator[Store]:
    """Two days of a camera, a clip each minute, with four bursts: events 100, 300, 500, 700."""
    with Store(tmp_path / "data" / "edgewatch.db") as store:
        start = now - 2 * DAY
        store.save_verdicts(
            [
                make_verdict(start + 20.0 * number, BURSTS.get(number, 0.1), seconds=20.0)
                for number in range(1, int(2 * DAY / 20))
            ]
        )
        for number in (100, 300, 500, 700):
            at = start + 20.0 * number
            store.save_event(make_event(f"event-{number}", at - 5.0, end_seconds=at + 20.0))
        yield store


def say(store: Store, number: int, *, correct: bool) -> None:
    store.set_feedback(Feedback(f"event-{number}", FRONT, correct, "", "cli", 0.0))


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


class TestTune:
    def test_feedback_decides(
        self, config: str, store: Store, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for number, correct in ((100, True), (300, False), (500, False), (700, True)):
            say(store, number, correct=correct)
        tuned = document(capsys, config, "--camera=front")
        assert (tuned["confirmed"], tuned["refuted"], tuned["chosen_by"]) == (2, 2, "feedback")
        assert 0.62 < tuned["proposed"] <= 0.85
        (now,) = [one for one in tuned["thresholds"] if one["threshold"] == 0.5]
        assert (now["events"], now["hits"], now["missed"], now["false_left"]) == (4, 2, 0, 2)
        (best,) = [one for one in tuned["thresholds"] if one["threshold"] == tuned["proposed"]]
        assert (best["hits"], best["missed"], best["false_left"]) == (2, 0, 0)
        assert tuned["toml"] == f"threshold = {tuned['proposed']:g}"

    @pytest.mark.usefixtures("store")
    def test_without_feedback_the_alerts_a_day_do(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tuned = document(capsys, config, "--camera=front", "--alerts-a-day", "1.6")
        assert tuned["chosen_by"] == "alerts_a_day"
        assert 0.58 < tuned["proposed"] <= 0.6
        assert tuned["days_watched"] == pytest.approx(2.0, abs=0.01)
        assert "lowest that stays within 1.6 alerts a day" in tuned["why"]

    @pytest.mark.usefixtures("store")
    def test_since_takes_what_is_newer_alone(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert document(capsys, config, "--camera=front", "--since=-1d")["clips"] < 4_400

    def test_a_person_gets_a_table_and_the_line_to_write(
        self, config: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        say(store, 100, correct=True)
        say(store, 300, correct=False)
        assert main([config, "--camera=front"]) == 0
        out = capsys.readouterr().out
        assert "1 events confirmed, 1 called false alarms" in out
        header = next(line for line in out.splitlines() if "threshold  " in line)
        assert header.split()[-3:] == ["kept", "missed", "false"]
        assert "0.125 to 0.575" in out
        lines = out.splitlines()
        at = lines.index("  [[cameras]]")
        file = tmp_path / "new.toml"
        written = "\n".join(lines[at : at + 3]) + '\n  url = "rtsp://127.0.0.1/front"\n'
        file.write_text(written)
        (plan,) = load_settings(file, {}).plans()
        assert plan.threshold > 0.62

    def test_what_an_operator_set_is_the_threshold_of_now(
        self, config: str, store: Store, now: float, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store.log_changes([SettingChange(FRONT, "threshold", "0.61", now - 60.0, "page")])
        assert main([config, "--camera=front"]) == 0
        assert "set 0.61 over the file's 0.5" in capsys.readouterr().out
        tuned = document(capsys, config, "--camera=front")
        assert (tuned["threshold_now"], tuned["threshold_in_file"]) == (0.61, 0.5)

    @pytest.mark.usefixtures("store")
    def test_half_a_day_without_feedback_changes_nothing(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--camera=front", "--since=-12h"]) == 0
        out = capsys.readouterr().out
        assert "Less than a day says little" in out
        assert "Keep 0.5: too little was watched" in out

    @pytest.mark.usefixtures("store")
    def test_a_threshold_that_does_well_is_kept(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--camera=front", "--alerts-a-day=50"]) == 0
        assert "Keep 0.5: " in capsys.readouterr().out


@pytest.mark.usefixtures("store")
class TestNothingToGoBy:
    def test_camera_without_scores(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([config, "--camera=yard"]) == 1
        assert "no score of yard is on record" in capsys.readouterr().err

    def test_unknown_camera(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([config, "--camera=frnt"]) == 1
        assert 'no camera "frnt"' in capsys.readouterr().err

    @pytest.mark.parametrize("number", ["-1", "many", "nan"])
    def test_alerts_a_day_must_be_a_number(self, config: str, number: str) -> None:
        with pytest.raises(SystemExit):
            main([config, "--camera=front", f"--alerts-a-day={number}"])
