from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import CameraName, Event, EvidenceRow, Feedback
from edgewatch.tools.events import follow, main

NOON_SECONDS = 1_795_262_400.0

FRONT = Event(
    event_id="0190-front",
    type="new",
    revision=1,
    camera=CameraName("front"),
    score=0.8,
    peak_score=0.91,
    peak_clip_id="c1",
    threshold=0.5,
    start_seconds=NOON_SECONDS,
    end_seconds=None,
    clips=2,
    engine="builtin-1",
    description="impact\tlower left,\n3.1 times [bold]the usual[/bold]",
)
BACK = replace(
    FRONT,
    event_id="0190-back",
    type="end",
    camera=CameraName("back"),
    start_seconds=NOON_SECONDS + 60,
    end_seconds=NOON_SECONDS + 72.5,
    ended_by="camera_lost",
    suppressed_by="cooldown",
)


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Write settings whose records lie in this test's folder."""
    file = tmp_path / "edgewatch.toml"
    file.write_text('[service]\ndata_dir = "data"\n')
    return f"--config={file}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "data" / "edgewatch.db") as store:
        store.save_event(FRONT)
        store.save_event(BACK)
        yield store


@pytest.mark.usefixtures("store")
class TestList:
    def test_events_are_lines_of_columns(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config]) == 0
        header, front, back = (line.split("\t") for line in capsys.readouterr().out.splitlines())
        assert header[1:4] == ["camera", "state", "peak"]
        assert front[1:] == [
            "front", "open", "0.91", "2", "", "0190-front",
            "impact lower left, 3.1 times [bold]the usual[/bold]", "",
        ]  # fmt: skip
        assert back[1:6] == [
            "back", "ended: camera lost, not sent (cooldown)", "0.91", "2", "12.5"
        ]  # fmt: skip

    def test_json_is_one_document_as_on_mqtt(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--json"]) == 0
        front, back = json.loads(capsys.readouterr().out)
        assert (front["event_id"], front["end"], front["schema"]) == ("0190-front", None, 1)
        assert (back["ended_by"], back["suppressed_by"]) == ("camera_lost", "cooldown")

    def test_what_was_said_of_an_event_is_shown(
        self, config: str, store: Store, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store.set_feedback(
            Feedback("0190-front", CameraName("front"), False, "a bird", "page", NOON_SECONDS)
        )
        assert main([config, "--json"]) == 0
        front, back = json.loads(capsys.readouterr().out)
        assert front["feedback"] == {"correct": False, "note": "a bird", "given_by": "page"}
        assert back["feedback"] is None
        assert main([config]) == 0
        assert [line.split("\t")[-1] for line in capsys.readouterr().out.splitlines()] == [
            "feedback", "false", ""
        ]  # fmt: skip

    def test_evidence_that_is_gone_is_told_and_named_no_more(
        self, config: str, store: Store, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store.save_event(replace(BACK, revision=2, video="back/x.mp4", thumbnail="back/x.jpg"))
        store.save_evidence(EvidenceRow("0190-back", BACK.camera, "ready", "", "back", 1, 1.0))
        kept = {"video": "back/x.mp4", "thumbnail": "back/x.jpg", "gone": False}
        for expected in (kept, {"video": None, "thumbnail": None, "gone": True}):
            assert main([config, "--json", "--camera", "back"]) == 0
            (back,) = json.loads(capsys.readouterr().out)
            assert back["evidence"] == expected
            store.delete_evidence("0190-back")

    def test_camera_and_time_choose(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        main([config, "--json", "--camera", "back"])
        assert [event["camera"] for event in json.loads(capsys.readouterr().out)] == ["back"]
        main([config, "--json", "--camera", "back", "--since", "2199-01-01"])
        assert json.loads(capsys.readouterr().out) == []
        main([config, "--json", "--since", "-1s", "--limit", "1"])
        assert len(json.loads(capsys.readouterr().out)) <= 1

    def test_a_camera_without_records_is_told_with_those_that_have(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--json", "--camera", "frnt"]) == 0
        out, err = capsys.readouterr()
        assert out == "[]\n"
        assert err == 'nothing is on record of a camera "frnt"; there are: back, front\n'

    def test_a_reader_that_has_enough_is_no_fault(self, config: str) -> None:
        command = [sys.executable, "-m", "edgewatch.daemon", "events", config]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait() == 0


class TestFollow:
    def test_each_change_is_told_once(self, store: Store, tmp_path: Path) -> None:
        ended = replace(FRONT, type="end", revision=2, end_seconds=NOON_SECONDS + 30)
        waits = iter(["nothing happens", "the event ends", "nothing happens"])

        def wait() -> bool:
            happening = next(waits, None)
            if happening == "the event ends":
                store.save_event(ended)
            return happening is not None

        with Store.open_readonly(tmp_path / "data" / "edgewatch.db") as records:
            told = list(follow(records, records.latest_change(), camera=None, wait=wait))
        assert told == [ended]

    def test_another_camera_is_not_told(self, store: Store, tmp_path: Path) -> None:
        answers = iter([True, False])
        with Store.open_readonly(tmp_path / "data" / "edgewatch.db") as records:
            told = list(follow(records, 0, camera="back", wait=lambda: next(answers)))
        assert told == [BACK]

    def test_more_changes_than_fit_one_question_are_all_told(
        self, store: Store, tmp_path: Path
    ) -> None:
        for number in range(1500):
            store.save_event(replace(FRONT, event_id=f"{number:05}"))
        answers = iter([True, False])
        with Store.open_readonly(tmp_path / "data" / "edgewatch.db") as records:
            told = list(follow(records, 2, camera=None, wait=lambda: next(answers)))
        assert [event.event_id for event in told] == [f"{number:05}" for number in range(1500)]


class TestBadInput:
    def test_without_records_the_person_is_told_what_makes_them(
        self, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--json"]) == 0
        out, err = capsys.readouterr()
        assert out == "[]\n"
        assert f"there is no {tmp_path / 'data' / 'edgewatch.db'} yet" in err
        assert "`edgewatch run`" in err
        assert main([config, "--replay"]) == 0
        assert "`edgewatch replay --publish`" in capsys.readouterr().err

    def test_wrong_settings_end_with_78(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([f"--config={tmp_path / 'absent.toml'}"]) == 78
        assert "does not exist" in capsys.readouterr().err

    def test_a_file_that_is_no_database_ends_with_1(
        self, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "edgewatch.db").write_text("not a database " * 100)
        assert main([config]) == 1
        assert "edgewatch.db" in capsys.readouterr().err

    @pytest.mark.parametrize("argument", ["--since=soon", "--limit=0", "--limit=many"])
    def test_an_argument_that_cannot_be_read_is_told(
        self, config: str, argument: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            main([config, argument])
        assert "is no " in capsys.readouterr().err
