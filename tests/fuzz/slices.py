"""A slice of many damaged recordings, run in a child process that may die of them."""

from __future__ import annotations

import resource
import sys
from collections import Counter
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import TypeAlias

from edgewatch.daemon.logs import configure_logs
from tests.fuzz.camera import replay_mutated
from tests.fuzz.mutations import mutated


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a slice."""

    reasons: Counter[str]
    growth_mb: float
    """Resident memory at the end over that at half-way."""


Said: TypeAlias = tuple[str, "int | str | Outcome"]
"""("seed", number begun), ("failed", why), ("done", outcome)."""


def replay_slice(paths: list[Path], begin: int, end: int, said: Queue[Said]) -> None:
    """Replay the recordings of seeds [begin, end), saying before each which one it is."""
    configure_logs(default="error", stream=sys.stderr)
    contents = [path.read_bytes() for path in paths]
    reasons: Counter[str] = Counter()
    settled_mb = 0.0
    for seed in range(begin, end):
        said.put(("seed", seed))
        chosen, data = mutated(seed, contents)
        try:
            replay_mutated(data, paths[chosen].suffix, reasons)
        except AssertionError as error:
            said.put(("failed", str(error)))
        if seed == begin + (end - begin) // 2:
            settled_mb = _resident_mb()
    said.put(("done", Outcome(reasons, round(_resident_mb() - settled_mb, 1))))


def _resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6
