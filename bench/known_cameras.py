"""Drawn cameras that the built-in engine knows: which incidents does it tell from harmless things?

    python -m bench.known_cameras [--cameras N] [--seconds N] [--places N] [--seed N] [--quick]

`bench.scene_set` judges each clip as a camera never seen before. Here the engine watches each
drawn camera (`--cameras` of each scene) for `--seconds` first, then is tried as `edgewatch
commission` tries a camera: each kind in three sizes at `--places` places, and the harmless twins.
For each kind and sort of camera: the AUC of the incidents' highest clips against those of all
twins before that sort of camera, with its 95 % interval, and the share found at 0.5 by the rules.

These are drawn scenes and drawn incidents: no measure of how well it does in the field.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from bench.scene_set import area
from edgewatch.config.settings import CameraPlan, load_settings
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.engines.builtin import BuiltinEngine
from edgewatch.pipeline.frames import target_size
from edgewatch.pipeline.scenes.drawn.table import SCENES, camera_kind, draw_scene
from edgewatch.pipeline.scenes.incidents.incident import CameraKind
from edgewatch.pipeline.types import CameraName, Frame
from edgewatch.pipeline.watch import rules_of
from edgewatch.tools.commissioning.normal import Normal
from edgewatch.tools.commissioning.outcome import at
from edgewatch.tools.commissioning.trial import kinds_for, plan_trials
from edgewatch.tools.commissioning.trying import Tried, Trying
from edgewatch.tools.evaluation.statistics.intervals import area_interval, normal_quantile
from edgewatch.tools.one_bar import OneBar

SIZE = (640, 360)


@dataclass(frozen=True, slots=True, eq=False)
class OneTried:
    """A trial before a drawn camera."""

    camera: CameraKind
    tried: Tried
    found: bool

    @property
    def peak(self) -> float:
        """Highest score of its clips."""
        return float(self.tried.scores.score.max())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cameras", type=int, default=2, help="of each scene (2)")
    parser.add_argument("--seconds", type=float, default=60.0, help="watched before (60)")
    parser.add_argument("--places", type=int, default=2, help="of each kind and size (2)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one fixed camera, one place")
    parser.add_argument("--json", action="store_true", help="one flat object, name to number")
    options = parser.parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    scenes = ("corridor",) if options.quick else SCENES
    seconds, places = (30.0, 1) if options.quick else (options.seconds, options.places)
    cameras = 1 if options.quick else options.cameras
    found = [
        one
        for scene in scenes
        for number in range(cameras)
        for one in asyncio.run(_tried(scene, options.seed + number, seconds, places))
    ]
    figures = summary(found)
    if options.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
    else:
        _print(figures)
    return 0


async def _tried(scene: str, seed: int, seconds: float, places: int) -> list[OneTried]:
    kind = camera_kind(scene)
    plan = replace(load_settings(environ={}, default_files=()).plan_for(None), scene=kind)
    normal = Normal((tuple(_frames(scene, seed, seconds, plan)),), f"a drawn {scene}", cut=False)
    kinds = [one for one in kinds_for(kind) if one not in ("covered", "moved", "frozen")]
    trials = plan_trials(kinds, places_each=places, seed=seed)
    engine = BuiltinEngine(baseline_dir=None)
    await engine.start()
    try:
        with OneBar(f"{scene} {seed}", len(trials) + 1, shown=sys.stderr.isatty()) as bar:
            trying = Trying(engine, plan, normal, baseline=None)
            judged = await trying.run(trials, lambda _: bar.advance())
    finally:
        await engine.close()
    seen = at(plan.threshold, judged.normal, judged.tried, rules_of(plan)).seen
    return [OneTried(kind, one, one.trial.number in seen) for one in judged.tried]


def _frames(scene: str, seed: int, seconds: float, plan: CameraPlan) -> Iterator[Frame]:
    drawn = draw_scene(scene, seed, SIZE, plan.clips.fps, seconds)
    size = target_size(*SIZE, plan.clips.pixels)
    for index in range(drawn.frame_count):
        pixels = np.asarray(
            cv2.resize(drawn.frame(index), size, interpolation=cv2.INTER_AREA), np.uint8
        )
        pixels.setflags(write=False)
        media_seconds = index / plan.clips.fps
        yield Frame(
            CameraName(plan.name), index, index, pixels, media_seconds, media_seconds, media_seconds
        )


def summary(found: Sequence[OneTried]) -> dict[str, float]:
    """Boil trials down to figures, by sort of camera and kind of incident."""
    figures: dict[str, float] = {}
    for camera in sorted({one.camera for one in found}):
        twins = [one for one in found if one.camera == camera and one.tried.trial.harmless]
        cast = [one for one in found if one.camera == camera and not one.tried.trial.harmless]
        for kind in [*sorted({one.tried.trial.kind for one in cast}), None]:
            chosen = [one for one in cast if kind in (None, one.tried.trial.kind)]
            figures |= _of(f"{camera}_{kind or 'all'}", chosen, twins)
        figures[f"{camera}_twins_alarm"] = float(np.mean([one.found for one in twins]))
    return figures


def _of(name: str, chosen: Sequence[OneTried], twins: Sequence[OneTried]) -> dict[str, float]:
    truth = np.array([True] * len(chosen) + [False] * len(twins))
    value = area(truth, np.array([one.peak for one in (*chosen, *twins)]))
    low, high = area_interval(value, len(chosen), len(twins), normal_quantile())
    return {
        f"{name}_auc": value,
        f"{name}_auc_low": low,
        f"{name}_auc_high": high,
        f"{name}_found": float(np.mean([one.found for one in chosen])),
        f"{name}_trials": float(len(chosen)),
    }


def _print(figures: dict[str, float]) -> None:
    print(f"{'camera, kind':28} {'trials':>6} {'AUC':>6} {'95 %':>13}   found")
    for name in [one.removesuffix("_trials") for one in figures if one.endswith("_trials")]:
        auc, low, high = (figures[f"{name}_auc{end}"] for end in ("", "_low", "_high"))
        trials, share = figures[f"{name}_trials"], figures[f"{name}_found"]
        words = name.replace("_", " ")
        print(f"{words:28} {trials:6.0f} {auc:6.2f} [{low:.2f}, {high:.2f}]   {share:4.0%}")
    for name in [one for one in figures if one.endswith("_twins_alarm")]:
        print(f"{name.replace('_', ' ')}: {figures[name]:.0%}")


if __name__ == "__main__":
    sys.exit(main())
