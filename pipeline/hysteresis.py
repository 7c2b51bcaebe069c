"""Hysteresis: how near the clips around a moment came to opening an event. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from edgewatch.pipeline.events import EventRules
from edgewatch.pipeline.types import Verdict


def most_anomalous(verdicts: Sequence[Verdict], held: Sequence[Verdict], rules: EventRules) -> int:
    """Return the most anomalous clips in any window of the rules that holds one of `held`.

    `verdicts`: in order of their ends, with all windows around `held`.
    """
    best = 0
    for run in _unbroken(verdicts, rules.stale_seconds):
        places = {number for number, one in enumerate(run) if one in held}
        for last in range(len(run)):
            window = range(max(0, last + 1 - rules.open_within), last + 1)
            if places.intersection(window):
                best = max(best, sum(run[number].anomalous for number in window))
    return best


def _unbroken(verdicts: Sequence[Verdict], stale_seconds: float) -> Iterator[list[Verdict]]:
    """Split where a silence made the count begin anew."""
    if not verdicts:
        return
    run = [verdicts[0]]
    for before, one in pairwise(verdicts):
        if one.end_seconds - before.end_seconds > stale_seconds:
            yield run
            run = []
        run.append(one)
    yield run
