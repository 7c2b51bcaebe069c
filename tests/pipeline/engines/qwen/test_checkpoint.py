"""A checkpoint's directory: what is read of it, and each way in which it can be incomplete."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.qwen.quantisation import Quantisation
from edgewatch.pipeline.errors import EngineFailed
from tests.fakes.tiny_qwen import make_tiny_qwen


def change(directory: Path, name: str, edit: Callable[[dict[str, Any]], object]) -> None:
    table = json.loads((directory / name).read_text("utf-8"))
    edit(table)
    (directory / name).write_text(json.dumps(table), "utf-8")


def first_shard(directory: Path) -> Path:
    return min(directory.glob("*.safetensors"))


def test_whole_checkpoint_tells_what_is_needed(tiny: Path) -> None:
    found = read_checkpoint(tiny)
    assert found.pixels.mean == (0.48145466, 0.4578275, 0.40821073)
    assert (found.pixels.side, found.pixels.patch_values) == (28, 1176)
    assert found.tokens_per_second == 2
    assert found.quantisation is None
    assert len(found.stop_tokens) == 2
    assert found.name == f"tiny-qwen@{found.hash}"
    assert len(found.hash) == 8


def test_hash_is_of_the_contents_alone(tiny: Path, copy: Path, tmp_path: Path) -> None:
    assert read_checkpoint(copy).hash == read_checkpoint(tiny).hash
    other = make_tiny_qwen(tmp_path / "other", seed=1)
    assert read_checkpoint(other).hash != read_checkpoint(tiny).hash


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("config.json", lambda table: table.update(rope_theta=5e5)),
        ("preprocessor_config.json", lambda table: table.update(image_mean=[0.5, 0.5, 0.5])),
    ],
)
def test_hash_changes_with_what_changes_answers(
    tiny: Path, copy: Path, name: str, edit: Callable[[dict[str, Any]], object]
) -> None:
    change(copy, name, edit)
    assert read_checkpoint(copy).hash != read_checkpoint(tiny).hash


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "preprocessor_config.json"])
def test_missing_file_is_named_with_the_cure(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(EngineFailed, match=f"{copy / name}.*download"):
        read_checkpoint(copy)


def test_directory_that_is_not_there_is_named_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"\[engine\] model: .*nowhere is no directory"):
        read_checkpoint(tmp_path / "nowhere")


def test_missing_shard_is_named(copy: Path) -> None:
    shard = first_shard(copy)
    shard.unlink()
    with pytest.raises(EngineFailed, match=f"{shard.name}.*download"):
        read_checkpoint(copy)


def test_shard_whose_download_broke_off_is_named(copy: Path) -> None:
    shard = first_shard(copy)
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(EngineFailed, match=f"{shard} is cut short"):
        read_checkpoint(copy)


def test_pointer_instead_of_weights_is_recognised(copy: Path) -> None:
    shard = first_shard(copy)
    shard.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "utf-8")
    with pytest.raises(EngineFailed, match="git lfs pull"):
        read_checkpoint(copy)


def test_weights_that_can_run_code_are_refused(copy: Path) -> None:
    for file in copy.glob("*.safetensors*"):
        file.unlink()
    (copy / "pytorch_model.bin").touch()
    with pytest.raises(EngineFailed, match="safetensors of the same"):
        read_checkpoint(copy)


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda table: table.update(model_type="llama"), "'llama'.*Cosmos"),
        (lambda table: table["vision_config"].pop("tokens_per_second"), "tokens_per_second"),
        (lambda table: table.pop("video_token_id"), "video_token_id"),
        (lambda table: table["vision_config"].update(patch_size=16), "32 pixels wide"),
    ],
)
def test_config_of_another_model_is_refused(
    copy: Path, edit: Callable[[dict[str, Any]], object], named: str
) -> None:
    change(copy, "config.json", edit)
    with pytest.raises(EngineFailed, match=named):
        read_checkpoint(copy)


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_config_that_is_no_json_object_is_named(copy: Path, text: str) -> None:
    (copy / "config.json").write_text(text, "utf-8")
    with pytest.raises(EngineFailed, match=r"config\.json"):
        read_checkpoint(copy)


@pytest.mark.parametrize("mean", [[0.5, 0.5], "grey", [0.5, None, 0.5]])
def test_pixel_rules_that_are_none_are_named(copy: Path, mean: object) -> None:
    change(copy, "preprocessor_config.json", lambda table: table.update(image_mean=mean))
    with pytest.raises(EngineFailed, match="image_mean"):
        read_checkpoint(copy)


def test_video_rules_go_before_those_of_pictures(copy: Path) -> None:
    """As transformers 5 writes them, in one file with a section each."""
    rules = json.loads((copy / "preprocessor_config.json").read_text("utf-8"))
    video = {**rules, "image_mean": [0.1, 0.2, 0.3]}
    (copy / "video_preprocessor_config.json").write_text(json.dumps(video), "utf-8")
    assert read_checkpoint(copy).pixels.mean == (0.1, 0.2, 0.3)
    nested = {"video_processor": {**rules, "image_mean": [0.4, 0.5, 0.6]}, "image_processor": rules}
    (copy / "processor_config.json").write_text(json.dumps(nested), "utf-8")
    assert read_checkpoint(copy).pixels.mean == (0.4, 0.5, 0.6)


def test_quantised_checkpoint_says_so(copy: Path) -> None:
    change(
        copy,
        "config.json",
        lambda table: table.update(
            quantization_config={"quant_method": "compressed-tensors", "format": "float-quantized"}
        ),
    )
    assert read_checkpoint(copy).quantisation == Quantisation(
        "compressed-tensors", "float-quantized"
    )
    (copy / "hf_quant_config.json").write_text(
        json.dumps({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4"}}),
        "utf-8",
    )
    assert read_checkpoint(copy).quantisation == Quantisation("modelopt", "NVFP4")
    (copy / "hf_quant_config.json").write_text("{}", "utf-8")
    with pytest.raises(EngineFailed, match=r"hf_quant_config\.json cannot be read"):
        read_checkpoint(copy)
