"""Training: from measured examples to a combiner, with all that is to be said about it."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import onnxruntime

from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.training.combiner import CAMERA_KINDS, Combiner, Model
from edgewatch.tools.training.examples import Example, table_of
from edgewatch.tools.training.fitting import Choice, choices, fit, left_out, weighted_area
from edgewatch.tools.training.recipe import TrainingRecipe
from edgewatch.tools.training.scoring import (
    ALL,
    SCORERS,
    KindFigures,
    figures_by_kind,
    odds_of,
)

Figures = Mapping[str, tuple[KindFigures, ...]]
"""By scorer."""


@dataclass(frozen=True, slots=True)
class KindOutcome:
    """What came of one kind of camera."""

    camera_kind: str
    choice: Choice
    tried: Mapping[str, float | None]
    """Each way of fitting and the area it reached by leaving one camera out."""
    clips: Mapping[str, int]
    """Trained on, by role."""
    cameras: int
    left_out: Figures
    """On training cameras, each by the model fitted without it."""
    held_out: Figures
    """On cameras that were never trained on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A combiner and the figures behind it."""

    combiner: Combiner
    kinds: tuple[KindOutcome, ...]


def train(
    examples: Sequence[Example], recipe: TrainingRecipe, sources: Mapping[str, str]
) -> Outcome:
    """Choose and fit a model for each kind of camera that has examples of both classes.

    `sources`: digests of the footage used. Choices are made by leaving one camera out; what was
    held out is looked at once, at the end.
    """
    models: dict[str, Model] = {}
    kinds = []
    for kind in CAMERA_KINDS:
        own = [one for one in examples if one.camera_kind == kind and one.role != "unmarked"]
        trained = [one for one in own if not one.held_out]
        if len({one.positive for one in trained}) < 2:
            continue
        models[kind], outcome = _fitted(kind, trained, [o for o in own if o.held_out], recipe)
        kinds.append(outcome)
    made_of = {
        "recipe": recipe.to_json(),
        "sources": dict(sources),
        "versions": versions(),
        "figures": {outcome.camera_kind: outcome_json(outcome) for outcome in kinds},
    }
    return Outcome(Combiner(models, made_of), tuple(kinds))


def _fitted(
    kind: str, trained: Sequence[Example], held_out: Sequence[Example], recipe: TrainingRecipe
) -> tuple[Model, KindOutcome]:
    table = table_of(trained)
    tried: dict[Choice, float | None] = {}
    odds: dict[Choice, np.ndarray[Any, np.dtype[np.float64]]] = {}
    for choice in choices(recipe.penalties):
        odds[choice] = left_out(table, choice)
        tried[choice] = weighted_area(odds[choice], table)
    best = max(tried, key=lambda one: tried[one] or 0.0)
    model = fit(table, best)
    return model, KindOutcome(
        camera_kind=kind,
        choice=best,
        tried={choice.name: area for choice, area in tried.items()},
        clips=dict(sorted(Counter(one.role for one in trained).items())),
        cameras=len({one.camera for one in trained}),
        left_out=_figures(trained, odds[best], recipe.seed),
        held_out=_figures(held_out, model.log_odds(features_of(held_out)), recipe.seed)
        if held_out
        else {},
    )


def features_of(examples: Sequence[Example]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Stack examples' features, (examples, len(NAMES))."""
    return np.array([one.features for one in examples], np.float64)


def _figures(
    examples: Sequence[Example], combiner: np.ndarray[Any, np.dtype[np.float64]], seed: int
) -> Figures:
    hand_set = np.array([one.hand_set for one in examples], np.float64)
    odds = odds_of(hand_set, combiner)
    return {name: figures_by_kind(examples, odds[name], seed=seed) for name in SCORERS}


def versions() -> dict[str, str]:
    """Return the versions on which pictures and figures rest."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "onnxruntime": onnxruntime.__version__,
    }


def outcome_json(outcome: KindOutcome) -> dict[str, Any]:
    """Return the figures of one kind of camera as JSON has them, short enough for the file."""
    return {
        "chosen": outcome.choice.name,
        "tried": dict(outcome.tried),
        "clips": dict(outcome.clips),
        "cameras": outcome.cameras,
        "left_out": _figures_json(outcome.left_out),
        "held_out": _figures_json(outcome.held_out),
    }


def _figures_json(figures: Figures) -> dict[str, Any]:
    """Return by kind of incident how many there were, and each scorer's area."""
    found: dict[str, dict[str, Any]] = {}
    for scorer, of_kinds in figures.items():
        for one in of_kinds:
            row = found.setdefault(one.kind, {"incidents": one.incidents})
            row[scorer] = None if one.area.value is None else round(one.area.value, 3)
    if ALL in found:
        found[ALL]["intervals"] = {
            scorer: [_short(of_kinds[0].area.low), _short(of_kinds[0].area.high)]
            for scorer, of_kinds in figures.items()
        }
    return found


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def estimate_json(estimate: Estimate) -> dict[str, Any]:
    """Return a figure and its interval; what is missing has its reason."""
    found: dict[str, Any] = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {**found, "reason": estimate.reason} if estimate.reason else found
