from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgewatch.pipeline.errors import CameraError, CameraRejected, CameraUnreachable
from edgewatch.pipeline.pictures import Sampled
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import Source, parse_source
from edgewatch.pipeline.types import Pixels
from edgewatch.pipeline.video import (
    VideoInput,
    open_video,
    options_for,
    probe,
)
from tests.fakes.videos import (
    CREATED_SECONDS,
    damage,
    marked_corner,
    truncate,
    write_sound,
    write_video,
)

READING = Reading(open_seconds=2.0, read_seconds=2.0)


def file_source(path: Path) -> Source:
    return parse_source(str(path))


def read_all(video: VideoInput) -> list[Sampled[tuple[float | None]]]:
    """Want every picture; its time stamp is its ticket."""
    results = video.sampled(lambda stamp: (stamp,), area_pixels=63_504)
    return [one for found in results for one in found]


def stamps(path: Path) -> list[float | None]:
    with open_video(file_source(path), READING) as video:
        return [one.ticket[0] for one in read_all(video)]


def first_pixels(path: Path, area_pixels: int = 63_504) -> Pixels:
    with open_video(file_source(path), READING) as video:
        results = video.sampled(lambda stamp: (stamp,), area_pixels=area_pixels)
        return next(one for found in results for one in found).pixels


def failure(source: Source) -> CameraError:
    with pytest.raises(CameraError) as caught:
        probe(source, READING)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "b_frames"),
    [
        ("a.mp4", "libx264", "yuv420p", 2),
        ("a.mkv", "libx265", "yuv420p", 0),
        ("a.avi", "mpeg4", "yuv420p", 2),
        ("a.ts", "libx264", "yuv420p", 0),
        ("a.mov", "mjpeg", "yuvj420p", 0),
        ("a.webm", "libvpx", "yuv420p", 0),
    ],
)
def test_each_codec_and_container_gives_all_its_pictures_in_order(
    tmp_path: Path, name: str, codec: str, pixel_format: str, b_frames: int
) -> None:
    path = write_video(
        tmp_path / name, codec=codec, pixel_format=pixel_format, b_frames=b_frames, frames=20
    )
    found = [stamp for stamp in stamps(path) if stamp is not None]
    assert len(found) == 20
    assert found == sorted(found)
    assert found[-1] - found[0] == pytest.approx(1.9, abs=0.002)


def test_probing_says_what_a_recording_is(tmp_path: Path) -> None:
    info = probe(file_source(write_video(tmp_path / "a.mp4", frames=30)), READING)
    assert (info.codec, info.width, info.height, info.fps) == ("h264", 64, 48, 10.0)
    assert info.duration_seconds == pytest.approx(3.0)
    assert info.started_seconds == CREATED_SECONDS


@pytest.mark.parametrize("created", [None, "1904-01-01T00:00:00Z", "yesterday"])
def test_a_recording_that_does_not_know_its_time_ended_when_its_file_was_written(
    tmp_path: Path, created: str | None
) -> None:
    path = write_video(tmp_path / "a.mkv", frames=30, created=created)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    info = probe(file_source(path), READING)
    assert info.started_seconds == pytest.approx(1_600_000_000 - 3.0)


