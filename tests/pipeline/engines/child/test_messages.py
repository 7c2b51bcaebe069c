"""What parent and child say to each other."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.engines.child.messages import (
    MOST_BYTES,
    Beat,
    Cancel,
    Close,
    Describe,
    Described,
    Failed,
    Foresee,
    Foreseen,
    Forget,
    Log,
    Message,
    Place,
    Ready,
    Refused,
    Score,
    Scored,
    cut,
    decode,
    encode,
)
from edgewatch.pipeline.engines.child.output import MOST_LINE, Output, shown
from edgewatch.pipeline.engines.child.slots import ClipTooLarge, Slots, slot_bytes
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.setup import LargestClip

PLACE = Place(3, (20, 252, 252, 3), 4.0, 17)
ASKED = Place(4, (2, 252, 252, 3), 2.0, 0, 23, still=True)
NAMED = Place(5, (2, 28, 28, 3), 4.0, 0, camera_bytes=4, times=2)
MESSAGES: list[Message] = [
    *(Score(1, (PLACE, PLACE)), Describe(2, ASKED), Cancel(3), Close(), Ready("a@1", 8, 2), Beat()),
    *(Scored(1, ((0.25, True, "ab"),)), Described(2, 'words "and" more…'), Failed("what", "cure")),
    *(Foresee(5, (NAMED,)), Foreseen(5), Forget("door"), Ready("a@1", 8, 2, foresees=True)),
    Scored(1, (), EngineFigures(sight_hits=3, sight_bytes=2**40)),
    *(Refused(4, "busy", "later"), Log("warning", "odd", {"degrees": 3, "where": None})),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_message_comes_out_as_it_went_in(message: Message) -> None:
    assert decode(encode(message)) == message


def test_score_that_is_no_number_stays_one() -> None:
    message = decode(encode(Scored(1, ((math.nan, False, ""),))))
    assert isinstance(message, Scored)
    assert math.isnan(message.answers[0][0])


def test_largest_batch_fits_into_a_packet() -> None:
    place = Place(512, (999, 9999, 9999, 3), 12.345, 32768, 99999, False, 999, 9999)
    assert len(encode(Score(10**9, (place,) * 256)))
    assert len(encode(Described(1, cut("€" * 9999)))) <= MOST_BYTES


def test_message_too_long_is_refused_on_both_sides() -> None:
    with pytest.raises(ValueError, match="too long"):
        encode(Described(1, "x" * MOST_BYTES))
    with pytest.raises(ValueError, match="too long"):
        decode(b"x" * (MOST_BYTES + 1))


@given(st.binary(max_size=200))
def test_no_packet_makes_the_reader_raise_anything_but_value_error(packet: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode(packet)


@pytest.mark.parametrize(
    "packet", [b"[]", b"{}", b'{"kind":"Nope"}', b'{"kind":"Cancel"}', b'{"kind":"Score","x":1}']
)
def test_json_that_is_no_message_is_refused(packet: bytes) -> None:
    with pytest.raises(ValueError, match="no message"):
        decode(packet)


# Output


@given(st.binary(max_size=400), st.integers(1, 40))
def test_output_gives_the_same_lines_however_it_is_cut(written: bytes, size: int) -> None:
    whole = Output().take(written)
    output = Output()
    pieces = [written[at : at + size] for at in range(0, len(written), size)]
    assert [line for piece in pieces for line in output.take(piece)] == whole


def test_last_line_is_one_that_says_something() -> None:
    output = Output()
    output.take(b"loading\nout of memory\n\n ---- \n")
    assert output.last == "out of memory"
    output.take(b"terminate called")
    assert output.last == "terminate called"


def test_line_without_end_is_bounded() -> None:
    output = Output()
    for _ in range(100):
        output.take(b"x" * 1000)
    assert len(output.last) <= MOST_LINE
    assert len(output._open) <= 10_000


@pytest.mark.parametrize(
    "line",
    [
        "login with hf_AbCdEfGhIjKlMnOp",
        "GET https://user:AbCdEfGhIjKlMnOp@host/x",
        "Authorization: Bearer AbCdEfGhIjKlMnOp",
        "token=AbCdEfGhIjKlMnOp",
        "Password: AbCdEfGhIjKlMnOp",
    ],
)
def test_secrets_are_masked(line: str) -> None:
    assert "AbCdEfGhIjKlMnOp" not in shown(line.encode())
    assert "***" in shown(line.encode())


def test_line_is_fit_for_a_terminal() -> None:
    assert shown(b"\x1b[31mred\x07 \xff end") == "[31mred  � end"


# Shared memory


@pytest.mark.parametrize(("frames", "pixels"), [(2, 784), (20, 63_504), (40, 200_704)])
def test_slot_takes_the_largest_clip_with_the_longest_prompt(frames: int, pixels: int) -> None:
    largest = LargestClip(frames, pixels, 4.0)
    size_bytes = slot_bytes(largest)
    slots = Slots(Slots.create(count=2, size_bytes=size_bytes), count=2, size_bytes=size_bytes)
    cells = int(pixels * 1.05) // 784 or 1
    shape = (frames, 28, 28 * cells, 3)
    pixels_in = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    other = slots.write(0, AskedClip(np.zeros(shape, np.uint8), 1.0, "other"))
    place = slots.write(1, AskedClip(pixels_in, 4.0, "😀" * 8000))
    read = slots.read(place)
    assert np.array_equal(read.frames, pixels_in)
    assert (read.fps, read.prompt) == (4.0, "😀" * 8000)
    assert not read.frames.flags.writeable
    assert not slots.read(other).frames.any()


def test_clip_that_does_not_fit_is_not_written() -> None:
    slots = Slots(Slots.create(count=1, size_bytes=8192), count=1, size_bytes=8192)
    with pytest.raises(ClipTooLarge, match="does not fit"):
        slots.write(0, AskedClip(np.zeros((4, 28, 28, 3), np.uint8), 4.0, ""))


@pytest.mark.parametrize(
    "place",
    [
        Place(1, (2, 28, 28, 3), 4.0, 0),
        Place(-1, (2, 28, 28, 3), 4.0, 0),
        Place(0, (2, 280, 280, 3), 4.0, 0),
        Place(0, (0, 28, 28, 3), 4.0, 0),
        Place(0, (2, 28, 28, 3), 4.0, 9000),
    ],
)
def test_place_outside_the_memory_is_refused(place: Place) -> None:
    slots = Slots(Slots.create(count=1, size_bytes=8192), count=1, size_bytes=8192)
    with pytest.raises(ValueError, match="no place"):
        slots.read(place)


def test_camera_and_times_come_out_as_they_went_in() -> None:
    largest = LargestClip(20, 784, 4.0)
    size_bytes = slot_bytes(largest)
    slots = Slots(Slots.create(count=1, size_bytes=size_bytes), count=1, size_bytes=size_bytes)
    times = tuple(1_764_000_000.1 + 0.25 * number for number in range(20))
    frames = np.zeros((20, 28, 28, 3), np.uint8)
    clip = AskedClip(frames, 4.0, "😀" * 8000, camera="door", times=times)
    place = slots.write(0, clip)
    found = slots.read(place)
    assert (found.prompt, found.camera, found.times) == (clip.prompt, "door", times)
    for wrong in (replace(place, times=-1), replace(place, times=10**6)):
        with pytest.raises(ValueError, match="no place"):
            slots.read(wrong)


def test_question_and_still_come_out_as_they_went_in() -> None:
    slots = Slots(Slots.create(count=1, size_bytes=65_536), count=1, size_bytes=65_536)
    frames = np.full((2, 28, 56, 3), 7, np.uint8)
    place = slots.write(0, AskedClip(frames, 2.0, "prömpt", "Is it grün?", still=True))
    found = slots.read(place)
    assert (found.prompt, found.question, found.still) == ("prömpt", "Is it grün?", True)
    assert (found.frames == frames).all()
    with pytest.raises(ClipTooLarge):
        slots.check(AskedClip(frames, 2.0, "", "x" * 65_536))
    with pytest.raises(ValueError, match="no place"):
        slots.read(replace(place, question_bytes=-1))
