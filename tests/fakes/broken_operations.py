"""Operations that are wrong in one way each: what a self-test must see."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.arithmetic import PLAIN, Codes, Inputs, Rounding
from edgewatch.pipeline.engines.native.plain import PlainOperations

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.native.frames import PairTables


class ForgetsTheSum(PlainOperations):
    """Norms what stood there before the last product was added."""

    def norm(
        self,
        total: torch.Tensor,
        weight: torch.Tensor,
        eps: float,
        *,
        add: torch.Tensor | None = None,
        rounding: Rounding = PLAIN,
    ) -> Inputs:
        before = total.clone()
        super().norm(total, weight, eps, add=add)
        return super().norm(before, weight, eps, rounding=rounding)


class ForgetsNormWeights(PlainOperations):
    """Norms without the weights."""

    def norm(
        self,
        total: torch.Tensor,
        weight: torch.Tensor,
        eps: float,
        *,
        add: torch.Tensor | None = None,
        rounding: Rounding = PLAIN,
    ) -> Inputs:
        return super().norm(total, weight.new_ones(weight.shape), eps, add=add, rounding=rounding)


class GatesTheOtherHalf(PlainOperations):
    """Takes the second half for the gate."""

    def gate(self, gate_up: torch.Tensor, rounding: Rounding = PLAIN) -> Inputs:
        return super().gate(gate_up.roll(gate_up.shape[1] // 2, dims=1), rounding)


class SwapsColours(PlainOperations):
    """Takes blue for red."""

    def patches(self, pixels: torch.Tensor, tables: PairTables) -> torch.Tensor:
        return super().patches(pixels.flip(-1), tables)


class SwapsFrames(PlainOperations):
    """Takes a pair's second frame for its first."""

    def patches(self, pixels: torch.Tensor, tables: PairTables) -> torch.Tensor:
        return super().patches(pixels.flip(1), tables)


class SeesPastWindows(PlainOperations):
    """Lets patches see their whole pair where they should see their window."""

    def attend_windows(
        self, qkv: torch.Tensor, tables: PairTables, rounding: Rounding = PLAIN
    ) -> Inputs:
        return super().attend_pairs(qkv, tables, rounding)


class MixesWindows(PlainOperations):
    """Cuts windows one patch off."""

    def attend_windows(
        self, qkv: torch.Tensor, tables: PairTables, rounding: Rounding = PLAIN
    ) -> Inputs:
        import torch

        places = torch.arange(len(qkv)).view(-1, tables.plan.patches).roll(1, dims=1).view(-1)
        seen = super().attend_windows(qkv[places], tables)
        assert isinstance(seen, torch.Tensor)
        back = torch.empty_like(seen)
        back[places] = seen
        return self.rounded(back, rounding)


class SwapsPlacesInPictures(PlainOperations):
    """Takes rows for columns where pictures are turned by their places."""

    def attend_pairs(
        self, qkv: torch.Tensor, tables: PairTables, rounding: Rounding = PLAIN
    ) -> Inputs:
        swapped = replace(
            tables,
            cosines=tables.cosines.roll(tables.head // 4, dims=1),
            sines=tables.sines.roll(tables.head // 4, dims=1),
        )
        return super().attend_pairs(qkv, swapped, rounding)


class TurnsTheOtherWay(PlainOperations):
    """Swaps the halves of a head where text is turned by its places."""

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
        super().turn(qkv, cosines, -sines, slots, queries, keys, values)


class TurnsNeighbours(PlainOperations):
    """Turns each number with its neighbour instead of the one half a head away."""

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
        head = keys.shape[2]
        paired = qkv.view(len(qkv), -1, head // 2, 2).transpose(2, 3).reshape(qkv.shape)
        super().turn(paired, cosines, sines, slots, queries, keys, values)


class IgnoresTime(PlainOperations):
    """Turns by rows and columns alone: the first sixteen frequencies are those of time."""

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
        cosines, sines = cosines.clone(), sines.clone()
        cosines[:, :16], sines[:, :16] = 1.0, 0.0
        super().turn(qkv, cosines, sines, slots, queries, keys, values)


class WritesToTheNextSlot(PlainOperations):
    """Puts keys and values one slot too far."""

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
        super().turn(qkv, cosines, sines, (slots + 1) % len(keys), queries, keys, values)


class ForgetsWhatWasKnown(PlainOperations):
    """Sees nothing of the tokens in front whose keys and values are known."""

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
        keys.zero_()
        values.zero_()
        super().turn(qkv, cosines, sines, slots, queries, keys, values)


class LooksAhead(PlainOperations):
    """Sees the token that comes next in the place of its own, as under a mask one off."""

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
        heads = 0 if queries is None else queries.shape[1] * queries.shape[2]
        ahead = qkv.clone()
        ahead[:-1, heads:] = qkv[1:, heads:]
        super().turn(ahead, cosines, sines, slots, queries, keys, values)


class WrongForMuch(PlainOperations):
    """Right for small inputs, which another kernel takes."""

    def for_trial(self) -> PlainOperations:
        return GatesTheOtherHalf(self._dtype)


class DoesNotRun(PlainOperations):
    """A kernel for another device."""

    def gate(self, gate_up: torch.Tensor, rounding: Rounding = PLAIN) -> Inputs:
        raise RuntimeError("no image for this device")


class RoundsToFourBits(PlainOperations):
    """Rounds inputs of products far too coarsely, as a kernel with a wrong scale does."""

    def _codes(self, values: torch.Tensor, rounding: Rounding) -> Codes:
        size = values.abs().amax(-1, keepdim=True).clamp_(min=1e-12) / 4
        return super()._codes((values / size).round() * size, rounding)


BROKEN = (
    ForgetsTheSum,
    ForgetsNormWeights,
    GatesTheOtherHalf,
    SwapsColours,
    SwapsFrames,
    SeesPastWindows,
    MixesWindows,
    SwapsPlacesInPictures,
    TurnsTheOtherWay,
    TurnsNeighbours,
    IgnoresTime,
    WritesToTheNextSlot,
    ForgetsWhatWasKnown,
    LooksAhead,
)
"""Wrong with products of any kind."""
