"""Summary: an evaluation's figures as one JSON document. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from edgewatch.pipeline.messages import SCHEMA, iso_utc
from edgewatch.tools.evaluation.evaluation import EngineRun, Evaluation
from edgewatch.tools.evaluation.reporting.cost_table import clips_of, clips_per_second, quantiles
from edgewatch.tools.evaluation.reporting.dataset_words import footage_seconds, sentences
from edgewatch.tools.evaluation.reporting.recording_answers import RecordingAnswers, side_by_side
from edgewatch.tools.evaluation.statistics.figures import EngineMeasures, PairComparison
from edgewatch.tools.evaluation.statistics.orders import OrderComparison
from edgewatch.tools.report import rounded

Json = dict[str, Any]


def summary(
    evaluation: Evaluation,
    measures: Sequence[EngineMeasures],
    comparisons: Sequence[PairComparison],
    *,
    orders: Sequence[OrderComparison] = (),
) -> Json:
    """Return what summary.json holds, and what `--json` prints.

    A figure is {"value", "low", "high", "reason"}: its 95 % interval, or why there is none. Names
    are those of tools/evaluation/statistics/figures.py. Of clips it holds only those on which
    engines differ; clips.csv holds all.
    """
    document = {
        "schema": SCHEMA,
        "finished": iso_utc(evaluation.finished_seconds),
        "dataset": evaluation.dataset,
        "settings": dict(evaluation.settings),
        "recordings": len(evaluation.runs[0].recordings),
        "clips": clips_of(evaluation.runs[0]),
        "footage_seconds": footage_seconds(evaluation),
        "wall_seconds": evaluation.wall_seconds,
        "notes": list(sentences(evaluation, measures)),
        "failed": [plain(one) for one in evaluation.failed],
        "near_duplicates": [plain(one) for one in evaluation.duplicates],
        "engines": [_engine(one) for one in evaluation.runs],
        "measures": [plain(one) for one in measures],
        "comparisons": [plain(one) for one in comparisons],
        **({"question_orders": [plain(one) for one in orders]} if orders else {}),
        "results": [_result(one) for one in side_by_side(evaluation)],
    }
    found: Json = rounded(document)
    return found


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: a dataclass as an object of its fields."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def _engine(run: EngineRun) -> Json:
    costs = run.costs
    return {
        "asked": run.asked,
        "engine": run.engine,
        "threshold": run.threshold,
        "open_after": run.open_after,
        "simulated": run.simulated or None,
        "load_seconds": costs.load_seconds,
        "decode_ms": quantiles(costs.decode_ms),
        "engine_ms": quantiles(costs.engine_ms),
        "total_ms": quantiles(costs.total_ms),
        "judging_seconds": costs.judging_seconds,
        "clips_per_second": clips_per_second(run),
        "peak_memory_bytes": costs.peak_memory_bytes,
        "peak_gpu_bytes": costs.peak_gpu_bytes,
        "energy_joules": costs.energy_joules,
        "energy_source": costs.energy_source or None,
    }


def _result(answers: RecordingAnswers) -> Json:
    one = answers.recording
    return {
        "recording": one.name,
        "label": one.label,
        "group": one.group or None,
        "drive": one.drive or None,
        "view": one.view or None,
        "duration_seconds": one.duration_seconds,
        "windows": [plain(window) for window in one.windows],
        "clips": len(one.clips),
        "answers": [
            {
                "engine": each.run.asked,
                "answer": each.answer,
                "peak_score": each.peak.score,
                "peak_start_seconds": each.peak.start_seconds,
                "engine_seconds": each.recording.engine_seconds,
                "events": [plain(event) for event in each.recording.events],
            }
            for each in answers.answers
        ],
    }
