"""From a set-up to a network that answers: every check, the weights, and a first batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.answers import answer_tokens
from edgewatch.pipeline.engines.device_memory import is_out_of_memory
from edgewatch.pipeline.engines.native.network import load_network
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint, read_checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.transformers.libraries import choose_device
from edgewatch.pipeline.engines.trial_clips import black_clip
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """What a start leaves behind."""

    checkpoint: Checkpoint
    scorer: Scorer
    device: torch.device


def load(setup: EngineSetup, wanted: Callable[[], bool]) -> Loaded:
    """Check, load and warm up; `wanted` says whether anybody still waits.

    Raises EngineFailed with the cure: no such device, an incomplete checkpoint, answers that are no
    single tokens, too little memory.
    """
    if setup.model is None:
        raise EngineFailed('[engine] kind = "native" needs model, a checkpoint\'s directory')
    checkpoint = read_checkpoint(setup.model)
    scripts = ScriptReader(checkpoint.directory, checkpoint.video_token)
    answers = answer_tokens(scripts.encode, setup.form)
    device = choose_device(setup.device)
    if not wanted():
        raise EngineFailed("the start was given up")
    try:
        network = load_network(checkpoint.directory, checkpoint.pixels, device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise EngineFailed(
            f"{checkpoint.directory} does not fit into the memory of {device}",
            "end other programs that hold memory, or take a quantised checkpoint",
        ) from error
    scorer = Scorer(network, checkpoint, scripts, answers, setup.form, most_clips=setup.max_batch)
    # On a GPU a full batch, so that short memory shows now; on a CPU one clip is slow enough.
    scorer.score(
        [black_clip(setup.largest_clip)] * (setup.max_batch if device.type == "cuda" else 1)
    )
    return Loaded(checkpoint, scorer, device)
