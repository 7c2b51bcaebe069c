"""What precision costs and buys: bf16, INT8, FP8 and NVFP4 weights by the engine `transformers`.

    python -m bench.precision --shape tiny|7b [--clips 16] [--rows bf16,fp8,...] [--folder DIR]
    python -m bench.precision --checkpoint DIR [--clips 16]

It needs no ModelOpt.

Without a checkpoint, a model of that shape is drawn at random and written as bf16; with one (bf16,
plain), its weights are taken. FP8 and NVFP4 checkpoints are made of the same weights by our own
packer (the bytes that ModelOpt's `max` calibration exports), with the inputs' scales measured on
other clips than those scored. Each is then loaded from its files as the engine loads it.

Rows, in turn, each printed as a line of JSON as soon as it is measured:

- `bf16`: the reference of all drift (float32 on a CPU);
- `fp8`: really, on a GPU with FP8 products (capability 8.9 and on), else imitated;
- `fp8-imitated`: what other devices compute with the same checkpoint;
- `nvfp4`: imitated from real NVFP4 weights, unpacked once at load;
- `nvfp4-packed`: the same, unpacked at each call;
- `int8`: by bitsandbytes at load, where it and accelerate are installed.

`load_seconds` is from files that were just written, so mostly out of the system's cache.
`ms_batch_N` is the median time of a clip (20 frames of 252 x 252; tiny: 4 of 112 x 112) in a batch
of N, from bytes in the machine's memory to the score. `peak_gb` (10^9 bytes) is the most that
torch held while it loaded and scored; None on a CPU. Drift is |P - P of bf16| over the clips.

Random weights say what a precision costs. How far it moves the scores of a trained model they do
not: that takes `--checkpoint` and clips of yours (`edgewatch evaluate`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.precision_checkpoints import measured_inputs, write_plain, write_quantised
from bench.precision_subjects import asker_of, draw, random_clips
from edgewatch.pipeline.engines.device_memory import free_unused
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.modelopt.arithmetic import Arithmetic, Way
from edgewatch.pipeline.engines.modelopt.scheme import read_scheme
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint, read_checkpoint
from edgewatch.pipeline.engines.qwen.quantisation import refuse_int8
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.pipeline.engines.transformers.libraries import place_of
from edgewatch.pipeline.engines.transformers.modelopt.choice import possible_ways
from edgewatch.pipeline.engines.transformers.network import Network, load_network
from edgewatch.pipeline.engines.transformers.scoring import Scorer
from edgewatch.pipeline.errors import EngineFailed

ROWS = ("bf16", "fp8", "fp8-imitated", "nvfp4", "nvfp4-packed", "int8")
BATCHES = (1, 8)
ROUNDS, QUICK_ROUNDS, WARM_UPS = 7, 1, 2
CALIBRATION_CLIPS = 4
CLIPS = {"7b": LargestClip(20, 63_504, 4.0), "tiny": LargestClip(4, 12_544, 4.0)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    rows: Sequence[str] = ROWS
    clips: int = 16
    """Whose scores are compared."""
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One precision's figures."""

    precision: str
    arithmetic: str
    load_seconds: float
    ms_batch_1: float
    ms_batch_8: float
    peak_gb: float | None
    drift_mean: float
    drift_max: float
    clips: int
    stored_gb: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=("tiny", "7b"), default="tiny")
    parser.add_argument("--checkpoint", type=Path, help="a plain bf16 checkpoint's directory")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of {','.join(ROWS)}")
    parser.add_argument("--clips", type=int, default=16, help="clips whose scores are compared")
    parser.add_argument("--folder", type=Path, help="where checkpoints are written: 35 GB for 7b")
    parser.add_argument("--quick", action="store_true", help="rough times: one round, no warm-up")
    parser.add_argument("--json", action="store_true", help="as always: a line of JSON a row")
    options = parser.parse_args(argv)
    rows = options.rows.split(",")
    wrong = [row for row in rows if row not in ROWS]
    if wrong or options.clips < 1:
        parser.error(f"--rows: {', '.join(wrong)}" if wrong else "--clips must be at least 1")
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        plan = Plan(rows, options.clips, quick=options.quick)
        for line in measure(options.checkpoint, options.shape, plan, Path(folder)):
            print(json.dumps(line), flush=True)
    return 0


def measure(
    checkpoint: Path | None, shape: str, plan: Plan, folder: Path
) -> Iterator[dict[str, Any]]:
    """Yield what was run on, then a line a row, each as soon as it is known."""
    import torch

    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    yield _about(device, checkpoint, shape)
    largest = CLIPS["tiny" if shape == "tiny" and checkpoint is None else "7b"]
    bench = _Bench(device, largest, plan)
    plain = checkpoint or _timed_write(
        "bf16", lambda: draw(shape, folder / "bf16", device, write_plain)
    )
    yield from bench.reference(plain, folder)
    for row in plan.rows:
        if row != "bf16":
            yield bench.row(row, plain, folder)


