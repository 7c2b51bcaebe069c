"""Two threads: what happens when one of them, or the device, fails while the other is at work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native import NativeModel
from edgewatch.pipeline.engines.native.accuracy.gates import Passed
from edgewatch.pipeline.engines.native.checks import INSTALL, VERSIONS, checked_model
from edgewatch.pipeline.engines.native.loading import Loaded
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.native.sharing.shards import Shard
from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.transformers.libraries import refuse_wrong_versions
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Answer
from tests.pipeline.engines.asked_clips import asked

SECONDS = 10.0
FAULT = "CUDA error: an illegal memory access was encountered"


@dataclass
class Device:
    """A scorer on a device whose launches and results come when a test lets them."""

    most_clips: int = 8
    figures: EngineFigures = field(default_factory=EngineFigures)
    launches: list[int] = field(default_factory=list)
    waits: int = 0
    """How often somebody began to wait for it."""
    done: threading.Event = field(default_factory=threading.Event)
    """Set: the device is through with all that was launched."""
    fault: str = ""
    """Raised by whoever waits for the device, or launches: "collect" or "launch"."""

    def launch(self, clips: Sequence[AskedClip]) -> list[int]:
        self.launches.append(len(clips))
        if self.fault == "launch":
            raise RuntimeError(FAULT)
        return [len(clips)]

    def collect(self, launched: Sequence[int]) -> list[Answer]:
        self.waits += 1
        assert self.done.wait(SECONDS)
        if self.fault == "collect":
            raise RuntimeError(FAULT)
        return [Answer(0.5)] * sum(launched)

    @property
    def network(self) -> Device:
        """It says of itself what a network says of its weights."""
        return self

    @property
    def choice(self) -> Device:
        return self

    arithmetic = "counted on fingers"
    mark = ""


@pytest.fixture
def setup(tiny: Path) -> EngineSetup:
    return EngineSetup(kind="native", model=tiny, device="cpu", incremental=False)


async def model_on(device: Device, setup: EngineSetup, **limits: float) -> NativeModel:
    import torch

    def loading(given: EngineSetup, wanted: Callable[[], bool], **_: Any) -> Loaded:
        assert given.model
        assert wanted()
        scorer, passed = cast(Scorer, device), cast(Passed, None)
        return Loaded(read_checkpoint(given.model), scorer, torch.device("cpu"), passed)

    model = NativeModel(setup, loading=loading, **limits)
    await model.start()
    return model


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - another thread tells nobody
            await asyncio.sleep(0.001)


async def test_next_batch_is_launched_while_the_device_is_at_work(setup: EngineSetup) -> None:
    device = Device()
    model = await model_on(device, setup)
    first = asyncio.create_task(model.score([asked()]))
    second = asyncio.create_task(model.score([asked()] * 2))
    await until(lambda: device.launches == [1, 2])
    assert not first.done()
    device.done.set()
    assert [len(one) for one in await asyncio.gather(first, second)] == [1, 2]
    await model.close()


async def test_launch_that_fails_leaves_what_the_device_is_at(setup: EngineSetup) -> None:
    device = Device()
    model = await model_on(device, setup)
    first = asyncio.create_task(model.score([asked()]))
    await until(lambda: device.launches == [1])
    device.fault = "launch"
    with pytest.raises(EngineFailed, match="illegal memory access"):
        await model.score([asked()])
    device.done.set()
    assert len(await first) == 1
    await model.close()


async def test_error_of_the_device_fails_all_that_wait_and_a_new_start_goes_on(
    setup: EngineSetup,
) -> None:
    device = Device(fault="collect")
    device.done.set()
    model = await model_on(device, setup)
    failed = await asyncio.gather(
        *(model.score([asked()]) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(one, EngineFailed) for one in failed)
    await model.close()
    device.fault = ""
    await model.start()
    assert len(await model.score([asked()])) == 1
    await model.close()


async def test_device_that_hangs_does_not_hold_up_a_close_and_no_start_joins_it(
    setup: EngineSetup,
) -> None:
    device = Device()
    model = await model_on(device, setup, close_seconds=0.05)
    hanging = asyncio.create_task(model.score([asked()]))
    await until(lambda: device.waits == 1)
    await model.close()
    with pytest.raises(EngineFailed, match="still computes and holds its memory"):
        await model.start()
    device.done.set()
    assert len(await hanging) == 1
    await model.close()
    await model.start()
    assert len(await model.score([asked()])) == 1
    await model.close()


async def test_callers_who_leave_are_not_launched_for(setup: EngineSetup) -> None:
    device = Device()
    model = await model_on(device, setup)
    tasks = [asyncio.create_task(model.score([asked()])) for _ in range(3)]
    await until(lambda: len(device.launches) == 3)
    for task in tasks:
        task.cancel()
    device.done.set()
    assert len(await model.score([asked()] * 4)) == 4
    assert device.launches == [1, 1, 1, 4]
    await model.close()


# Checks


def test_settings_that_do_not_go_together_are_refused_with_the_cure(
    setup: EngineSetup, copy: Path
) -> None:
    assert checked_model(setup) == setup.model
    with pytest.raises(EngineFailed, match=r'quantize = "int8" does not go.*precision'):
        checked_model(replace(setup, quantize="int8"))
    with pytest.raises(EngineFailed, match="gpus names 3, which tensor_parallel = 2"):
        checked_model(replace(setup, gpus=(0, 1, 2), tensor_parallel=2))
    config = copy / "config.json"
    config.write_text(config.read_text("utf-8").replace('"qwen2_5_vl"', '"llava"'), "utf-8")
    with pytest.raises(EngineFailed, match=r"type 'llava'.*set \[engine\] kind = \"transformers\""):
        checked_model(replace(setup, model=copy))


def test_libraries_are_named_with_how_to_install_them() -> None:
    installed = {"torch": "2.5.1", "tokenizers": None, "safetensors": "0.7.0"}
    with pytest.raises(EngineFailed) as refused:
        refuse_wrong_versions(installed, kind="native", versions=VERSIONS, install=INSTALL)
    for part in ("torch 2.5.1", "tokenizers >=0.22,<1 is not installed", "edgewatch[native]"):
        assert part in str(refused.value)
    assert "transformers" not in str(refused.value)


def test_each_shard_has_a_gpu_of_its_own_or_the_cpu() -> None:
    import torch

    from edgewatch.pipeline.engines.native.checks import shard_device

    assert shard_device(torch.device("cpu"), Shard(1, 2)) == torch.device("cpu")
    if torch.cuda.device_count() < 8:
        with pytest.raises(EngineFailed, match="tensor_parallel = 8 needs as many GPUs"):
            shard_device(torch.device("cuda"), Shard(1, 8))
