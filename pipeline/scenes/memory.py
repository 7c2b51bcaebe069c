"""The memory plan: what a picture takes, phase by phase, and whether there is room for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.memory_shapes import (
    TEXT_BYTES,
    decode_bytes,
    denoise_bytes,
    weight_bytes,
)
from edgewatch.pipeline.scenes.models.catalogue import (
    BITS,
    MODELS,
    Precision,
    SceneModel,
    model_named,
)

Layout = Literal["resident", "staged", "one_at_a_time"]
"""resident: every network stays. staged: the text encoders are gone before the large network
comes. one_at_a_time: the large network is gone too before the VAE decodes."""

LAYOUTS: tuple[Layout, ...] = ("resident", "staged", "one_at_a_time")

LAYOUT_WORDS: Mapping[Layout, str] = {
    "resident": "all networks at once",
    "staged": "text encoders first, then the rest",
    "one_at_a_time": "one network at a time",
}

GIB = 2**30
MARGIN = 1.15
"""What is asked for of each planned byte: allocators round up and leave gaps."""
HOST_RESERVE_BYTES = 8 * GIB
"""Left to the system and the judge where the GPU computes in the host's memory, or none does."""
DEVICE_RESERVE_BYTES = GIB // 2
"""Left on a GPU with memory of its own."""
CONTEXT_BYTES = 800 * 10**6
"""CUDA's context with its kernels, and cuBLAS's workspace: on the device beside all tensors."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One stage of making a picture."""

    name: str
    """text, denoise or decode."""
    weights_bytes: int
    """Of every network that is in memory then."""
    activation_bytes: int

    @property
    def peak_bytes(self) -> int:
        """All that this phase takes."""
        return self.weights_bytes + self.activation_bytes


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What one picture takes at its peak."""

    model: str
    precision: Precision
    size: tuple[int, int]
    """Width and height in pixels."""
    layout: Layout
    tiled: bool
    """Whether the VAE decodes in pieces."""
    phases: tuple[Phase, ...]
    context_bytes: int
    """Beside all tensors: CUDA's context, 0 on a CPU."""
    exact_weights: bool = False
    """The weights were counted in their files, so other models' sizes say nothing of these."""

    @property
    def tensor_bytes(self) -> int:
        """The peak of all tensors together, without the context."""
        return max(phase.peak_bytes for phase in self.phases)

    @property
    def peak_bytes(self) -> int:
        """The peak, context included."""
        return self.tensor_bytes + self.context_bytes

    @property
    def words(self) -> str:
        """What it plans, for people."""
        tiles = ", decoded in tiles" if self.tiled else ""
        width, height = self.size
        return f"{self.model} {self.precision} {width}x{height}, {LAYOUT_WORDS[self.layout]}{tiles}"


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """A GPU's memory as its driver tells it."""

    free_bytes: int
    total_bytes: int
    unified: bool
    """It is the host's own (GB10): the driver's free figure leaves out what the page cache would
    give back, so the kernel's MemAvailable counts instead."""


def plan_memory(
    model: SceneModel,
    precision: Precision,
    size: tuple[int, int],
    *,
    layout: Layout = "resident",
    tiled: bool = False,
    context_bytes: int = CONTEXT_BYTES,
    weights: Mapping[str, int] | None = None,
) -> MemoryPlan:
    """Plan one picture of `size` (width, height).

    `weights`: bytes a network, where they are known better than by the catalogue (counted in the
    files, or a plan's own); they are taken as they are. `context_bytes`: 0 on a CPU.
    """
    known = {one.name: weight_bytes(model, one, precision) for one in model.components}
    known |= dict(weights or {})
    text = sum(known[one.name] for one in model.components if one.phase == "text")
    core = sum(known[one.name] for one in model.components if one.phase == "denoise")
    vae = sum(known[one.name] for one in model.components if one.phase == "decode")
    small = weights is not None
    phases = (
        Phase("text", text + (core + vae if layout == "resident" else 0), TEXT_BYTES),
        Phase(
            "denoise",
            core + vae + (text if layout == "resident" else 0),
            denoise_bytes(model, precision, size, core if small else None),
        ),
        Phase(
            "decode",
            vae
            + (core if layout != "one_at_a_time" else 0)
            + (text if layout == "resident" else 0),
            decode_bytes(model, precision, size, tiled),
        ),
    )
    return MemoryPlan(
        model.name, precision, size, layout, tiled, phases, context_bytes, exact_weights=small
    )


def plans(
    model: SceneModel,
    precision: Precision,
    size: tuple[int, int],
    *,
    context_bytes: int = CONTEXT_BYTES,
    weights: Mapping[str, int] | None = None,
) -> Iterator[MemoryPlan]:
    """Yield the ways of making one picture, the fastest first and the smallest last."""
    ways: tuple[tuple[Layout, bool], ...] = (
        ("resident", False),
        ("staged", False),
        ("staged", True),
        ("one_at_a_time", True),
    )
    for layout, tiled in ways:
        yield plan_memory(
            model,
            precision,
            size,
            layout=layout,
            tiled=tiled,
            context_bytes=context_bytes,
            weights=weights,
        )


