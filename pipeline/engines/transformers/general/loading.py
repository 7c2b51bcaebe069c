"""From a set-up to a model of any family that answers: every check, the weights, a first clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from edgewatch.pipeline.engines.device_memory import is_out_of_memory
from edgewatch.pipeline.engines.qwen.quantisation import refuse_int8, refuse_unloadable
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.transformers.general.checkpoint import (
    GeneralCheckpoint,
    read_general,
)
from edgewatch.pipeline.engines.transformers.general.forms import make_form
from edgewatch.pipeline.engines.transformers.general.memory import admit
from edgewatch.pipeline.engines.transformers.general.network import GeneralNetwork, load_general
from edgewatch.pipeline.engines.transformers.general.scoring import GeneralScorer
from edgewatch.pipeline.engines.transformers.general.spoken import spoken_tokens
from edgewatch.pipeline.engines.transformers.libraries import place_of
from edgewatch.pipeline.engines.trial_clips import black_clip
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    from pathlib import Path

    import torch

log = structlog.get_logger(__name__)


def load_any(
    setup: EngineSetup, directory: Path, device: torch.device, wanted: Callable[[], bool]
) -> tuple[GeneralCheckpoint, GeneralScorer]:
    """Check, load and warm up; `wanted` says whether anybody still waits.

    Raises EngineFailed with the cure: an unknown family (the known are listed), files that are
    missing or cannot be read, answers that are no single tokens, too little memory.
    """
    checkpoint = read_general(directory)
    family = checkpoint.family
    place = place_of(device)
    if checkpoint.quantisation is not None and checkpoint.quantisation.method == "modelopt":
        raise EngineFailed(
            f"{directory} is quantised ({checkpoint.quantisation}), which is only read for "
            f"Qwen2.5-VL, and this is {family.name}",
            'load the same model in bf16, or serve it and set [engine] kind = "remote"',
        )
    if setup.form.question_first:
        raise EngineFailed(
            f"[engine] question_first is only for Qwen2.5-VL here, and {directory} is "
            f"{family.name}, whose own template says where a picture stands",
            "remove it",
        )
    refuse_unloadable(directory, checkpoint.quantisation, place)
    if setup.quantize == "int8":
        refuse_int8(checkpoint.quantisation, place)
    family_form = make_form(checkpoint.source)
    scores = family.answers == "score"
    if setup.judges and not scores:
        raise EngineFailed(
            f"{directory} is {family.name}, which reads what stands in a picture and answers no "
            "question with one word: it cannot judge clips",
            "set [engine] model to a family that answers (docs/families.md); this one is used by "
            "edgewatch evaluate --task",
        )
    answers = spoken_tokens(family_form.encode, setup.form) if scores else None
    admit(directory, device, setup.quantize)
    if not wanted():
        raise EngineFailed("the start was given up")
    network = _network(setup, checkpoint, device)
    scorer = GeneralScorer(network, family, family_form, answers, setup.form)
    if scores:
        scorer.score([black_clip(setup.largest_clip)])
    return checkpoint, scorer


def _network(
    setup: EngineSetup, checkpoint: GeneralCheckpoint, device: torch.device
) -> GeneralNetwork:
    try:
        return load_general(
            checkpoint.directory, checkpoint.family, device, quantize=setup.quantize
        )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise EngineFailed(
            f"{checkpoint.directory} does not fit into the memory of {device}",
            "end other programs that hold memory, or take a smaller or quantised checkpoint",
        ) from error
