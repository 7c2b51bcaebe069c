"""Ride: how the own car and the car ahead move, second by second, up to and after an impact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.drawn.bodywork import Lights

BRAKING_SECONDS: Final = 1.9
"""The car ahead brakes this long before the impact: the incident begins there."""
CONTACT_METRES: Final = 2.0
"""From the camera to the car ahead when the bumpers touch."""

_STEP_SECONDS: Final = 1 / 240
_REACTION_SECONDS: Final = 0.55
"""The own driver brakes only this long before the impact."""

_GENTLE_MPS2: Final = 2.6
_FOLLOWING_SECONDS: Final = 0.7
"""After this time the own driver follows the lead's gentle braking."""
_REST_METRES: Final = 4.0

Track = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moment:
    """Where everything is at one time."""

    along_metres: float
    speed_mps: float
    across_metres: float
    heave_metres: float
    pitch_radians: float
    yaw_radians: float
    roll_radians: float
    lead_ahead_metres: float
    lead_lights: Lights
    since_impact_seconds: float | None


class Ride:
    """A drive behind another car, as tracks over time; with an impact or without.

    Without and with are the same until the car ahead brakes.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        seconds: float,
        impact_at_seconds: float | None,
        *,
        gentle: bool = False,
    ) -> None:
        self._time = np.arange(0.0, seconds + 1.0, _STEP_SECONDS)
        self._impact = None if gentle else impact_at_seconds
        self._stop = impact_at_seconds - BRAKING_SECONDS if impact_at_seconds and gentle else None
        count = self._time.size
        base = float(rng.uniform(15.5, 18.5))
        speed = base + _wander(rng, self._time, 0.5, (0.05, 0.11))
        gap = _following_gap(base) + _wander(rng, self._time, 0.35, (0.08, 0.15))
        lead_speed = speed + np.gradient(gap, _STEP_SECONDS)
        if self._stop is not None:
            speed, gap = _stopped(self._time, speed, lead_speed, gap, self._stop)
        elif impact_at_seconds is not None:
            speed, gap = _collided(self._time, speed, lead_speed, gap, impact_at_seconds)
        self._speed, self._lead = speed, gap + CONTACT_METRES
        self._along = np.cumsum(speed) * _STEP_SECONDS
        moving = np.clip(speed / base, 0, 1)
        self._across = 1.75 + _wander(rng, self._time, 0.12, (0.07, 0.13))
        self._yaw = _wander(rng, self._time, 0.006, (0.09, 0.21))
        self._pitch = moving * _wander(rng, self._time, 0.0016, (1.1, 1.7, 6.3))
        self._heave = moving * _wander(rng, self._time, 0.008, (1.2, 2.1))
        self._roll = moving * _wander(rng, self._time, 0.0025, (0.4, 0.9))
        self._pitch += moving * _bumps(rng, self._time)
        if impact_at_seconds is not None:
            self._freeze_at_rest(count)
        if self._impact is not None:
            self._jolt(rng, self._impact)

    def at(self, seconds: float) -> Moment:
        """Give the state of everything at a time."""

        def value(track: Track) -> float:
            return float(np.interp(seconds, self._time, track))

        return Moment(
            along_metres=value(self._along),
            speed_mps=value(self._speed),
            across_metres=value(self._across),
            heave_metres=value(self._heave),
            pitch_radians=value(self._pitch),
            yaw_radians=value(self._yaw),
            roll_radians=value(self._roll),
            lead_ahead_metres=value(self._lead),
            lead_lights=self._lights(seconds),
            since_impact_seconds=self._since_impact(seconds),
        )

    def _since_impact(self, seconds: float) -> float | None:
        if self._impact is None or seconds < self._impact:
            return None
        return seconds - self._impact

    def _lights(self, seconds: float) -> Lights:
        if self._stop is not None and seconds >= self._stop:
            return "brake"
        if self._impact is None or seconds < self._impact - BRAKING_SECONDS:
            return "off"
        after = seconds - self._impact - 1.6
        if after < 0:
            return "brake"
        return "hazard" if after % 0.8 < 0.4 else "off"

    def _freeze_at_rest(self, count: int) -> None:
        """A car that stands does not wander in its lane."""
        stopped = int(np.argmax(self._speed < 0.05))
        if self._speed[stopped] >= 0.05:
            return
        for track in (self._across, self._yaw):
            track[stopped:count] = track[stopped]

    def _jolt(self, rng: np.random.Generator, impact_seconds: float) -> None:
        """Throw the camera about from the impact on; it ends up askew."""
        braking = np.clip((self._time - impact_seconds + _REACTION_SECONDS) / 0.25, 0, 1)
        after = self._time - impact_seconds
        struck = (after >= 0).astype(np.float64)
        since = np.clip(after, 0, None)
        decay = struck * np.exp(-since / 0.28)
        side = float(rng.choice((-1.0, 1.0)))
        swing = 2 * np.pi * since
        self._pitch -= 0.016 * braking * (1 - struck)
        self._pitch += -0.115 * decay * np.cos(swing * 3.6) + 0.05 * decay * np.sin(swing * 9.1)
        self._roll += side * 0.075 * decay * np.sin(swing * 4.3)
        self._heave += 0.10 * decay * np.sin(swing * 3.1)
        settled = struck * (1.0 - np.exp(-since / 0.22))
        self._yaw += side * (0.075 * settled + 0.05 * decay * np.sin(swing * 5.2))
        self._roll += side * 0.018 * settled
        self._across -= side * 0.25 * settled


def _following_gap(speed_mps: float) -> float:
    """Distance between the bumpers for which hard braking ends in an impact after its time."""
    lead = 0.5 * 8.5 * min(BRAKING_SECONDS, speed_mps / 8.5) ** 2
    own = 0.5 * 6.0 * _REACTION_SECONDS**2
    return lead - own


def _collided(
    time: Track, speed: Track, lead_speed: Track, gap: Track, impact_seconds: float
) -> tuple[Track, Track]:
    """Let the lead car brake, the own car run into it, and both come to rest."""
    speed, lead_speed = speed.copy(), lead_speed.copy()
    begins = impact_seconds - BRAKING_SECONDS
    index = int(np.searchsorted(time, begins))
    contact = int(np.searchsorted(time, impact_seconds))
    since = time[index:] - begins
    lead_speed[index:] = np.clip(lead_speed[index] - 8.5 * since, 0, None)
    late = np.clip(time - (impact_seconds - _REACTION_SECONDS), 0, None)
    speed[index:] = np.clip(speed[index] - 6.0 * late[index:], 0, None)
    shared = 0.5 * (speed[contact] + lead_speed[contact])
    after = time[contact:] - impact_seconds
    crumpling = np.exp(-after / 0.05)
    speed[contact:] = np.clip(shared + (speed[contact] - shared) * crumpling - 9.5 * after, 0, None)
    lead_speed[contact:] = np.clip(shared + 0.9 - 8.5 * after, 0, None)
    changed = gap.copy()
    closing = np.cumsum(lead_speed[index:] - speed[index:]) * _STEP_SECONDS
    changed[index:] = gap[index] + closing
    # The gap was wandering when the braking began: bring it to nothing exactly at the contact.
    ramp = np.clip(since / BRAKING_SECONDS, 0, 1)
    changed[index:] -= changed[contact] * ramp**2
    return speed, np.maximum(changed, -0.35)


def _stopped(
    time: Track, speed: Track, lead_speed: Track, gap: Track, begins_seconds: float
) -> tuple[Track, Track]:
    """Let the lead car brake as for a light that turns red, and the own car follow."""
    index = int(np.searchsorted(time, begins_seconds))
    since = time[index:] - begins_seconds
    lead = np.clip(lead_speed[index] - _eased(since) * _GENTLE_MPS2, 0, None)
    late = np.clip(since - _FOLLOWING_SECONDS, 0, None)
    # The own driver brakes so much harder as is needed to stop with a car's gap to spare.
    room = gap[index] - _REST_METRES + lead_speed[index] ** 2 / (2 * _GENTLE_MPS2)
    room -= speed[index] * _FOLLOWING_SECONDS
    braking = float(np.clip(speed[index] ** 2 / (2 * max(room, 1.0)), 1.0, 4.5))
    own = np.clip(speed[index] - _eased(late) * braking, 0, None)
    changed, slowed = gap.copy(), speed.copy()
    slowed[index:] = own
    changed[index:] = gap[index] + np.cumsum(lead - own) * _STEP_SECONDS
    return slowed, np.maximum(changed, 1.0)


def _eased(since: Track) -> Track:
    """Seconds of full braking when the pedal is pressed within half a second."""
    return np.where(since < 0.5, since**2, since - 0.25)


def _wander(
    rng: np.random.Generator, time: Track, amplitude: float, rates_hz: tuple[float, ...]
) -> Track:
    """Add sines of random phase about the given rates: smooth, never quite repeating."""
    track = np.zeros_like(time)
    for rate in rates_hz:
        phase, detuned = rng.uniform(0, 2 * np.pi), rate * rng.uniform(0.9, 1.1)
        track += np.sin(2 * np.pi * detuned * time + phase)
    return amplitude * track / len(rates_hz)


def _bumps(rng: np.random.Generator, time: Track) -> Track:
    """Joints and holes in the road: short, damped nods."""
    nods = np.zeros_like(time)
    at = float(rng.uniform(1.0, 3.0))
    while at < time[-1]:
        since = np.clip(time - at, 0, None)
        size = float(rng.uniform(0.002, 0.006))
        nods += size * np.exp(-since / 0.3) * np.sin(2 * np.pi * 2.4 * since)
        at += float(rng.uniform(2.0, 5.0))
    return nods
