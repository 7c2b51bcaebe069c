"""Plan key: what a TensorRT plan depends on, and the name that follows from it. Pure.

NVIDIA's demo names plans by model and version alone; a plan of another size or precision is then
reused in silence. Here everything that changes a plan changes its name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = 1

Shape = tuple[int, ...]
Profile = Mapping[str, tuple[Shape, Shape, Shape]]
"""Least, usual and most shape of every input."""


@dataclass(frozen=True, slots=True)
class PlanMachine:
    """Where a plan was built: it runs nowhere else."""

    tensorrt: str
    """Full version, "10.13.3.9"."""
    cuda: str
    """Of the runtime, "13.0"."""
    driver_major: int
    compute: str
    """Compute capability, "12.1" on a GB10; an "12.0" plan is not taken there."""
    gpu: str
    """The device's name; for people, and in the key because limits differ within a capability."""
    platform: str
    """"aarch64" or "x86_64"."""


@dataclass(frozen=True, slots=True)
class PlanRecipe:
    """How a plan is built."""

    model: str
    part: str
    precision: str
    files: Mapping[str, tuple[int, str]]
    """Bytes and sha256 of the graph and of all its data."""
    patch_version: int
    text_length: int
    profile: Profile
    level: int = 3
    """builder_optimization_level, 0 to 5."""
    flags: tuple[str, ...] = ()
    """BuilderFlag names that are set."""
    workspace_bytes: int = 0
    timing_cache: bool = False
    hardware_compatibility: str = "none"


@dataclass(frozen=True, slots=True)
class PlanIdentity:
    """A recipe on a machine."""

    recipe: PlanRecipe
    machine: PlanMachine
    schema: int = field(default=SCHEMA)

    @property
    def key(self) -> str:
        """Return the sha256 over all of it, 64 hexadecimal digits."""
        written = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(written.encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values, shapes as lists."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Tell in words in what two machines (`as_json()["machine"]`) differ, "GPU X, not Y" each."""
    words = {
        "tensorrt": "TensorRT",
        "cuda": "CUDA",
        "driver_major": "driver",
        "compute": "compute capability",
        "gpu": "GPU",
        "platform": "platform",
    }
    return [
        f"{word} {found.get(key)}, not {wanted.get(key)}"
        for key, word in words.items()
        if found.get(key) != wanted.get(key)
    ]
