"""Four and eight bits to numbers and back, by bytes worked out by hand."""

from __future__ import annotations

from typing import Any

import torch

from edgewatch.pipeline.engines.modelopt.codes import (
    E2M1,
    block_scales,
    e2m1_of_bytes,
    int4_of_bytes,
    round_to_e2m1,
    unpack,
)
from edgewatch.pipeline.engines.modelopt.packing import (
    e2m1_codes,
    fp8_input_scale,
    largest,
    nvfp4_input_scale,
    pack_fp8,
    pack_nvfp4,
)
from edgewatch.pipeline.engines.modelopt.scheme import FORMATS, Scheme


def scheme(algorithm: str, group: int | None = None) -> Scheme:
    found = FORMATS[algorithm]
    return Scheme(found, found.group if group is None else group)


def numbers(*values: float) -> Any:
    return torch.tensor(values, dtype=torch.float32)


class TestE2m1:
    def test_codes_are_sign_two_bits_of_exponent_and_one_of_fraction(self) -> None:
        """OCP Microscaling 1.0: exponent bias 1; exponent 0 is subnormal."""
        for code, value in enumerate(E2M1):
            exponent, fraction = (code >> 1) & 3, code & 1
            size = fraction / 2 if exponent == 0 else (1 + fraction / 2) * 2 ** (exponent - 1)
            assert value == (-size if code & 8 else size)

    def test_first_number_of_a_byte_is_in_its_low_half(self) -> None:
        packed = torch.tensor([[0x21, 0x7F]], dtype=torch.uint8)
        assert e2m1_of_bytes(packed, torch.float32).tolist() == [[0.5, 1.0, -6.0, 6.0]]

    def test_values_go_to_the_nearest_and_ties_to_the_even_code(self) -> None:
        ties = numbers(0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0)
        even = [0.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0]
        assert round_to_e2m1(ties.clone()).tolist() == even
        assert round_to_e2m1(-ties).tolist() == [-one for one in even]
        near = numbers(0.2499, 0.2501, 1.7499, 5.001, 6.9, 1e9, -1e9)
        assert round_to_e2m1(near).tolist() == [0.0, 0.5, 1.5, 6.0, 6.0, 6.0, -6.0]

    def test_codes_are_those_of_the_rounded_values(self) -> None:
        values = torch.linspace(-7, 7, 2801)
        codes = e2m1_codes(values)
        assert torch.tensor(E2M1)[codes.int()].tolist() == round_to_e2m1(values.clone()).tolist()


class TestNvfp4:
    def test_weight_is_code_times_block_scale_times_tensor_scale(self) -> None:
        parts = {
            "weight": torch.tensor([[0x52] * 8 + [0x9A] * 8], dtype=torch.uint8),
            "weight_scale": numbers(2.0, 0.5).view(1, 2).to(torch.float8_e4m3fn),
            "weight_scale_2": torch.tensor(0.25),
        }
        found = unpack(scheme("NVFP4"), parts, torch.bfloat16)
        assert found.codes.dtype == torch.bfloat16
        wanted = [1.0 * 2.0 / 4, 3.0 * 2.0 / 4] * 8 + [-1.0 / 8, -0.5 / 8] * 8
        assert found.weight().tolist() == [wanted]

    def test_bfloat16_holds_every_code_of_every_block_exactly(self) -> None:
        scales = torch.arange(1, 127, dtype=torch.uint8).view(torch.float8_e4m3fn)  # all above 0
        codes = torch.tensor(E2M1).repeat(126, 1) * scales.float()[:, None]
        assert torch.equal(codes.bfloat16().float(), codes)

    def test_packing_a_weight_worked_out_by_hand(self) -> None:
        """The largest size 6 x 448 makes the tensor's scale 1, so a block's is a sixth of its own
        largest: 448 and 1."""
        first = [2688.0, -1344.0, 448.0, 672.0] + [0.0] * 12
        second = [6.0, 5.0, 0.25, -0.75] + [3.4] * 12
        weight = torch.tensor([first + second])
        parts = pack_nvfp4(weight, largest([weight]))
        assert parts["weight_scale_2"].item() == 1.0
        assert parts["weight_scale"].float().tolist() == [[448.0, 1.0]]
        # 6, -3, 1, 1.5 are 7, 13, 2, 3; 6, and by ties 4, 0, -1, then 3 are 7, 6, 0, 10, 5.
        assert parts["weight"].tolist() == [[0xD7, 0x32, *[0] * 6, 0x67, 0xA0, *[0x55] * 6]]
        unpacked = unpack(scheme("NVFP4"), parts, torch.float32).weight()
        assert unpacked[0, :4].tolist() == first[:4]

    def test_block_of_zeros_and_tiny_blocks_keep_a_scale_above_zero(self) -> None:
        scales = block_scales(numbers(0.0, 1e-9, 6.0, 6000.0), 1.0).float()
        assert scales.tolist() == [1.0, 2.0**-9, 1.0, 448.0]

    def test_input_scale(self) -> None:
        assert nvfp4_input_scale(torch.tensor(2688.0)).item() == 1.0


