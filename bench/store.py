"""How long the records take to answer, beside a plain full scan; see README.md for the figures.

python -m bench.store [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.decode import busy_share
from edgewatch.config.cameras import CameraSettings
from edgewatch.config.settings import Settings
from edgewatch.pipeline import (
    coverage_rows,
    event_rows,
    evidence_rows,
    feedback_rows,
    setting_rows,
    verdict_rows,
)
from edgewatch.pipeline.event_rows import EventSearch
from edgewatch.pipeline.explain import explain
from edgewatch.pipeline.inquiry import gather
from edgewatch.pipeline.records import Records, open_readonly
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import (
    CameraName,
    Event,
    Evidence,
    EvidenceRow,
    Feedback,
    Interval,
    SettingChange,
    Verdict,
)
from edgewatch.pipeline.verdict_rows import verdict_row
from edgewatch.tools.tune import tuned

VERDICTS = 1_000_000
EVENTS = 10_000
CAMERAS = 4
STRIDE_SECONDS = 2.5
HOUR, DAY = 3_600.0, 86_400.0
NOW = 1_800_000_000.0
SAVED_AT_ONCE = 5_000
FRONT = CameraName("camera-0")

GOAL_MS = 20.0
TUNE_GOAL_MS = 2_000.0
NOT_BOUNDED = ("week_of_scores", "tune_week", "full_scan")
"""A week of scores is what `tune` reads, once; a scan is what the others are held against."""


def main() -> int:
    """Build the records, ask them everything, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="one flat object")
    options = parser.parse_args()
    busy = busy_share()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edgewatch.db"
        began_seconds = time.perf_counter()
        fill(path)
        sys.stderr.write(f"records made in {time.perf_counter() - began_seconds:.0f} s\n")
        figures = {"machine_busy_share": busy, "database_mb": path.stat().st_size / 1e6}
        with open_readonly(path) as records:
            figures |= measure(records, path, rounds=5 if options.quick else 25)
    if options.json:
        print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}))
    else:
        Console().print(_table(figures))
    return 0


