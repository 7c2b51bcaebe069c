"""Dataset words: what was judged, how little that is, and what to mind. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgewatch.tools.evaluation.evaluation import EngineRun, Evaluation
from edgewatch.tools.evaluation.statistics.figures import EngineMeasures
from edgewatch.tools.results import counted


def footage_seconds(evaluation: Evaluation) -> float:
    """Return how much footage was judged by each engine."""
    return sum(one.duration_seconds for one in evaluation.runs[0].recordings)


def sentences(evaluation: Evaluation, measures: Sequence[EngineMeasures]) -> Iterator[str]:
    """Say what a reader must know before any figure; each sentence once."""
    yield _size(evaluation.runs[0], measures)
    yield from _notes(measures)
    simulated = [one for one in evaluation.runs if one.simulated]
    for one in simulated:
        yield (
            f"{one.asked} is simulated here ({one.simulated}): its scores are what that arithmetic "
            "gives, its times, memory and energy say nothing of the device it is made for."
        )
    if evaluation.duplicates:
        yield (
            f"{counted(len(evaluation.duplicates), 'pair')} of recordings show nearly the same "
            "pictures: they are no two witnesses, and every interval here is narrower than it "
            "ought to be."
        )
    if evaluation.failed:
        failed = counted(len(evaluation.failed), "recording")
        yield f"{failed} could not be judged and {_are(len(evaluation.failed))} in no figure here."


def how_to_read(measures: Sequence[EngineMeasures]) -> str:
    """Say what the brackets mean."""
    drives = any(one.overall.recordings.level == "drive" for one in measures)
    unit = "drives (views of one drive together)" if drives else "recordings"
    return (
        f"In brackets: 95 % intervals. Those of clips come from resampling whole {unit}, as clips "
        "of one recording are no independent witnesses. A difference well within the intervals "
        "means nothing."
    )


def _size(run: EngineRun, measures: Sequence[EngineMeasures]) -> str:
    recordings = run.recordings
    anomalous = sum(one.label == "Anomaly" for one in recordings)
    normal = len(recordings) - anomalous
    windows = sum(len(one.windows) for one in recordings)
    views: dict[str, int] = {}
    for one in recordings:
        if one.drive:
            views[one.drive] = views.get(one.drive, 0) + 1
    shared = {drive: count for drive, count in views.items() if count > 1}
    text = f"{counted(len(recordings), 'labelled recording')} ({normal} Normal, {anomalous} Anomaly"
    text += f"; {counted(windows, 'incident window')} marked)"
    if shared:
        text += (
            f", of which {sum(shared.values())} are views of {counted(len(shared), 'drive')} and "
            "count once each"
        )
    level = measures[0].overall.recordings
    if counted_ones := level.anomalous + level.normal:
        points = 100.0 / counted_ones
        text += f": one {level.level} judged otherwise moves accuracy by {points:.1f} points."
    return text


def _notes(measures: Sequence[EngineMeasures]) -> Iterator[str]:
    """Yield what was noted of all engines once, and of one engine under its name."""
    for note in dict.fromkeys(note for one in measures for note in one.notes):
        engines = [one.asked for one in measures if note in one.notes]
        shared = len(engines) == len(measures)
        yield note if shared else f"{' and '.join(engines)}: {note}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
