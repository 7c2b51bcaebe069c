"""The memory plan, on checkpoints of made-up headers; files are sparse, none is ever read whole."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgewatch.pipeline.engines.checkpoint import geometry_of, tensors_of, weight_files
from edgewatch.pipeline.engines.memory_plan import (
    FREE_PAGE_CACHE,
    RESERVE_BYTES,
    Memory,
    MemoryPlan,
    kv_bytes,
    memory_of,
    plan,
    token_bytes,
    video_tokens,
)
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.pipeline.errors import EngineFailed

GB = 10**9
DEFAULT = LargestClip()
CONFIG_7B = {
    "model_type": "qwen2_5_vl",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "vision_config": {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}
SIZES = {"BF16": 2, "F32": 4, "U8": 1, "F8_E4M3": 1}
Shapes = Mapping[str, tuple[int, ...]]


def shapes_7b() -> dict[str, tuple[int, ...]]:
    """The tensors of Qwen2.5-VL-7B, as its published index names them."""
    shapes: dict[str, tuple[int, ...]] = {
        "lm_head.weight": (152064, 3584),
        "model.embed_tokens.weight": (152064, 3584),
        "model.norm.weight": (3584,),
        "visual.patch_embed.proj.weight": (1280, 3, 2, 14, 14),
        "visual.merger.ln_q.weight": (1280,),
        "visual.merger.mlp.0.weight": (5120, 5120),
        "visual.merger.mlp.0.bias": (5120,),
        "visual.merger.mlp.2.weight": (3584, 5120),
        "visual.merger.mlp.2.bias": (3584,),
    }
    for layer in range(28):
        at = f"model.layers.{layer}."
        for name, outputs in (("q", 3584), ("k", 512), ("v", 512)):
            shapes[f"{at}self_attn.{name}_proj.weight"] = (outputs, 3584)
            shapes[f"{at}self_attn.{name}_proj.bias"] = (outputs,)
        shapes[f"{at}self_attn.o_proj.weight"] = (3584, 3584)
        shapes[f"{at}mlp.gate_proj.weight"] = (18944, 3584)
        shapes[f"{at}mlp.up_proj.weight"] = (18944, 3584)
        shapes[f"{at}mlp.down_proj.weight"] = (3584, 18944)
        shapes[f"{at}input_layernorm.weight"] = (3584,)
        shapes[f"{at}post_attention_layernorm.weight"] = (3584,)
    for block in range(32):
        at = f"visual.blocks.{block}."
        for name, outputs, inputs in (
            ("attn.qkv", 3840, 1280),
            ("attn.proj", 1280, 1280),
            ("mlp.gate_proj", 3420, 1280),
            ("mlp.up_proj", 3420, 1280),
            ("mlp.down_proj", 1280, 3420),
        ):
            shapes[f"{at}{name}.weight"] = (outputs, inputs)
            shapes[f"{at}{name}.bias"] = (outputs,)
        shapes[f"{at}norm1.weight"] = shapes[f"{at}norm2.weight"] = (1280,)
    return shapes


def write_weights(file: Path, shapes: Shapes, dtype: str = "BF16") -> int:
    """Write a safetensors file whose weights are a hole; returns their bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        begin = end
        length = SIZES[dtype]
        for side in shape:
            length *= side
        end = begin + length
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + end)
    return end


