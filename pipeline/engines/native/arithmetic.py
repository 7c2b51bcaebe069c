"""Products and what stands between them: the terms in which the network is written.

A product takes its inputs as they are, or as codes of eight bits with scales; what comes before it
(a norm, the gate of an MLP, attention) gives them in that form, in one pass. `Operations` are
those passes: in plain PyTorch (`plain`), or as kernels of our own (`kernels`); both the same
within rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Union

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.native.frames import PairTables

E4M3_MAX = 448.0
"""The largest E4M3. Source: OCP 8-bit Floating Point 1.0."""
LEAST_SIZE = 1e-12
"""What a row's largest size is at least taken for: a row of zeros has a scale too."""


@dataclass(frozen=True, slots=True, eq=False)
class Rounding:
    """How a product wants its inputs."""

    kind: Literal["none", "rows", "fixed"] = "none"
    """ "none": as they are. "rows": E4M3 under a scale of each row's own largest size. "fixed":
    E4M3 under one scale, known before."""
    scale: torch.Tensor | None = None
    """float32, one number on the device, for "fixed"."""


PLAIN = Rounding()


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Inputs in eight bits: value = code x scale."""

    codes: torch.Tensor
    """E4M3, (rows, width), contiguous."""
    scale: torch.Tensor
    """float32: (rows, 1) or one number."""


Inputs = Union["torch.Tensor", Codes]
"""What a product takes: (rows, width), in the network's own type or in codes."""


class Product(Protocol):
    """A linear layer: inputs @ weight.T + bias."""

    @property
    def rounding(self) -> Rounding:
        """How it wants its inputs."""

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """Return (rows, outputs) in the network's type."""

    def add_to(self, total: torch.Tensor, inputs: Inputs) -> torch.Tensor | None:
        """Add the product to `total` (rows, outputs), in place, and return None; or, where the
        device's product cannot, return it: the caller adds it in its next pass."""

    def split(self, outputs: int) -> tuple[Product, Product]:
        """Return two products of the same weights: of the first outputs, and of the others."""

    @property
    def held_bytes(self) -> int:
        """Of its weights on the device."""


class Operations(Protocol):
    """The passes between products; tensors are contiguous unless said otherwise."""

    def norm(
        self,
        total: torch.Tensor,
        weight: torch.Tensor,
        eps: float,
        *,
        add: torch.Tensor | None = None,
        rounding: Rounding = PLAIN,
    ) -> Inputs:
        """Return the RMS norm of `total` (rows, width), after `add` is added to it in place.

        In float32 within; the sum is rounded to the network's type before it is normed, as
        transformers' is.
        """

    def gate(self, gate_up: torch.Tensor, rounding: Rounding = PLAIN) -> Inputs:
        """Return silu(gate) x up of (rows, 2 x width): the gate is the first half."""

    def gated(self, product: Product, inputs: Inputs, rounding: Rounding = PLAIN) -> Inputs:
        """Return silu(gate) x up of a product's outputs, whose first half is the gate."""

    def rounded(self, inputs: torch.Tensor, rounding: Rounding) -> Inputs:
        """Return inputs as a product wants them, (rows, width); a view of such is taken too, and
        one of (passages, rows, width)."""

    def patches(self, pixels: torch.Tensor, tables: PairTables) -> torch.Tensor:
        """Return uint8 pairs (pairs, 2, height, width, 3) as patches (pairs x patches, values) in
        the tower's order, normalised; a patch's values are by channel, frame, row, column."""

    def attend_windows(
        self, qkv: torch.Tensor, tables: PairTables, rounding: Rounding = PLAIN
    ) -> Inputs:
        """Turn queries and keys by their places, and attend within each window.

        `qkv`: (pairs x patches, 3 x heads x head), query, key, value; used up, as it may be turned
        in place. Returns (pairs x patches, heads x head).
        """

    def attend_pairs(
        self, qkv: torch.Tensor, tables: PairTables, rounding: Rounding = PLAIN
    ) -> Inputs:
        """The same within each whole pair of frames."""

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
        """Turn queries and keys by their places and put all three where `slots` says.

        `qkv`: (rows, (heads + 2 kv_heads) x head), or without the queries where `queries` is None.
        `cosines`, `sines`: float32 (rows, head / 2). `slots`: int64 (rows,). `queries`: (slots,
        heads, head); `keys`, `values`: (slots, kv_heads, head).
        """

    def for_trial(self) -> Operations:
        """Return the same passes for a trial: what else runs with large inputs alone is taken for
        small ones, too."""
