"""A packed batch's numbers on the device, in one copy that does not wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.native.packing import Packed
from edgewatch.pipeline.engines.native.staging import staged

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
    """Copy a batch's numbers to the device: one int64 tensor, to be taken apart by `tables_in`."""
    return staged([part.reshape(-1) for part in _parts(packed)], device)


def tables_in(numbers: torch.Tensor, packed: Packed) -> Tables:
    """Take apart what `upload` made of a batch that was laid out like `packed`."""
    lengths = [part.size for part in _parts(packed)]
    tokens, video_rows, slots, ends, places = numbers.split(lengths)
    return Tables(tokens, video_rows, slots, ends, places.view(3, -1))


def _parts(packed: Packed) -> tuple[npt.NDArray[np.int64], ...]:
    return packed.tokens, packed.video_rows, packed.slots, packed.ends, packed.places
