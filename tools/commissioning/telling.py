"""Telling: what commissioning found, on a terminal, as JSON, and as a page with every trial."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgewatch.tools.calibrating.promises import figure, span
from edgewatch.tools.commissioning.outcome import At, Outcome, Row
from edgewatch.tools.commissioning.trial import SIZES
from edgewatch.tools.commissioning.trying import Judged, Tried
from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.report import write_files
from edgewatch.tools.sheet import minute, render_sheet


@dataclass(frozen=True, slots=True)
class Commissioned:
    """One camera's commissioning, as it is told."""

    camera: str
    source: str
    """Of the normal footage, in words."""
    normal_seconds: float
    judged: Judged
    outcome: Outcome
    took_seconds: float
    finished_seconds: float
    """Unix time."""

    @property
    def shown(self) -> At:
        """What is told in detail: the proposed threshold, else the current one."""
        return self.outcome.proposed or self.outcome.current


def print_commissioned(found: Commissioned, console: Console) -> None:
    """Print everything but the single trials."""
    for line in heading(found):
        console.print(Text(line), soft_wrap=True)
    console.print(_table(found))
    for line in conclusions(found):
        console.print(Text(line, style="bold"), soft_wrap=True)
    for line in found.outcome.warnings:
        console.print(Text(f"Warning: {line}.", style="yellow"), soft_wrap=True)


def heading(found: Commissioned) -> Iterator[str]:
    """Say what everything rests on."""
    incidents = sum(not one.trial.harmless for one in found.judged.tried)
    yield (
        f"{found.camera}, by {found.judged.engine}: {incidents} incidents and "
        f"{len(found.judged.tried) - incidents} harmless happenings drawn into "
        f"{span(found.normal_seconds / 86_400)} of normal footage ({found.source})"
    )
    yield f"Seen: an event opened by the camera's rules, at threshold {found.shown.threshold:g}."


def conclusions(found: Commissioned) -> Iterator[str]:
    """Say what to do."""
    outcome = found.outcome
    for name, one in (("now", outcome.current), ("proposed", outcome.proposed)):
        if one is not None:
            yield f"{name}: threshold {one.threshold:g}: {_summary(one)}"
    if outcome.proposed is None:
        yield f"The threshold stays at {outcome.current.threshold:g}: {outcome.why}."
    else:
        yield f"Proposed: {outcome.why}. Set it for this camera:"
        yield f"  threshold = {outcome.proposed.threshold:g}"


def document(found: Commissioned) -> dict[str, Any]:
    """Return all figures as one JSON object; nothing in it is NaN."""
    outcome = found.outcome
    return {
        "schema": 1,
        "camera": found.camera,
        "engine": found.judged.engine,
        "normal_seconds": round(found.normal_seconds, 3),
        "normal_source": found.source,
        "took_seconds": round(found.took_seconds, 2),
        "current": _at_document(outcome.current),
        "proposed": None if outcome.proposed is None else _at_document(outcome.proposed),
        "why": outcome.why,
        "camera_faults": [asdict(row) for row in outcome.faults],
        "harmless_camera_faults": asdict(outcome.harmless_faults),
        "warnings": list(outcome.warnings),
        "unjudged_clips": found.judged.unjudged_clips,
        "trials": [_trial_document(one, found.shown) for one in found.judged.tried],
    }


def write_commissioned(found: Commissioned, folder: Path) -> Path:
    """Write report.html, trials.csv and summary.json; return the page. Raises ConfigError."""
    page = render_sheet(
        "commissioning/page.html",
        {
            "camera": found.camera,
            "heading": list(heading(found)),
            "conclusions": list(conclusions(found)),
            "warnings": found.outcome.warnings,
            "grid": grid(found.shown),
            "sizes": list(SIZES),
            "faults": found.outcome.faults,
            "kinds": _by_kind(found),
            "finished": minute(found.finished_seconds),
        },
        {"estimate": estimate_words, "kind": kind_words},
    )
    write_files(
        folder,
        {
            "report.html": (page,),
            "trials.csv": (_csv(found),),
            "summary.json": (json.dumps(document(found), indent=2, allow_nan=False), "\n"),
        },
    )
    return folder / "report.html"


