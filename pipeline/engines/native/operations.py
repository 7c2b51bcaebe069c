"""Which passes run on a device: kernels of our own where they work, else plain PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from edgewatch.pipeline.engines.native.arithmetic import Operations
from edgewatch.pipeline.engines.native.plain import PlainOperations
from edgewatch.pipeline.engines.native.products import PlainProduct

if TYPE_CHECKING:
    import torch

log = structlog.get_logger(__name__)

_CURE = (
    "install Triton beside PyTorch, a C compiler and Python's headers (apt install gcc python3-dev)"
)


def operations_for(device: torch.device, dtype: torch.dtype) -> Operations:
    """Return the passes for a device; call on the thread that will compute.

    Kernels are tried once: they are compiled where they run, and without a C compiler there the
    model is slower, not absent. They run on their thread's current device, which becomes `device`.
    """
    if device.type != "cuda":
        return PlainOperations(dtype)
    import torch

    torch.cuda.set_device(device)
    try:
        from edgewatch.pipeline.engines.native.kernels.operations import KernelOperations

        operations = KernelOperations(dtype)
        _try(operations, device, dtype)
        if not _gates(operations, device, dtype):
            operations = KernelOperations(dtype, plain=("gated",))
    except Exception as error:  # noqa: BLE001 - a compiler's errors have no base of their own
        log.warning(
            "kernels do not run: plain PyTorch, which is slower",
            device=str(device),
            error=f"{type(error).__name__}: {error}"[:500],
            cure=_CURE,
        )
        return PlainOperations(dtype)
    log.info("kernels compiled by Triton", device=str(device))
    return operations


def _try(operations: Operations, device: torch.device, dtype: torch.dtype) -> None:
    """Norm a row. Raises whatever stands in the way."""
    import torch

    row = torch.ones((1, 32), dtype=dtype, device=device)
    normed = operations.norm(row, row[0], 0.0)
    assert isinstance(normed, torch.Tensor)
    if not bool((normed == 1).all()):
        raise ArithmeticError("a norm of ones is not one")


def _gates(operations: Operations, device: torch.device, dtype: torch.dtype) -> bool:
    """Say whether a product runs together with its gate: compilers differ most in this kernel."""
    import torch

    rows = torch.zeros((64, 64), dtype=dtype, device=device)
    try:
        operations.for_trial().gated(PlainProduct(rows), rows)
        torch.cuda.synchronize(device)
    except Exception as error:  # noqa: BLE001 - as above
        log.warning(
            "products and their gates run as two passes, which is a little slower",
            device=str(device),
            error=f"{type(error).__name__}: {error}"[:500],
        )
        return False
    return True
