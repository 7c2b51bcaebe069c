"""Checkpoints in fewer bits, and plain ones rounded at load, held against the other engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from edgewatch.pipeline.engines.modelopt.arithmetic import Arithmetic
from edgewatch.pipeline.engines.modelopt.codes import unpack
from edgewatch.pipeline.engines.modelopt.scheme import read_scheme
from edgewatch.pipeline.engines.native.network import Network, load_network
from edgewatch.pipeline.engines.native.products import Fp8Product, PlainProduct, fp8_by_rows
from edgewatch.pipeline.engines.native.weights.formats import StoredFormat, read_format
from edgewatch.pipeline.engines.native.weights.precision import ROUNDED, UNPACKED, Wanted, choose
from edgewatch.pipeline.engines.native.weights.quantised import QuantisedSource
from edgewatch.pipeline.engines.native.weights.source import codes_by_rows
from edgewatch.pipeline.engines.native.weights.stored import StoredWeights
from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.qwen.pixels import grid_of
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.transformers.network import load_network as load_library
from edgewatch.pipeline.engines.transformers.rows import Row, lay_out
from edgewatch.pipeline.errors import EngineFailed
from tests.pipeline.engines.asked_clips import asked
from tests.pipeline.engines.native.stored_models import (
    compressed,
    is_layer,
    modelopt,
    scorer_of,
    tensors_of,
    write,
)

if TYPE_CHECKING:
    from edgewatch.pipeline.engines.native.layer import Layer

CPU = torch.device("cpu")
CLIP = asked(3, frames=4, height=84, width=112)


@pytest.fixture(scope="module")
def stored(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A variant of the tiny checkpoint by name, written once."""
    folder = tmp_path_factory.mktemp("stored")
    makers: dict[str, Callable[[Path], Path]] = {
        "fp8": lambda to: modelopt(tiny, to, "FP8"),
        "alike": lambda to: modelopt(tiny, to, "FP8", alike=True),
        "nvfp4": lambda to: modelopt(tiny, to, "NVFP4"),
        "channels": lambda to: compressed(tiny, to),
        "tensors": lambda to: compressed(tiny, to, fixed=True),
    }

    def one(name: str) -> Path:
        return folder / name if (folder / name).exists() else makers[name](folder / name)

    return one


def load(directory: Path, precision: Wanted = "auto") -> Network:
    return load_network(directory, read_checkpoint(directory).pixels, CPU, precision=precision)


def logits(network: Network, directory: Path) -> torch.Tensor:
    return scorer_of(network, directory).logits([CLIP])[0].float()


def of_library(directory: Path) -> torch.Tensor:
    """The clip's logits by the older engine, which imitates FP8 and FP4 on a CPU."""
    checkpoint = read_checkpoint(directory)
    library = load_library(
        checkpoint, CPU, arithmetic=Arithmetic(read_scheme(directory), "unpacked", "float32")
    )
    scripts = ScriptReader(directory, checkpoint.video_token)
    grid = grid_of(CLIP.frames.shape, checkpoint.pixels)
    rows = lay_out(
        [Row(scripts.script(verdict_question(CLIP.prompt, Form())), CLIP.fps)],
        grid,
        video_token=checkpoint.video_token,
        temporal_patch=checkpoint.pixels.temporal_patch,
        tokens_per_second=checkpoint.tokens_per_second,
    )
    with torch.inference_mode():
        patches = library.patcher.patches(torch.from_numpy(CLIP.frames[None].copy()))
        states = library.read(rows, library.see(patches, grid, 1))
        found: torch.Tensor = library.model.lm_head(states)[0]
    return found


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


def layer_of(network: Network) -> Layer:
    return network.language._weights.layers[0]


