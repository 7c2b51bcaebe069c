"""What a test tells the stand-in, and what the stand-in tells a test.

FAKE_TRTLLM_CONTROL names a JSON file: `Control`'s fields. FAKE_TRTLLM_REPORT names a file to which
lines of JSON are added: {"what": "imported" | "loaded" | "request" | "aborted" | "broken" |
"shutdown" | ..., "pid": ..., ...}. FAKE_TRTLLM_PARENT names the process that must never load.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class ContractBroken(Exception):
    """A call that the real library would take, or answer with nonsense, and never should get."""


class RequestError(RuntimeError):
    """One request failed; the message is the executor's. As the library's own."""


@dataclass(frozen=True, slots=True)
class Control:
    """How the stand-in behaves."""

    version: str = "1.2.1"
    load: str = "ok"
    """Or "hang", "oom", "missing_kernel"."""
    load_seconds: float = 0.05
    submit_seconds: float = 0.002
    """`generate_async` blocks so long; 0.03 with the real one."""
    step_seconds: float = 0.005
    shutdown: str = "ok"
    """Or "hang"."""
    in_flight_limit: int = 64
    """More requests at a time are broken contract."""
    faults: tuple[dict[str, Any], ...] = ()
    """{"request": number of a request of this process, from 1, "do": a mark}."""


def control() -> Control:
    """Read the control file anew."""
    path = os.environ.get("FAKE_TRTLLM_CONTROL")
    if not path:
        return Control()
    if not Path(path).exists():
        return Control()
    fields = json.loads(Path(path).read_text())
    fields["faults"] = tuple(fields.get("faults", ()))
    return Control(**fields)


def report(what: str, **keys: Any) -> None:
    """Add a line to the report."""
    path = os.environ.get("FAKE_TRTLLM_REPORT")
    if path:
        line = json.dumps({"what": what, "pid": os.getpid(), **keys}) + "\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def broken(what: str) -> ContractBroken:
    """Report that the contract was broken; return the error to be raised."""
    report("broken", how=what)
    return ContractBroken(what)


def reported(path: Path, what: str | None = None) -> list[dict[str, Any]]:
    """Return the lines of a report, all or of one kind."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if what is None or line["what"] == what]
