"""Report: what a replay leaves in a folder: verdicts.jsonl, events.jsonl, summary.json, a page."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewatch.config.errors import ConfigError
from edgewatch.pipeline.messages import SCHEMA, event_payload, iso_utc, verdict_payload
from edgewatch.tools.metrics import Confusion, Figure, Statistics
from edgewatch.tools.page import render_page
from edgewatch.tools.results import RecordingResult, Replay, notes

Json = dict[str, Any]

DECIMALS = 6
"""Of every number written."""


def prepare_folder(folder: Path) -> None:
    """Make the report's folder and see that it can be written, before hours of replay.

    Raises ConfigError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_report(replay: Replay, folder: Path) -> Path:
    """Write the four files, each whole or not at all, and return the page's path.

    verdicts.jsonl holds nothing that differs between two replays of the same files with the same
    engine and settings. Raises ConfigError if the folder cannot be written.
    """
    files: dict[str, Iterable[str]] = {
        "verdicts.jsonl": _lines(verdict_lines(replay)),
        "events.jsonl": _lines(event_lines(replay)),
        "summary.json": (json.dumps(summary(replay), indent=2, allow_nan=False), "\n"),
        "report.html": (render_page(replay),),
    }
    write_files(folder, files)
    return folder / "report.html"


def write_files(folder: Path, files: Mapping[str, Iterable[str]]) -> None:
    """Write files by name, each whole or not at all. Raises ConfigError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, parts in files.items():
            _replace(folder / name, parts)
    except OSError as error:
        raise _unwritable(folder, error) from error


def verdict_lines(replay: Replay) -> Iterator[Json]:
    """Yield each verdict as published, less what depends on the run, plus its place in the file.

    `clip_id` and `latency_ms` are left out. `start` and `end` are null unless the file says when
    it was recorded: without that they would be the time of the replay.
    """
    for result in replay.results:
        dated = result.source is not None and result.source.started_seconds is not None
        for verdict in result.verdicts:
            payload = verdict_payload(verdict)
            del payload["clip_id"], payload["latency_ms"]
            if not dated:
                payload |= {"start": None, "end": None}
            place: Json = {
                "file": result.recording.name,
                "camera": verdict.camera,
                "media_start_seconds": verdict.media_start_seconds,
                "media_end_seconds": verdict.media_end_seconds,
            }
            yield rounded(place | payload)


def event_lines(replay: Replay) -> Iterator[Json]:
    """Yield each step of each event as published, plus its file."""
    for result in replay.results:
        for event in result.events:
            yield rounded({"file": result.recording.name} | event_payload(event))


def summary(replay: Replay) -> Json:
    """Return what summary.json holds, and what `--json` prints."""
    document = {
        "schema": SCHEMA,
        "finished": iso_utc(replay.finished_seconds),
        "engine": replay.engine,
        "settings": dict(replay.settings),
        "recordings": len(replay.results),
        "failed": [{"file": one.name, "reason": one.reason} for one in replay.failed],
        "clips": replay.clips,
        "dropped": replay.dropped,
        "events": replay.events,
        "footage_seconds": replay.footage_seconds,
        "wall_seconds": replay.wall_seconds,
        "speed": replay.speed,
        "statistics": [_statistics(one) for one in replay.statistics],
        "notes": notes(replay),
        "results": [_result(one) for one in replay.results],
    }
    plain: Json = rounded(document)
    return plain


def _result(result: RecordingResult) -> Json:
    peak, label, source = result.peak, result.label, result.source
    return {
        "file": result.recording.name,
        "camera": result.recording.camera,
        "label": label.label if label else None,
        "group": label.group if label else None,
        "by_event": result.by_event if result.verdicts else None,
        "by_clip": result.by_clip if result.verdicts else None,
        "peak_score": peak.score if peak else None,
        "peak_start_seconds": peak.media_start_seconds if peak else None,
        "clips": len(result.verdicts),
        "events": [
            {
                "start_seconds": one.start_seconds,
                "end_seconds": one.end_seconds,
                "peak_score": one.peak_score,
                "clips": one.clips,
                "description": one.description,
                "ended_by": one.ended_by or None,
                "suppressed_by": one.suppressed_by or None,
            }
            for one in result.spans
        ],
        "duration_seconds": result.duration_seconds,
        "codec": source.codec if source else None,
        "width": source.width if source else None,
        "height": source.height if source else None,
        "fps": source.fps if source else None,
        "error": result.error,
    }


def _statistics(statistics: Statistics) -> Json:
    return {
        "group": statistics.group or None,
        "normal": statistics.normal,
        "anomalous": statistics.anomalous,
        "auc": _figure(statistics.auc),
        "auc_top3": _figure(statistics.auc_top),
        "always_anomaly_f1": _figure(statistics.by_event.always_anomaly_f1),
        "by_event": _confusion(statistics.by_event),
        "by_clip": _confusion(statistics.by_clip),
    }


def _confusion(table: Confusion) -> Json:
    return {
        "true_anomaly": table.true_anomaly,
        "false_anomaly": table.false_anomaly,
        "true_normal": table.true_normal,
        "false_normal": table.false_normal,
        "accuracy": _figure(table.accuracy),
        "precision": _figure(table.precision),
        "recall": _figure(table.recall),
        "f1": _figure(table.f1),
    }


def _figure(figure: Figure) -> float | Json:
    """Return the number, or the reason why there is none."""
    return {"undefined": figure.reason} if figure.value is None else figure.value


def rounded(value: Any) -> Any:
    """Round every number, at any depth."""
    match value:
        case float():
            return round(value, DECIMALS)
        case dict():
            return {key: rounded(one) for key, one in value.items()}
        case list() | tuple():
            return [rounded(one) for one in value]
    return value


def _lines(documents: Iterable[Json]) -> Iterator[str]:
    for document in documents:
        yield json.dumps(document, allow_nan=False) + "\n"


def _replace(path: Path, parts: Iterable[str]) -> None:
    """Write a file beside its place and move it there, so that nobody reads half of it."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        # Words of a model may hold what UTF-8 cannot; a question mark is better than no report.
        with partial.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.writelines(parts)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"--report {folder}: cannot be written: {error.strerror or error}; "
        "name another folder or make room"
    )