class TestAgainstTheOtherEngine:
    def test_fp8_under_one_scale_multiplies_the_very_codes(
        self, stored: Callable[[str], Path]
    ) -> None:
        network = load(stored("alike"), "fp8")
        kinds = {layer_of(network).qkv.rounding.kind, layer_of(network).down.rounding.kind}
        assert kinds == {"fixed"}
        # A rare code differs, where the order of a sum moves an input over the middle of two.
        assert apart(logits(network, stored("alike")), of_library(stored("alike"))) < 2e-3

    def test_fp8_of_several_scales_keeps_every_stored_number(
        self, stored: Callable[[str], Path]
    ) -> None:
        directory = stored("fp8")
        network, plain = load(directory, "fp8"), dequantised(directory)
        layer = layer_of(network)
        assert (layer.qkv.rounding.kind, layer.down.rounding.kind) == ("rows", "fixed")
        assert isinstance(layer.qkv, Fp8Product)
        attention = "model.layers.0.self_attn"
        joined = torch.cat([plain[f"{attention}.{one}_proj.weight"] for one in "qkv"])
        assert torch.equal(layer.qkv.codes.float() * layer.qkv.scale.T, joined)
        exact = logits(load(directory, "bf16"), directory)
        ours, theirs = logits(network, directory), of_library(directory)
        assert apart(ours, theirs) < 0.1
        assert 0.001 < apart(ours, exact) < 0.1

    def test_nvfp4_without_rounded_inputs_is_near(self, stored: Callable[[str], Path]) -> None:
        network = load(stored("nvfp4"))
        assert apart(logits(network, stored("nvfp4")), of_library(stored("nvfp4"))) < 0.35


class TestUnpacked:
    @pytest.mark.parametrize("name", ["fp8", "nvfp4", "channels"])
    def test_unpacked_weights_are_those_that_are_stored(
        self, stored: Callable[[str], Path], tiny: Path, tmp_path: Path, name: str
    ) -> None:
        """The same checkpoint written in full size gives the same logits."""
        directory = stored(name)
        plain = dequantised(directory)
        other = write(tiny, tmp_path / "plain", plain, config={})
        network = load(directory)
        assert isinstance(layer_of(network).qkv, PlainProduct)
        assert apart(logits(network, directory), logits(load(other), other)) < 1e-6

    def test_excluded_layers_stay_plain(self, stored: Callable[[str], Path]) -> None:
        network = load(stored("fp8"), "fp8")
        assert isinstance(network.vision._weights.layers[0].qkv, PlainProduct)
        assert isinstance(network.language._weights.head, PlainProduct)


def dequantised(directory: Path) -> dict[str, torch.Tensor]:
    """All weights in full size, by ModelOpt's reader or by the definition of the format."""
    held = tensors_of(directory)
    found = {}
    for name, weight in held.items():
        layer, _, part = name.rpartition(".")
        if part.endswith(("_scale", "_scale_2")):
            continue
        if not is_layer(name):
            found[name] = weight
            continue
        parts = {key.removeprefix(f"{layer}."): one for key, one in held.items() if layer in key}
        if parts["weight_scale"].ndim == 2 and weight.dtype != torch.uint8:
            found[name] = weight.float() * parts["weight_scale"].float()
        else:
            scheme = read_scheme(directory)
            found[name] = unpack(scheme, parts, torch.float32).weight().contiguous()
    return found


class TestRoundedAtLoad:
    def test_plain_weights_are_rounded_in_both_parts(self, tiny: Path) -> None:
        network = load(tiny, "fp8")
        for layer in (network.vision._weights.layers[0], layer_of(network)):
            assert {one.rounding.kind for one in (layer.qkv, layer.out, layer.down)} == {"rows"}
        assert isinstance(network.vision._weights.patches, PlainProduct)
        assert isinstance(network.language._weights.head, PlainProduct)
        difference = apart(logits(network, tiny), logits(load(tiny), tiny))
        assert 0.001 < difference < 0.3

    def test_pieces_are_rounded_as_a_whole_weight_is(self) -> None:
        weight = torch.randn(40, 48, generator=torch.Generator().manual_seed(1))
        weight[7] = 0
        whole = fp8_by_rows(weight, None, torch.float32)
        codes, scale = codes_by_rows(weight, piece_elements=48 * 7)
        assert torch.equal(codes.view(torch.uint8), whole.codes.view(torch.uint8))
        assert torch.equal(scale, whole.scale[0])

    def test_shapes_that_no_device_multiplies_stay_plain(self, tiny: Path, tmp_path: Path) -> None:
        """16 must divide both sides; here the MLP is 8 narrower."""

        def narrow(name: str, weight: torch.Tensor) -> torch.Tensor:
            if ".layers." in name and "mlp.down" in name:
                return weight[:, :88].contiguous()
            if ".layers." in name and "mlp." in name:
                return weight[:88].contiguous()
            return weight

        tensors = {name: narrow(name, one) for name, one in tensors_of(tiny).items()}
        directory = write(tiny, tmp_path / "narrow", tensors, config={"intermediate_size": 88})
        layer = layer_of(load(directory, "fp8"))
        assert isinstance(layer.down, PlainProduct)
        assert isinstance(layer.gate_up, Fp8Product)  # 2 x 88 is a multiple


