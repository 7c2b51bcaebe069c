"""Evaluations made up by hand: six recordings, two engines, figures that need no computing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import cv2

from edgewatch.pipeline.types import Label
from edgewatch.tools.evaluation.evaluation import (
    ClipTruth,
    Costs,
    EngineRun,
    Evaluation,
    JudgedClip,
    JudgedRecording,
    NearDuplicate,
    Picture,
)
from edgewatch.tools.evaluation.statistics.figures import (
    Agreement,
    Answers,
    Control,
    CurvePoint,
    Delays,
    DeLong,
    DifferingClip,
    EngineMeasures,
    Estimate,
    FalseAlarms,
    GroupMeasures,
    Level,
    LevelMeasures,
    McNemar,
    PairComparison,
    ReliabilityBin,
)
from edgewatch.tools.labels import Window
from edgewatch.tools.metrics import Confusion
from edgewatch.tools.recordings import NotFound
from edgewatch.tools.spans import EventSpan
from tests.tools.replays import a_picture

HOSTILE = "crash <script>console.error('ran')</script>.mp4"
FORMULA = '=HYPERLINK("http://x";"a").mp4'
FIRST, SECOND = "builtin", "fp4"
THRESHOLD = 0.5
STRIDE_SECONDS, CLIP_SECONDS = 2.5, 5.0

_SCORES: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    HOSTILE: ([0.1, 0.2, 0.8, 0.9, 0.7, 0.1], [0.1, 0.2, 0.4, 0.45, 0.3, 0.1]),
    FORMULA: ([0.2, 0.3, 0.1, 0.1], [0.2, 0.6, 0.7, 0.1]),
    "night/front.mp4": ([0.1, 0.1, 0.2, 0.6, 0.8, 0.3], [0.1, 0.2, 0.2, 0.7, 0.9, 0.2]),
    "night/left.mp4": ([0.1, 0.2, 0.2, 0.3, 0.3, 0.2], [0.1, 0.1, 0.2, 0.3, 0.2, 0.2]),
    "quiet.mp4": ([0.05] * 40, [0.1] * 40),
    "unmarked.mp4": ([0.3, 0.95, 0.2], [0.2, 0.9, 0.1]),
}


def an_evaluation(**changes: object) -> Evaluation:
    """Return the evaluation of both engines, `changes` made to it."""
    made = Evaluation(
        dataset="footage/labels.csv",
        runs=(
            a_run(FIRST, 0),
            a_run(SECOND, 1, simulated="NVFP4 imitated in bfloat16"),
        ),
        failed=(NotFound("torn <b>.mp4", "ends in the middle"),),
        duplicates=(NearDuplicate("night/front.mp4", "night/left.mp4", 0.97),),
        pictures=tuple(_pictures()),
        wall_seconds=75.0,
        finished_seconds=1_780_000_000.0,
        settings={"engine.threshold": THRESHOLD, "clips.seconds": CLIP_SECONDS},
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # names are Evaluation's own


def a_run(asked: str, number: int, *, simulated: str = "") -> EngineRun:
    """Return one engine over all recordings."""
    recordings = tuple(
        _recording(name, scores[number], 0.02 + number) for name, scores in _SCORES.items()
    )
    clips = sum(len(one.clips) for one in recordings)
    return EngineRun(
        asked=asked,
        engine=f"{asked}-1" + ("~simulated" if simulated else ""),
        threshold=THRESHOLD,
        open_after=2,
        recordings=recordings,
        costs=Costs(
            load_seconds=1.25,
            decode_ms=(4.0,) * clips,
            engine_ms=tuple(10.0 + number * 5 + at % 3 for at in range(clips)),
            total_ms=(20.0,) * clips,
            judging_seconds=12.0,
            peak_memory_bytes=812_000_000,
            peak_gpu_bytes=15_400_000_000 if number else None,
            energy_joules=610.0 if number else None,
            energy_source="NVML" if number else "this processor does not tell its energy",
        ),
        simulated=simulated,
    )


def _recording(name: str, scores: Sequence[float], engine_seconds: float) -> JudgedRecording:
    label: Label = "Normal" if name in (FORMULA, "quiet.mp4") else "Anomaly"
    windows = () if label == "Normal" or name == "unmarked.mp4" else (Window(5.0, 12.0),)
    drive, view = name.removesuffix(".mp4").split("/") if name.startswith("night/") else ("", "")
    over = [at for at, score in enumerate(scores) if score >= THRESHOLD]
    events: tuple[EventSpan, ...] = ()
    if len(over) >= 2:
        start, end = over[0] * STRIDE_SECONDS, over[-1] * STRIDE_SECONDS + CLIP_SECONDS
        events = (EventSpan(start, end, max(scores), len(over), "", "stream_ended", ""),)
    return JudgedRecording(
        name=name,
        label=label,
        drive=drive,
        view=view,
        group="fixed" if name == "quiet.mp4" else "drive",
        windows=windows,
        duration_seconds=STRIDE_SECONDS * len(scores) + STRIDE_SECONDS,
        clips=tuple(_clip(name, at, score, label, windows) for at, score in enumerate(scores)),
        events=events,
        engine_seconds=engine_seconds,
    )


def _clip(name: str, at: int, score: float, label: Label, windows: Sequence[Window]) -> JudgedClip:
    start = at * STRIDE_SECONDS
    end = start + CLIP_SECONDS
    truth: ClipTruth = "normal" if label == "Normal" else "unmarked"
    if windows:
        touched = any(start < one.end_seconds and end > one.start_seconds for one in windows)
        truth = "incident" if touched else "quiet"
    return JudgedClip(f"{name}-{at}", start, end, score, truth)


def _pictures() -> list[Picture]:
    return [
        Picture(name, f"{name}-{at}", at * STRIDE_SECONDS, _jpeg(at))
        for name, places in ((HOSTILE, (2, 3, 4)), (FORMULA, (1,)), ("night/front.mp4", (4,)))
        for at in places
    ]


@cache
def _jpeg(at: int) -> bytes:
    pixels = a_picture(at * 7.0, (280, 168))
    done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert done
    return jpeg.tobytes()


# -- figures ----------------------------------------------------------------------------------

ROC = tuple(
    CurvePoint(*point)
    for point in ((0, 0, None), (0, 0.67, 0.9), (0.5, 0.67, 0.6), (0.5, 1, 0.45), (1, 1, 0.1))
)
PRECISION_RECALL = tuple(
    CurvePoint(*point)
    for point in ((1.0, 0.6, 0.1), (0.67, 0.67, 0.45), (0.67, 1.0, 0.7), (0.0, 1.0, None))
)
NO_NORMAL = Estimate(None, None, None, "no recording is labelled Normal")


def made_measures(evaluation: Evaluation | None = None) -> tuple[EngineMeasures, ...]:
    """Return figures of both engines: plausible, and known to the digit."""
    runs = (evaluation or an_evaluation()).runs
    return tuple(
        EngineMeasures(
            asked=run.asked,
            engine=run.engine,
            threshold=run.threshold,
            simulated=run.simulated,
            groups=(a_group("", Confusion(3 - at, at, 2 - at, at)), a_group("drive", Confusion(2))),
            seed=0,
            notes=("5 drives are few: intervals are wide.",),
        )
        for at, run in enumerate(runs)
    )


def a_group(name: str, table: Confusion) -> GroupMeasures:
    """Return the figures of some recordings answered like this."""
    return GroupMeasures(
        group=name,
        recordings=a_level("drive", table),
        clips=a_level("clip", Confusion(6, 2, 42, 5)),
        delays=Delays(
            incidents=3,
            detected=2,
            already_open=0,
            detected_share=Estimate(0.667, 0.094, 0.992),
            median_seconds=Estimate(2.5, 0.0, 5.0),
            p90_seconds=4.5,
            worst_seconds=5.0,
            seconds=(0.0, 5.0),
        ),
        false_alarms=FalseAlarms(1, 0.03, Estimate(33.3, 0.8, 185.7)),
        pre_incident=a_control("Clips of before the incident look like normal ones."),
        quiet=a_control("Quiet clips score higher than normal ones."),
        ranking=Control(
            Estimate(None, None, None, "no recording has both kinds of clips"),
            clips=0,
            against=0,
            units=0,
            meaning="Nothing can be said.",
        ),
    )


def a_control(meaning: str) -> Control:
    """Return a control."""
    return Control(Estimate(0.55, 0.4, 0.7), clips=5, against=44, units=3, meaning=meaning)


def a_level(level: Level, table: Confusion) -> LevelMeasures:
    """Return the figures of one level; without normal ones, those that need them are missing."""
    both = bool(table.true_normal + table.false_anomaly)
    answers = an_answer(table)
    return LevelMeasures(
        level=level,
        anomalous=table.true_anomaly + table.false_normal,
        normal=table.true_normal + table.false_anomaly,
        left_out=3 if level == "clip" else 0,
        units=5,
        answers=answers,
        by_event=None if level == "clip" else answers,
        roc_auc=Estimate(0.833, 0.5, 1.0) if both else NO_NORMAL,
        pr_auc=Estimate(0.875, 0.6, 1.0) if both else NO_NORMAL,
        average_precision=Estimate(0.861, 0.6, 1.0) if both else NO_NORMAL,
        brier=Estimate(0.125, 0.05, 0.2),
        calibration_error=Estimate(0.21, 0.1, 0.3),
        calibration_error_by_chance=0.09,
        bins=(
            ReliabilityBin(0.0, 0.1, 41, 0.06, Estimate(0.02, 0.0, 0.13)),
            ReliabilityBin(0.2, 0.3, 8, 0.23, Estimate(0.375, 0.09, 0.76)),
            ReliabilityBin(0.8, 0.9, 4, 0.85, Estimate(0.75, 0.19, 0.99)),
        ),
        roc=ROC if both else (),
        precision_recall=PRECISION_RECALL if both else (),
        resamples=2000,
    )


def an_answer(table: Confusion) -> Answers:
    """Return a confusion table's figures, with intervals made up."""
    normal = table.true_normal + table.false_anomaly
    return Answers(
        confusion=table,
        accuracy=_about(table.accuracy.value),
        precision=_about(table.precision.value),
        recall=_about(table.recall.value),
        specificity=_about(table.true_normal / normal if normal else None),
        f1=_about(table.f1.value),
        always_anomaly_f1=Estimate(table.always_anomaly_f1.value),
    )


