"""What condition a camera's picture is in: fine, or frozen, dark, covered, moved, flickering.

Looks at the sampled frames alone. The signs are measured in `picture_measures`, `picture_frozen`,
`picture_light` and `picture_view`; here they become one condition that does not flap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewatch.pipeline.picture_frozen import Still, Stillness
from edgewatch.pipeline.picture_light import Darkness, Detail, Flicker
from edgewatch.pipeline.picture_measures import Look, look_at
from edgewatch.pipeline.picture_view import ADOPTED_SECONDS, Moved, ViewWatch
from edgewatch.pipeline.types import HealthState, Pixels

ConditionKind = Literal["fine", "dark", "frozen", "covered", "moved", "flicker"]

DARK_SECONDS = 5.0
"""Longer than a camera needs to set its exposure anew, or to switch to infra-red."""
COVERED_SECONDS = 10.0
"""Longer than headlights blind a camera or a lorry stops right before it."""
CLEAR_SECONDS = 1.0
"""Each condition ends when its sign was absent for this long."""
LONGEST_STEP_SECONDS = 10.0
"""Frames further apart are a break: the time between them counts for nothing."""

_STATES: dict[ConditionKind, HealthState] = {
    "fine": "online",
    "dark": "dark",
    "frozen": "frozen",
    "covered": "covered",
    "moved": "online",
    "flicker": "online",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """What a camera's picture is like, from one change to the next."""

    kind: ConditionKind
    since_seconds: float
    """When it began, on the clock of the frames; earlier than when it was known for sure."""
    detail: str = ""
    """What was seen, with figures, and the cure; empty when fine."""

    @property
    def state(self) -> HealthState:
        """The camera's state on `health` while it is connected and in this condition."""
        return _STATES[self.kind]

    @property
    def reason(self) -> str:
        """The reason on `health`: the kind, empty when fine."""
        return "" if self.kind == "fine" else self.kind


class PictureWatch:
    """Tells one camera's condition from its sampled frames, in order. Keeps about 100 kB.

    One thread uses it. It lives as long as the camera is configured, over reconnects: what is
    usual for this camera is learnt once. If several conditions hold, the first of dark, frozen,
    covered, moved, flicker is told.
    """

    def __init__(self) -> None:
        self._condition: Condition | None = None
        self._before_seconds: float | None = None
        self._lived_seconds = 0.0
        self._size = (0, 0)
        self._stillness = Stillness()
        self._start()

    def _start(self) -> None:
        self._darkness = Darkness()
        self._detail = Detail()
        self._view = ViewWatch()
        self._flicker = Flicker()
        self._dark = _Debounced(DARK_SECONDS)
        self._frozen = _Debounced(0.0)
        self._covered = _Debounced(COVERED_SECONDS)
        self._moved = _Debounced(0.0)
        self._flickering = _Debounced(0.0)

    @property
    def condition(self) -> Condition | None:
        """The condition last told; None before the first frame."""
        return self._condition

    def see(self, pixels: Pixels, now_seconds: float) -> Condition | None:
        """Take the next frame; return the camera's condition if it is not what it was.

        `now_seconds`: the frame's own time. It may jump; then the short memory starts anew and
        the condition stays until the frames say otherwise. The first frame gives `fine`.
        """
        step_seconds = self._step(now_seconds)
        look = look_at(pixels)
        if look.grey.shape != self._size:
            self._size = (look.grey.shape[0], look.grey.shape[1])
            self._start()
        kind, began, detail = self._judge(look, step_seconds)
        if self._condition is not None and self._condition.kind == kind:
            return None
        since_seconds = now_seconds - (self._lived_seconds - began)
        self._condition = Condition(kind, since_seconds, detail)
        return self._condition

    def _step(self, now_seconds: float) -> float:
        """Return the time since the frame before, 0 over a break or a jump."""
        before, self._before_seconds = self._before_seconds, now_seconds
        if before is None or not 0 < now_seconds - before <= LONGEST_STEP_SECONDS:
            self._view.pause()
            self._flicker.pause()
            return 0.0
        self._lived_seconds += now_seconds - before
        return now_seconds - before

    def _judge(self, look: Look, step_seconds: float) -> tuple[ConditionKind, float, str]:
        now = self._lived_seconds
        still = self._stillness.see(look.grey, now)
        is_dark = self._darkness.see(look)
        # In the dark there is no detail to lose: what was usual in the light stays so
        is_lost = not is_dark and self._detail.see(look, now, step_seconds)
        moved = self._see_view(look, now, is_blind=is_dark or is_lost or still is not None)
        flickers = self._flicker.see(look.small, look.mean, now)

        self._dark.update(is_dark, now)
        self._frozen.update(still is not None, now, -still.seconds if still else 0.0)
        self._covered.update(is_lost, now, holds=is_dark)
        self._moved.update(moved is not None, now, -moved.seconds if moved else 0.0, holds=is_lost)
        self._flickering.update(flickers, now)
        if self._dark.is_active:
            return "dark", self._dark.since, _dark_words(look)
        if self._frozen.is_active:
            return "frozen", self._frozen.since, _frozen_words(still)
        if self._covered.is_active:
            return "covered", self._covered.since, _covered_words(look, self._detail.share)
        if self._moved.is_active:
            return "moved", self._moved.since, _moved_words(moved)
        if self._flickering.is_active:
            return "flicker", self._flickering.since, _flicker_words(self._flicker.levels)
        return "fine", now, ""

    def _see_view(self, look: Look, now: float, *, is_blind: bool) -> Moved | None:
        if is_blind:
            self._view.pause()
            return None
        return self._view.see(look.small, now)


