import csv
import io
from collections.abc import Iterable
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from edgewatch.tools.evaluation.evaluation import EngineRun
from edgewatch.tools.evaluation.reporting.spreadsheets import clips_csv, meant, recordings_csv
from tests.fakes.evaluations import FORMULA, HOSTILE, a_run, an_evaluation

FORMULA_STARTS = tuple("=+-@\t\r\n")


def rows(lines: Iterable[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(lines), newline="")))


def test_recordings_have_each_engines_answer_and_time_beside_each_other() -> None:
    found = {one["recording"]: one for one in rows(recordings_csv(an_evaluation()))}
    assert len(found) == 6
    crash = found[HOSTILE]
    assert (crash["label"], crash["windows"], crash["clips"]) == ("Anomaly", "5-12", "6")
    assert (crash["answer builtin"], crash["answer fp4"]) == ("Anomaly", "Normal")
    assert (crash["peak_score builtin"], crash["peak_start_s builtin"]) == ("0.9", "7.5")
    assert (crash["events builtin"], crash["events fp4"]) == ("1", "0")
    assert (crash["time_s builtin"], crash["time_s fp4"]) == ("0.02", "1.02")
    assert (found["night/left.mp4"]["drive"], found["night/left.mp4"]["view"]) == ("night", "left")


def test_clips_have_place_truth_and_each_engines_score() -> None:
    found = rows(clips_csv(an_evaluation()))
    assert len(found) == 65
    third = found[2]
    assert (third["start_s"], third["end_s"], third["truth"]) == ("5.0", "10.0", "incident")
    assert (third["answer builtin"], third["score builtin"]) == ("Anomaly", "0.8")
    assert (third["answer fp4"], third["score fp4"]) == ("Normal", "0.4")
    assert {one["truth"] for one in found} == {"incident", "quiet", "normal", "unmarked"}


def test_time_that_was_not_measured_is_empty() -> None:
    run = a_run("builtin", 0)
    bare = tuple(replace(one, engine_seconds=None) for one in run.recordings)
    found = rows(recordings_csv(an_evaluation(runs=(replace(run, recordings=bare),))))
    assert {one["time_s builtin"] for one in found} == {""}


def test_name_that_looks_like_a_formula_is_written_as_text() -> None:
    assert f"'{FORMULA}" in {one["recording"] for one in rows(recordings_csv(an_evaluation()))}
    assert f"'{FORMULA}" in {one["recording"] for one in rows(clips_csv(an_evaluation()))}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
@example("@SUM(A1)")
@example("\t=1+1")
@example("\uff1d1+1")
@example("'=1+1")
def test_no_text_begins_as_a_formula_and_none_is_lost(text: str) -> None:
    run = a_run("builtin", 0)
    named = replace(run.recordings[0], name=text, group=text, drive=text, view=text)
    only = EngineRun(text, "b", 0.5, 2, (replace(named, clips=named.clips[:1]),))
    for lines in (recordings_csv, clips_csv):
        head, *body = csv.reader(
            io.StringIO("".join(lines(an_evaluation(runs=(only,)))), newline="")
        )
        for cell in (*head, *body[0]):
            assert not cell.startswith(FORMULA_STARTS)
        assert meant(body[0][0]) == text