def fill(path: Path, *, verdicts: int = VERDICTS, events: int = EVENTS) -> None:
    """Make records as `edgewatch run` leaves them: cameras side by side, up to NOW."""
    Store(path).close()
    with sqlite3.connect(path) as db:
        # Written in few transactions; how the rows lie in the file is the same.
        db.execute("PRAGMA synchronous = OFF")
        _fill_verdicts(db, verdicts // CAMERAS)
        span_seconds = verdicts // CAMERAS * STRIDE_SECONDS
        for index in range(CAMERAS):
            camera = CameraName(f"camera-{index}")
            coverage_rows.add(db, _coverage(camera, span_seconds))
            db.executemany(setting_rows.SAVE, map(setting_rows.change_row, _changes(camera)))
        _fill_events(db, events, span_seconds)
    db.close()


def _fill_verdicts(db: sqlite3.Connection, each: int) -> None:
    chance = random.Random(7)
    rows: list[tuple[object, ...]] = []
    templates = [verdict_row(_verdict(CameraName(f"camera-{index}"))) for index in range(CAMERAS)]
    for number in range(each):
        end_seconds = NOW - (each - number) * STRIDE_SECONDS
        for camera, _, _, _, _, _, *rest in templates:
            score = min(1.0, chance.expovariate(12.0))
            label = "Anomaly" if score >= 0.5 else "Normal"
            clip_id = f"{camera}-{number:07d}"
            rows.append((camera, end_seconds, clip_id, end_seconds - 5.0, label, score, *rest))
        if len(rows) >= SAVED_AT_ONCE or number == each - 1:
            verdict_rows.save(db, rows)
            rows = []


def _fill_events(db: sqlite3.Connection, events: int, span_seconds: float) -> None:
    chance = random.Random(8)
    for number in range(events):
        event = _event(chance, number, NOW - span_seconds * (1 - number / events))
        db.execute(
            event_rows.SAVE, event_rows.event_row(event, event_rows.encode_event(event), number)
        )
        folder = f"{event.camera}/2027-01-15"
        start_seconds = event.start_seconds
        evidence = EvidenceRow(
            event.event_id, event.camera, "ready", "", folder, 2_000_000, start_seconds
        )
        db.execute(evidence_rows.SAVE, evidence_rows.evidence_row(evidence))
        if chance.random() < 0.2:
            correct = chance.random() < 0.7
            answer = Feedback(event.event_id, event.camera, correct, "", "page", start_seconds)
            db.execute(feedback_rows.SAVE, feedback_rows.feedback_row(answer))


def measure(records: Records, path: Path, *, rounds: int) -> Mapping[str, float]:
    """Return the median milliseconds of each question, and how often faster than a scan it is."""
    newest = records.events_page(EventSearch())
    last = (newest[-1].start_seconds, newest[-1].event_id)
    middle = newest[len(newest) // 2]
    at_seconds = NOW - 2 * DAY
    ids = [event.event_id for event in newest]
    questions: dict[str, Callable[[], object]] = {
        "hour_of_scores": lambda: records.scores(FRONT, at_seconds, at_seconds + HOUR),
        "day_timeline": lambda: records.timeline(FRONT, NOW - DAY, NOW, 288),
        "wall_sparklines": lambda: [
            records.timeline(camera, NOW - HOUR, NOW, 60) for camera in records.coverage_cameras()
        ],
        "verdicts_around_a_moment": lambda: records.verdicts(
            FRONT, at_seconds - 60, at_seconds + 60
        ),
        "day_of_coverage": lambda: records.coverage(
            FRONT, round((NOW - DAY) * 1000), round(NOW * 1000)
        ),
        "first_page_of_events": lambda: records.events_page(EventSearch()),
        "next_page_of_events": lambda: records.events_page(EventSearch(), before=last),
        "last_page_of_events": lambda: records.events_page(
            EventSearch(until_seconds=NOW - 6.9 * DAY)
        ),
        "page_of_two_cameras": lambda: records.events_page(
            EventSearch((FRONT, CameraName("camera-1"))), before=last
        ),
        "page_of_false_alarms": lambda: records.events_page(EventSearch(feedback="false")),
        "page_of_unanswered": lambda: records.events_page(EventSearch(feedback="none")),
        "page_of_suppressed": lambda: records.events_page(EventSearch((FRONT,), suppressed=True)),
        "count_of_events": lambda: records.count_events(EventSearch((FRONT,), suppressed=False)),
        "day_of_events": lambda: records.events_between(FRONT, NOW - DAY, NOW),
        "event_by_prefix": lambda: records.events_with_prefix(middle.event_id[:20]),
        "open_events": records.open_events,
        "feedback_of_a_page": lambda: records.feedback_of(ids),
        "feedback_since": lambda: records.feedback_since(FRONT, NOW - 7 * DAY),
        "settings_at": lambda: records.settings_at(FRONT, at_seconds),
        "evidence_of_a_page": lambda: records.evidence_of(ids),
        "evidence_oldest": lambda: records.evidence_oldest(20),
        "evidence_bytes": records.evidence_bytes,
        "cameras": records.cameras,
        "week_timeline": lambda: records.timeline(FRONT, NOW - 7 * DAY, NOW, 336),
        "week_of_scores": lambda: records.scores(FRONT, NOW - 7 * DAY, NOW),
    }
    figures = {f"{name}_ms": _median_ms(ask, rounds) for name, ask in questions.items()}
    camera = CameraSettings(name=FRONT, url="rtsp://127.0.0.1/front")
    settings = Settings(cameras=(camera,))
    figures["why_ms"] = _median_ms(
        lambda: explain(gather(records, settings, FRONT, at_seconds, NOW)), rounds
    )
    figures["tune_week_ms"] = _median_ms(
        lambda: tuned(records, settings, FRONT, NOW - 7 * DAY, NOW, None), 2
    )
    scanned = sqlite3.connect(path)
    figures["full_scan_ms"] = _median_ms(lambda: scanned.execute(_SCAN).fetchall(), 3)
    scanned.close()
    worst = max(
        figure for name, figure in figures.items() if name.removesuffix("_ms") not in NOT_BOUNDED
    )
    timeline_ms = figures["day_timeline_ms"]
    return {
        **figures,
        "worst_ms": worst,
        "full_scan_over_day_timeline": figures["full_scan_ms"] / timeline_ms,
        "full_scan_over_worst": figures["full_scan_ms"] / worst,
    }


# What the timeline of a day is without any index, in one statement.
_SCAN = f"""
SELECT CAST((end_seconds - {NOW - DAY}) / 300 AS INTEGER), max(score), min(score), avg(score),
    max(threshold), count(*)
FROM verdicts NOT INDEXED WHERE +camera = '{FRONT}' AND +end_seconds >= {NOW - DAY} GROUP BY 1"""


def _median_ms(ask: Callable[[], object], rounds: int) -> float:
    times = []
    ask()
    for _ in range(rounds):
        began_seconds = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began_seconds) * 1000)
    return statistics.median(times)


