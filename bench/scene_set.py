"""A drawn test set: made, judged by the built-in engine, and searched for what gives it away.

    python -m bench.scene_set [--each N] [--seed N] [--seconds N] [--quick] [--json]

Every kind of incident in every scene that it fits, `--each` times, each with its harmless twin
(`edgewatch scenes clip --set`), is drawn into a temporary folder and judged as `edgewatch evaluate`
does, each clip as a new camera. Printed:

- for each kind, the AUC of the incidents (highest window of a clip) against the twins of all kinds
  by cameras of that sort, with its 95 % interval, and the share of pairs in which the incident
  scores higher than its own twin;
- `leak_auc`: how well a logistic regression on what no engine should go by (size of the file, mean
  difference of neighbouring pictures, mean and deviation of the first picture) tells incidents from
  twins of pairs that it was not fitted on: 0.4 to 0.6 is honest; and each of those alone;
- seconds a clip to draw and encode.

These are drawn scenes: the figures tell whether the engine sees such changes at all, and are no
measure of how well it does in the field.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewatch.config.settings import load_settings
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.scenes.clips.clip_file import WrittenClip, write_clip
from edgewatch.pipeline.scenes.clips.labels import write_index
from edgewatch.pipeline.scenes.clips.trial_set import SetPlan, recipes_of_set
from edgewatch.pipeline.scenes.clips.video import decode
from edgewatch.tools.evaluation.choice import read_choices
from edgewatch.tools.evaluation.dataset import read_dataset
from edgewatch.tools.evaluation.running import evaluate
from edgewatch.tools.evaluation.statistics.intervals import (
    area_interval,
    normal_quantile,
    wilson,
)
from edgewatch.tools.one_bar import OneBar

Floats = npt.NDArray[np.float64]

FEATURES = ("file_bytes", "frame_difference", "first_mean", "first_deviation")
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Judged:
    """One clip of the set and what was measured of it."""

    clip: WrittenClip
    score: float
    """Of its worst window."""
    features: tuple[float, ...]
    """In the order of FEATURES."""

    @property
    def pair(self) -> int:
        """Number that an incident shares with its twin alone."""
        return self.clip.record.recipe.seed

    @property
    def twin(self) -> bool:
        """Whether it is a harmless one."""
        return self.clip.record.recipe.twin

    @property
    def kind(self) -> str:
        """Of the incident, or of the one it is the twin of."""
        return str(self.clip.record.recipe.incident)

    @property
    def camera(self) -> str:
        """ "fixed" or "driving"."""
        return self.clip.record.recipe.camera


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=3, help="pairs of each kind and scene")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a clip")
    parser.add_argument("--quick", action="store_true", help="one pair each, shorter clips")
    parser.add_argument("--json", action="store_true", help="one flat object, name to number")
    options = parser.parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    each, seconds = (1, 7.0) if options.quick else (options.each, options.seconds)
    # As large as the engine looks at pictures, and no rarer than it samples them.
    plan = SetPlan(seed=options.seed, each=each, seconds=seconds, size=(320, 180), fps=10.0)
    with tempfile.TemporaryDirectory(prefix="edgewatch-scenes-") as folder:
        clips, seconds = _drawn(plan, Path(folder))
        judged = _judged(clips, Path(folder))
    figures = summary(judged) | {"draw_seconds_per_clip": seconds / len(clips)}
    if options.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
    else:
        _print(judged, figures)
    return 0


def _drawn(plan: SetPlan, folder: Path) -> tuple[list[WrittenClip], float]:
    recipes = recipes_of_set(plan)
    began = time.perf_counter()
    clips = []
    with OneBar("clips drawn", len(recipes), shown=sys.stderr.isatty()) as bar:
        for recipe in recipes:
            clips.append(write_clip(recipe, folder))
            bar.advance()
    write_index(folder)
    return clips, time.perf_counter() - began


def _judged(clips: Sequence[WrittenClip], folder: Path) -> list[Judged]:
    base = load_settings(environ={}, default_files=())
    evaluation = evaluate(
        read_dataset(folder), read_choices(["builtin"], base), shown=sys.stderr.isatty()
    )
    for failed in evaluation.failed:
        raise SystemExit(f"{failed.name}: {failed.reason}")
    scores = {one.name: one.peak_score for one in evaluation.runs[0].recordings}
    return [Judged(clip, scores[clip.video.name], _features(clip.video)) for clip in clips]


def _features(video: Path) -> tuple[float, ...]:
    """Measure what an engine should not need."""
    first: Floats | None = None
    before: Floats | None = None
    differences = []
    for pixels in decode(video):
        grey = pixels[::4, ::4].mean(axis=2)
        if before is None:
            first = grey
        else:
            differences.append(float(np.abs(grey - before).mean()))
        before = grey
    assert first is not None  # a clip has pictures
    return (
        float(video.stat().st_size),
        float(np.mean(differences)),
        float(first.mean()),
        float(first.std()),
    )


def summary(judged: Sequence[Judged]) -> dict[str, float]:
    """Boil scores and features down to figures."""
    figures: dict[str, float] = {}
    for kind in sorted({one.kind for one in judged}):
        for camera in sorted({one.camera for one in judged if one.kind == kind}):
            figures |= _of_kind(judged, kind, camera)
    for camera in sorted({one.camera for one in judged}):
        cast = [one for one in judged if one.camera == camera]
        figures |= _areas(f"{camera}_all", cast, cast)
    truth = np.array([not one.twin for one in judged])
    for column, name in enumerate(FEATURES):
        figures[f"leak_auc_{name}"] = area(
            truth, np.array([one.features[column] for one in judged])
        )
    figures["leak_auc"] = leak_area(judged)
    low, high = _interval(figures["leak_auc"], int(truth.sum()), int((~truth).sum()))
    figures |= {"leak_auc_low": low, "leak_auc_high": high}
    return figures


def _of_kind(judged: Sequence[Judged], kind: str, camera: str) -> dict[str, float]:
    incidents = [one for one in judged if (one.kind, one.camera, one.twin) == (kind, camera, False)]
    twins = {one.pair: one.score for one in judged if one.twin}
    higher = [
        1.0 if one.score > twins[one.pair] else 0.5 * (one.score == twins[one.pair])
        for one in incidents
    ]
    low, high = wilson(float(np.mean(higher)), len(higher), normal_quantile())
    name = f"{camera}_{kind}"
    cast = [one for one in judged if one.camera == camera]
    return {
        **_areas(name, incidents, cast),
        f"{name}_over_twin": float(np.mean(higher)),
        f"{name}_over_twin_low": low,
        f"{name}_over_twin_high": high,
    }


def _areas(name: str, incidents: Sequence[Judged], cast: Sequence[Judged]) -> dict[str, float]:
    """AUC of incidents against all twins of a cast, with its interval and what it rests on."""
    scored = [(True, one.score) for one in incidents if not one.twin]
    scored += [(False, one.score) for one in cast if one.twin]
    truth = np.array([positive for positive, _ in scored])
    value = area(truth, np.array([score for _, score in scored]))
    low, high = _interval(value, int(truth.sum()), int((~truth).sum()))
    return {
        f"{name}_auc": value,
        f"{name}_auc_low": low,
        f"{name}_auc_high": high,
        f"{name}_pairs": float(truth.sum()),
    }


def _interval(value: float, positives: int, negatives: int) -> tuple[float, float]:
    return area_interval(value, positives, negatives, normal_quantile())


def area(truth: npt.NDArray[np.bool_], scores: Floats) -> float:
    """Probability that a positive outranks a negative; ties count half."""
    over = np.subtract.outer(scores[truth], scores[~truth])
    return float(((over > 0) + 0.5 * (over == 0)).mean())


def leak_area(judged: Sequence[Judged]) -> float:
    """AUC of a classifier on FEATURES over pairs that it was not fitted on."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = np.array([one.features for one in judged])
    features[:, 0] = np.log(features[:, 0])
    truth = np.array([not one.twin for one in judged])
    pairs = np.array([one.pair for one in judged])
    told = np.zeros(len(judged))
    folds = GroupKFold(min(_FOLDS, len(set(pairs.tolist()))))
    for fitted, held_out in folds.split(features, truth, pairs):
        model: Any = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(features[fitted], truth[fitted])
        told[held_out] = model.predict_proba(features[held_out])[:, 1]
    return area(truth, told)


def _print(judged: Sequence[Judged], figures: Mapping[str, float]) -> None:
    print(f"{len(judged)} clips, {figures['draw_seconds_per_clip']:.2f} s each to draw")
    print(f"{'camera, kind':32} {'pairs':>5} {'AUC':>6} {'95 %':>13}   over its own twin")
    for name in [one.removesuffix("_pairs") for one in figures if one.endswith("_pairs")]:
        over = ""
        if f"{name}_over_twin" in figures:
            share, low, high = (figures[f"{name}_over_twin{end}"] for end in ("", "_low", "_high"))
            over = f"{share:4.0%} [{low:.0%}, {high:.0%}]"
        low, high = figures[f"{name}_auc_low"], figures[f"{name}_auc_high"]
        print(
            f"{name.replace('_', ' '):32} {figures[f'{name}_pairs']:5.0f} "
            f"{figures[f'{name}_auc']:6.2f} [{low:.2f}, {high:.2f}]   {over}"
        )
    for name in FEATURES:
        print(f"leak, {name:26} {figures[f'leak_auc_{name}']:12.2f}")
    low, high = figures["leak_auc_low"], figures["leak_auc_high"]
    print(f"leak, all together {figures['leak_auc']:25.2f} [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    sys.exit(main())
