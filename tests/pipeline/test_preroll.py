from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.preroll import Coding, KeptPacket, PreRoll

CODING = Coding("h264", 64, 48, b"", Fraction(1, 1000))
packets_arriving = st.lists(
    st.tuples(st.booleans(), st.integers(1, 400), st.floats(0.0, 3.0)), max_size=200
)


def ring(*, seconds: float = 5.0, most_bytes: int = 10**9) -> PreRoll:
    made = PreRoll(seconds=seconds, most_bytes=most_bytes)
    made.begin(CODING)
    made.tie(0.0, 1000.0)
    return made


def put(
    preroll: PreRoll, at_seconds: float, *, key: bool, size_bytes: int = 10, now: float = -1.0
) -> None:
    """Add a packet shown at `at_seconds`, which is also when it arrives unless `now` is given."""
    preroll.add(
        bytes(size_bytes),
        key=key,
        stamp=round(at_seconds * 1000),
        now_seconds=at_seconds if now < 0 else now,
    )


def fill(preroll: PreRoll, arriving: list[tuple[bool, int, float]]) -> None:
    """Add (key, size, pause before) packets."""
    now_seconds = 0.0
    for key, size_bytes, pause_seconds in arriving:
        now_seconds += pause_seconds
        put(preroll, now_seconds, key=key, size_bytes=size_bytes)


def kept(preroll: PreRoll) -> list[KeptPacket]:
    return [packet for packet, _ in preroll.since(0)]


def test_the_seconds_asked_for_are_kept_and_hardly_more() -> None:
    preroll = ring(seconds=10.0)
    for number in range(1000):
        put(preroll, number / 25, key=number % 50 == 0)
    assert 10.0 <= preroll.kept_seconds < 12.0 + 1e-9
    numbers = [packet.number for packet in kept(preroll)]
    assert kept(preroll)[0].key
    assert numbers == list(range(numbers[0], 1000))


@given(packets_arriving)
def test_kept_is_an_unbroken_end_of_the_stream_that_begins_with_a_key_frame(
    arriving: list[tuple[bool, int, float]],
) -> None:
    preroll = ring(most_bytes=2000)
    fill(preroll, arriving)
    packets = kept(preroll)
    assert preroll.size_bytes == sum(len(one.data) for one in packets) <= 2000
    if packets:
        assert packets[0].key
        first = packets[0].number
        assert [one.number for one in packets] == list(range(first, preroll.next_number))


@given(packets_arriving)
def test_nothing_needed_is_let_go_while_there_is_room(
    arriving: list[tuple[bool, int, float]],
) -> None:
    preroll = ring()
    fill(preroll, arriving)
    times: list[float] = []
    for _, _, pause_seconds in arriving:
        times.append((times[-1] if times else 0.0) + pause_seconds)
    keys = [at for (key, _, _), at in zip(arriving, times, strict=True) if key]
    if not keys:
        assert kept(preroll) == []
        return
    reaching_back = [at for at in keys if at <= times[-1] - 5.0]
    expected = reaching_back[-1] if reaching_back else keys[0]
    assert kept(preroll)[0].arrived_seconds == expected


def test_a_group_too_large_for_the_room_is_dropped_and_the_next_one_kept() -> None:
    preroll = ring(most_bytes=100)
    put(preroll, 0.0, key=True, size_bytes=80)
    put(preroll, 0.1, key=False, size_bytes=80)
    assert kept(preroll) == []
    put(preroll, 0.2, key=False)
    assert kept(preroll) == []
    put(preroll, 0.3, key=True, size_bytes=80)
    assert [one.stamp for one in kept(preroll)] == [300]
    assert preroll.size_bytes == 80


def test_who_asks_for_what_is_new_misses_nothing_and_gets_nothing_twice() -> None:
    preroll, seen, following = ring(seconds=2.0), list[int](), 0
    for number in range(500):
        put(preroll, number / 25, key=number % 10 == 0)
        if number % 25 == 24:
            news = preroll.since(following)
            seen += [packet.number for packet, _ in news]
            following = news[-1].packet.number + 1
    assert seen == list(range(500))


