"""What a checkpoint says of its quantisation, and the layers its headers show."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewatch.pipeline.engines.checkpoint import Tensor
from edgewatch.pipeline.engines.modelopt.arithmetic import Arithmetic, Way, ways
from edgewatch.pipeline.engines.modelopt.layers import held_bytes, layers_among
from edgewatch.pipeline.engines.modelopt.scheme import FORMATS, Scheme, read_scheme
from edgewatch.pipeline.errors import EngineFailed

UP = "model.layers.0.mlp.up_proj"


def write(folder: Path, **quantisation: Any) -> Path:
    table = {"producer": {"name": "modelopt"}, "quantization": quantisation}
    (folder / "hf_quant_config.json").write_text(json.dumps(table), "utf-8")
    return folder


def scheme(algorithm: str, **others: Any) -> Scheme:
    return Scheme(FORMATS[algorithm], FORMATS[algorithm].group, **others)


def tensor(part: str, dtype: str, *shape: int, layer: str = UP) -> Tensor:
    size = {"U8": 1, "I8": 1, "F8_E4M3": 1, "BF16": 2, "F32": 4}[dtype]
    made = Tensor(f"{layer}.{part}", dtype, shape, 0)
    return replace(made, stored_bytes=made.elements * size)


WHOLE = {
    "NVFP4": (
        tensor("weight", "U8", 8, 16),
        tensor("weight_scale", "F8_E4M3", 8, 2),
        tensor("weight_scale_2", "F32"),
        tensor("input_scale", "F32"),
    ),
    "FP8": (
        tensor("weight", "F8_E4M3", 8, 32),
        tensor("weight_scale", "F32", 1),
        tensor("input_scale", "F32"),
        tensor("bias", "BF16", 8),
    ),
    "W8A8_SQ_PER_CHANNEL": (
        tensor("weight", "I8", 8, 32),
        tensor("weight_scale", "F32", 8),
        tensor("pre_quant_scale", "BF16", 32),
    ),
    "W4A16_AWQ": (tensor("weight", "U8", 4, 256), tensor("weight_scale", "F32", 8, 2)),
}


class TestScheme:
    def test_reads_format_group_and_what_is_left_out(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            quant_algo="NVFP4",
            group_size=16,
            kv_cache_quant_algo="FP8",
            exclude_modules=["lm_head", "visual*"],
        )
        found = read_scheme(tmp_path)
        assert (found.format.title, found.group, found.cache) == ("NVFP4", 16, "FP8")
        assert found.excludes("visual.merger.mlp.0")
        assert not found.excludes(UP)

    def test_config_json_says_it_where_the_other_file_is_missing(self, tmp_path: Path) -> None:
        table = {
            "quantization_config": {
                "quant_algo": "FP8",
                "ignore": ["lm_head"],
                "config_groups": {"group_0": {"weights": {"num_bits": 8}}},
                "kv_cache_scheme": {"num_bits": 8, "type": "float"},
            }
        }
        (tmp_path / "config.json").write_text(json.dumps(table), "utf-8")
        assert read_scheme(tmp_path) == Scheme(FORMATS["FP8"], 0, ("lm_head",), "8 bits")

    @pytest.mark.parametrize(
        ("said", "named"),
        [
            ({"quant_algo": "MIXED_PRECISION"}, r"MIXED_PRECISION.*kind = \"tensorrt\".*bf16"),
            ({"quant_algo": "W4A8_AWQ"}, r"'W4A8_AWQ'.*NVFP4.*FP8.*INT8 SmoothQuant.*tensorrt"),
            ({"quant_algo": None}, r"None.*edgewatch quantize"),
            ({"quant_algo": "NVFP4", "group_size": 32}, r"group_size 32, not groups of 16"),
            ({"quant_algo": "W4A16_AWQ", "group_size": 0}, r"group_size 0, not a size"),
            ({}, r"does not say how.*edgewatch quantize"),
        ],
    )
    def test_what_is_not_known_is_refused_with_the_cure(
        self, tmp_path: Path, said: dict[str, Any], named: str
    ) -> None:
        with pytest.raises(EngineFailed, match=named):
            read_scheme(write(tmp_path, **said))

    def test_unreadable_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "hf_quant_config.json").write_text("[", "utf-8")
        with pytest.raises(EngineFailed, match=r"hf_quant_config\.json cannot be read"):
            read_scheme(tmp_path)


class TestLayers:
    @pytest.mark.parametrize(("algorithm", "columns"), [(name, 32) for name in list(WHOLE)[:3]])
    def test_layer_has_its_real_size(self, algorithm: str, columns: int) -> None:
        found = layers_among(WHOLE[algorithm], scheme(algorithm), "here")[UP]
        assert (found.rows, found.columns) == (8, columns)
        assert len(found.parts) == len(WHOLE[algorithm])

    def test_int4_holds_two_rows_in_one(self) -> None:
        found = layers_among(WHOLE["W4A16_AWQ"], scheme("W4A16_AWQ"), "here")[UP]
        assert (found.rows, found.columns) == (8, 256)

    def test_plain_layers_are_none_of_them(self) -> None:
        plain = [tensor("weight", "BF16", 8, 8, layer="lm_head")]
        assert layers_among(plain, scheme("FP8"), "here") == {}

    @pytest.mark.parametrize(
        ("algorithm", "tensors", "named"),
        [
            ("NVFP4", WHOLE["NVFP4"][:3], "lacks its input_scale"),
            ("NVFP4", (WHOLE["NVFP4"][0], *WHOLE["NVFP4"][2:]), "lacks its weight_scale"),
            ("FP8", WHOLE["FP8"][:1], "lacks its weight_scale"),
            ("W4A16_AWQ", WHOLE["W4A16_AWQ"][:1], "lacks its weight_scale"),
            ("FP8", WHOLE["NVFP4"], "stored as U8"),
            (
                "NVFP4",
                (WHOLE["NVFP4"][0], tensor("weight_scale", "F8_E4M3", 8, 4), *WHOLE["NVFP4"][2:]),
                r"weight_scale of shape \(8, 4\), not \(8, 2\)",
            ),
            (
                "NVFP4",
                (WHOLE["NVFP4"][0], tensor("weight_scale", "F32", 8, 2), *WHOLE["NVFP4"][2:]),
                "weight_scale of F32, not of F8_E4M3",
            ),
            ("NVFP4", (tensor("weight", "U8", 8, 12),), "24 inputs, no multiple .* of 16"),
            (
                "W8A8_SQ_PER_CHANNEL",
                (*WHOLE["W8A8_SQ_PER_CHANNEL"][:2], tensor("pre_quant_scale", "BF16", 31)),
                r"pre_quant_scale of shape \(31,\), not \(32,\)",
            ),
        ],
    )
    def test_layer_that_is_not_whole_is_named_with_the_cure(
        self, algorithm: str, tensors: tuple[Tensor, ...], named: str
    ) -> None:
        with pytest.raises(EngineFailed, match=f"{UP} .*{named}.*edgewatch quantize"):
            layers_among(tensors, scheme(algorithm), "here")

    def test_quantised_layer_that_should_not_be_is_refused(self) -> None:
        with pytest.raises(EngineFailed, match=r"though .* excludes it"):
            layers_among(WHOLE["FP8"], scheme("FP8", excluded=("*up_proj",)), "here")


class TestArithmetic:
    def test_fp8_runs_really_where_the_device_can(self) -> None:
        assert ways(scheme("FP8"), fp8_products=True) == ("native",)
        assert ways(scheme("FP8"), fp8_products=False) == ("unpacked", "packed")
        assert ways(scheme("NVFP4"), fp8_products=True) == ("unpacked", "packed")

    def test_what_is_imitated_is_said(self) -> None:
        said = Arithmetic(scheme("NVFP4"), "packed", "bfloat16")
        assert said.simulated == "NVFP4 imitated in bfloat16"
        assert said.sentence == "NVFP4 imitated in bfloat16, weights unpacked at each call"
        real = Arithmetic(scheme("FP8"), "native", "bfloat16")
        assert (real.simulated, real.sentence) == ("", "FP8 products of the device")
        weights = Arithmetic(scheme("W4A16_AWQ"), "unpacked", "float32")
        assert weights.simulated == "INT4 AWQ unpacked to float32"

    def test_quantised_keys_and_values_are_said_not_to_be_imitated(self) -> None:
        cache = "keys and values in bfloat16, not FP8"
        real = Arithmetic(scheme("FP8", cache="FP8"), "native", "bfloat16")
        assert real.simulated == cache
        imitated = Arithmetic(scheme("NVFP4", cache="FP8"), "unpacked", "bfloat16")
        assert imitated.simulated == f"NVFP4 imitated in bfloat16, {cache}"

    @pytest.mark.parametrize(
        ("algorithm", "unpacked", "packed"),
        [
            ("NVFP4", 8 * 32 * 2 + 16 + 8, 8 * 16 + 16 + 8),
            ("FP8", 8 * 32 * 2 + 8 + 16, 8 * 32 + 8 + 16),
            ("W8A8_SQ_PER_CHANNEL", 8 * 32 * 2 + 32 + 64, 8 * 32 + 32 + 64),
            ("W4A16_AWQ", 8 * 256 * 2 + 64, 4 * 256 + 64),
        ],
    )
    def test_memory_is_that_of_the_way(self, algorithm: str, unpacked: int, packed: int) -> None:
        sizes = []
        wanted: tuple[Way, ...] = ("unpacked", "packed")
        for way in wanted:
            held = held_bytes(Arithmetic(scheme(algorithm), way, "bfloat16"), plain_bytes=2)
            sizes.append(sum(map(held, WHOLE[algorithm])))
        assert sizes == [unpacked, packed]