@pytest.mark.parametrize(
    ("rotation", "red_corner"), [(0, (0, 0)), (90, (-1, 0)), (180, (-1, -1)), (-90, (0, -1))]
)
def test_rotated_pictures_stand_upright(
    tmp_path: Path, rotation: int, red_corner: tuple[int, int]
) -> None:
    path = write_video(
        tmp_path / "a.mp4", width=320, height=180, frames=3, rotation=rotation, draw=marked_corner
    )
    pixels = first_pixels(path)
    upright = rotation % 180 == 0
    assert (pixels.shape[1] > pixels.shape[0]) is upright
    height, width = pixels.shape[:2]
    row, column = (
        (height // 4 if red_corner[0] == 0 else -height // 4),
        (width // 4 if red_corner[1] == 0 else -width // 4),
    )
    red, _, blue = pixels[row, column].astype(int)
    assert red > 180 > 60 > blue
    red, _, blue = pixels[-row, -column].astype(int)
    assert blue > 160 > 60 > red
    info = probe(file_source(path), READING)
    assert (info.width, info.height) == ((320, 180) if upright else (180, 320))


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4", width=180, height=144, sample_aspect_ratio=Fraction(64, 45), frames=3
    )
    info = probe(file_source(path), READING)
    assert (info.width, info.height) == (256, 144)


def test_pixels_of_an_absurd_shape_are_taken_for_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", sample_aspect_ratio=Fraction(1, 1000), frames=3)
    info = probe(file_source(path), READING)
    assert (info.width, info.height) == (64, 48)


def test_odd_sizes_are_read(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mkv", width=201, height=113, codec="ffv1", pixel_format="yuv444p", frames=3
    )
    assert first_pixels(path).shape == (112, 196, 3)


def test_pixels_are_contiguous_and_read_only(tmp_path: Path) -> None:
    pixels = first_pixels(write_video(tmp_path / "a.mp4", frames=2, rotation=90))
    assert pixels.flags.c_contiguous
    assert not pixels.flags.writeable
    assert pixels.dtype == np.uint8


def test_full_range_pictures_keep_black_and_white(tmp_path: Path) -> None:
    def halves(index: int, width: int, height: int) -> Pixels:
        picture = np.zeros((height, width, 3), np.uint8)
        picture[:, width // 2 :] = 255
        return picture

    for name, codec, pixel_format in (
        ("full.mov", "mjpeg", "yuvj420p"),
        ("limited.mp4", "libx264", "yuv420p"),
    ):
        path = write_video(
            tmp_path / name, codec=codec, pixel_format=pixel_format, draw=halves, frames=2
        )
        pixels = first_pixels(path)
        assert pixels[10, 3].max() <= 4
        assert pixels[10, -3].min() >= 251


def test_the_same_file_gives_the_same_pixels_each_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", width=320, height=180, frames=5, b_frames=2)
    assert np.array_equal(first_pixels(path), first_pixels(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    error = failure(file_source(tmp_path / "gone.mp4"))
    assert isinstance(error, CameraRejected)
    assert error.reason == "not_found"
    assert "gone.mp4 does not exist" in str(error)


def test_an_empty_file_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    error = failure(file_source(path))
    assert error.reason == "unreadable"
    assert "empty" in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named_with_the_cure(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=2)
    path.chmod(0)
    error = failure(file_source(path))
    assert error.reason == "unreadable"
    assert "read permission" in str(error)


def test_a_text_called_mp4_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("not a video\n" * 50)
    error = failure(file_source(path))
    assert isinstance(error, CameraRejected)
    assert error.reason == "unreadable"
    assert "notes.mp4" in str(error)


def test_a_recording_without_its_index_is_unreadable(tmp_path: Path) -> None:
    path = truncate(write_video(tmp_path / "a.mp4", frames=60), keep=0.5)
    assert failure(file_source(path)).reason == "unreadable"


def test_a_recording_cut_off_in_its_pictures_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=100, width=160, height=120, faststart=True)
    truncate(path, keep=0.6)
    with open_video(file_source(path), READING) as video:
        found = read_all(video)
        assert 20 <= len(found) < 90
        assert 2.0 < video.missing_seconds < 8.0


def test_a_whole_recording_misses_nothing(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.avi", "a.ts", "a.mkv"):
        path = write_video(tmp_path / name, frames=60, codec="mpeg4", b_frames=2)
        with open_video(file_source(path), READING) as video:
            assert len(read_all(video)) == 60
            assert video.missing_seconds == 0.0


def test_damaged_packets_are_counted_and_skipped(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", codec="mjpeg", pixel_format="yuvj420p", frames=40)
    damage(path, every=211, after=0.3)
    with open_video(file_source(path), READING) as video:
        assert len(read_all(video)) >= 10
    path = write_video(tmp_path / "b.mkv", codec="ffv1", frames=40, width=160, height=120)
    content = path.read_bytes()
    path.write_bytes(
        content[: len(content) // 2] + bytes(3000) + content[len(content) // 2 + 3000 :]
    )
    with open_video(file_source(path), READING) as video:
        assert 10 <= len(read_all(video)) <= 40


def test_streams_that_appear_later_are_passed_over(tmp_path: Path) -> None:
    def noise(index: int, width: int, height: int) -> Pixels:
        return np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)

    # FFmpeg looks at the first seconds and the last quarter of a megabyte to find the streams
    parts = [
        write_video(tmp_path / "1.ts", frames=100),
        write_sound(tmp_path / "sound.ts", first_stream_id=700),
        write_video(tmp_path / "2.ts", frames=30, width=160, height=120, draw=noise),
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert len(stamps(path)) == 130


def test_a_file_of_sound_alone_has_no_video(tmp_path: Path) -> None:
    error = failure(file_source(write_sound(tmp_path / "a.m4a")))
    assert isinstance(error, CameraRejected)
    assert error.reason == "no_video"


def test_a_codec_nobody_knows_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=5)
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XVC"))
    error = failure(file_source(path))
    assert isinstance(error, CameraRejected)
    assert error.reason == "unsupported_codec"


def test_a_device_that_is_missing_is_named() -> None:
    error = failure(parse_source("/dev/video63"))
    assert error.reason == "not_found"
    assert "/dev/video63" in str(error)


def test_a_host_that_refuses_is_unreachable_and_its_login_is_not_told() -> None:
    for url in ("rtsp://admin:hush@127.0.0.1:9/live", "http://admin:hush@127.0.0.1:9/live"):
        error = failure(parse_source(url))
        assert isinstance(error, CameraUnreachable)
        assert error.reason == "unreachable"
        assert "Connection refused" in str(error)
        assert "hush" not in str(error)
        assert "admin" not in str(error)


def test_a_file_whose_name_looks_like_an_address_is_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=2).rename(tmp_path / "rec:12%3A00 #1.mp4")
    assert probe(file_source(path), READING).codec == "h264"


def test_rtsp_is_opened_over_tcp_with_time_outs_and_video_alone() -> None:
    options = options_for(parse_source("rtsp://h/s"), Reading(open_seconds=7.5))
    assert options["rtsp_transport"] == "tcp"
    assert options["timeout"] == "7500000"
    assert options["allowed_media_types"] == "video"
    udp = options_for(parse_source("rtsp://h/s"), Reading(rtsp_transport="udp"))
    assert udp["rtsp_transport"] == "udp"
    assert options_for(parse_source("/dev/video0"), Reading()) == {}