class TestFp8:
    def test_weight_is_e4m3_times_one_scale(self) -> None:
        """0x38 is 1 (exponent 7 of bias 7), 0x7E 448, 0xC4 -3 (2 x 1.5), 0x01 2^-9."""
        bytes_ = torch.tensor([[0x38, 0x7E, 0xC4, 0x01]], dtype=torch.uint8)
        parts = {"weight": bytes_.view(torch.float8_e4m3fn), "weight_scale": torch.tensor(0.5)}
        found = unpack(scheme("FP8"), parts, torch.float32)
        assert found.codes.tolist() == [[1.0, 448.0, -3.0, 2.0**-9]]
        assert found.weight().tolist() == [[0.5, 224.0, -1.5, 2.0**-10]]

    def test_packing(self) -> None:
        weight = torch.tensor([[896.0, -1.0, 2.25, 0.0]])
        parts = pack_fp8(weight, largest([weight]))
        assert parts["weight_scale"].item() == 2.0
        # -0.5; 1.125 is 0x39 (1 + 1/8).
        assert parts["weight"].view(torch.uint8).tolist() == [[0x7E, 0xB0, 0x39, 0x00]]
        assert fp8_input_scale(torch.tensor(448.0)).item() == 1.0


class TestIntegers:
    def test_int8_weight_has_a_scale_a_row(self) -> None:
        parts = {
            "weight": torch.tensor([[-128, 127], [1, -1]], dtype=torch.int8),
            "weight_scale": numbers(0.5, 2.0),
        }
        found = unpack(scheme("W8A8_SQ_PER_CHANNEL"), parts, torch.bfloat16)
        assert found.codes.tolist() == [[-128.0, 127.0], [1.0, -1.0]]
        assert found.weight().tolist() == [[-64.0, 63.5], [2.0, -2.0]]

    def test_a_byte_of_int4_holds_two_rows_the_first_in_its_low_half(self) -> None:
        packed = torch.tensor([[0x81, 0x7F]], dtype=torch.uint8)
        assert int4_of_bytes(packed).tolist() == [[1, -1], [-8, 7]]

    def test_int4_weight_has_a_scale_a_group(self) -> None:
        parts = {
            "weight": torch.tensor([[0x81, 0x7F, 0x10, 0x02]], dtype=torch.uint8),
            "weight_scale": torch.tensor([[0.5, 2.0], [1.0, 4.0]]),
        }
        found = unpack(scheme("W4A16_AWQ", group=2), parts, torch.float32)
        assert found.scale is None
        assert found.weight().tolist() == [[0.5, -0.5, 0.0, 4.0], [-8.0, 7.0, 4.0, 0.0]]
