"""What is installed on this machine, as far as it decides whether an engine can run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgewatch.tools.installation.versions import Requirement


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, as the driver tells."""

    name: str
    capability: tuple[int, int] | None = None
    """Compute capability; (12, 1) is the Spark's."""
    memory_bytes: int | None = None
    """None where the driver does not say: memory is shared with the processor."""


@dataclass(frozen=True, slots=True)
class Import:
    """How a library took to being imported, in a process of its own."""

    worked: bool
    error: str = ""
    """Its last line if it did not work."""
    hung: bool = False
    """It did not end within the time limit."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What it said of itself: torch's "cuda", "archs", "sees_gpus"; PyAV's "decoders"."""


@dataclass(frozen=True, slots=True)
class Mpi:
    """OpenMPI, which TensorRT-LLM starts its workers with."""

    version: str | None = None
    external_pmix: bool = False
    """It uses the system's PMIx and not the one that came with it."""
    pmix_version: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's memory in bytes."""

    total_bytes: int = 0
    free_bytes: int = 0
    cached_bytes: int = 0
    shm_bytes: int | None = None
    """Size of /dev/shm; None if there is none."""


@dataclass(frozen=True, slots=True)
class Model:
    """The checkpoint that is set, as far as it decides what can load it."""

    path: str
    exists: bool = True
    rope_type: str = ""
    """`rope_scaling.type` of config.json; empty if there is none."""
    quantisation: str = ""
    """ "NVFP4", "FP8", ...; empty: plain weights."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that rules may look at."""

    kind: str = "builtin"
    """Which engine is meant to run: `[engine] kind`."""
    quantize: str = "none"
    """`[engine] quantize`."""
    python: tuple[int, int, int] = (3, 11, 0)
    system: str = "Linux x86_64"
    glibc: str = ""
    in_container: bool = False
    packages: Mapping[str, str] = field(default_factory=dict)
    """Installed distributions and their versions; names in lower case with dashes."""
    wanted: tuple[Requirement, ...] = ()
    """What edgewatch itself always needs."""
    imports: Mapping[str, Import] = field(default_factory=dict)
    """By module; only those that were tried."""
    driver: str | None = None
    """Of NVIDIA, None: there is none."""
    gpus: tuple[Gpu, ...] = ()
    mpi: Mpi = field(default_factory=Mpi)
    memory: Memory = field(default_factory=Memory)
    model: Model | None = None

    def version(self, package: str) -> str | None:
        """Return an installed version, None if there is none."""
        return self.packages.get(package)

    def fact(self, module: str, name: str) -> object:
        """Return what an imported library said of itself; None if it was not tried or is mute."""
        found = self.imports.get(module)
        return found.facts.get(name) if found else None