def _verdict(camera: CameraName) -> Verdict:
    return Verdict(
        clip_id="",
        camera=camera,
        label="Normal",
        score=0.0,
        threshold=0.5,
        start_seconds=0.0,
        end_seconds=5.0,
        media_start_seconds=0.0,
        media_end_seconds=5.0,
        engine="builtin-1",
        latency_ms=40.0,
        evidence=(Evidence("impact", 0.4, "lower left", "3.1 times this camera's usual motion"),),
        prompt_hash="0123456789abcdef",
    )


def _changes(camera: CameraName) -> list[SettingChange]:
    """An operator who moves the threshold every hour."""
    return [
        SettingChange(camera, "threshold", "0.5", NOW - hour * HOUR, "page") for hour in range(168)
    ]


def _coverage(camera: CameraName, span_seconds: float) -> list[Interval]:
    """An outage of 5 s every ten minutes."""
    intervals = []
    for start_seconds in range(int(NOW - span_seconds), int(NOW), 600):
        start_ms = start_seconds * 1000
        intervals.append(Interval(camera, start_ms, start_ms + 595_000, "judged"))
        intervals.append(Interval(camera, start_ms + 595_000, start_ms + 600_000, "offline"))
    return intervals


def _event(chance: random.Random, number: int, at_seconds: float) -> Event:
    camera = CameraName(f"camera-{chance.randrange(CAMERAS)}")
    event_id = f"{round(at_seconds * 1000):012x}-{number:06d}"
    return Event(
        event_id=event_id,
        type="end",
        revision=4,
        camera=camera,
        score=0.2,
        peak_score=0.9,
        peak_clip_id=f"clip-{number}",
        threshold=0.5,
        start_seconds=at_seconds,
        end_seconds=at_seconds + chance.uniform(5.0, 60.0),
        clips=5,
        engine="builtin-1",
        description="A white van brakes hard and stops in the left lane; a person runs after it.",
        ended_by="quiet",
        suppressed_by="cooldown" if chance.random() < 0.1 else None,
        video=f"{camera}/2027-01-15/{event_id}.mp4",
        thumbnail=f"{camera}/2027-01-15/{event_id}.jpg",
    )


def _table(figures: Mapping[str, float]) -> Table:
    table = Table("figure", "measured", "goal", title="records")
    for name, figure in figures.items():
        bounded = name.endswith("_ms") and name.removesuffix("_ms") not in NOT_BOUNDED
        goal = TUNE_GOAL_MS if name == "tune_week_ms" else GOAL_MS if bounded else None
        table.add_row(name, f"{figure:.3g}", "" if goal is None else f"<= {goal:g}")
    return table


if __name__ == "__main__":
    sys.exit(main())
