"""The engine `transformers`, from a clip's bytes to its score, beside the library used plainly.

    python -m bench.engine [--model DIR | --shape tiny|7b] [--batches 1,8] [--quick] [--json]

Clips are 20 frames of 252 x 252 at 4 fps (tiny with --quick: smaller batches, fewer rounds), on the
first GPU or else the CPU with one thread. Times are medians in ms a clip. Measured in turn:

- ours: `copy` (to the device), `preprocess`, `vision`, `language`, `score` (head and softmax of the
  last position), each waited for; and all of it as the engine calls it (`total`);
- `forward_official`: one bare forward of the library, pixels and tokens already on the device;
- `generate_official`: the official processor, the copy, and `generate` of 7 tokens.

`preprocess_speedup_official` is taken on the CPU. Where torchvision is missing, the official
processor is the one for pictures, frame by frame, which fills each frame up to a pair: about twice
a video processor's work. `preprocess_speedup_arithmetic` is against the video processor's own
arithmetic in torch, and so the least that can be said.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine_peers import Official, official_call, official_processor, video_arithmetic
from bench.engine_subjects import Subject, from_checkpoint, shape_7b, tiny
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.qwen.pixels import Patcher, upload
from tests.fakes.tiny_qwen import PIXEL_RULES

FRAMES, SIDE, FPS = 20, 252, 4.0
NEW_TOKENS = 7
GOALS = {
    "preprocess_speedup_official": ">= 10",
    "score_max_abs_difference_official": "<= 1e-3 (float32)",
    "batch_N_ratio_forward_official": "<= 1.03",
    "batch_N_speedup_generate_official": ">= 2",
}
SHAPES = ((20, 252, 252), (4, 112, 112), (6, 84, 196), (2, 28, 28))
"""(frames, height, width) whose scores are held against the library's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int
    warm_ups: int


FULL = Plan(rounds=15, warm_ups=3)
QUICK = Plan(rounds=5, warm_ups=1)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="a checkpoint's directory")
    parser.add_argument("--shape", choices=("tiny", "7b"), default="tiny")
    parser.add_argument("--batches", default=None, help="sizes of batches, as 1,8")
    parser.add_argument("--quick", action="store_true", help="rough figures within 40 s")
    parser.add_argument("--json", action="store_true", help="one flat object, name to number")
    options = parser.parse_args(argv)
    plan = QUICK if options.quick else FULL
    batches = [
        int(one) for one in (options.batches or ("1,2" if options.quick else "1,8")).split(",")
    ]
    figures = measure(options.model, options.shape, batches, plan)
    if options.json:
        print(json.dumps(figures))
    else:
        print_table(figures)
    return 0


def measure(model: Path | None, shape: str, batches: Sequence[int], plan: Plan) -> dict[str, float]:
    """Return every figure."""
    import torch

    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    say(f"{_versions()}; {_device_name(device)}")
    figures = preprocess_figures(plan)
    started = time.perf_counter()
    if model is not None:
        subject = from_checkpoint(model, device, max(batches))
    else:
        subject = (shape_7b if shape == "7b" else tiny)(device, max(batches))
    say(f"{subject.name} on {device}, {subject.network.dtype}")
    figures["load_seconds"] = time.perf_counter() - started
    figures["score_max_abs_difference_official"] = difference(subject)
    for batch in batches:
        say(f"batches of {batch}")
        figures |= batch_figures(subject, batch, plan)
    return {name: float(f"{value:.6g}") for name, value in figures.items()}


def preprocess_figures(plan: Plan) -> dict[str, float]:
    """Time one clip's way to patches on the CPU, ours and the official one."""
    import torch

    clip, cpu = random_clip(0).frames, torch.device("cpu")
    ours = Patcher(_rules(), cpu, torch.float32)
    name, official = official_call(PIXEL_RULES)
    say(f"official preprocessing: {name}")
    ours_ms, official_ms, arithmetic_ms = _in_turn(
        [
            lambda: ours.patches(upload([clip], cpu)),
            lambda: official(clip),
            lambda: video_arithmetic(clip, PIXEL_RULES),
        ],
        Plan(max(plan.rounds, 15), plan.warm_ups),
        cpu,
    )
    return {
        "preprocess_cpu_ms": ours_ms,
        "preprocess_official_cpu_ms": official_ms,
        "preprocess_speedup_official": official_ms / ours_ms,
        "preprocess_arithmetic_cpu_ms": arithmetic_ms,
        "preprocess_speedup_arithmetic": arithmetic_ms / ours_ms,
    }


