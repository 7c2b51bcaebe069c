"""What the vision tower must know of one size of frames: order, windows, places; on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.sizes import VisionSizes
from edgewatch.pipeline.engines.native.windows import WindowPlan, window_plan
from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules

if TYPE_CHECKING:
    import torch

THETA = 10_000.0
"""Base of the vision tower's rotary places. Source: `Qwen2_5_VisionRotaryEmbedding`."""
_SIZES_KEPT = 32


@dataclass(frozen=True, slots=True, eq=False)
class PairTables:
    """One size of frames; all tensors on the device."""

    plan: WindowPlan
    heads: int
    head: int
    patch: int
    cosines: torch.Tensor
    """float32, (patches, head / 2): of each patch's place, rows' frequencies before columns'."""
    sines: torch.Tensor
    patch_rows: torch.Tensor
    """int32, (patches,)."""
    patch_columns: torch.Tensor
    window_of: torch.Tensor
    """int32, (patches,)."""
    tile_starts: torch.Tensor
    """int32, (tiles,)."""
    tile_lengths: torch.Tensor
    restore: torch.Tensor
    """int64, (tokens,)."""
    factor: torch.Tensor
    """float32, (3,): a byte's value is byte x factor + offset, by channel."""
    offset: torch.Tensor


class FrameSizes:
    """Tables by size of frames, kept for the sizes to come. One thread only."""

    def __init__(self, sizes: VisionSizes, rules: PixelRules, device: torch.device) -> None:
        self._sizes = sizes
        self._rules = rules
        self._device = device
        self._known: dict[tuple[int, int], PairTables] = {}

    def of(self, rows: int, columns: int) -> PairTables:
        """Return the tables of frames of so many tokens."""
        if (rows, columns) not in self._known:
            if len(self._known) >= _SIZES_KEPT:
                self._known.clear()
            self._known[rows, columns] = self._make(rows, columns)
        return self._known[rows, columns]

    def _make(self, rows: int, columns: int) -> PairTables:
        import numpy as np
        import torch

        sizes, device = self._sizes, self._device
        plan = window_plan(rows, columns, window=sizes.window, merge=sizes.merge)
        # As the library computes them: float32 all the way.
        half = sizes.head // 2
        frequencies = 1.0 / (THETA ** (torch.arange(0, half, 2, dtype=torch.float32) / half))
        angles = torch.cat(
            [
                torch.from_numpy(each).float()[:, None] * frequencies
                for each in (plan.patch_rows, plan.patch_columns)
            ],
            dim=1,
        )
        starts, lengths = np.array(plan.tiles, np.int32).T
        mean, std = (
            torch.tensor(each, dtype=torch.float64) for each in (self._rules.mean, self._rules.std)
        )

        def small(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, np.int32)).to(device)

        return PairTables(
            plan=plan,
            heads=sizes.heads,
            head=sizes.head,
            patch=sizes.patch,
            cosines=angles.cos().to(device),
            sines=angles.sin().to(device),
            patch_rows=small(plan.patch_rows),
            patch_columns=small(plan.patch_columns),
            window_of=small(plan.window_of),
            tile_starts=small(starts),
            tile_lengths=small(lengths),
            restore=torch.from_numpy(plan.restore).to(device),
            factor=(self._rules.rescale_factor / std).to(device, torch.float32),
            offset=(-mean / std).to(device, torch.float32),
        )
