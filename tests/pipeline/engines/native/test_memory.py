"""The plan of memory, held against the forward of a 7B as it is written, and against figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgewatch.pipeline.engines.checkpoint import Tensor
from edgewatch.pipeline.engines.memory_plan import Memory
from edgewatch.pipeline.engines.native.language import LanguageWeights
from edgewatch.pipeline.engines.native.loading import load
from edgewatch.pipeline.engines.native.memory import (
    EmptyWeights,
    Usage,
    held_by,
    plan_of,
    usage_of,
    usage_of_weights,
)
from edgewatch.pipeline.engines.native.network import Network, load_network
from edgewatch.pipeline.engines.native.packing import Passage, pack
from edgewatch.pipeline.engines.native.sharing.shards import Shard
from edgewatch.pipeline.engines.native.sizes import Sizes, sizes_of
from edgewatch.pipeline.engines.native.vision import VisionWeights
from edgewatch.pipeline.engines.native.weights.assembly import assemble, expected_shapes
from edgewatch.pipeline.engines.native.weights.source import PlainSource, Precision
from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules, read_checkpoint
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.engines.qwen.script import Script
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.errors import EngineFailed
from tests.pipeline.engines.native.live_bytes import BareOperations, FusedAttention, LiveBytes
from tests.pipeline.engines.native.stored_models import modelopt

CPU = torch.device("cpu")
GB = 10**9
CONFIG_7B: dict[str, Any] = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "rope_scaling": {"mrope_section": [16, 24, 24]},
    "vision_config": {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "out_hidden_size": 3584,
    },
}
SIDE, PAIRS, TEXT = 252, 10, 252
LARGEST = LargestClip(frames=2 * PAIRS, pixels=round(SIDE**2 / 1.05))
"""With the room for larger frames it has just that side."""


def weights_7b(precision: Precision) -> tuple[Sizes, VisionWeights, LanguageWeights]:
    """A 7B with fewer layers: what a batch takes is the same in each."""
    few = CONFIG_7B | {"num_hidden_layers": 3}
    few["vision_config"] = CONFIG_7B["vision_config"] | {"depth": 3, "fullatt_block_indexes": [1]}
    sizes = sizes_of(few)
    headers = {
        name: (Path(), Tensor(name, "BF16", shape, 0))
        for name, shape in expected_shapes(sizes).items()
    }
    return sizes, *assemble(sizes, PlainSource(EmptyWeights(headers), torch.bfloat16, precision))


@pytest.mark.parametrize("precision", ["plain", "fp8"])
def test_a_batch_takes_what_the_forward_holds(precision: Precision) -> None:
    clips = 8
    sizes, vision, language = weights_7b(precision)
    rules = PixelRules((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 1 / 255)
    network = Network(sizes, vision, language, rules, BareOperations(torch.bfloat16))
    used = usage_of_weights(sizes, vision, language, LARGEST, text_tokens=TEXT)
    grid = Grid(PAIRS, SIDE // 28, SIDE // 28)
    passage = Passage(Script((0,) * 30, (0,) * (TEXT - 30)), grid, 0.5)
    packed = pack([passage] * clips, tokens_per_second=2.0)
    network.vision.see([torch.empty((1, 2, SIDE, SIDE, 3), dtype=torch.uint8, device="meta")])
    with LiveBytes() as seeing, torch.inference_mode():
        pixels = torch.empty((clips * PAIRS, 2, SIDE, SIDE, 3), dtype=torch.uint8, device="meta")
        features = network.vision.see([pixels])[0].flatten(0, 1)
    del pixels
    with LiveBytes() as reading, FusedAttention(), torch.inference_mode():
        given = torch.empty_like(features)
        network.language.logits(network.language.read(packed, given))
    assert seeing.peak == pytest.approx(clips * used.seeing_bytes, rel=0.01)
    assert reading.peak == pytest.approx(clips * used.reading_bytes, rel=0.01)


@pytest.mark.parametrize("precision", ["auto", "bf16", "fp8"])
@pytest.mark.parametrize("stored", ["plain", "FP8", "NVFP4"])
def test_weights_are_planned_to_the_byte(
    tiny: Path, tmp_path: Path, stored: str, precision: Any
) -> None:
    directory = tiny if stored == "plain" else modelopt(tiny, tmp_path / stored, stored)
    setup = EngineSetup(kind="native", model=directory, precision=precision)
    shards = (None, Shard(1, 2)) if stored != "NVFP4" else (None,)
    for shard in shards:
        network = load_network(
            directory, read_checkpoint(directory).pixels, CPU, precision=precision, shard=shard
        )
        held = held_by(network.vision._weights, network.language._weights)
        assert usage_of(setup, CPU, shard=shard).weights_bytes == held


def test_what_is_kept_and_held_counts(tiny: Path) -> None:
    setup = EngineSetup(kind="native", model=tiny, vision_cache_bytes=10**9)
    silent = replace(setup, form=replace(setup.form, words_tokens=0))
    bare = usage_of(replace(silent, incremental=False), CPU)
    assert usage_of(silent, CPU).kept_bytes - bare.kept_bytes == 10**9
    assert bare.held_bytes == 0
    speaking = usage_of(setup, CPU)
    # 2 layers, key and value, 2 heads of 16, float32: 512 bytes a token.
    tokens = 10 * 86 + 512
    assert speaking.held_bytes == tokens * 512
    assert speaking.clip_bytes >= speaking.reading_bytes + 2 * speaking.held_bytes
    assert speaking.peak_bytes(3) == (
        speaking.weights_bytes + speaking.kept_bytes + 3 * speaking.clip_bytes
    )


class TestChosenBatch:
    USED = Usage(
        weights_bytes=16 * GB,
        seeing_bytes=GB // 8,
        reading_bytes=GB // 4,
        held_bytes=0,
        kept_bytes=GB,
    )

    def batch(self, free: float, *, unified: bool = False, cache: float = 0) -> int:
        free_memory = Memory(int(free * GB), int(cache * GB))
        return plan_of(Path("m"), self.USED, 8, free_memory, unified=unified).batch

    def test_is_the_largest_that_fits(self) -> None:
        assert self.batch(80) == 8
        assert self.batch(18.5 + 8 * 0.25 + 0.01) == 8
        assert self.batch(18.5 + 8 * 0.25 - 0.01) == 7
        assert self.batch(18.5 + 0.2) == 0

    def test_leaves_more_to_the_host_where_memory_is_shared(self) -> None:
        assert self.batch(21, unified=True) == 0
        assert self.batch(32, unified=True) == 8

    def test_says_what_to_do(self) -> None:
        plan = plan_of(Path("m"), self.USED, 8, Memory(15 * GB, 30 * GB), unified=True)
        with pytest.raises(EngineFailed, match=r"needs 31.9 GB \(weights 16.0 GB") as caught:
            plan.require()
        assert "free the page cache" in str(caught.value)


def test_what_does_not_fit_is_refused_before_anything_is_read(tiny: Path) -> None:
    setup = EngineSetup(
        kind="native", model=tiny, device="cpu", largest_clip=LargestClip(pixels=10**12)
    )
    with pytest.raises(EngineFailed, match="not enough memory") as caught:
        load(setup, lambda: True)
    assert "set fewer [clips] pixels or seconds" in str(caught.value)
