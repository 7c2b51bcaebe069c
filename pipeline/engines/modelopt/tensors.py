"""The tensors of a checkpoint's files, each straight onto a device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.checkpoint import weight_files
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch


def tensors_on(
    directory: Path, device: torch.device | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield all that the files hold, by name; `device` None: the CPU.

    Raises EngineFailed if a file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    for file in weight_files(directory):
        try:
            with safe_open(file, framework="pt", device=str(device or "cpu")) as opened:
                for name in opened.keys():  # noqa: SIM118 - it is no mapping
                    yield name, opened.get_tensor(name)
        except SafetensorError as error:
            raise EngineFailed(f"{file} cannot be read ({error})", "download it again") from error