def write_checkpoint(
    folder: Path,
    shapes: Shapes,
    config: Mapping[str, Any] = CONFIG_7B,
    *,
    dtype: str = "BF16",
    files: int = 1,
) -> Path:
    """Write a checkpoint's config and weights, in several files with an index if so asked."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if files == 1:
        write_weights(folder / "model.safetensors", shapes, dtype)
        return folder
    weight_map: dict[str, str] = {}
    for number in range(files):
        name = f"model-{number + 1:05}-of-{files:05}.safetensors"
        part = {key: shapes[key] for key in list(shapes)[number::files]}
        write_weights(folder / name, part, dtype)
        weight_map |= dict.fromkeys(part, name)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture
def model_7b(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "7B", shapes_7b(), files=4)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "tiny", {"model.layers.0.mlp.up_proj.weight": (1000, 1000)})


def with_free(checkpoint: Path, free_gb: float, max_batch: int = 8, **more: Any) -> MemoryPlan:
    return plan(checkpoint, DEFAULT, max_batch, free_bytes=round(free_gb * GB), **more)


class TestFigures:
    def test_the_weights_are_those_of_the_published_checkpoint(self, model_7b: Path) -> None:
        assert with_free(model_7b, 80).weights_bytes == 16_584_333_312

    def test_a_token_of_7b_takes_56_kib(self, model_7b: Path) -> None:
        geometry = geometry_of(model_7b)
        assert token_bytes(geometry) == 56 * 1024
        assert kv_bytes(geometry, DEFAULT) == (video_tokens(geometry, DEFAULT) + 512) * 57_344

    def test_a_clip_has_no_fewer_tokens_than_its_largest_size_makes(self, model_7b: Path) -> None:
        geometry = geometry_of(model_7b)
        assert 810 <= video_tokens(geometry, DEFAULT) <= 860
        odd = LargestClip(frames=21, pixels=63_504)
        assert video_tokens(geometry, odd) > video_tokens(geometry, DEFAULT)

    def test_a_batch_of_eight_takes_about_what_was_measured(self, model_7b: Path) -> None:
        """1.7 GB of activations in a prototype, and 8 x 76 MB of keys and values."""
        found = with_free(model_7b, 80)
        assert 2.2 * GB < 8 * found.clip_bytes < 4.0 * GB

    def test_larger_clips_and_more_of_them_take_more(self, model_7b: Path) -> None:
        small = with_free(model_7b, 80)
        large = plan(model_7b, LargestClip(40, 127_008), 16, free_bytes=80 * GB)
        assert 3.0 < large.clip_bytes / small.clip_bytes < 4.0
        assert large.needed_bytes > small.needed_bytes

    def test_packed_weights_count_as_they_are_stored(self, tmp_path: Path) -> None:
        packed = write_checkpoint(
            tmp_path / "fp4", {"model.layers.0.mlp.up_proj.weight": (1000, 500)}, dtype="U8"
        )
        assert with_free(packed, 1).weights_bytes == 500_000
        assert with_free(packed, 1, weight_bytes=4).weights_bytes == 500_000

    def test_weights_that_are_converted_count_as_what_they_become(self, tiny: Path) -> None:
        assert with_free(tiny, 1).weights_bytes == 2_000_000
        assert with_free(tiny, 1, weight_bytes=4).weights_bytes == 4_000_000
        assert with_free(tiny, 1, quantize="int8").weights_bytes == 1_000_000

    def test_int8_leaves_embeddings_head_and_vectors_alone(self, model_7b: Path) -> None:
        whole, halved = with_free(model_7b, 80), with_free(model_7b, 80, quantize="int8")
        in_layers = sum(one.elements for one in tensors_of(model_7b) if one.is_linear_of_a_layer)
        assert whole.weights_bytes - halved.weights_bytes == in_layers
        assert 0.5 < halved.weights_bytes / whole.weights_bytes < 0.6

    def test_sizes_below_text_config_are_found_too(self, tmp_path: Path) -> None:
        text = {key: value for key, value in CONFIG_7B.items() if key != "vision_config"}
        config = {"text_config": text, "vision_config": CONFIG_7B["vision_config"]}
        newer = write_checkpoint(tmp_path / "newer", {"a.weight": (1, 1)}, config)
        older = write_checkpoint(tmp_path / "older", {"a.weight": (1, 1)})
        assert geometry_of(newer) == geometry_of(older)


class TestDecision:
    def test_what_fits_is_let_pass(self, model_7b: Path) -> None:
        found = with_free(model_7b, 80)
        assert (found.fits, found.batch, found.cure) == (True, 8, "")
        found.require()
        assert re.fullmatch(
            r".*/7B needs \d\d\.\d GB \(weights 16\.6 GB, 8 clips at a time \d\.\d GB, reserve "
            r"1\.6 GB\); 80\.0 GB are free",
            found.sentence,
        )

    def test_a_smaller_batch_is_offered_where_it_fits(self, model_7b: Path) -> None:
        found = with_free(model_7b, 19.6)
        assert not found.fits
        assert 1 <= found.batch < 8
        assert with_free(model_7b, 19.6, max_batch=found.batch).fits
        assert not with_free(model_7b, 19.6, max_batch=found.batch + 1).fits
        with pytest.raises(EngineFailed, match=r"19\.6 GB are free") as caught:
            found.require()
        assert f"max_batch = {found.batch}, which fits" in caught.value.cure
        assert str(caught.value).endswith(caught.value.cure)

    def test_what_fits_with_no_batch_needs_another_checkpoint(self, model_7b: Path) -> None:
        found = with_free(model_7b, 12)
        assert (found.fits, found.batch) == (False, 0)
        assert "quantised checkpoint" in found.cure
        assert "max_batch" not in found.cure

    def test_page_cache_on_unified_memory_is_named_with_what_frees_it(self, model_7b: Path) -> None:
        found = with_free(model_7b, 25, cache_bytes=60 * GB, unified=True)
        assert not found.fits
        assert "25.0 GB are free, and 60.0 GB more are page cache" in found.sentence
        assert FREE_PAGE_CACHE in found.cure
        assert "drop_caches" in FREE_PAGE_CACHE

    def test_page_cache_that_would_not_help_is_no_cure(self, model_7b: Path) -> None:
        found = with_free(model_7b, 12, cache_bytes=1 * GB, unified=True)
        assert FREE_PAGE_CACHE not in found.cure

    def test_unified_memory_leaves_room_for_the_host(self, model_7b: Path) -> None:
        apart, shared = with_free(model_7b, 80), with_free(model_7b, 80, unified=True)
        assert shared.needed_bytes - apart.needed_bytes == 12 * 2**30 - RESERVE_BYTES


class TestFreeMemory:
    MEMINFO = (
        "MemTotal:       127000000 kB\nMemFree:         3000000 kB\nMemAvailable:   60000000 kB\n"
        "Buffers:          100000 kB\nCached:         57000000 kB\nShmem:           1000000 kB\n"
        "HugePages_Total:       0\n"
    )

    def test_a_cpu_has_what_the_kernel_calls_available(self) -> None:
        assert memory_of(self.MEMINFO) == Memory(60_000_000 * 1024)

    def test_a_gpu_with_memory_of_its_own_has_what_its_driver_says(self) -> None:
        assert memory_of(self.MEMINFO, gpu_free_bytes=7 * GB) == Memory(7 * GB)

    def test_on_unified_memory_the_page_cache_is_told_without_shared_memory(self) -> None:
        found = memory_of(self.MEMINFO, gpu_free_bytes=3 * GB, unified=True)
        assert found == Memory(3 * GB, 56_100_000 * 1024)

    def test_what_is_no_meminfo_is_refused(self) -> None:
        with pytest.raises(ValueError, match="MemAvailable"):
            memory_of("nonsense\n")

    def test_this_machine_can_be_read(self) -> None:
        assert memory_of(Path("/proc/meminfo").read_text()).free_bytes > 0


class TestBrokenCheckpoints:
    def refusal(self, checkpoint: Path) -> EngineFailed:
        with pytest.raises(EngineFailed) as caught:
            with_free(checkpoint, 80)
        assert caught.value.cure
        return caught.value

    def test_no_directory(self, tmp_path: Path) -> None:
        error = self.refusal(tmp_path / "absent")
        assert error.what == f"there is no directory {tmp_path / 'absent'}"
        assert "[engine] model" in error.cure

    @pytest.mark.parametrize(
        "name", ["config.json", "model-00003-of-00004.safetensors"]
    )  # fmt: skip
    def test_a_file_is_missing(self, model_7b: Path, name: str) -> None:
        (model_7b / name).unlink()
        assert self.refusal(model_7b).what == f"{model_7b} lacks {name}"

    def test_a_download_that_broke_off(self, model_7b: Path) -> None:
        file = weight_files(model_7b)[1]
        size_bytes = file.stat().st_size
        with file.open("r+b") as stream:
            stream.truncate(size_bytes - 1)
        error = self.refusal(model_7b)
        assert error.what == f"{file} is cut short: {size_bytes - 1} of {size_bytes} bytes"
        assert "download" in error.cure

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x04",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            (2).to_bytes(8, "little") + b"[]",
            (9).to_bytes(8, "little") + b'{"a": 1  ',
            (8).to_bytes(8, "little") + b'{"a": 1}',
        ],
    )
    def test_no_safetensors_file(self, tiny: Path, content: bytes) -> None:
        (tiny / "model.safetensors").write_bytes(content)
        assert str(tiny / "model.safetensors") in self.refusal(tiny).what

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": {}}'])
    def test_an_index_without_files(self, tiny: Path, text: str) -> None:
        (tiny / "model.safetensors.index.json").write_text(text)
        assert "index.json" in self.refusal(tiny).what

    def test_an_index_may_not_lead_out_of_the_checkpoint(self, tiny: Path) -> None:
        (tiny / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../x"}}')
        assert "names a file elsewhere" in self.refusal(tiny).what

    def test_a_model_that_reads_only(self, tmp_path: Path) -> None:
        config = {key: value for key, value in CONFIG_7B.items() if key != "vision_config"}
        error = self.refusal(write_checkpoint(tmp_path / "x", {"a.weight": (1, 1)}, config))
        assert "describes no model that sees" in error.what

    def test_a_size_that_is_missing_is_named(self, tmp_path: Path) -> None:
        config = {key: value for key, value in CONFIG_7B.items() if key != "num_key_value_heads"}
        error = self.refusal(write_checkpoint(tmp_path / "x", {"a.weight": (1, 1)}, config))
        assert "num_key_value_heads" in error.what
