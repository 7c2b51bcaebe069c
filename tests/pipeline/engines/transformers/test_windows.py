from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.qwen.pixels import grid_of, upload
from edgewatch.pipeline.engines.transformers.network import Network, load_network
from tests.pipeline.engines.asked_clips import asked

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network(tiny: Path) -> Network:
    return load_network(read_checkpoint(tiny), CPU)


@pytest.mark.parametrize(
    ("frames", "height", "width"), [(2, 28, 28), (4, 112, 112), (6, 84, 196), (8, 252, 252)]
)
@pytest.mark.parametrize("count", [1, 3])
def test_groups_of_windows_see_what_the_library_sees_window_by_window(
    network: Network, tiny: Path, frames: int, height: int, width: int, count: int
) -> None:
    clips = [asked(seed, frames=frames, height=height, width=width).frames for seed in range(count)]
    grid = grid_of(clips[0].shape, read_checkpoint(tiny).pixels)
    patches = network.patcher.patches(upload(clips, CPU))
    grouped = network.see(patches, grid, count)
    with network.windows.ungrouped():
        one_by_one = network.see(patches, grid, count)
    assert torch.allclose(grouped, one_by_one, atol=1e-5)
    if grid.tokens > 1:
        assert not torch.allclose(grouped[0, 0], grouped[0, -1])  # it does see something


def test_uneven_windows_are_grouped_by_size_and_empty_ones_left_out(network: Network) -> None:
    groups = network.windows.plan(torch.tensor([0, 4, 6, 6, 10, 12]))
    assert [group.length for group in groups] == [2, 4]
    places = [group.places.tolist() for group in groups if group.places is not None]
    assert places == [[4, 5, 10, 11], [0, 1, 2, 3, 6, 7, 8, 9]]


def test_windows_of_one_size_need_no_gathering(network: Network) -> None:
    (group,) = network.windows.plan(torch.tensor([0, 4, 8, 12]))
    assert (group.length, group.places) == (4, None)
