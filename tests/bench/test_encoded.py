from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from bench import encoded
from bench.encoded import SensorNoise, Shape, is_referred_to, non_reference_share
from tests.fakes.videos import noisy_scene, write_video


def access_unit(*headers: int) -> bytes:
    return b"".join((3).to_bytes(4, "big") + bytes([header, 0, 0]) for header in headers)


@pytest.mark.parametrize(
    ("headers", "referred_to"),
    [
        ((0x65,), True),
        ((0x41,), True),
        ((0x01,), False),
        ((0x06, 0x01), False),  # SEI, then a slice that nobody refers to
        ((0x67, 0x68, 0x65), True),  # the parameter sets come first
        ((0x09,), True),  # no slice at all: nothing is known
    ],
)
def test_the_first_slice_says_whether_a_picture_is_referred_to(
    headers: tuple[int, ...], referred_to: bool
) -> None:
    assert is_referred_to(access_unit(*headers)) is referred_to


def test_without_b_frames_every_picture_is_referred_to(tmp_path: Path) -> None:
    write_video(tmp_path / "p.mp4", draw=noisy_scene)
    assert non_reference_share(tmp_path / "p.mp4") == 0.0


def test_b_frames_without_a_pyramid_are_those_not_referred_to(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "b.mp4", b_frames=2, draw=noisy_scene, codec_options={"b-pyramid": "none"}
    )
    with av.open(str(path)) as container:
        kinds = [picture.pict_type for picture in container.decode(video=0)]
    share = kinds.count(PictureType.B) / len(kinds)
    assert share > 0.3
    assert non_reference_share(path) == pytest.approx(share)


def test_noise_changes_brightness_alone_and_never_twice_the_same() -> None:
    grey = av.VideoFrame.from_ndarray(np.full((72, 64), 128, np.uint8), format="yuv420p")
    noise = SensorNoise(64, 48)
    first, second = noise.over(grey), noise.over(grey)
    assert first.shape == (72, 64)
    assert (first[48:] == 128).all()
    assert 1.0 < first[:48].std() < 3.0
    assert (first != second).any()
    assert (grey.to_ndarray() == 128).all()


SMALL = Shape("small", 64, 48, 10, 10, {"preset": "ultrafast"})


def stamps(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(picture.time or 0.0) for picture in container.decode(video=0)]


def test_a_recording_has_the_pictures_it_should_and_is_made_once(tmp_path: Path) -> None:
    path = encoded.recording(SMALL, 2.0, tmp_path)
    assert stamps(path) == pytest.approx([index / 10 for index in range(20)])
    made = path.stat().st_mtime_ns
    assert encoded.recording(SMALL, 2.0, tmp_path).stat().st_mtime_ns == made


def test_a_repeated_recording_goes_on_without_a_seam(tmp_path: Path) -> None:
    path = encoded.repeated(SMALL, 2.0, 3, tmp_path)
    assert stamps(path) == pytest.approx([index / 10 for index in range(60)])


def test_an_excerpt_is_the_beginning_up_to_a_key_frame(tmp_path: Path) -> None:
    path = encoded.excerpt(SMALL, 2.0, 1.0, tmp_path)
    assert stamps(path) == pytest.approx([index / 10 for index in range(10)])
