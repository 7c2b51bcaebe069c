from __future__ import annotations

import itertools
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.stream import VideoStream
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.frames import FrameSampler, target_size
from edgewatch.pipeline.picture_frozen import (
    FROZEN_BUT_CLOCK_SECONDS,
    FROZEN_SECONDS,
    LONGEST_FROZEN_SECONDS,
)
from edgewatch.pipeline.picture_health import (
    COVERED_SECONDS,
    DARK_SECONDS,
    LONGEST_STEP_SECONDS,
    Condition,
    PictureWatch,
)
from edgewatch.pipeline.picture_light import FLICKER_SECONDS, FORGOTTEN_SECONDS, PLAIN_SECONDS
from edgewatch.pipeline.picture_view import ADOPTED_SECONDS, MOVED_SECONDS, SETTLED_SECONDS
from edgewatch.pipeline.types import Pixels
from tests.footage import FOOTAGE, needs_footage

START = 1_714_564_800.0
FPS = 4.0
SIDE = 252
RECOVERY_SECONDS = 2.0

ROOT = Path(__file__).parents[2]
CLIPS = sorted(FOOTAGE.glob("*.mp4")) + sorted((ROOT / "samples").glob("*.mp4"))
FIXED = [clip for clip in CLIPS if clip.stem.startswith(("fixed_normal", "walkway", "fixed_crash"))]
Change = Callable[[Pixels], Pixels]


class Camera:
    """Feeds a watch and keeps what it told, with times counted from the first frame."""

    def __init__(self, fps: float = FPS) -> None:
        self.watch = PictureWatch()
        self.fps = fps
        self.now = 0.0
        self.told: list[tuple[float, Condition]] = []

    def show(self, frames: Iterable[Pixels]) -> list[tuple[float, str]]:
        """Show frames; return what was told, with seconds since the first of these frames."""
        begin, before = self.now, len(self.told)
        for pixels in frames:
            condition = self.watch.see(pixels, START + self.now)
            if condition is not None:
                self.told.append((self.now, condition))
            self.now += 1.0 / self.fps
        return [(at - begin, condition.kind) for at, condition in self.told[before:]]

    @property
    def kinds(self) -> list[str]:
        return [condition.kind for _, condition in self.told]

    @property
    def last(self) -> Condition:
        assert self.watch.condition is not None
        return self.watch.condition

    def count(self, seconds: float) -> int:
        return round(seconds * self.fps)