class _Debounced:
    """A sign that counts once it was there for a while, and until it was absent for a while."""

    def __init__(self, raise_seconds: float) -> None:
        self._raise_seconds = raise_seconds
        self._contrary_since: float | None = None
        self.is_active = False
        self.since = 0.0
        """When the sign that is active began."""

    def update(self, is_seen: bool, now: float, since: float = 0.0, *, holds: bool = False) -> None:
        """Take the sign of one frame.

        `since`: when it began, relative to now, where the sign itself has waited. `holds`: this
        frame cannot tell; all stays as it is.
        """
        if holds:
            return
        if is_seen == self.is_active:
            self._contrary_since = None
            return
        if self._contrary_since is None:
            self._contrary_since = now + (since if is_seen else 0.0)
        wait_seconds = self._raise_seconds if is_seen else CLEAR_SECONDS
        if now - self._contrary_since >= wait_seconds:
            self.is_active = is_seen
            self.since = self._contrary_since
            self._contrary_since = None


def _dark_words(look: Look) -> str:
    return (
        f"The picture is black: 99 % of it is darker than {look.bright:.0f} of 255. "
        "Take the cap off the lens, or switch light or infra-red on."
    )


def _frozen_words(still: Still | None) -> str:
    cure = "Restart the camera, or the recorder it comes through."
    if still is None:
        return f"The picture stands still although the stream goes on. {cure}"
    if still.clock_share:
        return (
            f"Only {100 * still.clock_share:.1f} % of the picture (a clock?) changed for "
            f"{still.seconds:.0f} s, not even noise elsewhere. {cure}"
        )
    return (
        f"The very same picture for {still.seconds:.0f} s although the stream goes on; a live one "
        f"has noise. {cure}"
    )


def _covered_words(look: Look, share: float) -> str:
    cure = "Uncover or clean the lens, or set its focus; thick fog looks the same."
    if share >= 1.0:
        return f"There is nothing to see, only one tone (brightness {look.mean:.0f} of 255). {cure}"
    return f"Only {100 * share:.0f} % of this camera's usual detail is left. {cure}"


def _moved_words(moved: Moved | None) -> str:
    cure = (
        "Turn the camera back; if it is to stay so, do nothing: the view counts as usual after "
        f"{ADOPTED_SECONDS / 60:.0f} minutes."
    )
    if moved is None:
        return f"The camera does not look where it used to. {cure}"
    like = f"only {100 * moved.likeness:.0f} % like the usual one"
    if moved.shift is None:
        return f"The view is another: {like}. {cure}"
    across, down = moved.shift
    return (
        f"The view has shifted: {like}; its content moved by about {100 * abs(across):.0f} % of "
        f"the width to the {'right' if across > 0 else 'left'} and {100 * abs(down):.0f} % of the "
        f"height {'down' if down > 0 else 'up'}. {cure}"
    )


def _flicker_words(levels: float) -> str:
    return (
        f"The whole picture's brightness keeps swinging by about {levels:.0f} of 255. Look at the "
        "lamp, the camera's power supply and its exposure (anti-flicker at 50 or 60 Hz)."
    )
