"""Memory that judging takes at its most, as the system and the GPU's driver tell it."""

from __future__ import annotations

import importlib
import os
import resource
import sys
from pathlib import Path
from typing import Any

PROC = Path("/proc")
_RESET_PEAK = "5"
"""See proc(5), clear_refs: sets the peak of resident memory to what is resident now."""


def begin_peak() -> None:
    """Forget earlier peaks of this process, where the system lets us."""
    try:
        (PROC / "self" / "clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return  # the peak then counts from the process's start


def peak_bytes() -> int:
    """Return the most resident memory of this process plus that of each living child.

    The peaks need not have been at the same time, so this is an upper bound where there are
    children.
    """
    own = _peak_of(PROC / "self")
    if own is None:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return own + sum(_peak_of(PROC / str(pid)) or 0 for pid in descendants(os.getpid()))


def gpu_peak_bytes() -> int | None:
    """Return the GPU memory of this process and its children; None if no GPU is in use.

    By torch its own peak; of children what NVML shows now.
    """
    torch: Any = sys.modules.get("torch")
    peak = 0
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        devices = range(torch.cuda.device_count())
        peak = sum(int(torch.cuda.max_memory_reserved(one)) for one in devices)
    return max(peak, _nvml_bytes()) or None


def descendants(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
    parents: dict[int, list[int]] = {}
    for folder in PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            # "pid (name) state parent": a name may hold anything, also brackets
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents.setdefault(int(after_name[1]), []).append(int(folder.name))
    found, waiting = [], [pid]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _peak_of(folder: Path) -> int | None:
    try:
        for line in (folder / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def _nvml_bytes() -> int:
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return 0
    try:
        nvml.nvmlInit()
        ours = {os.getpid(), *descendants(os.getpid())}
        return sum(
            int(process.usedGpuMemory or 0)
            for number in range(nvml.nvmlDeviceGetCount())
            for process in nvml.nvmlDeviceGetComputeRunningProcesses(
                nvml.nvmlDeviceGetHandleByIndex(number)
            )
            if process.pid in ours
        )
    except nvml.NVMLError:
        return 0
