"""Figure tables: what was measured of each engine, as tables. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgewatch.tools.evaluation.reporting.tables import (
    Cell,
    Column,
    Table,
    count,
    figure,
    number,
    table,
    word,
)
from edgewatch.tools.evaluation.statistics.figures import (
    Answers,
    Control,
    EngineMeasures,
    GroupMeasures,
    LevelMeasures,
)

ENGINE = Column("engine", numeric=False)
_OF = Column("of", numeric=False, hint="Which kind of camera, and how many were counted.")
_ANSWERS = (
    Column("F1", hint="Harmonic mean of precision and recall."),
    Column(
        "F1 if always Anomaly",
        hint="F1 of always answering Anomaly on the same material: an engine that is not above it "
        "has shown no skill.",
    ),
    Column("accuracy", hint="Share of right answers."),
    Column("precision", hint="Share of Anomaly answers that were right."),
    Column("recall", hint="Share of the anomalous that was answered Anomaly."),
    Column("specificity", hint="Share of the normal that was answered Normal."),
    Column("caught"),
    Column("missed"),
    Column("false alarms"),
    Column("rightly quiet"),
)


def recordings_table(measures: Sequence[EngineMeasures]) -> Table:
    """Tell how whole recordings (or drives) were answered, by event and by their worst clip."""
    rows: list[list[Cell]] = []
    for one, group in _groups(measures):
        level = group.recordings
        ways = (("clip", level.answers),)
        reported = (("event", level.by_event),) if level.by_event else ()
        rows.extend(
            [engine_cell(one), _of(group, level), word(way), *_answers(answers)]
            for way, answers in (*reported, *ways)
        )
    title = "Drives" if any(_by_drive(one) for one in measures) else "Recordings"
    way = Column(
        "Anomaly if",
        numeric=False,
        hint="event: at least one event is reported. clip: the worst clip reaches the threshold.",
    )
    return table(title, (ENGINE, _OF, way, *_ANSWERS), rows)


def clips_table(measures: Sequence[EngineMeasures]) -> Table:
    """Tell how single clips were answered."""
    rows = (
        [engine_cell(one), _of(group, group.clips), *_answers(group.clips.answers)]
        for one, group in _groups(measures)
    )
    return table("Clips", (ENGINE, _OF, *_ANSWERS), rows)


def scores_table(measures: Sequence[EngineMeasures]) -> Table:
    """Tell how well scores rank and how far they may be read as probabilities."""
    columns = (
        ENGINE,
        _OF,
        Column("ROC-AUC", hint="How often an anomalous one outscores a normal one. 0.5: guessing."),
        Column("PR-AUC", hint="Area under precision over recall, by trapezoids."),
        Column("average precision", hint="The same area by steps, which is never too kind."),
        Column("Brier score", hint="Mean squared distance of score and truth. 0 is best."),
        Column(
            "calibration error",
            hint="Mean distance between a score and how often it came true, over ten bins.",
        ),
        Column(
            "by chance alone",
            hint="What a perfectly calibrated engine would show on so few.",
        ),
    )
    rows = (
        [engine_cell(one), _of(group, level), *_scores(level)]
        for one, group in _groups(measures)
        for level in (group.recordings, group.clips)
    )
    return table("Scores", columns, rows)


def alerts_table(measures: Sequence[EngineMeasures]) -> Table:
    """Tell how soon incidents were reported, and how often nothing was."""
    columns = (
        ENGINE,
        Column("of", numeric=False),
        Column("incidents", hint="Labelled windows."),
        Column("reported"),
        Column("share"),
        Column("open before", hint="An event of before the incident still went on: no delay."),
        Column("delay, median", hint="From the window's start to the event."),
        Column("p90"),
        Column("worst"),
        Column("false alarms", hint="Events in recordings labelled Normal."),
        Column("hours of normal footage"),
        Column("false alarms an hour", hint="With its exact Poisson interval."),
    )
    rows = (
        [engine_cell(one), word(group.group or "all"), *_alerts(group)]
        for one, group in _groups(measures)
    )
    return table("Delays and false alarms", columns, rows)


def controls_table(measures: Sequence[EngineMeasures]) -> Table:
    """Tell both controls, and what each means here."""
    columns = (
        ENGINE,
        Column("control", numeric=False),
        Column("probability", hint="A tie counts one half."),
        Column("clips"),
        Column("against"),
        Column("recordings"),
        Column("what it means", numeric=False),
    )
    rows = (
        [
            engine_cell(one),
            word(f"{name}, {group.group}" if group.group else name),
            figure(control.probability),
            count(control.clips),
            count(control.against),
            count(control.units),
            word(control.meaning),
        ]
        for one, group in _groups(measures)
        for name, _, control in controls(group)
    )
    return table("Controls", columns, rows)


def controls(group: GroupMeasures) -> Iterator[tuple[str, str, Control]]:
    """Yield each control with its name and its question."""
    yield (
        "before the incident",
        "Do clips before the incident already outscore clips of normal recordings? About 0.5 is "
        "honest; far above, the engine recognises the camera, not the incident.",
        group.pre_incident,
    )
    yield (
        "quiet clips",
        "The same for all clips outside the labelled windows, the aftermath too.",
        group.quiet,
    )
    yield (
        "within a recording",
        "Inside one recording, do clips of the incident outscore quiet ones? 1 is best, 0.5 is "
        "guessing.",
        group.ranking,
    )


def engine_cell(measures: EngineMeasures) -> Cell:
    """Name an engine, and say if part of it was imitated."""
    return named(measures.asked, measures.simulated)


def named(asked: str, simulated: str) -> Cell:
    """Name an engine, and say if part of it was imitated."""
    return Cell(asked, "simulated" if simulated else "", simulated)


def kind(level: LevelMeasures, number_of: int) -> str:
    """Write what was counted: "1 drive", "17 recordings", "154 clips"."""
    return f"{number_of} {level.level}{'' if number_of == 1 else 's'}"


def _groups(measures: Sequence[EngineMeasures]) -> Iterator[tuple[EngineMeasures, GroupMeasures]]:
    for place in range(max((len(one.groups) for one in measures), default=0)):
        for one in measures:
            if place < len(one.groups):
                yield one, one.groups[place]


def _by_drive(measures: EngineMeasures) -> bool:
    return measures.overall.recordings.level == "drive"


def _of(group: GroupMeasures, level: LevelMeasures) -> Cell:
    left_out = f"{level.left_out} more clips are of anomalous recordings without a labelled window"
    return Cell(
        group.group or "all",
        kind(level, level.anomalous + level.normal),
        left_out if level.left_out else "",
    )


def _answers(answers: Answers) -> list[Cell]:
    f1, always = answers.f1.value, answers.always_anomaly_f1.value
    table_of = answers.confusion
    beatable = table_of.true_normal + table_of.false_anomaly > 0
    idle = beatable and f1 is not None and always is not None and f1 <= always
    return [
        figure(answers.f1, tone="bad" if idle else ""),
        figure(answers.always_anomaly_f1),
        figure(answers.accuracy),
        figure(answers.precision),
        figure(answers.recall),
        figure(answers.specificity),
        count(table_of.true_anomaly),
        count(table_of.false_normal),
        count(table_of.false_anomaly),
        count(table_of.true_normal),
    ]


def _scores(level: LevelMeasures) -> list[Cell]:
    return [
        figure(level.roc_auc),
        figure(level.pr_auc),
        figure(level.average_precision),
        figure(level.brier),
        figure(level.calibration_error),
        number(level.calibration_error_by_chance, level.calibration_error.reason),
    ]


def _alerts(group: GroupMeasures) -> list[Cell]:
    delays, alarms = group.delays, group.false_alarms
    why = delays.reason or "no incident was reported in time"
    return [
        count(delays.incidents),
        count(delays.detected + delays.already_open),
        figure(delays.detected_share),
        count(delays.already_open),
        figure(delays.median_seconds, decimals=1, unit=" s"),
        number(delays.p90_seconds, why, decimals=1, unit=" s"),
        number(delays.worst_seconds, why, decimals=1, unit=" s"),
        count(alarms.events),
        Cell(f"{alarms.normal_hours:.3g}"),
        figure(alarms.per_hour, decimals=1),
    ]
