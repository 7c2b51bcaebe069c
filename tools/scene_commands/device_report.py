"""What torch and TensorRT say of this machine: run as a process of its own, prints one JSON.

Importing them takes seconds and memory, may fail in ways that end a process, and makes a CUDA
context that holds hundreds of megabytes: nothing for the process that asks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

TIMEOUT_SECONDS = 60.0
_MODULE = "edgewatch.tools.scene_commands.device_report"


def ask_device_report(timeout_seconds: float = TIMEOUT_SECONDS) -> dict[str, Any]:
    """Return what a child finds, {"error": words} if it finds nothing in time; never raises."""
    command = [sys.executable, "-P", "-m", _MODULE]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"torch said nothing within {timeout_seconds:.0f} s: does the GPU hang?"}
    except OSError as error:
        return {"error": f"no process can be started: {error.strerror}"}
    try:
        # Libraries may print before; ours is the last line.
        report = json.loads(done.stdout.decode("utf-8", "replace").strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": f"importing torch ended the process with code {done.returncode}"}
    return report if isinstance(report, dict) else {"error": "an answer that is no table"}


def device_report() -> dict[str, Any]:
    """Import what is there and look. Call it in a process that ends afterwards."""
    return {"torch": _torch(), "tensorrt": _tensorrt()}


def _torch() -> dict[str, Any]:
    try:
        import torch
    except Exception as error:  # noqa: BLE001 - a broken installation raises anything
        return {"error": _short(error)}
    found: dict[str, Any] = {"version": torch.__version__, "cuda": torch.version.cuda, "gpus": []}
    try:
        for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
            properties = torch.cuda.get_device_properties(index)
            free, total = torch.cuda.mem_get_info(index)
            found["gpus"].append(
                {
                    "name": properties.name,
                    "sm": f"{properties.major}.{properties.minor}",
                    "free_bytes": int(free),
                    "total_bytes": int(total),
                    "unified": bool(getattr(properties, "is_integrated", False)),
                }
            )
    except RuntimeError as error:
        found["error"] = _short(error)
    return found


def _tensorrt() -> dict[str, Any]:
    try:
        import tensorrt
    except Exception as error:  # noqa: BLE001 - likewise
        return {"error": _short(error)}
    return {"version": tensorrt.__version__}


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]


if __name__ == "__main__":
    print(json.dumps(device_report()))
