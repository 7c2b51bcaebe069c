"""Checkpoints that TensorRT-LLM would load wrongly, or not at all, are told from those that do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.engines.tensorrt.checks import checked, weights_hash
from edgewatch.pipeline.engines.tensorrt.plan import Plan, misshapen, video_tokens
from edgewatch.pipeline.errors import EngineFailed
from tests.pipeline.engines.tensorrt.checkpoint import (
    CONFIG,
    NVFP4,
    write_checkpoint,
    write_json,
    write_weights,
)

LARGEST = LargestClip()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "model")


def changed(file: Path, *path: str, to: Any) -> None:
    """Change one value of a JSON file; None takes the key out."""
    tree = json.loads(file.read_text())
    branch = tree
    for key in path[:-1]:
        branch = branch[key]
    if to is None:
        del branch[path[-1]]
    else:
        branch[path[-1]] = to
    write_json(file, tree)


def test_whole_checkpoint_will_do(checkpoint: Path) -> None:
    found = checked(checkpoint, LARGEST)
    assert (found.quantisation, found.weights_bytes, found.warnings) == ("NVFP4", 64, ())


def test_unquantised_and_8_bit_checkpoints_will_do(checkpoint: Path) -> None:
    (checkpoint / "hf_quant_config.json").unlink()
    write_weights(checkpoint / "model.safetensors", dtype="BF16")
    assert checked(checkpoint, LARGEST).quantisation == "bf16"
    groups = {"config_groups": {"a": {"weights": {"num_bits": 8}}}}
    changed(
        checkpoint / "config.json",
        "quantization_config",
        to={"quant_method": "compressed-tensors", **groups},
    )
    assert checked(checkpoint, LARGEST).quantisation == "compressed-tensors 8 bits"


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "hf_quant_config.json", "preprocessor_config.json"),
        *("tokenizer_config.json", "tokenizer.json", "model.safetensors"),
    ],
)
def test_missing_file_is_named(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(EngineFailed, match=name.replace(".", r"\.")) as told:
        checked(checkpoint, LARGEST)
    assert told.value.cure


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="there is no directory"):
        checked(tmp_path / "nowhere", LARGEST)


@pytest.mark.parametrize(
    ("file", "path", "value", "told"),
    [
        ("config.json", ("model_type",), "llava", "of type 'llava'"),
        ("config.json", ("rope_scaling",), None, "lacks rope_scaling"),
        ("config.json", ("rope_scaling", "mrope_section"), None, "lacks rope_scaling"),
        ("config.json", ("vision_config", "tokens_per_second"), None, "tokens_per_second"),
        ("config.json", ("vision_config", "patch_size"), 16, "patch_size = 16, not 14"),
        ("preprocessor_config.json", ("min_pixels",), None, "lacks min_pixels"),
        ("preprocessor_config.json", ("min_pixels",), 100_352, "100352 to 12845056 pixels"),
        ("preprocessor_config.json", ("max_pixels",), 50_000, "3136 to 50000 pixels"),
        ("hf_quant_config.json", ("quantization",), None, 'no "quantization"'),
        ("hf_quant_config.json", ("quantization", "group_size"), 32, "groups of 32, not 16"),
        (
            "hf_quant_config.json",
            ("quantization", "quant_algo"),
            "W8A8_SQ_PER_CHANNEL",
            "no layers",
        ),
        (
            "hf_quant_config.json",
            ("quantization", "exclude_modules"),
            ["lm_head"],
            "does not exclude visual",
        ),
    ],
)
def test_wrong_value_is_told_with_file_and_cure(
    checkpoint: Path, file: str, path: tuple[str, ...], value: Any, told: str
) -> None:
    changed(checkpoint / file, *path, to=value)
    with pytest.raises(EngineFailed, match=told) as error:
        checked(checkpoint, LARGEST)
    assert file in error.value.what
    assert error.value.cure


@pytest.mark.parametrize(
    ("embedded", "told"),
    [
        ({"quant_method": "bitsandbytes"}, 'kind = "transformers"'),
        ({"quant_method": "modelopt"}, "there is no hf_quant_config.json"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"a": {"weights": {"num_bits": 4}}},
            },
            "loads 8 only",
        ),
    ],
)
def test_quantisation_it_does_not_load_is_told(
    checkpoint: Path, embedded: dict[str, Any], told: str
) -> None:
    (checkpoint / "hf_quant_config.json").unlink()
    write_json(checkpoint / "config.json", {**CONFIG, "quantization_config": embedded})
    with pytest.raises(EngineFailed, match=told):
        checked(checkpoint, LARGEST)


def test_cut_weights_are_told(checkpoint: Path) -> None:
    write_weights(checkpoint / "model.safetensors", cut=3)
    with pytest.raises(EngineFailed, match="cut short"):
        checked(checkpoint, LARGEST)


def test_broken_json_is_told(checkpoint: Path) -> None:
    (checkpoint / "preprocessor_config.json").write_text("{")
    with pytest.raises(EngineFailed, match=r"preprocessor_config\.json cannot be read"):
        checked(checkpoint, LARGEST)


def test_quantised_cache_is_warned_of(checkpoint: Path) -> None:
    changed(checkpoint / "hf_quant_config.json", "quantization", "kv_cache_quant_algo", to="FP8")
    (warning,) = checked(checkpoint, LARGEST).warnings
    assert "--kv_cache_qformat none" in warning


def test_video_preprocessor_has_the_last_word(checkpoint: Path) -> None:
    write_json(checkpoint / "video_preprocessor_config.json", {"size": {"shortest_edge": 100_352}})
    with pytest.raises(EngineFailed, match=r"video_preprocessor_config\.json lacks"):
        checked(checkpoint, LARGEST)


def test_hash_changes_with_weights_and_quantisation(checkpoint: Path) -> None:
    first = weights_hash(checkpoint)
    assert weights_hash(checkpoint) == first
    assert len(first) == 8
    write_weights(checkpoint / "model.safetensors", size_bytes=63)
    second = weights_hash(checkpoint)
    write_json(checkpoint / "hf_quant_config.json", {**NVFP4, "producer": {"name": "other"}})
    assert len({first, second, weights_hash(checkpoint)}) == 3


# The plan


def test_clip_of_20_frames_of_252_has_810_tokens() -> None:
    assert video_tokens((20, 252, 252, 3)) == 810


@pytest.mark.parametrize(
    ("largest", "max_batch"),
    [(LargestClip(), 8), (LargestClip(4, 12_544), 1), (LargestClip(40, 200_704), 32)],
)
def test_every_prompt_fits_whole(largest: LargestClip, max_batch: int) -> None:
    room = Plan.of(EngineSetup(largest_clip=largest, max_batch=max_batch))
    cells = int(1.05 * largest.pixels / 784)
    prompt_tokens = largest.frames // 2 * cells + 1000
    assert room.max_num_tokens >= prompt_tokens
    assert room.max_seq_len >= prompt_tokens + 96
    assert room.kv_tokens >= max_batch * (prompt_tokens + 96)
    assert room.in_flight == 2 * max_batch


def test_step_of_usual_clips_stays_within_the_vision_encoders_buffers() -> None:
    room = Plan.of(EngineSetup())
    assert room.max_num_tokens <= 8192 // 4 + 100


@pytest.mark.parametrize(
    ("shape", "fps", "told"),
    [
        ((3, 28, 28, 3), 4.0, "3 frames"),
        ((0, 28, 28, 3), 4.0, "0 frames"),
        ((2, 28, 30, 3), 4.0, "multiples"),
        ((2, 28, 5600, 3), 4.0, "multiples"),
        ((2, 28, 28, 4), 4.0, "4 channels"),
        ((2, 28, 28, 3), float("nan"), "frames a second"),
        ((2, 28, 28, 3), 4.0, ""),
    ],
)
def test_misshapen_clips_are_told(shape: tuple[int, ...], fps: float, told: str) -> None:
    said = misshapen(np.zeros(shape, np.uint8), fps)
    assert (told in said) if told else not said
