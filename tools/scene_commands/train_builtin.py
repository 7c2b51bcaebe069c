"""`edgewatch scenes train-builtin`: fit the built-in engine's combiner on drawn incidents."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from edgewatch.config.settings import load_settings
from edgewatch.daemon.exits import EX_OK
from edgewatch.pipeline.errors import SceneRefused
from edgewatch.tools.evaluation.dataset import Dataset, read_dataset
from edgewatch.tools.one_bar import OneBar
from edgewatch.tools.training.combiner import Combiner, read_combiner
from edgewatch.tools.training.footage_trial import (
    Trial,
    beats,
    measured,
    signatures_of,
    trial_json,
    trial_of,
)
from edgewatch.tools.training.measuring import measure
from edgewatch.tools.training.places import WALKWAY, Place, digest, drawn_place, recorded_place
from edgewatch.tools.training.recipe import RECIPES, TrainingRecipe
from edgewatch.tools.training.scoring import BOTH, COMBINER
from edgewatch.tools.training.staging import stage
from edgewatch.tools.training.tables import print_outcome, print_trial
from edgewatch.tools.training.training import Outcome, train

_EPILOG = """\
Incidents are drawn and put into drawn scenes and a recorded one, each beside a harmless twin that
is like it in all but what makes it an incident. The built-in engine measures them as in service;
a small combiner of what it measured is fitted, for fixed cameras and for moving ones. The same
recipe and seed give the same weights. Nothing in the running engine changes by it: docs/training.md
says what was found and why.

examples:
  edgewatch scenes train-builtin --recipe quick
  edgewatch scenes train-builtin --out combiner.json --evaluate recordings/
  edgewatch scenes train-builtin --weights combiner.json --evaluate recordings/

exit codes: 0 done · 2 asked wrongly, or the recorded walkway is missing · 3 the weights file is
damaged · 1 anything else · 78 settings or labels wrong
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code. Raises SceneError, ConfigError, OSError."""
    options = _parser().parse_args(argv)
    dataset = read_dataset(options.evaluate) if options.evaluate else None
    shown = sys.stderr.isatty() and not options.json
    report: dict[str, Any] = {}
    console = Console()
    if options.weights:
        if dataset is None:
            raise SceneRefused("--weights: say with --evaluate what they are to be tried on")
        combiner = read_combiner(options.weights)
    else:
        outcome = _trained(options, shown=shown)
        combiner = outcome.combiner
        if options.out:
            _write(options.out, combiner.to_bytes())
        report["made_of"] = combiner.made_of
        if not options.json:
            print_outcome(outcome, console)
            if options.out:
                console.print(f"written: {options.out}", markup=False)
    if dataset is not None:
        trial = _tried(dataset, combiner, options, shown=shown)
        verdicts = {name: beats(trial, name) for name in (COMBINER, BOTH)}
        report["trial"] = trial_json(trial) | {
            "wins": {name: {"wins": won, "why": why} for name, (won, why) in verdicts.items()}
        }
        if not options.json:
            print_trial(trial, verdicts, console)
    if options.json:
        print(json.dumps(report, allow_nan=False))
    return EX_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch scenes train-builtin",
        description="Fit a combiner of what the built-in engine measures, on drawn incidents.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="quick")
    parser.add_argument("--seed", type=int, help="instead of the recipe's own")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the weights here (JSON)")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="take these; train nothing")
    parser.add_argument(
        "--evaluate", type=Path, metavar="FOLDER", help="labelled recordings to be tried on"
    )
    parser.add_argument(
        "--walkway", type=Path, default=WALKWAY, metavar="FILE",
        help="the recording of normal life that incidents are put into",
    )  # fmt: skip
    parser.add_argument("--drawn-only", action="store_true", help="use no recording")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    return parser


def _trained(options: argparse.Namespace, *, shown: bool) -> Outcome:
    recipe = RECIPES[options.recipe]
    if options.seed is not None:
        recipe = replace(recipe, seed=options.seed)
    if options.drawn_only:
        recipe = replace(recipe, walkways=0)
    return trained(recipe, options.walkway, shown=shown)


def trained(recipe: TrainingRecipe, walkway: Path, *, shown: bool) -> Outcome:
    """Stage, measure and fit. Raises SceneError, EngineFailed, OSError."""
    cameras = stage(recipe, places_of(recipe, walkway))
    with OneBar("cameras", len(cameras), shown=shown) as bar:

        def on_camera(name: str) -> None:
            bar.step(name)

        examples = asyncio.run(
            measure(cameras, recipe, lambda camera: on_camera(camera.name), bar.advance)
        )
        bar.step("fitting")
    sources = {walkway.name: digest(walkway)} if recipe.walkways else {}
    return train(examples, recipe, sources)


def places_of(recipe: TrainingRecipe, walkway: Path) -> list[tuple[Place, int]]:
    """Return the recipe's places, each with how many cameras look at it. Raises SceneRefused."""
    found = [
        (drawn_place(name), count)
        for name, count in (
            ("drive", recipe.drives),
            ("yard", recipe.yards),
            ("corridor", recipe.corridors),
        )
        if count
    ]
    return [*found, (recorded_place(walkway), recipe.walkways)] if recipe.walkways else found


def _tried(
    dataset: Dataset, combiner: Combiner, options: argparse.Namespace, *, shown: bool
) -> Trial:
    plan = load_settings(environ={}, default_files=()).plan_for(None)
    with OneBar("recordings", len(dataset.recordings), shown=shown) as bar:

        def on_recording(name: str) -> None:
            bar.step(name)
            bar.advance()

        measurements = asyncio.run(measured(dataset, plan, on_recording))
    recorded = options.walkway if options.walkway.is_file() and _knows_walkway(combiner) else None
    taught = asyncio.run(signatures_of(recorded, plan)) if recorded else []
    return trial_of(measurements, combiner, taught, seed=_seed(combiner))


def _knows_walkway(combiner: Combiner) -> bool:
    return bool(combiner.made_of.get("sources"))


def _seed(combiner: Combiner) -> int:
    recipe = combiner.made_of.get("recipe")
    seed = recipe.get("seed") if isinstance(recipe, dict) else None
    return seed if isinstance(seed, int) else 0


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
