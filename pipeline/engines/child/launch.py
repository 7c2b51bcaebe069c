"""Launching a child: its process, the memory shared with it, and its environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import structlog

from edgewatch.pipeline.engines.child.host import Task
from edgewatch.pipeline.engines.child.limits import Limits
from edgewatch.pipeline.engines.child.messages import Message
from edgewatch.pipeline.engines.child.process import ChildProcess
from edgewatch.pipeline.engines.child.slots import Slots
from edgewatch.pipeline.engines.setup import EngineSetup

log = structlog.get_logger(__name__)


class Launched:
    """A process, the memory shared with it, and which of its slots are free.

    Raises OSError if it cannot be started.
    """

    def __init__(
        self,
        task: Task,
        environment: Mapping[str, str],
        on_message: Callable[[Message], None],
        on_end: Callable[[], None],
    ) -> None:
        memory = Slots.create(count=task.slots, size_bytes=task.slot_bytes)
        try:
            self.slots = Slots(memory, count=task.slots, size_bytes=task.slot_bytes)
            try:
                self.process = ChildProcess(
                    task,
                    memory=memory,
                    environment=environment,
                    on_message=on_message,
                    on_line=lambda line: log.debug("engine output", line=line),
                    on_end=on_end,
                )
            except BaseException:
                self.slots.close()
                raise
        finally:
            os.close(memory)
        self.free = list(range(task.slots))

    async def stop(self, limits: Limits, *, politely: bool) -> None:
        """End the process as `ChildProcess.stop` does, and give the memory back."""
        try:
            await self.process.stop(limits, politely=politely)
        finally:
            self.slots.close()


def environment_of(setup: EngineSetup) -> dict[str, str]:
    """Return what a child must find in its environment before it imports anything heavy."""
    variables = {
        "PYTHONUNBUFFERED": "1",
        # Numbers as nvidia-smi shows them.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        # A daemon asks nobody for weights.
        "HF_HUB_OFFLINE": "1",
    }
    if setup.kind == "native":
        # Batches of every size: memory that torch holds in pieces would look short though it is
        # free. The library's newer name for it is not known to those before 2.9.
        variables["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
        # Processes that share a model meet on this machine: nothing listens beyond it.
        variables |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    if setup.gpus:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, setup.gpus))
    if setup.kind == "tensorrt" and setup.tensor_parallel == 1:
        # The executor runs in the child itself: no MPI, no further process.
        variables["TLLM_WORKER_USE_SINGLE_PROCESS"] = "1"
    return variables
