"""From a set-up to a network that answers: every check, the weights, and a first clip."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgewatch.pipeline.engines.answers import answer_tokens
from edgewatch.pipeline.engines.device_memory import is_out_of_memory
from edgewatch.pipeline.engines.memory_plan import memory_of, plan
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.modelopt.arithmetic import Arithmetic
from edgewatch.pipeline.engines.modelopt.layers import held_bytes
from edgewatch.pipeline.engines.qwen.checkpoint import (
    MODEL_TYPE,
    Checkpoint,
    read_checkpoint,
)
from edgewatch.pipeline.engines.qwen.quantisation import refuse_int8, refuse_unloadable
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.engines.transformers.general.checkpoint import (
    GeneralCheckpoint,
    model_type_of,
)
from edgewatch.pipeline.engines.transformers.general.loading import load_any
from edgewatch.pipeline.engines.transformers.general.scoring import GeneralScorer
from edgewatch.pipeline.engines.transformers.libraries import (
    choose_device,
    installed_versions,
    place_of,
    refuse_wrong_versions,
)
from edgewatch.pipeline.engines.transformers.modelopt.choice import possible_ways
from edgewatch.pipeline.engines.transformers.network import load_network
from edgewatch.pipeline.engines.transformers.scoring import Scorer
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """What a start leaves behind."""

    checkpoint: Checkpoint | GeneralCheckpoint
    scorer: Scorer | GeneralScorer
    device: torch.device
    arithmetic: Arithmetic | None = None
    """How quantised layers by ModelOpt are computed; None: there are none."""


def load(setup: EngineSetup, wanted: Callable[[], bool]) -> Loaded:
    """Check, load and warm up; `wanted` says whether anybody still waits.

    Raises EngineFailed with the cure: wrong library, no such device, an incomplete checkpoint,
    answers that are no single tokens, too little memory.
    """
    refuse_wrong_versions(installed_versions())
    if setup.tensor_parallel > 1:
        raise EngineFailed(
            '[engine] tensor_parallel does not go with kind = "transformers"',
            'set kind = "tensorrt", or tensor_parallel = 1 and name several gpus',
        )
    if setup.model is None:
        raise EngineFailed('[engine] kind = "transformers" needs model, a checkpoint\'s directory')
    if model_type_of(setup.model) not in (None, MODEL_TYPE):
        there = choose_device(setup.device)
        return Loaded(*load_any(setup, setup.model, there, wanted), there)
    checkpoint = read_checkpoint(setup.model)
    scripts = ScriptReader(checkpoint.directory, checkpoint.video_token)
    answers = answer_tokens(scripts.encode, setup.form)
    device = choose_device(setup.device)
    place = place_of(device)
    refuse_unloadable(checkpoint.directory, checkpoint.quantisation, place)
    if setup.quantize == "int8":
        refuse_int8(checkpoint.quantisation, place)
    ways = possible_ways(checkpoint.directory, checkpoint.quantisation, device, place)
    batch, arithmetic = _admit(setup, checkpoint, device, ways)
    if not wanted():
        raise EngineFailed("the start was given up")
    try:
        network = load_network(checkpoint, device, quantize=setup.quantize, arithmetic=arithmetic)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise EngineFailed(
            f"{checkpoint.directory} does not fit into the memory of {device}",
            "end other programs that hold memory, or take a quantised checkpoint",
        ) from error
    scorer = Scorer(
        network,
        scripts,
        answers,
        setup.form,
        rules=checkpoint.pixels,
        tokens_per_second=checkpoint.tokens_per_second,
        video_token=checkpoint.video_token,
        stop_tokens=checkpoint.stop_tokens,
        most_clips=batch,
    )
    # On a GPU a full batch, so that short memory shows now; on a CPU one clip is slow enough.
    scorer.score([blank_clip(setup.largest_clip)] * (batch if device.type == "cuda" else 1))
    return Loaded(checkpoint, scorer, device, arithmetic)


def blank_clip(largest: LargestClip) -> AskedClip:
    """Return a black clip of about the largest size: what warms up."""
    side = max(1, math.isqrt(largest.pixels) // 28) * 28
    frames = max(2, largest.frames // 2 * 2)
    return AskedClip(np.zeros((frames, side, side, 3), np.uint8), largest.fps, "Report anything.")


def _admit(
    setup: EngineSetup,
    checkpoint: Checkpoint,
    device: torch.device,
    ways: Sequence[Arithmetic | None],
) -> tuple[int, Arithmetic | None]:
    """Return the largest batch that fits, and the way of computing that allows it.

    Batches are what can be made smaller without changing an answer; so they are, and no more is
    refused than must be. Of ways that allow the same batch the first is taken. Raises EngineFailed
    if not even one clip fits.
    """
    import torch

    gpu_free_bytes, unified = None, False
    if device.type == "cuda":
        gpu_free_bytes = torch.cuda.mem_get_info(device)[0]
        unified = bool(getattr(torch.cuda.get_device_properties(device), "is_integrated", False))
    memory = memory_of(_MEMINFO.read_text("utf-8"), gpu_free_bytes=gpu_free_bytes, unified=unified)
    width_bytes = 4 if device.type == "cpu" else None
    plans = [
        plan(
            checkpoint.directory,
            setup.largest_clip,
            setup.max_batch,
            free_bytes=memory.free_bytes,
            cache_bytes=memory.cache_bytes,
            unified=unified,
            quantize=setup.quantize,
            weight_bytes=width_bytes,
            held_bytes=None if way is None else held_bytes(way, plain_bytes=width_bytes or 2),
        )
        for way in ways
    ]
    found, way = max(zip(plans, ways, strict=True), key=lambda pair: pair[0].batch)
    if not found.batch:
        found.require()
    return found.batch, way
