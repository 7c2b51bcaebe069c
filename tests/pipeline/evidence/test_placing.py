from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.evidence.placing import DecodeOrder, Placing, depth_of, where
from edgewatch.pipeline.preroll import Coding, KeptPacket

CODING = Coding("h264", 64, 48, b"", Fraction(1, 1000))


def packet(number: int, stamp: int, *, connection: int = 1, arrived: float = 0.0) -> KeptPacket:
    return KeptPacket(number, connection, CODING, b"", False, stamp, 0, arrived)


def reordered(sizes: list[int]) -> list[int]:
    """Stamps in decoding order: of each group the last picture comes first."""
    order, at = [], 0
    for size in sizes:
        group = list(range(at, at + size))
        order += [group[-1], *group[:-1]]
        at += size
    return [40 * one for one in order]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=30))
def test_decoding_stamps_grow_and_none_is_later_than_the_showing(sizes: list[int]) -> None:
    shown = [0, *(40 + one for one in reordered(sizes))]  # a key frame, and what follows it
    order = DecodeOrder(depth_of(shown))
    found = [order.stamps(one) for one in shown]
    decoded = [one for one, _ in found]
    assert all(a < b for a, b in pairwise(decoded))
    assert all(decode <= show for decode, show in found)
    assert [show for _, show in found] == shown  # nothing had to be put off


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60), st.integers(0, 16))
def test_whatever_comes_a_file_can_take_it(shown: list[int], depth: int) -> None:
    order = DecodeOrder(depth)
    found = [order.stamps(one) for one in shown]
    decoded = [one for one, _ in found]
    assert all(a < b for a, b in pairwise(decoded))
    assert all(decode <= show for decode, show in found)


@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_the_depth_is_within_what_the_standards_allow(shown: list[int]) -> None:
    assert 0 <= depth_of(shown) <= 16
    assert depth_of(sorted(shown)) == 0


def test_within_a_connection_the_stream_s_own_count_holds_exactly() -> None:
    placing = Placing()
    ticks = [placing.place(packet(at, 5000 + 33 * at), 1000.0 + 0.033 * at) for at in range(100)]
    assert ticks == [33 * at for at in range(100)]
    assert placing.seconds == pytest.approx(33 * 99 / 1000)
    assert where(placing.stretches, 1000.33) == pytest.approx(0.33)
    assert where(placing.stretches, 999.0) is None


def test_a_correction_of_the_camera_s_time_moves_the_whole_stretch() -> None:
    placing = Placing()
    placing.place(packet(0, 0), 1000.0)
    placing.place(packet(1, 1000), 1000.6)  # the first pictures were older than they seemed
    (stretch,) = placing.stretches
    assert stretch.start_seconds == pytest.approx(999.6)


@pytest.mark.parametrize(
    ("pause_seconds", "hole_seconds"), [(3.0, 3.0), (3000.0, 120.0), (-3600.0, 7.0)]
)
def test_between_connections_the_hole_is_as_long_as_it_was(
    pause_seconds: float, hole_seconds: float
) -> None:
    placing = Placing()
    placing.place(packet(0, 0, arrived=0.0), 1000.0)
    arrived = 7.0 if pause_seconds < 0 else pause_seconds
    tick = placing.place(packet(1, 90_000, connection=2, arrived=arrived), 1000.0 + pause_seconds)
    assert tick == hole_seconds * 1000
    assert len(placing.stretches) == 2


def test_a_count_that_restarts_goes_on_behind_what_was() -> None:
    placing = Placing()
    placing.place(packet(0, 900_000, arrived=0.0), 1000.0)
    assert placing.place(packet(1, 0, arrived=0.5), 1000.5) == 500
    assert placing.place(packet(2, 40, arrived=0.54), 1000.54) == 540
