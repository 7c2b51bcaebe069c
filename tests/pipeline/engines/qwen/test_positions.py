"""Places of tokens in time, height and width."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgewatch.pipeline.engines.qwen.positions import Grid, Places, places

BEFORE, AFTER = 5, 4


def ours(grid: Grid, fps: float, tokens_per_second: float = 2.0) -> Places:
    return places(
        BEFORE, grid, AFTER, seconds_per_pair=2 / fps, tokens_per_second=tokens_per_second
    )


def the_librarys(directory: Path, grid: Grid, fps: float) -> Places:
    """What the installed transformers computes itself for the same prompt."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    config = json.loads((directory / "config.json").read_text("utf-8"))
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**config)).model
    video, start = config["video_token_id"], config["vision_start_token_id"]
    ids = torch.tensor([[1] * (BEFORE - 1) + [start] + [video] * grid.tokens + [1] * AFTER])
    options: dict[str, Any] = {
        "video_grid_thw": torch.tensor([[grid.pairs, grid.rows * 2, grid.columns * 2]]),
        "second_per_grid_ts": torch.tensor([2 / fps]),
    }
    if "mm_token_type_ids" in inspect.signature(model.get_rope_index).parameters:
        options["mm_token_type_ids"] = (ids == video).int() * 2
    found, _ = model.get_rope_index(ids, **options)
    result: Places = found[:, 0].numpy()
    return result


def test_places_by_hand() -> None:
    """3 pairs of 2 x 3 tokens at 4 fps: half a second a pair, two ticks a second."""
    assert ours(Grid(3, 2, 3), fps=4.0).tolist() == [
        [*range(5), *[5] * 6, *[6] * 6, *[7] * 6, 8, 9, 10, 11],
        [*range(5), *[5, 5, 5, 6, 6, 6] * 3, 8, 9, 10, 11],
        [*range(5), *[5, 6, 7] * 6, 8, 9, 10, 11],
    ]


@pytest.mark.parametrize(
    ("fps", "times"),
    [
        (1.0, [0, 4, 8, 12]),
        (2.0, [0, 2, 4, 6]),
        (3.0, [0, 1, 2, 4]),
        (4.0, [0, 1, 2, 3]),
        (8.0, [0, 0, 1, 1]),
    ],
)
def test_time_counts_two_ticks_a_second_cut_to_whole_ones(fps: float, times: list[int]) -> None:
    found = ours(Grid(4, 1, 1), fps)
    assert (found[0, BEFORE:-AFTER] - BEFORE).tolist() == times


def test_text_after_a_long_video_follows_its_last_moment() -> None:
    """10 pairs of 9 x 9: time reaches 9, rows and columns 8."""
    found = ours(Grid(10, 9, 9), fps=4.0)
    assert found[:, -AFTER:].tolist() == [[15, 16, 17, 18]] * 3
    assert found.shape == (3, BEFORE + 810 + AFTER)


@pytest.mark.parametrize("fps", [1.0, 2.0, 3.0, 3.7, 4.0, 6.0, 8.0])
@pytest.mark.parametrize("grid", [Grid(2, 8, 8), Grid(1, 3, 4), Grid(3, 11, 5)])
def test_library_counts_the_same_where_the_video_is_wider_than_long(
    tiny: Path, grid: Grid, fps: float
) -> None:
    if ours(grid, fps)[0, BEFORE:-AFTER].max() - BEFORE >= max(grid.rows, grid.columns):
        pytest.skip("longer than wide: see the last test")
    if (2 / fps) % 1 and cuts_seconds(tiny):
        pytest.skip("this version of transformers cuts a pair's seconds to whole ones")
    assert np.array_equal(ours(grid, fps), the_librarys(tiny, grid, fps))


def cuts_seconds(directory: Path) -> bool:
    """Whether the installed version puts half a second and none at the same time."""
    found = the_librarys(directory, Grid(2, 8, 8), 4.0)
    return bool(found[0, BEFORE] == found[0, -AFTER - 1])


def test_library_goes_on_too_early_after_a_long_video(tiny: Path) -> None:
    """Why its own places are not used: transformers 5 differs from what the model was taught."""
    import transformers

    grid = Grid(10, 9, 9)
    found, theirs = ours(grid, 2.0), the_librarys(tiny, grid, 2.0)
    assert np.array_equal(found[:, :-AFTER], theirs[:, :-AFTER])
    late = 0 if transformers.__version__.startswith("4.") else 10
    assert (found[:, -AFTER:] - theirs[:, -AFTER:]).tolist() == [[late] * AFTER] * 3
