"""Markdown: an evaluation's report as text for a repository or an issue. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgewatch.tools.evaluation.evaluation import Evaluation
from edgewatch.tools.evaluation.reporting import figure_tables, pair_tables
from edgewatch.tools.evaluation.reporting.cost_table import costs_table
from edgewatch.tools.evaluation.reporting.dataset_words import how_to_read, sentences
from edgewatch.tools.evaluation.reporting.recording_answers import answers_table, side_by_side
from edgewatch.tools.evaluation.reporting.tables import Cell, Table, told
from edgewatch.tools.evaluation.statistics.figures import EngineMeasures, PairComparison
from edgewatch.tools.evaluation.statistics.orders import OrderComparison
from edgewatch.tools.evaluation.statistics.orders import sentences as order_sentences
from edgewatch.tools.sheet import clock, minute

MOST_DIFFERING = 50
"""Clips listed of one pair; clips.csv has all."""


def markdown(
    evaluation: Evaluation,
    measures: Sequence[EngineMeasures],
    comparisons: Sequence[PairComparison],
    *,
    orders: Sequence[OrderComparison] = (),
) -> Iterator[str]:
    """Yield report.md line by line."""
    yield f"# Evaluation of {escaped(evaluation.dataset)}\n\n"
    engines = ", ".join(f"{escaped(one.asked)} ({escaped(one.engine)})" for one in evaluation.runs)
    took = clock(evaluation.wall_seconds)
    yield f"{minute(evaluation.finished_seconds)}, took {took}. Engines: {engines}.\n\n"
    yield from _list(sentences(evaluation, measures))
    yield f"\n{how_to_read(measures)}\n"
    yield from _table(figure_tables.recordings_table(measures))
    yield from _table(figure_tables.clips_table(measures))
    yield from _table(figure_tables.scores_table(measures))
    yield from _table(figure_tables.alerts_table(measures))
    yield from _controls(measures)
    yield from _table(costs_table(evaluation.runs))
    for order in orders:
        yield "\n## Question behind or before the video\n\n"
        yield from _list(order_sentences(order))
    for pair in comparisons:
        yield f"\n## {escaped(pair.first)} and {escaped(pair.second)}\n\n"
        yield from _list(pair_tables.sentences(pair))
        if pair.differing:
            yield from _table(pair_tables.differing_table(pair, MOST_DIFFERING), level=3)
    if comparisons:
        yield from _table(pair_tables.agreement_table(comparisons))
        yield from _table(pair_tables.delong_table(comparisons))
    yield from _table(answers_table(side_by_side(evaluation)), title="Each recording")
    if evaluation.duplicates:
        yield "\n## Nearly the same pictures\n\n"
        yield from _list(
            f"{one.first} and {one.second} ({one.similarity:.2f})" for one in evaluation.duplicates
        )
    if evaluation.failed:
        yield "\n## Not judged\n\n"
        yield from _list(f"{one.name}: {one.reason}" for one in evaluation.failed)


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    line = " ".join(text.split())
    plain = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|#!~$])", r"\\\1", plain)


def _controls(measures: Sequence[EngineMeasures]) -> Iterator[str]:
    yield "\n## Controls\n"
    for one in measures:
        yield f"\n**{escaped(one.asked)}**\n\n"
        for group in one.groups:
            of = f" ({group.group})" if group.group else ""
            for name, _, control in figure_tables.controls(group):
                yield from _list([f"{name}{of}: {told(control.probability)}. {control.meaning}"])


def _list(items: Iterator[str] | Sequence[str]) -> Iterator[str]:
    for one in items:
        yield f"- {escaped(one)}\n"


def _table(of: Table, *, level: int = 2, title: str = "") -> Iterator[str]:
    if not of.rows:
        return
    yield f"\n{'#' * level} {escaped(title or of.title)}\n\n"
    yield _row(escaped(one.heading) for one in of.columns)
    yield _row("---:" if one.numeric else "---" for one in of.columns)
    for row in of.rows:
        yield _row(_cell(one) for one in row)
    for reason in of.reasons:
        yield f"\nn/a: {escaped(reason)}\n"


def _row(cells: Iterator[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cell(cell: Cell) -> str:
    beside = cell.beside
    if beside and not beside.startswith("["):
        beside = f"({beside})"
    return escaped(f"{cell.text} {beside}".rstrip())
