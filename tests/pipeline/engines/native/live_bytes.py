"""Counts what a forward holds, on torch's "meta" device: full sizes without memory or time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from edgewatch.pipeline.engines.native.arithmetic import PLAIN, Codes, Inputs, Product, Rounding

if TYPE_CHECKING:
    from edgewatch.pipeline.engines.native.frames import PairTables


class LiveBytes(TorchDispatchMode):  # type: ignore[misc]  # torch leaves it untyped
    """Within it: the most bytes that were held at once of what torch's calls made.

    Storages that came with a call, as weights do, are somebody else's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {one.untyped_storage()._cdata for one in _tensors((args, kwargs))}
        self._live = {key: held for key, held in self._live.items() if not held[0].expired()}
        for one in _tensors(made):
            storage = one.untyped_storage()
            if one.device.type == "meta" and storage._cdata not in given:
                self._live[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self._live.values()))
        return made


class FusedAttention(TorchFunctionMode):  # type: ignore[misc]  # torch leaves it untyped
    """Attention as a GPU's kernels do it: nothing but the result, laid out as the queries are."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            return torch.empty_like(args[0])
        return func(*args, **(kwargs or {}))


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    return (one for one in tree_iter(tree) if isinstance(one, torch.Tensor))


class BareOperations:
    """`Operations` that make their results alone, as kernels do, and no numbers."""

    def __init__(self, dtype: torch.dtype) -> None:
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
        return self._made(total, total.shape[1], rounding)

    def gate(self, gate_up: torch.Tensor, rounding: Rounding = PLAIN) -> Inputs:
        return self._made(gate_up, gate_up.shape[1] // 2, rounding)

    def gated(self, product: Product, inputs: Inputs, rounding: Rounding = PLAIN) -> Inputs:
        return self.gate(product(inputs), rounding)

    def rounded(self, inputs: torch.Tensor, rounding: Rounding) -> Inputs:
        if inputs.ndim == 3:
            inputs = inputs.flatten(0, 1)
        if rounding.kind == "none":
            return inputs
        return self._made(inputs, inputs.shape[1], rounding)

    def patches(self, pixels: torch.Tensor, tables: PairTables) -> torch.Tensor:
        values = pixels[0].numel() // tables.plan.patches
        shape = (len(pixels) * tables.plan.patches, values)
        return torch.empty(shape, dtype=self._dtype, device=pixels.device)

    def attend_windows(
        self, qkv: torch.Tensor, tables: PairTables, rounding: Rounding = PLAIN
    ) -> Inputs:
        return self._made(qkv, qkv.shape[1] // 3, rounding)

    def attend_pairs(
        self, qkv: torch.Tensor, tables: PairTables, rounding: Rounding = PLAIN
    ) -> Inputs:
        return self._made(qkv, qkv.shape[1] // 3, rounding)

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
        """Everything goes where there is room for it already."""

    def for_trial(self) -> BareOperations:
        return self

    def _made(self, like: torch.Tensor, width: int, rounding: Rounding) -> Inputs:
        rows, device = len(like), like.device
        if rounding.kind == "none":
            return torch.empty((rows, width), dtype=self._dtype, device=device)
        codes = torch.empty((rows, width), dtype=torch.float8_e4m3fn, device=device)
        if rounding.scale is not None:
            return Codes(codes, rounding.scale)
        return Codes(codes, torch.empty((rows, 1), dtype=torch.float32, device=device))
