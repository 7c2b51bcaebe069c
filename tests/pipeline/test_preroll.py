from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.preroll import PreRoll

packets_arriving = st.lists(
    st.tuples(st.booleans(), st.integers(1, 400), st.floats(0.0, 3.0)), max_size=200
)


def filled(arriving: list[tuple[bool, int, float]], ring: PreRoll[tuple[int, bool, float]]) -> int:
    """Add (key, size, pause before) packets; return how many."""
    now_seconds = 0.0
    for number, (key, size_bytes, pause_seconds) in enumerate(arriving):
        now_seconds += pause_seconds
        packet = (number, key, now_seconds)
        ring.add(packet, key=key, size_bytes=size_bytes, now_seconds=now_seconds)
    return len(arriving)


def test_the_seconds_asked_for_are_kept_and_hardly_more() -> None:
    ring = PreRoll[int](seconds=10.0, most_bytes=10_000_000)
    for number in range(1000):
        ring.add(number, key=number % 50 == 0, size_bytes=1000, now_seconds=number / 25)
    assert 10.0 <= ring.kept_seconds < 12.0 + 1e-9
    kept = ring.packets()
    assert kept[0] % 50 == 0
    assert kept == list(range(kept[0], 1000))


@given(packets_arriving)
def test_kept_is_an_unbroken_end_of_the_stream_that_begins_with_a_key_frame(
    arriving: list[tuple[bool, int, float]],
) -> None:
    ring = PreRoll[tuple[int, bool, float]](seconds=5.0, most_bytes=2000)
    count = filled(arriving, ring)
    kept = ring.packets()
    assert ring.size_bytes <= 2000
    if kept:
        assert kept[0][1]
        assert [number for number, _, _ in kept] == list(range(kept[0][0], count))


@given(packets_arriving)
def test_nothing_needed_is_let_go_while_there_is_room(
    arriving: list[tuple[bool, int, float]],
) -> None:
    ring = PreRoll[tuple[int, bool, float]](seconds=5.0, most_bytes=10**9)
    filled(arriving, ring)
    kept = ring.packets()
    keys = [
        (number, at_seconds)
        for number, (number_key, at_seconds) in enumerate(
            zip([key for key, _, _ in arriving], times(arriving), strict=True)
        )
        if number_key
    ]
    if not keys:
        assert kept == []
        return
    end_seconds = times(arriving)[-1]
    reaching_back = [number for number, at_seconds in keys if at_seconds <= end_seconds - 5.0]
    expected_first = reaching_back[-1] if reaching_back else keys[0][0]
    assert kept[0][0] == expected_first


def times(arriving: list[tuple[bool, int, float]]) -> list[float]:
    found: list[float] = []
    for _, _, pause_seconds in arriving:
        found.append((found[-1] if found else 0.0) + pause_seconds)
    return found


def test_a_group_too_large_for_the_room_is_dropped_and_the_next_one_kept() -> None:
    ring = PreRoll[str](seconds=5.0, most_bytes=100)
    ring.add("key", key=True, size_bytes=80, now_seconds=0.0)
    ring.add("more", key=False, size_bytes=80, now_seconds=0.1)
    assert ring.packets() == []
    ring.add("tail", key=False, size_bytes=10, now_seconds=0.2)
    assert ring.packets() == []
    ring.add("next key", key=True, size_bytes=80, now_seconds=0.3)
    assert ring.packets() == ["next key"]


def test_a_stream_that_broke_off_leaves_nothing() -> None:
    ring = PreRoll[str](seconds=5.0, most_bytes=100)
    ring.add("key", key=True, size_bytes=10, now_seconds=0.0)
    ring.clear()
    assert ring.packets() == []
    assert ring.kept_seconds == 0.0
