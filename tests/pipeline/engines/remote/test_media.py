"""Clips as files: every frame in its place and at its time."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.engines.remote.media import Frames, Shown, jpegs_of, mp4_of, retimed
from tests.fakes.openai_server import moving_square


def numbered(count: int, side: int = 28) -> Frames:
    """Frames that are each of one shade, by which they can be told apart."""
    frames = np.empty((count, side, side, 3), np.uint8)
    frames[:] = np.linspace(20, 235, count).astype(np.uint8)[:, None, None, None]
    return frames


def decoded(content: bytes) -> tuple[Frames, list[float], Fraction]:
    with av.open(io.BytesIO(content), "r") as container:
        stream = container.streams.video[0]
        assert stream.average_rate is not None
        frames = list(container.decode(stream))
        pixels: Frames = np.stack(
            [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in frames]
        )
        return pixels, [frame.time or 0.0 for frame in frames], stream.average_rate


@pytest.mark.parametrize("fps", [0.5, 1.0, 2.0, 10 / 3, 4.0, 7.5, 29.97])
def test_frame_n_is_shown_at_exactly_n_over_fps(fps: float) -> None:
    pixels, times, rate = decoded(mp4_of(Shown(numbered(10), fps)))
    assert float(rate) == pytest.approx(fps, rel=1e-4)
    assert times == pytest.approx([number / fps for number in range(10)], abs=1e-3)
    assert np.abs(pixels.mean((1, 2)) - numbered(10).mean((1, 2))).max() < 3.0


def test_a_video_reads_the_same_through_opencv_as_servers_read_it(tmp_path: object) -> None:
    """By seeking to each frame as well, and in the right colours."""
    frames = moving_square(8, 84, (230, 60, 20))
    path = f"{tmp_path}/clip.mp4"
    with open(path, "wb") as file:
        file.write(mp4_of(Shown(frames, 4.0)))
    capture = cv2.VideoCapture(path)
    try:
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 8
        assert capture.get(cv2.CAP_PROP_FPS) == 4.0
        for number in reversed(range(8)):
            capture.set(cv2.CAP_PROP_POS_FRAMES, number)
            done, picture = capture.read()
            assert done
            error = np.abs(picture[..., ::-1].astype(int) - frames[number])
            assert error.mean() < 4.0
            # Away from the square's rim, where colours are halved, nothing is off.
            assert np.median(error) <= 3.0
    finally:
        capture.release()


def test_a_clip_is_encoded_to_the_same_bytes_each_time() -> None:
    shown = Shown(moving_square(8, 84, (230, 60, 20)), 4.0)
    assert mp4_of(shown) == mp4_of(shown)


def test_encoding_does_not_touch_the_frames() -> None:
    frames = moving_square(4, 84, (230, 60, 20))
    frames.flags.writeable = False
    mp4_of(Shown(frames, 4.0))
    jpegs_of(Shown(frames, 4.0))


def test_pictures_keep_order_and_colours() -> None:
    frames = moving_square(4, 84, (230, 60, 20))
    for jpeg, frame in zip(jpegs_of(Shown(frames, 4.0)), frames, strict=True):
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert np.abs(picture[..., ::-1].astype(int) - frame).max() <= 16


@given(
    pairs=st.integers(1, 40),
    fps=st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 8.0, 15.0, 30.0]),
)
@settings(deadline=None)
def test_a_clip_at_another_rate_lasts_as_long_and_its_frames_stay_at_their_times(
    pairs: int, fps: float
) -> None:
    count = 2 * pairs
    frames = np.arange(count, dtype=np.uint16).reshape(-1, 1, 1, 1).astype(np.uint8)
    shown = retimed(frames, fps, 2.0)
    order = shown.frames[:, 0, 0, 0].astype(int)
    assert len(order) % 2 == 0
    assert order[0] == 0
    assert (np.diff(order) >= 0).all()
    # Each frame is shown within one step, of the coarser of both grids, of when it was taken.
    step_seconds = max(1 / fps, 1 / shown.fps)
    drift = np.arange(len(order)) / shown.fps - order / fps
    assert np.abs(drift).max() <= step_seconds + 1e-9
    if count / fps >= 4.0:
        assert shown.fps == pytest.approx(2.0, rel=0.2)


def test_a_rate_of_ones_own_is_kept() -> None:
    frames = numbered(6)
    assert retimed(frames, 4.0, None).frames is frames
    assert retimed(frames, 4.0, None).fps == 4.0
