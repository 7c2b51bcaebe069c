"""What is not this model's weights is refused, by name, before any is read or right after."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgewatch.pipeline.engines.native.network import load_network
from edgewatch.pipeline.engines.native.sizes import read_sizes
from edgewatch.pipeline.engines.native.weights.assembly import expected_shapes
from edgewatch.pipeline.engines.native.weights.formats import read_format
from edgewatch.pipeline.engines.native.weights.inventory import refuse_unlike
from edgewatch.pipeline.engines.native.weights.stored import StoredWeights, canonical, drop_pages
from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules
from edgewatch.pipeline.errors import EngineFailed
from tests.pipeline.engines.native.stored_models import (
    WEIGHTS,
    Tensors,
    change,
    compressed,
    modelopt,
    tensors_of,
    write,
)

CPU = torch.device("cpu")
RULES = PixelRules((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 1 / 255)
NORM = "model.norm.weight"
UP = "model.layers.1.mlp.up_proj"
Change = Callable[[Tensors], None]


@pytest.fixture
def whole(tiny: Path, tmp_path: Path) -> Path:
    """The tiny checkpoint in one file, to be spoilt."""
    return write(tiny, tmp_path / "whole", tensors_of(tiny), config={})


def look_through(directory: Path) -> None:
    """Hold the headers against the model, and read nothing."""
    sizes = read_sizes(directory)
    with StoredWeights(directory, CPU) as stored:
        refuse_unlike(
            directory,
            stored.entries,
            expected_shapes(sizes),
            read_format(directory),
            tied=sizes.language.tied,
        )


def refusal(act: Callable[[Path], object], directory: Path) -> str:
    with pytest.raises(EngineFailed) as caught:
        act(directory)
    return str(caught.value)


def load(directory: Path) -> None:
    load_network(directory, RULES, CPU)


class TestHeaders:
    def test_whole_checkpoints_pass(self, tiny: Path, whole: Path, tmp_path: Path) -> None:
        for directory in (tiny, whole, modelopt(tiny, tmp_path / "fp8", "FP8")):
            look_through(directory)

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda held: held.pop(NORM), f"{NORM} is missing"),
            (
                lambda held: held.update({f"{UP}s.weight": held.pop(f"{UP}.weight")}),
                f"{UP}.weight is missing; {UP}s.weight in {WEIGHTS} belongs to no weight",
            ),
            (
                lambda held: held.update({NORM: held[NORM][:-1].clone()}),
                f"{NORM} in {WEIGHTS} has the shape (63,), not (64,)",
            ),
            (
                lambda held: held.update({f"{UP}.weight": held[f"{UP}.weight"].T.contiguous()}),
                f"{UP}.weight in {WEIGHTS} has the shape (64, 96), not (96, 64)",
            ),
            (
                lambda held: held.update({NORM: held[NORM].to(torch.int8)}),
                f"{NORM} in {WEIGHTS} is stored as I8, not as BF16 or F16 or F32",
            ),
            (
                lambda held: held.update(
                    {f"{UP}.weight": held[f"{UP}.weight"].to(torch.float8_e4m3fn)}
                ),
                f"{UP}.weight in {WEIGHTS} is stored as F8_E4M3, not as BF16",
            ),
        ],
        ids=["missing", "renamed", "short", "turned", "of whole numbers", "quantised unsaid"],
    )
    def test_what_is_wrong_is_named(self, whole: Path, spoil: Change, said: str) -> None:
        change(whole, spoil)
        text = refusal(look_through, whole)
        assert said in text
        assert "take config.json and the weights from one checkpoint" in text

    def test_no_more_than_five_are_named(self, whole: Path) -> None:
        def spoil(held: Tensors) -> None:
            for name in [one for one in held if one.endswith("q_proj.bias") or "norm" in one]:
                del held[name]

        change(whole, spoil)
        text = refusal(look_through, whole)
        assert text.count("is missing") == 5
        assert "; and 10 more" in text

    def test_what_is_not_needed_may_be_there(self, whole: Path) -> None:
        change(
            whole,
            lambda held: held.update(
                {
                    "visual.rotary_pos_emb.inv_freq": torch.zeros(4),
                    "model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(8),
                    "model.layers.0.self_attn.k_proj.k_scale": torch.ones(1),
                }
            ),
        )
        look_through(whole)

    def test_tied_head_may_be_stored_or_not(self, whole: Path) -> None:
        config = json.loads((whole / "config.json").read_text("utf-8"))
        config["tie_word_embeddings"] = True
        (whole / "config.json").write_text(json.dumps(config), "utf-8")
        look_through(whole)
        change(whole, lambda held: held.pop("lm_head.weight"))
        load(whole)

    def test_patches_may_be_those_of_a_matrix(self, whole: Path) -> None:
        name = "visual.patch_embed.proj.weight"
        change(whole, lambda held: held.update({name: held[name].flatten(1)}))
        load(whole)
        change(whole, lambda held: held.update({name: held[name][:, :588].contiguous()}))
        assert f"{name} in {WEIGHTS} has the shape (32, 588)" in refusal(look_through, whole)

    def test_names_of_newer_files_are_known(self, whole: Path) -> None:
        assert canonical("model.visual.merger.ln_q.weight") == "visual.merger.ln_q.weight"

        def rename(held: Tensors) -> None:
            for name in list(held):
                if name.startswith("visual."):
                    held[f"model.{name}"] = held.pop(name)
                elif name.startswith("model."):
                    held[name.replace("model.", "model.language_model.", 1)] = held.pop(name)

        change(whole, rename)
        load(whole)
        change(whole, lambda held: held.update({NORM: torch.ones(64)}))
        assert f"holds {NORM} twice" in refusal(look_through, whole)


class TestScales:
    @pytest.mark.parametrize(
        ("algorithm", "spoil", "said"),
        [
            (
                "FP8",
                lambda held: held.pop(f"{UP}.input_scale"),
                f"{UP}.input_scale is missing",
            ),
            (
                "NVFP4",
                lambda held: held.update({f"{UP}.weight_scale_2": torch.ones(2)}),
                f"{UP}.weight_scale_2 in {WEIGHTS} has the shape (2,), not ()",
            ),
            (
                "NVFP4",
                lambda held: held.update({f"{UP}.weight_scale": torch.ones(96, 4)}),
                f"{UP}.weight_scale in {WEIGHTS} is stored as F32, not as F8_E4M3",
            ),
            (
                "FP8",
                lambda held: held.update({f"{UP}.pre_quant_scale": torch.ones(64)}),
                f"{UP}.pre_quant_scale in {WEIGHTS} belongs to no weight of this model",
            ),
        ],
    )
    def test_of_modelopt(
        self, tiny: Path, tmp_path: Path, algorithm: str, spoil: Change, said: str
    ) -> None:
        directory = modelopt(tiny, tmp_path / "spoilt", algorithm)
        change(directory, spoil)
        assert said in refusal(look_through, directory)

    def test_of_compressed_tensors(self, tiny: Path, tmp_path: Path) -> None:
        directory = compressed(tiny, tmp_path / "spoilt")
        change(directory, lambda held: held.update({f"{UP}.weight_scale": torch.ones(95, 1)}))
        assert f"{UP}.weight_scale in {WEIGHTS} has the shape (95, 1), not (96,)" in refusal(
            look_through, directory
        )


class TestNumbers:
    @pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
    def test_weights_that_are_none(self, whole: Path, number: float) -> None:
        def spoil(held: Tensors) -> None:
            held[f"{UP}.weight"][3, 5] = number
            held[NORM] = held[NORM].bfloat16()
            held[NORM][7] = number

        change(whole, spoil)
        text = refusal(load, whole)
        assert "holds weights that are no numbers" in text
        assert f"{UP}.weight in {WEIGHTS}, {NORM} in {WEIGHTS}" in text

    def test_codes_and_scales_that_are_none(self, tiny: Path, tmp_path: Path) -> None:
        directory = modelopt(tiny, tmp_path / "spoilt", "FP8")

        def spoil(held: Tensors) -> None:
            held[f"{UP}.weight"].view(torch.uint8)[1, 2] = 0xFF
            held["model.layers.0.mlp.down_proj.weight_scale"] = torch.tensor(0.0)

        change(directory, spoil)
        text = refusal(load, directory)
        assert f"{UP}.weight in" in text
        assert "model.layers.0.mlp.down_proj.weight_scale in" in text
        assert text.count(f"in {WEIGHTS}") == 2


class TestFiles:
    def test_truncated_one_is_named(self, copy: Path) -> None:
        file = sorted(copy.glob("*.safetensors"))[1]
        file.write_bytes(file.read_bytes()[:-100])
        assert f"{file} is cut short" in refusal(load, copy)

    def test_pointer_is_named(self, copy: Path) -> None:
        file = min(copy.glob("*.safetensors"))
        file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "utf-8")
        assert f"{file} is a Git LFS pointer" in refusal(load, copy)

    def test_pages_may_be_dropped_between_two_readings(self, whole: Path) -> None:
        with StoredWeights(whole, CPU) as stored:
            first = stored.read(f"{UP}.weight").clone()
            drop_pages(whole / WEIGHTS)
            stored._give_back(whole / WEIGHTS, read_bytes=2**30)
            assert not stored._opened  # what maps a file keeps its pages
            assert torch.equal(stored.read(f"{UP}.weight"), first)
