"""Memory plan: whether a model and its batches fit, told before anything is loaded.

Pure but for the headers of a checkpoint's files: no weight is read. The free memory is given as
numbers; `memory_of` makes them of /proc/meminfo and of what the GPU's driver says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgewatch.pipeline.engines.checkpoint import Geometry, Tensor, geometry_of, tensors_of
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.pipeline.errors import EngineFailed

GB = 1e9

TEXT_TOKENS = 512
"""Room for the question beside the video; the default ones take about 250."""
WORDS_TOKENS = 2048
"""Most that a description may have: what the setting allows."""
RESERVE_BYTES = int(1.5 * GB)
"""On memory of its own: the driver's context, kernels, and what fragmentation costs."""
UNIFIED_RESERVE_BYTES = 12 * 2**30
"""On memory shared with the host: decoding, the broker and the system live there too, and a host
that runs out of it hangs before any error is raised."""

FREE_PAGE_CACHE = "sync; echo 3 > /proc/sys/vm/drop_caches"


@dataclass(frozen=True, slots=True)
class Memory:
    """What is free, and what could be."""

    free_bytes: int
    cache_bytes: int = 0
    """Page cache that counts as used here; 0 where it gives way by itself."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What a checkpoint and its batches take, held against what is free; all in bytes."""

    checkpoint: Path
    weights_bytes: int
    clip_bytes: int
    """Keys, values and activations of one clip of a batch."""
    reserve_bytes: int
    """What else lives there, and one description's keys and values."""
    free_bytes: int
    cache_bytes: int
    max_batch: int
    batch: int
    """The largest batch up to `max_batch` that fits; 0: not even one clip does."""
    unified: bool

    @property
    def fits(self) -> bool:
        """Whether batches of `max_batch` fit."""
        return self.batch >= self.max_batch

    @property
    def needed_bytes(self) -> int:
        """For batches of `max_batch`."""
        return self._needed_bytes(self.max_batch)

    @property
    def sentence(self) -> str:
        """The figures, for the log and for `edgewatch check`."""
        cache = ""
        if self.unified and self.cache_bytes:
            cache = f", and {_gb(self.cache_bytes)} more are page cache"
        return (
            f"{self.checkpoint} needs {_gb(self.needed_bytes)} (weights {_gb(self.weights_bytes)}, "
            f"{self.max_batch} clips at a time {_gb(self.max_batch * self.clip_bytes)}, reserve "
            f"{_gb(self.reserve_bytes)}); {_gb(self.free_bytes)} are free{cache}"
        )

    @property
    def cure(self) -> str:
        """What to do where it does not fit; empty where it does."""
        if self.fits:
            return ""
        cures = []
        if self.cache_bytes and self.free_bytes + self.cache_bytes >= self.needed_bytes:
            cures.append(f"free the page cache, as root: {FREE_PAGE_CACHE}")
        if self.batch:
            cures.append(f"set [engine] max_batch = {self.batch}, which fits")
        else:
            cures.append("take a quantised checkpoint (docs/engines.md)")
            cures.append("end other programs that hold memory")
        cures.append("set fewer [clips] pixels or seconds")
        return ", or ".join(cures)

    def require(self) -> None:
        """Raise EngineFailed, with all figures and the cure, if it does not fit."""
        if not self.fits:
            raise EngineFailed(f"not enough memory, {self.sentence}", self.cure)

    def _needed_bytes(self, batch: int) -> int:
        return self.weights_bytes + batch * self.clip_bytes + self.reserve_bytes