class _Bench:
    """The device, the clips, and bf16's scores of them."""

    def __init__(self, device: Any, largest: LargestClip, plan: Plan) -> None:
        self._device = device
        self._rows = plan.rows
        self._rounds = QUICK_ROUNDS if plan.quick else ROUNDS
        self._warm_ups = 0 if plan.quick else WARM_UPS
        self._clips = random_clips(plan.clips, largest)
        self._others = random_clips(CALIBRATION_CLIPS, largest, seed=10_000)
        self._timing = random_clips(max(BATCHES), largest, seed=20_000)
        self._wanted: list[float] = []

    def reference(self, plain: Path, folder: Path) -> Iterator[dict[str, Any]]:
        """Score with bf16, and of its weights write the checkpoints that other rows need."""
        checkpoint = read_checkpoint(plain)
        asker = asker_of(checkpoint)
        network, load_seconds = self._loaded(lambda: load_network(checkpoint, self._device))
        scorer = asker.scorer(network, max(BATCHES))
        self._wanted = self._scores(scorer)
        if "bf16" in self._rows:
            yield self._line("bf16", str(network.dtype), scorer, load_seconds, plain)
        needed = {"FP8": "fp8", "NVFP4": "nvfp4"}
        wanted = [
            name for name, row in needed.items() if any(one.startswith(row) for one in self._rows)
        ]
        if not wanted:
            return
        inputs = measured_inputs(network.model, partial(scorer.score, self._others))
        with _in_bfloat16(network):
            for name in wanted:
                target = folder / name
                write = partial(write_quantised, network.model, plain, target, name, inputs)
                _timed_write(name, write)

    def row(self, row: str, plain: Path, folder: Path) -> dict[str, Any]:
        """Return a row's figures, or why it was left out."""
        try:
            directory, load = self._plan(row, plain, folder)
        except EngineFailed as error:
            return {"precision": row, "left_out": str(error)}
        checkpoint = read_checkpoint(directory)
        asker = asker_of(checkpoint)
        (network, arithmetic), load_seconds = self._loaded(lambda: load(checkpoint))
        scorer = asker.scorer(network, max(BATCHES))
        return self._line(row, arithmetic, scorer, load_seconds, directory)

    def _plan(
        self, row: str, plain: Path, folder: Path
    ) -> tuple[Path, Callable[[Checkpoint], tuple[Network, str]]]:
        if row == "int8":
            refuse_int8(None, place_of(self._device))
            return plain, lambda found: (
                load_network(found, self._device, quantize="int8"),
                "INT8 by bitsandbytes",
            )
        directory = folder / row.partition("-")[0].upper()
        arithmetic = self._arithmetic(directory, row)
        return directory, lambda found: (
            load_network(found, self._device, arithmetic=arithmetic),
            arithmetic.sentence,
        )

    def _arithmetic(self, directory: Path, row: str) -> Arithmetic:
        found = read_checkpoint(directory).quantisation
        first = possible_ways(directory, found, self._device, place_of(self._device))[0]
        if first is None:
            raise EngineFailed(f"{directory} is not quantised")
        ways: dict[str, Way] = {"fp8-imitated": "unpacked", "nvfp4-packed": "packed"}
        return Arithmetic(read_scheme(directory), ways.get(row, first.way), first.dtype)

    def _loaded(self, load: Callable[[], Any]) -> tuple[Any, float]:
        import torch

        free_unused(self._device)
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        started = time.perf_counter()
        found = load()
        self._wait()
        return found, time.perf_counter() - started

    def _line(
        self, row: str, arithmetic: str, scorer: Scorer, load_seconds: float, directory: Path
    ) -> dict[str, Any]:
        apart = [
            abs(ours - theirs)
            for ours, theirs in zip(self._scores(scorer), self._wanted, strict=True)
        ]
        ms = {batch: self._ms(scorer, self._timing[:batch]) for batch in BATCHES}
        stored_bytes = sum(one.stat().st_size for one in directory.glob("*.safetensors"))
        return _rounded(
            Row(
                precision=row,
                arithmetic=arithmetic,
                load_seconds=load_seconds,
                ms_batch_1=ms[1],
                ms_batch_8=ms[8],
                peak_gb=self._peak_gb(),
                drift_mean=statistics.mean(apart),
                drift_max=max(apart),
                clips=len(apart),
                stored_gb=stored_bytes / 1e9,
            )
        )

    def _scores(self, scorer: Scorer) -> list[float]:
        return [answer.score for answer in scorer.score(self._clips)]

    def _ms(self, scorer: Scorer, clips: Sequence[AskedClip]) -> float:
        times = []
        for number in range(self._warm_ups + self._rounds):
            self._wait()
            started = time.perf_counter()
            scorer.score(clips)
            self._wait()
            if number >= self._warm_ups:
                times.append(1e3 * (time.perf_counter() - started) / len(clips))
        return statistics.median(times)

    def _peak_gb(self) -> float | None:
        import torch

        if self._device.type != "cuda":
            return None
        held_bytes: int = torch.cuda.max_memory_allocated(self._device)
        return held_bytes / 1e9

    def _wait(self) -> None:
        import torch

        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


@contextmanager
def _in_bfloat16(network: Network) -> Iterator[None]:
    """Hold a model in bfloat16 meanwhile: what is packed is what a checkpoint holds."""
    import torch

    usual = network.dtype
    if usual != torch.bfloat16:
        network.model.to(torch.bfloat16)
    try:
        yield
    finally:
        if usual != torch.bfloat16:
            network.model.to(usual)


def _about(device: Any, checkpoint: Path | None, shape: str) -> dict[str, Any]:
    import torch
    import transformers

    gpu = device.type == "cuda"
    return {
        "model": checkpoint.name if checkpoint else f"{shape}, random weights",
        "device": torch.cuda.get_device_name(device) if gpu else "CPU, 1 thread",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _timed_write(name: str, write: Callable[[], Path]) -> Path:
    started = time.perf_counter()
    directory = write()
    took_seconds = time.perf_counter() - started
    print(f"{name} checkpoint written in {took_seconds:.1f} s", file=sys.stderr, flush=True)
    return directory


def _rounded(row: Row) -> dict[str, Any]:
    fields = ((name, getattr(row, name)) for name in Row.__slots__)
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in fields
    }


if __name__ == "__main__":
    sys.exit(main())
