"""Evaluating several engines at once: what it costs over the slowest of them alone.

    python -m bench.evaluating [--engine ENGINE ...] [--data DIR] [--quick] [--json]

Without --engine, three engines that take a fixed time a clip and no processor, as models on
devices or servers of their own do, judge drawn recordings; with it, the engines named (as for
`edgewatch evaluate`). Each is run alone, then all together, each time from nothing:

- `together_over_slowest`: wall clock of all together over that of the slowest alone, without
  loading (goal: at most 1.1; engines that share the same cores or GPU cannot reach it);
- `decoded_over_alone`: pictures decoded for all together over those for one (goal: 1);
- `resumed_seconds`: the same evaluation once more, when all of it is in the journal;
- `footage_seconds`: with --data, wall clock of the built-in engine over those recordings, loading
  and statistics included (goal for the 17 labelled clips: at most 60 s on two cores).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.footage import footage
from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.engines import Engine, create_engine
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.types import Answer, CameraName, Clip
from edgewatch.tools.evaluation.choice import EngineChoice, read_choices
from edgewatch.tools.evaluation.dataset import Dataset, read_dataset
from edgewatch.tools.evaluation.evaluation import Evaluation
from edgewatch.tools.evaluation.running import evaluate
from edgewatch.tools.evaluation.seat import MakeEngine
from edgewatch.tools.evaluation.statistics.measures import measure_run

PACES_MS = {2: 60.0, 4: 120.0, 8: 240.0}
"""A clip's time in each paced engine, by the batch that tells them apart."""
GOALS = {
    "together_over_slowest": "<= 1.1",
    "decoded_over_alone": "1",
    "footage_seconds": "<= 60 (17 clips, 2 cores)",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is judged."""

    recordings: int
    seconds: float
    """Of each."""


FULL = Plan(recordings=8, seconds=48.0)
QUICK = Plan(recordings=4, seconds=24.0)


class PacedEngine:
    """Takes its time over a clip, and nothing else: the processor is free meanwhile."""

    def __init__(self, max_batch: int) -> None:
        self.max_batch = max_batch
        self.name = f"paced-{max_batch}"
        self._seconds = PACES_MS[max_batch] / 1000.0

    async def start(self) -> None:
        """Be there."""

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        """Answer by the brightness, when the time has passed."""
        await asyncio.sleep(self._seconds * len(clips))
        return [Answer(float(clip.frames[0].pixels.mean()) / 255.0) for clip in clips]

    async def describe(self, clip: Clip) -> str:
        """Say nothing."""
        return ""

    def instruct(self, camera: CameraName, prompt: str) -> None:
        """Let it pass."""

    async def forget(self, camera: CameraName) -> None:
        """Let it pass."""

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        """Return None: it keeps none."""
        return None

    async def recall(self, camera: CameraName, memory: bytes) -> None:
        """Refuse. Raises ValueError."""
        raise ValueError("it keeps no memory")

    async def close(self) -> None:
        """Be gone."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", action="append", default=[], help="as for edgewatch evaluate")
    parser.add_argument("--data", type=Path, help="labelled recordings, as ../shared/footage")
    parser.add_argument("--quick", action="store_true", help="less footage")
    parser.add_argument("--json", action="store_true", help="one flat object, name to number")
    options = parser.parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    settings = load_settings(environ={}, default_files=())
    figures = side_by_side(settings, options.engine, QUICK if options.quick else FULL)
    if options.data:
        figures["footage_seconds"] = footage_seconds(settings, options.data)
    figures = {name: float(f"{value:.6g}") for name, value in figures.items()}
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value:10.3f}  {GOALS.get(name, '')}")
    return 0


def side_by_side(settings: Settings, engines: Sequence[str], plan: Plan) -> dict[str, float]:
    """Judge with each engine alone, with all together, and once more from the journal."""
    make: MakeEngine = create_engine if engines else paced
    written = engines or [f"paced{size}=builtin,max_batch={size}" for size in PACES_MS]
    choices = read_choices(written, settings)
    with tempfile.TemporaryDirectory() as folder:
        dataset = drawn(Path(folder), plan)
        journal = Path(folder) / "journal.jsonl"
        alone = [judged(dataset, [choice], make) for choice in choices]
        together = judged(dataset, choices, make, journal)
        began_seconds = time.monotonic()
        evaluate(dataset, choices, journal=journal, make_engine=make)
        resumed_seconds = time.monotonic() - began_seconds
    figures = {
        f"alone_seconds_{choice.name}": net_seconds(one)
        for choice, one in zip(choices, alone, strict=True)
    }
    slowest = max(figures.values())
    return figures | {
        "together_seconds": net_seconds(together),
        "together_over_slowest": net_seconds(together) / slowest,
        "sum_over_slowest": sum(figures.values()) / slowest,
        "decoded_over_alone": together.pictures_decoded / alone[0].pictures_decoded,
        "clips": float(sum(len(one.clips) for one in together.runs[0].recordings)),
        "resumed_seconds": resumed_seconds,
    }


def paced(setup: EngineSetup) -> Engine:
    """Make the paced engine of a batch's size."""
    return PacedEngine(setup.max_batch)


def drawn(folder: Path, plan: Plan) -> Dataset:
    """Lay drawn recordings into a folder; the first are called anomalous."""
    video = footage(plan.seconds)
    for number in range(plan.recordings):
        label = "Anom" if number < plan.recordings // 2 else "Norm"
        shutil.copy(video, folder / f"{label}_{number}.mp4")
    return read_dataset(folder)


def judged(
    dataset: Dataset,
    choices: Sequence[EngineChoice],
    make: MakeEngine,
    journal: Path | None = None,
) -> Evaluation:
    """Evaluate from nothing."""
    return evaluate(dataset, choices, journal=journal, make_engine=make)


def net_seconds(evaluation: Evaluation) -> float:
    """Return the wall clock without loading, which is paid once however much is judged."""
    loading = sum(run.costs.load_seconds for run in evaluation.runs)
    return evaluation.wall_seconds - loading


def footage_seconds(settings: Settings, folder: Path) -> float:
    """Evaluate recordings with the built-in engine, and measure them."""
    began_seconds = time.monotonic()
    evaluation = evaluate(read_dataset(folder), read_choices(["builtin"], settings))
    measure_run(evaluation.runs[0])
    return time.monotonic() - began_seconds


if __name__ == "__main__":
    sys.exit(main())
