"""Terminal: an evaluation for people on one."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from edgewatch.tools.evaluation.evaluation import Evaluation
from edgewatch.tools.evaluation.reporting import figure_tables, pair_tables
from edgewatch.tools.evaluation.reporting.cost_table import clips_of, costs_table
from edgewatch.tools.evaluation.reporting.dataset_words import (
    footage_seconds,
    how_to_read,
    sentences,
)
from edgewatch.tools.evaluation.reporting.recording_answers import (
    answers_table,
    instructive_first,
    side_by_side,
)
from edgewatch.tools.evaluation.reporting.tables import Cell, Table, told
from edgewatch.tools.evaluation.statistics.figures import EngineMeasures, PairComparison
from edgewatch.tools.results import counted
from edgewatch.tools.sheet import clock

MOST_RECORDINGS = 60
"""Listed on a terminal; the report has all."""
_TONES = {"": "", "good": "green", "bad": "bold red", "soft": "dim"}


def print_evaluation(
    console: Console,
    evaluation: Evaluation,
    measures: Sequence[EngineMeasures],
    comparisons: Sequence[PairComparison],
) -> None:
    """Print each recording's answers, the figures, the controls in words, costs, what failed."""
    recordings = instructive_first(side_by_side(evaluation))
    if recordings:
        _print(console, answers_table(recordings[:MOST_RECORDINGS]))
    if len(recordings) > MOST_RECORDINGS:
        hidden = counted(len(recordings) - MOST_RECORDINGS, "more recording")
        console.print(Text(f"{hidden}: see recordings.csv", style="dim"))
    for one in _figures(measures):
        _print(console, one)
    console.print(Text(how_to_read(measures), style="dim"))
    _print_controls(console, measures)
    _print(console, costs_table(evaluation.runs))
    for pair in comparisons:
        console.print(Text("\n" + "\n".join(pair_tables.sentences(pair)) + "\n"))
    for note in sentences(evaluation, measures):
        console.print(Text(note, style="dim"))
    for two in evaluation.duplicates:
        words = f"nearly the same pictures ({two.similarity:.2f}): {two.first} and {two.second}"
        console.print(Text(words, style="yellow"), soft_wrap=True)
    for lost in evaluation.failed:
        line = Text.assemble(("failed ", "bold red"), (lost.name, "bold"), f": {lost.reason}")
        console.print(line, soft_wrap=True)  # a path that is cut in two cannot be copied
    console.print(Text(_totals(evaluation)))


def _figures(measures: Sequence[EngineMeasures]) -> list[Table]:
    answers = ("F1", "F1 if always Anomaly", "accuracy", "precision", "recall")
    return [
        figure_tables.recordings_table(measures).only("engine", "of", "Anomaly if", *answers),
        figure_tables.clips_table(measures).only("engine", "of", *answers),
        figure_tables.scores_table(measures).only(
            "engine", "of", "ROC-AUC", "PR-AUC", "average precision", "calibration error"
        ),
        figure_tables.alerts_table(measures).only(
            *("engine", "of", "incidents", "reported", "delay, median", "worst"),
            *("false alarms", "false alarms an hour"),
        ),
    ]


def _print_controls(console: Console, measures: Sequence[EngineMeasures]) -> None:
    for one in measures:
        console.print(Text(f"\nControls of {one.asked}", style="bold"))
        for name, _, control in figure_tables.controls(one.overall):
            line = Text(f"{name}: {told(control.probability)}. ")
            console.print(line.append(control.meaning, style="dim"))


def _print(console: Console, of: Table) -> None:
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, title=None)
    for column in of.columns:
        shown.add_column(
            Text(column.heading), justify="right" if column.numeric else "left", overflow="fold"
        )
    for row in of.rows:
        shown.add_row(*map(_cell, row))
    if of.rows:
        console.print(shown)
    for reason in of.reasons:
        console.print(Text(f"n/a: {reason}", style="dim"))


def _cell(cell: Cell) -> Text:
    text = Text(cell.text, style=_TONES[cell.tone])
    return text.append(f"\n{cell.beside}", style="dim") if cell.beside else text


def _totals(evaluation: Evaluation) -> str:
    run = evaluation.runs[0]
    return (
        f"{counted(len(run.recordings), 'recording')}, {counted(clips_of(run), 'clip')}, "
        f"{counted(len(evaluation.runs), 'engine')}; {clock(footage_seconds(evaluation))} of "
        f"footage in {clock(evaluation.wall_seconds)}"
    )
