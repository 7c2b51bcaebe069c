"""What must hold before `native` loads anything: libraries, settings, the model's family."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.sharing.shards import Shard
from edgewatch.pipeline.engines.qwen.checkpoint import MODEL_TYPE
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.transformers.general.checkpoint import model_type_of
from edgewatch.pipeline.engines.transformers.libraries import (
    installed_versions,
    refuse_wrong_versions,
)
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

INSTALL = "pip install 'edgewatch[native]'"
VERSIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "torch": ((2, 6), (3,)),
    "tokenizers": ((0, 22), (1,)),
    "safetensors": ((0, 5), (1,)),
}
"""From the first on, and below the second; pyproject.toml says the same."""


def checked_model(setup: EngineSetup) -> Path:
    """Let a set-up pass and return its checkpoint's directory.

    Raises EngineFailed with the cure: wrong libraries, settings that do not go together, a model
    of another family.
    """
    refuse_wrong_versions(
        installed_versions(VERSIONS), kind="native", versions=VERSIONS, install=INSTALL
    )
    if setup.model is None:
        raise EngineFailed(
            '[engine] kind = "native" needs model, a checkpoint\'s directory',
            "set [engine] model to it (docs/engines.md)",
        )
    if setup.quantize != "none":
        raise EngineFailed(
            f'[engine] quantize = "{setup.quantize}" does not go with kind = "native"',
            'set quantize = "none"; precision says what kind = "native" multiplies in',
        )
    refuse_unshared(setup)
    family = model_type_of(setup.model) if setup.model.is_dir() else None
    if family not in (None, MODEL_TYPE):
        raise EngineFailed(
            f"{setup.model / 'config.json'} is of a model of type {family!r}, and "
            f'kind = "native" runs {MODEL_TYPE!r} alone',
            'set [engine] kind = "transformers", which runs other families too (docs/families.md)',
        )
    return setup.model


def refuse_unshared(setup: EngineSetup) -> None:
    """Let numbers of GPUs pass that a model can be shared by. Raises EngineFailed."""
    count, gpus = setup.tensor_parallel, len(setup.gpus)
    if count > 1 and gpus and gpus % count:
        raise EngineFailed(
            f"[engine] gpus names {gpus}, which tensor_parallel = {count} does not divide",
            f"name {count} GPUs for each engine, or set tensor_parallel = 1",
        )


def shard_device(device: torch.device, shard: Shard | None) -> torch.device:
    """Return the device of a shard: on GPUs, each its own. Raises EngineFailed if there are fewer.

    `device`: what the settings chose; of the GPUs that are seen, rank takes its own number.
    """
    import torch

    if shard is None or device.type != "cuda":
        return device
    there = torch.cuda.device_count()
    if there < shard.count:
        raise EngineFailed(
            f"[engine] tensor_parallel = {shard.count} needs as many GPUs, and torch sees {there}",
            "set tensor_parallel to that number or less, and look at [engine] gpus",
        )
    return torch.device("cuda", shard.rank)
