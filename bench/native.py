"""The engine `native` in 7B's shape on one GPU: every figure it promises, in one command.

    python -m bench.native [--parts speed,idle,...] [--limit-seconds 540] [--json]
    python -m bench.native --quick --json        # on a CPU: a tiny model, against transformers

Weights are random, made on the device. A clip is 20 frames of 252 x 252 in ordinary host memory
with 30 tokens of text before the video and 222 behind it; with the question first, 230 before it
(known) and 22 behind. Figures are taken from host memory to scores, two batches in flight, over
seconds in which the GPU is never idle, beside a matrix product of 8192^3 and transformers' own
forward in the same run. A part that fails is told and the others go on.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Sequence

from bench.native_parts import PARTS
from bench.native_quick import quick_figures
from bench.native_run import Bench, Options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 1 if a part failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="what is measured, in this order")
    parser.add_argument("--shape", choices=("7b", "tiny"), default="7b")
    parser.add_argument("--precisions", default="bf16,fp8")
    parser.add_argument("--batches", default="8,1,4,2,16", help="most wanted first")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a loop at batch 8")
    parser.add_argument("--random-seconds", type=float, default=30.0)
    parser.add_argument("--limit-seconds", type=float, default=540.0, help="of the whole run")
    parser.add_argument("--quick", action="store_true", help="a tiny model, within 20 s")
    parser.add_argument("--json", action="store_true", help="one flat object, name to number")
    given = parser.parse_args(argv)
    if given.quick:
        figures, failed = quick_figures(say), False
    else:
        options = Options(
            shape=given.shape,
            precisions=tuple(given.precisions.split(",")),
            batches=tuple(map(int, given.batches.split(","))),
            seconds=given.seconds,
            random_seconds=given.random_seconds,
            until=time.monotonic() + given.limit_seconds,
        )
        figures, failed = run(Bench(options, say), given.parts.split(","))
    figures = {
        name: float(f"{value:.6g}") for name, value in figures.items() if math.isfinite(value)
    }
    if given.json:
        print(json.dumps(figures))
    else:
        width = max(map(len, figures), default=0)
        for name, value in figures.items():
            print(f"{name:<{width}}  {value:>12.5g}")
    return int(failed)


def run(bench: Bench, parts: Sequence[str]) -> tuple[dict[str, float], bool]:
    """Measure parts one after the other; return all figures and whether one failed."""
    failed = False
    for name in parts:
        began = time.monotonic()
        failed |= not _tried(name, PARTS[name], bench)
        say(f"-- {name}: {time.monotonic() - began:.0f} s")
    return bench.figures, failed


def _tried(name: str, part: Callable[[Bench], None], bench: Bench) -> bool:
    try:
        part(bench)
    except Exception:  # noqa: BLE001 - the GPU's time is not to be lost for the other parts
        say(f"{name} FAILED\n{traceback.format_exc()}")
        return False
    return True


def say(text: str) -> None:
    """Tell on standard error what was found."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
