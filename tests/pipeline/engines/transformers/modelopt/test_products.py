"""Products of quantised layers, and the rounding of what goes in, by figures worked out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edgewatch.pipeline.engines.modelopt.codes import unpack
from edgewatch.pipeline.engines.modelopt.packing import (
    fp8_input_scale,
    largest,
    nvfp4_input_scale,
    pack_fp8,
    pack_nvfp4,
)
from edgewatch.pipeline.engines.modelopt.scheme import FORMATS, Scheme
from edgewatch.pipeline.engines.transformers.modelopt.inputs import (
    PIECE,
    Fp8,
    Int8,
    Int8OfTokens,
    Nvfp4,
    Shared,
    rounding,
)
from edgewatch.pipeline.engines.transformers.modelopt.products import (
    Fp8Product,
    ImitatedProduct,
    fp8_products_work,
)

CPU = torch.device("cpu")


def scheme(algorithm: str, group: int | None = None) -> Scheme:
    found = FORMATS[algorithm]
    return Scheme(found, found.group if group is None else group)


def random(*shape: int, seed: int = 0) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def fp8_parts(rows: int, columns: int) -> dict[str, Any]:
    weight = random(rows, columns, seed=1)
    return pack_fp8(weight, largest([weight])) | {"input_scale": torch.tensor(4.0 / 448)}


def nvfp4_parts(rows: int, columns: int) -> dict[str, Any]:
    weight = random(rows, columns, seed=1)
    scale = nvfp4_input_scale(torch.tensor(4.0))
    return pack_nvfp4(weight, largest([weight])) | {"input_scale": scale}


def exact(found: Scheme, parts: dict[str, Any], inputs: Any, bias: Any = None) -> Any:
    """Return the layer's outputs as they would be without any rounding of sums."""
    codes, scale = rounding(found, parts, native=False)(inputs.float())
    wide = codes.double() if scale is None else codes.double() * scale
    sums = wide @ unpack(found, parts, torch.float32).weight().double().t()
    return sums if bias is None else sums + bias.double()


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("algorithm", ["NVFP4", "FP8"])
def test_imitation_in_bfloat16_rounds_the_sum_once(
    algorithm: str, packed: bool, with_bias: bool
) -> None:
    """Codes are exact in bfloat16, so all that is lost is half of the result's last place."""
    found = scheme(algorithm)
    parts = (nvfp4_parts if algorithm == "NVFP4" else fp8_parts)(24, 64)
    inputs = random(2, 5, 64).bfloat16()
    bias = random(24, seed=3).bfloat16() if with_bias else None
    rounds = rounding(found, parts, native=False)
    product = ImitatedProduct(found, parts, bias, rounds, dtype=torch.bfloat16, packed=packed)
    outputs = product(inputs)
    assert outputs.shape == (2, 5, 24)
    assert outputs.dtype == torch.bfloat16
    wanted = exact(found, parts, inputs, bias)
    torch.testing.assert_close(outputs.double(), wanted, rtol=2**-8, atol=1e-2)


@pytest.mark.parametrize(("rows", "columns"), [(32, 64), (24, 40), (7, 16), (16, 3)])
def test_fp8_products_are_the_imitation_whatever_the_shape(rows: int, columns: int) -> None:
    """Where 16 divides neither side, zeros fill up."""
    found, parts = scheme("FP8"), fp8_parts(rows, columns)
    inputs, bias = random(3, 4, columns).bfloat16(), random(rows, seed=3).bfloat16()
    assert fp8_products_work(CPU)
    product = Fp8Product(parts, bias, rounding(found, parts, native=True))
    outputs = product(inputs)
    assert outputs.shape == (3, 4, rows)
    torch.testing.assert_close(
        outputs.double(), exact(found, parts, inputs, bias), rtol=2**-7, atol=1e-2
    )


