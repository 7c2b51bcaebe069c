"""The passes between products in plain PyTorch: for a CPU, and as what kernels are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.arithmetic import (
    E4M3_MAX,
    LEAST_SIZE,
    PLAIN,
    Codes,
    Inputs,
    Product,
    Rounding,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from edgewatch.pipeline.engines.native.frames import PairTables


class PlainOperations:
    """`Operations` in plain PyTorch, on any device."""

    def __init__(self, dtype: torch.dtype) -> None:
        """`dtype`: the network's own type."""
        self._dtype = dtype

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
        if add is not None:
            total.add_(add)
        values = total.float()
        normed = values * (values.square().mean(-1, keepdim=True) + eps).rsqrt_()
        if rounding.kind == "none":
            return weight * normed.to(total.dtype)
        return self._codes(weight.float() * normed, rounding)

    def gate(self, gate_up: torch.Tensor, rounding: Rounding = PLAIN) -> Inputs:
        """See `Operations`."""
        from torch.nn.functional import silu

        gates, ups = gate_up.float().chunk(2, dim=-1)
        values = silu(gates).mul_(ups)
        return values.to(self._dtype) if rounding.kind == "none" else self._codes(values, rounding)

    def gated(self, product: Product, inputs: Inputs, rounding: Rounding = PLAIN) -> Inputs:
        """See `Operations`."""
        return self.gate(product(inputs), rounding)

    def rounded(self, inputs: torch.Tensor, rounding: Rounding) -> Inputs:
        """See `Operations`."""
        if inputs.ndim == 3:
            inputs = inputs.flatten(0, 1)
        if rounding.kind == "none":
            return inputs
        return self._codes(inputs.float(), rounding)

    def patches(self, pixels: torch.Tensor, tables: PairTables) -> torch.Tensor:
        """See `Operations`."""
        pairs, frames, height, width, _ = pixels.shape
        patch = tables.patch
        values = pixels.float() * tables.factor + tables.offset
        cut = values.view(pairs, frames, height // patch, patch, width // patch, patch, 3)
        ordered = cut.permute(0, 2, 4, 6, 1, 3, 5)[
            :, tables.patch_rows.long(), tables.patch_columns.long()
        ]
        return ordered.reshape(pairs * tables.plan.patches, -1).to(self._dtype)

    def attend_windows(
        self, qkv: torch.Tensor, tables: PairTables, rounding: Rounding = PLAIN
    ) -> Inputs:
        """See `Operations`."""
        return self._attend(qkv, tables, tables.plan.groups, rounding)

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
        kv_heads, head = keys.shape[1:]
        heads = 0 if queries is None else queries.shape[1]
        split = qkv.view(len(qkv), heads + 2 * kv_heads, head)
        turned = _turned(split[:, : heads + kv_heads], cosines[:, None], sines[:, None]).to(
            qkv.dtype
        )
        if queries is not None:
            queries[slots] = turned[:, :heads]
        keys[slots] = turned[:, heads:]
        values[slots] = split[:, heads + kv_heads :]

    def for_trial(self) -> PlainOperations:
        """See `Operations`."""
        return self

    def _attend(
        self,
        qkv: torch.Tensor,
        tables: PairTables,
        groups: Sequence[tuple[int, int]],
        rounding: Rounding,
    ) -> Inputs:
        patches = tables.plan.patches
        split = qkv.view(-1, patches, 3, tables.heads, tables.head)
        cosines, sines = tables.cosines[:, None, None], tables.sines[:, None, None]
        turned = _turned(split[:, :, :2], cosines, sines).to(qkv.dtype)
        seen = attend_turned(turned[:, :, 0], turned[:, :, 1], split[:, :, 2], groups)
        return self.rounded(seen, rounding)

    def _codes(self, values: torch.Tensor, rounding: Rounding) -> Codes:
        """Round float32 values, which may be changed."""
        import torch

        scale = rounding.scale
        if scale is None:
            scale = values.abs().amax(-1, keepdim=True).clamp_(min=LEAST_SIZE) / E4M3_MAX
        codes = (values / scale).clamp_(-E4M3_MAX, E4M3_MAX).to(torch.float8_e4m3fn)
        return Codes(codes, scale)


def attend_turned(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    groups: Sequence[tuple[int, int]],
) -> torch.Tensor:
    """Attend within windows: (pairs x patches, heads x head).

    All (pairs, patches, heads, head), in any layout. `groups`: (windows, patches of each), in
    order.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    pairs, _, heads, head = queries.shape
    seen, first = [], 0
    for count, length in groups:
        parts = (
            one[:, first : first + count * length].reshape(-1, length, heads, head).transpose(1, 2)
            for one in (queries, keys, values)
        )
        out = scaled_dot_product_attention(*parts).transpose(1, 2)
        seen.append(out.reshape(pairs, count * length, -1))
        first += count * length
    whole = seen[0] if len(seen) == 1 else torch.cat(seen, dim=1)
    return whole.reshape(pairs * first, -1)


def _turned(vectors: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    """Turn (..., head) by angles (..., head / 2): the first half with the second; in float32."""
    import torch

    first, second = vectors.float().chunk(2, dim=-1)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)
