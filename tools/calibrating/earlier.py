"""An earlier evaluation: the folder that `edgewatch evaluate --report` left, read again."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.config.errors import ConfigError
from edgewatch.tools.evaluation.evaluation import (
    EngineRun,
    JudgedClip,
    JudgedRecording,
    NearDuplicate,
)
from edgewatch.tools.labels import Window


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """One engine's run, as far as calibration needs it."""

    run: EngineRun
    duplicates: tuple[NearDuplicate, ...]
    prompt: str | None
    """None: an engine that does not read."""


def read_run(folder: Path, asked: str | None) -> EarlierRun:
    """Read clips, truths and windows; `asked`: the engine as the report names it, None: the only.

    Raises ConfigError.
    """
    try:
        summary = json.loads((folder / "summary.json").read_text("utf-8"))
        with (folder / "clips.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        engine = _engine(folder, summary["engines"], asked)
        recordings = _recordings(rows, summary["results"], f"score {engine['asked']}")
        duplicates = tuple(
            NearDuplicate(one["first"], one["second"], one["similarity"])
            for one in summary["near_duplicates"]
        )
    except OSError as error:
        raise ConfigError(
            f"{folder}: is no report of edgewatch evaluate ({error.strerror or error}): name the "
            "folder that was given to its --report"
        ) from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ConfigError(
            f"{folder}: holds no report of this version of edgewatch evaluate ({error!r}); "
            "evaluate again"
        ) from error
    run = EngineRun(
        engine["asked"], engine["engine"], engine["threshold"], engine["open_after"], recordings
    )
    prompt = summary["settings"].get(f"{engine['asked']}.prompt")
    return EarlierRun(run, duplicates, None if prompt is None else str(prompt))


def _engine(folder: Path, engines: list[dict[str, Any]], asked: str | None) -> dict[str, Any]:
    known = [one["asked"] for one in engines]
    chosen = [one for one in engines if asked in (None, one["asked"], one["engine"])]
    if len(chosen) != 1:
        raise ConfigError(f"{folder}: name one of its engines with --engine: {', '.join(known)}")
    return chosen[0]


def _recordings(
    rows: list[dict[str, Any]], results: list[dict[str, Any]], column: str
) -> tuple[JudgedRecording, ...]:
    about: Mapping[str, dict[str, Any]] = {one["recording"]: one for one in results}
    clips: dict[str, list[JudgedClip]] = {}
    for row in rows:
        clip = JudgedClip(
            _plain(row["clip_id"]),
            float(row["start_s"]),
            float(row["end_s"]),
            float(row[column]),
            row["truth"],
        )
        clips.setdefault(_plain(row["recording"]), []).append(clip)
    return tuple(
        JudgedRecording(
            name,
            about[name]["label"],
            drive=about[name]["drive"] or "",
            view=about[name]["view"] or "",
            group=about[name]["group"] or "",
            windows=tuple(
                Window(one["start_seconds"], one["end_seconds"]) for one in about[name]["windows"]
            ),
            duration_seconds=about[name]["duration_seconds"],
            clips=tuple(found),
        )
        for name, found in clips.items()
    )


def _plain(cell: str) -> str:
    """Take away the apostrophe that keeps a spreadsheet from running a cell."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@") else cell
