"""From a set-up to a network that answers: every check, the weights, and a first batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.answers import answer_tokens
from edgewatch.pipeline.engines.device_memory import is_out_of_memory
from edgewatch.pipeline.engines.native.accuracy.gates import Passed, check, prepare, test_device
from edgewatch.pipeline.engines.native.checks import checked_model, shard_device
from edgewatch.pipeline.engines.native.memory import plan_native
from edgewatch.pipeline.engines.native.network import load_network
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.native.sharing.collective import meet
from edgewatch.pipeline.engines.native.sharing.group import Group
from edgewatch.pipeline.engines.native.sharing.shards import Shard
from edgewatch.pipeline.engines.native.sharing.together import FollowingScorer, LeadingScorer
from edgewatch.pipeline.engines.native.words.describing import style_of
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
    passed: Passed
    """What the accuracy gates saw."""

    @property
    def arithmetic(self) -> str:
        """What is computed how, in a sentence."""
        return self.scorer.network.choice.arithmetic

    @property
    def mark(self) -> str:
        """What the engine's name ends with; empty where weights are the checkpoint's own."""
        return self.scorer.network.choice.mark


def load(setup: EngineSetup, wanted: Callable[[], bool], *, group: Group | None = None) -> Loaded:
    """Check, load and warm up; `wanted` says whether anybody still waits.

    `group`: the processes that share the model with this one. Raises EngineFailed with the cure:
    no such device, an incomplete checkpoint, answers that are no single tokens, too little memory.
    """
    if group is None:
        loaded = _load(setup, wanted, Scorer)
    else:
        lead = partial(LeadingScorer, tell=group.tell)
        loaded = _load(setup, wanted, lead, shard=group.shard, folder=group.folder)
    device, scorer = loaded.device, loaded.scorer
    # On a GPU a full batch, so that short memory shows now; on a CPU one clip is slow enough.
    scorer.score(
        [black_clip(setup.largest_clip)] * (scorer.most_clips if device.type == "cuda" else 1)
    )
    if device.type == "cuda" and setup.form.words_tokens:
        # Captures the steps, and tells what a token costs.
        scorer.words(black_clip(setup.largest_clip), lambda: None)
    return loaded


def load_following(
    setup: EngineSetup, shard: Shard, folder: Path, hear: Callable[[], Any]
) -> FollowingScorer:
    """Load one of the other shards, as the first process loads its own. Raises EngineFailed."""
    follow = partial(FollowingScorer, hear=hear)
    scorer = _load(setup, lambda: True, follow, shard=shard, folder=folder).scorer
    assert isinstance(scorer, FollowingScorer)
    return scorer


def _load(
    setup: EngineSetup,
    wanted: Callable[[], bool],
    make: Callable[..., Scorer],
    *,
    shard: Shard | None = None,
    folder: Path | None = None,
) -> Loaded:
    checkpoint = read_checkpoint(checked_model(setup))
    scripts = ScriptReader(checkpoint.directory, checkpoint.video_token)
    answers = answer_tokens(scripts.encode, setup.form)
    device = shard_device(choose_device(setup.device), shard)
    if not wanted():
        raise EngineFailed("the start was given up")
    leads = shard is None or shard.rank == 0
    reference = prepare(setup, checkpoint, device) if leads else None
    # Batches are what can be smaller without changing an answer: no more is refused than must be.
    memory = plan_native(setup, device, shard)
    if not memory.batch:
        memory.require()
    try:
        network = load_network(
            checkpoint.directory,
            checkpoint.pixels,
            device,
            precision=setup.precision,
            shard=shard,
        )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise EngineFailed(
            f"{checkpoint.directory} does not fit into the memory of {device}: {memory.sentence}",
            "end other programs that hold memory, or take a quantised checkpoint",
        ) from error
    if shard is not None and folder is not None:
        meet(shard, folder, device)
    scorer = make(
        network,
        checkpoint,
        scripts,
        answers,
        setup.form,
        most_clips=memory.batch,
        sight_bytes=setup.vision_cache_bytes if setup.incremental and leads else 0,
        style=style_of(setup),
    )
    if leads:
        passed = check(network, scorer, setup, checkpoint, reference)
    else:
        passed = Passed(test_device(network))
    return Loaded(checkpoint, scorer, device, passed)
