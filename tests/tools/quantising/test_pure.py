"""What a quantised checkpoint must hold, how far it may drift, and what its config.json says."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.config.errors import ConfigError
from edgewatch.pipeline.engines.checkpoint import Tensor
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.tools.quantising import blueprint, config_file
from edgewatch.tools.quantising.blueprint import Linear
from edgewatch.tools.quantising.drift import Drift, drift_of
from edgewatch.tools.quantising.formats import FORMATS, format_of_algorithm
from edgewatch.tools.quantising.modelopt import EXCLUDED, recipe
from edgewatch.tools.quantising.outcome import drift_document, drift_lines

CONFIG_7B = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "num_hidden_layers": 28,
}
PUBLISHED = {
    "torch_dtype": "bfloat16",
    "rope_scaling": {"type": "default", "mrope_section": [16, 24, 24], "rope_type": "default"},
    "vision_config": {"tokens_per_second": 2},
}


def bf16(name: str, *shape: int) -> Tensor:
    return Tensor(name, "BF16", shape, 2 * math.prod(shape))


def original_7b() -> list[Tensor]:
    """The language layers' matrices, embedding and head of the published 7B."""
    names = ["model.layers.0.self_attn.q_proj.weight"]
    matrices = blueprint.linears(CONFIG_7B, names)
    return [
        bf16("model.embed_tokens.weight", 152064, 3584),
        bf16("lm_head.weight", 152064, 3584),
        *(bf16(f"{one.name}.weight", one.out, one.width) for one in matrices),
    ]


class TestBlueprint:
    def test_7b_in_nvfp4_takes_four_and_a_half_bits_a_weight(self) -> None:
        tensors = original_7b()
        matrices = blueprint.linears(CONFIG_7B, [one.name for one in tensors])
        assert len(matrices) == 28 * 7
        weights = sum(one.out * one.width for one in matrices)
        plain_bytes = 2 * 2 * 152064 * 3584
        scalars_bytes = 2 * 4 * len(matrices)
        expected = weights * 4.5 / 8 + plain_bytes + scalars_bytes
        assert blueprint.expected_bytes(matrices, FORMATS["nvfp4"], tensors) == expected

    @pytest.mark.parametrize("to", FORMATS.values(), ids=str)
    def test_a_checkpoint_of_its_own_parts_is_right_and_one_without_any_part_is_not(
        self, to: Any
    ) -> None:
        linear = Linear("model.layers.0.mlp.up_proj", 256, 128)
        held = {
            f"{linear.name}.{ending}": Tensor(
                f"{linear.name}.{ending}", part.dtypes[0], part.shape, 0
            )
            for ending, part in to.parts(linear.out, linear.width).items()
        }
        assert blueprint.problems(held, [linear], to, None) == []
        required = {name: part.required for name, part in to.parts(256, 128).items()}
        for ending, needed in required.items():
            less = {name: one for name, one in held.items() if name != f"{linear.name}.{ending}"}
            assert bool(blueprint.problems(less, [linear], to, None)) == needed

    def test_widths_that_do_not_divide_into_groups_are_refused_with_a_cure(self) -> None:
        linear = Linear("model.layers.0.mlp.up_proj", 96, 64)
        blueprint.refuse_widths([linear], FORMATS["nvfp4"])
        with pytest.raises(EngineFailed, match=r"multiple of 128: quantise this model to fp8"):
            blueprint.refuse_widths([linear], FORMATS["int4-awq"])

    def test_a_model_without_language_layers_is_refused(self) -> None:
        with pytest.raises(EngineFailed, match="no tensor of a language layer"):
            blueprint.linears(CONFIG_7B, ["visual.layers.0.self_attn.q_proj.weight"])

    def test_a_config_without_sizes_is_refused(self) -> None:
        with pytest.raises(EngineFailed, match="lacks a size"):
            blueprint.linears({}, ["model.layers.0.self_attn.q_proj.weight"])


class TestConfigFile:
    def test_three_things_are_changed_and_the_original_is_left_alone(self) -> None:
        config = config_file.patched(PUBLISHED, {"quant_algo": "NVFP4"})
        assert config["rope_scaling"] == {"type": "mrope", "mrope_section": [16, 24, 24]}
        assert config["torch_dtype"] == "bfloat16"
        assert config["quantization_config"] == {"quant_algo": "NVFP4"}
        assert config["vision_config"] == {"tokens_per_second": 2}
        assert PUBLISHED["rope_scaling"]["type"] == "default"  # type: ignore[index]
        assert config_file.problems(config) == []

    def test_the_newer_layout_gets_the_older_ones_keys_as_well(self) -> None:
        newer = {
            "dtype": "float32",
            "text_config": {
                "dtype": "float32",
                "rope_parameters": {"mrope_section": [2, 3, 3], "rope_theta": 1e6},
            },
            "vision_config": {"tokens_per_second": 2},
        }
        config = config_file.patched(newer, {})
        assert config["text_config"]["rope_scaling"]["type"] == "mrope"
        assert config["text_config"]["rope_theta"] == 1e6
        assert config["text_config"]["torch_dtype"] == "bfloat16"
        assert "dtype" not in config
        assert config_file.problems(config) == []

    def test_an_original_without_a_sense_of_place_is_refused(self) -> None:
        with pytest.raises(EngineFailed, match="mrope_section"):
            config_file.patched({"rope_scaling": {"type": "default"}}, {})

    def test_each_loss_is_told(self) -> None:
        told = " ".join(config_file.problems({"torch_dtype": "float16"}))
        assert all(word in told for word in ("mrope_section", "float16", "tokens_per_second"))

    def test_a_quantised_cache_is_told_wherever_it_is_switched_on(self) -> None:
        declared = {
            "quant_algo": "NVFP4",
            "group_size": 16,
            "kv_cache_quant_algo": "FP8",
            "exclude_modules": ["lm_head", "visual*"],
        }
        embedded = {"quant_algo": "NVFP4", "kv_cache_scheme": {"num_bits": 8}}
        found = config_file.quantisation_problems(declared, embedded, "NVFP4", 16)
        assert len(found) == 2
        assert all("cache of keys and values" in one for one in found)


