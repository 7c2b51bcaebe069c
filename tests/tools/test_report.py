import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgewatch.config.errors import ConfigError
from edgewatch.tools.labels import RecordingLabel, Window
from edgewatch.tools.page import MAX_PICTURED, render_page
from edgewatch.tools.recordings import NotFound
from edgewatch.tools.report import prepare_folder, summary, verdict_lines, write_report
from edgewatch.tools.results import RecordingResult, Replay, offset
from edgewatch.tools.table import print_table
from tests.tools.replays import IMPACT, RECORDED_SECONDS, a_replay, a_result

ANOMALY = RecordingLabel("Anomaly", "drive", (Window(5.0, 12.0),))
NORMAL = RecordingLabel("Normal", "fixed")
NAUGHTY = "<script>alert(1)</script>&\"'.mp4"


def crash() -> RecordingResult:
    return a_result(NAUGHTY, [0.1, 0.2, 0.8, 0.9, 0.7, 0.1], label=ANOMALY)


def quiet() -> RecordingResult:
    return a_result("quiet.mp4", [0.1, 0.3, 0.2], label=NORMAL)


def printed(replay: Replay, width: int = 110) -> str:
    out = io.StringIO()
    print_table(replay, Console(file=out, width=width))
    return out.getvalue()


def test_report_writes_its_four_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    page = write_report(a_replay(crash(), quiet()), tmp_path / "deep" / "out")
    assert sorted(one.name for one in page.parent.iterdir()) == [
        "events.jsonl",
        "report.html",
        "summary.json",
        "verdicts.jsonl",
    ]


def test_verdict_line_is_the_published_verdict_less_what_depends_on_the_run() -> None:
    lines = list(verdict_lines(a_replay(crash())))
    assert len(lines) == 6
    assert lines[3] == {
        "file": NAUGHTY,
        "camera": "front",
        "media_start_seconds": 7.5,
        "media_end_seconds": 12.5,
        "schema": 1,
        "label": "Anomaly",
        "score": 0.9,
        "threshold": 0.5,
        "start": "2026-05-28T20:26:47.500Z",
        "end": "2026-05-28T20:26:52.500Z",
        "engine": "builtin-1",
        "warming_up": False,
        "uncertain": False,
        "evidence": [
            {
                "kind": IMPACT.kind,
                "strength": IMPACT.strength,
                "where": IMPACT.where,
                "detail": IMPACT.detail,
            }
        ],
        "replay": True,
    }


def test_verdicts_of_two_runs_are_the_same_bytes(tmp_path: Path) -> None:
    slow = a_result("a.mp4", [0.1, 1 / 3], latency_ms=900.0, dated=False)
    moved = tuple(
        replace(one, clip_id=f"other-{one.clip_id}", start_seconds=one.start_seconds + 60.0)
        for one in slow.verdicts
    )
    first = write_report(a_replay(replace(slow, verdicts=moved)), tmp_path / "1").parent
    fast = a_result("a.mp4", [0.1, 1 / 3], latency_ms=20.0, dated=False)
    second = write_report(a_replay(fast, wall_seconds=1.0), tmp_path / "2").parent
    assert (first / "verdicts.jsonl").read_bytes() == (second / "verdicts.jsonl").read_bytes()
    assert '"score": 0.333333,' in (first / "verdicts.jsonl").read_text()


def test_time_of_a_recording_without_date_is_null_not_the_time_of_the_replay() -> None:
    (line,) = verdict_lines(a_replay(a_result("a.mp4", [0.1], dated=False)))
    assert (line["start"], line["end"]) == (None, None)


def test_event_lines_are_every_step_with_its_file(tmp_path: Path) -> None:
    folder = write_report(a_replay(crash(), quiet()), tmp_path).parent
    steps = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert {step["file"] for step in steps} == {NAUGHTY}
    assert [step["type"] for step in steps] == ["new", "update", "end"]
    assert [step["revision"] for step in steps] == [1, 2, 3]


def test_summary_has_totals_statistics_and_each_recording(tmp_path: Path) -> None:
    replay = replace(a_replay(crash(), quiet()), not_found=(NotFound("x.mp4", "does not exist"),))
    found = json.loads((write_report(replay, tmp_path).parent / "summary.json").read_text())
    assert (found["recordings"], found["clips"], found["dropped"], found["events"]) == (2, 9, 0, 1)
    assert found["failed"] == [{"file": "x.mp4", "reason": "does not exist"}]
    assert found["footage_seconds"] == 27.5
    assert found["speed"] == 2.2
    overall = found["statistics"][0]
    assert (overall["auc"], overall["always_anomaly_f1"]) == (1.0, 0.666667)
    assert overall["by_event"]["f1"] == 1.0
    first = found["results"][0]
    assert (first["by_event"], first["peak_score"], first["peak_start_seconds"]) == (
        "Anomaly",
        0.9,
        7.5,
    )
    assert first["events"][0]["start_seconds"] == 5.0
    assert first["events"][0]["end_seconds"] == 15.0
    assert first["events"][0]["ended_by"] == "stream_ended"


def test_undefined_figure_gives_its_reason_in_the_summary() -> None:
    (overall,) = summary(a_replay(quiet()))["statistics"]
    assert overall["auc"] == {"undefined": "no recording is labelled Anomaly"}


