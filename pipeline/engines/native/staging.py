"""Arrays to the device in one copy that does not wait for what it is at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch


def staged(parts: Sequence[npt.NDArray[Any]], device: torch.device) -> torch.Tensor:
    """Return arrays on the device, one behind the other along their first axis.

    All of one type and, but for that axis, of one shape. For a GPU they are gathered in pinned
    memory: a copy from ordinary memory would wait until it is through with the batch before.
    """
    import torch

    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    dtype = torch.from_numpy(np.empty(0, parts[0].dtype)).dtype
    gathered = torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")
    np.concatenate(parts, out=gathered.numpy())
    return gathered.to(device, non_blocking=True)
