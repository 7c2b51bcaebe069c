"""Blocks hold what they are for, in powers of two."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.engines.native.kernels.blocks import covering, two_pieces, warps_for

counts = st.integers(1, 200_000)


def is_power(number: int) -> bool:
    return number & (number - 1) == 0


@given(counts)
def test_a_block_covers_and_is_not_twice_too_large(count: int) -> None:
    block = covering(count)
    assert is_power(block)
    assert count <= block < max(2 * count, 17)
    assert is_power(warps_for(block))
    assert 1 <= warps_for(block) <= 16


@given(counts)
def test_two_pieces_hold_a_row_with_less_to_spare(count: int) -> None:
    first, second = two_pieces(count)
    assert is_power(first)
    assert is_power(second)
    assert count <= first + second <= covering(count) + 16


def test_a_wide_row_is_not_doubled() -> None:
    assert two_pieces(18944) == (16384, 4096)