def test_int8_has_a_scale_a_row_and_smoothed_inputs() -> None:
    found = scheme("W8A8_SQ_PER_CHANNEL")
    parts = {
        "weight": torch.tensor([[100, -128], [1, 127]], dtype=torch.int8),
        "weight_scale": torch.tensor([0.01, 1.0]),
        "input_scale": torch.tensor(0.5),
        "pre_quant_scale": torch.tensor([2.0, 1.0]),
    }
    bias = torch.tensor([0.0, 10.0])
    rounds = rounding(found, parts, native=False)
    product = ImitatedProduct(found, parts, bias, rounds, dtype=torch.float32, packed=False)
    # 1.6 x 2 / 0.5 is 6.4, so 6; 1000 / 0.5 is beyond 127; -0.6 / 0.5 is -1.2, so -1.
    outputs = product(torch.tensor([[1.6, 1000.0], [0.0, -0.6]]))
    first = [(600 - 128 * 127) * 0.5 * 0.01, (6 + 127 * 127) * 0.5 + 10]
    second = [128 * 0.5 * 0.01, -127 * 0.5 + 10]
    torch.testing.assert_close(outputs, torch.tensor([first, second]))


def test_int8_without_a_scale_of_inputs_scales_each_token() -> None:
    codes, scale = Int8OfTokens()(torch.tensor([[1.27, -0.635], [0.0, 0.0]]))
    assert codes.tolist() == [[127.0, -64.0], [0.0, 0.0]]
    torch.testing.assert_close(scale[0], torch.tensor([0.01]))
    found = scheme("W8A8_SQ_PER_CHANNEL")
    parts = {
        "weight": torch.tensor([[2, 0]], dtype=torch.int8),
        "weight_scale": torch.tensor([3.0]),
    }
    rounds = rounding(found, parts, native=False)
    product = ImitatedProduct(found, parts, None, rounds, dtype=torch.float32, packed=True)
    torch.testing.assert_close(product(torch.tensor([[[1.27, -0.6]]])), torch.tensor([[[7.62]]]))


def test_int4_weights_meet_smoothed_inputs_of_full_precision() -> None:
    found = scheme("W4A16_AWQ", group=2)
    parts = {
        "weight": torch.tensor([[0x21, 0xF7]], dtype=torch.uint8),
        "weight_scale": torch.tensor([[0.5], [2.0]]),
        "pre_quant_scale": torch.tensor([1.0, 10.0]),
    }
    rounds = rounding(found, parts, native=False)
    product = ImitatedProduct(
        found, parts, torch.tensor([1.0, 0.0]), rounds, dtype=torch.float32, packed=False
    )
    # Rows [1, 7] x 0.5 and [2, -1] x 2 meet [0.3, 1].
    found_outputs = product(torch.tensor([[0.3, 0.1]]))
    torch.testing.assert_close(found_outputs, torch.tensor([[4.65, -0.8]]))


def test_inputs_beyond_the_largest_stay_at_it() -> None:
    codes, scale = Fp8(0.5, native=False)(torch.tensor([[1e6, -1e6, 0.25, 0.26]]))
    assert (codes.tolist(), scale) == ([[448.0, -448.0, 0.5, 0.5]], 0.5)
    assert Fp8(0.5, native=True)(torch.ones(1))[0].dtype == torch.float8_e4m3fn
    assert Int8(2.0)(torch.tensor([1e6, -1e6, 3.0]))[0].tolist() == [127.0, -128.0, 2.0]


def test_many_rows_are_rounded_as_each_by_itself() -> None:
    """More than one piece, the last of them not full."""
    inputs = random(2, PIECE // 16_384 // 2 + 20, 16_384).bfloat16()
    before = inputs.clone()
    for found in (Nvfp4(1e-3, 16), Fp8(1e-2, native=False), Int8(0.1)):
        codes, _ = found(inputs)
        alone = torch.stack([found(one)[0] for one in inputs])
        assert torch.equal(codes, alone)
    assert torch.equal(inputs, before)


def test_neighbours_round_what_they_share_once() -> None:
    calls: list[int] = []

    def counted(inputs: Any) -> tuple[Any, None]:
        calls.append(1)
        return inputs + 1, None

    shared = Shared(counted)
    first, second = torch.zeros(1), torch.zeros(1)
    assert shared(first)[0] is shared(first)[0]
    assert len(calls) == 1
    assert shared(second)[0].item() == 1.0
    assert len(calls) == 2
    del second
    assert shared._found is None  # nothing is kept for inputs that are gone


def test_layer_without_the_scale_its_format_needs_is_refused() -> None:
    with pytest.raises(ValueError, match="no input_scale for NVFP4"):
        rounding(scheme("NVFP4"), {}, native=False)
    assert fp8_input_scale(torch.tensor(448.0)).item() == 1.0
