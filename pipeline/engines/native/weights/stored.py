"""The weights of a checkpoint's files by name: looked at in the headers, read one by one.

Files are mapped into memory, so a weight goes from the page cache straight to the device and the
host never holds more than one. Where host and device share one memory, pages that were read are
given back on the way: kept, they would take as much again as the weights.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.checkpoint import Tensor, tensors_in, weight_files
from edgewatch.pipeline.engines.device_memory import is_unified
from edgewatch.pipeline.engines.native.sharing.shards import Shard, cut_of
from edgewatch.pipeline.engines.qwen.weights import check_weights
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

_AGAIN = "download the checkpoint again (docs/engines.md)"
_NAMED = 5
"""Most tensors that an error names."""
_KEPT_BYTES = 2**30
"""On a shared memory, pages of a file are given back whenever so much of it was read."""
_POSITIVE = (".weight_scale", ".weight_scale_2", ".input_scale")


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

    def __init__(
        self, directory: Path, device: torch.device, *, shard: Shard | None = None
    ) -> None:
        """Read the headers; `shard`: only its part of each weight will be read.

        Raises EngineFailed if a file is missing, cut short or no safetensors file.
        """
        self.directory = directory
        self._device = device
        self._shard = shard
        self._found: dict[str, tuple[Path, Tensor]] = {}
        self._opened: dict[Path, Any] = {}
        self._looked_at: dict[str, torch.Tensor] = {}
        self._unified = is_unified(device)
        self._read_bytes = 0
        check_weights(directory)
        for file in weight_files(directory):
            for tensor in tensors_in(file):
                name = canonical(tensor.name)
                if name in self._found:
                    raise EngineFailed(
                        f"{directory} holds {name} twice: in {self._found[name][0].name} and in "
                        f"{file.name}",
                        _AGAIN,
                    )
                self._found[name] = file, tensor

    @property
    def entries(self) -> Mapping[str, tuple[Path, Tensor]]:
        """Each weight's file and what its header says, by canonical name."""
        return self._found

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
            opened = self._opened[file]
            cut = cut_of(name, tensor.shape, self._shard) if self._shard else None
            if cut is None:
                read: torch.Tensor = opened.get_tensor(tensor.name)
            else:
                part = slice(cut.first, cut.end)
                whole = opened.get_slice(tensor.name)
                read = whole[part] if cut.axis == 0 else whole[:, part].contiguous()
        except (SafetensorError, OSError) as error:
            raise EngineFailed(f"{file} cannot be read at {name} ({error})", _AGAIN) from error
        self._look_at(name, read)
        if self._unified:
            self._give_back(file, tensor.stored_bytes)
        return read

    def refuse_unsound(self) -> None:
        """Refuse weights that are no numbers, and scales that are not positive: all that was read.

        All at once: a look at each by itself would wait for the device. Raises EngineFailed.
        """
        import torch

        if not self._looked_at:
            return
        ends = torch.stack(list(self._looked_at.values())).cpu()
        sound = ends.isfinite().all(dim=1).tolist()
        positive = (ends > 0).all(dim=1).tolist()
        wrong = [
            f"{name} in {self._found[name][0].name}"
            for name, fine, above in zip(self._looked_at, sound, positive, strict=True)
            if not fine or (not above and self._is_scale(name))
        ]
        if wrong:
            more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
            raise EngineFailed(
                f"{self.directory} holds weights that are no numbers, or scales that are not "
                f"positive: {', '.join(wrong[:_NAMED])}{more}",
                _AGAIN,
            )

    def _look_at(self, name: str, weight: torch.Tensor) -> None:
        """Take a weight's smallest and largest number, which are no numbers where one is none."""
        import torch

        if weight.dtype == torch.float8_e4m3fn:
            # E4M3 knows no infinity, and one size that is no number: all seven bits set.
            codes = weight.view(torch.uint8).bitwise_and(0x7F)
            largest = codes.amax().float()
            ends = torch.where(largest == 0x7F, torch.inf, largest).expand(2)
        elif weight.is_floating_point():
            ends = torch.stack(weight.aminmax()).float()
        else:
            return  # packed FP4, of which every code is a number
        self._looked_at[name] = ends

    def _is_scale(self, name: str) -> bool:
        # Blocks of zeros may have a scale of zero, in E4M3.
        return name.endswith(_POSITIVE) and self._found[name][1].dtype != "F8_E4M3"

    def _give_back(self, file: Path, read_bytes: int) -> None:
        """Let the system drop a file's pages, which it does only while nothing maps them."""
        self._read_bytes += read_bytes
        if self._read_bytes < _KEPT_BYTES:
            return
        self._read_bytes = 0
        self._opened.clear()
        drop_pages(file)

    def __enter__(self) -> StoredWeights:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.clear()
        if self._unified:
            for file in {where for where, _ in self._found.values()}:
                drop_pages(file)


def drop_pages(file: Path) -> None:
    """Advise the system to drop a file's pages from its cache; it may not."""
    with file.open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
