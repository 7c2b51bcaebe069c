"""Levels: all figures of recordings (or drives), and of clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgewatch.tools.evaluation.statistics.answers import answers_at, clip_answers, unit_answers
from edgewatch.tools.evaluation.statistics.figures import Answers, Level, LevelMeasures
from edgewatch.tools.evaluation.statistics.ranking import (
    few_units,
    missing_class,
    precision_recall_areas,
    precision_recall_points,
    roc_area,
    roc_points,
)
from edgewatch.tools.evaluation.statistics.reliability import (
    brier,
    calibration_error,
    chance_calibration_error,
    reliability_bins,
)
from edgewatch.tools.evaluation.statistics.resampling import Resampling
from edgewatch.tools.evaluation.statistics.sample import Sample, Unit, clip_sample, unit_sample


def unit_level(units: Sequence[Unit]) -> Level:
    """Name what a unit is: a drive as soon as one has several views."""
    return "drive" if any(len(one.recordings) > 1 for one in units) else "recording"


def measure_units(
    units: Sequence[Unit], threshold: float, *, seed: int, resamples: int
) -> LevelMeasures:
    """Measure recordings, or drives; each is judged by its worst clip."""
    sample = unit_sample(units)
    reported = np.array([one.reported for one in units], dtype=np.bool_)
    return _measure(
        unit_level(units),
        sample,
        unit_answers(answers_at(sample.scores, threshold), sample.positive),
        by_event=unit_answers(reported, sample.positive),
        seed=seed,
        resamples=resamples,
    )


def measure_clips(
    units: Sequence[Unit], threshold: float, *, seed: int, resamples: int
) -> LevelMeasures:
    """Measure clips: those of a window are anomalous, quiet ones and those of Normal are not."""
    sample = clip_sample(units, positive=("incident",), negative=("normal", "quiet"))
    return _measure(
        "clip",
        sample,
        clip_answers(sample, answers_at(sample.scores, threshold)),
        left_out=sum(1 for unit in units for clip in unit.clips if clip.truth == "unmarked"),
        seed=seed,
        resamples=resamples,
    )


def _measure(
    level: Level,
    sample: Sample,
    answers: Answers,
    *,
    seed: int,
    resamples: int,
    by_event: Answers | None = None,
    left_out: int = 0,
) -> LevelMeasures:
    resampling = (
        Resampling(sample, seed=seed, resamples=resamples)
        if resamples and sample.units > 1
        else None
    )
    ranked = not (missing_class(sample) or few_units(sample))
    areas = resampling.areas() if resampling and ranked else None
    trapezoids, average = precision_recall_areas(sample, resampling, areas)
    return LevelMeasures(
        level=level,
        anomalous=sample.positives,
        normal=sample.negatives,
        left_out=left_out,
        units=sample.units,
        answers=answers,
        by_event=by_event,
        roc_auc=roc_area(sample, resampling, areas),
        pr_auc=trapezoids,
        average_precision=average,
        brier=brier(sample, resampling),
        calibration_error=calibration_error(sample, resampling),
        calibration_error_by_chance=chance_calibration_error(sample),
        bins=reliability_bins(sample),
        roc=roc_points(sample),
        precision_recall=precision_recall_points(sample),
        resamples=resampling.resamples if resampling else 0,
    )
