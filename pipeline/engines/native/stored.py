"""The weights of a checkpoint's files by name: looked at in the headers, read one by one.

Files are mapped into memory, so a weight goes from the page cache straight to the device and the
host never holds more than one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.checkpoint import Tensor, tensors_in, weight_files
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

_AGAIN = "download the checkpoint again (docs/engines.md)"


def canonical(name: str) -> str:
    """Return a stored weight's name as the family began with it: "visual.", "model.", "lm_head.".

    transformers 5 writes deeper nested ones.
    """
    for newer, older in (("model.visual.", "visual."), ("model.language_model.", "model.")):
        if name.startswith(newer):
            return older + name.removeprefix(newer)
    return name


class StoredWeights:
    """A checkpoint's files, opened. Use as a context; one thread only."""

    def __init__(self, directory: Path, device: torch.device) -> None:
        """Read the headers. Raises EngineFailed if a file is missing or cut short."""
        self.directory = directory
        self._device = device
        self._found: dict[str, tuple[Path, Tensor]] = {}
        self._opened: dict[Path, Any] = {}
        for file in weight_files(directory):
            for tensor in tensors_in(file):
                self._found[canonical(tensor.name)] = file, tensor

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """What the headers say, by canonical name."""
        return {name: tensor for name, (_, tensor) in self._found.items()}

    def read(self, name: str) -> torch.Tensor:
        """Return a weight on the device, as it is stored. Raises EngineFailed if it is damaged."""
        from safetensors import SafetensorError, safe_open

        file, tensor = self._found[name]
        try:
            if file not in self._opened:
                self._opened[file] = safe_open(file, framework="pt", device=str(self._device))
            read: torch.Tensor = self._opened[file].get_tensor(tensor.name)
        except (SafetensorError, OSError) as error:
            raise EngineFailed(f"{file} cannot be read at {name} ({error})", _AGAIN) from error
        return read

    def __enter__(self) -> StoredWeights:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.clear()
