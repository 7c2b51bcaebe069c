"""Gates: what a loaded engine must pass before it judges anything.

The self-test always; a comparison with transformers where it is asked for; drift where weights
were rounded at load. Of weights that came quantised there is no plain form to hold them against:
`edgewatch quantize` measured their drift when it made them, `edgewatch evaluate` can at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from edgewatch.pipeline.engines.answers import AnswerTokens, answer_tokens
from edgewatch.pipeline.engines.device_memory import free_unused, is_out_of_memory
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.accuracy.comparison import (
    Apart,
    apart,
    hold,
    reference_logits,
    trial_clips,
)
from edgewatch.pipeline.engines.native.accuracy.drift import DRIFT_CLIPS, plain_scorer, refuse_drift
from edgewatch.pipeline.engines.native.accuracy.selftest import SelfTest, self_test
from edgewatch.pipeline.engines.native.network import Network
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.native.weights.formats import read_format
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.setup import EngineSetup

if TYPE_CHECKING:
    import torch

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Passed:
    """What the gates saw of an engine that they let through."""

    self_test: SelfTest
    comparison: Apart | None = None
    """None: not asked for."""
    drift: Apart | None = None
    """None: nothing was rounded at load, or it was not to be measured."""


def prepare(
    setup: EngineSetup, checkpoint: Checkpoint, device: torch.device
) -> torch.Tensor | None:
    """Ask transformers, where that is set, before this engine's weights take the memory.

    Returns its logits for `check`. Raises EngineFailed.
    """
    if not setup.compare_clips:
        return None
    scripts = ScriptReader(checkpoint.directory, checkpoint.video_token)
    clips = trial_clips(setup.largest_clip, setup.compare_clips)
    return reference_logits(checkpoint, scripts, clips, setup.form, device)


def test_device(network: Network) -> SelfTest:
    """Try a network's device, kernels and kinds of products with a tiny model. Raises EngineFailed.

    For processes that share a model, and do not lead: `check` does it for all others.
    """
    return self_test(network.operations, network.device, network.dtype, network.roundings)


def check(
    network: Network,
    scorer: Scorer,
    setup: EngineSetup,
    checkpoint: Checkpoint,
    reference: torch.Tensor | None = None,
) -> Passed:
    """Try a loaded engine and log what was seen. Raises EngineFailed that says what is wrong.

    `reference`: what `prepare` returned. Belongs to the network's thread.
    """
    tested = test_device(network)
    here = _rounded_here(network, checkpoint)
    compared = drifted = None
    if here and (setup.most_drift < 1 or reference is not None):
        compared, drifted = _against_plain(network, scorer, setup, checkpoint, reference)
    elif reference is not None:
        answers = _answers(checkpoint, setup)[1]
        clips = trial_clips(setup.largest_clip, len(reference))
        compared = apart(_logits(scorer, clips, scorer.most_clips), reference, answers)
        _hold(compared, network, setup, quantised=checkpoint.quantisation is not None)
    log.info(
        "accuracy checked",
        self_test={kind: float(f"{one:.2g}") for kind, one in tested.differences.items()},
        self_test_seconds=round(tested.seconds, 2),
        comparison=str(compared) if compared else "not asked for",
        drift=_drift_sentence(checkpoint, drifted, here=here),
    )
    return Passed(tested, compared, drifted)


def _against_plain(
    network: Network,
    scorer: Scorer,
    setup: EngineSetup,
    checkpoint: Checkpoint,
    reference: torch.Tensor | None,
) -> tuple[Apart | None, Apart | None]:
    """Score clips with the plain weights too; hold these against transformers, and ours against
    them."""
    scripts, answers = _answers(checkpoint, setup)
    count = DRIFT_CLIPS if reference is None else len(reference)
    clips = trial_clips(setup.largest_clip, count)
    try:
        with plain_scorer(network, checkpoint, scripts, answers, setup.form) as plain:
            logits = _logits(plain, clips, scorer.most_clips)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        logits = None
    if logits is None:  # only here are the failed step's tensors let go of
        free_unused(network.device)
        log.warning("drift not measured: memory is short", device=str(network.device))
        return None, None
    compared = None
    if reference is not None:
        compared = apart(logits, reference, answers)
        _hold(compared, network, setup, quantised=False)
    drifted = apart(_logits(scorer, clips, scorer.most_clips), logits, answers)
    refuse_drift(drifted, setup.most_drift)
    return compared, drifted


def _logits(scorer: Scorer, clips: Sequence[AskedClip], at_once: int) -> torch.Tensor:
    import torch

    parts = [clips[first : first + at_once] for first in range(0, len(clips), at_once)]
    return torch.cat([scorer.logits(part) for part in parts])


def _hold(found: Apart, network: Network, setup: EngineSetup, *, quantised: bool) -> None:
    exact = network.device.type == "cpu"
    hold(found, exact=exact, quantised=quantised, most_drift=setup.most_drift)


def _answers(checkpoint: Checkpoint, setup: EngineSetup) -> tuple[ScriptReader, AnswerTokens]:
    scripts = ScriptReader(checkpoint.directory, checkpoint.video_token)
    return scripts, answer_tokens(scripts.encode, setup.form)


def _rounded_here(network: Network, checkpoint: Checkpoint) -> bool:
    """Whether weights are rounded further than the checkpoint has them."""
    if network.roundings == {"none"}:
        return False
    found = read_format(checkpoint.directory)
    return found is None or found.kind == "nvfp4"


def _drift_sentence(checkpoint: Checkpoint, found: Apart | None, *, here: bool) -> str:
    said = str(found) if found else "not measured" if here else "none added here"
    if checkpoint.quantisation is not None:
        said += "; the weights came quantised: edgewatch evaluate says what that costs"
    return said
