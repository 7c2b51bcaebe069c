"""What is read and packed here, held against ModelOpt's own exports and arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bench.precision_checkpoints import measured_inputs, write_quantised
from edgewatch.pipeline.engines.modelopt.arithmetic import Arithmetic
from edgewatch.pipeline.engines.modelopt.codes import unpack
from edgewatch.pipeline.engines.modelopt.layers import quantised_layers
from edgewatch.pipeline.engines.modelopt.scheme import read_scheme
from edgewatch.pipeline.engines.native.network import load_network as load_native
from edgewatch.pipeline.engines.native.products import PlainProduct
from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.transformers.modelopt.inputs import Nvfp4, rounding
from edgewatch.pipeline.engines.transformers.modelopt.loading import (
    empty_model,
    load_quantised,
    name_in_model,
)
from tests.pipeline.engines.transformers.modelopt.exports import (
    CONFIGS,
    DOWN,
    Export,
    calibration_tokens,
    make_export,
    tokens,
)

pytest.importorskip("modelopt", reason="nvidia-modelopt is not installed")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def exports(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Export]:
    """Each format once."""
    folder = tmp_path_factory.mktemp("exports")
    return {name: make_export(tiny, folder / name, name) for name in CONFIGS}


def layer(export: Export, name: str) -> dict[str, Any]:
    """Return a layer's tensors by their last names."""
    held = load_file(export.directory / "model.safetensors")
    return {key.removeprefix(f"{name}."): one for key, one in held.items() if key.startswith(name)}


def stored_weights(export: Export) -> dict[str, Any]:
    """Return what our unpacking makes of each quantised layer, float32."""
    scheme = read_scheme(export.directory)
    return {
        name: unpack(scheme, layer(export, name), torch.float32).weight()
        for name in quantised_layers(export.directory, scheme)
    }


def bytes_of(tensor: Any) -> Any:
    return tensor.flatten().view(torch.uint8)


def loaded(export: Export, way: Any, dtype: str = "float32") -> Any:
    arithmetic = Arithmetic(read_scheme(export.directory), way, dtype)
    return load_quantised(export.directory, arithmetic, CPU)


def test_exports_say_what_they_are(exports: dict[str, Export]) -> None:
    for name, export in exports.items():
        scheme = read_scheme(export.directory)
        assert (scheme.format.algorithm, scheme.cache) == (name, "")
        assert scheme.excludes("lm_head")
        assert scheme.excludes("visual.blocks.0.attn.qkv")
        assert not scheme.excludes(DOWN)
        layers = quantised_layers(export.directory, scheme)
        assert len(layers) == 2 * 7
        assert not any(scheme.excludes(one) for one in layers)
        wide = name == "W4A16_AWQ"
        assert (layers[DOWN].rows, layers[DOWN].columns) == ((128, 256) if wide else (64, 96))
        (export.directory / "hf_quant_config.json").rename(export.directory / "away")
        embedded = read_scheme(export.directory)  # what config.json says of it
        assert (embedded.format, embedded.excluded) == (scheme.format, scheme.excluded)
        (export.directory / "away").rename(export.directory / "hf_quant_config.json")


def test_weights_are_those_of_modelopts_own_dequantisation(exports: dict[str, Export]) -> None:
    from modelopt.torch.export.quant_utils import from_quantized_weight, pack_int4_in_uint8
    from modelopt.torch.quantization.qtensor import FP8QTensor, NVFP4QTensor

    for name, export in exports.items():
        ours = stored_weights(export)
        assert len(ours) == 2 * 7
        for one, weight in ours.items():
            parts = layer(export, one)
            packed, scale = parts["weight"], parts["weight_scale"]
            match name:
                case "NVFP4":
                    theirs = NVFP4QTensor(weight.shape, torch.float32, packed).dequantize(
                        scale=scale, double_scale=parts["weight_scale_2"], block_sizes={-1: 16}
                    )
                    # It multiplies both scales first: float32's last place may differ.
                    torch.testing.assert_close(weight, theirs, rtol=3e-7, atol=0)
                    continue
                case "FP8":
                    theirs = FP8QTensor(weight.shape, torch.float32, packed).dequantize(scale=scale)
                case "W8A8_SQ_PER_CHANNEL":
                    theirs = from_quantized_weight(packed, scale, "int8_sq", torch.float32)
                case _:  # it has no reader of its own: its packer must give the bytes back
                    assert torch.equal(pack_int4_in_uint8(weight, scale, 128), packed)
                    continue
            assert torch.equal(weight, theirs)


def test_imitated_weights_are_those_of_modelopts_imitation(exports: dict[str, Export]) -> None:
    for name in ("FP8", "W8A8_SQ_PER_CHANNEL", "W4A16_AWQ"):
        weight = stored_weights(exports[name])[DOWN]
        # The export divides in bfloat16 where the imitation does in float32: a rare code differs.
        same = torch.isclose(weight, exports[name].down_weight, rtol=1e-2, atol=1e-6)
        assert same.double().mean() > 0.98, name


def test_inputs_are_rounded_as_modelopt_rounds_them(exports: dict[str, Export]) -> None:
    for name in ("FP8", "W8A8_SQ_PER_CHANNEL", "W4A16_AWQ"):
        export = exports[name]
        scheme, parts = read_scheme(export.directory), layer(export, DOWN)
        inputs, theirs = export.down_inputs
        codes, scale = rounding(scheme, parts, native=False)(inputs)
        ours = codes if scale is None else codes * scale
        torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=1e-9)