@lru_cache(maxsize=16)
def scene(seed: int = 1, *, level: float = 1.0) -> Pixels:
    """A street of sorts: rectangles of all sizes and greys, softened as by a lens."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIDE, SIDE, 3), 110, np.uint8)
    for _ in range(150):
        x, y = rng.integers(-20, SIDE, 2)
        width, height = rng.integers(4, 60, 2)
        shade = rng.integers(15, 240, 3).tolist()
        cv2.rectangle(picture, (int(x), int(y)), (int(x + width), int(y + height)), shade, -1)
    soft = cv2.GaussianBlur(picture, (0, 0), 0.7)
    return np.asarray(np.clip(soft * level, 0, 255), np.uint8)


@lru_cache(maxsize=8)
def noises(shape: tuple[int, int], sigma: float) -> list[tuple[Pixels, Pixels]]:
    """Pictures of noise to add and to take away."""
    rng = np.random.default_rng(11)
    levels = [np.rint(rng.normal(0, sigma, shape)).astype(np.int16) for _ in range(13)]
    grey = [np.repeat(level[..., None], 3, axis=2) for level in levels]
    return [(grey_.clip(0).astype(np.uint8), (-grey_).clip(0).astype(np.uint8)) for grey_ in grey]


def live(base: Pixels, count: int, *, sigma: float = 1.0, seed: int = 0) -> Iterator[Pixels]:
    """The scene as a sensor sees it: fresh noise in every picture, the same in every run."""
    pool = noises((base.shape[0], base.shape[1]), sigma)
    for index in range(seed * 101, seed * 101 + count):
        added, taken = (np.roll(noise, index * 5, axis=0) for noise in pool[index % len(pool)])
        yield np.asarray(cv2.subtract(cv2.add(base, added), taken), np.uint8)


def flat(level: float) -> Pixels:
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def blurred(sigma: float) -> Change:
    return lambda pixels: np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def shifted(across: float, down: float = 0.0) -> Change:
    def shift(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        matrix = np.array([[1, 0, across * width], [0, 1, down * height]], np.float32)
        moved = cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved, np.uint8)

    return shift


def with_clock(pixels: Pixels, second: int) -> Pixels:
    stamped = pixels.copy()
    text = f"12:{second // 60:02d}:{second % 60:02d}"
    cv2.putText(stamped, text, (150, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
    return stamped


def assert_found(told: list[tuple[float, str]], kind: str, within: float) -> None:
    assert [found for _, found in told] == [kind]
    assert told[0][0] <= within


# --- frozen


@pytest.mark.parametrize("fps", [1.0, 4.0])
@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_a_still_scene_with_fresh_noise_is_never_frozen(fps: float, sigma: float) -> None:
    camera = Camera(fps)
    camera.show(live(scene(level=0.4), camera.count(150), sigma=sigma))
    assert camera.kinds == ["fine"]


@settings(max_examples=15, deadline=None)
@given(
    fps=st.sampled_from([1.0, 2.0, 4.0]),
    seed=st.integers(0, 20),
    before=st.integers(0, 20),
    jitter=st.lists(st.floats(-0.2, 0.2), min_size=4, max_size=4),
)
def test_exact_repeats_are_always_frozen_within_the_limit(
    fps: float, seed: int, before: int, jitter: list[float]
) -> None:
    """Whatever came before, at any rate, on any grid; and it began where the repeats did."""
    watch = PictureWatch()
    frames = list(live(scene(seed), before + 1, seed=seed))
    frames += [frames[-1]] * round((FROZEN_SECONDS + 2) * fps)
    at = [(index + jitter[index % 4]) / fps for index in range(len(frames))]
    told = [
        (moment, condition)
        for moment, frame in zip(at, frames, strict=True)
        if (condition := watch.see(frame, START + moment)) is not None
    ]
    assert [condition.kind for _, condition in told] == ["fine", "frozen"]
    assert told[1][0] - at[before] <= FROZEN_SECONDS + 1.5 / fps
    assert told[1][1].since_seconds == pytest.approx(START + at[before], abs=1e-3)


def test_a_frozen_picture_is_live_again_at_once() -> None:
    camera = Camera()
    frames = list(live(scene(), 5))
    camera.show(frames + [frames[-1]] * camera.count(30))
    assert camera.last.kind == "frozen"
    assert (camera.last.state, camera.last.reason) == ("frozen", "frozen")
    assert_found(camera.show(live(scene(), 20, seed=9)), "fine", RECOVERY_SECONDS)


def test_a_few_specks_of_an_encoders_polish_are_still_frozen() -> None:
    camera = Camera()
    rng = np.random.default_rng(3)

    def specks() -> Iterator[Pixels]:
        for _ in range(camera.count(25)):
            pixels = scene().copy()
            pixels[rng.integers(0, SIDE, 50), rng.integers(0, SIDE, 50)] ^= 1
            yield pixels

    camera.show(specks())
    assert camera.kinds == ["fine", "frozen"]


def test_a_frozen_picture_coded_in_turns_is_frozen() -> None:
    """A recorder that codes the same still again: another version at each key frame."""
    camera = Camera()
    versions = list(live(scene(), 3, sigma=2.0))
    camera.show(versions[(index // 8) % 3] for index in range(camera.count(40)))
    assert camera.kinds == ["fine", "frozen"]


def test_an_encoder_that_skips_between_key_frames_is_not_frozen() -> None:
    """Nothing changes for 12 s, then all is coded anew from fresh noise."""
    camera = Camera()
    groups = live(scene(level=0.4), 20, sigma=1.5)
    camera.show(itertools.chain.from_iterable([picture] * camera.count(12) for picture in groups))
    assert camera.kinds == ["fine"]


def test_longer_skips_are_learnt_and_forgiven() -> None:
    """With 35 s between key frames the first skip looks frozen; later ones do not."""
    camera = Camera()
    groups = live(scene(level=0.4), 8, sigma=1.5)
    camera.show(itertools.chain.from_iterable([picture] * camera.count(35) for picture in groups))
    assert camera.kinds == ["fine", "frozen", "fine"]
    frozen = camera.show([scene(level=0.4)] * camera.count(LONGEST_FROZEN_SECONDS + 1))
    assert_found(frozen, "frozen", LONGEST_FROZEN_SECONDS)


def test_a_frozen_picture_under_a_running_clock_is_frozen_later() -> None:
    camera = Camera()
    told = camera.show(with_clock(scene(), index // 4) for index in range(camera.count(70)))
    assert_found(told[1:], "frozen", FROZEN_BUT_CLOCK_SECONDS + 1)
    assert "clock" in camera.last.detail


def test_a_clock_over_a_live_still_scene_is_not_frozen() -> None:
    camera = Camera()
    frames = live(scene(level=0.4), camera.count(200), sigma=1.0)
    camera.show(with_clock(frame, index // 4) for index, frame in enumerate(frames))
    assert camera.kinds == ["fine"]


def test_a_looped_recording_is_not_frozen() -> None:
    camera = Camera()
    loop = list(live(scene(), 48))
    camera.show(itertools.islice(itertools.cycle(loop), camera.count(120)))
    assert camera.kinds == ["fine"]


# --- dark, covered


@pytest.mark.parametrize("fps", [1.0, 4.0])
def test_a_capped_lens_is_dark_and_not_when_it_is_off(fps: float) -> None:
    camera = Camera(fps)
    camera.show(live(scene(), camera.count(20)))
    told = camera.show(live(flat(10), camera.count(40), sigma=2.5))
    assert_found(told, "dark", DARK_SECONDS + 1 / fps)
    assert camera.last.since_seconds == pytest.approx(START + 20.0, abs=1 / fps)
    assert_found(camera.show(live(scene(), camera.count(10))), "fine", RECOVERY_SECONDS)


def test_black_without_noise_is_dark_rather_than_frozen() -> None:
    camera = Camera()
    camera.show([flat(0)] * camera.count(60))
    assert camera.kinds == ["fine", "dark"]


def test_black_under_a_burnt_in_clock_is_dark() -> None:
    camera = Camera()
    camera.show(with_clock(flat(4), index // 4) for index in range(camera.count(20)))
    assert camera.last.kind == "dark"


def test_a_night_with_lamps_is_not_dark() -> None:
    night = scene(level=0.12).copy()
    for x, y in ((60, 90), (190, 120), (130, 150)):
        cv2.circle(night, (x, y), 9, (230, 220, 180), -1)
    camera = Camera()
    camera.show(live(night, camera.count(40), sigma=2.0))
    assert camera.kinds == ["fine"]


def test_brightness_about_the_limit_does_not_flap() -> None:
    camera = Camera()
    edge = np.random.default_rng(5).uniform(24, 38, camera.count(120))
    camera.show(next(live(flat(level), 1, seed=index)) for index, level in enumerate(edge))
    assert len([kind for kind in camera.kinds if kind == "dark"]) <= 1


@pytest.mark.parametrize("cover", [flat(90), flat(200), blurred(5)(scene())])
@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_a_covered_or_blurred_lens_is_covered(cover: Pixels, sigma: float) -> None:
    camera = Camera()
    camera.show(live(scene(), camera.count(90), sigma=sigma))
    told = camera.show(live(cover, camera.count(60), sigma=sigma, seed=4))
    assert_found(told, "covered", COVERED_SECONDS + 0.5)
    assert_found(camera.show(live(scene(), camera.count(10))), "fine", RECOVERY_SECONDS)


def test_a_lens_covered_from_the_start_is_covered_though_its_clock_is_sharp() -> None:
    camera = Camera()
    frames = live(flat(120), camera.count(30))
    camera.show(with_clock(frame, index // 4) for index, frame in enumerate(frames))
    assert camera.kinds == ["fine", "covered"]


def test_a_short_glare_is_not_covered() -> None:
    camera = Camera()
    camera.show(live(scene(), camera.count(90)))
    for _ in range(4):
        assert camera.show(live(flat(250), camera.count(8))) == []
        assert camera.show(live(scene(), camera.count(8))) == []


def test_dusk_is_not_covered() -> None:
    """Contrast falls to a quarter within an hour."""
    camera = Camera(0.5)
    for step in range(61):
        level = 4 ** (-step / 60)
        base = np.asarray(40 + (scene() * 0.8) * level, np.uint8)
        camera.show(live(base, 30, seed=step))
    assert camera.kinds == ["fine"]


def test_a_plain_wall_is_not_covered_for_ever() -> None:
    camera = Camera(0.5)
    told = camera.show(live(flat(140), camera.count(PLAIN_SECONDS + 60)))
    assert [kind for _, kind in told] == ["fine", "covered", "fine"]
    assert told[2][0] <= PLAIN_SECONDS + 30


def test_somebody_passing_a_plain_wall_shows_that_the_lens_sees() -> None:
    camera = Camera()
    camera.show(live(flat(140), camera.count(20)))
    camera.show(live(scene(), camera.count(4)))
    assert camera.kinds == ["fine", "covered", "fine"]
    assert camera.show(live(flat(140), camera.count(200))) == []


def test_a_covered_lens_stays_covered_for_hours() -> None:
    camera = Camera(0.125)
    camera.show(live(scene(), 60))
    assert_found(camera.show(live(flat(140), camera.count(3 * PLAIN_SECONDS))), "covered", 24.0)


@pytest.mark.long
def test_a_view_that_stays_plain_for_a_day_is_learnt_anew() -> None:
    camera = Camera(0.125)
    camera.show(live(scene(), 60))
    told = camera.show(live(flat(140), camera.count(FORGOTTEN_SECONDS + PLAIN_SECONDS + 60)))
    assert [kind for _, kind in told] == ["covered", "fine"]


# --- moved


def settled(base: Pixels, *, fps: float = 2.0) -> Camera:
    camera = Camera(fps)
    camera.show(live(base, camera.count(SETTLED_SECONDS + 20)))
    assert camera.kinds == ["fine"]
    return camera


@pytest.mark.parametrize(
    ("after", "words"),
    [(shifted(0.10)(scene()), "to the right"), (shifted(0, -0.12)(scene()), "up"), (scene(8), "")],
)
def test_a_camera_that_was_knocked_is_moved(after: Pixels, words: str) -> None:
    camera = settled(scene())
    assert_found(camera.show(live(after, camera.count(60))), "moved", MOVED_SECONDS + 1)
    assert words in camera.last.detail
    assert (camera.last.state, camera.last.reason) == ("online", "moved")
    assert_found(camera.show(live(scene(), camera.count(10))), "fine", RECOVERY_SECONDS)


def test_a_new_view_counts_as_usual_after_an_hour() -> None:
    camera = settled(scene(), fps=0.5)
    told = camera.show(live(scene(8), camera.count(ADOPTED_SECONDS + 60)))
    assert [kind for _, kind in told] == ["moved", "fine"]
    assert told[1][0] == pytest.approx(ADOPTED_SECONDS, abs=8.0)
    # Day and night: the view before is still known
    assert camera.show(live(scene(), camera.count(120))) == []


@pytest.mark.parametrize("level", [0.35, 1.6])
def test_another_light_is_not_moved(level: float) -> None:
    camera = settled(scene())
    assert camera.show(live(scene(level=level), camera.count(90))) == []


def test_what_stands_in_the_way_is_not_moved() -> None:
    camera = settled(scene())
    lorry = scene().copy()
    lorry[40:220, 60:200] = scene(8)[40:220, 60:200]
    assert camera.show(live(lorry, camera.count(25))) == []
    assert camera.show(live(scene(), camera.count(25))) == []


def test_a_vehicle_is_never_moved() -> None:
    """It stood for ten minutes, then drives, waits at a light, drives, parks elsewhere."""
    camera = settled(scene(), fps=4.0)
    panorama = np.concatenate([scene(seed) for seed in range(20, 30)], axis=1)

    def drive(seconds: float) -> Iterator[Pixels]:
        for index in range(camera.count(seconds)):
            left = index * 23 % (panorama.shape[1] - SIDE)
            yield from live(np.ascontiguousarray(panorama[:, left : left + SIDE]), 1, seed=index)

    for seed, seconds in ((31, 20.0), (32, 8.0), (33, 40.0)):
        camera.show(drive(seconds))
        camera.show(live(scene(seed), camera.count(200)))
    camera.show(live(scene(34), camera.count(SETTLED_SECONDS)))
    camera.show(live(scene(35), camera.count(60)))
    assert camera.kinds == ["fine"]


# --- flicker


@pytest.mark.parametrize(("fps", "swing_frames"), [(4.0, 1), (4.0, 3), (1.0, 1)])
def test_swinging_light_is_flicker(fps: float, swing_frames: int) -> None:
    camera = Camera(fps)
    camera.show(live(scene(), camera.count(20)))
    bright, dim = list(live(scene(), 60)), list(live(scene(level=0.6), 60))
    told = camera.show(
        (bright if index // swing_frames % 2 else dim)[index % 60]
        for index in range(camera.count(20))
    )
    assert_found(told, "flicker", FLICKER_SECONDS)
    assert camera.last.state == "online"
    assert_found(camera.show(live(scene(), camera.count(10))), "fine", RECOVERY_SECONDS + 1.0)


def test_a_light_switched_now_and_then_is_not_flicker() -> None:
    camera = Camera()
    for _ in range(6):
        camera.show(live(scene(), camera.count(6)))
        camera.show(live(scene(level=0.6), camera.count(6)))
    assert camera.kinds == ["fine"]


# --- laws, limits, cost

SHOWN: dict[str, Callable[[int], Pixels]] = {
    "scene": lambda index: next(live(scene(), 1, seed=index)),
    "other": lambda index: next(live(scene(8), 1, seed=index)),
    "same": lambda index: scene(),
    "black": lambda index: flat(0),
    "cloth": lambda index: next(live(flat(120), 1, seed=index)),
    "blink": lambda index: scene(level=0.5 + index % 2 / 2),
    "small": lambda index: scene()[:56, :84].copy(),
    "tiny": lambda index: scene()[:28, :28].copy(),
}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(SHOWN)), st.integers(1, 30), st.sampled_from([0.0, 60.0, -900.0])
        ),
        max_size=6,
    )
)
def test_any_frames_and_times_give_alternating_conditions(
    parts: list[tuple[str, int, float]],
) -> None:
    watch, told, now = PictureWatch(), [], START
    for name, seconds, jump in parts:
        now += jump
        for index in range(seconds):
            now += 1.0
            condition = watch.see(SHOWN[name](index), now)
            if condition is not None:
                told.append(condition)
                assert watch.condition is condition
                assert condition.since_seconds <= now
                assert bool(condition.detail) == (condition.kind != "fine")
    assert all(one.kind != two.kind for one, two in itertools.pairwise(told))
    assert not told or told[0].kind == "fine"


def test_a_condition_outlasts_a_break_but_its_time_does_not_count() -> None:
    camera = Camera()
    camera.show(live(scene(), camera.count(20)))
    camera.show(live(flat(5), camera.count(3)))
    camera.now += 3 * LONGEST_STEP_SECONDS
    assert camera.show(live(flat(5), 4)) == []
    assert_found(camera.show(live(flat(5), camera.count(5))), "dark", DARK_SECONDS)
    camera.now += 3600
    assert camera.show(live(flat(5), camera.count(30))) == []


def test_memory_stays_small() -> None:
    watch = PictureWatch()
    frames = list(live(scene(), 20))
    other = list(live(scene(8), 20))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for index in range(800):  # settles, then is moved
            watch.see((frames if index < 700 else other)[index % 20], START + index)
        after, _ = tracemalloc.get_traced_memory()
        assert watch.condition is not None
        assert watch.condition.kind == "moved"
    finally:
        tracemalloc.stop()
    assert after - before < 110_000


def test_it_costs_next_to_nothing() -> None:
    """A generous limit, for a busy machine: it is to catch a slip by a whole factor."""
    watch = PictureWatch()
    frames = list(live(scene(), 40))
    best_seconds = 1.0
    for attempt in range(5):
        began = time.thread_time()
        for index in range(200):
            watch.see(frames[index % 40], START + (attempt * 200 + index) / 4)
        best_seconds = min(best_seconds, (time.thread_time() - began) / 200)
    assert best_seconds < 1e-3


# --- real footage


@lru_cache(maxsize=2)
def sampled(path: Path, fps: float) -> list[Pixels]:
    """A recording's frames at the model's size, on the sampling grid."""
    sampler = FrameSampler(fps)
    frames: list[Pixels] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        size = target_size(stream.codec_context.width, stream.codec_context.height, 63_504)
        begin: float | None = None
        for picture in container.decode(stream):
            assert picture.time is not None
            begin = picture.time if begin is None else begin
            if sampler.wants(picture.time - begin) is not None:
                small = picture.reformat(*size, format="yuv444p", interpolation="AREA")
                rgb = small.reformat(format="rgb24").to_ndarray()
                frames.append(np.asarray(rgb, np.uint8))
    return frames


def recoded(path: Path, pictures: Iterable[Pixels], *, fps: int, crf: int, gop: int) -> Path:
    """Code pictures as H.264 of low quality: most blocks of a still scene are skipped."""
    with av.open(str(path), "w") as container:
        stream: VideoStream | None = None
        for index, pixels in enumerate(pictures):
            if stream is None:
                stream = container.add_stream("libx264", rate=fps)
                stream.height, stream.width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
                stream.pix_fmt = "yuv420p"
                stream.options = {"preset": "veryfast", "crf": str(crf)}
                stream.codec_context.gop_size = gop
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(pixels[: stream.height, : stream.width]), format="rgb24"
            )
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode(None))
    return path


def looped(frames: list[Pixels], count: int) -> Iterator[Pixels]:
    return itertools.islice(itertools.cycle(frames), count)


@pytest.mark.parametrize("fps", [pytest.param(1.0, marks=pytest.mark.long), 4.0])
@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.stem)
def test_real_footage_raises_no_alarm(clip: Path, fps: float) -> None:
    camera = Camera(fps)
    frames = sampled(clip, fps)
    # An explosion again and again every five seconds would be flicker indeed
    is_long = len(frames) >= camera.count(FLICKER_SECONDS)
    camera.show(looped(frames, camera.count(100) if is_long else len(frames)))
    assert camera.kinds == ["fine"]


@pytest.mark.parametrize(
    ("crf", "fps"),
    [
        (30, 1),
        (45, 1),
        pytest.param(30, 4, marks=pytest.mark.long),
        pytest.param(45, 4, marks=pytest.mark.long),
    ],
)
def test_a_real_scene_at_very_low_quality_is_not_frozen(tmp_path: Path, fps: int, crf: int) -> None:
    frames = sampled(ROOT / "samples" / "walkway.mp4", 4.0)
    path = recoded(tmp_path / "low.mp4", looped(frames, 400), fps=4, crf=crf, gop=48)
    camera = Camera(fps)
    camera.show(sampled(path, fps))
    assert camera.kinds == ["fine"]


@pytest.mark.parametrize("crf", [pytest.param(28, marks=pytest.mark.long), 40])
def test_a_live_still_scene_at_very_low_quality_is_not_frozen(tmp_path: Path, crf: int) -> None:
    """Key frames every 15 s; between them the encoder skips nearly all."""
    still = np.median(sampled(ROOT / "samples" / "walkway.mp4", 4.0)[::4], axis=0).astype(np.uint8)
    noisy = live(still, 5 * 120, sigma=2.0)
    path = recoded(tmp_path / "still.mp4", noisy, fps=5, crf=crf, gop=75)
    camera = Camera(4.0)
    camera.show(sampled(path, 4.0))
    assert camera.kinds == ["fine"]


def test_a_frozen_picture_is_frozen_through_an_encoder(tmp_path: Path) -> None:
    frames = sampled(ROOT / "samples" / "walkway.mp4", 4.0)
    shown = frames[:40] + [frames[39]] * 160
    path = recoded(tmp_path / "frozen.mp4", shown, fps=4, crf=28, gop=8)
    camera = Camera(4.0)
    told = camera.show(sampled(path, 4.0))
    # A late key frame may still bring a version not seen before, and the wait begins anew
    assert_found(told[1:2], "frozen", 10 + FROZEN_SECONDS + 8)


TROUBLES: dict[str, tuple[str, Change | None, float]] = {
    "frozen": ("frozen", None, FROZEN_SECONDS),
    "black": ("dark", lambda pixels: np.full_like(pixels, 6), DARK_SECONDS),
    "blurred": ("covered", blurred(4), COVERED_SECONDS),
    "cloth": ("covered", lambda pixels: np.full_like(pixels, 100), COVERED_SECONDS),
    "shifted": ("moved", shifted(0.1, 0.03), MOVED_SECONDS),
}


def troubled(frame: Pixels, change: Change | None, seed: int) -> Pixels:
    return frame if change is None else next(live(change(frame), 1, seed=seed))


@pytest.mark.parametrize(
    ("clip", "fps"),
    [*((clip, 1.0) for clip in FIXED), (ROOT / "samples" / "walkway.mp4", 4.0)],
    ids=lambda value: value.stem if isinstance(value, Path) else f"{value:.0f}_fps",
)
def test_trouble_in_real_footage_is_found_and_passes(clip: Path, fps: float) -> None:
    camera = Camera(fps)
    frames = sampled(clip, fps)
    camera.show(looped(frames, camera.count(SETTLED_SECONDS + 30)))
    assert camera.kinds == ["fine"]
    for kind, change, within in TROUBLES.values():
        shown = looped(frames if change else frames[-1:], camera.count(within + 3))
        told = camera.show(troubled(frame, change, seed) for seed, frame in enumerate(shown))
        assert_found(told, kind, within + 1.5)
        assert_found(camera.show(looped(frames, camera.count(20))), "fine", RECOVERY_SECONDS)


@pytest.mark.long
@needs_footage
def test_a_real_drive_is_never_moved() -> None:
    """On a calm road long enough to seem to stand, then through a wood, then standing in a jam."""
    camera = Camera()
    for name, seconds in (
        ("drive_normal_evening_highway", SETTLED_SECONDS + 60),
        ("drive_normal_forest_road", 60.0),
        ("drive_rear_end_low_speed", SETTLED_SECONDS + 60),
        ("drive_normal_highway", 60.0),
        ("fixed_normal_taxi_street", 120.0),
    ):
        frames = [
            np.asarray(cv2.resize(frame, (336, 196)), np.uint8)
            for frame in sampled(FOOTAGE / f"{name}.mp4", 4.0)
        ]
        camera.show(looped(frames, camera.count(seconds)))
    assert camera.kinds == ["fine"]
