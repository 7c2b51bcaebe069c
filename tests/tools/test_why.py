from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewatch.pipeline.events import EventRules
from edgewatch.pipeline.inquiry import rules_as_text
from edgewatch.pipeline.messages import iso_utc
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import CameraName, Evidence, Feedback, Interval, SettingChange
from edgewatch.tools.why import main
from tests.fakes.clips import FRONT, make_verdict
from tests.fakes.events import make_event
from tests.mqtt_schemas import validate

SETTINGS = """
[service]
data_dir = "data"
[[cameras]]
name = "front"
url = "rtsp://127.0.0.1/front"
threshold = 0.4
"""
REASONS = (Evidence("impact", 0.5, "lower left", "3 times [bold]the usual[/bold]"),)


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
    """An hour of a camera: judged, but for two minutes; one burst, one event half an hour ago."""
    with Store(tmp_path / "data" / "edgewatch.db") as store:
        hour_ms = round((now - 3_600) * 1000)
        store.save_coverage(
            [
                Interval(FRONT, hour_ms, hour_ms + 3_000_000, "judged"),
                Interval(FRONT, hour_ms + 3_000_000, hour_ms + 3_120_000, "offline"),
                Interval(FRONT, hour_ms + 3_120_000, hour_ms + 3_590_000, "judged"),
            ]
        )
        scores = {400: 0.45, 720: 0.9, 721: 0.8}
        store.save_verdicts(
            [
                replace(
                    make_verdict(now - 3_600 + 2.5 * number, scores.get(number, 0.1)),
                    evidence=REASONS,
                )
                for number in range(2, 1_200)
            ]
        )
        start = now - 3_600 + 1_795.0
        store.save_event(make_event("0190-a", start, end_seconds=start + 7.5))
        yield store


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.mark.usefixtures("store")
class TestJson:
    def test_moment_below_the_threshold(
        self, config: str, now: float, capsys: pytest.CaptureFixture[str]
    ) -> None:
        at = iso_utc(now - 2_603)
        document = answer(capsys, config, "--camera=front", "--at", at)
        assert (document["kind"], document["watched"]) == ("below_threshold", "judged")
        assert document["at"] == at
        assert document["threshold_now"] == 0.4
        assert any("threshold is 0.4 now" in fact for fact in document["facts"])
        assert any("impact, lower left" in fact for fact in document["facts"])
        held = [clip for clip in document["clips"] if clip.pop("holds_the_moment")]
        assert {clip["score"] for clip in held} == {0.1, 0.45}
        for clip in held:
            validate("verdict", clip)
        assert document["rules"]["on_record"] is False

    def test_moment_of_an_event_and_what_was_said_of_it(
        self, config: str, now: float, store: Store, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store.set_feedback(Feedback("0190-a", FRONT, False, "a bird", "page", now))
        document = answer(capsys, config, "--camera=front", "--at", iso_utc(now - 1_802))
        assert (document["kind"], document["event_id"]) == ("alert", "0190-a")
        assert document["event"]["event_id"] == "0190-a"
        assert document["feedback"]["note"] == "a bird"

    def test_moment_that_was_not_watched(
        self, config: str, now: float, capsys: pytest.CaptureFixture[str]
    ) -> None:
        document = answer(capsys, config, "--camera=front", "--at=-9m")
        assert (document["kind"], document["watched"]) == ("not_watched", "offline")
        assert "(120.0 s)" in document["facts"][0]
        assert document["event"] is None

    def test_rules_of_that_time_are_found(
        self, config: str, now: float, store: Store, capsys: pytest.CaptureFixture[str]
    ) -> None:
        then = rules_as_text(EventRules(open_after=4, open_within=5))
        store.log_changes(
            [SettingChange(FRONT, key, value, now - 4_000, "settings") for key, value in
             then.items()]
        )  # fmt: skip
        store.save_verdicts([replace(make_verdict(now - 1_000.3, 0.95), clip_id="x")])
        document = answer(capsys, config, "--camera=front", "--at", iso_utc(now - 1_001))
        assert (document["kind"], document["rules"]["on_record"]) == ("hysteresis", True)
        assert document["rules"]["open_after"] == 4

    def test_fresh_moment_is_still_to_be_settled(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert answer(capsys, config, "--camera=front", "--at=-1s")["kind"] == "unsettled"


@pytest.mark.usefixtures("store")
class TestText:
    def test_headline_facts_scores_and_what_to_do(
        self, config: str, now: float, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--camera=front", "--at", iso_utc(now - 2_603)]) == 0
        out = capsys.readouterr().out
        first, headline, *_ = out.splitlines()
        assert first.startswith("front, ")
        assert headline == "Judged normal: the score 0.45 stayed below the threshold 0.5."
        assert "[bold]the usual[/bold]" in out
        assert "0.450   #########.|........." in out
        assert "-> If this was an incident" in out

    def test_answer_of_a_person_is_shown(
        self, config: str, now: float, store: Store, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store.set_feedback(Feedback("0190-a", FRONT, False, "a bird", "page", now))
        assert main([config, "--camera=front", "--at", iso_utc(now - 1_802)]) == 0
        assert "Somebody said of it: a false alarm. a bird" in capsys.readouterr().out


@pytest.mark.usefixtures("store")
class TestNoSuchThing:
    def test_camera_is_told_with_the_nearest(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--camera=frnt", "--at=-5m"]) == 1
        assert 'no camera "frnt"' in (error := capsys.readouterr().err)
        assert "front" in error

    @pytest.mark.parametrize("at", ["-2d", "2199-01-01"])
    def test_time_without_records_is_exit_1(
        self, config: str, at: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--camera=front", "--at", at, "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["watched"] is None

    def test_what_is_no_time_is_told(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main([config, "--camera=front", "--at=yesterday"])
        assert "is no time" in capsys.readouterr().err

    def test_camera_that_is_gone_has_a_past(
        self, config: str, store: Store, now: float, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store.save_verdicts([make_verdict(now - 100.0, 0.2, camera=CameraName("gate"))])
        document = answer(capsys, config, "--camera=gate", "--at", iso_utc(now - 101))
        assert (document["kind"], document["threshold_now"]) == ("below_threshold", None)


def test_records_that_are_not_there_are_told(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([config, "--camera=front", "--at=-5m"]) == 1
    assert "there is no database" in capsys.readouterr().err
