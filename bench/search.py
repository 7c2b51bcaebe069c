"""The search for the largest number that still holds, where each trial costs seconds."""

from __future__ import annotations

from collections.abc import Callable


def largest(holds: Callable[[int], bool], guess: int, *, step: float = 0.12) -> int:
    """Return the largest number for which `holds` says yes, or 0; exact to `step`'s third.

    From `guess` it goes up or down by the share `step`, growing twofold, until the answer changes,
    then halves what lies between. Takes it that what holds for a number holds for all below.
    """
    low, high = _bracket(holds, max(1, guess), step)
    while high - low > max(1, round(low * step / 3)):
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def _bracket(holds: Callable[[int], bool], guess: int, step: float) -> tuple[int, int]:
    """Return a number that holds (or 0) and a larger one that does not."""
    here, reach = guess, max(1, round(guess * step))
    rising = holds(here)
    while True:
        there = here + reach if rising else max(0, here - reach)
        if there == 0 or holds(there) != rising:
            return (here, there) if rising else (there, here)
        here, reach = there, 2 * reach
