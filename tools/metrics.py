"""Metrics: how well answers fit labels, from one confusion table to the ROC curve's area.

A recording has two answers. *By event*: Anomaly if at least one event opened, which is what a
user would have been told. *By clip*: Anomaly if at least one clip reached the threshold, which
does not depend on how many clips an event needs (a recording of one or two clips can hardly open
one). Its score, for the area under the curve, is that of its worst clip, and for comparison the
mean of its three worst. What cannot be computed is None with its reason, never NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edgewatch.pipeline.types import Label

TOP_CLIPS = 3
"""Clips in the second score of a recording."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, or the reason why there is none."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each answer met each label; Anomaly is the positive class."""

    true_anomaly: int = 0
    false_anomaly: int = 0
    true_normal: int = 0
    false_normal: int = 0

    @property
    def total(self) -> int:
        """Recordings counted."""
        return self.true_anomaly + self.false_anomaly + self.true_normal + self.false_normal

    @property
    def accuracy(self) -> Figure:
        """Share of right answers."""
        return _ratio(self.true_anomaly + self.true_normal, self.total, "no labelled recording")

    @property
    def precision(self) -> Figure:
        """Share of Anomaly answers that were right."""
        answered = self.true_anomaly + self.false_anomaly
        return _ratio(self.true_anomaly, answered, "never answered Anomaly")

    @property
    def recall(self) -> Figure:
        """Share of anomalous recordings that were answered Anomaly."""
        labelled = self.true_anomaly + self.false_normal
        return _ratio(self.true_anomaly, labelled, "no recording is labelled Anomaly")

    @property
    def f1(self) -> Figure:
        """Harmonic mean of precision and recall; 0 if all anomalies were missed."""
        wrong = self.false_anomaly + self.false_normal
        return _ratio(
            2 * self.true_anomaly,
            2 * self.true_anomaly + wrong,
            "no recording is labelled or answered Anomaly",
        )

    @property
    def always_anomaly_f1(self) -> Figure:
        """F1 of always answering Anomaly on the same recordings: what skill has to beat."""
        positive = self.true_anomaly + self.false_normal
        return Confusion(true_anomaly=positive, false_anomaly=self.total - positive).f1


@dataclass(frozen=True, slots=True)
class Outcome:
    """One labelled recording that was judged."""

    label: Label
    scores: tuple[float, ...]
    """Of its clips, at least one."""
    by_event: Label
    by_clip: Label
    group: str = ""

    @property
    def peak_score(self) -> float:
        """Score of the worst clip."""
        return max(self.scores)

    @property
    def top_score(self) -> float:
        """Mean score of the (at most) three worst clips."""
        worst = sorted(self.scores)[-TOP_CLIPS:]
        return sum(worst) / len(worst)


@dataclass(frozen=True, slots=True)
class Statistics:
    """How well a set of recordings was judged."""

    group: str
    """Empty for all recordings together."""
    by_event: Confusion
    by_clip: Confusion
    auc: Figure
    """Of the worst clip's score."""
    auc_top: Figure
    """Of the mean of the three worst clips' scores."""

    @property
    def normal(self) -> int:
        """Recordings labelled Normal."""
        return self.by_event.true_normal + self.by_event.false_anomaly

    @property
    def anomalous(self) -> int:
        """Recordings labelled Anomaly."""
        return self.by_event.true_anomaly + self.by_event.false_normal


def measure(outcomes: Iterable[Outcome]) -> tuple[Statistics, ...]:
    """Return the statistics of all recordings, then of each group if there are several.

    Nothing is returned for no recordings. Recordings without a group are in the first only.
    """
    everything = list(outcomes)
    if not everything:
        return ()
    groups = sorted({one.group for one in everything})
    named = [group for group in groups if group] if len(groups) > 1 else []
    by_group = (_statistics(g, [one for one in everything if one.group == g]) for g in named)
    return (_statistics("", everything), *by_group)


def confusion(pairs: Iterable[tuple[Label, Label]]) -> Confusion:
    """Count pairs of (label, answer)."""
    counted = list(pairs)
    return Confusion(
        true_anomaly=counted.count(("Anomaly", "Anomaly")),
        false_anomaly=counted.count(("Normal", "Anomaly")),
        true_normal=counted.count(("Normal", "Normal")),
        false_normal=counted.count(("Anomaly", "Normal")),
    )


def roc_auc(anomalous: Sequence[float], normal: Sequence[float]) -> Figure:
    """Return P(an anomalous score is above a normal one), a tie counting one half.

    That is the area under the ROC curve (Mann-Whitney's U over the number of pairs).
    """
    if not anomalous:
        return Figure(None, "no recording is labelled Anomaly")
    if not normal:
        return Figure(None, "no recording is labelled Normal")
    ranked = np.sort(np.asarray(normal, dtype=np.float64))
    below = np.searchsorted(ranked, anomalous, side="left")
    not_above = np.searchsorted(ranked, anomalous, side="right")
    # Twice the wins plus the ties: whole numbers, so the sum is exact.
    halves = int(below.sum()) + int(not_above.sum())
    return Figure(halves / (2 * len(anomalous) * len(normal)))


def _statistics(group: str, outcomes: Sequence[Outcome]) -> Statistics:
    anomalous = [one for one in outcomes if one.label == "Anomaly"]
    normal = [one for one in outcomes if one.label == "Normal"]
    return Statistics(
        group=group,
        by_event=confusion((one.label, one.by_event) for one in outcomes),
        by_clip=confusion((one.label, one.by_clip) for one in outcomes),
        auc=roc_auc([a.peak_score for a in anomalous], [n.peak_score for n in normal]),
        auc_top=roc_auc([a.top_score for a in anomalous], [n.top_score for n in normal]),
    )


def _ratio(part: int, whole: int, reason: str) -> Figure:
    return Figure(part / whole) if whole else Figure(None, reason)
