"""How `bench.native` takes time: loops of seconds in which the GPU never waits."""

from __future__ import annotations

import itertools
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.arithmetic import Codes, Rounding
from edgewatch.pipeline.engines.native.products import Fp8Product
from edgewatch.pipeline.engines.native.scoring import Scorer

if TYPE_CHECKING:
    import torch

PRODUCT_SIDE = 8192
WARM_UPS = 6
IN_FLIGHT = 2
"""Batches that the device has at a time: one computes, one waits behind it."""


@dataclass(frozen=True, slots=True)
class Steady:
    """A loop of seconds."""

    ms_per_clip: float
    """Median over batches."""
    clips_per_second: float
    """Over the whole loop."""
    launch_ms: float
    """Median time that the host took to launch a batch. As long as the batch itself: the host
    waits for the device somewhere, and the device for the host."""


def steady(
    scorer: Scorer,
    batches: Iterator[Sequence[AskedClip]],
    *,
    seconds: float,
    warm_seconds: float,
    in_flight: int = IN_FLIGHT,
) -> Steady:
    """Score batches of one size for some seconds, from host memory to scores."""
    flying: deque[tuple[int, Any]] = deque()
    ends: list[float] = []
    launches: list[float] = []
    warm_until = time.perf_counter() + warm_seconds
    count = 0
    while len(ends) < 4 or ends[-1] - ends[0] < seconds:
        batch = next(batches)
        count = len(batch)
        began = time.perf_counter()
        flying.append((count, scorer.launch(batch)))
        launched = time.perf_counter()
        if len(flying) >= in_flight:
            scorer.collect(flying.popleft()[1])
            if launched > warm_until:
                launches.append(launched - began)
                ends.append(time.perf_counter())
    for _, launch in flying:
        scorer.collect(launch)
    took = [after - before for before, after in itertools.pairwise(ends)]
    return Steady(
        ms_per_clip=1e3 * statistics.median(took) / count,
        clips_per_second=len(took) * count / (ends[-1] - ends[0]),
        launch_ms=1e3 * statistics.median(launches),
    )


def now_and_then(work: Callable[[], object], *, times: int, apart_seconds: float) -> list[float]:
    """Do work on an idle device again and again; return the ms of each.

    First some to warm up: what recurs may be prepared for after a few times.
    """
    for _ in range(WARM_UPS):
        work()
    found = []
    for _ in range(times):
        time.sleep(apart_seconds)
        began = time.perf_counter()
        work()
        found.append(1e3 * (time.perf_counter() - began))
    return found


def repeated_ms(
    work: Callable[[], object], device: torch.device, *, seconds: float, warm: int = 2
) -> float:
    """Return the median ms of work that ends with its result on the host."""
    for _ in range(warm):
        work()
    wait_for(device)
    found: list[float] = []
    until = time.perf_counter() + seconds
    while len(found) < 3 or time.perf_counter() < until:
        began = time.perf_counter()
        work()
        wait_for(device)
        found.append(1e3 * (time.perf_counter() - began))
    return statistics.median(found)


def product_rate(
    kind: str, device: torch.device, *, seconds: float, side: int = PRODUCT_SIDE
) -> float:
    """Return the FLOP/s of a matrix product of random numbers in a loop of seconds.

    `kind`: "bf16", or "fp8" under a scale for each row, as the engine multiplies.
    """
    work = _product(kind, device, side)
    for _ in range(3):
        work()
    wait_for(device)
    began, count = time.perf_counter(), 0
    events: deque[Any] = deque()
    while time.perf_counter() - began < seconds:
        for _ in range(4):
            work()
        count += 4
        events.append(_mark(device))
        if len(events) > 2 and (event := events.popleft()) is not None:
            event.synchronize()
    wait_for(device)
    return count * 2.0 * side**3 / (time.perf_counter() - began)


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done all it was given."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _mark(device: torch.device) -> Any:
    import torch

    return torch.cuda.current_stream(device).record_event() if device.type == "cuda" else None


def _product(kind: str, device: torch.device, side: int) -> Callable[[], object]:
    import torch

    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    if kind == "bf16":
        return lambda: one @ other.T
    scale = torch.ones(side, device=device)
    codes = Codes(one.to(torch.float8_e4m3fn), scale.view(-1, 1))
    product = Fp8Product(
        other.to(torch.float8_e4m3fn), scale, None, torch.bfloat16, Rounding("rows")
    )
    return lambda: product(codes)
