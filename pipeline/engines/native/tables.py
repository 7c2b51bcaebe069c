"""A packed batch's numbers on the device, in one copy that does not wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.native.packing import Packed

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """See `Packed`, whose fields these are; int64 on the device."""

    tokens: torch.Tensor
    video_rows: torch.Tensor
    slots: torch.Tensor
    ends: torch.Tensor
    places: torch.Tensor


def upload(packed: Packed, device: torch.device) -> torch.Tensor:
    """Copy a batch's numbers to the device: one int64 tensor, to be taken apart by `tables_in`.

    From pinned memory, as one piece: a copy from ordinary memory would wait until the device is
    through with the batch before.
    """
    import torch

    parts = _parts(packed)
    length = sum(part.size for part in parts)
    staged = torch.empty(length, dtype=torch.int64, pin_memory=device.type == "cuda")
    np.concatenate([part.reshape(-1) for part in parts], out=staged.numpy())
    return staged.to(device, non_blocking=True)


def tables_in(numbers: torch.Tensor, packed: Packed) -> Tables:
    """Take apart what `upload` made of a batch that was laid out like `packed`."""
    lengths = [part.size for part in _parts(packed)]
    tokens, video_rows, slots, ends, places = numbers.split(lengths)
    return Tables(tokens, video_rows, slots, ends, places.view(3, -1))


def _parts(packed: Packed) -> tuple[npt.NDArray[np.int64], ...]:
    return packed.tokens, packed.video_rows, packed.slots, packed.ends, packed.places
