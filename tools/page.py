"""Page: a replay's report as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgewatch.pipeline.thumbnail import Thumbnail
from edgewatch.pipeline.types import Evidence, Verdict
from edgewatch.tools.metrics import Confusion, Figure
from edgewatch.tools.results import RecordingResult, Replay, notes, worst_first
from edgewatch.tools.sheet import minute, render_sheet
from edgewatch.tools.timeline import Timeline, draw

MAX_PICTURED = 200
"""Recordings with thumbnails; beyond, the worst ones and those with an event have them."""
STEPS_OF_ALL = 24_000
"""Steps drawn on the whole page: some 3 MB."""
STEPS_OF_ONE = 600


@dataclass(frozen=True, slots=True)
class Section:
    """One recording on the page."""

    anchor: str
    result: RecordingResult
    timeline: Timeline[Verdict] | None
    thumbnails: tuple[Thumbnail, ...]


@dataclass(frozen=True, slots=True)
class MetricsRow:
    """One line of the table of statistics: a group's answers by event or by clip."""

    group: str
    answer: str
    table: Confusion
    auc: Figure
    auc_top: Figure
    first: bool
    """Whether it is its group's first line."""


def render_page(replay: Replay) -> str:
    """Return the page: no request, no script; dark or light as the reader's system is."""
    values = {
        "replay": replay,
        "sections": _sections(replay),
        "rows": _metrics_rows(replay),
        "notes": notes(replay),
        "finished": minute(replay.finished_seconds),
        "mark": mark,
    }
    return render_sheet("report.html", values, {"figure": _figure, "words": evidence_words})


def mark(result: RecordingResult) -> tuple[str, str]:
    """Return (class, words) for how an answer by event met the label; empty without label."""
    outcome = result.outcome
    if outcome is None:
        return "", ""
    match outcome.label, outcome.by_event:
        case "Anomaly", "Normal":
            return "wrong", "missed"
        case "Normal", "Anomaly":
            return "wrong", "false alarm"
    return "right", "right"


def evidence_words(evidence: Sequence[Evidence]) -> str:
    """Write reasons as one line: "impact, lower left (3.1 times the usual motion)"."""
    return "; ".join(_reason(one) for one in evidence)


def _reason(evidence: Evidence) -> str:
    place = f", {evidence.where}" if evidence.where else ""
    detail = f" ({evidence.detail})" if evidence.detail else ""
    return evidence.kind.replace("_", " ") + place + detail


def _sections(replay: Replay) -> list[Section]:
    results = worst_first(replay.results)
    max_steps = min(STEPS_OF_ONE, max(60, STEPS_OF_ALL // max(1, len(results))))
    return [
        Section(
            anchor=f"r{number}",
            result=one,
            timeline=draw(one, max_steps=max_steps),
            thumbnails=one.worst if number <= MAX_PICTURED or one.events else (),
        )
        for number, one in enumerate(results, start=1)
    ]


def _metrics_rows(replay: Replay) -> list[MetricsRow]:
    rows: list[MetricsRow] = []
    for one in replay.statistics:
        tables = (("an event opened", one.by_event), ("a clip at threshold", one.by_clip))
        for number, (answer, table) in enumerate(tables):
            group = one.group or "all"
            rows.append(MetricsRow(group, answer, table, one.auc, one.auc_top, number == 0))
    return rows


def _figure(figure: Figure) -> str | Markup:
    """Write a figure with two decimals; an undefined one as n/a that says why."""
    if figure.value is None:
        return Markup('<abbr title="{}">n/a</abbr>').format(figure.reason)
    return f"{figure.value:.2f}"
