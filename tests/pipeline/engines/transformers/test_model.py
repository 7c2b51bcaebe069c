"""What this engine alone refuses at its start; the rest is `contract`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.pipeline.engines.model import Model
from edgewatch.pipeline.engines.models import create_model
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.engines.transformers import TransformersModel
from edgewatch.pipeline.errors import EngineFailed


@pytest.fixture
def setup(tiny: Path) -> EngineSetup:
    return EngineSetup(
        kind="transformers",
        model=tiny,
        device="cpu",
        max_batch=4,
        largest_clip=LargestClip(frames=4, pixels=12_544),
    )


async def test_table_of_models_makes_it(setup: EngineSetup) -> None:
    made: Model = create_model(setup)
    assert isinstance(made, TransformersModel)
    assert made.max_batch == 4
    await made.close()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda setup: replace(setup, tensor_parallel=2), "tensor_parallel"),
        (lambda setup: replace(setup, quantize="int8"), "int8.*CUDA"),
        (lambda setup: replace(setup, largest_clip=LargestClip(4, 10**12)), "not enough memory"),
    ],
)
async def test_setup_that_cannot_work_is_refused(
    setup: EngineSetup, change: Callable[[EngineSetup], EngineSetup], named: str
) -> None:
    model = TransformersModel(change(setup))
    with pytest.raises(EngineFailed, match=named):
        await model.start()
    await model.close()


async def test_batch_is_smaller_from_the_start_where_memory_is_short(setup: EngineSetup) -> None:
    model = TransformersModel(replace(setup, max_batch=10**7))
    await model.start()
    assert 1 <= model.max_batch < 10**7
    await model.close()


async def test_checkpoint_that_lacks_a_weight_is_refused(setup: EngineSetup, copy: Path) -> None:
    lose_a_weight(copy)
    model = TransformersModel(replace(setup, model=copy))
    with pytest.raises(EngineFailed, match="lacks 1 weights"):
        await model.start()


def lose_a_weight(directory: Path) -> None:
    from safetensors.torch import load_file, save_file

    shard = min(directory.glob("*.safetensors"))
    weights = load_file(shard)
    del weights[min(weights)]
    save_file(weights, shard, {"format": "pt"})