def test_packets_lie_in_the_camera_s_time_once_it_is_known() -> None:
    preroll = PreRoll(seconds=10.0, most_bytes=10**6)
    preroll.begin(CODING)
    put(preroll, 7.0, key=True)
    put(preroll, 7.5, key=False)
    assert preroll.since(0) == []
    preroll.tie(7.0, 2000.0)
    assert [at for _, at in preroll.since(0)] == [2000.0, 2000.5]
    preroll.tie(7.5, 1999.5)  # the first pictures were older than they seemed
    assert [at for _, at in preroll.since(0)] == [1999.0, 1999.5]


def test_behind_a_jump_of_the_stream_s_count_time_is_tied_anew() -> None:
    preroll = PreRoll(seconds=10.0, most_bytes=10**6)
    preroll.begin(CODING)
    put(preroll, 50.0, key=True, now=0.0)
    preroll.tie(50.0, 2000.0)
    put(preroll, 1.0, key=False, now=0.5)
    put(preroll, 1.5, key=False, now=1.0)
    preroll.tie(1.0, 2000.5, anew=True)
    assert [at for _, at in preroll.since(0)] == [2000.0, 2000.5, 2001.0]


def test_a_connection_that_showed_nothing_holds_up_no_later_one() -> None:
    preroll = ring(seconds=100.0)
    put(preroll, 0.0, key=True)
    preroll.begin(CODING)
    put(preroll, 5.0, key=True)
    preroll.begin(CODING)
    put(preroll, 9.0, key=True)
    preroll.tie(9.0, 3000.0)
    assert [at for _, at in preroll.since(0)] == [1000.0, 3000.0]
    assert len({packet.connection for packet, _ in preroll.since(0)}) == 2


def test_packets_before_a_connection_s_first_key_frame_are_not_kept() -> None:
    preroll = ring(seconds=100.0)
    put(preroll, 0.0, key=True)
    preroll.begin(CODING)
    put(preroll, 1.0, key=False)
    put(preroll, 2.0, key=True)
    preroll.tie(2.0, 1002.0)
    assert [packet.stamp for packet, _ in preroll.since(0)] == [0, 2000]


def test_a_video_begins_with_the_last_key_frame_before_its_time() -> None:
    preroll = ring(seconds=100.0)
    for number in range(100):
        put(preroll, number / 10, key=number % 20 == 0)
    assert preroll.start_for(1005.0) == 40
    assert preroll.start_for(1004.0) == 40
    assert preroll.start_for(900.0) == 0
    assert preroll.start_for(2000.0) == 80
    assert PreRoll(seconds=1.0, most_bytes=10).start_for(0.0) is None


def test_a_video_does_not_begin_before_the_clock_was_set_back() -> None:
    preroll = ring(seconds=100.0)
    put(preroll, 0.0, key=True)
    put(preroll, 1.0, key=True)
    put(preroll, 2.0, key=True)
    preroll.tie(2.0, 1002.0 - 3600.0, anew=True)
    put(preroll, 3.0, key=True)
    assert preroll.start_for(1003.0 - 3600.0 - 10.0) == 2


def test_what_will_be_let_go_soon_is_at_risk() -> None:
    preroll = ring(seconds=10.0)
    for number in range(10):
        put(preroll, float(number), key=True)
    packets = kept(preroll)
    assert preroll.is_at_risk(packets[0])
    assert not preroll.is_at_risk(packets[-1])
    full = ring(most_bytes=100)
    put(full, 0.0, key=True, size_bytes=80)
    assert full.is_at_risk(kept(full)[0])


def test_a_count_that_jumps_for_days_leaves_no_trace_of_what_is_gone() -> None:
    preroll = ring(seconds=10.0)
    for number in range(2_000):
        put(preroll, float(number), key=True)
        preroll.tie(float(number), 1_000.0 + 2 * number, anew=True)
    assert [at for _, at in preroll.since(0)] == [1_000.0 + 2 * one for one in range(1_989, 2_000)]
    assert preroll.ties <= 12


def test_a_ring_may_be_made_to_reach_further_back() -> None:
    preroll = ring(seconds=5.0)
    for number in range(20):
        put(preroll, float(number), key=True)
    assert preroll.kept_seconds == 5.0
    preroll.reach(8.0)
    for number in range(20, 40):
        put(preroll, float(number), key=True)
    assert preroll.kept_seconds == 8.0
