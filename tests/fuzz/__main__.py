"""Push many damaged recordings through the camera; survives, and names, those that crash it.

    python -m tests.fuzz --count 20000 --seed 1

Each slice runs in a process of its own. Prints what became of them, memory, and every case that
crashed, hung or failed in an untyped way: rerun one with --count 1 --seed N.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections import Counter
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty

from tests.fuzz.camera import originals
from tests.fuzz.slices import Outcome, Said, replay_slice

SLICE = 1000
_SLICE_SECONDS = 900.0


def main() -> int:
    """Run the command; returns 1 if any case failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    reasons: Counter[str] = Counter()
    failures: list[str] = []
    growth: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        paths = originals(Path(folder))
        at, end = options.seed, options.seed + options.count
        while at < end:
            at = _run_slice(paths, at, min(at + SLICE, end), reasons, failures, growth)
            sys.stderr.write(f"{at - options.seed} of {options.count} {dict(reasons)}\n")
    report = {"cases": options.count, "reasons": reasons, "failures": failures}
    sys.stdout.write(json.dumps(report | {"slice_memory_growth_mb": growth}) + "\n")
    return 1 if failures else 0


def _run_slice(
    paths: list[Path],
    begin: int,
    end: int,
    reasons: Counter[str],
    failures: list[str],
    growth: list[float],
) -> int:
    """Run seeds [begin, end) in a child; return the seed to go on with."""
    context = multiprocessing.get_context("spawn")
    said: Queue[Said] = context.Queue()
    child = context.Process(target=replay_slice, args=(paths, begin, end, said))
    child.start()
    at = begin
    while True:
        try:
            kind, value = said.get(timeout=1.0)
        except Empty:
            if child.is_alive():
                continue
            failures.append(f"seed {at}: the process died with {child.exitcode}")
            return at + 1
        if kind == "seed":
            at = int(str(value))
        elif kind == "failed":
            failures.append(f"seed {at}: {value}")
        else:
            assert isinstance(value, Outcome)
            reasons.update(value.reasons)
            growth.append(value.growth_mb)
            child.join(_SLICE_SECONDS)
            return end


if __name__ == "__main__":
    sys.exit(main())
