"""Energy that judging takes, where the machine tells: GPUs by NVML, processors by RAPL."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the counters of RAPL (Documentation/power/powercap in the kernel)."""


class EnergySource(Protocol):
    """A counter of energy that only grows."""

    name: str

    def joules(self) -> float:
        """Return what was used up to now, from any beginning. Raises OSError."""


@dataclass(slots=True)
class RaplSource:
    """A processor package's counter, which begins anew at `max_energy_range_uj`."""

    name: str
    folder: Path
    _wraps: int = 0
    _last_microjoules: int = 0

    def joules(self) -> float:
        """Return the joules; must be read more often than the counter wraps (minutes)."""
        now = int((self.folder / "energy_uj").read_text())
        if now < self._last_microjoules:
            self._wraps += 1
        self._last_microjoules = now
        full = int((self.folder / "max_energy_range_uj").read_text()) if self._wraps else 0
        return (self._wraps * full + now) / 1e6


@dataclass(slots=True)
class NvmlSource:
    """A GPU's counter since its driver was loaded (Volta and later)."""

    name: str
    nvml: Any
    handle: Any

    def joules(self) -> float:
        """Return the joules. Raises OSError if the driver has gone."""
        try:
            return float(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)) / 1e3
        except self.nvml.NVMLError as error:
            raise OSError(str(error)) from error


@dataclass(slots=True)
class EnergyMeter:
    """Sums what several sources tell; a source that fails once makes the rest unknown."""

    sources: Sequence[EnergySource]
    reason: str = ""
    """Why there is none, or what is missing."""
    _last: dict[str, float] = field(default_factory=dict)

    @property
    def told_by(self) -> str:
        """Who measures, or why nobody does."""
        names = ", ".join(one.name for one in self.sources)
        return names or self.reason

    def since_last(self) -> float | None:
        """Return the joules since the call before (the first gives 0.0); None: not measured."""
        if not self.sources:
            return None
        total = 0.0
        for source in self.sources:
            try:
                now = source.joules()
            except (OSError, ValueError) as error:
                self.sources, self.reason = (), f"{source.name} stopped telling: {error}"
                return None
            total += max(0.0, now - self._last.get(source.name, now))
            self._last[source.name] = now
        return total


def energy_meter(*, powercap: Path = POWERCAP) -> EnergyMeter:
    """Return a meter of all that this machine tells. Never raises: what is missing has a reason."""
    gpus, no_gpu = _gpu_sources()
    processors, no_processor = _processor_sources(powercap)
    return EnergyMeter(
        [*gpus, *processors], "; ".join(one for one in (no_gpu, no_processor) if one)
    )


def _gpu_sources() -> tuple[list[EnergySource], str]:
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return [], "GPUs: needs pip install nvidia-ml-py"
    try:
        nvml.nvmlInit()
        handles = [
            (number, nvml.nvmlDeviceGetHandleByIndex(number))
            for number in range(nvml.nvmlDeviceGetCount())
        ]
        sources: list[EnergySource] = []
        for number, handle in handles:
            nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            sources.append(NvmlSource(f"NVML GPU {number}", nvml, handle))
    except nvml.NVMLError as error:
        return [], f"GPUs: {error}"
    return sources, "" if sources else "there is no GPU"


def _processor_sources(powercap: Path) -> tuple[list[EnergySource], str]:
    found: list[EnergySource] = []
    try:
        # Packages alone ("intel-rapl:0", also on AMD): cores and memory are parts of them
        folders = sorted(one for one in powercap.glob("*-rapl:*") if one.name.count(":") == 1)
    except OSError:
        folders = []
    for folder in folders:
        try:
            name = (folder / "name").read_text().strip()
            source = RaplSource(f"RAPL {name}", folder)
            source.joules()
        except PermissionError:
            return [], f"processors: {folder}/energy_uj may be read by root alone"
        except (OSError, ValueError):
            continue
        found.append(source)
    return found, "" if found else f"processors: no RAPL under {powercap}"
