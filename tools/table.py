"""Table: what a replay found, for people on a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgewatch.tools.metrics import Figure
from edgewatch.tools.page import mark
from edgewatch.tools.results import RecordingResult, Replay, counted, notes, offset, worst_first


def print_table(replay: Replay, console: Console) -> None:
    """Print each recording, worst first, then the statistics, then what failed."""
    if replay.results:
        console.print(_recordings(replay))
    if replay.statistics:
        console.print(_statistics(replay))
        for note in notes(replay):
            console.print(Text(note, style="dim"))
    for one in replay.failed:
        line = Text.assemble(("failed ", "bold red"), (one.name, "bold"), f": {one.reason}")
        console.print(line, soft_wrap=True)  # a path that is cut in two cannot be copied
    console.print(Text(_totals(replay)))


def _recordings(replay: Replay) -> Table:
    labelled = bool(replay.statistics)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("recording", overflow="fold")
    if labelled:
        table.add_column("label")
    table.add_column("answer")
    for heading in ("peak", "at", "clips"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in worst_first(replay.results):
        label = [Text(one.label.label if one.label else "")] if labelled else []
        peak = one.peak
        table.add_row(
            Text(one.recording.name),
            *label,
            _answer(one),
            Text(f"{peak.score:.2f}" if peak else "", style="red" if _suspect(one) else ""),
            Text(offset(peak.media_start_seconds) if peak else ""),
            Text(str(len(one.verdicts))),
        )
    return table


def _suspect(result: RecordingResult) -> bool:
    return result.by_clip == "Anomaly"


def _answer(result: RecordingResult) -> Text:
    if result.error:
        return Text("failed", style="bold red")
    if not result.verdicts:
        return Text("too short for a clip", style="dim")
    count = len(result.spans)
    if count:
        answer = Text("event" if count == 1 else f"{count} events", style="red")
    else:
        answer = Text("suspect clip, no event" if _suspect(result) else "no event")
    kind, words = mark(result)
    if words:
        answer.append(f", {words}", style="green" if kind == "right" else "bold red")
    return answer


def _statistics(replay: Replay) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("recordings", no_wrap=True)
    table.add_column("Anomaly if")
    for heading in ("AUC", "accuracy", "precision", "recall", "F1", "F1 always\nAnomaly"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in replay.statistics:
        name = f"{one.group or 'all'} ({one.by_event.total})"
        for first, answer, found in (
            (True, "event", one.by_event),
            (False, "clip", one.by_clip),
        ):
            figures = (found.accuracy, found.precision, found.recall, found.f1)
            table.add_row(
                Text(name if first else ""),
                answer,
                _figure(one.auc) if first else "",
                *(_figure(figure) for figure in figures),
                _figure(found.always_anomaly_f1),
            )
    return table


def _figure(figure: Figure) -> str:
    return "n/a" if figure.value is None else f"{figure.value:.2f}"


def _totals(replay: Replay) -> str:
    speed = f", {replay.speed:.1f} times real time" if replay.speed is not None else ""
    return (
        f"{counted(len(replay.results), 'recording')}, {counted(replay.clips, 'clip')} judged, "
        f"{replay.dropped} dropped, {counted(replay.events, 'event')}; "
        f"{replay.footage_seconds:.1f} s of footage in {replay.wall_seconds:.1f} s{speed}; "
        f"engine {replay.engine}"
    )