def test_nvfp4_inputs_are_modelopts_dynamic_blocks(exports: dict[str, Export]) -> None:
    from modelopt.torch.quantization.qtensor import NVFP4QTensor

    scale = layer(exports["NVFP4"], DOWN)["input_scale"]
    inputs = torch.randn(5, 96, generator=torch.Generator().manual_seed(1)) * 3
    inputs[1, :16] = 0
    inputs[2] *= 1e-4
    packed, blocks, _ = NVFP4QTensor.quantize(inputs.clone(), 16, None, scale)
    theirs = packed.dequantize(
        torch.float32, scale=blocks, double_scale=scale, block_sizes={-1: 16}
    )
    codes, number = Nvfp4(float(scale), 16)(inputs)
    torch.testing.assert_close(codes * number, theirs, rtol=3e-7, atol=0)


def modelopts_rounding(name: str, parts: dict[str, Any]) -> Callable[[Any], Any]:
    """Return how ModelOpt itself rounds a layer's inputs, in float32."""
    from modelopt.torch.quantization.qtensor import NVFP4QTensor
    from modelopt.torch.quantization.tensor_quant import _tensor_quant, fp8_eager

    def rounded(inputs: Any) -> Any:
        smoothed = inputs * parts["pre_quant_scale"] if "pre_quant_scale" in parts else inputs
        match name:
            case "NVFP4":
                scale = parts["input_scale"]
                packed, blocks, _ = NVFP4QTensor.quantize(smoothed.clone(), 16, None, scale)
                return packed.dequantize(
                    torch.float32, scale=blocks, double_scale=scale, block_sizes={-1: 16}
                )
            case "FP8":
                return fp8_eager(smoothed, parts["input_scale"] * 448)
            case "W8A8_SQ_PER_CHANNEL":
                return _tensor_quant(smoothed, parts["input_scale"] * 127, narrow_range=False)
        return smoothed

    return rounded


def test_model_answers_as_with_modelopts_own_rounding(exports: dict[str, Export]) -> None:
    """The library's plain model, the stored weights, and ModelOpt's rounding before each layer."""
    for name, export in exports.items():
        ours = loaded(export, "unpacked")
        plain = empty_model(export.directory, CPU).to_empty(device=CPU)
        held = load_file(export.directory / "model.safetensors")
        weights = stored_weights(export)
        for stored, tensor in held.items():
            layer_name, _, part = stored.rpartition(".")
            module = plain.get_submodule(name_in_model(layer_name))
            if layer_name in weights and part == "weight":
                rounded = modelopts_rounding(name, layer(export, layer_name))
                module.register_forward_pre_hook(lambda _, seen, by=rounded: (by(seen[0]),))
                module.weight.data.copy_(weights[layer_name])
            elif part in ("weight", "bias"):
                getattr(module, part).data.copy_(tensor)
        for theirs, module in zip(plain.modules(), ours.modules(), strict=True):
            for key, buffer in module.named_buffers(recurse=False):
                getattr(theirs, key).data.copy_(buffer)
        with torch.inference_mode():
            wanted = plain(input_ids=tokens()).logits
            found = ours(input_ids=tokens()).logits
        off = (found - wanted).abs().mean() / wanted.abs().mean()
        assert off < 1e-5, name


def test_packer_makes_the_bytes_of_modelopts_export(tiny: Path, exports: dict[str, Export]) -> None:
    """Every tensor of every layer: weights, all scales, and what is left as it was."""
    from transformers import Qwen2_5_VLForConditionalGeneration

    plain = Qwen2_5_VLForConditionalGeneration.from_pretrained(tiny, dtype=torch.bfloat16).eval()
    for name in ("NVFP4", "FP8"):
        export = exports[name]
        plain.load_state_dict(export.source)
        with torch.inference_mode():
            inputs = measured_inputs(plain, lambda: plain(input_ids=calibration_tokens()))
        ours = write_quantised(plain, tiny, export.directory / "ours", name, inputs)
        written = load_file(ours / "model-00001.safetensors")
        theirs = load_file(export.directory / "model.safetensors")
        assert written.keys() == theirs.keys()
        for key, tensor in theirs.items():
            same = written[key].dtype == tensor.dtype and written[key].shape == tensor.shape
            assert same, key
            assert torch.equal(bytes_of(written[key]), bytes_of(tensor)), key
        assert read_scheme(ours) == read_scheme(export.directory)


def test_ways_of_computing_agree(exports: dict[str, Export]) -> None:
    for name, export in exports.items():
        with torch.inference_mode():
            unpacked = loaded(export, "unpacked")(input_ids=tokens()).logits
            packed = loaded(export, "packed")(input_ids=tokens()).logits
        assert torch.equal(unpacked, packed), name
    with torch.inference_mode():
        native = loaded(exports["FP8"], "native", "bfloat16")(input_ids=tokens()).logits
        imitated = loaded(exports["FP8"], "unpacked", "bfloat16")(input_ids=tokens()).logits
    assert (native - imitated).float().abs().mean() < 0.03 * imitated.float().abs().mean()


def test_native_engine_reads_modelopts_own_exports(exports: dict[str, Export]) -> None:
    """Unpacked to the type of the network, every weight is the one that is stored."""
    for name in ("FP8", "NVFP4"):
        directory = exports[name].directory
        pixels = read_checkpoint(directory).pixels
        rounded = load_native(directory, pixels, CPU, precision="fp8")
        fixed = {"fixed"} if name == "FP8" else set()
        assert rounded.roundings == {"none", "rows"} | fixed  # none: the tower, left out
        plain = load_native(directory, pixels, CPU)
        weights = stored_weights(exports[name])
        gate_up = plain.language._weights.layers[0].gate_up
        mlp = "model.layers.0.mlp"
        theirs = torch.cat([weights[f"{mlp}.{one}_proj"] for one in ("gate", "up")])
        assert isinstance(gate_up, PlainProduct)
        assert torch.allclose(gate_up.weight, theirs, rtol=1e-6, atol=0)
