"""What the processes that share a model do together: meet, sum, hand over; by torch.distributed.

NCCL where each has a GPU, Gloo where they compute on a CPU. All of them call the same functions in
the same order. They meet through a file in a private folder; a child's environment has them speak
over loopback, so that nothing listens to the network.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.sharing.shards import Shard
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

LOAD_SECONDS = 560.0
"""Longest wait for the slowest of them to load: a cold disk is slow. A child is given 570."""
STEP_SECONDS = 40.0
"""Longest that one step may take; then the library gives up, whatever it waits for."""


def meet(shard: Shard, folder: Path, device: torch.device) -> None:
    """Wait until all have loaded, and connect them; on a GPU, in the thread that computes.

    Raises RuntimeError if one does not come, EngineFailed if torch cannot connect them.
    """
    import torch
    from torch import distributed

    if not distributed.is_available():
        raise EngineFailed(
            f"torch {torch.__version__} was built without torch.distributed, which "
            "tensor_parallel needs",
            "install another build of torch, or set [engine] tensor_parallel = 1",
        )
    gpu = device.type == "cuda"
    if gpu:
        torch.cuda.set_device(device)
    store = distributed.FileStore(str(folder / "meeting"), shard.count)
    store.set_timeout(timedelta(seconds=LOAD_SECONDS))
    store.set(f"loaded {shard.rank}", "yes")
    store.wait([f"loaded {rank}" for rank in range(shard.count)])
    distributed.init_process_group(
        "nccl" if gpu else "gloo",
        store=store,
        rank=shard.rank,
        world_size=shard.count,
        timeout=timedelta(seconds=STEP_SECONDS),
    )


def part() -> None:
    """Leave those that have met over Gloo; NCCL's connection ends with the process.

    To leave NCCL all would have to come together once more, and they are gone.
    """
    from torch import distributed

    met = distributed.is_available() and distributed.is_initialized()
    if met and distributed.get_backend() == "gloo":
        distributed.destroy_process_group()


def add_up(tensor: torch.Tensor) -> None:
    """Replace a tensor by the sum of all processes'."""
    from torch import distributed

    distributed.all_reduce(tensor)


def hand_over(tensor: torch.Tensor) -> None:
    """Give the first process's tensor to all; elsewhere it is written over."""
    from torch import distributed

    distributed.broadcast(tensor, src=0)