class TestRecipe:
    NEW: ClassVar[dict[str, Any]] = {
        "quant_cfg": [{"quantizer_name": "*", "enable": False}],
        "algorithm": "awq",
    }
    OLD: ClassVar[dict[str, Any]] = {
        "quant_cfg": {"default": {"enable": False}},
        "algorithm": "smoothquant",
    }

    def test_the_vision_tower_and_the_head_are_excluded_last(self) -> None:
        rules = recipe(FORMATS["nvfp4"], self.NEW)["quant_cfg"]
        last = rules[-len(EXCLUDED) :]
        assert [one["quantizer_name"] for one in last] == list(EXCLUDED)
        assert not any(one["enable"] for one in last)
        assert len(self.NEW["quant_cfg"]) == 1  # ModelOpt's own table is left alone

    def test_older_releases_keep_a_table(self) -> None:
        config = recipe(FORMATS["int8-sq"], self.OLD)
        assert config["quant_cfg"]["*visual*"]["enable"] is False
        assert config["algorithm"] == "smoothquant"

    def test_nvfp4_is_calibrated_by_the_largest_value(self) -> None:
        assert recipe(FORMATS["nvfp4"], self.NEW)["algorithm"] == "max"
        assert recipe(FORMATS["int4-awq"], self.NEW)["algorithm"] == "awq"
        assert (FORMATS["nvfp4"].group, FORMATS["nvfp4"].samples) == (16, 512)

    def test_an_unknown_algorithm_names_the_known(self) -> None:
        with pytest.raises(ConfigError, match="NVFP4, FP8, W8A8_SQ_PER_CHANNEL, W4A16_AWQ"):
            format_of_algorithm("MXFP4")


class TestDrift:
    def test_mean_largest_and_changed_sides(self) -> None:
        drift = drift_of([0.2, 0.6, 0.9], [0.3, 0.4, 0.9], threshold=0.5)
        assert drift.mean == pytest.approx(0.1)
        assert drift.largest == pytest.approx(0.2)
        assert drift.changed == 1

    def test_beyond_the_limit_it_is_refused_and_says_which(self) -> None:
        drift = drift_of([0.2, 0.6], [0.3, 0.4], threshold=0.5)
        assert drift.refusal(0.15) == ""
        reason = drift.refusal(0.1)
        assert "0.1500 on average (at most 0.1 is allowed, --most-drift)" in reason
        assert "1 of 2 clips change sides" in reason

    def test_an_answer_that_was_lost_is_refused_and_never_averaged(self) -> None:
        drift = drift_of([0.2, 0.6], [0.2, math.nan], threshold=0.5)
        assert drift.mean == 0.0
        assert "no readable answer to 1 of 2" in drift.refusal(1.0)

    def test_nothing_to_compare_is_no_agreement(self) -> None:
        drift = drift_of([math.nan], [0.5], threshold=0.5)
        assert drift.mean is drift.largest is None
        assert "no clip" in drift.refusal(1.0)
        assert "unknown" in drift_lines(drift)[0]
        assert drift_document(drift)["drift_mean"] is None

    def test_unequal_numbers_are_no_pairs(self) -> None:
        with pytest.raises(ValueError, match="no pairs"):
            drift_of([0.1], [], threshold=0.5)

    def test_few_clips_and_imitated_products_are_said(self) -> None:
        drift = drift_of([0.1], [0.1], threshold=0.5, simulated="NVFP4 imitated in bfloat16")
        text = "\n".join(drift_lines(drift))
        assert "1 clips are few" in text
        assert "simulated: NVFP4 imitated in bfloat16" in text
        assert drift_document(drift)["few_clips"] is True

    @settings(max_examples=30)
    @given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
    def test_the_mean_is_the_share_that_changes_sides_over_all_thresholds(
        self, pairs: list[tuple[float, float]]
    ) -> None:
        """What the default limit rests on."""
        before, after = zip(*pairs, strict=True)
        steps = 500
        changed = sum(Drift(before, after, (index + 0.5) / steps).changed for index in range(steps))
        drift = drift_of(before, after, threshold=0.5)
        assert changed / steps / len(pairs) == pytest.approx(drift.mean, abs=2 / steps)
