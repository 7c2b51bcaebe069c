"""Spreadsheets: clips.csv and recordings.csv, safe to open in any program. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from edgewatch.tools.evaluation.evaluation import Evaluation
from edgewatch.tools.evaluation.reporting.recording_answers import RecordingAnswers, side_by_side

Value = str | int | float | None

_DECIMALS = 6
_FORMULA_STARTS = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")
"""What makes a spreadsheet take a text for a formula; the last four are the wide forms of = + - @.
Source: OWASP, "CSV Injection"."""


def recordings_csv(evaluation: Evaluation) -> Iterator[str]:
    """Yield recordings.csv line by line: name, label, and each engine's answer and time.

    `answer` is that of the worst clip, `events` how often would have been reported, `time_s`
    what the engine took for all clips (empty where it was not measured).
    """
    yield _line(
        [
            *("recording", "label", "group", "drive", "view", "duration_s", "windows", "clips"),
            *(
                f"{name} {run.asked}"
                for run in evaluation.runs
                for name in ("answer", "peak_score", "peak_start_s", "events", "time_s")
            ),
        ]
    )
    for one in side_by_side(evaluation):
        yield _line(_recording(one))


def clips_csv(evaluation: Evaluation) -> Iterator[str]:
    """Yield clips.csv line by line: each clip's place and truth, each engine's answer."""
    yield _line(
        [
            *("recording", "label", "group", "drive", "view"),
            *("clip_id", "start_s", "end_s", "truth"),
            *(
                f"{name} {run.asked}"
                for run in evaluation.runs
                for name in ("answer", "score", "uncertain")
            ),
        ]
    )
    for recording in side_by_side(evaluation):
        one = recording.recording
        for clips in zip(*(each.recording.clips for each in recording.answers), strict=True):
            clip = clips[0]
            answers: list[Value] = []
            for each, judged in zip(recording.answers, clips, strict=True):
                anomalous = judged.score >= each.run.threshold
                answers += ["Anomaly" if anomalous else "Normal", judged.score]
                answers.append("yes" if judged.uncertain else "")
            place: list[Value] = [one.name, one.label, one.group, one.drive, one.view]
            place += [clip.clip_id, clip.start_seconds, clip.end_seconds, clip.truth]
            yield _line([*place, *answers])


def safe(text: str) -> str:
    """Return a text that no spreadsheet runs: an apostrophe goes before what looks like a formula.

    Only text is given here; numbers are written as they are. `meant` takes it away again.
    """
    return f"'{text}" if _like_a_formula(text) else text


def meant(cell: str) -> str:
    """Return the text that `safe` made a cell of."""
    return cell[1:] if cell.startswith("'") and _like_a_formula(cell[1:]) else cell


def _like_a_formula(text: str) -> bool:
    """Say whether a text needs an apostrophe; one that has some already gets one more."""
    return text.lstrip("'").startswith(_FORMULA_STARTS)


def _recording(answers: RecordingAnswers) -> list[Value]:
    one = answers.recording
    windows = " ".join(f"{each.start_seconds:g}-{each.end_seconds:g}" for each in one.windows)
    row: list[Value] = [one.name, one.label, one.group, one.drive, one.view, one.duration_seconds]
    row += [windows, len(one.clips)]
    for each in answers.answers:
        peak = each.peak
        row += [each.answer, peak.score, peak.start_seconds, len(each.recording.events)]
        row.append(each.recording.engine_seconds)
    return row


def _line(values: Sequence[Value]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([_written(one) for one in values])  # RFC 4180: lines end with CR LF
    return out.getvalue()


def _written(value: Value) -> str | int | float:
    match value:
        case None:
            return ""
        case str():
            return safe(value)
        case float():
            return round(value, _DECIMALS)
    return value
