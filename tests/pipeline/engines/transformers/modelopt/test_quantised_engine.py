"""A checkpoint in ModelOpt's format as the engine runs it: loaded, scored, named, or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.precision_checkpoints import measured_inputs, write_quantised
from edgewatch.pipeline.engines.memory_plan import plan
from edgewatch.pipeline.engines.model import ModelEngine
from edgewatch.pipeline.engines.modelopt.arithmetic import Arithmetic
from edgewatch.pipeline.engines.modelopt.layers import (
    held_bytes,
    quantised_layers,
)
from edgewatch.pipeline.engines.modelopt.scheme import read_scheme
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.engines.transformers import TransformersModel
from edgewatch.pipeline.engines.transformers.libraries import place_of
from edgewatch.pipeline.engines.transformers.modelopt.choice import possible_ways
from edgewatch.pipeline.engines.transformers.modelopt.loading import load_quantised, name_in_model
from edgewatch.pipeline.errors import EngineFailed
from tests.pipeline.engines.asked_clips import asked

CPU = torch.device("cpu")
WEIGHTS = "model-00001.safetensors"
UP = "model.layers.1.mlp.up_proj"


@pytest.fixture(scope="module")
def packed(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny checkpoint in NVFP4 and FP8, by our own packer."""
    from transformers import Qwen2_5_VLForConditionalGeneration

    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(tiny, dtype=torch.bfloat16).eval()
    tokens = torch.randint(0, 250, (2, 64), generator=torch.Generator().manual_seed(8))
    with torch.inference_mode():
        inputs = measured_inputs(model, lambda: model(input_ids=tokens))
    folder = tmp_path_factory.mktemp("packed")
    return {
        name: write_quantised(model, tiny, folder / f"tiny-{name}", name, inputs)
        for name in ("NVFP4", "FP8")
    }