def test_widened_layers_keep_their_scales(tiny: Path, tmp_path: Path) -> None:
    """The tower's MLP is widened by zeros, quantised or not."""
    directory = compressed(tiny, tmp_path / "channels")
    found = read_format(directory)
    assert found is not None
    layer = "model.layers.0.mlp.up_proj"
    with StoredWeights(directory, CPU) as stored:
        source = QuantisedSource(stored, stored.entries, torch.float32, found, fp8=True)
        wide = source.product([layer], bias=False, outputs=128, inputs=80)
        bare = source.product([layer], bias=False)
    assert isinstance(wide, Fp8Product)
    assert isinstance(bare, Fp8Product)
    assert wide.codes.shape == (128, 80)
    values = wide.codes.float() * wide.scale.T
    assert torch.equal(values[:96, :64], bare.codes.float() * bare.scale.T)
    assert not values[96:].any()
    assert not values[:, 64:].any()


def test_compressed_tensors_in_both_kinds_of_scales(stored: Callable[[str], Path]) -> None:
    for name, kind in (("channels", "rows"), ("tensors", "fixed")):
        directory = stored(name)
        network = load(directory, "fp8")
        assert layer_of(network).down.rounding.kind == kind
        exact = logits(load(directory, "bf16"), directory)
        assert 0.001 < apart(logits(network, directory), exact) < 0.2


class TestChoice:
    FP8 = StoredFormat("fp8", "FP8 by ModelOpt", inputs="fixed")
    NVFP4 = StoredFormat("nvfp4", "NVFP4 by ModelOpt")

    @pytest.mark.parametrize(
        ("wanted", "found", "has", "fp8", "mark"),
        [
            ("auto", None, True, False, ""),
            ("bf16", None, True, False, ""),
            ("fp8", None, True, True, ROUNDED),
            ("auto", FP8, True, True, ""),
            ("fp8", FP8, True, True, ""),
            ("bf16", FP8, True, False, UNPACKED),
            ("auto", FP8, False, False, UNPACKED),
            ("auto", NVFP4, True, True, ROUNDED),
            ("auto", NVFP4, False, False, UNPACKED),
            ("auto", None, False, False, ""),
        ],
    )
    def test_of_a_gpu(
        self, wanted: Wanted, found: StoredFormat | None, has: bool, fp8: bool, mark: str
    ) -> None:
        choice = choose(wanted, found, "H", fp8=has, own="bfloat16")
        assert (choice.fp8, choice.mark) == (fp8, mark)
        assert "bfloat16" in choice.arithmetic
        if found is not None:
            assert found.title in choice.arithmetic

    def test_fp8_is_refused_where_there_is_none(self) -> None:
        with pytest.raises(EngineFailed, match=r'precision = "fp8": Old GPU has no FP8') as caught:
            choose("fp8", None, "Old GPU", fp8=False, own="bfloat16")
        assert 'precision = "bf16"' in str(caught.value)

    def test_on_a_cpu_it_is_imitated_only_if_asked_for(self) -> None:
        for found in (None, self.FP8):
            asked_for = choose("fp8", found, "cpu", fp8=False, own="float32")
            assert (asked_for.fp8, asked_for.mark) == (True, "~simulated")
            assert "imitated" in asked_for.arithmetic
            assert not choose("auto", found, "cpu", fp8=False, own="float32").fp8


@pytest.mark.parametrize(
    "table",
    [
        {"format": "pack-quantized"},
        {"config_groups": {}},
        {"quant_method": "gptq"},
        {"quant_method": "modelopt", "quant_algo": "W4A16_AWQ"},
    ],
)
def test_other_formats_are_refused_with_a_cure(
    tiny: Path, tmp_path: Path, table: dict[str, Any]
) -> None:
    directory = compressed(tiny, tmp_path / "other", **table)
    with pytest.raises(EngineFailed, match=r"is quantised .* does not read") as caught:
        load(directory)
    assert 'kind = "transformers"' in str(caught.value)
