"""How well the built-in engine tells labelled recordings apart, each judged as a new camera.

    python -m bench.builtin_accuracy ../shared/footage

The directory holds recordings and INDEX.csv with the columns file, camera (fixed, drive, ...),
label (Normal, Anomaly) and, where known, anomaly_start_s and anomaly_end_s. Each recording is a
camera that was never seen before, so nothing but general priors and its own first seconds help:
the hardest case. Printed for each kind of camera:

- AUC of the recordings by their highest clip, and by the mean of their three highest;
- the share of anomalous recordings found, and of normal ones alarmed, at 0.5;
- within anomalous recordings: how often a clip with the incident outranks one without.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.recording import clips_of
from edgewatch.config.settings import load_settings
from edgewatch.pipeline.engines.builtin import BuiltinEngine
from edgewatch.pipeline.types import Answer, CameraName, Clip

QUICK_RECORDINGS = 6
"""Most recordings of a kind and label that --quick judges."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One row of the index."""

    path: Path
    kind: str
    anomalous: bool
    incident: tuple[float, float] | None
    """Start and end in seconds of the footage, where known."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A recording and the scores of its clips."""

    recording: Recording
    scores: tuple[float, ...]
    with_incident: tuple[bool, ...]
    """For each clip, whether some of the incident is in it."""
    seconds: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path, help="recordings with their INDEX.csv")
    parser.add_argument("--quick", action="store_true", help="a few recordings of each kind")
    parser.add_argument("--json", action="store_true", help="one flat object, name to number")
    options = parser.parse_args(argv)
    recordings = read_index(options.directory / "INDEX.csv")
    if options.quick:
        recordings = shortened(recordings, QUICK_RECORDINGS)
    judged = asyncio.run(judge_all(recordings))
    figures = summary(judged)
    if options.json:
        print(json.dumps(figures))
    else:
        print_table(judged, figures)
    return 0


def read_index(path: Path) -> list[Recording]:
    """Read the labels."""
    with path.open(newline="") as file:
        return [
            Recording(
                path=path.parent / row["file"],
                kind=row["camera"],
                anomalous=row["label"] == "Anomaly",
                incident=(float(row["anomaly_start_s"]), float(row["anomaly_end_s"]))
                if row.get("anomaly_start_s")
                else None,
            )
            for row in csv.DictReader(file)
        ]


def shortened(recordings: Sequence[Recording], most: int) -> list[Recording]:
    """Keep the first few of each kind and label."""
    kept: list[Recording] = []
    for recording in recordings:
        alike = [
            other
            for other in kept
            if (other.kind, other.anomalous) == (recording.kind, recording.anomalous)
        ]
        if len(alike) < most:
            kept.append(recording)
    return kept


async def judge_all(recordings: Sequence[Recording]) -> list[Judged]:
    """Judge each recording as a camera of its own."""
    cut = load_settings(environ={}, default_files=()).clips
    engine = BuiltinEngine(baseline_dir=None)
    await engine.start()
    judged = []
    try:
        for number, recording in enumerate(recordings):
            camera = CameraName(f"recording-{number}")
            clips = clips_of(recording.path, cut, camera)
            began_seconds = time.perf_counter()
            answers: list[Answer] = []
            for clip in clips:
                answers += await engine.judge([clip])
            seconds = time.perf_counter() - began_seconds
            await engine.forget(camera)
            judged.append(
                Judged(
                    recording,
                    tuple(answer.score for answer in answers),
                    tuple(_shows_incident(clip, recording) for clip in clips),
                    seconds,
                )
            )
    finally:
        await engine.close()
    return judged


def area_under_curve(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the probability that a positive outranks a negative; ties count half."""
    if not positive or not negative:
        return float("nan")
    higher = np.subtract.outer(np.array(positive), np.array(negative))
    return float(((higher > 0) + 0.5 * (higher == 0)).mean())


def summary(judged: Sequence[Judged]) -> dict[str, float]:
    """Boil the scores down to figures; those that cannot be told are left out."""
    figures: dict[str, float] = {}
    for kind in sorted({item.recording.kind for item in judged}):
        of_kind = [item for item in judged if item.recording.kind == kind and item.scores]
        anomalous = [item for item in of_kind if item.recording.anomalous]
        normal = [item for item in of_kind if not item.recording.anomalous]
        figures |= {
            f"{kind}_auc_max": area_under_curve(
                [max(item.scores) for item in anomalous], [max(item.scores) for item in normal]
            ),
            f"{kind}_auc_top3": area_under_curve(
                [_top3(item) for item in anomalous], [_top3(item) for item in normal]
            ),
            f"{kind}_found_share": _alarmed_share(anomalous),
            f"{kind}_false_alarm_share": _alarmed_share(normal),
            f"{kind}_incident_outranks_quiet": _within(anomalous),
        }
    clips = sum(len(item.scores) for item in judged)
    figures["ms_per_clip"] = 1000 * sum(item.seconds for item in judged) / max(clips, 1)
    return {name: round(value, 3) for name, value in figures.items() if not np.isnan(value)}


def print_table(judged: Sequence[Judged], figures: dict[str, float]) -> None:
    """Print each recording's scores, then the figures."""
    for item in judged:
        label = "Anomaly" if item.recording.anomalous else "Normal "
        scores = " ".join(
            f"{score:.2f}{'*' if incident else ''}"
            for score, incident in zip(item.scores, item.with_incident, strict=True)
        )
        print(f"{item.recording.kind:6} {label} {item.recording.path.stem:32} {scores}")
    print("(* the incident is in the clip)")
    for name, value in figures.items():
        print(f"{name:34} {value:8.3f}")


def _shows_incident(clip: Clip, recording: Recording) -> bool:
    if recording.incident is None:
        return False
    start, end = recording.incident
    return clip.media_start_seconds < end and clip.media_end_seconds > start


def _top3(item: Judged) -> float:
    return float(np.mean(sorted(item.scores)[-3:]))


def _alarmed_share(items: Sequence[Judged]) -> float:
    return float(np.mean([max(item.scores) >= 0.5 for item in items])) if items else float("nan")


def _within(items: Sequence[Judged]) -> float:
    """Return the mean over recordings that have clips with and without the incident."""
    ranks = []
    for item in items:
        pairs = list(zip(item.scores, item.with_incident, strict=True))
        rank = area_under_curve(
            [score for score, incident in pairs if incident],
            [score for score, incident in pairs if not incident],
        )
        if not np.isnan(rank):
            ranks.append(rank)
    return float(np.mean(ranks)) if ranks else float("nan")


if __name__ == "__main__":
    sys.exit(main())