def _about(value: float | None) -> Estimate:
    if value is None:
        return NO_NORMAL
    return Estimate(value, max(0.0, value - 0.3), min(1.0, value + 0.2))


def a_comparison() -> PairComparison:
    """Return both engines held together."""
    return PairComparison(
        first=FIRST,
        second=SECOND,
        recordings=Agreement(
            "drive", 5, 3, Estimate(0.6, 0.147, 0.947), Estimate(0.167, -0.5, 0.8), 2, 1, 1, 1,
            McNemar(3, 2, 0, 0, 2.0, 0.5, 0.5),
        ),
        clips=Agreement(
            "clip", 62, 55, Estimate(0.887, 0.7, 1.0), Estimate(0.4, 0.0, 0.8), 2, 3, 2, 55,
            McNemar(52, 5, 0, 5, 5.0, 0.0625, 0.25),
        ),
        delong=DeLong(0.9, 0.7, Estimate(0.2, -0.1, 0.5), 1.31, 0.19),
        mean_score_difference=0.0642,
        largest_score_difference=0.6,
        differing=(
            _differing(FORMULA, 2, "normal"),
            _differing(HOSTILE, 3, "incident"),
            _differing(HOSTILE, 2, "incident"),
            _differing(HOSTILE, 4, "incident"),
            _differing(FORMULA, 1, "normal"),
        ),
        notes=("5 drives are few.",),
    )  # fmt: skip


def _differing(name: str, at: int, truth: ClipTruth) -> DifferingClip:
    first, second = (scores[at] for scores in _SCORES[name])
    start = at * STRIDE_SECONDS
    return DifferingClip(
        recording=name,
        clip_id=f"{name}-{at}",
        start_seconds=start,
        end_seconds=start + CLIP_SECONDS,
        truth=truth,
        first_score=first,
        second_score=second,
        first_answer="Anomaly" if first >= THRESHOLD else "Normal",
        second_answer="Anomaly" if second >= THRESHOLD else "Normal",
    )
