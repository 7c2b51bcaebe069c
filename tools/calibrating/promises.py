"""Promises: what so much footage and so many incidents can promise of a threshold at most. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from edgewatch.pipeline.engines.calibration import ChosenThreshold

MISSING_SHARE = 0.05
"""What is promised may be wrong with this probability."""


def least_promise_per_day(days: float) -> float:
    """Return the least false alarms a day that footage without a single one can promise.

    The rule of three (Hanley and Lippman-Hand, JAMA 249 (1983) 1743), exactly: with 95 %.
    """
    return -math.log(MISSING_SHARE) / days


def most_recall_promised(incidents: int) -> float:
    """Return the most recall that so many incidents, all found, can promise with 95 %."""
    return float(MISSING_SHARE ** (1.0 / incidents))


def alarm_warnings(
    wished: float, days: float, false_alarms: int, chosen: ChosenThreshold
) -> Iterable[str]:
    """Say what so many days without incident leave open of so many false alarms a day."""
    if not chosen.supported:
        yield (
            f"{wished:g} false alarms a day cannot be promised from {span(days)} of footage "
            f"without incident: even with none in all of it, up to "
            f"{figure(least_promise_per_day(days))} a day are possible (rule of three, 95 %). To "
            f"promise {wished:g} takes at least {span(least_promise_per_day(wished))} of it."
            if wished > 0
            else "No false alarms at all can never be promised, by no footage: even with none in "
            f"{span(days)}, up to {figure(least_promise_per_day(days))} a day are possible."
        )
    elif chosen.high > wished:
        yield (
            f"by chance {alarms_words(false_alarms)} in {span(days)} may stand "
            f"for up to {figure(chosen.high)} a day."
        )
    if chosen.reached > wished:
        yield f"no threshold stays within {wished:g} a day; this one comes closest."


def recall_warnings(
    wished: float, found: int, incidents: int, chosen: ChosenThreshold
) -> Iterable[str]:
    """Say what so many incidents leave open of a recall."""
    if not chosen.supported:
        promised = most_recall_promised(incidents)
        needed = (
            f"To promise {wished:g} takes at least "
            f"{math.ceil(math.log(MISSING_SHARE) / math.log(wished))} incidents."
            if wished < 1
            else "To promise all of them is beyond any number of recordings."
        )
        yield (
            f"a recall of {wished:g} cannot be promised from {incidents} incidents: even "
            f"with all of them found, no more than {promised:.2f} can be (95 %). {needed}"
        )
    if chosen.reached < wished:
        yield (
            f"no threshold finds {wished:g} of the incidents; this one, the lowest that helps, "
            f"finds {found} of {incidents}."
        )


def span(days: float) -> str:
    """Write a length of footage: 12 minutes, 3.4 hours, 30 days."""
    minutes = days * 1440.0
    if minutes < 120:
        return f"{figure(minutes)} minutes"
    return f"{figure(minutes / 60.0)} hours" if days < 3 else f"{figure(days)} days"


def alarms_words(count: int) -> str:
    """Write a number of false alarms."""
    return f"{count} false alarm{'' if count == 1 else 's'}"


def figure(number: float) -> str:
    """Write a number to about two digits, without exponent."""
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"
