"""Images a second of the diffusers backend, part by part and precision by precision.

    python -m bench.scene_images --model flux|sdxl [--shape real|tiny] [--precision bf16,fp16,fp8]
    python -m bench.scene_images --quick

No weights are needed: networks of the real size are drawn at random on the device (`--shape real`,
FLUX: 34 GB, SDXL: 7 GB in 16 bits), or tiny ones are taken, for a CPU. How long a picture takes
does not depend on what the weights are; what it shows is noise and is not looked at.

A line of JSON a precision, as soon as it is measured, by the engine's own stages:

- `text_seconds`, `step_seconds`, `decode_seconds`: medians of a prompt encoded, of one step
  denoised, of one picture decoded; `picture_seconds` is denoising and decoding together, as for a
  prompt that is encoded already, and `images_per_second` its inverse;
- `ratio_to_bf16`: images a second against bf16 of the same run (1.0 is as fast);
- `memory`: for each layout of the memory plan, phase by phase, what was planned and what torch
  allocated at most (`tensors`), and what the driver says was taken with context and the
  allocator's gaps (`device`); `off` is planned / measured - 1. On a CPU there is only the plan.

Weights are loaded (drawn) outside the times. Peaks are of the phase alone: counters are set back,
and the allocator is emptied, before each.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.scene_subjects import RandomParts
from edgewatch.pipeline.scenes.diffusers.device import (
    capability_of,
    choose_device,
    device_name,
    give_back,
    wait_for,
)
from edgewatch.pipeline.scenes.diffusers.embeddings import Embedding
from edgewatch.pipeline.scenes.diffusers.libraries import installed_versions, quiet_libraries
from edgewatch.pipeline.scenes.diffusers.parts import FolderParts, PartSource, family_of
from edgewatch.pipeline.scenes.diffusers.precision import arithmetic
from edgewatch.pipeline.scenes.diffusers.stages import Stages
from edgewatch.pipeline.scenes.diffusion.noise import flux_noise, sdxl_noise
from edgewatch.pipeline.scenes.memory import CONTEXT_BYTES, Layout, MemoryPlan, plan_memory
from edgewatch.pipeline.scenes.models.catalogue import (
    Precision,
    SceneModel,
    model_named,
    precision_of,
)
from tests.fakes.tiny_diffusion import tiny_flux, tiny_sdxl

MODELS = {"flux": "flux.1-schnell", "sdxl": "sdxl"}
PRECISIONS = {"flux": "bf16,fp16,fp8", "sdxl": "bf16,fp16,fp8,fp32"}
TEXTS = ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2")
PROMPT = "a wide road in the rain, seen from a camera on a mast"
WAYS: tuple[tuple[Layout, bool], ...] = (
    ("resident", False),
    ("staged", False),
    ("staged", True),
    ("one_at_a_time", True),
)
CLOSE_ENOUGH = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    model: SceneModel
    real: bool
    precisions: Sequence[Precision]
    size: tuple[int, int]
    steps: int
    rounds: int
    device: str = "auto"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=tuple(MODELS), default="flux")
    parser.add_argument("--shape", choices=("real", "tiny"), default="real")
    parser.add_argument("--precision", help="some of bf16,fp16,fp8,fp32; bf16 is the reference")
    parser.add_argument("--size", default=None, help="WxH in pixels (1024x1024)")
    parser.add_argument("--steps", type=int, help="as the model's card: 4 and 30")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="tiny, one round: seconds on a CPU")
    parser.add_argument("--json", action="store_true", help="as always: a line of JSON a row")
    options = parser.parse_args(argv)
    tiny = options.quick or options.shape == "tiny"
    model = model_named(MODELS[options.model])
    size = _size(options.size, (128, 128) if tiny else (1024, 1024))
    precisions = (options.precision or PRECISIONS[options.model]).split(",")
    wrong = [one for one in precisions if one not in model.precisions or one == "fp4"]
    if wrong or options.rounds < 1:
        parser.error(f"--precision: {', '.join(wrong)}" if wrong else "--rounds is at least 1")
    plan = Plan(
        model,
        not tiny,
        [precision_of(model, one) for one in precisions],
        size,
        options.steps or (2 if options.quick else model.steps),
        1 if options.quick else options.rounds,
        options.device,
    )
    for line in measure(plan):
        print(json.dumps(line), flush=True)
    return 0


def measure(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield what was run on, then a line a precision, each as soon as it is known."""
    import torch

    device = choose_device(plan.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    yield {
        "model": plan.model.name,
        "shape": "real" if plan.real else "tiny",
        "device": device_name(device),
        "size": list(plan.size),
        "steps": plan.steps,
        "versions": installed_versions(),
        "cuda": torch.version.cuda,
    }
    bf16: float | None = None
    for precision in plan.precisions:
        with quiet_libraries():
            row = _row(plan, precision, device)
        if precision == "bf16":
            bf16 = row["images_per_second"]
        row["ratio_to_bf16"] = round(row["images_per_second"] / bf16, 3) if bf16 else None
        yield row
        give_back(device)


def _row(plan: Plan, precision: Precision, device: Any) -> dict[str, Any]:
    source = _source(plan, precision, device)
    facts = source.facts()
    stages = Stages(source, family_of(plan.model), facts, device, lambda *_: None)
    bench = _Bench(plan, stages)
    began = time.perf_counter()
    words, end = bench.once()  # loads all parts, and warms up
    load_seconds = time.perf_counter() - began
    text = bench.median(bench.encode)
    denoise = bench.median(lambda: bench.denoise(words))
    decode = bench.median(lambda: bench.decode(end, tiled=False))
    picture = denoise + decode
    weights = facts.weights
    context = CONTEXT_BYTES if device.type == "cuda" else 0
    memory = []
    for layout, tiled in WAYS:
        planned = plan_memory(
            plan.model,
            precision,
            plan.size,
            layout=layout,
            tiled=tiled,
            context_bytes=context,
            weights=weights,
        )
        memory.append(_memory(planned, bench, words, end, device))
    row = {
        "precision": precision,
        "arithmetic": arithmetic(precision, capability_of(device)),
        "text_seconds": round(text, 4),
        "step_seconds": round(denoise / plan.steps, 4),
        "decode_seconds": round(decode, 4),
        "picture_seconds": round(picture, 4),
        "images_per_second": round(1.0 / picture, 4),
        "first_picture_seconds": round(load_seconds, 2),
        "finite": bool(np.isfinite(end).all()),
        "parameters": getattr(source, "parameters", None),
        "memory": memory,
    }
    stages.free(*stages.loaded)
    return row


class _Bench:
    """One picture's stages, each by itself."""

    def __init__(self, plan: Plan, stages: Stages) -> None:
        self._plan, self.stages = plan, stages
        noise = flux_noise if family_of(plan.model) == "flux" else sdxl_noise
        facts = stages.facts
        self._latents = noise(7, plan.size, channels=facts.latent_channels, factor=facts.factor)

    def once(self) -> tuple[Embedding, Any]:
        """Make a whole picture; returns its words and latents."""
        words = self.encode()
        end = self.denoise(words)
        self.decode(end, tiled=False)
        return words, end

    def encode(self) -> Embedding:
        return self.stages.encode(PROMPT, self._plan.model.max_text_tokens)

    def denoise(self, words: Embedding) -> Any:
        return self.stages.denoise(
            words,
            self._latents,
            self._plan.size,
            steps=self._plan.steps,
            guidance=self._plan.model.guidance,
            on_step=lambda _done, _steps: None,
        )

    def decode(self, end: Any, *, tiled: bool) -> Any:
        finite = np.nan_to_num(end, nan=0.0, posinf=0.0, neginf=0.0)
        return self.stages.decode(finite, self._plan.size, tiled=tiled)

    def median(self, work: Callable[[], object]) -> float:
        """Return the median seconds; every stage ends by copying its result to the CPU."""
        found = []
        for _ in range(self._plan.rounds):
            wait_for(self.stages.device)
            began = time.perf_counter()
            work()
            wait_for(self.stages.device)
            found.append(time.perf_counter() - began)
        return statistics.median(found)


def _memory(
    planned: MemoryPlan, bench: _Bench, words: Embedding, end: Any, device: Any
) -> dict[str, Any]:
    """Run the phases as a layout has them, and set the peaks beside the plan's."""
    if device.type != "cuda":
        nothing = dict.fromkeys(("text", "denoise", "decode"), (0, 0))
        return _figures(planned, nothing)
    stages, layout = bench.stages, planned.layout
    peaks: dict[str, tuple[int, int]] = {}
    core_and_vae = (stages.core, "vae")
    if layout == "resident":
        bench.once()  # what another layout freed is there again
    else:
        stages.free(*core_and_vae)
    stages.load(*TEXTS)
    peaks["text"] = _peak(device, bench.encode)
    if layout != "resident":
        stages.free(*TEXTS)
        stages.load("scheduler", *core_and_vae)
    peaks["denoise"] = _peak(device, lambda: bench.denoise(words))
    if layout == "one_at_a_time":
        stages.free(stages.core)
    peaks["decode"] = _peak(device, lambda: bench.decode(end, tiled=planned.tiled))
    return _figures(planned, peaks)


def _figures(planned: MemoryPlan, peaks: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    tensors = max(one for one, _ in peaks.values())
    taken = max(one for _, one in peaks.values())
    return {
        "layout": planned.layout,
        "tiled": planned.tiled,
        "phases": {
            phase.name: {
                "planned_gb": _gb(phase.peak_bytes),
                "weights_gb": _gb(phase.weights_bytes),
                "tensors_gb": _gb(peaks[phase.name][0]),
                "device_gb": _gb(peaks[phase.name][1]),
            }
            for phase in planned.phases
        },
        "tensors": _beside(planned.tensor_bytes, tensors),
        "device": _beside(planned.peak_bytes, taken),
    }


def _peak(device: Any, work: Callable[[], object]) -> tuple[int, int]:
    """Return (most bytes in tensors, most bytes taken on the device) of some work."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    work()
    wait_for(device)
    free, total = torch.cuda.mem_get_info(device)
    beside = (total - free) - torch.cuda.memory_reserved(device)  # contexts, of all processes
    return (
        torch.cuda.max_memory_allocated(device),
        torch.cuda.max_memory_reserved(device) + beside,
    )


def _beside(planned: int, measured: int) -> dict[str, Any]:
    off = planned / measured - 1.0 if measured else None
    return {
        "planned_gb": _gb(planned),
        "measured_gb": _gb(measured) if measured else None,
        "off": None if off is None else round(off, 3),
        "within_10_percent": None if off is None else abs(off) <= CLOSE_ENOUGH,
    }


def _source(plan: Plan, precision: Precision, device: Any) -> PartSource:
    if plan.real:
        return RandomParts(plan.model, precision, device)
    folder: Path = tiny_flux() if family_of(plan.model) == "flux" else tiny_sdxl()
    return FolderParts(folder, plan.model, precision, device)


def _size(text: str | None, default: tuple[int, int]) -> tuple[int, int]:
    if text is None:
        return default
    width, _, height = text.partition("x")
    return int(width), int(height)


def _gb(count: int) -> float:
    return round(count / 1e9, 3)


if __name__ == "__main__":
    sys.exit(main())
