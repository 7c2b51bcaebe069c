"""Our patches against the model's official processor, and the rule for a clip's size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.engine_peers import official_processor
from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules, read_checkpoint
from edgewatch.pipeline.engines.qwen.pixels import Patcher, grid_of, upload
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.errors import EngineFailed
from tests.fakes.tiny_qwen import PIXEL_RULES

CPU = torch.device("cpu")
ROUNDING = 1e-6


@pytest.fixture
def rules(tiny: Path) -> PixelRules:
    return read_checkpoint(tiny).pixels


def random_clip(shape: tuple[int, int, int], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize(
    "shape", [(2, 28, 28), (4, 56, 84), (20, 252, 252), (6, 196, 336), (10, 112, 224), (2, 280, 28)]
)
def test_patches_equal_the_official_processors(
    rules: PixelRules, shape: tuple[int, int, int]
) -> None:
    clip = random_clip(shape)
    _, process = official_processor(PIXEL_RULES)
    ours = Patcher(rules, CPU, torch.float32).patches(upload([clip], CPU))
    theirs = process(clip)
    assert ours.shape == theirs.shape == (shape[0] // 2 * (shape[1] // 14) * (shape[2] // 14), 1176)
    assert (ours - theirs).abs().max().item() <= ROUNDING


@pytest.mark.parametrize("shape", [(2, 28, 28), (4, 56, 84), (6, 196, 336)])
def test_gpus_way_and_the_cpus_lead_to_the_same_patches(
    rules: PixelRules, shape: tuple[int, int, int]
) -> None:
    """The device's way is plain torch, and so can be followed on a CPU as well."""
    patcher = Patcher(rules, CPU, torch.float32)
    clips = upload([random_clip(shape, seed) for seed in range(2)], CPU)
    assert (patcher._on_device(clips) - patcher.patches(clips)).abs().max().item() <= ROUNDING


def test_clips_of_a_batch_follow_each_other(rules: PixelRules) -> None:
    clips = [random_clip((4, 56, 84), seed) for seed in range(3)]
    patcher = Patcher(rules, CPU, torch.float32)
    together = patcher.patches(upload(clips, CPU)).clone()
    alone = torch.cat([patcher.patches(upload([clip], CPU)).clone() for clip in clips])
    assert torch.equal(together, alone)


def test_white_and_black_lie_where_the_model_expects_them(rules: PixelRules) -> None:
    """(1 - mean) / std and -mean / std of the checkpoint's own figures, in bfloat16 too."""
    patcher = Patcher(rules, CPU, torch.bfloat16)
    for value, light in ((0, 0.0), (255, 1.0)):
        clip = np.full((2, 28, 28, 3), value, np.uint8)
        planes = patcher.patches(upload([clip], CPU)).view(-1, 3, 392).float()
        for channel in range(3):
            wanted = (light - rules.mean[channel]) / rules.std[channel]
            assert planes[:, channel].unique().item() == pytest.approx(wanted, rel=1 / 256)


@pytest.mark.parametrize("shape", [(3, 28, 28, 3), (4, 30, 28, 3), (4, 28, 27, 3), (4, 28, 28, 4)])
def test_clip_that_does_not_divide_is_refused(
    rules: PixelRules, shape: tuple[int, int, int, int]
) -> None:
    with pytest.raises(EngineFailed, match=f"{shape[2]}x{shape[1]}"):
        grid_of(shape, rules)


def test_grid_counts_pairs_rows_and_columns(rules: PixelRules) -> None:
    grid = grid_of((20, 252, 336, 3), rules)
    assert (grid, grid.tokens) == (Grid(10, 9, 12), 1080)


@pytest.mark.parametrize("size", [(252, 252), (196, 336), (28, 112), (560, 1008)])
def test_official_rule_leaves_clips_of_our_sizes_as_they_are(size: tuple[int, int]) -> None:
    """So that nothing is lost by not resizing: sides are multiples of 28 already."""
    rules_of_pictures = pytest.importorskip(
        "transformers.models.qwen2_vl.image_processing_pil_qwen2_vl",
        reason="before transformers 5 it has no module without torchvision",
    )
    limits = {key: PIXEL_RULES[key] for key in ("min_pixels", "max_pixels")}
    assert rules_of_pictures.smart_resize(*size, factor=28, **limits) == size
