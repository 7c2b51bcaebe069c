"""The rows of the table `verdicts`, and their sums by the minute in `score_minutes`."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from edgewatch.pipeline.types import CameraName, Evidence, Verdict

VERDICT_COLUMNS = (
    "camera, end_seconds, clip_id, start_seconds, label, score, threshold, media_start_seconds, "
    "media_end_seconds, engine, latency_ms, evidence, warming_up, uncertain, replay, prompt_hash"
)

MINUTE_SECONDS = 60

_INSERT = f"INSERT OR REPLACE INTO verdicts ({VERDICT_COLUMNS}) VALUES ({', '.join('?' * 16)})"

# A clip that is written a second time would count twice; no clip is judged twice.
_ADD_MINUTE = """
INSERT INTO score_minutes VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    highest = max(highest, excluded.highest), lowest = min(lowest, excluded.lowest),
    total = total + excluded.total, threshold = max(threshold, excluded.threshold),
    clips = clips + excluded.clips"""


def save(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows of VERDICT_COLUMNS, and count them in their minutes.

    Runs inside a transaction of the caller and raises sqlite3.Error.
    """
    db.executemany(_INSERT, rows)
    db.executemany(_ADD_MINUTE, _minutes(rows))


def _minutes(rows: Iterable[tuple[Any, ...]]) -> list[tuple[object, ...]]:
    """Return the rows of `score_minutes` that verdicts add, one a camera and minute."""
    scores: dict[tuple[CameraName, int], list[tuple[float, float]]] = {}
    for camera, end_seconds, _, _, _, score, threshold, *_ in rows:
        if math.isfinite(score):
            minute = int(end_seconds // MINUTE_SECONDS)
            scores.setdefault((camera, minute), []).append((score, threshold))
    added: list[tuple[object, ...]] = []
    for (camera, minute), of_minute in scores.items():
        values = [score for score, _ in of_minute]
        threshold = max(threshold for _, threshold in of_minute)
        row = (camera, minute, max(values), min(values), sum(values), threshold, len(values))
        added.append(row)
    return added


def verdict_row(verdict: Verdict) -> tuple[object, ...]:
    """Return a verdict's values in the order of VERDICT_COLUMNS."""
    return (
        verdict.camera,
        verdict.end_seconds,
        verdict.clip_id,
        verdict.start_seconds,
        verdict.label,
        verdict.score,
        verdict.threshold,
        verdict.media_start_seconds,
        verdict.media_end_seconds,
        verdict.engine,
        verdict.latency_ms,
        json.dumps([asdict(evidence) for evidence in verdict.evidence]),
        verdict.warming_up,
        verdict.uncertain,
        verdict.replay,
        verdict.prompt_hash,
    )


def verdict_of_row(row: tuple[Any, ...]) -> Verdict:
    """Return the verdict of a row of VERDICT_COLUMNS."""
    return Verdict(
        camera=row[0],
        end_seconds=row[1],
        clip_id=row[2],
        start_seconds=row[3],
        label=row[4],
        score=row[5],
        threshold=row[6],
        media_start_seconds=row[7],
        media_end_seconds=row[8],
        engine=row[9],
        latency_ms=row[10],
        evidence=tuple(Evidence(**evidence) for evidence in json.loads(row[11])),
        warming_up=bool(row[12]),
        uncertain=bool(row[13]),
        replay=bool(row[14]),
        prompt_hash=row[15],
    )
