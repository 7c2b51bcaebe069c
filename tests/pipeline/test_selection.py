"""Laws of the selection, over streams of every order of coding."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.bitstream import PacketFacts
from edgewatch.pipeline.selection import Batch, Selection, Timed


@dataclass(frozen=True)
class Coded:
    """A picture as an encoder hands it over, with the pictures of its group it refers to."""

    number: int
    pts: int
    clean: bool
    needed: bool


@st.composite
def streams(draw: st.DrawFn) -> list[Coded]:
    """Groups that begin with a clean picture; within one, runs of B pictures after a P."""
    coded: list[Coded] = []
    shown = 0
    for _ in range(draw(st.integers(1, 4))):
        coded.append(Coded(len(coded), shown, clean=True, needed=True))
        shown += 1
        for _ in range(draw(st.integers(0, 6))):
            between = draw(st.integers(0, 4))
            coded.append(Coded(len(coded), shown + between, clean=False, needed=True))
            for position in range(between):
                needed = draw(st.booleans())
                coded.append(Coded(len(coded), shown + position, clean=False, needed=needed))
            shown += between + 1
    return coded


def timed(coded: list[Coded]) -> list[Timed[Coded]]:
    # Decoding times as a muxer makes them: growing, never after the picture is shown
    depth = max(one.number - one.pts for one in coded)
    return [
        Timed(one, one.pts, one.number - depth, 1000, PacketFacts(one.clean, one.needed))
        for one in coded
    ]


def run(
    coded: list[Coded], wanted: set[int], *, hurry: bool = False
) -> tuple[list[int | None], list[Batch[Coded, int]]]:
    asked: list[int | None] = []

    def choose(pts: int | None) -> int | None:
        asked.append(pts)
        return pts if pts in wanted else None

    selection = Selection[Coded, int](choose)
    batches = [batch for one in timed(coded) for batch in selection.add(one, hurry=hurry)]
    batches += selection.end()
    return asked, batches


@given(streams(), st.data())
def test_each_picture_is_asked_for_once_in_order_of_presentation(
    coded: list[Coded], data: st.DataObject
) -> None:
    wanted = data.draw(st.sets(st.sampled_from([one.pts for one in coded])))
    asked, _ = run(coded, wanted)
    assert asked == sorted(one.pts for one in coded)


@given(streams(), st.data(), st.booleans())
def test_what_wanted_pictures_depend_on_is_decoded_in_order_and_little_else(
    coded: list[Coded], data: st.DataObject, hurry: bool
) -> None:
    wanted = data.draw(st.sets(st.sampled_from([one.pts for one in coded])))
    _, batches = run(coded, wanted, hurry=hurry)
    decoded = [packet for batch in batches for packet in batch.packets]
    assert [one.number for one in decoded] == sorted(one.number for one in decoded)
    found = [pts for batch in batches for pts in batch.wanted or {}]
    assert sorted(pts for pts in found if pts is not None) == sorted(wanted)
    group: list[Coded] = []
    for one in [*coded, Coded(-1, -1, clean=True, needed=True)]:
        if one.clean and group:
            last = max((at for at, each in enumerate(group) if each.pts in wanted), default=-1)
            needed = [each for each in group[: last + 1] if each.needed or each.pts in wanted]
            taken = [each for each in decoded if each in group]
            if hurry:
                assert set(needed) <= set(taken)
                assert all(each.needed or each.pts in wanted for each in taken)
            else:
                assert taken == needed
            group = []
        group.append(one)


@given(streams(), st.data())
def test_the_first_packets_of_a_group_say_that_it_begins(
    coded: list[Coded], data: st.DataObject
) -> None:
    wanted = data.draw(st.sets(st.sampled_from([one.pts for one in coded])))
    _, batches = run(coded, wanted)
    for batch in batches:
        assert batch.begins_group == batch.packets[0].clean
        assert not any(packet.clean for packet in batch.packets[1:])


def test_a_stream_that_begins_between_key_frames_is_decoded_in_full_up_to_the_next() -> None:
    coded = [
        Coded(0, 0, clean=False, needed=True),
        Coded(1, 1, clean=False, needed=False),
        Coded(2, 2, clean=True, needed=True),
        Coded(3, 3, clean=False, needed=False),
    ]
    selection = Selection[Coded, int](lambda pts: None)
    first, second, third, fourth = timed(coded)
    assert [batch.wanted for batch in selection.add(first)] == [None]
    assert "between key frames" in selection.obstacle
    assert [batch.packets for batch in selection.add(second)] == [[coded[1]]]
    assert selection.add(third) == []
    assert selection.obstacle == ""
    assert selection.add(fourth) == []


def test_times_that_are_missing_or_out_of_order_end_the_selection_until_the_next_key_frame() -> (
    None
):
    facts = PacketFacts(clean=False, needed=False)
    for pts in (None, 4, 5):
        selection = Selection[str, int](lambda pts: None)
        selection.add(Timed("key", 4, 4, 1, PacketFacts(clean=True, needed=True)))
        selection.add(Timed("next", 5, 5, 1, facts))
        given = selection.add(Timed("odd", pts, 6, 1, facts))
        assert [batch.packets for batch in given] == [["key"], ["odd"]]
        assert given[-1].wanted is None
        assert selection.obstacle
        assert selection.choose_decoded(5) is None


def test_no_more_than_a_bound_is_held_back() -> None:
    selection = Selection[int, int](lambda pts: None)
    facts = PacketFacts(clean=False, needed=True)
    selection.add(Timed(0, 0, 0, 100_000, PacketFacts(clean=True, needed=True)))
    given = [
        packet
        for number in range(1, 200)
        for batch in selection.add(Timed(number, number, number, 100_000, facts))
        for packet in batch.packets
    ]
    assert given == list(range(len(given)))
    assert 100 <= len(given) < 200