def plan(
    checkpoint: Path,
    largest: LargestClip,
    max_batch: int,
    *,
    free_bytes: int,
    cache_bytes: int = 0,
    unified: bool = False,
    quantize: Literal["none", "int8"] = "none",
    weight_bytes: int | None = None,
    held_bytes: Callable[[Tensor], int] | None = None,
) -> MemoryPlan:
    """Plan the memory of a checkpoint for batches of the largest clips.

    `free_bytes`, `cache_bytes`: see `Memory`. `unified`: host and GPU share one memory. `quantize`:
    what is done to the weights at load. `weight_bytes`: size of a weight where the engine converts
    them (4 for float32 on a CPU); None: as they are stored. `held_bytes`: what each tensor takes,
    where neither says it.

    Raises EngineFailed if the checkpoint is incomplete or no model of this family.
    """
    geometry = geometry_of(checkpoint)
    held = held_bytes or (lambda one: _held_bytes(one, quantize, weight_bytes))
    weights_bytes = sum(map(held, tensors_of(checkpoint)))
    clip_bytes = kv_bytes(geometry, largest) + activation_bytes(geometry, largest)
    words_bytes = WORDS_TOKENS * token_bytes(geometry)
    reserve_bytes = (UNIFIED_RESERVE_BYTES if unified else RESERVE_BYTES) + words_bytes
    left_bytes = free_bytes - weights_bytes - reserve_bytes
    return MemoryPlan(
        checkpoint=checkpoint,
        weights_bytes=weights_bytes,
        clip_bytes=clip_bytes,
        reserve_bytes=reserve_bytes,
        free_bytes=free_bytes,
        cache_bytes=cache_bytes,
        max_batch=max_batch,
        batch=min(max_batch, max(0, left_bytes // clip_bytes)),
        unified=unified,
    )


def video_tokens(geometry: Geometry, largest: LargestClip) -> int:
    """Return the tokens of a clip's video: one for each 2 frames and merged patch.

    A frame may be 5 % larger than was wanted (`pipeline.frames.target_size`).
    """
    side = geometry.patch_size * geometry.spatial_merge_size
    pairs = math.ceil(largest.frames / geometry.temporal_patch_size)
    return pairs * math.ceil(1.05 * largest.pixels / side**2)


def kv_bytes(geometry: Geometry, largest: LargestClip) -> int:
    """Return what the keys and values of a clip and its question take."""
    return (video_tokens(geometry, largest) + TEXT_TOKENS) * token_bytes(geometry)


def token_bytes(geometry: Geometry) -> int:
    """Return what a token's keys and values take in bf16: 56 KiB for Qwen2.5-VL-7B.

    2 (key, value) x layers x key-value heads x size of a head x 2 bytes.
    """
    return 2 * geometry.layers * geometry.kv_heads * geometry.head_size * 2


def activation_bytes(geometry: Geometry, largest: LargestClip) -> int:
    """Return what a clip takes while it passes through the model, in bf16.

    The widest places count: in a language layer the residual in float32 and bf16 and three
    products of the MLP; in a vision layer the same for each patch. Both, as an allocator keeps
    what it has; the last layers' logits are of one position only. For Qwen2.5-VL-7B and 8 clips of
    20 x 252 x 252 this gives 2.5 GB, where a prototype with buffers of its own held 1.7 GB.
    """
    tokens = video_tokens(geometry, largest) + TEXT_TOKENS
    patches = video_tokens(geometry, largest) * geometry.spatial_merge_size**2
    language = tokens * (6 * geometry.hidden_size + 2 * 3 * geometry.mlp_size)
    vision = patches * (6 * geometry.vision_hidden_size + 2 * 3 * geometry.vision_mlp_size)
    pixels = patches * 2 * 3 * geometry.temporal_patch_size * geometry.patch_size**2
    return language + vision + pixels


def memory_of(meminfo: str, *, gpu_free_bytes: int | None = None, unified: bool = False) -> Memory:
    """Return what is free by the text of /proc/meminfo and, on a GPU, by its driver.

    The driver of a GPU that shares the host's memory counts page cache as used, though the kernel
    would give most of it away. Raises ValueError if the text is no meminfo.
    """
    figures = _meminfo_bytes(meminfo)
    if gpu_free_bytes is None:
        return Memory(figures["MemAvailable"])
    if not unified:
        return Memory(gpu_free_bytes)
    cached = figures.get("Cached", 0) + figures.get("Buffers", 0) - figures.get("Shmem", 0)
    return Memory(gpu_free_bytes, max(0, cached))


def _meminfo_bytes(meminfo: str) -> dict[str, int]:
    """Parse "MemAvailable:  123 kB" lines. Source: proc_meminfo(5); its kB are 1024 bytes."""
    figures = {}
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        number, *unit = rest.split() or [""]
        if number.isdigit() and unit == ["kB"]:
            figures[name] = int(number) * 1024
    if "MemAvailable" not in figures:
        raise ValueError("no MemAvailable: this is not the text of /proc/meminfo")
    return figures


def _held_bytes(tensor: Tensor, quantize: str, weight_bytes: int | None) -> int:
    if quantize == "int8" and tensor.is_linear_of_a_layer:
        return tensor.elements  # bitsandbytes keeps what stands in layers in one byte each
    if weight_bytes is not None and tensor.dtype in ("BF16", "F16", "F32"):
        return tensor.elements * weight_bytes
    return tensor.stored_bytes


def _gb(size_bytes: float) -> str:
    return f"{size_bytes / GB:.1f} GB"