def difference(subject: Subject) -> float:
    """Return how far our scores lie from the library's forward over official pixels, at most."""
    _, process = official_processor(PIXEL_RULES)
    official = Official(subject, process)
    worst = 0.0
    for frames, height, width in SHAPES:
        clips = [random_clip(seed, frames, height, width) for seed in range(2)]
        for some in (clips[:1], clips):
            ours = [answer.score for answer in subject.scorer.score(some)]
            theirs = official.scores(some)
            worst = max(worst, float(np.abs(np.array(ours) - np.array(theirs)).max()))
    return worst


def batch_figures(subject: Subject, batch: int, plan: Plan) -> dict[str, float]:
    """Time our path, its stages, and the library's two, in turn; ms a clip."""
    _, process = official_processor(PIXEL_RULES)
    official = Official(subject, process)
    clips = [random_clip(seed) for seed in range(batch)]
    ready = official.inputs(clips)
    device = subject.network.device
    total, forward, generate = (
        each / batch
        for each in _in_turn(
            [
                lambda: subject.scorer.score(clips),
                lambda: official.forward(ready),
                lambda: official.generate(clips, NEW_TOKENS),
            ],
            plan,
            device,
        )
    )
    figures = {f"{name}_ms": ms / batch for name, ms in stages(official, clips, plan).items()}
    figures |= {
        "total_ms": total,
        "forward_official_ms": forward,
        "ratio_forward_official": total / forward,
        "generate_official_ms": generate,
        "speedup_generate_official": generate / total,
    }
    return {f"batch_{batch}_{name}": value for name, value in figures.items()}


def stages(official: Official, clips: list[AskedClip], plan: Plan) -> dict[str, float]:
    """Time each step of our path with a wait behind it: ms a batch."""
    subject, network = official.subject, official.subject.network
    rows, grid = official.rows(clips)
    pixels = [clip.frames for clip in clips]
    device = network.device
    found: dict[str, list[float]] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        result, ms = _timed(work, device)
        found.setdefault(name, []).append(ms)
        return result

    for _ in range(plan.warm_ups + plan.rounds):
        frames = step("copy", partial(upload, pixels, device))
        patches = step("preprocess", partial(network.patcher.patches, frames))
        features = step("vision", partial(network.see, patches, grid, len(clips)))
        states = step("language", partial(network.read, rows, features))
        step("score", partial(network.log_probabilities, states, subject.answers.all))
    return {name: statistics.median(times[plan.warm_ups :]) for name, times in found.items()}


def random_clip(
    seed: int, frames: int = FRAMES, height: int = SIDE, width: int = SIDE
) -> AskedClip:
    """Return noise: nothing that is measured depends on what is seen."""
    random = np.random.default_rng(seed)
    return AskedClip(
        random.integers(0, 256, (frames, height, width, 3), np.uint8), FPS, "Report anything."
    )


def print_table(figures: dict[str, float]) -> None:
    """Print figures in columns, then the goals."""
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:>12.4g}")
    print("\ngoals: " + "; ".join(f"{name} {goal}" for name, goal in GOALS.items()))


def say(text: str) -> None:
    """Tell on standard error what is under way."""
    print(text, file=sys.stderr, flush=True)


def _in_turn(works: list[Callable[[], Any]], plan: Plan, device: Any) -> list[float]:
    """Return each work's median in ms; they take turns, so that a busy moment hits all alike."""
    times: list[list[float]] = [[] for _ in works]
    for number in range(plan.warm_ups + plan.rounds):
        for work, kept in zip(works, times, strict=True):
            _, ms = _timed(work, device)
            if number >= plan.warm_ups:
                kept.append(ms)
    return [statistics.median(kept) for kept in times]


def _timed(work: Callable[[], Any], device: Any) -> tuple[Any, float]:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return result, 1e3 * (time.perf_counter() - started)


def _rules() -> Any:
    from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules

    return PixelRules(
        mean=tuple(PIXEL_RULES["image_mean"]),
        std=tuple(PIXEL_RULES["image_std"]),
        rescale_factor=1 / 255,
    )


def _versions() -> str:
    import torch
    import transformers

    return f"torch {torch.__version__}, transformers {transformers.__version__}"


def _device_name(device: Any) -> str:
    import torch

    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    return f"CPU, {torch.get_num_threads()} thread"


if __name__ == "__main__":
    sys.exit(main())
