from __future__ import annotations

from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.bitstream import PacketFacts, Syntax, syntax_of
from tests.fakes.videos import noisy_scene, write_video

SHAPES = {
    "h264 lengths": ("a.mp4", "libx264", {"x264-params": "b-adapt=0:b-pyramid=normal"}),
    "h264 start codes": ("a.ts", "libx264", {"x264-params": "b-adapt=0:b-pyramid=normal"}),
    "h265 lengths": ("a.mp4", "libx265", {"x265-params": "log-level=none:b-adapt=0:open-gop=0"}),
    "h265 start codes": ("a.ts", "libx265", {"x265-params": "log-level=none:b-adapt=0:open-gop=0"}),
}


def facts_of(path: Path) -> tuple[Syntax, list[tuple[PacketFacts, bool]]]:
    """Return each packet's facts with what the container says: key frame, disposable."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        syntax = syntax_of(context.name, context.extradata, intra_only=False)
        found = [
            (syntax.read(memoryview(packet)), packet.is_keyframe)
            for packet in container.demux(stream)
            if packet.size
        ]
    return syntax, found


@pytest.mark.parametrize("shape", SHAPES)
def test_key_frames_begin_anew_and_the_shares_are_those_of_the_encoder(
    tmp_path: Path, shape: str
) -> None:
    name, codec, options = SHAPES[shape]
    path = write_video(
        tmp_path / name,
        codec=codec,
        width=176,
        height=144,
        frames=96,
        gop=24,
        b_frames=3,
        codec_options=options,
        draw=noisy_scene,
    )
    syntax, found = facts_of(path)
    assert syntax.obstacle == ""
    assert [facts.clean for facts, _ in found] == [key for _, key in found]
    assert sum(facts.clean for facts, _ in found) >= 4
    left_out = sum(not facts.needed for facts, _ in found)
    # Three B pictures between two others, of which the middle one is referred to
    assert 0.4 * len(found) <= left_out <= 0.55 * len(found)


def test_fields_and_unknown_codecs_are_obstacles(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4",
        width=176,
        height=144,
        frames=20,
        codec_options={"x264-params": "interlaced=1"},
    )
    assert "fields" in facts_of(path)[0].obstacle
    assert "vp9" in syntax_of("vp9", None, intra_only=False).obstacle
    assert syntax_of("h264", None, intra_only=False).obstacle
    assert syntax_of("hevc", b"", intra_only=False).obstacle
    assert syntax_of("mjpeg", None, intra_only=True).obstacle == ""


def test_a_picture_that_carries_parameters_is_needed() -> None:
    sequence = bytes.fromhex("6764001facd9405005bb011000000300100000030320f1831960")
    syntax = syntax_of("h264", b"\0\0\0\1" + sequence, intra_only=False)
    assert syntax.obstacle == ""
    alone = syntax.read(memoryview(b"\0\0\1\x01slice of a picture nobody refers to"))
    assert alone == PacketFacts(clean=False, needed=False)
    carrying = syntax.read(memoryview(b"\0\0\1" + sequence + b"\0\0\1\x01the same slice"))
    assert carrying.needed
    assert carrying.parameters == sequence
    idr = syntax.read(memoryview(b"\0\0\0\1\x09\xf0\0\0\1\x65slice of a key frame"))
    assert idr == PacketFacts(clean=True, needed=True)


@given(
    st.sampled_from(["h264", "hevc"]),
    st.binary(min_size=1, max_size=60),
    st.lists(st.binary(max_size=80), max_size=5),
    st.booleans(),
)
def test_damaged_bytes_never_break_the_reader(
    codec: str, extradata: bytes, packets: list[bytes], prefixed: bool
) -> None:
    header = b"\x01" + extradata if prefixed else b"\0\0\1" + extradata
    syntax = syntax_of(codec, header, intra_only=False)
    for packet in packets:
        facts = syntax.read(memoryview(packet))
        assert facts.needed or not facts.parameters
