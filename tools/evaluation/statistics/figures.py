"""Figures of an evaluation: what is known of an engine, each with its 95 % interval. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewatch.pipeline.types import Label
from edgewatch.tools.evaluation.evaluation import ClipTruth
from edgewatch.tools.metrics import Confusion

Level = Literal["recording", "drive", "clip"]
"""What was counted: a recording; a drive (its views together, judged by the worst; a recording
of no drive is a drive of its own); a clip."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval; what is not there has its reason. Never NaN."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    """Why there is no value, or a value without interval; empty if both are there."""


@dataclass(frozen=True, slots=True)
class Answers:
    """How answers fit labels; Anomaly is the positive class."""

    confusion: Confusion
    accuracy: Estimate
    precision: Estimate
    recall: Estimate
    specificity: Estimate
    """Share of the normal that was answered Normal."""
    f1: Estimate
    always_anomaly_f1: Estimate
    """F1 of always answering Anomaly on the same material: what skill has to beat. It has no
    interval: it is no measurement of the engine."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of a ROC curve (x: false positive rate, y: recall) or of a precision-recall
    curve (x: recall, y: precision)."""

    x: float
    y: float
    threshold: float | None
    """Scores from here on are answered Anomaly; None where no score is as high."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bin of the reliability diagram; bins without a score are left out."""

    low: float
    high: float
    """Scores from `low` to below `high`; the last bin holds 1.0 too."""
    count: int
    mean_score: float
    anomalous: Estimate
    """Share that really was anomalous."""


@dataclass(frozen=True, slots=True)
class LevelMeasures:
    """How well one engine judged recordings (or drives), or clips."""

    level: Level
    anomalous: int
    normal: int
    """Items of each class that were counted."""
    left_out: int
    """Clips whose truth nobody marked (of anomalous recordings without a window)."""
    units: int
    """Independent witnesses: recordings, or drives. Intervals rest on these, not on clips."""
    answers: Answers
    """An item is answered Anomaly if its score (its worst clip's) reaches the threshold."""
    by_event: Answers | None
    """An item is answered Anomaly if an event would have been reported; None for clips."""
    roc_auc: Estimate
    pr_auc: Estimate
    """Area under the precision-recall curve by trapezoids; a little optimistic (Davis &
    Goadrich, ICML 2006), which average precision is not."""
    average_precision: Estimate
    brier: Estimate
    calibration_error: Estimate
    """Expected calibration error over ten bins of equal width."""
    calibration_error_by_chance: float | None
    """What a perfectly calibrated engine of the same scores would show on so few items."""
    bins: tuple[ReliabilityBin, ...]
    roc: tuple[CurvePoint, ...]
    precision_recall: tuple[CurvePoint, ...]
    resamples: int
    """Bootstrap resamples of units behind the intervals of the areas, the Brier score and the
    calibration error (of clips: behind all intervals); 0 where none was possible."""


@dataclass(frozen=True, slots=True)
class Delays:
    """How soon incidents (labelled windows) were reported; times from the window's start."""

    incidents: int
    detected: int
    """Reported after the window began: these have a delay."""
    already_open: int
    """An event that was reported before the window began was still going on: no delay is known."""
    detected_share: Estimate
    """Detected or already open, of all incidents."""
    median_seconds: Estimate
    p90_seconds: float | None
    worst_seconds: float | None
    seconds: tuple[float, ...]
    """Of each detected incident, growing."""
    reason: str = ""
    """Why there are no delays; empty if there are."""


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Reported events in footage that is labelled Normal."""

    events: int
    normal_hours: float
    """Camera hours: two views of one drive count twice."""
    per_hour: Estimate


@dataclass(frozen=True, slots=True)
class Control:
    """A control that keeps from fooling oneself: P(one kind of clip outscores another)."""

    probability: Estimate
    """A tie counts one half."""
    clips: int
    """Clips of the first kind (quiet; for the ranking: incident)."""
    against: int
    """Clips of the second kind (of normal recordings; for the ranking: quiet)."""
    units: int
    """Recordings (or drives) that clips of the first kind come from."""
    meaning: str
    """A plain sentence: what the figure says here."""


@dataclass(frozen=True, slots=True)
class GroupMeasures:
    """One engine on all recordings, or on one kind of camera."""

    group: str
    """Empty: all recordings."""
    recordings: LevelMeasures
    """Its `level` is "drive" if there are drives of several views."""
    clips: LevelMeasures
    delays: Delays
    false_alarms: FalseAlarms
    pre_incident: Control
    """Do clips before the first window of anomalous recordings outscore clips of normal ones?"""
    quiet: Control
    """The same with all quiet clips, the aftermath too (which may rightly look unusual)."""
    ranking: Control
    """Inside one recording: do incident clips outscore quiet ones? Mean over recordings."""


@dataclass(frozen=True, slots=True)
class EngineMeasures:
    """All figures of one engine."""

    asked: str
    engine: str
    threshold: float
    simulated: str
    groups: tuple[GroupMeasures, ...]
    """First all recordings, then each group if there are several."""
    seed: int
    notes: tuple[str, ...]
    """What a reader must know to read the figures rightly (few recordings, ...)."""

    @property
    def overall(self) -> GroupMeasures:
        """All recordings."""
        return self.groups[0]


@dataclass(frozen=True, slots=True)
class McNemar:
    """Is one engine right more often than the other on the same items?"""

    both_right: int
    first_only: int
    """The first engine right, the second wrong."""
    second_only: int
    both_wrong: int
    chi_squared: float | None
    """(b - c)^2 / (b + c), without continuity correction; None if they never differ."""
    p_value: float | None
    """Exact, two-sided (binomial); None if they never differ. Takes items as independent."""
    clustered_p_value: float | None
    """Exact, two-sided, with all items of one recording (drive) changing sides together: the one
    to read for clips. For one item a unit it is the same as `p_value`."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeLong:
    """Do two engines rank the same recordings differently well?"""

    first_auc: float | None
    second_auc: float | None
    difference: Estimate
    """First minus second."""
    z: float | None
    p_value: float | None
    """Two-sided."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike two engines answered, whoever was right."""

    level: Level
    items: int
    same: int
    share: Estimate
    kappa: Estimate
    """Cohen's kappa."""
    both_anomaly: int
    first_anomaly: int
    """Only the first engine answered Anomaly."""
    second_anomaly: int
    both_normal: int
    mcnemar: McNemar


@dataclass(frozen=True, slots=True)
class DifferingClip:
    """A clip that two engines answered differently."""

    recording: str
    clip_id: str
    start_seconds: float
    end_seconds: float
    truth: ClipTruth
    first_score: float
    second_score: float
    first_answer: Label
    second_answer: Label


@dataclass(frozen=True, slots=True)
class PairComparison:
    """Two engines on the same recordings."""

    first: str
    second: str
    """As asked for on the command line."""
    recordings: Agreement
    """Of recordings, or drives; answered by their worst clip."""
    clips: Agreement
    """Agreement is of all clips, McNemar's test of those whose truth is known."""
    delong: DeLong
    """Of recordings, or drives, by their worst clip's score."""
    mean_score_difference: float
    """Mean |P(first) - P(second)| over clips."""
    largest_score_difference: float
    differing: tuple[DifferingClip, ...]
    """Largest difference of scores first."""
    notes: tuple[str, ...] = ()
