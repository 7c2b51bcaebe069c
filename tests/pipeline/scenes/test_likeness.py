from __future__ import annotations

import math

import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.pipeline.scenes.validation import compare, refuse_drift
from tests.pipeline.scenes.test_validation import noise, road


def test_the_same_picture_is_alike_without_end() -> None:
    psnr_db, ssim = compare(road(), road())
    assert psnr_db == 100.0
    assert ssim == pytest.approx(1.0)


@pytest.mark.parametrize("step", [0.01, 0.1])
def test_psnr_is_that_of_the_mean_square_error(step: float) -> None:
    flat = np.full((40, 40, 3), 0.5, np.float32)
    psnr_db, _ = compare(flat + np.float32(step), flat)
    assert psnr_db == pytest.approx(-20 * math.log10(step), abs=1e-3)


def test_ssim_of_a_shift_in_brightness_follows_the_formula() -> None:
    """Of flat pictures only the luminance term is left: (2ab + C1) / (a^2 + b^2 + C1)."""
    a, b = 0.5, 0.6
    flat = np.full((40, 40, 3), 1.0, np.float32)
    _, ssim = compare(flat * np.float32(a), flat * np.float32(b))
    assert ssim == pytest.approx((2 * a * b + 1e-4) / (a * a + b * b + 1e-4), abs=1e-6)


def test_ssim_agrees_with_windows_laid_one_by_one() -> None:
    """The separable sums against Wang's definition, window by window."""
    draw = np.random.default_rng(5)
    first = draw.random((14, 15, 3)).astype(np.float32)
    second = np.clip(first + 0.1 * draw.standard_normal(first.shape), 0, 1).astype(np.float32)
    luma = np.array((0.299, 0.587, 0.114))
    steps = np.arange(-5, 6)
    window = np.exp(-(steps[:, None] ** 2 + steps[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    found = []
    for row in range(4):
        for column in range(5):
            a = (first.astype(np.float64) @ luma)[row : row + 11, column : column + 11]
            b = (second.astype(np.float64) @ luma)[row : row + 11, column : column + 11]
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            cov = (window * (a - ma) * (b - mb)).sum()
            c1, c2 = 1e-4, 9e-4
            top = (2 * ma * mb + c1) * (2 * cov + c2)
            found.append(top / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    assert compare(first, second)[1] == pytest.approx(float(np.mean(found)), abs=1e-9)


def test_more_noise_is_less_alike() -> None:
    reference = np.clip(road(), 0, 1)
    ssims = [compare(reference + noise(level), reference)[1] for level in (1, 3, 10, 40)]
    assert ssims == sorted(ssims, reverse=True)
    assert ssims[0] > 0.9
    assert ssims[-1] < 0.5


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (road()[:, :100], "cannot be compared"),
        (np.full_like(road(), np.nan), "NaN"),
        (1 - road(), "too far from its bf16 twin"),
        (np.zeros_like(road()), "PSNR"),
    ],
)
def test_a_precision_that_drifted_is_refused(image: np.ndarray, words: str) -> None:
    with pytest.raises(SceneInvalid, match=words):
        refuse_drift(image, road())


def test_a_precision_that_is_near_passes_with_its_figures() -> None:
    psnr_db, ssim = refuse_drift(np.clip(road(), 0, 1) + noise(3), road())
    assert 35 < psnr_db < 45
    assert ssim > 0.8
