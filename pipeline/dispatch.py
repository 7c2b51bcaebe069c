"""When the next batch goes to the engine, and how large it may be. Pure: time is an argument.

An engine with two places computes one batch while the next is brought to it, so that it never waits
for the host. That must cost nothing else:

- The second place is not taken by the first clip that comes along: it could not be judged sooner
  for it, and those that come after it would find a batch of one gone. It is taken when a whole
  batch waits, or shortly before the engine is expected to be through with the one it has.
- Whoever calls says whether a batch may go behind others (`behind`): what is not live must not
  hold up live video that comes meanwhile.
- A batch takes no longer than the clips of a camera lie apart (the deadline): else a camera with a
  short stride would lose clips while many others' are judged in one go. Small batches are hardly
  slower a clip (32 against 30 ms on an H200), so nothing is lost by it; below that limit what
  waits goes together, which is little when there is time, and much when there is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgewatch.pipeline.pace import Pace

HEAD_START_SECONDS = 0.1
"""So long before the engine is through, the next batch is sent: copying eight clips to another
process and laying them out takes about half of it."""
_LEAST_HOLD_SECONDS = 0.001
"""A shorter wait is not worth a timer."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """A batch that the engine has."""

    clips: int
    live: bool
    given_seconds: float


@dataclass(frozen=True, slots=True)
class Turn:
    """What may go to the engine now."""

    clips: int
    """The largest batch; 0: none yet."""
    again_seconds: float | None = None
    """Ask again after so long; None: when something has changed."""


class Dispatch:
    """Knows what the engine has, and how long it is likely to take."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._under_way: list[Given] = []
        self._unanswered: list[Given] = []
        self._last_judged_seconds = -math.inf

    @property
    def under_way(self) -> Sequence[Given]:
        """What was given and has not left, oldest first."""
        return self._under_way

    def turn(
        self,
        waiting: int,
        *,
        places: int,
        max_batch: int,
        behind: bool,
        deadline_seconds: float,
        now_seconds: float,
    ) -> Turn:
        """Say how many of `waiting` clips may go now.

        `places`: batches that the engine takes at once. `deadline_seconds`: how long a batch may
        take; infinite where nobody waits for it.
        """
        if not waiting or len(self._under_way) >= (places if behind else 1):
            return Turn(0)
        most = self._pace.most_clips(deadline_seconds, max_batch)
        if self._under_way and waiting < most:
            hold_seconds = self._left_seconds(now_seconds) - HEAD_START_SECONDS
            if hold_seconds > _LEAST_HOLD_SECONDS:
                return Turn(0, hold_seconds)
        return Turn(most)

    def give(self, clips: int, *, live: bool, now_seconds: float) -> Given:
        """Note that a batch was given."""
        given = Given(clips, live, now_seconds)
        self._under_way.append(given)
        self._unanswered.append(given)
        return given

    def judged(self, given: Given, now_seconds: float, *, learn: bool) -> None:
        """Note that a batch was answered; `learn`: what it took tells what others will take."""
        if learn:
            # It could not begin before the one in front of it was through
            began_seconds = max(given.given_seconds, self._last_judged_seconds)
            self._pace.learn(given.clips, now_seconds - began_seconds)
        self._last_judged_seconds = now_seconds
        self._unanswered.remove(given)

    def leave(self, given: Given) -> None:
        """Free a batch's place."""
        self._under_way.remove(given)

    def _left_seconds(self, now_seconds: float) -> float:
        """Return how long the engine is expected to take for what it has."""
        if not self._unanswered:
            return 0.0
        began_seconds = max(self._unanswered[0].given_seconds, self._last_judged_seconds)
        expected = sum(self._pace.expected_seconds(one.clips) for one in self._unanswered)
        return expected - (now_seconds - began_seconds)
