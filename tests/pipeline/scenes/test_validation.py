from __future__ import annotations

import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.scenes.validation import inspect, refuse_alike, refuse_unusable

SIZE = (180, 320)


def road() -> SceneImage:
    """A drawn road: sky that pales to the horizon, asphalt, markings, a car and its shadow."""
    height, width = SIZE
    rows = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    sky, asphalt = 0.55 + 0.4 * rows, 0.42 - 0.2 * (rows - 0.5)
    grey = np.where(rows < 0.5, sky, asphalt) + 0.0 * columns
    grass = (rows > 0.5) & (np.abs(columns) > 0.15 + 1.4 * (rows - 0.5))
    grey = np.where(grass, 0.3 + 0.1 * np.sin(9 * columns), grey)
    grey = np.where((rows > 0.5) & (np.abs(columns) < 0.04 * rows), 0.9, grey)
    grey[100:130, 180:230] = 0.12
    tint = np.array((1.0, 0.97, 0.9), np.float32)
    picture: SceneImage = np.repeat(grey[..., None], 3, axis=2).astype(np.float32) * tint
    return picture


def noise(deviation: float, seed: int = 1) -> SceneImage:
    draw = np.random.default_rng(seed).standard_normal((*SIZE, 3))
    return (draw * deviation / 255.0).astype(np.float32)


def blocks() -> SceneImage:
    """Noise of 8 x 8 pixels, as latents decoded by a broken VAE."""
    small = np.random.default_rng(2).random((SIZE[0] // 8 + 1, SIZE[1] // 8, 3)).astype(np.float32)
    return np.kron(small, np.ones((8, 8, 1), np.float32))[: SIZE[0]]


def checkerboard() -> SceneImage:
    rows, columns = np.indices(SIZE)
    return np.repeat(((rows + columns) % 2)[..., None], 3, axis=2).astype(np.float32)


def grey(level: float) -> SceneImage:
    return np.full((*SIZE, 3), level, np.float32)


GOOD = {
    "drawn road": road(),
    "with sensor noise": road() + noise(20),
    "at night": road() * np.float32(0.15),
    "in fog": road() * np.float32(0.3) + np.float32(0.6),
    "overshooting a little": road() * np.float32(1.2) - np.float32(0.1),
}
BAD = {
    "black": (grey(0.0), "std"),
    "white": (grey(1.0), "std"),
    "plain grey": (grey(0.5), "std"),
    "uniform noise": (np.random.default_rng(3).random((*SIZE, 3)).astype(np.float32), "lag_1"),
    "Gaussian noise": (noise(27) + np.float32(0.5), "lag_1"),
    "blocks of noise": (blocks(), "lag_8"),
    "checkerboard": (checkerboard(), "entropy"),
    "one NaN": (road() + np.float32(np.nan) * (np.indices((*SIZE, 3)).sum(0) == 5), "finite"),
    "all NaN": (grey(np.nan), "finite"),
    "infinite": (grey(np.inf), "finite"),
    "far out of range": (road() * np.float32(9.0), "range"),
    "grey scale": (road()[..., 0], "shape"),
    "tiny": (road()[:8, :8], "shape"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_picture_passes_whatever_its_light(name: str) -> None:
    findings = inspect(GOOD[name])
    assert findings.faults == ()
    assert refuse_unusable(GOOD[name]) == findings


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_a_broken_network_paints_is_refused(name: str) -> None:
    image, fault = BAD[name]
    findings = inspect(image)
    assert fault in [kind for kind, _ in findings.faults]
    with pytest.raises(SceneInvalid, match="try another seed or precision"):
        refuse_unusable(image)


@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_no_figure_is_nan(name: str) -> None:
    findings = inspect(GOOD[name] if name in GOOD else BAD[name][0])
    figures = (findings.std, findings.entropy_bits, findings.clipped, findings.lag_1)
    more = (findings.lag_8, findings.high_frequencies, findings.low, findings.high)
    assert np.isfinite([*figures, *more]).all()


def test_the_measures_are_those_of_the_table() -> None:
    """Uniform noise has four fifths of its power above 0.25 cycles a pixel: 1 - pi / 16."""
    noisy = inspect(BAD["uniform noise"][0])
    assert noisy.high_frequencies == pytest.approx(1 - np.pi / 16, abs=0.02)
    assert noisy.lag_1 == pytest.approx(0.0, abs=0.02)
    board = inspect(checkerboard())
    assert board.entropy_bits == pytest.approx(1.0)
    assert board.lag_1 == pytest.approx(-1.0)
    assert board.lag_8 == pytest.approx(1.0)
    assert board.clipped == 1.0
    blocky = inspect(blocks())
    assert blocky.lag_1 > 0.8
    assert abs(blocky.lag_8) < 0.15


def test_pictures_that_should_differ_must() -> None:
    refuse_alike([road(), road() * np.float32(0.5)], "seeds")
    with pytest.raises(SceneInvalid, match=r"pictures 1 and 3 .* prompts"):
        refuse_alike([road(), noise(30), road() + np.float32(1e-4)], "prompts")
