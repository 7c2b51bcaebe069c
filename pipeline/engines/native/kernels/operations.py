"""The passes between products as kernels; `Operations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.arithmetic import PLAIN, Inputs, Product, Rounding
from edgewatch.pipeline.engines.native.kernels.gate import gate
from edgewatch.pipeline.engines.native.kernels.gated import (
    TRIAL,
    Fusing,
    fuses,
    fusing_on,
    gated_product,
)
from edgewatch.pipeline.engines.native.kernels.norm import norm
from edgewatch.pipeline.engines.native.kernels.pairs import turn_in_place
from edgewatch.pipeline.engines.native.kernels.patches import patches
from edgewatch.pipeline.engines.native.kernels.rounding import rounded
from edgewatch.pipeline.engines.native.kernels.turn import turn
from edgewatch.pipeline.engines.native.kernels.windows import LARGEST, attend_windows
from edgewatch.pipeline.engines.native.plain import PlainOperations, attend_turned

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import torch

    from edgewatch.pipeline.engines.native.frames import PairTables

PASSES = ("norm", "gate", "gated", "rounded", "patches", "attend_windows", "attend_pairs", "turn")


class KernelOperations:
    """`Operations` on the device that is the thread's current one; equal to `PlainOperations`
    within rounding. Queries and keys that a pass turns may be turned in place."""

    def __init__(
        self, dtype: torch.dtype, *, plain: Collection[str] = (), fusing: Fusing | None = None
    ) -> None:
        """`dtype`: the network's own type. `plain`: passes left to plain PyTorch, to measure what
        a kernel gives; "gated": a product and its gate are two passes. `fusing`: from which size
        on they are one; None: what is best on the thread's device. Raises ValueError if there is
        no such pass."""
        if unknown := set(plain) - set(PASSES):
            raise ValueError(f"no passes: {sorted(unknown)}; there are {', '.join(PASSES)}")
        self._dtype = dtype
        in_torch = PlainOperations(dtype)
        for name in set(plain) - {"gated"}:
            setattr(self, name, getattr(in_torch, name))
        self._plain = plain
        # Where the gate is left to PyTorch, no kernel may take it along.
        apart = {"gate", "gated"} & set(plain)
        self._fusing = None if apart else fusing or _fusing_here()

    def norm(
        self,
        total: torch.Tensor,
        weight: torch.Tensor,
        eps: float,
        *,
        add: torch.Tensor | None = None,
        rounding: Rounding = PLAIN,
    ) -> Inputs:
        """See `Operations`."""
        return norm(total, weight, eps, add=add, rounding=rounding)

    def gate(self, gate_up: torch.Tensor, rounding: Rounding = PLAIN) -> Inputs:
        """See `Operations`."""
        return gate(gate_up, rounding)

    def gated(self, product: Product, inputs: Inputs, rounding: Rounding = PLAIN) -> Inputs:
        """See `Operations`."""
        fusing = self._fusing
        if fusing is None or not fuses(product, inputs, rounding, fusing):
            return self.gate(product(inputs), rounding)
        return gated_product(product, inputs, rounding, self._dtype, fusing.programs)

    def rounded(self, inputs: torch.Tensor, rounding: Rounding) -> Inputs:
        """See `Operations`."""
        return rounded(inputs, rounding)

    def patches(self, pixels: torch.Tensor, tables: PairTables) -> torch.Tensor:
        """See `Operations`."""
        return patches(pixels, tables, self._dtype)

    def attend_windows(
        self, qkv: torch.Tensor, tables: PairTables, rounding: Rounding = PLAIN
    ) -> Inputs:
        """See `Operations`."""
        if max(tables.plan.lengths) > LARGEST:
            return self._attend(qkv, tables, tables.plan.groups, rounding)
        return attend_windows(qkv, tables, rounding)

    def attend_pairs(
        self, qkv: torch.Tensor, tables: PairTables, rounding: Rounding = PLAIN
    ) -> Inputs:
        """See `Operations`."""
        return self._attend(qkv, tables, ((1, tables.plan.patches),), rounding)

    def turn(
        self,
        qkv: torch.Tensor,
        cosines: torch.Tensor,
        sines: torch.Tensor,
        slots: torch.Tensor,
        queries: torch.Tensor | None,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> None:
        """See `Operations`."""
        turn(qkv, cosines, sines, slots, queries, keys, values)

    def for_trial(self) -> KernelOperations:
        """See `Operations`."""
        if self._fusing is None:
            return self
        return KernelOperations(self._dtype, plain=self._plain, fusing=TRIAL)

    def _attend(
        self,
        qkv: torch.Tensor,
        tables: PairTables,
        groups: Sequence[tuple[int, int]],
        rounding: Rounding,
    ) -> Inputs:
        turn_in_place(qkv, tables)
        split = qkv.view(-1, tables.plan.patches, 3, tables.heads, tables.head)
        return self.rounded(
            attend_turned(split[:, :, 0], split[:, :, 1], split[:, :, 2], groups), rounding
        )


def _fusing_here() -> Fusing | None:
    import torch

    return fusing_on(torch.cuda.current_device()) if torch.cuda.is_available() else None
