"""Report page: an evaluation as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgewatch.tools.evaluation.evaluation import Evaluation, Picture
from edgewatch.tools.evaluation.reporting import charts, figure_tables, pair_tables
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
from edgewatch.tools.evaluation.reporting.strips import draw_all
from edgewatch.tools.evaluation.reporting.tables import Table, told
from edgewatch.tools.evaluation.statistics.figures import (
    Control,
    DifferingClip,
    EngineMeasures,
    LevelMeasures,
    PairComparison,
)
from edgewatch.tools.sheet import minute, render_sheet

MOST_DIFFERING = 60
"""Clips shown of one pair, the largest differences first; clips.csv holds all."""
_TEMPLATE = "evaluation/reporting/report.html"


@dataclass(frozen=True, slots=True)
class DifferingCard:
    """A clip on which two engines differ."""

    clip: DifferingClip
    picture: Picture | None
    anchor: str
    """Where its recording is drawn; empty: nowhere."""


@dataclass(frozen=True, slots=True)
class PairSection:
    """Two engines side by side."""

    pair: PairComparison
    sentences: tuple[str, ...]
    cards: tuple[DifferingCard, ...]


@dataclass(frozen=True, slots=True)
class ControlCard:
    """One engine's control."""

    engine: str
    name: str
    question: str
    control: Control


def render_evaluation(
    evaluation: Evaluation,
    measures: Sequence[EngineMeasures],
    comparisons: Sequence[PairComparison],
) -> str:
    """Return the page: no request, no script; dark or light as the reader's system is."""
    recordings = instructive_first(side_by_side(evaluation))
    pictures: dict[str, list[Picture]] = {}
    for picture in evaluation.pictures:
        pictures.setdefault(picture.recording, []).append(picture)
    drawn = draw_all(recordings, pictures)
    anchors = {one.answers.recording.name: one.anchor for one in drawn}
    values = {
        "evaluation": evaluation,
        "clips": clips_of(evaluation.runs[0]),
        "footage_seconds": footage_seconds(evaluation),
        "sentences": list(sentences(evaluation, measures)),
        "how_to_read": how_to_read(measures),
        "headline": list(zip(evaluation.runs, measures, strict=True)),
        "simulated": [one for one in evaluation.runs if one.simulated],
        "figures": _figure_tables(measures),
        "alerts": figure_tables.alerts_table(measures),
        "charts": list(_curves(measures)),
        "reliability": list(_reliability(measures)),
        "controls": list(_controls(measures)),
        "costs": costs_table(evaluation.runs),
        "agreement": pair_tables.agreement_table(comparisons),
        "delong": pair_tables.delong_table(comparisons),
        "pairs": [_pair(one, evaluation, anchors) for one in comparisons],
        "answers": answers_table(recordings),
        "anchors": [anchors.get(one.recording.name, "") for one in recordings],
        "drawn": drawn,
        "undrawn": len(recordings) - len(drawn),
        "ticks": charts.TICKS,
        "sample": charts.sample,
        "looks": charts.LOOKS,
        "box": (charts.WIDTH, charts.HEIGHT, charts.LEFT, charts.TOP, charts.SIDE),
        "finished": minute(evaluation.finished_seconds),
    }
    return render_sheet(_TEMPLATE, values, {"told": told})


def _figure_tables(measures: Sequence[EngineMeasures]) -> list[Table]:
    return [
        figure_tables.recordings_table(measures),
        figure_tables.clips_table(measures),
        figure_tables.scores_table(measures),
    ]


def _curves(measures: Sequence[EngineMeasures]) -> Iterator[charts.Chart]:
    levels = [(one, one.overall.recordings) for one in measures]
    yield from _level_curves(levels)
    yield from _level_curves([(one, one.overall.clips) for one in measures])


def _level_curves(
    levels: Sequence[tuple[EngineMeasures, LevelMeasures]],
) -> Iterator[charts.Chart]:
    """Yield the ROC and the precision-recall chart of one level; none without both classes."""
    first = levels[0][1]
    of = f"{first.level.capitalize()}s"
    total = first.anomalous + first.normal
    if any(level.roc for _, level in levels):
        lines = [
            charts.series(
                number,
                one.asked,
                [(point.x, point.y) for point in level.roc],
                figure=f"AUC {told(level.roc_auc)}",
                at=_roc_place(level),
                at_words=f"{one.asked} at its threshold {one.threshold:.2f}",
            )
            for number, (one, level) in enumerate(levels)
        ]
        yield charts.roc_chart(f"{of}: ROC", lines)
    if any(level.precision_recall for _, level in levels):
        lines = [
            charts.series(
                number,
                one.asked,
                [(point.x, point.y) for point in level.precision_recall],
                figure=f"average precision {told(level.average_precision)}",
                at=_pr_place(level),
                at_words=f"{one.asked} at its threshold {one.threshold:.2f}",
            )
            for number, (one, level) in enumerate(levels)
        ]
        yield charts.pr_chart(f"{of}: precision and recall", lines, first.anomalous / total)


def _roc_place(level: LevelMeasures) -> charts.Point | None:
    recall, specificity = level.answers.recall.value, level.answers.specificity.value
    return None if recall is None or specificity is None else (1.0 - specificity, recall)


def _pr_place(level: LevelMeasures) -> charts.Point | None:
    recall, precision = level.answers.recall.value, level.answers.precision.value
    return None if recall is None or precision is None else (recall, precision)


def _reliability(measures: Sequence[EngineMeasures]) -> Iterator[charts.Chart]:
    for number, one in enumerate(measures):
        level = one.overall.clips
        bins = [
            charts.Bin(
                low=each.low,
                high=each.high,
                mean_score=each.mean_score,
                share_anomalous=each.anomalous.value,
                clips=each.count,
                share_low=each.anomalous.low,
                share_high=each.anomalous.high,
            )
            for each in level.bins
            if each.anomalous.value is not None
        ]
        if bins:
            error = f"calibration error {told(level.calibration_error)}"
            yield charts.reliability_chart(number, one.asked, bins, figure=error)


def _controls(measures: Sequence[EngineMeasures]) -> Iterator[ControlCard]:
    for one in measures:
        for name, question, control in figure_tables.controls(one.overall):
            yield ControlCard(one.asked, name, question, control)


def _pair(pair: PairComparison, evaluation: Evaluation, anchors: dict[str, str]) -> PairSection:
    pictures = {(one.recording, one.clip_id): one for one in evaluation.pictures}
    cards = tuple(
        DifferingCard(
            one, pictures.get((one.recording, one.clip_id)), anchors.get(one.recording, "")
        )
        for one in pair.differing[:MOST_DIFFERING]
    )
    return PairSection(pair, tuple(pair_tables.sentences(pair)), cards)