@pytest.fixture
def spoilt(packed: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the NVFP4 one to spoil."""
    return Path(shutil.copytree(packed["NVFP4"], tmp_path / "tiny-nvfp4"))


def setup_of(directory: Path) -> EngineSetup:
    largest = LargestClip(frames=4, pixels=12_544)
    return EngineSetup(
        kind="transformers",
        model=directory,
        device="cpu",
        max_batch=4,
        largest_clip=largest,
        form=Form(words_tokens=3),
    )


def change_weights(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    held = load_file(directory / WEIGHTS)
    change(held)
    save_file(held, directory / WEIGHTS)
    index = {"metadata": {}, "weight_map": dict.fromkeys(held, WEIGHTS)}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


async def test_engine_scores_it_and_says_that_it_is_simulated(
    tiny: Path, packed: dict[str, Path]
) -> None:
    scores = {}
    for name, directory in {"plain": tiny, **packed}.items():
        model = TransformersModel(setup_of(directory))
        engine = ModelEngine(model)
        assert engine.simulated == ""
        await engine.start()
        answers = await model.score([asked(seed) for seed in range(2)])
        scores[name] = [one.score for one in answers]
        if name == "plain":
            assert "~" not in engine.name
            assert engine.simulated == ""
        else:
            assert engine.name.startswith(f"transformers:tiny-{name}@")
            assert engine.name.endswith("~simulated")
            assert engine.simulated == f"{name} imitated in float32"
        if name == "NVFP4":
            assert isinstance(await model.words(asked()), str)
        await engine.close()
    for name, most in (("NVFP4", 0.3), ("FP8", 0.12)):
        pairs = zip(scores[name], scores["plain"], strict=True)
        assert 0 < max(abs(one - other) for one, other in pairs) < most


def test_excluded_parts_stay_as_they_are(packed: dict[str, Path], tiny: Path) -> None:
    arithmetic = Arithmetic(read_scheme(packed["FP8"]), "native", "bfloat16")
    model = load_quantised(packed["FP8"], arithmetic, CPU)
    plain: dict[str, Any] = {}
    for file in tiny.glob("*.safetensors"):
        plain |= load_file(file)
    kept = dict(model.named_parameters())
    assert "model.language_model.layers.0.mlp.up_proj.weight" not in kept
    for stored, weight in plain.items():
        if stored.startswith(("visual", "lm_head", "model.embed", "model.norm")):
            assert torch.equal(kept[name_in_model(stored)], weight.bfloat16()), stored
    assert all(one.dtype == torch.bfloat16 for one in kept.values())
    assert all(one.dtype == torch.float32 for one in model.buffers())


def test_devices_have_their_ways(packed: dict[str, Path]) -> None:
    place = place_of(CPU)
    hopper = replace(place, capability=(9, 0))
    for name, directory in packed.items():
        found = read_checkpoint(directory).quantisation
        here = [one and one.way for one in possible_ways(directory, found, CPU, place)]
        assert here == ["unpacked", "packed"]
        there = [one and one.way for one in possible_ways(directory, found, CPU, hopper)]
        assert there == (["native"] if name == "FP8" else ["unpacked", "packed"])
    assert possible_ways(packed["FP8"], None, CPU, place) == (None,)


def test_short_memory_is_met_by_weights_that_stay_packed(packed: dict[str, Path]) -> None:
    """Unpacked, the tiny layers take 4 bytes a weight here; packed, little more than half."""
    directory = packed["NVFP4"]
    found = read_checkpoint(directory).quantisation
    ways = possible_ways(directory, found, CPU, place_of(CPU))
    sizes = []
    for way in ways:
        assert way is not None
        planned = plan(
            directory,
            LargestClip(),
            4,
            free_bytes=10**10,
            held_bytes=held_bytes(way, plain_bytes=4),
        )
        sizes.append(planned.weights_bytes)
    layers = quantised_layers(directory, read_scheme(directory)).values()
    weights = sum(one.rows * one.columns for one in layers)
    assert sizes[0] - sizes[1] == 4 * weights - weights // 2


@pytest.mark.parametrize(
    ("stored", "ours"),
    [
        ("model.layers.0.mlp.up_proj", "model.language_model.layers.0.mlp.up_proj"),
        ("model.embed_tokens", "model.language_model.embed_tokens"),
        ("model.norm.weight", "model.language_model.norm.weight"),
        ("visual.merger.mlp.0", "model.visual.merger.mlp.0"),
        ("model.visual.merger.ln_q", "model.visual.merger.ln_q"),
        ("model.language_model.norm", "model.language_model.norm"),
        ("lm_head", "lm_head"),
    ],
)
def test_stored_names_are_found_in_the_model(stored: str, ours: str) -> None:
    assert name_in_model(stored) == ours


class TestRefusals:
    def refusal(self, directory: Path) -> str:
        with pytest.raises(EngineFailed) as caught:
            self.load(directory)
        return str(caught.value)

    def load(self, directory: Path) -> None:
        found = read_checkpoint(directory).quantisation
        ways = possible_ways(directory, found, CPU, place_of(CPU))
        assert ways[0] is not None
        load_quantised(directory, ways[0], CPU)

    def test_missing_scale(self, spoilt: Path) -> None:
        change_weights(spoilt, lambda held: held.pop(f"{UP}.weight_scale_2"))
        assert f"{UP} lacks its weight_scale_2" in self.refusal(spoilt)

    def test_scale_that_is_no_positive_number(self, spoilt: Path) -> None:
        def change(held: dict[str, Any]) -> None:
            held[f"{UP}.input_scale"] = torch.tensor(float("nan"))
            held["model.layers.0.mlp.up_proj.weight_scale_2"] = torch.tensor(0.0)

        change_weights(spoilt, change)
        said = self.refusal(spoilt)
        assert "scales of 2 layers are no positive numbers" in said
        assert UP in said

    def test_weights_of_another_models_size(self, spoilt: Path) -> None:
        config = json.loads((spoilt / "config.json").read_text("utf-8"))
        config["intermediate_size"] = 112
        (spoilt / "config.json").write_text(json.dumps(config), "utf-8")
        assert "64 x 96 weights, and config.json's model 64 x 112" in self.refusal(spoilt)

    def test_plain_weight_of_another_models_size(self, spoilt: Path) -> None:
        def change(held: dict[str, Any]) -> None:
            held["lm_head.weight"] = held["lm_head.weight"][:-1].contiguous()

        change_weights(spoilt, change)
        assert "lm_head.weight is (383, 64), and config.json's model has (384, 64)" in self.refusal(
            spoilt
        )

    def test_missing_weights(self, spoilt: Path) -> None:
        def change(held: dict[str, Any]) -> None:
            del held["model.norm.weight"], held["model.layers.0.self_attn.q_proj.bias"]

        change_weights(spoilt, change)
        said = self.refusal(spoilt)
        assert "lacks 2 weights of this model" in said
        assert "layers.0.self_attn.q_proj.bias, model.language_model.norm.weight" in said

    def test_nothing_is_quantised(self, spoilt: Path, tiny: Path) -> None:
        for file in (spoilt / WEIGHTS, spoilt / "model.safetensors.index.json"):
            file.unlink()
        for file in tiny.glob("model*"):
            shutil.copy(file, spoilt / file.name)
        assert "says NVFP4, but no layer's weights are stored so" in self.refusal(spoilt)

    def test_rotary_places_lost(self, spoilt: Path) -> None:
        config = json.loads((spoilt / "config.json").read_text("utf-8"))
        del config["rope_scaling"]
        (spoilt / "config.json").write_text(json.dumps(config), "utf-8")
        assert "no mrope_section where transformers" in self.refusal(spoilt)
