"""Comparison's table: two settings side by side, for people on a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgewatch.tools.comparison import WORDS, Comparison, Pair, alerts
from edgewatch.tools.metrics import Figure, Statistics
from edgewatch.tools.results import RecordingResult, Replay, counted, notes

_LONGEST_VALUE = 60


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print what differs, each recording (those that changed first), and both metrics."""
    console.print(Text(f"A: {comparison.first_name}\nB: {comparison.second_name}"))
    console.print(_differing(comparison) if comparison.differing else Text("Nothing differs."))
    if comparison.pairs:
        console.print(_recordings(comparison))
    console.print(_totals(comparison))
    if comparison.first.statistics:
        console.print(_statistics(comparison))
        for note in notes(comparison.first):
            console.print(Text(note, style="dim"))
    for side, replay in (("A", comparison.first), ("B", comparison.second)):
        for one in replay.failed:
            line = Text.assemble((f"{side} failed ", "bold red"), (one.name, "bold"))
            console.print(line.append(f": {one.reason}"), soft_wrap=True)
    console.print(Text(summed_up(comparison)))


def summed_up(comparison: Comparison) -> str:
    """Say in words how far both agree and how they were compared."""
    agreed = f"{comparison.agreeing} of {counted(comparison.judged, 'recording')}"
    changed = counted(len(comparison.changed), "recording")
    return (
        f"Same answer for {agreed}; {changed} changed. "
        f"{WORDS[comparison.how].capitalize()}; {comparison.wall_seconds:.1f} s."
    )


def shown(value: object) -> str:
    """Write a setting's value, cut where it is long."""
    text = " ".join(("none" if value is None else str(value)).split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", overflow="fold")
    return table


def _differing(comparison: Comparison) -> Table:
    table = _table("setting", "A", "B")
    for key, (one, other) in comparison.differing.items():
        table.add_row(Text(key), Text(shown(one)), Text(shown(other)))
    return table


def _recordings(comparison: Comparison) -> Table:
    table = _table("recording", "label", "peak A", "peak B", "events A", "events B", "change")
    for pair in sorted(comparison.pairs, key=lambda one: one.change is None):
        label = pair.first.label
        table.add_row(
            Text(pair.first.recording.name),
            Text(label.label if label else ""),
            _peak(pair.first),
            _peak(pair.second),
            _events(pair.first),
            _events(pair.second),
            _change(pair),
        )
    return table


def _peak(result: RecordingResult) -> Text:
    if result.peak is None:
        return Text("")
    suspect = result.by_clip == "Anomaly"
    return Text(f"{result.peak.score:.2f}", style="red" if suspect else "")


def _events(result: RecordingResult) -> Text:
    return Text("failed", style="bold red") if result.error else Text(str(len(result.spans)))


def _change(pair: Pair) -> Text:
    text = Text(pair.change or "")
    if pair.verdict:
        text.append(f", {pair.verdict}", style="green" if pair.verdict == "better" else "bold red")
    return text


def _totals(comparison: Comparison) -> Table:
    rows: tuple[tuple[str, Callable[[Replay], int]], ...] = (
        ("events", lambda replay: replay.events),
        ("alerts (sent)", alerts),
        ("clips", lambda replay: replay.clips),
    )
    table = _table("all recordings", "A", "B")
    for name, count in rows:
        table.add_row(name, str(count(comparison.first)), str(count(comparison.second)))
    return table


def _statistics(comparison: Comparison) -> Table:
    table = _table("metric", "A", "B")
    sides = [
        replay.statistics[0]
        for replay in (comparison.first, comparison.second)
        if replay.statistics
    ]
    for name, figure in METRICS.items():
        table.add_row(name, *(figure_text(figure(one)) for one in sides))
    return table


METRICS: dict[str, Callable[[Statistics], Figure]] = {
    "AUC": lambda one: one.auc,
    "accuracy, by event": lambda one: one.by_event.accuracy,
    "precision, by event": lambda one: one.by_event.precision,
    "recall, by event": lambda one: one.by_event.recall,
    "F1, by event": lambda one: one.by_event.f1,
    "accuracy, by clip": lambda one: one.by_clip.accuracy,
    "F1, by clip": lambda one: one.by_clip.f1,
}
"""What is compared where there are labels."""


def figure_text(figure: Figure) -> str:
    """Write a figure with two decimals."""
    return "n/a" if figure.value is None else f"{figure.value:.2f}"
