import itertools

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.thumbnails import WIDTH, WorstClips, thumbnail
from tests.tools.replays import a_clip, a_verdict


def test_thumbnail_is_a_small_jpeg_of_the_middle_frame_in_the_right_colours() -> None:
    clip = a_clip(0.0, size=(448, 252))
    made = thumbnail(clip, a_verdict(0.0, 0.7))
    decoded = cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    assert decoded.shape == (126, WIDTH, 3)
    assert (made.width, made.height) == (WIDTH, 126)
    assert made.media_seconds == clip.frames[1].media_seconds
    expected = cv2.resize(clip.frames[1].pixels, (WIDTH, 126), interpolation=cv2.INTER_AREA)
    assert np.abs(decoded.astype(int) - expected).mean() < 6
    assert made.anomalous


def test_small_picture_is_not_enlarged() -> None:
    made = thumbnail(a_clip(0.0, size=(112, 84)), a_verdict(0.0, 0.1))
    assert (made.width, made.height) == (112, 84)


def test_overlapping_clips_of_one_moment_leave_only_the_worst() -> None:
    worst = WorstClips()
    for start, score in ((0.0, 0.6), (2.5, 0.9), (5.0, 0.8), (20.0, 0.3)):
        worst.offer(a_clip(start), a_verdict(start, score))
    assert [(one.start_seconds, one.score) for one in worst.thumbnails] == [(2.5, 0.9), (20.0, 0.3)]


@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), min_size=1, max_size=12))
def test_worst_clip_is_always_kept_and_no_two_overlap(scores: list[float]) -> None:
    worst = WorstClips(limit=3)
    for number, score in enumerate(scores):
        clip = a_clip(2.5 * number, size=(84, 56))
        worst.offer(clip, a_verdict(2.5 * number, score))
    kept = worst.thumbnails
    assert kept[0].score == max(scores)
    assert [one.score for one in kept] == sorted((one.score for one in kept), reverse=True)
    assert len(kept) <= 3
    places = sorted((one.start_seconds, one.end_seconds) for one in kept)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(places))