def fits(
    plan: MemoryPlan,
    available_bytes: int,
    resident_bytes: int = 0,
    reserve_bytes: int = HOST_RESERVE_BYTES,
) -> bool:
    """Tell whether there is room: margin and what is left alone included."""
    return needed_bytes(plan, resident_bytes, reserve_bytes) <= available_bytes


def needed_bytes(
    plan: MemoryPlan, resident_bytes: int = 0, reserve_bytes: int = HOST_RESERVE_BYTES
) -> int:
    """Return what must be available for a plan to be admitted.

    `resident_bytes`: what stays free for the judge and the machine, by the settings; never less
    than `reserve_bytes`.
    """
    return round(plan.peak_bytes * MARGIN) + max(resident_bytes, reserve_bytes)


def admit(
    plan: MemoryPlan,
    available_bytes: int,
    resident_bytes: int = 0,
    reserve_bytes: int = HOST_RESERVE_BYTES,
) -> None:
    """Let a plan pass that there is room for; the arguments are those of `needed_bytes`.

    Raises SceneRefused with the figures and with what would fit.
    """
    if fits(plan, available_bytes, resident_bytes, reserve_bytes):
        return
    left = max(resident_bytes, reserve_bytes)
    would = list(alternatives(plan, available_bytes, resident_bytes, reserve_bytes))
    cure = (
        f"what would fit: {'; '.join(would)}"
        if would
        else "nothing of this model would fit: stop the judge, or make pictures on another machine"
    )
    raise SceneRefused(
        f"not enough memory for {plan.words}: it takes {_gb(plan.peak_bytes)} x {MARGIN}, "
        f"{_gb(left)} are left to the judge and the system, and {_gb(available_bytes)} are "
        f"available; {cure}"
    )


def choose_plan(
    model: SceneModel,
    precision: Precision,
    size: tuple[int, int],
    available_bytes: int,
    resident_bytes: int = 0,
    *,
    reserve_bytes: int = HOST_RESERVE_BYTES,
    context_bytes: int = CONTEXT_BYTES,
    weights: Mapping[str, int] | None = None,
) -> MemoryPlan:
    """Return the fastest way there is room for. Raises SceneRefused as `admit` does."""
    plan = None
    for plan in plans(model, precision, size, context_bytes=context_bytes, weights=weights):
        if fits(plan, available_bytes, resident_bytes, reserve_bytes):
            return plan
    assert plan is not None
    admit(plan, available_bytes, resident_bytes, reserve_bytes)
    return plan


def alternatives(
    plan: MemoryPlan,
    available_bytes: int,
    resident_bytes: int = 0,
    reserve_bytes: int = HOST_RESERVE_BYTES,
) -> Iterator[str]:
    """Yield what of the same model would fit: parts in turn, a smaller size, other precisions."""
    if plan.exact_weights or plan.model not in MODELS:
        return
    model = model_named(plan.model)

    def smallest(precision: Precision, size: tuple[int, int]) -> MemoryPlan | None:
        for way in plans(model, precision, size, context_bytes=plan.context_bytes):
            if fits(way, available_bytes, resident_bytes, reserve_bytes):
                return way
        return None

    if found := smallest(plan.precision, plan.size):
        tiles = " and decoding in tiles" if found.tiled else ""
        yield f"{LAYOUT_WORDS[found.layout]}{tiles} ({_gb(found.peak_bytes)})"
    else:
        for size in _smaller(model, plan.size):
            if found := smallest(plan.precision, size):
                yield f"{size[0]}x{size[1]} ({_gb(found.peak_bytes)})"
                break
    mine = BITS[plan.precision]
    for precision in sorted(model.precisions, key=lambda one: -BITS[one]):
        if BITS[precision] >= mine:
            continue
        if found := smallest(precision, plan.size):
            yield f"precision {precision} ({_gb(found.peak_bytes)})"
            break


def read_available_bytes(
    device: DeviceMemory | None = None, *, meminfo: Path = Path("/proc/meminfo")
) -> int:
    """Return what can be had without pushing anybody out.

    MemAvailable of the host, unless the device has memory of its own: then what is free there.
    Raises SceneUnavailable if the kernel does not say.
    """
    if device is not None and not device.unified:
        return device.free_bytes
    try:
        text = meminfo.read_text("ascii", "replace")
    except OSError as error:
        raise SceneUnavailable(f"{meminfo} cannot be read: {error.strerror}") from error
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    if found is None:
        raise SceneUnavailable(f"{meminfo} has no MemAvailable: the kernel is older than 3.14")
    return int(found[1]) * 1024


def reserve_of(device: DeviceMemory | None) -> int:
    """Return what is left alone on a device; None is the host."""
    return HOST_RESERVE_BYTES if device is None or device.unified else DEVICE_RESERVE_BYTES


def on_cpu(plan: MemoryPlan) -> MemoryPlan:
    """Return the same plan without CUDA's context."""
    return replace(plan, context_bytes=0)


def _smaller(model: SceneModel, size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield sizes of the same shape, each with sides a quarter shorter, down to the least."""
    width, height = size
    while True:
        width, height = (
            int(side * 0.75) // model.side_multiple * model.side_multiple
            for side in (width, height)
        )
        if min(width, height) < model.least_side:
            return
        yield width, height


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
