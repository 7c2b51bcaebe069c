"""`edgewatch quantize` for real: seconds, sizes and drift of a shape with random weights.

    python -m bench.quantising [--shape tiny|7b] [--to nvfp4,fp8] [--samples 512] [--folder DIR]

Makes a checkpoint of the shape on disk (7b: on the GPU, bfloat16, shards of 5 GB; 16.6 GB), then
quantises it with NVIDIA ModelOpt as the command does: calibrated through the vision path on clips
of moving patterns (20 frames of 252 x 252), exported, verified, loaded again by the engine, and
compared on clips that it was not calibrated on. Prints one JSON object a format:

- `total_seconds`: the whole command, from the checks to the published directory; `seconds`: each
  step (what is missing in their sum is ModelOpt's own work between them);
- `weights_bytes`, `original_weights_bytes`; `largest_memory_bytes` (of the GPU);
- `drift_mean`, `drift_max`: |change of P(anomaly)|, with `simulated` where the device imitates the
  format's products; `original_score_deviation` says how much the scores differ from clip to clip.

Random weights have no outliers and lean on nothing learnt: seconds and sizes are those of a trained
model, drift is not. `--folder` keeps the checkpoints, and takes what an earlier run made there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.engine_subjects import CONFIG_7B
from edgewatch.config.settings import Settings
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.tools.quantising.clips import ClipStore
from edgewatch.tools.quantising.formats import FORMATS
from edgewatch.tools.quantising.making import Order, Pour, book, make
from edgewatch.tools.quantising.scoring import Asking
from edgewatch.tools.quantising.steps import Silence, Steps
from tests.fakes.tiny_qwen import WORDS, make_tiny_qwen

FRAMES, SIDE, FPS = 20, 252, 4.0
SHARD_BYTES = 5 * 10**9
SPREAD = 4.0
"""Length of the direction in which both answers are told apart: scores then differ by 0.1 or so."""
GOALS = {"total_seconds": "<= 600 (7b, on an H100)"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=("tiny", "7b"), default="tiny")
    parser.add_argument("--to", default="nvfp4", help="formats, as nvfp4,fp8")
    parser.add_argument("--samples", type=int, help="clips to calibrate on; default: the format's")
    parser.add_argument("--compare", type=int, default=64, help="clips to compare on")
    parser.add_argument("--batch", type=int, default=8, help="clips at a time")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--folder", type=Path, help="keep the checkpoints here")
    parser.add_argument("--quick", action="store_true", help="rough figures: 16 and 8 clips")
    parser.add_argument("--json", action="store_true", help="it prints nothing else anyway")
    options = parser.parse_args(argv)
    if options.quick:
        options.samples, options.compare = options.samples or 16, 8
    with _folder(options.folder) as folder:
        original, made_seconds = _original(folder, options.shape, options.device)
        for to in options.to.split(","):
            figures = measure(original, to, options)
            figures["original_made_seconds"] = round(made_seconds, 1)
            print(json.dumps(figures, allow_nan=False), flush=True)
    return 0


def measure(original: Path, to: str, options: argparse.Namespace) -> dict[str, Any]:
    """Quantise a checkpoint and return what there is to say of it."""
    import torch

    on_gpu = torch.cuda.is_available() and options.device != "cpu"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    samples = options.samples or FORMATS[to].samples
    destination = original.with_name(f"{original.name}-{FORMATS[to].suffix}")
    if destination.exists():
        shutil.rmtree(destination)
    plan = replace(Settings().plan_for(None), prompt="An anomaly is fire or smoke.")
    order = Order(
        original=original,
        to=FORMATS[to],
        destination=destination,
        plan=plan,
        asking=Asking(Form(), LargestClip(FRAMES, SIDE**2, FPS), options.device, options.batch),
        samples=samples,
        compared=options.compare,
        most_drift=1.0,
        pour=patterns(samples + options.compare, plan.prompt),
    )
    started_seconds = time.monotonic()
    made = make(order, Steps(Silence(), SystemClock()))
    total_seconds = time.monotonic() - started_seconds
    return {
        "shape": options.shape,
        "device": torch.cuda.get_device_name(0) if on_gpu else "cpu",
        "torch": torch.__version__,
        "total_seconds": round(total_seconds, 1),
        **book(made),
        "original_score_deviation": statistics.pstdev(
            one for one in made.drift.original if math.isfinite(one)
        ),
        "largest_memory_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
    }


def patterns(count: int, prompt: str) -> Pour:
    """Return what pours clips of blurred patterns that drift through the picture."""

    def pour(store: ClipStore, steps: Steps) -> str:
        random = np.random.default_rng(0)
        with steps.step("drawing patterns", count) as advance:
            for _ in range(count):
                coarse = random.integers(0, 256, (9, 18, 3), np.uint8)
                wide = cv2.resize(coarse, (2 * SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
                shift = int(random.integers(0, SIDE // FRAMES))
                frames = np.stack(
                    [wide[:, at : at + SIDE] for at in range(0, FRAMES * shift + 1, shift or 1)]
                    if shift
                    else [wide[:, :SIDE]] * FRAMES
                )[:FRAMES]
                store.add(AskedClip(np.ascontiguousarray(frames), FPS, prompt))
                advance(1)
        return "moving patterns"

    return pour


def make_7b(directory: Path, device: str) -> Path:
    """Write Qwen2.5-VL-7B's shape with random weights, tokenizer and side files of the tests.

    The weights are drawn where they are fastest, and written shard by shard.
    """
    import torch
    from safetensors.torch import save_file

    make_tiny_qwen(directory, words=_words())
    for file in directory.glob("*.safetensors*"):
        file.unlink()
    config = _config(directory)
    (directory / "config.json").write_text(json.dumps(config, indent=2))
    where = torch.device(
        "cuda" if device in ("auto", "cuda") and torch.cuda.is_available() else "cpu"
    )
    random = torch.Generator(where).manual_seed(0)
    shard: dict[str, Any] = {}
    held_bytes, number = 0, 0
    index: dict[str, str] = {}
    shapes = _shapes(config)
    for position, (name, shape) in enumerate(shapes.items()):
        shard[name] = _drawn(name, shape, random, where).cpu()
        held_bytes += shard[name].nbytes
        if held_bytes >= SHARD_BYTES or position == len(shapes) - 1:
            number += 1
            called = f"model-{number:05d}.safetensors"
            if "lm_head.weight" in shard:
                _oppose(shard["lm_head.weight"], directory)
            save_file(shard, directory / called, metadata={"format": "pt"})
            index |= dict.fromkeys(shard, called)
            shard, held_bytes = {}, 0
    table = {"metadata": {}, "weight_map": index}
    (directory / "model.safetensors.index.json").write_text(json.dumps(table))
    return directory


def _original(folder: Path, shape: str, device: str) -> tuple[Path, float]:
    directory = folder / f"{shape}-shape"
    if (directory / "config.json").is_file():
        return directory, 0.0
    started_seconds = time.monotonic()
    if shape == "7b":
        make_7b(directory, device)
    else:
        make_tiny_qwen(directory)
    return directory, time.monotonic() - started_seconds


def _words() -> tuple[str, ...]:
    """Words of the question, so that it is about as many tokens as with the real tokenizer."""
    question = verdict_question("An anomaly is fire or smoke.", Form()).chat()
    found = {word for word in question.split() if word.isalpha() and word not in WORDS}
    return (*WORDS, *sorted(found))


def _config(directory: Path) -> dict[str, Any]:
    """Return 7B's config.json with the special tokens of the tests' tokenizer."""
    config: dict[str, Any] = json.loads((directory / "config.json").read_text())
    tokens = {key: value for key, value in config.items() if key.endswith("_token_id")}
    vision = config["vision_config"] | CONFIG_7B["vision_config"]
    return config | CONFIG_7B | tokens | {"vision_config": vision, "torch_dtype": "bfloat16"}


def _shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of all weights, as they are published."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(
            Qwen2_5_VLConfig(**json.loads(json.dumps(config)))
        )
    shapes = {}
    for name, weight in model.named_parameters():
        published = name.replace("model.visual.", "visual.")
        shapes[published.replace("model.language_model.", "model.")] = tuple(weight.shape)
    return shapes


def _drawn(name: str, shape: tuple[int, ...], random: Any, device: Any) -> Any:
    """Draw a weight so that each layer keeps its input's size, and what it adds stays small."""
    import torch

    if len(shape) == 1:
        value = 0.0 if name.endswith("bias") else 1.0
        return torch.full(shape, value, dtype=torch.bfloat16, device=device)
    deviation = 1.0 if "embed_tokens" in name else 1 / math.sqrt(math.prod(shape[1:]))
    if name.endswith(("o_proj.weight", "down_proj.weight")) and not name.startswith("visual"):
        deviation /= math.sqrt(2 * CONFIG_7B["num_hidden_layers"])
    weight = torch.empty(shape, dtype=torch.bfloat16, device=device)
    return weight.normal_(0.0, deviation, generator=random)


def _oppose(head: Any, directory: Path) -> None:
    """Make the head's rows for both answers opposites, so that answers differ."""
    import torch
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    direction = torch.randn(head.shape[1], generator=torch.Generator().manual_seed(1))
    direction *= SPREAD / direction.norm()
    for word, sign in (("Yes", 1.0), ("No", -1.0)):
        for spelling in (word, word.lower(), word.upper(), f" {word}"):
            tokens = tokenizer.encode(spelling, add_special_tokens=False).ids
            if len(tokens) == 1:
                head[tokens[0]] = (sign * direction).to(head.dtype)


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="edgewatch-quantising-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
