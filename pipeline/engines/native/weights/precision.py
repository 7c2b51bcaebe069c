"""What products are computed in: chosen from the setting, the checkpoint and the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgewatch.pipeline.engines.model import SIMULATED
from edgewatch.pipeline.engines.native.weights.formats import StoredFormat
from edgewatch.pipeline.engines.qwen.quantisation import FP8_CAPABILITY
from edgewatch.pipeline.engines.transformers.modelopt.products import fp8_products_work
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

Wanted = Literal["auto", "bf16", "fp8"]
"""`[engine] precision`. "bf16": the network's own type, which is float32 on a CPU."""
ROUNDED, UNPACKED = "~fp8", "~unpacked"
"""What an engine's name ends with where its weights are not those of the checkpoint: their scores
are others too, and a calibration must not be taken from one for the other."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How this checkpoint is computed on this device."""

    fp8: bool = False
    """Products in E4M3 wherever the checkpoint has not left them out; else in the network's type.
    """
    arithmetic: str = ""
    """In a sentence, for the log."""
    mark: str = ""
    """What the engine's name ends with; empty where numbers are the checkpoint's own."""


def choose(
    wanted: Wanted, found: StoredFormat | None, device: str, *, fp8: bool, own: str
) -> Choice:
    """Choose; pure.

    `found`: how weights are stored; None: plain. `device`: "cpu", or a GPU's name. `fp8`: whether
    it has FP8 products. `own`: name of the network's own type. Raises EngineFailed if FP8 is asked
    of a GPU that has none.
    """
    imitated = wanted == "fp8" and device == "cpu"
    if wanted == "fp8" and not fp8 and not imitated:
        raise EngineFailed(
            f'[engine] precision = "fp8": {device} has no FP8 products by rows and by tensors with '
            "this torch (a CUDA GPU from capability 8.9 has, with torch 2.7 or newer)",
            'set precision = "bf16" or "auto"',
        )
    rest = f"all else in {own}"
    if imitated:
        what = found.title if found else "FP8"
        return Choice(True, f"{what} products imitated in {own}, {rest}", SIMULATED)
    if wanted == "bf16" or not fp8 or (wanted == "auto" and found is None):
        if found is None:
            return Choice(False, f"products in {own}")
        return Choice(False, f"weights in {found.title} unpacked to {own}", UNPACKED)
    if found is None:
        return Choice(True, f"FP8 products, weights rounded at load, {rest}", ROUNDED)
    if found.kind == "nvfp4":
        said = f"weights in {found.title} rounded to FP8 at load, inputs in FP8 and not in FP4"
        return Choice(True, f"{said}, {rest}", ROUNDED)
    return Choice(True, f"{found.title}, {rest}")


def choose_for(wanted: Wanted, found: StoredFormat | None, device: torch.device) -> Choice:
    """Choose for a device. Raises EngineFailed if FP8 is asked of a GPU that has none."""
    if device.type != "cuda":
        return choose(wanted, found, "cpu", fp8=False, own="float32")
    import torch

    fp8 = torch.cuda.get_device_capability(device) >= FP8_CAPABILITY and (
        fp8_products_work(device) and fp8_products_work(device, by_rows=True)
    )
    name = torch.cuda.get_device_name(device)
    return choose(wanted, found, name, fp8=fp8, own="bfloat16")