def grid(one: At) -> list[tuple[str, dict[str, Row], Row]]:
    """Return a line a kind: its words, its rows by size, and the row of all sizes."""
    total = {row.kind: row for row in one.rows if row.size is None}
    return [
        (kind_words(kind), {str(r.size): r for r in one.rows if r.kind == kind and r.size}, row)
        for kind, row in total.items()
        if kind is not None
    ]


def kind_words(kind: str | None) -> str:
    """Write a kind for people."""
    return "all kinds" if kind is None else kind.replace("_", " ")


def estimate_words(one: Estimate) -> str:
    """Write a share and its interval: 67 % (35 to 88)."""
    if one.value is None:
        return one.reason
    if one.low is None or one.high is None:
        return f"{100 * one.value:.0f} %"
    return f"{100 * one.value:.0f} % ({100 * one.low:.0f} to {100 * one.high:.0f})"


def _summary(one: At) -> str:
    every, alarms = one.rows[-1] if one.rows else None, one.normal.false_alarms_per_day
    seen = "no incident tried" if every is None else f"{every.seen} of {every.tried} incidents seen"
    between = "" if alarms.high is None else f", up to {figure(alarms.high)} a day possible"
    return (
        f"{seen}; {one.harmless.seen} of {one.harmless.tried} harmless happenings alarm; "
        f"{one.normal.false_alarms} false alarms on the normal footage{between}"
    )


def _table(found: Commissioned) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="seen, of those tried")
    table.add_column("kind")
    for size in SIZES:
        table.add_column(size, justify="right")
    table.add_column("all sizes (95 %)", justify="right")
    for words, by_size, row in grid(found.shown):
        cells = [_cell(by_size.get(size)) for size in SIZES]
        table.add_row(words, *cells, estimate_words(row.recall))
    for row in found.outcome.faults:
        told = f"by the camera's health: {estimate_words(row.recall)}"
        table.add_row(kind_words(row.kind), *("" for _ in SIZES), told)
    return table


def _cell(row: Row | None) -> str:
    return "" if row is None else f"{row.seen}/{row.tried}"


def _at_document(one: At) -> dict[str, Any]:
    return {
        "threshold": one.threshold,
        "rows": [asdict(row) for row in one.rows],
        "harmless": asdict(one.harmless),
        "false_alarms": one.normal.false_alarms,
        "false_alarms_per_day": asdict(one.normal.false_alarms_per_day),
        "normal_days": one.normal.normal_days,
    }


def _trial_document(one: Tried, shown: At) -> dict[str, Any]:
    trial = one.trial
    return {
        "number": trial.number,
        "kind": trial.kind,
        "harmless": trial.harmless,
        "size": trial.size,
        "place": trial.place,
        "seed": trial.seed,
        "changed_share": round(one.changed_share, 4),
        "peak_score": peak_score(one),
        "seen": _is_seen(one, shown),
        "told_seconds": None if one.told_seconds is None else round(one.told_seconds, 2),
    }


def peak_score(one: Tried) -> float | None:
    """Return the highest score of a trial's clips; None if it has none."""
    return round(float(one.scores.score.max()), 4) if len(one.scores) else None


def _is_seen(one: Tried, shown: At) -> bool:
    if one.trial.is_fault:
        return one.told_seconds is not None
    return one.trial.number in shown.seen


def _by_kind(found: Commissioned) -> list[tuple[str, list[dict[str, Any]]]]:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for one in found.judged.tried:
        seen = _is_seen(one, found.shown)
        words = ("alarm" if seen else "quiet") if one.trial.harmless else _answer(one, seen)
        kinds.setdefault(one.trial.kind, []).append(
            {
                "jpeg": one.jpeg,
                "right": seen != one.trial.harmless,
                "words": words,
                "what": _what(one),
                "peak": peak_score(one),
            }
        )
    return [(kind_words(kind), pictures) for kind, pictures in kinds.items()]


def _answer(one: Tried, seen: bool) -> str:
    if one.told_seconds is not None:
        return f"told after {one.told_seconds:.0f} s"
    return "seen" if seen else "missed"


def _what(one: Tried) -> str:
    parts = ["harmless twin" if one.trial.harmless else "", one.trial.size or "", one.trial.place]
    return ", ".join(part for part in parts if part)


def _csv(found: Commissioned) -> str:
    rows: Sequence[dict[str, Any]] = [
        _trial_document(one, found.shown) for one in found.judged.tried
    ]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
