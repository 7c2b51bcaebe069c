"""Sampled pictures equal those of a full decode bit for bit, whatever the stream's shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import av
import pytest

from edgewatch.pipeline.frames import Sample, Sampling, target_size
from edgewatch.pipeline.pictures import Picture, Scaler
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.video import open_video
from tests.fakes.videos import noisy_scene, write_video
from tests.footage import FOOTAGE, needs_footage

AREA_PIXELS = 112 * 84
FRAMES = 130


class Shown(NamedTuple):
    sample: Sample
    pixels: bytes


class Outcome(NamedTuple):
    shown: list[Shown]
    decoded: int
    obstacles: set[str]


def decoded_in_full(path: Path, fps: float) -> Outcome:
    """Sample with PyAV's own loop: each picture is decoded, none of our selection is involved."""
    shown = []
    decoded = 0
    scaler = Scaler()
    with open_video(parse_source(str(path)), Reading()) as video, av.open(str(path)) as container:
        sampling = Sampling(fps, picture_seconds=video.picture_seconds)
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            decoded += 1
            stamp = frame.pts
            if stamp is None and not stream.codec_context.has_b_frames:
                stamp = frame.dts
            assert stream.time_base is not None
            seconds = None if stamp is None else float(stamp * stream.time_base)
            sample = sampling.choose(seconds)
            if sample is not None:
                picture = Picture(frame)
                size = target_size(*picture.displayed_size(video.sample_aspect_ratio), AREA_PIXELS)
                shown.append(Shown(sample, scaler.pixels(picture, size).tobytes()))
    return Outcome(shown, decoded, set())


def decoded_selectively(path: Path, fps: float, lanes: int) -> Outcome:
    shown: list[Shown] = []
    obstacles = set()
    with open_video(parse_source(str(path)), Reading()) as video:
        sampling = Sampling(fps, picture_seconds=video.picture_seconds)
        for found in video.sampled(sampling.choose, area_pixels=AREA_PIXELS, lanes=lanes):
            obstacles.add(video.obstacle)
            shown += [Shown(one.ticket, one.pixels.tobytes()) for one in found]
        assert video.corrupt_packets == 0
        return Outcome(shown, video.pictures_decoded, obstacles)


def differences(path: Path, fps: float, lanes: int) -> tuple[Outcome, Outcome]:
    full = decoded_in_full(path, fps)
    ours = decoded_selectively(path, fps, lanes)
    assert [round(one.sample.media_seconds, 6) for one in ours.shown] == [
        round(one.sample.media_seconds, 6) for one in full.shown
    ]
    assert [one.sample.slot for one in ours.shown] == [one.sample.slot for one in full.shown]
    unequal = [
        one.sample.slot
        for one, other in zip(ours.shown, full.shown, strict=True)
        if one.pixels != other.pixels
    ]
    assert unequal == []
    return full, ours


SELECTIVE = {
    "h264 p only": ("a.mp4", "libx264", 0, {}),
    "h264 b": ("a.mp4", "libx264", 3, {}),
    "h264 b pyramid": ("a.mkv", "libx264", 7, {"x264-params": "b-pyramid=normal:b-adapt=0"}),
    "h264 strict pyramid": ("a.mp4", "libx264", 5, {"x264-params": "b-pyramid=strict:b-adapt=0"}),
    "h264 open gop": ("a.mp4", "libx264", 3, {"x264-params": "open-gop=1:b-adapt=0"}),
    "h264 intra refresh": ("a.ts", "libx264", 0, {"x264-params": "intra-refresh=1"}),
    "h264 slices": ("a.mp4", "libx264", 2, {"x264-params": "slices=4:b-adapt=0"}),
    "h264 many references": ("a.mp4", "libx264", 3, {"x264-params": "ref=16:b-adapt=0"}),
    "h264 transport stream": ("a.ts", "libx264", 3, {}),
    "h264 quicktime": ("a.mov", "libx264", 3, {"preset": "placebo"}),
    "h264 baseline": ("a.mp4", "libx264", 0, {"profile": "baseline"}),
    "h264 all intra": ("a.mp4", "libx264", 0, {"x264-params": "keyint=1"}),
    "h265 open gop": ("a.mkv", "libx265", 4, {"x265-params": "log-level=none"}),
    "h265 closed gop": ("a.mp4", "libx265", 4, {"x265-params": "log-level=none:open-gop=0"}),
    "h265 no b": ("a.ts", "libx265", 0, {"x265-params": "log-level=none:open-gop=0:bframes=0"}),
    "h265 layers": (
        "a.mp4",
        "libx265",
        4,
        {"x265-params": "log-level=none:temporal-layers=3:b-adapt=0:open-gop=0"},
    ),
    "h265 slices": ("a.mp4", "libx265", 2, {"x265-params": "log-level=none:slices=3:open-gop=0"}),
    "mjpeg": ("a.mov", "mjpeg", 0, {}),
    "huffyuv": ("a.avi", "ffvhuff", 0, {}),
}
IN_FULL = {
    "h264 fields": ("a.mp4", "libx264", 2, {"x264-params": "interlaced=1"}),
    "mpeg4": ("a.mp4", "mpeg4", 2, {}),
    "mpeg2 fields": ("a.ts", "mpeg2video", 2, {"flags": "+ildct+ilme"}),
    "vp9": ("a.webm", "libvpx-vp9", 0, {"deadline": "realtime", "cpu-used": "8"}),
    "vp8": ("a.webm", "libvpx", 0, {"deadline": "realtime"}),
    "av1": ("a.mkv", "libsvtav1", 0, {"preset": "13"}),
}


@pytest.fixture(scope="module", name="written")
def writer_of_videos(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Write a shape when it is first asked for; it serves every rate and number of threads."""

    @cache
    def written(name: str) -> Path:
        file_name, codec, b_frames, options = (SELECTIVE | IN_FULL)[name]
        return write_video(
            tmp_path_factory.mktemp("shape") / file_name,
            codec=codec,
            width=176,
            height=144,
            fps=25,
            frames=FRAMES,
            gop=24,
            b_frames=b_frames,
            pixel_format="yuvj420p" if codec == "mjpeg" else "yuv420p",
            codec_options=options,
            draw=noisy_scene,
        )

    return written


@pytest.mark.parametrize(
    ("fps", "lanes"), [(4.0, 1), (4.0, 3), pytest.param(0.7, 1, marks=pytest.mark.long), (11.0, 1)]
)
@pytest.mark.parametrize("shape", SELECTIVE)
def test_pictures_that_nobody_needs_are_not_decoded_and_the_others_are_exact(
    written: Callable[[str], Path], shape: str, fps: float, lanes: int
) -> None:
    full, ours = differences(written(shape), fps, lanes)
    assert ours.obstacles == {""}
    if shape not in ("h264 intra refresh", "h264 open gop", "h264 p only"):
        assert fps > 4.0 or ours.decoded < full.decoded


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("shape", IN_FULL)
def test_streams_that_do_not_tell_what_is_needed_are_decoded_in_full(
    written: Callable[[str], Path], shape: str, lanes: int
) -> None:
    full, ours = differences(written(shape), 4.0, lanes)
    assert "" not in ours.obstacles
    assert ours.decoded == full.decoded


@needs_footage
@pytest.mark.parametrize("lanes", [1, pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.parametrize("path", sorted(FOOTAGE.glob("*.mp4")), ids=lambda path: path.stem)
def test_real_footage_is_sampled_exactly(path: Path, lanes: int) -> None:
    full, ours = differences(path, 4.0, lanes)
    assert ours.obstacles == {""}
    assert ours.decoded < full.decoded
