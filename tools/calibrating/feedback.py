"""Feedback as labels: what people said of events, beside the scores on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgewatch.pipeline.engines.calibration import Calibration, split_name
from edgewatch.pipeline.records import Records
from edgewatch.pipeline.tuning import Scores
from edgewatch.pipeline.types import CameraName, Event, Verdict
from edgewatch.tools.calibrating.labelled import Labelled, Series

HOUR_SECONDS = 3600.0
_MOST_EVENTS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Said:
    """An event, and what was said of it."""

    event: Event
    correct: bool | None
    """None: nothing."""

    def holds(self, verdict: Verdict) -> bool:
        end_seconds = self.event.end_seconds
        before_end = end_seconds is None or verdict.start_seconds < end_seconds
        return before_end and verdict.end_seconds > self.event.start_seconds


def labelled_feedback(
    records: Records,
    cameras: Sequence[CameraName],
    since_seconds: float,
    until_seconds: float,
    *,
    calibrations: Mapping[str, Calibration],
    questions: tuple[str, ...],
) -> Labelled | None:
    """Take the scores of the engine that judged last, an hour of a camera as one recording.

    An anomalous clip of a confirmed event is an incident; of a false alarm it is none. Time without
    any event counts as normal, though nobody looked. Of events that nobody spoke of nothing is
    known. `calibrations`: by hash, to take calibrated scores back to what the engine gave; scores
    calibrated otherwise are left out. None: no score is on record. Raises StoreError.
    """
    found = {camera: records.verdicts(camera, since_seconds, until_seconds) for camera in cameras}
    newest = max(
        (verdicts[-1] for verdicts in found.values() if verdicts),
        key=lambda one: one.end_seconds,
        default=None,
    )
    if newest is None:
        return None
    engine, _ = split_name(newest.engine)
    series: list[Series] = []
    lost = unspoken = 0
    for camera, verdicts in found.items():
        events = records.events_between(camera, since_seconds, until_seconds, _MOST_EVENTS)
        answers = records.feedback_of([event.event_id for event in events])
        said = [
            _Said(event, answers[event.event_id].correct if event.event_id in answers else None)
            for event in events
        ]
        unspoken += sum(one.correct is None for one in said)
        usable = _of_engine(verdicts, engine)
        raw, unknown = _raw(usable, calibrations)
        lost += unknown
        series += _hours(camera, usable, raw, said)
    return Labelled(
        tuple(series), engine, "feedback on events", questions, tuple(_notes(lost, unspoken))
    )


def _notes(lost: int, unspoken: int) -> Iterable[str]:
    yield "time without an event counts as normal, though nobody looked at it"
    yield "only incidents that were reported can be known: those missed are in no figure here"
    if unspoken:
        yield f"{unspoken} events of which nobody said anything are left out"
    if lost:
        yield f"{lost} scores of an earlier calibration whose file is gone are left out"


def _of_engine(verdicts: Sequence[Verdict], engine: str) -> list[Verdict]:
    """Return what this engine judged, asked as it was asked last."""
    own = [one for one in verdicts if split_name(one.engine)[0] == engine]
    return [one for one in own if one.prompt_hash == own[-1].prompt_hash]


def _raw(
    verdicts: Sequence[Verdict], calibrations: Mapping[str, Calibration]
) -> tuple[list[float], int]:
    """Return the scores as the engine gave them, NaN for those that are lost; and their number."""
    scores = np.array([one.score for one in verdicts], dtype=np.float64)
    hashes = [split_name(one.engine)[1] for one in verdicts]
    lost = 0
    for name in set(hashes) - {""}:
        where = np.array([one == name for one in hashes])
        if name in calibrations:
            scores[where] = calibrations[name].undo_all(scores[where])
        else:
            scores[where] = np.nan
            lost += int(where.sum())
    return scores.tolist(), lost


def _hours(
    camera: CameraName, verdicts: Sequence[Verdict], raw: Sequence[float], said: Sequence[_Said]
) -> Iterable[Series]:
    """Cut a camera's time into hours; an event stays whole, in the hour in which it began."""
    hours: dict[int, list[tuple[Verdict, float, _Said | None]]] = {}
    following = sorted(said, key=lambda one: one.event.start_seconds)
    at = 0
    for verdict, score in zip(verdicts, raw, strict=True):
        while at < len(following) and _is_past(following[at], verdict):
            at += 1
        one = following[at] if at < len(following) and following[at].holds(verdict) else None
        moment = one.event.start_seconds if one else verdict.end_seconds
        hours.setdefault(int(moment // HOUR_SECONDS), []).append((verdict, score, one))
    for hour, clips in hours.items():
        yield _series(f"{camera} {hour}", clips)


def _is_past(said: _Said, verdict: Verdict) -> bool:
    end_seconds = said.event.end_seconds
    return end_seconds is not None and end_seconds <= verdict.start_seconds


def _series(name: str, clips: Sequence[tuple[Verdict, float, _Said | None]]) -> Series:
    table = np.array(
        [
            (verdict.start_seconds, verdict.end_seconds, score, _truth(verdict, said))
            for verdict, score, said in clips
        ],
        dtype=np.float64,
    )
    table = table[np.isfinite(table[:, 2])]
    confirmed = {
        said.event.event_id: (
            said.event.start_seconds,
            said.event.end_seconds or verdict.end_seconds,
        )
        for verdict, _, said in clips
        if said is not None and said.correct
    }
    doubtful = bool(np.isnan(table[:, 3]).any())
    return Series(
        name,
        name,
        "incident" if confirmed else "unknown" if doubtful else "normal",
        Scores(*(np.ascontiguousarray(table[:, column]) for column in range(3))),
        table[:, 3].copy(),
        tuple(confirmed.values()),
    )


def _truth(verdict: Verdict, said: _Said | None) -> float:
    if said is None or said.correct is False:
        return 0.0
    return 1.0 if said.correct and verdict.anomalous else np.nan
