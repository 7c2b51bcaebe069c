"""Plain modules: the same arithmetic in operators that every ONNX runtime has.

Flux turns its queries by angles worked out in float64, which neither TensorRT nor onnxruntime's
Cos can; and its RMSNorm is one operator that torch's tracing exporter does not know.
"""

from __future__ import annotations

from typing import Any


def plain_rotary(embedding: Any) -> Any:
    """Return FluxPosEmbed with its angles in float32.

    Positions are whole numbers below 100, so an angle is off by less than 1e-5. The frequencies
    are still worked out in float64. Source: Su et al., "RoFormer", 2021; diffusers 0.42
    `embeddings.get_1d_rotary_pos_embed`.
    """
    import torch

    frequencies = [
        (1.0 / embedding.theta ** (torch.arange(0, width, 2, dtype=torch.float64) / width)).float()
        for width in embedding.axes_dim
    ]

    class Rotary(torch.nn.Module):  # type: ignore[misc] # torch is not typed here
        def forward(self, ids: Any) -> tuple[Any, Any]:
            places = ids.float()
            turns = [
                places[:, axis : axis + 1] * one[None, :] for axis, one in enumerate(frequencies)
            ]
            # Each angle turns a pair of neighbours.
            angles = torch.cat(turns, dim=-1).repeat_interleave(2, dim=-1)
            return angles.cos(), angles.sin()

    return Rotary()


def plain_rms_norms(module: Any) -> None:
    """Replace every torch.nn.RMSNorm in a module, in place; they compute in float32 as before."""
    import torch

    class RmsNorm(torch.nn.Module):  # type: ignore[misc] # torch is not typed here
        def __init__(self, norm: Any) -> None:
            super().__init__()
            self.weight = norm.weight
            eps = norm.eps
            self.eps = float(torch.finfo(torch.float32).eps if eps is None else eps)

        def forward(self, values: Any) -> Any:
            exact = values.float()
            exact = exact * torch.rsqrt(exact.square().mean(-1, keepdim=True) + self.eps)
            if self.weight is not None:
                exact = exact * self.weight.float()
            return exact.to(values.dtype)

    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.RMSNorm):
                setattr(parent, name, RmsNorm(child))
