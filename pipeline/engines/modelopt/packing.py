"""Weights packed as ModelOpt packs them by `max` calibration, without ModelOpt.

What a checkpoint is held against, and what makes one where ModelOpt is not installed. The bytes
are those of `export_hf_checkpoint` (0.47); a test holds both together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.modelopt.codes import (
    E2M1_MAX,
    E4M3_MAX,
    block_scales,
)

if TYPE_CHECKING:
    import torch

Parts = dict[str, "torch.Tensor"]
"""A layer's tensors by their names in the file."""

SHARING = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers that read the same input. ModelOpt gives them one NVFP4 `weight_scale_2`, as an engine
that joins them to one product has room for one."""


def largest(weights: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return the largest size among some weights, float32: a group's amax."""
    import torch

    return torch.stack([one.abs().max().float() for one in weights]).max()


def pack_nvfp4(weight: torch.Tensor, amax: torch.Tensor, group: int = 16) -> Parts:
    """Pack a weight (outputs, inputs). `amax`: largest size in it or in those that share it."""
    scale_2 = amax.float() / (E2M1_MAX * E4M3_MAX)
    blocks = weight.float().view(weight.shape[0], -1, group)
    scale = block_scales(blocks.abs().amax(-1), scale_2)
    codes = e2m1_codes(blocks / (scale.float() * scale_2)[..., None]).view(weight.shape)
    return {
        "weight": (codes[:, 1::2] << 4) | codes[:, ::2],
        "weight_scale": scale,
        "weight_scale_2": scale_2,
    }


def pack_fp8(weight: torch.Tensor, amax: torch.Tensor) -> Parts:
    """Pack a weight (outputs, inputs). `amax`: the largest size in it.

    The quotient is rounded to the weight's own type before it becomes E4M3, as ModelOpt's is.
    """
    import torch

    scale = torch.tensor(amax.item() / E4M3_MAX, device=weight.device)
    return {"weight": (weight / scale).to(torch.float8_e4m3fn), "weight_scale": scale}


def nvfp4_input_scale(amax: torch.Tensor) -> torch.Tensor:
    """Return `input_scale` of NVFP4 for inputs of at most this size."""
    return amax.float() / (E2M1_MAX * E4M3_MAX)


def fp8_input_scale(amax: torch.Tensor) -> torch.Tensor:
    """Return `input_scale` of FP8 for inputs of at most this size."""
    return amax.float() / E4M3_MAX


def e2m1_codes(values: torch.Tensor) -> torch.Tensor:
    """Return the nearest E2M1 codes (uint8, 0 to 15) of float32 values, ties to the even code."""
    import torch

    # Halfway between neighbours; of a tie the lower code is even at the first, third, fifth, last.
    low = torch.tensor((0.25, 1.25, 2.5, 5.0), device=values.device)
    high = torch.tensor((0.75, 1.75, 3.5), device=values.device)
    size = values.abs()
    codes = torch.bucketize(size, low) + torch.bucketize(size, high, right=True)
    return codes.to(torch.uint8) | ((values < 0).to(torch.uint8) << 3)