def test_recording_cut_short_counts_in_no_statistics_and_is_named() -> None:
    cut = a_result("cut.mp4", [0.1, 0.9, 0.9], label=ANOMALY, error="ends in the middle")
    replay = a_replay(crash(), quiet(), cut)
    assert replay.statistics[0].by_event.total == 2
    assert replay.uncounted == 1
    assert replay.failed == (NotFound("cut.mp4", "ends in the middle"),)
    assert any("not judged to the end" in note for note in summary(replay)["notes"])


def test_recording_too_short_for_an_event_is_said() -> None:
    replay = a_replay(a_result("short.mp4", [0.95], label=ANOMALY), quiet())
    assert replay.statistics[0].by_event.recall.value == 0.0
    assert replay.statistics[0].by_clip.recall.value == 1.0
    assert any("shorter than the 2 clips" in note for note in summary(replay)["notes"])


def test_page_escapes_every_text() -> None:
    evil = "<img src=x onerror=alert(2)>"
    result = a_result(NAUGHTY, [0.9, 0.9], words=evil, label=RecordingLabel("Anomaly", evil))
    verdicts = tuple(replace(v, evidence=(replace(IMPACT, detail=evil),)) for v in result.verdicts)
    replay = replace(
        a_replay(replace(result, verdicts=verdicts, error=evil)),
        engine=evil,
        settings={evil: evil},
        not_found=(NotFound(evil, evil),),
    )
    page = render_page(replay)
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_page_asks_for_nothing_outside_itself() -> None:
    page = render_page(a_replay(crash(), quiet()))
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "url(" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_page_of_very_many_recordings_keeps_pictures_of_the_worst_and_of_events() -> None:
    worst = quiet()
    late_event = replace(crash(), verdicts=tuple(replace(v, score=0.0) for v in crash().verdicts))
    page = render_page(a_replay(*[worst] * (MAX_PICTURED + 5), late_event))
    assert page.count("<section") == MAX_PICTURED + 6
    pictures = MAX_PICTURED * len(worst.worst) + len(late_event.worst)
    assert page.count("<img ") == pictures


def test_page_of_a_day_of_footage_stays_small() -> None:
    day = a_result("day.mp4", [0.1] * 34_560, pictures=False)
    assert len(render_page(a_replay(day))) < 400_000


def test_page_without_anything_found_still_says_why() -> None:
    replay = replace(a_replay(), not_found=(NotFound("gone.mp4", "does not exist"),))
    page = render_page(replay)
    assert "gone.mp4" in page
    assert "does not exist" in page


def test_older_report_is_replaced(tmp_path: Path) -> None:
    write_report(a_replay(crash()), tmp_path)
    write_report(a_replay(quiet()), tmp_path)
    assert "quiet.mp4" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "events.jsonl").read_text() == ""


@pytest.mark.parametrize("act", [prepare_folder, lambda at: write_report(a_replay(quiet()), at)])
def test_folder_that_cannot_be_made_is_named_with_the_cure(tmp_path: Path, act) -> None:  # type: ignore[no-untyped-def]  # two callables of one use
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--report .*/file/out: cannot be written.*another"):
        act(tmp_path / "file" / "out")


def test_prepared_folder_is_there_and_empty(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_table_has_a_row_for_each_recording_the_figures_and_what_failed() -> None:
    replay = replace(a_replay(crash(), quiet()), not_found=(NotFound("x[/].mp4", "is no video"),))
    text = printed(replay)
    assert re.search(r"alert\(1\).*Anomaly +event, right +0\.90 +0:07\.5 +6", text)
    assert re.search(r"quiet\.mp4 +Normal +no event, right +0\.30 +0:02\.5 +3", text)
    assert re.search(r"all \(2\) +event +1\.00 +1\.00 +1\.00 +1\.00 +1\.00 +0\.67", text)
    assert "failed x[/].mp4: is no video" in text
    assert "2 recordings, 9 clips judged, 0 dropped, 1 event;" in text


def test_table_without_labels_has_neither_labels_nor_figures() -> None:
    text = printed(a_replay(a_result("a.mp4", [0.2, 0.9]), a_result("b.mp4", [])))
    assert "suspect clip, no event" in text
    assert "too short for a clip" in text
    assert "AUC" not in text
    assert "label" not in text


@pytest.mark.parametrize(
    ("label", "scores", "words"),
    [
        (ANOMALY, [0.1, 0.1], "no event, missed"),
        (NORMAL, [0.9, 0.9], "event, false alarm"),
        (NORMAL, [0.9, 0.9, *[0.0] * 12, 0.9, 0.9], "2 events, false alarm"),
    ],
)
def test_table_says_how_an_answer_met_its_label(
    label: RecordingLabel, scores: list[float], words: str
) -> None:
    assert words in printed(a_replay(a_result("a.mp4", scores, label=label)))


@given(st.floats(0.0, 1e6))
def test_offset_reads_back_to_the_tenth(seconds: float) -> None:
    total = 0.0
    for part in offset(seconds).split(":"):
        total = total * 60 + float(part)
    assert total == pytest.approx(seconds, abs=0.051)


def test_offset_carries_over() -> None:
    assert [offset(one) for one in (0, 59.96, 754.25, 3723.0)] == [
        "0:00.0",
        "1:00.0",
        "12:34.2",
        "1:02:03.0",
    ]


def test_event_without_end_reaches_the_end_of_the_recording() -> None:
    result = crash()
    still_open = replace(result, events=result.events[:1])
    assert still_open.spans[0].end_seconds == result.duration_seconds
    assert result.events[0].start_seconds == RECORDED_SECONDS + 5.0
