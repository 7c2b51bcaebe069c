"""Coverage on record: which part of a camera's time is accounted for, cut into stretches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgewatch.pipeline.types import Coverage

Span = tuple[int, int, Coverage]
"""(start, end, coverage): an Interval without its camera, for those who read very many."""

LATENCY_ALLOWED_MS = 10_000
"""How late a verdict may come and still count, beyond its clip's own length."""
SETTLE_EVERY_MS = 5_000
"""How often what is settled is written down."""
_WRITING_MS = 5_000
"""How long that may take on a busy machine."""


def open_ms(window_ms: int) -> int:
    """Return how old time is at the most when its coverage is written down.

    `window_ms`: length of a clip, the longest of all cameras. A verdict may come one window and
    `LATENCY_ALLOWED_MS` after its footage began; a stretch without one waits a window more.
    """
    return 2 * window_ms + LATENCY_ALLOWED_MS + SETTLE_EVERY_MS + _WRITING_MS


def settled_until_ms(newest_end_ms: int | None, now_ms: int, window_ms: int) -> int:
    """Return up to when a camera's time is accounted for, Unix time in milliseconds.

    Later time is still open, not a hole: a running ledger tells it soon. `newest_end_ms`: end of
    what is known of the newest `open_ms(window_ms)`, None if nothing is; `window_ms` as there.
    """
    return min(now_ms, max(newest_end_ms or 0, now_ms - open_ms(window_ms)))


def partition(spans: Iterable[Span], since_ms: int, until_ms: int) -> Iterator[Span]:
    """Cut [since, until) into spans of one coverage each, in order, without hole or overlap.

    `spans`: one camera's, disjoint and in order of time. What none covers is "not_running".
    """
    at_ms = since_ms
    for span in spans:
        start_ms, end_ms, coverage = span
        if start_ms < at_ms or end_ms > until_ms:
            start_ms, end_ms = max(start_ms, at_ms), min(end_ms, until_ms)
            if start_ms >= end_ms:
                continue
            span = (start_ms, end_ms, coverage)
        if at_ms < start_ms:
            yield (at_ms, start_ms, "not_running")
        yield span
        at_ms = end_ms
    if at_ms < until_ms:
        yield (at_ms, until_ms, "not_running")


def totals_ms(spans: Iterable[Span]) -> dict[Coverage, int]:
    """Sum disjoint spans by their coverage; one that did not occur has no entry."""
    totals: dict[Coverage, int] = {}
    for start_ms, end_ms, coverage in spans:
        totals[coverage] = totals.get(coverage, 0) + end_ms - start_ms
    return totals
